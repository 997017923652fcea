/* The rules of VM entry by name (SDM 3C 26.2, 26.3): asked before ring 3's state is taken, and after an entry has failed. */
#include "kernel/policy.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

/* ---- Rules about the guest state that ring 3 can name, on its neutral form (26.3.1.1 to 26.3.1.4) ------------------------ */

#define ATTR_TYPE      0xfu
#define ATTR_ACCESSED  0x1u
#define ATTR_WRITABLE  0x2u  /* of data; of code: readable */
#define ATTR_CODE      0x8u
#define ATTR_S         0x10u
#define ATTR_P         0x80u
#define ATTR_L         0x2000u
#define ATTR_DB        0x4000u
#define ATTR_G         0x8000u
#define ATTR_RESERVED  (0xf00u | ~0x1ffffu)
#define ATTR_VM86      0xf3u
#define TYPE_CONFORMING 0xcu  /* code, conforming */
#define TYPE_LDT       2u
#define TYPE_TSS16     3u    /* busy */
#define TYPE_TSS       11u
#define SELECTOR_TI    4u
#define DPL(attr)      ((attr) >> 5 & 3)
#define RFLAGS_ZERO    (~0x3fffffull | BIT(15) | BIT(5) | BIT(3))
#define EFER_GUEST     (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

bool canonical(u64 address)
{
    unsigned shift = features.la57 ? 7 : 16; /* the CPU's linear-address width counts, not the guest's paging mode */
    return (u64)((long long)(address << shift) >> shift) == address;
}

static bool vm86(const struct abi_state *s) { return s->rflags & RFLAGS_VM; }
static bool long_mode(const struct abi_state *s) { return s->efer & EFER_LMA; }
static bool usable(const struct abi_segment *g) { return !(g->attr & ABI_SEG_UNUSABLE); }

static bool cr0_bits(const struct abi_state *s) { return s->cr0 >> 32; }
static bool cr0_paging(const struct abi_state *s) { return s->cr0 & CR0_PG && !(s->cr0 & CR0_PE); }
static bool cr0_cache(const struct abi_state *s) { return s->cr0 & CR0_NW && !(s->cr0 & CR0_CD); }
static bool cr3_width(const struct abi_state *s) { return s->cr3 >> features.physical_bits; }
static bool cr4_bits(const struct abi_state *s) { return s->cr4 & ~policy_cr4_guest(); }
static bool cr4_pcid(const struct abi_state *s) { return s->cr4 & CR4_PCIDE && !long_mode(s); }
static bool efer_bits(const struct abi_state *s) { return s->efer & ~EFER_GUEST; }
static bool efer_lma(const struct abi_state *s) { return long_mode(s) != (s->efer & EFER_LME && s->cr0 & CR0_PG); }
static bool long_pae(const struct abi_state *s) { return long_mode(s) && !(s->cr4 & CR4_PAE); }
static bool dr_high(const struct abi_state *s) { return (s->dr6 | s->dr7) >> 32; }
static bool sysenter_cs(const struct abi_state *s) { return s->sysenter_cs >> 32; }
static bool sysenter_canonical(const struct abi_state *s) { return !canonical(s->sysenter_esp) || !canonical(s->sysenter_eip); }
static bool table_base(const struct abi_state *s) { return !canonical(s->gdtr.base) || !canonical(s->idtr.base); }
static bool table_limit(const struct abi_state *s) { return (s->gdtr.limit | s->idtr.limit) >> 16; }
static bool rflags_bits(const struct abi_state *s) { return s->rflags & RFLAGS_ZERO || !(s->rflags & RFLAGS_FIXED); }
static bool rflags_vm(const struct abi_state *s) { return vm86(s) && (long_mode(s) || !(s->cr0 & CR0_PE)); }
static bool shadow_bits(const struct abi_state *s) { return s->shadow > ABI_SHADOW_MOVSS; } /* both at once is the next value */
static bool shadow_sti(const struct abi_state *s) { return s->shadow & ABI_SHADOW_STI && !(s->rflags & RFLAGS_IF); }

