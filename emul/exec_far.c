/* Far JMP, CALL and RET in every mode, and the transfer of control that they share with interrupts and IRET. */
#include "exec_far.h"

/* Offsets in a TSS: SDM 3A figures 7-2, 7-10, 7-11. */
#define TSS_STACKS     4u          /* RSP0 or ESP0, SS0 */
#define TSS16_STACKS   2u          /* SP0, SS0 */
#define TSS_IST        0x1cu       /* where IST0 would be */

#define GATE_COUNT     0x1fu       /* parameters of a call gate */

/* ---- What they share ---- */

int exec_check_code(struct exec *x, struct exec_checked *c, unsigned level, unsigned rules, unsigned vector)
{
    int is_long = !!(x->s->efer & EFER_LMA);
    unsigned dpl;
    uint32_t attr;

    exec_descriptor_segment(&c->from, &c->segment);
    attr = c->segment.attr;
    dpl = exec_dpl(&c->segment);
    if ((attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE))
        return exec_bad_selector(x, vector, c->from.selector);
    if (is_long && ((attr & SEG_L) ? attr & SEG_DB : rules & CODE_GATE))
        return exec_bad_selector(x, vector, c->from.selector);
    if ((attr & SEG_DOWN) || (rules & CODE_INWARD) ? dpl > level : dpl != level)
        return exec_bad_selector(x, vector, c->from.selector);
    if (!(attr & SEG_P))
        return exec_bad_selector(x, EMUL_VECTOR_NP, c->from.selector);
    if (!(attr & SEG_DOWN) && dpl < level)
        level = dpl;
    c->segment.selector = (c->from.selector & ~SELECTOR_RPL) | level;
    return EMUL_DONE;
}

int exec_inner_stack(struct exec *x, unsigned cpl, unsigned ist, struct exec_checked *ss, struct exec_stack *st)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    int is_long = !!(x->s->efer & EFER_LMA);
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

int exec_transfer(struct exec *x, struct exec_checked *cs, struct exec_checked *ss, uint64_t rip, struct exec_stack *st)
{
    int is_64 = (x->s->efer & EFER_LMA) && (cs->segment.attr & SEG_L);
    int status;

    if (is_64 ? !emul_canonical(x->s, rip) : rip > cs->segment.limit)
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
    struct exec_checked cs;

    cs.segment = x->s->seg[EMUL_CS];
    exec_real_segment(&cs.segment, EMUL_CS, selector, !!(x->s->rflags & RFLAGS_VM));
    return exec_transfer(x, &cs, 0, rip, st);
}

/* ---- JMP and CALL ---- */

/* The far pointer: immediate or in memory. AMD's has no 64-bit offset (APM3 CALL Far, JMP Far). */
static int far_pointer(struct exec *x, uint16_t *selector, uint64_t *offset)
{
    unsigned size = x->opsize == 8 && (x->ctx->features & EMUL_IS_AMD) ? 4 : x->opsize;
    uint64_t word;
    int status;

    if (x->insn->form == FORM_Ap) {
        *offset = x->insn->imm & emul_size_mask(size);
        *selector = x->insn->imm2;
        return EMUL_DONE;
    }
    status = exec_load(x, 0, size, offset);
    if (!status)
        status = exec_load(x, size, 2, &word);
    if (!status)
        *selector = word;
    return status;
}

static int push_return(struct exec *x, struct exec_stack *st, unsigned size)
{
    int status = exec_push(x, st, size, x->s->seg[EMUL_CS].selector);

    return status ? status : exec_push(x, st, size, x->next_rip);
}

/* On the stack at hand. `c` has been judged; `size` is that of each word pushed. */
static int same_level(struct exec *x, struct exec_checked *c, uint64_t offset, unsigned size)
{
    struct exec_stack st;
    int status;

    if (x->insn->op == EMUL_JMPF)
        return exec_transfer(x, c, 0, offset, 0);
    exec_stack_begin(x, &st);
    if (size == 8)
        st.size = 8; /* a gate of IA-32e mode, also from compatibility mode */
    status = push_return(x, &st, size);
    return status ? status : exec_transfer(x, c, 0, offset, &st);
}

