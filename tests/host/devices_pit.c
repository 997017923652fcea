/* 8254 and port 61h: the six modes, access modes, latches, BCD, exact edges, bounded catch-up. */
#include "tests/host/devices_test.h"

#define CLOCK(n) bench_wait(b, (uint64_t)(n) * PIT_TICK)

static uint16_t in16(struct bench *b, uint16_t port)
{
    uint8_t low = in8(b, port);

    return (uint16_t)(low | in8(b, port) << 8);
}

static void program(struct bench *b, uint8_t control, uint16_t count)
{
    uint16_t port = (uint16_t)(0x40 + (control >> 6));

    out8(b, 0x43, control);
    out8(b, port, (uint8_t)count);
    out8(b, port, (uint8_t)(count >> 8));
}

static bool out2(struct bench *b)
{
    return in8(b, 0x61) & 0x20;
}

static uint8_t status2(struct bench *b)
{
    out8(b, 0x43, 0xe8);
    return in8(b, 0x42);
}

static struct bench *gate_on(void)
{
    struct bench *b = bench_new();

    out8(b, 0x61, 1);
    return b;
}

static void mode0(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb0, 100);
    assert_int_equal(status2(b), 0x70); /* OUT low, null count until the next clock */
    CLOCK(1);
    assert_int_equal(status2(b), 0x30);
    assert_int_equal(in16(b, 0x42), 100);
    CLOCK(99);
    assert_int_equal(in16(b, 0x42), 1);
    assert_false(out2(b));
    out8(b, 0x61, 0); /* the gate stops it */
    CLOCK(500);
    assert_int_equal(in16(b, 0x42), 1);
    assert_false(out2(b));
    out8(b, 0x61, 1);
    CLOCK(1);
    assert_true(out2(b));
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 0xffff);
    out8(b, 0x42, 50); /* the first byte of a new count takes OUT low */
    assert_false(out2(b));
    CLOCK(1000);
    assert_false(out2(b));
    out8(b, 0x42, 0);
    CLOCK(51);
    assert_true(out2(b));
}

static void mode1(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    program(b, 0xb2, 10);
    assert_int_equal(status2(b), 0xf2);
    CLOCK(50);
    assert_true(out2(b));
    out8(b, 0x61, 1);
    CLOCK(1);
    assert_int_equal(status2(b), 0x32);
    CLOCK(5);
    out8(b, 0x61, 0); /* no effect, but the next rise triggers again */
    out8(b, 0x61, 1);
    CLOCK(10);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
}

static void mode2(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb4, 10);
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 10);
    CLOCK(8);
    assert_int_equal(in16(b, 0x42), 2);
    assert_true(out2(b));
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 1);
    assert_false(out2(b));
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 10);
    program(b, 0xb4, 10);
    CLOCK(4); /* value 7 */
    out8(b, 0x42, 4);
    out8(b, 0x42, 0);
    assert_int_equal(status2(b), 0xf4); /* null: waits for the end of the cycle */
    CLOCK(7);
    assert_int_equal(status2(b), 0xb4);
    assert_int_equal(in16(b, 0x42), 4);
    CLOCK(3);
    assert_false(out2(b));
    out8(b, 0x61, 0);
    assert_true(out2(b));
    CLOCK(100);
    assert_true(out2(b));
    out8(b, 0x61, 1); /* the trigger reloads */
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 4);
}

static void mode3(void **state)
{
    static const uint8_t odd[] = { 4, 2, 0, 4, 2, 4 };
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb6, 4);
    CLOCK(1);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(in16(b, 0x42), i % 2 ? 2 : 4);
        assert_int_equal(out2(b), i % 4 < 2);
        CLOCK(1);
    }
    program(b, 0xbe, 5); /* 7 is mode 3 too */
    CLOCK(1);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(in16(b, 0x42), odd[i]);
        assert_int_equal(out2(b), i % 5 < 3);
        CLOCK(1);
    }
    program(b, 0xb6, 8);
    CLOCK(2);
    out8(b, 0x42, 4); /* takes over when the high half ends, 3 ticks on: low for 2 */
    out8(b, 0x42, 0);
    CLOCK(3);
    assert_false(out2(b));
    CLOCK(1);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
}

static void mode4_and_5(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb8, 3);
    CLOCK(3);
    assert_true(out2(b));
    CLOCK(1);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
    out8(b, 0x61, 0);
    program(b, 0xba, 3);
    CLOCK(100);
    assert_true(out2(b));
    out8(b, 0x61, 1);
    CLOCK(4);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
}

static void count_access(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    out8(b, 0x43, 0x90); /* low byte only */
    out8(b, 0x42, 0x80);
    CLOCK(1);
    assert_int_equal(in8(b, 0x42), 0x80);
    assert_int_equal(in8(b, 0x42), 0x80);
    out8(b, 0x43, 0xa0); /* high byte only */
    out8(b, 0x42, 0x12);
    CLOCK(2);
    assert_int_equal(in8(b, 0x42), 0x11);
    program(b, 0xb0, 0); /* 65536 */
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 0);
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 0xffff);
    CLOCK(65534);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
    assert_int_equal(in8(b, 0x43), 0xff);
}

