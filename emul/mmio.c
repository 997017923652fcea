/* Instructions that touch memory which is not RAM: the moves. All else is answered EMUL_UNHANDLED. */
#include "access.h"
#include "repeat.h"
#include "tables.h"

/* What a move does to its memory operand. */
enum move { MOVE_NONE, MOVE_STORE, MOVE_LOAD, MOVE_STORE_IMM, MOVE_STORE_RAX, MOVE_LOAD_RAX, MOVE_LOAD_B, MOVE_LOAD_W, MOVE_LOAD_D,
            MOVE_STOS, MOVE_LODS, MOVE_MOVS };

static const uint8_t move_of[FORMS_END] = {
    [FORM_Eb_Gb] = MOVE_STORE, [FORM_Ev_Gv] = MOVE_STORE, [FORM_Gb_Eb] = MOVE_LOAD, [FORM_Gv_Ev] = MOVE_LOAD,
    [FORM_Eb_Ib] = MOVE_STORE_IMM, [FORM_Ev_Iz] = MOVE_STORE_IMM, [FORM_Ob_AL] = MOVE_STORE_RAX, [FORM_Ov_rAX] = MOVE_STORE_RAX,
    [FORM_AL_Ob] = MOVE_LOAD_RAX, [FORM_rAX_Ov] = MOVE_LOAD_RAX, [FORM_Gv_Eb] = MOVE_LOAD_B, [FORM_Gv_Ew] = MOVE_LOAD_W,
    [FORM_Gv_Ed] = MOVE_LOAD_D, [FORM_Yb_AL] = MOVE_STOS, [FORM_Yv_rAX] = MOVE_STOS, [FORM_AL_Xb] = MOVE_LODS,
    [FORM_rAX_Xv] = MOVE_LODS, [FORM_Yb_Xb] = MOVE_MOVS, [FORM_Yv_Xv] = MOVE_MOVS,
};

/* Only these operations have a row above; CMP, XADD and others share their forms. */
static const uint8_t is_move[EMUL_OPS_END] = {
    [EMUL_MOV] = 1, [EMUL_MOVZX] = 1, [EMUL_MOVSX] = 1, [EMUL_MOVSXD] = 1, [EMUL_STOS] = 1, [EMUL_LODS] = 1, [EMUL_MOVS] = 1,
};

struct mmio {
    struct emul_ctx *ctx;
    struct emul_result *result;
    uint64_t gpa;          /* of the exit */
};

/* Effective address: base + index * scale + displacement in the address size (SDM 2A 2.1.5, 2.2.1.6). */
static uint64_t effective_offset(const struct emul_ctx *ctx, const struct emul_insn *insn)
{
    uint64_t offset = insn->disp;

    if (insn->base == EMUL_REG_RIP)
        offset += ctx->rip + insn->length;
    else if (insn->base != EMUL_REG_NONE)
        offset += emul_get_gpr(ctx, insn->base);
    if (insn->index != EMUL_REG_NONE)
        offset += emul_get_gpr(ctx, insn->index) << insn->scale;
    return offset & emul_size_mask(insn->addrsize);
}

/* AH, CH, DH, BH: registers 4 to 7 of one byte without REX. */
static int is_high_byte(const struct emul_insn *insn, unsigned reg)
{
    return insn->opsize == 1 && !(insn->prefix & EMUL_PFX_REX) && reg >= 4 && reg < 8;
}

static uint64_t get_operand(const struct emul_ctx *ctx, const struct emul_insn *insn, unsigned reg)
{
    return is_high_byte(insn, reg) ? ctx->gpr[reg - 4] >> 8 & 0xff : emul_get_gpr(ctx, reg);
}

static void set_operand(struct emul_ctx *ctx, const struct emul_insn *insn, unsigned reg, uint64_t value)
{
    if (is_high_byte(insn, reg))
        ctx->gpr[reg - 4] = (ctx->gpr[reg - 4] & ~0xff00ull) | (value & 0xff) << 8;
    else
        emul_set_gpr(ctx, reg, insn->opsize, value);
}

static int touches_exit(const struct mmio *m, const struct emul_place *place)
{
    return (place->gpa[0] ^ m->gpa) < PAGE_SIZE || (place->size[1] && (place->gpa[1] ^ m->gpa) < PAGE_SIZE);
}

/* Resolves an operand that must be what caused the exit. */
static int resolve_exit(struct mmio *m, unsigned seg, uint64_t offset, unsigned size, unsigned access, struct emul_place *place)
{
    int status = emul_resolve(m->ctx, seg, offset, size, access, place, m->result);

    return status || touches_exit(m, place) ? status : EMUL_RETRY;
}

static int store(struct mmio *m, uint64_t value)
{
    const struct emul_insn *insn = &m->result->insn;
    struct emul_place place;
    int status = resolve_exit(m, insn->seg, effective_offset(m->ctx, insn), insn->opsize, EMUL_PF_W, &place);

    return status ? status : emul_store(m->ctx, &place, value, EMUL_FOR_OPERAND);
}

