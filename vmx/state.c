/* Guest state in groups, between the current VMCS and its neutral form; what is set is checked as VM entry would check it (SDM 3C 26.3.1).
 * Each group is read at most once per exit, and only what changed is written. */
#include "vmx/access.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

#define SYSCALL_BYTES (offsetof(struct abi_state, dr) - offsetof(struct abi_state, star))
#define SHADOWS (ABI_SHADOW_STI | ABI_SHADOW_MOVSS) /* bits 0 and 1 of the interruptibility field, table 24-3 */

/* Fields that are copied as they are, by group: X(field, member of struct abi_state). */
#define RIP_FIELDS(X)      X(VMCS_GUEST_RIP, rip) X(VMCS_GUEST_RSP, rsp) X(VMCS_GUEST_RFLAGS, rflags)
#define SYSTEM_FIELDS(X)   X(VMCS_GUEST_GDTR_BASE, gdtr.base) X(VMCS_GUEST_GDTR_LIMIT, gdtr.limit) \
                           X(VMCS_GUEST_IDTR_BASE, idtr.base) X(VMCS_GUEST_IDTR_LIMIT, idtr.limit)
#define CR_FIELDS(X)       X(VMCS_GUEST_CR3, cr3) X(VMCS_GUEST_EFER, efer)
#define DR_FIELDS(X)       X(VMCS_GUEST_DR7, dr7)
#define SYSENTER_FIELDS(X) X(VMCS_GUEST_SYSENTER_CS, sysenter_cs) X(VMCS_GUEST_SYSENTER_ESP, sysenter_esp) \
                           X(VMCS_GUEST_SYSENTER_EIP, sysenter_eip)
#define FETCH(field, member) s->member = (__typeof__(s->member))vmcs_read(field);
#define STORE(field, member) put(field, old->member, s->member);

static const u32 segment_group[ABI_SEGS] = {
    [ABI_CS] = ABI_STATE_CS, [ABI_SS] = ABI_STATE_CS, [ABI_DS] = ABI_STATE_SEGS, [ABI_ES] = ABI_STATE_SEGS,
    [ABI_FS] = ABI_STATE_SEGS, [ABI_GS] = ABI_STATE_SEGS, [ABI_LDTR] = ABI_STATE_SYSTEM, [ABI_TR] = ABI_STATE_SYSTEM,
};
#define SEGMENT_GROUPS (ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_SYSTEM)

/* An advance ends the shadow that the exited instruction may have run in, but clearing it there would cost two accesses on every exit.
 * It is cleared before anything that depends on it: here (state, acceptance of an interrupt), while a window exit is armed, and for
 * a single step. In between it delays nothing but a guest's own data or instruction breakpoint behind "MOV SS; trapped instruction". */
void vmx_shadow_settle(struct vmx_vcpu *x)
{
    u64 now;
    if (!x->shadow_stale)
        return;
    x->shadow_stale = false;
    now = vmcs_read(VMCS_INTERRUPTIBILITY);
    if (now & SHADOWS)
        vmcs_write(VMCS_INTERRUPTIBILITY, now & ~(u64)SHADOWS);
}

/* ---- In ------------------------------------------------------------------------------------------------------------------ */

static void fetch_segment(struct abi_segment *g, u32 i)
{
    g->base = vmcs_read(VMCS_SEG(VMCS_GUEST_BASE, i));
    g->limit = (u32)vmcs_read(VMCS_SEG(VMCS_GUEST_LIMIT, i));
    g->attr = (u32)vmcs_read(VMCS_SEG(VMCS_GUEST_ATTR, i));
    g->selector = (u16)vmcs_read(VMCS_SEG(VMCS_GUEST_SELECTOR, i));
}

/* Bits that the host owns are in the read shadow as the guest wrote them (24.6.6). */
static void fetch_control(struct vcpu *v, struct abi_state *s)
{
    CR_FIELDS(FETCH)
    s->cr0 = (vmcs_read(VMCS_GUEST_CR0) & ~vmx_config.cr0_mask) | (vmcs_read(VMCS_CR0_SHADOW) & vmx_config.cr0_mask);
    s->cr4 = (vmcs_read(VMCS_GUEST_CR4) & ~vmx_config.cr4_mask) | (vmcs_read(VMCS_CR4_SHADOW) & vmx_config.cr4_mask);
    s->cr2 = v->live ? read_cr2() : v->msr_live[LIVE_CR2];
}

static void fetch_debug(struct vcpu *v, struct abi_state *s)
{
    DR_FIELDS(FETCH)
    if (v->live)
        vcpu_debug_save(v);
    s->dr6 = v->dr6;
    memcpy(s->dr, v->dr, sizeof(s->dr));
}

static void fetch_rip(struct vmx_vcpu *x, struct abi_state *s)
{
    RIP_FIELDS(FETCH)
    vmx_shadow_settle(x);
    s->shadow = vmcs_read(VMCS_INTERRUPTIBILITY) & SHADOWS;
}

