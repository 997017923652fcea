/* What the opcode tables are made of: attributes, operand forms, cells; tables.c has the legacy maps, tables_vex.c the vector ones. */
#ifndef EMUL_TABLES_H
#define EMUL_TABLES_H

#include <stdint.h>
#include "decode.h"

/* Attributes of a cell, mostly brought along by its operand form. */
#define A_MODRM   0x00000001u
#define A_IB      0x00000002u /* immediates: one byte */
#define A_IW      0x00000004u /* a word */
#define A_IZ      0x00000008u /* operand size, at most 4 bytes */
#define A_IV      0x00000010u /* operand size, 8 bytes too */
#define A_IW_IB   0x00000020u
#define A_AP      0x00000040u /* far pointer: offset of operand size, selector */
#define A_MOFFS   0x00000080u /* offset of address size */
#define A_IB_IB   0x00000100u
#define A_BYTE    0x00000200u /* operand size is one byte */
#define A_IO      0x00000400u /* operand size is at most 4 bytes */
#define A_D64     0x00000800u /* 64-bit mode: operand size is 8, or 2 with 66 (SDM 2A 2.2.1.7) */
#define A_F64     0x00001000u /* 64-bit mode: operand size is 8 */
#define A_NEAR    0x00002000u /* as A_F64, but A_D64 on AMD */
#define A_NO64    0x00004000u
#define A_ONLY64  0x00008000u
#define A_MEM     0x00010000u /* #UD with a register */
#define A_REG     0x00020000u /* #UD with memory */
#define A_LOCK    0x00040000u /* LOCK allowed when the destination is memory */
#define A_NP      0x00080000u /* allowed mandatory prefixes: none, 66, F3, F2; none named: prefixes mean nothing here */
#define A_66      0x00100000u
#define A_F3      0x00200000u
#define A_F2      0x00400000u
#define A_PP      (A_NP | A_66 | A_F3 | A_F2)
#define A_CHECK   0x00800000u /* a control, debug or segment register, or operation byte of 3DNow!, that must exist */
#define A_ESC     0x01000000u /* x87: validity by bit maps */
#define A_BY_REG  0x02000000u /* the cell is a row of another table: by ModRM.reg, ... */
#define A_BY_MOD  0x04000000u /* ... memory or register, */
#define A_BY_PP   0x08000000u /* ... mandatory prefix, */
#define A_BY_RM   0x10000000u /* ... ModRM.rm */
#define A_SPLIT   (A_BY_REG | A_BY_MOD | A_BY_PP | A_BY_RM)
#define A_Y       0x20000000u /* operand size is 4, or 8 with REX.W: 66 does not count */

#define A_RR      0x40000000u /* ModRM.mod is ignored: both operands are registers */
#define A_NATURAL 0x80000000u /* operand size is 8 in 64-bit mode, else 4, whatever the prefixes */
#define A_EARLY   (A_NO64 | A_ONLY64 | A_PP)
#define A_LATE    (A_MEM | A_REG | A_ESC | A_CHECK | A_RR)
#define A_IMM     (A_IB | A_IW | A_IZ | A_IV | A_IW_IB | A_AP | A_MOFFS | A_IB_IB)

#define A_N6   (A_NP | A_66)
#define A_N3   (A_NP | A_F3)
#define A_N63  (A_NP | A_66 | A_F3)
#define A_62   (A_66 | A_F2)
#define A_632  (A_66 | A_F3 | A_F2)

/* Operand forms, in the letters of SDM 2D A.2 (E: ModRM.rm, G: ModRM.reg, Z: register in the opcode, X/Y: string source and
 * destination, O: direct offset, V H W: vector registers
 * of reg, vvvv and rm, B: general register of vvvv; b w v z y: size), destination first. */
