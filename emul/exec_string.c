/* String instructions and port I/O: batches of elements within a page, all checks before any effect, in bulk where memory is RAM.
 *
 * A REP is restartable behind each element: rCX, rSI and rDI say what is left, RIP stays. One call does EMUL_REP_MAX elements at most. */
#include "exec.h"

/* WRITES: to rDI; COMPARES: F3 is REPE, F2 is REPNE (SDM 2B REP); PORT: the other side is port DX. */
enum { USES_SI = 1, USES_DI = 2, WRITES = 4, COMPARES = 8, PORT = 16 };
#define WORD     8u                /* bytes that a bulk move takes at a time */

/* Where the element at hand lies; those of a batch have their places at equal distances in the same page. */
struct string {
    struct emul_place from, to;
    unsigned cause;
};

/* Moves the first of `count` elements, which lie in RAM from `from` and to `to` on (the lowest; NULL on a side that it has not), and says
 * how many; 0 if that is not possible in bulk. */
typedef uint64_t (*string_bulk)(struct exec *x, void *from, void *to, uint64_t count);

/* How many of `count` elements lie in one page and before the address size wraps; at least 1, which may cross either. */
static uint64_t batch_length(const struct exec *x, uint64_t offset, uint64_t linear, uint64_t count)
{
    int down = !!(x->s->rflags & RFLAGS_DF);
    unsigned at = linear & PAGE_MASK, page = down ? at : PAGE_MASK - at;
    uint64_t room = down ? offset : emul_size_mask(x->insn->addrsize) - offset; /* bytes ahead of the first, page: of its page */

    if (at + x->opsize > PAGE_SIZE)
        return 1;
    room = ((page < room ? page : room) + (down ? x->opsize : 1)) / x->opsize;
    return room >= count ? count : room ? room : 1;
}

/* Resolves the element at an index register with all its faults; *count: cut to those that the same translation holds for, and that the
 * segment allows. In 64-bit mode a page is canonical or not (SDM 3A 3.3.7.1). */
static int string_resolve(struct exec *x, unsigned seg, unsigned reg, unsigned access, uint64_t *count, struct emul_place *place)
{
    uint64_t offset = x->gpr[reg] & emul_size_mask(x->insn->addrsize), linear, all, bytes;
    int status = emul_linear(x->ctx, x->mode, seg, offset, x->opsize, access, &linear, x->result);

    if (status)
        return status;
    if (exec_misaligned(x, linear, x->opsize - 1, emul_user(x->ctx)))
        return exec_fault(x, EMUL_VECTOR_AC, 0);
    *count = batch_length(x, offset, linear, *count);
    bytes = *count * x->opsize;
    if (*count > 1 && x->mode != EMUL_MODE64 &&
        emul_linear(x->ctx, x->mode, seg, x->s->rflags & RFLAGS_DF ? offset + x->opsize - bytes : offset, bytes, access, &all, x->result))
        *count = 1;
    return emul_translate(x->ctx, x->mode, linear, x->opsize, access | emul_user(x->ctx), place, x->result);
}

/* n elements are done: index registers go on by `bytes`, the count goes down, all in the address size. */
static inline void string_step(struct exec *x, unsigned flags, uint64_t n, uint64_t bytes)
{
    unsigned size = x->insn->addrsize;

    if (!n)
        return; /* nor are the upper halves cleared */
    if (flags & USES_SI)
        exec_set_gpr(x, EMUL_RSI, size, x->gpr[EMUL_RSI] + bytes);
    if (flags & USES_DI)
        exec_set_gpr(x, EMUL_RDI, size, x->gpr[EMUL_RDI] + bytes);
    if (x->insn->prefix & EMUL_PFX_REPEAT)
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
    return (flags & COMPARES) && !(x->flags & RFLAGS_ZF) == !!(x->insn->prefix & EMUL_PFX_REP);
}

static inline int string_one(struct exec *x, const struct string *s, unsigned flags)
{
    uint64_t a;
    int status = EMUL_DONE;

    if (flags & USES_SI)
        status = emul_load(x->ctx, &s->from, &a, s->cause);
    else if (flags & PORT)
        a = x->ctx->ops->port_in(x->ctx->opaque, x->gpr[EMUL_RDX], x->opsize);
    else
        a = x->gpr[EMUL_RAX] & emul_size_mask(x->opsize);
    if (status)
        return status;
    if (flags & WRITES)
        return emul_store(x->ctx, &s->to, a, s->cause);
    if (flags & COMPARES) {
        x->dst = a;
        status = emul_load(x->ctx, &s->to, &x->src, s->cause);
        if (!status)
            do_cmp(x);
        return status;
    }
    if (flags & PORT)
        x->ctx->ops->port_out(x->ctx->opaque, x->gpr[EMUL_RDX], x->opsize, a);
    else
        exec_set_gpr(x, EMUL_RAX, x->opsize, a);
    return EMUL_DONE;
}

