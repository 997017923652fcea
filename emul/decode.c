/* The decoder: prefixes, opcode, ModRM, displacement, immediates, in the order of the bytes (SDM 2A chapter 2).
 *
 * No byte behind the prefixes is checked for being there: EMUL_BODY_MAX of them can be read, of a copy with zeros behind
 * it where the instruction's own end too early. Only the answer is judged: what took more bytes than there were is no answer.
 */
#include "decode_parts.h"

/* The mandatory prefix by F2, F3 and 66, as bits: of them 66 counts least (SDM 2A 2.1.2). */
static const uint8_t mandatory[8] = { EMUL_PP_NONE, EMUL_PP_F2, EMUL_PP_F3, EMUL_PP_F3, EMUL_PP_66, EMUL_PP_F2, EMUL_PP_F3, EMUL_PP_F3 };

/* SDM 2A 2.1.1: any order, any number. A REX prefix counts only right before the opcode (2.2.1). In 64-bit mode overrides of
 * ES, CS, SS and DS are ignored, and do not undo one of FS or GS. Returns the number of prefix bytes, at most `end`. */
static unsigned take_prefixes(struct emul_insn *insn, const uint8_t *bytes, unsigned end)
{
    unsigned prefix = 0, rex = 0, pos;

    /*@ loop invariant 0 <= pos <= end;
      @ loop assigns pos, prefix, rex, insn->seg;
      @ loop variant end - pos; */
    for (pos = 0; pos < end; pos++) {
        uint8_t byte = bytes[pos];
        unsigned kind = emul_prefix[byte];

        if (kind == PK_NONE || kind >= PK_ESCAPE || (kind == EMUL_PFX_REX && insn->mode != EMUL_MODE64))
            break;
        rex = kind == EMUL_PFX_REX ? byte : 0;
        if (kind < PK_SEG)
            prefix = kind & EMUL_PFX_REPEAT ? (prefix & ~EMUL_PFX_REPEAT) | kind : prefix | kind;
        else if (insn->mode != EMUL_MODE64 || kind >= PK_SEG + EMUL_FS)
            insn->seg = kind - PK_SEG;
    }
    insn->prefix = rex ? prefix : prefix & ~EMUL_PFX_REX;
    insn->rex = rex & 0xf;
    insn->pp = mandatory[prefix >> 1 & 7];
    if (prefix & EMUL_PFX_67)
        insn->addrsize = insn->mode == EMUL_MODE32 ? 2 : 4;
    return pos;
}

/* SDM 2A table 2-1 */
static unsigned take_memory16(struct emul_insn *insn, const uint8_t *p)
{
    static const uint8_t base[8] = { EMUL_RBX, EMUL_RBX, EMUL_RBP, EMUL_RBP, EMUL_RSI, EMUL_RDI, EMUL_RBP, EMUL_RBX };
    int direct = insn->mod == 0 && insn->rm == 6;

    insn->base = direct ? EMUL_REG_NONE : base[insn->rm & 7];
    insn->index = insn->rm & 4 ? EMUL_REG_NONE : EMUL_RSI + (insn->rm & 1);
    insn->disp_size = direct ? 2 : insn->mod;
    if (insn->base == EMUL_RBP)
        insn->seg = EMUL_SS;
    if (insn->disp_size)
        insn->disp = emul_read_signed(p, insn->disp_size);
    return insn->disp_size;
}

/* SIB (SDM 2A table 2-3) and displacement behind ModRM, which has set base and disp_size; SDM 2A 2.2.1.6 for RIP-relative. */
static inline unsigned take_memory32(struct emul_insn *insn, const uint8_t *p, unsigned rex)
{
    unsigned base = insn->base, sib = 0;

    if (base == EMUL_REG_SIB) {
        unsigned index = (p[0] >> 3 & 7) | (rex << 2 & 8);

        sib = 1;
        insn->scale = p[0] >> 6;
        if (index != EMUL_RSP)
            insn->index = index;
        base = (p[0] & 7) | (rex << 3 & 8);
        if ((p[0] & 7) == 5 && insn->mod == 0) {
            insn->disp_size = 4;
            base = EMUL_REG_NONE;
        }
        insn->base = base;
    }
    if (base == EMUL_RSP || base == EMUL_RBP)
        insn->seg = EMUL_SS;
    if (insn->disp_size == 1) {
        insn->disp = (int8_t)p[sib];
    } else if (insn->disp_size) {
        insn->disp = emul_read_signed(p + sib, 4);
        if (base == EMUL_REG_RIP && insn->mode != EMUL_MODE64)
            insn->base = EMUL_REG_NONE;
    }
    return sib + insn->disp_size;
}

