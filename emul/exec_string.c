/* String instructions and port I/O: element by element with all checks before any effect, and whole runs within a page of RAM.
 *
 * A REP is restartable behind each element: rCX, rSI and rDI say what is left, RIP stays. One call does EMUL_REP_MAX elements at most. */
#include "exec.h"

#define USES_SI  0x1u
#define USES_DI  0x2u
#define COMPARES 0x4u              /* F3 is REPE, F2 is REPNE (SDM 2B REP) */
#define REPEATED (EMUL_PFX_REP | EMUL_PFX_REPNE)
#define WORD     8u                /* bytes that a bulk move takes at a time */

/* one: an element, but for the registers. run: several at once; *done is 0 where that is not possible. Or NULL. */
struct string_row {
    int (*one)(struct exec *x);
    int (*run)(struct exec *x, uint64_t count, uint64_t *done);
    unsigned flags;
};

static uint64_t string_offset(const struct exec *x, unsigned reg)
{
    return x->gpr[reg] & emul_size_mask(x->insn->addrsize);
}

static int resolve_source(struct exec *x, struct emul_place *place)
{
    return emul_resolve(x->ctx, x->mode, x->insn->seg, string_offset(x, EMUL_RSI), x->opsize, 0, place, x->result);
}

/* No segment override moves rDI (SDM 2B MOVS). */
static int resolve_destination(struct exec *x, unsigned access)
{
    return emul_resolve(x->ctx, x->mode, EMUL_ES, string_offset(x, EMUL_RDI), x->opsize, access, &x->place, x->result);
}

int exec_storable(const struct exec *x, const struct emul_place *place)
{
    const struct emul_ops *ops = x->ctx->ops;

    if (ops->phys_write && ops->mmio_write)
        return 1;
    for (unsigned page = 0; page < 2 && place->size[page]; page++) {
        if (!ops->phys_map || !ops->phys_map(x->ctx->opaque, place->gpa[page], 1, EMUL_FOR_OPERAND))
            return 0;
    }
    return 1;
}

/* n elements are done: index registers go on in the direction of DF, the count goes down, all in the address size. */
static void string_step(struct exec *x, unsigned flags, uint64_t n)
{
    unsigned size = x->insn->addrsize;
    uint64_t bytes = n * x->opsize;

    if (x->s->rflags & RFLAGS_DF)
        bytes = -bytes;
    if (flags & USES_SI)
        exec_set_gpr(x, EMUL_RSI, size, x->gpr[EMUL_RSI] + bytes);
    if (flags & USES_DI)
        exec_set_gpr(x, EMUL_RDI, size, x->gpr[EMUL_RDI] + bytes);
    if (x->insn->prefix & REPEATED)
        exec_set_gpr(x, EMUL_RCX, size, x->gpr[EMUL_RCX] - n);
    x->result->iterations += n;
}

/* Between two iterations: RIP stays, and RF keeps an instruction breakpoint from coming a second time (SDM 3B 17.3.1.1). */
static int string_pause(struct exec *x)
{
    x->stay = 1;
    x->flags |= RFLAGS_RF;
    return EMUL_DONE;
}

/* An iteration that could not be done. Those before it count: they ended the interrupt shadow, and their progress is kept. The flags
 * of a comparison are as before the instruction if it faults (SDM 2B REP). */
static int string_stop(struct exec *x, int status)
{
    if (!x->result->iterations)
        return status;
    if (status != EMUL_FAULT)
        return string_pause(x); /* met again by the next call, which has done nothing then */
    x->s->shadow = 0;
    x->ctx->changed |= EMUL_STATE_RIP;
    return status;
}

static int string_ended(const struct exec *x, unsigned flags)
{
    if (!(flags & COMPARES))
        return 0;
    return !(x->flags & RFLAGS_ZF) == !!(x->insn->prefix & EMUL_PFX_REP);
}

