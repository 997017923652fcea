/* What the files of svm/ share; nothing outside includes it. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "depriv/gate.h"
#include "kernel/vcpu.h"
#include "svm/vmcb.h"

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    BIT(4)

/* CPUID 8000_000Ah: what may be used only where it is offered. */
struct svm_features {
    bool nrips;         /* EDX[3] next RIP in the VMCB */
    bool flush_asid;    /* EDX[6] */
    bool decode;        /* EDX[7] instruction bytes with a nested page fault */
    u32 clean_mask;     /* EDX[5] VMCB clean bits: what an unchanged VMCB says, or 0 */
    u32 asids;          /* EBX: 0 is the host's */
};
extern struct svm_features svm_features;

/* code: VMEXIT_EXCP to VMEXIT_INTERCEPTS - 1. */
static inline bool svm_intercepted(const struct vmcb *c, u32 code) { return c->intercepts[(code - VMEXIT_EXCP) / 32] >> code % 32 & 1; }
static inline struct vmcb *vcpu_vmcb(const struct vcpu *v) { return v->hvm; }

/* state.c: struct hvm_ops, state_get and state_set. FS, GS, LDTR, TR and SYSENTER are those of the last VMSAVE: the run loop does it
 * before anything that asks for them. */
void svm_state_get(struct vcpu *v, struct abi_state *s, u32 groups);
const char *svm_state_set(struct vcpu *v, const struct abi_state *s, u32 groups);

/* entrycheck.c: why VMRUN refused, the rule of APM2 15.5.1 that is broken. */
const char *svm_entry_broken(struct vcpu *v);

#define SVM_HALT_AWAKE 1u /* v->exit.flags of EXIT_HLT: do not sleep */
#define SVM_LENGTH_MAX 15u

/* EXITINFO2 is the next RIP, on every CPU (APM2 15.10.2). */
_Static_assert(ABI_PORT_IN == IOIO_IN && ABI_PORT_STRING == IOIO_STRING >> 1 && ABI_PORT_REP == IOIO_REP >> 1, "svm_decode_port");

static inline void svm_decode_port(struct exit_info *e, struct vmcb *c)
{
    u64 info = c->exit_info1;
    e->port = (u16)(info >> IOIO_PORT_SHIFT);
    e->size = info >> IOIO_SIZE_SHIFT & 7;
    e->flags = (u8)((info & IOIO_IN) | (info >> 1 & (ABI_PORT_STRING | ABI_PORT_REP))); /* STR and REP are one bit higher */
    e->length = (u32)(c->exit_info2 - c->save.rip) & SVM_LENGTH_MAX;
}

/* The hot cause, without the table: IN or OUT with no interrupt shadow. False: svm_exit_decode() is needed. */
static inline bool svm_port_exit(struct vcpu *v, struct vmcb *c)
{
    if (unlikely((u32)c->exit_code != VMEXIT_IOIO || c->exit_info1 & IOIO_STRING || c->int_shadow))
        return false;
    v->exit.reason = VMEXIT_IOIO;
    v->exit.kind = EXIT_PORT;
    svm_decode_port(&v->exit, c);
    return true;
}

/* exits.c: makes the guest exit for every code that has a handler there. */
void svm_intercept_rows(struct vmcb *c, bool forced);

/* Fills v->exit from the VMCB. True: the handler may run while the guest's VMLOAD state is live and GIF = 0. */
bool svm_exit_decode(struct vcpu *v);

/* enter.asm: runs the guest until its next exit. GIF = 0 and the guest's VMLOAD state live, before and after. */
static inline void svm_enter(struct vcpu *v)
{
    __asm__ volatile("call svm_enter_guest" : "+D"(v) : : "rax", LOST_REGISTERS);
}

#endif
