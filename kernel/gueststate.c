/* Guest state in its neutral form: what of ring 3's ring 0 itself depends on, and the MSRs that pass. */
#include "kernel/gueststate.h"
#include "kernel/cpu.h"
#include "kernel/policy.h"

const u32 msrs_passed[MSRS_PASSED] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_FS_BASE, MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
};

/* The types are 0, 1, 4 to 7 (SDM 3A table 11-10, APM2 7.8.1): 2 and 3 have bit 1 without bit 2. */
bool pat_legal(u64 pat)
{
    const u64 ones = 0x0101010101010101ull;
    return !(pat & 0xf8 * ones) && !((pat >> 1 & ~(pat >> 2)) & ones);
}

/* Ring 0 loads these itself, by WRMSR and MOV DR6, which fault in ring 0 on what is not legal; and a bit of CR4 or EFER may turn on what
 * nobody switches. WRMSR takes 57-bit addresses where the CPU has them, whatever CR4.LA57 says.
 *
 * All else is checked, or ignored, by the CPU at VM entry: on VMX every field (SDM 3C 26.3.1). VMRUN refuses reserved bits of CR0, CR3,
 * DR6 and DR7 and illegal combinations of CR0, CR4 and EFER (APM2 15.5.1); what it does not look at (RIP, RFLAGS, segments, tables, SYSENTER)
 * is nobody's but the guest's: VMLOAD makes addresses canonical, and no exit loads any of it for the host. An entry that fails ends the
 * domain, and ring 3 says why (depriv/explain.c). What ring 0 adds is not ring 3's to choose: EFER.SVME, the host's bits of CR0 and CR4,
 * the CPL, the IA-32e mode control. */
const char *state_refused(const struct abi_state *s, u32 groups)
{
    bool wide = features.cr4 & CR4_LA57;
    if (groups & ABI_STATE_SYSCALL &&
        (s->fmask >> 32 || !canonical(s->lstar, wide) || !canonical(s->cstar, wide) || !canonical(s->kernel_gs_base, wide)))
        return "LSTAR, CSTAR, KERNEL_GS_BASE must be canonical, FMASK below 4 GiB";
    if (groups & ABI_STATE_DR && s->dr6 >> 32)
        return "DR6: bits 63:32 must be 0";
    if (groups & ABI_STATE_CR && (s->cr4 & ~policy_cr4_guest() || s->efer & ~EFER_GUEST))
        return "CR4, EFER: a bit that the guest's CPUID does not offer";
    return NULL;
}
