/* One instruction from fetch to commit: the validate rule, operands by form, the handler, the write back. */
#include <stddef.h>
#include "exec.h"
#include "fetch.h"

#define LOCK_TRIES 64u             /* lost races for a locked operand before the guest is entered again (E22) */

/* Where an operand that is no memory is: the offset in struct emul_insn of a register's number, or one of these. */
enum operand_at { AT_NONE, AT_OPCODE, AT_AX, AT_IMM, AT_ONE, AT_CL, AT_REG = offsetof(struct emul_insn, reg), AT_RM = offsetof(struct emul_insn, rm),
                  AT_VVVV = offsetof(struct emul_insn, vvvv) };
_Static_assert(offsetof(struct emul_insn, reg) > AT_CL && offsetof(struct emul_insn, rm) > AT_CL && offsetof(struct emul_insn, vvvv) > AT_CL,
               "register numbers lie behind the codes");

/* The same in a plan: the offset of the register in gpr[], AH and its like one byte up, or one of these. */
enum { PLAN_REGISTERS = 0x80, PLAN_NONE = PLAN_REGISTERS, PLAN_IMM, PLAN_ONE };

/* Which operand is memory unless ModRM names a register; ROLE_ALWAYS: it has no ModRM. */
#define ROLE_DST    1u
#define ROLE_SRC    2u
#define ROLE_ALWAYS 4u

/* The operands of a form that are fetched and committed here; forms without a row are their handlers' own. size: bytes of the
 * source if it is not the operand size. */
struct operand_row { uint8_t role, dst, src, third, size; };
#define E1             { ROLE_DST, AT_RM, 0, 0, 0 }
#define E2(source)     { ROLE_DST, AT_RM, AT_##source, 0, 0 }
#define E3(source, third) { ROLE_DST, AT_RM, AT_##source, AT_##third, 0 }
#define G2(size)       { ROLE_SRC, AT_REG, AT_RM, 0, size }
#define G3(third)      { ROLE_SRC, AT_REG, AT_RM, AT_##third, 0 }
#define PLAIN(dst, src) { 0, AT_##dst, AT_##src, 0, 0 }
static const struct operand_row operands[FORMS_END] = {
    [FORM_Eb_Gb] = E2(REG), [FORM_Ev_Gv] = E2(REG), [FORM_Gb_Eb] = G2(0), [FORM_Gv_Ev] = G2(0), [FORM_AL_Ib] = PLAIN(AX, IMM),
    [FORM_rAX_Iz] = PLAIN(AX, IMM), [FORM_Zv] = PLAIN(OPCODE, NONE), [FORM_Zq] = PLAIN(OPCODE, NONE), [FORM_Zb_Ib] = PLAIN(OPCODE, IMM),
    [FORM_Zv_Iv] = PLAIN(OPCODE, IMM), [FORM_Zv_rAX] = PLAIN(OPCODE, AX), [FORM_Eb_Ib] = E2(IMM), [FORM_Ev_Iz] = E2(IMM),
    [FORM_Ev_Ib] = E2(IMM), [FORM_Ev] = E1, [FORM_Eb] = E1, [FORM_Eq] = E1, [FORM_En] = E1, [FORM_Ew] = E1, [FORM_Eb_1] = E2(ONE),
    [FORM_Ev_1] = E2(ONE), [FORM_Eb_CL] = E2(CL), [FORM_Ev_CL] = E2(CL), [FORM_Ev_Gv_Ib] = E3(REG, IMM), [FORM_Ev_Gv_CL] = E3(REG, CL),
    [FORM_Gv_Ev_Iz] = G3(IMM), [FORM_Gv_Ev_Ib] = G3(IMM), [FORM_Gv_Eb] = G2(1), [FORM_Gv_Ew] = G2(2), [FORM_Gv_Ed] = G2(4),
    [FORM_Gd_Eb] = G2(1), [FORM_Gd_Ev] = G2(0), [FORM_Gy_Ey] = G2(0), [FORM_My_Gy] = E2(REG), [FORM_Gv_Mv] = G2(0), [FORM_Mv_Gv] = E2(REG),
    [FORM_Ew_Gw] = E2(REG), [FORM_Rv] = E1, [FORM_Gy_By_Ey] = G3(VVVV), [FORM_Gy_Ey_By] = G3(VVVV),
    [FORM_By_Ey] = { ROLE_SRC, AT_VVVV, AT_RM, 0, 0 }, [FORM_Gy_Ey_Ib] = G3(IMM),
    [FORM_AL_Ob] = { ROLE_SRC | ROLE_ALWAYS, AT_AX, AT_AX, 0, 0 }, [FORM_rAX_Ov] = { ROLE_SRC | ROLE_ALWAYS, AT_AX, AT_AX, 0, 0 },
    [FORM_Ob_AL] = { ROLE_DST | ROLE_ALWAYS, AT_AX, AT_AX, 0, 0 }, [FORM_Ov_rAX] = { ROLE_DST | ROLE_ALWAYS, AT_AX, AT_AX, 0, 0 },
};

