/* The decoder: prefixes, opcode, ModRM, displacement, immediates, in the order of the bytes (SDM 2A chapter 2). */
#include "decode_parts.h"
#include "tables.h"

int emul_take(struct emul_cursor *c, unsigned size, int64_t *value)
{
    const uint8_t *p = c->bytes + c->pos;

    if (size > c->end - c->pos)
        return emul_out_of_bytes(c);
    c->pos += size;
    if (size == 1) {
        *value = (int8_t)p[0];
    } else if (size == 2) {
        *value = (int16_t)(p[0] | p[1] << 8);
    } else if (size >= 4) {
        uint32_t low = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        *value = (int32_t)low;
        if (size == 8) {
            uint32_t high = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;

            *value = (int64_t)((uint64_t)high << 32 | low);
        }
    }
    return 0;
}

/* SDM 2A 2.1.1: any order, any number. A REX prefix counts only right before the opcode (2.2.1). In 64-bit mode overrides of
 * ES, CS, SS and DS are ignored, and do not undo one of FS or GS. Returns the byte behind the prefixes, or a negative error. */
static int take_prefixes(struct emul_insn *insn, struct emul_cursor *c)
{
    unsigned repeat = 0;

    for (; c->pos < c->end; c->pos++) {
        uint8_t byte = c->bytes[c->pos];
        unsigned kind = emul_prefix[byte];

        if (kind == PK_NONE || (kind == PK_REX && insn->mode != EMUL_MODE64)) {
            insn->prefix |= repeat;
            c->pos++;
            return byte;
        }
        insn->rex = 0;
        insn->prefix &= ~EMUL_PFX_REX;
        if (kind == PK_REX) {
            insn->rex = byte & 0xf;
            insn->prefix |= EMUL_PFX_REX;
        } else if (kind >= PK_SEG) {
            if (insn->mode != EMUL_MODE64 || kind >= PK_SEG + EMUL_FS)
                insn->seg = kind - PK_SEG;
        } else if (kind == PK_REPNE) {
            repeat = EMUL_PFX_REPNE;
        } else if (kind == PK_REP) {
            repeat = EMUL_PFX_REP;
        } else {
            insn->prefix |= kind == PK_66 ? EMUL_PFX_66 : kind == PK_67 ? EMUL_PFX_67 : EMUL_PFX_LOCK;
        }
    }
    return emul_out_of_bytes(c);
}

int emul_take_modrm(struct emul_insn *insn, struct emul_cursor *c)
{
    uint8_t byte;

    if (c->pos == c->end)
        return emul_out_of_bytes(c);
    byte = c->bytes[c->pos++];
    insn->has_modrm = 1;
    insn->modrm = byte;
    insn->mod = byte >> 6;
    insn->reg = (byte >> 3 & 7) | (insn->rex & EMUL_REX_R ? 8 : 0);
    insn->rm = (byte & 7) | (insn->rex & EMUL_REX_B ? 8 : 0);
    return 0;
}

/* SDM 2A table 2-1 */
static unsigned memory16(struct emul_insn *insn)
{
    static const uint8_t base[8] = { EMUL_RBX, EMUL_RBX, EMUL_RBP, EMUL_RBP, EMUL_RSI, EMUL_RDI, EMUL_RBP, EMUL_RBX };
    static const uint8_t index[4] = { EMUL_RSI, EMUL_RDI, EMUL_RSI, EMUL_RDI };
    unsigned rm = insn->rm & 7;

    if (insn->mod == 0 && rm == 6)
        return 2;
    insn->base = base[rm];
    if (rm < 4)
        insn->index = index[rm];
    return insn->mod; /* 0, 1 or 2 bytes */
}

/* SDM 2A tables 2-2 and 2-3; 2.2.1.6 for RIP-relative. Returns the displacement's size, or a negative error. */
static int memory32(struct emul_insn *insn, struct emul_cursor *c)
{
    unsigned rm = insn->rm & 7;
    unsigned base = insn->rm;

    if (rm == 4) {
        uint8_t sib;
        unsigned index;

        if (c->pos == c->end)
            return emul_out_of_bytes(c);
        sib = c->bytes[c->pos++];
        insn->scale = sib >> 6;
        index = (sib >> 3 & 7) | (insn->rex & EMUL_REX_X ? 8 : 0);
        if (index != EMUL_RSP && insn->index == EMUL_REG_NONE)
            insn->index = index;
        rm = sib & 7;
        base = rm | (insn->rex & EMUL_REX_B ? 8 : 0);
        if (rm == 5 && insn->mod == 0)
            return 4;
    } else if (rm == 5 && insn->mod == 0) {
        if (insn->mode == EMUL_MODE64)
            insn->base = EMUL_REG_RIP;
        return 4;
    }
    insn->base = base;
    return insn->mod == 2 ? 4 : insn->mod;
}

