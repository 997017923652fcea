/* Far JMP, CALL and RET in every mode, and the transfer of control that they share with interrupts and IRET. */
#include "exec_far.h"

/* Offsets in a TSS, SDM 3A figures 7-2, 7-10, 7-11: ESP0 or RSP0; SP0; where IST0 would be. */
enum { TSS_STACKS = 4, TSS16_STACKS = 2, TSS_IST = 0x1c };
enum { GATE_COUNT = 0x1f };        /* parameters of a call gate */

/* ---- What they share ---- */

void exec_check_code(struct exec *x, uint16_t selector, unsigned level, unsigned rules, unsigned vector, struct exec_descriptor *d)
{
    unsigned dpl, attr;
    int good, conforming;

    if (!emul_protected(x->s) && !(rules & CODE_GATE)) {
        d->segment = x->s->seg[EMUL_CS];
        exec_real_segment(&d->segment, EMUL_CS, selector, !!(x->s->rflags & RFLAGS_VM));
        return;
    }
    exec_descriptor_read(x, selector, vector, d);
    attr = d->segment.attr;
    dpl = exec_dpl(&d->segment);
    conforming = exec_is_type(&d->segment, TYPES_CONFORMING);
    good = exec_is_type(&d->segment, TYPES_CODE) && (conforming || (rules & CODE_INWARD) ? dpl <= level : dpl == level);
    if (exec_is_long(x))
        good &= attr & SEG_L ? !(attr & SEG_DB) : !(rules & CODE_GATE);
    exec_descriptor_check(x, d, good, vector, EMUL_VECTOR_NP);
    d->segment.selector = (selector & ~SELECTOR_RPL) | (conforming ? level : dpl);
}

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
        exec_check_segment(x, EMUL_SS, exec_system_read(x, tr->base + at + size, 2), cpl, EMUL_VECTOR_TS, ss);
    st->ss = &ss->segment;
    st->size = ss->segment.attr & SEG_DB ? 4 : 2;
    st->access = cpl == 3 ? EMUL_PF_U : 0;
    st->error = ss->segment.selector & SELECTOR_CODE;
}

int exec_gate_enter(struct exec *x, const struct exec_descriptor *gate, unsigned rules, unsigned ist, struct exec_descriptor *cs,
                    struct exec_descriptor *ss, struct exec_stack *st)
{
    unsigned cpl = emul_cpl(x->s), level;

