/* Guest state in groups, between the current VMCS and its neutral form. */
#include "kernel/gueststate.h"
#include "vmx/vmx.h"

#define SYSCALL_BYTES (offsetof(struct abi_state, dr) - offsetof(struct abi_state, star))

/* Fields that are copied as they are, by group: X(field, member of struct abi_state). */
#define SYSTEM_FIELDS(X)   X(VMCS_GUEST_GDTR_BASE, gdtr.base) X(VMCS_GUEST_GDTR_LIMIT, gdtr.limit) \
                           X(VMCS_GUEST_IDTR_BASE, idtr.base) X(VMCS_GUEST_IDTR_LIMIT, idtr.limit)
#define SYSENTER_FIELDS(X) X(VMCS_GUEST_SYSENTER_CS, sysenter_cs) X(VMCS_GUEST_SYSENTER_ESP, sysenter_esp) \
                           X(VMCS_GUEST_SYSENTER_EIP, sysenter_eip)
#define SEGMENT_FIELDS(X)  X(VMCS_SEG(VMCS_GUEST_BASE, i), seg[i].base) X(VMCS_SEG(VMCS_GUEST_LIMIT, i), seg[i].limit) \
                           X(VMCS_SEG(VMCS_GUEST_ATTR, i), seg[i].attr) X(VMCS_SEG(VMCS_GUEST_SELECTOR, i), seg[i].selector)
#define FETCH(field, member) s->member = (__typeof__(s->member))vmcs_read(field);
#define STORE(field, member) vmcs_write(field, s->member);

/* An advance ends the shadow that the exited instruction may have run in, but clearing it there would cost two accesses on every exit.
 * It is cleared before anything that depends on it: here (state, acceptance of an interrupt), while a window exit is armed, and for
 * a single step. In between it delays nothing but a guest's own data or instruction breakpoint behind "MOV SS; trapped instruction". */
void vmx_shadow_settle(struct vcpu *v)
{
    u64 now;
    if (!(v->cached & VMX_ADVANCED))
        return;
    v->cached &= ~(u32)VMX_ADVANCED;
    now = vmcs_read(VMCS_INTERRUPTIBILITY);
    if (now & VMX_SHADOWS)
        vmcs_write(VMCS_INTERRUPTIBILITY, now & ~VMX_SHADOWS);
}

/* ---- In ------------------------------------------------------------------------------------------------------------------ */

/* Only the registers of the CPU hold, while the vcpu is loaded: CR2, debug registers but DR7, MSRs that no entry or exit switches. */
void vmx_state_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    if (groups & ABI_STATE_RIP)
        vmx_shadow_settle(v);
    vmx_code_get(v, s, groups);
    for (u32 left = state_segments(groups & ~ABI_STATE_CS); left; left &= left - 1)
        vmx_segment_get(&s->seg[__builtin_ctz(left)], (u32)__builtin_ctz(left));
    if (groups & ABI_STATE_SYSTEM) {
        SYSTEM_FIELDS(FETCH)
    }
    if (groups & ABI_STATE_SYSENTER) {
        SYSENTER_FIELDS(FETCH)
    }
    if (groups & ABI_STATE_SYSCALL) {
        if (v->live)
            vmx_msrs_save(v);
        memcpy(&s->star, v->msr_live, SYSCALL_BYTES);
    }
    if (groups & ABI_STATE_DR) {
        if (v->live)
            vcpu_debug_save(v);
        s->dr6 = v->dr6;
        s->dr7 = vmcs_read(VMCS_GUEST_DR7);
        memcpy(s->dr, v->dr, sizeof(s->dr));
    }
}

/* ---- Out ----------------------------------------------------------------------------------------------------------------- */

void vmx_own_set(struct vmx_vcpu *x, u32 cr, u64 value)
{
    vmcs_write(cr == 0 ? VMCS_CR0_SHADOW : VMCS_CR4_SHADOW, value);
    if (cr == 0)
        x->cr0_own = value & ~vmx_config.cr0_guest;
    else
        x->cr4_own = value & ~vmx_config.cr4_guest;
}

