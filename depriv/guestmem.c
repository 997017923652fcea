/* Guest-physical memory as ring 3 reaches it: windows and copies. */
#include "depriv/guestmem.h"

/* ---- Where the bytes are ------------------------------------------------------------------------------------------------- */

/* The window of a frame; if it has none yet, the next free one or the one not used for longest is mapped to it. Bound: ABI_WINDOWS. */
static uint8_t *window_of(struct guestmem *m, uint64_t gpa)
{
    uint64_t frame = gpa / ABI_WINDOW_SIZE;
    unsigned w, oldest = 0;

    for (w = 0; w < m->windows && m->slot[w].frame != frame; w++) {
        if (m->slot[w].used < m->slot[oldest].used)
            oldest = w;
    }
    if (w == m->windows) {
        w = w < ABI_WINDOWS ? m->windows++ : oldest;
        m->slot[w].frame = frame;
        m->call(m->info, ABI_CALL_MAP_WINDOW, w, gpa, 0);
    }
    m->slot[w].used = ++m->used;
    return m->window + w * ABI_WINDOW_SIZE;
}

void *guestmem_window(struct guestmem *m, uint64_t gpa, uint64_t len, enum abi_cause cause)
{
    if (!guestmem_is_ram(m, gpa, len) || len > ABI_WINDOW_SIZE - gpa % ABI_WINDOW_SIZE)
        return NULL;
    m->count[cause]++;
    return window_of(m, gpa) + gpa % ABI_WINDOW_SIZE;
}

/* ---- Copies --------------------------------------------------------------------------------------------------------------- */

/* Constant sizes become one move each: no call for what an instruction reads, and no torn values. */
static inline void copy_bytes(void *to, const void *from, size_t len)
{
    switch (len) {
    case sizeof(uint8_t):
        __builtin_memcpy(to, from, sizeof(uint8_t));
        break;
    case sizeof(uint16_t):
        __builtin_memcpy(to, from, sizeof(uint16_t));
        break;
    case sizeof(uint32_t):
        __builtin_memcpy(to, from, sizeof(uint32_t));
        break;
    case sizeof(uint64_t):
        __builtin_memcpy(to, from, sizeof(uint64_t));
        break;
    default:
        __builtin_memcpy(to, from, len);
        break;
    }
}

/* One piece, within a window or the frame page's room, from guest memory or, with `write`, to it. */
static int copy_piece(struct guestmem *m, uint64_t gpa, uint8_t *bytes, size_t len, bool write)
{
    uint8_t *guest;

    if (m->policy == ABI_GUESTMEM_COPY) {
        if (write)
            copy_bytes(m->frame->copy, bytes, len);
        if (m->call(m->info, write ? ABI_CALL_GUEST_WRITE : ABI_CALL_GUEST_READ, len, gpa, 0) < 0)
            return -ABI_E_ARG;
        if (!write)
            copy_bytes(bytes, m->frame->copy, len);
        return 0;
    }
    guest = m->policy == ABI_GUESTMEM_MAP ? m->base + gpa : window_of(m, gpa) + gpa % ABI_WINDOW_SIZE;
    copy_bytes(write ? guest : bytes, write ? bytes : guest, len);
    return 0;
}

static size_t piece_size(const struct guestmem *m, uint64_t gpa, size_t len)
{
    size_t most = m->policy == ABI_GUESTMEM_COPY ? ABI_COPY_BYTES : ABI_WINDOW_SIZE - gpa % ABI_WINDOW_SIZE;

    return m->policy == ABI_GUESTMEM_MAP || len < most ? len : most;
}

static int copy_all(struct guestmem *m, uint64_t gpa, uint8_t *bytes, size_t len, bool write, enum abi_cause cause)
{
    int status = 0;

    if (!guestmem_is_ram(m, gpa, len))
        return -ABI_E_ARG;
    m->count[cause]++;
    for (size_t piece; len && !status; gpa += piece, bytes += piece, len -= piece) {
        piece = piece_size(m, gpa, len);
        status = copy_piece(m, gpa, bytes, piece, write);
    }
    return status;
}

int guestmem_read(struct guestmem *m, uint64_t gpa, void *to, size_t len, enum abi_cause cause)
{
    return copy_all(m, gpa, to, len, false, cause);
}

int guestmem_write(struct guestmem *m, uint64_t gpa, const void *from, size_t len, enum abi_cause cause)
{
    return copy_all(m, gpa, (uint8_t *)(uintptr_t)from, len, true, cause);
}

int guestmem_set(struct guestmem *m, uint64_t gpa, uint8_t value, size_t len, enum abi_cause cause)
{
    uint8_t block[1024];
    int status = 0;

    if (!guestmem_is_ram(m, gpa, len))
        return -ABI_E_ARG;
    m->count[cause]++;
    if (m->policy == ABI_GUESTMEM_MAP) {
        __builtin_memset(m->base + gpa, value, len);
        return 0;
    }
    __builtin_memset(block, value, sizeof(block));
    for (size_t piece; len && !status; gpa += piece, len -= piece) {
        piece = piece_size(m, gpa, len < sizeof(block) ? len : sizeof(block));
        status = copy_piece(m, gpa, block, piece, true);
    }
    return status;
}

/* ---- Compare and exchange -------------------------------------------------------------------------------------------------- */

/* At any address within a page: the CPU locks what crosses a cache line too. */
#define CMPXCHG(type) __asm__ volatile("lock cmpxchg %3, %1" : "=@ccz"(equal), "+m"(*(type *)p), "+a"(*(type *)expected) : \
                                       "r"(*(const type *)new_value) : "memory")

static int cmpxchg_at(void *p, size_t size, const void *old, const void *new_value)
{
    uint64_t expected[2] = { 0, 0 };
    int equal = 0;

    __builtin_memcpy(expected, old, size <= 16 ? size : 16);
    switch (size) {
    case sizeof(uint8_t):
        CMPXCHG(uint8_t);
        break;
    case sizeof(uint16_t):
        CMPXCHG(uint16_t);
        break;
    case sizeof(uint32_t):
        CMPXCHG(uint32_t);
        break;
    case sizeof(uint64_t):
        CMPXCHG(uint64_t);
        break;
    default:
        __asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(equal), "+m"(*(__int128 *)p), "+a"(expected[0]), "+d"(expected[1]) :
                         "b"(((const uint64_t *)new_value)[0]), "c"(((const uint64_t *)new_value)[1]) : "memory");
        break;
    }
    return !equal;
}

int guestmem_cmpxchg(struct guestmem *m, uint64_t gpa, size_t size, const void *old, const void *new_value, enum abi_cause cause)
{
    if (!guestmem_is_ram(m, gpa, size))
        return -ABI_E_ARG;
    m->count[cause]++;
    if (m->policy == ABI_GUESTMEM_MAP)
        return cmpxchg_at(m->base + gpa, size, old, new_value);
    if (m->policy == ABI_GUESTMEM_WINDOW)
        return cmpxchg_at(window_of(m, gpa) + gpa % ABI_WINDOW_SIZE, size, old, new_value);
    copy_bytes(m->frame->copy + ABI_CMPXCHG_OLD, old, size);
    copy_bytes(m->frame->copy + ABI_CMPXCHG_NEW, new_value, size);
    if (m->call(m->info, ABI_CALL_GUEST_CMPXCHG, size, gpa, 0) < 0)
        return -ABI_E_ARG;
    return !m->frame->copy[ABI_CMPXCHG_EQUAL];
}
