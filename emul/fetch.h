/* Instruction fetch and decoding, the short way: inlined into the executor. */
#ifndef EMUL_FETCH_H
#define EMUL_FETCH_H

#include "access.h"

/* emul_result.marks before an instruction: the short way fetches all bytes that count. */
#define EMUL_MARKS (EMUL_INSN_MAX << 24)
#define EMUL_WINDOW 16u            /* bytes of emul_result.bytes */

/* The long way: page by page, up to the limit of CS, or the bytes that the CPU supplied. */
int emul_fetch_long(struct emul_ctx *ctx, unsigned mode, struct emul_result *result);

/* Bytes that are no instruction: the fault that the CPU would take. length: of emul_decode(). */
int emul_not_valid(struct emul_result *result, int length);

/* Decodes result->bytes into ctx->decoded; what emul_decode() answers. */
int emul_fetch_keep(struct emul_ctx *ctx, unsigned slot, unsigned mode, const uint8_t *bytes);

static inline unsigned emul_decode_mode(const struct emul_ctx *ctx, unsigned mode)
{
    return mode + (ctx->features & EMUL_IS_AMD) * (EMUL_MODE_AMD / EMUL_IS_AMD); /* separate bits */
}

/* Decodes result->bytes, of which 15 are there, or takes what they decoded to last time. */
static inline int emul_fetch_decode(struct emul_ctx *ctx, const struct emul_state *s, unsigned mode, struct emul_result *result)
{
    const emul_loose64 *bytes = (const emul_loose64 *)result->bytes;
    int length;

    if (!ctx->decoded) {
        result->insn = &result->store;
        length = emul_decode(&result->store, result->bytes, EMUL_INSN_MAX, emul_decode_mode(ctx, mode));
    } else {
        unsigned slot = s->rip % EMUL_CACHE_INSNS;
        struct emul_known *known = &ctx->decoded->entry[slot];

        result->insn = &known->insn;
        if (EMUL_LIKELY(!(((bytes[0] ^ known->low) & known->mask_low) | ((bytes[1] ^ known->high) & known->mask_high) |
                          (known->mode ^ (mode + 1)))))
            return EMUL_DONE;
        length = emul_fetch_keep(ctx, slot, mode, result->bytes);
    }
    return EMUL_LIKELY(length > 0) ? EMUL_DONE : emul_not_valid(result, length);
}

/* 16 bytes at CS:RIP in one page of RAM and far from the limit: the common case. NULL: not here, take the long way. */
static inline const emul_loose64 *fetch_window(struct emul_ctx *ctx, const struct emul_state *s)
{
    const struct emul_segment *cs = &s->seg[EMUL_CS];
    uint64_t linear = s->rip;
    uint32_t facts = ctx->facts;

    if (EMUL_UNLIKELY(!(facts & EMUL_FACT_CODE))) {
        if (ctx->byte_count || emul_mode_of(facts) == EMUL_MODE64 || linear + EMUL_INSN_MAX > cs->limit)
            return 0;
        linear = (uint32_t)(linear + cs->base);
    }
    if (EMUL_UNLIKELY((linear & PAGE_MASK) > PAGE_SIZE - EMUL_WINDOW))
        return 0;
    return emul_window(ctx, facts, linear, EMUL_PF_FETCH, EMUL_FOR_FETCH);
}

/* Fetches at CS:RIP and decodes: result->insn, ->bytes; ->have is EMUL_INSN_MAX before, and then how many bytes there are. ctx->facts are
 * right; s: ctx->state; mode: of the facts. EMUL_DONE; EMUL_FAULT: the fetch faults; EMUL_RETRY: the bytes are no valid instruction;
 * result->vector is then the fault that they are (#UD, #GP). */
static inline int emul_fetch(struct emul_ctx *ctx, const struct emul_state *s, unsigned mode, struct emul_result *result)
{
    const emul_loose64 *window = fetch_window(ctx, s);

    if (EMUL_UNLIKELY(!window))
        return emul_fetch_long(ctx, mode, result);
    ((emul_loose64 *)result->bytes)[0] = window[0];
    ((emul_loose64 *)result->bytes)[1] = window[1];
    return emul_fetch_decode(ctx, s, mode, result);
}

#endif
