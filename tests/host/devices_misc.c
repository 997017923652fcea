/* Port map and widths, i8042, reset ports, ACPI PM, debug ports. */
#include "tests/host/devices_test.h"

static void map_is_complete(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    for (unsigned port = 0; port < 0x10000; port++) {
        unsigned expected = BUS_NONE, row = b->p.bus.row[b->p.bus.leaf[port >> 8]][port & 0xff];

        for (unsigned i = 1; i < BUS_ROWS; i++)
            if (port >= bus_rows[i].first && port <= bus_rows[i].last)
                expected = i;
        if (row != expected)
            fail_msg("port %x", port);
        if (expected == BUS_NONE && (platform_port_read(&b->p, (uint16_t)port, 1) != 0xff))
            fail_msg("port %x", port);
    }
    for (unsigned i = 1; i < BUS_ROWS; i++)
        assert_true(bus_rows[i].name && bus_rows[i].first <= bus_rows[i].last);
    assert_int_equal(b->p.life, ABI_LIFE_RUN);
}

static void widths(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    assert_int_equal(platform_port_read(&b->p, 0x1234, 4), 0xffffffff);
    assert_int_equal(platform_port_read(&b->p, 0x1234, 2), 0xffff);
    assert_int_equal(platform_port_read(&b->p, 0xffff, 4), 0xffffffff);
    platform_port_write(&b->p, 0xffff, 4, 0);
    platform_port_write(&b->p, 0x3ff, 1, 0x5a);
    assert_int_equal(platform_port_read(&b->p, 0x3fe, 4), 0xffff5ab0); /* MSR, SCR, nobody */
    platform_port_write(&b->p, 0x7f, 4, 0x44332211);                   /* reaches 80h in the middle */
    assert_int_equal(in8(b, 0x80), 0x22);
    assert_int_equal(platform_port_read(&b->p, 0x7f, 2), 0x22ff);
    assert_int_equal(b->p.bus.accesses[BUS_POST], 3);
    platform_port_write(&b->p, 0x20, 4, 0x5500); /* the second byte is the mask */
    assert_int_equal(in8(b, 0x21), 0x55);
    platform_port_write(&b->p, 0xa0, 2, 0x6600);
    assert_int_equal(in8(b, 0xa1), 0x66);
    platform_port_write(&b->p, 0x4d0, 2, 0x0a20);
    assert_int_equal(platform_port_read(&b->p, 0x4d0, 2), 0x0a20);
    platform_port_write(&b->p, 0x3f8, 4, 0x03000041); /* data, interrupts, FIFO, line */
    assert_int_equal(b->p.out[0], 'A');
    assert_int_equal(in8(b, 0x3fb), 3);
    platform_port_read(&b->p, 0x80, 0);
    platform_port_read(&b->p, 0x80, 1000);
}

static void debug_ports(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    assert_int_equal(in8(b, 0xe9), 0xe9);
    for (unsigned i = 0; i < 300; i++)
        out8(b, 0xe9, (uint8_t)i);
    assert_int_equal(b->p.out_len, 256);
    assert_int_equal(b->p.out_lost, 44);
    assert_int_equal(b->p.out[255], 255);
    out8(b, 0x3f8, 'x'); /* the serial port does not lose it */
    assert_int_equal(in8(b, 0x3fd), 0);
    b->p.out_len = 0;
    platform_output_room(&b->p, 256);
    assert_int_equal(b->p.out_len, 1);
    assert_int_equal(b->p.out[0], 'x');
}

static uint8_t command(struct bench *b, uint8_t value)
{
    out8(b, 0x64, value);
    assert_int_equal(in8(b, 0x64) & 0x09, 0x09);
    return in8(b, 0x60);
}

