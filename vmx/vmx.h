/* What the files of vmx/ share: the vendor's part of a vcpu, the controls in use, the rules of VM entry. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/vcpu.h"

/* MSRs that stay the guest's while the vcpu is loaded, those of ABI_STATE_SYSCALL in their order there: index in vcpu.msr_live[]. CR2
 * likewise: no VMCS field has it. */
enum { LIVE_STAR, LIVE_LSTAR, LIVE_CSTAR, LIVE_FMASK, LIVE_KERNEL_GS_BASE, LIVE_MSRS, LIVE_CR2 = LIVE_MSRS };

/* The page behind the VMCS. The CPU itself uses its start as the virtual-APIC page: with the TPR shadow and no other APIC
 * virtualization that is the TPR at 0x80 alone (SDM 3C 24.6.8, 29.1.1), so MOV CR8 reads and writes storage of this vcpu. */
struct vmx_vcpu {
    u8 virtual_apic[0x400];     /* 0x000 */
    u64 host_rsp;               /* 0x400 HOST_RSP as the VMCS holds it */
    u32 valid;                  /* ABI_STATE_* groups of cache that are as in the VMCS; none after an exit */
    u32 proc;                   /* primary controls as the VMCS holds them */
    bool shadow_stale;          /* RIP was advanced: the interruptibility field speaks of the instruction before */
    u32 vpid;                   /* 0: the CPU has none */
    struct cpu *last_cpu;       /* whose addresses the host-state area holds */
    struct abi_state cache;
};
_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "one page");

/* The controls that every vcpu has, and the bits of CR0 and CR4 that the host owns; probe() fills it. */
struct vmx_config {
    u32 revision;
    u32 pin, proc, proc2, exit, entry;
    u64 cr0_mask, cr0_fixed;    /* owned; the value that owned bits really have */
    u64 cr4_mask, cr4_fixed;
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
void vmx_fetch(struct vcpu *v, u32 groups);           /* makes these groups of the cache valid */
void vmx_state_get(struct vcpu *v, struct abi_state *s, u32 groups);
const char *vmx_state_set(struct vcpu *v, const struct abi_state *s, u32 groups);
void vmx_shadow_settle(struct vmx_vcpu *x);           /* clears the interruptibility field if an advance made it stale */

/* entrycheck.c */
const char *vmx_rule_broken(const struct abi_state *s, u32 groups);   /* as guest_rule_broken(), with what only VMX checks */
const char *vmx_rip_broken(const struct abi_state *s, const struct abi_state *mode); /* guest_rip_broken(); mode: has CS, CR4, EFER */
const char *entry_failure(struct vcpu *v, u32 reason); /* why the last VM entry failed; reason: exit reason, 0: VMfail */

/* exits.c: fills v->exit from the exit that just happened. */
void vmx_decode(struct vcpu *v);
void vmx_advance(struct vcpu *v);

/* enter.asm: 0: the guest ran and exited; 1: VMfailValid, 2: VMfailInvalid. */
static inline int vmx_enter(struct vcpu *v, u64 *host_rsp)
{
    int rc;
    __asm__ volatile("call vmx_enter_guest" : "=a"(rc), "+D"(v), "+S"(host_rsp) : :
                     "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
    return rc;
}
extern u8 vmx_exit_entry[];

#endif
