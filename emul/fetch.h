/* Instruction fetch and decoding, the short way, for whoever runs many instructions: inlined into the executor. */
#ifndef EMUL_FETCH_H
#define EMUL_FETCH_H

#include "access.h"

/* The fault that bytes of no instruction are, in result; answers EMUL_RETRY. length: of emul_decode(). */
int emul_not_valid(struct emul_result *result, int length);
void emul_plan(const struct emul_insn *insn, struct emul_plan *plan); /* exec.c */
int emul_fetch_long(struct emul_ctx *ctx, unsigned mode, unsigned decode_mode, struct emul_result *result);

/* Decodes result->bytes, of which 15 are there, or takes what they decoded to last time. */
static inline int decode_whole(const struct emul_ctx *ctx, unsigned mode, struct emul_result *result)
{
    const emul_loose64 *bytes = (const emul_loose64 *)result->bytes;
    struct emul_decoded *cache = ctx->decoded;
    unsigned slot = ctx->state->rip % EMUL_CACHE_INSNS;
    unsigned bits;
    int length;

    if (!cache) {
        length = emul_decode(&result->store, result->bytes, EMUL_INSN_MAX, mode);
        emul_plan(&result->store, &result->store_plan);
        return length;
    }
    result->insn = &cache->entry[slot].insn;
    result->plan = &cache->entry[slot].plan;
    if (cache->entry[slot].mode == (mode | 0x100) && !((bytes[0] ^ cache->entry[slot].low) & cache->entry[slot].mask_low) &&
        !((bytes[1] ^ cache->entry[slot].high) & cache->entry[slot].mask_high))
        return cache->entry[slot].insn.length;
    cache->entry[slot].mode = 0;
    length = emul_decode(&cache->entry[slot].insn, result->bytes, EMUL_INSN_MAX, mode);
    if (length <= 0)
        return length;
    bits = length * 8;
    emul_plan(&cache->entry[slot].insn, &cache->entry[slot].plan);
    cache->entry[slot].low = bytes[0];
    cache->entry[slot].high = bytes[1];
    cache->entry[slot].mask_low = bits >= 64 ? ~0ull : (1ull << bits) - 1;
    cache->entry[slot].mask_high = bits > 64 ? (1ull << (bits - 64)) - 1 : 0;
    cache->entry[slot].mode = mode | 0x100; /* never 0: an empty entry has no mode */
    return length;
}

/* The common case: 16 bytes in one page of RAM and far from the limit, in two loads. user, context: of emul_user() and
 * emul_walk_context(). 0: not here, take the long way. */
static inline int fetch_quick(struct emul_ctx *ctx, unsigned mode, unsigned user, unsigned context, struct emul_result *result)
{
    const struct emul_state *s = ctx->state;
    uint64_t linear = s->rip, gpa;
    const void *p;

    if (mode != EMUL_MODE64) {
        if (s->seg[EMUL_CS].limit < EMUL_INSN_MAX || linear > s->seg[EMUL_CS].limit - EMUL_INSN_MAX)
            return 0;
        linear = (linear + s->seg[EMUL_CS].base) & 0xffffffff;
    }
    if (!emul_canonical48(linear) || (linear & PAGE_MASK) > PAGE_SIZE - sizeof(result->bytes) || !ctx->ops->phys_map ||
        emul_walk_with(ctx, linear, context, EMUL_PF_FETCH | user, &gpa, result))
        return 0; /* a fault is found again by the long way */
    p = ctx->ops->phys_map(ctx->opaque, gpa, 0, EMUL_FOR_FETCH);
    if (!p)
        return 0;
    ((emul_loose64 *)result->bytes)[0] = ((const emul_loose64 *)p)[0];
    ((emul_loose64 *)result->bytes)[1] = ((const emul_loose64 *)p)[1];
    return 1;
}

static inline int emul_fetch_inline(struct emul_ctx *ctx, unsigned user, unsigned context, struct emul_result *result)
{
    unsigned mode = emul_code_mode(ctx->state);
    unsigned decode_mode = mode | (ctx->features & EMUL_IS_AMD) * (EMUL_MODE_AMD / EMUL_IS_AMD);
    int length;

    result->insn = &result->store;
    result->plan = &result->store_plan;
    if (ctx->byte_count || !fetch_quick(ctx, mode, user, context, result))
        return emul_fetch_long(ctx, mode, decode_mode, result);
    result->have = EMUL_INSN_MAX;
    length = decode_whole(ctx, decode_mode, result);
    return length > 0 ? EMUL_DONE : emul_not_valid(result, length);
}

#endif
