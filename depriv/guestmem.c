/* Guest-physical memory as ring 3 reaches it: the copies. */
#include "depriv/guestmem.h"

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

int guestmem_read(struct guestmem *m, uint64_t gpa, void *to, size_t len, enum guestmem_cause cause)
{
    const void *from = guestmem_map(m, gpa, len, cause);

    if (!from)
        return -ABI_E_ARG;
    copy_bytes(to, from, len);
    return 0;
}

int guestmem_write(struct guestmem *m, uint64_t gpa, const void *from, size_t len, enum guestmem_cause cause)
{
    void *to = guestmem_map(m, gpa, len, cause);

    if (!to)
        return -ABI_E_ARG;
    copy_bytes(to, from, len);
    return 0;
}

int guestmem_set(struct guestmem *m, uint64_t gpa, uint8_t value, size_t len, enum guestmem_cause cause)
{
    void *to = guestmem_map(m, gpa, len, cause);

    if (!to)
        return -ABI_E_ARG;
    __builtin_memset(to, value, len);
    return 0;
}
