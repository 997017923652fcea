/* Segments, operands and instruction fetch. */
#include "access.h"
#include "state.h"

#define CANONICAL_48 47
#define CANONICAL_57 56

unsigned emul_user(const struct emul_ctx *ctx)
{
    return emul_cpl(ctx) == 3 ? EMUL_PF_U : 0;
}

static int is_canonical(const struct emul_ctx *ctx, uint64_t linear)
{
    int64_t high = (int64_t)linear >> (ctx->cr4 & CR4_LA57 ? CANONICAL_57 : CANONICAL_48);

    return high == 0 || high == -1;
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

int emul_linear(const struct emul_ctx *ctx, unsigned mode, unsigned seg, uint64_t offset, uint64_t size, unsigned access,
                uint64_t *linear, struct emul_result *result)
{
    const struct emul_segment *s = &ctx->seg[seg];

    if (mode == EMUL_MODE64) {
        if (seg >= EMUL_FS)
            offset += s->base;
        *linear = offset;
        if (!is_canonical(ctx, offset) || !is_canonical(ctx, offset + size - 1))
            return segment_fault(seg, result);
        return EMUL_DONE;
    }
    offset &= 0xffffffff;
    *linear = (s->base + offset) & 0xffffffff;
    if ((emul_protected(ctx) && !type_allows(s->attr, access)) || !limit_allows(s, offset, size))
        return segment_fault(seg, result);
    return EMUL_DONE;
}

int emul_resolve(const struct emul_ctx *ctx, unsigned seg, uint64_t offset, unsigned size, unsigned access, struct emul_place *place,
                 struct emul_result *result)
{
    unsigned mode = result->insn.mode;
    uint64_t linear;
    unsigned room;
    int status = emul_linear(ctx, mode, seg, offset, size, access, &linear, result);

    if (status)
        return status;
    access |= emul_user(ctx);
    if ((linear & (size - 1)) && (ctx->rflags & RFLAGS_AC) && (ctx->cr0 & CR0_AM) && (access & EMUL_PF_U))
        return emul_fault(result, EMUL_VECTOR_AC, 0);
    room = PAGE_SIZE - (linear & PAGE_MASK);
    place->size[0] = size <= room ? size : room;
    place->size[1] = size - place->size[0];
    status = emul_walk(ctx, linear, access, &place->gpa[0], result);
    if (status || !place->size[1])
        return status;
    linear += room;
    if (mode != EMUL_MODE64)
        linear &= 0xffffffff;
    return emul_walk(ctx, linear, access, &place->gpa[1], result);
}

/* Words at any address, of any type. */
typedef volatile uint16_t __attribute__((aligned(1), may_alias)) loose16;
typedef volatile uint32_t __attribute__((aligned(1), may_alias)) loose32;
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) loose64;

/* Guest RAM by pointer: one access where the size is one that a register can have, so that other vcpus never see half of it. */
static uint64_t load_direct(const volatile void *p, unsigned size)
{
    const volatile uint8_t *bytes = p;
    uint64_t value = 0;

    if (size == 1)
        return *bytes;
    if (size == 2)
        return *(const loose16 *)p;
    if (size == 4)
        return *(const loose32 *)p;
    if (size == 8)
        return *(const loose64 *)p;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << i * 8;
    return value;
}

static void store_direct(volatile void *p, unsigned size, uint64_t value)
{
    volatile uint8_t *bytes = p;

    if (size == 2) {
        *(loose16 *)p = value;
    } else if (size == 4) {
        *(loose32 *)p = value;
    } else if (size == 8) {
        *(loose64 *)p = value;
    } else {
        for (unsigned i = 0; i < size; i++)
            bytes[i] = value >> i * 8;
    }
}

/* The largest naturally aligned piece at gpa: devices see no others. */
static unsigned device_piece(uint64_t gpa, unsigned size)
{
    unsigned piece = 8;

    while (piece > size || (gpa & (piece - 1)))
        piece >>= 1;
    return piece;
}

static int load_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;
    void *p = ops->phys_map ? ops->phys_map(ctx->opaque, gpa, 0, cause) : 0;

    *value = 0;
    if (p) {
        *value = load_direct(p, size);
        return 0;
    }
    if (!ops->phys_read)
        return EMUL_UNHANDLED;
    if (ops->phys_read(ctx->opaque, gpa, value, size, cause) >= 0)
        return 0;
    if (!ops->mmio_read)
        return EMUL_UNHANDLED;
    *value = 0;
    for (unsigned at = 0, piece; at < size; at += piece) {
        piece = device_piece(gpa + at, size - at);
        *value |= (ops->mmio_read(ctx->opaque, gpa + at, piece) & emul_size_mask(piece)) << at * 8;
    }
    return 0;
}

