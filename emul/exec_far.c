/* Far JMP, CALL and RET in every mode, and the transfer of control that they share with interrupts and IRET. */
#include "exec_far.h"

/* Offsets in a TSS: SDM 3A figures 7-2, 7-10, 7-11. */
#define TSS_STACKS     4u          /* RSP0 or ESP0, SS0 */
#define TSS16_STACKS   2u          /* SP0, SS0 */
#define TSS_IST        0x1cu       /* where IST0 would be */

#define GATE_COUNT     0x1fu       /* parameters of a call gate */

/* ---- What they share ---- */

int exec_check_code(struct exec *x, uint16_t selector, unsigned level, unsigned rules, unsigned vector, struct exec_descriptor *d)
{
    int bad, status = exec_descriptor_read(x, selector, vector, d);
    unsigned dpl;
    uint32_t attr;

    if (status)
        return status;
    attr = d->segment.attr;
    dpl = exec_dpl(&d->segment);
    bad = exec_is_conforming(&d->segment) || (rules & CODE_INWARD) ? dpl > level : dpl != level;
    if (exec_is_long(x))
        bad |= attr & SEG_L ? !!(attr & SEG_DB) : !!(rules & CODE_GATE);
    if (bad || (attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE))
        return exec_bad_selector(x, vector, selector);
    if (!(attr & SEG_P))
        return exec_bad_selector(x, EMUL_VECTOR_NP, selector);
    d->segment.selector = (selector & ~SELECTOR_RPL) | (exec_is_conforming(&d->segment) ? level : dpl);
    return EMUL_DONE;
}

int exec_inner_stack(struct exec *x, unsigned cpl, unsigned ist, struct exec_descriptor *ss, struct exec_stack *st)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    int is_long = exec_is_long(x);
    unsigned size = is_long ? 8 : tr->attr & SYS_BIG ? 4 : 2;
    unsigned at = ist ? TSS_IST + ist * 8 : size == 2 ? TSS16_STACKS + cpl * 4 : TSS_STACKS + cpl * 8;
    uint64_t selector;
    int status;

    if (at + size + (is_long ? 0 : 2) - 1 > tr->limit)
        return exec_bad_selector(x, EMUL_VECTOR_TS, tr->selector);
    status = exec_system_read(x, tr->base + at, size, &st->rsp);
    if (!status && is_long)
        exec_null_segment(&ss->segment, cpl, cpl);
    else if (!status)
        status = exec_system_read(x, tr->base + at + size, 2, &selector);
    if (!status && !is_long)
        status = exec_check_stack(x, selector, cpl, EMUL_VECTOR_TS, ss);
    if (status)
        return status;
    st->ss = &ss->segment;
    st->size = is_long ? 8 : ss->segment.attr & SEG_DB ? 4 : 2;
    st->access = cpl == 3 ? EMUL_PF_U : 0;
    st->vector = EMUL_VECTOR_SS;
    st->error = ss->segment.selector & SELECTOR_CODE;
    st->count = 0;
    return EMUL_DONE;
}

static int is_64(const struct exec *x, const struct emul_segment *cs)
{
    return exec_is_long(x) && (cs->attr & SEG_L);
}

int exec_transfer(struct exec *x, struct exec_descriptor *cs, struct exec_descriptor *ss, uint64_t rip, struct exec_stack *st)
{
    int status;

    if (is_64(x, &cs->segment) ? !emul_canonical(x->s, rip) : rip > cs->segment.limit)
        return exec_gp0(x);
    status = exec_accessed(x, cs);
    if (!status && ss)
        status = exec_accessed(x, ss);
    if (!status && st)
        status = exec_stack_commit(x, st);
    if (status)
        return status;
    exec_set_segment(x, EMUL_CS, &cs->segment);
    if (ss)
        exec_set_segment(x, EMUL_SS, &ss->segment);
    x->next_rip = rip;
    return EMUL_DONE;
}

int exec_real_transfer(struct exec *x, uint16_t selector, uint64_t rip, struct exec_stack *st)
{
    struct exec_descriptor cs;

    cs.segment = x->s->seg[EMUL_CS];
    exec_real_segment(&cs.segment, EMUL_CS, selector, !!(x->s->rflags & RFLAGS_VM));
    return exec_transfer(x, &cs, 0, rip, st);
}

