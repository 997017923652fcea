/* One instruction from fetch to commit: the validate rule, operands by form, the handler, the write back. */
#include <stddef.h>
#include "exec.h"
#include "fetch.h"

#define LOCK_TRIES 64u             /* lost races for a locked operand before the guest is entered again (E22) */

/* Where an operand that is no memory is: the offset in struct emul_insn of a register's number, or one of the codes below. Of an opcode
 * byte the register is a part; `encoding` of legacy instructions is 0, as is RAX. */
enum operand_at { AT_NONE, AT_IMM, AT_ONE, AT_CL, AT_CODES, AT_OPCODE = offsetof(struct emul_insn, opcode),
                  AT_AX = offsetof(struct emul_insn, encoding), AT_REG = offsetof(struct emul_insn, reg),
                  AT_RM = offsetof(struct emul_insn, rm), AT_VVVV = offsetof(struct emul_insn, vvvv) };
_Static_assert(AT_OPCODE >= AT_CODES && (int)EMUL_LEGACY == (int)EMUL_RAX, "offsets lie behind the codes");

/* Which operand is memory where ModRM, or the offset instead of it, names some. */
#define MEMORY_DST 1u
#define MEMORY_SRC 2u

/* The operands of a form that are fetched and committed here; forms without a row are their handlers' own. size: bytes of the
 * source if they are fewer than the operand size. */
struct operand_row { uint8_t memory, dst, src, third, size, pad[3]; };
#define SIZE_ANY 8
#define E1             E2(NONE)
#define E2(source)     E3(source, NONE)
#define E3(source, third) { MEMORY_DST, AT_RM, AT_##source, AT_##third, SIZE_ANY, { 0 } }
#define G2(size)       { MEMORY_SRC, AT_REG, AT_RM, AT_NONE, size, { 0 } }
#define G3(third)      { MEMORY_SRC, AT_REG, AT_RM, AT_##third, SIZE_ANY, { 0 } }
#define PLAIN(dst, src) { 0, AT_##dst, AT_##src, AT_NONE, SIZE_ANY, { 0 } }
#define OFFSET(memory) { MEMORY_##memory, AT_AX, AT_AX, AT_NONE, SIZE_ANY, { 0 } }
static const struct operand_row operands[FORMS_END] = {
    [FORM_Eb_Gb] = E2(REG), [FORM_Ev_Gv] = E2(REG), [FORM_Gb_Eb] = G2(SIZE_ANY), [FORM_Gv_Ev] = G2(SIZE_ANY), [FORM_AL_Ib] = PLAIN(AX, IMM),
    [FORM_rAX_Iz] = PLAIN(AX, IMM), [FORM_Zv] = PLAIN(OPCODE, NONE), [FORM_Zq] = PLAIN(OPCODE, NONE), [FORM_Zb_Ib] = PLAIN(OPCODE, IMM),
    [FORM_Zv_Iv] = PLAIN(OPCODE, IMM), [FORM_Zv_rAX] = PLAIN(OPCODE, AX), [FORM_Eb_Ib] = E2(IMM), [FORM_Ev_Iz] = E2(IMM),
    [FORM_Ev_Ib] = E2(IMM), [FORM_Ev] = E1, [FORM_Eb] = E1, [FORM_Eq] = E1, [FORM_En] = E1, [FORM_Ew] = E1, [FORM_Eb_1] = E2(ONE),
    [FORM_Ev_1] = E2(ONE), [FORM_Eb_CL] = E2(CL), [FORM_Ev_CL] = E2(CL), [FORM_Ev_Gv_Ib] = E3(REG, IMM), [FORM_Ev_Gv_CL] = E3(REG, CL),
    [FORM_Gv_Ev_Iz] = G3(IMM), [FORM_Gv_Ev_Ib] = G3(IMM), [FORM_Gv_Eb] = G2(1), [FORM_Gv_Ew] = G2(2), [FORM_Gv_Ed] = G2(4),
    [FORM_Gd_Eb] = G2(1), [FORM_Gd_Ev] = G2(SIZE_ANY), [FORM_Gy_Ey] = G2(SIZE_ANY), [FORM_My_Gy] = E2(REG), [FORM_Gv_Mv] = G2(SIZE_ANY), [FORM_Mv_Gv] = E2(REG),
    [FORM_Ew_Gw] = E2(REG), [FORM_Rv] = E1, [FORM_Gy_By_Ey] = G3(VVVV), [FORM_Gy_Ey_By] = G3(VVVV),
    [FORM_By_Ey] = { MEMORY_SRC, AT_VVVV, AT_RM, AT_NONE, SIZE_ANY, { 0 } }, [FORM_Gy_Ey_Ib] = G3(IMM),
    [FORM_AL_Ob] = OFFSET(SRC), [FORM_rAX_Ov] = OFFSET(SRC), [FORM_Ob_AL] = OFFSET(DST), [FORM_Ov_rAX] = OFFSET(DST),
};