/* Iterations until the count, a comparison, TF (a trap behind each, SDM 3B 17.3.1.4) or the bound ends them. */
static int string_loop(struct exec *x, const struct string_row *row)
{
    uint64_t left = x->insn->prefix & REPEATED ? string_offset(x, EMUL_RCX) : 1;
    uint64_t budget = left < EMUL_REP_MAX ? left : EMUL_REP_MAX;
    int run = row->run && !(x->s->rflags & (RFLAGS_DF | RFLAGS_TF));

    while (budget) {
        uint64_t n = 0;
        int status = run && budget > 1 ? row->run(x, budget, &n) : EMUL_DONE;

        if (!status && !n) {
            status = row->one(x);
            n = 1;
        }
        if (status)
            return string_stop(x, status);
        string_step(x, row->flags, n);
        left -= n;
        budget -= n;
        if (!left || string_ended(x, row->flags))
            return EMUL_DONE;
        if (x->s->rflags & RFLAGS_TF)
            break;
    }
    return left ? string_pause(x) : EMUL_DONE;
}

/* Elements that lie in one page of RAM, from an index register on, upwards. */
struct run {
    uint64_t gpa, count;           /* count 0: there is no run, or not even two elements */
    void *data;
};

/* How many elements lie in the page and before the address size wraps. */
static uint64_t run_length(const struct exec *x, uint64_t offset, uint64_t linear, uint64_t count)
{
    uint64_t in_page = PAGE_SIZE - (linear & PAGE_MASK);
    uint64_t to_wrap = emul_size_mask(x->insn->addrsize) - offset; /* bytes behind the first */
    uint64_t n = (to_wrap < in_page ? to_wrap + 1 : in_page) / x->opsize;

    return n < count ? n : count;
}

static int find_run(struct exec *x, unsigned seg, unsigned reg, unsigned access, uint64_t count, unsigned cause, struct run *run)
{
    struct emul_ctx *ctx = x->ctx;
    uint64_t offset = string_offset(x, reg), linear;
    int status = emul_linear(ctx, x->mode, seg, offset, x->opsize, access, &linear, x->result);

    run->count = 0;
    if (status)
        return status;
    count = run_length(x, offset, linear, count);
    if (count < 2 || !ctx->ops->phys_map || ((x->s->rflags & RFLAGS_AC) && (linear & (x->opsize - 1))) ||
        emul_linear(ctx, x->mode, seg, offset, count * x->opsize, access, &linear, x->result))
        return EMUL_DONE;
    status = emul_walk(ctx, linear, access | emul_user(ctx), &run->gpa, x->result);
    if (status)
        return status;
    run->data = ctx->ops->phys_map(ctx->opaque, run->gpa, !!(access & EMUL_PF_W), cause);
    if (run->data)
        run->count = count;
    return EMUL_DONE;
}

/* What part of `bytes` a bulk move takes: bytes singly too, larger elements only as whole words, so that none is ever torn. */
static uint64_t bulk_bytes(const struct exec *x, uint64_t bytes)
{
    return x->opsize == 1 ? bytes : bytes & ~(uint64_t)(WORD - 1);
}

/* The microcoded moves count one instruction a word. Words are as good as elements unless the destination lies less than a word
 * above the source: what is read then was just written. */
