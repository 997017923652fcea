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
static bool syscall_bits(const struct abi_state *s) { return s->fmask >> 32; }
static bool syscall_canonical(const struct abi_state *s)
{
    return !canonical(s->lstar) || !canonical(s->cstar) || !canonical(s->kernel_gs_base);
}
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

/* groups: a change of these can break the rule. Where RIP changes alone, RFLAGS.VM as it was, the first RIP_RULES are enough. */
static const struct guest_rule {
    u32 groups;
    bool (*broken)(const struct abi_state *s);
    const char *text;
} guest_rules[] = {
    { RIP | CS | CR, rip_range,          "RIP must be canonical in 64-bit mode, below 4 GiB otherwise" },
    { RIP,           rflags_bits,        "RFLAGS: bit 1 must be 1, reserved bits 0" },
    { RIP | CR,      rflags_vm,          "RFLAGS.VM needs protected mode outside IA-32e mode" },
    { RIP,           shadow_bits,        "interruptibility: at most one of blocking by STI and by MOV SS, nothing else" },
    { RIP,           shadow_sti,         "interruptibility: blocking by STI needs RFLAGS.IF" },
#define RIP_RULES 5u
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
    { ABI_STATE_SYSCALL, syscall_bits,   "FMASK: bits 63:32 must be 0" },
    { ABI_STATE_SYSCALL, syscall_canonical, "LSTAR, CSTAR, KERNEL_GS_BASE must be canonical" },
    { CS,            code_stack_vm86,    "CS, SS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
    { CS,            cs_form,            "CS: must be usable, present, a code or data segment, no reserved bit, G to fit the limit" },
    { CS,            cs_type,            "CS: type must be 3, 9, 11, 13 or 15" },
    { CS,            cs_dpl,             "CS: DPL does not fit its type and SS" },
    { CS | CR,       cs_long,            "CS: D/B must be 0 where L is 1 in IA-32e mode" },
    { CS,            ss_form,            "SS: type must be 3 or 7, present, no reserved bit, G to fit the limit" },
    { CS | CR,       ss_dpl,             "SS: DPL must be 0 in real mode" },
    { CS,            code_stack_base,    "CS, SS: base must be below 4 GiB" },
    { SEGS,          data_vm86,          "DS, ES, FS, GS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
    { SEGS,          data_form,          "DS, ES, FS, GS: must be accessed, readable, present, no reserved bit, G to fit the limit" },
    { SEGS,          data_base,          "DS, ES: base must be below 4 GiB; FS, GS: canonical" },
    { SYS | CR,      tr_form,            "TR: must be a busy TSS (in IA-32e mode a 64-bit one) of the GDT, present, base canonical" },
    { SYS,           ldtr_form,          "LDTR: must be an LDT of the GDT, present, base canonical" },
    { SYS,           table_base,         "GDTR, IDTR: base must be canonical" },
    { SYS,           table_limit,        "GDTR, IDTR: limit must be below 64 KiB" },
};

u32 guest_rule_inputs(u32 groups)
{
    if (groups & (CS | SEGS | SYS | CR))
        return RIP | CS | SEGS | SYS | CR;
    return groups & RIP ? RIP | CS | CR : 0;
}

const char *guest_rule_broken(const struct abi_state *s, u32 groups)
{
    u32 n = groups == RIP ? RIP_RULES : ARRAY_SIZE(guest_rules);
    for (u32 i = 0; i < n; i++)
        if (guest_rules[i].groups & groups && guest_rules[i].broken(s))
            return guest_rules[i].text;
    return NULL;
}

/* ---- Rules about what ring 0 alone writes, on the current VMCS ------------------------------------------------------------ */

static bool has(u32 field, u64 bits) { return (vmcs_read(field) & bits) == bits; }
static bool any(u32 field, u64 bits) { return vmcs_read(field) & bits; }

/* High half of a capability MSR: bits that may be 1; low half: bits that must be (A.3.1). */
static bool control_fits(u32 field, u32 msr)
{
    u64 cap = vmx_capability(msr);
    return has(field, (u32)cap) && !any(field, ~(cap >> 32));
}

static bool pat_fits(u32 field)
{
    u64 pat = vmcs_read(field);
    for (u32 i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

#define SELECTOR_LOW 7u     /* RPL and TI */
#define LOW_12       0xfffu

static bool controls_fixed(void)
{
    return !control_fits(VMCS_PIN, MSR_VMX_PIN) || !control_fits(VMCS_PROC, MSR_VMX_PROC) || !control_fits(VMCS_PROC2, MSR_VMX_PROC2) ||
           !control_fits(VMCS_EXIT, MSR_VMX_EXIT) || !control_fits(VMCS_ENTRY, MSR_VMX_ENTRY);
}

static bool controls_nmi(void) { return has(VMCS_PIN, PIN_VIRTUAL_NMI) && !has(VMCS_PIN, PIN_NMI); }
static bool controls_address(void)
{
    return any(VMCS_MSR_BITMAP, LOW_12) || any(VMCS_VIRTUAL_APIC, LOW_12) || vmcs_read(VMCS_TPR_THRESHOLD) >> 4;
}

static bool controls_vpid(void) { return has(VMCS_PROC2, PROC2_VPID) && !vmcs_read(VMCS_VPID); }
static bool controls_eptp(void) { return (vmcs_read(VMCS_EPTP) & LOW_12 & ~EPTP_DIRTY) != (EPTP_WB | EPTP_4LEVEL); }

/* Injection, 26.2.1.3. */
static bool event_is(u32 type) { return (vmcs_read(VMCS_ENTRY_EVENT) & (ABI_INJECT_VALID | HVM_EVENT_TYPE)) == (ABI_INJECT_VALID | type); }
static u32 event_vector(void) { return vmcs_read(VMCS_ENTRY_EVENT) & EVENT_VECTOR; }

static bool event_type(void)
{
    return event_is(HVM_EVENT_RESERVED) || event_is(HVM_EVENT_OTHER) || (event_is(HVM_EVENT_NMI) && event_vector() != VEC_NMI) ||
           (event_is(HVM_EVENT_EXCEPTION) && event_vector() > 31);
}

static bool event_error(void)
{
    const u64 vectors = BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC) | BIT(VEC_CP);
    bool want = event_is(HVM_EVENT_EXCEPTION) && vectors >> (event_vector() & 31) & 1 && has(VMCS_GUEST_CR0, CR0_PE);
    return has(VMCS_ENTRY_EVENT, ABI_INJECT_VALID) && want != has(VMCS_ENTRY_EVENT, ABI_INJECT_ERROR);
}

static bool event_length(void)
{
    bool software = event_is(HVM_EVENT_SOFT_INT) || event_is(HVM_EVENT_PRIV_SOFT) || event_is(HVM_EVENT_SOFT_EXC);
    return software && vmcs_read(VMCS_ENTRY_LENGTH) - 1 > 14;
}

static bool host_control(void)
{
    return !has(VMCS_HOST_CR0, vmx_capability(MSR_VMX_CR0_FIXED0)) || !has(VMCS_HOST_CR4, vmx_capability(MSR_VMX_CR4_FIXED0) | CR4_PAE) ||
           any(VMCS_HOST_CR4, ~vmx_capability(MSR_VMX_CR4_FIXED1)) || vmcs_read(VMCS_HOST_CR3) >> features.physical_bits;
}

static bool host_selectors(void)
{
    for (u32 field = VMCS_HOST_ES; field <= VMCS_HOST_TR; field += 2)
        if (any(field, SELECTOR_LOW))
            return true;
    return !vmcs_read(VMCS_HOST_CS) || !vmcs_read(VMCS_HOST_TR);
}

static bool host_canonical(void)
{
    for (u32 field = VMCS_HOST_FS_BASE; field <= VMCS_HOST_RIP; field += 2) /* bases, SYSENTER, RSP (not checked by the CPU), RIP */
        if (!canonical(vmcs_read(field)))
            return true;
    return false;
}

static bool host_efer(void) { return !has(VMCS_HOST_EFER, EFER_LMA | EFER_LME) || !has(VMCS_EXIT, EXIT_CTL_HOST64); }
static bool host_pat(void) { return !pat_fits(VMCS_HOST_PAT); }
static bool guest_pat(void) { return !pat_fits(VMCS_GUEST_PAT); }
static bool guest_fixed(void) { return !has(VMCS_GUEST_CR0, vmx_config.cr0_fixed) || !has(VMCS_GUEST_CR4, vmx_config.cr4_fixed); }
static bool guest_ia32e(void) { return has(VMCS_ENTRY, ENTRY_CTL_IA32E) != has(VMCS_GUEST_EFER, EFER_LMA); }
static bool guest_zero(void) { return vmcs_read(VMCS_GUEST_DEBUGCTL) || vmcs_read(VMCS_ACTIVITY) || vmcs_read(VMCS_INTERRUPTIBILITY) >> 4; }
static bool guest_link(void) { return ~vmcs_read(VMCS_LINK); }
static bool guest_shadow(void) { return any(VMCS_INTERRUPTIBILITY, ABI_SHADOW_STI | ABI_SHADOW_MOVSS); }
static bool event_blocked(void) { return event_is(HVM_EVENT_EXTERNAL) && (guest_shadow() || !has(VMCS_GUEST_RFLAGS, RFLAGS_IF)); }
static bool guest_pending(void) { return guest_shadow() && has(VMCS_GUEST_RFLAGS, RFLAGS_TF) != has(VMCS_PENDING_DEBUG, DEBUG_BS); }

static bool guest_pdpte(void)
{
    u64 reserved = ~(BIT(features.physical_bits) - 1) | 0x1e6; /* bits 2:1, 8:5 (table 4-8) */
    if (!has(VMCS_GUEST_CR0, CR0_PG) || !has(VMCS_GUEST_CR4, CR4_PAE) || has(VMCS_GUEST_EFER, EFER_LMA))
        return false;
    for (u32 field = VMCS_GUEST_PDPTE0; field <= VMCS_GUEST_PDPTE3; field += 2)
        if (any(field, 1) && any(field, reserved))
            return true;
    return false;
}

struct vmcs_rule { bool (*broken)(void); const char *text; };

static const struct vmcs_rule control_rules[] = { /* 26.2: VMfail, instruction errors 7 and 8 */
    { controls_fixed,   "controls: a bit that this CPU fixes (IA32_VMX_PINBASED_CTLS and so on)" },
    { controls_nmi,     "controls: virtual NMIs need NMI exiting" },
    { controls_address, "controls: MSR bitmap and virtual-APIC page must be pages, the threshold below 16" },
    { controls_vpid,    "controls: VPID must not be 0" },
    { controls_eptp,    "controls: EPT pointer: memory type must be WB, walk length 4, reserved bits 0" },
    { event_type,       "event injection: type or vector" },
    { event_error,      "event injection: error code where there is none, or none where there is one" },
    { event_length,     "event injection: a software event has an instruction length of 1 to 15" },
    { host_control,     "host CR0, CR3, CR4: a bit that VMX or the CPU fixes" },
    { host_selectors,   "host selectors: RPL and TI must be 0, CS and TR not null" },
    { host_canonical,   "host FS, GS, TR, GDTR, IDTR, SYSENTER, RIP: must be canonical" },
    { host_efer,        "host EFER: LMA and LME must be the host address-space size" },
    { host_pat,         "host PAT: memory type 2, 3 or above 7" },
};

static const struct vmcs_rule state_rules[] = { /* 26.3, besides guest_rules: exit reason 33 */
    { guest_fixed,      "CR0, CR4: a bit that VMX fixes" },
    { guest_zero,       "DEBUGCTL and activity must be 0 here, interruptibility below 16" },
    { guest_ia32e,      "VM-entry control IA-32e mode guest must be EFER.LMA" },
    { guest_pat,        "PAT: memory type 2, 3 or above 7" },
    { event_blocked,    "event injection: an external interrupt needs RFLAGS.IF and no blocking by STI or MOV SS" },
    { guest_pending,    "pending debug exceptions: BS must be RFLAGS.TF where there is blocking by STI or MOV SS" },
    { guest_link,       "VMCS link pointer must be all ones" },
    { guest_pdpte,      "PDPTE: reserved bits must be 0" },
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
    if (error < ARRAY_SIZE(instruction_errors) && instruction_errors[error])
        return instruction_errors[error];
    return "VM-instruction error without a name";
}

const char *entry_failure(struct vcpu *v, u32 reason)
{
    struct abi_state s = { 0 };
    const char *rule;
    if (!reason)
        return instruction_failure();
    if ((reason & REASON_BASIC) != REASON_FAILED_STATE)
        return "loading of MSRs, or a machine check";
    vmx_state_get(v, &s, ABI_STATE_ALL);
    rule = guest_rule_broken(&s, ABI_STATE_ALL);
    if (!rule)
        rule = vmcs_rule_broken(state_rules, ARRAY_SIZE(state_rules));
    return rule ? rule : "invalid guest state, by no rule that is known here";
}
