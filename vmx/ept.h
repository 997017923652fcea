/* Extended page tables: entries, pointer, invalidation. */
#ifndef VMX_EPT_H
#define VMX_EPT_H

#include "kernel/base.h"

struct cpu;

u64 ept_entry(bool leaf, bool write); /* hvm_ops.nested_entry */
u64 ept_pointer(u64 capability);      /* all but the table's address; capability: IA32_VMX_EPT_VPID_CAP */
void ept_reused(void);                /* a domain begins */
void ept_flush_stale(struct cpu *cpu, bool vpid); /* this CPU, before it loads a vcpu; cpu.hvm_page2: the generation it has seen */

#endif
