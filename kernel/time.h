/* The TSC as the machine's clock. */
#pragma once

#include "kernel/cpu.h"

static inline u64 time_us_to_tsc(u64 us, u64 khz) { return us * khz / 1000; }

static inline void time_delay_us(u32 us)
{
    u64 end = rdtsc() + time_us_to_tsc(us, features.tsc_khz);
    while (rdtsc() < end)
        cpu_relax();
}