static bool rip_range(const struct abi_state *s)
{
    return long_mode(s) && s->seg[ABI_CS].attr & ATTR_L ? !canonical(s->rip) : s->rip >> 32 != 0;
}

/* Reserved bits, P, and G against the limit: any segment that is usable. */
static bool seg_form(const struct abi_segment *g)
{
    return g->attr & ATTR_RESERVED || !(g->attr & ATTR_P) || ((g->limit & 0xfff) != 0xfff && g->attr & ATTR_G) ||
           (g->limit >> 20 && !(g->attr & ATTR_G));
}

static bool seg_vm86(const struct abi_segment *g)
{
    return g->base != (u64)g->selector << 4 || g->limit != 0xffff || g->attr != ATTR_VM86;
}

static bool code_stack_vm86(const struct abi_state *s) { return vm86(s) && (seg_vm86(&s->seg[ABI_CS]) || seg_vm86(&s->seg[ABI_SS])); }

static bool data_vm86(const struct abi_state *s)
{
    return vm86(s) && (seg_vm86(&s->seg[ABI_DS]) || seg_vm86(&s->seg[ABI_ES]) || seg_vm86(&s->seg[ABI_FS]) || seg_vm86(&s->seg[ABI_GS]));
}

static bool cs_form(const struct abi_state *s)
{
    return !vm86(s) && (!usable(&s->seg[ABI_CS]) || !(s->seg[ABI_CS].attr & ATTR_S) || seg_form(&s->seg[ABI_CS]));
}

/* Code and accessed; or, as real mode has it, read/write data (type 3), which the unrestricted guest allows. */
static bool cs_type(const struct abi_state *s)
{
    u32 type = s->seg[ABI_CS].attr & ATTR_TYPE;
    return !vm86(s) && type != 3 && (type & (ATTR_CODE | ATTR_ACCESSED)) != (ATTR_CODE | ATTR_ACCESSED);
}

static bool cs_dpl(const struct abi_state *s)
{
    u32 cs = s->seg[ABI_CS].attr, ss = s->seg[ABI_SS].attr;
    if (vm86(s))
        return false;
    if (!(cs & ATTR_CODE))
        return DPL(cs) != 0;
    return (cs & TYPE_CONFORMING) == TYPE_CONFORMING ? DPL(cs) > DPL(ss) : DPL(cs) != DPL(ss);
}

static bool cs_long(const struct abi_state *s)
{
    return long_mode(s) && (s->seg[ABI_CS].attr & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB);
}

static bool ss_form(const struct abi_state *s)
{
    const struct abi_segment *g = &s->seg[ABI_SS];
    return !vm86(s) && usable(g) && (!(g->attr & ATTR_S) || ((g->attr & ATTR_TYPE) != 3 && (g->attr & ATTR_TYPE) != 7) || seg_form(g));
}

static bool ss_dpl(const struct abi_state *s)
{
    bool zero = !(s->cr0 & CR0_PE) || (s->seg[ABI_CS].attr & ATTR_TYPE) == 3;
    return !vm86(s) && zero && DPL(s->seg[ABI_SS].attr) != 0;
}

static bool code_stack_base(const struct abi_state *s)
{
    return s->seg[ABI_CS].base >> 32 || (usable(&s->seg[ABI_SS]) && s->seg[ABI_SS].base >> 32);
}

static bool data_form(const struct abi_state *s)
{
    static const u8 order[] = { ABI_DS, ABI_ES, ABI_FS, ABI_GS };
    for (u32 i = 0; i < ARRAY_SIZE(order) && !vm86(s); i++) {
        const struct abi_segment *g = &s->seg[order[i]];
        bool readable = !(g->attr & ATTR_CODE) || g->attr & ATTR_WRITABLE;
        if (usable(g) && (!(g->attr & ATTR_S) || !(g->attr & ATTR_ACCESSED) || !readable || seg_form(g)))
            return true;
    }
    return false;
}

