/* Image kind `linux`: a bzImage by the 64-bit boot protocol, or by the 32-bit one if it has no 64-bit entry. */
#ifndef DEPRIV_LOAD_LINUX_H
#define DEPRIV_LOAD_LINUX_H

#include "depriv/load/boot.h"

enum abi_status linux_load(struct boot *b);

#endif
