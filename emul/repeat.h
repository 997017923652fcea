/* What the string instructions share: counts, steps, the segments of source and destination. */
#ifndef EMUL_REPEAT_H
#define EMUL_REPEAT_H

#include "emul.h"
#include "state.h"

/* Iterations that are left: 1 without REP (F2 and F3 alike), else rCX. */
static inline uint64_t emul_string_count(const struct emul_ctx *ctx, const struct emul_insn *insn)
{
    if (!(insn->prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE)))
        return 1;
    return ctx->gpr[EMUL_RCX] & emul_size_mask(insn->addrsize);
}

static inline uint64_t emul_string_offset(const struct emul_ctx *ctx, const struct emul_insn *insn, unsigned reg)
{
    return ctx->gpr[reg] & emul_size_mask(insn->addrsize);
}

/* Moves an index register by n elements in the direction of DF, in its address size. */
static inline void emul_string_step(struct emul_ctx *ctx, const struct emul_insn *insn, unsigned reg, uint64_t n)
{
    uint64_t bytes = n * insn->opsize;

    emul_set_gpr(ctx, reg, insn->addrsize, ctx->rflags & RFLAGS_DF ? ctx->gpr[reg] - bytes : ctx->gpr[reg] + bytes);
}

/* n elements are done: counts them off rCX under REP. Returns whether the instruction is complete. */
static inline int emul_string_done(struct emul_ctx *ctx, struct emul_result *result, uint64_t n)
{
    const struct emul_insn *insn = &result->insn;

    result->iterations += n;
    if (!(insn->prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE)))
        return 1;
    emul_set_gpr(ctx, EMUL_RCX, insn->addrsize, ctx->gpr[EMUL_RCX] - n);
    return !(ctx->gpr[EMUL_RCX] & emul_size_mask(insn->addrsize));
}

#endif
