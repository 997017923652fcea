/* The real-time clock: date, alarm, periodic and update-ended interrupts, and the CMOS bytes that firmware leaves for the guest. */
#include "devices/rtc.h"
#include "devices/clock.h"
#include "devices/date.h"
#include "devices/platform.h"

#define RTC_IRQ          8u
#define INDEX_NMI        0x80u

enum rtc_register {
    RTC_SECOND, RTC_SECOND_ALARM, RTC_MINUTE, RTC_MINUTE_ALARM, RTC_HOUR, RTC_HOUR_ALARM,
    RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
    CMOS_EQUIPMENT = 0x14,
    CMOS_BASE_KIB = 0x15,         /* 2 bytes */
    CMOS_EXTENDED_KIB = 0x17,     /* 2 bytes, KiB above 1 MiB; again at 30h */
    CMOS_SUM_FIRST = 0x10,
    CMOS_SUM_LAST = 0x2d,
    CMOS_SUM = 0x2e,              /* high byte first */
    CMOS_EXTENDED_KIB_2 = 0x30,
    RTC_CENTURY = 0x32,
    CMOS_ABOVE_16M = 0x34,        /* 2 bytes, in 64 KiB */
    CMOS_ABOVE_4G = 0x5b,         /* 3 bytes, in 64 KiB */
};

#define A_UIP            0x80u
#define A_RATE           0x0fu
#define A_RESET          0x60u /* DV 11x: the divider chain is held in reset */
#define A_DEFAULT        0x26u /* 32768 Hz crystal, 1024 Hz periodic */
#define B_SET            0x80u
#define B_UIE            0x10u
#define B_BINARY         0x04u
#define B_24H            0x02u
#define C_IRQF           0x80u
#define C_PF             0x40u
#define C_AF             0x20u
#define C_UF             0x10u
#define C_SOURCES        (C_PF | C_AF | C_UF) /* the enables in B are the same bits */
#define D_VALID          0x80u
#define HOUR_PM          0x80u
#define ALARM_ANY        0xc0u

#define UIP_TICKS        73u   /* tBUC 244 us + tUC 1984 us before the end of the update */
#define HALF_SECOND      (RTC_HZ / 2)
#define DAY_SECONDS      86400u
#define ALARM_NEVER      0u    /* distances are 1..86400 */
#define EQUIPMENT_FPU    0x02u
#define BASE_KIB         640u

static bool running(const struct rtc *r)
{
    return (r->cmos[RTC_A] & A_RESET) != A_RESET;
}

static uint64_t tick_at(const struct platform *p, uint64_t now)
{
    return clock_ticks(p, now, RTC_HZ);
}

static uint8_t encode(const struct rtc *r, unsigned v)
{
    return (uint8_t)(r->cmos[RTC_B] & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10);
}

