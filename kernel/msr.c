/* MSRs as the guest sees them: a table with a reason per row; what no row names is #GP(0). Those that pass through never come here. */
#include "kernel/gueststate.h"
#include "kernel/policy.h"
#include "kernel/vcpu.h"

struct msr_access {
    struct vcpu *v;
    const struct msr_row *row;
    u32 msr;
    bool write;
    u64 value;                  /* written, or read */
};

/* What an access does, one function for both directions; false: #GP(0). */
struct msr_row {
    u32 first, last;
    bool (*access)(struct msr_access *a);
    u64 value;                  /* constants: what is read; stored: offset of the first in struct vcpu */
    const char *reason;
};

static bool constant(struct msr_access *a) /* writes are ignored */
{
    a->value = a->row->value;
    return true;
}

static bool read_only(struct msr_access *a)
{
    return !a->write && constant(a);
}

static bool write_only(struct msr_access *a)
{
    return a->write;
}

static bool stored(struct msr_access *a)
{
    u64 *slot = (u64 *)((char *)a->v + a->row->value) + (a->msr - a->row->first);
    if (a->write)
        *slot = a->value;
    a->value = *slot;
    return true;
}

static bool pat(struct msr_access *a)
{
    if (a->write && !pat_legal(a->value))
        return false;
    stored(a);
    if (a->write)
        hvm->sync(a->v);
    return true;
}

static bool tsc(struct msr_access *a)
{
    u64 now = rdtsc();
    if (a->write) {
        a->v->tsc_offset = a->value - now;
        hvm->sync(a->v);
    }
    a->value = now + a->v->tsc_offset;
    return true;
}

static bool tsc_aux(struct msr_access *a)
{
    if (!features.rdtscp || (a->write && a->value >> 32))
        return false;
    if (a->write)
        wrmsr(a->msr, a->value);
    else
        a->value = rdmsr(a->msr);
    return true;
}

/* LMA is read-only; LME cannot change while paging is on (SDM 3A 2.2.1). Reserved bits are refused by state_set. */
static bool efer(struct msr_access *a)
{
    struct abi_state s;
    hvm->state_get(a->v, &s, ABI_STATE_CR);
    if (!a->write) {
        a->value = s.efer;
        return true;
    }
    if (a->value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) || (s.cr0 & CR0_PG && (s.efer ^ a->value) & EFER_LME))
        return false;
    s.efer = (a->value & ~EFER_LMA) | (s.efer & EFER_LMA);
    return hvm->state_set(a->v, &s, ABI_STATE_CR) == NULL;
}

#define MTRR_VARIABLE 8u
#define MTRRCAP       (MTRR_VARIABLE | BIT(8) | BIT(10)) /* fixed ranges, write combining */
#define ROWS_USED     21u
#define ROWS          32u /* a power of two */
#define SLOT(member)  offsetof(struct vcpu, member)

static const struct msr_row rows[ROWS] = { /* in order of number: searched by halves */
    { MSR_TSC, MSR_TSC, tsc, 0, "the offset's other half" },
    { 0x17, 0x17, read_only, 0, "platform ID: none" },
    { MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, read_only, 1, "locked, nothing enabled: no VMX for the guest" },
    { 0x79, 0x79, write_only, 0, "microcode update: ignored" },
    { 0x8b, 0x8b, constant, 0, "microcode revision: updates are the host's" },
    { 0xfe, 0xfe, read_only, MTRRCAP, "MTRRs as storage: guest memory is WB whatever they say" },
    { 0x1a0, 0x1a0, constant, 1, "IA32_MISC_ENABLE: fast strings; the rest is the host's" },
    { MSR_DEBUGCTL, MSR_DEBUGCTL, constant, 0, "no branch records, no BTF" },
    { 0x200, 0x200 + 2 * MTRR_VARIABLE - 1, stored, SLOT(mtrr_var), "MTRRs of variable ranges" },
    { 0x250, 0x250, stored, SLOT(mtrr_fixed[0]), "MTRR of 64 KiB ranges" },
    { 0x258, 0x259, stored, SLOT(mtrr_fixed[1]), "MTRRs of 16 KiB ranges" },
    { 0x268, 0x26f, stored, SLOT(mtrr_fixed[3]), "MTRRs of 4 KiB ranges" },
    { MSR_PAT, MSR_PAT, pat, SLOT(pat), "the guest's own, loaded at entry" },
    { 0x2ff, 0x2ff, stored, SLOT(mtrr_def_type), "MTRR default type" },
    { MSR_EFER, MSR_EFER, efer, 0, "checked, without SVME" },
    { MSR_TSC_AUX, MSR_TSC_AUX, tsc_aux, 0, "live while the vcpu is loaded" },
    { 0xc0010015, 0xc0010015, constant, 0, "HWCR: the host's" },
    { 0xc001001f, 0xc001001f, constant, 0, "NB_CFG: the host's" },
    { 0xc0010055, 0xc0010055, constant, 0, "interrupt pending message: none" },
    { 0xc0011029, 0xc0011029, constant, 0, "DE_CFG: the host's" },
    { 0xc001102c, 0xc001102c, constant, 0, "EX_CFG: the host's" },
    [ROWS_USED ... ROWS - 1] = { ~0u, 0, NULL, 0, "no MSR" },
};

/* Bound: the halvings of the table. */
bool policy_msr(struct vcpu *v, bool write)
{
    u64 *g = v->frame->gpr;
    struct msr_access a = { v, NULL, (u32)g[ABI_RCX], write, g[ABI_RDX] << 32 | (u32)g[ABI_RAX] };
    const struct msr_row *row = rows;
#pragma GCC unroll 5 /* steps become constants */
    for (u32 step = ROWS / 2; step; step /= 2)
        row += row[step].first <= a.msr ? step : 0;
    a.row = row;
    if (a.msr < row->first || a.msr > row->last || !row->access(&a))
        return false;
    if (!write) {
        g[ABI_RAX] = (u32)a.value;
        g[ABI_RDX] = a.value >> 32;
    }
    return true;
}