/* The address of an exit has been translated and permitted by the CPU, for the access that it reported. An operand at the same
 * place of its page is taken for it. Should another vcpu have rewritten the instruction meanwhile, the access goes to where the
 * guest was just allowed to make it. */
static int is_exit_access(const struct emul_ctx *ctx, uint64_t linear, unsigned size, unsigned access)
{
    return !((linear ^ ctx->exit_gpa) & PAGE_MASK) && size <= PAGE_SIZE - (linear & PAGE_MASK) && ctx->exit_write == access / EMUL_PF_W;
}

int exec_resolve_at(struct exec *x, unsigned seg, uint64_t offset, unsigned size, unsigned access, struct emul_place *place)
{
    unsigned user = emul_user(x->ctx);
    uint64_t linear;
    int status = emul_linear(x->ctx, x->mode, seg, offset, size, access, &linear, x->result);

    if (status)
        return status;
    if (exec_misaligned(x, linear, size - 1, user))
        return exec_fault(x, EMUL_VECTOR_AC, 0);
    if (x->ctx->exit_known && !(x->s->rflags & RFLAGS_AC) && is_exit_access(x->ctx, linear, size, access)) {
        *place = (struct emul_place){ .gpa = { x->ctx->exit_gpa }, .size = { size }, .how = EMUL_MOVE_DEVICE };
        return EMUL_DONE;
    }
    return emul_translate(x->ctx, x->mode, linear, size, access | user, place, x->result);
}

int exec_resolve(struct exec *x, uint64_t skip, unsigned size, unsigned access, struct emul_place *place)
{
    uint64_t offset = exec_offset(x) + skip;

    if (skip && x->mode != EMUL_MODE64)
        offset &= emul_size_mask(x->insn->addrsize);
    return exec_resolve_at(x, x->insn->seg, offset, size, access, place);
}

int exec_load(struct exec *x, uint64_t skip, unsigned size, uint64_t *value)
{
    struct emul_place place;
    int status = exec_resolve(x, skip, size, 0, &place);

    return status ? status : emul_load(x->ctx, &place, value, EMUL_FOR_OPERAND);
}

int exec_store(struct exec *x, uint64_t skip, unsigned size, uint64_t value)
{
    struct emul_place place;
    int status = exec_resolve(x, skip, size, EMUL_PF_W, &place);

    return status ? status : emul_store(x->ctx, &place, value, EMUL_FOR_OPERAND);
}

/* A register operand where it lies. */
static inline uint8_t *operand_register(struct exec *x, unsigned at, unsigned size)
{
    return exec_reg(x, at == AT_OPCODE ? exec_opcode_reg(x->insn) : ((const uint8_t *)x->insn)[at], size);
}

/* A source that is no memory. */
static inline uint64_t plain_source(struct exec *x, unsigned at)
{
    if (at >= AT_CODES) {
        x->src_reg = operand_register(x, at, x->src_size);
        return exec_reg_read(x->src_reg, x->src_size);
    }
    return at == AT_IMM ? (uint64_t)x->insn->imm : at == AT_CL ? x->gpr[EMUL_RCX] : 1;
}

/* The third operand, a source. */
static inline uint64_t third_source(struct exec *x, unsigned at)
{
    if (at == AT_IMM)
        return x->insn->imm;
    return at == AT_CL ? x->gpr[EMUL_RCX] : exec_reg_read(exec_reg(x, x->insn->vvvv, x->opsize), x->opsize);
}

