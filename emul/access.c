/* Segments, operands and instruction fetch. */
#include "access.h"
#include "state.h"

unsigned emul_user(const struct emul_ctx *ctx)
{
    return emul_cpl(ctx->state) == 3 ? EMUL_PF_U : 0;
}

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
    status = emul_walk(ctx, linear, access, &place->gpa[0], result);
    if (status || !place->size[1])
        return status;
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

/* Guest RAM by pointer: one access where the size is one that a register can have, so that other vcpus never see half of it. */
static inline uint64_t load_direct(const volatile void *p, unsigned size)
{
    const volatile uint8_t *bytes = p;
    uint64_t value = 0;

    if (size == 8)
        return *(const emul_loose64 *)p;
    if (size == 4)
        return *(const emul_loose32 *)p;
    if (size == 1)
        return *bytes;
    if (size == 2)
        return *(const emul_loose16 *)p;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << i * 8;
    return value;
}

static inline void store_direct(volatile void *p, unsigned size, uint64_t value)
{
    volatile uint8_t *bytes = p;

    if (size == 8) {
        *(emul_loose64 *)p = value;
    } else if (size == 4) {
        *(emul_loose32 *)p = value;
    } else if (size == 2) {
        *(emul_loose16 *)p = value;
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

static __attribute__((noinline)) int load_device(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;

    *value = 0;
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

static inline int load_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t *value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;
    void *p = ops->phys_map ? ops->phys_map(ctx->opaque, gpa, 0, cause) : 0;

    if (!p)
        return load_device(ctx, gpa, size, value, cause);
    *value = load_direct(p, size);
    return 0;
}

static __attribute__((noinline)) int store_device(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;

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

static inline int store_part(const struct emul_ctx *ctx, uint64_t gpa, unsigned size, uint64_t value, unsigned cause)
{
    const struct emul_ops *ops = ctx->ops;
    void *p = ops->phys_map ? ops->phys_map(ctx->opaque, gpa, 1, cause) : 0;

    if (!p)
        return store_device(ctx, gpa, size, value, cause);
    store_direct(p, size, value);
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

/* How many bytes from `offset` lie in the page and within the limit of CS, up to `max`. */
static int fetch_room(struct emul_ctx *ctx, unsigned mode, uint64_t offset, unsigned max, unsigned *room, uint64_t *linear,
                      struct emul_result *result)
{
    uint32_t limit = ctx->state->seg[EMUL_CS].limit;
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
static int fetch_page(struct emul_ctx *ctx, unsigned mode, struct emul_result *result)
{
    uint64_t linear, gpa;
    unsigned room;
    void *p;
    int status = fetch_room(ctx, mode, ctx->state->rip + result->have, EMUL_INSN_MAX - result->have, &room, &linear, result);

    if (!status)
        status = emul_walk(ctx, linear, EMUL_PF_FETCH | emul_user(ctx), &gpa, result);
    if (status)
        return status;
    p = ctx->ops->phys_map ? ctx->ops->phys_map(ctx->opaque, gpa, 0, EMUL_FOR_FETCH) : 0;
    if (p) {
        for (unsigned i = 0; i < room; i++)
            result->bytes[result->have + i] = ((const volatile uint8_t *)p)[i];
    } else if (!ctx->ops->phys_read || ctx->ops->phys_read(ctx->opaque, gpa, result->bytes + result->have, room, EMUL_FOR_FETCH) < 0) {
        return EMUL_UNHANDLED; /* code outside RAM */
    }
    result->have += room;
    return EMUL_DONE;
}

/* Bytes that are no instruction: the fault that the CPU would take (SDM 3A table 6-1: too long is #GP). */
static int not_valid(struct emul_result *result, int length)
{
    emul_fault(result, length == EMUL_TOO_LONG ? EMUL_VECTOR_GP : EMUL_VECTOR_UD, 0);
    return EMUL_RETRY;
}

/* Decodes result->bytes, of which 15 are there, or takes what they decoded to last time. */
static inline int decode_whole(const struct emul_ctx *ctx, unsigned mode, struct emul_result *result)
{
    const emul_loose64 *bytes = (const emul_loose64 *)result->bytes;
    struct emul_cache *cache = ctx->cache;
    unsigned slot = ctx->state->rip % EMUL_CACHE_INSNS;
    unsigned bits;
    int length;

    if (!cache)
        return emul_decode(&result->store, result->bytes, EMUL_INSN_MAX, mode);
    result->insn = &cache->insn[slot].insn;
    if (cache->insn[slot].mode == (mode | 0x100) && !((bytes[0] ^ cache->insn[slot].low) & cache->insn[slot].mask_low) &&
        !((bytes[1] ^ cache->insn[slot].high) & cache->insn[slot].mask_high))
        return cache->insn[slot].insn.length;
    cache->insn[slot].mode = 0;
    length = emul_decode(&cache->insn[slot].insn, result->bytes, EMUL_INSN_MAX, mode);
    if (length <= 0)
        return length;
    bits = length * 8;
    cache->insn[slot].low = bytes[0];
    cache->insn[slot].high = bytes[1];
    cache->insn[slot].mask_low = bits >= 64 ? ~0ull : (1ull << bits) - 1;
    cache->insn[slot].mask_high = bits > 64 ? (1ull << (bits - 64)) - 1 : 0;
    cache->insn[slot].mode = mode | 0x100; /* never 0: an empty entry has no mode */
    return length;
}

/* The common case: 16 bytes in one page of RAM and far from the limit, in two loads. 0: not here, take the long way. */
static int fetch_quick(struct emul_ctx *ctx, unsigned mode, struct emul_result *result)
{
    const struct emul_state *s = ctx->state;
    uint64_t linear = s->rip, gpa;
    const void *p;

    if (mode != EMUL_MODE64) {
        if (s->seg[EMUL_CS].limit < EMUL_INSN_MAX || linear > s->seg[EMUL_CS].limit - EMUL_INSN_MAX)
            return 0;
        linear = (linear + s->seg[EMUL_CS].base) & 0xffffffff;
    } else if (!emul_canonical(s, linear)) {
        return 0;
    }
    if ((linear & PAGE_MASK) > PAGE_SIZE - sizeof(result->bytes) || !ctx->ops->phys_map ||
        emul_walk(ctx, linear, EMUL_PF_FETCH | emul_user(ctx), &gpa, result))
        return 0; /* a fault is found again by the long way */
    p = ctx->ops->phys_map(ctx->opaque, gpa, 0, EMUL_FOR_FETCH);
    if (!p)
        return 0;
    ((emul_loose64 *)result->bytes)[0] = ((const emul_loose64 *)p)[0];
    ((emul_loose64 *)result->bytes)[1] = ((const emul_loose64 *)p)[1];
    return 1;
}

static __attribute__((noinline)) int fetch_long(struct emul_ctx *ctx, unsigned mode, unsigned decode_mode, struct emul_result *result)
{
    int length = EMUL_NEED_MORE;

    result->have = ctx->byte_count < EMUL_INSN_MAX ? ctx->byte_count : EMUL_INSN_MAX;
    if (result->have) {
        for (unsigned i = 0; i < result->have; i++)
            result->bytes[i] = ctx->bytes[i];
        length = emul_decode(&result->store, result->bytes, result->have, decode_mode);
    }
    /* At most three rounds: the supplied bytes end anywhere, then two pages; each round adds a byte or faults. */
    for (unsigned round = 0; length == EMUL_NEED_MORE && round < 3; round++) {
        int status = fetch_page(ctx, mode, result);

        if (status)
            return status;
        length = emul_decode(&result->store, result->bytes, result->have, decode_mode);
    }
    return length > 0 ? EMUL_DONE : not_valid(result, length);
}

int emul_fetch(struct emul_ctx *ctx, struct emul_result *result)
{
    unsigned mode = emul_code_mode(ctx->state);
    unsigned decode_mode = ctx->features & EMUL_IS_AMD ? mode | EMUL_MODE_AMD : mode;
    int length;

    result->insn = &result->store;
    result->store.op = EMUL_BAD;
    result->store.length = 0;
    if (ctx->byte_count || !fetch_quick(ctx, mode, result))
        return fetch_long(ctx, mode, decode_mode, result);
    result->have = EMUL_INSN_MAX;
    length = decode_whole(ctx, decode_mode, result);
    return length > 0 ? EMUL_DONE : not_valid(result, length);
}