unsigned emul_take_memory(struct emul_insn *insn, const uint8_t *p)
{
    return insn->addrsize == 2 ? take_memory16(insn, p) : take_memory32(insn, p, insn->rex);
}

static unsigned take_immediate(struct emul_insn *insn, const uint8_t *p, uint32_t attr)
{
    unsigned z = insn->opsize == 2 ? 2 : 4;
    unsigned size = attr & (A_IZ | A_AP) ? z : attr & A_IV ? insn->opsize : attr & (A_IW | A_IW_IB) ? 2 : 1;

    if (attr & A_MOFFS) {
        size = insn->addrsize;
        insn->mod = 0; /* memory, though without ModRM */
        insn->disp_size = size;
        insn->disp = emul_read_signed(p, size) & (int64_t)(~0ull >> (64 - size * 8));
        return size;
    }
    insn->imm_size = size;
    insn->imm = emul_read_signed(p, size);
    insn->imm2_size = attr & A_AP ? 2 : attr & (A_IW_IB | A_IB_IB) ? 1 : 0;
    if (insn->imm2_size)
        insn->imm2 = emul_read_signed(p + size, insn->imm2_size);
    return size + insn->imm2_size;
}

/* Follows a cell through the tables by mandatory prefix, mode and ModRM to the one that counts; at most four steps deep. */
static const struct emul_cell *split_cell(struct emul_insn *insn, const struct emul_cell *cell, uint8_t modrm)
{
    for (unsigned depth = 0; depth < 4 && (cell->attr & A_SPLIT); depth++) {
        uint32_t by = cell->attr;

        insn->has_modrm |= !(by & (A_BY_PP | A_BY_MODE));
        cell = &emul_split[cell->op][by & A_BY_PP ? insn->pp : by & A_BY_REG ? modrm >> 3 & 7 : by & A_BY_MOD ? modrm >= 0xc0 :
                                     by & A_BY_MODE ? insn->mode == EMUL_MODE64 : modrm & 7];
    }
    return cell;
}

