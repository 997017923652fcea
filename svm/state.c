/* Guest state by groups, between depriv/abi.h's form and the VMCB's; what ring 3 hands back is checked before it is written.
 * Ring 0, interrupts off. FS, GS, LDTR, TR and SYSENTER are in the VMCB since the last VMSAVE: the run loop does it before ring 3 runs. */
#include "kernel/policy.h"
#include "svm/svm.h"

#define RFLAGS_GUEST  0x003f7fd5ull /* all that are not fixed (APM2 3.1.4) */
#define ATTR_KNOWN    (0xf0ffu | ABI_SEG_UNUSABLE)
#define ATTR_DPL(dpl) ((u32)(dpl) << 5)
#define TABLE_LIMIT   0xffffu
#define SYSCALL_BYTES (offsetof(struct abi_state, dr) - offsetof(struct abi_state, star)) /* both forms have the same order */
#define SHADOW_KNOWN  (ABI_SHADOW_STI | ABI_SHADOW_MOVSS)

/* Where each segment is in the save area, and the group it moves with. */
static const struct segment_row { u16 offset; u16 group; } segments[ABI_SEGS] = {
    [ABI_ES]   = { offsetof(struct vmcb_save, es),   ABI_STATE_SEGS },
    [ABI_CS]   = { offsetof(struct vmcb_save, cs),   ABI_STATE_CS },
    [ABI_SS]   = { offsetof(struct vmcb_save, ss),   ABI_STATE_CS },
    [ABI_DS]   = { offsetof(struct vmcb_save, ds),   ABI_STATE_SEGS },
    [ABI_FS]   = { offsetof(struct vmcb_save, fs),   ABI_STATE_SEGS },
    [ABI_GS]   = { offsetof(struct vmcb_save, gs),   ABI_STATE_SEGS },
    [ABI_LDTR] = { offsetof(struct vmcb_save, ldtr), ABI_STATE_SYSTEM },
    [ABI_TR]   = { offsetof(struct vmcb_save, tr),   ABI_STATE_SYSTEM },
};

static struct vmcb_segment *segment_at(struct vmcb_save *g, u32 i)
{
    return (struct vmcb_segment *)((u8 *)g + segments[i].offset);
}

/* attrib bits 8-11 are abi attr bits 12-15; a segment without P is what VMX calls unusable. */
static struct abi_segment segment_get(const struct vmcb_segment *from)
{
    u32 attr = (from->attrib & 0xffu) | (from->attrib & 0xf00u) << 4;
    return (struct abi_segment){
        .base = from->base, .limit = from->limit, .selector = from->selector,
        .attr = attr | (from->attrib & VMCB_SEG_P ? 0 : ABI_SEG_UNUSABLE),
    };
}

static struct vmcb_segment segment_set(const struct abi_segment *from)
{
    u32 attrib = (from->attr & 0xff) | (from->attr >> 4 & 0xf00);
    if (from->attr & ABI_SEG_UNUSABLE)
        attrib &= ~(u32)VMCB_SEG_P;
    return (struct vmcb_segment){ .selector = from->selector, .attrib = (u16)attrib, .limit = from->limit, .base = from->base };
}

static void segments_get(struct vmcb_save *g, struct abi_state *s, u32 groups)
{
    for (u32 i = 0; i < ABI_SEGS; i++)
        if (groups & segments[i].group)
            s->seg[i] = segment_get(segment_at(g, i));
    if (groups & ABI_STATE_CS) /* the CPL is a field of its own: SYSRET leaves SS.DPL as it was (APM2 15.5.1) */
        s->seg[ABI_SS].attr = (s->seg[ABI_SS].attr & ~ATTR_DPL(3)) | ATTR_DPL(g->cpl & 3);
    if (groups & ABI_STATE_SYSTEM) {
        s->gdtr = (struct abi_table){ .base = g->gdtr.base, .limit = g->gdtr.limit };
        s->idtr = (struct abi_table){ .base = g->idtr.base, .limit = g->idtr.limit };
    }
}