void vmx_fetch(struct vcpu *v, u32 groups)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct abi_state *s = &x->cache;
    u32 missing = groups & ~x->valid;
    if (!missing)
        return;
    x->valid |= missing;
    if (missing & ABI_STATE_RIP)
        fetch_rip(x, s);
    for (u32 i = 0; missing & SEGMENT_GROUPS && i < ABI_SEGS; i++)
        if (segment_group[i] & missing)
            fetch_segment(&s->seg[i], i);
    if (missing & ABI_STATE_CR)
        fetch_control(v, s);
    if (missing & ABI_STATE_SYSTEM) {
        SYSTEM_FIELDS(FETCH)
    }
    if (missing & ABI_STATE_DR)
        fetch_debug(v, s);
    if (missing & ABI_STATE_SYSENTER) {
        SYSENTER_FIELDS(FETCH)
    }
    if (missing & ABI_STATE_SYSCALL) {
        if (v->live)
            vmx_msrs_save(v);
        memcpy(&s->star, v->msr_live, SYSCALL_BYTES);
    }
}

/* Copies groups from one state to another; what is in none of them stays. */
static void state_copy(struct abi_state *to, const struct abi_state *from, u32 groups)
{
    if (groups & ABI_STATE_RIP)
        memcpy(&to->rip, &from->rip, offsetof(struct abi_state, seg));
    for (u32 i = 0; groups & SEGMENT_GROUPS && i < ABI_SEGS; i++)
        if (segment_group[i] & groups)
            to->seg[i] = from->seg[i];
    if (groups & ABI_STATE_SYSTEM) {
        to->gdtr = from->gdtr;
        to->idtr = from->idtr;
    }
    if (groups & ABI_STATE_CR)
        memcpy(&to->cr0, &from->cr0, offsetof(struct abi_state, dr6) - offsetof(struct abi_state, cr0));
    if (groups & ABI_STATE_DR) {
        to->dr6 = from->dr6;
        to->dr7 = from->dr7;
        memcpy(to->dr, from->dr, sizeof(to->dr));
    }
    if (groups & ABI_STATE_SYSENTER)
        memcpy(&to->sysenter_cs, &from->sysenter_cs, offsetof(struct abi_state, star) - offsetof(struct abi_state, sysenter_cs));
    if (groups & ABI_STATE_SYSCALL)
        memcpy(&to->star, &from->star, SYSCALL_BYTES);
}

void vmx_state_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    vmx_fetch(v, groups);
    state_copy(s, &vmx_of(v)->cache, groups);
}

/* ---- Out ----------------------------------------------------------------------------------------------------------------- */

static void put(u32 field, u64 old, u64 new)
{
    if (old != new)
        vmcs_write(field, new);
}

static void store_segment(const struct abi_segment *old, const struct abi_segment *g, u32 i)
{
    put(VMCS_SEG(VMCS_GUEST_BASE, i), old->base, g->base);
    put(VMCS_SEG(VMCS_GUEST_LIMIT, i), old->limit, g->limit);
    put(VMCS_SEG(VMCS_GUEST_ATTR, i), old->attr, g->attr);
    put(VMCS_SEG(VMCS_GUEST_SELECTOR, i), old->selector, g->selector);
}

/* The guest's own writes of CR0, CR3 and CR4 would have dropped its translations; so must these (SDM 3A 4.10.4.1). */
static void store_control(struct vcpu *v, const struct abi_state *old, const struct abi_state *s)
{
    struct vmx_vcpu *x = vmx_of(v);
    CR_FIELDS(STORE)
    if (old->cr0 != s->cr0) {
        vmcs_write(VMCS_GUEST_CR0, (s->cr0 & ~vmx_config.cr0_mask) | vmx_config.cr0_fixed);
        vmcs_write(VMCS_CR0_SHADOW, s->cr0);
    }
    if (old->cr4 != s->cr4) {
        vmcs_write(VMCS_GUEST_CR4, (s->cr4 & ~vmx_config.cr4_mask) | vmx_config.cr4_fixed);
        vmcs_write(VMCS_CR4_SHADOW, s->cr4);
    }
    if ((old->efer ^ s->efer) & EFER_LMA)
        vmcs_write(VMCS_ENTRY, vmx_config.entry | (s->efer & EFER_LMA ? ENTRY_CTL_IA32E : 0));
    if (x->vpid && (old->cr0 != s->cr0 || old->cr3 != s->cr3 || old->cr4 != s->cr4 || old->efer != s->efer))
        invvpid(vmx_config.vpid_single ? VPID_SINGLE : VPID_ALL, x->vpid);
    if (old->cr2 == s->cr2)
        return;
    if (v->live)
        write_cr2(s->cr2);
    else
        v->msr_live[LIVE_CR2] = s->cr2;
}

static void store_debug(struct vcpu *v, const struct abi_state *old, const struct abi_state *s)
{
    DR_FIELDS(STORE)
    v->dr6 = s->dr6;
    memcpy(v->dr, s->dr, sizeof(v->dr));
    if (v->live)
        vcpu_debug_load(v);
}

