/* What CPU this is: features by name, from CPUID. */
#include "depriv/setup/setup.h"

/* Control register 4 (SDM 3A 2.5). */
enum { CR4_PGE = 1 << 7, CR4_UMIP = 1 << 11, CR4_LA57 = 1 << 12, CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17, CR4_OSXSAVE = 1 << 18,
       CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, CR4_PKE = 1 << 22 };
enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
#define HAVE(name)  offsetof(struct abi_cpu, name)
#define NOWHERE     HAVE(ignored)

/* One row per feature, but for those that long mode implies: where CPUID tells, whether Rung can do without, where in abi_cpu it is kept, the
 * CR4 bit that comes with it. */
static const struct feature_row {
    u32 leaf;
    u8 reg, bit;
    bool required;
    u32 have;
    u64 cr4;
    const char *name;
} feature_rows[] = {
    { 0x00000001, CPUID_EDX, 9,  true,  NOWHERE, 0, "local APIC" },
    { 0x80000001, CPUID_EDX, 20, true,  NOWHERE, 0, "NX" },
    { 0x00000001, CPUID_EDX, 13, false, HAVE(pge), CR4_PGE, "PGE" },
    { 0x00000001, CPUID_ECX, 5,  false, HAVE(vmx), 0, "VMX" },
    { 0x80000001, CPUID_ECX, 2,  false, HAVE(svm), 0, "SVM" },
    { 0x00000001, CPUID_ECX, 17, false, HAVE(pcid), CR4_PCIDE, "PCID" },
    { 0x00000001, CPUID_ECX, 21, false, HAVE(x2apic), 0, "x2APIC" },
    { 0x00000001, CPUID_ECX, 24, false, HAVE(tsc_deadline), 0, "TSC-deadline" },
    { 0x00000001, CPUID_ECX, 26, false, HAVE(xsave), CR4_OSXSAVE, "XSAVE" },
    { 0x00000007, CPUID_EBX, 0,  false, NOWHERE, CR4_FSGSBASE, "FSGSBASE" },
    { 0x00000007, CPUID_EBX, 7,  false, NOWHERE, CR4_SMEP, "SMEP" },
    { 0x00000007, CPUID_EBX, 10, false, HAVE(invpcid), 0, "INVPCID" },
    { 0x00000007, CPUID_EDX, 29, false, HAVE(arch_capabilities), 0, "ARCH_CAPABILITIES" },
    { 0x00000007, CPUID_EBX, 20, false, NOWHERE, CR4_SMAP, "SMAP" },
    { 0x00000007, CPUID_EDX, 29, false, HAVE(arch_capabilities), 0, "ARCH_CAPABILITIES" },
    { 0x00000007, CPUID_ECX, 2,  false, NOWHERE, CR4_UMIP, "UMIP" },
    { 0x00000007, CPUID_ECX, 3,  false, NOWHERE, CR4_PKE, "PKU" },
    { 0x00000007, CPUID_ECX, 16, false, NOWHERE, CR4_LA57, "LA57" },
    { 0x80000001, CPUID_EDX, 27, false, HAVE(rdtscp), 0, "RDTSCP" },
};

static u32 cpuid_reg(u32 leaf, unsigned reg)
{
    struct cpuid r = cpuid(leaf, 0);
    const u32 regs[] = { r.eax, r.ebx, r.ecx, r.edx };
    return cpuid(leaf & CPUID_EXTENDED, 0).eax < leaf ? 0 : regs[reg];
}

static void brand(void)
{
    for (u32 i = 0; i < 3 && cpuid(CPUID_EXTENDED, 0).eax >= CPUID_EXTENDED + 4; i++) {
        struct cpuid r = cpuid(CPUID_EXTENDED + 2 + i, 0);
        memcpy(plan.cpu.brand + 16 * i, &r, 16);
    }
}

void cpu_describe(void)
{
    static const char reg_name[][4] = { "EAX", "EBX", "ECX", "EDX" };
    brand();
    for (u32 i = 0; i < ARRAY_SIZE(feature_rows); i++) {
        const struct feature_row *f = &feature_rows[i];
        bool have = cpuid_reg(f->leaf, f->reg) >> f->bit & 1;
        *((u8 *)&plan.cpu + f->have) = have;
        plan.cpu.cr4 |= have ? f->cr4 : 0;
        if (f->required && !have)
            stop("this CPU lacks %s (CPUID.%xh:%s[%u]), which Rung needs", f->name, f->leaf, reg_name[f->reg], f->bit);
    }
    if (!plan.cpu.vmx && !plan.cpu.svm)
        stop("this CPU offers neither VMX (CPUID.1h:ECX[5]) nor SVM (CPUID.80000001h:ECX[2]): enable virtualization, or nesting in the outer hypervisor");
    if (plan.cpu.xsave)
        plan.cpu.xcr0_all = cpuid(0xd, 0).eax & ABI_XCR0;
}