static bool data_base(const struct abi_state *s)
{
    const struct abi_segment *ds = &s->seg[ABI_DS], *es = &s->seg[ABI_ES];
    return (usable(ds) && ds->base >> 32) || (usable(es) && es->base >> 32) ||
           !canonical(s->seg[ABI_FS].base) || !canonical(s->seg[ABI_GS].base);
}

static bool tr_form(const struct abi_state *s)
{
    const struct abi_segment *g = &s->seg[ABI_TR];
    u32 type = g->attr & (ATTR_TYPE | ATTR_S);
    return !usable(g) || g->selector & SELECTOR_TI || !canonical(g->base) || seg_form(g) ||
           !(type == TYPE_TSS || (type == TYPE_TSS16 && !long_mode(s)));
}

static bool ldtr_form(const struct abi_state *s)
{
    const struct abi_segment *g = &s->seg[ABI_LDTR];
    return usable(g) && (g->selector & SELECTOR_TI || !canonical(g->base) || seg_form(g) || (g->attr & (ATTR_TYPE | ATTR_S)) != TYPE_LDT);
}

#define RIP  ABI_STATE_RIP
#define CS   ABI_STATE_CS
#define SEGS ABI_STATE_SEGS
#define SYS  ABI_STATE_SYSTEM
#define CR   ABI_STATE_CR

