/* The vector half of the decoder: VEX, EVEX and XOP prefixes and the rules of what may be combined (SDM 2A 2.3, 2.7; APM4). */
#include "decode_parts.h"

enum { ESCAPE_EVEX = 0x62, ESCAPE_XOP = 0x8f, ESCAPE_VEX2 = 0xc5 };

/* The maps of each encoding, as enum emul_map numbers them: their places in emul_vector, plus 1. */
static const uint8_t places[4][32] = {
    [EMUL_ENC_VEX] = { [EMUL_MAP_0F] = VECTOR_VEX + 1, VECTOR_VEX + 2, VECTOR_VEX + 3 },
    [EMUL_ENC_EVEX] = { [EMUL_MAP_0F] = VECTOR_EVEX + 1, VECTOR_EVEX + 2, VECTOR_EVEX + 3,
                        [EMUL_MAP_5] = VECTOR_EVEX + 4, VECTOR_EVEX + 5 },
    [EMUL_ENC_XOP] = { [EMUL_MAP_XOP8] = VECTOR_XOP + 1, VECTOR_XOP + 2, VECTOR_XOP + 3 },
};

/* W, L, vvvv and the register fields. */
static int fields_valid(const struct emul_insn *insn, uint32_t cell)
{
    int reg = insn->mod == 3, is64 = insn->mode == EMUL_MODE64;
    unsigned w = insn->rex & EMUL_REX_W ? 1 : 0, wl = cell & V_WL ? cell : V_WL;

    if (insn->bcast && reg ? !(wl & (w ? V_W1 : V_W0)) : insn->vl > 2 || !(wl & L0_W0 << (insn->vl * 2 + w)))
        return 0;
    if (!(cell & V_NO_MODRM) && !(cell & (reg ? V_REG : V_MEM)))
        return 0;
    if (!(cell & (reg ? V_VVVV | V_VVVV_REG : V_VVVV)) && (cell & V_VSIB ? insn->vvvv & 0xf : insn->vvvv))
        return 0;
    if (!is64 && (insn->vvvv > 15 || (cell & V_ONLY64)))
        return 0;
    if ((cell & V_KREG) && (insn->reg > 7 || (is64 && insn->encoding == EMUL_ENC_VEX && insn->vvvv > 7)))
        return 0;
    return !(cell & V_GPR) || insn->reg < 16;
}

/* EVEX.aaa, z and b, SDM 2A 2.7.11; others have none of them. */
static int decorations_valid(const struct emul_insn *insn, uint32_t cell)
{
    int reg = insn->mod == 3;

    if (insn->zero && (!insn->mask || !(cell & (reg ? V_ZERO_REG : V_ZERO_MEM))))
        return 0;
    if (insn->bcast && !(cell & (reg ? V_ROUND : V_BCAST)))
        return 0;
    return insn->mask ? !!(cell & V_MASK) : !(cell & V_VSIB) || insn->encoding == EMUL_ENC_VEX;
}

/* Registers that must differ: of gathers (SDM 2D VGATHERDPD), and where the cell says so. The index of VSIB is a vector register. */
static int registers_valid(struct emul_insn *insn, uint32_t cell)
{
    if (cell & V_VSIB) {
        if (insn->encoding == EMUL_ENC_VEX)
            return insn->reg != insn->index && insn->reg != insn->vvvv && insn->index != insn->vvvv;
        return insn->opcode >> 4 != 9 || insn->reg != insn->index; /* a scatter may */
    }
    if ((cell & V_RM0) && insn->mod == 3 && (insn->modrm & 7))
        return 0;
    if (!(cell & V_DISTINCT))
        return 1;
    if (insn->reg == insn->vvvv || (insn->mod == 3 && insn->reg == insn->rm))
        return 0;
    return insn->op == EMUL_EVEX || (insn->vvvv != insn->rm && insn->rm < 8);
}

/* What EVEX has more: in the place of VEX.L, and a third byte (SDM 2A table 2-30). take_modrm() joins R' to reg. */
static void take_evex(struct emul_insn *insn, const uint8_t *p)
{
    insn->reg = p[0] & 0x10 ? 0 : 16;
    insn->vvvv |= p[2] & 8 ? 0 : 16;
    insn->vl = p[2] >> 5 & 3;
    insn->bcast = p[2] >> 4 & 1;
    insn->zero = p[2] >> 7;
    insn->mask = p[2] & 7;
}

/* The payload of the prefix, `size` bytes, and the opcode behind it: SDM 2A 2.3.5, 2.7.1; two-byte VEX lacks W, X, B and the map. Returns
 * the cell, 0 if there is none. */
