/* Physical memory: the pool that ring 0 maps, and 2 MiB guest frames that it never does (invariant 2). */
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"

#define FRAMES_MAX     (BIT(40) / PAGE_2M) /* guest frames below 1 TiB are used */
#define POOL_PAGES_MAX (256u * MIB / PAGE_SIZE)
#define LOW_LIMIT      0x100000ull         /* nothing below 1 MiB is handed out */
#define POOL_LIMIT     (4 * GIB)           /* the boot tables reach the pool */

static u64 guest_map[FRAMES_MAX / 64]; /* bit set: guest frame, free or not */
static u64 guest_bits[FRAMES_MAX / 64], pool_bits[POOL_PAGES_MAX / 64];
struct frame_map guest_frames = { .free = guest_bits, .size = PAGE_2M, .count = FRAMES_MAX };
struct frame_map pool_pages = { .free = pool_bits, .size = PAGE_SIZE };
u64 pool_start, pool_end;
static struct spinlock lock;

static bool bit_test(const u64 *map, u64 n)
{
    return map[n / 64] & BIT(n % 64);
}

void frames_add(u64 start, u64 end)
{
    end = min_u64(end, FRAMES_MAX * PAGE_2M);
    for (u64 pa = ALIGN_UP(max_u64(start, LOW_LIMIT), PAGE_2M); pa + PAGE_2M <= end; pa += PAGE_2M)
        guest_map[pa / PAGE_2M / 64] |= BIT(pa / PAGE_2M % 64);
}

void frames_reserve(u64 start, u64 end)
{
    for (u64 pa = start; pa < min_u64(end, FRAMES_MAX * PAGE_2M); pa = ALIGN_DOWN(pa, PAGE_2M) + PAGE_2M)
        guest_map[pa / PAGE_2M / 64] &= ~BIT(pa / PAGE_2M % 64);
}

/* The pool is the highest run of frames below POOL_LIMIT that holds it: low memory stays whole. */
void frames_init(u64 pool_bytes)
{
    u64 need = ALIGN_UP(min_u64(pool_bytes, POOL_PAGES_MAX * PAGE_SIZE), PAGE_2M) / PAGE_2M, run = 0, n;
    for (n = POOL_LIMIT / PAGE_2M; n && run < need; n--)
        run = bit_test(guest_map, n - 1) ? run + 1 : 0;
    if (run < need)
        stop("too little memory: the hypervisor's pool needs %lu MiB in one piece below 4 GiB (option pool=MiB)", need * PAGE_2M / MIB);
    pool_start = n * PAGE_2M;
    pool_end = pool_start + need * PAGE_2M;
    frames_reserve(pool_start, pool_end);
    for (n = 0; n < FRAMES_MAX; n++)
        if (bit_test(guest_map, n))
            frames_free(&guest_frames, n * PAGE_2M, 1);
    pool_pages.base = pool_start;
    pool_pages.count = (pool_end - pool_start) / PAGE_SIZE;
    frames_free(&pool_pages, pool_start, pool_pages.count);
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
    for (u64 n = pa / PAGE_2M; n <= (pa + size - 1) / PAGE_2M && n < FRAMES_MAX; n++)
        if (bit_test(guest_map, n))
            return true;
    return false;
}