/* The guest's own writes of CR0, CR3 and CR4 would have dropped its translations; so must these (SDM 3A 4.10.4.1). */
static void store_control(struct vcpu *v, const struct abi_state *s)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct abi_state old;
    vmx_code_get(v, &old, ABI_STATE_CR);
    if (x->vpid && (old.cr0 != s->cr0 || old.cr3 != s->cr3 || old.cr4 != s->cr4 || old.efer != s->efer))
        invvpid(vmx_config.vpid_single ? VPID_SINGLE : VPID_ALL, x->vpid);
    vmcs_write(VMCS_GUEST_CR3, s->cr3);
    vmcs_write(VMCS_GUEST_EFER, s->efer);
    x->efer = s->efer & ~EFER_LMA;
    vmcs_write(VMCS_GUEST_CR0, (s->cr0 & vmx_config.cr0_guest) | vmx_config.cr0_fixed);
    vmx_own_set(x, 0, s->cr0);
    vmcs_write(VMCS_GUEST_CR4, (s->cr4 & vmx_config.cr4_guest) | vmx_config.cr4_fixed);
    vmx_own_set(x, 4, s->cr4);
    vmcs_write(VMCS_ENTRY, vmx_config.entry | (s->efer & EFER_LMA ? ENTRY_CTL_IA32E : 0));
    v->msr_live[LIVE_CR2] = s->cr2;
    if (v->live)
        write_cr2(s->cr2);
}

/* Of the interruptibility field the guest's shadows alone: blocking of NMIs would be the host's too. With a shadow, VM entry wants a single
 * step that is due to be pending (26.3.1.5). */
static void store_rip(const struct abi_state *s)
{
    u64 now = vmcs_read(VMCS_INTERRUPTIBILITY);
    STORE(VMCS_GUEST_RIP, rip) STORE(VMCS_GUEST_RSP, rsp) STORE(VMCS_GUEST_RFLAGS, rflags)
    if (!((now | s->shadow) & VMX_SHADOWS))
        return;
    vmcs_write(VMCS_INTERRUPTIBILITY, (now & ~VMX_SHADOWS) | (s->shadow & VMX_SHADOWS));
    if (s->shadow & VMX_SHADOWS)
        vmcs_write(VMCS_PENDING_DEBUG, s->rflags & RFLAGS_TF ? DEBUG_BS : 0);
}

static void store(struct vcpu *v, const struct abi_state *s, u32 groups)
{
    if (groups & ABI_STATE_RIP)
        store_rip(s);
    for (u32 left = state_segments(groups), i; left; left &= left - 1) {
        i = (u32)__builtin_ctz(left);
        SEGMENT_FIELDS(STORE)
    }
    if (groups & ABI_STATE_CR)
        store_control(v, s);
    if (groups & ABI_STATE_SYSTEM) {
        SYSTEM_FIELDS(STORE)
    }
    if (groups & ABI_STATE_SYSENTER) {
        SYSENTER_FIELDS(STORE)
    }
    if (groups & ABI_STATE_SYSCALL) {
        memcpy(v->msr_live, &s->star, SYSCALL_BYTES);
        if (v->live)
            vmx_msrs_load(v);
    }
    if (groups & ABI_STATE_DR) {
        vmcs_write(VMCS_GUEST_DR7, s->dr7);
        v->dr6 = s->dr6;
        memcpy(v->dr, s->dr, sizeof(v->dr));
        if (v->live)
            vcpu_debug_load(v);
    }
}

/* given may be the page shared with ring 3: what is looked at is a copy. */
const char *vmx_state_set(struct vcpu *v, const struct abi_state *given, u32 groups)
{
    struct abi_state s;
    const char *refused;
    if (groups == ABI_STATE_RIP && v->cached & VMX_SEEN && vmx_moved(v, given))
        return NULL;
    s = *given;
    refused = state_refused(&s, groups);
    if (refused)
        return refused;
    if (groups & ABI_STATE_RIP)
        v->cached = 0;
    store(v, &s, groups);
    return NULL;
}
