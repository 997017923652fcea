/* The rules of VM entry by name (SDM 3C 26.2, 26.3): asked before ring 3's state is taken, and after an entry has failed. */
#include "kernel/gueststate.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

/* ---- Rules about the guest state that ring 3 can name, where they go beyond those of both vendors (26.3.1.2) --------------- */

#define TYPE_ACCESSED  0x1u
#define TYPE_READABLE  0x2u  /* of code; of data: writable */
#define TYPE_CODE      0x8u
#define TYPE_CONFORMING 0xcu /* code, conforming */
#define TYPE_DATA_RW   3u    /* read/write, accessed */
#define TYPE_DATA_DOWN 7u    /* likewise, expand-down */
#define TYPE_LDT       2u
#define TYPE_TSS16     3u    /* busy */
#define TYPE_TSS       11u
#define ATTR_VM86      0xf3u
#define SELECTOR_TI    4u

/* P, and G against the limit: any segment that is usable. */
static bool form_broken(const struct abi_segment *g)
{
    return !(g->attr & ATTR_P) || ((g->limit & 0xfff) != 0xfff && g->attr & ATTR_G) || (g->limit >> 20 && !(g->attr & ATTR_G));
}

static bool vm86_broken(const struct abi_segment *g)
{
    return g->base != (u64)g->selector << 4 || g->limit != 0xffff || g->attr != ATTR_VM86;
}

static bool data_broken(const struct abi_segment *g)
{
    bool readable = !(g->attr & TYPE_CODE) || g->attr & TYPE_READABLE;
    return segment_usable(g) && (!(g->attr & ATTR_S) || !(g->attr & TYPE_ACCESSED) || !readable || form_broken(g));
}

static bool stack_broken(const struct abi_segment *g)
{
    u32 type = g->attr & ATTR_TYPE;
    return segment_usable(g) && (!(g->attr & ATTR_S) || (type != TYPE_DATA_RW && type != TYPE_DATA_DOWN) || form_broken(g));
}

/* Code and accessed; or, as real mode has it, read/write data, which the unrestricted guest allows. */
static bool code_type_broken(u32 type)
{
    return type != TYPE_DATA_RW && (type & (TYPE_CODE | TYPE_ACCESSED)) != (TYPE_CODE | TYPE_ACCESSED);
}

static bool code_dpl_broken(u32 cs, u32 ss)
{
    if (!(cs & TYPE_CODE))
        return ATTR_DPL(cs) != 0;
    return (cs & TYPE_CONFORMING) == TYPE_CONFORMING ? ATTR_DPL(cs) > ATTR_DPL(ss) : ATTR_DPL(cs) != ATTR_DPL(ss);
}

/* A descriptor of the GDT; its type is one of these two. */
static bool system_broken(const struct abi_segment *g, u32 type, u32 other)
{
    u32 is = g->attr & (ATTR_TYPE | ATTR_S);
    return g->selector & SELECTOR_TI || form_broken(g) || (is != type && is != other);
}

