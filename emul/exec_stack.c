/* What raising handlers share: the way out of them, memory by linear address, the stack, the bitmaps of the TSS. */
#include "exec_far.h"

#define VECTORS_EXT (1u << EMUL_VECTOR_TS | 1u << EMUL_VECTOR_NP | 1u << EMUL_VECTOR_SS | 1u << EMUL_VECTOR_GP)
#define ERROR_EXT   1u             /* in an error code: the fault came while an event from outside the program was delivered */
#define TSS_BITMAP  0x66u          /* offset of the I/O bitmap's offset, SDM 3A figure 7-2 */

/* ---- Raising ---- */

/* A frame of its own, and kept: it is where exec_end() lands, with no register but the stack's left as it was. */
__attribute__((noinline)) int exec_guard_kept(struct exec *x, const struct exec_event *event, void (*body)(struct exec *x))
{
    static const struct exec_event instruction = { .kind = EMUL_EVENT_SOFTWARE };

    x->status = EMUL_DONE;
    x->event = event ? event : &instruction;
    if (!__builtin_setjmp(x->back))
        body(x);
    if (x->status == EMUL_FAULT && x->event->external && (VECTORS_EXT >> x->result->vector & 1))
        x->result->error |= ERROR_EXT;
    return x->status;
}

int exec_guard(struct exec *x, const struct exec_event *event, void (*body)(struct exec *x))
{
    int status = exec_guard_kept(x, event, body);

    x->ctx->facts = 0; /* it may have changed what they are of */
    return status;
}

int exec_raising(struct exec *x)
{
    const struct exec_row *row = &emul_exec[x->insn->op];

    return exec_need(x, row->needs) ? EMUL_UNHANDLED : exec_guard(x, 0, row->raise);
}

void exec_end(struct exec *x, int status)
{
    x->status = status;
    __builtin_longjmp(x->back, 1);
}

void exec_raise(struct exec *x, unsigned vector, uint32_t error)
{
    exec_end(x, emul_fault(x->result, vector, error));
}

void exec_require(struct exec *x, uint32_t groups)
{
    exec_must(x, emul_need(x->ctx, groups));
}

/* ---- Memory ---- */

uint64_t exec_get(struct exec *x, uint64_t skip, unsigned size)
{
    uint64_t value;

    exec_must(x, exec_load(x, skip, size, &value));
    return value;
}

uint64_t exec_get_rm(struct exec *x, unsigned size)
{
    return x->insn->mod == 3 ? exec_reg_read(exec_reg(x, x->insn->rm, size), size) : exec_get(x, 0, size);
}

uint64_t exec_read(struct exec *x, struct emul_place place, unsigned cause)
{
    uint64_t value;

    exec_must(x, emul_load(x->ctx, &place, &value, cause));
    return value;
}

struct emul_place exec_translate(struct exec *x, unsigned mode, uint64_t linear, unsigned size, unsigned access)
{
    struct emul_place place;

    exec_must(x, emul_translate(x->ctx, mode, linear, size, access, &place, x->result));
    return place;
}

struct emul_place exec_place(struct exec *x, uint64_t offset, unsigned size, unsigned align, unsigned access)
{
    struct emul_place place;
    uint64_t linear;

    exec_must(x, emul_linear(x->ctx, x->mode, x->insn->seg, offset, size, access, &linear, x->result));
    exec_raise_if(x, exec_misaligned(x, linear, align, emul_user(x->ctx)), EMUL_VECTOR_AC, 0);
    place = exec_translate(x, x->mode, linear, size, (access & EMUL_PF_W) | emul_user(x->ctx));
    exec_end_if(x, (access & EMUL_PF_W) && !exec_movable(x, &place, 1), EMUL_UNHANDLED);
    return place;
}

struct emul_place exec_system_place(struct exec *x, uint64_t linear, unsigned size, unsigned access)
{
    int wide = exec_is_long(x);

    return exec_translate(x, wide ? EMUL_MODE64 : EMUL_MODE32, wide ? linear : (uint32_t)linear, size, access | EMUL_IMPLICIT);
}

uint64_t exec_system_read(struct exec *x, uint64_t linear, unsigned size)
{
    return exec_read(x, exec_system_place(x, linear, size, 0), EMUL_FOR_DESCRIPTOR);
}