static int run_movs(struct exec *x, uint64_t count, uint64_t *done)
{
    struct run from, to;
    uint64_t bytes, words, rest;
    int status = find_run(x, x->insn->seg, EMUL_RSI, 0, count, EMUL_FOR_OPERAND, &from);

    if (status || !from.count)
        return status;
    status = find_run(x, EMUL_ES, EMUL_RDI, EMUL_PF_W, from.count, EMUL_FOR_OPERAND, &to);
    if (status || !to.count)
        return status;
    bytes = bulk_bytes(x, to.count * x->opsize);
    words = bytes / WORD;
    if (to.gpa - from.gpa - 1 < WORD - 1) {
        if (x->opsize > 1)
            return EMUL_DONE;
        words = 0;
    }
    rest = bytes - words * WORD;
    __asm__ volatile("rep movsq" : "+S"(from.data), "+D"(to.data), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+S"(from.data), "+D"(to.data), "+c"(rest) : : "memory");
    *done = bytes / x->opsize;
    return EMUL_DONE;
}

static int run_stos(struct exec *x, uint64_t count, uint64_t *done)
{
    uint64_t mask = emul_size_mask(x->opsize);
    uint64_t pattern = (x->gpr[EMUL_RAX] & mask) * (~0ull / mask);
    uint64_t bytes, words, rest;
    struct run to;
    int status = find_run(x, EMUL_ES, EMUL_RDI, EMUL_PF_W, count, EMUL_FOR_OPERAND, &to);

    if (status || !to.count)
        return status;
    bytes = bulk_bytes(x, to.count * x->opsize);
    words = bytes / WORD;
    rest = bytes % WORD;
    __asm__ volatile("rep stosq" : "+D"(to.data), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to.data), "+c"(rest) : "a"(pattern) : "memory");
    *done = bytes / x->opsize;
    return EMUL_DONE;
}

static int run_ins(struct exec *x, uint64_t count, uint64_t *done)
{
    const struct emul_ops *ops = x->ctx->ops;
    struct run to;
    int status;

    if (!ops->port_read_many)
        return EMUL_DONE;
    status = find_run(x, EMUL_ES, EMUL_RDI, EMUL_PF_W, count, EMUL_FOR_STRING, &to);
    if (!status && to.count)
        *done = ops->port_read_many(x->ctx->opaque, (uint16_t)x->gpr[EMUL_RDX], x->opsize, to.data, to.count);
    if (*done > to.count)
        *done = to.count;
    return status;
}

static int run_outs(struct exec *x, uint64_t count, uint64_t *done)
{
    const struct emul_ops *ops = x->ctx->ops;
    struct run from;
    int status;

    if (!ops->port_write_many)
        return EMUL_DONE;
    status = find_run(x, x->insn->seg, EMUL_RSI, 0, count, EMUL_FOR_STRING, &from);
    if (!status && from.count)
        *done = ops->port_write_many(x->ctx->opaque, (uint16_t)x->gpr[EMUL_RDX], x->opsize, from.data, from.count);
    if (*done > from.count)
        *done = from.count;
    return status;
}

static int one_movs(struct exec *x)
{
    struct emul_place from;
    uint64_t value;
    int status = resolve_source(x, &from);

    if (!status)
        status = resolve_destination(x, EMUL_PF_W);
    if (!status && !exec_storable(x, &x->place))
        return EMUL_UNHANDLED;
    if (!status)
        status = emul_load(x->ctx, &from, &value, EMUL_FOR_OPERAND);
    return status ? status : emul_store(x->ctx, &x->place, value, EMUL_FOR_OPERAND);
}

static int one_stos(struct exec *x)
{
    int status = resolve_destination(x, EMUL_PF_W);

    if (!status && !exec_storable(x, &x->place))
        return EMUL_UNHANDLED;
    return status ? status : emul_store(x->ctx, &x->place, x->gpr[EMUL_RAX], EMUL_FOR_OPERAND);
}

static int one_lods(struct exec *x)
{
    uint64_t value;
    int status = resolve_source(x, &x->place);

    if (!status)
        status = emul_load(x->ctx, &x->place, &value, EMUL_FOR_OPERAND);
    if (!status)
        exec_set_gpr(x, EMUL_RAX, x->opsize, value);
    return status;
}

static int one_cmps(struct exec *x)
{
    struct emul_place from;
    uint64_t a, b;
    int status = resolve_source(x, &from);

    if (!status)
        status = resolve_destination(x, 0);
    if (!status)
        status = emul_load(x->ctx, &from, &a, EMUL_FOR_OPERAND);
    if (!status)
        status = emul_load(x->ctx, &x->place, &b, EMUL_FOR_OPERAND);
    if (!status)
        x->flags = exec_compare_flags(a, b, x->opsize, x->flags);
    return status;
}

