/* Ring 3: the rules of VM entry and the exits that should not have come, by name (SDM 3C 26.2, 26.3, appendix C; APM2 15.5.1, appendix C).
 * Asked when a vcpu cannot go on: the CPU has decided, what is said here is for a person. */
#include "depriv/explain.h"
#include "depriv/format.h"

#define BIT(n)      (1ull << (n))
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define HIGH_HALF   0xffffffff00000000ull

enum { CR0_PE = BIT(0), CR0_NW = BIT(29), CR0_CD = BIT(30), CR4_PAE = BIT(5), CR4_LA57 = BIT(12), CR4_PCIDE = BIT(17) };
#define CR0_PG      BIT(31)
enum { EFER_SCE = BIT(0), EFER_LME = BIT(8), EFER_LMA = BIT(10), EFER_NXE = BIT(11) };
enum { RFLAGS_FIXED = BIT(1), RFLAGS_TF = BIT(8), RFLAGS_IF = BIT(9), RFLAGS_VM = BIT(17) };
#define EFER_GUEST  (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define RFLAGS_ZERO (~0x3fffffull | BIT(15) | BIT(5) | BIT(3))
#define TABLE_LIMIT 0xffffu

/* abi_segment.attr, and its type field. */
enum { ATTR_TYPE = 0xf, ATTR_S = BIT(4), ATTR_P = BIT(7), ATTR_L = BIT(13), ATTR_DB = BIT(14), ATTR_G = BIT(15), ATTR_KNOWN = 0x1f0ff };
#define ATTR_DPL(attr)  ((attr) >> 5 & 3)
#define ATTR_VM86       0xf3u
#define TYPE_ACCESSED   0x1u
#define TYPE_READABLE   0x2u  /* of code; of data: writable */
#define TYPE_CODE       0x8u
#define TYPE_CONFORMING 0xcu  /* code, conforming */
#define TYPE_DATA_RW    3u    /* read/write, accessed */
#define TYPE_DATA_DOWN  7u    /* likewise, expand-down */
#define TYPE_LDT        2u
#define TYPE_TSS16      3u    /* busy */
#define TYPE_TSS        11u
#define SELECTOR_TI     4u

struct rule {
    bool broken;
    const char *text;
};

static const char *rule_broken(const struct rule *rules, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (rules[i].broken)
            return rules[i].text;
    return NULL;
}

static bool usable(const struct abi_segment *g) { return !(g->attr & ABI_SEG_UNUSABLE); }

