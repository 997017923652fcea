/* Runs the setup program in ring 3, which reads what boot loader and firmware left, and checks the plan that it makes of it.
 * Ring 0, boot CPU, interrupts off, on the boot tables. */
#include "kernel/plan.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/screen.h"
#include "kernel/trap.h"

#define RFLAGS_IOPL3   0x3000ul
#define PHYSICAL_BITS_MAX 52u
#define MODULES_END    (4 * GIB)
#define TRAMPOLINE_BITS 0xff000ul /* a page below 1 MiB */

struct abi_cpu features;
extern u8 setup_main[]; /* depriv/setup/setup.c, at its physical address */

void plan_make(u32 magic, u32 info)
{
    u64 stack = ABI_PLAN_BASE + ABI_PLAN_AREA - sizeof(u64); /* as behind a call */
    cpus[0].tss.rsp[0] = (u64)stack_head();
    __asm__ volatile("pushq %0\n\tpushq %1\n\tpushq %2\n\tpushq %3\n\tpushq %4\n\tiretq"
                     : : "i"(SEL_UDATA | 3), "r"(stack), "i"(RFLAGS_FIXED | RFLAGS_IOPL3), "i"(SEL_UCODE | 3), "i"(setup_main), "D"(magic), "S"(info));
    __builtin_unreachable();
}

static bool range_sound(const struct abi_range *r)
{
    return r->start <= r->end && r->end <= MODULES_END && !(r->start % PAGE_SIZE);
}

static bool domain_sound(struct abi_domain *c)
{
    bool own = c->component.end, sound = c->modules <= ABI_MODULES_MAX && range_sound(&c->component);
    c->name[sizeof(c->name) - 1] = 0;
    for (u32 i = 0; sound && i < c->modules; i++)
        sound = range_sound(&c->range[i]);
    return sound && c->mem && c->mem <= 16 * GIB && !(c->mem % PAGE_2M) && c->vcpus == 1 && c->depriv <= 3 && c->emulate <= EMULATE_ALL &&
           c->guestmem <= ABI_GUESTMEM_COPY && (c->depriv || (!own && c->guestmem == ABI_GUESTMEM_MAP));
}

/* What ring 0 indexes with, adds up, maps or prints. What it only compares may be anything. */
static bool plan_sound(void)
{
    bool sound = plan.ranges <= ABI_RANGES_MAX && plan.cpu_count <= ABI_CPUS_MAX && plan.ioapics <= ARRAY_SIZE(plan.ioapic) &&
                 plan.domains <= ABI_DOMAINS_MAX && plan.pool <= 256 && plan.lapic < DEVICE_BYTES && !(plan.trampoline & ~TRAMPOLINE_BITS) &&
                 plan.cpu.physical_bits <= PHYSICAL_BITS_MAX && !(plan.cpu.xcr0_all & ~(u64)ABI_XCR0);
    for (u32 i = 0; sound && i < plan.domains; i++)
        sound = domain_sound(&plan.domain[i]);
    return sound;
}

void plan_take(const struct trap_frame *f)
{
    plan.text[sizeof(plan.text) - 1] = plan.loader[sizeof(plan.loader) - 1] = plan.cpu.brand[sizeof(plan.cpu.brand) - 1] = 0;
    screen_init(false);
    if (plan.text[0])
        stop("%s", plan.text);
    if (plan.done != ABI_PLAN_DONE)
        stop("setup: ring 3: %s at %lx, error %lx, address %lx", trap_name(f->vector), f->rip, f->error, read_cr2());
    if (!plan_sound())
        stop("setup: ring 3: bad plan");
    features = plan.cpu;
}
