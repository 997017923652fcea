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
    place->how = 0;
    status = emul_walk(ctx, linear, access, &place->gpa[0], result);
    if (status)
        return status;
    if (!place->size[1])
        return EMUL_DONE;
    linear += room;
    if (mode != EMUL_MODE64)
        linear &= 0xffffffff;
    return emul_walk(ctx, linear, access, &place->gpa[1], result);
}

/* The largest naturally aligned piece at gpa: devices see no others. */
static unsigned device_piece(uint64_t gpa, unsigned size)
{
    unsigned piece = 8;

    while (piece > size || (gpa & (piece - 1)))
        piece >>= 1;
    return piece;
}

/* Of no RAM, or of RAM that is not had by pointer: up to 8 bytes from or to *value. */
static int move_device(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned write, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;

    if (!write)
        *value = 0;
    if (!ops->phys_map) {
        if (write ? !ops->phys_write : !ops->phys_read)
            return EMUL_UNHANDLED;
        if ((write ? ops->phys_write(ctx->opaque, gpa, value, size, cause) : ops->phys_read(ctx->opaque, gpa, value, size, cause)) >= 0)
            return EMUL_DONE;
    }
    if (write ? !ops->mmio_write : !ops->mmio_read)
        return EMUL_UNHANDLED;
    for (unsigned at = 0, piece; at < size; at += piece) {
        piece = device_piece(gpa + at, size - at);
        if (write)
            ops->mmio_write(ctx->opaque, gpa + at, piece, *value >> at * 8 & emul_size_mask(piece));
        else
            *value |= (ops->mmio_read(ctx->opaque, gpa + at, piece) & emul_size_mask(piece)) << at * 8;
    }
    return EMUL_DONE;
}

int emul_move_word(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned how, unsigned cause)
{
    void *p = how & EMUL_MOVE_DEVICE ? 0 : emul_pointer(ctx, gpa, how & EMUL_MOVE_WRITE, cause);

    if (!p)
        return move_device(ctx, gpa, size, value, how & EMUL_MOVE_WRITE, cause);
    if (how & EMUL_MOVE_WRITE)
        emul_store_direct(p, size, *value);
    else
        *value = emul_load_direct(p, size);
    return EMUL_DONE;
}

int emul_move(const struct emul_ctx *ctx, const struct emul_place *place, void *data, unsigned how, unsigned cause)
{
    uint8_t *bytes = data;

    for (unsigned page = 0; page < 2; page++) {
        for (unsigned at = 0, piece; at < place->size[page]; at += piece, bytes += piece) {
            uint64_t value = 0;

            piece = place->size[page] - at < 8 ? place->size[page] - at : 8;
            if (how & EMUL_MOVE_WRITE)
                value = emul_load_direct(bytes, piece);
            if (emul_move_word(ctx, place->gpa[page] + at, piece, &value, how, cause))
                return EMUL_UNHANDLED;
            if (!(how & EMUL_MOVE_WRITE))
                emul_store_direct(bytes, piece, value);
        }
    }
    return EMUL_DONE;
}
