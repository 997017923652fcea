/* What the files of vmx/ share: the vendor's part of a vcpu, the controls in use, the short ways. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "depriv/gate.h"
#include "kernel/vcpu.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"

/* MSRs that stay the guest's while the vcpu is loaded, those of ABI_STATE_SYSCALL in their order there: index in vcpu.msr_live[]. CR2
 * likewise: no VMCS field has it. */
enum { LIVE_STAR, LIVE_LSTAR, LIVE_CSTAR, LIVE_FMASK, LIVE_KERNEL_GS_BASE, LIVE_MSRS, LIVE_CR2 = LIVE_MSRS };

/* The page behind the VMCS. The CPU itself uses its start as the virtual-APIC page: with the TPR shadow and no other APIC
 * virtualization that is the TPR at 0x80 alone (SDM 3C 24.6.8, 29.1.1), so MOV CR8 reads and writes storage of this vcpu. */
struct vmx_vcpu {
    u8 virtual_apic[0x400];     /* 0x000 */
    u32 proc;                   /* 0x400 primary controls as the VMCS holds them */
    u32 vpid;                   /* 0: the CPU has none */
    u64 cr0_own, cr4_own;       /* the guest's value of the bits that the host owns */
    u64 efer;                   /* the guest's, without LMA, which CR0.PG decides: no instruction of its own can change the rest */
    struct cpu *last_cpu;       /* whose addresses the host-state area holds */
    u64 rip, rsp, rflags, shadow; /* VMX_SEEN */
};
_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "one page");

/* vcpu.cached; 0 after an exit. SEEN: RIP, RSP, RFLAGS and the shadow are as in the VMCS. ADVANCED: RIP was, so that the interruptibility
 * field speaks of the instruction before. */
enum { VMX_SEEN = 1, VMX_ADVANCED };
#define VMX_SHADOWS ((u64)(ABI_SHADOW_STI | ABI_SHADOW_MOVSS)) /* bits 0 and 1 of the interruptibility field, table 24-3 */

/* The controls that every vcpu has, and the bits of CR0 and CR4 that the host owns; probe() fills it. */
struct vmx_config {
    u32 revision;
    u32 pin, proc, proc2, exit, entry;
    u64 cr0_guest, cr0_fixed;   /* bits that are the guest's own; the value that the others really have */
    u64 cr4_guest, cr4_fixed;
    u64 eptp;                   /* but for the table's address */
    u32 timer;                  /* VMX-preemption timer: see exits.c */
    bool vpid_single;
};
extern struct vmx_config vmx_config;

u64 vmx_capability(u32 msr); /* MSR_VMX_*, of controls the form without default-1 bits where the CPU has it */

static inline struct vmx_vcpu *vmx_of(struct vcpu *v) { return (struct vmx_vcpu *)((char *)v->hvm + PAGE_SIZE); }

void vmx_msrs_save(struct vcpu *v);       /* live MSRs, from the registers of this CPU to msr_live[] and back */
void vmx_msrs_load(const struct vcpu *v);

/* state.c, on the current VMCS. */
void vmx_state_get(struct vcpu *v, struct abi_state *s, u32 groups);
const char *vmx_state_set(struct vcpu *v, const struct abi_state *s, u32 groups);
void vmx_own_set(struct vmx_vcpu *x, u32 cr, u64 value); /* what the guest reads in the bits of CR0 or CR4 that the host owns */
void vmx_shadow_settle(struct vcpu *v);               /* clears the interruptibility field if an advance made it stale */

/* Fields in the order of their offsets, since each is written as 8 bytes. */
static inline void vmx_segment_get(struct abi_segment *g, u32 n)
{
    vmcs_copy(VMCS_SEG(VMCS_GUEST_BASE, n), &g->base);
    vmcs_copy(VMCS_SEG(VMCS_GUEST_LIMIT, n), &g->limit);
    vmcs_copy(VMCS_SEG(VMCS_GUEST_ATTR, n), &g->attr);
    vmcs_copy(VMCS_SEG(VMCS_GUEST_SELECTOR, n), &g->selector);
}

/* The groups of STATE_CODE among these, where RIP was not advanced. Bits of CR0 and CR4 that the host owns are as the guest wrote them (24.6.6). */
static inline __attribute__((always_inline)) void vmx_code_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    struct vmx_vcpu *x = vmx_of(v);
    if (groups & ABI_STATE_RIP) {
        s->rip = x->rip = vmcs_read(VMCS_GUEST_RIP);
        s->rsp = x->rsp = vmcs_read(VMCS_GUEST_RSP);
        s->rflags = x->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
        s->shadow = x->shadow = vmcs_read(VMCS_INTERRUPTIBILITY) & VMX_SHADOWS;
        v->cached = VMX_SEEN;
    }
    if (groups & ABI_STATE_CS) {
        vmx_segment_get(&s->seg[ABI_CS], ABI_CS);
        vmx_segment_get(&s->seg[ABI_SS], ABI_SS);
    }
    if (groups & ABI_STATE_CR) {
        u64 cr0 = (vmcs_read(VMCS_GUEST_CR0) & vmx_config.cr0_guest) | x->cr0_own;
        s->cr0 = cr0;
        s->cr2 = v->live ? read_cr2() : v->msr_live[LIVE_CR2];
        s->cr3 = vmcs_read(VMCS_GUEST_CR3);
        s->cr4 = (vmcs_read(VMCS_GUEST_CR4) & vmx_config.cr4_guest) | x->cr4_own;
        s->efer = x->efer | (cr0 & CR0_PG && x->efer & EFER_LME ? EFER_LMA : 0);
    }
}

/* What nearly every reply of the emulator is, by what vmx_rip_get() saw: RIP moved on, perhaps RSP and flags. A RIP that keeps
 * its upper half is as legal as it was. */
static inline bool vmx_moved(struct vcpu *v, const struct abi_state *s)
{
    const struct vmx_vcpu *x = vmx_of(v);
    u64 rip = READ_ONCE(s->rip), rsp = READ_ONCE(s->rsp), rflags = READ_ONCE(s->rflags);
    if (unlikely((rip ^ x->rip) >> 32 || (rflags ^ x->rflags) & ~RFLAGS_FREE || READ_ONCE(s->shadow) | x->shadow))
        return false;
    vmcs_write(VMCS_GUEST_RIP, rip);
    if (unlikely(rsp != x->rsp))
        vmcs_write(VMCS_GUEST_RSP, rsp);
    if (unlikely(rflags != x->rflags))
        vmcs_write(VMCS_GUEST_RFLAGS, rflags);
    v->cached = 0;
    return true;
}

/* exits.c: fills v->exit from the exit that just happened, but for port I/O. */
void vmx_decode(struct vcpu *v, u32 reason);

/* enter.asm. True: VM entry failed by VMfail, and nothing ran. */
static inline bool vmx_enter(struct vcpu *v)
{
    bool failed;
    __asm__ volatile("call vmx_enter_guest" : "=@ccc"(failed) : "b"(v) : LOST_REGISTERS);
    return failed;
}
extern u8 vmx_exit_entry[];

#endif
