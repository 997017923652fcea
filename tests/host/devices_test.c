/* Tests of the device models against their data sheets; this file has the harness and main().
 *
 *   gcc -std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -I. \
 *       tests/host/devices_*.c devices/[a-z]*.c -lcmocka -o OUT/devices_test && timeout 120 OUT/devices_test
 */
#include "tests/host/devices_test.h"

static struct bench bench;

static uint64_t fake_clock(struct platform *p)
{
    return ((struct bench *)p)->tsc;
}

struct bench *bench_new(void)
{
    static const struct platform_config config = {
        .tsc_khz = TEST_KHZ, .wall = START_WALL, .ram_low = 0x30000000, .ram_high = 0x140000000,
    };

    memset(&bench, 0xa5, sizeof(bench));
    bench.tsc = START_TSC;
    bench.p.clock = fake_clock;
    platform_init(&bench.p, &config, START_TSC);
    return &bench;
}

void bench_irqs(struct bench *b)
{
    static const uint8_t words[2][4] = { { 0x11, 0x08, 0x04, 0x01 }, { 0x11, 0x70, 0x02, 0x01 } };

    for (unsigned chip = 0; chip < 2; chip++)
        for (unsigned i = 0; i < 4; i++)
            out8(b, (uint16_t)((chip ? 0xa0 : 0x20) + (i != 0)), words[chip][i]);
}

void bench_wait(struct bench *b, uint64_t cycles)
{
    b->tsc += cycles;
}

unsigned bench_run(struct bench *b, uint64_t cycles)
{
    uint64_t end = b->tsc + cycles;
    unsigned calls = 0;

    while (b->p.deadline <= end) {
        if (b->p.deadline > b->tsc)
            b->tsc = b->p.deadline;
        platform_timer(&b->p);
        assert_true(b->p.deadline > b->tsc); /* no deadline may be left in the past */
        calls++;
    }
    b->tsc = end;
    return calls;
}

uint8_t in8(struct bench *b, uint16_t port)
{
    return (uint8_t)platform_port_read(&b->p, port, 1);
}

void out8(struct bench *b, uint16_t port, uint8_t value)
{
    platform_port_write(&b->p, port, 1, value);
}

uint8_t cmos_get(struct bench *b, uint8_t index)
{
    out8(b, 0x70, index);
    return in8(b, 0x71);
}

void cmos_set(struct bench *b, uint8_t index, uint8_t value)
{
    out8(b, 0x70, index);
    out8(b, 0x71, value);
}

void eoi(struct bench *b)
{
    out8(b, 0xa0, 0x20);
    out8(b, 0x20, 0x20);
}

int main(void)
{
    return run_pic_tests() + run_pit_tests() + run_rtc_tests() + run_uart_tests() + run_misc_tests() + run_storm_tests();
}
