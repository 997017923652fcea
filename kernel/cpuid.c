/* CPUID as the guest sees it: the CPU that it has, less what is not virtualised. A table; what no row names reads as zero. The
 * answers are taken from the CPU once; adjust() makes those that depend on more than the leaf. */
#include "kernel/policy.h"
#include "kernel/vcpu.h"

enum { LEAF_HV = 0x40000000, LEAF_HV_TSC = 0x40000010 };
#define LEAF_EXT   0x80000000u
#define BASICS     0x20u /* rows for leaves from 0 on */
#define EXTENDED   0x22u /* rows for leaves from LEAF_EXT on */
#define EXT(n)     (BASICS + (n))
#define ALL        ~0u

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND, PCID. */
#define LEAF1_ECX \
    (BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | \
     BIT(26) | BIT(28) | BIT(29) | BIT(30))
/* Leaf 1 EDX: all but APIC (9), MCE (7), MCA (14), DS (21), ACPI (22), TM (29), PBE (31), PSN (18). */
#define LEAF1_EDX \
    (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(12) | BIT(13) | BIT(15) | \
     BIT(16) | BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26) | BIT(27))
/* Leaf 7 EBX: FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F/DQ RDSEED ADX SMAP IFMA CLFLUSHOPT CLWB CD SHA BW VL. */
#define LEAF7_EBX \
    (BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(16) | BIT(17) | BIT(18) | BIT(19) | BIT(20) | \
     BIT(21) | BIT(23) | BIT(24) | BIT(28) | BIT(29) | BIT(30) | BIT(31))
/* Leaf 7 ECX: VBMI UMIP PKU VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ LA57 RDPID. */
#define LEAF7_ECX (BIT(1) | BIT(2) | BIT(3) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | BIT(16) | BIT(22))
#define LEAF7_EDX (BIT(4)) /* FSRM */
/* 80000001 ECX: LAHF, CR8 (5: ABM, 6: SSE4A, 7: misaligned SSE, 8: prefetch), XOP, FMA4, TBM. No SVM, OSVW, IBS, SKINIT, WDT, LWP, topology. */
#define EXT1_ECX (BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(16) | BIT(21))
#define EXT1_EDX (LEAF1_EDX | BIT(11) | BIT(20) | BIT(22) | BIT(25) | BIT(26) | BIT(27) | BIT(29) | BIT(30) | BIT(31))
#define LEAF1_GUEST BIT(31) /* ECX: runs under a hypervisor */
enum { LEAF1_ONE_CPU = BIT(16), LEAF1_OSXSAVE = BIT(27), LEAF7_PKU = BIT(3), LEAF7_OSPKE = BIT(4) };
enum { XSAVE_FEATURES = 7 }; /* XSAVEOPT, XSAVEC, XGETBV(1) */

static const struct cpuid_row {
    struct cpuid pass;          /* bits that pass */
    bool more;                  /* adjust() has a case for it */
    const char *reason;
} rows[BASICS + EXTENDED] = {
    [0x00] = { { ALL, ALL, ALL, ALL }, false, "vendor; the highest leaf is clamped to the last row" },
    [0x01] = { { ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX }, true, "no VMX, APIC, x2APIC, TSC deadline, MONITOR, MCE, MCA, DS, PDCM: not virtualised" },
    [0x02] = { { ALL, ALL, ALL, ALL }, false, "cache descriptors: the CPU's own" },
    [0x04] = { { 0x000003ff, ALL, ALL, ALL }, true, "caches; one core, one thread" },
    /* 5 is zero since MONITOR is refused, 6 since power management is the host's, 0Bh since there is one vcpu */
    [0x07] = { { 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX }, true, "no CET, AMX, PT, WAITPKG, RTM, MPX, SPEC_CTRL: state that is not switched" },
    [0x0d] = { { ALL, ALL, ALL, 0 }, true, "components that the vcpu switch saves; no XSAVES: IA32_XSS is not switched" },
    [EXT(0x00)] = { { ALL, ALL, ALL, ALL }, false, "highest extended leaf, clamped" },
    [EXT(0x01)] = { { ALL, 0, EXT1_ECX, EXT1_EDX }, false, "no SVM, IBS, LWP, OSVW" },
    [EXT(0x02) ... EXT(0x04)] = { { ALL, ALL, ALL, ALL }, false, "brand" },
    [EXT(0x05) ... EXT(0x06)] = { { ALL, ALL, ALL, ALL }, false, "caches" },
    [EXT(0x07)] = { { 0, 0, 0, BIT(8) }, false, "invariant TSC: the offset is constant" },
    [EXT(0x08)] = { { 0x0000ffff, BIT(0) | BIT(9), 0, 0 }, false, "address widths, CLZERO, WBNOINVD; one core" },
    [EXT(0x1d)] = { { 0x000003ff, ALL, ALL, ALL }, true, "caches; one thread" },
    [EXT(0x21)] = { { BIT(2), 0, 0, 0 }, false, "LFENCE serialises" },
};
static struct cpuid answers[ARRAY_SIZE(rows)];

