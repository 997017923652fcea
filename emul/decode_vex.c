/* The vector half of the decoder: VEX, EVEX and XOP prefixes and the rules of what may be combined (SDM 2A 2.3, 2.7; APM4). */
#include "decode_parts.h"
#include "tables.h"

#define ESCAPE_EVEX 0x62
#define ESCAPE_XOP  0x8f
#define ESCAPE_VEX3 0xc4
#define ESCAPE_VEX2 0xc5

int emul_is_vector(const struct emul_insn *insn, const struct emul_cursor *c)
{
    if (c->pos == c->end)
        return emul_out_of_bytes(c);
    if (insn->opcode == ESCAPE_XOP)
        return (c->bytes[c->pos] & 0x1f) >= 8; /* else ModRM of POP: its reg is 0 */
    return insn->mode == EMUL_MODE64 || c->bytes[c->pos] >= 0xc0; /* else ModRM of LES, LDS, BOUND with memory */
}

/* Three payload bytes of EVEX, SDM 2A table 2-30. Returns 0 or EMUL_INVALID. */
static int unpack_evex(struct emul_insn *insn, const uint8_t *p)
{
    static const uint8_t map[8] = { 0, EMUL_MAP_0F, EMUL_MAP_0F38, EMUL_MAP_0F3A, 0, EMUL_MAP_5, EMUL_MAP_6, 0 };

    insn->encoding = EMUL_ENC_EVEX;
    insn->op = EMUL_EVEX;
    insn->map = map[p[0] & 7];
    if ((p[0] & 8) || !(p[1] & 4) || insn->map == EMUL_MAP_1)
        return EMUL_INVALID;
    insn->rex = (~p[0] >> 5 & 7) | (p[1] & 0x80 ? EMUL_REX_W : 0);
    insn->reg = p[0] & 0x10 ? 0 : 16;                            /* R', joined by emul_take_modrm's part below */
    insn->vvvv = (~p[1] >> 3 & 0xf) | (p[2] & 8 ? 0 : 16);
    insn->pp = p[1] & 3;
    insn->vl = p[2] >> 5 & 3;
    insn->bcast = p[2] >> 4 & 1;
    insn->zero = p[2] >> 7;
    insn->mask = p[2] & 7;
    return 0;
}

/* Two payload bytes of three-byte VEX and of XOP, one of two-byte VEX, SDM 2A 2.3.5. */
static int unpack_vex(struct emul_insn *insn, const uint8_t *p)
{
    unsigned map = p[0] & 0x1f;
    uint8_t last = p[0];

    insn->encoding = insn->opcode == ESCAPE_XOP ? EMUL_ENC_XOP : EMUL_ENC_VEX;
    insn->op = insn->opcode == ESCAPE_XOP ? EMUL_XOP : EMUL_VEX;
    if (insn->opcode == ESCAPE_VEX2) {
        insn->rex = ~p[0] >> 5 & EMUL_REX_R;
        insn->map = EMUL_MAP_0F;
    } else {
        last = p[1];
        insn->rex = (~p[0] >> 5 & 7) | (last & 0x80 ? EMUL_REX_W : 0);
        if (insn->op == EMUL_XOP ? map > 10 : map < 1 || map > 3)
            return EMUL_INVALID;
        insn->map = insn->op == EMUL_XOP ? EMUL_MAP_XOP8 + map - 8 : map;
    }
    insn->vvvv = ~last >> 3 & 0xf;
    insn->vl = last >> 2 & 1;
    insn->pp = last & 3;
    return 0;
}

static uint32_t vector_cell(const struct emul_insn *insn)
{
    if (insn->encoding == EMUL_ENC_XOP)
        return emul_xop[insn->map - EMUL_MAP_XOP8][insn->opcode][insn->pp];
    if (insn->encoding == EMUL_ENC_VEX)
        return emul_vex[insn->map - EMUL_MAP_0F][insn->opcode][insn->pp];
    return emul_evex[insn->map >= EMUL_MAP_5 ? insn->map - EMUL_MAP_5 + 3 : insn->map - EMUL_MAP_0F][insn->opcode][insn->pp];
}

/* W, L, vvvv and the register fields. */
static int fields_valid(const struct emul_insn *insn, uint32_t cell)
{
    int vvvv = (cell & V_VVVV) || ((cell & V_VVVV_REG) && insn->mod == 3);
    unsigned w = insn->rex & EMUL_REX_W ? 1 : 0;

    if (insn->bcast && insn->mod == 3 ? !(cell & (w ? V_W1 : V_W0)) : insn->vl > 2 || !(cell & V_L0W0 << (insn->vl * 2 + w)))
        return 0;
    if (!(cell & V_NO_MODRM) && !(cell & (insn->mod == 3 ? V_REG : V_MEM)))
        return 0;
    if (!vvvv && (cell & V_VSIB ? insn->vvvv & 0xf : insn->vvvv))
        return 0;
    if (insn->mode != EMUL_MODE64 && insn->vvvv > 15)
        return 0;
    if ((cell & V_KREG) && (insn->reg > 7 || (insn->mode == EMUL_MODE64 && insn->encoding == EMUL_ENC_VEX && insn->vvvv > 7)))
        return 0;
    if ((cell & V_GPR) && insn->reg > 15)
        return 0;
    return insn->mode == EMUL_MODE64 || !(cell & V_ONLY64);
}

