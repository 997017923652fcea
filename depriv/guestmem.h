/* Guest-physical memory as ring 3 reaches it: every access is checked against the domain's RAM and counted by cause.
 *
 * Ring 3 only. By the domain's policy (enum abi_guestmem) RAM is mapped; or 2 MiB of it are, in a window, for the length of an operation;
 * or none is, and bytes go through the frame page. The guest's other vcpus may write the same bytes at any time, so read a value once and
 * check the copy.
 */
#ifndef DEPRIV_GUESTMEM_H
#define DEPRIV_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "depriv/abi.h"

struct guestmem {
    uint8_t *base;               /* map: RAM byte g is at base + g: ABI_GUEST_BASE, or a test's buffer */
    uint64_t ram_low, ram_high;  /* bytes, as in struct abi_info */
    uint64_t *count;             /* by enum abi_cause: abi_frame.touches */
    uint32_t policy;             /* enum abi_guestmem; map needs nothing below */
    uint32_t windows;            /* window: how many this operation has mapped, from 0 on */
    const struct abi_info *info;
    struct abi_frame *frame;
    long (*call)(const struct abi_info *info, uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3);
    uint8_t *window;             /* where window 0 is */
    uint64_t used;
    struct { uint64_t frame, used; } slot[ABI_WINDOWS]; /* window n: which 2 MiB, last used when */
};

/* Is [gpa, gpa + len) wholly in one piece of RAM? Any values, no overflow; an empty range may be at a piece's end. */
static inline bool guestmem_is_ram(const struct guestmem *m, uint64_t gpa, uint64_t len)
{
    uint64_t end;

    if (gpa >= ABI_HIGH_BASE)
        end = ABI_HIGH_BASE + m->ram_high;
    else if (gpa >= ABI_HOLE_END)
        end = m->ram_low;
    else
        end = m->ram_low < ABI_HOLE_START ? m->ram_low : ABI_HOLE_START;
    return gpa <= end && len <= end - gpa;
}

/* A new operation begins: the windows of the last one are gone. */
static inline void guestmem_begin(struct guestmem *m)
{
    m->windows = 0;
}

/* The bytes themselves, or NULL if [gpa, gpa + len) is not all RAM. Counts one access. Policy map only. */
static inline void *guestmem_map(struct guestmem *m, uint64_t gpa, uint64_t len, enum abi_cause cause)
{
    if (!guestmem_is_ram(m, gpa, len))
        return NULL;
    m->count[cause]++;
    return m->base + gpa;
}

/* The byte at gpa, for access up to the end of its page, or NULL if that is not RAM: RAM has no parts of pages. Counts one access. */
static inline void *guestmem_page(struct guestmem *m, uint64_t gpa, enum abi_cause cause)
{
    if (__builtin_expect(gpa - ABI_HOLE_END >= m->ram_low - ABI_HOLE_END, 0)) /* below the hole, or not below 4 GiB */
        return guestmem_map(m, gpa, ABI_PAGE - gpa % ABI_PAGE, cause);
    m->count[cause]++;
    return m->base + gpa;
}

/* The same by a window, which [gpa, gpa + len) must lie in. The bytes stay there until the operation ends or ABI_WINDOWS others have been
 * used since. */
void *guestmem_window(struct guestmem *m, uint64_t gpa, uint64_t len, enum abi_cause cause);

/* By any policy: copy or fill; all of the range or nothing of it. 0, or -ABI_E_ARG if [gpa, gpa + len) is not all RAM. Aligned
 * accesses of 1, 2, 4 and 8 bytes are single accesses, as a guest with several vcpus expects. */
int guestmem_read(struct guestmem *m, uint64_t gpa, void *to, size_t len, enum abi_cause cause);
int guestmem_write(struct guestmem *m, uint64_t gpa, const void *from, size_t len, enum abi_cause cause);
int guestmem_set(struct guestmem *m, uint64_t gpa, uint8_t value, size_t len, enum abi_cause cause);

/* LOCK CMPXCHG of 1, 2, 4, 8 or, aligned, 16 bytes within a page. 0: done, 1: memory did not hold *old, -ABI_E_ARG: not RAM. */
int guestmem_cmpxchg(struct guestmem *m, uint64_t gpa, size_t size, const void *old, const void *new_value, enum abi_cause cause);

#endif
