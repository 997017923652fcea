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

/* Where the caller's cache keeps a translation. The tag has the page and all of the access that decides over rights: W, U, FETCH,
 * the SMAP exceptions, and that it is valid. */
#define EMUL_TAG_VALID  0x800u

/* What is the same for all accesses of one instruction; EMUL_PF_U at CPL 3. */
static inline unsigned emul_rights(const struct emul_ctx *ctx, unsigned user)
{
    return EMUL_TAG_VALID | (ctx->state->rflags >> 8 & 0x400) | user; /* AC is bit 18 */
}

/* The same, paging being on. rights: emul_rights() with the access. */
int emul_walk_tables(const struct emul_ctx *ctx, uint64_t linear, unsigned rights, uint64_t *gpa, struct emul_result *result);

/* A walk in ctx->walks that was made before, if its entries are what they were: they are read again, not found again. 1: *gpa. */
int emul_walk_again(const struct emul_ctx *ctx, uint64_t linear, unsigned rights, uint64_t *gpa);

/* Is it in the cache? 1: *gpa. */
static inline int emul_walk_cached(const struct emul_ctx *ctx, uint64_t linear, unsigned rights, uint64_t *gpa)
{
    unsigned kind = rights & EMUL_PF_W ? 1 : 0, slot = (linear >> 12) % EMUL_CACHE_PAGES;

    if (EMUL_UNLIKELY(ctx->cache->page[kind][slot].tag != ((linear & ~0xfffull) | rights)))
        return 0;
    *gpa = ctx->cache->page[kind][slot].gpa | (linear & 0xfff);
    return 1;
}

static inline int emul_walk_with(const struct emul_ctx *ctx, uint64_t linear, unsigned rights, uint64_t *gpa, struct emul_result *result)
{
    if (ctx->cache) {
        if (EMUL_LIKELY(emul_walk_cached(ctx, linear, rights, gpa)))
            return EMUL_DONE;
    } else if (ctx->walks && emul_walk_again(ctx, linear, rights, gpa)) {
        return EMUL_DONE;
    }
    return emul_walk_tables(ctx, linear, rights, gpa, result);
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

#endif