int emul_take_memory(struct emul_insn *insn, struct emul_cursor *c)
{
    int size = insn->addrsize == 2 ? (int)memory16(insn) : memory32(insn, c);

    if (size < 0)
        return size;
    if (insn->seg == EMUL_SEG_NONE && (insn->base == EMUL_RSP || insn->base == EMUL_RBP))
        insn->seg = EMUL_SS;
    insn->disp_size = size;
    return emul_take(c, size, &insn->disp);
}

static unsigned operand_size(const struct emul_insn *insn, uint32_t attr, unsigned mode)
{
    unsigned small = insn->prefix & EMUL_PFX_66;

    if (attr & A_BYTE)
        return 1;
    if (attr & A_NATURAL)
        return insn->mode == EMUL_MODE64 ? 8 : 4;
    if (insn->mode != EMUL_MODE64)
        return (attr & A_Y) || (insn->mode == EMUL_MODE32) == !small ? 4 : 2;
    if ((attr & A_F64) || (insn->rex & EMUL_REX_W) || ((attr & A_NEAR) && !(mode & EMUL_MODE_AMD)))
        return attr & A_IO ? 4 : 8;
    if (small && !(attr & A_Y))
        return 2;
    return attr & (A_D64 | A_NEAR) ? 8 : 4;
}

static int take_immediate(struct emul_insn *insn, struct emul_cursor *c, uint32_t attr)
{
    unsigned z = insn->opsize == 2 ? 2 : 4;
    int error;

    if (attr & A_MOFFS) {
        insn->disp_size = insn->addrsize;
        error = emul_take(c, insn->addrsize, &insn->disp);
        if (insn->addrsize < 8)
            insn->disp &= (int64_t)((1ull << insn->addrsize * 8) - 1);
        return error;
    }
    if (attr & (A_IZ | A_AP))
        insn->imm_size = z;
    else if (attr & A_IV)
        insn->imm_size = insn->opsize;
    else
        insn->imm_size = attr & (A_IW | A_IW_IB) ? 2 : 1;
    error = emul_take(c, insn->imm_size, &insn->imm);
    if (error || !(attr & (A_IW_IB | A_AP | A_IB_IB)))
        return error;
    insn->imm2_size = attr & A_AP ? 2 : 1;
    return emul_take(c, insn->imm2_size, &insn->imm2);
}

static unsigned mandatory_prefix(const struct emul_insn *insn)
{
    if (insn->prefix & EMUL_PFX_REPNE)
        return 3;
    if (insn->prefix & EMUL_PFX_REP)
        return 2;
    return insn->prefix & EMUL_PFX_66 ? 1 : 0;
}

/* Follows a cell through the tables by ModRM and mandatory prefix to the one that counts; at most four steps deep. */
static int split_cell(struct emul_insn *insn, struct emul_cursor *c, const struct emul_cell **cell)
{
    for (unsigned depth = 0; depth < 4 && ((*cell)->attr & A_SPLIT); depth++) {
        uint32_t attr = (*cell)->attr;
        unsigned row = (*cell)->op;

        if (attr & A_BY_PP) {
            *cell = &emul_by_pp[row][insn->pp];
            continue;
        }
        if (!insn->has_modrm) {
            int error = emul_take_modrm(insn, c);

            if (error)
                return error;
        }
        if (attr & A_BY_REG)
            *cell = &emul_by_reg[row][insn->modrm >> 3 & 7];
        else if (attr & A_BY_MOD)
            *cell = &emul_by_mod[row][insn->mod == 3];
        else
            *cell = &emul_by_rm[row][insn->modrm & 7];
    }
    return 0;
}

/* Control, debug and segment registers that exist (SDM 2B MOV), and PAUSE with REX.B, which is XCHG of R8. */
static int register_exists(struct emul_insn *insn)
{
    static const uint16_t exists[FORMS_END] = {
        [FORM_Rd_Cd] = 0x011d, [FORM_Cd_Rd] = 0x011d, [FORM_Rd_Dd] = 0x00ff, [FORM_Dd_Rd] = 0x00ff,
        [FORM_Ev_Sw] = 0x3f3f, [FORM_Sw_Ew] = 0x3d3d, /* REX.R does not count here */
    };

    if (insn->op == EMUL_PAUSE) {
        if (insn->rex & EMUL_REX_B) {
            insn->op = EMUL_XCHG;
            insn->form = FORM_Zv_rAX;
        }
        return 1;
    }
    return exists[insn->form] >> insn->reg & 1;
}