/* ---- JMP and CALL ---- */

/* Both on the stack at hand, in words of `size`. A gate of IA-32e mode pushes as 64-bit code does, also out of compatibility mode. */
static int push_return(struct exec *x, struct exec_stack *st, unsigned size)
{
    const uint64_t back[] = { x->s->seg[EMUL_CS].selector, x->next_rip };

    exec_stack_begin(x, st);
    if (size == 8)
        st->size = 8;
    return x->insn->op == EMUL_JMPF ? EMUL_DONE : exec_push(x, st, size, back, 2);
}

/* CALL to an inner level: its stack gets the old one's address, the parameters in their order, the return address. */
static int inner_level(struct exec *x, struct exec_descriptor *cs, uint64_t offset, unsigned size, unsigned count)
{
    uint64_t rsp = x->gpr[EMUL_RSP], mask = emul_size_mask(x->s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2), frame[EXEC_PUSHES];
    struct exec_descriptor ss;
    struct exec_stack st;
    int status = exec_inner_stack(x, exec_dpl(&cs->segment), 0, &ss, &st);

    frame[0] = x->s->seg[EMUL_SS].selector;
    frame[1] = rsp;
    for (unsigned i = 0; i < count && !status; i++) { /* at most GATE_COUNT */
        struct emul_place place;

        status = emul_resolve(x->ctx, x->mode, EMUL_SS, (rsp + i * size) & mask, size, 0, &place, x->result);
        if (!status)
            status = emul_load(x->ctx, &place, &frame[1 + count - i], EMUL_FOR_OPERAND);
    }
    frame[2 + count] = x->s->seg[EMUL_CS].selector;
    frame[3 + count] = x->next_rip;
    if (!status)
        status = exec_push(x, &st, size, frame, 4 + count);
    return status ? status : exec_transfer(x, cs, &ss, offset, &st);
}

/* SDM 3A 5.8.3; 5.8.3.1 in IA-32e mode. DPL and presence of the gate have been checked. */
static int call_gate(struct exec *x, const struct exec_descriptor *gate)
{
    unsigned big = gate->segment.attr & SYS_BIG, cpl = emul_cpl(x->s);
    unsigned size = exec_is_long(x) ? 8 : big ? 4 : 2;
    uint64_t offset = (gate->low & 0xffff) | (big ? gate->low >> 32 & 0xffff0000 : 0) | gate->high << 32;
    unsigned rules = CODE_GATE | (x->insn->op == EMUL_CALLF ? CODE_INWARD : 0);
    struct exec_descriptor cs;
    struct exec_stack st;
    int status = exec_check_code(x, gate->low >> 16, cpl, rules, EMUL_VECTOR_GP, &cs);

    if (status)
        return status;
    if ((cs.segment.selector & SELECTOR_RPL) < cpl)
        return inner_level(x, &cs, offset, size, exec_is_long(x) ? 0 : gate->low >> 32 & GATE_COUNT);
    status = push_return(x, &st, size);
    return status ? status : exec_transfer(x, &cs, 0, offset, &st);
}

/* JMP or CALL through what is no segment: a gate or a TSS. */
static int far_system(struct exec *x, struct exec_descriptor *d)
{
    static const uint16_t known = 1 << SYS_TSS16 | 1 << SYS_CALL16 | 1 << SYS_TASK | 1 << SYS_TSS | 1 << SYS_CALL;
    static const uint16_t known_long = 1 << SYS_CALL;
    enum emul_task_reason reason = x->insn->op == EMUL_CALLF ? EMUL_TASK_CALL : EMUL_TASK_JUMP;
    unsigned type = d->segment.attr & SEG_TYPE, dpl = exec_dpl(&d->segment);
    uint16_t selector = d->segment.selector;
    int status;

    if (!((exec_is_long(x) ? known_long : known) >> type & 1) || dpl < emul_cpl(x->s) || dpl < (selector & SELECTOR_RPL))
        return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
    status = exec_descriptor_high(x, EMUL_VECTOR_GP, d);
    if (status)
        return status;
    if (!(d->segment.attr & SEG_P))
        return exec_bad_selector(x, EMUL_VECTOR_NP, selector);
    if (type == SYS_TASK)
        return exec_task_gate(x, d->low, reason, 0, 0);
    if (type == SYS_CALL || type == SYS_CALL16)
        return call_gate(x, d);
    status = exec_check_tss(x, selector, 0, EMUL_VECTOR_GP, d);
    return status ? status : exec_task_switch(x, d, reason, 0, 0);
}