/* CALL to an inner level: its stack gets the old one's address, the parameters in their order, the return address. */
static int inner_level(struct exec *x, struct exec_checked *c, uint64_t offset, unsigned size, unsigned count)
{
    uint64_t rsp = x->gpr[EMUL_RSP], mask = emul_size_mask(x->s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2), value;
    struct exec_checked ss;
    struct exec_stack st;
    int status = exec_inner_stack(x, exec_dpl(&c->segment), 0, &ss, &st);

    if (!status)
        status = exec_push(x, &st, size, x->s->seg[EMUL_SS].selector);
    if (!status)
        status = exec_push(x, &st, size, rsp);
    while (!status && count) { /* at most GATE_COUNT */
        struct emul_place place;

        count--;
        status = emul_resolve(x->ctx, x->mode, EMUL_SS, (rsp + count * size) & mask, size, 0, &place, x->result);
        if (!status)
            status = emul_load(x->ctx, &place, &value, EMUL_FOR_OPERAND);
        if (!status)
            status = exec_push(x, &st, size, value);
    }
    if (!status)
        status = push_return(x, &st, size);
    return status ? status : exec_transfer(x, c, &ss, offset, &st);
}

/* SDM 3A 5.8.3; 5.8.3.1 in IA-32e mode. DPL and presence of the gate have been checked. */
static int call_gate(struct exec *x, struct exec_descriptor *gate)
{
    unsigned type = gate->low >> 40 & SEG_TYPE, cpl = emul_cpl(x->s);
    int is_long = !!(x->s->efer & EFER_LMA), is_call = x->insn->op == EMUL_CALLF;
    unsigned size = is_long ? 8 : type & SYS_BIG ? 4 : 2;
    uint64_t offset = gate->low & 0xffff;
    struct exec_checked c;
    int status;

    if (type & SYS_BIG)
        offset |= gate->low >> 32 & 0xffff0000;
    offset |= gate->high << 32;
    status = exec_descriptor_read(x, gate->low >> 16, &c.from, EMUL_VECTOR_GP);
    if (!status)
        status = exec_check_code(x, &c, cpl, CODE_GATE | (is_call ? CODE_INWARD : 0), EMUL_VECTOR_GP);
    if (status)
        return status;
    if ((c.segment.selector & SELECTOR_RPL) < cpl)
        return inner_level(x, &c, offset, size, is_long ? 0 : gate->low >> 32 & GATE_COUNT);
    return same_level(x, &c, offset, size);
}

/* JMP or CALL through what is no segment: a gate or a TSS. */
static int far_system(struct exec *x, struct exec_checked *c)
{
    static const uint16_t known = 1 << SYS_TSS16 | 1 << SYS_CALL16 | 1 << SYS_TASK | 1 << SYS_TSS | 1 << SYS_CALL;
    static const uint16_t known_long = 1 << SYS_CALL;
    enum emul_task_reason reason = x->insn->op == EMUL_CALLF ? EMUL_TASK_CALL : EMUL_TASK_JUMP;
    struct exec_descriptor *d = &c->from;
    unsigned type, dpl;
    int status;

    exec_descriptor_segment(d, &c->segment);
    type = c->segment.attr & SEG_TYPE;
    dpl = exec_dpl(&c->segment);
    if (!((x->s->efer & EFER_LMA ? known_long : known) >> type & 1) || dpl < emul_cpl(x->s) || dpl < (d->selector & SELECTOR_RPL))
        return exec_bad_selector(x, EMUL_VECTOR_GP, d->selector);
    if ((type & ~SYS_BIG) == SYS_TSS16) {
        status = exec_check_tss(x, d->selector, 0, EMUL_VECTOR_GP, c);
        return status ? status : exec_task_switch(x, c, reason, 0, 0);
    }
    status = exec_descriptor_high(x, d, EMUL_VECTOR_GP);
    if (status)
        return status;
    if (!(c->segment.attr & SEG_P))
        return exec_bad_selector(x, EMUL_VECTOR_NP, d->selector);
    return type == SYS_TASK ? exec_task_gate(x, d, reason, 0, 0) : call_gate(x, d);
}

