/* TSC frequency against the 8254's channel 2, and the wall clock of the MC146818, both read once at boot. */
#include "kernel/time.h"
#include "kernel/cpu.h"
#include "kernel/log.h"

#define PIT_HZ       1193182u
#define PIT_CH2      0x42
#define PIT_CONTROL  0x43
#define PORT_61      0x61
#define P61_GATE2    0x01
#define P61_SPEAKER  0x02
#define P61_OUT2     0x20
#define MEASURE_MS   20u
#define CMOS_INDEX   0x70
#define CMOS_DATA    0x71
#define CMOS_TRIES   100000u

u64 time_wall_tsc;
long long time_wall;

/* Channel 2 in mode 0 counts down from a known value; OUT2 rises at 0. Bound: CPUs faster than 100 GHz are not expected. */
static u64 measure_tsc_khz(void)
{
    u32 count = PIT_HZ * MEASURE_MS / 1000;
    u64 start, limit;
    out8(PORT_61, (in8(PORT_61) & ~P61_SPEAKER) | P61_GATE2);
    out8(PIT_CONTROL, 0xb0); /* channel 2, both bytes, mode 0 */
    out8(PIT_CH2, (u8)count);
    out8(PIT_CH2, (u8)(count >> 8));
    start = rdtsc();
    limit = start + 100000000ul * MEASURE_MS;
    while (!(in8(PORT_61) & P61_OUT2) && rdtsc() < limit)
        ;
    return (rdtsc() - start) * PIT_HZ / count / 1000;
}

static u8 cmos(u8 index)
{
    out8(CMOS_INDEX, index);
    return in8(CMOS_DATA);
}

static u32 from_bcd(u32 v, bool binary)
{
    return binary ? v : (v >> 4) * 10 + (v & 15);
}

/* Days since 1970-01-01 of a Gregorian date, months counted from March so that the leap day is the last. */
static long long days(u32 year, u32 month, u32 day)
{
    long long y = month <= 2 ? year - 1ll : year, m = month <= 2 ? month + 9ll : month - 3ll;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static long long read_clock(void)
{
    u8 r[10], b;
    bool binary;
    u32 hour, year;
    for (u32 i = 0; i < CMOS_TRIES && cmos(0x0a) & 0x80; i++)
        ; /* update in progress */
    for (u8 i = 0; i < 10; i++)
        r[i] = cmos(i);
    b = cmos(0x0b);
    binary = b & 0x04;
    hour = from_bcd(r[4] & 0x7f, binary);
    if (!(b & 0x02)) /* 12 hours */
        hour = hour % 12 + (r[4] & 0x80 ? 12 : 0);
    year = from_bcd(r[9], binary);
    year += from_bcd(cmos(0x32), false) == 19 ? 1900 : 2000;
    return days(year, from_bcd(r[8], binary), from_bcd(r[7], binary)) * 86400 + hour * 3600 + from_bcd(r[2], binary) * 60 + from_bcd(r[0], binary);
}

void time_init(void)
{
    features.tsc_khz = measure_tsc_khz();
    if (features.tsc_khz < 1000)
        stop("the TSC runs at %lu kHz by the 8254 timer: no usable clock", features.tsc_khz);
    time_wall = read_clock();
    time_wall_tsc = rdtsc();
}

void time_delay_us(u32 us)
{
    u64 end = rdtsc() + time_us_to_tsc(us, features.tsc_khz);
    while (rdtsc() < end)
        cpu_relax();
}