int exec_movable(const struct exec *x, const struct emul_place *place, int write)
{
    const struct emul_ops *ops = x->ctx->ops;
    int device = write ? !!ops->mmio_write : !!ops->mmio_read, ram = ops->phys_map || (write ? !!ops->phys_write : !!ops->phys_read);

    for (unsigned page = 0; !(device && ram) && page < 2 && place->size[page]; page++) {
        if (!ops->phys_map || !ops->phys_map(x->ctx->opaque, place->gpa[page], write, EMUL_FOR_OPERAND))
            return 0;
    }
    return 1;
}

/* ---- The stack ---- */

void exec_stack_begin(struct exec *x, struct exec_stack *st)
{
    st->ss = &x->s->seg[EMUL_SS];
    st->rsp = x->gpr[EMUL_RSP];
    st->size = exec_stack_width(x);
    st->access = emul_user(x->ctx);
    st->error = 0;
    st->count = 0;
}

struct emul_place exec_stack_place(struct exec *x, const struct exec_stack *st, uint64_t rsp, unsigned size, unsigned access)
{
    int wide = st->size == 8, allowed;
    uint64_t linear = rsp;

    access |= st->access;
    if (wide) {
        allowed = emul_canonical(x->s, rsp) && emul_canonical(x->s, rsp + size - 1);
    } else {
        rsp &= emul_size_mask(st->size);
        linear = (uint32_t)(st->ss->base + rsp);
        allowed = emul_segment_allows(x->s, st->ss, rsp, size, access & EMUL_PF_W);
    }
    exec_raise_if(x, !allowed, EMUL_VECTOR_SS, st->error);
    exec_raise_if(x, exec_misaligned(x, linear, size - 1, access & EMUL_PF_U), EMUL_VECTOR_AC, 0);
    return exec_translate(x, wide ? EMUL_MODE64 : EMUL_MODE32, linear, size, access);
}

void exec_stack_skip(struct exec_stack *st, uint64_t bytes)
{
    exec_reg_write((uint8_t *)&st->rsp, st->size, st->rsp + bytes); /* a 16-bit stack pointer keeps the upper half of ESP */
}

void exec_push(struct exec *x, struct exec_stack *st, unsigned size, uint64_t value)
{
    exec_end_if(x, st->count == EXEC_PUSHES, EMUL_UNHANDLED);
    st->push[st->count++] = (struct exec_write){ .place = exec_stack_place(x, st, st->rsp - size, size, EMUL_PF_W), .value = value };
    exec_stack_skip(st, -(uint64_t)size);
}

uint64_t exec_pop(struct exec *x, struct exec_stack *st, unsigned size)
{
    uint64_t value = exec_read(x, exec_stack_place(x, st, st->rsp, size, 0), EMUL_FOR_OPERAND);

    exec_stack_skip(st, size);
    return value;
}

void exec_stack_commit(struct exec *x, struct exec_stack *st)
{
    const struct exec_write *end = st->push + st->count;

    for (const struct exec_write *w = st->push; w < end; w++)
        exec_end_if(x, !exec_movable(x, &w->place, 1) || !exec_movable(x, &w->from, 0), EMUL_UNHANDLED);
    for (const struct exec_write *w = st->push; w < end; w++) {
        uint64_t value = w->from.size[0] ? exec_read(x, w->from, EMUL_FOR_OPERAND) : w->value;

        exec_must(x, emul_store(x->ctx, &w->place, value, EMUL_FOR_OPERAND));
    }
    x->gpr[EMUL_RSP] = st->rsp;
}

/* ---- Bitmaps of the TSS ---- */

uint64_t exec_tss_bits(struct exec *x, uint64_t at, unsigned size)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];

    exec_gp0_if(x, tr->limit < TSS_BITMAP + 1);
    at += exec_system_read(x, tr->base + TSS_BITMAP, 2);
    exec_gp0_if(x, at + size - 1 > tr->limit);
    return exec_system_read(x, tr->base + at, size);
}

/* Of the port in src. Two bytes are read whatever the size, SDM 1 18.5.2. */
static void ask_bitmap(struct exec *x)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];

    exec_require(x, EMUL_STATE_SYSTEM);
    exec_gp0_if(x, (tr->attr & SEG_UNUSABLE) || (tr->attr & SEG_TYPE & ~SYS_BUSY) != SYS_TSS);
    exec_gp0_if(x, exec_tss_bits(x, x->src / 8, 2) >> (x->src & 7) & ((1u << x->opsize) - 1));
}

int exec_port_allowed(struct exec *x, unsigned port)
{
    if (!(x->s->cr0 & CR0_PE) || (!(x->s->rflags & RFLAGS_VM) && emul_cpl(x->s) <= exec_iopl(x)))
        return EMUL_DONE;
    x->src = port;
    return exec_guard_kept(x, 0, ask_bitmap);
}