static void latches(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb0, 0x1234);
    CLOCK(1);
    out8(b, 0x43, 0x80);
    CLOCK(16);
    out8(b, 0x43, 0x80); /* the first latch holds */
    assert_int_equal(in16(b, 0x42), 0x1234);
    assert_int_equal(in16(b, 0x42), 0x1224);
    out8(b, 0x43, 0xc8); /* count and status: status first */
    CLOCK(4);
    assert_int_equal(in8(b, 0x42), 0x30);
    assert_int_equal(in16(b, 0x42), 0x1224);
    out8(b, 0x43, 0xde); /* counts of all three */
    CLOCK(100);
    assert_int_equal(in16(b, 0x42), 0x1220);
    assert_int_equal(b->p.pit.channel[0].latch_left, 2);
    assert_int_equal(b->p.pit.channel[1].latch_left, 1);
}

static void bcd(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    program(b, 0xb1, 0x1000);
    CLOCK(2);
    assert_int_equal(in16(b, 0x42), 0x0999);
    program(b, 0xb1, 0); /* 10000 */
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 0);
    CLOCK(1);
    assert_int_equal(in16(b, 0x42), 0x9999);
    CLOCK(9998);
    assert_false(out2(b));
    CLOCK(1);
    assert_true(out2(b));
    program(b, 0xb1, 0xffff); /* no digits: whatever, but in range */
    CLOCK(5);
    assert_true((in16(b, 0x42) & 15) < 10);
}

static void illegal_counts(void **state)
{
    struct bench *b = gate_on();

    (void)state;
    for (unsigned mode = 0; mode < 8; mode++) {
        for (unsigned count = 0; count < 4; count++) {
            program(b, (uint8_t)(0xb0 | mode << 1), (uint16_t)count);
            program(b, (uint8_t)(0x30 | mode << 1), (uint16_t)count);
            for (unsigned i = 0; i < 8; i++) {
                CLOCK(1);
                in16(b, 0x42);
                in16(b, 0x40);
                out2(b);
            }
        }
    }
}

static void port61(void **state)
{
    struct bench *b = bench_new();
    unsigned changes = 0, last = in8(b, 0x61) & 0x10;

    (void)state;
    out8(b, 0x61, 0xff);
    assert_int_equal(in8(b, 0x61) & 0xcf, 0x0f);
    out8(b, 0x61, 0x02);
    assert_int_equal(in8(b, 0x61) & 0x0f, 0x02);
    for (unsigned i = 0; i < 180; i++) {
        CLOCK(1);
        changes += (in8(b, 0x61) & 0x10u) != last;
        last = in8(b, 0x61) & 0x10;
    }
    assert_int_equal(changes, 10);
    assert_int_equal(in8(b, 0x61) & 0xc1, 0);
}

static void ticks_are_exact(void **state)
{
    struct bench *b = bench_new();
    uint64_t first, now;

    (void)state;
    bench_irqs(b);
    program(b, 0x34, 11932); /* 100 Hz */
    first = b->tsc + PIT_TICK;
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_int_equal(b->p.deadline, first + i * 11932 * PIT_TICK);
        b->tsc = b->p.deadline - 1;
        platform_timer(&b->p);
        assert_false(b->p.intr);
        b->tsc++;
        platform_timer(&b->p);
        assert_int_equal(platform_intack(&b->p), 8);
        out8(b, 0x20, 0x20);
        assert_false(b->p.intr);
    }
    bench_wait(b, 365 * 86400 * SECOND); /* a year late: one tick, and the phase is kept */
    now = b->tsc;
    platform_timer(&b->p);
    assert_int_equal(platform_intack(&b->p), 8);
    out8(b, 0x20, 0x20);
    assert_false(b->p.intr);
    assert_true(b->p.deadline > now && b->p.deadline - now <= 11932 * PIT_TICK);
    assert_int_equal((b->p.deadline - first) % (11932 * PIT_TICK), 0);
}

static void conversion_is_exact(void **state)
{
    static const uint64_t khz[] = { 1000, 2399987, 3600000, 1193181 };
    struct bench *b = bench_new();

    (void)state;
    for (unsigned f = 0; f < 4; f++) {
        uint64_t tick = 1;

        b->p.hz = khz[f] * 1000;
        for (unsigned i = 0; i < 50; i++, tick = tick * 2 + i) {
            uint64_t at = clock_deadline(&b->p, tick, PIT_HZ);

            if (at == ABI_TIMER_NEVER)
                continue;
            assert_true(clock_ticks(&b->p, at - START_TSC, PIT_HZ) >= tick);
            assert_true(clock_ticks(&b->p, at - START_TSC - 1, PIT_HZ) < tick);
        }
    }
    assert_int_equal(clock_deadline(&b->p, UINT64_MAX, PIT_HZ), ABI_TIMER_NEVER);
    assert_int_equal(clock_scale(1, 1, 0, 0), UINT64_MAX);
}