#define SWAP(type) __asm__ volatile("lock cmpxchg %3, %1" : "=@ccz"(equal), "+m"(*(type *)p), "+a"(*old) : "r"((type)value) : "memory")

/* Compare-exchange of RAM by pointer, at any address within a page. 0: done; 1: *old is what there was instead. */
static int swap_direct(void *p, unsigned size, uint64_t *old, uint64_t value)
{
    int equal;

    if (size == 4)
        SWAP(uint32_t);
    else if (size == 8)
        SWAP(uint64_t);
    else if (size == 2)
        SWAP(uint16_t);
    else
        SWAP(uint8_t);
    return !equal;
}

/* The same of x->place: negative if it is no RAM. */
static int swap_place(struct exec *x, uint64_t *old)
{
    const struct emul_ctx *ctx = x->ctx;
    int lost = ctx->ops->phys_cmpxchg(ctx->opaque, x->place.gpa[0], x->opsize, old, &x->dst, EMUL_FOR_OPERAND);

    if (lost > 0)
        emul_load(ctx, &x->place, old, EMUL_FOR_OPERAND); /* could be loaded before */
    return lost;
}

/* LOCK on RAM, at p or, if that is NULL, x->place: compute and compare-exchange until nobody came between. On a device there is nothing
 * to lock. */
static inline __attribute__((always_inline)) int run_locked(struct exec *x, void (*compute)(struct exec *x), void *p)
{
    uint64_t flags = x->flags, src = x->src, accumulator = x->gpr[EMUL_RAX], old = x->dst;

    if (!p && (x->place.size[1] || !x->ctx->ops->phys_cmpxchg))
        return EMUL_UNHANDLED; /* locked over two pages: refused by name (README.md) */
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        int lost;

        x->dst = old;
        compute(x);
        lost = p ? swap_direct(p, x->opsize, &old, x->dst) : swap_place(x, &old);
        if (!lost)
            return EMUL_DONE;
        if (lost < 0)
            return emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND);
        x->flags = flags;
        x->src = src;
        x->gpr[EMUL_RAX] = accumulator;
    }
    return EMUL_RETRY;
}

/* XCHG with memory locks without the prefix (SDM 2D XCHG). */
static inline int is_locked(const struct exec *x)
{
    return (x->insn->prefix & EMUL_PFX_LOCK) || x->insn->op == EMUL_XCHG;
}

int exec_modify(struct exec *x, void (*compute)(struct exec *x), unsigned flags)
{
    int status = flags & X_WRITE && !exec_movable(x, &x->place, 1) ? EMUL_UNHANDLED : EMUL_DONE;

    if (!status && (flags & X_READ))
        status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND);
    if (status)
        return status;
    if ((flags & X_READ) && is_locked(x))
        return run_locked(x, compute, 0);
    compute(x);
    return flags & X_WRITE ? emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND) : EMUL_DONE;
}

int exec_branch(struct exec *x, uint64_t target)
{
    if (x->opsize < 8 || x->mode != EMUL_MODE64)
        target &= emul_size_mask(x->opsize < 4 ? 2 : 4);
    if (x->mode == EMUL_MODE64 ? !emul_canonical(x->s, target) : target > x->s->seg[EMUL_CS].limit)
        return exec_fault(x, EMUL_VECTOR_GP, 0);
    x->next_rip = target;
    return EMUL_DONE;
}

/* The end of an instruction. If everything took effect: RIP, RSP, RFLAGS, and what is due behind it. TF counts as it was before (POPF sets
 * a trap for the instruction behind it), but for what loads all of RFLAGS. */
static inline int exec_answer(struct emul_ctx *ctx, int status)
{
    struct exec *x = exec_of(ctx);
    struct emul_result *result = x->result;
    struct emul_state *s = ctx->state;

    if (EMUL_LIKELY(!status)) {
        s->shadow = 0;
        if (EMUL_UNLIKELY(x->special)) {
            s->shadow = x->shadow;
            result->step = x->step;
            if (x->stay)
                x->next_rip = s->rip;
        }
        s->rip = x->next_rip;
        s->rsp = x->gpr[EMUL_RSP];
        s->rflags = x->flags;
        ctx->changed |= EMUL_STATE_RIP;
    } else {
        x->gpr[EMUL_RSP] = s->rsp;
    }
    result->status = status;
    return status;
}