/* What can be moved in bulk of a batch: any number of bytes, of larger elements only whole words, so that none is torn; on each side, if
 * it is RAM, from the lowest of them on. How many were. */
static uint64_t batch_at_once(struct exec *x, string_bulk bulk, unsigned flags, const struct string *s, uint64_t count)
{
    uint64_t many = x->opsize == 1 ? count : count & -(uint64_t)(WORD / x->opsize);
    uint64_t back = x->s->rflags & RFLAGS_DF ? (many - 1) * x->opsize : 0;
    void *from = many && (flags & USES_SI) ? emul_pointer(x->ctx, s->from.gpa[0] - back, 0, s->cause) : 0;
    void *to = many && (flags & USES_DI) ? emul_pointer(x->ctx, s->to.gpa[0] - back, 1, s->cause) : 0;

    return (flags & USES_SI && !from) || (flags & USES_DI && !to) ? 0 : bulk(x, from, to, many);
}

/* At most `count` elements, of which *done are done whatever the answer. */
static int string_batch(struct exec *x, string_bulk bulk, unsigned flags, uint64_t step, uint64_t count, uint64_t *done)
{
    struct string s = { .cause = flags & PORT ? EMUL_FOR_STRING : EMUL_FOR_OPERAND };
    int status = EMUL_DONE;

    if (flags & USES_SI)
        status = string_resolve(x, x->insn->seg, EMUL_RSI, 0, &count, &s.from);
    if (!status && (flags & USES_DI)) /* no override moves rDI, SDM 2B MOVS */
        status = string_resolve(x, EMUL_ES, EMUL_RDI, flags & WRITES ? EMUL_PF_W : 0, &count, &s.to);
    if (!status && (flags & WRITES) && !exec_movable(x, &s.to, 1))
        status = EMUL_UNHANDLED;
    if (status)
        return status;
    if (bulk && count > 1)
        *done = batch_at_once(x, bulk, flags, &s, count);
    if (*done)
        return EMUL_DONE;
    do {
        status = string_one(x, &s, flags);
        if (status)
            return status;
        s.from.gpa[0] += step;
        s.to.gpa[0] += step;
        ++*done;
    } while (*done < count && !string_ended(x, flags));
    return EMUL_DONE;
}

/* Is it what the exit reported, if one did (E3)? And may it use the port, is there one? */
static int check_port(struct exec *x, unsigned flags)
{
    const struct emul_port_exit *want = x->ctx->port_exit;
    unsigned port = (uint16_t)x->gpr[EMUL_RDX];
    int status;

    if (want && (want->in != !!(flags & WRITES) || want->size != x->opsize || want->port != port ||
                 !want->rep != !(x->insn->prefix & EMUL_PFX_REPEAT)))
        return EMUL_RETRY;
    status = exec_port_allowed(x, port);
    return status || (flags & WRITES ? !!x->ctx->ops->port_in : !!x->ctx->ops->port_out) ? status : EMUL_UNHANDLED;
}

/* Batches until `left`, a comparison, TF (a trap behind each element, SDM 3B 17.3.1.4) or the bound ends them. */
static int string_run(struct exec *x, string_bulk bulk, unsigned flags, uint64_t left)
{
    uint64_t budget = EMUL_REP_MAX - x->result->iterations, step = x->s->rflags & RFLAGS_DF ? -(uint64_t)x->opsize : x->opsize;

    if (left < budget)
        budget = left;
    if (x->s->rflags & RFLAGS_TF)
        budget = 1;
    while (budget) {
        uint64_t n = 0;
        int status = string_batch(x, bulk, flags, step, budget, &n);

        string_step(x, flags, n, n * step);
        if (status)
            return string_stop(x, status);
        left -= n;
        budget -= n;
        if (string_ended(x, flags))
            return EMUL_DONE;
    }
    return left ? string_pause(x) : EMUL_DONE;
}

/* The common case of a REP: all of it upwards, within a page of RAM on either side, in whole words or bytes. How many were done. */
static inline __attribute__((always_inline)) uint64_t string_at_once(struct exec *x, string_bulk bulk, unsigned flags, uint64_t mask,
                                                                     uint64_t count)
{
    unsigned cause = flags & PORT ? EMUL_FOR_STRING : EMUL_FOR_OPERAND;
    uint64_t bytes = count * x->opsize, n;
    void *from = 0, *to = 0;

    if (count - 1 >= PAGE_SIZE || (x->opsize > 1 && bytes % WORD) || mask == 0xffff || (x->flags & (RFLAGS_DF | RFLAGS_TF)))
        return 0;
    if (flags & USES_SI && !(from = exec_reach(x, x->insn->seg, x->gpr[EMUL_RSI] & mask, bytes, 0, cause)))
        return 0;
    if (flags & USES_DI && !(to = exec_reach(x, EMUL_ES, x->gpr[EMUL_RDI] & mask, bytes, EMUL_PF_W, cause)))
        return 0;
    n = bulk(x, from, to, count);
    string_step(x, flags, n, n * x->opsize);
    return n;
}