static int one_scas(struct exec *x)
{
    uint64_t value;
    int status = resolve_destination(x, 0);

    if (!status)
        status = emul_load(x->ctx, &x->place, &value, EMUL_FOR_OPERAND);
    if (!status)
        x->flags = exec_compare_flags(x->gpr[EMUL_RAX] & emul_size_mask(x->opsize), value, x->opsize, x->flags);
    return status;
}

static int one_ins(struct exec *x)
{
    const struct emul_ops *ops = x->ctx->ops;
    int status = resolve_destination(x, EMUL_PF_W);

    if (status)
        return status;
    if (!exec_storable(x, &x->place))
        return EMUL_UNHANDLED;
    return emul_store(x->ctx, &x->place, ops->port_in(x->ctx->opaque, (uint16_t)x->gpr[EMUL_RDX], x->opsize), EMUL_FOR_STRING);
}

static int one_outs(struct exec *x)
{
    uint64_t value;
    int status = resolve_source(x, &x->place);

    if (!status)
        status = emul_load(x->ctx, &x->place, &value, EMUL_FOR_STRING);
    if (!status)
        x->ctx->ops->port_out(x->ctx->opaque, (uint16_t)x->gpr[EMUL_RDX], x->opsize, (uint32_t)value);
    return status;
}

#define STRING(name, run, flags) \
    int do_##name(struct exec *x) \
    { \
        static const struct string_row row = { one_##name, run, flags }; \
\
        return string_loop(x, &row); \
    }
STRING(movs, run_movs, USES_SI | USES_DI)
STRING(stos, run_stos, USES_DI)
STRING(lods, 0, USES_SI)
STRING(cmps, 0, USES_SI | USES_DI | COMPARES)
STRING(scas, 0, USES_DI | COMPARES)

/* Is it what the exit reported, if one did (E3)? And may it use the port, is there one? */
static int string_port(struct exec *x, unsigned in)
{
    const struct emul_port_exit *want = x->want;
    unsigned port = (uint16_t)x->gpr[EMUL_RDX];
    int status;

    if (want && (want->in != in || want->size != x->opsize || !want->rep != !(x->insn->prefix & REPEATED) || want->port != port))
        return EMUL_RETRY;
    status = exec_port_allowed(x, port, x->opsize);
    if (status)
        return status;
    return (in ? !!x->ctx->ops->port_in : !!x->ctx->ops->port_out) ? EMUL_DONE : EMUL_UNHANDLED;
}

int do_ins(struct exec *x)
{
    static const struct string_row row = { one_ins, run_ins, USES_DI };
    int status = string_port(x, 1);

    return status ? status : string_loop(x, &row);
}

int do_outs(struct exec *x)
{
    static const struct string_row row = { one_outs, run_outs, USES_SI };
    int status = string_port(x, 0);

    return status ? status : string_loop(x, &row);
}

/* IN and OUT: the port is an immediate byte or DX. They never left the guest as a string instruction. */
static inline int plain_port(struct exec *x, unsigned *port)
{
    *port = x->insn->imm_size ? (uint8_t)x->insn->imm : (uint16_t)x->gpr[EMUL_RDX];
    return x->want ? EMUL_RETRY : exec_port_allowed(x, *port, x->opsize);
}

int do_in(struct exec *x)
{
    unsigned port;
    int status = plain_port(x, &port);

    if (status)
        return status;
    if (!x->ctx->ops->port_in)
        return EMUL_UNHANDLED;
    exec_set_gpr(x, EMUL_RAX, x->opsize, x->ctx->ops->port_in(x->ctx->opaque, port, x->opsize));
    return EMUL_DONE;
}

int do_out(struct exec *x)
{
    unsigned port;
    int status = plain_port(x, &port);

    if (status)
        return status;
    if (!x->ctx->ops->port_out)
        return EMUL_UNHANDLED;
    x->ctx->ops->port_out(x->ctx->opaque, port, x->opsize, x->gpr[EMUL_RAX] & emul_size_mask(x->opsize));
    return EMUL_DONE;
}