/* From here to emul_execute_next() the way of an instruction is in pieces, each the last act of those that call it: so each saves only the
 * registers that it needs itself, and a move, which has no handler, needs none. */
static __attribute__((noinline)) int compute_register(struct emul_ctx *ctx, const struct exec_row *row, uint8_t *reg, uint64_t source)
{
    struct exec *x = exec_of(ctx);

    x->src = source;
    x->dst_reg = reg;
    if (row->flags & X_READ)
        x->dst = exec_reg_read(reg, x->opsize);
    row->compute(x);
    if (EMUL_UNLIKELY(row->flags & X_SWAP))
        exec_reg_write(x->src_reg, x->opsize, x->src);
    if (row->flags & X_WRITE)
        exec_reg_write(x->dst_reg, x->opsize, x->dst);
    return exec_answer(ctx, EMUL_DONE);
}

static inline __attribute__((always_inline)) int to_register(struct emul_ctx *ctx, const struct exec_row *row, unsigned at, uint64_t source)
{
    struct exec *x = exec_of(ctx);
    uint8_t *reg = operand_register(x, at, x->opsize);

    if (row->compute)
        return compute_register(ctx, row, reg, source);
    exec_reg_write(reg, x->opsize, source);
    return exec_answer(ctx, EMUL_DONE);
}

/* A destination in memory, at p, with a handler: the common case, */
static __attribute__((noinline)) int compute_memory(struct emul_ctx *ctx, const struct exec_row *row, void *p)
{
    struct exec *x = exec_of(ctx);

    __asm__("" : "+r"(x)); /* not a sum to be made again */
    x->dst = emul_load_direct(p, x->opsize);
    row->compute(x);
    emul_store_direct(p, x->opsize, x->dst);
    return exec_answer(exec_ctx(x), EMUL_DONE);
}

/* comparisons and XADD, */
static __attribute__((noinline)) int compute_other(struct emul_ctx *ctx, const struct exec_row *row, void *p)
{
    struct exec *x = exec_of(ctx);

    x->dst = emul_load_direct(p, x->opsize);
    row->compute(x);
    if (row->flags & X_WRITE)
        emul_store_direct(p, x->opsize, x->dst);
    if (row->flags & X_SWAP)
        exec_reg_write(x->src_reg, x->opsize, x->src);
    return exec_answer(ctx, EMUL_DONE);
}

/* and what is locked. */
static __attribute__((noinline)) int compute_locked(struct emul_ctx *ctx, const struct exec_row *row, void *p)
{
    struct exec *x = exec_of(ctx);
    int status;

    x->dst = emul_load_direct(p, x->opsize);
    status = run_locked(x, row->compute, p);
    if (!status && (row->flags & X_SWAP))
        exec_reg_write(x->src_reg, x->opsize, x->src);
    return exec_answer(ctx, status);
}

/* A destination in memory that is not had by pointer. */
static __attribute__((noinline)) int to_place(struct emul_ctx *ctx, const struct exec_row *row, uint64_t offset)
{
    struct exec *x = exec_of(ctx);
    int status;

    if (!row->compute && exec_exit_piece(x, offset, x->opsize, EMUL_PF_W) && ctx->ops->mmio_write) {
        ctx->ops->mmio_write(ctx->opaque, ctx->exit_gpa, x->opsize, x->src & emul_size_mask(x->opsize));
        return exec_answer(ctx, EMUL_DONE);
    }
    status = exec_resolve_at(x, x->insn->seg, offset, x->opsize, row->flags & X_WRITE ? EMUL_PF_W : 0, &x->place);
    if (!status)
        status = row->compute ? exec_modify(x, row->compute, row->flags) : emul_store(ctx, &x->place, x->src, EMUL_FOR_OPERAND);
    if (!status && (row->flags & X_SWAP))
        exec_reg_write(x->src_reg, x->opsize, x->src);
    return exec_answer(ctx, status);
}

