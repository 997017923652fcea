/* The 8254 interval timer (Intel 231164) and the system control port at 61h that gates its channel 2. */
#ifndef DEVICES_PIT_H
#define DEVICES_PIT_H

#include <stdbool.h>
#include <stdint.h>

struct platform;

#define PIT_HZ       1193182u
#define PIT_CHANNELS 3u

/* Times are ticks of PIT_HZ since platform_init(). The counting element is not stepped: it follows from `start` and `count`. */
struct pit_channel {
    uint64_t start;      /* the tick at which `count` entered the counting element */
    uint64_t held;       /* ticks counted when the gate stopped it */
    uint64_t reload_at;  /* with waiting: the tick at which `next` replaces `count` */
    uint32_t count;      /* in force: 1..65536 */
    uint32_t next;       /* last written */
    uint16_t latch;      /* with latch_left: the count that was latched, as the guest reads it */
    uint8_t latch_left;  /* bytes of it still to be read */
    uint8_t control;     /* bits 5-0 of the control word */
    uint8_t mode;        /* 0..5 */
    uint8_t low;         /* with write_high: the first byte of the count */
    uint8_t status;      /* with status_latched */
    bool status_latched;
    bool write_high, read_high;
    bool gate;
    bool written;        /* a count was written since the control word */
    bool running;        /* a count is in the counting element */
    bool armed;          /* `next` is loaded by the next trigger */
    bool waiting;        /* `next` is loaded at the end of this cycle */
    bool reload_low;     /* with waiting, in mode 3: this is the end of the high half */
};

struct pit {
    struct pit_channel channel[PIT_CHANNELS];
    uint64_t edge;       /* tick of the next rising edge of OUT 0, UINT64_MAX if none */
    uint64_t deadline;   /* the same as TSC, or ABI_TIMER_NEVER */
    bool lazy;           /* edges cannot matter now: no deadline; the PIC asks for them when it is looked at */
    uint8_t port61;
};

void pit_init(struct platform *p, uint64_t now);
uint8_t pit_read(struct platform *p, unsigned reg);
void pit_write(struct platform *p, unsigned reg, uint8_t value);
uint8_t port61_read(struct platform *p);
void port61_write(struct platform *p, uint8_t value);

/* Deliver the edges of channel 0 up to `now`: one request at most, the phase is kept. */
void pit_sync(struct platform *p, uint64_t now);

/* For the PIC: before it is looked at, and after it changed. */
void pit_catch_up(struct platform *p);
void pit_follow(struct platform *p);

#endif
