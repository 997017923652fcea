/* Guest state by groups, between depriv/abi.h's form and the VMCB's. Ring 0, interrupts off. FS, GS, LDTR, TR, SYSENTER and SYSCALL are in
 * the VMCB since the last VMSAVE: the run loop does it before ring 3 runs. */
#include "kernel/gueststate.h"
#include "svm/svm.h"

/* In the order that the VMCB has. */
#define SYSENTER_BYTES (offsetof(struct abi_state, star) - offsetof(struct abi_state, sysenter_cs))
#define SYSCALL_BYTES  (offsetof(struct abi_state, dr) - offsetof(struct abi_state, star))

static struct vmcb_segment *segment_at(struct vmcb_save *g, u32 i)
{
    static const u16 offset[ABI_SEGS] = {
        [ABI_ES] = offsetof(struct vmcb_save, es), [ABI_CS] = offsetof(struct vmcb_save, cs), [ABI_SS] = offsetof(struct vmcb_save, ss),
        [ABI_DS] = offsetof(struct vmcb_save, ds), [ABI_FS] = offsetof(struct vmcb_save, fs), [ABI_GS] = offsetof(struct vmcb_save, gs),
        [ABI_LDTR] = offsetof(struct vmcb_save, ldtr), [ABI_TR] = offsetof(struct vmcb_save, tr),
    };
    return (struct vmcb_segment *)((u8 *)g + offset[i]);
}

static struct vmcb_segment segment_set(const struct abi_segment *from)
{
    u32 attrib = (from->attr & 0xff) | (from->attr >> 4 & 0xf00);
    if (from->attr & ABI_SEG_UNUSABLE)
        attrib &= ~(u32)VMCB_SEG_P;
    return (struct vmcb_segment){ .selector = from->selector, .attrib = (u16)attrib, .limit = from->limit, .base = from->base };
}

void svm_state_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct vmcb_save *g = &c->save;
    svm_code_get(v, s, groups);
    for (u32 left = state_segments(groups & ~ABI_STATE_CS); left; left &= left - 1) {
        const struct vmcb_segment *from = segment_at(g, (u32)__builtin_ctz(left));
        svm_segment_get(&s->seg[__builtin_ctz(left)], from, from->attrib);
    }
    if (groups & ABI_STATE_SYSTEM) {
        s->gdtr = (struct abi_table){ .base = g->gdtr.base, .limit = g->gdtr.limit };
        s->idtr = (struct abi_table){ .base = g->idtr.base, .limit = g->idtr.limit };
    }
    if (groups & ABI_STATE_DR) {
        if (v->live)
            vcpu_debug_save(v);
        memcpy(s->dr, v->dr, sizeof(s->dr));
        s->dr6 = g->dr6;
        s->dr7 = g->dr7;
    }
    if (groups & ABI_STATE_SYSENTER)
        memcpy(&s->sysenter_cs, &g->sysenter_cs, SYSENTER_BYTES);
    if (groups & ABI_STATE_SYSCALL)
        memcpy(&s->star, &g->star, SYSCALL_BYTES);
}

/* A new address space, or new rules for this one: the TLB knows them by the ASID alone. MOV to CR would have flushed (APM2 5.5.2). */
static void control_set(struct vmcb *c, const struct abi_state *s)
{
    struct vmcb_save *g = &c->save;
    u64 cr0 = s->cr0 | CR0_ET, efer = s->efer | EFER_SVME; /* ET reads as one */
    if (g->cr0 != cr0 || g->cr3 != s->cr3 || g->cr4 != s->cr4 || g->efer != efer)
        c->tlb_control = svm_features.flush_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
    g->cr0 = cr0;
    g->cr2 = s->cr2;
    g->cr3 = s->cr3;
    g->cr4 = s->cr4;
    g->efer = efer;
    c->clean &= ~(u32)(CLEAN_CR | CLEAN_CR2 | CLEAN_SEG);
}

/* SS.DPL says the CPL, but in real mode (0) and virtual-8086 mode (3); without a new SS it stays, unless the mode is another. */
static void cpl_set(struct vmcb *c, u32 groups)
{
    struct vmcb_save *g = &c->save;
    if (!(g->cr0 & CR0_PE))
        g->cpl = 0;
    else if (g->rflags & RFLAGS_VM)
        g->cpl = 3;
    else if (groups & ABI_STATE_CS)
        g->cpl = g->ss.attrib >> 5 & 3;
    c->clean &= ~(u32)CLEAN_SEG;
}

static void state_store(struct vcpu *v, const struct abi_state *s, u32 groups)
{
    struct vmcb *c = vcpu_vmcb(v);
    if (groups & ABI_STATE_RIP) {
        c->save.rip = s->rip;
        c->save.rsp = s->rsp;
        c->save.rflags = s->rflags;
        c->int_shadow = (c->int_shadow & ~VMCB_SHADOW) | (s->shadow ? VMCB_SHADOW : 0);
    }
    for (u32 left = state_segments(groups); left; left &= left - 1)
        *segment_at(&c->save, (u32)__builtin_ctz(left)) = segment_set(&s->seg[__builtin_ctz(left)]);
    if (groups & ABI_STATE_SYSTEM) {
        c->save.gdtr = (struct vmcb_segment){ .base = s->gdtr.base, .limit = s->gdtr.limit };
        c->save.idtr = (struct vmcb_segment){ .base = s->idtr.base, .limit = s->idtr.limit };
        c->clean &= ~(u32)CLEAN_DT;
    }
    if (groups & ABI_STATE_CR)
        control_set(c, s);
    if (groups & ABI_STATE_DR) {
        memcpy(v->dr, s->dr, sizeof(v->dr));
        if (v->live)
            vcpu_debug_load(v);
        c->save.dr6 = s->dr6;
        c->save.dr7 = s->dr7;
        c->clean &= ~(u32)CLEAN_DR;
    }
    if (groups & ABI_STATE_SYSENTER)
        memcpy(&c->save.sysenter_cs, &s->sysenter_cs, SYSENTER_BYTES);
    if (groups & ABI_STATE_SYSCALL)
        memcpy(&c->save.star, &s->star, SYSCALL_BYTES);
    if (groups & (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_CR))
        cpl_set(c, groups);
}

/* given may be the page shared with ring 3: what is looked at is a copy. */
const char *svm_state_set(struct vcpu *v, const struct abi_state *given, u32 groups)
{
    struct abi_state s;
    const char *refused;
    if (groups == ABI_STATE_RIP && svm_moved(v, given))
        return NULL;
    s = *given;
    refused = state_refused(&s, groups);
    if (!refused)
        state_store(v, &s, groups);
    return refused;
}
