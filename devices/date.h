/* Days to calendar date and back, in the Gregorian calendar. */
#ifndef DEVICES_DATE_H
#define DEVICES_DATE_H

#include <stdint.h>

struct date {
    uint32_t year, month, day; /* from 0, 1..12, 1..31 */
};

#define DATE_UNIX_EPOCH 719468u /* date_to_days() of 1970-01-01 */

/* Days since 0000-03-01; dates before it and days beyond the month's end come out as the sum says. Any month is accepted. */
uint64_t date_to_days(struct date d);
struct date date_from_days(uint64_t days);

#endif
