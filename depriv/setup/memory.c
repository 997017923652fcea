/* Which memory is ring 0's and which the guests': whole 2 MiB frames of what the boot loader calls usable and nobody uses yet. */
#include "depriv/setup/setup.h"

#define LOW_LIMIT  MIB           /* nothing below is handed out */
#define FRAMES_END (1ul << 40)   /* nor from here on: kernel/frames.c */
#define POOL_END   (4 * GIB)     /* the boot tables reach the pool */
#define POOL_MIN   (16 * MIB)
#define POOL_MAX   (256 * MIB)
#define POOL_SHARE 32            /* of a larger memory */
#define FRAME_DOWN(x) ((x) & ~(PAGE_2M - 1))

static void append(u64 start, u64 end)
{
    if (start < end && plan.ranges < ABI_RANGES_MAX)
        plan.range[plan.ranges++] = (struct abi_range){ start, end };
}

/* No frame of [start, end) stays in plan.range: of each range what is before it, and what is behind. */
static void take_away(u64 start, u64 end)
{
    start = FRAME_DOWN(start);
    end = ALIGN_UP(end, PAGE_2M);
    for (u32 i = plan.ranges; i--;) {
        struct abi_range r = plan.range[i];
        if (start >= r.end || end <= r.start)
            continue;
        plan.range[i] = plan.range[--plan.ranges];
        append(r.start, start);
        append(end, r.end);
    }
}

/* Ranges of a memory map may touch, and those of a bad one overlap. */
static void add(u64 start, u64 end)
{
    if (start >= end)
        return;
    take_away(start, end);
    for (u32 i = 0; i < plan.ranges; i++) {
        if (plan.range[i].end == start) {
            plan.range[i].end = end;
            return;
        }
    }
    append(start, end);
}

/* The highest piece that holds it: low memory stays whole. */
static void find_pool(u64 bytes)
{
    u64 end = 0;
    for (u32 i = 0; i < plan.ranges; i++) {
        u64 top = min_u64(plan.range[i].end, POOL_END);
        if (top > end && top >= plan.range[i].start + bytes)
            end = top;
    }
    if (!end)
        stop("too little memory: the hypervisor's pool needs %lu MiB in one piece below 4 GiB (option pool=MiB)", bytes / MIB);
    plan.pool = (struct abi_range){ end - bytes, end };
    take_away(plan.pool.start, plan.pool.end);
}

void memory_divide(const struct setup *s, u64 image_start, u64 image_end)
{
    for (u32 i = 0; i < s->ranges; i++) {
        plan.memory += s->range[i].end - s->range[i].start;
        add(ALIGN_UP(max_u64(s->range[i].start, LOW_LIMIT), PAGE_2M), FRAME_DOWN(min_u64(s->range[i].end, FRAMES_END)));
    }
    take_away(image_start, image_end);
    for (u32 i = 0; i < s->modules; i++)
        take_away(s->module[i].start, s->module[i].end);
    find_pool(ALIGN_UP(s->pool ? s->pool * MIB : min_u64(max_u64(POOL_MIN, plan.memory / POOL_SHARE), POOL_MAX), PAGE_2M));
}
