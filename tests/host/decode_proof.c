/* Proof by Frama-C that the decoder stays within its bytes and its tables; tests/system/prove.sh runs it. Not compiled by anyone else.
 *
 * In pieces, each with the contracts of what it calls. WP proves prefixes, copy and verdict (decode_any() and below). Eva
 * interprets the rest with bytes and prefixes that may be anything; only opcodes it must be led through, since it keeps a
 * cell of the tables and its attributes together only while it knows what leads to the cell.
 */
#include <stdint.h>
#include <__fc_builtin.h>
#include "emul/decode.h"

/*@ requires \valid(insn);
  @ assigns *insn \from opcode_group, size_group;
  @*/
static void emul_preset(struct emul_insn *insn, uint64_t opcode_group, uint64_t size_group);

#include "emul/decode_parts.h"

/*@ requires \valid(insn) && \valid_read(p + (0 .. EMUL_BODY_MAX - 1));
  @ assigns *insn \from p[0 .. EMUL_BODY_MAX - 1], mode, *insn;
  @ assigns \result \from p[0 .. EMUL_BODY_MAX - 1], mode, *insn;
  @ ensures 1 <= \result <= EMUL_BODY_MAX || -EMUL_BODY_MAX <= \result <= -1;
  @*/
static int decode_body(struct emul_insn *insn, const uint8_t *p, unsigned mode);

/*@ requires \valid(insn) && (end == 0 || \valid_read(bytes + (0 .. end - 1)));
  @ assigns *insn \from bytes[0 .. end - 1], *insn;
  @ assigns \result \from bytes[0 .. end - 1], insn->mode;
  @ ensures 0 <= \result <= end;
  @*/
static unsigned take_prefixes(struct emul_insn *insn, const uint8_t *bytes, unsigned end);

/*@ requires \valid(copy + (0 .. EMUL_BODY_MAX - 1)) && (size == 0 || \valid_read(body + (0 .. size - 1)));
  @ assigns copy[0 .. EMUL_BODY_MAX - 1] \from body[0 .. size - 1];
  @*/
static void copy_body(uint8_t *copy, const uint8_t *body, unsigned size);

/*@ requires \valid(insn) && (avail == 0 || \valid_read(bytes + (0 .. avail - 1)));
  @ assigns *insn \from bytes[0 .. avail - 1], avail, mode;
  @ assigns \result \from bytes[0 .. avail - 1], avail, mode;
  @ ensures (1 <= \result <= EMUL_INSN_MAX && \result <= avail) || \result == EMUL_INVALID ||
  @         \result == (avail < EMUL_INSN_MAX ? EMUL_NEED_MORE : EMUL_TOO_LONG);
  @*/
static int decode_any(struct emul_insn *insn, const uint8_t *bytes, unsigned avail, unsigned mode);

#include "emul/decode.c"
#include "emul/decode_vex.c"
#include "emul/tables.c"
#undef B
#include "emul/tables_vex.c"

#define ANY(low, high) Frama_C_interval(low, high)

static uint8_t bytes[EMUL_INSN_MAX + 1];
static struct emul_insn insn;

/* Any state that prefixes can leave, and any bytes from `known` on. */
static void check_body(unsigned known)
{
    uint8_t body[EMUL_BODY_MAX];

    Frama_C_make_unknown((char *)body, EMUL_BODY_MAX);
    //@ loop unroll 5;
    for (unsigned i = 0; i < known; i++)
        body[i] = bytes[i];
    emul_preset(&insn, (uint64_t)ANY(0, 2) << 24, EMUL_DS | 1u << ANY(1, 3) << 8);
    insn.modrm_group = EMUL_NO_MODRM;
    insn.prefix = ANY(0, 0x3f);
    insn.rex = ANY(0, 15);
    insn.pp = ANY(0, 3);
    decode_body(&insn, body, insn.mode | (ANY(0, 1) ? EMUL_MODE_AMD : 0));
}

/* Whether a cell leads to one that leads further. */
static int is_deep(const struct emul_cell *cell)
{
    int deep = 0;

    //@ loop unroll 8;
    for (unsigned i = 0; (cell->attr & A_SPLIT) && i < 8; i++) {
        deep |= (emul_split[cell->op][i].attr & A_SPLIT) != 0;
    }
    return deep;
}