/* Rules that ModRM decides; ESC opcodes by their maps. */
static int modrm_valid(const struct emul_insn *insn, uint32_t attr)
{
    if (attr & A_ESC) {
        unsigned reg = insn->modrm >> 3 & 7;

        if (insn->mod != 3)
            return emul_x87_mem[insn->opcode & 7] >> reg & 1;
        return emul_x87_reg[insn->opcode & 7][reg] >> (insn->modrm & 7) & 1;
    }
    return !(attr & (insn->mod == 3 ? A_MEM : A_REG));
}

static int decode_legacy(struct emul_insn *insn, struct emul_cursor *c, const struct emul_cell *cell, unsigned mode)
{
    uint32_t attr;
    int error;

    if (cell->attr & A_SPLIT) {
        error = split_cell(insn, c, &cell);
        if (error)
            return error;
    }
    attr = cell->attr;
    insn->op = cell->op;
    insn->form = cell->form;
    if (cell->op == EMUL_BAD || (attr & (insn->mode == EMUL_MODE64 ? A_NO64 : A_ONLY64)))
        return EMUL_INVALID;
    if ((attr & A_PP) && !(attr & A_NP << insn->pp))
        return EMUL_INVALID;
    if ((attr & A_MODRM) && !insn->has_modrm) {
        error = emul_take_modrm(insn, c);
        if (error)
            return error;
    }
    if (attr & A_RR)
        insn->mod = 3;
    if ((attr & (A_MEM | A_REG | A_ESC)) && !modrm_valid(insn, attr))
        return EMUL_INVALID;
    if ((attr & A_CHECK) && !register_exists(insn))
        return EMUL_INVALID;
    if ((insn->prefix & EMUL_PFX_LOCK) && (!(attr & A_LOCK) || insn->mod == 3))
        return EMUL_INVALID;
    insn->opsize = operand_size(insn, attr, mode);
    if (insn->mod != 3) {
        error = emul_take_memory(insn, c);
        if (error)
            return error;
    }
    if (attr & A_IMM) {
        error = take_immediate(insn, c, attr);
        if (error)
            return error;
        if (cell->form == FORM_V_W_3dnow && !(emul_3dnow[(uint8_t)insn->imm >> 5] >> (insn->imm & 31) & 1))
            return EMUL_INVALID;
    }
    return 0;
}

/* The escape bytes 0F, 0F 38, 0F 3A; returns the map's cell. */
static int take_escapes(struct emul_insn *insn, struct emul_cursor *c)
{
    if (c->pos == c->end)
        return emul_out_of_bytes(c);
    insn->opcode = c->bytes[c->pos++];
    insn->map = EMUL_MAP_0F;
    if (insn->opcode != 0x38 && insn->opcode != 0x3a)
        return 0;
    insn->map = insn->opcode == 0x38 ? EMUL_MAP_0F38 : EMUL_MAP_0F3A;
    if (c->pos == c->end)
        return emul_out_of_bytes(c);
    insn->opcode = c->bytes[c->pos++];
    return 0;
}

static int decode(struct emul_insn *insn, struct emul_cursor *c, unsigned mode)
{
    int byte = take_prefixes(insn, c);
    int error;

    if (byte < 0)
        return byte;
    insn->opcode = byte;
    insn->pp = mandatory_prefix(insn);
    if (insn->prefix & EMUL_PFX_67)
        insn->addrsize = insn->mode == EMUL_MODE32 ? 2 : 4;
    if (byte == 0x0f) {
        error = take_escapes(insn, c);
        if (error)
            return error;
    } else if (byte == 0xc4 || byte == 0xc5 || byte == 0x62 || byte == 0x8f) {
        int vector = emul_is_vector(insn, c);

        if (vector)
            return vector < 0 ? vector : emul_take_vector(insn, c);
    } else if (byte == 0x63 && insn->mode == EMUL_MODE64) {
        static const struct emul_cell movsxd = { EMUL_MOVSXD, FORM_Gv_Ed, 0, ATTR_Gv_Ed };

        return decode_legacy(insn, c, &movsxd, mode);
    }
    return decode_legacy(insn, c, &emul_legacy[insn->map][insn->opcode], mode);
}

int emul_decode(struct emul_insn *insn, const uint8_t *bytes, unsigned avail, unsigned mode)
{
    struct emul_cursor c = { bytes, 0, avail < EMUL_INSN_MAX ? avail : EMUL_INSN_MAX };
    static const uint8_t address_size[EMUL_MODE_SIZES + 1] = { 2, 4, 8, 8 };
    unsigned size = mode & 3;
    int error;

    *insn = (struct emul_insn){ .mode = size, .addrsize = address_size[size], .seg = EMUL_SEG_NONE, .mod = 3,
                                .base = EMUL_REG_NONE, .index = EMUL_REG_NONE };
    error = decode(insn, &c, mode);
    insn->length = c.pos;
    if (insn->seg == EMUL_SEG_NONE)
        insn->seg = EMUL_DS;
    return error ? error : (int)c.pos;
}
