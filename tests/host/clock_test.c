/* The machine's clock as seconds: dates in BCD and binary, 12 and 24 hours, leap days, centuries.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o clock_test \
 *     tests/host/clock_test.c depriv/clock.c -lcmocka
 */
// sources: depriv/clock.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "depriv/abi.h"
#include "depriv/clock.h"

static void test_dates(void **state)
{
    static const struct { uint8_t clock[ABI_CLOCK_BYTES]; int64_t seconds; } rows[] = { /* s, min, h, day, month, year, century, B */
        { { 0x00, 0x00, 0x00, 0x01, 0x01, 0x70, 0x19, 0x02 }, 0 },
        { { 0x59, 0x59, 0x23, 0x31, 0x12, 0x99, 0x19, 0x02 }, 946684799 },
        { { 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x20, 0x02 }, 946684800 },
        { { 0x01, 0x02, 0x03, 0x29, 0x02, 0x24, 0x20, 0x02 }, 1709175721 },
        { { 0x01, 0x02, 0x03, 0x01, 0x03, 0x24, 0x20, 0x02 }, 1709262121 },
        { { 59, 30, 14, 7, 8, 26, 0x20, 0x06 }, 1786113059 },                        /* binary */
        { { 0x00, 0x00, 0x12, 0x01, 0x01, 0x20, 0x20, 0x00 }, 1577836800 },          /* 12 at night */
        { { 0x00, 0x00, 0x92, 0x01, 0x01, 0x20, 0x20, 0x00 }, 1577836800 + 43200 },  /* 12 at noon */
        { { 0x00, 0x00, 0x81, 0x01, 0x01, 0x20, 0x20, 0x00 }, 1577836800 + 46800 },  /* 1 pm */
        { { 0, 0, 0x8b, 1, 1, 20, 0x20, 0x04 }, 1577836800 + 82800 },                /* 11 pm, binary */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(clock_seconds(rows[i].clock), rows[i].seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_dates) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
