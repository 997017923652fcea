/* The legacy opcode maps: one cell per opcode, in the order and the operand letters of SDM 2D appendix A. */
#include "tables.h"

#define CELL(mnemonic, operands, attr, plain) { { { EMUL_##mnemonic, FORM_##operands } }, SIZE_OF(attr), plain, attr }
#define CX(mnemonic, operands, extra) CELL(mnemonic, operands, ATTR_##operands | (extra), PLAIN_OF(ATTR_##operands | (extra)))
#define C(mnemonic, operands)        CX(mnemonic, operands, 0)
#define SPLIT(row, plain, attr)      { { { row, 0 } }, 0, plain, attr }
#define NONE                         SPLIT(0, PLAIN_NOT, 0)
#define REG(row)                     SPLIT(ROW_##row, PLAIN_GROUP, A_BY_REG)
#define MOD(row)                     SPLIT(MOD_##row, PLAIN_MOD, A_BY_MOD)
#define PP(row)                      SPLIT(PP_##row, PLAIN_NOT, A_BY_PP)
#define RM(row)                      SPLIT(RM_##row, PLAIN_NOT, A_BY_RM)
#define VEC(extra)                   CX(SIMD, V_W, extra)
#define VEC_IB(extra)                CX(SIMD, V_W_Ib, extra)

/* Rows of emul_split, named after what splits and the opcode they belong to. */
enum { ROW_80, ROW_81, ROW_82, ROW_83, ROW_8F, ROW_C0, ROW_C1, ROW_C6, ROW_C7, ROW_D0, ROW_D1, ROW_D2, ROW_D3, ROW_F6, ROW_F7, ROW_FE,
       ROW_FF, ROW_0F00, ROW_0F01_MEM, ROW_0F01_REG, ROW_0F71, ROW_0F72, ROW_0F73, ROW_0FAE_MEM, ROW_0FAE_REG, ROW_0FBA, ROW_0FC7_MEM,
       ROW_0FC7_REG, ROW_EXTRQ, ROW_0F38D8, ROW_0F3AF0, MOD_0F01, MOD_0FAE, MOD_0FC7, PP_90, PP_0F12, PP_0F16, PP_0F78, PP_0F79, PP_0FBC,
       PP_0FBD, PP_0FD6, PP_AE4_MEM, PP_AE6_MEM, PP_AE5_REG, PP_AE6_REG, PP_C7_6_REG, PP_C7_7_REG, PP_38DC, PP_38DD, PP_38F0, PP_38F1,
       PP_38F6, PP_01E8, PP_01EE, PP_01EF, PP_01FE, PP_01FF, PP_01CF, PP_01CA, RM_01C0, RM_01C8, RM_01D0, RM_01D8, RM_01E8, RM_01F8,
       RM_XABORT, RM_XBEGIN, RM_HRESET };

/* The eight arithmetic operations have one shape: six opcodes from `at`. */
#define ALU(at, mnemonic, lock) \
    [at] = CX(mnemonic, Eb_Gb, lock), CX(mnemonic, Ev_Gv, lock), C(mnemonic, Gb_Eb), C(mnemonic, Gv_Ev), C(mnemonic, AL_Ib), \
           C(mnemonic, rAX_Iz)

