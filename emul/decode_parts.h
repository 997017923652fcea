/* What the legacy and the vector half of the decoder share; nobody else includes it. */
#ifndef EMUL_DECODE_PARTS_H
#define EMUL_DECODE_PARTS_H

#include "decode.h"

struct emul_cursor {
    const uint8_t *bytes;
    unsigned pos, end; /* end: bytes that may be looked at, at most EMUL_INSN_MAX */
};

/* The answer when an instruction goes on behind the bytes there are. */
static inline int emul_out_of_bytes(const struct emul_cursor *c)
{
    return c->end == EMUL_INSN_MAX ? EMUL_TOO_LONG : EMUL_NEED_MORE;
}

/* All return 0 or a negative answer of emul_decode(). */
int emul_take(struct emul_cursor *c, unsigned size, int64_t *value);   /* size: 0, 1, 2, 4, 8; little endian, sign-extended */
int emul_take_modrm(struct emul_insn *insn, struct emul_cursor *c);
int emul_take_memory(struct emul_insn *insn, struct emul_cursor *c);   /* what follows ModRM of a memory operand */
int emul_take_vector(struct emul_insn *insn, struct emul_cursor *c);   /* behind the escape: the rest of a VEX, EVEX or XOP instruction */

/* 1: the byte at hand (62, 8F, C4, C5) starts a vector instruction; 0: it is a legacy opcode; or a negative answer. */
int emul_is_vector(const struct emul_insn *insn, const struct emul_cursor *c);

#endif
