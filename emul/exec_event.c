/* Interrupts and exceptions through the tables of every mode, INT n and its kin, IRET (SDM 3A 6, 3B 20; 2A INT n, IRET). */
#include "exec_far.h"

#define ERROR_IDT      2u          /* in an error code: the selector is an index of the IDT (SDM 3A 6.13) */
#define ERROR_EXT      1u
#define VECTORS_EXT    (1u << EMUL_VECTOR_TS | 1u << EMUL_VECTOR_NP | 1u << EMUL_VECTOR_SS | 1u << EMUL_VECTOR_GP)
#define STACK_ALIGN    15u         /* IA-32e mode, SDM 3A 6.14.2 */
#define TSS_BITMAP     0x66u       /* SDM 3A figure 7-2 */
#define REDIRECTION    32u         /* bytes of the interrupt redirection map, below the I/O map (SDM 3B 20.3.3.4) */
#define FLAGS_WIDE     (RFLAGS_RF | RFLAGS_AC | RFLAGS_ID) /* IRET loads them too with 32 and 64 bits */

/* SDM 3A 6.13: a selector's error code says when the fault came while an event from outside the program was delivered. */
int exec_external(const struct exec *x, int status)
{
    if (status == EMUL_FAULT && (VECTORS_EXT >> x->result->vector & 1))
        x->result->error |= ERROR_EXT;
    return status;
}

/* ---- Through a gate ---- */

static int read_gate(struct exec *x, unsigned vector, int is_software, struct exec_descriptor *gate)
{
    static const uint16_t known = 1 << SYS_TASK | 1 << SYS_INT16 | 1 << SYS_TRAP16 | 1 << SYS_INT | 1 << SYS_TRAP;
    static const uint16_t known_long = 1 << SYS_INT | 1 << SYS_TRAP;
    int is_long = exec_is_long(x);
    unsigned size = is_long ? 16 : 8, error = vector * 8 | ERROR_IDT, type;
    int status;

    if (vector * size + size - 1 > x->s->idtr.limit)
        return exec_fault(x, EMUL_VECTOR_GP, error);
    gate->high = 0;
    status = exec_system_read(x, x->s->idtr.base + vector * size, 8, &gate->low);
    if (!status && is_long)
        status = exec_system_read(x, x->s->idtr.base + vector * size + 8, 8, &gate->high);
    if (status)
        return status;
    type = gate->low >> 40 & (SEG_S | SEG_TYPE);
    if (!((is_long ? known_long : known) >> type & 1))
        return exec_fault(x, EMUL_VECTOR_GP, error);
    if (is_software && (gate->low >> (40 + SEG_DPL) & 3) < emul_cpl(x->s))
        return exec_fault(x, EMUL_VECTOR_GP, error);
    return gate->low >> 40 & SEG_P ? EMUL_DONE : exec_fault(x, EMUL_VECTOR_NP, error);
}

/* What it stacks: in virtual-8086 mode the data segments too; SS and rSP if the stack changes, in IA-32e mode always. */
static int push_frame(struct exec *x, struct exec_stack *st, unsigned size, int with_stack, uint64_t flags)
{
    const struct emul_segment *seg = x->s->seg;
    const uint64_t frame[] = { seg[EMUL_GS].selector, seg[EMUL_FS].selector, seg[EMUL_DS].selector, seg[EMUL_ES].selector,
                               seg[EMUL_SS].selector, x->gpr[EMUL_RSP], flags, seg[EMUL_CS].selector, x->next_rip };
    unsigned from = x->s->rflags & RFLAGS_VM ? 0 : with_stack ? 4 : 6;

    return exec_push(x, st, size, frame + from, sizeof(frame) / sizeof(frame[0]) - from);
}