static uint32_t take_payload(struct emul_insn *insn, const uint8_t *p, unsigned size)
{
    static const uint8_t ops[4] = { [EMUL_ENC_VEX] = EMUL_VEX, [EMUL_ENC_EVEX] = EMUL_EVEX, [EMUL_ENC_XOP] = EMUL_XOP };
    uint8_t first = size == 1 ? (p[0] & 0x80) | 0x60 | EMUL_MAP_0F : p[0], last = size == 1 ? p[0] & 0x7f : p[1];
    int evex = size == 3;
    unsigned place;

    insn->encoding = evex ? EMUL_ENC_EVEX : insn->opcode == ESCAPE_XOP ? EMUL_ENC_XOP : EMUL_ENC_VEX;
    insn->op = ops[insn->encoding];
    insn->map = first & (evex ? 0xf : 0x1f);
    insn->rex = (~first >> 5 & 7) | (last & 0x80 ? EMUL_REX_W : 0);
    insn->vvvv = ~last >> 3 & 0xf;
    insn->vl = last >> 2 & 1;
    insn->pp = last & 3;
    insn->opcode = p[size];
    place = places[insn->encoding][insn->map];
    if (!place || (evex && !insn->vl) || (insn->prefix & ~EMUL_PFX_67)) /* SDM 2A 2.3.2, 2.3.3; a bit of EVEX is 1 */
        return 0;
    if (evex)
        take_evex(insn, p);
    if (insn->mode != EMUL_MODE64) {
        insn->rex &= EMUL_REX_W; /* eight registers; what is left of the fields was 1 or is ignored */
        insn->reg = 0;
    }
    return emul_vector[place - 1][insn->pp][insn->opcode];
}

/* ModRM, with what EVEX adds to its registers (SDM 2A table 2-31); take_payload() left R' in reg. */
static void take_modrm(struct emul_insn *insn, uint8_t byte)
{
    unsigned high = insn->reg;

    emul_set_modrm(insn, byte, insn->rex);
    insn->reg |= high;
    if (insn->encoding == EMUL_ENC_EVEX && insn->mod == 3 && (insn->rex & EMUL_REX_X))
        insn->rm |= 16;
}

/* A displacement of one byte is scaled, SDM 2A 2.7.5. W does not name a general register's size outside 64-bit mode. */
static unsigned take_memory(struct emul_insn *insn, const uint8_t *p, uint32_t cell)
{
    unsigned size = emul_take_memory(insn, p), tuple = (cell & V_TUPLES) / V_TUPLE;
    unsigned w = insn->rex & EMUL_REX_W && (tuple != TUPLE_TG || insn->mode == EMUL_MODE64) ? 1 : 0;

    if (insn->encoding == EMUL_ENC_EVEX && insn->disp_size == 1)
        insn->disp *= 1 << (!insn->bcast ? emul_disp8[tuple][w][insn->vl] : cell & V_BCAST16 ? 1 : 2 + w);
    if (cell & V_VSIB)
        insn->index = (p[0] >> 3 & 7) | (insn->rex & EMUL_REX_X ? 8 : 0) | (insn->vvvv & 16);
    return size;
}

int emul_take_vector(struct emul_insn *insn, const uint8_t *p)
{
    int payload = p[0] == ESCAPE_EVEX ? 3 : p[0] == ESCAPE_VEX2 ? 1 : 2;
    int at = 1 + payload + 1;
    uint32_t cell = take_payload(insn, p + 1, payload);

    if (!cell)
        return -at;
    if (!(cell & V_NO_MODRM))
        take_modrm(insn, p[at++]);
    if (cell & V_BY_REG)
        cell = emul_vector_reg[cell & (V_ROWS - 1)][insn->modrm >> 3 & 7];
    if (!cell || !fields_valid(insn, cell) || !decorations_valid(insn, cell))
        return -at;
    if (insn->mode != EMUL_MODE64)
        insn->vvvv &= 7; /* unused it must be all ones, used its top bit is ignored */
    insn->opsize = insn->rex & EMUL_REX_W && insn->mode == EMUL_MODE64 ? 8 : 4;
    insn->form = cell & (V_IB | V_ID) ? FORM_V_H_W_Ib : FORM_V_H_W;
    if (cell & V_GENERAL) {
        unsigned column = insn->opcode == 0xf3 ? insn->modrm >> 3 & 3 : insn->pp;

        insn->op = emul_vex_general[insn->opcode & 7][column].op;
        insn->form = emul_vex_general[insn->opcode & 7][column].form;
    }
    if (insn->mod != 3) {
        if ((cell & (V_VSIB | V_SIB)) && ((insn->rm & 7) != 4 || insn->addrsize == 2))
            return -at;
        at += take_memory(insn, p + at, cell);
    }
    if (!registers_valid(insn, cell))
        return -at;
    insn->imm_size = cell & V_IB ? 1 : cell & V_ID ? 4 : 0;
    if (insn->imm_size)
        insn->imm = emul_read_signed(p + at, insn->imm_size);
    return at + insn->imm_size;
}
