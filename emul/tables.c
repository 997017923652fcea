/* The legacy opcode maps: one cell per opcode, in the order and the operand letters of SDM 2D appendix A. */
#include "tables.h"

#define CELL(mnemonic, operands, attr, plain) { { { EMUL_##mnemonic, FORM_##operands } }, SIZE_OF(attr), plain, attr }
#define CX(mnemonic, operands, extra) CELL(mnemonic, operands, ATTR_##operands | (extra), PLAIN_OF(ATTR_##operands | (extra)))
#define C(mnemonic, operands)        CX(mnemonic, operands, 0)
#define OP(mnemonic)                 C(mnemonic, none)
#define NO64(mnemonic, operands)     CX(mnemonic, operands, A_NO64)
#define LOCK(mnemonic, operands)     CX(mnemonic, operands, A_LOCK)
#define SPLIT(row, plain, attr)      { { { row, 0 } }, 0, plain, attr }
#define NONE                         SPLIT(0, PLAIN_NOT, 0)
#define REG(row)                     SPLIT(ROW_##row, PLAIN_GROUP, A_BY_REG)
#define MOD(row)                     SPLIT(MOD_##row, PLAIN_MOD, A_BY_MOD)
#define PP(row)                      SPLIT(PP_##row, PLAIN_NOT, A_BY_PP)
#define RM(row)                      SPLIT(RM_##row, PLAIN_NOT, A_BY_RM)
#define MODE(row)                    SPLIT(MODE_##row, PLAIN_NOT, A_BY_MODE)
#define VEC(extra)                   CX(SIMD, V_W, extra)
#define VEC_IB(extra)                CX(SIMD, V_W_Ib, extra)

/* Groups 1 to 3, in the order of ModRM.reg. */
#define GROUP1(form, no64) \
    CX(ADD, form, A_LOCK | (no64)), CX(OR, form, A_LOCK | (no64)), CX(ADC, form, A_LOCK | (no64)), CX(SBB, form, A_LOCK | (no64)), \
    CX(AND, form, A_LOCK | (no64)), CX(SUB, form, A_LOCK | (no64)), CX(XOR, form, A_LOCK | (no64)), CX(CMP, form, no64)
#define GROUP2(form) C(ROL, form), C(ROR, form), C(RCL, form), C(RCR, form), C(SHL, form), C(SHR, form), C(SHL, form), C(SAR, form)
#define GROUP3(form, with) C(TEST, with), C(TEST, with), LOCK(NOT, form), LOCK(NEG, form), C(MUL, form), \
    C(IMUL, form), C(DIV, form), C(IDIV, form)
#define SHIFT                VEC_IB(A_N6 | A_REG)
#define BASE                 CX(FSGSBASE, Rv, A_F3 | A_ONLY64)

/* Without operands or prefixes. */
#define PLAIN(mnemonic) CX(mnemonic, reg, A_NP)

/* Rows of emul_split, named after what splits and the opcode they belong to: by ModRM.reg, by memory and register, by mode, by
 * mandatory prefix where it names another operation or form (where it only allows one, the cell says so, A_PP), by ModRM.rm. */