/* EVEX.aaa, z and b, SDM 2A 2.7.11. */
static int decorations_valid(const struct emul_insn *insn, uint32_t cell)
{
    int reg = insn->mod == 3;

    if (insn->encoding != EMUL_ENC_EVEX)
        return 1;
    if (insn->mask && !(cell & V_MASK))
        return 0;
    if (insn->zero && (!insn->mask || !(cell & (reg ? V_ZERO_REG : V_ZERO_MEM))))
        return 0;
    if (insn->bcast && !(cell & (reg ? V_ROUND : V_BCAST)))
        return 0;
    return !(cell & V_VSIB) || insn->mask;
}

/* Registers that must differ: of gathers (SDM 2D VGATHERDPD), and where the cell says so. The index of VSIB is a vector register. */
static int registers_valid(struct emul_insn *insn, uint32_t cell)
{
    if (cell & V_VSIB) {
        int gather = insn->opcode >> 4 == 9;

        if (insn->encoding == EMUL_ENC_VEX)
            return insn->reg != insn->index && insn->reg != insn->vvvv && insn->index != insn->vvvv;
        return !gather || insn->reg != insn->index;
    }
    if ((cell & V_RM0) && insn->mod == 3 && (insn->modrm & 7))
        return 0;
    if (!(cell & V_DISTINCT))
        return 1;
    if (insn->reg == insn->vvvv || (insn->mod == 3 && insn->reg == insn->rm))
        return 0;
    return insn->op == EMUL_EVEX || (insn->vvvv != insn->rm && insn->rm < 8);
}

static int take_operands(struct emul_insn *insn, struct emul_cursor *c, uint32_t cell)
{
    int error;

    if (insn->mod != 3) {
        if ((cell & (V_VSIB | V_SIB)) && ((insn->rm & 7) != 4 || insn->addrsize == 2))
            return EMUL_INVALID;
        if ((cell & V_VSIB) && c->pos < c->end)
            insn->index = (c->bytes[c->pos] >> 3 & 7) | (insn->rex & EMUL_REX_X ? 8 : 0) | (insn->vvvv & 16);
        error = emul_take_memory(insn, c);
        if (error)
            return error;
    }
    if (!registers_valid(insn, cell))
        return EMUL_INVALID;
    if (!(cell & (V_IB | V_ID)))
        return 0;
    insn->imm_size = cell & V_IB ? 1 : 4;
    return emul_take(c, insn->imm_size, &insn->imm);
}

static void name_general(struct emul_insn *insn)
{
    const struct emul_general *row = emul_vex_general[insn->opcode & 7];

    row += insn->opcode == 0xf3 ? insn->modrm >> 3 & 3 : insn->pp;
    insn->op = row->op;
    insn->form = row->form;
}

/* The payload of the prefix and the opcode. */
static int take_payload(struct emul_insn *insn, struct emul_cursor *c)
{
    unsigned payload = insn->opcode == ESCAPE_EVEX ? 3 : insn->opcode == ESCAPE_VEX2 ? 1 : 2;
    const uint8_t *p = c->bytes + c->pos;

    if (c->end - c->pos < payload + 1)
        return emul_out_of_bytes(c);
    c->pos += payload + 1;
    if (insn->prefix & (EMUL_PFX_LOCK | EMUL_PFX_REPNE | EMUL_PFX_REP | EMUL_PFX_66 | EMUL_PFX_REX))
        return EMUL_INVALID; /* SDM 2A 2.3.2, 2.3.3 */
    if (insn->opcode == ESCAPE_EVEX ? unpack_evex(insn, p) : unpack_vex(insn, p))
        return EMUL_INVALID;
    insn->opcode = p[payload];
    if (insn->mode != EMUL_MODE64) {
        insn->rex &= EMUL_REX_W; /* eight registers; what is left of the fields was 1 or is ignored */
        insn->reg = 0;
    }
    return 0;
}

int emul_take_vector(struct emul_insn *insn, struct emul_cursor *c)
{
    uint32_t cell;
    int error = take_payload(insn, c);
    unsigned high;

    if (error)
        return error;
    cell = vector_cell(insn);
    if (!cell)
        return EMUL_INVALID;
    if (!(cell & V_NO_MODRM)) {
        high = insn->reg;
        error = emul_take_modrm(insn, c);
        if (error)
            return error;
        insn->reg |= high;
        if (insn->encoding == EMUL_ENC_EVEX && insn->mod == 3 && (insn->rex & EMUL_REX_X))
            insn->rm |= 16; /* X extends a vector register, SDM 2A table 2-31 */
    }
    if (cell & V_BY_REG)
        cell = emul_vector_reg[cell & 0xff][insn->modrm >> 3 & 7];
    if (!cell || !fields_valid(insn, cell) || !decorations_valid(insn, cell))
        return EMUL_INVALID;
    if (insn->mode != EMUL_MODE64)
        insn->vvvv &= 7; /* unused it must be all ones, used its top bit is ignored */
    insn->opsize = insn->rex & EMUL_REX_W && insn->mode == EMUL_MODE64 ? 8 : 4;
    if (cell & V_GENERAL)
        name_general(insn);
    else
        insn->form = cell & (V_IB | V_ID) ? FORM_V_H_W_Ib : FORM_V_H_W;
    return take_operands(insn, c, cell);
}
