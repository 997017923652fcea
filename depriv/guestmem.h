/* Guest-physical memory as ring 3 reaches it: every access is checked against the domain's RAM and counted by cause.
 *
 * Ring 3 only. RAM byte g is at base + g, in the address space of the component and in the buffer of a host test
 * alike; what is not RAM need not be mapped. The guest's other vcpus may write the same bytes at any time, so read
 * a value once and check the copy.
 */
#ifndef DEPRIV_GUESTMEM_H
#define DEPRIV_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "depriv/abi.h"

enum guestmem_cause {
    GUESTMEM_FETCH,      /* instruction bytes */
    GUESTMEM_WALK,       /* guest page tables */
    GUESTMEM_OPERAND,    /* memory operand of an emulated instruction */
    GUESTMEM_STRING,     /* INS, OUTS: string I/O */
    GUESTMEM_DESCRIPTOR, /* GDT, LDT, IDT, TSS */
    GUESTMEM_DMA,        /* device access */
    GUESTMEM_LOAD,       /* loading of the image */
    GUESTMEM_CAUSES
};

struct guestmem {
    uint8_t *base;               /* ABI_GUEST_BASE, or a test's buffer */
    uint64_t ram_low, ram_high;  /* bytes, as in struct abi_info */
    uint64_t count[GUESTMEM_CAUSES];
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

/* The bytes themselves, or NULL if [gpa, gpa + len) is not all RAM. Counts one access. */
static inline void *guestmem_map(struct guestmem *m, uint64_t gpa, uint64_t len, enum guestmem_cause cause)
{
    if (!guestmem_is_ram(m, gpa, len))
        return NULL;
    m->count[cause]++;
    return m->base + gpa;
}

/* The byte at gpa, for access up to the end of its page, or NULL if that is not RAM: RAM has no parts of pages. Counts one access. */
static inline void *guestmem_page(struct guestmem *m, uint64_t gpa, unsigned cause)
{
    if (__builtin_expect(gpa - ABI_HOLE_END >= m->ram_low - ABI_HOLE_END, 0)) /* below the hole, or not below 4 GiB */
        return guestmem_map(m, gpa, ABI_PAGE - gpa % ABI_PAGE, (enum guestmem_cause)cause);
    m->count[cause]++;
    return m->base + gpa;
}

/* Copy or fill; all of the range or nothing of it. 0, or -ABI_E_ARG if [gpa, gpa + len) is not all RAM. Aligned
 * accesses of 1, 2, 4 and 8 bytes are single accesses, as a guest with several vcpus expects. */
int guestmem_read(struct guestmem *m, uint64_t gpa, void *to, size_t len, enum guestmem_cause cause);
int guestmem_write(struct guestmem *m, uint64_t gpa, const void *from, size_t len, enum guestmem_cause cause);
int guestmem_set(struct guestmem *m, uint64_t gpa, uint8_t value, size_t len, enum guestmem_cause cause);

#endif