/* wide: 57 bits count, otherwise 48. */
static bool canonical(uint64_t address, bool wide)
{
    unsigned unused = wide ? 64 - 57 : 64 - 48;
    return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

/* ---- Rules that both vendors have, or that one of them leaves to the hypervisor ---------------------------------------------- */

static const char *control_broken(const struct abi_state *s, const struct explain_cpu *cpu)
{
    bool lma = s->efer & EFER_LMA, paging = s->cr0 & CR0_PG;
    const struct rule rules[] = {
        { s->cr0 & HIGH_HALF, "CR0: bits 63:32 must be 0" },
        { paging && !(s->cr0 & CR0_PE), "CR0.PG needs CR0.PE" },
        { s->cr0 & CR0_NW && !(s->cr0 & CR0_CD), "CR0.NW needs CR0.CD" },
        { s->cr3 >> cpu->physical_bits, "CR3: bits beyond the physical-address width must be 0" },
        { s->cr4 & ~cpu->cr4, "CR4: a bit that the guest's CPUID does not offer" },
        { s->cr4 & CR4_PCIDE && !lma, "CR4.PCIDE needs IA-32e mode" },
        { s->efer & ~(uint64_t)EFER_GUEST, "EFER: reserved bits and SVME must be 0" },
        { lma != (s->efer & EFER_LME && paging), "EFER.LMA must be EFER.LME and CR0.PG" },
        { lma && !(s->cr4 & CR4_PAE), "IA-32e mode needs CR4.PAE" },
        { s->rflags & RFLAGS_VM && (lma || !(s->cr0 & CR0_PE)), "RFLAGS.VM needs protected mode outside IA-32e mode" },
        { s->rflags & RFLAGS_ZERO || !(s->rflags & RFLAGS_FIXED), "RFLAGS: bit 1 must be 1, reserved bits 0" },
        { s->shadow > ABI_SHADOW_MOVSS, /* both at once is the next value */
          "interruptibility: at most one of blocking by STI and by MOV SS, nothing else" },
        { (s->dr6 | s->dr7) & HIGH_HALF, "DR6, DR7: bits 63:32 must be 0" },
        { s->sysenter_cs & HIGH_HALF, "SYSENTER_CS: bits 63:32 must be 0" },
    };
    return rule_broken(rules, COUNT(rules));
}

/* An address counts as canonical by the guest's own paging mode: a CPU that knows 57 bits would take more. */
static const char *address_broken(const struct abi_state *s)
{
    const struct abi_segment *seg = s->seg, *cs = &seg[ABI_CS], *ss = &seg[ABI_SS], *ds = &seg[ABI_DS], *es = &seg[ABI_ES];
    const struct abi_segment *ldtr = &seg[ABI_LDTR];
    bool lma = s->efer & EFER_LMA, wide = s->cr4 & CR4_LA57;
    uint32_t attributes = 0;
    for (unsigned i = 0; i < ABI_SEGS; i++)
        attributes |= seg[i].attr;
    const struct rule rules[] = {
        { s->rip >> 32 && !(lma && cs->attr & ATTR_L && canonical(s->rip, wide)),
          "RIP must be canonical in 64-bit mode, below 4 GiB otherwise" },
        { !(canonical(s->sysenter_esp, wide) && canonical(s->sysenter_eip, wide)), "SYSENTER_ESP, _EIP must be canonical" },
        { attributes & ~(uint32_t)ATTR_KNOWN, "segments: reserved attribute bits must be 0" },
        { !(usable(cs) && cs->attr & ATTR_P), "CS: must be usable and present" },
        { cs->base >> 32 || (usable(ss) && ss->base >> 32), "CS, SS: base must be below 4 GiB" },
        { lma && cs->attr & ATTR_L && cs->attr & ATTR_DB, "CS: D/B must be 0 where L is 1 in IA-32e mode" },
        { (usable(ds) && ds->base >> 32) || (usable(es) && es->base >> 32), "DS, ES: base must be below 4 GiB" },
        { !(canonical(seg[ABI_FS].base, wide) && canonical(seg[ABI_GS].base, wide)), "FS, GS: base must be canonical" },
        { !(canonical(seg[ABI_TR].base, wide) && (!usable(ldtr) || canonical(ldtr->base, wide))), "LDTR, TR: base must be canonical" },
        { !(canonical(s->gdtr.base, wide) && canonical(s->idtr.base, wide)), "GDTR, IDTR: base must be canonical" },
        { s->gdtr.limit > TABLE_LIMIT || s->idtr.limit > TABLE_LIMIT, "GDTR, IDTR: limit must be below 64 KiB" },
    };
    return rule_broken(rules, COUNT(rules));
}

/* ---- Rules that VMX alone has (26.3.1.2, 26.3.1.5) ----------------------------------------------------------------------------- */

/* P, and G against the limit: any segment that is usable. */
static bool form_broken(const struct abi_segment *g)
{
    return !(g->attr & ATTR_P) || ((g->limit & 0xfff) != 0xfff && g->attr & ATTR_G) || (g->limit >> 20 && !(g->attr & ATTR_G));
}

static bool vm86_broken(const struct abi_segment *g)
{
    return g->base != (uint64_t)g->selector << 4 || g->limit != 0xffff || g->attr != ATTR_VM86;
}

static bool data_broken(const struct abi_segment *g)
{
    bool readable = !(g->attr & TYPE_CODE) || g->attr & TYPE_READABLE;
    return usable(g) && (!(g->attr & ATTR_S) || !(g->attr & TYPE_ACCESSED) || !readable || form_broken(g));
}

static bool stack_broken(const struct abi_segment *g)
{
    uint32_t type = g->attr & ATTR_TYPE;
    return usable(g) && (!(g->attr & ATTR_S) || (type != TYPE_DATA_RW && type != TYPE_DATA_DOWN) || form_broken(g));
}

/* Code and accessed; or, as real mode has it, read/write data, which the unrestricted guest allows. */
static bool code_type_broken(uint32_t type)
{
    return type != TYPE_DATA_RW && (type & (TYPE_CODE | TYPE_ACCESSED)) != (TYPE_CODE | TYPE_ACCESSED);
}

static bool code_dpl_broken(uint32_t cs, uint32_t ss)
{
    if (!(cs & TYPE_CODE))
        return ATTR_DPL(cs) != 0;
    return (cs & TYPE_CONFORMING) == TYPE_CONFORMING ? ATTR_DPL(cs) > ATTR_DPL(ss) : ATTR_DPL(cs) != ATTR_DPL(ss);
}

/* A descriptor of the GDT; its type is one of these two. */
static bool system_broken(const struct abi_segment *g, uint32_t type, uint32_t other)
{
    uint32_t is = g->attr & (ATTR_TYPE | ATTR_S);
    return g->selector & SELECTOR_TI || form_broken(g) || (is != type && is != other);
}

static const char *vmx_broken(const struct abi_state *s)
{
    const struct abi_segment *cs = &s->seg[ABI_CS], *ss = &s->seg[ABI_SS], *ds = &s->seg[ABI_DS], *es = &s->seg[ABI_ES];
    const struct abi_segment *fs = &s->seg[ABI_FS], *gs = &s->seg[ABI_GS], *ldtr = &s->seg[ABI_LDTR], *tr = &s->seg[ABI_TR];
    bool vm86 = s->rflags & RFLAGS_VM, real = !(s->cr0 & CR0_PE) || (cs->attr & ATTR_TYPE) == TYPE_DATA_RW;
    const struct rule rules[] = {
        { s->shadow & ABI_SHADOW_STI && !(s->rflags & RFLAGS_IF), "interruptibility: blocking by STI needs RFLAGS.IF" },
        { vm86 && (vm86_broken(cs) || vm86_broken(ss)), "CS, SS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
        { !vm86 && (!(cs->attr & ATTR_S) || form_broken(cs)), "CS: must be a code or data segment, G to fit the limit" },
        { !vm86 && code_type_broken(cs->attr & ATTR_TYPE), "CS: type must be 3, 9, 11, 13 or 15" },
        { !vm86 && code_dpl_broken(cs->attr, ss->attr), "CS: DPL does not fit its type and SS" },
        { !vm86 && stack_broken(ss), "SS: type must be 3 or 7, present, G to fit the limit" },
        { !vm86 && real && ATTR_DPL(ss->attr), "SS: DPL must be 0 in real mode" },
        { vm86 && (vm86_broken(ds) || vm86_broken(es) || vm86_broken(fs) || vm86_broken(gs)),
          "DS, ES, FS, GS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
        { !vm86 && (data_broken(ds) || data_broken(es) || data_broken(fs) || data_broken(gs)),
          "DS, ES, FS, GS: must be accessed, readable, present, G to fit the limit" },
        { !usable(tr) || system_broken(tr, TYPE_TSS, s->efer & EFER_LMA ? TYPE_TSS : TYPE_TSS16),
          "TR: must be a busy TSS (in IA-32e mode a 64-bit one) of the GDT, present" },
        { usable(ldtr) && system_broken(ldtr, TYPE_LDT, TYPE_LDT), "LDTR: must be an LDT of the GDT, present" },
    };
    return rule_broken(rules, COUNT(rules));
}

const char *explain_state(const struct abi_state *s, const struct explain_cpu *cpu)
{
    const char *text = control_broken(s, cpu);
    if (!text)
        text = address_broken(s);
    return text || !cpu->vmx ? text : vmx_broken(s);
}

/* ---- VMX ------------------------------------------------------------------------------------------------------------------------- */

enum { TYPE_EXTERNAL, TYPE_RESERVED, TYPE_NMI, TYPE_EXCEPTION, TYPE_SOFT_INT, TYPE_PRIV_SOFT, TYPE_SOFT_EXC, TYPE_OTHER }; /* 24.8.3 */
#define EVENT_TYPE(event)   ((event) >> 8 & 7)
#define EVENT_VECTOR(event) ((event) & 0xffu)
#define VECTOR_NMI          2u
/* Exceptions with an error code in protected mode: #DF #TS #NP #SS #GP #PF #AC #CP. */
#define WITH_ERROR          (BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17) | BIT(21))

static const char *event_broken(const struct abi_state *s, uint32_t event)
{
    uint32_t type = EVENT_TYPE(event), vector = EVENT_VECTOR(event);
    bool inject = event & ABI_INJECT_VALID, exception = type == TYPE_EXCEPTION;
    bool error = exception && vector < 32 && WITH_ERROR >> vector & 1 && s->cr0 & CR0_PE;
    const struct rule rules[] = {
        { inject && (type == TYPE_RESERVED || type == TYPE_OTHER || (type == TYPE_NMI && vector != VECTOR_NMI) || (exception && vector > 31)),
          "event injection: type or vector" },
        { inject && error != !!(event & ABI_INJECT_ERROR), "event injection: error code where there is none, or none where there is one" },
        { inject && type == TYPE_EXTERNAL && (s->shadow || !(s->rflags & RFLAGS_IF)),
          "event injection: an external interrupt needs RFLAGS.IF and no blocking by STI or MOV SS" },
    };
    return rule_broken(rules, COUNT(rules));
}

/* VM-instruction errors of VMLAUNCH and VMRESUME outside SMM, 30.4. */
enum { ERROR_LAUNCH = 4, ERROR_RESUME, ERROR_RESUME_OFF, ERROR_CONTROLS, ERROR_HOST, ERROR_MOVSS = 26 };
static const char *const instruction_errors[] = {
    [ERROR_LAUNCH] = "VMLAUNCH: VMCS not clear", "VMRESUME: VMCS not launched", "VMRESUME after VMXOFF", "bad controls",
    "bad host state", [ERROR_MOVSS] = "blocking by MOV SS",
};

/* Exits that no control asks for, entries that failed, and those that end a guest. */
enum { REASON_FAILED_STATE = 33, REASON_VMFAIL = 35, REASON_BASIC = 0xffff };
static const char *const vmx_reasons[] = {
    [2] = "an exception while #DF was delivered", "INIT", "start-up IPI", "I/O SMI", "other SMI", [8] = "NMI window", [14] = "INVLPG",
    [16] = "RDTSC", "RSM",
    [29] = "MOV DR", [34] = "loading of MSRs", [37] = "monitor trap flag", [40] = "PAUSE", "machine check during the entry",
    [43] = "TPR below threshold", "APIC access", "virtualized EOI", "access to GDTR or IDTR", "access to LDTR or TR",
    [49] = "EPT misconfiguration", [51] = "RDTSCP", [56] = "APIC write", "RDRAND", "INVPCID", [60] = "ENCLS", "RDSEED",
    "page-modification log full", "XSAVES", "XRSTORS", "PCONFIG", "SPP event", "UMWAIT", "TPAUSE", "LOADIWKEY", "ENCLV",
    [72] = "ENQCMD", "ENQCMDS", "bus lock", "notify window",
};

static const char *vmx_exit(const struct abi_state *s, const struct explain_cpu *cpu, uint32_t reason, uint64_t detail, uint32_t event)
{
    const char *event_text = event_broken(s, event), *text;
    switch (reason & REASON_BASIC) {
    case REASON_VMFAIL:
        if (event_text && detail == ERROR_CONTROLS)
            return event_text;
        return detail < COUNT(instruction_errors) && instruction_errors[detail] ? instruction_errors[detail] : "VM-instruction error without a name";
    case REASON_FAILED_STATE:
        text = explain_state(s, cpu);
        if (!text)
            text = event_text;
        return text ? text : "a PDPTE, PAT, pending debug exceptions, or a bit of CR0 or CR4 that VMX fixes"; /* what ring 3 cannot see */
    default:
        reason &= REASON_BASIC;
        return reason < COUNT(vmx_reasons) && vmx_reasons[reason] ? vmx_reasons[reason] : "exit reason without a name";
    }
}

/* ---- SVM ------------------------------------------------------------------------------------------------------------------------- */

#define VMEXIT_INVALID 0xffffffffu
#define VMEXIT_HIGH    0x401u
static const char *const svm_codes[] = {
    [0x00 ... 0x0f] = "CR read", [0x10 ... 0x1f] = "CR write", [0x20 ... 0x2f] = "DR read", [0x30 ... 0x3f] = "DR write",
    [0x40 ... 0x5f] = "exception", [0x62] = "SMI", [0x65] = "CR0 selective write", "IDTR read", "GDTR read", "LDTR read",
    "TR read", "IDTR write", "GDTR write", "LDTR write", "TR write", "RDTSC", [0x70] = "PUSHF", "POPF", [0x74] = "IRET", "INTn",
    [0x77] = "PAUSE", [0x79] = "INVLPG", [0x7d] = "task switch", [0x7f] = "an exception while #DF was delivered",
    [0x87] = "RDTSCP", "ICEBP", [0x8f] = "EFER write trap",
    [0x90 ... 0x9f] = "CR write trap", [0xa0] = "INVLPGB", "INVLPGB, illegal", "INVPCID", [0xa4] = "TLBSYNC", "bus lock", "idle HLT",
};
static const char *const svm_high_codes[] = { "AVIC incomplete IPI", "AVIC no acceleration", "VMGEXIT" };

/* Some CPUs leave host values in the save area of a VMCB that they refused: then none is found, or a wrong one. */
static const char *svm_exit(const struct abi_state *s, const struct explain_cpu *cpu, uint32_t code)
{
    if (code == VMEXIT_INVALID)
        return explain_state(s, cpu) ? explain_state(s, cpu) : "none that is known by name";
    if (code < COUNT(svm_codes) && svm_codes[code])
        return svm_codes[code];
    return code - VMEXIT_HIGH < COUNT(svm_high_codes) ? svm_high_codes[code - VMEXIT_HIGH] : "exit code without a name";
}

const char *explain_exit(const struct abi_state *s, const struct explain_cpu *cpu, uint32_t reason, uint64_t detail, uint32_t event)
{
    return cpu->vmx ? vmx_exit(s, cpu, reason, detail, event) : svm_exit(s, cpu, reason);
}

void explain_operation(struct abi_frame *f, const struct abi_info *info)
{
    struct explain_cpu cpu = { .vmx = info->cpu & ABI_CALL_BY_SYSENTER, .cr4 = info->cr4 };
    uint32_t a = 0x80000008, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    cpu.physical_bits = a & 0xff;
    f->status = ABI_REFUSE;
    text_format(f->text, sizeof(f->text), "%s (reason %x, %lx)", explain_exit(&f->state, &cpu, f->want, f->gpa, f->inject), f->want, f->gpa);
}
