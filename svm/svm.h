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

static inline struct vmcb *vcpu_vmcb(const struct vcpu *v) { return v->hvm; }

/* state.c: struct hvm_ops, state_get and state_set. FS, GS, LDTR, TR and SYSENTER are those of the last VMSAVE: the run loop does it
 * before anything that asks for them. */
void svm_state_get(struct vcpu *v, struct abi_state *s, u32 groups);
const char *svm_state_set(struct vcpu *v, const struct abi_state *s, u32 groups);

/* attrib bits 8-11 are abi attr bits 12-15; a segment without P is what VMX calls unusable. */
static inline void svm_segment_get(struct abi_segment *to, const struct vmcb_segment *from, u32 attrib)
{
    to->base = from->base;
    to->limit = from->limit;
    to->attr = (attrib & 0xff) | (attrib & 0xf00) << 4;
    if (unlikely(!(attrib & VMCB_SEG_P)))
        to->attr |= ABI_SEG_UNUSABLE;
    to->selector = from->selector;
}

_Static_assert(VMCB_SHADOW == ABI_SHADOW_STI, "one bit for both kinds (APM2 15.21.5)");

/* The groups of STATE_CODE among these. */
static inline __attribute__((always_inline)) void svm_code_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    const struct vmcb *c = vcpu_vmcb(v);
    const struct vmcb_save *g = &c->save;
    if (groups & ABI_STATE_RIP) {
        s->rip = g->rip;
        s->rsp = g->rsp;
        s->rflags = g->rflags;
        s->shadow = c->int_shadow & VMCB_SHADOW;
    }
    if (groups & ABI_STATE_CS) { /* the CPL is a field of its own: SYSRET leaves SS.DPL as it was (APM2 15.5.1) */
        svm_segment_get(&s->seg[ABI_CS], &g->cs, g->cs.attrib);
        svm_segment_get(&s->seg[ABI_SS], &g->ss, (g->ss.attrib & ~VMCB_SEG_DPL) | (u32)g->cpl << 5);
    }
    if (groups & ABI_STATE_CR) {
        s->cr0 = g->cr0;
        s->cr2 = g->cr2;
        s->cr3 = g->cr3;
        s->cr4 = g->cr4;
        s->efer = g->efer & ~EFER_SVME; /* VMRUN wants it set; the guest does not have it */
    }
}

/* As the emulator nearly always leaves it: RIP moved on, perhaps RSP and flags. A RIP that keeps its upper half is as legal as it was. */
static inline bool svm_moved(struct vcpu *v, const struct abi_state *s)
{
    const struct vmcb *c = vcpu_vmcb(v);
    struct vmcb_save *g = &vcpu_vmcb(v)->save;
    u64 rip = READ_ONCE(s->rip), rflags = READ_ONCE(s->rflags);
    if (unlikely((rip ^ g->rip) >> 32 || (rflags ^ g->rflags) & ~RFLAGS_FREE || READ_ONCE(s->shadow) || c->int_shadow))
        return false;
    g->rip = rip;
    g->rsp = READ_ONCE(s->rsp);
    g->rflags = rflags;
    return true;
}

/* Decode assist: the bytes of the instruction that faulted (APM2 15.8.4). */
static inline void svm_insn_give(struct vcpu *v, const struct vmcb *c)
{
    v->frame->insn_bytes = 0;
    if (!svm_features.decode || c->fetched > sizeof(c->insn))
        return;
    v->frame->insn_bytes = c->fetched;
    __builtin_memcpy(v->frame->insn, c->insn, sizeof(c->insn));
}

#define SVM_HALT_AWAKE 1u /* v->exit.flags of EXIT_HLT: do not sleep */
#define SVM_LENGTH_MAX 15u

/* IN, OUT, INS, OUTS (APM2 15.10.2): EXITINFO2 is the next RIP, on every CPU. */
_Static_assert(ABI_PORT_IN == IOIO_IN && ABI_PORT_STRING == IOIO_STRING >> 1 && ABI_PORT_REP == IOIO_REP >> 1, "svm_decode_port");

static inline void svm_decode_port(struct vcpu *v, const struct vmcb *c)
{
    struct abi_frame *f = v->frame;
    u64 info = c->exit_info1;
    f->port = (u16)(info >> IOIO_PORT_SHIFT);
    f->size = info >> IOIO_SIZE_SHIFT & 7;
    f->flags = (u8)((info & IOIO_IN) | (info >> 1 & (ABI_PORT_STRING | ABI_PORT_REP))); /* STR and REP are one bit higher */
    v->exit.length = (u32)(c->exit_info2 - c->save.rip) & SVM_LENGTH_MAX;
}

/* exits.c: makes the guest exit for every code that has a handler there. */
void svm_intercept_rows(struct vmcb *c, bool forced);

/* Fills v->exit from the VMCB. True: the handler may run while the guest's VMLOAD state is live and GIF = 0. */
bool svm_exit_decode(struct vcpu *v);

/* enter.asm: runs the guest until its next exit. GIF = 0 and the guest's VMLOAD state live, before and after. */
static inline void svm_enter(struct vcpu *v)
{
    __asm__ volatile("call svm_enter_guest" : : "b"(v) : LOST_REGISTERS);
}

#endif