static void masked_is_idle(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    program(b, 0x34, 1000);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    CLOCK(500);
    assert_int_equal(in8(b, 0x20), 0);
    CLOCK(5000);
    assert_int_equal(in8(b, 0x20), 1); /* the request is there as soon as somebody looks */
    out8(b, 0x21, 0);
    assert_true(b->p.intr);
    CLOCK(5000); /* four more periods while it is not taken */
    assert_int_equal(platform_intack(&b->p), 8);
    out8(b, 0x20, 0x20);
    assert_false(b->p.intr);
    assert_true(b->p.deadline - b->tsc <= 1000 * PIT_TICK);
}

static void one_shot_tick(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    program(b, 0x30, 500);
    assert_int_equal(bench_run(b, 501 * PIT_TICK), 1);
    assert_int_equal(platform_intack(&b->p), 8);
    out8(b, 0x20, 0x20);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    out8(b, 0x40, 100); /* count again, without a control word */
    out8(b, 0x40, 0);
    assert_int_equal(b->p.deadline, b->tsc + 101 * PIT_TICK);
    bench_run(b, SECOND);
    assert_int_equal(platform_intack(&b->p), 8);
}

static void storm_is_bounded(void **state)
{
    struct bench *b = bench_new();
    unsigned calls = 0, taken = 0;

    (void)state;
    bench_irqs(b);
    program(b, 0x34, 1);
    for (uint64_t end = b->tsc + SECOND / 100; b->tsc < end; calls++) {
        b->tsc = b->p.deadline;
        platform_timer(&b->p);
        if (platform_intack(&b->p) == 8)
            taken++;
        out8(b, 0x20, 0x20);
    }
    assert_true(calls <= 500 && taken >= 450);
}

static void as_firmware_leaves_it(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    out8(b, 0x43, 0xee); /* status of all */
    assert_int_equal(in8(b, 0x40), 0xb6);
    assert_int_equal(in8(b, 0x41), 0x94);
    assert_int_equal(in8(b, 0x42), 0xb6);
    CLOCK(5);
    assert_int_equal(in16(b, 0x40), 65536 - 10);
    assert_int_equal(in8(b, 0x41), 13);
    bench_irqs(b);
    assert_int_equal(b->p.deadline, START_TSC + 65536ull * PIT_TICK);
    out8(b, 0x43, 0xc2); /* count and status of channel 0 alone */
    assert_int_equal(b->p.pit.channel[0].latch_left, 2);
    assert_int_equal(b->p.pit.channel[1].latch_left + b->p.pit.channel[2].latch_left, 0);
}

static void live_count_moves_on(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    program(b, 0x34, 100);
    CLOCK(51);
    out8(b, 0x40, 10);
    out8(b, 0x40, 0);
    CLOCK(50);
    assert_int_equal(in16(b, 0x40), 10); /* exactly at the reload */
    CLOCK(3);
    assert_int_equal(in16(b, 0x40), 7);
    program(b, 0x34, 2);
    CLOCK(1);
    assert_int_equal(in16(b, 0x40), 2);
    CLOCK(1);
    assert_int_equal(in16(b, 0x40), 1);
    out8(b, 0x61, 1);
    program(b, 0xb4, 10); /* a count before the gate was ever off: held starts from 0 */
    CLOCK(4);
    out8(b, 0x61, 0);
    assert_int_equal(in16(b, 0x42), 7);
    program(b, 0xb0, 10);
    CLOCK(4);
    assert_int_equal(in16(b, 0x42), 10);
    out8(b, 0x61, 1);
    CLOCK(4);
    assert_int_equal(in16(b, 0x42), 6);
}

static void reload_while_running(void **state)
{
    struct bench *b = bench_new();
    uint64_t start;

    (void)state;
    bench_irqs(b);
    program(b, 0x36, 1000);
    start = b->tsc + PIT_TICK;
    CLOCK(101);
    out8(b, 0x40, 200); /* at the end of the high half, tick 500: low until 600 */
    out8(b, 0x40, 0);
    bench_wait(b, start + 599 * PIT_TICK - b->tsc);
    platform_timer(&b->p);
    assert_false(b->p.intr);
    CLOCK(1);
    platform_timer(&b->p);
    assert_int_equal(platform_intack(&b->p), 8);
    assert_int_equal(b->p.deadline, start + 800 * PIT_TICK);
}

int run_pit_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode0), cmocka_unit_test(mode1), cmocka_unit_test(mode2), cmocka_unit_test(mode3),
        cmocka_unit_test(mode4_and_5), cmocka_unit_test(count_access), cmocka_unit_test(latches), cmocka_unit_test(bcd),
        cmocka_unit_test(illegal_counts), cmocka_unit_test(port61), cmocka_unit_test(ticks_are_exact),
        cmocka_unit_test(conversion_is_exact), cmocka_unit_test(masked_is_idle), cmocka_unit_test(one_shot_tick),
        cmocka_unit_test(storm_is_bounded), cmocka_unit_test(reload_while_running), cmocka_unit_test(as_firmware_leaves_it),
        cmocka_unit_test(live_count_moves_on),
    };

    return cmocka_run_group_tests_name("8254", tests, NULL, NULL);
}
