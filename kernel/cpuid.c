/* CPUID as the guest sees it: the CPU that it has, less what is not virtualised. A table; what no row names reads as zero. */
#include "kernel/policy.h"
#include "kernel/vcpu.h"

#define ANY        ~0u
#define ALL        ~0u
#define LEAF_HV    0x40000000u
#define LEAF_HV_TSC 0x40000010u
#define MAX_BASIC  0x1fu
#define MAX_EXT    0x80000021u

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
/* Leaf 7 EDX: FSRM, 4VNNIW.. no: SERIALIZE and FSRM alone. */
#define LEAF7_EDX (BIT(4))
/* 80000001 ECX: LAHF, CR8 (5: ABM, 6: SSE4A, 7: misaligned SSE, 8: prefetch), XOP, FMA4, TBM. No SVM, OSVW, IBS, SKINIT, WDT, LWP, topology. */
#define EXT1_ECX (BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(16) | BIT(21))
#define EXT1_EDX (LEAF1_EDX | BIT(11) | BIT(20) | BIT(22) | BIT(25) | BIT(26) | BIT(27) | BIT(29) | BIT(30) | BIT(31))

static const struct cpuid_row {
    u32 leaf, subleaf;          /* ANY: every subleaf */
    u32 eax, ebx, ecx, edx;     /* bits that pass */
    const char *reason;
} rows[] = {
    { 0x00000000, ANY, ALL, ALL, ALL, ALL, "vendor; the highest leaf is clamped to the last row" },
    { 0x00000001, ANY, ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX, "no VMX, APIC, x2APIC, TSC deadline, MONITOR, MCE, MCA, DS, PDCM: not virtualised" },
    { 0x00000002, ANY, ALL, ALL, ALL, ALL, "cache descriptors: the CPU's own" },
    { 0x00000004, ANY, 0x000003ff, ALL, ALL, ALL, "caches; one core, one thread" },
    { 0x00000005, ANY, 0, 0, 0, 0, "MONITOR is refused" },
    { 0x00000006, ANY, 0, 0, 0, 0, "power management is the host's" },
    { 0x00000007, 0, 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX, "no CET, AMX, PT, WAITPKG, RTM, MPX, SPEC_CTRL: state that is not switched" },
    { 0x0000000b, ANY, 0, 0, 0, 0, "one vcpu: no topology" },
    { 0x0000000d, 0, 0x2e7, ALL, ALL, 0, "components that the vcpu switch saves" },
    { 0x0000000d, 1, 0x7, ALL, 0, 0, "XSAVEOPT, XSAVEC, XGETBV(1); no XSAVES: IA32_XSS is not switched" },
    { 0x0000000d, ANY, ALL, ALL, ALL, 0, "sizes and offsets, for components in XCR0" },
    { 0x80000000, ANY, ALL, ALL, ALL, ALL, "highest extended leaf, clamped" },
    { 0x80000001, ANY, ALL, 0, EXT1_ECX, EXT1_EDX, "no SVM, IBS, LWP, OSVW" },
    { 0x80000002, ANY, ALL, ALL, ALL, ALL, "brand" },
    { 0x80000003, ANY, ALL, ALL, ALL, ALL, "brand" },
    { 0x80000004, ANY, ALL, ALL, ALL, ALL, "brand" },
    { 0x80000005, ANY, ALL, ALL, ALL, ALL, "L1 caches" },
    { 0x80000006, ANY, ALL, ALL, ALL, ALL, "L2, L3 caches" },
    { 0x80000007, ANY, 0, 0, 0, BIT(8), "invariant TSC: the offset is constant" },
    { 0x80000008, ANY, 0x0000ffff, BIT(0) | BIT(9), 0, 0, "address widths, CLZERO, WBNOINVD; one core" },
    { 0x8000001d, ANY, 0x000003ff, ALL, ALL, ALL, "caches; one thread" },
    { 0x80000021, ANY, BIT(2), 0, 0, 0, "LFENCE serialises" },
};

static const struct cpuid_row *find(u32 leaf, u32 subleaf)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].leaf == leaf && (rows[i].subleaf == ANY || rows[i].subleaf == subleaf))
            return &rows[i];
    return NULL;
}

static u64 guest_cr4(struct vcpu *v)
{
    struct abi_state s;
    hvm->state_get(v, &s, ABI_STATE_CR);
    return s.cr4;
}

