/* Interrupts and exceptions through the tables of every mode, INT n and its kin, IRET (SDM 3A 6, 3B 20; 2A INT n, IRET). */
#include "exec_far.h"

/* In an error code: the selector is an index of the IDT (SDM 3A 6.13); of stacks in IA-32e mode (SDM 3A 6.14.2); bytes of the interrupt
 * redirection map, below the I/O map (SDM 3B 20.3.3.4). */
enum { ERROR_IDT = 2, STACK_ALIGN = 15, REDIRECTION = 32 };

/* ---- Through a gate ---- */

static void read_gate(struct exec *x, unsigned vector, struct exec_descriptor *gate)
{
    int is_long = exec_is_long(x);
    unsigned known = 1 << SYS_INT | 1 << SYS_TRAP | (is_long ? 0 : 1 << SYS_TASK | 1 << SYS_INT16 | 1 << SYS_TRAP16);
    unsigned size = is_long ? 16 : 8, error = vector * 8 | ERROR_IDT, attr;

    exec_raise_if(x, vector * size + size - 1 > x->s->idtr.limit, EMUL_VECTOR_GP, error);
    gate->low = exec_system_read(x, x->s->idtr.base + vector * size, 8);
    gate->high = is_long ? exec_system_read(x, x->s->idtr.base + vector * size + 8, 8) : 0;
    attr = gate->low >> 40;
    exec_raise_if(x, !(known >> (attr & (SEG_S | SEG_TYPE)) & 1), EMUL_VECTOR_GP, error);
    exec_raise_if(x, x->event->kind == EMUL_EVENT_SOFTWARE && (attr >> SEG_DPL & 3) < emul_cpl(x->s), EMUL_VECTOR_GP, error);
    exec_raise_if(x, !(attr & SEG_P), EMUL_VECTOR_NP, error);
}

/* What it stacks: in virtual-8086 mode the data segments too; SS and rSP if the stack changes, in IA-32e mode always. */
static void push_frame(struct exec *x, struct exec_stack *st, unsigned size, int with_stack, uint64_t flags)
{
    const struct emul_segment *seg = x->s->seg;
    const uint64_t frame[] = { seg[EMUL_GS].selector, seg[EMUL_FS].selector, seg[EMUL_DS].selector, seg[EMUL_ES].selector,
                               seg[EMUL_SS].selector, x->gpr[EMUL_RSP], flags, seg[EMUL_CS].selector, x->next_rip };

    for (unsigned i = x->s->rflags & RFLAGS_VM ? 0 : with_stack ? 4 : 6; i < sizeof(frame) / sizeof(frame[0]); i++)
        exec_push(x, st, size, frame[i]);
}

static void through_gate(struct exec *x, const struct exec_descriptor *gate, uint64_t flags)
{
    int is_v86 = !!(x->s->rflags & RFLAGS_VM), is_long = exec_is_long(x), inner;
    unsigned size = exec_gate_size(x, gate);
    struct exec_descriptor cs, ss;
    struct exec_stack st;

    inner = exec_gate_enter(x, gate, CODE_INWARD, is_long ? gate->low >> 32 & 7 : 0, &cs, &ss, &st);
    if (is_v86)
        exec_require(x, EMUL_STATE_SEGS);
    if (is_long)
        st.rsp &= ~(uint64_t)STACK_ALIGN;
    push_frame(x, &st, size, is_long || inner, flags);
    if (x->event->has_error)
        exec_push(x, &st, size, x->event->error);
    exec_transfer(x, &cs, inner ? &ss : 0, exec_gate_offset(gate), &st);
    x->flags &= ~(RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | (gate->low >> 40 & SYS_IS_TRAP ? 0 : RFLAGS_IF));
    for (unsigned i = 0; is_v86 && i < sizeof(exec_data_segments); i++) {
        exec_null_segment(&x->s->seg[exec_data_segments[i]], 0, 0);
        x->ctx->changed |= EMUL_STATE_SEGS;
    }
}

/* ---- Through a vector table: real mode, and what virtual-8086 mode redirects ---- */

static void through_table(struct exec *x, uint64_t base, unsigned vector, uint64_t flags, uint64_t clear)
{
    struct exec_descriptor cs;
    struct emul_place place;
    struct exec_stack st;
    uint64_t target;

    exec_stack_begin(x, &st);
    exec_push(x, &st, 2, flags);
    exec_push_return(x, &st, 2);
    place = exec_translate(x, EMUL_MODE32, (uint32_t)(base + vector * 4), 4, emul_user(x->ctx));
    target = exec_read(x, &place, EMUL_FOR_DESCRIPTOR);
    exec_check_code(x, target >> 16, 0, 0, 0, &cs);
    exec_transfer(x, &cs, 0, 0, &st);
    x->next_rip = target & 0xffff; /* whatever the limit: that is for the fetch */
    x->flags &= ~clear;
}

