/* A ring-3 component that measures itself: the built-in one, and ports of its own in front that time what ring 3 alone can see.
 * Linked from the built-in one's objects, whose component_main is renamed to device_main (Makefile). The ports' reader is ring3.asm. */
#include "depriv/runtime.h"

enum {
    PORT_NULL = 0xb00,  /* back at once: the crossing and nothing else */
    PORT_STAMPS,        /* two stamps, one behind the other: what the following ones contain besides */
    PORT_CALL,          /* a call that does nothing: STATE_GET of no group */
    PORT_YIELD,         /* YIELD once: alone its cost, beside PORT_YIELDS two switches of the CPU */
    PORT_YIELDS,        /* YIELD many times, for the neighbour */
    PORT_TICK,          /* waits for an interrupt of ring 3 after which it goes on at once: how long it was away */
    PORT_OFF,           /* the same for one after which another vcpu ran */
    PORT_END
};

#define YIELDS   100u
#define GAP_LOW  150u       /* ticks of the TSC: more than a turn of the loop below, less than any interrupt */
#define GAP_OFF  1500u      /* between the two kinds: 250 to 350 and 3,100 to 4,000 instructions on the emulators */
#define WAIT_MAX 5000000u   /* turns without an interrupt: none will come */

void device_main(struct abi_frame *f, const struct abi_info *info);

static inline uint64_t stamp(void)
{
    uint32_t a, d;
    __asm__ volatile("rdtsc" : "=a"(a), "=d"(d) : : "memory");
    return (uint64_t)d << 32 | a;
}

/* The first gap of low to high ticks between two looks at the TSC; 0 when none comes. */
static uint32_t wait_gap(uint64_t low, uint64_t high)
{
    uint64_t before = stamp();
    for (uint32_t i = 0; i < WAIT_MAX; i++) {
        uint64_t now = stamp(), gap = now - before;
        before = now;
        if (gap >= low && gap < high)
            return (uint32_t)gap;
    }
    return 0;
}

static uint32_t time_call(const struct abi_info *info, uint32_t number)
{
    uint64_t before = stamp();
    abi_call(info, number, 0);
    return (uint32_t)(stamp() - before);
}

static uint32_t measure(const struct abi_info *info, uint16_t port)
{
    uint64_t before;
    switch (port) {
    case PORT_STAMPS:
        before = stamp();
        return (uint32_t)(stamp() - before);
    case PORT_CALL:
        return time_call(info, ABI_CALL_STATE_GET);
    case PORT_YIELD:
        return time_call(info, ABI_CALL_YIELD);
    case PORT_YIELDS:
        for (uint32_t i = 0; i < YIELDS; i++)
            abi_call(info, ABI_CALL_YIELD, 0);
        return YIELDS;
    case PORT_TICK:
        return wait_gap(GAP_LOW, GAP_OFF);
    case PORT_OFF:
        return wait_gap(GAP_OFF, ~0ull);
    default:
        return 0;
    }
}

void component_main(struct abi_frame *f, const struct abi_info *info)
{
    if (f->op != ABI_OP_PORT || (uint16_t)(f->port - PORT_NULL) >= PORT_END - PORT_NULL)
        device_main(f, info);
    else if (f->port != PORT_NULL)
        f->gpr[ABI_RAX] = measure(info, f->port);
}
