/* The executor's table, made of exec_rows.h. */
#include "exec.h"

#define NEEDS(group)  (EMUL_STATE_##group << 8)
#define EXIT(class)   (EMUL_MAY_##class << 16)

/* The words of a row: X_* in the low byte, groups, exits. */
enum {
    RW = X_READ | X_WRITE, WO = X_WRITE, RO = X_READ, VEXG = X_WRITE | X_PROTECTED, /* VEX on general registers */
    SEGS = NEEDS(SEGS), DR = NEEDS(DR), SYSENTER = NEEDS(SYSENTER), SYSCALL = NEEDS(SYSCALL), SYSTEM = NEEDS(SYSTEM),
    PORT = EXIT(PORT), CR = EXIT(CR), TABLE = EXIT(TABLE), MSR = EXIT(MSR), FAR = EXIT(FAR), EVENT = EXIT(INT), DEBUG = EXIT(DR),
    PAGE = EXIT(INVLPG), ASK = EXIT(CPUID),
};

#define WORDS(what) .flags = (what) & 0xff, .needs = (what) >> 8 & 0xff, .may = (what) >> 16
#define COMPUTE(op, handler, what) [EMUL_##op] = { .compute = do_##handler, WORDS(X_OPERANDS | (what)) },
#define RUN(op, handler, what) [EMUL_##op] = { .run = do_##handler, WORDS(what) },
#define RAISE(op, handler, what) [EMUL_##op] = { .run = exec_raising, .raises = do_##handler, WORDS(what) },

const struct exec_row emul_exec[EMUL_OPS_END] = { EXEC_ROWS(COMPUTE, RUN, RAISE) };