#define SPLITS(X) \
    X(ROW_80, GROUP1(Eb_Ib, 0)) X(ROW_81, GROUP1(Ev_Iz, 0)) X(ROW_82, GROUP1(Eb_Ib, A_NO64)) X(ROW_83, GROUP1(Ev_Ib, 0)) \
    X(ROW_8F, C(POP, Eq)) X(ROW_C0, GROUP2(Eb_Ib)) X(ROW_C1, GROUP2(Ev_Ib)) X(ROW_D0, GROUP2(Eb_1)) X(ROW_D1, GROUP2(Ev_1)) \
    X(ROW_D2, GROUP2(Eb_CL)) X(ROW_D3, GROUP2(Ev_CL)) X(ROW_C6, C(MOV, Eb_Ib), [7] = RM(XABORT)) \
    X(ROW_C7, C(MOV, Ev_Iz), [7] = RM(XBEGIN)) X(ROW_F6, GROUP3(Eb, Eb_Ib)) X(ROW_F7, GROUP3(Ev, Ev_Iz)) \
    X(ROW_FE, LOCK(INC, Eb), LOCK(DEC, Eb)) \
    X(ROW_FF, LOCK(INC, Ev), LOCK(DEC, Ev), C(CALL, En), C(CALLF, Mp), C(JMP, En), C(JMPF, Mp), C(PUSH, Eq)) \
    X(ROW_0F00, C(SLDT, Ev), C(STR, Ev), C(LLDT, Ew), C(LTR, Ew), C(VERR, Ew), C(VERW, Ew), CX(FRED, Ew, A_F2 | A_ONLY64)) \
    X(ROW_0F01_MEM, C(SGDT, Ms), C(SIDT, Ms), C(LGDT, Ms), C(LIDT, Ms), C(SMSW, Ev), CX(SHADOW, M, A_F3), C(LMSW, Ew), \
        CELL(INVLPG, M, ATTR_M, PLAIN_YES | PLAIN_MODRM)) \
    X(ROW_0F01_REG, RM(01C0), RM(01C8), RM(01D0), RM(01D8), C(SMSW, Ev), RM(01E8), C(LMSW, Ew), RM(01F8)) \
    X(ROW_0F71, [2] = SHIFT, [4] = SHIFT, [6] = SHIFT) X(ROW_0F73, [2] = SHIFT, VEC_IB(A_66 | A_REG), [6] = SHIFT, VEC_IB(A_66 | A_REG)) \
    X(ROW_0FAE_MEM, CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP), VEC(A_NP), VEC(A_NP), PP(AE4_MEM), CX(XSAVE, M, A_NP), PP(AE6_MEM), \
        CX(CLFLUSH, M, A_N6)) \
    X(ROW_0FAE_REG, BASE, BASE, BASE, BASE, CX(PTWRITE, Ev, A_F3), PP(AE5_REG), PP(AE6_REG), CX(FENCE, reg, A_NP)) \
    X(ROW_0FBA, [4] = C(BT, Ev_Ib), LOCK(BTS, Ev_Ib), LOCK(BTR, Ev_Ib), LOCK(BTC, Ev_Ib)) \
    X(ROW_0FC7_MEM, [1] = LOCK(CMPXCHG8B, My), [3] = CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP), CX(XSAVE, M, A_NP), \
        CX(VMX, M, A_N63), CX(VMX, M, A_NP)) \
    X(ROW_0FC7_REG, [6] = PP(C7_6_REG), PP(C7_7_REG)) X(ROW_EXTRQ, CX(SIMD, V_W_Ib_Ib, A_REG)) \
    X(ROW_0F38D8, [0 ... 3] = CX(KEYLOCKER, M, A_F3)) X(ROW_0F3AF0, RM(HRESET)) X(MOD_0F01, REG(0F01_MEM), REG(0F01_REG)) \
    X(MOD_0FAE, REG(0FAE_MEM), REG(0FAE_REG)) X(MOD_0FC7, REG(0FC7_MEM), REG(0FC7_REG)) \
    X(MODE_63, C(ARPL, Ew_Gw), C(MOVSXD, Gv_Ed)) X(PP_90, C(XCHG, Zv_rAX), C(XCHG, Zv_rAX), CX(PAUSE, none, A_CHECK), C(XCHG, Zv_rAX)) \
    X(PP_0F12, VEC(0), VEC(A_MEM), VEC(0), VEC(0)) X(PP_0F16, VEC(0), VEC(A_MEM), VEC(0), NONE) \
    X(PP_0F78, C(VMX, Ey_Gy), REG(EXTRQ), NONE, CX(SIMD, V_W_Ib_Ib, A_REG)) X(PP_0F79, C(VMX, Ey_Gy), VEC(A_REG), NONE, VEC(A_REG)) \
    X(PP_0FBC, C(BSF, Gv_Ev), C(BSF, Gv_Ev), C(TZCNT, Gv_Ev), C(BSF, Gv_Ev)) \
    X(PP_0FBD, C(BSR, Gv_Ev), C(BSR, Gv_Ev), C(LZCNT, Gv_Ev), C(BSR, Gv_Ev)) X(PP_0FD6, NONE, VEC(0), VEC(A_REG), VEC(A_REG)) \
    X(PP_AE4_MEM, C(XSAVE, M), NONE, C(PTWRITE, Ev)) X(PP_AE6_MEM, C(XSAVE, M), C(CLFLUSH, M), C(SHADOW, M)) \
    X(PP_AE5_REG, C(FENCE, reg), NONE, C(SHADOW, Rv)) X(PP_AE6_REG, C(FENCE, reg), C(WAITPKG, Rv), C(WAITPKG, Rv), C(WAITPKG, Rv)) \
    X(PP_C7_6_REG, C(RDRAND, Rv), C(RDRAND, Rv), CX(UINTR, Rv, A_ONLY64)) \
    X(PP_C7_7_REG, C(RDSEED, Rv), C(RDSEED, Rv), CX(RDPID, Rv, A_F64)) X(PP_38DC, NONE, VEC(0), C(KEYLOCKER, V_W)) \
    X(PP_38DD, NONE, VEC(0), C(KEYLOCKER, M)) X(PP_38F0, C(MOVBE, Gv_Mv), C(MOVBE, Gv_Mv), NONE, C(CRC32, Gd_Eb)) \
    X(PP_38F1, C(MOVBE, Mv_Gv), C(MOVBE, Mv_Gv), NONE, C(CRC32, Gd_Ev)) X(PP_38F6, C(SHADOW, My_Gy), C(ADCX, Gy_Ey), C(ADOX, Gy_Ey)) \
    X(PP_01CF, C(SGX, reg), CX(TDX, reg, A_ONLY64)) X(PP_01CA, C(CLAC, reg), NONE, CX(FRED, reg, A_ONLY64), CX(FRED, reg, A_ONLY64)) \
    X(PP_01E8, C(SERIALIZE, reg), NONE, C(SHADOW, reg), C(TSX, reg)) X(PP_01EE, C(RDPKRU, reg), NONE, CX(UINTR, reg, A_ONLY64)) \
    X(PP_01EF, C(WRPKRU, reg), NONE, CX(UINTR, reg, A_ONLY64)) \
    X(PP_01FE, C(SNP, reg), NONE, CX(SNP, reg, A_ONLY64), CX(SNP, reg, A_ONLY64)) \
    X(PP_01FF, C(SNP, reg), NONE, CX(SNP, reg, A_ONLY64), C(SNP, reg)) \
    X(RM_01C0, PLAIN(SGX), PLAIN(VMCALL), PLAIN(VMX), PLAIN(VMX), PLAIN(VMX), PLAIN(SGX), PLAIN(WRMSR)) \
    X(RM_01C8, PLAIN(MONITOR), PLAIN(MWAIT), PP(01CA), PLAIN(STAC), CX(TDX, reg, A_66), CX(TDX, reg, A_66 | A_ONLY64), \
        CX(TDX, reg, A_66 | A_ONLY64), PP(01CF)) \
    X(RM_01D0, PLAIN(XGETBV), PLAIN(XSETBV), [4] = PLAIN(VMX), PLAIN(TSX), PLAIN(TSX), PLAIN(SGX)) \
    X(RM_01D8, C(SVM, reg), C(VMMCALL, reg), [2 ... 7] = C(SVM, reg)) \
    X(RM_01E8, PP(01E8), CX(TSX, reg, A_F2), CX(SHADOW, reg, A_F3), [4] = CX(UINTR, reg, A_F3 | A_ONLY64), \
        CX(UINTR, reg, A_F3 | A_ONLY64), PP(01EE), PP(01EF)) \
    X(RM_01F8, CX(SWAPGS, reg, A_ONLY64), C(RDTSCP, reg), CX(MONITOR, reg, A_N3), PLAIN(MWAIT), C(CLFLUSH, reg), C(RDPRU, reg), \
        PP(01FE), PP(01FF)) \
    X(RM_XABORT, CX(TSX, Ib, A_MODRM | A_REG)) X(RM_XBEGIN, CX(TSX, Iz, A_MODRM | A_REG)) \
    X(RM_HRESET, CX(HRESET, Ib, A_MODRM | A_F3 | A_REG))
