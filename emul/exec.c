/* One instruction from fetch to commit: the validate rule, operands by form, the handler, the write back. */
#include "exec.h"

#define LOCK_TRIES 64u             /* lost races for a locked operand before the guest is entered again (E22) */

/* Where an operand is. Sources have the same names. */
enum operand_kind { OPERAND_NONE, OPERAND_RM, OPERAND_REG, OPERAND_Z, OPERAND_AX, OPERAND_IMM, OPERAND_ONE, OPERAND_CL, OPERAND_OFFSET,
                    OPERAND_VVVV };

/* The operands of a form that are fetched and committed here; forms without a row are their handlers' own. size: bytes of the
 * source in memory or register if it is not the operand size. */
struct operand_row { uint8_t dst, src, src2, size; };
#define D(kind)          { OPERAND_##kind, 0, 0, 0 }
#define DS(kind, source) { OPERAND_##kind, OPERAND_##source, 0, 0 }
#define D3(kind, source, third) { OPERAND_##kind, OPERAND_##source, OPERAND_##third, 0 }
static const struct operand_row operands[FORMS_END] = {
    [FORM_Eb_Gb] = DS(RM, REG), [FORM_Ev_Gv] = DS(RM, REG), [FORM_Gb_Eb] = DS(REG, RM), [FORM_Gv_Ev] = DS(REG, RM),
    [FORM_AL_Ib] = DS(AX, IMM), [FORM_rAX_Iz] = DS(AX, IMM), [FORM_Zv] = D(Z), [FORM_Zq] = D(Z), [FORM_Zb_Ib] = DS(Z, IMM),
    [FORM_Zv_Iv] = DS(Z, IMM), [FORM_Zv_rAX] = { OPERAND_Z, OPERAND_AX, 0, 0 }, [FORM_Eb_Ib] = DS(RM, IMM), [FORM_Ev_Iz] = DS(RM, IMM),
    [FORM_Ev_Ib] = DS(RM, IMM), [FORM_Ev] = D(RM), [FORM_Eb] = D(RM), [FORM_Eq] = D(RM), [FORM_En] = D(RM), [FORM_Ew] = D(RM),
    [FORM_Eb_1] = DS(RM, ONE), [FORM_Ev_1] = DS(RM, ONE), [FORM_Eb_CL] = DS(RM, CL), [FORM_Ev_CL] = DS(RM, CL),
    [FORM_Ev_Gv_Ib] = D3(RM, REG, IMM), [FORM_Ev_Gv_CL] = D3(RM, REG, CL), [FORM_Gv_Ev_Iz] = D3(REG, RM, IMM),
    [FORM_Gv_Ev_Ib] = D3(REG, RM, IMM), [FORM_Gv_Eb] = { OPERAND_REG, OPERAND_RM, 0, 1 }, [FORM_Gv_Ew] = { OPERAND_REG, OPERAND_RM, 0, 2 },
    [FORM_Gv_Ed] = { OPERAND_REG, OPERAND_RM, 0, 4 }, [FORM_Gd_Eb] = { OPERAND_REG, OPERAND_RM, 0, 1 }, [FORM_Gd_Ev] = DS(REG, RM),
    [FORM_Gy_Ey] = DS(REG, RM), [FORM_My_Gy] = DS(RM, REG), [FORM_Gv_Mv] = DS(REG, RM), [FORM_Mv_Gv] = DS(RM, REG), [FORM_Rv] = D(RM),
    [FORM_Gy_By_Ey] = D3(REG, RM, VVVV), [FORM_Gy_Ey_By] = D3(REG, RM, VVVV), [FORM_By_Ey] = DS(VVVV, RM), [FORM_Gy_Ey_Ib] = D3(REG, RM, IMM),
    [FORM_AL_Ob] = DS(AX, OFFSET), [FORM_rAX_Ov] = DS(AX, OFFSET), [FORM_Ob_AL] = DS(OFFSET, AX), [FORM_Ov_rAX] = DS(OFFSET, AX),
};

uint64_t exec_reg_read(const uint8_t *reg, unsigned size)
{
    if (size == 8)
        return *(const emul_reg64 *)reg;
    if (size == 4)
        return *(const emul_reg32 *)reg;
    return size == 1 ? *reg : *(const emul_reg16 *)reg;
}