#define EMUL_FORMS(X) \
    X(none, 0) X(Eb_Gb, A_MODRM | A_BYTE) X(Ev_Gv, A_MODRM) X(Gb_Eb, A_MODRM | A_BYTE) X(Gv_Ev, A_MODRM) X(AL_Ib, A_IB | A_BYTE) \
    X(rAX_Iz, A_IZ) X(Sreg, A_D64) X(Zv, 0) X(Zq, A_D64) X(Zb_Ib, A_IB | A_BYTE) X(Zv_Iv, A_IV) X(Zv_rAX, 0) \
    X(Gv_Ma, A_MODRM | A_MEM) X(Ew_Gw, A_MODRM) X(Gv_Ed, A_MODRM) X(Iz, A_IZ | A_D64) X(Ib, A_IB) X(Ibs, A_IB | A_D64) \
    X(Gv_Ev_Iz, A_MODRM | A_IZ) X(Gv_Ev_Ib, A_MODRM | A_IB) X(Yb_DX, A_BYTE) X(Yv_DX, A_IO) X(DX_Xb, A_BYTE) X(DX_Xv, A_IO) \
    X(Jb, A_IB | A_NEAR) X(Jz, A_IZ | A_NEAR) X(Eb_Ib, A_MODRM | A_IB | A_BYTE) X(Ev_Iz, A_MODRM | A_IZ) X(Ev_Ib, A_MODRM | A_IB) \
    X(Ev_Sw, A_MODRM | A_CHECK) X(Gv_M, A_MODRM | A_MEM) X(Sw_Ew, A_MODRM | A_CHECK) X(Ev, A_MODRM) X(Eb, A_MODRM | A_BYTE) \
    X(Eq, A_MODRM | A_D64) X(En, A_MODRM | A_NEAR) X(Ap, A_AP | A_NO64) X(Fv, A_D64) X(near, A_NEAR) X(AL_Ob, A_MOFFS | A_BYTE) \
    X(rAX_Ov, A_MOFFS) X(Ob_AL, A_MOFFS | A_BYTE) X(Ov_rAX, A_MOFFS) X(Yb_Xb, A_BYTE) X(Yv_Xv, 0) X(Yb_AL, A_BYTE) X(Yv_rAX, 0) \
    X(AL_Xb, A_BYTE) X(rAX_Xv, 0) X(Iw_near, A_IW | A_NEAR) X(Iw, A_IW) X(Gv_Mp, A_MODRM | A_MEM) X(Iw_Ib, A_IW_IB | A_D64) \
    X(Eb_1, A_MODRM | A_BYTE) X(Ev_1, A_MODRM) X(Eb_CL, A_MODRM | A_BYTE) X(Ev_CL, A_MODRM) X(rAX_Ib, A_IB | A_IO) \
    X(Ib_AL, A_IB | A_BYTE) X(Ib_rAX, A_IB | A_IO) X(AL_DX, A_BYTE) X(rAX_DX, A_IO) X(DX_AL, A_BYTE) X(DX_rAX, A_IO) \
    X(M, A_MODRM | A_MEM) X(Mp, A_MODRM | A_MEM) X(Ew, A_MODRM) X(Ms, A_MODRM | A_MEM | A_F64) \
    X(Rd_Cd, A_MODRM | A_NATURAL | A_CHECK | A_RR) X(Cd_Rd, A_MODRM | A_NATURAL | A_CHECK | A_RR) \
    X(Rd_Dd, A_MODRM | A_NATURAL | A_CHECK | A_RR) X(Dd_Rd, A_MODRM | A_NATURAL | A_CHECK | A_RR) \
    X(Ev_Gv_Ib, A_MODRM | A_IB) X(Ev_Gv_CL, A_MODRM) X(Gv_Eb, A_MODRM) X(Gv_Ew, A_MODRM) X(Ey_Gy, A_MODRM | A_NATURAL) \
    X(Gy_Ey, A_MODRM | A_Y) X(My_Gy, A_MODRM | A_MEM | A_Y) X(My, A_MODRM | A_MEM | A_Y) \
    X(Gv_Mv, A_MODRM | A_MEM) X(Mv_Gv, A_MODRM | A_MEM) X(Gd_Eb, A_MODRM) X(Gd_Ev, A_MODRM) X(Rv, A_MODRM | A_REG) \
    X(reg, A_MODRM | A_REG) X(x87, A_MODRM | A_ESC) X(V_W, A_MODRM) X(V_W_Ib, A_MODRM | A_IB) X(V_W_Ib_Ib, A_MODRM | A_IB_IB) \
    X(V_W_3dnow, A_MODRM | A_IB | A_CHECK) X(V_H_W, A_MODRM) X(V_H_W_Ib, A_MODRM | A_IB) \
    X(Gy_By_Ey, A_MODRM | A_Y) X(Gy_Ey_By, A_MODRM | A_Y) X(By_Ey, A_MODRM | A_Y) X(Gy_Ey_Ib, A_MODRM | A_Y | A_IB)
