/* The 8254 interval timer: three channels whose state is computed from the time, never stepped; and port 61h. */
#include "devices/pit.h"
#include "devices/clock.h"
#include "devices/platform.h"

#define NO_EDGE        UINT64_MAX
#define REFRESH_TICKS  18u /* memory refresh, about 15 us: what port 61h bit 4 toggles with */
#define FLOOR_TICKS    24u /* no wake-up more often than each 20 us, however short the period: edges in between are merged */

enum pit_access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };
enum pit_mode { ON_TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, STROBE, TRIGGERED_STROBE };

#define REG_CONTROL      3u
#define CONTROL_BCD      0x01u
#define CONTROL_KEEP     0x3fu
#define SELECT_READBACK  3u
#define READBACK_NO_COUNT  0x20u
#define READBACK_NO_STATUS 0x10u
#define STATUS_OUT       0x80u
#define STATUS_NULL      0x40u

#define PORT61_GATE2     0x01u
#define PORT61_WRITABLE  0x0fu /* gate 2, speaker data, and the two NMI check disables */
#define PORT61_REFRESH   0x10u
#define PORT61_OUT2      0x20u

static bool periodic(const struct pit_channel *c)
{
    return c->mode == RATE || c->mode == SQUARE;
}

static bool triggered(const struct pit_channel *c)
{
    return c->mode == ONE_SHOT || c->mode == TRIGGERED_STROBE;
}

static uint32_t modulus(const struct pit_channel *c)
{
    return c->control & CONTROL_BCD ? 10000u : 65536u;
}

/* Never 0. A count of 1 is illegal in modes 2 and 3 (231164): it is taken as 2, so that both levels of OUT exist. */
static uint32_t period(const struct pit_channel *c)
{
    uint32_t least = periodic(c) ? 2 : 1;

    return c->count < least ? least : c->count;
}

static bool before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0; /* modular: `start` can lie before tick 0 */
}

/* Ticks counted since the count was loaded. In modes 1 and 5 the gate triggers and does not stop. */
static uint64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
    if (!c->gate && !triggered(c))
        return c->held;
    return before(tick, c->start) ? 0 : tick - c->start;
}

/* The counting element, before BCD conversion. */
static uint32_t counter_value(const struct pit_channel *c, uint64_t tick)
{
    uint32_t n = period(c), m = modulus(c), half, r;
    uint64_t d = c->running ? elapsed(c, tick) : 0;

    if (c->mode == RATE)
        return (n - (uint32_t)(d % n)) % m;
    if (c->mode != SQUARE)
        return (n % m + m - (uint32_t)(d % m)) % m;
    half = (n + 1) / 2; /* by twos, once for each half; an odd count starts one lower */
    r = (uint32_t)(d % n);
    return ((n & ~1u) - 2 * (r >= half ? r - half : r)) % m;
}

static bool output(const struct pit_channel *c, uint64_t tick)
{
    uint32_t n = period(c);
    uint64_t d = elapsed(c, tick);

    if (!c->running)
        return c->mode != ON_TERMINAL_COUNT;
    switch ((enum pit_mode)c->mode) {
    case ON_TERMINAL_COUNT:
    case ONE_SHOT:
        return d >= n;
    case RATE:
        return !c->gate || d % n != n - 1;
    case SQUARE:
        return !c->gate || d % n < (n + 1) / 2;
    case STROBE:
    case TRIGGERED_STROBE:
    default:
        return d != n;
    }
}

/* The first rising edge of OUT after `tick`. */
static uint64_t next_edge(const struct pit_channel *c, uint64_t tick)
{
    uint32_t n = period(c);
    uint64_t edge;

    if (!c->running || (!c->gate && !triggered(c)))
        return NO_EDGE;
    if (periodic(c))
        return c->start + (before(tick, c->start) ? n : ((tick - c->start) / n + 1) * n);
    edge = c->start + n + (c->mode == STROBE || c->mode == TRIGGERED_STROBE); /* the strobe is low for one tick */
    return before(tick, edge) ? edge : NO_EDGE;
}

static void count_load(struct pit_channel *c, uint64_t start)
{
    c->count = c->next;
    c->start = start;
    c->held = 0;
    c->running = true;
    c->armed = c->waiting = false;
}

/* Modes 2 and 3: a count that was written meanwhile takes over at the end of the cycle, or of the half cycle. */
static void channel_advance(struct pit_channel *c, uint64_t tick)
{
    if (!c->waiting || before(tick, c->reload_at))
        return;
    count_load(c, c->reload_at);
    if (c->reload_low)
        c->start -= (period(c) + 1) / 2;
}

