/* What the opcode tables are made of: attributes, operand forms, cells; tables.c has the legacy maps, tables_vex.c the vector ones. */
#ifndef EMUL_TABLES_H
#define EMUL_TABLES_H

#include <stdint.h>
#include "decode.h"

#define BIT(n) (1u << (n))

/* How mode, 66 and REX.W make the operand size; a row of emul_opsize. */
enum emul_size { SIZE_V, SIZE_BYTE, SIZE_NATURAL, SIZE_Y, SIZE_IO, SIZE_F64, SIZE_D64, SIZE_NEAR, SIZES_END };
#define SIZE_OF(attr) ((attr) / A_SIZE % SIZES_END)

/* Attributes of a cell, mostly brought along by its operand form. */
enum {
    A_MODRM = BIT(0),
    /* Immediates: a byte; a word; of operand size, at most 4 bytes; 8 too; a word and a byte; a far pointer, offset of operand size
     * and selector; an offset of address size; two bytes. */
    A_IB = BIT(1), A_IW = BIT(2), A_IZ = BIT(3), A_IV = BIT(4), A_IW_IB = BIT(5), A_AP = BIT(6),
    A_MOFFS = BIT(7), A_IB_IB = BIT(8), A_IMM = A_IB | A_IW | A_IZ | A_IV | A_IW_IB | A_AP | A_MOFFS | A_IB_IB,
    /* Operand size: one byte; at most 4; in 64-bit mode 8, or 2 with 66 (SDM 2A 2.2.1.7); in 64-bit mode 8; the same, but on AMD as
     * D64; 4, or 8 with REX.W, 66 does not count; 8 in 64-bit mode, else 4, whatever the prefixes. */
    A_SIZE = BIT(9), A_BYTE = SIZE_BYTE * A_SIZE, A_IO = SIZE_IO * A_SIZE, A_D64 = SIZE_D64 * A_SIZE, A_F64 = SIZE_F64 * A_SIZE,
    A_NEAR = SIZE_NEAR * A_SIZE, A_Y = SIZE_Y * A_SIZE, A_NATURAL = SIZE_NATURAL * A_SIZE,
    /* #UD in 64-bit mode; outside it; with a register; with memory. LOCK allowed when the destination is memory. ModRM.mod is
     * ignored: both operands are registers. */
    A_NO64 = BIT(14), A_ONLY64 = BIT(15), A_MEM = BIT(16), A_REG = BIT(17), A_LOCK = BIT(18), A_RR = BIT(30),
    /* Allowed mandatory prefixes: none, 66, F3, F2; none named: prefixes mean nothing here. */
    A_NP = BIT(19), A_66 = BIT(20), A_F3 = BIT(21), A_F2 = BIT(22), A_PP = A_NP | A_66 | A_F3 | A_F2,
    A_N6 = A_NP | A_66, A_N3 = A_NP | A_F3, A_N63 = A_NP | A_66 | A_F3, A_62 = A_66 | A_F2, A_632 = A_66 | A_F3 | A_F2,
    /* A control, debug or segment register, or operation byte of 3DNow!, that must exist; x87: validity by bit maps. */
    A_CHECK = BIT(23), A_ESC = BIT(24),
    /* The cell is a row of emul_split, by ModRM.reg; memory or register; mandatory prefix; ModRM.rm; 64-bit mode or not. */
    A_BY_REG = BIT(25), A_BY_MOD = BIT(26), A_BY_PP = BIT(27), A_BY_RM = BIT(28), A_BY_MODE = BIT(29),
    A_SPLIT = A_BY_REG | A_BY_MOD | A_BY_PP | A_BY_RM | A_BY_MODE,
    /* Rules that opcode, prefixes and mode decide; that ModRM decides. */
    A_EARLY = A_NO64 | A_ONLY64 | A_PP, A_LATE = A_MEM | A_REG | A_ESC | A_CHECK | A_RR,
    /* Of the forms below: ModRM.rm as either, a byte, memory only, a register only; with a control or debug register. */
    A_E = A_MODRM, A_EB = A_E | A_BYTE, A_M = A_E | A_MEM, A_R = A_E | A_REG, A_SPECIAL = A_E | A_NATURAL | A_CHECK | A_RR,
};

