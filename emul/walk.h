/* Guest page walk: linear to guest-physical, with the exact page fault (SDM 3A 4.3 to 4.7). */
#ifndef EMUL_WALK_H
#define EMUL_WALK_H

#include "emul.h"

/* Bits of the page-fault error code, SDM 3A 4.7; W, U and FETCH also say what an access is. */
#define EMUL_PF_P      0x01u
#define EMUL_PF_W      0x02u
#define EMUL_PF_U      0x04u
#define EMUL_PF_RSVD   0x08u
#define EMUL_PF_FETCH  0x10u
#define EMUL_PF_PK     0x20u
#define EMUL_IMPLICIT  0x100u /* supervisor access that is not the instruction's own (descriptor tables): SMAP despite AC */

/* Translates `linear` for an access (EMUL_PF_W, _U, _FETCH, EMUL_IMPLICIT). EMUL_DONE: *gpa; accessed and dirty flags are set.
 * EMUL_FAULT: #PF in result. EMUL_RETRY: other vcpus kept changing the tables. EMUL_UNHANDLED: a callback is missing.
 * A table outside RAM reads as all ones. At most 5 levels, WALK_TRIES times. */
int emul_walk_tables(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result);

/* Where the caller's cache keeps a translation. The tag has the page and all of the access that decides over rights: W, U, FETCH,
 * the SMAP exceptions, and that it is valid. context: emul_walk_context(), the same for all accesses of one instruction. */
#define EMUL_TAG_VALID  0x800u

static inline unsigned emul_walk_context(const struct emul_ctx *ctx)
{
    return EMUL_TAG_VALID | (ctx->state->rflags >> 8 & 0x400); /* AC is bit 18 */
}

static inline int emul_walk_cached(const struct emul_ctx *ctx, uint64_t linear, unsigned context, unsigned access, uint64_t *gpa)
{
    unsigned slot = (linear >> 12) % EMUL_CACHE_PAGES;

    if (!ctx->cache || ctx->cache->page[access & EMUL_PF_W ? 1 : 0][slot].tag != ((linear & ~0xfffull) | context | access))
        return 0;
    *gpa = ctx->cache->page[access & EMUL_PF_W ? 1 : 0][slot].gpa | (linear & 0xfff);
    return 1;
}

static inline int emul_walk_with(const struct emul_ctx *ctx, uint64_t linear, unsigned context, unsigned access, uint64_t *gpa,
                                 struct emul_result *result)
{
    return emul_walk_cached(ctx, linear, context, access, gpa) ? EMUL_DONE : emul_walk_tables(ctx, linear, access, gpa, result);
}

static inline int emul_walk(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result)
{
    return emul_walk_with(ctx, linear, emul_walk_context(ctx), access, gpa, result);
}

#endif
