/* The executor's table, made of exec_rows.h. */
#include "exec.h"

#define RW     (X_READ | X_WRITE)
#define WO     X_WRITE
#define RO     X_READ
#define VEXG   (X_WRITE | X_PROTECTED) /* VEX on general registers */
#define SEGS   EMUL_STATE_SEGS
#define DR     EMUL_STATE_DR
#define SYSENTER EMUL_STATE_SYSENTER
#define SYSCALL EMUL_STATE_SYSCALL
#define SYSTEM EMUL_STATE_SYSTEM
#define PORT   EMUL_MAY_PORT
#define CR     EMUL_MAY_CR
#define TABLE  EMUL_MAY_TABLE
#define MSR    EMUL_MAY_MSR
#define FAR    EMUL_MAY_FAR

#define MOVE(op) [EMUL_##op] = { .flags = X_OPERANDS | X_WRITE },
#define COMPUTE(op, handler, operands) [EMUL_##op] = { .compute = do_##handler, .flags = X_OPERANDS | (operands) },
#define RUN(op, handler, what, exits) [EMUL_##op] = { .run = do_##handler, .flags = X_RUN | (what), .may = exits },
#define RAISE(op, handler, what, groups, exits) \
    [EMUL_##op] = { .raise = do_##handler, .flags = X_RAISES | (what), .needs = groups, .may = exits },

const struct exec_row emul_exec[EMUL_OPS_END] = { EXEC_ROWS(MOVE, COMPUTE, RUN, RAISE) };