static void check_cell(unsigned map, unsigned at, unsigned opcode)
{
    bytes[at] = opcode;
    if (!is_deep(&emul_legacy[map][opcode])) {
        check_body(at + 1);
        return;
    }
    //@ loop unroll 64;
    for (unsigned low = 0; low < 64; low++) {
        bytes[at + 1] = 0xc0 | low;
        check_body(at + 2);
        bytes[at + 1] = ANY(0, 2) << 6 | (low & 0x38) | ANY(0, 7); /* memory: rm decides nothing */
        if (!(low & 7))
            check_body(at + 2);
    }
}

void prove_legacy(void)
{
    //@ loop unroll 256;
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        if (emul_prefix[opcode] != PK_ESCAPE && emul_prefix[opcode] != PK_VECTOR)
            check_cell(EMUL_MAP_1, 0, opcode);
        bytes[0] = 0x0f;
        if (opcode != 0x38 && opcode != 0x3a)
            check_cell(EMUL_MAP_0F, 1, opcode);
        bytes[1] = 0x38;
        check_cell(EMUL_MAP_0F38, 2, opcode);
        bytes[1] = 0x3a;
        check_cell(EMUL_MAP_0F3A, 2, opcode);
    }
}

void prove_vector(void)
{
    static const uint8_t escapes[4] = { 0xc5, 0xc4, 0x8f, 0x62 };

    //@ loop unroll 4;
    for (unsigned n = 0; n < 4; n++) {
        bytes[0] = escapes[n];
        check_body(1);
    }
}

/* With `avail` bytes, the last `avail` of the array, so that the one behind them is out of bounds. */
static void check_decode(unsigned avail)
{
    static const uint8_t modes[5] = { EMUL_MODE16, EMUL_MODE32, EMUL_MODE64, EMUL_MODE64 | EMUL_MODE_AMD, 0xff };
    int length = emul_decode(&insn, bytes + sizeof(bytes) - avail, avail, modes[ANY(0, 4)]);

    /*@ assert (1 <= length <= EMUL_INSN_MAX && length <= avail) || length == EMUL_INVALID ||
               length == (avail < EMUL_INSN_MAX ? EMUL_NEED_MORE : EMUL_TOO_LONG); */
}

/* An opcode of either map behind prefixes. */
static void check_behind(uint8_t *p, unsigned opcode)
{
    p[0] = opcode;
    p[1] = p[2] = ANY(0, 255);
    if (emul_prefix[opcode] != PK_ESCAPE && emul_prefix[opcode] != EMUL_PFX_REX)
        check_decode(EMUL_INSN_MAX);
    p[0] = 0x0f;
    p[1] = opcode;
    check_decode(EMUL_INSN_MAX);
}

/* The short way: with fewer than 15 bytes nothing is known of them; with 15 the opcode behind what may precede it. */
void prove_plain(void)
{
    uint8_t *p = bytes + sizeof(bytes) - EMUL_INSN_MAX;

    Frama_C_make_unknown((char *)bytes, sizeof(bytes));
    //@ loop unroll 15;
    for (unsigned avail = 0; avail < EMUL_INSN_MAX; avail++)
        check_decode(avail);
    //@ loop unroll 256;
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        p[0] = opcode;
        p[1] = p[2] = ANY(0, 255);
        if (emul_prefix[opcode] == PK_NONE || emul_prefix[opcode] > PK_ESCAPE)
            check_decode(EMUL_INSN_MAX);
        p[0] = 0x0f;
        p[1] = opcode;
        check_decode(EMUL_INSN_MAX);
        p[0] = ANY(0x40, 0x4f);
        check_behind(p + 1, opcode);
        p[0] = ANY(0, 1) ? ANY(0, 1) ? 0x66 : 0xf0 : ANY(0xf2, 0xf3);
        check_behind(p + 1, opcode);
        p[1] = ANY(0x40, 0x4f);
        check_behind(p + 2, opcode);
    }
}