void exec_reg_write(uint8_t *reg, unsigned size, uint64_t value)
{
    if (size == 8)
        *(emul_reg64 *)reg = value;
    else if (size == 4)
        *(emul_reg64 *)reg = (uint32_t)value;
    else if (size == 1)
        *reg = (uint8_t)value;
    else
        *(emul_reg16 *)reg = (uint16_t)value;
}

uint64_t exec_offset(const struct exec *x)
{
    const struct emul_insn *insn = x->insn;
    uint64_t offset = insn->disp;

    if (insn->base < EMUL_GPRS)
        offset += x->gpr[insn->base];
    else if (insn->base == EMUL_REG_RIP)
        offset += x->next_rip;
    if (insn->index < EMUL_GPRS)
        offset += x->gpr[insn->index] << insn->scale;
    return insn->addrsize == 8 ? offset : offset & emul_size_mask(insn->addrsize);
}

/* The address of an exit has been translated and permitted by the CPU, for the access that it reported. An operand at the same
 * place of its page is taken for it. Should another vcpu have rewritten the instruction meanwhile, the access goes to where the
 * guest was just allowed to make it. */
static int is_exit_access(const struct exec *x, uint64_t linear, unsigned size, unsigned access)
{
    const struct emul_ctx *ctx = x->ctx;

    return ctx->exit_known && !((linear ^ ctx->exit_gpa) & PAGE_MASK) && size <= PAGE_SIZE - (linear & PAGE_MASK) &&
           !ctx->exit_write == !(access & EMUL_PF_W);
}

int exec_resolve(struct exec *x, uint64_t skip, unsigned size, unsigned access, struct emul_place *place)
{
    const struct emul_insn *insn = x->insn;
    uint64_t offset = exec_offset(x) + skip;
    uint64_t linear;

    if (insn->addrsize < 8)
        offset &= insn->mode == EMUL_MODE64 ? ~0ull : emul_size_mask(insn->addrsize);
    if (!x->ctx->exit_known || (x->s->rflags & RFLAGS_AC))
        return emul_resolve(x->ctx, x->mode, insn->seg, offset, size, access, place, x->result);
    if (emul_linear(x->ctx, x->mode, insn->seg, offset, size, access, &linear, x->result))
        return EMUL_FAULT;
    if (is_exit_access(x, linear, size, access)) {
        place->gpa[0] = x->ctx->exit_gpa;
        place->size[0] = size;
        place->size[1] = 0;
        return EMUL_DONE;
    }
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

/* MOV with a direct offset: no ModRM; base and index are none, so exec_offset() gives the offset. */
static int is_memory(const struct exec *x, unsigned kind)
{
    return kind == OPERAND_OFFSET || (kind == OPERAND_RM && x->insn->mod != 3);
}

static uint8_t *register_of(const struct exec *x, unsigned kind, unsigned size)
{
    if (kind == OPERAND_AX)
        return (uint8_t *)&x->gpr[EMUL_RAX];
    if (kind == OPERAND_REG)
        return exec_reg(x, x->insn->reg, size);
    if (kind == OPERAND_RM)
        return exec_reg(x, x->insn->rm, size);
    if (kind == OPERAND_VVVV)
        return (uint8_t *)&x->gpr[x->insn->vvvv & (EMUL_GPRS - 1)];
    return exec_reg(x, (x->insn->opcode & 7) | (x->insn->rex & EMUL_REX_B ? 8 : 0), size); /* in the opcode byte */
}

/* What the second or third operand is, other than memory. */
static uint64_t plain_source(struct exec *x, unsigned kind, unsigned size)
{
    switch (kind) {
    case OPERAND_IMM:
        return x->insn->imm & emul_size_mask(size);
    case OPERAND_ONE:
        return 1;
    case OPERAND_CL:
        return (uint8_t)x->gpr[EMUL_RCX];
    default:
        x->src_reg = register_of(x, kind, size);
        return exec_reg_read(x->src_reg, size);
    }
}

static inline int fetch_operands(struct exec *x, const struct operand_row *row, unsigned flags)
{
    unsigned size = row->size && row->size < x->opsize ? row->size : x->opsize;
    int status = EMUL_DONE;

    x->dst_kind = row->dst;
    x->src_size = size;
    if (is_memory(x, row->dst)) {
        status = exec_resolve(x, 0, x->opsize, flags & X_WRITE ? EMUL_PF_W : 0, &x->place);
        if (!status && (flags & X_READ))
            status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND);
    } else {
        x->dst_reg = register_of(x, row->dst, x->opsize);
        if (flags & X_READ)
            x->dst = exec_reg_read(x->dst_reg, x->opsize);
    }
    if (status || !row->src)
        return status;
    if (is_memory(x, row->src)) {
        status = exec_resolve(x, 0, size, 0, &x->place);
        if (!status)
            status = emul_load(x->ctx, &x->place, &x->src, EMUL_FOR_OPERAND);
    } else {
        x->src = plain_source(x, row->src, size);
    }
    if (row->src2 == OPERAND_IMM)
        x->src2 = (uint64_t)x->insn->imm;
    else if (row->src2 == OPERAND_CL)
        x->src2 = (uint8_t)x->gpr[EMUL_RCX];
    else if (row->src2)
        x->src2 = exec_reg_read(register_of(x, row->src2, x->opsize), x->opsize);
    return status;
}