static int through_gate(struct exec *x, const struct exec_descriptor *gate, uint64_t flags, int has_error, uint32_t error)
{
    unsigned type = gate->low >> 40 & SEG_TYPE, cpl = emul_cpl(x->s), level;
    int is_v86 = !!(x->s->rflags & RFLAGS_VM), is_long = exec_is_long(x);
    unsigned size = is_long ? 8 : type & SYS_BIG ? 4 : 2, ist = is_long ? gate->low >> 32 & 7 : 0;
    uint64_t rip = (gate->low & 0xffff) | (type & SYS_BIG ? gate->low >> 32 & 0xffff0000 : 0) | gate->high << 32, code = error;
    struct exec_descriptor cs, ss;
    struct exec_stack st;
    int status = exec_check_code(x, gate->low >> 16, cpl, CODE_GATE | CODE_INWARD, EMUL_VECTOR_GP, &cs);

    if (status)
        return status;
    level = cs.segment.selector & SELECTOR_RPL;
    if (is_v86 && level)
        return exec_bad_selector(x, EMUL_VECTOR_GP, cs.segment.selector);
    if (is_v86 && exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    exec_stack_begin(x, &st);
    if (level < cpl || ist)
        status = exec_inner_stack(x, level, ist, &ss, &st);
    if (is_long) {
        st.size = 8;
        st.rsp &= ~(uint64_t)STACK_ALIGN;
    }
    if (!status)
        status = push_frame(x, &st, size, is_long || level < cpl, flags);
    if (!status)
        status = exec_push(x, &st, size, &code, !!has_error);
    if (!status)
        status = exec_transfer(x, &cs, level < cpl ? &ss : 0, rip, &st);
    if (status)
        return status;
    x->flags &= ~(RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | (type & 1 ? 0 : RFLAGS_IF));
    for (unsigned i = 0; is_v86 && i < sizeof(exec_data_segments); i++) {
        exec_null_segment(&x->s->seg[exec_data_segments[i]], 0, 0);
        x->ctx->changed |= EMUL_STATE_SEGS;
    }
    return EMUL_DONE;
}

/* ---- Through a vector table: real mode, and what virtual-8086 mode redirects ---- */

static int through_table(struct exec *x, uint64_t base, unsigned vector, uint64_t flags, uint64_t clear)
{
    struct emul_segment cs = x->s->seg[EMUL_CS];
    const uint64_t frame[] = { flags, cs.selector, x->next_rip };
    struct emul_place place;
    struct exec_stack st;
    uint64_t target;
    int status;

    exec_stack_begin(x, &st);
    status = exec_push(x, &st, 2, frame, 3);
    if (!status)
        status = emul_translate(x->ctx, EMUL_MODE32, (uint32_t)(base + vector * 4), 4, emul_user(x->ctx), &place, x->result);
    if (!status)
        status = emul_load(x->ctx, &place, &target, EMUL_FOR_DESCRIPTOR);
    if (!status)
        status = exec_stack_commit(x, &st);
    if (status)
        return status;
    exec_real_segment(&cs, EMUL_CS, target >> 16, !!(x->s->rflags & RFLAGS_VM));
    exec_set_segment(x, EMUL_CS, &cs);
    x->next_rip = target & 0xffff;
    x->flags &= ~clear;
    return EMUL_DONE;
}

static int deliver(struct exec *x, unsigned vector, enum emul_event event, uint64_t flags, int has_error, uint32_t error)
{
    struct exec_descriptor gate;
    int status;

    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (!(x->s->cr0 & CR0_PE)) {
        if (vector * 4 + 3 > x->s->idtr.limit)
            return exec_fault(x, EMUL_VECTOR_GP, vector * 8 | ERROR_IDT);
        return through_table(x, x->s->idtr.base, vector, flags, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    }
    status = read_gate(x, vector, event == EMUL_EVENT_SOFTWARE, &gate);
    if (status)
        return status;
    if ((gate.low >> 40 & SEG_TYPE) != SYS_TASK)
        return through_gate(x, &gate, flags, has_error, error);
    x->flags = flags;
    return exec_task_gate(x, gate.low, EMUL_TASK_GATE, has_error, error);
}

/* ---- Instructions ---- */

/* INT n in virtual-8086 mode, SDM 3B table 20-2: *redirected is 1 when the 8086 program's own table has it. */
static int ask_redirection(struct exec *x, unsigned vector, int *redirected)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    uint64_t at, bits = ~0ull;
    int status;

    if (x->s->cr4 & CR4_VME) {
        if (exec_need(x, EMUL_STATE_SYSTEM))
            return EMUL_UNHANDLED;
        if (tr->limit < TSS_BITMAP + 1)
            return exec_gp0(x);
        status = exec_system_read(x, tr->base + TSS_BITMAP, 2, &at);
        if (status)
            return status;
        at = at - REDIRECTION + vector / 8;
        if (at > tr->limit)
            return exec_gp0(x);
        status = exec_system_read(x, tr->base + at, 1, &bits);
        if (status)
            return status;
    }
    *redirected = !(bits >> (vector & 7) & 1);
    return *redirected || exec_iopl(x) == 3 ? EMUL_DONE : exec_gp0(x);
}

static int int_v86(struct exec *x, unsigned vector)
{
    int redirected, status = ask_redirection(x, vector, &redirected);

    if (status)
        return status;
    if (!redirected)
        return deliver(x, vector, EMUL_EVENT_SOFTWARE, x->flags, 0, 0);
    if (exec_iopl(x) == 3)
        return through_table(x, 0, vector, x->flags, RFLAGS_IF | RFLAGS_TF);
    return through_table(x, 0, vector, exec_v86_flags(x->flags), RFLAGS_VIF | RFLAGS_TF);
}

/* TF is off behind them, so no single-step trap is due (SDM 3B 17.3.1.4). INT1 counts as an exception: no DPL check, EXT. */
int do_int(struct exec *x)
{
    unsigned vector = (uint8_t)x->insn->imm;

    if (x->insn->op == EMUL_INTO && !(x->flags & RFLAGS_OF))
        return EMUL_DONE;
    x->no_step = 1;
    if (x->insn->op == EMUL_INT1)
        return exec_external(x, deliver(x, EMUL_VECTOR_DB, EMUL_EVENT_TRAP, x->flags, 0, 0));
    if (x->insn->op == EMUL_INT && (x->s->rflags & RFLAGS_VM))
        return int_v86(x, vector);
    if (x->insn->op != EMUL_INT)
        vector = x->insn->op == EMUL_INTO ? EMUL_VECTOR_OF : EMUL_VECTOR_BP;
    return deliver(x, vector, EMUL_EVENT_SOFTWARE, x->flags, 0, 0);
}

/* IRET within real mode, or within virtual-8086 mode. frame: rIP, CS, flags. */
static int iret_real(struct exec *x, struct exec_stack *st, const uint64_t *frame)
{
    uint64_t mask = EXEC_FLAGS_POPPED | (x->opsize > 2 ? FLAGS_WIDE : 0);
    int status = EMUL_DONE;

    if (x->s->rflags & RFLAGS_VM)
        status = exec_v86_load_flags(x, frame[2], mask);
    else
        exec_load_flags(x, frame[2], mask | RFLAGS_IF | RFLAGS_IOPL);
    return status ? status : exec_real_transfer(x, frame[1], frame[0], st);
}

/* From CPL 0 to virtual-8086 mode: rSP and the segments follow the flags on the stack. */
static int iret_to_v86(struct exec *x, struct exec_stack *st, const uint64_t *frame)
{
    static const uint8_t order[] = { EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
    uint64_t rsp, selectors[sizeof(order)];
    int status = exec_need(x, EMUL_STATE_SEGS) ? EMUL_UNHANDLED : exec_pop(x, st, 4, &rsp, 1);

    if (!status)
        status = exec_pop(x, st, 4, selectors, sizeof(order));
    if (status)
        return status;
    if (frame[0] > 0xffff) /* the limit of its CS */
        return exec_gp0(x);
    for (unsigned i = 0; i < sizeof(order); i++)
        exec_real_segment(&x->s->seg[order[i]], order[i], selectors[i], 1);
    exec_real_segment(&x->s->seg[EMUL_CS], EMUL_CS, frame[1], 1);
    x->ctx->changed |= EMUL_STATE_CS | EMUL_STATE_SEGS;
    x->gpr[EMUL_RSP] = rsp;
    x->next_rip = frame[0];
    exec_load_flags(x, frame[2], EXEC_FLAGS_ALL);
    return EMUL_DONE;
}

int do_iret(struct exec *x)
{
    unsigned cpl = emul_cpl(x->s), iopl = exec_iopl(x);
    uint64_t frame[3], mask = EXEC_FLAGS_POPPED | (cpl <= iopl ? RFLAGS_IF : 0) | (cpl ? 0 : RFLAGS_IOPL); /* by the level before */
    struct exec_stack st;
    int status;

    if (exec_v86_denies(x) || (exec_is_long(x) && (x->flags & RFLAGS_NT)))
        return exec_gp0(x);
    if (emul_protected(x->s) && (x->flags & RFLAGS_NT))
        return exec_task_return(x);
    exec_stack_begin(x, &st);
    status = exec_pop(x, &st, x->opsize, frame, 3);
    if (status)
        return status;
    if (!emul_protected(x->s))
        return iret_real(x, &st, frame);
    if (!exec_is_long(x) && (frame[2] & RFLAGS_VM) && !cpl) /* 16 bits have no VM */
        return iret_to_v86(x, &st, frame);
    if (x->opsize > 2)
        mask |= FLAGS_WIDE | (cpl ? 0 : RFLAGS_VIF | RFLAGS_VIP);
    status = exec_return(x, &st, frame[1], frame[0], 0, x->mode == EMUL_MODE64);
    exec_load_flags(x, frame[2], mask);
    return status;
}

/* ---- Outside of an instruction ---- */

void exec_outside(struct exec *x, struct emul_ctx *ctx, struct emul_result *result)
{
    struct emul_state *s = ctx->state;

    *x = (struct exec){ .ctx = ctx, .s = s, .result = result, .gpr = ctx->gpr, .next_rip = s->rip, .flags = s->rflags,
                        .mode = emul_code_mode(s) };
    x->gpr[EMUL_RSP] = s->rsp;
    x->context = emul_walk_context(ctx);
    x->user = emul_user(ctx);
    result->insn = &result->store;
    result->store.op = EMUL_BAD;
    result->store.length = 0;
    result->step = 0;
    result->halted = 0;
    result->iterations = 0;
}

int exec_outside_end(struct exec *x, int status)
{
    struct emul_state *s = x->s;

    x->result->status = status;
    if (status)
        return status;
    s->rip = x->next_rip;
    s->rsp = x->gpr[EMUL_RSP];
    s->rflags = x->flags;
    s->shadow = 0;
    x->ctx->changed |= EMUL_STATE_RIP;
    return EMUL_DONE;
}

int emul_deliver(struct emul_ctx *ctx, unsigned vector, enum emul_event event, int has_error, uint32_t error, struct emul_result *result)
{
    struct exec x;
    uint64_t flags;
    int status;

    exec_outside(&x, ctx, result);
    flags = x.flags;
    if (event == EMUL_EVENT_FAULT && vector != EMUL_VECTOR_DB)
        flags |= RFLAGS_RF; /* SDM 3B 17.3.1.1 */
    status = deliver(&x, (uint8_t)vector, event, flags, has_error, error);
    return exec_outside_end(&x, event == EMUL_EVENT_SOFTWARE ? status : exec_external(&x, status));
}
