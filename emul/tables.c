/* The legacy opcode maps: one cell per opcode, in the order and the operand letters of SDM 2D appendix A. */
#include "tables.h"

#define CELL(mnemonic, operands, attr, plain) { { { EMUL_##mnemonic, FORM_##operands } }, SIZE_OF(attr), plain, attr }
#define C(mnemonic, operands, extra) CELL(mnemonic, operands, ATTR_##operands | (extra), PLAIN_OF(ATTR_##operands | (extra)))
#define SPLIT(row, plain, attr)      { { { row, 0 } }, 0, plain, attr }
#define NONE                         SPLIT(0, PLAIN_NOT, 0)
#define REG(row)                     SPLIT(ROW_##row, PLAIN_GROUP, A_BY_REG)
#define MOD(row)                     SPLIT(MOD_##row, PLAIN_MOD, A_BY_MOD)
#define PP(row)                      SPLIT(PP_##row, PLAIN_NOT, A_BY_PP)
#define RM(row)                      SPLIT(RM_##row, PLAIN_NOT, A_BY_RM)
#define VEC(extra)                   C(SIMD, V_W, extra)
#define VEC_IB(extra)                C(SIMD, V_W_Ib, extra)

/* Rows of the tables further down, named after the opcode they belong to. */
enum { ROW_80, ROW_81, ROW_82, ROW_83, ROW_8F, ROW_C0, ROW_C1, ROW_C6, ROW_C7, ROW_D0, ROW_D1, ROW_D2, ROW_D3, ROW_F6, ROW_F7, ROW_FE,
       ROW_FF, ROW_0F00, ROW_0F01_MEM, ROW_0F01_REG, ROW_0F71, ROW_0F72, ROW_0F73, ROW_0FAE_MEM, ROW_0FAE_REG, ROW_0FBA, ROW_0FC7_MEM,
       ROW_0FC7_REG, ROW_EXTRQ, ROW_0F38D8, ROW_0F3AF0 };
enum { MOD_0F01, MOD_0FAE, MOD_0FC7, MOD_XABORT, MOD_XBEGIN, MOD_HRESET, MOD_AESENC };
enum { PP_90, PP_0F12, PP_0F16, PP_0F78, PP_0F79, PP_0FB8, PP_0FBC, PP_0FBD, PP_0FD6, PP_AE4_MEM, PP_AE6_MEM, PP_AE7_MEM, PP_AE4_REG,
       PP_AE5_REG, PP_AE6_REG, PP_C7_6_MEM, PP_C7_6_REG, PP_C7_7_REG, PP_38DC, PP_38DD, PP_38F0, PP_38F1, PP_38F6, PP_38F8, PP_01_5_MEM,
       PP_01E8, PP_01E9, PP_01EA, PP_01EE, PP_01EF, PP_01FE, PP_01FF, PP_01FA, PP_01C6, PP_01CF,
       PP_01CA, PP_00_6 };
enum { RM_01C0, RM_01C8, RM_01D0, RM_01D8, RM_01E8, RM_01F8, RM_XABORT, RM_XBEGIN, RM_HRESET };

/* The eight arithmetic operations have one shape: six opcodes from `at`. */
#define ALU(at, mnemonic, lock) \
    [at] = C(mnemonic, Eb_Gb, lock), C(mnemonic, Ev_Gv, lock), C(mnemonic, Gb_Eb, 0), C(mnemonic, Gv_Ev, 0), C(mnemonic, AL_Ib, 0), \
           C(mnemonic, rAX_Iz, 0)