static void reload_plan(struct pit_channel *c, uint64_t tick)
{
    uint32_t n = period(c), half = (n + 1) / 2;
    uint64_t d = elapsed(c, tick), cycle = d - d % n;

    c->reload_low = c->mode == SQUARE && d % n < half;
    c->reload_at = c->start + cycle + (c->reload_low ? half : n);
    c->waiting = true;
}

static uint32_t count_decode(const struct pit_channel *c, uint32_t v)
{
    uint32_t m = modulus(c);

    if (c->control & CONTROL_BCD)
        v = ((v >> 12 & 15) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15)) % m;
    return v ? v : m;
}

static uint16_t count_encode(const struct pit_channel *c, uint32_t v)
{
    if (c->control & CONTROL_BCD)
        v = (v / 1000 % 10) << 12 | (v / 100 % 10) << 8 | (v / 10 % 10) << 4 | v % 10;
    return (uint16_t)v;
}

/* A whole count has been written: it is loaded with the next clock, by a trigger, or at the end of the cycle. */
static void count_write(struct pit_channel *c, uint64_t tick, uint32_t value)
{
    c->next = count_decode(c, value);
    c->written = true;
    if (triggered(c) || (periodic(c) && !c->gate))
        c->armed = true;
    else if (periodic(c) && c->running && !before(tick, c->start))
        reload_plan(c, tick);
    else
        count_load(c, tick + 1);
}

static uint64_t tick_at(const struct platform *p, uint64_t now)
{
    return clock_ticks(p, now, PIT_HZ);
}

static void schedule(struct platform *p, uint64_t tick)
{
    struct pit *t = &p->pit;
    const struct pit_channel *c = &t->channel[0];
    uint64_t at = t->edge;

    if (c->waiting && c->reload_at < at)
        at = c->reload_at;
    else if (periodic(c) && period(c) < FLOOR_TICKS && at != NO_EDGE)
        at = next_edge(c, tick + FLOOR_TICKS);
    t->lazy = !pic_wants_tick(p);
    t->deadline = t->lazy || at == NO_EDGE ? ABI_TIMER_NEVER : clock_deadline(p, at, PIT_HZ);
    platform_schedule(p);
}

/* OUT 0 as the PIC sees it stays high between two edges of a periodic mode, so that a tick that the guest is late to take is not
 * withdrawn by the low half of the wave. */
void pit_sync(struct platform *p, uint64_t now)
{
    struct pit *t = &p->pit;
    struct pit_channel *c = &t->channel[0];
    uint64_t tick = tick_at(p, now);
    bool edge = false;

    if (c->waiting && tick >= c->reload_at) {
        edge = t->edge <= c->reload_at;
        channel_advance(c, tick);
        t->edge = next_edge(c, c->reload_at);
    }
    if (tick >= t->edge) {
        edge = true;
        t->edge = next_edge(c, tick);
    }
    if (edge) {
        pic_line(p, 0, false);
        pic_line(p, 0, true);
    }
    schedule(p, tick);
}

void pit_catch_up(struct platform *p)
{
    if (p->pit.lazy)
        pit_sync(p, clock_now(p));
}

void pit_follow(struct platform *p)
{
    if (p->pit.lazy == pic_wants_tick(p))
        pit_sync(p, clock_now(p));
}

static uint8_t status_byte(const struct pit_channel *c, uint64_t tick)
{
    bool null = !c->running || c->waiting || c->armed || before(tick, c->start);

    return (uint8_t)((output(c, tick) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) | c->control);
}

static void count_latch(struct pit_channel *c, uint64_t tick)
{
    if (c->latch_left) /* an earlier latch holds until it has been read */
        return;
    c->latch = count_encode(c, counter_value(c, tick));
    c->latch_left = c->control >> 4 == ACCESS_BOTH ? 2 : 1;
}

static void readback(struct pit *t, uint64_t tick, uint8_t value)
{
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        struct pit_channel *c = &t->channel[i];

        if (!(value & 2u << i))
            continue;
        channel_advance(c, tick);
        if (!(value & READBACK_NO_COUNT))
            count_latch(c, tick);
        if (!(value & READBACK_NO_STATUS) && !c->status_latched) {
            c->status = status_byte(c, tick);
            c->status_latched = true;
        }
    }
}

static void control_write(struct pit *t, uint64_t tick, uint8_t value)
{
    unsigned select = value >> 6, mode = value >> 1 & 7;
    struct pit_channel *c;

    if (select == SELECT_READBACK) {
        readback(t, tick, value);
        return;
    }
    c = &t->channel[select];
    channel_advance(c, tick);
    if ((value >> 4 & 3) == ACCESS_LATCH) {
        count_latch(c, tick);
        return;
    }
    c->control = value & CONTROL_KEEP;
    c->mode = (uint8_t)(mode > TRIGGERED_STROBE ? mode - 4 : mode); /* 6 and 7 are modes 2 and 3 */
    c->latch_left = 0;
    c->write_high = c->read_high = c->status_latched = false;
    c->written = c->running = c->armed = c->waiting = false;
}

