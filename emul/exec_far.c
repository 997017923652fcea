/* Far JMP, CALL and RET, and IRET, in every mode, and the way through gates and to other code that they share with interrupts. */
#include "exec_far.h"

/* Offsets in a TSS, SDM 3A figures 7-2, 7-10, 7-11: ESP0 or RSP0; SP0; where IST0 would be. */
enum { TSS_STACKS = 4, TSS16_STACKS = 2, TSS_IST = 0x1c };
enum { GATE_COUNT = 0x1f, STACK_ALIGN = 15 }; /* parameters of a call gate; stacks of events in IA-32e mode (SDM 3A 6.14.2) */

/* ---- What they share ---- */

/* The stack that the TSS has for privilege `cpl`, or that of the interrupt stack table if ist is not 0. */
static void inner_stack(struct exec *x, unsigned cpl, unsigned ist, struct exec_descriptor *ss, struct exec_stack *st)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    int is_long = exec_is_long(x);
    unsigned size = is_long ? 8 : tr->attr & SYS_BIG ? 4 : 2;
    unsigned at = ist ? TSS_IST + ist * 8 : size == 2 ? TSS16_STACKS + cpl * 4 : TSS_STACKS + cpl * 8;

    exec_raise_if(x, at + size + (is_long ? 0 : 2) - 1 > tr->limit, EMUL_VECTOR_TS, tr->selector & SELECTOR_CODE);
    st->rsp = exec_system_read(x, tr->base + at, size);
    if (is_long)
        exec_null_segment(&ss->segment, cpl, cpl);
    else
        exec_check_segment(x, EMUL_SS, exec_system_read(x, tr->base + at + size, 2), cpl, CHECK_TASK, ss);
    st->ss = &ss->segment;
    st->size = ss->segment.attr & SEG_DB ? 4 : 2;
    st->access = cpl == 3 ? EMUL_PF_U : 0;
    st->error = ss->segment.selector & SELECTOR_CODE;
}

static int is_64(const struct exec *x, const struct emul_segment *cs)
{
    return exec_is_long(x) && (cs->attr & SEG_L);
}

void exec_transfer(struct exec *x, struct exec_descriptor *cs, struct exec_descriptor *ss, uint64_t rip, struct exec_stack *st)
{
    exec_gp0_if(x, is_64(x, &cs->segment) ? !emul_canonical(x->s, rip) : rip > cs->segment.limit);
    exec_accessed(x, cs);
    if (ss)
        exec_accessed(x, ss);
    if (st)
        exec_stack_commit(x, st);
    exec_set_segment(x, EMUL_CS, &cs->segment);
    if (ss)
        exec_set_segment(x, EMUL_SS, &ss->segment);
    x->next_rip = rip;
}

/* ---- Gates ---- */

void exec_push_frame(struct exec *x, struct exec_stack *st, unsigned size, unsigned from, unsigned to)
{
    const struct emul_segment *seg = x->s->seg;
    const uint64_t frame[FRAME_END] = { seg[EMUL_GS].selector, seg[EMUL_FS].selector, seg[EMUL_DS].selector, seg[EMUL_ES].selector,
                                        seg[EMUL_SS].selector, x->gpr[EMUL_RSP], x->flags, seg[EMUL_CS].selector, x->next_rip };

    while (from < to)
        exec_push(x, st, size, frame[from++]);
}

/* The parameters of CALL, from the outer stack in their order, at most GATE_COUNT. */
static void push_parameters(struct exec *x, struct exec_stack *st, unsigned size, unsigned count)
{
    struct exec_stack outer;

    exec_stack_begin(x, &outer);
    while (count--)
        exec_push(x, st, size, exec_read(x, exec_stack_place(x, &outer, outer.rsp + count * size, size, 0), EMUL_FOR_OPERAND));
}