int exec_resolve_long(struct exec *x, uint64_t offset, unsigned size, unsigned access, struct emul_place *place)
{
    const struct emul_insn *insn = x->insn;
    uint64_t linear;
    int status;

    if (insn->addrsize < 8)
        offset &= insn->mode == EMUL_MODE64 ? ~0ull : emul_size_mask(insn->addrsize);
    if (!x->ctx->exit_known || (x->s->rflags & RFLAGS_AC))
        return emul_resolve(x->ctx, x->mode, insn->seg, offset, size, access, place, x->result);
    status = emul_linear(x->ctx, x->mode, insn->seg, offset, size, access, &linear, x->result);
    if (status || exec_exit_access(x, linear, size, access, place))
        return status;
    return emul_translate(x->ctx, x->mode, linear, size, access | emul_user(x->ctx), place, x->result);
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

static unsigned plan_register(const struct emul_insn *insn, unsigned reg, unsigned size)
{
    if (size == 1 && !(insn->prefix & EMUL_PFX_REX) && (reg & ~3u) == 4)
        return (reg - 4) * 8 + 1;
    return (reg & (EMUL_GPRS - 1)) * 8;
}

static unsigned plan_operand(const struct emul_insn *insn, unsigned at, unsigned size)
{
    switch (at) {
    case AT_NONE:
        return PLAN_NONE;
    case AT_OPCODE:
        return plan_register(insn, (insn->opcode & 7) | (insn->rex & EMUL_REX_B ? 8 : 0), size);
    case AT_AX:
        return EMUL_RAX * 8;
    case AT_IMM:
        return PLAN_IMM;
    case AT_ONE:
        return PLAN_ONE;
    case AT_CL:
        return EMUL_RCX * 8;
    default:
        return plan_register(insn, ((const uint8_t *)insn)[at], size);
    }
}

/* All that follows from the instruction alone. */
void emul_plan(const struct emul_insn *insn, struct emul_plan *plan)
{
    const struct exec_row *row = &emul_exec[insn->op];
    const struct operand_row *o = &operands[insn->form];
    int memory = insn->mod != 3 || (o->role & ROLE_ALWAYS);

    plan->row = row;
    plan->flags = row->flags;
    plan->may = row->may;
    if ((row->flags & X_MEMORY) || (memory && !(row->flags & X_ADDRESS)))
        plan->may |= EMUL_MAY_MEMORY;
    plan->memory = memory ? o->role : 0;
    plan->src_size = o->size && o->size < insn->opsize ? o->size : insn->opsize;
    plan->dst = plan_operand(insn, o->dst, insn->opsize);
    plan->src = plan_operand(insn, o->src, o->src == AT_CL ? 4 : plan->src_size);
    plan->third = plan_operand(insn, o->third, o->third == AT_CL ? 4 : insn->opsize);
}

/* A source that is no memory. */
static inline uint64_t plain_source(struct exec *x, unsigned at, unsigned size)
{
    if (at < PLAN_REGISTERS) {
        x->src_reg = (uint8_t *)x->gpr + at;
        return exec_reg_read(x->src_reg, size);
    }
    return at == PLAN_IMM ? (uint64_t)x->insn->imm & emul_size_mask(size) : 1;
}

static inline int fetch_operands(struct exec *x, const struct emul_plan *plan)
{
    unsigned flags = plan->flags;
    int status;

    if (plan->memory & ROLE_DST) {
        status = exec_resolve(x, 0, x->opsize, flags & X_WRITE ? EMUL_PF_W : 0, &x->place);
        if (status || ((flags & X_READ) && (status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND))))
            return status;
    } else {
        x->dst_reg = (uint8_t *)x->gpr + (plan->dst & (PLAN_REGISTERS - 1));
        if (flags & X_READ)
            x->dst = exec_reg_read(x->dst_reg, x->opsize);
    }
    x->src_size = plan->src_size;
    if (plan->memory & ROLE_SRC) {
        status = exec_resolve(x, 0, plan->src_size, 0, &x->place);
        if (status || (status = emul_load(x->ctx, &x->place, &x->src, EMUL_FOR_OPERAND)))
            return status;
    } else if (plan->src != PLAN_NONE) {
        x->src = plain_source(x, plan->src, plan->src_size);
    }
    if (plan->third != PLAN_NONE)
        x->src2 = plan->third == PLAN_IMM ? (uint64_t)x->insn->imm : exec_reg_read((uint8_t *)x->gpr + plan->third, x->opsize);
    return EMUL_DONE;
}