/* Operand forms, in the letters of SDM 2D A.2 (E: ModRM.rm, G: ModRM.reg, Z: register in the opcode, X/Y: string source and
 * destination, O: direct offset, V H W: vector registers of reg, vvvv and rm, B: general register of vvvv; b w v z y: size),
 * destination first. */
#define EMUL_FORMS(X) \
    X(none, 0) X(Eb_Gb, A_EB) X(Ev_Gv, A_E) X(Gb_Eb, A_EB) X(Gv_Ev, A_E) X(AL_Ib, A_IB | A_BYTE) X(rAX_Iz, A_IZ) X(Sreg, A_D64) \
    X(Zv, 0) X(Zq, A_D64) X(Zb_Ib, A_IB | A_BYTE) X(Zv_Iv, A_IV) X(Zv_rAX, 0) X(Gv_Ma, A_M) X(Ew_Gw, A_E) X(Gv_Ed, A_E) \
    X(Iz, A_IZ | A_D64) X(Ib, A_IB) X(Ibs, A_IB | A_D64) X(Gv_Ev_Iz, A_E | A_IZ) X(Gv_Ev_Ib, A_E | A_IB) X(Yb_DX, A_BYTE) \
    X(Yv_DX, A_IO) X(DX_Xb, A_BYTE) X(DX_Xv, A_IO) X(Jb, A_IB | A_NEAR) X(Jz, A_IZ | A_NEAR) X(Eb_Ib, A_EB | A_IB) \
    X(Ev_Iz, A_E | A_IZ) X(Ev_Ib, A_E | A_IB) X(Ev_Sw, A_E | A_CHECK) X(Gv_M, A_M) X(Sw_Ew, A_E | A_CHECK) X(Ev, A_E) X(Eb, A_EB) \
    X(Eq, A_E | A_D64) X(En, A_E | A_NEAR) X(Ap, A_AP | A_NO64) X(Fv, A_D64) X(near, A_NEAR) X(AL_Ob, A_MOFFS | A_BYTE) \
    X(rAX_Ov, A_MOFFS) X(Ob_AL, A_MOFFS | A_BYTE) X(Ov_rAX, A_MOFFS) X(Yb_Xb, A_BYTE) X(Yv_Xv, 0) X(Yb_AL, A_BYTE) X(Yv_rAX, 0) \
    X(AL_Xb, A_BYTE) X(rAX_Xv, 0) X(Iw_near, A_IW | A_NEAR) X(Iw, A_IW) X(Gv_Mp, A_M) X(Iw_Ib, A_IW_IB | A_D64) X(Eb_1, A_EB) \
    X(Ev_1, A_E) X(Eb_CL, A_EB) X(Ev_CL, A_E) X(rAX_Ib, A_IB | A_IO) X(Ib_AL, A_IB | A_BYTE) X(Ib_rAX, A_IB | A_IO) X(AL_DX, A_BYTE) \
    X(rAX_DX, A_IO) X(DX_AL, A_BYTE) X(DX_rAX, A_IO) X(M, A_M) X(Mp, A_M) X(Ew, A_E) X(Ms, A_M | A_F64) X(Rd_Cd, A_SPECIAL) \
    X(Cd_Rd, A_SPECIAL) X(Rd_Dd, A_SPECIAL) X(Dd_Rd, A_SPECIAL) X(Ev_Gv_Ib, A_E | A_IB) X(Ev_Gv_CL, A_E) X(Gv_Eb, A_E) X(Gv_Ew, A_E) \
    X(Ey_Gy, A_E | A_NATURAL) X(Gy_Ey, A_E | A_Y) X(My_Gy, A_M | A_Y) X(My, A_M | A_Y) X(Gv_Mv, A_M) X(Mv_Gv, A_M) X(Gd_Eb, A_E) \
    X(Gd_Ev, A_E) X(Rv, A_R) X(reg, A_R) X(x87, A_E | A_ESC) X(V_W, A_E) X(V_W_Ib, A_E | A_IB) X(V_W_Ib_Ib, A_E | A_IB_IB) \
    X(V_W_3dnow, A_E | A_IB | A_CHECK) X(V_H_W, A_E) X(V_H_W_Ib, A_E | A_IB) X(Gy_By_Ey, A_E | A_Y) X(Gy_Ey_By, A_E | A_Y) \
    X(By_Ey, A_E | A_Y) X(Gy_Ey_Ib, A_E | A_Y | A_IB)
