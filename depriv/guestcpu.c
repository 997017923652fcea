/* Ring 3: CPUID and MSRs as the guest sees them: the CPU that it has, less what is not virtualised. Two tables; what no row names reads as
 * zero, or is #GP(0). What a lie here does to the guest it does to nobody else: ring 0 goes by its own knowledge of the CPU. */
#include "depriv/guestcpu.h"
#include <stdbool.h>
#include <stddef.h>

#define BIT(n)     (1u << (n))
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

/* ---- CPUID ------------------------------------------------------------------------------------------------------------------- */

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
    struct abi_cpuid pass;         /* bits that pass */
    bool more;                  /* adjust() has a case for it: asked each time */
    const char *reason;
} rows[BASICS + EXTENDED] = {
    [0x00] = { { ALL, ALL, ALL, ALL }, false, "vendor; the highest leaf is clamped to the last row" },
    [0x01] = { { ALL, 0x0000ff00, LEAF1_ECX, LEAF1_EDX }, true, "no VMX, APIC, x2APIC, TSC deadline, MONITOR, MCE, MCA, DS, PDCM: not virtualised" },
    [0x02] = { { ALL, ALL, ALL, ALL }, false, "cache descriptors: the CPU's own" },
    [0x04] = { { 0x000003ff, ALL, ALL, ALL }, true, "caches; one core, one thread" },
    /* 5 is zero since MONITOR is refused, 6 since power management is the host's, 0Bh since there is one vcpu */
    [0x07] = { { 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX }, true, "no CET, AMX, PT, WAITPKG, RTM, MPX, SPEC_CTRL: state that is not switched" },
    [0x0d] = { { ALL, ALL, ALL, 0 }, true, "components that ring 0 switches; no XSAVES: IA32_XSS is not switched" },
    [EXT(0x00)] = { { ALL, ALL, ALL, ALL }, false, "highest extended leaf, clamped" },
    [EXT(0x01)] = { { ALL, 0, EXT1_ECX, EXT1_EDX }, false, "no SVM, IBS, LWP, OSVW" },
    [EXT(0x02) ... EXT(0x04)] = { { ALL, ALL, ALL, ALL }, false, "brand" },
    [EXT(0x05) ... EXT(0x06)] = { { ALL, ALL, ALL, ALL }, false, "caches" },
    [EXT(0x07)] = { { 0, 0, 0, BIT(8) }, false, "invariant TSC: the offset is constant" },
    [EXT(0x08)] = { { 0x0000ffff, BIT(0) | BIT(9), 0, 0 }, false, "address widths, CLZERO, WBNOINVD; one core" },
    [EXT(0x1d)] = { { 0x000003ff, ALL, ALL, ALL }, true, "caches; one thread" },
    [EXT(0x21)] = { { BIT(2), 0, 0, 0 }, false, "LFENCE serialises" },
};

#define CR4_OSXSAVE BIT(18)
#define CR4_PKE     BIT(22)

static struct abi_cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct abi_cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* A leaf that has none gets COUNT(rows) or more. */
static uint32_t row_of(uint32_t leaf)
{
    return leaf < LEAF_EXT ? leaf < BASICS ? leaf : ALL : EXT(leaf - LEAF_EXT);
}

/* What passes of the CPU's own answer; zero where it, or the table, has no such leaf. */
static struct abi_cpuid passed(uint32_t leaf, uint32_t subleaf)
{
    static const struct abi_cpuid zero;
    const struct abi_cpuid *pass;
    struct abi_cpuid r;
    if (row_of(leaf) >= COUNT(rows) || leaf > cpuid(leaf & LEAF_EXT, 0).eax)
        return zero;
    pass = &rows[row_of(leaf)].pass;
    r = cpuid(leaf, subleaf);
    r = (struct abi_cpuid){ r.eax & pass->eax, r.ebx & pass->ebx, r.ecx & pass->ecx, r.edx & pass->edx };
    if (leaf == 0 || leaf == LEAF_EXT) {
        uint32_t last = leaf ? LEAF_EXT + EXTENDED - 1 : BASICS - 1;
        r.eax = r.eax < last ? r.eax : last;
    }
    return r;
}

/* Leaves that depend on the subleaf, or on the guest; and the hypervisor's own: a name, and the TSC frequency in kHz at 40000010h as other
 * hypervisors give it. */
static struct abi_cpuid adjusted(const struct abi_frame *f, const struct abi_info *info, uint32_t leaf, uint32_t subleaf)
{
    static const struct abi_cpuid zero;
    struct abi_cpuid r = passed(leaf, subleaf);
    switch (leaf) {
    case 0x01:
        r.ebx |= (uint32_t)(((uintptr_t)f - ABI_FRAME_BASE) / ABI_PAGE) << 24 | LEAF1_ONE_CPU;
        r.ecx |= LEAF1_GUEST | (f->state.cr4 & CR4_OSXSAVE ? LEAF1_OSXSAVE : 0);
        return r;
    case 0x07:
        r.ecx |= r.ecx & LEAF7_PKU && f->state.cr4 & CR4_PKE ? LEAF7_OSPKE : 0;
        return subleaf ? zero : r;
    case 0x0d:
        if (subleaf > 1 && !(subleaf < 63 && info->xcr0 >> subleaf & 1))
            return zero;
        r.eax &= subleaf == 0 ? (uint32_t)info->xcr0 : subleaf == 1 ? XSAVE_FEATURES : ALL;
        r.ecx = subleaf == 1 ? 0 : r.ecx;
        return r;
    case LEAF_HV:
        return (struct abi_cpuid){ LEAF_HV_TSC, 0x676e7552, 0x676e7552, 0x676e7552 }; /* "RungRungRung" */
    case LEAF_HV_TSC:
        return (struct abi_cpuid){ (uint32_t)info->tsc_khz, 0, 0, 0 };
    default:
        return r;
    }
}

