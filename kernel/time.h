/* The TSC as the machine's clock: its frequency against the 8254, and the wall clock at boot. */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/base.h"

extern u64 time_wall_tsc;            /* TSC when time_wall was read */
extern long long time_wall;          /* seconds since 1970-01-01 UTC, from the CMOS clock */

void time_init(void);                /* sets features.tsc_khz and the wall clock; before apic_init */
void time_delay_us(u32 us);
static inline u64 time_us_to_tsc(u64 us, u64 khz) { return us * khz / 1000; }

#endif