/* LOCK on RAM: compute and compare-exchange until nobody came between. On a device there is nothing to lock. */
static __attribute__((noinline)) int run_locked(struct exec *x, void (*compute)(struct exec *x))
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t flags = x->flags, src = x->src, accumulator = x->gpr[EMUL_RAX];

    if (x->place.size[1])
        return EMUL_UNHANDLED; /* locked over two pages: refused by name (README.md) */
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        uint64_t old = x->dst;
        int status, lost;

        compute(x);
        if (!ops->phys_cmpxchg)
            return EMUL_UNHANDLED;
        lost = ops->phys_cmpxchg(x->ctx->opaque, x->place.gpa[0], x->opsize, &old, &x->dst, EMUL_FOR_OPERAND);
        if (lost < 0)
            return emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND);
        if (!lost)
            return EMUL_DONE;
        x->flags = flags;
        x->src = src;
        x->gpr[EMUL_RAX] = accumulator;
        status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND);
        if (status)
            return status;
    }
    return EMUL_RETRY;
}

int exec_modify(struct exec *x, void (*compute)(struct exec *x), int write)
{
    int status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND);

    if (status)
        return status;
    if (x->insn->prefix & EMUL_PFX_LOCK)
        return run_locked(x, compute);
    compute(x);
    return write ? emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND) : EMUL_DONE;
}

/* XCHG with memory locks without the prefix (SDM 2D XCHG). */
static inline int is_locked(const struct exec *x)
{
    return (x->insn->prefix & EMUL_PFX_LOCK) || x->insn->op == EMUL_XCHG;
}

static inline int run_operands(struct exec *x, const struct emul_plan *plan, const struct exec_row *row)
{
    unsigned flags = plan->flags, memory = plan->memory & ROLE_DST;
    int status = fetch_operands(x, plan);

    if (status)
        return status;
    if (memory && (flags & (X_READ | X_WRITE)) == (X_READ | X_WRITE) && is_locked(x)) {
        status = run_locked(x, row->compute);
    } else {
        row->compute(x);
        if (memory && (flags & X_WRITE))
            status = emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND);
    }
    if (status || !(flags & X_WRITE))
        return status;
    if (flags & X_SWAP)
        exec_reg_write(x->src_reg, x->opsize, x->src);
    if (!memory)
        exec_reg_write(x->dst_reg, x->opsize, x->dst);
    return EMUL_DONE;
}