const struct emul_cell emul_legacy[4][256] = {
    [EMUL_MAP_1] = {
        ALU(0x00, ADD, A_LOCK), ALU(0x08, OR, A_LOCK), ALU(0x10, ADC, A_LOCK), ALU(0x18, SBB, A_LOCK),
        ALU(0x20, AND, A_LOCK), ALU(0x28, SUB, A_LOCK), ALU(0x30, XOR, A_LOCK), ALU(0x38, CMP, 0),
        [0x06] = C(PUSH, Sreg, A_NO64), [0x07] = C(POP, Sreg, A_NO64), [0x0e] = C(PUSH, Sreg, A_NO64),
        [0x16] = C(PUSH, Sreg, A_NO64), [0x17] = C(POP, Sreg, A_NO64), [0x1e] = C(PUSH, Sreg, A_NO64), [0x1f] = C(POP, Sreg, A_NO64),
        [0x27] = C(DAA, none, A_NO64), [0x2f] = C(DAS, none, A_NO64), [0x37] = C(AAA, none, A_NO64), [0x3f] = C(AAS, none, A_NO64),
        [0x40 ... 0x47] = C(INC, Zv, A_NO64), [0x48 ... 0x4f] = C(DEC, Zv, A_NO64),
        [0x50 ... 0x57] = C(PUSH, Zq, 0), [0x58 ... 0x5f] = C(POP, Zq, 0),
        [0x60] = C(PUSHA, none, A_NO64), [0x61] = C(POPA, none, A_NO64), [0x62] = C(BOUND, Gv_Ma, A_NO64), [0x63] = CELL(ARPL, Ew_Gw, ATTR_Ew_Gw, PLAIN_NOT),
        [0x68] = C(PUSH, Iz, 0), [0x69] = C(IMUL3, Gv_Ev_Iz, 0), [0x6a] = C(PUSH, Ibs, 0), [0x6b] = C(IMUL3, Gv_Ev_Ib, 0),
        [0x6c] = C(INS, Yb_DX, 0), [0x6d] = C(INS, Yv_DX, 0), [0x6e] = C(OUTS, DX_Xb, 0), [0x6f] = C(OUTS, DX_Xv, 0),
        [0x70 ... 0x7f] = C(JCC, Jb, 0),
        [0x80] = REG(80), [0x81] = REG(81), [0x82] = REG(82), [0x83] = REG(83),
        [0x84] = C(TEST, Eb_Gb, 0), [0x85] = C(TEST, Ev_Gv, 0), [0x86] = C(XCHG, Eb_Gb, A_LOCK), [0x87] = C(XCHG, Ev_Gv, A_LOCK),
        [0x88] = C(MOV, Eb_Gb, 0), [0x89] = C(MOV, Ev_Gv, 0), [0x8a] = C(MOV, Gb_Eb, 0), [0x8b] = C(MOV, Gv_Ev, 0),
        [0x8c] = C(MOVSEG, Ev_Sw, 0), [0x8d] = C(LEA, Gv_M, 0), [0x8e] = C(MOVSEG, Sw_Ew, 0), [0x8f] = SPLIT(ROW_8F, PLAIN_NOT, A_BY_REG),
        [0x90] = PP(90), [0x91 ... 0x97] = C(XCHG, Zv_rAX, 0),
        [0x98] = C(CBW, none, 0), [0x99] = C(CWD, none, 0), [0x9a] = C(CALLF, Ap, 0), [0x9b] = C(WAIT, none, 0),
        [0x9c] = C(PUSHF, Fv, 0), [0x9d] = C(POPF, Fv, 0), [0x9e] = C(SAHF, none, 0), [0x9f] = C(LAHF, none, 0),
        [0xa0] = C(MOV, AL_Ob, 0), [0xa1] = C(MOV, rAX_Ov, 0), [0xa2] = C(MOV, Ob_AL, 0), [0xa3] = C(MOV, Ov_rAX, 0),
        [0xa4] = C(MOVS, Yb_Xb, 0), [0xa5] = C(MOVS, Yv_Xv, 0), [0xa6] = C(CMPS, Yb_Xb, 0), [0xa7] = C(CMPS, Yv_Xv, 0),
        [0xa8] = C(TEST, AL_Ib, 0), [0xa9] = C(TEST, rAX_Iz, 0), [0xaa] = C(STOS, Yb_AL, 0), [0xab] = C(STOS, Yv_rAX, 0),
        [0xac] = C(LODS, AL_Xb, 0), [0xad] = C(LODS, rAX_Xv, 0), [0xae] = C(SCAS, Yb_AL, 0), [0xaf] = C(SCAS, Yv_rAX, 0),
        [0xb0 ... 0xb7] = C(MOV, Zb_Ib, 0), [0xb8 ... 0xbf] = C(MOV, Zv_Iv, 0),
        [0xc0] = REG(C0), [0xc1] = REG(C1), [0xc2] = C(RET, Iw_near, 0), [0xc3] = C(RET, near, 0),
        [0xc4] = C(LES, Gv_Mp, A_NO64), [0xc5] = C(LDS, Gv_Mp, A_NO64), [0xc6] = REG(C6), [0xc7] = REG(C7),
        [0xc8] = C(ENTER, Iw_Ib, 0), [0xc9] = C(LEAVE, Fv, 0), [0xca] = C(RETF, Iw, 0), [0xcb] = C(RETF, none, 0),
        [0xcc] = C(INT3, none, 0), [0xcd] = C(INT, Ib, 0), [0xce] = C(INTO, none, A_NO64), [0xcf] = C(IRET, none, 0),
        [0xd0] = REG(D0), [0xd1] = REG(D1), [0xd2] = REG(D2), [0xd3] = REG(D3),
        [0xd4] = C(AAM, Ib, A_NO64), [0xd5] = C(AAD, Ib, A_NO64), [0xd6] = C(SALC, none, A_NO64), [0xd7] = C(XLAT, none, 0),
        [0xd8 ... 0xdf] = C(X87, x87, 0),
        [0xe0] = C(LOOPNE, Jb, 0), [0xe1] = C(LOOPE, Jb, 0), [0xe2] = C(LOOP, Jb, 0), [0xe3] = C(JCXZ, Jb, 0),
        [0xe4] = C(IN, AL_Ib, 0), [0xe5] = C(IN, rAX_Ib, 0), [0xe6] = C(OUT, Ib_AL, 0), [0xe7] = C(OUT, Ib_rAX, 0),
        [0xe8] = C(CALL, Jz, 0), [0xe9] = C(JMP, Jz, 0), [0xea] = C(JMPF, Ap, 0), [0xeb] = C(JMP, Jb, 0),
        [0xec] = C(IN, AL_DX, 0), [0xed] = C(IN, rAX_DX, 0), [0xee] = C(OUT, DX_AL, 0), [0xef] = C(OUT, DX_rAX, 0),
        [0xf1] = C(INT1, none, 0), [0xf4] = C(HLT, none, 0), [0xf5] = C(CMC, none, 0), [0xf6] = REG(F6), [0xf7] = REG(F7),
        [0xf8] = C(CLC, none, 0), [0xf9] = C(STC, none, 0), [0xfa] = C(CLI, none, 0), [0xfb] = C(STI, none, 0),
        [0xfc] = C(CLD, none, 0), [0xfd] = C(STD, none, 0), [0xfe] = REG(FE), [0xff] = REG(FF),
    },
    [EMUL_MAP_0F] = {
        [0x00] = REG(0F00), [0x01] = MOD(0F01), [0x02] = C(LAR, Gv_Ew, 0), [0x03] = C(LSL, Gv_Ew, 0),
        [0x05] = C(SYSCALL, none, 0), [0x06] = C(CLTS, none, 0), [0x07] = C(SYSRET, none, 0),
        [0x08] = C(INVD, none, 0), [0x09] = C(WBINVD, none, 0), [0x0b] = C(UD2, none, 0), [0x0d] = C(NOP, Ev, 0),
        [0x0e] = C(AMD3DNOW, none, 0), [0x0f] = C(AMD3DNOW, V_W_3dnow, 0),
        [0x10 ... 0x11] = VEC(A_PP), [0x12] = PP(0F12), [0x13] = VEC(A_N6 | A_MEM), [0x14 ... 0x15] = VEC(A_N6),
        [0x16] = PP(0F16), [0x17] = VEC(A_N6 | A_MEM), [0x18 ... 0x1f] = C(NOP, Ev, 0),
        [0x20] = C(MOVCR, Rd_Cd, 0), [0x21] = C(MOVDR, Rd_Dd, 0), [0x22] = C(MOVCR, Cd_Rd, 0), [0x23] = C(MOVDR, Dd_Rd, 0),
        [0x28 ... 0x29] = VEC(A_N6), [0x2a] = VEC(A_PP), [0x2b] = VEC(A_PP | A_MEM), [0x2c ... 0x2d] = VEC(A_PP),
        [0x2e ... 0x2f] = VEC(A_N6),
        [0x30] = C(WRMSR, none, 0), [0x31] = C(RDTSC, none, 0), [0x32] = C(RDMSR, none, 0), [0x33] = C(RDPMC, none, 0),
        [0x34] = C(SYSENTER, none, 0), [0x35] = C(SYSEXIT, none, 0), [0x37] = C(GETSEC, none, A_NP),
        [0x40 ... 0x4f] = C(CMOV, Gv_Ev, 0),
        [0x50] = VEC(A_N6 | A_REG), [0x51] = VEC(A_PP), [0x52 ... 0x53] = VEC(A_N3), [0x54 ... 0x57] = VEC(A_N6),
        [0x58 ... 0x5a] = VEC(A_PP),
        [0x5b] = VEC(A_N63), [0x5c ... 0x5f] = VEC(A_PP),
        [0x60 ... 0x6b] = VEC(A_N6), [0x6c ... 0x6d] = VEC(A_66), [0x6e] = VEC(A_N6), [0x6f] = VEC(A_N63),
        [0x70] = VEC_IB(A_PP), [0x71] = REG(0F71), [0x72] = REG(0F72), [0x73] = REG(0F73), [0x74 ... 0x76] = VEC(A_N6),
        [0x77] = C(SIMD, none, A_NP), [0x78] = PP(0F78), [0x79] = PP(0F79), [0x7c ... 0x7d] = VEC(A_62), [0x7e ... 0x7f] = VEC(A_N63),
        [0x80 ... 0x8f] = C(JCC, Jz, 0), [0x90 ... 0x9f] = C(SETCC, Eb, 0),
        [0xa0] = C(PUSH, Sreg, 0), [0xa1] = C(POP, Sreg, 0), [0xa2] = C(CPUID, none, 0), [0xa3] = C(BT, Ev_Gv, 0),
        [0xa4] = C(SHLD, Ev_Gv_Ib, 0), [0xa5] = C(SHLD, Ev_Gv_CL, 0),
        [0xa8] = C(PUSH, Sreg, 0), [0xa9] = C(POP, Sreg, 0), [0xaa] = C(RSM, none, 0), [0xab] = C(BTS, Ev_Gv, A_LOCK),
        [0xac] = C(SHRD, Ev_Gv_Ib, 0), [0xad] = C(SHRD, Ev_Gv_CL, 0), [0xae] = MOD(0FAE), [0xaf] = C(IMUL2, Gv_Ev, 0),
        [0xb0] = C(CMPXCHG, Eb_Gb, A_LOCK), [0xb1] = C(CMPXCHG, Ev_Gv, A_LOCK), [0xb2] = C(LSS, Gv_Mp, 0), [0xb3] = C(BTR, Ev_Gv, A_LOCK),
        [0xb4] = C(LFS, Gv_Mp, 0), [0xb5] = C(LGS, Gv_Mp, 0), [0xb6] = C(MOVZX, Gv_Eb, 0), [0xb7] = C(MOVZX, Gv_Ew, 0),
        [0xb8] = PP(0FB8), [0xb9] = C(UD1, Gv_Ev, 0), [0xba] = REG(0FBA), [0xbb] = C(BTC, Ev_Gv, A_LOCK),
        [0xbc] = PP(0FBC), [0xbd] = PP(0FBD), [0xbe] = C(MOVSX, Gv_Eb, 0), [0xbf] = C(MOVSX, Gv_Ew, 0),
        [0xc0] = C(XADD, Eb_Gb, A_LOCK), [0xc1] = C(XADD, Ev_Gv, A_LOCK), [0xc2] = VEC_IB(A_PP), [0xc3] = C(MOVNTI, My_Gy, A_NP),
        [0xc4] = VEC_IB(A_N6), [0xc5] = VEC_IB(A_N6 | A_REG), [0xc6] = VEC_IB(A_N6), [0xc7] = MOD(0FC7), [0xc8 ... 0xcf] = C(BSWAP, Zv, 0),
        [0xd0] = VEC(A_62), [0xd1 ... 0xd5] = VEC(A_N6), [0xd6] = PP(0FD6), [0xd7] = VEC(A_N6 | A_REG), [0xd8 ... 0xe5] = VEC(A_N6),
        [0xe6] = VEC(A_632), [0xe7] = VEC(A_N6 | A_MEM), [0xe8 ... 0xef] = VEC(A_N6), [0xf0] = VEC(A_F2 | A_MEM),
        [0xf1 ... 0xf6] = VEC(A_N6),
        [0xf7] = VEC(A_N6 | A_REG), [0xf8 ... 0xfe] = VEC(A_N6), [0xff] = C(UD0, Gv_Ev, 0),
    },
    [EMUL_MAP_0F38] = {
        [0x00 ... 0x0b] = VEC(A_N6), [0x10] = VEC(A_66), [0x14 ... 0x15] = VEC(A_66), [0x17] = VEC(A_66), [0x1c ... 0x1e] = VEC(A_N6),
        [0x20 ... 0x25] = VEC(A_66), [0x28 ... 0x29] = VEC(A_66), [0x2a] = VEC(A_66 | A_MEM), [0x2b] = VEC(A_66),
        [0x30 ... 0x35] = VEC(A_66),
        [0x37 ... 0x41] = VEC(A_66), [0x80 ... 0x81] = C(VMX, Gv_M, A_66 | A_F64), [0x82] = C(INVPCID, Gv_M, A_66 | A_F64),
        [0xc8 ... 0xcd] = VEC(A_NP), [0xcf] = VEC(A_66), [0xd8] = REG(0F38D8), [0xdb] = VEC(A_66), [0xdc] = PP(38DC),
        [0xdd ... 0xdf] = PP(38DD),
        [0xf0] = PP(38F0), [0xf1] = PP(38F1), [0xf5] = C(SHADOW, My_Gy, A_66), [0xf6] = PP(38F6),
        [0xf8] = PP(38F8), [0xf9] = C(MOVDIR, My_Gy, A_NP), [0xfa ... 0xfb] = C(KEYLOCKER, reg, A_F3),
        [0xfc] = C(RAOINT, My_Gy, A_PP),
    },
    [EMUL_MAP_0F3A] = {
        [0x08 ... 0x0e] = VEC_IB(A_66), [0x0f] = VEC_IB(A_N6), [0x14 ... 0x17] = VEC_IB(A_66), [0x20 ... 0x22] = VEC_IB(A_66),
        [0x40 ... 0x42] = VEC_IB(A_66), [0x44] = VEC_IB(A_66), [0x60 ... 0x63] = VEC_IB(A_66), [0xcc] = VEC_IB(A_NP),
        [0xce ... 0xcf] = VEC_IB(A_66), [0xdf] = VEC_IB(A_66), [0xf0] = REG(0F3AF0),
    },
};