static unsigned decode(const struct rtc *r, uint8_t v)
{
    return r->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

static uint8_t hour_encode(const struct rtc *r, unsigned hour)
{
    if (r->cmos[RTC_B] & B_24H)
        return encode(r, hour);
    return (uint8_t)(encode(r, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0));
}

/* 24 and more if the byte is no hour. */
static unsigned hour_decode(const struct rtc *r, uint8_t v)
{
    unsigned hour;

    if (r->cmos[RTC_B] & B_24H)
        return decode(r, v);
    hour = decode(r, v & (uint8_t)~HOUR_PM);
    if (hour < 1 || hour > 12)
        return DAY_SECONDS;
    return hour % 12 + (v & HOUR_PM ? 12 : 0);
}

/* The guest's bytes need not be a time: each is brought into its range. */
static unsigned time_of_day(const struct rtc *r)
{
    return hour_decode(r, r->cmos[RTC_HOUR]) % 24 * 3600 + decode(r, r->cmos[RTC_MINUTE]) % 60 * 60 +
           decode(r, r->cmos[RTC_SECOND]) % 60;
}

static unsigned clamp(unsigned v, unsigned low, unsigned high)
{
    return v < low ? low : v > high ? high : v;
}

static void date_set(struct rtc *r, uint64_t days, unsigned time)
{
    struct date d = date_from_days(days);

    r->cmos[RTC_SECOND] = encode(r, time % 60);
    r->cmos[RTC_MINUTE] = encode(r, time / 60 % 60);
    r->cmos[RTC_HOUR] = hour_encode(r, time / 3600);
    r->cmos[RTC_DAY] = encode(r, d.day);
    r->cmos[RTC_MONTH] = encode(r, d.month);
    r->cmos[RTC_YEAR] = encode(r, d.year % 100);
    r->cmos[RTC_CENTURY] = encode(r, d.year / 100 % 100);
}

/* Let the registers count `seconds`: from what they hold now, so that a date the guest set is kept. */
static void date_advance(struct rtc *r, uint64_t seconds)
{
    uint64_t time = time_of_day(r) + seconds, days = time / DAY_SECONDS;
    unsigned weekday = (decode(r, r->cmos[RTC_WEEKDAY]) + 6u) % 7u;
    struct date d = {
        /* 400 years on, where the calendar is the same, so that year 0 has a predecessor; the century wraps at 100 */
        .year = decode(r, r->cmos[RTC_CENTURY]) % 100 * 100 + decode(r, r->cmos[RTC_YEAR]) % 100 + 400,
        .month = clamp(decode(r, r->cmos[RTC_MONTH]), 1, 12),
        .day = clamp(decode(r, r->cmos[RTC_DAY]), 1, 31),
    };

    r->cmos[RTC_WEEKDAY] = encode(r, (unsigned)((weekday + days) % 7) + 1);
    date_set(r, date_to_days(d) + days, (unsigned)(time % DAY_SECONDS));
    d.year = decode(r, r->cmos[RTC_CENTURY]) + 96; /* back by the 400 years */
    r->cmos[RTC_CENTURY] = encode(r, d.year % 100);
}

/* Seconds until the time of day equals the alarm registers, at least 1; ALARM_NEVER if they hold no time. Seconds first: each
 * field that has to move on sets the smaller ones to their least value. */
static unsigned alarm_distance(const struct rtc *r)
{
    const uint8_t *c = r->cmos;
    bool any_s = c[RTC_SECOND_ALARM] >= ALARM_ANY, any_m = c[RTC_MINUTE_ALARM] >= ALARM_ANY, any_h = c[RTC_HOUR_ALARM] >= ALARM_ANY;
    unsigned s = any_s ? 0 : decode(r, c[RTC_SECOND_ALARM]);
    unsigned m = any_m ? 0 : decode(r, c[RTC_MINUTE_ALARM]);
    unsigned h = any_h ? 0 : hour_decode(r, c[RTC_HOUR_ALARM]);
    unsigned from = time_of_day(r), t = from + 1;

    if (s > 59 || m > 59 || h > 23)
        return ALARM_NEVER;
    if (!any_s)
        t += (s + 60 - t % 60) % 60;
    if (!any_m && t / 60 % 60 != m)
        t = t - t % 60 + (m + 60 - t / 60 % 60) % 60 * 60 + s;
    if (!any_h && t / 3600 % 24 != h)
        t = t - t % 3600 + (h + 24 - t / 3600 % 24) % 24 * 3600 + m * 60 + s;
    return t - from;
}

/* Rates 1 and 2 are the slow ones of a 32768 Hz crystal: 256 and 128 Hz. 0 if off. */
static uint64_t periodic_ticks(const struct rtc *r)
{
    unsigned rate = r->cmos[RTC_A] & A_RATE;

    if (!rate || !running(r))
        return 0;
    return 1u << ((rate < 3 ? rate + 7 : rate) - 1);
}

/* The next tick at which IRQ8 can rise. None while it is high: that lasts until register C is read. */
static uint64_t next_interrupt(const struct rtc *r)
{
    uint64_t next = UINT64_MAX, at, ticks = periodic_ticks(r);
    uint8_t b = r->cmos[RTC_B];
    unsigned alarm;

    if (r->cmos[RTC_C] & C_IRQF || !running(r))
        return UINT64_MAX;
    if (b & C_PF && ticks)
        next = r->divider + ((r->seen - r->divider) / ticks + 1) * ticks;
    if (b & B_SET)
        return next;
    if (b & C_UF && r->second + RTC_HZ < next)
        next = r->second + RTC_HZ;
    if (b & C_AF) {
        alarm = alarm_distance(r);
        at = r->second + (uint64_t)alarm * RTC_HZ;
        if (alarm != ALARM_NEVER && at < next)
            next = at;
    }
    return next;
}

static void update(struct platform *p)
{
    struct rtc *r = &p->rtc;
    uint64_t next;

    if (r->cmos[RTC_C] & r->cmos[RTC_B] & C_SOURCES)
        r->cmos[RTC_C] |= C_IRQF;
    else
        r->cmos[RTC_C] &= (uint8_t)~C_IRQF;
    pic_line(p, RTC_IRQ, r->cmos[RTC_C] & C_IRQF);
    next = next_interrupt(r);
    r->deadline = next == UINT64_MAX ? ABI_TIMER_NEVER : clock_deadline(p, next, RTC_HZ);
    platform_schedule(p);
}

static void advance(struct rtc *r, uint64_t tick)
{
    uint64_t ticks = periodic_ticks(r), seconds;
    unsigned alarm;

    if (!running(r) || (int64_t)(tick - r->seen) <= 0)
        return;
    if (ticks && (tick - r->divider) / ticks != (r->seen - r->divider) / ticks)
        r->cmos[RTC_C] |= C_PF;
    r->seen = tick;
    seconds = (tick - r->second) / RTC_HZ;
    r->second += seconds * RTC_HZ;
    if (!seconds || r->cmos[RTC_B] & B_SET)
        return;
    alarm = alarm_distance(r);
    if (alarm != ALARM_NEVER && alarm <= seconds)
        r->cmos[RTC_C] |= C_AF;
    r->cmos[RTC_C] |= C_UF;
    date_advance(r, seconds);
}

void rtc_sync(struct platform *p, uint64_t now)
{
    advance(&p->rtc, tick_at(p, now));
    update(p);
}

static uint8_t register_a(const struct rtc *r)
{
    bool updating = running(r) && !(r->cmos[RTC_B] & B_SET) && r->seen - r->second >= RTC_HZ - UIP_TICKS;

    return r->cmos[RTC_A] | (updating ? A_UIP : 0);
}

static uint8_t data_read(struct platform *p)
{
    struct rtc *r = &p->rtc;
    unsigned index = r->index % CMOS_BYTES;
    uint8_t value;

    if (index > RTC_D && index != RTC_CENTURY)
        return r->cmos[index];
    rtc_sync(p, clock_now(p));
    switch (index) {
    case RTC_A:
        return register_a(r);
    case RTC_C: /* the read takes all flags back, and the interrupt */
        value = r->cmos[RTC_C] & (C_IRQF | C_SOURCES);
        r->cmos[RTC_C] = 0;
        update(p);
        return value;
    case RTC_D:
        return D_VALID;
    default:
        return r->cmos[index];
    }
}

uint8_t rtc_read(struct platform *p, unsigned a0)
{
    return a0 ? data_read(p) : 0xff; /* the index cannot be read back */
}

/* Leaving reset starts the divider chain so that the first update comes half a second later (MC146818A "Divider Control"). */
static void register_a_write(struct rtc *r, uint64_t tick, uint8_t value)
{
    bool was_running = running(r);

    r->cmos[RTC_A] = value & (uint8_t)~A_UIP;
    if (was_running || !running(r))
        return;
    r->seen = r->divider = tick;
    r->second = tick - HALF_SECOND;
}

static void data_write(struct platform *p, uint8_t value)
{
    struct rtc *r = &p->rtc;
    unsigned index = r->index % CMOS_BYTES;
    uint64_t now;

    if (index > RTC_D && index != RTC_CENTURY) {
        r->cmos[index] = value;
        return;
    }
    now = clock_now(p);
    rtc_sync(p, now);
    switch (index) {
    case RTC_A:
        register_a_write(r, tick_at(p, now), value);
        break;
    case RTC_B:
        r->cmos[RTC_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;
        break;
    case RTC_C:
    case RTC_D: /* read-only */
        break;
    default:
        r->cmos[index] = value;
        break;
    }
    update(p);
}

void rtc_write(struct platform *p, unsigned a0, uint8_t value)
{
    if (a0) {
        data_write(p, value);
        return;
    }
    p->rtc.index = value % CMOS_BYTES;
    p->rtc.nmi_masked = value & INDEX_NMI;
}

static void cmos_word(struct rtc *r, unsigned index, uint64_t value, unsigned bytes)
{
    uint64_t most = (1ull << 8 * bytes) - 1;

    if (value > most)
        value = most;
    for (unsigned i = 0; i < bytes; i++)
        r->cmos[index + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t bytes_above(uint64_t end, uint64_t start)
{
    return end > start ? end - start : 0;
}

/* What a PC's firmware writes there about memory, with the sum that guards it. */
static void cmos_init(struct rtc *r, const struct platform_config *config)
{
    uint64_t base = config->ram_low >> 10, extended = bytes_above(config->ram_low, 1u << 20) >> 10;
    unsigned sum = 0;

    cmos_word(r, CMOS_BASE_KIB, base < BASE_KIB ? base : BASE_KIB, 2);
    cmos_word(r, CMOS_EXTENDED_KIB, extended, 2);
    cmos_word(r, CMOS_EXTENDED_KIB_2, extended, 2);
    cmos_word(r, CMOS_ABOVE_16M, bytes_above(config->ram_low, 16u << 20) >> 16, 2);
    cmos_word(r, CMOS_ABOVE_4G, config->ram_high >> 16, 3);
    r->cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
    for (unsigned i = CMOS_SUM_FIRST; i <= CMOS_SUM_LAST; i++)
        sum += r->cmos[i];
    r->cmos[CMOS_SUM] = (uint8_t)(sum >> 8);
    r->cmos[CMOS_SUM + 1] = (uint8_t)sum;
}

void rtc_init(struct platform *p, const struct platform_config *config, uint64_t now)
{
    struct rtc *r = &p->rtc;
    uint64_t wall = config->wall > 0 ? (uint64_t)config->wall : 0, days = wall / DAY_SECONDS;

    r->cmos[RTC_A] = A_DEFAULT;
    r->cmos[RTC_B] = B_24H;
    r->cmos[RTC_WEEKDAY] = encode(r, (unsigned)((days + 4) % 7) + 1); /* 1970-01-01 was a Thursday, 5 */
    date_set(r, days + DATE_UNIX_EPOCH, (unsigned)(wall % DAY_SECONDS));
    cmos_init(r, config);
    r->second = r->divider = r->seen = tick_at(p, now);
    update(p);
}
