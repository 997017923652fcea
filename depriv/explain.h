/* Ring 3: why a vcpu cannot go on, in words: ABI_OP_EXPLAIN. */
#ifndef DEPRIV_EXPLAIN_H
#define DEPRIV_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include "depriv/abi.h"

struct explain_cpu {
    bool vmx;
    uint32_t physical_bits;
    uint64_t cr4;               /* bits of CR4 that the guest may set */
};

/* The first rule of VM entry that s breaks, or NULL. */
const char *explain_state(const struct abi_state *s, const struct explain_cpu *cpu);

/* reason, detail: of VMX the exit reason and the qualification, or 35, which no CPU gives, and the VM-instruction error; of SVM the exit
 * code. event: to be injected, as in the VMX interruption-information field, or 0. */
const char *explain_exit(const struct abi_state *s, const struct explain_cpu *cpu, uint32_t reason, uint64_t detail, uint32_t event);

/* ABI_OP_EXPLAIN */
void explain_operation(struct abi_frame *f, const struct abi_info *info);

#endif