void svm_state_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct vmcb_save *g = &c->save;
    if (groups & ABI_STATE_RIP) {
        s->rip = g->rip;
        s->rsp = g->rsp;
        s->rflags = g->rflags;
        s->shadow = c->int_shadow & VMCB_SHADOW ? ABI_SHADOW_STI : 0; /* one bit for both kinds (APM2 15.21.5) */
    }
    if (groups & (ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_SYSTEM))
        segments_get(g, s, groups);
    if (groups & ABI_STATE_CR) {
        s->cr0 = g->cr0;
        s->cr2 = g->cr2;
        s->cr3 = g->cr3;
        s->cr4 = g->cr4;
        s->efer = g->efer & ~EFER_SVME; /* VMRUN wants it set; the guest does not have it */
    }
    if (groups & ABI_STATE_DR) {
        if (v->live)
            vcpu_debug_save(v);
        memcpy(s->dr, v->dr, sizeof(s->dr));
        s->dr6 = g->dr6;
        s->dr7 = g->dr7;
    }
    if (groups & ABI_STATE_SYSENTER) {
        s->sysenter_cs = g->sysenter_cs;
        s->sysenter_esp = g->sysenter_esp;
        s->sysenter_eip = g->sysenter_eip;
    }
    if (groups & ABI_STATE_SYSCALL)
        memcpy(&s->star, &g->star, SYSCALL_BYTES);
}

/* Rules on what the VMCB's form could not show any more. */
static const char *input_broken(const struct abi_state *s, u32 groups)
{
    for (u32 i = 0; i < ABI_SEGS; i++)
        if (groups & segments[i].group && s->seg[i].attr & ~ATTR_KNOWN)
            return "segment attributes have a reserved bit set";
    if (groups & ABI_STATE_SYSTEM && (s->gdtr.limit > TABLE_LIMIT || s->idtr.limit > TABLE_LIMIT))
        return "GDTR or IDTR limit is above FFFFh";
    if (groups & ABI_STATE_RIP && (!(s->rflags & RFLAGS_FIXED) || s->rflags & ~(RFLAGS_GUEST | RFLAGS_FIXED)))
        return "RFLAGS has a reserved bit that is not at its fixed value";
    if (groups & ABI_STATE_RIP && s->shadow & ~(u64)SHADOW_KNOWN)
        return "interrupt shadow has a reserved bit set";
    if (groups & ABI_STATE_CR && s->efer & EFER_SVME)
        return "EFER.SVME is not the guest's to set";
    if (groups & ABI_STATE_CR && s->cr4 & ~policy_cr4_guest())
        return "CR4 has a bit set that CPUID does not offer";
    return NULL;
}

/* VMRUN and VMLOAD make addresses canonical by themselves (APM2 15.5.1): the guest would go on with others than ring 3 gave. */
static const char *address_broken(const struct vmcb_save *g, u32 groups)
{
    bool wide = g->efer & EFER_LMA && g->cs.attrib & VMCB_SEG_L;
    if (groups & (ABI_STATE_RIP | ABI_STATE_CS) && (wide ? !svm_address_canonical(g, g->rip) : g->rip >> 32))
        return "RIP is not an address of its code segment's mode";
    if (groups & ABI_STATE_RIP && g->rflags & RFLAGS_VM && g->efer & EFER_LMA)
        return "RFLAGS.VM is set in long mode";
    if (groups & ABI_STATE_CS && (g->cs.base | g->ss.base) >> 32)
        return "CS or SS base[63:32] are not zero";
    if (groups & ABI_STATE_CS && !(g->cs.attrib & VMCB_SEG_P))
        return "CS is unusable";
    if (groups & ABI_STATE_SEGS && (g->ds.base | g->es.base) >> 32)
        return "DS or ES base[63:32] are not zero";
    if (groups & ABI_STATE_SEGS && !(svm_address_canonical(g, g->fs.base) && svm_address_canonical(g, g->gs.base)))
        return "FS or GS base is not canonical";
    if (groups & ABI_STATE_SYSTEM && !(svm_address_canonical(g, g->ldtr.base) && svm_address_canonical(g, g->tr.base)))
        return "LDTR or TR base is not canonical";
    if (groups & ABI_STATE_SYSTEM && !(svm_address_canonical(g, g->gdtr.base) && svm_address_canonical(g, g->idtr.base)))
        return "GDTR or IDTR base is not canonical";
    if (groups & ABI_STATE_SYSENTER && !(svm_address_canonical(g, g->sysenter_esp) && svm_address_canonical(g, g->sysenter_eip)))
        return "SYSENTER_ESP or _EIP is not canonical";
    if (groups & ABI_STATE_SYSCALL &&
        !(svm_address_canonical(g, g->lstar) && svm_address_canonical(g, g->cstar) && svm_address_canonical(g, g->kernel_gs_base)))
        return "LSTAR, CSTAR or KERNEL_GS_BASE is not canonical";
    if (groups & ABI_STATE_SYSCALL && g->sfmask >> 32)
        return "FMASK[63:32] are not zero";
    return NULL;
}