static const struct guest_rule {
    u32 groups;                 /* that broken() reads */
    bool (*broken)(const struct abi_state *s);
    const char *text;
} guest_rules[] = {
    { CR,            cr0_bits,           "CR0: bits 63:32 must be 0" },
    { CR,            cr0_paging,         "CR0.PG needs CR0.PE" },
    { CR,            cr0_cache,          "CR0.NW needs CR0.CD" },
    { CR,            cr3_width,          "CR3: bits beyond the physical-address width must be 0" },
    { CR,            cr4_bits,           "CR4: a bit that the guest's CPUID does not offer" },
    { CR,            cr4_pcid,           "CR4.PCIDE needs IA-32e mode" },
    { CR,            efer_bits,          "EFER: reserved bits must be 0" },
    { CR,            efer_lma,           "EFER.LMA must be EFER.LME and CR0.PG" },
    { CR,            long_pae,           "IA-32e mode needs CR4.PAE" },
    { ABI_STATE_DR,  dr_high,            "DR6, DR7: bits 63:32 must be 0" },
    { ABI_STATE_SYSENTER, sysenter_cs,   "SYSENTER_CS: bits 63:32 must be 0" },
    { ABI_STATE_SYSENTER, sysenter_canonical, "SYSENTER_ESP, SYSENTER_EIP must be canonical" },
    { RIP | CS | CR, rip_range,          "RIP must be canonical in 64-bit mode, below 4 GiB otherwise" },
    { RIP,           rflags_bits,        "RFLAGS: bit 1 must be 1, reserved bits 0" },
    { RIP | CR,      rflags_vm,          "RFLAGS.VM needs protected mode outside IA-32e mode" },
    { RIP,           shadow_bits,        "interruptibility: at most one of blocking by STI and by MOV SS, nothing else" },
    { RIP,           shadow_sti,         "interruptibility: blocking by STI needs RFLAGS.IF" },
    { RIP | CS,      code_stack_vm86,    "CS, SS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
    { RIP | CS,      cs_form,            "CS: must be usable, present, a code or data segment, no reserved bit, G to fit the limit" },
    { RIP | CS,      cs_type,            "CS: type must be 3, 9, 11, 13 or 15" },
    { RIP | CS,      cs_dpl,             "CS: DPL does not fit its type and SS" },
    { CS | CR,       cs_long,            "CS: D/B must be 0 where L is 1 in IA-32e mode" },
    { RIP | CS,      ss_form,            "SS: type must be 3 or 7, present, no reserved bit, G to fit the limit" },
    { RIP | CS | CR, ss_dpl,             "SS: DPL must be 0 in real mode" },
    { CS,            code_stack_base,    "CS, SS: base must be below 4 GiB" },
    { RIP | SEGS,    data_vm86,          "DS, ES, FS, GS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
    { RIP | SEGS,    data_form,          "DS, ES, FS, GS: must be accessed, readable, present, no reserved bit, G to fit the limit" },
    { SEGS,          data_base,          "DS, ES: base must be below 4 GiB; FS, GS: canonical" },
    { SYS | CR,      tr_form,            "TR: must be a busy TSS (in IA-32e mode a 64-bit one) of the GDT, present, base canonical" },
    { SYS,           ldtr_form,          "LDTR: must be an LDT of the GDT, present, base canonical" },
    { SYS,           table_base,         "GDTR, IDTR: base must be canonical" },
    { SYS,           table_limit,        "GDTR, IDTR: limit must be below 64 KiB" },
};

u32 guest_rule_inputs(u32 groups)
{
    u32 inputs = 0;
    for (u32 i = 0; i < ARRAY_SIZE(guest_rules); i++)
        inputs |= guest_rules[i].groups & groups ? guest_rules[i].groups : 0;
    return inputs;
}

const char *guest_rule_broken(const struct abi_state *s, u32 groups)
{
    for (u32 i = 0; i < ARRAY_SIZE(guest_rules); i++)
        if (guest_rules[i].groups & groups && guest_rules[i].broken(s))
            return guest_rules[i].text;
    return NULL;
}

/* ---- Rules about what ring 0 alone writes, on the current VMCS ------------------------------------------------------------ */

#define REAL_EVENT_TYPES 0x7du /* bit n: type n can be injected: 0, 2 to 6 (24.8.3) */

static bool event_valid(void) { return vmcs_read(VMCS_ENTRY_EVENT) & ABI_INJECT_VALID; }
static u64 event_type(void) { return vmcs_read(VMCS_ENTRY_EVENT) & HVM_EVENT_TYPE; }
static bool external(void) { return event_valid() && event_type() == HVM_EVENT_EXTERNAL; }
static bool selector_bad(u32 field) { return vmcs_read(field) & 7; } /* RPL and TI */

/* High half of a capability MSR: bits that may be 1; low half: bits that must be (A.3.1). */
static bool control_bad(u32 field, u32 msr)
{
    u64 cap = vmx_capability(msr), value = vmcs_read(field);
    return (value & (u32)cap) != (u32)cap || value & ~(cap >> 32);
}

static bool pin_bits(void) { return control_bad(VMCS_PIN, MSR_VMX_PIN); }
static bool proc_bits(void) { return control_bad(VMCS_PROC, MSR_VMX_PROC); }
static bool proc2_bits(void) { return control_bad(VMCS_PROC2, MSR_VMX_PROC2); }
static bool exit_bits(void) { return control_bad(VMCS_EXIT, MSR_VMX_EXIT); }
static bool entry_bits(void) { return control_bad(VMCS_ENTRY, MSR_VMX_ENTRY); }
static bool nmi_bits(void) { return (vmcs_read(VMCS_PIN) & (PIN_NMI | PIN_VIRTUAL_NMI)) == PIN_VIRTUAL_NMI; }
static bool bitmap_address(void) { return vmcs_read(VMCS_MSR_BITMAP) & (PAGE_SIZE - 1); }
static bool apic_address(void) { return vmcs_read(VMCS_VIRTUAL_APIC) & (PAGE_SIZE - 1) || vmcs_read(VMCS_TPR_THRESHOLD) >> 4; }
static bool vpid_zero(void) { return vmcs_read(VMCS_PROC2) & PROC2_VPID && !vmcs_read(VMCS_VPID); }
static bool eptp_bits(void) { return (vmcs_read(VMCS_EPTP) & (PAGE_SIZE - 1) & ~EPTP_DIRTY) != (EPTP_WB | EPTP_4LEVEL); }
static bool event_known(void) { return event_valid() && !(REAL_EVENT_TYPES >> (event_type() >> 8) & 1); }
static bool event_nmi(void) { return event_valid() && event_type() == HVM_EVENT_NMI && (vmcs_read(VMCS_ENTRY_EVENT) & EVENT_VECTOR) != VEC_NMI; }

static bool event_exception(void)
{
    return event_valid() && event_type() == HVM_EVENT_EXCEPTION && (vmcs_read(VMCS_ENTRY_EVENT) & EVENT_VECTOR) > 31;
}

/* An error code goes with #DF, #TS, #NP, #SS, #GP, #PF, #AC (and #CP), in protected mode, and only there (26.2.1.3). */
static bool event_error(void)
{
    const u64 vectors = BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC) | BIT(VEC_CP);
    u64 event = vmcs_read(VMCS_ENTRY_EVENT);
    bool want = event_type() == HVM_EVENT_EXCEPTION && vectors >> (event & 31) & 1 && vmcs_read(VMCS_GUEST_CR0) & CR0_PE;
    return event_valid() && want != !!(event & ABI_INJECT_ERROR);
}

static bool event_length(void)
{
    return event_valid() && event_type() >= HVM_EVENT_SOFT_INT && (vmcs_read(VMCS_ENTRY_LENGTH) - 1) > 14;
}

static bool host_cr0(void)
{
    u64 must = vmx_capability(MSR_VMX_CR0_FIXED0);
    return (vmcs_read(VMCS_HOST_CR0) & must) != must;
}

static bool host_cr3(void) { return vmcs_read(VMCS_HOST_CR3) >> features.physical_bits; }

static bool host_cr4(void)
{
    u64 cr4 = vmcs_read(VMCS_HOST_CR4), must = vmx_capability(MSR_VMX_CR4_FIXED0) | CR4_PAE;
    return (cr4 & must) != must || cr4 & ~vmx_capability(MSR_VMX_CR4_FIXED1);
}

static bool host_selectors(void)
{
    return selector_bad(VMCS_HOST_CS) || selector_bad(VMCS_HOST_SS) || selector_bad(VMCS_HOST_DS) || selector_bad(VMCS_HOST_ES) ||
           selector_bad(VMCS_HOST_FS) || selector_bad(VMCS_HOST_GS) || selector_bad(VMCS_HOST_TR) || !vmcs_read(VMCS_HOST_CS) ||
           !vmcs_read(VMCS_HOST_TR);
}

static bool host_canonical(void)
{
    static const u32 fields[] = { VMCS_HOST_FS_BASE, VMCS_HOST_GS_BASE, VMCS_HOST_TR_BASE, VMCS_HOST_GDTR_BASE, VMCS_HOST_IDTR_BASE,
                                  VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP, VMCS_HOST_RIP };
    for (u32 i = 0; i < ARRAY_SIZE(fields); i++)
        if (!canonical(vmcs_read(fields[i])))
            return true;
    return false;
}

static bool host_efer(void)
{
    return (vmcs_read(VMCS_HOST_EFER) & (EFER_LMA | EFER_LME)) != (EFER_LMA | EFER_LME) || !(vmcs_read(VMCS_EXIT) & EXIT_CTL_HOST64);
}

static bool pat_bad(u32 field)
{
    u64 pat = vmcs_read(field);
    for (u32 i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return true;
    return false;
}

static bool host_pat(void) { return pat_bad(VMCS_HOST_PAT); }
static bool guest_pat(void) { return pat_bad(VMCS_GUEST_PAT); }
static bool guest_fixed0(void) { return (vmcs_read(VMCS_GUEST_CR0) & vmx_config.cr0_fixed) != vmx_config.cr0_fixed; }
static bool guest_fixed4(void) { return (vmcs_read(VMCS_GUEST_CR4) & vmx_config.cr4_fixed) != vmx_config.cr4_fixed; }
static bool guest_debugctl(void) { return vmcs_read(VMCS_GUEST_DEBUGCTL); }
static bool guest_ia32e(void) { return !(vmcs_read(VMCS_ENTRY) & ENTRY_CTL_IA32E) != !(vmcs_read(VMCS_GUEST_EFER) & EFER_LMA); }
static bool guest_activity(void) { return vmcs_read(VMCS_ACTIVITY); }
static bool guest_interruptibility(void) { return vmcs_read(VMCS_INTERRUPTIBILITY) >> 4; }
static bool guest_link(void) { return vmcs_read(VMCS_LINK) != ~0ull; }

static bool event_blocked(void)
{
    return external() && (vmcs_read(VMCS_INTERRUPTIBILITY) & (ABI_SHADOW_STI | ABI_SHADOW_MOVSS) || !(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF));
}

static bool guest_pending(void)
{
    bool shadow = vmcs_read(VMCS_INTERRUPTIBILITY) & (ABI_SHADOW_STI | ABI_SHADOW_MOVSS);
    bool step = vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF;
    return shadow && step != !!(vmcs_read(VMCS_PENDING_DEBUG) & DEBUG_BS);
}

static bool guest_pdpte(void)
{
    u64 reserved = ~(BIT(features.physical_bits) - 1) | 0x1e6; /* bits 2:1, 8:5 (table 4-8) */
    if (!(vmcs_read(VMCS_GUEST_CR0) & CR0_PG) || !(vmcs_read(VMCS_GUEST_CR4) & CR4_PAE) || vmcs_read(VMCS_GUEST_EFER) & EFER_LMA)
        return false;
    for (u32 i = 0; i < 4; i++)
        if (vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i) & 1 && vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i) & reserved)
            return true;
    return false;
}

