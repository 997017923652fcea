/* Segments, operands and instruction fetch. */
#include "access.h"
#include "state.h"

int emul_need_more(struct emul_ctx *ctx, uint32_t groups)
{
    groups &= ~ctx->have;
    if (!ctx->ops->state_get || ctx->ops->state_get(ctx->opaque, groups) < 0)
        return EMUL_UNHANDLED;
    ctx->have |= groups;
    return EMUL_DONE;
}

static int segment_fault(unsigned seg, struct emul_result *result)
{
    return emul_fault(result, seg == EMUL_SS ? EMUL_VECTOR_SS : EMUL_VECTOR_GP, 0);
}

/* Descriptor type against the access, SDM 3A 5.5; protected mode only. */
static int type_allows(uint32_t attr, unsigned access)
{
    if (attr & SEG_UNUSABLE)
        return 0;
    if (access & EMUL_PF_FETCH)
        return 1; /* CS was checked when it was loaded */
    if (access & EMUL_PF_W)
        return (attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE;
    return !(attr & SEG_CODE) || (attr & SEG_WRITE);
}

/* Limit check, SDM 3A 5.3. offset + size may not wrap: offset is at most 2^32 - 1 here. */
static int limit_allows(const struct emul_segment *s, uint64_t offset, uint64_t size)
{
    uint64_t last = offset + size - 1;

    if ((s->attr & (SEG_CODE | SEG_DOWN)) != SEG_DOWN)
        return last <= s->limit;
    return offset > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffull : 0xffffull);
}

int emul_segment_allows(const struct emul_state *s, const struct emul_segment *segment, uint64_t offset, uint64_t size, unsigned access)
{
    return (!emul_protected(s) || type_allows(segment->attr, access)) && limit_allows(segment, offset, size);
}

int emul_linear(struct emul_ctx *ctx, unsigned mode, unsigned seg, uint64_t offset, uint64_t size, unsigned access, uint64_t *linear,
                struct emul_result *result)
{
    const struct emul_segment *s = &ctx->state->seg[seg];

    if (mode == EMUL_MODE64) {
        if (seg >= EMUL_FS) {
            if (emul_need(ctx, EMUL_STATE_SEGS))
                return EMUL_UNHANDLED;
            offset += s->base;
        }
        *linear = offset;
        if (!emul_canonical(ctx->state, offset) || !emul_canonical(ctx->state, offset + size - 1))
            return segment_fault(seg, result);
        return EMUL_DONE;
    }
    if (emul_need(ctx, seg == EMUL_CS || seg == EMUL_SS ? EMUL_STATE_CS : EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    offset &= 0xffffffff;
    *linear = (s->base + offset) & 0xffffffff;
    return emul_segment_allows(ctx->state, s, offset, size, access) ? EMUL_DONE : segment_fault(seg, result);
}

int emul_translate(struct emul_ctx *ctx, unsigned mode, uint64_t linear, unsigned size, unsigned access, struct emul_place *place,
                   struct emul_result *result)
{
    unsigned room = PAGE_SIZE - (linear & PAGE_MASK);
    int status;

    place->size[0] = size <= room ? size : room;
    place->size[1] = size - place->size[0];
    place->host = 0;
    status = emul_walk(ctx, linear, access, &place->gpa[0], result);
    if (status)
        return status;
    if (!place->size[1]) {
        if (!ctx->ops->phys_map && !ctx->ram_size)
            place->host = EMUL_DEVICE; /* it is moved as if it were one */
        return EMUL_DONE;
    }
    linear += room;
    if (mode != EMUL_MODE64)
        linear &= 0xffffffff;
    return emul_walk(ctx, linear, access, &place->gpa[1], result);
}

int emul_resolve(struct emul_ctx *ctx, unsigned mode, unsigned seg, uint64_t offset, unsigned size, unsigned access,
                 struct emul_place *place, struct emul_result *result)
{
    const struct emul_state *s = ctx->state;
    uint64_t linear;
    int status = emul_linear(ctx, mode, seg, offset, size, access, &linear, result);

    if (status)
        return status;
    access |= emul_user(ctx);
    if ((s->rflags & RFLAGS_AC) && (linear & (size - 1)) && (s->cr0 & CR0_AM) && (access & EMUL_PF_U))
        return emul_fault(result, EMUL_VECTOR_AC, 0);
    return emul_translate(ctx, mode, linear, size, access, place, result);
}

/* The largest naturally aligned piece at gpa: devices see no others. */
static unsigned device_piece(uint64_t gpa, unsigned size)
{
    unsigned piece = 8;

    while (piece > size || (gpa & (piece - 1)))
        piece >>= 1;
    return piece;
}

/* Of no RAM, or of RAM that is not had by pointer. */
static int load_device(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;

    *value = 0;
    if (!ops->phys_map) {
        if (!ops->phys_read)
            return EMUL_UNHANDLED;
        if (ops->phys_read(ctx->opaque, gpa, value, size, cause) >= 0)
            return EMUL_DONE;
    }
    if (!ops->mmio_read)
        return EMUL_UNHANDLED;
    *value = 0;
    for (unsigned at = 0, piece; at < size; at += piece) {
        piece = device_piece(gpa + at, size - at);
        *value |= (ops->mmio_read(ctx->opaque, gpa + at, piece) & emul_size_mask(piece)) << at * 8;
    }
    return EMUL_DONE;
}

static int store_device(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;

    if (!ops->phys_map) {
        if (!ops->phys_write)
            return EMUL_UNHANDLED;
        if (ops->phys_write(ctx->opaque, gpa, &value, size, cause) >= 0)
            return EMUL_DONE;
    }
    if (!ops->mmio_write)
        return EMUL_UNHANDLED;
    for (unsigned at = 0, piece; at < size; at += piece) {
        piece = device_piece(gpa + at, size - at);
        ops->mmio_write(ctx->opaque, gpa + at, piece, value >> at * 8 & emul_size_mask(piece));
    }
    return EMUL_DONE;
}

static int load_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned cause)
{
    const void *p = emul_pointer(ctx, gpa, 0, cause);

    if (!p)
        return load_device(ctx, gpa, size, value, cause);
    *value = emul_load_direct(p, size);
    return EMUL_DONE;
}

static int store_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t value, unsigned cause)
{
    void *p = emul_pointer(ctx, gpa, 1, cause);

    if (!p)
        return store_device(ctx, gpa, size, value, cause);
    emul_store_direct(p, size, value);
    return EMUL_DONE;
}

