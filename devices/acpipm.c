/* ACPI fixed hardware: the PM timer and its overflow event, power off by SLP_EN. */
#include "devices/acpipm.h"
#include "devices/clock.h"
#include "devices/platform.h"

#define BLOCK_BYTES    12u

/* Byte offsets in the block */
enum acpipm_byte { STATUS_LOW, STATUS_HIGH, ENABLE_LOW, ENABLE_HIGH, CONTROL_LOW, CONTROL_HIGH, TIMER = 8 };

#define STATUS_TIMER   0x0001u /* TMR_STS: the timer's highest bit changed */
#define ENABLE_MASK    0x0721u /* TMR_EN, GBL_EN, PWRBTN_EN, SLPBTN_EN, RTC_EN: all but the first never happen */
#define CONTROL_SCI_EN 0x0001u /* always in ACPI mode: the FADT has no SMI command */
#define CONTROL_BM_RLD 0x0002u
#define CONTROL_TYPE_SHIFT 10u
#define CONTROL_TYPE   0x1c00u
#define CONTROL_SLP_EN 0x2000u
#define TOP_BIT        31u

static uint64_t tick_at(const struct platform *p, uint64_t now)
{
    return clock_ticks(p, now, ACPIPM_TIMER_HZ);
}

static void update(struct platform *p)
{
    struct acpipm *a = &p->acpipm;
    bool wait = a->enable & STATUS_TIMER && !(a->status & STATUS_TIMER);

    pic_line(p, ACPIPM_SCI, a->status & a->enable);
    a->deadline = wait ? clock_deadline(p, ((a->seen >> TOP_BIT) + 1) << TOP_BIT, ACPIPM_TIMER_HZ) : ABI_TIMER_NEVER;
    platform_schedule(p);
}

void acpipm_sync(struct platform *p, uint64_t now)
{
    struct acpipm *a = &p->acpipm;
    uint64_t tick = tick_at(p, now);

    if (tick >> TOP_BIT != a->seen >> TOP_BIT)
        a->status |= STATUS_TIMER;
    a->seen = tick;
    update(p);
}

/* All bytes come from one moment, whatever the size of the access. */
uint32_t acpipm_read(struct platform *p, uint16_t port, unsigned size)
{
    struct acpipm *a = &p->acpipm;
    uint64_t now = clock_now(p), fixed, timer;
    uint32_t value = 0;

    if (port < ACPIPM_TIMER_PORT)
        acpipm_sync(p, now);
    fixed = a->status | (uint64_t)a->enable << 16 | (uint64_t)(a->control | CONTROL_SCI_EN) << 32;
    timer = tick_at(p, now);
    for (unsigned i = 0; i < size && i < 4; i++) {
        unsigned at = (port - ACPIPM_EVENT_PORT + i) % 16;
        uint64_t byte = at < TIMER ? fixed >> 8 * at : at < BLOCK_BYTES ? timer >> 8 * (at - TIMER) : 0;

        value |= (uint32_t)(byte & 0xff) << 8 * i;
    }
    return value;
}

static void control_write(struct platform *p, uint16_t value)
{
    p->acpipm.control = value & (CONTROL_BM_RLD | CONTROL_TYPE);
    if (value & CONTROL_SLP_EN && (value & CONTROL_TYPE) >> CONTROL_TYPE_SHIFT == ACPIPM_SLP_TYP_S5)
        p->life = ABI_LIFE_POWEROFF;
}

static void byte_write(struct platform *p, unsigned at, uint8_t value)
{
    struct acpipm *a = &p->acpipm;

    switch (at) {
    case STATUS_LOW: /* a 1 clears */
        a->status &= (uint16_t)~value;
        break;
    case STATUS_HIGH:
        a->status &= (uint16_t)~(value << 8);
        break;
    case ENABLE_LOW:
        a->enable = ((a->enable & 0xff00u) | value) & ENABLE_MASK;
        break;
    case ENABLE_HIGH:
        a->enable = ((a->enable & 0x00ffu) | value << 8) & ENABLE_MASK;
        break;
    case CONTROL_LOW:
        control_write(p, (uint16_t)((a->control & 0xff00u) | value));
        break;
    case CONTROL_HIGH:
        control_write(p, (uint16_t)((a->control & 0x00ffu) | value << 8));
        break;
    default: /* the timer is read-only */
        break;
    }
}

void acpipm_write(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
    acpipm_sync(p, clock_now(p));
    for (unsigned i = 0; i < size && i < 4; i++)
        byte_write(p, (port - ACPIPM_EVENT_PORT + i) % 16, (uint8_t)(value >> 8 * i));
    update(p);
}

void acpipm_init(struct platform *p, uint64_t now)
{
    p->acpipm.seen = tick_at(p, now);
    update(p);
}