/* LOCK on RAM: compute and compare-exchange until nobody came between. On a device there is nothing to lock. */
static __attribute__((noinline)) int run_locked(struct exec *x, int (*run)(struct exec *x))
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t flags = x->flags, src = x->src, accumulator = x->gpr[EMUL_RAX];

    if (x->place.size[1])
        return EMUL_UNHANDLED; /* locked over two pages: refused by name (README.md) */
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        uint64_t old = x->dst;
        int status = run(x);
        int lost;

        if (status)
            return status;
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

int exec_modify(struct exec *x, int (*run)(struct exec *x), int write)
{
    int status = emul_load(x->ctx, &x->place, &x->dst, EMUL_FOR_OPERAND);

    if (status)
        return status;
    if (x->insn->prefix & EMUL_PFX_LOCK)
        return run_locked(x, run);
    status = run(x);
    return status || !write ? status : emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND);
}

/* XCHG with memory locks without the prefix (SDM 2D XCHG). */
static inline int is_locked(const struct exec *x)
{
    return (x->insn->prefix & EMUL_PFX_LOCK) || x->insn->op == EMUL_XCHG;
}

static inline int run_operands(struct exec *x, const struct exec_row *row)
{
    int memory, status = fetch_operands(x, &operands[x->insn->form], row->flags);

    if (status)
        return status;
    memory = is_memory(x, x->dst_kind);
    if ((row->flags & (X_READ | X_WRITE)) == (X_READ | X_WRITE) && memory && is_locked(x))
        status = run_locked(x, row->run);
    else if (!(status = row->run(x)) && (row->flags & X_WRITE) && memory)
        status = emul_store(x->ctx, &x->place, x->dst, EMUL_FOR_OPERAND);
    if (status || !(row->flags & X_WRITE))
        return status;
    if (row->flags & X_SWAP)
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

/* Does it access memory other than its own bytes? */
static inline int touches_memory(const struct exec *x, const struct exec_row *row)
{
    if (row->flags & X_MEMORY)
        return 1;
    if (row->flags & X_ADDRESS)
        return 0;
    return x->insn->has_modrm ? x->insn->mod != 3 : operands[x->insn->form].src == OPERAND_OFFSET || operands[x->insn->form].dst == OPERAND_OFFSET;
}

/* The validate rule: another vcpu may have put another instruction here since the exit (E3). */
static inline int is_allowed(const struct exec *x, const struct exec_row *row)
{
    if (x->may == EMUL_MAY_ANY || (x->may & row->may))
        return 1;
    return (x->may & EMUL_MAY_MEMORY) && touches_memory(x, row);
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

static inline int exec_run(struct exec *x)
{
    const struct exec_row *row = &emul_exec[x->insn->op];
    int status;

    if (!is_allowed(x, row))
        return EMUL_RETRY;
    if (!row->run)
        return EMUL_UNHANDLED;
    if ((row->flags & X_PROTECTED) && !emul_protected(x->s))
        return exec_ud(x);
    if ((row->flags & X_PRIV) && emul_cpl(x->s))
        return exec_gp0(x);
    x->flags &= ~RFLAGS_RF;
    status = row->flags & X_OPERANDS ? run_operands(x, row) : row->run(x);
    if (!status)
        exec_commit(x);
    return status;
}

static int execute(struct emul_ctx *ctx, uint32_t may, const struct emul_port_exit *want, struct emul_result *result)
{
    struct exec x;
    int status;

    result->step = 0;
    result->halted = 0;
    result->iterations = 0;
    status = emul_fetch(ctx, result);
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