/* Group 1 and the shifts: eight operations each, in the order of ModRM.reg. */
#define GROUP1(form, no64) { C(ADD, form, A_LOCK | (no64)), C(OR, form, A_LOCK | (no64)), C(ADC, form, A_LOCK | (no64)), \
    C(SBB, form, A_LOCK | (no64)), C(AND, form, A_LOCK | (no64)), C(SUB, form, A_LOCK | (no64)), C(XOR, form, A_LOCK | (no64)), \
    C(CMP, form, no64) }
#define GROUP2(form) { C(ROL, form, 0), C(ROR, form, 0), C(RCL, form, 0), C(RCR, form, 0), C(SHL, form, 0), C(SHR, form, 0), \
    C(SHL, form, 0), C(SAR, form, 0) }

const struct emul_cell emul_by_reg[][8] = {
    [ROW_80] = GROUP1(Eb_Ib, 0), [ROW_81] = GROUP1(Ev_Iz, 0), [ROW_82] = GROUP1(Eb_Ib, A_NO64), [ROW_83] = GROUP1(Ev_Ib, 0),
    [ROW_8F] = { [0] = C(POP, Eq, 0) },
    [ROW_C0] = GROUP2(Eb_Ib), [ROW_C1] = GROUP2(Ev_Ib), [ROW_D0] = GROUP2(Eb_1), [ROW_D1] = GROUP2(Ev_1), [ROW_D2] = GROUP2(Eb_CL),
    [ROW_D3] = GROUP2(Ev_CL),
    [ROW_C6] = { [0] = C(MOV, Eb_Ib, 0), [7] = MOD(XABORT) },
    [ROW_C7] = { [0] = C(MOV, Ev_Iz, 0), [7] = MOD(XBEGIN) },
    [ROW_F6] = { C(TEST, Eb_Ib, 0), C(TEST, Eb_Ib, 0), C(NOT, Eb, A_LOCK), C(NEG, Eb, A_LOCK), C(MUL, Eb, 0), C(IMUL, Eb, 0), C(DIV, Eb, 0),
                 C(IDIV, Eb, 0) },
    [ROW_F7] = { C(TEST, Ev_Iz, 0), C(TEST, Ev_Iz, 0), C(NOT, Ev, A_LOCK), C(NEG, Ev, A_LOCK), C(MUL, Ev, 0), C(IMUL, Ev, 0), C(DIV, Ev, 0),
                 C(IDIV, Ev, 0) },
    [ROW_FE] = { C(INC, Eb, A_LOCK), C(DEC, Eb, A_LOCK) },
    [ROW_FF] = { C(INC, Ev, A_LOCK), C(DEC, Ev, A_LOCK), C(CALL, En, 0), C(CALLF, Mp, 0), C(JMP, En, 0), C(JMPF, Mp, 0), C(PUSH, Eq, 0) },
    [ROW_0F00] = { C(SLDT, Ev, 0), C(STR, Ev, 0), C(LLDT, Ew, 0), C(LTR, Ew, 0), C(VERR, Ew, 0), C(VERW, Ew, 0), PP(00_6) },
    [ROW_0F01_MEM] = { C(SGDT, Ms, 0), C(SIDT, Ms, 0), C(LGDT, Ms, 0), C(LIDT, Ms, 0), C(SMSW, Ev, 0), PP(01_5_MEM), C(LMSW, Ew, 0),
                       CELL(INVLPG, M, ATTR_M, PLAIN_YES | PLAIN_MODRM) },
    [ROW_0F01_REG] = { RM(01C0), RM(01C8), RM(01D0), RM(01D8), C(SMSW, Ev, 0), RM(01E8), C(LMSW, Ew, 0), RM(01F8) },
    [ROW_0F71] = { [2] = VEC_IB(A_N6 | A_REG), [4] = VEC_IB(A_N6 | A_REG), [6] = VEC_IB(A_N6 | A_REG) },
    [ROW_0F72] = { [2] = VEC_IB(A_N6 | A_REG), [4] = VEC_IB(A_N6 | A_REG), [6] = VEC_IB(A_N6 | A_REG) },
    [ROW_0F73] = { [2] = VEC_IB(A_N6 | A_REG), [3] = VEC_IB(A_66 | A_REG), [6] = VEC_IB(A_N6 | A_REG), [7] = VEC_IB(A_66 | A_REG) },
    [ROW_0FAE_MEM] = { C(XSAVE, M, A_NP), C(XSAVE, M, A_NP), VEC(A_NP), VEC(A_NP), PP(AE4_MEM), C(XSAVE, M, A_NP), PP(AE6_MEM),
                       PP(AE7_MEM) },
    [ROW_0FAE_REG] = { C(FSGSBASE, Rv, A_F3 | A_ONLY64), C(FSGSBASE, Rv, A_F3 | A_ONLY64), C(FSGSBASE, Rv, A_F3 | A_ONLY64),
                       C(FSGSBASE, Rv, A_F3 | A_ONLY64), PP(AE4_REG), PP(AE5_REG), PP(AE6_REG), C(FENCE, reg, A_NP) },
    [ROW_0FBA] = { [4] = C(BT, Ev_Ib, 0), C(BTS, Ev_Ib, A_LOCK), C(BTR, Ev_Ib, A_LOCK), C(BTC, Ev_Ib, A_LOCK) },
    [ROW_0FC7_MEM] = { [1] = C(CMPXCHG8B, My, A_LOCK), [3] = C(XSAVE, M, A_NP), C(XSAVE, M, A_NP), C(XSAVE, M, A_NP), PP(C7_6_MEM),
                       C(VMX, M, A_NP) },
    [ROW_0FC7_REG] = { [6] = PP(C7_6_REG), PP(C7_7_REG) },
    [ROW_EXTRQ] = { [0] = C(SIMD, V_W_Ib_Ib, A_REG) },
    [ROW_0F38D8] = { [0 ... 3] = C(KEYLOCKER, M, A_F3) },
    [ROW_0F3AF0] = { [0] = MOD(HRESET) },
};

