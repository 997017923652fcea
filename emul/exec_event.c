/* Interrupts and exceptions through the tables of every mode, INT n and its kin (SDM 3A 6, 3B 20; 2A INT n). */
#include "exec_far.h"

/* In an error code: the selector is an index of the IDT (SDM 3A 6.13); bytes of the interrupt redirection map, below the I/O map
 * (SDM 3B 20.3.3.4). */
enum { ERROR_IDT = 2, REDIRECTION = 32 };

/* ---- Through a vector table: real mode, and what virtual-8086 mode redirects ---- */

static void through_table(struct exec *x, uint64_t base, unsigned vector, uint64_t clear)
{
    struct exec_descriptor cs;
    struct exec_stack st;
    uint64_t target;

    exec_stack_begin(x, &st);
    exec_push(x, &st, 2, exec_seen_flags(x));
    exec_push_frame(x, &st, 2, FRAME_RETURN, FRAME_END);
    target = exec_read(x, exec_translate(x, EMUL_MODE32, (uint32_t)(base + vector * 4), 4, emul_user(x->ctx)), EMUL_FOR_DESCRIPTOR);
    exec_check_segment(x, EMUL_CS, target >> 16, 0, 0, &cs);
    exec_transfer(x, &cs, 0, 0, &st);
    x->next_rip = target & 0xffff; /* whatever the limit: that is for the fetch */
    x->flags &= ~clear;
}

/* ---- Through a gate ---- */

static void through_idt(struct exec *x, unsigned vector)
{
    static const struct emul_segment null = { .attr = SEG_UNUSABLE };
    unsigned size = exec_is_long(x) ? 16 : 8, error = vector * 8 | ERROR_IDT, is_v86 = !!(x->s->rflags & RFLAGS_VM), good;
    struct exec_descriptor gate;

    exec_raise_if(x, vector * size + size - 1 > x->s->idtr.limit, EMUL_VECTOR_GP, error);
    gate.low = exec_system_read(x, x->s->idtr.base + vector * size, 8);
    gate.high = size == 16 ? exec_system_read(x, x->s->idtr.base + vector * size + 8, 8) : 0;
    gate.segment.attr = gate.low >> 40;
    good = x->event->kind != EMUL_EVENT_SOFTWARE || exec_dpl(&gate.segment) >= emul_cpl(x->s);
    exec_raise_if(x, !good || !exec_is_type(&gate.segment, exec_types(x, TYPES_IDT)), EMUL_VECTOR_GP, error);
    exec_raise_if(x, !(gate.segment.attr & SEG_P), EMUL_VECTOR_NP, error);
    if ((gate.segment.attr & SEG_TYPE) == SYS_TASK) {
        exec_task_switch(x, gate.low >> 16, EMUL_TASK_GATE);
        return;
    }
    exec_through_gate(x, &gate, FRAME_FLAGS);
    x->flags &= ~(RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | (gate.segment.attr & SYS_IS_TRAP ? 0 : RFLAGS_IF));
    for (unsigned i = 0; is_v86 && i < sizeof(exec_data_segments); i++)
        exec_set_segment(x, exec_data_segments[i], &null);
}

static void deliver(struct exec *x, unsigned vector)
{
    exec_require(x, EMUL_STATE_SYSTEM | (x->s->rflags & RFLAGS_VM ? EMUL_STATE_SEGS : 0));
    if (x->s->cr0 & CR0_PE) {
        through_idt(x, vector);
    } else {
        exec_raise_if(x, vector * 4 + 3 > x->s->idtr.limit, EMUL_VECTOR_GP, vector * 8 | ERROR_IDT);
        through_table(x, x->s->idtr.base, vector, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    }
}

/* ---- Instructions ---- */

/* INT n in virtual-8086 mode, SDM 3B table 20-2: with VME, a clear bit of the redirection map leaves it to the 8086 program's own table. */
static void int_v86(struct exec *x, unsigned vector)
{
    int iopl3 = exec_iopl(x) == 3, redirected = 0;

    if (x->s->cr4 & CR4_VME) {
        exec_require(x, EMUL_STATE_SYSTEM);
        redirected = !(exec_tss_bits(x, vector / 8 - (uint64_t)REDIRECTION, 1) >> (vector & 7) & 1);
    }
    exec_gp0_if(x, !redirected && !iopl3);
    if (!redirected)
        deliver(x, vector);
    else
        through_table(x, 0, vector, RFLAGS_TF | (iopl3 ? RFLAGS_IF : RFLAGS_VIF));
}

/* TF is off behind them, so no single-step trap is due (SDM 3B 17.3.1.4). INT1 counts as an exception: no DPL check, EXT. */
void do_int(struct exec *x)
{
    static const struct exec_event int1 = { .kind = EMUL_EVENT_TRAP, .external = 1 };
    unsigned op = x->insn->op, vector = op == EMUL_INT1 ? EMUL_VECTOR_DB : op == EMUL_INTO ? EMUL_VECTOR_OF : EMUL_VECTOR_BP;

    if (op == EMUL_INTO && !(x->flags & RFLAGS_OF))
        return;
    x->step = 0;
    if (op == EMUL_INT1)
        x->event = &int1;
    if (op == EMUL_INT && (x->s->rflags & RFLAGS_VM))
        int_v86(x, (uint8_t)x->insn->imm);
    else
        deliver(x, op == EMUL_INT ? (uint8_t)x->insn->imm : vector);
}

/* ---- Outside of an instruction ---- */

enum { EVENT_TASK = EMUL_EVENT_TRAP + 1 }; /* of struct exec_event: no event, a task switch */

static void run_event(struct exec *x)
{
    const struct exec_event *event = x->event;
    struct emul_state *s = x->s;

    if (event->kind == EMUL_EVENT_FAULT && event->target != EMUL_VECTOR_DB)
        x->flags |= RFLAGS_RF; /* SDM 3B 17.3.1.1 */
    if (event->kind == EVENT_TASK)
        exec_task_switch(x, event->target, event->reason);
    else
        deliver(x, event->target);
    s->rip = x->next_rip;
    s->rsp = x->gpr[EMUL_RSP];
    s->rflags = x->flags;
    s->shadow = 0;
    x->ctx->changed |= EMUL_STATE_RIP;
}

static int run_outside(struct emul_ctx *ctx, struct emul_result *result, const struct exec_event *event)
{
    struct exec *x = exec_of(ctx);

    exec_begin(ctx);
    emul_begin(ctx);
    x->result = result;
    x->next_rip = ctx->state->rip;
    x->flags = ctx->state->rflags;
    x->mode = emul_mode_of(ctx->facts);
    x->special = 0;
    *result = (struct emul_result){ .insn = &result->store, .store.op = EMUL_BAD };
    result->status = exec_guard(x, event, run_event);
    return result->status;
}

int emul_deliver(struct emul_ctx *ctx, unsigned vector, enum emul_event event, int has_error, uint32_t error, struct emul_result *result)
{
    const struct exec_event what = { .error = error, .target = (uint8_t)vector, .kind = event, .has_error = !!has_error,
                                     .external = event != EMUL_EVENT_SOFTWARE };

    return run_outside(ctx, result, &what);
}

int emul_task_switch(struct emul_ctx *ctx, uint16_t selector, enum emul_task_reason reason, int has_error, uint32_t error,
                     struct emul_result *result)
{
    const struct exec_event what = { .error = error, .target = selector, .kind = EVENT_TASK, .reason = reason, .has_error = !!has_error,
                                     .external = reason == EMUL_TASK_GATE };

    return run_outside(ctx, result, &what);
}
