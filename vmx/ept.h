/* Extended page tables. */
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include "kernel/base.h"

u64 ept_entry(bool leaf, bool write); /* hvm_ops.nested_entry */

#endif
