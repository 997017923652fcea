/* One guest's devices: all of their state, and what the ring-3 runtime calls. Ring 3; no locks: one vcpu at a time. */
#ifndef DEVICES_PLATFORM_H
#define DEVICES_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "depriv/abi.h"
#include "devices/acpipm.h"
#include "devices/bus.h"
#include "devices/i8042.h"
#include "devices/misc.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/pvpanic.h"
#include "devices/rtc.h"
#include "devices/uart.h"

#define PLATFORM_OUT ABI_CONSOLE_BYTES

struct platform_config {
    uint64_t tsc_khz;           /* from 1000 on */
    int64_t wall;               /* seconds since 1970-01-01 UTC at `now` of platform_init() */
    uint64_t ram_low, ram_high; /* bytes from 0, and from 4 GiB */
};

struct platform {
    /* The caller's: set before platform_init(), which keeps it. Answers the TSC. */
    uint64_t (*clock)(struct platform *p);

    /* For the caller, valid after each operation */
    uint64_t deadline;          /* TSC at which platform_timer() is due, or ABI_TIMER_NEVER */
    bool intr;                  /* level: an external interrupt is requested */
    bool input_wanted;          /* platform_input_room() is not 0 */
    enum abi_life life;
    uint32_t room;              /* set by platform_output_room(): out_len never passes it */
    uint32_t out_len;           /* the caller drains out[] and sets 0 */
    uint64_t out_lost;          /* debug console bytes that found no room */
    uint8_t out[PLATFORM_OUT];

    /* Time */
    uint64_t hz, start, last;   /* TSC frequency; TSC at platform_init(); latest clock_now() */

    struct pic pic[2];
    struct pit pit;
    struct rtc rtc;
    struct uart com1;
    struct i8042 i8042;
    struct acpipm acpipm;
    struct misc misc;
    struct bus bus;
};

/* A PC as it is after reset, its clocks running from `now` (TSC). Everything else in *p is overwritten. */
void platform_init(struct platform *p, const struct platform_config *config, uint64_t now);

/* One access of the guest; size 1, 2 or 4, of value the low `size` bytes. What nobody claims reads as all ones. The result is zero-extended. */
uint32_t platform_port_read(struct platform *p, uint16_t port, unsigned size);
void platform_port_write(struct platform *p, uint16_t port, unsigned size, uint32_t value);

/* Bring all clocks up to now and raise what is due: the work is the same however late the call comes, and missed periods
 * become one request. Early or needless calls do no harm. */
void platform_timer(struct platform *p);

/* Interrupt acknowledge: the vector, or ABI_VECTOR_NONE if nothing is requested any more. */
uint32_t platform_intack(struct platform *p);

/* Console bytes for COM1. No more than platform_input_room(): the rest would be dropped. */
void platform_input(struct platform *p, const uint8_t *bytes, unsigned n);
unsigned platform_input_room(const struct platform *p);
bool platform_input_empty(const struct platform *p); /* the guest has read all that it was given */

/* From now on out[] may fill up to `bytes`; waiting bytes move into it. Call it when the host's room changed, and after
 * draining an out[] that had been full (out_len == room): until then COM1's transmitter is not empty. */
void platform_output_room(struct platform *p, unsigned bytes);

/* For the devices: one of their deadlines changed. */
static inline void platform_schedule(struct platform *p)
{
    uint64_t first = p->pit.deadline < p->rtc.deadline ? p->pit.deadline : p->rtc.deadline;

    p->deadline = first < p->acpipm.deadline ? first : p->acpipm.deadline;
}

#endif
