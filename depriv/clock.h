/* The machine's clock, which ring 0 read at boot, as seconds. Ring 3. */
#ifndef DEPRIV_CLOCK_H
#define DEPRIV_CLOCK_H

#include <stdint.h>

/* Seconds since 1970-01-01 UTC; clock: abi_info.clock. */
int64_t clock_seconds(const uint8_t *clock);

#endif