const struct emul_cell emul_legacy[4][256] = {
    [EMUL_MAP_1] = {
        ALU(0x00, ADD, A_LOCK), ALU(0x08, OR, A_LOCK), ALU(0x10, ADC, A_LOCK), ALU(0x18, SBB, A_LOCK), ALU(0x20, AND, A_LOCK),
        ALU(0x28, SUB, A_LOCK), ALU(0x30, XOR, A_LOCK), ALU(0x38, CMP, 0), [0x06] = CX(PUSH, Sreg, A_NO64), CX(POP, Sreg, A_NO64),
        [0x0e] = CX(PUSH, Sreg, A_NO64), [0x16] = CX(PUSH, Sreg, A_NO64), CX(POP, Sreg, A_NO64), [0x1e] = CX(PUSH, Sreg, A_NO64),
        [0x1f] = CX(POP, Sreg, A_NO64), [0x27] = CX(DAA, none, A_NO64), [0x2f] = CX(DAS, none, A_NO64), [0x37] = CX(AAA, none, A_NO64),
        [0x3f] = CX(AAS, none, A_NO64), [0x40 ... 0x47] = CX(INC, Zv, A_NO64), [0x48 ... 0x4f] = CX(DEC, Zv, A_NO64),
        [0x50 ... 0x57] = C(PUSH, Zq), [0x58 ... 0x5f] = C(POP, Zq), [0x60] = CX(PUSHA, none, A_NO64), CX(POPA, none, A_NO64),
        [0x62] = CX(BOUND, Gv_Ma, A_NO64), CELL(ARPL, Ew_Gw, ATTR_Ew_Gw, PLAIN_NOT), [0x68] = C(PUSH, Iz), C(IMUL3, Gv_Ev_Iz), C(PUSH, Ibs), C(IMUL3, Gv_Ev_Ib),
        [0x6c] = C(INS, Yb_DX), C(INS, Yv_DX), C(OUTS, DX_Xb), C(OUTS, DX_Xv), [0x70 ... 0x7f] = C(JCC, Jb), [0x80] = REG(80), REG(81),
        [0x82] = REG(82), REG(83), C(TEST, Eb_Gb), C(TEST, Ev_Gv), CX(XCHG, Eb_Gb, A_LOCK), CX(XCHG, Ev_Gv, A_LOCK), [0x88] = C(MOV, Eb_Gb),
        [0x89] = C(MOV, Ev_Gv), C(MOV, Gb_Eb), C(MOV, Gv_Ev), C(MOVSEG, Ev_Sw), C(LEA, Gv_M), C(MOVSEG, Sw_Ew),
        [0x8f] = SPLIT(ROW_8F, PLAIN_NOT, A_BY_REG), PP(90),
        [0x91 ... 0x97] = C(XCHG, Zv_rAX), [0x98] = C(CBW, none), C(CWD, none), C(CALLF, Ap), C(WAIT, none), C(PUSHF, Fv), C(POPF, Fv),
        [0x9e] = C(SAHF, none), C(LAHF, none), [0xa0] = C(MOV, AL_Ob), C(MOV, rAX_Ov), C(MOV, Ob_AL), C(MOV, Ov_rAX), C(MOVS, Yb_Xb),
        [0xa5] = C(MOVS, Yv_Xv), C(CMPS, Yb_Xb), C(CMPS, Yv_Xv), [0xa8] = C(TEST, AL_Ib), C(TEST, rAX_Iz), C(STOS, Yb_AL), C(STOS, Yv_rAX),
        [0xac] = C(LODS, AL_Xb), C(LODS, rAX_Xv), C(SCAS, Yb_AL), C(SCAS, Yv_rAX), [0xb0 ... 0xb7] = C(MOV, Zb_Ib),
        [0xb8 ... 0xbf] = C(MOV, Zv_Iv), [0xc0] = REG(C0), REG(C1), C(RET, Iw_near), C(RET, near), CX(LES, Gv_Mp, A_NO64),
        [0xc5] = CX(LDS, Gv_Mp, A_NO64), REG(C6), REG(C7), [0xc8] = C(ENTER, Iw_Ib), C(LEAVE, Fv), C(RETF, Iw), C(RETF, none),
        [0xcc] = C(INT3, none), C(INT, Ib), CX(INTO, none, A_NO64), C(IRET, none), [0xd0] = REG(D0), REG(D1), REG(D2), REG(D3),
        [0xd4] = CX(AAM, Ib, A_NO64), CX(AAD, Ib, A_NO64), CX(SALC, none, A_NO64), C(XLAT, none), [0xd8 ... 0xdf] = C(X87, x87),
        [0xe0] = C(LOOPNE, Jb), C(LOOPE, Jb), C(LOOP, Jb), C(JCXZ, Jb), C(IN, AL_Ib), C(IN, rAX_Ib), C(OUT, Ib_AL), C(OUT, Ib_rAX),
        [0xe8] = C(CALL, Jz), C(JMP, Jz), C(JMPF, Ap), C(JMP, Jb), C(IN, AL_DX), C(IN, rAX_DX), C(OUT, DX_AL), C(OUT, DX_rAX),
        [0xf1] = C(INT1, none), [0xf4] = C(HLT, none), C(CMC, none), REG(F6), REG(F7), [0xf8] = C(CLC, none), C(STC, none), C(CLI, none),
        [0xfb] = C(STI, none), C(CLD, none), C(STD, none), REG(FE), REG(FF),
    },
    [EMUL_MAP_0F] = {
        [0x00] = REG(0F00), MOD(0F01), C(LAR, Gv_Ew), C(LSL, Gv_Ew), [0x05] = C(SYSCALL, none), C(CLTS, none), C(SYSRET, none),
        [0x08] = C(INVD, none), C(WBINVD, none), [0x0b] = C(UD2, none), [0x0d] = C(NOP, Ev), C(AMD3DNOW, none), C(AMD3DNOW, V_W_3dnow),
        [0x10 ... 0x11] = VEC(A_PP), [0x12] = PP(0F12), VEC(A_N6 | A_MEM), [0x14 ... 0x15] = VEC(A_N6), [0x16] = PP(0F16),
        [0x17] = VEC(A_N6 | A_MEM), [0x18 ... 0x1f] = C(NOP, Ev), [0x20] = C(MOVCR, Rd_Cd), C(MOVDR, Rd_Dd), C(MOVCR, Cd_Rd),
        [0x23] = C(MOVDR, Dd_Rd), [0x28 ... 0x29] = VEC(A_N6), [0x2a] = VEC(A_PP), VEC(A_PP | A_MEM), [0x2c ... 0x2d] = VEC(A_PP),
        [0x2e ... 0x2f] = VEC(A_N6), [0x30] = C(WRMSR, none), C(RDTSC, none), C(RDMSR, none), C(RDPMC, none), C(SYSENTER, none),
        [0x35] = C(SYSEXIT, none), [0x37] = CX(GETSEC, none, A_NP), [0x40 ... 0x4f] = C(CMOV, Gv_Ev), [0x50] = VEC(A_N6 | A_REG), VEC(A_PP),
        [0x52 ... 0x53] = VEC(A_N3), [0x54 ... 0x57] = VEC(A_N6), [0x58 ... 0x5a] = VEC(A_PP), [0x5b] = VEC(A_N63),
        [0x5c ... 0x5f] = VEC(A_PP), [0x60 ... 0x6b] = VEC(A_N6), [0x6c ... 0x6d] = VEC(A_66), [0x6e] = VEC(A_N6), VEC(A_N63),
        [0x70] = VEC_IB(A_PP), REG(0F71), REG(0F72), REG(0F73), [0x74 ... 0x76] = VEC(A_N6), [0x77] = CX(SIMD, none, A_NP),
        [0x78] = PP(0F78), PP(0F79), [0x7c ... 0x7d] = VEC(A_62), [0x7e ... 0x7f] = VEC(A_N63), [0x80 ... 0x8f] = C(JCC, Jz),
        [0x90 ... 0x9f] = C(SETCC, Eb), [0xa0] = C(PUSH, Sreg), C(POP, Sreg), C(CPUID, none), C(BT, Ev_Gv), C(SHLD, Ev_Gv_Ib),
        [0xa5] = C(SHLD, Ev_Gv_CL), [0xa8] = C(PUSH, Sreg), C(POP, Sreg), C(RSM, none), CX(BTS, Ev_Gv, A_LOCK), C(SHRD, Ev_Gv_Ib),
        [0xad] = C(SHRD, Ev_Gv_CL), MOD(0FAE), C(IMUL2, Gv_Ev), [0xb0] = CX(CMPXCHG, Eb_Gb, A_LOCK), CX(CMPXCHG, Ev_Gv, A_LOCK),
        [0xb2] = C(LSS, Gv_Mp), CX(BTR, Ev_Gv, A_LOCK), C(LFS, Gv_Mp), C(LGS, Gv_Mp), C(MOVZX, Gv_Eb), C(MOVZX, Gv_Ew),
        [0xb8] = CX(POPCNT, Gv_Ev, A_F3), C(UD1, Gv_Ev), REG(0FBA), CX(BTC, Ev_Gv, A_LOCK), PP(0FBC), PP(0FBD), C(MOVSX, Gv_Eb),
        [0xbf] = C(MOVSX, Gv_Ew),
        [0xc0] = CX(XADD, Eb_Gb, A_LOCK), CX(XADD, Ev_Gv, A_LOCK), VEC_IB(A_PP), CX(MOVNTI, My_Gy, A_NP), VEC_IB(A_N6),
        [0xc5] = VEC_IB(A_N6 | A_REG), VEC_IB(A_N6), MOD(0FC7), [0xc8 ... 0xcf] = C(BSWAP, Zv), [0xd0] = VEC(A_62),
        [0xd1 ... 0xd5] = VEC(A_N6), [0xd6] = PP(0FD6), VEC(A_N6 | A_REG), [0xd8 ... 0xe5] = VEC(A_N6), [0xe6] = VEC(A_632),
        [0xe7] = VEC(A_N6 | A_MEM), [0xe8 ... 0xef] = VEC(A_N6), [0xf0] = VEC(A_F2 | A_MEM), [0xf1 ... 0xf6] = VEC(A_N6),
        [0xf7] = VEC(A_N6 | A_REG), [0xf8 ... 0xfe] = VEC(A_N6), [0xff] = C(UD0, Gv_Ev),
    },
    [EMUL_MAP_0F38] = {
        [0x00 ... 0x0b] = VEC(A_N6), [0x10] = VEC(A_66), [0x14 ... 0x15] = VEC(A_66), [0x17] = VEC(A_66), [0x1c ... 0x1e] = VEC(A_N6),
        [0x20 ... 0x25] = VEC(A_66), [0x28 ... 0x29] = VEC(A_66), [0x2a] = VEC(A_66 | A_MEM), VEC(A_66), [0x30 ... 0x35] = VEC(A_66),
        [0x37 ... 0x41] = VEC(A_66), [0x80 ... 0x81] = CX(VMX, Gv_M, A_66 | A_F64), [0x82] = CX(INVPCID, Gv_M, A_66 | A_F64),
        [0xc8 ... 0xcd] = VEC(A_NP), [0xcf] = VEC(A_66), [0xd8] = REG(0F38D8), [0xdb] = VEC(A_66), PP(38DC), [0xdd ... 0xdf] = PP(38DD),
        [0xf0] = PP(38F0), PP(38F1), [0xf5] = CX(SHADOW, My_Gy, A_66), PP(38F6), [0xf8] = CX(MOVDIR, Gv_M, A_632), CX(MOVDIR, My_Gy, A_NP),
        [0xfa ... 0xfb] = CX(KEYLOCKER, reg, A_F3), [0xfc] = CX(RAOINT, My_Gy, A_PP),
    },
    [EMUL_MAP_0F3A] = {
        [0x08 ... 0x0e] = VEC_IB(A_66), [0x0f] = VEC_IB(A_N6), [0x14 ... 0x17] = VEC_IB(A_66), [0x20 ... 0x22] = VEC_IB(A_66),
        [0x40 ... 0x42] = VEC_IB(A_66), [0x44] = VEC_IB(A_66), [0x60 ... 0x63] = VEC_IB(A_66), [0xcc] = VEC_IB(A_NP),
        [0xce ... 0xcf] = VEC_IB(A_66), [0xdf] = VEC_IB(A_66), [0xf0] = REG(0F3AF0),
    },
};

