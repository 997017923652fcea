/* String instructions and port I/O: batches of elements within a page, all checks before any effect, in bulk where memory is RAM.
 *
 * A REP is restartable behind each element: rCX, rSI and rDI say what is left, RIP stays. One call does EMUL_REP_MAX elements at most. */
#include "exec.h"

/* WRITES: to rDI; COMPARES: F3 is REPE, F2 is REPNE (SDM 2B REP); PORT: the other side is port DX. */
enum { USES_SI = 1, USES_DI = 2, WRITES = 4, COMPARES = 8, PORT = 16 };
#define REPEATED (EMUL_PFX_REP | EMUL_PFX_REPNE)
#define WORD     8u                /* bytes that a bulk move takes at a time */

/* Where the element at hand lies; those of a batch have their places at equal distances in the same page. */
struct string {
    struct emul_place from, to;
    unsigned cause;
};

/* Moves the first of `count` elements in bulk and says how many, 0 if that is not possible. Or NULL. */
typedef uint64_t (*string_bulk)(struct exec *x, const struct string *s, uint64_t count);

static uint64_t string_offset(const struct exec *x, unsigned reg)
{
    return x->gpr[reg] & emul_size_mask(x->insn->addrsize);
}

/* How many of `count` elements lie in one page and before the address size wraps; at least 1, which may cross either. */
static uint64_t batch_length(const struct exec *x, uint64_t offset, uint64_t linear, uint64_t count)
{
    unsigned size = x->opsize;
    uint64_t at = linear & PAGE_MASK;
    uint64_t bytes = at + size, room = offset; /* what there is of the page and of the offsets in the direction of travel */

    if (!(x->s->rflags & RFLAGS_DF)) {
        bytes = PAGE_SIZE - at;
        room = emul_size_mask(x->insn->addrsize) - offset;
    } else if (bytes > PAGE_SIZE) {
        return 1;
    } else {
        room += size - 1;
    }
    if (room < bytes)
        bytes = room + 1;
    if (bytes / size < count)
        count = bytes / size;
    return count ? count : 1;
}

/* Resolves the element at an index register with all its faults; *count: cut to those that the same translation holds for, and that the
 * segment allows. In 64-bit mode a page is canonical or not (SDM 3A 3.3.7.1). */
static int string_resolve(struct exec *x, unsigned seg, unsigned reg, unsigned access, uint64_t *count, struct emul_place *place)
{
    uint64_t offset = string_offset(x, reg), linear, all, bytes;
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

/* n elements are done: index registers go on in the direction of DF, the count goes down, all in the address size. */
static void string_step(struct exec *x, unsigned flags, uint64_t n)
{
    unsigned size = x->insn->addrsize;
    uint64_t bytes = n * x->opsize;

    if (!n)
        return; /* nor are the upper halves cleared */
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
    return (flags & COMPARES) && !(x->flags & RFLAGS_ZF) == !!(x->insn->prefix & EMUL_PFX_REP);
}

static int string_one(struct exec *x, const struct string *s, unsigned flags)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t a, b;
    uint16_t port = x->gpr[EMUL_RDX];
    int status = EMUL_DONE;

    if (flags & USES_SI)
        status = emul_load(x->ctx, &s->from, &a, s->cause);
    else if (flags & PORT)
        a = ops->port_in(x->ctx->opaque, port, x->opsize);
    else
        a = x->gpr[EMUL_RAX] & emul_size_mask(x->opsize);
    if (status)
        return status;
    if (flags & WRITES)
        return emul_store(x->ctx, &s->to, a, s->cause);
    if (flags & COMPARES) {
        status = emul_load(x->ctx, &s->to, &b, s->cause);
        if (status)
            return status;
        x->dst = a;
        x->src = b;
        do_cmp(x);
    } else if (flags & PORT) {
        ops->port_out(x->ctx->opaque, port, x->opsize, (uint32_t)a);
    } else {
        exec_set_gpr(x, EMUL_RAX, x->opsize, a);
    }
    return status;
}

/* At most `count` elements, of which *done are done whatever the answer. */
static int string_batch(struct exec *x, string_bulk bulk, unsigned flags, uint64_t count, uint64_t *done)
{
    uint64_t step = x->s->rflags & RFLAGS_DF ? -(uint64_t)x->opsize : x->opsize;
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
    if (count > 1 && bulk)
        *done = bulk(x, &s, count);
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
                 !want->rep != !(x->insn->prefix & REPEATED)))
        return EMUL_RETRY;
    status = exec_port_allowed(x, port);
    return status || (flags & WRITES ? !!x->ctx->ops->port_in : !!x->ctx->ops->port_out) ? status : EMUL_UNHANDLED;
}

/* Batches until the count, a comparison, TF (a trap behind each element, SDM 3B 17.3.1.4) or the bound ends them. */
static int string_run(struct exec *x, string_bulk bulk, unsigned flags)
{
    uint64_t left = x->insn->prefix & REPEATED ? string_offset(x, EMUL_RCX) : 1;
    uint64_t budget = left < EMUL_REP_MAX ? left : EMUL_REP_MAX;
    int status = flags & PORT ? check_port(x, flags) : EMUL_DONE;

    if (status)
        return status;
    if (budget && (x->s->rflags & RFLAGS_TF))
        budget = 1;
    while (budget) {
        uint64_t n = 0;

        status = string_batch(x, bulk, flags, budget, &n);
        string_step(x, flags, n);
        if (status)
            return string_stop(x, status);
        left -= n;
        budget -= n;
        if (string_ended(x, flags))
            return EMUL_DONE;
    }
    return left ? string_pause(x) : EMUL_DONE;
}