/* An instruction of the kind: what goes at once, then the rest. */
static inline __attribute__((always_inline)) int string_insn(struct exec *x, string_bulk bulk, unsigned flags)
{
    uint64_t mask = emul_size_mask(x->insn->addrsize), left = x->insn->prefix & EMUL_PFX_REPEAT ? x->gpr[EMUL_RCX] & mask : 1;
    int status = flags & PORT ? check_port(x, flags) : EMUL_DONE;

    if (status)
        return status;
    if (bulk)
        left -= string_at_once(x, bulk, flags, mask, left);
    return left ? string_run(x, bulk, flags, left) : EMUL_DONE;
}

/* Words upwards are as good as elements, unless what is written overlaps what is read: upwards less than a word ahead, downwards at
 * all. The microcoded moves count one instruction a word. */
static inline uint64_t run_movs(struct exec *x, void *from, void *to, uint64_t count)
{
    uint64_t bytes = count * x->opsize, words = bytes / WORD, rest = bytes % WORD, ahead = (uintptr_t)to - (uintptr_t)from;

    if (x->s->rflags & RFLAGS_DF ? ahead + bytes - 1 < 2 * bytes - 1 : ahead - 1 < WORD - 1)
        return 0;
    __asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
    if (rest)
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(rest) : : "memory");
    return count;
}

static inline uint64_t run_stos(struct exec *x, void *from, void *to, uint64_t count)
{
    uint64_t mask = emul_size_mask(x->opsize), pattern = (x->gpr[EMUL_RAX] & mask) * (~0ull / mask);
    uint64_t words = count * x->opsize / WORD, rest = count * x->opsize % WORD;

    (void)from;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return count;
}

/* Ports take whole runs upwards; a callback that claims more than it was given is not believed. */
static inline uint64_t run_port(struct exec *x, void *from, void *to, uint64_t count)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint16_t port = x->gpr[EMUL_RDX];
    uint64_t n = 0;

    if (x->s->rflags & RFLAGS_DF)
        return 0;
    if (to && ops->port_read_many)
        n = ops->port_read_many(x->ctx->opaque, port, x->opsize, to, count);
    else if (from && ops->port_write_many)
        n = ops->port_write_many(x->ctx->opaque, port, x->opsize, from, count);
    return n < count ? n : count;
}

#define STRING(name, bulk, flags) int do_##name(struct exec *x) { return string_insn(x, bulk, flags); }
STRING(movs, run_movs, USES_SI | USES_DI | WRITES)
STRING(stos, run_stos, USES_DI | WRITES)
STRING(lods, 0, USES_SI)
STRING(cmps, 0, USES_SI | USES_DI | COMPARES)
STRING(scas, 0, USES_DI | COMPARES)
STRING(ins, run_port, USES_DI | WRITES | PORT)
STRING(outs, run_port, USES_SI | PORT)

/* IN and OUT: the port is an immediate byte or DX. They never left the guest as a string instruction. */
static inline int plain_port(struct exec *x, int there, unsigned *port)
{
    int status = EMUL_DONE;

    *port = x->insn->imm_size ? (uint8_t)x->insn->imm : (uint16_t)x->gpr[EMUL_RDX];
    if (x->ctx->port_exit)
        return EMUL_RETRY;
    if ((x->s->seg[EMUL_SS].attr >> SEG_DPL & 3) || (x->s->rflags & RFLAGS_VM)) /* CPL 0 is the common case of it */
        status = exec_port_allowed(x, *port);
    return status || there ? status : EMUL_UNHANDLED;
}

int do_in(struct exec *x)
{
    unsigned port;
    int status = plain_port(x, !!x->ctx->ops->port_in, &port);

    if (!status)
        exec_set_gpr(x, EMUL_RAX, x->opsize, x->ctx->ops->port_in(x->ctx->opaque, port, x->opsize));
    return status;
}

int do_out(struct exec *x)
{
    unsigned port;
    int status = plain_port(x, !!x->ctx->ops->port_out, &port);

    if (!status)
        x->ctx->ops->port_out(x->ctx->opaque, port, x->opsize, x->gpr[EMUL_RAX] & emul_size_mask(x->opsize));
    return status;
}
