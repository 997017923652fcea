/* Instruction lengths for exits that report none, and the words of a refusal. */
#include "fetch.h"
#include "state.h"

/* Class plus one, so that operations without a class read as 0. */
#define CLASS(op, class) [EMUL_##op] = 1 + EMUL_CLASS_##class
static const uint8_t class_of[EMUL_OPS_END] = {
    CLASS(CPUID, CPUID), CLASS(RDMSR, RDMSR), CLASS(WRMSR, WRMSR), CLASS(HLT, HLT), CLASS(XSETBV, XSETBV), CLASS(INVD, INVD),
    CLASS(WBINVD, WBINVD), CLASS(RDTSC, RDTSC), CLASS(RDTSCP, RDTSCP), CLASS(RDPMC, RDPMC), CLASS(PAUSE, PAUSE), CLASS(VMMCALL, VMMCALL),
    CLASS(VMCALL, VMMCALL), CLASS(MONITOR, MONITOR), CLASS(MWAIT, MWAIT), CLASS(MOVCR, MOVCR), CLASS(LMSW, LMSW), CLASS(CLTS, CLTS),
    CLASS(INT, INT), CLASS(INT3, INT), CLASS(INTO, INT), CLASS(INT1, INT),
};

unsigned emul_class(const struct emul_insn *insn)
{
    return (uint8_t)(class_of[insn->op] - 1);
}

int emul_length(struct emul_ctx *ctx, unsigned want, struct emul_result *result)
{
    enum emul_fetched fetched;
    int status;

    emul_begin(ctx);
    result->iterations = 0;
    result->marks = EMUL_MARKS;
    fetched = emul_fetch_short(ctx, ctx->state, ctx->facts, result);
    status = fetched == EMUL_FETCH_KNOWN ? EMUL_DONE : emul_fetch_rest(ctx, fetched, emul_mode_of(ctx->facts), result);
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