struct vmcs_rule { bool (*broken)(void); const char *text; };

static const struct vmcs_rule control_rules[] = { /* 26.2: VMfail, instruction errors 7 and 8 */
    { pin_bits,        "pin-based controls: a bit that this CPU fixes (IA32_VMX_PINBASED_CTLS)" },
    { proc_bits,       "processor-based controls: a bit that this CPU fixes (IA32_VMX_PROCBASED_CTLS)" },
    { proc2_bits,      "secondary controls: a bit that this CPU fixes (IA32_VMX_PROCBASED_CTLS2)" },
    { exit_bits,       "VM-exit controls: a bit that this CPU fixes (IA32_VMX_EXIT_CTLS)" },
    { entry_bits,      "VM-entry controls: a bit that this CPU fixes (IA32_VMX_ENTRY_CTLS)" },
    { nmi_bits,        "virtual NMIs need NMI exiting" },
    { bitmap_address,  "MSR bitmap: address must be a page's" },
    { apic_address,    "virtual-APIC page: address must be a page's, threshold below 16" },
    { vpid_zero,       "VPID must not be 0" },
    { eptp_bits,       "EPT pointer: memory type must be WB, walk length 4, reserved bits 0" },
    { event_known,     "event injection: type 1 or 7" },
    { event_nmi,       "event injection: an NMI has vector 2" },
    { event_exception, "event injection: an exception has a vector below 32" },
    { event_error,     "event injection: error code where there is none, or none where there is one" },
    { event_length,    "event injection: a software event has an instruction length of 1 to 15" },
    { host_cr0,        "host CR0: a bit that VMX fixes" },
    { host_cr3,        "host CR3: bits beyond the physical-address width must be 0" },
    { host_cr4,        "host CR4: a bit that VMX fixes" },
    { host_selectors,  "host selectors: RPL and TI must be 0, CS and TR not null" },
    { host_canonical,  "host FS, GS, TR, GDTR, IDTR, SYSENTER, RIP: must be canonical" },
    { host_efer,       "host EFER: LMA and LME must be the host address-space size" },
    { host_pat,        "host PAT: memory type 2, 3 or above 7" },
};