static inline __attribute__((always_inline)) int to_memory(struct emul_ctx *ctx, const struct exec_row *row, uint64_t source)
{
    struct exec *x = exec_of(ctx);
    uint64_t offset = exec_offset(x);
    void *p = exec_reach(x, x->insn->seg, offset, x->opsize, row->flags & X_WRITE ? EMUL_PF_W : 0, EMUL_FOR_OPERAND);

    if (EMUL_LIKELY(p) && !row->compute) {
        emul_store_direct(p, x->opsize, source);
        return exec_answer(ctx, EMUL_DONE);
    }
    x->src = source;
    if (EMUL_UNLIKELY(!p))
        return to_place(ctx, row, offset);
    if ((row->flags & (X_WRITE | X_SWAP)) == X_WRITE && !(x->insn->prefix & EMUL_PFX_LOCK))
        return compute_memory(ctx, row, p);
    return is_locked(x) ? compute_locked(ctx, row, p) : compute_other(ctx, row, p);
}

/* A source in memory that is not had by pointer. */
static __attribute__((noinline)) int from_place(struct emul_ctx *ctx, const struct exec_row *row, unsigned at, uint64_t offset)
{
    struct exec *x = exec_of(ctx);
    uint64_t source;
    int status;

    if (exec_exit_piece(x, offset, x->src_size, 0) && ctx->ops->mmio_read)
        source = ctx->ops->mmio_read(ctx->opaque, ctx->exit_gpa, x->src_size) & emul_size_mask(x->src_size);
    else if ((status = exec_load(x, 0, x->src_size, &source)))
        return exec_answer(ctx, status);
    return to_register(ctx, row, at, source);
}

static inline __attribute__((always_inline)) int from_memory(struct emul_ctx *ctx, const struct exec_row *row, unsigned at)
{
    struct exec *x = exec_of(ctx);
    uint64_t offset = exec_offset(x);
    const void *p = exec_reach(x, x->insn->seg, offset, x->src_size, 0, EMUL_FOR_OPERAND);

    return EMUL_LIKELY(p) ? to_register(ctx, row, at, emul_load_direct(p, x->src_size)) : from_place(ctx, row, at, offset);
}

static __attribute__((noinline)) int run_form(struct emul_ctx *ctx, const struct exec_row *row)
{
    struct exec *x = exec_of(ctx);
    const struct operand_row *o = &operands[x->insn->form];
    unsigned memory = x->insn->mod == 3 ? 0 : o->memory;

    x->src_size = o->size < x->opsize ? o->size : x->opsize;
    if (EMUL_UNLIKELY(o->third))
        x->src2 = third_source(x, o->third);
    if (memory == MEMORY_SRC)
        return from_memory(ctx, row, o->dst);
    return memory ? to_memory(ctx, row, plain_source(x, o->src)) : to_register(ctx, row, o->dst, plain_source(x, o->src));
}

/* An instruction that is its handler's own. */
static __attribute__((noinline)) int run_handler(struct emul_ctx *ctx, const struct exec_row *row)
{
    struct exec *x = exec_of(ctx);

    if (row->flags & X_RUN)
        return exec_answer(ctx, row->run(x));
    return exec_answer(ctx, row->flags & X_RAISES ? exec_raising(x) : EMUL_UNHANDLED);
}

/* Is the instruction of a class in `may`? */
static inline int is_allowed(const struct emul_insn *insn, const struct exec_row *row, uint32_t may)
{
    if (EMUL_LIKELY(may == EMUL_MAY_ANY))
        return 1;
    if (may & EMUL_MAY_MEMORY && insn->mod != 3 && !(row->flags & X_ADDRESS))
        return 1;
    return (may & row->may) || ((may & EMUL_MAY_MEMORY) && (row->flags & X_MEMORY));
}

/* X_PROTECTED and X_PRIV; no mode has a CPL other than 0 without one of these bits. */
static inline int check_mode(struct exec *x, const struct emul_state *s, unsigned flags)
{
    if ((flags & X_PROTECTED) && !emul_protected(s))
        return exec_fault(x, EMUL_VECTOR_UD, 0);
    if (!(s->seg[EMUL_SS].attr & 3u << SEG_DPL) && !(s->rflags & RFLAGS_VM))
        return EMUL_DONE;
    return (flags & X_PRIV) && emul_cpl(s) ? exec_fault(x, EMUL_VECTOR_GP, 0) : EMUL_DONE;
}