/* JMP far and CALL far. */
int do_jmpf(struct exec *x)
{
    uint16_t selector = x->insn->imm2;
    uint64_t offset = x->insn->imm & emul_size_mask(x->opsize);
    struct exec_descriptor d;
    struct exec_stack st;
    unsigned size;
    int status = x->insn->form == FORM_Ap ? EMUL_DONE : exec_far_pointer(x, &selector, &offset, &size);

    if (!status && emul_protected(x->s))
        status = exec_descriptor_read(x, selector, EMUL_VECTOR_GP, &d);
    if (status)
        return status;
    if (emul_protected(x->s)) {
        if (!(d.segment.attr & SEG_S))
            return far_system(x, &d);
        if (!exec_is_conforming(&d.segment) && (selector & SELECTOR_RPL) > emul_cpl(x->s))
            return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
        status = exec_check_code(x, selector, emul_cpl(x->s), 0, EMUL_VECTOR_GP, &d);
    }
    if (!status)
        status = push_return(x, &st, x->opsize);
    if (status)
        return status;
    return emul_protected(x->s) ? exec_transfer(x, &d, 0, offset, &st) : exec_real_transfer(x, selector, offset, &st);
}

/* ---- RET ---- */

/* SDM 2B RET: what the outer level may not use is nulled. */
static void drop_segments(struct exec *x, unsigned cpl)
{
    for (unsigned i = 0; i < sizeof(exec_data_segments); i++) {
        struct emul_segment *segment = &x->s->seg[exec_data_segments[i]];

        if ((segment->attr & SEG_UNUSABLE) || exec_dpl(segment) >= cpl || exec_is_conforming(segment))
            continue;
        segment->selector = 0;
        segment->attr |= SEG_UNUSABLE;
        x->ctx->changed |= EMUL_STATE_SEGS;
    }
}

int exec_return(struct exec *x, struct exec_stack *st, uint16_t selector, uint64_t rip, unsigned release, int with_stack)
{
    unsigned level = selector & SELECTOR_RPL, width;
    uint64_t outer[2]; /* RSP, SS */
    struct exec_descriptor cs, ss;
    int status;

    if (level < emul_cpl(x->s))
        return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
    status = exec_check_code(x, selector, level, 0, EMUL_VECTOR_GP, &cs);
    if (status)
        return status;
    exec_stack_skip(st, release);
    if (level == emul_cpl(x->s) && !with_stack)
        return exec_transfer(x, &cs, 0, rip, st);
    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    status = exec_pop(x, st, x->opsize, outer, 2);
    if (status)
        return status;
    width = is_64(x, &cs.segment) ? 8 : 4;
    if (!exec_is_null(outer[1])) {
        status = exec_check_stack(x, outer[1], level, EMUL_VECTOR_GP, &ss);
    } else {
        if (width < 8 || level == 3 || (outer[1] & SELECTOR_RPL) != level)
            return exec_gp0(x); /* null: in 64-bit code below CPL 3 only (SDM 2A IRET) */
        exec_null_segment(&ss.segment, outer[1], level);
    }
    if (!status)
        status = exec_transfer(x, &cs, &ss, rip, 0);
    if (status)
        return status;
    if (width == 4 && !(ss.segment.attr & SEG_DB))
        width = 2;
    exec_set_gpr(x, EMUL_RSP, width, outer[0] + release);
    drop_segments(x, level);
    return EMUL_DONE;
}

int do_retf(struct exec *x)
{
    unsigned release = (uint16_t)x->insn->imm;
    uint64_t back[2]; /* rIP, CS */
    struct exec_stack st;
    int status;

    exec_stack_begin(x, &st);
    status = exec_pop(x, &st, x->opsize, back, 2);
    if (status)
        return status;
    if (emul_protected(x->s))
        return exec_return(x, &st, back[1], back[0], release, 0);
    exec_stack_skip(&st, release);
    return exec_real_transfer(x, back[1], back[0], &st);
}