/* `count` elements from the one at `place` on as they lie in memory: their lowest byte. NULL: not RAM. */
static void *run_data(const struct exec *x, const struct emul_place *place, uint64_t count, int write, unsigned cause)
{
    uint64_t low = place->gpa[0];

    if (x->s->rflags & RFLAGS_DF)
        low -= (count - 1) * x->opsize;
    return emul_pointer(x->ctx, low, write, cause);
}

/* What part of `count` elements a bulk move takes, in bytes: single bytes too, larger ones only as whole words, so that none is torn. */
static uint64_t bulk_bytes(const struct exec *x, uint64_t count)
{
    return x->opsize == 1 ? count : (count * x->opsize) & ~(uint64_t)(WORD - 1);
}

/* Upwards, words and then bytes. The microcoded moves count one instruction a word. */
static inline void move_up(void *from, void *to, uint64_t words, uint64_t rest)
{
    __asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
    if (rest)
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(rest) : : "memory");
}

/* Words upwards are as good as elements, unless what is written overlaps what is read: upwards less than a word ahead, downwards at
 * all. */
static uint64_t run_movs(struct exec *x, const struct string *s, uint64_t count)
{
    uint64_t bytes = bulk_bytes(x, count), words = bytes / WORD, rest = bytes % WORD;
    uint64_t ahead = s->to.gpa[0] - s->from.gpa[0];
    void *from, *to;

    if (!bytes)
        return 0;
    if (x->s->rflags & RFLAGS_DF ? ahead + bytes - 1 < 2 * bytes - 1 : ahead - 1 < WORD - 1) {
        if (x->opsize > 1 || (x->s->rflags & RFLAGS_DF))
            return 0;
        words = 0;
        rest = bytes;
    }
    count = bytes / x->opsize;
    from = run_data(x, &s->from, count, 0, EMUL_FOR_OPERAND);
    to = run_data(x, &s->to, count, 1, EMUL_FOR_OPERAND);
    if (!from || !to)
        return 0;
    move_up(from, to, words, rest);
    return count;
}

/* The common REP MOVS at once: upwards, all of it within one page of RAM on either side, in whole words or single bytes that do not overlap
 * within a word. 1, or 0 and nothing was done. */
static inline int movs_at_once(struct exec *x)
{
    unsigned size = x->insn->addrsize;
    uint64_t count = x->gpr[EMUL_RCX] & emul_size_mask(size), bytes = count * x->opsize;
    void *from, *to;

    if (!(x->insn->prefix & REPEATED) || size < 4 || count - 1 >= PAGE_SIZE / x->opsize || bytes != bulk_bytes(x, count) ||
        (x->flags & (RFLAGS_DF | RFLAGS_TF)))
        return 0;
    from = exec_reach(x, x->insn->seg, x->gpr[EMUL_RSI] & emul_size_mask(size), bytes, 0);
    to = from ? exec_reach(x, EMUL_ES, x->gpr[EMUL_RDI] & emul_size_mask(size), bytes, EMUL_PF_W) : 0;
    if (!to || (uintptr_t)to - (uintptr_t)from - 1 < WORD - 1)
        return 0;
    move_up(from, to, bytes / WORD, bytes % WORD);
    string_step(x, USES_SI | USES_DI, count);
    return 1;
}

static uint64_t run_stos(struct exec *x, const struct string *s, uint64_t count)
{
    uint64_t mask = emul_size_mask(x->opsize);
    uint64_t pattern = (x->gpr[EMUL_RAX] & mask) * (~0ull / mask);
    uint64_t bytes = bulk_bytes(x, count), words = bytes / WORD, rest = bytes % WORD;
    void *to;

    count = bytes / x->opsize;
    to = count ? run_data(x, &s->to, count, 1, EMUL_FOR_OPERAND) : 0;
    if (!to)
        return 0;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return count;
}

/* Ports take whole runs upwards; a callback that claims more than it was given is not believed. */
static uint64_t run_port(struct exec *x, const struct string *s, uint64_t count)
{
    const struct emul_ops *ops = x->ctx->ops;
    int in = x->insn->op == EMUL_INS, possible = (in ? !!ops->port_read_many : !!ops->port_write_many) && !(x->s->rflags & RFLAGS_DF);
    void *data = possible ? run_data(x, in ? &s->to : &s->from, count, in, EMUL_FOR_STRING) : 0;
    uint16_t port = x->gpr[EMUL_RDX];
    uint64_t n;

    if (!data)
        return 0;
    n = in ? ops->port_read_many(x->ctx->opaque, port, x->opsize, data, count)
           : ops->port_write_many(x->ctx->opaque, port, x->opsize, data, count);
    return n < count ? n : count;
}

#define STRING(name, bulk, flags) int do_##name(struct exec *x) { return string_run(x, bulk, flags); }
STRING(stos, run_stos, USES_DI | WRITES)
STRING(lods, 0, USES_SI)
STRING(cmps, 0, USES_SI | USES_DI | COMPARES)
STRING(scas, 0, USES_DI | COMPARES)
STRING(ins, run_port, USES_DI | WRITES | PORT)
STRING(outs, run_port, USES_SI | PORT)

int do_movs(struct exec *x)
{
    return movs_at_once(x) ? EMUL_DONE : string_run(x, run_movs, USES_SI | USES_DI | WRITES);
}

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
