/* Ring 3: what CPU the guest sees: CPUID and the MSRs that no hardware holds for it, each a table with a reason per row. */
#ifndef DEPRIV_GUESTCPU_H
#define DEPRIV_GUESTCPU_H

#include "depriv/abi.h"

void guestcpu_init(struct abi_frame *f);                               /* once a vcpu: the entries of abi_frame.cpuid */
void guestcpu_cpuid(struct abi_frame *f, const struct abi_info *info); /* ABI_OP_CPUID */
void guestcpu_msr(struct abi_frame *f);                                /* ABI_OP_MSR */

#endif