void exec_through_gate(struct exec *x, const struct exec_descriptor *gate, unsigned frame)
{
    int is_big = gate->low >> 40 & SYS_BIG, is_long = exec_is_long(x), is_event = frame == FRAME_FLAGS, inner;
    unsigned cpl = emul_cpl(x->s), size = is_long ? 8 : is_big ? 4 : 2, ist = is_long && is_event ? gate->low >> 32 & 7 : 0, level;
    struct exec_descriptor cs, ss;
    struct exec_stack st;

    exec_check_segment(x, EMUL_CS, gate->low >> 16, cpl, CHECK_GATE | (frame == FRAME_END ? 0 : CHECK_INWARD), &cs);
    level = cs.segment.selector & SELECTOR_RPL;
    inner = level < cpl;
    exec_raise_if(x, level && (x->s->rflags & RFLAGS_VM), EMUL_VECTOR_GP, cs.segment.selector & SELECTOR_CODE);
    exec_stack_begin(x, &st);
    if (inner || ist)
        inner_stack(x, level, ist, &ss, &st);
    if (is_long)
        st.size = 8; /* pushes as 64-bit code does, also out of compatibility mode */
    if (is_long && is_event)
        st.rsp &= ~(uint64_t)STACK_ALIGN;
    if (inner || (is_long && is_event))
        exec_push_frame(x, &st, size, x->s->rflags & RFLAGS_VM ? FRAME_DATA : FRAME_STACK, FRAME_FLAGS);
    if (inner && !is_long && !is_event)
        push_parameters(x, &st, size, gate->low >> 32 & GATE_COUNT);
    exec_push_frame(x, &st, size, frame, FRAME_END);
    if (x->event->has_error)
        exec_push(x, &st, size, x->event->error);
    exec_transfer(x, &cs, inner ? &ss : 0, (gate->low & 0xffff) | (is_big ? gate->low >> 32 & 0xffff0000 : 0) | gate->high << 32, &st);
}

/* ---- JMP and CALL ---- */

/* To a segment, through a call gate, or to a task. */
void do_jmpf(struct exec *x)
{
    unsigned frame = x->insn->op == EMUL_CALLF ? FRAME_RETURN : FRAME_END, type;
    uint16_t selector = x->insn->imm2;
    uint64_t offset = x->insn->imm & emul_size_mask(x->opsize);
    struct exec_descriptor d;
    struct exec_stack st;

    if (x->insn->form != FORM_Ap)
        exec_far_pointer(x, &selector, &offset);
    exec_check_segment(x, EMUL_CS, selector, emul_cpl(x->s), CHECK_SYSTEM, &d);
    type = d.segment.attr & (SEG_S | SEG_TYPE);
    if (type & SEG_S) {
        exec_stack_begin(x, &st);
        exec_push_frame(x, &st, x->opsize, frame, FRAME_END);
        exec_transfer(x, &d, 0, offset, &st);
    } else if (type == SYS_CALL || type == SYS_CALL16) {
        exec_through_gate(x, &d, frame);
    } else {
        exec_task_switch(x, type == SYS_TASK ? d.low >> 16 : selector, frame == FRAME_END ? EMUL_TASK_JUMP : EMUL_TASK_CALL);
    }
}

/* ---- RET and IRET ---- */

/* SDM 2B RET: what the outer level may not use is nulled. */
static void drop_segments(struct exec *x, unsigned cpl)
{
    for (unsigned i = 0; i < sizeof(exec_data_segments); i++) {
        struct emul_segment *segment = &x->s->seg[exec_data_segments[i]];

        if ((segment->attr & SEG_UNUSABLE) || exec_dpl(segment) >= cpl || exec_is_type(segment, TYPES_CONFORMING))
            continue;
        segment->selector = 0;
        segment->attr |= SEG_UNUSABLE;
        x->ctx->changed |= EMUL_STATE_SEGS;
    }
}

