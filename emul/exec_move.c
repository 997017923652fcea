/* Moves, conversions and single flags: what computes nothing. */
#include "exec_far.h"

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - size * 8);
}

/* What the destination becomes; what another register does. */
#define DST(name, value) void do_##name(struct exec *x) { x->dst = value; }
#define SET(name, reg, size, value) void do_##name(struct exec *x) { exec_set_gpr(x, reg, size, value); }
DST(movsx, exec_signed(x->src, x->src_size))
DST(setcc, exec_condition(x->flags, x->insn->opcode))
DST(cmov, exec_condition(x->flags, x->insn->opcode) ? x->src : x->dst)
DST(bswap, x->opsize == 2 ? 0 : swap_bytes(x->dst, x->opsize)) /* of 16 bits undefined (SDM 2A BSWAP); CPUs give 0 */
DST(movbe, swap_bytes(x->src, x->opsize))
DST(not, ~x->dst)
SET(lea, x->insn->reg, x->opsize, exec_offset(x))
SET(cbw, EMUL_RAX, x->opsize, exec_signed(x->gpr[EMUL_RAX], x->opsize / 2)) /* CBW, CWDE, CDQE; CWD, CDQ, CQO */
SET(cwd, EMUL_RDX, x->opsize, x->gpr[EMUL_RAX] >> (x->opsize * 8 - 1) & 1 ? ~0ull : 0)
SET(salc, EMUL_RAX, 1, x->flags & RFLAGS_CF ? 0xff : 0)

void do_xchg(struct exec *x)
{
    uint64_t old = x->dst;

    if (x->insn->opcode == 0x90 && !(x->insn->rex & EMUL_REX_B)) { /* NOP, whatever its prefixes (SDM 2B NOP) */
        exec_keep_register(x);
        old = x->dst;
        x->src = old;
    }
    x->dst = x->src;
    x->src = old;
}

void do_xlat(struct exec *x)
{
    uint64_t offset = (x->gpr[EMUL_RBX] + (uint8_t)x->gpr[EMUL_RAX]) & emul_size_mask(x->insn->addrsize);

    exec_set_gpr(x, EMUL_RAX, 1, exec_read(x, exec_place(x, offset, 1, 0, 0), EMUL_FOR_OPERAND));
}

/* SDM 1 appendix B: any of these flags for the first six conditions, SF differing from OF for the last two, with ZF for the last. */
int exec_condition(uint64_t flags, unsigned code)
{
    static const uint16_t any[8] = { RFLAGS_OF, RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF, RFLAGS_SF, RFLAGS_PF, 0, RFLAGS_ZF };
    unsigned which = code >> 1 & 7;
    int holds = (flags & any[which]) || (which >= 6 && ((flags >> 7 ^ flags >> 11) & 1));

    return holds ^ (code & 1);
}

int do_nop(struct exec *x)
{
    (void)x;
    return EMUL_DONE;
}

/* The checks are those of a load of one byte, but an execute-only segment is allowed (SDM 2A CLFLUSH). */
void do_clflush(struct exec *x)
{
    exec_end_if(x, x->insn->mod == 3, EMUL_UNHANDLED); /* CLZERO, which the decoder has in the same row: a store of zeros (APM3) */
    exec_place(x, exec_offset(x), 1, 0, EMUL_PF_FETCH);
}

#define LAHF_FLAGS (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

void do_lahf(struct exec *x)
{
    exec_reg_write((uint8_t *)x->gpr + 1, 1, (x->flags & LAHF_FLAGS) | RFLAGS_1);
}

void do_sahf(struct exec *x)
{
    x->flags = (x->flags & ~LAHF_FLAGS) | (x->gpr[EMUL_RAX] >> 8 & LAHF_FLAGS);
}

/* F8 CLC, F9 STC, F5 CMC, FC CLD, FD STD. */
void do_flag_bits(struct exec *x)
{
    exec_set_flag(x, x->insn->opcode & 8 && x->insn->opcode & 4 ? RFLAGS_DF : RFLAGS_CF,
                  x->insn->op == EMUL_CMC ? ~x->flags & RFLAGS_CF : x->insn->opcode & 1);
}