void guestcpu_init(struct abi_frame *f)
{
    f->cpuid_known = 0;
    for (uint32_t n = 0; n < ABI_CPUID_ENTRIES; n++) {
        uint32_t leaf = (n & 0xf) | (n & 0x10) << 27, row = row_of(leaf);
        f->cpuid[n] = passed(leaf, 0);
        f->cpuid_known |= (uint64_t)!(row < COUNT(rows) && rows[row].more) << n;
    }
}

void guestcpu_cpuid(struct abi_frame *f, const struct abi_info *info)
{
    struct abi_cpuid r = adjusted(f, info, (uint32_t)f->gpr[ABI_RAX], (uint32_t)f->gpr[ABI_RCX]);
    f->gpr[ABI_RAX] = r.eax;
    f->gpr[ABI_RBX] = r.ebx;
    f->gpr[ABI_RCX] = r.ecx;
    f->gpr[ABI_RDX] = r.edx;
}

/* ---- MSRs -------------------------------------------------------------------------------------------------------------------- */

#define MTRR_VARIABLE 8u
#define MTRRCAP       (MTRR_VARIABLE | BIT(8) | BIT(10)) /* fixed ranges, write combining */
#define VECTOR_GP     13u

static uint64_t mtrr_default, mtrr_fixed[11], mtrr_variable[2 * MTRR_VARIABLE]; /* a domain has one vcpu */

/* CONSTANT: writes are ignored. */
enum msr_kind { CONSTANT, READ_ONLY, WRITE_ONLY, STORED };

static const struct msr_row {
    uint32_t first, last;
    enum msr_kind kind;
    uint64_t value;             /* what is read */
    uint64_t *store;            /* STORED: of the first */
    const char *reason;
} msr_rows[] = {
    { 0x17, 0x17, READ_ONLY, 0, NULL, "platform ID: none" },
    { 0x3a, 0x3a, READ_ONLY, 1, NULL, "IA32_FEATURE_CONTROL: locked, nothing enabled: no VMX for the guest" },
    { 0x79, 0x79, WRITE_ONLY, 0, NULL, "microcode update: ignored" },
    { 0x8b, 0x8b, CONSTANT, 0, NULL, "microcode revision: updates are the host's" },
    { 0xfe, 0xfe, READ_ONLY, MTRRCAP, NULL, "MTRRs as storage: guest memory is WB whatever they say" },
    { 0x1a0, 0x1a0, CONSTANT, 1, NULL, "IA32_MISC_ENABLE: fast strings; the rest is the host's" },
    { 0x1d9, 0x1d9, CONSTANT, 0, NULL, "IA32_DEBUGCTL: no branch records, no BTF" },
    { 0x200, 0x200 + 2 * MTRR_VARIABLE - 1, STORED, 0, mtrr_variable, "MTRRs of variable ranges" },
    { 0x250, 0x250, STORED, 0, mtrr_fixed, "MTRR of 64 KiB ranges" },
    { 0x258, 0x259, STORED, 0, mtrr_fixed + 1, "MTRRs of 16 KiB ranges" },
    { 0x268, 0x26f, STORED, 0, mtrr_fixed + 3, "MTRRs of 4 KiB ranges" },
    { 0x2ff, 0x2ff, STORED, 0, &mtrr_default, "MTRR default type" },
    { 0xc0010015, 0xc0010015, CONSTANT, 0, NULL, "HWCR: the host's" },
    { 0xc001001f, 0xc001001f, CONSTANT, 0, NULL, "NB_CFG: the host's" },
    { 0xc0010055, 0xc0010055, CONSTANT, 0, NULL, "interrupt pending message: none" },
    { 0xc0011029, 0xc0011029, CONSTANT, 0, NULL, "DE_CFG: the host's" },
    { 0xc001102c, 0xc001102c, CONSTANT, 0, NULL, "EX_CFG: the host's" },
};

static bool msr_access(uint32_t msr, bool write, uint64_t *value)
{
    for (unsigned i = 0; i < COUNT(msr_rows); i++) {
        const struct msr_row *row = &msr_rows[i];
        if (msr < row->first || msr > row->last)
            continue;
        if (write && row->kind == STORED)
            row->store[msr - row->first] = *value;
        *value = row->kind == STORED ? row->store[msr - row->first] : row->value;
        return row->kind != (write ? READ_ONLY : WRITE_ONLY);
    }
    return false;
}

void guestcpu_msr(struct abi_frame *f)
{
    uint64_t *g = f->gpr, value = g[ABI_RDX] << 32 | (uint32_t)g[ABI_RAX];
    bool write = f->flags & ABI_MSR_WRITE;
    if (!msr_access((uint32_t)g[ABI_RCX], write, &value)) {
        f->status = ABI_FAULT;
        f->inject = ABI_INJECT_VALID | ABI_INJECT_ERROR | VECTOR_GP;
        f->inject_error = 0;
    } else if (!write) {
        g[ABI_RAX] = (uint32_t)value;
        g[ABI_RDX] = value >> 32;
    }
}