/* Loads `size` bytes into a register of operand size, sign-extended for MOVSX and MOVSXD. */
static int load(struct mmio *m, unsigned reg, unsigned size)
{
    const struct emul_insn *insn = &m->result->insn;
    struct emul_place place;
    uint64_t value;
    int status = resolve_exit(m, insn->seg, effective_offset(m->ctx, insn), size, 0, &place);

    if (!status)
        status = emul_load(m->ctx, &place, &value, EMUL_FOR_OPERAND);
    if (status)
        return status;
    if (insn->op == EMUL_MOVSX || insn->op == EMUL_MOVSXD)
        value = (uint64_t)((int64_t)(value << (64 - size * 8)) >> (64 - size * 8));
    set_operand(m->ctx, insn, reg, value);
    return EMUL_DONE;
}

/* One element of STOS, LODS or MOVS: both places are resolved before either is touched. */
static int move_element(struct mmio *m, enum move move)
{
    const struct emul_insn *insn = &m->result->insn;
    struct emul_ctx *ctx = m->ctx;
    struct emul_place from = { 0 }, to = { 0 };
    uint64_t value = ctx->gpr[EMUL_RAX];
    int hit = 0;
    int status = EMUL_DONE;

    if (move != MOVE_STOS) {
        status = emul_resolve(ctx, insn->seg, emul_string_offset(ctx, insn, EMUL_RSI), insn->opsize, 0, &from, m->result);
        hit |= !status && touches_exit(m, &from);
    }
    if (!status && move != MOVE_LODS) {
        status = emul_resolve(ctx, EMUL_ES, emul_string_offset(ctx, insn, EMUL_RDI), insn->opsize, EMUL_PF_W, &to, m->result);
        hit |= !status && touches_exit(m, &to);
    }
    if (status || !hit)
        return status ? status : EMUL_RETRY;
    if (move != MOVE_STOS)
        status = emul_load(ctx, &from, &value, EMUL_FOR_OPERAND);
    if (!status && move != MOVE_LODS)
        status = emul_store(ctx, &to, value, EMUL_FOR_OPERAND);
    if (status)
        return status;
    if (move == MOVE_LODS)
        emul_set_gpr(ctx, EMUL_RAX, insn->opsize, value);
    if (move != MOVE_STOS)
        emul_string_step(ctx, insn, EMUL_RSI, 1);
    if (move != MOVE_LODS)
        emul_string_step(ctx, insn, EMUL_RDI, 1);
    return EMUL_DONE;
}

/* Iterations, up to EMUL_MMIO_MAX, as long as they touch the page of the exit: on other pages the CPU goes on by itself. */
static int move_string(struct mmio *m, enum move move)
{
    struct emul_result *result = m->result;

    if (!emul_string_count(m->ctx, &result->insn))
        return emul_finish(m->ctx, result);
    for (unsigned n = 0; n < EMUL_MMIO_MAX; n++) {
        int status = move_element(m, move);

        if (status == EMUL_RETRY && n)
            break;
        if (status)
            return status;
        if (emul_string_done(m->ctx, result, 1))
            return emul_finish(m->ctx, result);
        if (m->ctx->rflags & RFLAGS_TF) {
            result->step = 1;
            break;
        }
    }
    return EMUL_DONE;
}

static int move_operand(struct mmio *m, enum move move)
{
    const struct emul_insn *insn = &m->result->insn;

    switch (move) {
    case MOVE_STORE:
        return store(m, get_operand(m->ctx, insn, insn->reg));
    case MOVE_STORE_IMM:
        return store(m, insn->imm);
    case MOVE_STORE_RAX:
        return store(m, m->ctx->gpr[EMUL_RAX]);
    case MOVE_LOAD:
        return load(m, insn->reg, insn->opsize);
    case MOVE_LOAD_RAX:
        return load(m, EMUL_RAX, insn->opsize);
    case MOVE_LOAD_B:
        return load(m, insn->reg, 1);
    case MOVE_LOAD_W:
        return load(m, insn->reg, 2);
    case MOVE_LOAD_D:
        return load(m, insn->reg, insn->opsize < 4 ? insn->opsize : 4);
    default:
        return EMUL_UNHANDLED;
    }
}

int emul_mmio(struct emul_ctx *ctx, uint64_t gpa, struct emul_result *result)
{
    struct mmio m = { ctx, result, gpa };
    enum move move;
    int status;

    result->step = 0;
    result->iterations = 0;
    status = emul_fetch(ctx, result);
    if (!status) {
        move = is_move[result->insn.op] ? move_of[result->insn.form] : MOVE_NONE;
        if (move >= MOVE_STOS) {
            status = move_string(&m, move);
        } else if (move != MOVE_NONE && result->insn.has_modrm && result->insn.mod == 3) {
            status = EMUL_RETRY; /* registers only: no longer what caused the exit */
        } else {
            status = move_operand(&m, move);
            if (!status)
                status = emul_finish(ctx, result);
        }
    }
    result->status = status;
    return status;
}
