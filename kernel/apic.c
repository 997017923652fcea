/* Local APIC by MMIO or, where CPUID offers x2APIC, by MSR (SDM 3A 10); one-shot timer; I/O APIC. */
#include "kernel/apic.h"
#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/time.h"

/* Register offsets of the xAPIC page; the x2APIC MSR is 800h + offset / 16. */
enum { APIC_ID = 0x20, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, APIC_LVT_TIMER = 0x320,
       APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360, APIC_TIMER_INITIAL = 0x380, APIC_TIMER_CURRENT = 0x390, APIC_TIMER_DIVIDE = 0x3e0 };
#define MSR_X2APIC      0x800u
#define MSR_DEADLINE    0x6e0u
#define APIC_BASE_X2    BIT(10)
#define APIC_BASE_ON    BIT(11)
#define SVR_ENABLE      0x100u
#define LVT_MASKED      0x10000u
#define LVT_DEADLINE    0x40000u
#define DIVIDE_BY_1     0xbu
#define ICR_PENDING     0x1000u
#define ICR_INIT        0x4500u /* level assert */
#define ICR_STARTUP     0x4600u
#define ICR_FIXED       0x4000u
#define IPI_WAIT        100000u
#define CALIBRATE_US    10000u

static volatile u32 *mmio;
static u64 timer_khz;           /* of the counter at divide by 1 */
static volatile u32 *ioapic_regs[4];

static u32 reg_read(u32 reg)
{
    return features.x2apic ? (u32)rdmsr(MSR_X2APIC + reg / 16) : mmio[reg / 4];
}

static void reg_write(u32 reg, u32 value)
{
    if (features.x2apic)
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        mmio[reg / 4] = value;
}

void apic_init(u64 base)
{
    out8(0x21, 0xff); /* the 8259 pair stays masked: interrupts come by the I/O APIC */
    out8(0xa1, 0xff);
    if (!features.x2apic)
        mmio = paging_map_device(base ? base : 0xfee00000, PAGE_SIZE);
}

static void timer_calibrate(void)
{
    u64 tsc;
    u32 start, end;
    reg_write(APIC_TIMER_INITIAL, ~0u);
    start = reg_read(APIC_TIMER_CURRENT);
    tsc = rdtsc();
    time_delay_us(CALIBRATE_US);
    end = reg_read(APIC_TIMER_CURRENT);
    tsc = rdtsc() - tsc; /* longer than asked for where an outer hypervisor took the CPU away */
    reg_write(APIC_TIMER_INITIAL, 0);
    timer_khz = (u64)(start - end) * features.tsc_khz / tsc;
    if (!timer_khz)
        stop("the local APIC timer does not count");
}

void apic_enable(void)
{
    u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ON;
    wrmsr(MSR_APIC_BASE, base);
    if (features.x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
    reg_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    reg_write(APIC_TPR, 0);
    reg_write(APIC_LVT_LINT0, LVT_MASKED);
    reg_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    if (features.tsc_deadline) {
        reg_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
        __asm__ volatile("mfence" ::: "memory"); /* the mode is set before the first deadline: SDM 3A 10.5.4.1 */
        return;
    }
    reg_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    if (!timer_khz)
        timer_calibrate();
    reg_write(APIC_LVT_TIMER, VECTOR_TIMER);
}

u32 apic_id(void)
{
    u32 id = reg_read(APIC_ID);
    return features.x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
    reg_write(APIC_EOI, 0);
}

static void icr_write(u32 apic, u32 command)
{
    if (features.x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory"); /* what was stored is seen before the IPI is: SDM 3A 10.12.3 */
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)apic << 32 | command);
        return;
    }
    for (u32 i = 0; i < IPI_WAIT && mmio[APIC_ICR / 4] & ICR_PENDING; i++)
        cpu_relax();
    mmio[APIC_ICR_HIGH / 4] = apic << 24;
    mmio[APIC_ICR / 4] = command;
}

void apic_ipi(u32 apic, u8 vector)
{
    icr_write(apic, ICR_FIXED | vector);
}

void apic_stop(u32 apic)
{
    icr_write(apic, ICR_INIT);
}

void apic_start(u32 apic, u8 page)
{
    icr_write(apic, ICR_INIT);
    time_delay_us(10000);
    icr_write(apic, ICR_STARTUP | page);
    time_delay_us(200);
    icr_write(apic, ICR_STARTUP | page);
}

/* The counter is 32 bits wide: a deadline further away is cut, and the early tick sets the rest. */
void apic_timer_set(u64 tsc)
{
    u64 now, count;
    if (features.tsc_deadline) {
        wrmsr(MSR_DEADLINE, tsc == ~0ul ? 0 : max_u64(tsc, 1));
        return;
    }
    if (tsc == ~0ul) {
        reg_write(APIC_TIMER_INITIAL, 0);
        return;
    }
    now = rdtsc();
    count = tsc > now ? min_u64(tsc - now, features.tsc_khz * 1000) * timer_khz / features.tsc_khz : 0;
    reg_write(APIC_TIMER_INITIAL, (u32)min_u64(count + 1, 0xffffffff));
}

/* ---- I/O APIC (82093AA) ------------------------------------------------------------------------------------------------ */

#define IOAPIC_SELECT  (0x00 / 4)
#define IOAPIC_WINDOW  (0x10 / 4)
#define IOAPIC_VERSION 1u
#define IOAPIC_TABLE   0x10u
#define REDIR_MASKED   0x10000u
#define REDIR_LOW      0x2000u
#define REDIR_LEVEL    0x8000u

static u32 ioapic_read(u32 n, u32 reg)
{
    ioapic_regs[n][IOAPIC_SELECT] = reg;
    return ioapic_regs[n][IOAPIC_WINDOW];
}

static void ioapic_write(u32 n, u32 reg, u32 value)
{
    ioapic_regs[n][IOAPIC_SELECT] = reg;
    ioapic_regs[n][IOAPIC_WINDOW] = value;
}

static u32 ioapic_pins(u32 n)
{
    return (ioapic_read(n, IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

void ioapic_init(void)
{
    for (u32 n = 0; n < acpi.ioapic_count; n++) {
        ioapic_regs[n] = paging_map_device(acpi.ioapic[n].address, PAGE_SIZE);
        for (u32 pin = 0; pin < ioapic_pins(n); pin++)
            ioapic_write(n, IOAPIC_TABLE + 2 * pin, REDIR_MASKED);
    }
}

int ioapic_route(u32 isa_irq, u8 vector, u32 apic)
{
    u32 gsi = acpi.irq[isa_irq].valid ? acpi.irq[isa_irq].gsi : isa_irq;
    u32 flags = acpi.irq[isa_irq].valid ? acpi.irq[isa_irq].flags : 0;
    u32 mode = ((flags & 3) == 3 ? REDIR_LOW : 0) | ((flags >> 2 & 3) == 3 ? REDIR_LEVEL : 0);
    for (u32 n = 0; n < acpi.ioapic_count; n++) {
        u32 pin = gsi - acpi.ioapic[n].gsi;
        if (gsi < acpi.ioapic[n].gsi || pin >= ioapic_pins(n))
            continue;
        ioapic_write(n, IOAPIC_TABLE + 2 * pin + 1, apic << 24);
        ioapic_write(n, IOAPIC_TABLE + 2 * pin, vector | mode);
        return 0;
    }
    return -E_NODEV;
}