static const struct vmcs_rule state_rules[] = { /* 26.3, besides guest_rules: exit reason 33 */
    { guest_fixed0,    "CR0: a bit that VMX fixes" },
    { guest_fixed4,    "CR4: a bit that VMX fixes" },
    { guest_debugctl,  "DEBUGCTL must be 0 here" },
    { guest_ia32e,     "VM-entry control IA-32e mode guest must be EFER.LMA" },
    { guest_pat,       "PAT: memory type 2, 3 or above 7" },
    { guest_activity,  "activity state must be active here" },
    { guest_interruptibility, "interruptibility: reserved bits must be 0" },
    { event_blocked,   "event injection: an external interrupt needs RFLAGS.IF and no blocking by STI or MOV SS" },
    { guest_pending,   "pending debug exceptions: BS must be RFLAGS.TF where there is blocking by STI or MOV SS" },
    { guest_link,      "VMCS link pointer must be all ones" },
    { guest_pdpte,     "PDPTE: reserved bits must be 0" },
};

static const char *vmcs_rule_broken(const struct vmcs_rule *rules, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (rules[i].broken())
            return rules[i].text;
    return NULL;
}

/* VM-instruction errors, 30.4. */
static const char *const instruction_errors[] = {
    [1] = "VMCALL in root operation", [2] = "VMCLEAR: bad address", [3] = "VMCLEAR: VMXON pointer", [4] = "VMLAUNCH: VMCS not clear",
    [5] = "VMRESUME: VMCS not launched", [6] = "VMRESUME after VMXOFF", [7] = "VM entry: bad controls", [8] = "VM entry: bad host state",
    [9] = "VMPTRLD: bad address", [10] = "VMPTRLD: VMXON pointer", [11] = "VMPTRLD: wrong revision", [12] = "no such VMCS field",
    [13] = "VMWRITE to a read-only field", [15] = "VMXON in root operation", [16] = "VM entry: bad executive VMCS pointer",
    [17] = "VM entry: executive VMCS not launched", [18] = "VM entry: bad executive VMCS", [19] = "VMCALL: VMCS not clear",
    [20] = "VMCALL: bad VM-exit controls", [22] = "VMCALL: wrong MSEG revision", [23] = "VMXOFF under dual-monitor treatment",
    [24] = "VMCALL: bad SMM feature bits", [25] = "VM entry: bad executive controls", [26] = "VM entry: blocking by MOV SS",
    [28] = "INVEPT or INVVPID: bad operand",
};

#define ERROR_CONTROLS 7u
#define ERROR_HOST     8u

static const char *instruction_failure(void)
{
    u64 error = vmcs_read(VMCS_INSTRUCTION_ERROR);
    const char *rule = NULL;
    if (error == ERROR_CONTROLS || error == ERROR_HOST)
        rule = vmcs_rule_broken(control_rules, ARRAY_SIZE(control_rules));
    if (rule)
        return rule;
    return error < ARRAY_SIZE(instruction_errors) && instruction_errors[error] ? instruction_errors[error] : "no VM-instruction error is known by this number";
}

const char *entry_failure(u32 reason)
{
    struct abi_state s = { 0 };
    const char *rule;
    if (!reason)
        return instruction_failure();
    if ((reason & REASON_BASIC) != REASON_FAILED_STATE)
        return "loading of MSRs, or a machine check";
    vmx_state_get(this_cpu()->loaded, &s, ABI_STATE_ALL);
    rule = guest_rule_broken(&s, ABI_STATE_ALL);
    if (!rule)
        rule = vmcs_rule_broken(state_rules, ARRAY_SIZE(state_rules));
    return rule ? rule : "invalid guest state, by no rule that is known here";
}