#define EMUL_FORM_ENUM(name, attr) FORM_##name,
#define EMUL_FORM_ATTR(name, attr) ATTR_##name = (attr),
enum emul_form { EMUL_FORMS(EMUL_FORM_ENUM) FORMS_END };
enum { EMUL_FORMS(EMUL_FORM_ATTR) };

/* How mode, 66 and REX.W make the operand size; a row of emul_opsize. */
enum emul_size { SIZE_V, SIZE_BYTE, SIZE_NATURAL, SIZE_Y, SIZE_IO, SIZE_F64, SIZE_D64, SIZE_NEAR, SIZES_END };
#define SIZE_OF(attr) ((attr) & A_BYTE ? SIZE_BYTE : (attr) & A_NATURAL ? SIZE_NATURAL : (attr) & A_Y ? SIZE_Y : (attr) & A_IO ? SIZE_IO : \
                       (attr) & A_F64 ? SIZE_F64 : (attr) & A_NEAR ? SIZE_NEAR : (attr) & A_D64 ? SIZE_D64 : SIZE_V)

/* Whether, and how, the short way decodes an opcode: one of the first two values, or bits. */
enum emul_plain { PLAIN_NOT, PLAIN_GROUP /* by the cell that ModRM.reg leads to */, PLAIN_YES, PLAIN_MODRM = 4, PLAIN_IB = 8, PLAIN_IZ = 16 };
#define PLAIN_OF(attr) ((attr) & (A_SPLIT | A_EARLY | A_LATE | (A_IMM & ~(A_IB | A_IZ))) ? PLAIN_NOT : \
                        PLAIN_YES | ((attr) & A_MODRM ? PLAIN_MODRM : 0) | ((attr) & A_IB ? PLAIN_IB : 0) | ((attr) & A_IZ ? PLAIN_IZ : 0))

/* One opcode, or with A_BY_* the row `op` of a further table. An op of 0 is invalid. */
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
extern const struct emul_cell emul_by_reg[][8];
extern const struct emul_cell emul_by_mod[][2];     /* memory, register */
extern const struct emul_cell emul_by_pp[][4];      /* none, 66, F3, F2 */
extern const struct emul_cell emul_by_rm[][8];
extern const uint8_t emul_prefix[256];              /* enum emul_prefix_kind */
extern const uint8_t emul_opsize[SIZES_END][EMUL_MODE_SIZES + 1][4]; /* [enum emul_size][mode, or 3: 64-bit on AMD][REX.W, 66] */
extern const uint8_t emul_x87_mem[8];               /* D8 .. DF: bit n, /n with memory exists */
extern const uint8_t emul_x87_reg[8][8];            /* [D8 .. DF][reg]: bit n, rm n exists */
extern const uint32_t emul_3dnow[8];                /* bit map of the operation bytes that exist */

/* What ModRM says in 32- and 64-bit addressing (SDM 2A table 2-2). EMUL_REG_SIB: base and index are in the SIB byte. */
#define EMUL_REG_SIB 0xfd
extern const struct emul_modrm emul_modrm[256];
/* What follows ModRM: MEMORY_MORE, or so many bytes of displacement to a base that DS goes with. */
#define MEMORY_MORE 0xff
extern const uint8_t emul_modrm_tail[256];

/* What a byte is before the opcode: from PK_REX on a prefix. PK_SEG + n: override of segment n. */
enum emul_prefix_kind { PK_NONE, PK_ESCAPE, PK_VECTOR, PK_MOVSXD, PK_REX, PK_66, PK_67, PK_LOCK, PK_REPNE, PK_REP, PK_SEG };