int exec_branch(struct exec *x, uint64_t target)
{
    if (x->opsize < 8 || x->mode != EMUL_MODE64)
        target &= emul_size_mask(x->opsize < 4 ? 2 : 4);
    if (x->mode == EMUL_MODE64 ? !emul_canonical(x->s, target) : target > x->s->seg[EMUL_CS].limit)
        return exec_gp0(x);
    x->next_rip = target;
    return EMUL_DONE;
}

static inline void exec_begin(struct exec *x, struct emul_ctx *ctx, struct emul_result *result)
{
    struct emul_state *s = ctx->state;
    const struct emul_insn *insn = result->insn;

    x->ctx = ctx;
    x->s = s;
    x->result = result;
    x->insn = insn;
    x->gpr = ctx->gpr;
    x->gpr[EMUL_RSP] = s->rsp;
    x->next_rip = s->rip + insn->length;
    if (insn->mode != EMUL_MODE64)
        x->next_rip &= 0xffffffff;
    x->flags = s->rflags;
    x->mode = insn->mode;
    x->opsize = insn->opsize;
    x->plain = insn->mode == EMUL_MODE64 && x->context == EMUL_TAG_VALID;
    x->shadow = 0;
    x->no_step = 0;
    x->stay = 0;
}

/* Everything took effect: RIP, RSP, RFLAGS, and what is due behind the instruction. RF goes off (SDM 3B 17.3.1.1), but in the
 * middle of a REP. TF counts as it was before (POPF sets a trap for the instruction behind it), but for what loads all of RFLAGS. */
static inline void exec_commit(struct exec *x)
{
    struct emul_state *s = x->s;

    x->result->step = (s->rflags & RFLAGS_TF) && !x->no_step;
    if (!x->stay)
        s->rip = x->next_rip;
    s->rsp = x->gpr[EMUL_RSP];
    s->rflags = x->flags;
    s->shadow = x->shadow;
    x->ctx->changed |= EMUL_STATE_RIP;
}

static int check_mode(struct exec *x, const struct exec_row *row)
{
    if ((row->flags & X_PROTECTED) && !emul_protected(x->s))
        return exec_ud(x);
    return (row->flags & X_PRIV) && emul_cpl(x->s) ? exec_gp0(x) : EMUL_DONE;
}

/* The validate rule first: another vcpu may have put another instruction here since the exit (E3). */
static inline int exec_run(struct exec *x)
{
    const struct emul_plan *plan = x->result->plan;
    const struct exec_row *row = plan->row;
    int status;

    if (!(x->may & (plan->may | ~0xffffu)))
        return EMUL_RETRY;
    if (!row->run)
        return EMUL_UNHANDLED;
    if ((plan->flags & (X_PROTECTED | X_PRIV)) && (status = check_mode(x, row)))
        return status;
    x->flags &= ~RFLAGS_RF;
    status = plan->flags & X_OPERANDS ? run_operands(x, plan, row) : row->run(x);
    if (!status)
        exec_commit(x);
    return status;
}

static inline int execute(struct emul_ctx *ctx, uint32_t may, const struct emul_port_exit *want, struct emul_result *result)
{
    struct exec x;
    int status;

    result->step = 0;
    result->halted = 0;
    result->iterations = 0;
    x.user = emul_user(ctx);
    x.context = emul_walk_context(ctx);
    status = emul_fetch_inline(ctx, x.user, x.context, result);
    if (!status) {
        exec_begin(&x, ctx, result);
        x.may = may;
        x.want = want;
        status = exec_run(&x);
    } else if (status == EMUL_RETRY && may == EMUL_MAY_ANY) {
        status = EMUL_FAULT; /* not an exit that the CPU would take again: the fault of the invalid bytes */
    }
    result->status = status;
    return status;
}

int emul_execute(struct emul_ctx *ctx, uint32_t may, struct emul_result *result)
{
    return execute(ctx, may, 0, result);
}

int emul_string_io(struct emul_ctx *ctx, const struct emul_port_exit *want, struct emul_result *result)
{
    return execute(ctx, EMUL_MAY_PORT, want, result);
}
