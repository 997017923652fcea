/* MSRs as the guest sees them: a table with a reason per row; what no row names is #GP(0). Those that pass through never come here. */
#include "kernel/policy.h"
#include "kernel/vcpu.h"

typedef bool (*msr_read)(struct vcpu *v, u32 msr, u64 *value);
typedef bool (*msr_write)(struct vcpu *v, u32 msr, u64 value);

static bool read_zero(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = 0;
    return true;
}

static bool read_one(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = 1;
    return true;
}

static bool write_ignored(struct vcpu *v, u32 msr, u64 value)
{
    (void)v;
    (void)msr;
    (void)value;
    return true;
}

static bool read_tsc(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = rdtsc() + v->tsc_offset;
    return true;
}

static bool write_tsc(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    v->tsc_offset = value - rdtsc();
    hvm->sync(v);
    return true;
}

static bool read_efer(struct vcpu *v, u32 msr, u64 *value)
{
    struct abi_state s;
    (void)msr;
    hvm->state_get(v, &s, ABI_STATE_CR);
    *value = s.efer;
    return true;
}

/* LMA is read-only; LME cannot change while paging is on (SDM 3A 2.2.1). Reserved bits are refused by state_set. */
static bool write_efer(struct vcpu *v, u32 msr, u64 value)
{
    struct abi_state s;
    (void)msr;
    hvm->state_get(v, &s, ABI_STATE_CR);
    if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return false;
    if (s.cr0 & CR0_PG && (s.efer ^ value) & EFER_LME)
        return false;
    s.efer = (value & ~EFER_LMA) | (s.efer & EFER_LMA);
    return hvm->state_set(v, &s, ABI_STATE_CR) == NULL;
}

static bool pat_valid(u64 pat)
{
    for (u32 i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

static bool read_pat(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->pat;
    return true;
}

static bool write_pat(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    if (!pat_valid(value))
        return false;
    v->pat = value;
    hvm->sync(v);
    return true;
}

#define MTRR_VARIABLE  8u
#define MTRRCAP        (MTRR_VARIABLE | BIT(8) | BIT(10)) /* fixed ranges, write combining */
#define MSR_MTRR_PHYS0 0x200u
#define MSR_MTRR_DEF   0x2ffu

static u64 *mtrr_slot(struct vcpu *v, u32 msr)
{
    static const u16 fixed[11] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };
    if (msr == MSR_MTRR_DEF)
        return &v->mtrr_def_type;
    if (msr >= MSR_MTRR_PHYS0 && msr < MSR_MTRR_PHYS0 + 2 * MTRR_VARIABLE)
        return &v->mtrr_var[msr - MSR_MTRR_PHYS0];
    for (u32 i = 0; i < ARRAY_SIZE(fixed); i++)
        if (fixed[i] == msr)
            return &v->mtrr_fixed[i];
    return NULL;
}

static bool read_mtrrcap(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = MTRRCAP;
    return true;
}

static bool read_mtrr(struct vcpu *v, u32 msr, u64 *value)
{
    const u64 *slot = mtrr_slot(v, msr);
    *value = slot ? *slot : 0;
    return slot != NULL;
}

static bool write_mtrr(struct vcpu *v, u32 msr, u64 value)
{
    u64 *slot = mtrr_slot(v, msr);
    if (slot)
        *slot = value;
    return slot != NULL;
}

static bool read_tsc_aux(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    *value = features.rdtscp ? rdmsr(msr) : 0;
    return features.rdtscp;
}

static bool write_tsc_aux(struct vcpu *v, u32 msr, u64 value)
{
    (void)v;
    if (!features.rdtscp || value >> 32)
        return false;
    wrmsr(msr, value);
    return true;
}

static const struct msr_row {
    u32 first, last;
    msr_read read;
    msr_write write;            /* NULL: #GP(0) */
    const char *reason;
} rows[] = {
    { MSR_TSC, MSR_TSC, read_tsc, write_tsc, "the offset's other half" },
    { 0x17, 0x17, read_zero, NULL, "platform ID: none" },
    { MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, read_one, NULL, "locked, nothing enabled: no VMX for the guest" },
    { 0x8b, 0x8b, read_zero, write_ignored, "microcode revision: updates are the host's" },
    { 0x79, 0x79, NULL, write_ignored, "microcode update: ignored" },
    { 0xfe, 0xfe, read_mtrrcap, NULL, "MTRRs as storage: guest memory is WB whatever they say" },
    { 0x200, 0x20f, read_mtrr, write_mtrr, "likewise" },
    { 0x250, 0x26f, read_mtrr, write_mtrr, "likewise" },
    { MSR_MTRR_DEF, MSR_MTRR_DEF, read_mtrr, write_mtrr, "likewise" },
    { 0x1a0, 0x1a0, read_one, write_ignored, "IA32_MISC_ENABLE: fast strings; the rest is the host's" },
    { MSR_DEBUGCTL, MSR_DEBUGCTL, read_zero, write_ignored, "no branch records, no BTF" },
    { MSR_PAT, MSR_PAT, read_pat, write_pat, "the guest's own, loaded at entry" },
    { MSR_EFER, MSR_EFER, read_efer, write_efer, "checked, without SVME" },
    { MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux, "live while the vcpu is loaded" },
    { 0xc0010015, 0xc0010015, read_zero, write_ignored, "HWCR: the host's" },
    { 0xc001001f, 0xc001001f, read_zero, write_ignored, "NB_CFG: the host's" },
    { 0xc0010055, 0xc0010055, read_zero, write_ignored, "interrupt pending message: none" },
    { 0xc0011029, 0xc0011029, read_zero, write_ignored, "DE_CFG: the host's" },
    { 0xc001102c, 0xc001102c, read_zero, write_ignored, "EX_CFG: the host's" },
};

bool policy_msr(struct vcpu *v, bool write)
{
    u64 *g = v->frame->gpr;
    u32 msr = (u32)g[ABI_RCX];
    u64 value;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct msr_row *row = &rows[i];
        if (msr < row->first || msr > row->last)
            continue;
        if (write)
            return row->write && row->write(v, msr, g[ABI_RDX] << 32 | (u32)g[ABI_RAX]);
        if (!row->read || !row->read(v, msr, &value))
            return false;
        g[ABI_RAX] = (u32)value;
        g[ABI_RDX] = value >> 32;
        return true;
    }
    return false;
}