/* Bits that depend on the guest, not on the CPU. */
static void adjust(struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid *r)
{
    switch (leaf) {
    case 0x00000000:
        r->eax = (u32)min_u64(r->eax, MAX_BASIC);
        break;
    case 0x00000001:
        r->ebx |= v->index << 24 | 1u << 16;
        r->ecx |= (u32)BIT(31) | (guest_cr4(v) & CR4_OSXSAVE ? BIT(27) : 0);
        break;
    case 0x00000007:
        r->ecx |= r->ecx & BIT(3) && guest_cr4(v) & CR4_PKE ? BIT(4) : 0;
        break;
    case 0x0000000d:
        if (subleaf > 1 && !(subleaf < 63 && features.xcr0_all & BIT(subleaf)))
            *r = (struct cpuid){ 0 };
        break;
    case 0x80000000:
        r->eax = (u32)min_u64(r->eax, MAX_EXT);
        break;
    default:
        break;
    }
}

/* The hypervisor's own leaves: a name, and the TSC frequency in kHz at 40000010h as other hypervisors give it. */
static struct cpuid hypervisor_leaf(u32 leaf)
{
    if (leaf == LEAF_HV)
        return (struct cpuid){ LEAF_HV_TSC, 0x676e7552, 0x676e7552, 0x676e7552 }; /* "RungRungRung" */
    if (leaf == LEAF_HV_TSC)
        return (struct cpuid){ (u32)features.tsc_khz, 0, 0, 0 };
    return (struct cpuid){ 0 };
}

void policy_cpuid(struct vcpu *v)
{
    u64 *g = v->frame->gpr;
    u32 leaf = (u32)g[ABI_RAX], subleaf = (u32)g[ABI_RCX];
    struct cpuid r = { 0 };
    if (leaf >> 8 == LEAF_HV >> 8) {
        r = hypervisor_leaf(leaf);
    } else {
        const struct cpuid_row *row = find(leaf, subleaf);
        if (row) {
            r = cpuid(leaf, subleaf);
            r = (struct cpuid){ r.eax & row->eax, r.ebx & row->ebx, r.ecx & row->ecx, r.edx & row->edx };
            adjust(v, leaf, subleaf, &r);
        }
    }
    g[ABI_RAX] = r.eax;
    g[ABI_RBX] = r.ebx;
    g[ABI_RCX] = r.ecx;
    g[ABI_RDX] = r.edx;
}

/* CR4 bits by the CPUID bit that offers each; those without one are always there. */
u64 policy_cr4_guest(void)
{
    u64 cr4 = CR4_VME | BIT(1) | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    struct cpuid l7 = cpuid(7, 0);
    cr4 |= features.pge ? CR4_PGE : 0;
    cr4 |= features.xsave ? CR4_OSXSAVE : 0;
    cr4 |= features.umip ? CR4_UMIP : 0;
    cr4 |= features.la57 ? CR4_LA57 : 0;
    cr4 |= features.fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= features.pcid ? CR4_PCIDE : 0;
    cr4 |= features.smep ? CR4_SMEP : 0;
    cr4 |= features.smap ? CR4_SMAP : 0;
    cr4 |= l7.ecx & BIT(3) ? CR4_PKE : 0;
    return cr4;
}

#define XCR0_X87_SSE 3u
#define XCR0_AVX     BIT(2)
#define XCR0_AVX512  (BIT(5) | BIT(6) | BIT(7))

/* SDM 1 13.3, XSETBV: x87 always; AVX needs SSE; the three AVX-512 components go together and need AVX. */
bool policy_xsetbv(struct vcpu *v)
{
    const u64 *g = v->frame->gpr;
    u64 value = g[ABI_RDX] << 32 | (u32)g[ABI_RAX];
    if ((u32)g[ABI_RCX] || !(value & 1) || value & ~features.xcr0_all)
        return false;
    if (value & XCR0_AVX && (value & XCR0_X87_SSE) != XCR0_X87_SSE)
        return false;
    if (value & XCR0_AVX512 && (!(value & XCR0_AVX) || (value & XCR0_AVX512) != XCR0_AVX512))
        return false;
    v->xcr0 = value;
    xsetbv0(value);
    return true;
}
