/* Calendar arithmetic without tables or loops: the year is taken to begin in March, so that the leap day is its last. */
#include "devices/date.h"

#define DAYS_IN_400_YEARS 146097u

static uint64_t year_start(uint64_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400;
}

/* Days of the year before month m, March being 0: 30.6 days a month, rounded. */
static uint64_t month_start(uint64_t m)
{
    return (153 * m + 2) / 5;
}

uint64_t date_to_days(struct date d)
{
    uint64_t month = d.month + 9 - (d.month > 2 ? 12 : 0), year = (uint64_t)d.year + 400 - (d.month > 2 ? 0 : 1);

    return year_start(year) + month_start(month) + d.day - 1 - DAYS_IN_400_YEARS;
}

struct date date_from_days(uint64_t days)
{
    uint64_t year = days / DAYS_IN_400_YEARS * 400 + days % DAYS_IN_400_YEARS * 400 / DAYS_IN_400_YEARS;
    uint64_t rest, month;

    if (year_start(year) > days) /* the estimate is off by one at most */
        year--;
    else if (year_start(year + 1) <= days)
        year++;
    rest = days - year_start(year);
    month = (5 * rest + 2) / 153;
    return (struct date){
        .year = (uint32_t)(year + (month >= 10)),
        .month = (uint32_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint32_t)(rest - month_start(month) + 1),
    };
}