static void deliver(struct exec *x, unsigned vector, uint64_t flags)
{
    struct exec_descriptor gate;

    exec_require(x, EMUL_STATE_SYSTEM);
    if (!(x->s->cr0 & CR0_PE)) {
        exec_raise_if(x, vector * 4 + 3 > x->s->idtr.limit, EMUL_VECTOR_GP, vector * 8 | ERROR_IDT);
        through_table(x, x->s->idtr.base, vector, flags, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
        return;
    }
    read_gate(x, vector, &gate);
    if ((gate.low >> 40 & SEG_TYPE) != SYS_TASK) {
        through_gate(x, &gate, flags);
    } else {
        x->flags = flags;
        exec_task_switch(x, gate.low >> 16, EMUL_TASK_GATE);
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
        deliver(x, vector, x->flags);
    else if (iopl3)
        through_table(x, 0, vector, x->flags, RFLAGS_IF | RFLAGS_TF);
    else
        through_table(x, 0, vector, exec_v86_flags(x->flags), RFLAGS_VIF | RFLAGS_TF);
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
        deliver(x, op == EMUL_INT ? (uint8_t)x->insn->imm : vector, x->flags);
}

/* From CPL 0 to virtual-8086 mode: rSP and the segments follow the flags on the stack. */
static void iret_to_v86(struct exec *x, struct exec_stack *st, uint64_t rip, uint16_t cs, uint64_t flags)
{
    static const uint8_t order[] = { EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS, EMUL_CS };
    uint64_t rsp, selectors[sizeof(order)] = { [5] = cs };

    exec_require(x, EMUL_STATE_SEGS);
    rsp = exec_pop(x, st, 4);
    for (unsigned i = 0; i < 5; i++)
        selectors[i] = exec_pop(x, st, 4);
    exec_gp0_if(x, rip > 0xffff); /* the limit of its CS */
    for (unsigned i = 0; i < sizeof(order); i++)
        exec_real_segment(&x->s->seg[order[i]], order[i], selectors[i], 1);
    x->ctx->changed |= EMUL_STATE_CS | EMUL_STATE_SEGS;
    x->gpr[EMUL_RSP] = rsp;
    x->next_rip = rip;
    exec_load_flags(x, flags, EXEC_FLAGS_ALL);
}

void do_iret(struct exec *x)
{
    int is_protected = emul_protected(x->s), cpl = emul_cpl(x->s), wide = x->opsize > 2;
    uint64_t rip, flags;
    uint16_t cs;
    struct exec_stack st;

    exec_gp0_if(x, exec_v86_denies(x) || (exec_is_long(x) && (x->flags & RFLAGS_NT)));
    if (is_protected && (x->flags & RFLAGS_NT)) {
        exec_require(x, EMUL_STATE_SYSTEM);
        exec_task_switch(x, exec_system_read(x, x->s->seg[EMUL_TR].base, 2), EMUL_TASK_IRET);
        return;
    }
    exec_stack_begin(x, &st);
    rip = exec_pop(x, &st, x->opsize);
    cs = exec_pop(x, &st, x->opsize);
    flags = exec_pop(x, &st, x->opsize);
    if (is_protected && !exec_is_long(x) && (flags & RFLAGS_VM) && !cpl) { /* 16 bits have no VM */
        iret_to_v86(x, &st, rip, cs, flags);
        return;
    }
    exec_pop_flags(x, flags, (wide ? RFLAGS_RF : 0) | (is_protected && wide && !cpl ? RFLAGS_VIF | RFLAGS_VIP : 0));
    exec_return(x, &st, cs, rip, 0, x->mode == EMUL_MODE64);
}

/* ---- Outside of an instruction ---- */

int exec_outside(struct emul_ctx *ctx, struct emul_result *result, const struct exec_event *event, void (*body)(struct exec *x))
{
    struct emul_state *s = ctx->state;
    struct exec *x = exec_of(ctx);

    exec_begin(ctx);
    emul_begin(ctx);
    x->result = result;
    x->next_rip = s->rip;
    x->flags = s->rflags;
    x->mode = emul_mode_of(ctx->facts);
    x->special = 0;
    result->insn = &result->store;
    result->store.op = EMUL_BAD;
    result->store.length = 0;
    result->marks = 0;
    result->iterations = 0;
    result->status = exec_guard(x, event, body);
    if (result->status)
        return result->status;
    s->rip = x->next_rip;
    s->rsp = x->gpr[EMUL_RSP];
    s->rflags = x->flags;
    s->shadow = 0;
    ctx->changed |= EMUL_STATE_RIP;
    return EMUL_DONE;
}

static void deliver_event(struct exec *x)
{
    int is_fault = x->event->kind == EMUL_EVENT_FAULT && x->event->target != EMUL_VECTOR_DB;

    deliver(x, x->event->target, x->flags | (is_fault ? RFLAGS_RF : 0)); /* SDM 3B 17.3.1.1 */
}

int emul_deliver(struct emul_ctx *ctx, unsigned vector, enum emul_event event, int has_error, uint32_t error, struct emul_result *result)
{
    const struct exec_event what = { .error = error, .target = (uint8_t)vector, .kind = event, .has_error = !!has_error,
                                     .external = event != EMUL_EVENT_SOFTWARE };

    return exec_outside(ctx, result, &what, deliver_event);
}