/* Control, debug and segment registers that exist (SDM 2B MOV), and PAUSE with REX.B, which is XCHG of R8. */
static int register_exists(struct emul_insn *insn)
{
    static const uint16_t exists[FORMS_END] = {
        [FORM_Rd_Cd] = 0x011d, [FORM_Cd_Rd] = 0x011d, [FORM_Rd_Dd] = 0x00ff, [FORM_Dd_Rd] = 0x00ff,
        [FORM_Ev_Sw] = 0x3f3f, [FORM_Sw_Ew] = 0x3d3d, /* REX.R does not count here */
        [FORM_V_W_3dnow] = 0xffff,
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
static int modrm_valid(struct emul_insn *insn, uint32_t attr)
{
    if (attr & A_RR) {
        insn->mod = 3;
        insn->base = EMUL_REG_NONE;
        insn->disp_size = 0;
    }
    if ((insn->prefix & EMUL_PFX_LOCK) && (!(attr & A_LOCK) || insn->mod == 3))
        return 0;
    if ((attr & A_ESC) && insn->mod == 3)
        return emul_x87_reg[insn->opcode & 7] >> (insn->modrm & 0x3f) & 1;
    if (attr & A_ESC)
        return emul_x87_mem[insn->opcode & 7] >> (insn->modrm >> 3 & 7) & 1;
    if (attr & (insn->mod == 3 ? A_MEM : A_REG))
        return 0;
    return !(attr & A_CHECK) || register_exists(insn);
}

/* `at`: bytes of opcode before p[at]. This and the next two return the bytes taken, or negated those that it took to find it invalid. */
static int decode_legacy(struct emul_insn *insn, const uint8_t *p, int at, const struct emul_cell *cell, unsigned mode)
{
    unsigned column = mode == (EMUL_MODE64 | EMUL_MODE_AMD) ? 3 : insn->mode;
    uint32_t attr;

    if (cell->attr & A_SPLIT)
        cell = split_cell(insn, cell, p[at]);
    attr = cell->attr;
    insn->op = cell->op;
    insn->form = cell->form;
    if (cell->op == EMUL_BAD || (attr & (insn->mode == EMUL_MODE64 ? A_NO64 : A_ONLY64)) || ((attr & A_PP) && !(attr & A_NP << insn->pp)))
        return -(at + insn->has_modrm);
    if (attr & A_MODRM)
        emul_set_modrm(insn, p[at++], insn->rex);
    if (((attr & A_LATE) || (insn->prefix & EMUL_PFX_LOCK)) && !modrm_valid(insn, attr))
        return -at;
    insn->opsize = emul_opsize[cell->size][column][(insn->rex >> 2 & 2) | (insn->prefix >> 3 & 1)];
    if (insn->mod != 3)
        at += emul_take_memory(insn, p + at);
    if (attr & A_IMM)
        at += take_immediate(insn, p + at, attr);
    if (insn->form == FORM_V_W_3dnow && !(emul_3dnow[(uint8_t)insn->imm >> 5] >> (insn->imm & 31) & 1))
        return -at;
    return at;
}

/* What is behind the prefixes. Vector prefixes took what no POP has in ModRM.reg, and LES, LDS and BOUND with a register, which are not in
 * 64-bit mode at all. */
static int decode_body(struct emul_insn *insn, const uint8_t *p, unsigned mode)
{
    unsigned kind = emul_prefix[p[0]];
    int at = 0;

    insn->opcode = p[0];
    if (kind == PK_XOP ? (p[1] & 0x1f) >= 8 : kind == PK_VECTOR && (insn->mode == EMUL_MODE64 || p[1] >= 0xc0))
        return emul_take_vector(insn, p);
    if (kind == PK_ESCAPE) {
        insn->map = p[1] == 0x38 ? EMUL_MAP_0F38 : p[1] == 0x3a ? EMUL_MAP_0F3A : EMUL_MAP_0F;
        at = insn->map == EMUL_MAP_0F ? 1 : 2;
        insn->opcode = p[at];
    }
    return decode_legacy(insn, p, at + 1, &emul_legacy[insn->map][p[at]], mode);
}

static void copy_body(uint8_t *copy, const uint8_t *body, unsigned size)
{
    /*@ loop invariant 0 <= i <= EMUL_BODY_MAX;
      @ loop assigns i, copy[0 .. EMUL_BODY_MAX - 1];
      @ loop variant EMUL_BODY_MAX - i; */
    for (unsigned i = 0; i < EMUL_BODY_MAX; i++)
        copy[i] = i < size ? body[i] : 0;
}

/* The general case: any mode, prefixes and encoding, any number of bytes. Not inlined, so that the common case saves no registers. */
static __attribute__((noinline)) int decode_any(struct emul_insn *insn, const uint8_t *bytes, unsigned avail, unsigned mode)
{
    static const uint8_t address_size[EMUL_MODE_SIZES + 1] = { 2, 4, 8, 8 };
    unsigned end = avail < EMUL_INSN_MAX ? avail : EMUL_INSN_MAX;
    uint8_t copy[EMUL_BODY_MAX];
    const uint8_t *body;
    unsigned pos, override;
    int taken;

    emul_preset(insn, (mode & 3) << 24, EMUL_SEG_NONE | (unsigned)address_size[mode & 3] << 8);
    insn->modrm_group = EMUL_NO_MODRM;
    pos = take_prefixes(insn, bytes, end);
    body = bytes + pos;
    if (avail - pos < EMUL_BODY_MAX) {
        copy_body(copy, body, avail - pos);
        body = copy;
    }
    override = insn->seg;
    insn->seg = EMUL_DS;
    taken = decode_body(insn, body, mode);
    pos += taken > 0 ? taken : -taken;
    if (pos > end)
        return end == EMUL_INSN_MAX ? EMUL_TOO_LONG : EMUL_NEED_MORE;
    insn->length = pos;
    if (override != EMUL_SEG_NONE)
        insn->seg = override;
    return taken > 0 ? (int)pos : EMUL_INVALID;
}

/* The opcode before bytes[at], which needs no more than its cell says; the fields are set by groups. prefix: EMUL_PFX_*, not 67. */
static inline __attribute__((always_inline)) int decode_plain(struct emul_insn *insn, const uint8_t *bytes, unsigned at, unsigned map,
                                                              unsigned prefix, unsigned rex, unsigned mode, const struct emul_cell *cell)
{
    unsigned plain = cell->plain, size = mode & 3;
    unsigned opsize = emul_opsize[cell->size][size][(rex >> 2 & 2) | (prefix >> 3 & 1)];

    emul_preset(insn, cell->op_form | size << 24 | (uint64_t)(map | (unsigned)bytes[at - 1] << 8 | prefix << 24) << 32,
                EMUL_DS | size << 10 | opsize << 16 | (rex & 0xf) << 24);
    if (plain & PLAIN_MODRM) {
        unsigned tail = emul_modrm_tail[bytes[at]];

        emul_set_modrm(insn, bytes[at++], rex);
        if (tail == 1)
            insn->disp = (int8_t)bytes[at++];
        else if (tail)
            at += take_memory32(insn, bytes + at, rex);
    } else {
        insn->modrm_group = EMUL_NO_MODRM;
    }
    if (plain & (PLAIN_IB | PLAIN_IZ)) {
        insn->imm_size = plain & PLAIN_IB ? 1 : opsize == 2 ? 2 : 4;
        insn->imm = emul_read_signed(bytes + at, insn->imm_size);
        at += insn->imm_size;
    }
    insn->length = at;
    return at;
}

/* What is not plain at once: behind REX, one of LOCK, F2, F3 and 66, or both, or by ModRM. */
static __attribute__((noinline)) int decode_prefixed(struct emul_insn *insn, const uint8_t *bytes, unsigned mode)
{
    unsigned rex = 0, map = EMUL_MAP_1, at = 0, kind = emul_prefix[bytes[0]], prefix = kind < EMUL_PFX_67 ? kind : 0;
    const struct emul_cell *cell;
    int length;

    if (prefix)
        kind = emul_prefix[bytes[++at]];
    if (kind == EMUL_PFX_REX && (mode & 3) == EMUL_MODE64) {
        rex = bytes[at++];
        kind = emul_prefix[bytes[at]];
    }
    if (kind == PK_ESCAPE) {
        map = EMUL_MAP_0F;
        at++;
    } else if (kind != PK_NONE) {
        return decode_any(insn, bytes, EMUL_INSN_MAX, mode);
    }
    cell = &emul_legacy[map][bytes[at++]];
    if (cell->plain == PLAIN_MOD)
        cell = &emul_split[cell->op][bytes[at] >= 0xc0];
    if (cell->plain == PLAIN_GROUP)
        cell = &emul_split[cell->op][bytes[at] >> 3 & 7];
    if (cell->plain < PLAIN_YES || (prefix == EMUL_PFX_LOCK && (!(cell->attr & A_LOCK) || bytes[at] >= 0xc0)) ||
        (prefix == EMUL_PFX_66 && cell->size == SIZE_NEAR)) /* a matter of the vendor */
        return decode_any(insn, bytes, EMUL_INSN_MAX, mode);
    length = decode_plain(insn, bytes, at, map, prefix | (rex ? EMUL_PFX_REX : 0), rex, mode, cell);
    insn->pp = mandatory[prefix >> 1];
    return length;
}

/* The common case is done in half of the instructions: 32- and 64-bit code, all bytes at hand, few prefixes, maps 1 and 0F, no rules of
 * its own, one plain immediate. decode_any() would answer the same. */
int emul_decode(struct emul_insn *insn, const uint8_t *bytes, unsigned avail, unsigned mode)
{
    const struct emul_cell *cell;

    if (avail < EMUL_INSN_MAX || (mode & 3) == EMUL_MODE16)
        return decode_any(insn, bytes, avail, mode);
    cell = &emul_legacy[EMUL_MAP_1][bytes[0]];
    if (cell->plain >= PLAIN_YES)
        return decode_plain(insn, bytes, 1, EMUL_MAP_1, 0, 0, mode, cell);
    cell = &emul_legacy[EMUL_MAP_0F][bytes[1]];
    if (bytes[0] == 0x0f && cell->plain >= PLAIN_YES)
        return decode_plain(insn, bytes, 2, EMUL_MAP_0F, 0, 0, mode, cell);
    return decode_prefixed(insn, bytes, mode);
}
