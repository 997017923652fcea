/* What of the guest's CPU ring 0 decides: the entries of CPUID that ring 3 has given it, the MSRs that hardware holds, XCR0. */
#pragma once

#include "kernel/vcpu.h"

enum policy { POLICY_DONE, POLICY_FAULT, POLICY_RING3 };

enum policy policy_msr(struct vcpu *v, bool write); /* RDMSR, WRMSR by the frame's ECX, EDX:EAX */
enum policy policy_xsetbv(struct vcpu *v);          /* XSETBV likewise */
u64 policy_cr4_guest(void);                         /* CR4 bits that the guest may set: those whose feature CPUID offers it */

/* The entry of a leaf: below ABI_CPUID_ENTRIES whatever the leaf is, also behind a mispredicted branch. */
static inline u32 policy_cpuid_entry(u32 leaf) { return (leaf & 0xf) | leaf >> 27; }

static inline bool policy_cpuid_known(const struct abi_frame *f)
{
    u32 leaf = (u32)f->gpr[ABI_RAX];
    return !(leaf & ~ABI_CPUID_LEAVES) && f->cpuid_known >> policy_cpuid_entry(leaf) & 1;
}

/* CPUID with the leaf in the frame's EAX; the result to the frame: whatever ring 3 has put there, they are numbers for its guest. False:
 * ring 3 is to be asked. */
static inline bool policy_cpuid(struct vcpu *v)
{
    struct abi_frame *f = v->frame;
    u32 n = policy_cpuid_entry((u32)f->gpr[ABI_RAX]);
    if (unlikely(!policy_cpuid_known(f)))
        return false;
    f->gpr[ABI_RAX] = f->cpuid[n].eax;
    f->gpr[ABI_RBX] = f->cpuid[n].ebx;
    f->gpr[ABI_RCX] = f->cpuid[n].ecx;
    f->gpr[ABI_RDX] = f->cpuid[n].edx;
    return true;
}
