/* Instruction lengths for exits that report none, and the words of a refusal. */
#include "fetch.h"
#include "state.h"

/* Class plus one, so that operations without a class read as 0. */
static const uint8_t class_of[EMUL_OPS_END] = {
    [EMUL_CPUID] = 1 + EMUL_CLASS_CPUID, [EMUL_RDMSR] = 1 + EMUL_CLASS_RDMSR, [EMUL_WRMSR] = 1 + EMUL_CLASS_WRMSR,
    [EMUL_HLT] = 1 + EMUL_CLASS_HLT, [EMUL_XSETBV] = 1 + EMUL_CLASS_XSETBV, [EMUL_INVD] = 1 + EMUL_CLASS_INVD,
    [EMUL_WBINVD] = 1 + EMUL_CLASS_WBINVD, [EMUL_RDTSC] = 1 + EMUL_CLASS_RDTSC, [EMUL_RDTSCP] = 1 + EMUL_CLASS_RDTSCP,
    [EMUL_RDPMC] = 1 + EMUL_CLASS_RDPMC, [EMUL_PAUSE] = 1 + EMUL_CLASS_PAUSE, [EMUL_VMMCALL] = 1 + EMUL_CLASS_VMMCALL, [EMUL_VMCALL] = 1 + EMUL_CLASS_VMMCALL,
    [EMUL_MONITOR] = 1 + EMUL_CLASS_MONITOR, [EMUL_MWAIT] = 1 + EMUL_CLASS_MWAIT, [EMUL_MOVCR] = 1 + EMUL_CLASS_MOVCR,
    [EMUL_LMSW] = 1 + EMUL_CLASS_LMSW, [EMUL_CLTS] = 1 + EMUL_CLASS_CLTS,
    [EMUL_INT] = 1 + EMUL_CLASS_INT, [EMUL_INT3] = 1 + EMUL_CLASS_INT, [EMUL_INTO] = 1 + EMUL_CLASS_INT,
    [EMUL_INT1] = 1 + EMUL_CLASS_INT,
};

unsigned emul_class(const struct emul_insn *insn)
{
    return (uint8_t)(class_of[insn->op] - 1);
}

int emul_length(struct emul_ctx *ctx, unsigned want, struct emul_result *result)
{
    int status;

    result->iterations = 0;
    result->marks = EMUL_MARKS;
    status = emul_fetch(ctx, ctx->state->cr0 & CR0_PG ? emul_rights(ctx, emul_user(ctx)) : 0, result);
    if (!status) {
        result->class = (uint8_t)emul_class(result->insn);
        status = result->class == want ? EMUL_DONE : EMUL_RETRY;
    }
    result->status = status;
    return status;
}

void emul_describe(const struct emul_result *result, char *text, unsigned size)
{
    static const char digits[] = "0123456789abcdef";
    const char *name = emul_op_name(result->insn->op);
    unsigned at = 0;

    if (!size)
        return;
    while (*name && at + 1 < size)
        text[at++] = *name++;
    for (unsigned i = 0; i < result->insn->length && i < EMUL_INSN_MAX && at + 6 < size; i++) {
        text[at++] = ' ';
        if (!i)
            text[at++] = '(';
        text[at++] = digits[result->bytes[i] >> 4];
        text[at++] = digits[result->bytes[i] & 0xf];
        if (i + 1 == result->insn->length)
            text[at++] = ')';
    }
    text[at] = 0;
}
