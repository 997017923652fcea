/* TSC frequency against the 8254's channel 2, and the registers of the MC146818's clock, both read once at boot. */
#include "depriv/setup/setup.h"

#define PIT_HZ        1193182u
enum { PIT_CH2 = 0x42, PIT_CONTROL = 0x43, PORT_61 = 0x61, CMOS_INDEX = 0x70, CMOS_DATA = 0x71 }; /* ports */
enum { P61_GATE2 = 0x01, P61_SPEAKER = 0x02, P61_OUT2 = 0x20 };
enum { PIT_LATCH2 = 0x80, PIT_MODE0_2 = 0xb0 }; /* channel 2; both bytes, mode 0 */
#define MEASURE_TICKS (PIT_HZ / 33)
enum { MEASURE_POLLS = 100000, MEASURE_TRIES = 16, SAMPLE_TRIES = 8, CMOS_TRIES = 100000 };
enum { CMOS_A = 0x0a, CMOS_A_UPDATE = 0x80 };

static u8 in8(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static void out8(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return (u64)d << 32 | a; }

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

/* What tells time and date, until it is the same twice outside an update (MC146818 data sheet, "update cycle"). The domains' devices make sense of it. */
static void clock_read(struct setup *s)
{
    static const u8 from[ABI_CLOCK_BYTES] = ABI_CLOCK_REGISTERS;
    u8 before[ABI_CLOCK_BYTES] = { 0 };
    for (u32 i = 0; i < CMOS_TRIES; i++) {
        if (cmos(CMOS_A) & CMOS_A_UPDATE)
            continue;
        for (u32 k = 0; k < ABI_CLOCK_BYTES; k++)
            s->clock[k] = cmos(from[k]);
        if (!memcmp(s->clock, before, sizeof(before)))
            break;
        memcpy(before, s->clock, sizeof(before));
    }
    s->clock_tsc = rdtsc();
}

void time_measure(struct setup *s)
{
    plan.cpu.tsc_khz = measure_tsc_khz();
    if (plan.cpu.tsc_khz < 1000)
        stop("the TSC runs at %lu kHz by the 8254 timer: no usable clock", plan.cpu.tsc_khz);
    clock_read(s);
}