#define SPLIT_ENUM(name, ...) name,
enum { SPLITS(SPLIT_ENUM) };

/* The eight arithmetic operations have one shape: six opcodes from `at`. */
#define ALU(at, mnemonic, lock) \
    [at] = lock(mnemonic, Eb_Gb), lock(mnemonic, Ev_Gv), C(mnemonic, Gb_Eb), C(mnemonic, Gv_Ev), C(mnemonic, AL_Ib), C(mnemonic, rAX_Iz)

const struct emul_cell emul_legacy[4][256] = {
    [EMUL_MAP_1] = {
        ALU(0x00, ADD, LOCK), NO64(PUSH, Sreg), NO64(POP, Sreg), ALU(0x08, OR, LOCK), NO64(PUSH, Sreg), ALU(0x10, ADC, LOCK),
        [0x16] = NO64(PUSH, Sreg), NO64(POP, Sreg), ALU(0x18, SBB, LOCK), NO64(PUSH, Sreg), NO64(POP, Sreg), ALU(0x20, AND, LOCK),
        [0x27] = NO64(DAA, none), ALU(0x28, SUB, LOCK), [0x2f] = NO64(DAS, none), ALU(0x30, XOR, LOCK), [0x37] = NO64(AAA, none),
        ALU(0x38, CMP, C), [0x3f] = NO64(AAS, none), [0x40 ... 0x47] = NO64(INC, Zv), [0x48 ... 0x4f] = NO64(DEC, Zv),
        [0x50 ... 0x57] = C(PUSH, Zq), [0x58 ... 0x5f] = C(POP, Zq), NO64(PUSHA, none), NO64(POPA, none), NO64(BOUND, Gv_Ma), MODE(63),
        [0x68] = C(PUSH, Iz), C(IMUL3, Gv_Ev_Iz), C(PUSH, Ibs), C(IMUL3, Gv_Ev_Ib), C(INS, Yb_DX), C(INS, Yv_DX), C(OUTS, DX_Xb),
        [0x6f] = C(OUTS, DX_Xv), [0x70 ... 0x7f] = C(JCC, Jb), REG(80), REG(81), REG(82), REG(83), C(TEST, Eb_Gb), C(TEST, Ev_Gv),
        [0x86] = LOCK(XCHG, Eb_Gb), LOCK(XCHG, Ev_Gv), C(MOV, Eb_Gb), C(MOV, Ev_Gv), C(MOV, Gb_Eb), C(MOV, Gv_Ev), C(MOVSEG, Ev_Sw),
        [0x8d] = C(LEA, Gv_M), C(MOVSEG, Sw_Ew), REG(8F), PP(90), [0x91 ... 0x97] = C(XCHG, Zv_rAX), OP(CBW), OP(CWD), C(CALLF, Ap),
        [0x9b] = OP(WAIT), C(PUSHF, Fv), C(POPF, Fv), OP(SAHF), OP(LAHF), C(MOV, AL_Ob), C(MOV, rAX_Ov), C(MOV, Ob_AL), C(MOV, Ov_rAX),
        [0xa4] = C(MOVS, Yb_Xb), C(MOVS, Yv_Xv), C(CMPS, Yb_Xb), C(CMPS, Yv_Xv), C(TEST, AL_Ib), C(TEST, rAX_Iz), C(STOS, Yb_AL),
        [0xab] = C(STOS, Yv_rAX), C(LODS, AL_Xb), C(LODS, rAX_Xv), C(SCAS, Yb_AL), C(SCAS, Yv_rAX), [0xb0 ... 0xb7] = C(MOV, Zb_Ib),
        [0xb8 ... 0xbf] = C(MOV, Zv_Iv), REG(C0), REG(C1), C(RET, Iw_near), C(RET, near), NO64(LES, Gv_Mp), NO64(LDS, Gv_Mp), REG(C6),
        [0xc7] = REG(C7), C(ENTER, Iw_Ib), C(LEAVE, Fv), C(RETF, Iw), OP(RETF), OP(INT3), C(INT, Ib), NO64(INTO, none), OP(IRET), REG(D0),
        [0xd1] = REG(D1), REG(D2), REG(D3), NO64(AAM, Ib), NO64(AAD, Ib), NO64(SALC, none), OP(XLAT), [0xd8 ... 0xdf] = C(X87, x87),
        [0xe0] = C(LOOPNE, Jb), C(LOOPE, Jb), C(LOOP, Jb), C(JCXZ, Jb), C(IN, AL_Ib), C(IN, rAX_Ib), C(OUT, Ib_AL), C(OUT, Ib_rAX),
        [0xe8] = C(CALL, Jz), C(JMP, Jz), C(JMPF, Ap), C(JMP, Jb), C(IN, AL_DX), C(IN, rAX_DX), C(OUT, DX_AL), C(OUT, DX_rAX),
        [0xf1] = OP(INT1), [0xf4] = OP(HLT), OP(CMC), REG(F6), REG(F7), OP(CLC), OP(STC), OP(CLI), OP(STI), OP(CLD), OP(STD), REG(FE),
        [0xff] = REG(FF),
    },
    [EMUL_MAP_0F] = {
        [0x00] = REG(0F00), MOD(0F01), C(LAR, Gv_Ew), C(LSL, Gv_Ew), [0x05] = OP(SYSCALL), OP(CLTS), OP(SYSRET), OP(INVD), OP(WBINVD),
        [0x0b] = OP(UD2), [0x0d] = C(NOP, Ev), OP(AMD3DNOW), C(AMD3DNOW, V_W_3dnow), VEC(A_PP), VEC(A_PP), PP(0F12), VEC(A_N6 | A_MEM),
        [0x14] = VEC(A_N6), VEC(A_N6), PP(0F16), VEC(A_N6 | A_MEM), [0x18 ... 0x1f] = C(NOP, Ev), C(MOVCR, Rd_Cd), C(MOVDR, Rd_Dd),
        [0x22] = C(MOVCR, Cd_Rd), C(MOVDR, Dd_Rd), [0x28] = VEC(A_N6), VEC(A_N6), VEC(A_PP), VEC(A_PP | A_MEM), VEC(A_PP), VEC(A_PP),
        [0x2e] = VEC(A_N6), VEC(A_N6), OP(WRMSR), OP(RDTSC), OP(RDMSR), OP(RDPMC), OP(SYSENTER), OP(SYSEXIT),
        [0x37] = CX(GETSEC, none, A_NP), [0x40 ... 0x4f] = C(CMOV, Gv_Ev), VEC(A_N6 | A_REG), VEC(A_PP), VEC(A_N3), VEC(A_N3),
        [0x54 ... 0x57] = VEC(A_N6), [0x58 ... 0x5a] = VEC(A_PP), VEC(A_N63), [0x5c ... 0x5f] = VEC(A_PP), [0x60 ... 0x6b] = VEC(A_N6),
        [0x6c] = VEC(A_66), VEC(A_66), VEC(A_N6), VEC(A_N63), VEC_IB(A_PP), REG(0F71), REG(0F71), REG(0F73), [0x74 ... 0x76] = VEC(A_N6),
        [0x77] = CX(SIMD, none, A_NP), PP(0F78), PP(0F79), [0x7c] = VEC(A_62), VEC(A_62), VEC(A_N63), VEC(A_N63),
        [0x80 ... 0x8f] = C(JCC, Jz), [0x90 ... 0x9f] = C(SETCC, Eb), C(PUSH, Sreg), C(POP, Sreg), OP(CPUID), C(BT, Ev_Gv),
        [0xa4] = C(SHLD, Ev_Gv_Ib), C(SHLD, Ev_Gv_CL), [0xa8] = C(PUSH, Sreg), C(POP, Sreg), OP(RSM), LOCK(BTS, Ev_Gv), C(SHRD, Ev_Gv_Ib),
        [0xad] = C(SHRD, Ev_Gv_CL), MOD(0FAE), C(IMUL2, Gv_Ev), LOCK(CMPXCHG, Eb_Gb), LOCK(CMPXCHG, Ev_Gv), C(LSS, Gv_Mp), LOCK(BTR, Ev_Gv),
        [0xb4] = C(LFS, Gv_Mp), C(LGS, Gv_Mp), C(MOVZX, Gv_Eb), C(MOVZX, Gv_Ew), CX(POPCNT, Gv_Ev, A_F3), C(UD1, Gv_Ev), REG(0FBA),
        [0xbb] = LOCK(BTC, Ev_Gv), PP(0FBC), PP(0FBD), C(MOVSX, Gv_Eb), C(MOVSX, Gv_Ew), LOCK(XADD, Eb_Gb), LOCK(XADD, Ev_Gv), VEC_IB(A_PP),
        [0xc3] = CX(MOVNTI, My_Gy, A_NP), VEC_IB(A_N6), VEC_IB(A_N6 | A_REG), VEC_IB(A_N6), MOD(0FC7), [0xc8 ... 0xcf] = C(BSWAP, Zv),
        [0xd0] = VEC(A_62), [0xd1 ... 0xd5] = VEC(A_N6), PP(0FD6), VEC(A_N6 | A_REG), [0xd8 ... 0xe5] = VEC(A_N6), VEC(A_632),
        [0xe7] = VEC(A_N6 | A_MEM), [0xe8 ... 0xef] = VEC(A_N6), VEC(A_F2 | A_MEM), [0xf1 ... 0xf6] = VEC(A_N6), VEC(A_N6 | A_REG),
        [0xf8 ... 0xfe] = VEC(A_N6), C(UD0, Gv_Ev),
    },
    [EMUL_MAP_0F38] = {
        [0x00 ... 0x0b] = VEC(A_N6), [0x10] = VEC(A_66), [0x14] = VEC(A_66), VEC(A_66), [0x17] = VEC(A_66), [0x1c ... 0x1e] = VEC(A_N6),
        [0x20 ... 0x25] = VEC(A_66), [0x28] = VEC(A_66), VEC(A_66), VEC(A_66 | A_MEM), VEC(A_66), [0x30 ... 0x35] = VEC(A_66),
        [0x37 ... 0x41] = VEC(A_66), [0x80 ... 0x81] = CX(VMX, Gv_M, A_66 | A_F64), CX(INVPCID, Gv_M, A_66 | A_F64),
        [0xc8 ... 0xcd] = VEC(A_NP), [0xcf] = VEC(A_66), [0xd8] = REG(0F38D8), [0xdb] = VEC(A_66), PP(38DC), [0xdd ... 0xdf] = PP(38DD),
        [0xf0] = PP(38F0), PP(38F1), [0xf5] = CX(SHADOW, My_Gy, A_66), PP(38F6), [0xf8] = CX(MOVDIR, Gv_M, A_632), CX(MOVDIR, My_Gy, A_NP),
        [0xfa ... 0xfb] = CX(KEYLOCKER, reg, A_F3), CX(RAOINT, My_Gy, A_PP),
    },
    [EMUL_MAP_0F3A] = {
        [0x08 ... 0x0e] = VEC_IB(A_66), VEC_IB(A_N6), [0x14 ... 0x17] = VEC_IB(A_66), [0x20 ... 0x22] = VEC_IB(A_66),
        [0x40 ... 0x42] = VEC_IB(A_66), [0x44] = VEC_IB(A_66), [0x60 ... 0x63] = VEC_IB(A_66), [0xcc] = VEC_IB(A_NP), [0xce] = VEC_IB(A_66),
        [0xcf] = VEC_IB(A_66), [0xdf] = VEC_IB(A_66), [0xf0] = REG(0F3AF0),
    },
};