static void keyboard_controller(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    assert_int_equal(in8(b, 0x64), 0x14);
    assert_int_equal(command(b, 0xaa), 0x55);
    assert_int_equal(in8(b, 0x64) & 0x01, 0);
    assert_int_equal(command(b, 0xab), 0);
    assert_int_equal(command(b, 0xa9), 0);
    assert_int_equal(command(b, 0x20), 0x64);
    out8(b, 0x64, 0x60);
    out8(b, 0x60, 0x47);
    assert_int_equal(command(b, 0x20), 0x47);
    platform_intack(&b->p);
    eoi(b);
    out8(b, 0x64, 0xad);
    assert_int_equal(command(b, 0x20), 0x57);
    out8(b, 0x64, 0x7f);
    out8(b, 0x60, 0x99);
    assert_int_equal(command(b, 0x3f), 0x99);
    out8(b, 0x64, 0xd3);
    out8(b, 0x60, 0x5a);
    assert_int_equal(in8(b, 0x64) & 0x21, 0x21);
    assert_int_equal(platform_intack(&b->p), 0x74);
    eoi(b);
    assert_int_equal(in8(b, 0x60), 0x5a);
    out8(b, 0x60, 0xf2); /* nobody there */
    assert_int_equal(in8(b, 0x64) & 0x41, 0x41);
    assert_int_equal(platform_intack(&b->p), 0x09);
    assert_int_equal(in8(b, 0x60), 0xfe);
    assert_false(b->p.pic[0].line & 2);
    assert_int_equal(command(b, 0xd0), 0xc3);
    assert_int_equal(b->p.life, ABI_LIFE_RUN);
}

static void keyboard_commands(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    out8(b, 0x64, 0xd3);
    out8(b, 0x60, 0x11);
    assert_false(b->p.intr); /* IRQ12 not enabled */
    assert_int_equal(in8(b, 0x60), 0x11);
    out8(b, 0x64, 0xd2);
    out8(b, 0x60, 0x22);
    assert_int_equal(in8(b, 0x64) & 0x21, 0x01);
    assert_int_equal(in8(b, 0x60), 0x22);
    out8(b, 0x64, 0xd4);
    out8(b, 0x60, 0xf4);
    assert_int_equal(in8(b, 0x64) & 0x61, 0x61); /* no mouse */
    assert_int_equal(in8(b, 0x60), 0xfe);
    assert_int_equal(command(b, 0xa4), 0xf1);
    assert_int_equal(command(b, 0xc0), 0x80);
    assert_int_equal(in8(b, 0x64), 0x1c);
    out8(b, 0x64, 0xad);
    out8(b, 0x64, 0xa8);
    assert_int_equal(command(b, 0x20), 0x54);
    out8(b, 0x64, 0xae);
    out8(b, 0x64, 0xa7);
    assert_int_equal(command(b, 0x20), 0x64);
    out8(b, 0x64, 0x60);
    out8(b, 0x60, 0x00);
    assert_int_equal(in8(b, 0x64) & 0x04, 0);
    command(b, 0xaa); /* the self test sets the system flag */
    assert_int_equal(in8(b, 0x64) & 0x04, 0x04);
    out8(b, 0x64, 0x61);
    out8(b, 0x60, 0x77);
    assert_int_equal(command(b, 0x21), 0x77);
    assert_int_equal(command(b, 0x20), 0x04);
    assert_int_equal(in8(b, 0x92), 0x02);
}

static void expect_life(uint16_t port, uint8_t first, uint16_t port2, uint8_t second, enum abi_life life)
{
    struct bench *b = bench_new();

    out8(b, port, first);
    assert_int_equal(b->p.life, ABI_LIFE_RUN);
    out8(b, port2, second);
    assert_int_equal(b->p.life, life);
}

static void resets(void **state)
{
    struct bench *b;

    (void)state;
    expect_life(0x80, 0, 0x64, 0xfe, ABI_LIFE_REBOOT);
    expect_life(0x80, 0, 0x64, 0xf0, ABI_LIFE_REBOOT);
    expect_life(0x80, 0, 0x64, 0xff, ABI_LIFE_RUN);
    expect_life(0x64, 0xd1, 0x60, 0xc2, ABI_LIFE_REBOOT);
    expect_life(0x64, 0xd1, 0x60, 0xdf, ABI_LIFE_RUN);
    expect_life(0x92, 0x02, 0x92, 0x03, ABI_LIFE_REBOOT);
    expect_life(0x92, 0x00, 0x92, 0x02, ABI_LIFE_RUN);
    expect_life(0xcf9, 0x02, 0xcf9, 0x06, ABI_LIFE_REBOOT);
    expect_life(0x80, 0, 0xcf9, 0x06, ABI_LIFE_REBOOT);
    expect_life(0xcf9, 0x02, 0xcf9, 0x0a, ABI_LIFE_RUN);
    b = bench_new();
    platform_port_write(&b->p, 0xcf8, 4, 0x80000600); /* a PCI address, not a reset */
    platform_port_write(&b->p, 0xcf8, 2, 0x0600);
    assert_int_equal(b->p.life, ABI_LIFE_RUN);
    assert_int_equal(platform_port_read(&b->p, 0xcf8, 4), 0xffffffff);
    assert_int_equal(in8(b, 0xcf9), 0);
}

