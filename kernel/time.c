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
#define PIT_LATCH2    0x80
#define PIT_MODE0_2   0xb0        /* channel 2, both bytes, mode 0 */
#define MEASURE_TICKS (PIT_HZ / 33)
#define MEASURE_POLLS 100000u
#define MEASURE_TRIES 16u
#define SAMPLE_TRIES  8u
#define CMOS_INDEX   0x70
#define CMOS_DATA    0x71
#define CMOS_TRIES   100000u
#define CMOS_CLOCK   10u    /* registers of time and date, alarms included */
#define CMOS_A       0x0a
#define CMOS_A_UPDATE 0x80u
#define CMOS_B       0x0b
#define CMOS_B_BINARY 0x04u
#define CMOS_B_24H   0x02u
#define CMOS_PM      0x80u
#define CMOS_CENTURY 0x32   /* where PC firmware keeps it */

u64 time_wall_tsc;
long long time_wall;

struct sample { u64 tsc, width; u32 count; }; /* width: how long it took */

/* Channel 2's count and the TSC of that moment: the narrowest of some tries, since an outer hypervisor may take the CPU away in one. */
static struct sample sample_take(void)
{
    struct sample best = { .width = ~0ul };
    for (u32 i = 0; i < SAMPLE_TRIES; i++) {
        u64 tsc = rdtsc(), width;
        u32 count;
        out8(PIT_CONTROL, PIT_LATCH2);
        count = in8(PIT_CH2);
        count |= (u32)in8(PIT_CH2) << 8;
        width = rdtsc() - tsc;
        if (width < best.width)
            best = (struct sample){ tsc, width, count };
    }
    return best;
}

/* Channel 2 in mode 0 counts down from FFFFh in 55 ms; OUT2 rises at 0. Two samples some 30 ms apart give the TSC's frequency, unless so
 * much time went by that the count wrapped. */
static u64 measure_tsc_khz(void)
{
    for (u32 i = 0; i < MEASURE_TRIES; i++) {
        struct sample a, b;
        out8(PORT_61, (in8(PORT_61) & ~P61_SPEAKER) | P61_GATE2);
        out8(PIT_CONTROL, PIT_MODE0_2);
        out8(PIT_CH2, 0xff);
        out8(PIT_CH2, 0xff);
        a = b = sample_take();
        for (u32 k = 0; k < MEASURE_POLLS && a.count - b.count < MEASURE_TICKS && !(in8(PORT_61) & P61_OUT2); k++)
            b = sample_take();
        if (b.count < a.count && !(in8(PORT_61) & P61_OUT2))
            return (b.tsc - a.tsc) * PIT_HZ / (a.count - b.count) / 1000;
    }
    stop("the 8254 timer does not count: the TSC's frequency cannot be measured");
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

/* Registers 0 to 9 and the century, read until they are the same twice outside an update (MC146818 data sheet, "update cycle"). */
static void cmos_read(u8 r[CMOS_CLOCK + 1])
{
    u8 before[CMOS_CLOCK + 1] = { 0 };
    for (u32 i = 0; i < CMOS_TRIES; i++) {
        if (cmos(CMOS_A) & CMOS_A_UPDATE)
            continue;
        for (u8 k = 0; k < CMOS_CLOCK; k++)
            r[k] = cmos(k);
        r[CMOS_CLOCK] = cmos(CMOS_CENTURY);
        if (!memcmp(r, before, sizeof(before)))
            return;
        memcpy(before, r, sizeof(before));
    }
}

static long long read_clock(void)
{
    u8 r[CMOS_CLOCK + 1] = { 0 }, b = cmos(CMOS_B);
    bool binary = b & CMOS_B_BINARY;
    u32 hour, year, month, day;
    cmos_read(r);
    hour = from_bcd(r[4] & 0x7f, binary);
    if (!(b & CMOS_B_24H))
        hour = hour % 12 + (r[4] & CMOS_PM ? 12 : 0);
    day = from_bcd(r[7], binary);
    month = from_bcd(r[8], binary);
    year = from_bcd(r[9], binary) + (from_bcd(r[CMOS_CLOCK], false) == 19 ? 1900 : 2000);
    return days(year, month, day) * 86400 + hour * 3600 + from_bcd(r[2], binary) * 60 + from_bcd(r[0], binary);
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