const struct emul_cell emul_by_mod[][2] = {
    [MOD_0F01] = { REG(0F01_MEM), REG(0F01_REG) },
    [MOD_0FAE] = { REG(0FAE_MEM), REG(0FAE_REG) },
    [MOD_0FC7] = { REG(0FC7_MEM), REG(0FC7_REG) },
    [MOD_XABORT] = { NONE, RM(XABORT) },
    [MOD_XBEGIN] = { NONE, RM(XBEGIN) },
    [MOD_HRESET] = { NONE, RM(HRESET) },
    [MOD_AESENC] = { C(KEYLOCKER, M, 0), C(KEYLOCKER, reg, 0) },
};

const struct emul_cell emul_by_pp[][4] = {
    [PP_90] = { C(XCHG, Zv_rAX, 0), C(XCHG, Zv_rAX, 0), C(PAUSE, none, A_CHECK), C(XCHG, Zv_rAX, 0) },
    [PP_0F12] = { VEC(0), VEC(A_MEM), VEC(0), VEC(0) },
    [PP_0F16] = { VEC(0), VEC(A_MEM), VEC(0), NONE },
    [PP_0F78] = { C(VMX, Ey_Gy, 0), REG(EXTRQ), NONE, C(SIMD, V_W_Ib_Ib, A_REG) },
    [PP_0F79] = { C(VMX, Ey_Gy, 0), VEC(A_REG), NONE, VEC(A_REG) },
    [PP_0FB8] = { [2] = C(POPCNT, Gv_Ev, 0) },
    [PP_0FBC] = { C(BSF, Gv_Ev, 0), C(BSF, Gv_Ev, 0), C(TZCNT, Gv_Ev, 0), C(BSF, Gv_Ev, 0) },
    [PP_0FBD] = { C(BSR, Gv_Ev, 0), C(BSR, Gv_Ev, 0), C(LZCNT, Gv_Ev, 0), C(BSR, Gv_Ev, 0) },
    [PP_0FD6] = { [1] = VEC(0), VEC(A_REG), VEC(A_REG) },
    [PP_AE4_MEM] = { C(XSAVE, M, 0), [2] = C(PTWRITE, Ev, 0) },
    [PP_AE6_MEM] = { C(XSAVE, M, 0), C(CLFLUSH, M, 0), C(SHADOW, M, 0) },
    [PP_AE7_MEM] = { C(CLFLUSH, M, 0), C(CLFLUSH, M, 0) },
    [PP_AE4_REG] = { [2] = C(PTWRITE, Ev, 0) },
    [PP_AE5_REG] = { C(FENCE, reg, 0), [2] = C(SHADOW, Rv, 0) },
    [PP_AE6_REG] = { C(FENCE, reg, 0), C(WAITPKG, Rv, 0), C(WAITPKG, Rv, 0), C(WAITPKG, Rv, 0) },
    [PP_C7_6_MEM] = { C(VMX, M, 0), C(VMX, M, 0), C(VMX, M, 0) },
    [PP_C7_6_REG] = { C(RDRAND, Rv, 0), C(RDRAND, Rv, 0), C(UINTR, Rv, A_ONLY64) },
    [PP_C7_7_REG] = { C(RDSEED, Rv, 0), C(RDSEED, Rv, 0), C(RDPID, Rv, A_F64) },
    [PP_38DC] = { [1] = VEC(0), MOD(AESENC) },
    [PP_38DD] = { [1] = VEC(0), C(KEYLOCKER, M, 0) },
    [PP_38F0] = { C(MOVBE, Gv_Mv, 0), C(MOVBE, Gv_Mv, 0), NONE, C(CRC32, Gd_Eb, 0) },
    [PP_38F1] = { C(MOVBE, Mv_Gv, 0), C(MOVBE, Mv_Gv, 0), NONE, C(CRC32, Gd_Ev, 0) },
    [PP_38F6] = { C(SHADOW, My_Gy, 0), C(ADCX, Gy_Ey, 0), C(ADOX, Gy_Ey, 0) },
    [PP_38F8] = { [1] = C(MOVDIR, Gv_M, 0), C(MOVDIR, Gv_M, 0), C(MOVDIR, Gv_M, 0) },
    [PP_01_5_MEM] = { [2] = C(SHADOW, M, 0) },
    [PP_01CF] = { C(SGX, reg, 0), C(TDX, reg, A_ONLY64) },
    [PP_00_6] = { [3] = C(FRED, Ew, A_ONLY64) },
    [PP_01CA] = { C(CLAC, reg, 0), [2] = C(FRED, reg, A_ONLY64), C(FRED, reg, A_ONLY64) },
    [PP_01C6] = { C(WRMSR, reg, 0) },
    [PP_01E8] = { C(SERIALIZE, reg, 0), [2] = C(SHADOW, reg, 0), C(TSX, reg, 0) },
    [PP_01E9] = { [3] = C(TSX, reg, 0) },
    [PP_01EA] = { [2] = C(SHADOW, reg, 0) },
    [PP_01EE] = { C(RDPKRU, reg, 0), [2] = C(UINTR, reg, A_ONLY64) },
    [PP_01EF] = { C(WRPKRU, reg, 0), [2] = C(UINTR, reg, A_ONLY64) },
    [PP_01FA] = { C(MONITOR, reg, 0), [2] = C(MONITOR, reg, 0) },
    [PP_01FE] = { C(SNP, reg, 0), [2] = C(SNP, reg, A_ONLY64), C(SNP, reg, A_ONLY64) },
    [PP_01FF] = { C(SNP, reg, 0), [2] = C(SNP, reg, A_ONLY64), C(SNP, reg, 0) },
};