static __attribute__((noinline)) int load_slow(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t *value, unsigned cause)
{
    uint64_t high;
    int status;

    status = load_part(ctx, place->gpa[0], place->size[0], value, cause);
    if (status || !place->size[1])
        return status;
    status = load_part(ctx, place->gpa[1], place->size[1], &high, cause);
    *value |= high << place->size[0] * 8;
    return status;
}

static __attribute__((noinline)) int store_slow(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t value, unsigned cause)
{
    int status;

    status = store_part(ctx, place->gpa[0], place->size[0], value, cause);
    if (status || !place->size[1])
        return status;
    return store_part(ctx, place->gpa[1], place->size[1], value >> place->size[0] * 8, cause);
}

/* What most exits are for: a device, in one piece. */
static inline int is_one_piece(const struct emul_ctx *ctx, const struct emul_place *place)
{
    return ctx->ops->phys_map && !((place->size[0] - 1) & (place->size[0] | place->gpa[0]));
}

int emul_load_far(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t *value, unsigned cause)
{
    if (place->host != EMUL_DEVICE)
        return load_slow(ctx, place, value, cause);
    if (!is_one_piece(ctx, place) || !ctx->ops->mmio_read)
        return load_device(ctx, place->gpa[0], place->size[0], value, cause);
    *value = ctx->ops->mmio_read(ctx->opaque, place->gpa[0], place->size[0]) & emul_size_mask(place->size[0]);
    return EMUL_DONE;
}

int emul_store_far(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t value, unsigned cause)
{
    if (place->host != EMUL_DEVICE)
        return store_slow(ctx, place, value, cause);
    if (!is_one_piece(ctx, place) || !ctx->ops->mmio_write)
        return store_device(ctx, place->gpa[0], place->size[0], value, cause);
    ctx->ops->mmio_write(ctx->opaque, place->gpa[0], place->size[0], value & emul_size_mask(place->size[0]));
    return EMUL_DONE;
}

int emul_load_bytes(const struct emul_ctx *ctx, const struct emul_place *place, void *data, unsigned cause)
{
    uint8_t *bytes = data;

    for (unsigned page = 0; page < 2; page++) {
        for (unsigned at = 0, piece; at < place->size[page]; at += piece) {
            uint64_t value;
            int status;

            piece = place->size[page] - at < 8 ? place->size[page] - at : 8;
            status = load_part(ctx, place->gpa[page] + at, piece, &value, cause);
            if (status)
                return status;
            for (unsigned i = 0; i < piece; i++)
                *bytes++ = value >> i * 8;
        }
    }
    return 0;
}

int emul_store_bytes(const struct emul_ctx *ctx, const struct emul_place *place, const void *data, unsigned cause)
{
    const uint8_t *bytes = data;

    for (unsigned page = 0; page < 2; page++) {
        for (unsigned at = 0, piece; at < place->size[page]; at += piece) {
            uint64_t value = 0;
            int status;

            piece = place->size[page] - at < 8 ? place->size[page] - at : 8;
            for (unsigned i = 0; i < piece; i++)
                value |= (uint64_t)*bytes++ << i * 8;
            status = store_part(ctx, place->gpa[page] + at, piece, value, cause);
            if (status)
                return status;
        }
    }
    return 0;
}