/* The validate rule first: another vcpu may have put another instruction here since the exit (E3). RF goes off behind the instruction
 * (SDM 3B 17.3.1.1), but in the middle of a REP. */
static __attribute__((noinline)) int run_insn(struct emul_ctx *ctx, uint32_t may, const struct emul_insn *insn)
{
    struct exec *x = exec_of(ctx);
    const struct emul_state *s = ctx->state;
    const struct exec_row *row = &emul_exec[insn->op];
    uint64_t flags = s->rflags;
    int status;

    __asm__("" : "+r"(row)); /* the address itself is kept, not made again at each use */
    if (!is_allowed(insn, row, may))
        return exec_answer(ctx, EMUL_RETRY);
    x->insn = insn;
    x->next_rip = x->mode == EMUL_MODE64 ? s->rip + insn->length : (uint32_t)(s->rip + insn->length);
    x->flags = flags & ~RFLAGS_RF;
    x->special = flags & RFLAGS_TF;
    x->opsize = insn->opsize;
    if (EMUL_UNLIKELY(row->flags & (X_PROTECTED | X_PRIV)) && (status = check_mode(x, s, row->flags)))
        return exec_answer(ctx, status);
    return row->flags & X_OPERANDS ? run_form(ctx, row) : run_handler(ctx, row);
}

static __attribute__((noinline)) int run_fetched(struct emul_ctx *ctx, uint32_t may, enum emul_fetched fetched)
{
    struct emul_result *result = exec_of(ctx)->result;
    int status = emul_fetch_rest(ctx, fetched, exec_of(ctx)->mode, result);

    if (!status)
        return run_insn(ctx, may, result->insn);
    if (status == EMUL_RETRY && may == EMUL_MAY_ANY)
        status = EMUL_FAULT; /* not an exit that the CPU would take again: the fault of the invalid bytes */
    result->status = status;
    return status;
}

/* Each instruction is decoded anew. */
static __attribute__((noinline)) int run_decoded(struct emul_ctx *ctx, uint32_t may)
{
    struct emul_result *result = exec_of(ctx)->result;

    result->insn = &result->store;
    if (EMUL_UNLIKELY(emul_decode(&result->store, result->bytes, EMUL_INSN_MAX, emul_decode_mode(ctx, exec_of(ctx)->mode)) <= 0))
        return run_fetched(ctx, may, EMUL_FETCH_BYTES);
    return run_insn(ctx, may, &result->store);
}

static __attribute__((noinline)) int execute_anew(struct emul_ctx *ctx, uint32_t may, struct emul_result *result)
{
    exec_begin(ctx);
    emul_look(ctx);
    return emul_execute_next(ctx, may, result);
}

int emul_execute_next(struct emul_ctx *ctx, uint32_t may, struct emul_result *result)
{
    struct exec *x = exec_of(ctx);
    const struct emul_state *s = ctx->state;
    uint32_t facts = ctx->facts;
    enum emul_fetched fetched;

    x->result = result;
    result->iterations = 0;
    result->marks = EMUL_MARKS;
    if (EMUL_UNLIKELY((facts ^ (s->rflags | EMUL_FACT_KNOWN)) & (EMUL_FACT_FLAGS | EMUL_FACT_KNOWN)))
        return execute_anew(ctx, may, result);
    x->mode = emul_mode_of(facts);
    fetched = emul_fetch_short(ctx, s, facts, result);
    if (EMUL_LIKELY(fetched == EMUL_FETCH_KNOWN))
        return run_insn(ctx, may, result->insn);
    return fetched == EMUL_FETCH_BYTES ? run_decoded(ctx, may) : run_fetched(ctx, may, fetched);
}

int emul_execute(struct emul_ctx *ctx, uint32_t may, struct emul_result *result)
{
    exec_begin(ctx);
    return EMUL_LIKELY(emul_as_seen(ctx)) ? emul_execute_next(ctx, may, result) : execute_anew(ctx, may, result);
}

int emul_string_io(struct emul_ctx *ctx, const struct emul_port_exit *want, struct emul_result *result)
{
    ctx->port_exit = want;
    emul_execute(ctx, EMUL_MAY_PORT, result);
    ctx->port_exit = 0;
    return result->status;
}