const struct emul_cell emul_by_rm[][8] = {
    [RM_01C0] = { C(SGX, reg, A_NP), C(VMCALL, reg, A_NP), C(VMX, reg, A_NP), C(VMX, reg, A_NP), C(VMX, reg, A_NP), C(SGX, reg, A_NP),
                  PP(01C6) },
    [RM_01C8] = { C(MONITOR, reg, A_NP), C(MWAIT, reg, A_NP), PP(01CA), C(STAC, reg, A_NP), C(TDX, reg, A_66),
                  C(TDX, reg, A_66 | A_ONLY64), C(TDX, reg, A_66 | A_ONLY64), PP(01CF) },
    [RM_01D0] = { C(XGETBV, reg, A_NP), C(XSETBV, reg, A_NP), [4] = C(VMX, reg, A_NP), C(TSX, reg, A_NP), C(TSX, reg, A_NP),
                  C(SGX, reg, A_NP) },
    [RM_01D8] = { C(SVM, reg, 0), C(VMMCALL, reg, 0), C(SVM, reg, 0), C(SVM, reg, 0), C(SVM, reg, 0), C(SVM, reg, 0), C(SVM, reg, 0),
                  C(SVM, reg, 0) },
    [RM_01E8] = { PP(01E8), PP(01E9), PP(01EA), [4] = C(UINTR, reg, A_F3 | A_ONLY64), C(UINTR, reg, A_F3 | A_ONLY64), PP(01EE), PP(01EF) },
    [RM_01F8] = { C(SWAPGS, reg, A_ONLY64), C(RDTSCP, reg, 0), PP(01FA), C(MWAIT, reg, A_NP), C(CLFLUSH, reg, 0), C(RDPRU, reg, 0),
                  PP(01FE), PP(01FF) },
    [RM_XABORT] = { [0] = C(TSX, Ib, A_MODRM) },
    [RM_XBEGIN] = { [0] = C(TSX, Iz, A_MODRM) },
    [RM_HRESET] = { [0] = C(HRESET, Ib, A_MODRM | A_F3) },
};

