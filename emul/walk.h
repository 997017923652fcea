/* Guest page walk: linear to guest-physical, with the exact page fault (SDM 3A 4.3 to 4.7). */
#ifndef EMUL_WALK_H
#define EMUL_WALK_H

#include "emul.h"
#include "state.h"

/* Bits of the page-fault error code, SDM 3A 4.7; W, U and FETCH also say what an access is. */
#define EMUL_PF_P      0x01u
#define EMUL_PF_W      0x02u
#define EMUL_PF_U      0x04u
#define EMUL_PF_RSVD   0x08u
#define EMUL_PF_FETCH  0x10u
#define EMUL_PF_PK     0x20u
#define EMUL_IMPLICIT  0x100u /* supervisor access that is not the instruction's own (descriptor tables): SMAP despite AC */

/* Reserved in PAE's four pointers, SDM 3A table 4-8; bit 5 too, but QEMU's TCG sets it as an accessed flag. */
#define EMUL_PDPTE_RSVD 0x1c6ull

/* Translates `linear` for an access (EMUL_PF_W, _U, _FETCH, EMUL_IMPLICIT). EMUL_DONE: *gpa; accessed and dirty flags are set.
 * EMUL_FAULT: #PF in result. EMUL_RETRY: other vcpus kept changing the tables. EMUL_UNHANDLED: a callback is missing.
 * A table outside RAM reads as all ones. At most 5 levels, WALK_TRIES times. */
int emul_walk(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result);

/* Where the caller keeps a translation: the tag has the page and all of the access that decides over rights: W, U, FETCH, the SMAP
 * exceptions, and that it is valid. Of emul_ctx.facts these bits are its own; they need an access added. */
#define EMUL_TAG_FACTS (EMUL_FACT_PAGING | EMUL_FACT_AC | EMUL_FACT_USER)

/* Where a walk is kept. */
static inline struct emul_walk *emul_walk_slot(const struct emul_ctx *ctx, uint64_t linear, unsigned rights)
{
    return &ctx->walks->walk[rights / EMUL_PF_FETCH & 1][linear / PAGE_SIZE % EMUL_WALKS];
}

/* A walk that was made before, if its entries are what they were: they are read again, not found again. 1: *gpa. */
static inline __attribute__((always_inline)) int emul_walk_again(const struct emul_ctx *ctx, uint64_t linear, unsigned rights, uint64_t *gpa)
{
    const struct emul_walk *w = emul_walk_slot(ctx, linear, rights);

    if (EMUL_UNLIKELY(w->tag != ((linear & ~(uint64_t)PAGE_MASK) | rights)) || EMUL_UNLIKELY(*w->level[0].at != w->level[0].entry) ||
        EMUL_UNLIKELY(*w->level[1].at != w->level[1].entry) || EMUL_UNLIKELY(*w->level[2].at != w->level[2].entry) ||
        EMUL_UNLIKELY(*w->level[3].at != w->level[3].entry))
        return 0;
    ctx->touched[EMUL_FOR_WALK] += 4;
    *gpa = w->gpa | (linear & PAGE_MASK);
    return 1;
}

/* Limit and attributes; what the exit has said. */
static inline uint64_t emul_seen_segment(const struct emul_state *s, unsigned seg)
{
    return *(const emul_reg64 *)&s->seg[seg].limit;
}

static inline uint64_t emul_seen_exit(const struct emul_ctx *ctx)
{
    return *(const emul_reg16 *)&ctx->byte_count; /* and exit_known */
}
#define EMUL_SEEN_NONE (1ull << 32)

/* Makes the facts right, and forgets the walks if they are of other control registers. */
void emul_look(struct emul_ctx *ctx);

/* Has nothing changed that they are of? Asked at the begin of each operation. Only facts of 64-bit code are kept: others are of more. */
static inline int emul_as_seen(const struct emul_ctx *ctx)
{
    const struct emul_state *s = ctx->state;

    return !((ctx->seen.cr3 ^ s->cr3) | (ctx->seen.cr4 ^ s->cr4) | (ctx->seen.efer ^ s->efer) | (ctx->seen.exit ^ emul_seen_exit(ctx)) |
             (ctx->seen.cs ^ emul_seen_segment(s, EMUL_CS)) | (ctx->seen.ss ^ emul_seen_segment(s, EMUL_SS)));
}

static inline void emul_begin(struct emul_ctx *ctx)
{
    if (!emul_as_seen(ctx) || ((ctx->facts ^ (ctx->state->rflags | EMUL_FACT_KNOWN)) & (EMUL_FACT_FLAGS | EMUL_FACT_KNOWN)))
        emul_look(ctx);
}

/* The byte at gpa in the RAM that is one range, or NULL. */
static inline void *emul_pointer_ram(const struct emul_ctx *ctx, uint64_t gpa, unsigned cause)
{
    void *p;

    if (EMUL_UNLIKELY(gpa - ctx->ram_start >= ctx->ram_size))
        return 0;
    p = ctx->ram + gpa;
    ctx->touched[cause]++;
    if (!p)
        __builtin_unreachable(); /* RAM is not there: who asks need not look */
    return p;
}

/* The byte at gpa, directly addressable up to the end of its page, or NULL: not RAM, or not to be had by pointer. */
static inline void *emul_pointer(const struct emul_ctx *ctx, uint64_t gpa, unsigned write, unsigned cause)
{
    if (EMUL_LIKELY(gpa - ctx->ram_start < ctx->ram_size))
        return emul_pointer_ram(ctx, gpa, cause);
    return ctx->ops->phys_map ? ctx->ops->phys_map(ctx->opaque, gpa, write, cause) : 0;
}

/* The byte at `linear` in that range, where nothing has to be walked for it: without paging, in the cache, by a walk made before. NULL: find
 * out. access: EMUL_PF_*. What is known here was canonical. */
static inline __attribute__((always_inline)) void *emul_window(const struct emul_ctx *ctx, uint32_t facts, uint64_t linear, unsigned access,
                                                               unsigned cause)
{
    const struct emul_cache *cache;
    unsigned rights;

    if (!(facts & EMUL_FACT_PAGING))
        return emul_pointer_ram(ctx, linear, cause);
    cache = ctx->cache;
    rights = (facts & EMUL_TAG_FACTS) | access;
    if (cache) {
        unsigned kind = rights & EMUL_PF_W ? 1 : 0, slot = (linear >> 12) % EMUL_CACHE_PAGES;

        if (EMUL_UNLIKELY(cache->page[kind][slot].tag != ((linear & ~0xfffull) | rights)) || EMUL_UNLIKELY(!cache->page[kind][slot].host))
            return 0;
        ctx->touched[cause]++;
        return cache->page[kind][slot].host + (linear & PAGE_MASK);
    }
    return ctx->walks && emul_walk_again(ctx, linear, rights, &linear) ? emul_pointer_ram(ctx, linear, cause) : 0;
}

#endif
