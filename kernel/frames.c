/* Physical memory: the pool that ring 0 maps, and 2 MiB guest frames that it never does (invariant 2). */
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"

#define RANGES_MAX     256u
#define FRAMES_MAX     (BIT(40) / PAGE_2M) /* guest frames below 1 TiB are used */
#define POOL_PAGES_MAX (256u * MIB / PAGE_SIZE)
#define LOW_LIMIT      0x100000ull         /* nothing below 1 MiB is handed out */

static struct { u64 start, end; } ranges[RANGES_MAX];
static unsigned range_count;
static u64 guest_free_map[FRAMES_MAX / 64];  /* bit set: free guest frame */
static u64 guest_map[FRAMES_MAX / 64];       /* bit set: guest frame, free or not */
static u64 guest_free_count, guest_hint;
static u64 pool_free_map[POOL_PAGES_MAX / 64];
static u64 pool_start, pool_pages, pool_free_count, pool_hint;
static struct spinlock lock;

void frames_add(u64 start, u64 end)
{
    start = ALIGN_UP(max_u64(start, LOW_LIMIT), PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start < end && range_count < RANGES_MAX) {
        ranges[range_count].start = start;
        ranges[range_count++].end = end;
    }
}

/* Cuts [start, end) out of every range; a range that is split adds one. Bound: the ranges there are. */
void frames_reserve(u64 start, u64 end)
{
    unsigned n = range_count;
    start = ALIGN_DOWN(start, PAGE_SIZE);
    end = ALIGN_UP(end, PAGE_SIZE);
    for (unsigned i = 0; i < n; i++) {
        u64 s = ranges[i].start, e = ranges[i].end;
        if (end <= s || start >= e)
            continue;
        ranges[i].end = s < start ? start : s;
        if (e > end) {
            if (s >= start) {
                ranges[i].start = end;
                ranges[i].end = e;
            } else if (range_count < RANGES_MAX) {
                ranges[range_count].start = end;
                ranges[range_count++].end = e;
            }
        }
    }
}

static void guest_frames_collect(void)
{
    for (unsigned i = 0; i < range_count; i++) {
        u64 end = min_u64(ranges[i].end, FRAMES_MAX * PAGE_2M);
        for (u64 pa = ALIGN_UP(ranges[i].start, PAGE_2M); pa + PAGE_2M <= end; pa += PAGE_2M) {
            guest_free_map[pa / PAGE_2M / 64] |= BIT(pa / PAGE_2M % 64);
            guest_map[pa / PAGE_2M / 64] |= BIT(pa / PAGE_2M % 64);
            guest_free_count++;
        }
    }
}

/* Takes the pool from the end of the highest range below 4 GiB that holds it: the boot tables reach it, and low memory stays whole. */
void frames_init(u64 pool_bytes)
{
    pool_bytes = ALIGN_UP(min_u64(pool_bytes, POOL_PAGES_MAX * PAGE_SIZE), PAGE_2M);
    for (unsigned i = 0; i < range_count; i++) {
        u64 end = ALIGN_DOWN(min_u64(ranges[i].end, 4 * GIB), PAGE_2M);
        u64 start = end - pool_bytes;
        if (end > pool_bytes && start >= ranges[i].start && start > pool_start)
            pool_start = start;
    }
    if (!pool_start)
        stop("too little memory: the hypervisor's pool needs %lu MiB in one piece below 4 GiB (option pool=MiB)", pool_bytes / MIB);
    frames_reserve(pool_start, pool_start + pool_bytes);
    pool_pages = pool_free_count = pool_bytes / PAGE_SIZE;
    for (u64 i = 0; i < pool_pages; i++)
        pool_free_map[i / 64] |= BIT(i % 64);
    guest_frames_collect();
}

bool frames_pool_range(u64 *start, u64 *end)
{
    *start = pool_start;
    *end = pool_start + pool_pages * PAGE_SIZE;
    return pool_start != 0;
}

static bool pool_run_free(u64 first, unsigned pages)
{
    for (unsigned k = 0; k < pages; k++)
        if (!(pool_free_map[(first + k) / 64] & BIT((first + k) % 64)))
            return false;
    return true;
}

static void pool_mark(u64 first, unsigned pages, bool free)
{
    for (unsigned k = 0; k < pages; k++) {
        u64 bit = BIT((first + k) % 64);
        u64 *word = &pool_free_map[(first + k) / 64];
        if (!!(*word & bit) == free)
            panic("pool page %lu %s twice", first + k, free ? "freed" : "allocated");
        *word ^= bit;
    }
}

/* First fit, from the lowest page known to be free. Bound: the pages of the pool. */
void *pool_alloc(unsigned pages)
{
    void *va = NULL;
    spin_lock(&lock);
    while (pool_hint < pool_pages && !pool_run_free(pool_hint, 1))
        pool_hint++;
    for (u64 i = pool_hint; i + pages <= pool_pages; i++) {
        if (!pool_run_free(i, pages))
            continue;
        pool_mark(i, pages, false);
        pool_free_count -= pages;
        va = pool_virt(pool_start + i * PAGE_SIZE);
        break;
    }
    spin_unlock(&lock);
    if (va)
        memset(va, 0, pages * PAGE_SIZE);
    return va;
}

void pool_free(void *va, unsigned pages)
{
    u64 first;
    if (!va)
        return;
    first = (pool_phys(va) - pool_start) / PAGE_SIZE;
    spin_lock(&lock);
    pool_mark(first, pages, true);
    pool_free_count += pages;
    pool_hint = min_u64(pool_hint, first);
    spin_unlock(&lock);
}

u64 pool_free_pages(void)
{
    return pool_free_count;
}

/* Bound: the words of the map. */
u64 guest_frame_alloc(void)
{
    u64 pa = 0;
    spin_lock(&lock);
    for (; guest_hint < ARRAY_SIZE(guest_free_map); guest_hint++) {
        u64 *word = &guest_free_map[guest_hint];
        if (*word) {
            unsigned bit = (unsigned)__builtin_ctzll(*word);
            *word &= *word - 1;
            guest_free_count--;
            pa = (guest_hint * 64 + bit) * PAGE_2M;
            break;
        }
    }
    spin_unlock(&lock);
    return pa;
}

void guest_frame_free(u64 pa)
{
    u64 n = pa / PAGE_2M;
    spin_lock(&lock);
    guest_free_map[n / 64] |= BIT(n % 64);
    guest_hint = min_u64(guest_hint, n / 64);
    guest_free_count++;
    spin_unlock(&lock);
}

u64 guest_frames_free(void)
{
    return guest_free_count;
}

bool frames_is_guest(u64 pa, u64 size)
{
    for (u64 n = pa / PAGE_2M; n <= (pa + size - 1) / PAGE_2M && n < FRAMES_MAX; n++)
        if (guest_map[n / 64] & BIT(n % 64))
            return true;
    return false;
}
