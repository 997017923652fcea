/* What the legacy and the vector half of the decoder share; nobody else includes it. */
#ifndef EMUL_DECODE_PARTS_H
#define EMUL_DECODE_PARTS_H

#include "decode.h"
#include "tables.h"

/* The longest body, what is behind the prefixes: XOP's three bytes, opcode, ModRM, SIB, displacement and immediate of 4 each. */
#define EMUL_BODY_MAX 14u

#define EMUL_NO_MODRM (struct emul_modrm){ .mod = 3, .base = EMUL_REG_NONE, .index = EMUL_REG_NONE }

/* All fields but those of ModRM. The groups that are numbers are little endian. */
static inline void emul_preset(struct emul_insn *insn, uint64_t opcode_group, uint64_t size_group)
{
    insn->opcode_group = opcode_group;
    insn->size_group = size_group;
    insn->vector_group = 0;
    insn->disp = 0;
    insn->imm = 0;
    insn->imm2 = 0;
}

/* ModRM, its base and displacement size being those of 32- and 64-bit addressing. REX.B extends rm and base, REX.R reg. */
static inline void emul_set_modrm(struct emul_insn *insn, uint8_t byte, unsigned rex)
{
    insn->modrm_group = emul_modrm[byte];
    if (rex) {
        insn->reg |= rex << 1 & 8;
        insn->rm |= rex << 3 & 8;
        insn->base |= rex << 3 & 8; /* leaves what is no register as it is */
    }
}

/* size: 1, 2, 4, 8; little endian. */
static inline int64_t emul_read_signed(const uint8_t *p, unsigned size)
{
    uint32_t low;

    if (size == 1)
        return (int8_t)p[0];
    if (size == 2)
        return (int16_t)(p[0] | p[1] << 8);
    low = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (size == 4)
        return (int32_t)low;
    return (int64_t)((uint64_t)(p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24) << 32 | low);
}

/* What follows ModRM of a memory operand; returns the bytes taken. */
unsigned emul_take_memory(struct emul_insn *insn, const uint8_t *p);

/* A VEX, EVEX or XOP instruction. Returns the bytes taken, or negated those that it took to find it invalid. */
int emul_take_vector(struct emul_insn *insn, const uint8_t *p);

#endif