/* A leaf that has none gets ARRAY_SIZE(rows) or more. */
static u32 row_of(u32 leaf)
{
    return leaf < LEAF_EXT ? leaf < BASICS ? leaf : ALL : EXT(leaf - LEAF_EXT);
}

/* What passes of the CPU's own answer; zero where it has no such leaf. */
static struct cpuid passed(u32 leaf, u32 subleaf)
{
    const struct cpuid *pass = &rows[row_of(leaf)].pass;
    struct cpuid r = cpuid(leaf, subleaf);
    if (leaf > cpuid(leaf & LEAF_EXT, 0).eax)
        return (struct cpuid){ 0 };
    return (struct cpuid){ r.eax & pass->eax, r.ebx & pass->ebx, r.ecx & pass->ecx, r.edx & pass->edx };
}

void policy_init(void)
{
    for (u32 i = 0; i < BASICS; i++)
        answers[i] = passed(i, 0);
    for (u32 i = 0; i < EXTENDED; i++)
        answers[EXT(i)] = passed(LEAF_EXT + i, 0);
    answers[0].eax = (u32)min_u64(answers[0].eax, BASICS - 1);
    answers[EXT(0)].eax = (u32)min_u64(answers[EXT(0)].eax, LEAF_EXT + EXTENDED - 1);
}

static u64 guest_cr4(struct vcpu *v)
{
    struct abi_state s;
    hvm->state_get(v, &s, ABI_STATE_CR);
    return s.cr4;
}

/* Leaves that depend on the subleaf, or on the guest. Not inline: the others shall not save registers for it. */
static __attribute__((noinline)) struct cpuid adjust(struct vcpu *v, u32 leaf, u32 subleaf)
{
    struct cpuid r = answers[row_of(leaf)];
    switch (leaf) {
    case 0x01:
        r.ebx |= v->index << 24 | (u32)LEAF1_ONE_CPU;
        r.ecx |= (u32)LEAF1_GUEST | (guest_cr4(v) & CR4_OSXSAVE ? LEAF1_OSXSAVE : 0);
        break;
    case 0x07:
        if (subleaf)
            return (struct cpuid){ 0 };
        r.ecx |= r.ecx & LEAF7_PKU && guest_cr4(v) & CR4_PKE ? LEAF7_OSPKE : 0;
        break;
    case 0x0d:
        if (subleaf > 1 && !(subleaf < 63 && features.xcr0_all & BIT(subleaf)))
            return (struct cpuid){ 0 };
        r = passed(leaf, subleaf);
        r.eax &= subleaf == 0 ? features.xcr0_all : subleaf == 1 ? XSAVE_FEATURES : ALL;
        r.ecx = subleaf == 1 ? 0 : r.ecx;
        break;
    default:
        return passed(leaf, subleaf);
    }
    return r;
}

/* Besides the rows, the hypervisor's own leaves: a name, and the TSC frequency in kHz at 40000010h as other hypervisors give it. */
void policy_cpuid(struct vcpu *v)
{
    u64 *g = v->frame->gpr;
    u32 leaf = (u32)g[ABI_RAX], row = row_of(leaf);
    struct cpuid r = { 0 };
    if (likely(row < ARRAY_SIZE(rows)))
        r = unlikely(rows[row].more) ? adjust(v, leaf, (u32)g[ABI_RCX]) : answers[row];
    else if (leaf == LEAF_HV)
        r = (struct cpuid){ LEAF_HV_TSC, 0x676e7552, 0x676e7552, 0x676e7552 }; /* "RungRungRung" */
    else if (leaf == LEAF_HV_TSC)
        r.eax = (u32)features.tsc_khz;
    g[ABI_RAX] = r.eax;
    g[ABI_RBX] = r.ebx;
    g[ABI_RCX] = r.ecx;
    g[ABI_RDX] = r.edx;
}

/* Those whose feature the CPU has; those without a feature bit are always there. */
u64 policy_cr4_guest(void)
{
    return CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | features.cr4;
}

enum { XCR0_X87 = BIT(0), XCR0_SSE = BIT(1), XCR0_AVX = BIT(2), XCR0_AVX512 = BIT(5) | BIT(6) | BIT(7) };

/* SDM 1 13.3, XSETBV: x87 always; AVX needs SSE; the three AVX-512 components go together and need AVX. */
bool policy_xsetbv(struct vcpu *v)
{
    const u64 *g = v->frame->gpr;
    u64 value = g[ABI_RDX] << 32 | (u32)g[ABI_RAX], avx512 = value & XCR0_AVX512;
    if ((u32)g[ABI_RCX] || !(value & XCR0_X87) || value & ~features.xcr0_all)
        return false;
    if ((value & XCR0_AVX && !(value & XCR0_SSE)) || (avx512 && (!(value & XCR0_AVX) || avx512 != XCR0_AVX512)))
        return false;
    v->xcr0 = value;
    xsetbv0(value);
    return true;
}