static void save_set(struct vmcb_save *g, const struct abi_state *s, u32 groups)
{
    for (u32 i = 0; i < ABI_SEGS; i++)
        if (groups & segments[i].group)
            *segment_at(g, i) = segment_set(&s->seg[i]);
    if (groups & ABI_STATE_RIP) {
        g->rip = s->rip;
        g->rsp = s->rsp;
        g->rflags = s->rflags;
    }
    if (groups & ABI_STATE_SYSTEM) {
        g->gdtr = (struct vmcb_segment){ .base = s->gdtr.base, .limit = s->gdtr.limit };
        g->idtr = (struct vmcb_segment){ .base = s->idtr.base, .limit = s->idtr.limit };
    }
    if (groups & ABI_STATE_CR) {
        g->cr0 = s->cr0 | CR0_ET; /* reads as one */
        g->cr2 = s->cr2;
        g->cr3 = s->cr3;
        g->cr4 = s->cr4;
        g->efer = s->efer | EFER_SVME;
    }
    if (groups & ABI_STATE_DR) {
        g->dr6 = s->dr6;
        g->dr7 = s->dr7;
    }
    if (groups & ABI_STATE_SYSENTER) {
        g->sysenter_cs = s->sysenter_cs;
        g->sysenter_esp = s->sysenter_esp;
        g->sysenter_eip = s->sysenter_eip;
    }
    if (groups & ABI_STATE_SYSCALL)
        memcpy(&g->star, &s->star, SYSCALL_BYTES);
}

/* SS.DPL says the CPL, but in real mode (0) and virtual-8086 mode (3); without a new SS it stays, unless the mode is another. */
static void cpl_set(struct vmcb_save *g, u32 groups)
{
    if (!(g->cr0 & CR0_PE))
        g->cpl = 0;
    else if (g->rflags & RFLAGS_VM)
        g->cpl = 3;
    else if (groups & ABI_STATE_CS)
        g->cpl = g->ss.attrib >> 5 & 3;
}

static u32 clean_bits(u32 groups)
{
    return (groups & (ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_CR | ABI_STATE_RIP) ? CLEAN_SEG : 0) |
           (groups & ABI_STATE_SYSTEM ? CLEAN_DT : 0) | (groups & ABI_STATE_CR ? CLEAN_CR | CLEAN_CR2 : 0) |
           (groups & ABI_STATE_DR ? CLEAN_DR : 0);
}

/* Made in a copy, checked as VMRUN would, then written: all or nothing. */
const char *svm_state_set(struct vcpu *v, const struct abi_state *s, u32 groups)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct vmcb_save g = c->save;
    const char *broken = input_broken(s, groups);
    if (broken)
        return broken;
    save_set(&g, s, groups);
    cpl_set(&g, groups);
    broken = svm_save_broken(&g);
    if (!broken)
        broken = address_broken(&g, groups);
    if (broken)
        return broken;
    /* A new address space, or new rules for this one: the TLB knows them by the ASID alone. MOV to CR would have flushed (APM2 5.5.2). */
    if (groups & ABI_STATE_CR && (c->save.cr3 != g.cr3 || c->save.cr0 != g.cr0 || c->save.cr4 != g.cr4 || c->save.efer != g.efer))
        c->tlb_control = svm_features.flush_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
    c->save = g;
    if (groups & ABI_STATE_DR) {
        memcpy(v->dr, s->dr, sizeof(v->dr));
        if (v->live)
            vcpu_debug_load(v);
    }
    if (groups & ABI_STATE_RIP)
        c->int_shadow = (c->int_shadow & ~VMCB_SHADOW) | (s->shadow ? VMCB_SHADOW : 0);
    c->clean &= ~clean_bits(groups);
    return NULL;
}