    exec_check_code(x, gate->low >> 16, cpl, CODE_GATE | rules, EMUL_VECTOR_GP, cs);
    level = cs->segment.selector & SELECTOR_RPL;
    exec_raise_if(x, level && (x->s->rflags & RFLAGS_VM), EMUL_VECTOR_GP, cs->segment.selector & SELECTOR_CODE);
    exec_stack_begin(x, st);
    if (level < cpl || ist)
        inner_stack(x, level, ist, ss, st);
    if (exec_is_long(x))
        st->size = 8; /* pushes as 64-bit code does, also out of compatibility mode */
    return level < cpl;
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

/* ---- JMP and CALL ---- */

void exec_push_return(struct exec *x, struct exec_stack *st, unsigned size)
{
    exec_push(x, st, size, x->s->seg[EMUL_CS].selector);
    exec_push(x, st, size, x->next_rip);
}

/* CALL to an inner level: its stack gets the old one's address and the parameters in their order, at most GATE_COUNT. */
static void push_outer(struct exec *x, struct exec_stack *st, unsigned size, unsigned count)
{
    uint64_t rsp = x->gpr[EMUL_RSP], mask = emul_size_mask(x->s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2);

    exec_push(x, st, size, x->s->seg[EMUL_SS].selector);
    exec_push(x, st, size, rsp);
    while (count--) {
        struct emul_place place;

        exec_must(x, emul_resolve(x->ctx, x->mode, EMUL_SS, (rsp + count * size) & mask, size, 0, &place, x->result));
        exec_push(x, st, size, exec_read(x, &place, EMUL_FOR_OPERAND));
    }
}

/* SDM 3A 5.8.3; 5.8.3.1 in IA-32e mode. DPL and presence of the gate have been checked. */
static void call_gate(struct exec *x, const struct exec_descriptor *gate)
{
    unsigned size = exec_gate_size(x, gate), is_call = x->insn->op == EMUL_CALLF;
    struct exec_descriptor cs, ss;
    struct exec_stack st;
    int inner = exec_gate_enter(x, gate, is_call ? CODE_INWARD : 0, 0, &cs, &ss, &st);

    if (inner)
        push_outer(x, &st, size, size == 8 ? 0 : gate->low >> 32 & GATE_COUNT);
    if (is_call)
        exec_push_return(x, &st, size);
    exec_transfer(x, &cs, inner ? &ss : 0, exec_gate_offset(gate), &st);
}

/* JMP or CALL through what is no segment: a gate or a TSS. */
static void far_system(struct exec *x, struct exec_descriptor *d)
{
    unsigned known = 1 << SYS_CALL | (exec_is_long(x) ? 0 : 1 << SYS_TSS16 | 1 << SYS_CALL16 | 1 << SYS_TASK | 1 << SYS_TSS);
    enum emul_task_reason reason = x->insn->op == EMUL_CALLF ? EMUL_TASK_CALL : EMUL_TASK_JUMP;
    unsigned type = d->segment.attr & SEG_TYPE, dpl = exec_dpl(&d->segment);
    uint16_t selector = d->segment.selector;

    exec_raise_if(x, !(known >> type & 1) || dpl < emul_cpl(x->s) || dpl < (selector & SELECTOR_RPL), EMUL_VECTOR_GP,
                  selector & SELECTOR_CODE);
    exec_descriptor_high(x, EMUL_VECTOR_GP, d);
    exec_descriptor_check(x, d, 1, EMUL_VECTOR_GP, EMUL_VECTOR_NP);
    if (type == SYS_CALL || type == SYS_CALL16)
        call_gate(x, d);
    else
        exec_task_switch(x, type == SYS_TASK ? d->low >> 16 : selector, reason);
}

/* JMP far and CALL far. */
void do_jmpf(struct exec *x)
{
    uint16_t selector = x->insn->imm2;
    uint64_t offset = x->insn->imm & emul_size_mask(x->opsize);
    struct exec_descriptor d;
    struct exec_stack st;

    if (x->insn->form != FORM_Ap)
        exec_far_pointer(x, &selector, &offset);
    if (emul_protected(x->s)) {
        exec_descriptor_read(x, selector, EMUL_VECTOR_GP, &d);
        if (!(d.segment.attr & SEG_S)) {
            far_system(x, &d);
            return;
        }
        exec_raise_if(x, !exec_is_type(&d.segment, TYPES_CONFORMING) && (selector & SELECTOR_RPL) > emul_cpl(x->s), EMUL_VECTOR_GP,
                      selector & SELECTOR_CODE);
    }
    exec_check_code(x, selector, emul_cpl(x->s), 0, EMUL_VECTOR_GP, &d);
    exec_stack_begin(x, &st);
    if (x->insn->op == EMUL_CALLF)
        exec_push_return(x, &st, x->opsize);
    exec_transfer(x, &d, 0, offset, &st);
}

/* ---- RET ---- */

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

void exec_return(struct exec *x, struct exec_stack *st, uint16_t selector, uint64_t rip, unsigned release, int with_stack)
{
    unsigned cpl = emul_cpl(x->s), level = emul_protected(x->s) ? selector & SELECTOR_RPL : cpl;
    struct exec_descriptor cs, ss;
    uint64_t rsp, outer;

    exec_raise_if(x, level < cpl, EMUL_VECTOR_GP, selector & SELECTOR_CODE);
    exec_check_code(x, selector, level, 0, EMUL_VECTOR_GP, &cs);
    exec_stack_skip(st, release);
    if (level == cpl && !with_stack) {
        exec_transfer(x, &cs, 0, rip, st);
        return;
    }
    exec_require(x, EMUL_STATE_SEGS);
    rsp = exec_pop(x, st, x->opsize);
    outer = exec_pop(x, st, x->opsize);
    if (!exec_is_null(outer)) {
        exec_check_segment(x, EMUL_SS, outer, level, EMUL_VECTOR_GP, &ss);
    } else { /* in 64-bit code below CPL 3 only (SDM 2A IRET) */
        exec_gp0_if(x, !is_64(x, &cs.segment) || level == 3 || (outer & SELECTOR_RPL) != level);
        exec_null_segment(&ss.segment, outer, level);
    }
    exec_transfer(x, &cs, &ss, rip, 0);
    exec_set_gpr(x, EMUL_RSP, is_64(x, &cs.segment) ? 8 : ss.segment.attr & SEG_DB ? 4 : 2, rsp + release);
    drop_segments(x, level);
}

void do_retf(struct exec *x)
{
    uint64_t rip;
    uint16_t selector;
    struct exec_stack st;

    exec_stack_begin(x, &st);
    rip = exec_pop(x, &st, x->opsize);
    selector = exec_pop(x, &st, x->opsize);
    exec_return(x, &st, selector, rip, (uint16_t)x->insn->imm, 0);
}
