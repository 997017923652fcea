/* Memory operands: segment checks, translation, and moving bytes from and to RAM or devices, all checks before any effect. */
#ifndef EMUL_ACCESS_H
#define EMUL_ACCESS_H

#include "emul.h"
#include "state.h"
#include "walk.h"

/* A resolved operand of 1 to 64 bytes, in one page or on the seam of two. */
struct emul_place {
    uint64_t gpa[2];
    unsigned size[2];    /* bytes in each page; size[1] is 0 if there is but one */
    unsigned how;        /* EMUL_MOVE_DEVICE, or 0 */
};
#define EMUL_MOVE_WRITE  1u
#define EMUL_MOVE_DEVICE 2u /* it is known to be no RAM that is had by pointer */

/* Fetches groups of the state that the caller left out (emul_ops.state_get). 0 or EMUL_UNHANDLED. */
int emul_need_more(struct emul_ctx *ctx, uint32_t groups);
static inline int emul_need(struct emul_ctx *ctx, uint32_t groups)
{
    return (ctx->have & groups) == groups ? 0 : emul_need_more(ctx, groups);
}

/* Segment checks for `size` bytes at `offset` of segment register `seg` (SDM 3A 5.3, 5.4; 3.3.7.1 canonical). access: EMUL_PF_W,
 * EMUL_PF_FETCH. EMUL_DONE and *linear, or EMUL_FAULT with #GP(0) or #SS(0). */
int emul_linear(struct emul_ctx *ctx, unsigned mode, unsigned seg, uint64_t offset, uint64_t size, unsigned access, uint64_t *linear,
                struct emul_result *result);

/* The same of any segment in protected or real mode outside 64-bit code: 1 if the access is within type and limit. */
int emul_segment_allows(const struct emul_state *s, const struct emul_segment *segment, uint64_t offset, uint64_t size, unsigned access);

/* Translates `size` bytes at `linear`, each page: EMUL_PF_W, EMUL_PF_U, EMUL_IMPLICIT in access. Answers of emul_walk(). */
int emul_translate(struct emul_ctx *ctx, unsigned mode, uint64_t linear, unsigned size, unsigned access, struct emul_place *place,
                   struct emul_result *result);

/* EMUL_PF_U at CPL 3, else 0: as the instruction began. */
static inline unsigned emul_user(const struct emul_ctx *ctx)
{
    return ctx->facts & EMUL_FACT_USER;
}

/* Guest RAM by pointer: one access where the size is one that a register can have, so that other vcpus never see half of it. */
static inline uint64_t emul_load_direct(const volatile void *p, unsigned size)
{
    const volatile uint8_t *bytes = p;
    uint64_t value = 0;

    if (EMUL_LIKELY(size == 4))
        return *(const emul_loose32 *)p;
    if (size == 8)
        return *(const emul_loose64 *)p;
    if (size == 1)
        return *bytes;
    if (size == 2)
        return *(const emul_loose16 *)p;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << i * 8;
    return value;
}

static inline void emul_store_direct(volatile void *p, unsigned size, uint64_t value)
{
    volatile uint8_t *bytes = p;

    if (EMUL_LIKELY(size == 4)) {
        *(emul_loose32 *)p = value;
    } else if (size == 8) {
        *(emul_loose64 *)p = value;
    } else if (size == 2) {
        *(emul_loose16 *)p = value;
    } else if (size == 1) {
        *bytes = value;
    } else {
        for (unsigned i = 0; i < size; i++)
            bytes[i] = value >> i * 8;
    }
}

/* Moves up to 8 bytes in one page, from *value or to it; 0, or EMUL_UNHANDLED when a callback is missing. RAM is one access, where the size
 * is one that a register can have; bytes outside of RAM go to the device callbacks in naturally aligned pieces, in rising order. */
int emul_move_word(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned how, unsigned cause);

/* The same of a resolved operand of up to 64 bytes, in words of 8 and what is left; how: with place->how. */
int emul_move(const struct emul_ctx *ctx, const struct emul_place *place, void *data, unsigned how, unsigned cause);

/* The same of up to 8 bytes. */
static inline int emul_load(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t *value, unsigned cause)
{
    if (EMUL_LIKELY(!place->size[1]))
        return emul_move_word(ctx, place->gpa[0], place->size[0], value, place->how, cause);
    *value = 0;
    return emul_move(ctx, place, value, 0, cause);
}

static inline int emul_store(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t value, unsigned cause)
{
    if (EMUL_LIKELY(!place->size[1]))
        return emul_move_word(ctx, place->gpa[0], place->size[0], &value, place->how | EMUL_MOVE_WRITE, cause);
    return emul_move(ctx, place, &value, EMUL_MOVE_WRITE, cause);
}

#endif
