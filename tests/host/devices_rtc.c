/* MC146818: calendar, formats, alarm, periodic and update interrupts, divider, CMOS bytes. */
#include <stdio.h>
#include <time.h>

#include "devices/date.h"
#include "tests/host/devices_test.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D, CENTURY = 0x32 };

static void expect_date(struct bench *b, const char *text)
{
    char now[32];

    snprintf(now, sizeof(now), "%02x%02x-%02x-%02x %02x:%02x:%02x %x", cmos_get(b, CENTURY), cmos_get(b, YEAR), cmos_get(b, MONTH),
             cmos_get(b, DAY), cmos_get(b, HOUR), cmos_get(b, MIN), cmos_get(b, SEC), cmos_get(b, WEEKDAY));
    assert_string_equal(now, text);
}

static void set_date(struct bench *b, const uint8_t *fields)
{
    static const uint8_t index[8] = { CENTURY, YEAR, MONTH, DAY, HOUR, MIN, SEC, WEEKDAY };

    for (unsigned i = 0; i < 8; i++)
        cmos_set(b, index[i], fields[i]);
}

static void calendar(void **state)
{
    uint64_t last = date_to_days((struct date){ 12000, 1, 1 });

    (void)state;
    for (uint64_t n = 306; n < last; n++) { /* from 0001-01-01 on, against the C library */
        struct date d = date_from_days(n);
        time_t seconds = ((time_t)n - DATE_UNIX_EPOCH) * 86400;
        struct tm tm;

        if (date_to_days(d) != n)
            fail();
        if (n % 97 && !(d.month == 2 && d.day >= 28) && !(d.month == 3 && d.day == 1))
            continue;
        gmtime_r(&seconds, &tm);
        if ((int)d.year != tm.tm_year + 1900 || (int)d.month != tm.tm_mon + 1 || (int)d.day != tm.tm_mday)
            fail();
    }
}

static void runs_on(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    expect_date(b, "2000-02-29 00:00:00 3");
    bench_wait(b, 86399 * SECOND);
    expect_date(b, "2000-02-29 23:59:59 3");
    bench_wait(b, SECOND - 1);
    expect_date(b, "2000-02-29 23:59:59 3");
    bench_wait(b, 1);
    expect_date(b, "2000-03-01 00:00:00 4");
    bench_wait(b, 306 * 86400 * SECOND);
    expect_date(b, "2001-01-01 00:00:00 2");
    bench_wait(b, 36524 * (86400 * SECOND)); /* a century without its leap day */
    expect_date(b, "2101-01-01 00:00:00 7");
    assert_int_equal(cmos_get(b, REG_D), 0x80);
    assert_int_equal(in8(b, 0x70), 0xff);
}

static void set_and_kept(void **state)
{
    static const uint8_t eve[] = { 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58, 6 };
    struct bench *b = bench_new();

    (void)state;
    cmos_set(b, REG_B, 0x82);
    bench_wait(b, 5 * SECOND / 2);
    set_date(b, eve);
    expect_date(b, "1999-12-31 23:59:58 6");
    cmos_set(b, REG_B, 0x02);
    expect_date(b, "1999-12-31 23:59:58 6");
    bench_wait(b, SECOND / 2); /* SET does not move the seconds */
    expect_date(b, "1999-12-31 23:59:59 6");
    bench_wait(b, SECOND);
    expect_date(b, "2000-01-01 00:00:00 7");
}

static void wraps_at_9999(void **state)
{
    static const uint8_t last[] = { 0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59, 6 };
    static const uint8_t first[] = { 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7 };
    struct bench *b = bench_new();

    (void)state;
    set_date(b, last);
    bench_wait(b, SECOND);
    expect_date(b, "0000-01-01 00:00:00 7");
    set_date(b, first);
    bench_wait(b, 59 * 86400 * SECOND);
    expect_date(b, "0000-02-29 00:00:00 3");
}

static void twelve_hours(void **state)
{
    static const uint8_t bcd[24] = { 0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11,
                                     0x92, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91 };
    struct bench *b = bench_new();

    (void)state;
    cmos_set(b, REG_B, 0x00);
    cmos_set(b, HOUR, 0x12);
    for (unsigned h = 0; h < 24; h++) {
        assert_int_equal(cmos_get(b, HOUR), bcd[h]);
        bench_wait(b, 3600 * SECOND);
    }
    assert_int_equal(cmos_get(b, HOUR), 0x12);
    assert_int_equal(cmos_get(b, DAY), 0x01);
    cmos_set(b, REG_B, 0x04);
    cmos_set(b, HOUR, 0x8b); /* 11 pm */
    bench_wait(b, 3600 * SECOND);
    assert_int_equal(cmos_get(b, HOUR), 0x0c);
}