const char *vmx_rule_broken(const struct abi_state *s, u32 groups)
{
    const struct abi_segment *cs = &s->seg[ABI_CS], *ss = &s->seg[ABI_SS], *ds = &s->seg[ABI_DS], *es = &s->seg[ABI_ES];
    const struct abi_segment *fs = &s->seg[ABI_FS], *gs = &s->seg[ABI_GS], *ldtr = &s->seg[ABI_LDTR], *tr = &s->seg[ABI_TR];
    bool code = groups & ABI_STATE_CS, data = groups & ABI_STATE_SEGS, system = groups & ABI_STATE_SYSTEM, cr = groups & ABI_STATE_CR;
    bool vm86 = s->rflags & RFLAGS_VM, real = !(s->cr0 & CR0_PE) || (cs->attr & ATTR_TYPE) == TYPE_DATA_RW;
    const struct rule rules[] = {
        { groups & ABI_STATE_RIP && s->shadow & ABI_SHADOW_STI && !(s->rflags & RFLAGS_IF), "interruptibility: blocking by STI needs RFLAGS.IF" },
        { code && vm86 && (vm86_broken(cs) || vm86_broken(ss)),
          "CS, SS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
        { code && !vm86 && (!(cs->attr & ATTR_S) || form_broken(cs)), "CS: must be a code or data segment, G to fit the limit" },
        { code && !vm86 && code_type_broken(cs->attr & ATTR_TYPE), "CS: type must be 3, 9, 11, 13 or 15" },
        { code && !vm86 && code_dpl_broken(cs->attr, ss->attr), "CS: DPL does not fit its type and SS" },
        { code && !vm86 && stack_broken(ss), "SS: type must be 3 or 7, present, G to fit the limit" },
        { (code || cr) && !vm86 && real && ATTR_DPL(ss->attr), "SS: DPL must be 0 in real mode" },
        { data && vm86 && (vm86_broken(ds) || vm86_broken(es) || vm86_broken(fs) || vm86_broken(gs)),
          "DS, ES, FS, GS in virtual-8086 mode: base = selector * 16, limit FFFFh, attributes F3h" },
        { data && !vm86 && (data_broken(ds) || data_broken(es) || data_broken(fs) || data_broken(gs)),
          "DS, ES, FS, GS: must be accessed, readable, present, G to fit the limit" },
        { (system || cr) && (!segment_usable(tr) || system_broken(tr, TYPE_TSS, s->efer & EFER_LMA ? TYPE_TSS : TYPE_TSS16)),
          "TR: must be a busy TSS (in IA-32e mode a 64-bit one) of the GDT, present" },
        { system && segment_usable(ldtr) && system_broken(ldtr, TYPE_LDT, TYPE_LDT), "LDTR: must be an LDT of the GDT, present" },
    };
    const char *text = guest_rule_broken(s, groups);
    return text ? text : rule_broken(rules, ARRAY_SIZE(rules));
}

/* ---- Rules about what ring 0 alone writes, on the current VMCS: those that depend on the CPU, the guest or the moment -------- */

#define PDPTE_RESERVED 0x1e6u /* bits 2:1, 8:5 (table 4-8) */
#define LENGTH_MAX   15u
#define WITH_ERROR   (BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC) | BIT(VEC_CP))

static bool has(u32 field, u64 bits) { return (vmcs_read(field) & bits) == bits; }
static bool any(u32 field, u64 bits) { return vmcs_read(field) & bits; }

/* High half of a capability MSR: bits that may be 1; low half: bits that must be (A.3.1). */
static bool control_fits(u32 field, u32 msr)
{
    u64 cap = vmx_capability(msr);
    return has(field, (u32)cap) && !any(field, ~(cap >> 32));
}

static bool pdptes_broken(void)
{
    u64 reserved = ~(BIT(features.physical_bits) - 1) | PDPTE_RESERVED;
    if (!has(VMCS_GUEST_CR0, CR0_PG) || !has(VMCS_GUEST_CR4, CR4_PAE) || has(VMCS_GUEST_EFER, EFER_LMA))
        return false;
    for (u32 field = VMCS_GUEST_PDPTE0; field <= VMCS_GUEST_PDPTE3; field += 2)
        if (any(field, 1) && any(field, reserved))
            return true;
    return false;
}

/* 26.2: VMfail, instruction errors 7 and 8. */
static const char *control_rule_broken(void)
{
    u64 event = vmcs_read(VMCS_ENTRY_EVENT), type = event & HVM_EVENT_TYPE, vector = event & HVM_EVENT_VECTOR;
    bool inject = event & ABI_INJECT_VALID, exception = type == HVM_EVENT_EXCEPTION;
    bool error = exception && vector < 32 && WITH_ERROR >> vector & 1 && has(VMCS_GUEST_CR0, CR0_PE);
    const struct rule rules[] = {
        { !control_fits(VMCS_PIN, MSR_VMX_PIN) || !control_fits(VMCS_PROC, MSR_VMX_PROC) || !control_fits(VMCS_PROC2, MSR_VMX_PROC2) ||
          !control_fits(VMCS_EXIT, MSR_VMX_EXIT) || !control_fits(VMCS_ENTRY, MSR_VMX_ENTRY),
          "controls: a bit that this CPU fixes (IA32_VMX_PINBASED_CTLS and so on)" },
        { inject && (type == HVM_EVENT_RESERVED || type == HVM_EVENT_OTHER || (type == HVM_EVENT_NMI && vector != VEC_NMI) ||
          (exception && vector > 31)), "event injection: type or vector" },
        { inject && error != !!(event & ABI_INJECT_ERROR), "event injection: error code where there is none, or none where there is one" },
        { inject && type >= HVM_EVENT_SOFT_INT && type <= HVM_EVENT_SOFT_EXC && vmcs_read(VMCS_ENTRY_LENGTH) - 1 >= LENGTH_MAX,
          "event injection: a software event has an instruction length of 1 to 15" },
        { !has(VMCS_HOST_CR0, vmx_capability(MSR_VMX_CR0_FIXED0)) || !has(VMCS_HOST_CR4, vmx_capability(MSR_VMX_CR4_FIXED0) | CR4_PAE) ||
          any(VMCS_HOST_CR4, ~vmx_capability(MSR_VMX_CR4_FIXED1)) || vmcs_read(VMCS_HOST_CR3) >> features.physical_bits,
          "host CR0, CR3, CR4: a bit that VMX or the CPU fixes" },
    };
    return rule_broken(rules, ARRAY_SIZE(rules));
}

/* 26.3, besides vmx_rule_broken(): exit reason 33. */
static const char *state_rule_broken(void)
{
    u64 event = vmcs_read(VMCS_ENTRY_EVENT) & (ABI_INJECT_VALID | HVM_EVENT_TYPE);
    bool shadow = any(VMCS_INTERRUPTIBILITY, ABI_SHADOW_STI | ABI_SHADOW_MOVSS);
    const struct rule rules[] = {
        { !has(VMCS_GUEST_CR0, vmx_config.cr0_fixed) || !has(VMCS_GUEST_CR4, vmx_config.cr4_fixed), "CR0, CR4: a bit that VMX fixes" },
        { has(VMCS_ENTRY, ENTRY_CTL_IA32E) != has(VMCS_GUEST_EFER, EFER_LMA), "VM-entry control IA-32e mode guest must be EFER.LMA" },
        { !pat_legal(vmcs_read(VMCS_GUEST_PAT)), "PAT: memory type 2, 3 or above 7" },
        { event == (ABI_INJECT_VALID | HVM_EVENT_EXTERNAL) && (shadow || !has(VMCS_GUEST_RFLAGS, RFLAGS_IF)),
          "event injection: an external interrupt needs RFLAGS.IF and no blocking by STI or MOV SS" },
        { shadow && has(VMCS_GUEST_RFLAGS, RFLAGS_TF) != has(VMCS_PENDING_DEBUG, DEBUG_BS),
          "pending debug exceptions: BS must be RFLAGS.TF where there is blocking by STI or MOV SS" },
        { pdptes_broken(), "PDPTE: reserved bits must be 0" },
    };
    return rule_broken(rules, ARRAY_SIZE(rules));
}

/* VM-instruction errors of VMLAUNCH and VMRESUME outside SMM, 30.4. */
enum { ERROR_LAUNCH = 4, ERROR_RESUME, ERROR_RESUME_OFF, ERROR_CONTROLS, ERROR_HOST, ERROR_MOVSS = 26 };
static const char *const instruction_errors[] = {
    [ERROR_LAUNCH] = "VMLAUNCH: VMCS not clear", "VMRESUME: VMCS not launched", "VMRESUME after VMXOFF", "VM entry: bad controls",
    "VM entry: bad host state", [ERROR_MOVSS] = "VM entry: blocking by MOV SS",
};

static const char *instruction_failure(void)
{
    u64 error = vmcs_read(VMCS_INSTRUCTION_ERROR);
    const char *rule = error == ERROR_CONTROLS || error == ERROR_HOST ? control_rule_broken() : NULL;
    if (!rule && error < ARRAY_SIZE(instruction_errors))
        rule = instruction_errors[error];
    return rule ? rule : "VM-instruction error without a name";
}

const char *entry_failure(struct vcpu *v, u32 reason)
{
    struct abi_state s;
    const char *rule;
    if (reason == REASON_VMFAIL)
        return instruction_failure();
    if ((reason & REASON_BASIC) != REASON_FAILED_STATE)
        return "loading of MSRs, or a machine check";
    vmx_state_get(v, &s, ABI_STATE_ALL);
    rule = vmx_rule_broken(&s, ABI_STATE_ALL);
    if (!rule)
        rule = state_rule_broken();
    return rule ? rule : "invalid guest state, by no rule that is known here";
}
