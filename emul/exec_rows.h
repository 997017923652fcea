/* The executor's rows, one an operation: who runs it, what is done with the operands of its form, what it needs, for
 * which exits it may run.
 * A table for whoever includes it (exec.h, exec_table.c), by four macros:
 *
 * MOVE(operation): the source becomes the destination
 * COMPUTE(operation, handler, what): the operands are fetched and committed around it; it cannot fail
 * RUN(operation, handler, what): it answers a status; for hot paths
 * RAISE(operation, handler, what): it raises (exec.h)
 *
 * what: flags, the groups of state that a raising handler needs, the exits that it may be run for; words of exec_table.c. */
#ifndef EMUL_EXEC_ROWS_H
#define EMUL_EXEC_ROWS_H

#define EXEC_ROWS(MOVE, COMPUTE, RUN, RAISE) \
    /* moves: exec_move.c. MOV looks at segment registers itself. */ MOVE(MOV) MOVE(MOVZX) \
    COMPUTE(MOVSX, movsx, WO) COMPUTE(MOVSXD, movsx, WO) COMPUTE(LEA, lea, X_ADDRESS) COMPUTE(XCHG, xchg, RW | X_SWAP) \
    RAISE(XLAT, xlat, X_MEMORY) COMPUTE(CMOV, cmov, RW) COMPUTE(SETCC, setcc, WO) COMPUTE(BSWAP, bswap, RW) COMPUTE(MOVBE, movbe, WO) \
    MOVE(MOVNTI) RUN(NOP, nop, X_ADDRESS) RUN(PAUSE, nop, 0) RUN(FENCE, nop, 0) RAISE(CLFLUSH, clflush, 0) \
    COMPUTE(CBW, cbw, 0) COMPUTE(CWD, cwd, 0) COMPUTE(LAHF, lahf, 0) COMPUTE(SAHF, sahf, 0) COMPUTE(SALC, salc, 0) \
    COMPUTE(CLC, flag_bits, 0) COMPUTE(STC, flag_bits, 0) COMPUTE(CMC, flag_bits, 0) COMPUTE(CLD, flag_bits, 0) \
    COMPUTE(STD, flag_bits, 0) RUN(SERIALIZE, nop, 0) \
    /* arithmetic and logic: exec_alu.c */ COMPUTE(ADD, add, RW) COMPUTE(OR, or, RW) COMPUTE(ADC, adc, RW) COMPUTE(SBB, sbb, RW) \
    COMPUTE(AND, and, RW) COMPUTE(SUB, sub, RW) COMPUTE(XOR, xor, RW) COMPUTE(CMP, cmp, RO) COMPUTE(TEST, test, RO) COMPUTE(INC, inc, RW) \
    COMPUTE(DEC, dec, RW) COMPUTE(NEG, neg, RW) COMPUTE(NOT, not, RW) COMPUTE(ROL, rol, RW) COMPUTE(ROR, ror, RW) COMPUTE(RCL, rcl, RW) \
    COMPUTE(RCR, rcr, RW) COMPUTE(SHL, shl, RW) COMPUTE(SHR, shr, RW) COMPUTE(SAR, sar, RW) COMPUTE(SHLD, shld, RW) \
    COMPUTE(SHRD, shrd, RW) COMPUTE(XADD, xadd, RW | X_SWAP) COMPUTE(CMPXCHG, cmpxchg, RW) RAISE(CMPXCHG8B, cmpxchg8b, 0) \
    COMPUTE(ADCX, adcx, RW) COMPUTE(ADOX, adcx, RW) RAISE(BT, bit, 0) RAISE(BTS, bit, 0) RAISE(BTR, bit, 0) RAISE(BTC, bit, 0) \
    /* multiplication, bits, decimals: exec_bits.c */ COMPUTE(MUL, mul, RO) COMPUTE(IMUL, imul, RO) COMPUTE(IMUL2, imul2, RW) \
    COMPUTE(IMUL3, imul3, WO) RAISE(DIV, div, 0) RAISE(IDIV, div, 0) COMPUTE(BSF, scan, RW) COMPUTE(BSR, scan, RW) \
    COMPUTE(LZCNT, scan, WO) COMPUTE(TZCNT, scan, WO) COMPUTE(POPCNT, popcnt, WO) COMPUTE(CRC32, crc32, 0) COMPUTE(AAA, aaa, 0) \
    COMPUTE(AAS, aaa, 0) COMPUTE(DAA, daa, 0) COMPUTE(DAS, daa, 0) RAISE(AAM, aam, 0) COMPUTE(AAD, aad, 0) COMPUTE(ANDN, andn, VEXG) \
    COMPUTE(BLSI, blsi, VEXG) COMPUTE(BLSR, blsr, VEXG) COMPUTE(BLSMSK, blsmsk, VEXG) COMPUTE(BEXTR, bextr, VEXG) \
    COMPUTE(BZHI, bzhi, VEXG) COMPUTE(RORX, rorx, VEXG) COMPUTE(SARX, sarx, VEXG) COMPUTE(SHLX, shlx, VEXG) COMPUTE(SHRX, shrx, VEXG) \
    COMPUTE(PDEP, pdep, VEXG) COMPUTE(PEXT, pdep, VEXG) COMPUTE(MULX, mulx, VEXG) \
    /* stack and near transfers: exec_flow.c */ RUN(PUSH, push, X_MEMORY) RUN(POP, pop, X_MEMORY) RAISE(PUSHA, pusha, X_MEMORY) \
    RAISE(POPA, popa, X_MEMORY) RAISE(PUSHF, pushf, X_MEMORY) RAISE(POPF, popf, X_MEMORY) RAISE(ENTER, enter, X_MEMORY) \
    RAISE(LEAVE, leave, X_MEMORY) RUN(CALL, call, X_MEMORY) RUN(JMP, jmp, 0) RUN(RET, ret, X_MEMORY) RUN(JCC, jcc, 0) RUN(JCXZ, loop, 0) \
    RUN(LOOP, loop, 0) RUN(LOOPE, loop, 0) RUN(LOOPNE, loop, 0) RAISE(CLI, cli, 0) RAISE(STI, cli, 0) RAISE(BOUND, bound, 0) \
    RUN(HLT, hlt, X_PRIV) \
    /* strings and ports: exec_string.c */ RUN(IN, in, PORT) RUN(OUT, out, PORT) RUN(INS, ins, X_MEMORY | PORT) \
    RUN(OUTS, outs, X_MEMORY | PORT) RUN(MOVS, movs, X_MEMORY) RUN(CMPS, cmps, X_MEMORY) RUN(SCAS, scas, X_MEMORY) \
    RUN(STOS, stos, X_MEMORY) RUN(LODS, lods, X_MEMORY) \
    /* segments: exec_segment.c */ RAISE(MOVSEG, movseg, SEGS) RAISE(LDS, load_far, 0) RAISE(LES, load_far, 0) RAISE(LFS, load_far, 0) \
    RAISE(LGS, load_far, 0) RAISE(LSS, load_far, 0) RAISE(ARPL, arpl, X_PROTECTED) RAISE(LAR, lar, X_PROTECTED) \
    RAISE(LSL, lar, X_PROTECTED) RAISE(VERR, lar, X_PROTECTED) RAISE(VERW, lar, X_PROTECTED) \
    RAISE(LLDT, lldt, X_PROTECTED | X_PRIV | SYSTEM | TABLE) RAISE(LTR, lldt, X_PROTECTED | X_PRIV | SYSTEM | TABLE) \
    RAISE(SLDT, sldt, X_PROTECTED | SYSTEM | TABLE) RAISE(STR, sldt, X_PROTECTED | SYSTEM | TABLE) \
    /* far transfers, interrupts, tasks: exec_far.c, exec_event.c */ RAISE(CALLF, jmpf, X_MEMORY | FAR) RAISE(JMPF, jmpf, X_MEMORY | FAR) \
    RAISE(RETF, retf, X_MEMORY | FAR) RAISE(IRET, retf, X_MEMORY | EVENT) RAISE(INT, int, X_MEMORY | EVENT) \
    RAISE(INT3, int, X_MEMORY | EVENT) RAISE(INTO, int, X_MEMORY | EVENT) RAISE(INT1, int, X_MEMORY | EVENT) \
    /* system: exec_system.c */ RAISE(MOVCR, movcr, X_PRIV | CR) RAISE(MOVDR, movcr, X_PRIV | DR | DEBUG) RUN(LMSW, lmsw, X_PRIV | CR) \
    RAISE(SMSW, sldt, CR) RUN(CLTS, clts, X_PRIV | CR) RUN(INVLPG, invlpg, X_PRIV | X_ADDRESS | PAGE) \
    RAISE(INVPCID, invpcid, X_PRIV | PAGE) RAISE(LGDT, lgdt, X_PRIV | SYSTEM | TABLE) RAISE(LIDT, lgdt, X_PRIV | SYSTEM | TABLE) \
    RAISE(SGDT, lgdt, SYSTEM | TABLE) RAISE(SIDT, lgdt, SYSTEM | TABLE) RUN(RDMSR, rdmsr, X_PRIV | MSR) RUN(WRMSR, wrmsr, X_PRIV | MSR) \
    RAISE(RDTSC, rdtsc, MSR) RAISE(RDTSCP, rdtsc, MSR) RUN(CPUID, cpuid, ASK) RAISE(SYSCALL, syscall, SYSCALL) RAISE(SYSRET, sysret, SYSCALL) \
    RAISE(SYSENTER, sysenter, SYSENTER) RAISE(SYSEXIT, sysenter, X_PRIV | SYSENTER) RAISE(SWAPGS, swapgs, X_PRIV | SEGS | SYSCALL) \
    RAISE(FSGSBASE, fsgsbase, SEGS) RAISE(XGETBV, ud, 0) RAISE(XSETBV, ud, X_PRIV | MSR) RAISE(RDPID, rdpid, 0) \
    RAISE(RDPKRU, rdpkru, 0) RAISE(WRPKRU, rdpkru, 0) RAISE(CLAC, clac, 0) RAISE(STAC, clac, 0) RAISE(UD0, ud, 0) RAISE(UD1, ud, 0) \
    RAISE(UD2, ud, 0) RUN(WBINVD, nop, X_PRIV) RUN(INVD, nop, X_PRIV) /* there are no caches of the guest's own */ \
    /* what no guest of this library is offered by CPUID */ RAISE(VMX, ud, 0) RAISE(SVM, ud, 0) RAISE(GETSEC, ud, 0) RAISE(RSM, ud, 0) \
    RAISE(SGX, ud, 0) RAISE(TDX, ud, 0) RAISE(SNP, ud, 0) \
    /* vectors: exec_simd.c */ RAISE(SIMD, simd, 0) RAISE(VEX, simd, 0) RAISE(EVEX, simd, 0)

#endif