static void binary(void **state)
{
    static const uint8_t leap[] = { 20, 24, 2, 28, 23, 59, 59, 4 };
    struct bench *b = bench_new();

    (void)state;
    cmos_set(b, REG_B, 0x06);
    set_date(b, leap);
    bench_wait(b, SECOND);
    assert_int_equal(cmos_get(b, DAY), 29);
    bench_wait(b, 86400 * SECOND);
    assert_int_equal(cmos_get(b, DAY), 1);
    assert_int_equal(cmos_get(b, MONTH), 3);
    assert_int_equal(cmos_get(b, CENTURY), 20);
    assert_int_equal(cmos_get(b, YEAR), 24);
    bench_wait(b, 45 * SECOND);
    assert_int_equal(cmos_get(b, SEC), 45);
}

static void garbage_becomes_a_date(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    for (unsigned mode = 0; mode < 8; mode++) {
        for (unsigned v = 0; v < 256; v++) {
            cmos_set(b, REG_B, (uint8_t)mode);
            for (unsigned i = 0; i < 10; i++)
                cmos_set(b, (uint8_t)i, (uint8_t)v);
            cmos_set(b, CENTURY, (uint8_t)v);
            bench_wait(b, SECOND * (v + 1));
            in8(b, 0x71);
            cmos_set(b, REG_B, 0x06);
        }
    }
}

static void update_ended(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    cmos_set(b, REG_B, 0x12);
    assert_int_equal(bench_run(b, 5 * SECOND), 1); /* once: then it waits for the read of C */
    assert_int_equal(platform_intack(&b->p), 0x70);
    eoi(b);
    assert_int_equal(cmos_get(b, REG_C) & 0xb0, 0x90);
    assert_int_equal(cmos_get(b, REG_C), 0);
    assert_int_equal(b->p.rtc.cmos[REG_C], 0);
    assert_int_equal(bench_run(b, SECOND), 1);
    assert_true(b->p.intr);
    cmos_set(b, REG_B, 0x92); /* SET clears UIE */
    assert_int_equal(cmos_get(b, REG_B), 0x82);
    assert_false(b->p.intr);
}

static void update_in_progress(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    assert_int_equal(cmos_get(b, REG_A), 0x26);
    bench_wait(b, SECOND - SECOND / 400); /* 2.5 ms before */
    assert_int_equal(cmos_get(b, REG_A), 0x26);
    bench_wait(b, SECOND / 1000);
    assert_int_equal(cmos_get(b, REG_A), 0xa6);
    cmos_set(b, REG_B, 0x82);
    assert_int_equal(cmos_get(b, REG_A), 0x26);
    cmos_set(b, REG_B, 0x02);
    bench_wait(b, SECOND / 500);
    assert_int_equal(cmos_get(b, REG_A), 0x26);
    cmos_set(b, REG_A, 0xff);
    assert_int_equal(cmos_get(b, REG_A), 0x7f);
}

static void periodic(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    for (unsigned rate = 0; rate < 16; rate++) {
        unsigned hz = rate == 0 ? 0 : rate < 3 ? 512u >> rate : 32768u >> (rate - 1), ticks = 0;
        uint64_t end = b->tsc + SECOND;

        cmos_set(b, REG_A, (uint8_t)(0x20 | rate));
        cmos_get(b, REG_C);
        cmos_set(b, REG_B, 0x42);
        while (b->p.deadline <= end) {
            b->tsc = b->p.deadline;
            platform_timer(&b->p);
            assert_int_equal(platform_intack(&b->p), 0x70);
            assert_int_equal(cmos_get(b, REG_C) & 0xc0, 0xc0);
            eoi(b);
            ticks++;
        }
        b->tsc = end;
        assert_int_equal(ticks, hz);
        cmos_set(b, REG_B, 0x02);
    }
    cmos_set(b, REG_A, 0x26);
    cmos_get(b, REG_C);
    bench_wait(b, SECOND / 1024 + 1);
    assert_int_equal(cmos_get(b, REG_C) & 0xc0, 0x40); /* the flag does not need the enable */
}