static int store_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;
    void *p = ops->phys_map ? ops->phys_map(ctx->opaque, gpa, 1, cause) : 0;

    if (p) {
        store_direct(p, size, value);
        return 0;
    }
    if (!ops->phys_write)
        return EMUL_UNHANDLED;
    if (ops->phys_write(ctx->opaque, gpa, &value, size, cause) >= 0)
        return 0;
    if (!ops->mmio_write)
        return EMUL_UNHANDLED;
    for (unsigned at = 0, piece; at < size; at += piece) {
        piece = device_piece(gpa + at, size - at);
        ops->mmio_write(ctx->opaque, gpa + at, piece, value >> at * 8 & emul_size_mask(piece));
    }
    return 0;
}

int emul_load(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t *value, unsigned cause)
{
    uint64_t high;
    int status = load_part(ctx, place->gpa[0], place->size[0], value, cause);

    if (status || !place->size[1])
        return status;
    status = load_part(ctx, place->gpa[1], place->size[1], &high, cause);
    *value |= high << place->size[0] * 8;
    return status;
}

int emul_store(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t value, unsigned cause)
{
    int status = store_part(ctx, place->gpa[0], place->size[0], value, cause);

    if (status || !place->size[1])
        return status;
    return store_part(ctx, place->gpa[1], place->size[1], value >> place->size[0] * 8, cause);
}

/* How many bytes from `offset` lie in the page and within the limit of CS, up to `max`. */
static int fetch_room(const struct emul_ctx *ctx, unsigned mode, uint64_t offset, unsigned max, unsigned *room, uint64_t *linear,
                      struct emul_result *result)
{
    uint32_t limit = ctx->seg[EMUL_CS].limit;
    int status = emul_linear(ctx, mode, EMUL_CS, offset, 1, EMUL_PF_FETCH, linear, result);
    unsigned bytes = PAGE_SIZE - (*linear & PAGE_MASK);

    if (status)
        return status;
    if (bytes > max)
        bytes = max;
    if (mode != EMUL_MODE64 && limit - (uint32_t)offset < bytes - 1)
        bytes = limit - (uint32_t)offset + 1;
    *room = bytes;
    return EMUL_DONE;
}

/* Adds bytes at offset rip + have to result->bytes, as many as lie in one page. */
static int fetch_page(const struct emul_ctx *ctx, unsigned mode, unsigned *have, struct emul_result *result)
{
    uint64_t linear, gpa;
    unsigned room;
    void *p;
    int status = fetch_room(ctx, mode, ctx->rip + *have, EMUL_INSN_MAX - *have, &room, &linear, result);

    if (!status)
        status = emul_walk(ctx, linear, EMUL_PF_FETCH | emul_user(ctx), &gpa, result);
    if (status)
        return status;
    p = ctx->ops->phys_map ? ctx->ops->phys_map(ctx->opaque, gpa, 0, EMUL_FOR_FETCH) : 0;
    if (p && *have == 0 && (gpa & PAGE_MASK) <= PAGE_SIZE - sizeof(result->bytes)) {
        loose64 *to = (loose64 *)result->bytes; /* the common case: 16 bytes in two loads, of which `room` count */

        to[0] = ((const loose64 *)p)[0];
        to[1] = ((const loose64 *)p)[1];
    } else if (p) {
        for (unsigned i = 0; i < room; i++)
            result->bytes[*have + i] = ((const volatile uint8_t *)p)[i];
    } else if (!ctx->ops->phys_read || ctx->ops->phys_read(ctx->opaque, gpa, result->bytes + *have, room, EMUL_FOR_FETCH) < 0) {
        return EMUL_UNHANDLED; /* code outside RAM */
    }
    *have += room;
    return EMUL_DONE;
}

int emul_fetch(const struct emul_ctx *ctx, struct emul_result *result)
{
    unsigned mode = emul_code_mode(ctx);
    unsigned decode_mode = ctx->features & EMUL_IS_AMD ? mode | EMUL_MODE_AMD : mode;
    unsigned have = 0;
    int length = EMUL_NEED_MORE;

    result->insn.op = EMUL_BAD;
    result->insn.length = 0;
    if (ctx->byte_count) {
        have = ctx->byte_count < EMUL_INSN_MAX ? ctx->byte_count : EMUL_INSN_MAX;
        for (unsigned i = 0; i < have; i++)
            result->bytes[i] = ctx->bytes[i];
        length = emul_decode(&result->insn, result->bytes, have, decode_mode);
    }
    /* At most three rounds: the supplied bytes end anywhere, then two pages; each round adds a byte or faults. */
    for (unsigned round = 0; length == EMUL_NEED_MORE && round < 3; round++) {
        int status = fetch_page(ctx, mode, &have, result);

        if (status)
            return status;
        length = emul_decode(&result->insn, result->bytes, have, decode_mode);
    }
    return length > 0 ? EMUL_DONE : EMUL_RETRY;
}
