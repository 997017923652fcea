/* Instruction fetch, the long way: page by page, up to the limit of CS, or the bytes that the CPU supplied. */
#include "fetch.h"

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
    uint64_t n;
    uint8_t *to = result->bytes + result->have;
    void *p;
    int status = fetch_room(ctx, mode, ctx->state->rip + result->have, EMUL_INSN_MAX - result->have, &room, &linear, result);

    if (!status)
        status = emul_walk(ctx, linear, EMUL_PF_FETCH | emul_user(ctx), &gpa, result);
    if (status)
        return status;
    p = emul_pointer(ctx, gpa, 0, EMUL_FOR_FETCH);
    n = room;
    if (p) {
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(p), "+c"(n) : : "memory");
    } else if (!ctx->ops->phys_read || ctx->ops->phys_read(ctx->opaque, gpa, to, room, EMUL_FOR_FETCH) < 0) {
        return EMUL_UNHANDLED; /* code outside RAM */
    }
    result->have += room;
    return EMUL_DONE;
}

/* Decodes all 15 bytes, or knows them; to be known again, if ctx is to. */
static int decode_all(struct emul_ctx *ctx, unsigned mode, struct emul_result *result)
{
    struct emul_known *known = ctx->decoded ? &ctx->decoded->entry[ctx->state->rip % EMUL_CACHE_INSNS] : 0;
    struct emul_insn *insn = known ? &known->insn : &result->store;
    uint64_t low = ((const emul_loose64 *)result->bytes)[0], high = ((const emul_loose64 *)result->bytes)[1];
    int length;

    result->insn = insn;
    if (known && emul_is_known(known, low, high, mode))
        return insn->length;
    length = emul_decode(insn, result->bytes, EMUL_INSN_MAX, emul_decode_mode(ctx, mode));
    if (known) {
        known->low = low;
        known->high = high;
        known->mask_low = length >= 8 ? ~0ull : (1ull << (length & 7) * 8) - 1;
        known->mask_high = length > 8 ? (1ull << (length - 8) * 8) - 1 : 0;
        known->mode = length > 0 ? mode + 1 : 0; /* an empty entry has no mode */
    }
    return length;
}

static void begin_long(struct emul_result *result)
{
    result->insn = &result->store;
    result->store.op = EMUL_BAD;
    result->store.length = result->have = 0;
}

/* Page by page, up to the limit of CS, or the bytes that the CPU supplied. *length: answer of emul_decode(). */
static int fetch_long(struct emul_ctx *ctx, unsigned mode, struct emul_result *result, int *length)
{
    begin_long(result);
    result->have = ctx->byte_count < EMUL_INSN_MAX ? ctx->byte_count : EMUL_INSN_MAX;
    for (unsigned i = 0; i < result->have; i++)
        result->bytes[i] = ctx->bytes[i];
    *length = result->have ? emul_decode(&result->store, result->bytes, result->have, emul_decode_mode(ctx, mode)) : EMUL_NEED_MORE;
    /* At most three rounds: the supplied bytes end anywhere, then two pages; each round adds a byte or faults. */
    for (unsigned round = 0; *length == EMUL_NEED_MORE && round < 3; round++) {
        int status = fetch_page(ctx, mode, result);

        if (status)
            return status;
        *length = result->have == EMUL_INSN_MAX ? decode_all(ctx, mode, result) :
                  emul_decode(&result->store, result->bytes, result->have, emul_decode_mode(ctx, mode));
    }
    return EMUL_DONE;
}

int emul_fetch_rest(struct emul_ctx *ctx, enum emul_fetched fetched, unsigned mode, struct emul_result *result)
{
    int length, status = fetched == EMUL_FETCH_NONE ? fetch_long(ctx, mode, result, &length) : EMUL_DONE;

    if (fetched != EMUL_FETCH_NONE)
        length = decode_all(ctx, mode, result);
    if (status || length > 0)
        return status;
    emul_fault(result, length == EMUL_TOO_LONG ? EMUL_VECTOR_GP : EMUL_VECTOR_UD, 0); /* SDM 3A table 6-1 */
    return EMUL_RETRY;
}

int emul_fetch_bytes(struct emul_ctx *ctx, unsigned count, struct emul_result *result)
{
    emul_begin(ctx);
    begin_long(result);
    for (unsigned round = 0; result->have < count && round < 2; round++) {
        int status = fetch_page(ctx, emul_mode_of(ctx->facts), result);

        if (status)
            return status;
    }
    return EMUL_DONE;
}