static void alarm_at(struct bench *b, uint8_t h, uint8_t m, uint8_t s)
{
    cmos_set(b, HOUR_ALARM, h);
    cmos_set(b, MIN_ALARM, m);
    cmos_set(b, SEC_ALARM, s);
    cmos_get(b, REG_C);
    cmos_set(b, REG_B, 0x22);
}

static void alarm(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    alarm_at(b, 0x07, 0x30, 0x15);
    assert_int_equal(b->p.deadline, START_TSC + (7 * 3600 + 30 * 60 + 15) * SECOND);
    bench_run(b, 86000 * SECOND);
    assert_true(b->p.intr);
    assert_int_equal(cmos_get(b, REG_C) & 0xb0, 0xb0);
    alarm_at(b, 0xff, 0xff, 0xff); /* every second; it is 23:53:20 */
    assert_int_equal(b->p.deadline, START_TSC + 86001 * SECOND);
    alarm_at(b, 0xc0, 0xff, 0x10);
    assert_int_equal(b->p.deadline, START_TSC + 86050 * SECOND);
    alarm_at(b, 0xff, 0x05, 0xff);
    assert_int_equal(b->p.deadline, START_TSC + 86700 * SECOND);
    alarm_at(b, 0x00, 0xff, 0x59);
    assert_int_equal(b->p.deadline, START_TSC + 86459 * SECOND);
    alarm_at(b, 0x23, 0x53, 0x20); /* now: a day on */
    assert_int_equal(b->p.deadline, START_TSC + (86000 + 86400) * SECOND);
    alarm_at(b, 0x00, 0x00, 0x60);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    alarm_at(b, 0x24, 0x00, 0x00);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    alarm_at(b, 0xff, 0x77, 0xff);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
}

static void divider(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_wait(b, SECOND / 4);
    cmos_set(b, REG_A, 0x76);
    bench_wait(b, 10 * SECOND);
    expect_date(b, "2000-02-29 00:00:00 3");
    cmos_set(b, REG_A, 0x26);
    bench_wait(b, SECOND / 2 - 1);
    expect_date(b, "2000-02-29 00:00:00 3");
    bench_wait(b, SECOND / 1000);
    expect_date(b, "2000-02-29 00:00:01 3");
}

static void memory_bytes(void **state)
{
    struct bench *b = bench_new();
    unsigned sum = 0;

    (void)state;
    assert_int_equal(cmos_get(b, 0x15) | cmos_get(b, 0x16) << 8, 640);
    assert_int_equal(cmos_get(b, 0x17) | cmos_get(b, 0x18) << 8, 0xffff);
    assert_int_equal(cmos_get(b, 0x30) | cmos_get(b, 0x31) << 8, 0xffff);
    assert_int_equal(cmos_get(b, 0x34) | cmos_get(b, 0x35) << 8, (0x30000000 - 0x1000000) >> 16);
    assert_int_equal(cmos_get(b, 0x5e), 0);
    assert_int_equal(cmos_get(b, 0x5b) | cmos_get(b, 0x5c) << 8 | cmos_get(b, 0x5d) << 16, 0x14000);
    for (uint8_t i = 0x10; i < 0x2e; i++)
        sum += cmos_get(b, i);
    assert_int_equal(cmos_get(b, 0x2e) << 8 | cmos_get(b, 0x2f), sum);
    for (unsigned i = 0x40; i < 0x80; i++)
        cmos_set(b, (uint8_t)(i | 0x80), (uint8_t)~i);
    assert_true(b->p.rtc.nmi_masked);
    cmos_get(b, 0);
    assert_false(b->p.rtc.nmi_masked);
    for (unsigned i = 0x40; i < 0x80; i++)
        assert_int_equal(cmos_get(b, (uint8_t)i), (uint8_t)~i);
    platform_port_write(&b->p, 0x70, 2, 0x5540); /* index and data in one access, as on ISA */
    assert_int_equal(cmos_get(b, 0x40), 0x55);
}

int run_rtc_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar), cmocka_unit_test(runs_on), cmocka_unit_test(set_and_kept), cmocka_unit_test(wraps_at_9999),
        cmocka_unit_test(twelve_hours), cmocka_unit_test(binary), cmocka_unit_test(garbage_becomes_a_date),
        cmocka_unit_test(update_ended), cmocka_unit_test(update_in_progress), cmocka_unit_test(periodic), cmocka_unit_test(alarm),
        cmocka_unit_test(divider), cmocka_unit_test(memory_bytes),
    };

    return cmocka_run_group_tests_name("MC146818", tests, NULL, NULL);
}
