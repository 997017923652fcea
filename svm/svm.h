/* What the files of svm/ share; nothing outside includes it. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "depriv/gate.h"
#include "kernel/vcpu.h"
#include "svm/vmcb.h"

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    BIT(4)
#define DR6_BS          BIT(14)
#define DR7_GD          BIT(13)

/* CPUID 8000_000Ah: what may be used only where it is offered. */
struct svm_features {
    bool nrips;         /* EDX[3] next RIP in the VMCB */
    bool clean;         /* EDX[5] VMCB clean bits */
    bool flush_asid;    /* EDX[6] */
    bool decode;        /* EDX[7] instruction bytes with a nested page fault */
    u32 asids;          /* EBX: 0 is the host's */
};
extern struct svm_features svm_features;

static inline struct vmcb *vcpu_vmcb(const struct vcpu *v) { return v->hvm; }

/* state.c: struct hvm_ops, state_get and state_set. FS, GS, LDTR, TR and SYSENTER are those of the last VMSAVE: the run loop does it
 * before anything that asks for them. */
void svm_state_get(struct vcpu *v, struct abi_state *s, u32 groups);
const char *svm_state_set(struct vcpu *v, const struct abi_state *s, u32 groups);

/* entrycheck.c: NULL, or the rule of APM2 15.5.1 that is broken. */
const char *svm_save_broken(const struct vmcb_save *g); /* rules on guest state */
const char *svm_entry_broken(const struct vmcb *c);     /* all: why VMRUN refused */
bool svm_address_canonical(const struct vmcb_save *g, u64 address);

#define SVM_HALT_AWAKE 1u /* v->exit.flags of EXIT_HLT: do not sleep */
/* exits.c: fills v->exit from the VMCB. True: the handler may run while the guest's VMLOAD state is live and GIF = 0. */
bool svm_exit_decode(struct vcpu *v);

/* npt.c */
u64 svm_nested_entry(bool leaf, bool write);

/* enter.asm: runs the guest until its next exit. GIF = 0 and the guest's VMLOAD state live, before and after. */
static inline void svm_enter(struct vcpu *v)
{
    __asm__ volatile("call svm_enter_guest" : "+D"(v) : : "rax", LOST_REGISTERS);
}

#endif
