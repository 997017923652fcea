/* Instruction fetch and decoding, the short way: inlined into the executor. */
#ifndef EMUL_FETCH_H
#define EMUL_FETCH_H

#include "access.h"

/* emul_result.marks before an instruction: the short way fetches all bytes that count. */
#define EMUL_MARKS (EMUL_INSN_MAX << 24)
#define EMUL_WINDOW 16u            /* bytes of emul_result.bytes */

static inline unsigned emul_decode_mode(const struct emul_ctx *ctx, unsigned mode)
{
    return mode + (ctx->features & EMUL_IS_AMD) * (EMUL_MODE_AMD / EMUL_IS_AMD); /* separate bits */
}

/* Fetches at CS:RIP and decodes, in two steps: what is quick, then the rest, with what the first has answered. result->insn, ->bytes;
 * ->have is EMUL_INSN_MAX before, and then how many bytes there are. ctx->facts are right; s: ctx->state; facts, mode: of the facts.
 * EMUL_FETCH_BYTES, _NEW: there is something to decode, to keep in ctx->decoded; _KNOWN: there is no rest. EMUL_DONE; EMUL_FAULT: the
 * fetch faults; EMUL_RETRY: the bytes are no valid instruction; result->vector is then the fault that they are (#UD, #GP). */
enum emul_fetched { EMUL_FETCH_NONE, EMUL_FETCH_BYTES, EMUL_FETCH_NEW, EMUL_FETCH_KNOWN };
int emul_fetch_rest(struct emul_ctx *ctx, enum emul_fetched fetched, unsigned mode, struct emul_result *result);

/* Is this what the 16 bytes decoded to? */
static inline int emul_is_known(const struct emul_known *known, uint64_t low, uint64_t high, unsigned mode)
{
    return !(((low ^ known->low) & known->mask_low) | ((high ^ known->high) & known->mask_high) | (known->mode ^ (mode + 1)));
}

/* 16 bytes at CS:RIP in one page of RAM and far from the limit: the common case. NULL: not here, take the long way. */
static inline const emul_loose64 *fetch_window(struct emul_ctx *ctx, const struct emul_state *s, uint32_t facts)
{
    const struct emul_segment *cs = &s->seg[EMUL_CS];
    uint64_t linear = s->rip;

    if (EMUL_UNLIKELY(!(facts & EMUL_FACT_CODE))) {
        if (ctx->byte_count || emul_mode_of(facts) == EMUL_MODE64 || linear + EMUL_INSN_MAX > cs->limit)
            return 0;
        linear = (uint32_t)(linear + cs->base);
    }
    if (EMUL_UNLIKELY((linear & PAGE_MASK) > PAGE_SIZE - EMUL_WINDOW))
        return 0;
    return emul_window(ctx, facts, linear, EMUL_PF_FETCH, EMUL_FOR_FETCH);
}

static inline enum emul_fetched emul_fetch_short(struct emul_ctx *ctx, const struct emul_state *s, uint32_t facts, struct emul_result *result)
{
    uint64_t rip = s->rip;
    const emul_loose64 *window = fetch_window(ctx, s, facts);
    struct emul_known *known;
    uint64_t low, high;

    if (EMUL_UNLIKELY(!window))
        return EMUL_FETCH_NONE;
    ((emul_loose64 *)result->bytes)[0] = low = window[0];
    ((emul_loose64 *)result->bytes)[1] = high = window[1];
    if (!ctx->decoded)
        return EMUL_FETCH_BYTES;
    known = &ctx->decoded->entry[rip % EMUL_CACHE_INSNS];
    result->insn = &known->insn;
    return emul_is_known(known, low, high, emul_mode_of(facts)) ? EMUL_FETCH_KNOWN : EMUL_FETCH_NEW;
}

#endif
