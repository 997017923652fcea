/* Local APIC by MMIO or, where CPUID offers x2APIC, by MSR (SDM 3A 10); one-shot timer; I/O APIC. */
#include "kernel/apic.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/plan.h"
#include "kernel/time.h"

/* Register offsets of the xAPIC page; the x2APIC MSR is 800h + offset / 16. */
enum { APIC_ID = 0x20, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, APIC_LVT_TIMER = 0x320,
       APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360, APIC_TIMER_INITIAL = 0x380, APIC_TIMER_CURRENT = 0x390, APIC_TIMER_DIVIDE = 0x3e0 };
enum { MSR_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };
enum { APIC_BASE_X2 = BIT(10), APIC_BASE_ON = BIT(11), SVR_ENABLE = BIT(8), DIVIDE_BY_1 = 0xb };
enum { LVT_MASKED = BIT(16), LVT_DEADLINE = BIT(18) };
enum { ICR_PENDING = BIT(12), ICR_ASSERT = BIT(14) };
enum { IPI_WAIT = 100000 /* polls */, CALIBRATE_US = 10000 };

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

void apic_init(void)
{
    out8(0x21, 0xff); /* the 8259 pair stays masked: interrupts come by the I/O APIC */
    out8(0xa1, 0xff);
    if (!features.x2apic)
        mmio = paging_map_physical(plan.lapic, PAGE_SIZE, PTE_DEVICE);
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

void apic_ipi(u32 apic, u32 command)
{
    if (features.x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory"); /* what was stored is seen before the IPI is: SDM 3A 10.12.3 */
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)apic << 32 | ICR_ASSERT | command);
        return;
    }
    for (u32 i = 0; i < IPI_WAIT && reg_read(APIC_ICR) & ICR_PENDING; i++)
        cpu_relax();
    reg_write(APIC_ICR_HIGH, apic << 24);
    reg_write(APIC_ICR, ICR_ASSERT | command);
}

/* The counter is 32 bits wide: a deadline further away is cut, and the early tick sets the rest. */
void apic_timer_set(u64 tsc)
{
    u64 now = rdtsc(), khz = features.tsc_khz, count = 0;
    if (features.tsc_deadline) {
        wrmsr(MSR_DEADLINE, tsc == ~0ul ? 0 : max_u64(tsc, 1));
        return;
    }
    if (tsc != ~0ul)
        count = min_u64(tsc > now ? tsc - now : 0, khz * 1000) * timer_khz / khz + 1;
    reg_write(APIC_TIMER_INITIAL, (u32)min_u64(count, 0xffffffff));
}

/* ---- I/O APIC (82093AA) ------------------------------------------------------------------------------------------------ */

enum { IOAPIC_SELECT = 0x00 / 4, IOAPIC_WINDOW = 0x10 / 4 };
enum { IOAPIC_VERSION = 0x01, IOAPIC_TABLE = 0x10 }; /* registers: two words of the table for each pin */
enum { REDIR_LOW = BIT(13), REDIR_LEVEL = BIT(15), REDIR_MASKED = BIT(16) };

static volatile u32 *ioapic_reg(u32 n, u32 reg)
{
    ioapic_regs[n][IOAPIC_SELECT] = reg;
    return &ioapic_regs[n][IOAPIC_WINDOW];
}

static u32 ioapic_pins(u32 n)
{
    return (*ioapic_reg(n, IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

void ioapic_init(void)
{
    for (u32 n = 0; n < plan.ioapics; n++) {
        ioapic_regs[n] = paging_map_physical(plan.ioapic[n].address, PAGE_SIZE, PTE_DEVICE);
        for (u32 pin = 0; pin < ioapic_pins(n); pin++)
            *ioapic_reg(n, IOAPIC_TABLE + 2 * pin) = REDIR_MASKED;
    }
}

/* An override's flags: polarity in bits 0 and 1, trigger mode in 2 and 3; 3 is what ISA is not (ACPI 6.4, table 5.26). */
int ioapic_route(u32 isa_irq, u8 vector, u32 apic)
{
    u32 gsi = plan.irq[isa_irq].gsi, flags = plan.irq[isa_irq].flags;
    u32 mode = ((flags & 3) == 3 ? REDIR_LOW : 0) | ((flags >> 2 & 3) == 3 ? REDIR_LEVEL : 0);
    for (u32 n = 0; n < plan.ioapics; n++) {
        u32 pin = gsi - plan.ioapic[n].gsi;
        if (gsi < plan.ioapic[n].gsi || pin >= ioapic_pins(n))
            continue;
        *ioapic_reg(n, IOAPIC_TABLE + 2 * pin + 1) = apic << 24;
        *ioapic_reg(n, IOAPIC_TABLE + 2 * pin) = vector | mode;
        return 0;
    }
    return -E_NODEV;
}
