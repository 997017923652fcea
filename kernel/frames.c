/* Physical memory: the pool that ring 0 maps, and 2 MiB guest frames that it never does (invariant 2). */
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/plan.h"
#include "kernel/spinlock.h"

static u64 guest_bits[FRAMES_END / PAGE_2M / 64], pool_bits[POOL_MAX / PAGE_SIZE / 64];
struct frame_map guest_frames = { .free = guest_bits, .size = PAGE_2M, .count = FRAMES_END / PAGE_2M };
struct frame_map pool_pages = { .free = pool_bits, .size = PAGE_SIZE };
static struct spinlock lock;

static bool bit_test(const u64 *map, u64 n)
{
    return map[n / 64] & BIT(n % 64);
}

static void bits_flip(struct frame_map *m, u64 n, u64 end, bool from)
{
    m->left += from ? n - end : end - n;
    for (; n < end; n++) {
        if (bit_test(m->free, n) != from)
            panic("frame %lx %s twice", m->base + n * m->size, from ? "allocated" : "freed");
        m->free[n / 64] ^= BIT(n % 64);
    }
}

/* First fit, from the lowest frame that may be free. Bound: the frames of the map. */
u64 frames_alloc(struct frame_map *m, u64 frames)
{
    u64 n, run = 0, end;
    spin_lock(&lock);
    while (m->hint < m->count && !bit_test(m->free, m->hint))
        m->hint++;
    for (end = m->hint; end < m->count && run < frames; end++)
        run = bit_test(m->free, end) ? run + 1 : 0;
    n = end - run;
    if (run == frames)
        bits_flip(m, n, end, true);
    spin_unlock(&lock);
    return run == frames ? m->base + n * m->size : 0;
}

void frames_free(struct frame_map *m, u64 pa, u64 frames)
{
    u64 n = (pa - m->base) / m->size;
    spin_lock(&lock);
    bits_flip(m, n, n + frames, false);
    m->hint = min_u64(m->hint, n);
    spin_unlock(&lock);
}

void *pool_alloc(unsigned pages)
{
    u64 pa = frames_alloc(&pool_pages, pages);
    return pa ? memset(pool_virt(pa), 0, pages * PAGE_SIZE) : NULL;
}

void pool_free(void *va, unsigned pages)
{
    if (va)
        frames_free(&pool_pages, pool_phys(va), pages);
}

bool frames_is_guest(u64 pa, u64 size)
{
    for (u32 i = 0; i < plan.ranges; i++)
        if (plan.range[i].start < pa + size && pa < plan.range[i].end)
            return true;
    return false;
}

void frames_init(void)
{
    pool_pages.base = plan.pool.start;
    pool_pages.count = (plan.pool.end - plan.pool.start) / PAGE_SIZE;
    frames_free(&pool_pages, plan.pool.start, pool_pages.count);
    for (u32 i = 0; i < plan.ranges; i++)
        frames_free(&guest_frames, plan.range[i].start, (plan.range[i].end - plan.range[i].start) / PAGE_2M);
}
