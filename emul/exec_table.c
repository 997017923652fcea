/* The executor's table: one row an operation: who runs it, how its operands are taken, for which exits it may run. */
#include "exec.h"

#define RW    (X_OPERANDS | X_READ | X_WRITE)
#define WO    (X_OPERANDS | X_WRITE)
#define RO    (X_OPERANDS | X_READ)
#define VEXG  (WO | X_PROTECTED) /* VEX on general registers */
#define ROW(op, handler, flags, may) [EMUL_##op] = { do_##handler, flags, 0, may, 0 }
#define RAISE(op, handler, flags, needs, may) [EMUL_##op] = { exec_raising, flags, needs, may, do_##handler }
#define SEGS  EMUL_STATE_SEGS
#define SYSTEM EMUL_STATE_SYSTEM
#define PORT  EMUL_MAY_PORT
#define CR    EMUL_MAY_CR
#define TABLE EMUL_MAY_TABLE
#define MSR   EMUL_MAY_MSR
#define FAR   (EMUL_MAY_FAR)

const struct exec_row emul_exec[EMUL_OPS_END] = {
    /* moves: exec_move.c. MOV looks at segment registers itself. */
    ROW(MOV, mov, WO, 0), ROW(MOVZX, mov, WO, 0), ROW(MOVSX, movsx, WO, 0), ROW(MOVSXD, movsx, WO, 0), ROW(LEA, lea, X_ADDRESS, 0),
    ROW(XCHG, xchg, RW | X_SWAP, 0), ROW(XLAT, xlat, X_MEMORY, 0), ROW(CMOV, cmov, RW, 0), ROW(SETCC, setcc, WO, 0),
    ROW(BSWAP, bswap, RW, 0), ROW(MOVBE, movbe, WO, 0), ROW(MOVNTI, mov, WO, 0), ROW(NOP, nop, X_ADDRESS, 0), ROW(PAUSE, nop, 0, 0),
    ROW(FENCE, nop, 0, 0), ROW(CLFLUSH, clflush, 0, 0), ROW(CBW, cbw, 0, 0), ROW(CWD, cwd, 0, 0), ROW(LAHF, lahf, 0, 0),
    ROW(SAHF, sahf, 0, 0), ROW(SALC, salc, 0, 0), ROW(CLC, flag_bits, 0, 0), ROW(STC, flag_bits, 0, 0), ROW(CMC, flag_bits, 0, 0),
    ROW(CLD, flag_bits, 0, 0), ROW(STD, flag_bits, 0, 0), ROW(SERIALIZE, nop, 0, 0),

    /* arithmetic and logic: exec_alu.c */
    ROW(ADD, add, RW, 0), ROW(OR, or, RW, 0), ROW(ADC, adc, RW, 0), ROW(SBB, sbb, RW, 0), ROW(AND, and, RW, 0), ROW(SUB, sub, RW, 0),
    ROW(XOR, xor, RW, 0), ROW(CMP, cmp, RO, 0), ROW(TEST, test, RO, 0), ROW(INC, inc, RW, 0), ROW(DEC, dec, RW, 0), ROW(NEG, neg, RW, 0),
    ROW(NOT, not, RW, 0), ROW(ROL, shift, RW, 0), ROW(ROR, shift, RW, 0), ROW(RCL, shift, RW, 0), ROW(RCR, shift, RW, 0),
    ROW(SHL, shift, RW, 0), ROW(SHR, shift, RW, 0), ROW(SAR, shift, RW, 0), ROW(SHLD, shld, RW, 0), ROW(SHRD, shld, RW, 0),
    ROW(XADD, xadd, RW | X_SWAP, 0), ROW(CMPXCHG, cmpxchg, RW, 0), ROW(CMPXCHG8B, cmpxchg8b, 0, 0), ROW(ADCX, adcx, RW, 0),
    ROW(ADOX, adcx, RW, 0), ROW(BT, bit, 0, 0), ROW(BTS, bit, 0, 0), ROW(BTR, bit, 0, 0), ROW(BTC, bit, 0, 0),

    /* multiplication, bits, decimals: exec_bits.c */
    ROW(MUL, mul, RO, 0), ROW(IMUL, imul, RO, 0), ROW(IMUL2, imul2, RW, 0), ROW(IMUL3, imul3, WO, 0), ROW(DIV, div, RO, 0),
    ROW(IDIV, idiv, RO, 0), ROW(BSF, scan, RW, 0), ROW(BSR, scan, RW, 0), ROW(LZCNT, scan, WO, 0), ROW(TZCNT, scan, WO, 0),
    ROW(POPCNT, popcnt, WO, 0), ROW(CRC32, crc32, X_OPERANDS, 0), ROW(AAA, bcd, 0, 0), ROW(AAS, bcd, 0, 0), ROW(DAA, bcd, 0, 0),
    ROW(DAS, bcd, 0, 0), ROW(AAM, aam, 0, 0), ROW(AAD, aad, 0, 0), ROW(ANDN, bmi, VEXG, 0), ROW(BLSI, bmi, VEXG, 0), ROW(BLSR, bmi, VEXG, 0),
    ROW(BLSMSK, bmi, VEXG, 0), ROW(BEXTR, bmi, VEXG, 0), ROW(BZHI, bmi, VEXG, 0), ROW(RORX, bmi_shift, VEXG, 0), ROW(SARX, bmi_shift, VEXG, 0),
    ROW(SHLX, bmi_shift, VEXG, 0), ROW(SHRX, bmi_shift, VEXG, 0), ROW(PDEP, pdep, VEXG, 0), ROW(PEXT, pdep, VEXG, 0), ROW(MULX, mulx, VEXG, 0),

    /* stack and near transfers: exec_flow.c */
    ROW(PUSH, push, X_MEMORY, 0), ROW(POP, pop, X_MEMORY, 0), RAISE(PUSHA, pusha, X_MEMORY, 0, 0), RAISE(POPA, popa, X_MEMORY, 0, 0),
    RAISE(PUSHF, pushf, X_MEMORY, 0, 0), RAISE(POPF, popf, X_MEMORY, 0, 0), RAISE(ENTER, enter, X_MEMORY, 0, 0), RAISE(LEAVE, leave, X_MEMORY, 0, 0),
    ROW(CALL, call, X_MEMORY, 0), ROW(JMP, jmp, 0, 0), ROW(RET, ret, X_MEMORY, 0), ROW(JCC, jcc, 0, 0), ROW(JCXZ, jcxz, 0, 0),
    ROW(LOOP, loop, 0, 0), ROW(LOOPE, loop, 0, 0), ROW(LOOPNE, loop, 0, 0), RAISE(CLI, cli, 0, 0, 0), RAISE(STI, sti, 0, 0, 0),
    RAISE(BOUND, bound, 0, 0, 0), ROW(HLT, hlt, X_PRIV, 0),

    /* strings and ports: exec_string.c */
    ROW(IN, in, 0, PORT), ROW(OUT, out, 0, PORT), ROW(INS, ins, X_MEMORY, PORT), ROW(OUTS, outs, X_MEMORY, PORT), ROW(MOVS, movs, X_MEMORY, 0),
    ROW(CMPS, cmps, X_MEMORY, 0), ROW(SCAS, scas, X_MEMORY, 0), ROW(STOS, stos, X_MEMORY, 0), ROW(LODS, lods, X_MEMORY, 0),

    /* segments: exec_segment.c */
    RAISE(MOVSEG, movseg, 0, SEGS, 0), RAISE(LDS, load_far, 0, 0, 0), RAISE(LES, load_far, 0, 0, 0),
    RAISE(LFS, load_far, 0, 0, 0), RAISE(LGS, load_far, 0, 0, 0), RAISE(LSS, load_far, 0, 0, 0),
    RAISE(ARPL, arpl, X_PROTECTED, 0, 0), RAISE(LAR, lar, X_PROTECTED, 0, 0), RAISE(LSL, lar, X_PROTECTED, 0, 0), RAISE(VERR, lar, X_PROTECTED, 0, 0),
    RAISE(VERW, lar, X_PROTECTED, 0, 0), RAISE(LLDT, lldt, X_PROTECTED | X_PRIV, SYSTEM, TABLE), RAISE(LTR, lldt, X_PROTECTED | X_PRIV, SYSTEM, TABLE),
    RAISE(SLDT, sldt, X_PROTECTED, SYSTEM, TABLE), RAISE(STR, sldt, X_PROTECTED, SYSTEM, TABLE),

    /* far transfers, interrupts, tasks: exec_far.c, exec_event.c */
    RAISE(CALLF, jmpf, X_MEMORY, 0, FAR), RAISE(JMPF, jmpf, X_MEMORY, 0, FAR), RAISE(RETF, retf, X_MEMORY, 0, FAR),
    RAISE(IRET, iret, X_MEMORY, 0, EMUL_MAY_INT),
    RAISE(INT, int, X_MEMORY, 0, EMUL_MAY_INT), RAISE(INT3, int, X_MEMORY, 0, EMUL_MAY_INT), RAISE(INTO, int, X_MEMORY, 0, EMUL_MAY_INT),
    RAISE(INT1, int, X_MEMORY, 0, EMUL_MAY_INT),

    /* system: exec_system.c */
    ROW(MOVCR, movcr, X_PRIV, CR), ROW(MOVDR, movdr, X_PRIV, EMUL_MAY_DR), ROW(LMSW, lmsw, X_PRIV, CR), ROW(SMSW, smsw, 0, CR),
    ROW(CLTS, clts, X_PRIV, CR), ROW(INVLPG, invlpg, X_PRIV | X_ADDRESS, EMUL_MAY_INVLPG), ROW(INVPCID, invpcid, X_PRIV, EMUL_MAY_INVLPG),
    ROW(LGDT, lgdt, X_PRIV, TABLE), ROW(LIDT, lgdt, X_PRIV, TABLE), ROW(SGDT, sgdt, 0, TABLE), ROW(SIDT, sgdt, 0, TABLE),
    ROW(RDMSR, rdmsr, X_PRIV, MSR), ROW(WRMSR, wrmsr, X_PRIV, MSR), ROW(RDTSC, rdtsc, 0, MSR), ROW(RDTSCP, rdtsc, 0, MSR),
    ROW(CPUID, cpuid, 0, EMUL_MAY_CPUID), ROW(SYSCALL, syscall, 0, 0), ROW(SYSRET, sysret, 0, 0), ROW(SYSENTER, sysenter, 0, 0),
    ROW(SYSEXIT, sysexit, X_PRIV, 0), ROW(SWAPGS, swapgs, X_PRIV, 0), ROW(FSGSBASE, fsgsbase, 0, 0), ROW(XGETBV, xgetbv, 0, 0),
    ROW(XSETBV, xgetbv, X_PRIV, MSR), ROW(RDPID, rdpid, 0, 0), ROW(RDPKRU, rdpkru, 0, 0), ROW(WRPKRU, rdpkru, 0, 0), ROW(CLAC, clac, 0, 0),
    ROW(STAC, clac, 0, 0), ROW(UD0, ud, 0, 0), ROW(UD1, ud, 0, 0), ROW(UD2, ud, 0, 0), ROW(WBINVD, nop, X_PRIV, 0),
    ROW(INVD, nop, X_PRIV, 0), /* there are no caches of the guest's own */

    /* what no guest of this library is offered by CPUID */
    ROW(VMX, ud, 0, 0), ROW(SVM, ud, 0, 0), ROW(GETSEC, ud, 0, 0), ROW(RSM, ud, 0, 0), ROW(SGX, ud, 0, 0), ROW(TDX, ud, 0, 0), ROW(SNP, ud, 0, 0),

    /* vectors: exec_simd.c */
    ROW(SIMD, simd, 0, 0), ROW(VEX, simd, 0, 0), ROW(EVEX, simd, 0, 0),
};