#define SPLIT_CELLS(name, ...) [name] = { __VA_ARGS__ },
const struct emul_cell emul_split[][8] = { SPLITS(SPLIT_CELLS) };

const uint8_t emul_prefix[256] = {
    [0x26] = PK_SEG + EMUL_ES, [0x2e] = PK_SEG + EMUL_CS, [0x36] = PK_SEG + EMUL_SS, [0x3e] = PK_SEG + EMUL_DS,
    [0x64] = PK_SEG + EMUL_FS, [0x65] = PK_SEG + EMUL_GS, [0x66] = EMUL_PFX_66, [0x67] = EMUL_PFX_67,
    [0xf0] = EMUL_PFX_LOCK, [0xf2] = EMUL_PFX_REPNE, [0xf3] = EMUL_PFX_REP, [0x40 ... 0x4f] = EMUL_PFX_REX,
    [0x0f] = PK_ESCAPE, [0x62] = PK_VECTOR, [0x8f] = PK_XOP, [0xc4 ... 0xc5] = PK_VECTOR,
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
const uint64_t emul_x87_reg[8] = {
    0xffffffffffffffff, 0xffff7f33ff01ffff, 0x00000200ffffffff, 0x00ffff1fffffffff,
    0xffffffffffffffff, 0x0000ffffffffffff, 0xffffffff02ffffff, 0x00ffff01ffffffff,
};

/* AMD 3DNow! Technology Manual, table 4, and its extensions: 0C 0D 1C 1D 8A 8E 90 94 96 97 9A 9E A0 A4 A6 A7 AA AE B0 B4 B6 B7 BB BF */
const uint32_t emul_3dnow[8] = { 0x30003000, 0, 0, 0, 0x44d14400, 0x88d144d1, 0, 0 };

#define OP_NAME(name, ...) #name,
static const char *const names[] = { EMUL_OPS(OP_NAME) };

const char *emul_op_name(unsigned op)
{
    return op && op < EMUL_OPS_END ? names[op] : "?";
}
