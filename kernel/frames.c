/* Physical memory: the pool that ring 0 maps, and 2 MiB guest frames that it never does (invariant 2). */
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"

#define FRAMES_MAX     (BIT(40) / PAGE_2M) /* guest frames below 1 TiB are used */
#define POOL_PAGES_MAX (256u * MIB / PAGE_SIZE)
#define LOW_LIMIT      0x100000ull         /* nothing below 1 MiB is handed out */
#define POOL_LIMIT     (4 * GIB)           /* the boot tables reach the pool */

u64 pool_start, pool_end, pool_free_pages, guest_frames_free;
static u64 guest_map[FRAMES_MAX / 64];       /* bit set: guest frame, free or not */
static u64 guest_free_map[FRAMES_MAX / 64];  /* bit set: free guest frame */
static u64 pool_free_map[POOL_PAGES_MAX / 64];
static u64 guest_hint, pool_hint;            /* nothing is free before it */
static struct spinlock lock;

static bool bit_test(const u64 *map, u64 n)
{
    return map[n / 64] & BIT(n % 64);
}

static void bit_flip(u64 *map, u64 n, bool from)
{
    if (bit_test(map, n) != from)
        panic("frame %lu %s twice", n, from ? "allocated" : "freed");
    map[n / 64] ^= BIT(n % 64);
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
            guest_frame_free(n * PAGE_2M);
    pool_free(pool_virt(pool_start), (unsigned)((pool_end - pool_start) / PAGE_SIZE));
}

static bool pool_run_free(u64 first, unsigned pages)
{
    for (unsigned k = 0; k < pages; k++)
        if (!bit_test(pool_free_map, first + k))
            return false;
    return true;
}

/* First fit, from the lowest page that may be free. Bound: the pages of the pool. */
void *pool_alloc(unsigned pages)
{
    u64 count = (pool_end - pool_start) / PAGE_SIZE, first;
    void *va = NULL;
    spin_lock(&lock);
    while (pool_hint < count && !bit_test(pool_free_map, pool_hint))
        pool_hint++;
    for (first = pool_hint; first + pages <= count && !pool_run_free(first, pages); first++)
        ;
    if (first + pages <= count) {
        for (unsigned k = 0; k < pages; k++)
            bit_flip(pool_free_map, first + k, true);
        pool_free_pages -= pages;
        va = pool_virt(pool_start + first * PAGE_SIZE);
    }
    spin_unlock(&lock);
    return va ? memset(va, 0, pages * PAGE_SIZE) : NULL;
}

void pool_free(void *va, unsigned pages)
{
    u64 first = (pool_phys(va) - pool_start) / PAGE_SIZE;
    if (!va)
        return;
    spin_lock(&lock);
    for (unsigned k = 0; k < pages; k++)
        bit_flip(pool_free_map, first + k, false);
    pool_free_pages += pages;
    pool_hint = min_u64(pool_hint, first);
    spin_unlock(&lock);
}

/* Bound: the words of the map. */
u64 guest_frame_alloc(void)
{
    u64 n = 0;
    spin_lock(&lock);
    while (guest_hint < ARRAY_SIZE(guest_free_map) && !guest_free_map[guest_hint])
        guest_hint++;
    if (guest_hint < ARRAY_SIZE(guest_free_map)) {
        n = guest_hint * 64 + (unsigned)__builtin_ctzll(guest_free_map[guest_hint]);
        bit_flip(guest_free_map, n, true);
        guest_frames_free--;
    }
    spin_unlock(&lock);
    return n * PAGE_2M;
}

void guest_frame_free(u64 pa)
{
    u64 n = pa / PAGE_2M;
    spin_lock(&lock);
    bit_flip(guest_free_map, n, false);
    guest_hint = min_u64(guest_hint, n / 64);
    guest_frames_free++;
    spin_unlock(&lock);
}

bool frames_is_guest(u64 pa, u64 size)
{
    for (u64 n = pa / PAGE_2M; n <= (pa + size - 1) / PAGE_2M && n < FRAMES_MAX; n++)
        if (bit_test(guest_map, n))
            return true;
    return false;
}
