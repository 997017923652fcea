/* The executor's rows, one an operation: who runs it, what is done with the operands of its form, what it needs, for which exits it may run.
 * A table for whoever includes it (exec.h, exec_table.c), by four macros:
 *
 * MOVE(operation): the source becomes the destination
 * COMPUTE(operation, handler, flags): the operands are fetched and committed around it; it cannot fail
 * RUN(operation, handler, flags, may): it answers a status; for hot paths
 * RAISE(operation, handler, flags, needs, may): it raises (exec.h) */
#ifndef EMUL_EXEC_ROWS_H
#define EMUL_EXEC_ROWS_H

#define EXEC_ROWS(MOVE, COMPUTE, RUN, RAISE) \
    /* moves: exec_move.c. MOV looks at segment registers itself. */ \
    MOVE(MOV) MOVE(MOVZX) COMPUTE(MOVSX, movsx, WO) COMPUTE(MOVSXD, movsx, WO) COMPUTE(LEA, lea, X_ADDRESS) \
    COMPUTE(XCHG, xchg, RW | X_SWAP) RAISE(XLAT, xlat, X_MEMORY, 0, 0) COMPUTE(CMOV, cmov, RW) COMPUTE(SETCC, setcc, WO) \
    COMPUTE(BSWAP, bswap, RW) COMPUTE(MOVBE, movbe, WO) MOVE(MOVNTI) RUN(NOP, nop, X_ADDRESS, 0) RUN(PAUSE, nop, 0, 0) \
    RUN(FENCE, nop, 0, 0) RAISE(CLFLUSH, clflush, 0, 0, 0) COMPUTE(CBW, cbw, 0) COMPUTE(CWD, cwd, 0) COMPUTE(LAHF, lahf, 0) \
    COMPUTE(SAHF, sahf, 0) COMPUTE(SALC, salc, 0) COMPUTE(CLC, flag_bits, 0) COMPUTE(STC, flag_bits, 0) COMPUTE(CMC, flag_bits, 0) \
    COMPUTE(CLD, flag_bits, 0) COMPUTE(STD, flag_bits, 0) RUN(SERIALIZE, nop, 0, 0) \
    /* arithmetic and logic: exec_alu.c */ \
    COMPUTE(ADD, add, RW) COMPUTE(OR, or, RW) COMPUTE(ADC, adc, RW) COMPUTE(SBB, sbb, RW) COMPUTE(AND, and, RW) COMPUTE(SUB, sub, RW) \
    COMPUTE(XOR, xor, RW) COMPUTE(CMP, cmp, RO) COMPUTE(TEST, test, RO) COMPUTE(INC, inc, RW) COMPUTE(DEC, dec, RW) COMPUTE(NEG, neg, RW) \
    COMPUTE(NOT, not, RW) COMPUTE(ROL, rol, RW) COMPUTE(ROR, ror, RW) COMPUTE(RCL, rcl, RW) COMPUTE(RCR, rcr, RW) COMPUTE(SHL, shl, RW) \
    COMPUTE(SHR, shr, RW) COMPUTE(SAR, sar, RW) COMPUTE(SHLD, shld, RW) COMPUTE(SHRD, shrd, RW) COMPUTE(XADD, xadd, RW | X_SWAP) \
    COMPUTE(CMPXCHG, cmpxchg, RW) RAISE(CMPXCHG8B, cmpxchg8b, 0, 0, 0) COMPUTE(ADCX, adcx, RW) COMPUTE(ADOX, adcx, RW) \
    RAISE(BT, bit, 0, 0, 0) RAISE(BTS, bit, 0, 0, 0) RAISE(BTR, bit, 0, 0, 0) RAISE(BTC, bit, 0, 0, 0) \
    /* multiplication, bits, decimals: exec_bits.c */ \
    COMPUTE(MUL, mul, RO) COMPUTE(IMUL, imul, RO) COMPUTE(IMUL2, imul2, RW) COMPUTE(IMUL3, imul3, WO) RAISE(DIV, div, 0, 0, 0) \
    RAISE(IDIV, div, 0, 0, 0) COMPUTE(BSF, scan, RW) COMPUTE(BSR, scan, RW) COMPUTE(LZCNT, scan, WO) COMPUTE(TZCNT, scan, WO) \
    COMPUTE(POPCNT, popcnt, WO) COMPUTE(CRC32, crc32, 0) COMPUTE(AAA, aaa, 0) COMPUTE(AAS, aaa, 0) COMPUTE(DAA, daa, 0) \
    COMPUTE(DAS, daa, 0) RAISE(AAM, aam, 0, 0, 0) COMPUTE(AAD, aad, 0) COMPUTE(ANDN, bmi, VEXG) COMPUTE(BLSI, bmi, VEXG) \
    COMPUTE(BLSR, bmi, VEXG) COMPUTE(BLSMSK, bmi, VEXG) COMPUTE(BEXTR, bmi, VEXG) COMPUTE(BZHI, bmi, VEXG) COMPUTE(RORX, bmi_shift, VEXG) \
    COMPUTE(SARX, bmi_shift, VEXG) COMPUTE(SHLX, bmi_shift, VEXG) COMPUTE(SHRX, bmi_shift, VEXG) COMPUTE(PDEP, pdep, VEXG) \
    COMPUTE(PEXT, pdep, VEXG) COMPUTE(MULX, mulx, VEXG) \
    /* stack and near transfers: exec_flow.c */ \
    RUN(PUSH, push, X_MEMORY, 0) RUN(POP, pop, X_MEMORY, 0) RAISE(PUSHA, pusha, X_MEMORY, 0, 0) RAISE(POPA, popa, X_MEMORY, 0, 0) \
    RAISE(PUSHF, pushf, X_MEMORY, 0, 0) RAISE(POPF, popf, X_MEMORY, 0, 0) RAISE(ENTER, enter, X_MEMORY, 0, 0) \
    RAISE(LEAVE, leave, X_MEMORY, 0, 0) RUN(CALL, call, X_MEMORY, 0) RUN(JMP, jmp, 0, 0) RUN(RET, ret, X_MEMORY, 0) RUN(JCC, jcc, 0, 0) \
    RUN(JCXZ, jcxz, 0, 0) RUN(LOOP, loop, 0, 0) RUN(LOOPE, loop, 0, 0) RUN(LOOPNE, loop, 0, 0) RAISE(CLI, cli, 0, 0, 0) \
    RAISE(STI, sti, 0, 0, 0) RAISE(BOUND, bound, 0, 0, 0) RUN(HLT, hlt, X_PRIV, 0) \
    /* strings and ports: exec_string.c */ \
    RUN(IN, in, 0, PORT) RUN(OUT, out, 0, PORT) RUN(INS, ins, X_MEMORY, PORT) RUN(OUTS, outs, X_MEMORY, PORT) RUN(MOVS, movs, X_MEMORY, 0) \
    RUN(CMPS, cmps, X_MEMORY, 0) RUN(SCAS, scas, X_MEMORY, 0) RUN(STOS, stos, X_MEMORY, 0) RUN(LODS, lods, X_MEMORY, 0) \
    /* segments: exec_segment.c */ \
    RAISE(MOVSEG, movseg, 0, SEGS, 0) RAISE(LDS, load_far, 0, 0, 0) RAISE(LES, load_far, 0, 0, 0) RAISE(LFS, load_far, 0, 0, 0) \
    RAISE(LGS, load_far, 0, 0, 0) RAISE(LSS, load_far, 0, 0, 0) RAISE(ARPL, arpl, X_PROTECTED, 0, 0) RAISE(LAR, lar, X_PROTECTED, 0, 0) \
    RAISE(LSL, lar, X_PROTECTED, 0, 0) RAISE(VERR, lar, X_PROTECTED, 0, 0) RAISE(VERW, lar, X_PROTECTED, 0, 0) \
    RAISE(LLDT, lldt, X_PROTECTED | X_PRIV, SYSTEM, TABLE) RAISE(LTR, lldt, X_PROTECTED | X_PRIV, SYSTEM, TABLE) \
    RAISE(SLDT, sldt, X_PROTECTED, SYSTEM, TABLE) RAISE(STR, sldt, X_PROTECTED, SYSTEM, TABLE) \
    /* far transfers, interrupts, tasks: exec_far.c, exec_event.c */ \
    RAISE(CALLF, jmpf, X_MEMORY, 0, FAR) RAISE(JMPF, jmpf, X_MEMORY, 0, FAR) RAISE(RETF, retf, X_MEMORY, 0, FAR) \
    RAISE(IRET, iret, X_MEMORY, 0, EMUL_MAY_INT) RAISE(INT, int, X_MEMORY, 0, EMUL_MAY_INT) RAISE(INT3, int, X_MEMORY, 0, EMUL_MAY_INT) \
    RAISE(INTO, int, X_MEMORY, 0, EMUL_MAY_INT) RAISE(INT1, int, X_MEMORY, 0, EMUL_MAY_INT) \
    /* system: exec_system.c */ \
    RUN(MOVCR, movcr, X_PRIV, CR) RAISE(MOVDR, movdr, X_PRIV, DR, EMUL_MAY_DR) RUN(LMSW, lmsw, X_PRIV, CR) RAISE(SMSW, sldt, 0, 0, CR) \
    RUN(CLTS, clts, X_PRIV, CR) RUN(INVLPG, invlpg, X_PRIV | X_ADDRESS, EMUL_MAY_INVLPG) \
    RAISE(INVPCID, invpcid, X_PRIV, 0, EMUL_MAY_INVLPG) RAISE(LGDT, lgdt, X_PRIV, SYSTEM, TABLE) RAISE(LIDT, lgdt, X_PRIV, SYSTEM, TABLE) \
    RAISE(SGDT, sgdt, 0, SYSTEM, TABLE) RAISE(SIDT, sgdt, 0, SYSTEM, TABLE) RUN(RDMSR, rdmsr, X_PRIV, MSR) RUN(WRMSR, wrmsr, X_PRIV, MSR) \
    RUN(RDTSC, rdtsc, 0, MSR) RUN(RDTSCP, rdtsc, 0, MSR) RUN(CPUID, cpuid, 0, EMUL_MAY_CPUID) RAISE(SYSCALL, syscall, 0, SYSCALL, 0) \
    RAISE(SYSRET, sysret, 0, SYSCALL, 0) RAISE(SYSENTER, sysenter, 0, SYSENTER, 0) RAISE(SYSEXIT, sysexit, X_PRIV, SYSENTER, 0) \
    RAISE(SWAPGS, swapgs, X_PRIV, SEGS | SYSCALL, 0) RAISE(FSGSBASE, fsgsbase, 0, SEGS, 0) RAISE(XGETBV, xgetbv, 0, 0, 0) \
    RAISE(XSETBV, xgetbv, X_PRIV, 0, MSR) RAISE(RDPID, rdpid, 0, 0, 0) RAISE(RDPKRU, rdpkru, 0, 0, 0) RAISE(WRPKRU, rdpkru, 0, 0, 0) \
    RAISE(CLAC, clac, 0, 0, 0) RAISE(STAC, clac, 0, 0, 0) RAISE(UD0, ud, 0, 0, 0) RAISE(UD1, ud, 0, 0, 0) RAISE(UD2, ud, 0, 0, 0) \
    RUN(WBINVD, nop, X_PRIV, 0) RUN(INVD, nop, X_PRIV, 0) /* there are no caches of the guest's own */ \
    /* what no guest of this library is offered by CPUID */ \
    RAISE(VMX, ud, 0, 0, 0) RAISE(SVM, ud, 0, 0, 0) RAISE(GETSEC, ud, 0, 0, 0) RAISE(RSM, ud, 0, 0, 0) RAISE(SGX, ud, 0, 0, 0) \
    RAISE(TDX, ud, 0, 0, 0) RAISE(SNP, ud, 0, 0, 0) \
    /* vectors: exec_simd.c */ \
    RAISE(SIMD, simd, 0, 0, 0) RAISE(VEX, simd, 0, 0, 0) RAISE(EVEX, simd, 0, 0, 0)

#endif
