/* The guest's devices as one: construction, time, and the connections to the console and the CPU. */
#include "devices/platform.h"
#include "devices/clock.h"

#define COM1_IRQ    4u
#define LEAST_KHZ   1000u
#define MOST_KHZ    1000000000u

uint64_t clock_now(struct platform *p)
{
    uint64_t now = p->clock(p) - p->start;

    if ((int64_t)(now - p->last) < 0)
        return p->last;
    p->last = now;
    return now;
}

uint64_t clock_ticks(const struct platform *p, uint64_t now, uint64_t hz)
{
    return clock_scale(now, hz, p->hz, 0);
}

uint64_t clock_deadline(const struct platform *p, uint64_t tick, uint64_t hz)
{
    uint64_t now = clock_scale(tick, p->hz, hz, hz - 1);

    return now >= ABI_TIMER_NEVER - p->start ? ABI_TIMER_NEVER : p->start + now;
}

static uint64_t khz_in_range(uint64_t khz)
{
    if (khz < LEAST_KHZ)
        return LEAST_KHZ;
    return khz > MOST_KHZ ? MOST_KHZ : khz;
}

void platform_init(struct platform *p, const struct platform_config *config, uint64_t now)
{
    uint64_t (*clock)(struct platform *) = p->clock;

    __builtin_memset(p, 0, sizeof(*p));
    p->clock = clock;
    p->start = now;
    p->hz = khz_in_range(config->tsc_khz) * 1000;
    p->room = PLATFORM_OUT;
    p->life = ABI_LIFE_RUN;
    p->pit.deadline = p->rtc.deadline = p->acpipm.deadline = ABI_TIMER_NEVER;
    bus_init(&p->bus);
    pic_init(p);
    pit_init(p, 0);
    rtc_init(p, config, 0);
    acpipm_init(p, 0);
    i8042_init(p);
    uart_init(p, &p->com1, COM1_IRQ, true);
}

void platform_timer(struct platform *p)
{
    uint64_t now = clock_now(p);

    pit_sync(p, now);
    rtc_sync(p, now);
    acpipm_sync(p, now);
}

/* Ticks that passed while one was requested already are part of it: they are used up before it is acknowledged. */
uint32_t platform_intack(struct platform *p)
{
    uint32_t vector;

    pit_catch_up(p);
    if (!p->intr)
        return ABI_VECTOR_NONE;
    vector = pic_acknowledge(p);
    pit_follow(p);
    return vector;
}

void platform_input(struct platform *p, const uint8_t *bytes, unsigned n)
{
    uart_input(p, &p->com1, bytes, n);
}

unsigned platform_input_room(const struct platform *p)
{
    return uart_room(&p->com1);
}

bool platform_input_empty(const struct platform *p)
{
    return !p->com1.rx_count;
}

void platform_output_room(struct platform *p, unsigned bytes)
{
    p->room = bytes < PLATFORM_OUT ? bytes : PLATFORM_OUT;
    uart_drain(p, &p->com1);
}