const uint8_t emul_prefix[256] = {
    [0x26] = PK_SEG + EMUL_ES, [0x2e] = PK_SEG + EMUL_CS, [0x36] = PK_SEG + EMUL_SS, [0x3e] = PK_SEG + EMUL_DS,
    [0x64] = PK_SEG + EMUL_FS, [0x65] = PK_SEG + EMUL_GS, [0x66] = PK_66, [0x67] = PK_67,
    [0xf0] = PK_LOCK, [0xf2] = PK_REPNE, [0xf3] = PK_REP, [0x40 ... 0x4f] = PK_REX,
    [0x0f] = PK_ESCAPE, [0x62] = PK_VECTOR, [0x8f] = PK_VECTOR, [0xc4 ... 0xc5] = PK_VECTOR, [0x63] = PK_MOVSXD,
};

/* SDM 1 table 3-4 and 2A 2.2.1.7; APM3 1.2.2 for near branches on AMD. In each mode: no prefix, 66, REX.W, both. */
const uint8_t emul_opsize[SIZES_END][EMUL_MODE_SIZES + 1][4] = {
    [SIZE_V]       = { { 2, 4, 2, 4 }, { 4, 2, 4, 2 }, { 4, 2, 8, 8 }, { 4, 2, 8, 8 } },
    [SIZE_BYTE]    = { { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, { 1, 1, 1, 1 }, { 1, 1, 1, 1 } },
    [SIZE_NATURAL] = { { 4, 4, 4, 4 }, { 4, 4, 4, 4 }, { 8, 8, 8, 8 }, { 8, 8, 8, 8 } },
    [SIZE_Y]       = { { 4, 4, 4, 4 }, { 4, 4, 4, 4 }, { 4, 4, 8, 8 }, { 4, 4, 8, 8 } },
    [SIZE_IO]      = { { 2, 4, 2, 4 }, { 4, 2, 4, 2 }, { 4, 2, 4, 4 }, { 4, 2, 4, 4 } },
    [SIZE_F64]     = { { 2, 4, 2, 4 }, { 4, 2, 4, 2 }, { 8, 8, 8, 8 }, { 8, 8, 8, 8 } },
    [SIZE_D64]     = { { 2, 4, 2, 4 }, { 4, 2, 4, 2 }, { 8, 2, 8, 8 }, { 8, 2, 8, 8 } },
    [SIZE_NEAR]    = { { 2, 4, 2, 4 }, { 4, 2, 4, 2 }, { 8, 8, 8, 8 }, { 8, 2, 8, 8 } },
};

/* SDM 2A table 2-2: with mod 0 an rm of 5 is RIP-relative, or in 32-bit code no register. */
#define BASE_OF(n)   ((n) >= 0xc0 ? EMUL_REG_NONE : ((n) & 7) == 4 ? EMUL_REG_SIB : ((n) & 0xc7) == 5 ? EMUL_REG_RIP : (n) & 7)
#define DISP_OF(n)   ((n) >= 0xc0 ? 0 : ((n) & 0xc7) == 5 || (n) >= 0x80 ? 4 : (n) >> 6)
#define MODRM(n)     { 1, n, (n) >> 6, (n) >> 3 & 7, (n) & 7, BASE_OF(n), EMUL_REG_NONE, DISP_OF(n) }
#define TAIL(n, size)  [(n) + 4 ... (n) + 5] = MEMORY_MORE, [(n) + 6 ... (n) + 11] = size
#define TAILS(n, size) [n ... (n) + 3] = size, TAIL(n, size), TAIL((n) + 8, size), TAIL((n) + 16, size), TAIL((n) + 24, size), \
                       TAIL((n) + 32, size), TAIL((n) + 40, size), TAIL((n) + 48, size), [(n) + 60 ... (n) + 61] = MEMORY_MORE, \
                       [(n) + 62 ... (n) + 63] = size
#define MODRM_4(n)   MODRM(n), MODRM((n) + 1), MODRM((n) + 2), MODRM((n) + 3)
#define MODRM_16(n)  MODRM_4(n), MODRM_4((n) + 4), MODRM_4((n) + 8), MODRM_4((n) + 12)
#define MODRM_64(n)  MODRM_16(n), MODRM_16((n) + 16), MODRM_16((n) + 32), MODRM_16((n) + 48)
const struct emul_modrm emul_modrm[256] = { MODRM_64(0), MODRM_64(64), MODRM_64(128), MODRM_64(192) };
const uint8_t emul_modrm_tail[256] = { TAILS(0, 0), TAILS(0x40, 1), TAILS(0x80, 4) };

/* SDM 2D A.5.2. Kept as existing: the aliases FSTPNCE, FCOM2, FCOMP3, FXCH4, FCOMP5, FXCH7, FSTP8, FSTP9, and the 8087 and 80287
 * no-operations FENI, FDISI, FSETPM, FRSTPM, all of which run on the processors of today. */
const uint8_t emul_x87_mem[8] = { 0xff, 0xfd, 0xff, 0xaf, 0xff, 0xdf, 0xff, 0xff };
const uint8_t emul_x87_reg[8][8] = {
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0x01, 0xff, 0x33, 0x7f, 0xff, 0xff },
    { 0xff, 0xff, 0xff, 0xff, 0x00, 0x02, 0x00, 0x00 }, { 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0x00 },
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00 },
    { 0xff, 0xff, 0xff, 0x02, 0xff, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0x00 },
};

/* AMD 3DNow! Technology Manual, table 4, and its extensions: 0C 0D 1C 1D 8A 8E 90 94 96 97 9A 9E A0 A4 A6 A7 AA AE B0 B4 B6 B7 BB BF */
const uint32_t emul_3dnow[8] = { 0x30003000, 0, 0, 0, 0x44d14400, 0x88d144d1, 0, 0 };

#define OP_NAME(name) #name,
static const char *const names[] = { EMUL_OPS(OP_NAME) };

const char *emul_op_name(unsigned op)
{
    return op && op < EMUL_OPS_END ? names[op] : "?";
}
