/* Moves, conversions and single flags: what computes nothing. */
#include "exec.h"

int do_mov(struct exec *x)
{
    x->dst = x->src;
    return EMUL_DONE;
}

int do_movsx(struct exec *x)
{
    x->dst = exec_signed(x->src, x->src_size);
    return EMUL_DONE;
}

int do_lea(struct exec *x)
{
    if (x->insn->mod == 3)
        return exec_ud(x);
    exec_set_gpr(x, x->insn->reg, x->opsize, exec_offset(x));
    return EMUL_DONE;
}

int do_xchg(struct exec *x)
{
    uint64_t old = x->dst;

    if (x->insn->opcode == 0x90 && !(x->insn->rex & EMUL_REX_B)) { /* NOP, whatever its prefixes (SDM 2B NOP) */
        exec_keep_register(x);
        old = x->dst;
        x->src = old;
    }
    x->dst = x->src;
    x->src = old;
    return EMUL_DONE;
}

int do_xlat(struct exec *x)
{
    uint64_t offset = (x->gpr[EMUL_RBX] + (uint8_t)x->gpr[EMUL_RAX]) & emul_size_mask(x->insn->addrsize);
    struct emul_place place;
    uint64_t value;
    int status = emul_resolve(x->ctx, x->mode, x->insn->seg, offset, 1, 0, &place, x->result);

    if (!status)
        status = emul_load(x->ctx, &place, &value, EMUL_FOR_OPERAND);
    if (!status)
        exec_set_gpr(x, EMUL_RAX, 1, value);
    return status;
}

/* SDM 1 appendix B */
int exec_condition(uint64_t flags, unsigned code)
{
    uint64_t less = (flags >> 7 ^ flags >> 11) & 1; /* SF differs from OF */
    uint64_t holds;

    switch (code >> 1 & 7) {
    case 0:
        holds = flags & RFLAGS_OF;
        break;
    case 1:
        holds = flags & RFLAGS_CF;
        break;
    case 2:
        holds = flags & RFLAGS_ZF;
        break;
    case 3:
        holds = flags & (RFLAGS_CF | RFLAGS_ZF);
        break;
    case 4:
        holds = flags & RFLAGS_SF;
        break;
    case 5:
        holds = flags & RFLAGS_PF;
        break;
    case 6:
        holds = less;
        break;
    default:
        holds = less | (flags & RFLAGS_ZF);
        break;
    }
    return (holds != 0) ^ (code & 1);
}

int do_cmov(struct exec *x)
{
    if (exec_condition(x->flags, x->insn->opcode))
        x->dst = x->src;
    return EMUL_DONE;
}

int do_setcc(struct exec *x)
{
    x->dst = exec_condition(x->flags, x->insn->opcode);
    return EMUL_DONE;
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - size * 8);
}

int do_bswap(struct exec *x)
{
    x->dst = x->opsize == 2 ? 0 : swap_bytes(x->dst, x->opsize); /* of 16 bits undefined (SDM 2A BSWAP); CPUs give 0 */
    return EMUL_DONE;
}

int do_movbe(struct exec *x)
{
    x->dst = swap_bytes(x->src, x->opsize);
    return EMUL_DONE;
}

int do_nop(struct exec *x)
{
    (void)x;
    return EMUL_DONE;
}

/* The checks are those of a load of one byte, but an execute-only segment is allowed (SDM 2A CLFLUSH). */
int do_clflush(struct exec *x)
{
    uint64_t linear;
    int status = emul_linear(x->ctx, x->mode, x->insn->seg, exec_offset(x), 1, EMUL_PF_FETCH, &linear, x->result);

    return status ? status : emul_translate(x->ctx, x->mode, linear, 1, emul_user(x->ctx), &x->place, x->result);
}

/* CBW, CWDE, CDQE */
int do_cbw(struct exec *x)
{
    exec_set_gpr(x, EMUL_RAX, x->opsize, exec_signed(x->gpr[EMUL_RAX], x->opsize / 2));
    return EMUL_DONE;
}

/* CWD, CDQ, CQO */
int do_cwd(struct exec *x)
{
    exec_set_gpr(x, EMUL_RDX, x->opsize, x->gpr[EMUL_RAX] >> (x->opsize * 8 - 1) & 1 ? ~0ull : 0);
    return EMUL_DONE;
}

#define LAHF_FLAGS (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

int do_lahf(struct exec *x)
{
    exec_reg_write((uint8_t *)x->gpr + 1, 1, (x->flags & LAHF_FLAGS) | RFLAGS_1);
    return EMUL_DONE;
}

int do_sahf(struct exec *x)
{
    x->flags = (x->flags & ~LAHF_FLAGS) | (x->gpr[EMUL_RAX] >> 8 & LAHF_FLAGS);
    return EMUL_DONE;
}

int do_salc(struct exec *x)
{
    exec_set_gpr(x, EMUL_RAX, 1, x->flags & RFLAGS_CF ? 0xff : 0);
    return EMUL_DONE;
}

int do_flag_bits(struct exec *x)
{
    switch (x->insn->op) {
    case EMUL_CLC:
        x->flags &= ~RFLAGS_CF;
        break;
    case EMUL_STC:
        x->flags |= RFLAGS_CF;
        break;
    case EMUL_CMC:
        x->flags ^= RFLAGS_CF;
        break;
    case EMUL_CLD:
        x->flags &= ~RFLAGS_DF;
        break;
    default:
        x->flags |= RFLAGS_DF;
        break;
    }
    return EMUL_DONE;
}