/* Groups 1 to 3, in the order of ModRM.reg. */
#define GROUP1(form, no64) { CX(ADD, form, A_LOCK | (no64)), CX(OR, form, A_LOCK | (no64)), CX(ADC, form, A_LOCK | (no64)), \
    CX(SBB, form, A_LOCK | (no64)), CX(AND, form, A_LOCK | (no64)), CX(SUB, form, A_LOCK | (no64)), CX(XOR, form, A_LOCK | (no64)), \
    CX(CMP, form, no64) }
#define GROUP2(form) { C(ROL, form), C(ROR, form), C(RCL, form), C(RCR, form), C(SHL, form), C(SHR, form), C(SHL, form), C(SAR, form) }
#define GROUP3(form, with) { C(TEST, with), C(TEST, with), CX(NOT, form, A_LOCK), CX(NEG, form, A_LOCK), C(MUL, form), C(IMUL, form), \
    C(DIV, form), C(IDIV, form) }
#define SHIFT                VEC_IB(A_N6 | A_REG)
#define BASE                 CX(FSGSBASE, Rv, A_F3 | A_ONLY64)

/* Without operands or prefixes. */
#define PLAIN(mnemonic) CX(mnemonic, reg, A_NP)

const struct emul_cell emul_split[][8] = {
    [ROW_80] = GROUP1(Eb_Ib, 0), [ROW_81] = GROUP1(Ev_Iz, 0), [ROW_82] = GROUP1(Eb_Ib, A_NO64), [ROW_83] = GROUP1(Ev_Ib, 0),
    [ROW_8F] = { C(POP, Eq) }, [ROW_C0] = GROUP2(Eb_Ib), [ROW_C1] = GROUP2(Ev_Ib), [ROW_D0] = GROUP2(Eb_1), [ROW_D1] = GROUP2(Ev_1),
    [ROW_D2] = GROUP2(Eb_CL), [ROW_D3] = GROUP2(Ev_CL), [ROW_C6] = { C(MOV, Eb_Ib), [7] = RM(XABORT) },
    [ROW_C7] = { C(MOV, Ev_Iz), [7] = RM(XBEGIN) }, [ROW_F6] = GROUP3(Eb, Eb_Ib), [ROW_F7] = GROUP3(Ev, Ev_Iz),
    [ROW_FE] = { CX(INC, Eb, A_LOCK), CX(DEC, Eb, A_LOCK) },
    [ROW_FF] = { CX(INC, Ev, A_LOCK), CX(DEC, Ev, A_LOCK), C(CALL, En), C(CALLF, Mp), C(JMP, En), C(JMPF, Mp), C(PUSH, Eq) },
    [ROW_0F00] = { C(SLDT, Ev), C(STR, Ev), C(LLDT, Ew), C(LTR, Ew), C(VERR, Ew), C(VERW, Ew), CX(FRED, Ew, A_F2 | A_ONLY64) },
    [ROW_0F01_MEM] = { C(SGDT, Ms), C(SIDT, Ms), C(LGDT, Ms), C(LIDT, Ms), C(SMSW, Ev), CX(SHADOW, M, A_F3), C(LMSW, Ew), 
                       CELL(INVLPG, M, ATTR_M, PLAIN_YES | PLAIN_MODRM) },
    [ROW_0F01_REG] = { RM(01C0), RM(01C8), RM(01D0), RM(01D8), C(SMSW, Ev), RM(01E8), C(LMSW, Ew), RM(01F8) },
    [ROW_0F71] = { [2] = SHIFT, [4] = SHIFT, [6] = SHIFT }, [ROW_0F72] = { [2] = SHIFT, [4] = SHIFT, [6] = SHIFT },
    [ROW_0F73] = { [2] = SHIFT, VEC_IB(A_66 | A_REG), [6] = SHIFT, VEC_IB(A_66 | A_REG) },
    [ROW_0FAE_MEM] = { CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP), VEC(A_NP), VEC(A_NP), PP(AE4_MEM), CX(XSAVE, M, A_NP), PP(AE6_MEM),
                       CX(CLFLUSH, M, A_N6) },
    [ROW_0FAE_REG] = { BASE, BASE, BASE, BASE, CX(PTWRITE, Ev, A_F3), PP(AE5_REG), PP(AE6_REG), CX(FENCE, reg, A_NP) },
    [ROW_0FBA] = { [4] = C(BT, Ev_Ib), CX(BTS, Ev_Ib, A_LOCK), CX(BTR, Ev_Ib, A_LOCK), CX(BTC, Ev_Ib, A_LOCK) },
    [ROW_0FC7_MEM] = { [1] = CX(CMPXCHG8B, My, A_LOCK), [3] = CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP),
                       CX(VMX, M, A_N63), CX(VMX, M, A_NP) },
    [ROW_0FC7_REG] = { [6] = PP(C7_6_REG), PP(C7_7_REG) }, [ROW_EXTRQ] = { CX(SIMD, V_W_Ib_Ib, A_REG) },
    [ROW_0F38D8] = { [0 ... 3] = CX(KEYLOCKER, M, A_F3) }, [ROW_0F3AF0] = { RM(HRESET) },
    [MOD_0F01] = { REG(0F01_MEM), REG(0F01_REG) }, [MOD_0FAE] = { REG(0FAE_MEM), REG(0FAE_REG) },
    [MOD_0FC7] = { REG(0FC7_MEM), REG(0FC7_REG) },
    /* Where the mandatory prefix names another operation or form; where it only allows one, the cell says so (A_PP). */
    [PP_90] = { C(XCHG, Zv_rAX), C(XCHG, Zv_rAX), CX(PAUSE, none, A_CHECK), C(XCHG, Zv_rAX) },
    [PP_0F12] = { VEC(0), VEC(A_MEM), VEC(0), VEC(0) }, [PP_0F16] = { VEC(0), VEC(A_MEM), VEC(0), NONE },
    [PP_0F78] = { C(VMX, Ey_Gy), REG(EXTRQ), NONE, CX(SIMD, V_W_Ib_Ib, A_REG) },
    [PP_0F79] = { C(VMX, Ey_Gy), VEC(A_REG), NONE, VEC(A_REG) },
    [PP_0FBC] = { C(BSF, Gv_Ev), C(BSF, Gv_Ev), C(TZCNT, Gv_Ev), C(BSF, Gv_Ev) },
    [PP_0FBD] = { C(BSR, Gv_Ev), C(BSR, Gv_Ev), C(LZCNT, Gv_Ev), C(BSR, Gv_Ev) }, [PP_0FD6] = { NONE, VEC(0), VEC(A_REG), VEC(A_REG) },
    [PP_AE4_MEM] = { C(XSAVE, M), NONE, C(PTWRITE, Ev) }, [PP_AE6_MEM] = { C(XSAVE, M), C(CLFLUSH, M), C(SHADOW, M) },
    [PP_AE5_REG] = { C(FENCE, reg), NONE, C(SHADOW, Rv) }, [PP_AE6_REG] = { C(FENCE, reg), C(WAITPKG, Rv), C(WAITPKG, Rv), C(WAITPKG, Rv) },
    [PP_C7_6_REG] = { C(RDRAND, Rv), C(RDRAND, Rv), CX(UINTR, Rv, A_ONLY64) },
    [PP_C7_7_REG] = { C(RDSEED, Rv), C(RDSEED, Rv), CX(RDPID, Rv, A_F64) },
    [PP_38DC] = { NONE, VEC(0), C(KEYLOCKER, V_W) }, [PP_38DD] = { NONE, VEC(0), C(KEYLOCKER, M) },
    [PP_38F0] = { C(MOVBE, Gv_Mv), C(MOVBE, Gv_Mv), NONE, C(CRC32, Gd_Eb) },
    [PP_38F1] = { C(MOVBE, Mv_Gv), C(MOVBE, Mv_Gv), NONE, C(CRC32, Gd_Ev) },
    [PP_38F6] = { C(SHADOW, My_Gy), C(ADCX, Gy_Ey), C(ADOX, Gy_Ey) }, [PP_01CF] = { C(SGX, reg), CX(TDX, reg, A_ONLY64) },
    [PP_01CA] = { C(CLAC, reg), NONE, CX(FRED, reg, A_ONLY64), CX(FRED, reg, A_ONLY64) },
    [PP_01E8] = { C(SERIALIZE, reg), NONE, C(SHADOW, reg), C(TSX, reg) }, [PP_01EE] = { C(RDPKRU, reg), NONE, CX(UINTR, reg, A_ONLY64) },
    [PP_01EF] = { C(WRPKRU, reg), NONE, CX(UINTR, reg, A_ONLY64) },
    [PP_01FE] = { C(SNP, reg), NONE, CX(SNP, reg, A_ONLY64), CX(SNP, reg, A_ONLY64) },
    [PP_01FF] = { C(SNP, reg), NONE, CX(SNP, reg, A_ONLY64), C(SNP, reg) },
    [RM_01C0] = { PLAIN(SGX), PLAIN(VMCALL), PLAIN(VMX), PLAIN(VMX), PLAIN(VMX), PLAIN(SGX), PLAIN(WRMSR) },
    [RM_01C8] = { PLAIN(MONITOR), PLAIN(MWAIT), PP(01CA), PLAIN(STAC), CX(TDX, reg, A_66), CX(TDX, reg, A_66 | A_ONLY64),
                  CX(TDX, reg, A_66 | A_ONLY64), PP(01CF) },
    [RM_01D0] = { PLAIN(XGETBV), PLAIN(XSETBV), [4] = PLAIN(VMX), PLAIN(TSX), PLAIN(TSX), PLAIN(SGX) },
    [RM_01D8] = { C(SVM, reg), C(VMMCALL, reg), [2 ... 7] = C(SVM, reg) },
    [RM_01E8] = { PP(01E8), CX(TSX, reg, A_F2), CX(SHADOW, reg, A_F3), [4] = CX(UINTR, reg, A_F3 | A_ONLY64),
                  CX(UINTR, reg, A_F3 | A_ONLY64), PP(01EE), PP(01EF) },
    [RM_01F8] = { CX(SWAPGS, reg, A_ONLY64), C(RDTSCP, reg), CX(MONITOR, reg, A_N3), PLAIN(MWAIT), C(CLFLUSH, reg), C(RDPRU, reg), PP(01FE),
                  PP(01FF) },
    [RM_XABORT] = { CX(TSX, Ib, A_MODRM | A_REG) }, [RM_XBEGIN] = { CX(TSX, Iz, A_MODRM | A_REG) },
    [RM_HRESET] = { CX(HRESET, Ib, A_MODRM | A_F3 | A_REG) },
};

