/* What handlers of several files need of memory: the stack, system tables by linear address, the I/O permission bitmap. */
#include "exec.h"

void exec_stack_begin(struct exec *x, struct exec_stack *st)
{
    const struct emul_segment *ss = &x->s->seg[EMUL_SS];

    st->ss = ss;
    st->rsp = x->gpr[EMUL_RSP];
    st->size = x->mode == EMUL_MODE64 ? 8 : ss->attr & SEG_DB ? 4 : 2;
    st->access = emul_user(x->ctx);
    st->vector = EMUL_VECTOR_SS;
    st->error = 0;
    st->count = 0;
}

/* `size` bytes at offset rsp of the stack segment. */
static int stack_place(struct exec *x, const struct exec_stack *st, uint64_t rsp, unsigned size, unsigned access, struct emul_place *place)
{
    uint64_t linear;

    access |= st->access;
    if (st->size == 8) {
        linear = rsp;
        if (!emul_canonical(x->s, rsp) || !emul_canonical(x->s, rsp + size - 1))
            return exec_fault(x, st->vector, st->error);
    } else {
        rsp &= emul_size_mask(st->size);
        linear = (st->ss->base + rsp) & 0xffffffff;
        if (!emul_segment_allows(x->s, st->ss, rsp, size, access & EMUL_PF_W))
            return exec_fault(x, st->vector, st->error);
    }
    if ((x->s->rflags & RFLAGS_AC) && (linear & (size - 1)) && (x->s->cr0 & CR0_AM) && (access & EMUL_PF_U))
        return exec_fault(x, EMUL_VECTOR_AC, 0);
    return emul_translate(x->ctx, st->size == 8 ? EMUL_MODE64 : EMUL_MODE32, linear, size, access, place, x->result);
}

void exec_stack_skip(struct exec_stack *st, uint64_t bytes)
{
    uint64_t mask = emul_size_mask(st->size); /* a 16-bit stack pointer keeps the upper half of ESP */

    st->rsp = (st->rsp & ~mask) | ((st->rsp + bytes) & mask);
}

int exec_push(struct exec *x, struct exec_stack *st, unsigned size, const uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int status = EMUL_UNHANDLED;

        if (st->count < EXEC_PUSHES)
            status = stack_place(x, st, st->rsp - size, size, EMUL_PF_W, &st->push[st->count].place);
        if (status)
            return status;
        st->push[st->count++].value = values[i];
        exec_stack_skip(st, -(uint64_t)size);
    }
    return EMUL_DONE;
}

int exec_pop(struct exec *x, struct exec_stack *st, unsigned size, uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct emul_place place;
        int status = stack_place(x, st, st->rsp, size, 0, &place);

        if (!status)
            status = emul_load(x->ctx, &place, &values[i], EMUL_FOR_OPERAND);
        if (status)
            return status;
        exec_stack_skip(st, size);
    }
    return EMUL_DONE;
}

int exec_loadable(const struct exec *x, const struct emul_place *place)
{
    const struct emul_ops *ops = x->ctx->ops;

    if (ops->phys_read && ops->mmio_read)
        return 1;
    for (unsigned page = 0; page < 2 && place->size[page]; page++) {
        if (!ops->phys_map || !ops->phys_map(x->ctx->opaque, place->gpa[page], 0, EMUL_FOR_OPERAND))
            return 0;
    }
    return 1;
}

int exec_stack_commit(struct exec *x, struct exec_stack *st)
{
    for (unsigned i = 0; i < st->count; i++) {
        if (!exec_storable(x, &st->push[i].place))
            return EMUL_UNHANDLED;
    }
    for (unsigned i = 0; i < st->count; i++) {
        int status = emul_store(x->ctx, &st->push[i].place, st->push[i].value, EMUL_FOR_OPERAND);

        if (status)
            return status;
    }
    x->gpr[EMUL_RSP] = st->rsp;
    return EMUL_DONE;
}

int exec_system_place(struct exec *x, uint64_t linear, unsigned size, unsigned access, struct emul_place *place)
{
    unsigned mode = EMUL_MODE64;

    if (!(x->s->efer & EFER_LMA)) {
        linear &= 0xffffffff;
        mode = EMUL_MODE32;
    }
    return emul_translate(x->ctx, mode, linear, size, access | EMUL_IMPLICIT, place, x->result);
}

int exec_system_read(struct exec *x, uint64_t linear, unsigned size, uint64_t *value)
{
    struct emul_place place;
    int status = exec_system_place(x, linear, size, 0, &place);

    return status ? status : emul_load(x->ctx, &place, value, EMUL_FOR_DESCRIPTOR);
}

int exec_system_write(struct exec *x, uint64_t linear, unsigned size, uint64_t value)
{
    struct emul_place place;
    int status = exec_system_place(x, linear, size, EMUL_PF_W, &place);

    return status ? status : emul_store(x->ctx, &place, value, EMUL_FOR_DESCRIPTOR);
}

#define TSS_BITMAP 0x66u           /* offset of the bitmap's offset, SDM 3A figure 7-2 */
#define TSS_BUSY_386 0xbu          /* types of a 32-bit and a 64-bit TSS in TR */

int exec_port_allowed(struct exec *x, unsigned port, unsigned size)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    uint64_t at, bits;
    int status;

    if (!(x->s->cr0 & CR0_PE) || (!(x->s->rflags & RFLAGS_VM) && emul_cpl(x->s) <= (x->s->rflags & RFLAGS_IOPL) >> 12))
        return EMUL_DONE;
    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if ((tr->attr & SEG_UNUSABLE) || (tr->attr & SEG_TYPE & ~2u) != (TSS_BUSY_386 & ~2u) || tr->limit < TSS_BITMAP + 1)
        return exec_gp0(x);
    status = exec_system_read(x, tr->base + TSS_BITMAP, 2, &at);
    if (status)
        return status;
    at += port / 8;
    if (at + 1 > tr->limit) /* two bytes are read whatever the size, SDM 1 18.5.2 */
        return exec_gp0(x);
    status = exec_system_read(x, tr->base + at, 2, &bits);
    if (status)
        return status;
    return bits >> (port & 7) & ((1u << size) - 1) ? exec_gp0(x) : EMUL_DONE;
}