/* To selector:rip, which st has given; on an outer level, and from IRET in 64-bit mode always, RSP and SS are behind `release` bytes. */
static void far_return(struct exec *x, struct exec_stack *st, uint16_t selector, uint64_t rip)
{
    unsigned cpl = emul_cpl(x->s), level = emul_protected(x->s) ? selector & SELECTOR_RPL : cpl, release = (uint16_t)x->insn->imm;
    struct exec_descriptor cs, ss;
    uint64_t rsp, outer;
    int wide;

    exec_raise_if(x, level < cpl, EMUL_VECTOR_GP, selector & SELECTOR_CODE);
    exec_check_segment(x, EMUL_CS, selector, level, 0, &cs);
    exec_stack_skip(st, release);
    if (level == cpl && (x->insn->op != EMUL_IRET || x->mode != EMUL_MODE64)) {
        exec_transfer(x, &cs, 0, rip, st);
        return;
    }
    exec_require(x, EMUL_STATE_SEGS);
    wide = is_64(x, &cs.segment);
    rsp = exec_pop(x, st, x->opsize);
    outer = exec_pop(x, st, x->opsize);
    exec_check_segment(x, EMUL_SS, outer, level, wide ? CHECK_WIDE : 0, &ss);
    exec_transfer(x, &cs, &ss, rip, 0);
    exec_set_gpr(x, EMUL_RSP, wide ? 8 : ss.segment.attr & SEG_DB ? 4 : 2, rsp + release);
    drop_segments(x, level);
}

/* From CPL 0 to virtual-8086 mode: rSP and the segments follow the flags on the stack. */
static void iret_to_v86(struct exec *x, struct exec_stack *st, uint16_t cs, uint64_t rip, uint64_t flags)
{
    static const uint8_t order[] = { EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
    uint64_t rsp = exec_pop(x, st, 4);
    uint16_t selectors[EMUL_SEGS] = { [EMUL_CS] = cs };

    exec_require(x, EMUL_STATE_SEGS);
    for (unsigned i = 0; i < sizeof(order); i++)
        selectors[order[i]] = exec_pop(x, st, 4);
    exec_gp0_if(x, rip > 0xffff); /* the limit of its CS */
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        exec_real_segment(&x->s->seg[i], i, selectors[i], 1);
    x->ctx->changed |= EMUL_STATE_CS | EMUL_STATE_SEGS;
    x->gpr[EMUL_RSP] = rsp;
    x->next_rip = rip;
    x->flags = (flags & EXEC_FLAGS_ALL) | RFLAGS_1;
}

/* RET far and IRET, which has flags behind CS, or ends a nested task. */
void do_retf(struct exec *x)
{
    int is_iret = x->insn->op == EMUL_IRET, wide = x->opsize > 2, system = emul_protected(x->s) && wide && !emul_cpl(x->s);
    uint64_t rip, flags;
    uint16_t selector;
    struct exec_stack st;

    exec_gp0_if(x, is_iret && (exec_v86_denies(x) || (exec_is_long(x) && (x->flags & RFLAGS_NT))));
    if (is_iret && emul_protected(x->s) && (x->flags & RFLAGS_NT)) {
        exec_require(x, EMUL_STATE_SYSTEM);
        exec_task_switch(x, exec_system_read(x, x->s->seg[EMUL_TR].base, 2), EMUL_TASK_IRET);
        return;
    }
    exec_stack_begin(x, &st);
    rip = exec_pop(x, &st, x->opsize);
    selector = exec_pop(x, &st, x->opsize);
    if (is_iret) {
        flags = exec_pop(x, &st, x->opsize);
        if (system && !exec_is_long(x) && (flags & RFLAGS_VM)) {
            iret_to_v86(x, &st, selector, rip, flags);
            return;
        }
        exec_pop_flags(x, flags, (wide ? RFLAGS_RF : 0) | (system ? RFLAGS_VIF | RFLAGS_VIP : 0));
    }
    far_return(x, &st, selector, rip);
}