const uint8_t emul_prefix[256] = {
    [0x26] = PK_SEG + EMUL_ES, [0x2e] = PK_SEG + EMUL_CS, [0x36] = PK_SEG + EMUL_SS, [0x3e] = PK_SEG + EMUL_DS,
    [0x64] = PK_SEG + EMUL_FS, [0x65] = PK_SEG + EMUL_GS, [0x66] = EMUL_PFX_66, [0x67] = EMUL_PFX_67,
    [0xf0] = EMUL_PFX_LOCK, [0xf2] = EMUL_PFX_REPNE, [0xf3] = EMUL_PFX_REP, [0x40 ... 0x4f] = EMUL_PFX_REX,
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
#define TAIL(n)      ((n) < 0xc0 && ((n) & 6) == 4 ? MEMORY_MORE : DISP_OF(n))
#define EACH_4(what, n)  what(n), what((n) + 1), what((n) + 2), what((n) + 3)
#define EACH_16(what, n) EACH_4(what, n), EACH_4(what, (n) + 4), EACH_4(what, (n) + 8), EACH_4(what, (n) + 12)
#define EACH_64(what, n) EACH_16(what, n), EACH_16(what, (n) + 16), EACH_16(what, (n) + 32), EACH_16(what, (n) + 48)
#define EACH_BYTE(what)  EACH_64(what, 0), EACH_64(what, 64), EACH_64(what, 128), EACH_64(what, 192)
const struct emul_modrm emul_modrm[256] = { EACH_BYTE(MODRM) };
const uint8_t emul_modrm_tail[256] = { EACH_BYTE(TAIL) };

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

#define OP_NAME(name, ...) #name,
static const char *const names[] = { EMUL_OPS(OP_NAME) };

const char *emul_op_name(unsigned op)
{
    return op && op < EMUL_OPS_END ? names[op] : "?";
}