#define EMUL_FORM_ENUM(name, attr) FORM_##name,
#define EMUL_FORM_ATTR(name, attr) ATTR_##name = (attr),
enum emul_form { EMUL_FORMS(EMUL_FORM_ENUM) FORMS_END };
enum { EMUL_FORMS(EMUL_FORM_ATTR) };

/* Whether, and how, the short way decodes an opcode: one of the first three values, or bits. */
enum emul_plain { PLAIN_NOT, PLAIN_MOD, PLAIN_GROUP /* by the cell that ModRM.mod, ModRM.reg lead to */, PLAIN_YES = 4, PLAIN_MODRM = 8,
                  PLAIN_IB = 16, PLAIN_IZ = 32 };
#define PLAIN_OF(attr) ((attr) & (A_SPLIT | A_EARLY | A_LATE | (A_IMM & ~(A_IB | A_IZ))) ? PLAIN_NOT : \
                        PLAIN_YES | ((attr) & A_MODRM ? PLAIN_MODRM : 0) | ((attr) & A_IB ? PLAIN_IB : 0) | ((attr) & A_IZ ? PLAIN_IZ : 0))

/* One opcode, or with A_BY_* the row `op` of emul_split. An op of 0 is invalid. */
struct emul_cell {
    union {
        struct { uint8_t op, form; };
        uint16_t op_form; /* as struct emul_insn begins */
    };
    uint8_t size;  /* enum emul_size */
    uint8_t plain; /* enum emul_plain */
    uint32_t attr;
};

extern const struct emul_cell emul_legacy[4][256];  /* by EMUL_MAP_1 .. EMUL_MAP_0F3A */
extern const struct emul_cell emul_split[][8];      /* by ModRM.reg; memory, register; none, 66, F3, F2; ModRM.rm; 64-bit mode */
extern const uint8_t emul_prefix[256];              /* EMUL_PFX_*, PK_* */
extern const uint8_t emul_opsize[SIZES_END][EMUL_MODE_SIZES + 1][4]; /* [enum emul_size][mode, or 3: 64-bit on AMD][REX.W, 66] */
extern const uint8_t emul_x87_mem[8];               /* D8 .. DF: bit n, /n with memory exists */
extern const uint64_t emul_x87_reg[8];              /* D8 .. DF: a byte a /n, from the lowest, in it bit n: rm n exists */
extern const uint32_t emul_3dnow[8];                /* bit map of the operation bytes that exist */

/* What ModRM says in 32- and 64-bit addressing (SDM 2A table 2-2). EMUL_REG_SIB: base and index are in the SIB byte. */
#define EMUL_REG_SIB 0xfd
extern const struct emul_modrm emul_modrm[256];
/* What follows ModRM: MEMORY_MORE, or so many bytes of displacement to a base that DS goes with. */
#define MEMORY_MORE 0xff
extern const uint8_t emul_modrm_tail[256];

/* What a byte is behind prefixes: an opcode; a prefix more, EMUL_PFX_* or the override of segment n, PK_SEG + n; from PK_ESCAPE on an
 * opcode by what follows. */
enum { PK_NONE, PK_SEG = 0x40, PK_ESCAPE = 0x80, PK_VECTOR, PK_XOP };

