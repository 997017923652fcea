/* What every image kind needs while it is loaded: refusal lines, and a list of the guest memory already spoken for. */
#include "depriv/load/boot.h"

#include <stdbool.h>

#include "depriv/format.h"

enum abi_status boot_refuse(struct boot *b, const char *fmt, ...)
{
    char *text = b->loader->frame->text;
    unsigned len = text_format(text, ABI_TEXT_BYTES, "%s: ", b->kind);
    va_list args;

    va_start(args, fmt);
    text_vformat(text + len, ABI_TEXT_BYTES - len, fmt, args);
    va_end(args);
    return ABI_REFUSE;
}

static const struct boot_range *find_overlap(const struct boot *b, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < b->ranges; i++) {
        if (start < b->range[i].end && b->range[i].start < end)
            return &b->range[i];
    }
    return NULL;
}

static enum abi_status add_range(struct boot *b, uint64_t start, uint64_t len, const char *what)
{
    if (!len)
        return ABI_OK;
    if (b->ranges == BOOT_RANGES)
        return boot_refuse(b, "%s: more than %u pieces of memory", what, BOOT_RANGES);
    b->range[b->ranges++] = (struct boot_range){ start, start + len, what };
    return ABI_OK;
}

enum abi_status boot_claim(struct boot *b, uint64_t start, uint64_t len, const char *what)
{
    const struct boot_range *taken;

    if (start >= ABI_HIGH_BASE || !guestmem_is_ram(b->mem, start, len))
        return boot_refuse(b, "%s: 0x%lx bytes at 0x%lx are not in RAM below 0x%lx", what, len, start, b->mem->ram_low);
    taken = find_overlap(b, start, start + len);
    if (taken && len)
        return boot_refuse(b, "%s: 0x%lx bytes at 0x%lx overlap %s at 0x%lx", what, len, start, taken->what, taken->start);
    return add_range(b, start, len, what);
}

/* What stands in the way of [at, at + len): a claimed range, or the hole in low memory. Answers false if nothing. */
static bool find_obstacle(const struct boot *b, uint64_t at, uint64_t len, struct boot_range *found)
{
    const struct boot_range *taken = find_overlap(b, at, at + len);

    if (taken)
        *found = *taken;
    else if (at < ABI_HOLE_END && ABI_HOLE_START < at + len)
        *found = (struct boot_range){ ABI_HOLE_START, ABI_HOLE_END, "hole" };
    else
        return false;
    return true;
}

/* A piece of RAM's share of [*min, *max): below 4 GiB, or above if `max` is there. */
static void clip_to_ram(const struct boot *b, uint64_t *min, uint64_t *max)
{
    uint64_t end = *max > ABI_HIGH_BASE ? ABI_HIGH_BASE + b->mem->ram_high : b->mem->ram_low;

    if (*max > end)
        *max = end;
    if (end >= ABI_HIGH_BASE && *min < ABI_HIGH_BASE)
        *min = ABI_HIGH_BASE;
}

static enum abi_status refuse_place(struct boot *b, const char *what, uint64_t len, uint64_t min, uint64_t max)
{
    return boot_refuse(b, "%s: no room for 0x%lx bytes in RAM between 0x%lx and 0x%lx", what, len, min, max);
}

/* Each step of the loop leaves one obstacle behind for good, so that ranges + 2 of them are enough. */
enum abi_status boot_place_high(struct boot *b, const char *what, uint64_t len, uint64_t align, uint64_t min, uint64_t max, uint64_t *gpa)
{
    struct boot_range obstacle;
    uint64_t at, end;

    clip_to_ram(b, &min, &max);
    end = max;
    while (end >= min && end - min >= len) {
        at = (end - len) & ~(align - 1);
        if (at < min)
            break;
        if (!find_obstacle(b, at, len, &obstacle)) {
            *gpa = at;
            return add_range(b, at, len, what);
        }
        end = obstacle.start;
    }
    return refuse_place(b, what, len, min, max);
}

enum abi_status boot_place_low(struct boot *b, const char *what, uint64_t len, uint64_t align, uint64_t min, uint64_t max, uint64_t *gpa)
{
    struct boot_range obstacle;
    uint64_t at, start;

    clip_to_ram(b, &min, &max);
    start = min;
    while (start <= max && max - start >= len) {
        at = (start + align - 1) & ~(align - 1);
        if (at > max || max - at < len)
            break;
        if (!find_obstacle(b, at, len, &obstacle)) {
            *gpa = at;
            return add_range(b, at, len, what);
        }
        start = obstacle.end;
    }
    return refuse_place(b, what, len, min, max);
}

enum abi_status boot_place_table(struct boot *b, const char *what, const void *bytes, uint64_t len, uint64_t align, uint64_t *gpa)
{
    enum abi_status status = boot_place_high(b, what, len, align, BOOT_LOW_START, BOOT_EBDA, gpa);

    if (status)
        return status;
    if (bytes ? guestmem_write(b->mem, *gpa, bytes, len, ABI_FOR_LOAD) : guestmem_set(b->mem, *gpa, 0, len, ABI_FOR_LOAD))
        return boot_refuse(b, "%s: 0x%lx bytes at 0x%lx are not RAM", what, len, *gpa);
    return ABI_OK;
}

enum abi_status boot_place_string(struct boot *b, const char *what, const char *text, uint64_t *gpa)
{
    return boot_place_table(b, what, text, __builtin_strlen(text) + 1, 1, gpa);
}
