/* A setup program that does one thing which it must not, as -DATTACK=NAME says, in place of the one of depriv/setup. */
#include "depriv/abi.h"

#define plan (*(struct abi_plan *)ABI_PLAN_BASE)

void setup_main(void);

static void write_image(void) { *(volatile uint64_t *)0xffffffff80400000 = 0; }
static void read_image(void)  { *(volatile uint64_t *)0xffffffff80400000; }
static void read_pool(void)   { *(volatile uint64_t *)0xffff800000100000; }
static void write_memory(void) { *(volatile uint64_t *)0x800000 = 0; } /* through its window on all memory */
static void write_own(void)   { *(volatile uint8_t *)setup_main = 0; }
static void behind_plan(void) { *(volatile uint64_t *)(ABI_PLAN_BASE + ABI_PLAN_AREA) = 0; }
static void privileged(void)  { __asm__ volatile("mov %cr3, %rax"); }
static void breakpoint(void)  { __asm__ volatile("int3"); }
static void interrupts(void)  { for (;;) __asm__ volatile("sti"); } /* IOPL 3 lets it */
static void call(void)        { __asm__ volatile("syscall"); }
static void call_fast(void)   { __asm__ volatile("sysenter"); }
static void nothing(void)     { __asm__ volatile("ud2"); }
static void too_many(void)    { plan.domains = ABI_DOMAINS_MAX + 1; plan.done = ABI_PLAN_DONE; __asm__ volatile("ud2"); }
static void long_text(void)   { for (uint32_t i = 0; i < sizeof(plan.text); i++) plan.text[i] = i ? 'x' : '\n'; __asm__ volatile("ud2"); }

void setup_main(void)
{
    plan.log_port = 2;
    plan.end[15].port = 0xf4; /* QEMU ends with status 1 */
    plan.end[15].value = plan.end[15].bytes = plan.end[15].when = 1;
    plan.screen.rows = plan.screen.columns = plan.screen.line = 0xffffffff; /* and a screen that nobody may write to */
    plan.screen.pitch = plan.screen.cell = 2;
    ATTACK();
}
