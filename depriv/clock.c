/* Makes seconds of the registers of an MC146818's clock (its data sheet, "time, calendar and alarm locations"). Ring 3. */
#include "depriv/clock.h"
#include "depriv/abi.h"

#include <stdbool.h>

#define B_BINARY 0x04u
#define B_24H    0x02u
#define HOUR_PM  0x80u
#define DAY_SECONDS 86400

static unsigned from_bcd(unsigned v, bool binary)
{
    return binary ? v : (v >> 4) * 10 + (v & 15);
}

/* Days since 1970-01-01 of a Gregorian date, months counted from March so that the leap day is the last. */
static int64_t days(unsigned year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1ll : year, m = month <= 2 ? month + 9ll : month - 3ll;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

int64_t clock_seconds(const uint8_t *clock)
{
    bool binary = clock[ABI_CLOCK_B] & B_BINARY;
    unsigned century = from_bcd(clock[ABI_CLOCK_CENTURY], false) == 19 ? 1900 : 2000;
    unsigned hour = from_bcd(clock[ABI_CLOCK_HOUR] & ~HOUR_PM, binary);
    if (!(clock[ABI_CLOCK_B] & B_24H))
        hour = hour % 12 + (clock[ABI_CLOCK_HOUR] & HOUR_PM ? 12 : 0);
    return days(century + from_bcd(clock[ABI_CLOCK_YEAR], binary), from_bcd(clock[ABI_CLOCK_MONTH], binary), from_bcd(clock[ABI_CLOCK_DAY], binary)) *
           DAY_SECONDS + hour * 3600 + from_bcd(clock[ABI_CLOCK_MINUTE], binary) * 60 + from_bcd(clock[ABI_CLOCK_SECOND], binary);
}