/* With blocking by STI or MOV SS, VM entry wants a single step that is due to be pending (26.3.1.5). */
static void store_rip(const struct abi_state *old, const struct abi_state *s)
{
    RIP_FIELDS(STORE)
    if (!(old->shadow | s->shadow))
        return;
    vmcs_write(VMCS_INTERRUPTIBILITY, (vmcs_read(VMCS_INTERRUPTIBILITY) & ~(u64)SHADOWS) | s->shadow);
    if (s->shadow)
        vmcs_write(VMCS_PENDING_DEBUG, s->rflags & RFLAGS_TF ? DEBUG_BS : 0);
}

static void store(struct vcpu *v, const struct abi_state *s, u32 groups)
{
    const struct abi_state *old = &vmx_of(v)->cache;
    if (groups & ABI_STATE_RIP)
        store_rip(old, s);
    for (u32 i = 0; groups & SEGMENT_GROUPS && i < ABI_SEGS; i++)
        if (segment_group[i] & groups)
            store_segment(&old->seg[i], &s->seg[i], i);
    if (groups & ABI_STATE_CR)
        store_control(v, old, s);
    if (groups & ABI_STATE_SYSTEM) {
        SYSTEM_FIELDS(STORE)
    }
    if (groups & ABI_STATE_DR)
        store_debug(v, old, s);
    if (groups & ABI_STATE_SYSENTER) {
        SYSENTER_FIELDS(STORE)
    }
    if (groups & ABI_STATE_SYSCALL) {
        memcpy(v->msr_live, &s->star, SYSCALL_BYTES);
        if (v->live)
            vmx_msrs_load(v);
    }
}

static bool pae_paging(const struct abi_state *s)
{
    return s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LMA);
}

/* With EPT, the PDPTEs come from the VMCS (26.3.2.4); ring 0 cannot read them from guest memory. A guest that turns PAE paging on does
 * so by instructions of its own, which load them; only ring 3 could ask for it here. */
static bool pdptes_unknown(const struct abi_state *old, const struct abi_state *s)
{
    return pae_paging(s) && (!pae_paging(old) || old->cr3 != s->cr3);
}

const char *vmx_state_set(struct vcpu *v, const struct abi_state *s, u32 groups)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct abi_state new;
    const char *rule;
    u32 changed = groups;
    vmx_fetch(v, groups);
    if (groups & ABI_STATE_RIP && (x->cache.rflags ^ s->rflags) & RFLAGS_VM)
        changed |= ABI_STATE_CS | ABI_STATE_SEGS; /* other rules hold for them from here on */
    vmx_fetch(v, guest_rule_inputs(changed));
    new = x->cache;
    state_copy(&new, s, groups);
    rule = guest_rule_broken(&new, changed);
    if (!rule && groups & ABI_STATE_CR && pdptes_unknown(&x->cache, &new))
        rule = "PAE paging cannot be turned on from outside: ring 0 does not read the PDPTEs";
    if (rule)
        return rule;
    store(v, &new, groups);
    state_copy(&x->cache, &new, groups);
    return NULL;
}

/* ---- Reset --------------------------------------------------------------------------------------------------------------- */

#define RESET_CR0     (CR0_ET | CR0_NW | CR0_CD)
#define RESET_DATA    0x93u  /* attributes: present, read/write, accessed */
#define RESET_CODE    0x9bu
#define RESET_LDT     0x82u
#define RESET_TSS     0x8bu
#define RESET_LIMIT   0xffffu
#define RESET_DR7     0x400u
#define RESET_DR6     0xffff0ff0u

/* The state of a CPU after reset (SDM 3A table 9-1): CS:RIP = F000:FFF0 at the top of 4 GiB. */
void vmx_reset_state(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct abi_state s = { .rip = 0xfff0, .rflags = RFLAGS_FIXED, .cr0 = RESET_CR0, .dr6 = RESET_DR6, .dr7 = RESET_DR7 };
    for (u32 i = 0; i < ABI_SEGS; i++)
        s.seg[i] = (struct abi_segment){ .limit = RESET_LIMIT, .attr = RESET_DATA };
    s.seg[ABI_CS] = (struct abi_segment){ .base = 0xffff0000, .limit = RESET_LIMIT, .attr = RESET_CODE, .selector = 0xf000 };
    s.seg[ABI_LDTR].attr = RESET_LDT;
    s.seg[ABI_TR].attr = RESET_TSS;
    s.gdtr.limit = s.idtr.limit = RESET_LIMIT;
    vmcs_write(VMCS_GUEST_CR0, vmx_config.cr0_fixed); /* what no difference below would write */
    vmcs_write(VMCS_GUEST_CR4, vmx_config.cr4_fixed);
    vmcs_write(VMCS_ENTRY, vmx_config.entry);
    x->valid = 0;
    vmx_fetch(v, ABI_STATE_ALL);
    store(v, &s, ABI_STATE_ALL);
    x->cache = s;
}