/* Vector cells, [opcode][pp]: which combinations exist; 0: none. Bits 0-5: W0 and W1 of L0, L1, L2. */
#define V_L0W0     0x000001u
#define V_L0W1     0x000002u
#define V_L1W0     0x000004u
#define V_L1W1     0x000008u
#define V_L2W0     0x000010u
#define V_L2W1     0x000020u
#define V_W0       (V_L0W0 | V_L1W0 | V_L2W0)
#define V_W1       (V_L0W1 | V_L1W1 | V_L2W1)
#define V_MEM      0x000040u /* memory operand allowed */
#define V_REG      0x000080u /* register operand allowed */
#define V_VVVV     0x000100u /* vvvv names an operand, else it must be 1111b */
#define V_VVVV_REG 0x000200u /* the same, of the register form only */
#define V_IB       0x000400u /* immediate byte */
#define V_ID       0x000800u /* immediate of 4 bytes */
#define V_VSIB     0x001000u /* memory operand with a vector index: gather and scatter */
#define V_MASK     0x002000u /* EVEX: opmask allowed; with V_VSIB demanded */
#define V_ZERO_MEM 0x004000u /* EVEX.z allowed with memory (as a source) */
#define V_ZERO_REG 0x008000u /* EVEX.z allowed with a register */
#define V_BCAST    0x010000u /* EVEX.b allowed with memory */
#define V_ROUND    0x020000u /* EVEX.b allowed with a register: rounding or SAE; L'L is no length then */
#define V_KREG     0x040000u /* ModRM.reg names an opmask or tile register, 0 to 7; VEX: so does vvvv */
#define V_GPR      0x080000u /* EVEX: ModRM.reg names a general register, R' must be clear */
#define V_DISTINCT 0x100000u /* destination and sources must differ (SDM 2D VFMULCPH, TDPBUSD) */
#define V_ONLY64   0x200000u
#define V_NO_MODRM 0x400000u
#define V_RM0      0x800000u /* the register in ModRM.rm must be 0 */
#define V_SIB      0x1000000u /* memory must be addressed with SIB */
#define V_BY_REG   0x2000000u /* low bits: row of emul_vector_reg, by ModRM.reg */
#define V_ROWS     16u

#define V_GENERAL  0x4000000u /* general registers: operation and form are in emul_vex_general */
#define V_TUPLE    0x8000000u /* EVEX: times enum emul_tuple */
#define V_TUPLES   0x78000000u
#define V_BCAST16  0x80000000u /* the broadcast element has 2 bytes, not 4 or 8 by W */

/* What a displacement of one byte counts, a row of emul_disp8: the vector or a part of it (HALF_W: all of it with W1), what MOVDDUP
 * loads, an element of 4 or 8 bytes by W, a general register, an element of 1 or 2 bytes, so many bytes. */
enum emul_tuple { TUPLE_FULL, TUPLE_HALF, TUPLE_QUARTER, TUPLE_EIGHTH, TUPLE_HALF_W, TUPLE_DUP, TUPLE_ELEMENT, TUPLE_GENERAL,
                  TUPLE_BYTE_WORD, TUPLE_1, TUPLE_2, TUPLE_4, TUPLE_8, TUPLE_16, TUPLE_32, TUPLES_END };

/* Operations on general registers with VEX: opcodes F0 to F7 of 0F38 by [opcode & 7][pp]; F3 by [3][ModRM.reg]. RORX stands where
 * 0F3A F0 would. */
struct emul_general {
    uint8_t op, form;
};

extern const struct emul_general emul_vex_general[8][4];
enum { VECTOR_VEX, VECTOR_EVEX = 3, VECTOR_XOP = 8, VECTOR_MAPS = 11 }; /* maps 0F, 0F38, 0F3A; and 5, 6 for EVEX; 8, 9, A */
extern const uint32_t emul_vector[VECTOR_MAPS][256][4];
extern const uint32_t emul_vector_reg[V_ROWS][8];
extern const uint8_t emul_disp8[TUPLES_END][2][4]; /* [W][vl] */

#endif