static void channel_write(struct pit_channel *c, uint64_t tick, uint8_t value)
{
    channel_advance(c, tick);
    switch ((enum pit_access)(c->control >> 4)) {
    case ACCESS_HIGH:
        count_write(c, tick, (uint32_t)value << 8);
        break;
    case ACCESS_BOTH:
        c->write_high = !c->write_high;
        if (!c->write_high) {
            count_write(c, tick, (uint32_t)value << 8 | c->low);
            break;
        }
        c->low = value;
        if (c->mode == ON_TERMINAL_COUNT) /* the first byte stops the count and takes OUT low */
            c->running = false;
        break;
    case ACCESS_LATCH:
    case ACCESS_LOW:
    default:
        count_write(c, tick, value);
        break;
    }
}

void pit_write(struct platform *p, unsigned reg, uint8_t value)
{
    struct pit *t = &p->pit;
    struct pit_channel *zero = &t->channel[0];
    uint64_t now = clock_now(p), tick = tick_at(p, now);

    pit_sync(p, now);
    reg &= 3;
    if (reg == REG_CONTROL)
        control_write(t, tick, value);
    else
        channel_write(&t->channel[reg], tick, value);
    if (zero->mode != ON_TERMINAL_COUNT)
        pic_line(p, 0, true);
    else
        pic_line(p, 0, output(zero, tick));
    t->edge = next_edge(zero, tick);
    schedule(p, tick);
}

uint8_t pit_read(struct platform *p, unsigned reg)
{
    struct pit_channel *c = &p->pit.channel[reg % PIT_CHANNELS];
    uint64_t now, tick;
    uint16_t value;
    bool high;

    if ((reg & 3) == REG_CONTROL) /* the control word cannot be read back */
        return 0xff;
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latch_left) {
        c->latch_left--;
        value = c->latch;
    } else {
        now = clock_now(p);
        if (c == &p->pit.channel[0])
            pit_sync(p, now);
        tick = tick_at(p, now);
        channel_advance(c, tick);
        value = count_encode(c, counter_value(c, tick));
    }
    high = c->control >> 4 == ACCESS_HIGH || (c->control >> 4 == ACCESS_BOTH && c->read_high);
    c->read_high = c->control >> 4 == ACCESS_BOTH && !c->read_high;
    return (uint8_t)(high ? value >> 8 : value);
}

static void gate_set(struct pit_channel *c, uint64_t tick, bool gate)
{
    channel_advance(c, tick);
    if (gate == c->gate)
        return;
    if (!gate) {
        c->held = c->running ? elapsed(c, tick) : 0;
        c->armed |= c->waiting; /* no end of the cycle will come: the trigger loads it */
        c->waiting = false;
        c->gate = false;
        return;
    }
    c->gate = true;
    if ((triggered(c) || periodic(c)) && c->written)
        count_load(c, tick + 1);
    else
        c->start = tick - c->held;
}

uint8_t port61_read(struct platform *p)
{
    struct pit *t = &p->pit;
    uint64_t tick = tick_at(p, clock_now(p));

    channel_advance(&t->channel[2], tick);
    return (uint8_t)(t->port61 | (tick / REFRESH_TICKS % 2 ? PORT61_REFRESH : 0) |
                     (output(&t->channel[2], tick) ? PORT61_OUT2 : 0));
}

void port61_write(struct platform *p, uint8_t value)
{
    p->pit.port61 = value & PORT61_WRITABLE;
    gate_set(&p->pit.channel[2], tick_at(p, clock_now(p)), value & PORT61_GATE2);
}

/* As a PC's firmware leaves it: channel 0 at 18.2 Hz, channel 1 for refresh, channel 2 off with its gate low. */
void pit_init(struct platform *p, uint64_t now)
{
    static const uint8_t control[PIT_CHANNELS] = { 0x36, 0x14, 0x36 };
    static const uint32_t count[PIT_CHANNELS] = { 65536, REFRESH_TICKS, 65536 };
    uint64_t tick = tick_at(p, now);

    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        struct pit_channel *c = &p->pit.channel[i];

        c->control = control[i];
        c->mode = control[i] >> 1 & 7;
        c->gate = i != 2;
        c->next = count[i];
        c->written = true;
        count_load(c, tick);
    }
    p->pit.edge = next_edge(&p->pit.channel[0], tick);
    pic_line(p, 0, true);
    schedule(p, tick);
}