/* Vector cells, [pp][opcode]: which combinations exist; 0: none. */
enum {
    /* W0 and W1 of L0, L1, L2; none of these: any. */
    L0_W0 = BIT(0), L0_W1 = BIT(1), L1_W0 = BIT(2), L1_W1 = BIT(3), L2_W0 = BIT(4), L2_W1 = BIT(5),
    V_W0 = L0_W0 | L1_W0 | L2_W0, V_W1 = L0_W1 | L1_W1 | L2_W1, V_WL = V_W0 | V_W1,
    /* Operands: memory allowed; a register allowed; vvvv names one, else it must be 1111b; the same, of the register form only; an
     * immediate byte; one of 4 bytes. */
    V_MEM = BIT(6), V_REG = BIT(7), V_VVVV = BIT(8), V_VVVV_REG = BIT(9), V_IB = BIT(10), V_ID = BIT(11),
    /* Memory with a vector index, gather and scatter; EVEX: opmask allowed, with V_VSIB demanded; z allowed with memory (as a
     * source), with a register; b allowed with memory; with a register: rounding or SAE, L'L is no length then; the broadcast
     * element has 2 bytes, not 4 or 8 by W. */
    V_VSIB = BIT(12), V_MASK = BIT(13), V_ZERO_MEM = BIT(14), V_ZERO_REG = BIT(15), V_BCAST = BIT(16),
    V_ROUND = BIT(17), V_BCAST16 = BIT(31),
    /* ModRM.reg names an opmask or tile register, 0 to 7, VEX: so does vvvv; EVEX: a general register, R' must be clear; destination
     * and sources must differ (SDM 2D VFMULCPH, TDPBUSD); only in 64-bit mode; no ModRM; the register in ModRM.rm must be 0; memory
     * only with SIB. */
    V_KREG = BIT(18), V_GPR = BIT(19), V_DISTINCT = BIT(20), V_ONLY64 = BIT(21), V_NO_MODRM = BIT(22),
    V_RM0 = BIT(23), V_SIB = BIT(24),
    /* The low bits are a row of emul_vector_reg, by ModRM.reg; general registers: operation and form are in emul_vex_general. */
    V_BY_REG = BIT(25), V_ROWS = 16, V_GENERAL = BIT(26),
    V_TUPLE = BIT(27), V_TUPLES = 15 * V_TUPLE, /* EVEX: times enum emul_tuple */
};

/* What a displacement of one byte counts as a shift, for W0 and W1 and 128, 256 and 512 bits (SDM 2A tables 2-34, 2-35): the vector, its
 * half, quarter, eighth; half of it, or all with W1; what MOVDDUP loads; an element of 4 or 8 bytes by W (T1), a general register (TG), an
 * element of 1 or 2 bytes (TB); so many bytes (N). */
#define EMUL_TUPLES(X) \
    X(FULL, 4, 5, 6, 4, 5, 6) X(H, 3, 4, 5, 3, 4, 5) X(QT, 2, 3, 4, 2, 3, 4) X(EI, 1, 2, 3, 1, 2, 3) X(HW, 3, 4, 5, 4, 5, 6) \
    X(DUP, 3, 5, 6, 3, 5, 6) X(T1, 2, 2, 2, 3, 3, 3) X(TG, 2, 2, 2, 3, 3, 3) X(TB, 0, 0, 0, 1, 1, 1) X(N1, 0, 0, 0, 0, 0, 0) \
    X(N2, 1, 1, 1, 1, 1, 1) X(N4, 2, 2, 2, 2, 2, 2) X(N8, 3, 3, 3, 3, 3, 3) X(N16, 4, 4, 4, 4, 4, 4) X(N32, 5, 5, 5, 5, 5, 5)
#define EMUL_TUPLE_ENUM(name, ...) TUPLE_##name,
enum emul_tuple { EMUL_TUPLES(EMUL_TUPLE_ENUM) TUPLES_END };

/* Operations on general registers with VEX: opcodes F0 to F7 of 0F38 by [opcode & 7][pp]; F3 by [3][ModRM.reg]. RORX stands where
 * 0F3A F0 would. */
struct emul_general {
    uint8_t op, form;
};

extern const struct emul_general emul_vex_general[8][4];
enum { VECTOR_VEX, VECTOR_EVEX = 3, VECTOR_XOP = 8, VECTOR_MAPS = 11 }; /* maps 0F, 0F38, 0F3A; and 5, 6 for EVEX; 8, 9, A */
extern const uint32_t emul_vector[VECTOR_MAPS][4][256];
extern const uint32_t emul_vector_reg[V_ROWS][8];
extern const uint8_t emul_disp8[TUPLES_END][2][4]; /* [W][vl] */

#endif
