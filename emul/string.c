/* INS and OUTS: runs of elements within a page at a time, restartable after each run, no effect before all checks of an element. */
#include "access.h"
#include "repeat.h"

/* One INS or OUTS under way. */
struct port_string {
    struct emul_ctx *ctx;
    struct emul_result *result;
    const struct emul_port_exit *want;
    unsigned seg, reg;     /* of the memory operand */
    unsigned access;
};

/* One element whatever its place: on the seam of two pages, at the end of a segment, in a device's memory. */
static int move_one(struct port_string *s)
{
    struct emul_ctx *ctx = s->ctx;
    unsigned size = s->want->size;
    struct emul_place place;
    uint64_t value;
    int status = emul_resolve(ctx, s->seg, emul_string_offset(ctx, &s->result->insn, s->reg), size, s->access, &place, s->result);

    if (status)
        return status;
    if (s->want->in)
        return emul_store(ctx, &place, ctx->ops->port_in(ctx->opaque, s->want->port, size), EMUL_FOR_STRING);
    status = emul_load(ctx, &place, &value, EMUL_FOR_STRING);
    if (!status)
        ctx->ops->port_out(ctx->opaque, s->want->port, size, (uint32_t)value);
    return status;
}

/* How many elements from rSI or rDI on lie in one page and before the address size wraps: 0 if not even one. */
static uint64_t run_length(const struct port_string *s, uint64_t offset, uint64_t linear, uint64_t count)
{
    unsigned size = s->want->size;
    uint64_t in_page = PAGE_SIZE - (linear & PAGE_MASK);
    uint64_t to_wrap = emul_size_mask(s->result->insn.addrsize) - offset; /* bytes behind the first */
    uint64_t n = in_page / size;

    if (to_wrap < in_page)
        n = (to_wrap + 1) / size;
    return n < count ? n : count;
}

/* A run of up to `count` ascending elements through a direct pointer. *done: elements moved; 0: not possible here, move one. */
static int move_run(struct port_string *s, uint64_t count, uint64_t *done)
{
    const struct emul_ops *ops = s->ctx->ops;
    uint64_t offset = emul_string_offset(s->ctx, &s->result->insn, s->reg);
    unsigned mode = s->result->insn.mode;
    unsigned size = s->want->size;
    uint64_t linear, gpa, n;
    void *p;
    int status = emul_linear(s->ctx, mode, s->seg, offset, size, s->access, &linear, s->result);

    *done = 0;
    if (status)
        return status;
    n = run_length(s, offset, linear, count);
    if (n < 2 || (linear & (size - 1)) || emul_linear(s->ctx, mode, s->seg, offset, n * size, s->access, &linear, s->result))
        return EMUL_DONE;
    status = emul_walk(s->ctx, linear, s->access | emul_user(s->ctx), &gpa, s->result);
    if (status)
        return status;
    p = ops->phys_map(s->ctx->opaque, gpa, s->want->in, EMUL_FOR_STRING);
    if (!p)
        return EMUL_DONE;
    if (s->want->in)
        *done = ops->port_read_many(s->ctx->opaque, s->want->port, size, p, n);
    else
        *done = ops->port_write_many(s->ctx->opaque, s->want->port, size, p, n);
    if (*done > n)
        *done = n;
    return EMUL_DONE;
}

/* Is there a bulk path for this instruction at all? */
static int can_run(const struct port_string *s)
{
    const struct emul_ops *ops = s->ctx->ops;

    if ((s->ctx->rflags & (RFLAGS_DF | RFLAGS_TF)) || !ops->phys_map)
        return 0;
    return s->want->in ? !!ops->port_read_many : !!ops->port_write_many;
}

/* Iterations until the count, the bound or TF ends them. Each step of the loop moves one element at least. */
static int move_all(struct port_string *s)
{
    struct emul_ctx *ctx = s->ctx;
    struct emul_result *result = s->result;
    uint64_t left = emul_string_count(ctx, &result->insn);
    uint64_t budget = EMUL_STRING_MAX;
    int run = can_run(s);

    if (!left)
        return emul_finish(ctx, result);
    while (budget) {
        uint64_t n = 0;
        int status = EMUL_DONE;

        left = emul_string_count(ctx, &result->insn);
        if (run && left > 1)
            status = move_run(s, left < budget ? left : budget, &n);
        if (!status && !n) {
            status = move_one(s);
            n = 1;
        }
        if (status)
            return status;
        emul_string_step(ctx, &result->insn, s->reg, n);
        if (emul_string_done(ctx, result, n))
            return emul_finish(ctx, result);
        if (ctx->rflags & RFLAGS_TF) {
            result->step = 1; /* SDM 3B 17.3.1.1: behind each iteration */
            break;
        }
        budget -= n;
    }
    return EMUL_DONE;
}

static int is_expected(const struct emul_insn *insn, const struct emul_port_exit *want, uint64_t dx)
{
    int rep = !!(insn->prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE));

    return insn->op == (want->in ? EMUL_INS : EMUL_OUTS) && insn->opsize == want->size && rep == !!want->rep &&
           (uint16_t)dx == want->port;
}

int emul_string_io(struct emul_ctx *ctx, const struct emul_port_exit *want, struct emul_result *result)
{
    struct port_string s = { ctx, result, want, EMUL_ES, EMUL_RDI, EMUL_PF_W };
    int status;

    result->step = 0;
    result->iterations = 0;
    status = emul_fetch(ctx, result);
    if (!status && !is_expected(&result->insn, want, ctx->gpr[EMUL_RDX]))
        status = EMUL_RETRY;
    if (!status && (!ctx->ops->port_in || !ctx->ops->port_out))
        status = EMUL_UNHANDLED;
    if (!status) {
        if (!want->in) {
            s.seg = result->insn.seg;
            s.reg = EMUL_RSI;
            s.access = 0;
        }
        status = move_all(&s);
    }
    result->status = status;
    return status;
}
