/* The TSC as the machine's clock: its frequency against the 8254, and the machine's clock at boot. */
#pragma once

#include "depriv/abi.h"
#include "kernel/base.h"

extern u64 time_clock_tsc;           /* TSC when time_clock was read */
extern u8 time_clock[ABI_CLOCK_BYTES]; /* registers of the CMOS clock, for abi_info.clock */

void time_init(void);                /* sets features.tsc_khz and time_clock; before apic_init */
void time_delay_us(u32 us);
static inline u64 time_us_to_tsc(u64 us, u64 khz) { return us * khz / 1000; }
