/* The MSRs that hardware holds for the guest, but for those that pass without an exit, and XCR0. All others are ring 3's (depriv/guestcpu.c). */
#include "kernel/gueststate.h"
#include "kernel/policy.h"

/* The types are 0, 1, 4 to 7 (SDM 3A table 11-10, APM2 7.8.1): 2 and 3 have bit 1 without bit 2. */
static bool pat_legal(u64 pat)
{
    const u64 ones = 0x0101010101010101ull;
    return !(pat & 0xf8 * ones) && !((pat >> 1 & ~(pat >> 2)) & ones);
}

/* Loaded at entry. */
static bool pat(struct vcpu *v, bool write, u64 *value)
{
    if (write && !pat_legal(*value))
        return false;
    if (write) {
        v->pat = *value;
        hvm->sync(v);
    }
    *value = v->pat;
    return true;
}

static bool tsc(struct vcpu *v, bool write, u64 *value)
{
    u64 now = rdtsc();
    if (write) {
        v->tsc_offset = *value - now;
        hvm->sync(v);
    }
    *value = now + v->tsc_offset;
    return true;
}

/* Live while the vcpu is loaded. */
static bool tsc_aux(struct vcpu *v, bool write, u64 *value)
{
    (void)v;
    if (!features.rdtscp || (write && *value >> 32))
        return false;
    if (write)
        wrmsr(MSR_TSC_AUX, *value);
    else
        *value = rdmsr(MSR_TSC_AUX);
    return true;
}

/* LMA is read-only; LME cannot change while paging is on (SDM 3A 2.2.1). Reserved bits are refused by state_set. */
static bool efer(struct vcpu *v, bool write, u64 *value)
{
    struct abi_state s;
    hvm->state_get(v, &s, ABI_STATE_CR);
    if (!write) {
        *value = s.efer;
        return true;
    }
    if (s.cr0 & CR0_PG && (s.efer ^ *value) & EFER_LME)
        return false;
    s.efer = (*value & ~(u64)EFER_LMA) | (s.efer & EFER_LMA);
    return hvm->state_set(v, &s, ABI_STATE_CR) == NULL;
}

static const struct { u32 msr; bool (*access)(struct vcpu *v, bool write, u64 *value); } rows[] = {
    { MSR_PAT, pat }, { MSR_TSC, tsc }, { MSR_EFER, efer }, { MSR_TSC_AUX, tsc_aux },
};

/* Bound: the table. */
enum policy policy_msr(struct vcpu *v, bool write)
{
    u64 *g = v->frame->gpr, value = g[ABI_RDX] << 32 | (u32)g[ABI_RAX];
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].msr != (u32)g[ABI_RCX])
            continue;
        if (!rows[i].access(v, write, &value))
            return POLICY_FAULT;
        if (!write) {
            g[ABI_RAX] = (u32)value;
            g[ABI_RDX] = value >> 32;
        }
        return POLICY_DONE;
    }
    return POLICY_RING3;
}

enum { XCR0_X87 = BIT(0), XCR0_SSE = BIT(1), XCR0_AVX = BIT(2), XCR0_AVX512 = BIT(5) | BIT(6) | BIT(7) };

/* SDM 1 13.3, XSETBV: x87 always; AVX needs SSE; the three AVX-512 components go together and need AVX. */
enum policy policy_xsetbv(struct vcpu *v)
{
    const u64 *g = v->frame->gpr;
    u64 value = g[ABI_RDX] << 32 | (u32)g[ABI_RAX], avx512 = value & XCR0_AVX512;
    if ((u32)g[ABI_RCX] || !(value & XCR0_X87) || value & ~features.xcr0_all)
        return POLICY_FAULT;
    if ((value & XCR0_AVX && !(value & XCR0_SSE)) || (avx512 && (!(value & XCR0_AVX) || avx512 != XCR0_AVX512)))
        return POLICY_FAULT;
    v->xcr0 = value;
    xsetbv0(value);
    return POLICY_DONE;
}
