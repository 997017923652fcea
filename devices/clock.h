/* Exact conversion between the TSC and the ticks of a device's crystal. */
#ifndef DEVICES_CLOCK_H
#define DEVICES_CLOCK_H

#include <stdint.h>

struct platform;

/* (a * b + round) / c without losing a bit of the product; saturates. One DIV: the remainder is dropped once, in the result, so
 * nothing accumulates however long the machine is up, and no 128-bit library division is needed. */
static inline uint64_t clock_scale(uint64_t a, uint64_t b, uint64_t c, uint64_t round)
{
    unsigned __int128 product = (unsigned __int128)a * b + round;
    uint64_t high = (uint64_t)(product >> 64), quotient = (uint64_t)product;

    if (high >= c) /* DIV would fault: the quotient has more than 64 bits, or c is 0 */
        return UINT64_MAX;
    __asm__("divq %2" : "+a"(quotient), "+d"(high) : "rm"(c) : "cc");
    return quotient;
}

/* TSC cycles since platform_init(), never running backwards: the vcpu may have moved to a CPU whose TSC is a little behind. */
uint64_t clock_now(struct platform *p);

/* The tick of a crystal of `hz` that is current at `now`. */
uint64_t clock_ticks(const struct platform *p, uint64_t now, uint64_t hz);

/* The first TSC value at which clock_ticks() answers `tick` or more; ABI_TIMER_NEVER if that is beyond the counter. */
uint64_t clock_deadline(const struct platform *p, uint64_t tick, uint64_t hz);

#endif