static int far_branch(struct exec *x)
{
    unsigned cpl = emul_cpl(x->s);
    struct exec_checked c;
    uint16_t selector;
    uint64_t offset;
    int status = far_pointer(x, &selector, &offset);

    if (status)
        return status;
    if (!emul_protected(x->s)) {
        c.segment = x->s->seg[EMUL_CS];
        exec_real_segment(&c.segment, EMUL_CS, selector, !!(x->s->rflags & RFLAGS_VM));
        return same_level(x, &c, offset, x->opsize);
    }
    status = exec_descriptor_read(x, selector, &c.from, EMUL_VECTOR_GP);
    if (status)
        return status;
    exec_descriptor_segment(&c.from, &c.segment);
    if (!(c.segment.attr & SEG_S))
        return far_system(x, &c);
    if (!(c.segment.attr & SEG_DOWN) && (selector & SELECTOR_RPL) > cpl)
        return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
    status = exec_check_code(x, &c, cpl, 0, EMUL_VECTOR_GP);
    return status ? status : same_level(x, &c, offset, x->opsize);
}

int do_jmpf(struct exec *x)
{
    return far_branch(x);
}

int do_callf(struct exec *x)
{
    return far_branch(x);
}

/* ---- RET ---- */

/* SDM 2B RET: what the outer level may not use is nulled. */
static void drop_segments(struct exec *x, unsigned cpl)
{
    for (unsigned i = 0; i < sizeof(exec_data_segments); i++) {
        struct emul_segment *segment = &x->s->seg[exec_data_segments[i]];

        if ((segment->attr & SEG_UNUSABLE) || exec_dpl(segment) >= cpl || (segment->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN))
            continue;
        segment->selector = 0;
        segment->attr |= SEG_UNUSABLE;
        x->ctx->changed |= EMUL_STATE_SEGS;
    }
}

/* The stack segment to return to: null only in 64-bit code below CPL 3 (SDM 2A IRET). */
static int check_outer_stack(struct exec *x, uint16_t selector, unsigned level, int is_64, struct exec_checked *ss)
{
    if (!exec_is_null(selector))
        return exec_check_stack(x, selector, level, EMUL_VECTOR_GP, ss);
    if (!is_64 || level == 3 || (selector & SELECTOR_RPL) != level)
        return exec_gp0(x);
    exec_null_segment(&ss->segment, selector, level);
    return EMUL_DONE;
}

int exec_return(struct exec *x, struct exec_stack *st, uint16_t selector, uint64_t rip, unsigned release, int with_stack)
{
    unsigned cpl = emul_cpl(x->s), level = selector & SELECTOR_RPL;
    uint64_t rsp, ss_selector;
    struct exec_checked cs, ss;
    int is_64, status = exec_descriptor_read(x, selector, &cs.from, EMUL_VECTOR_GP);

    if (status)
        return status;
    if (level < cpl)
        return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
    status = exec_check_code(x, &cs, level, 0, EMUL_VECTOR_GP);
    if (status)
        return status;
    exec_stack_skip(st, release);
    if (level == cpl && !with_stack)
        return exec_transfer(x, &cs, 0, rip, st);
    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    is_64 = (x->s->efer & EFER_LMA) && (cs.segment.attr & SEG_L);
    status = exec_pop(x, st, x->opsize, &rsp);
    if (!status)
        status = exec_pop(x, st, x->opsize, &ss_selector);
    if (!status)
        status = check_outer_stack(x, ss_selector, level, is_64, &ss);
    if (!status)
        status = exec_transfer(x, &cs, &ss, rip, 0);
    if (status)
        return status;
    exec_set_gpr(x, EMUL_RSP, is_64 ? 8 : ss.segment.attr & SEG_DB ? 4 : 2, rsp + release);
    drop_segments(x, level);
    return EMUL_DONE;
}

int do_retf(struct exec *x)
{
    unsigned release = (uint16_t)x->insn->imm;
    uint64_t rip, selector;
    struct exec_stack st;
    int status;

    exec_stack_begin(x, &st);
    status = exec_pop(x, &st, x->opsize, &rip);
    if (!status)
        status = exec_pop(x, &st, x->opsize, &selector);
    if (status)
        return status;
    if (emul_protected(x->s))
        return exec_return(x, &st, selector, rip, release, 0);
    exec_stack_skip(&st, release);
    return exec_real_transfer(x, selector, rip, &st);
}