static void panics(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    assert_int_equal(in8(b, 0x505), 1);
    expect_life(0x505, 0x02, 0x505, 0x01, ABI_LIFE_PANIC);
    expect_life(0x505, 0xfe, 0x504, 0x01, ABI_LIFE_RUN);
}

static void power_off(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    platform_port_write(&b->p, 0x604, 2, 0x2001 | 3 << 10);
    assert_int_equal(b->p.life, ABI_LIFE_RUN);
    assert_int_equal(platform_port_read(&b->p, 0x604, 2), 3 << 10 | 1); /* SLP_EN reads 0, SCI_EN 1 */
    platform_port_write(&b->p, 0x604, 2, 0x2000 | 5 << 10);
    assert_int_equal(b->p.life, ABI_LIFE_POWEROFF);
    b = bench_new();
    out8(b, 0x604, 0x02);
    out8(b, 0x605, 0x08);
    assert_int_equal(platform_port_read(&b->p, 0x604, 2), 0x0803);
    out8(b, 0x604, 0x00);
    assert_int_equal(platform_port_read(&b->p, 0x604, 2), 0x0801);
    platform_port_write(&b->p, 0x602, 2, 0xffff);
    assert_int_equal(platform_port_read(&b->p, 0x600, 4), 0x07210000);
    out8(b, 0x602, 0);
    assert_int_equal(platform_port_read(&b->p, 0x602, 2), 0x0700);
    out8(b, 0x603, 0);
    out8(b, 0x602, 1);
    assert_int_equal(platform_port_read(&b->p, 0x602, 2), 0x0001);
    expect_life(0x604, 0x01, 0x605, 0x34, ABI_LIFE_POWEROFF);
}

static void pm_timer(void **state)
{
    struct bench *b = bench_new();
    uint32_t before;

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    bench_wait(b, SECOND);
    assert_int_equal(platform_port_read(&b->p, 0x608, 4), 3579545);
    bench_wait(b, 1000 * SECOND);
    before = platform_port_read(&b->p, 0x608, 4);
    assert_int_equal(before, (uint32_t)(1001ull * 3579545));
    assert_int_equal(platform_port_read(&b->p, 0x60a, 2), before >> 16);
    platform_port_write(&b->p, 0x608, 4, 0);
    assert_int_equal(platform_port_read(&b->p, 0x608, 4), before);
    assert_int_equal(platform_port_read(&b->p, 0x600, 4), 0x00000001); /* bit 31 has changed */
    platform_port_write(&b->p, 0x602, 2, 0x0001);
    assert_int_equal(platform_intack(&b->p), 0x71);
    platform_port_write(&b->p, 0x600, 2, 0x0001);
    eoi(b);
    assert_false(b->p.intr);
    assert_true(b->p.deadline - START_TSC >= (1ull << 32) * 1193182000ull / 3579545);
    bench_run(b, 200 * SECOND);
    assert_int_equal(platform_intack(&b->p), 0x71);
    assert_int_equal(b->p.deadline, ABI_TIMER_NEVER);
    assert_int_equal(platform_port_read(&b->p, 0x606, 2), 0);
}

static void clock_never_runs_back(void **state)
{
    struct bench *b = bench_new();
    uint32_t before;

    (void)state;
    bench_wait(b, SECOND);
    before = platform_port_read(&b->p, 0x608, 4);
    b->tsc -= SECOND / 2;
    assert_int_equal(platform_port_read(&b->p, 0x608, 4), before);
    platform_timer(&b->p);
}

int run_misc_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_is_complete), cmocka_unit_test(widths), cmocka_unit_test(debug_ports),
        cmocka_unit_test(keyboard_controller), cmocka_unit_test(keyboard_commands), cmocka_unit_test(resets),
        cmocka_unit_test(panics), cmocka_unit_test(power_off),
        cmocka_unit_test(pm_timer), cmocka_unit_test(clock_never_runs_back),
    };

    return cmocka_run_group_tests_name("bus, i8042, ACPI", tests, NULL, NULL);
}
