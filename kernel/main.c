/* Bring-up in order. Ring 0, boot stack, interrupts off. */
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/plan.h"
#include "kernel/policy.h"
#include "kernel/screen.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "kernel/trap.h"
#include "kernel/vcpu.h"

const struct hvm_ops *hvm;
u64 counts[COUNTS];
extern u8 image_start[], image_end[]; /* linker.ld; image_end is physical */

void boot_main(u32 magic, u32 info) __attribute__((noreturn));

/* The pool holds ring 0's data, all page tables and what is shared with ring 3: 16 MiB, and a 32nd of a larger memory. */
static void memory_init(void)
{
    u64 total = 0;
    for (u32 i = 0; i < plan.ranges; i++) {
        frames_add(plan.range[i].start, plan.range[i].end);
        total += plan.range[i].end - plan.range[i].start;
    }
    frames_reserve((u64)image_start, (u64)image_end);
    for (const struct abi_domain *c = plan.domain; c < plan.domain + plan.domains; c++) {
        frames_reserve(c->component.start, c->component.end);
        for (u32 i = 0; i < c->modules; i++)
            frames_reserve(c->range[i].start, c->range[i].end);
    }
    frames_init(plan.pool ? plan.pool * MIB : min_u64(max_u64(16 * MIB, total / 32), 256 * MIB));
    log_info("memory: %lu MiB, %lu MiB for guests", total / MIB, guest_frames.left * 2);
}

static void hvm_init(void)
{
    const char *missing;
    policy_init();
    hvm = features.vmx ? &vmx_ops : &svm_ops;
    missing = hvm->probe();
    if (missing)
        stop("%s cannot be used: %s", features.vmx ? "VMX" : "SVM", missing);
    if (hvm->cpu_enable(&cpus[0]))
        stop("%s could not be enabled on CPU 0", hvm->name);
}

static void domains_init(void)
{
    for (u32 i = 0; i < plan.domains; i++)
        domain_create(&plan.domain[i]);
    log_info("audit: %lu kernel mappings: none writable and executable, none of guest memory", paging_audit(kernel_root, 0));
    domains_built();
}

void boot_main(u32 magic, u32 info)
{
    stack_head()->cpu = &cpus[0];
    console_early_init();
    idt_init();
    cpu_tables(&cpus[0]);
    plan_make(magic, info); /* goes on in boot_planned() */
}

void boot_planned(const struct trap_frame *f)
{
    plan_take(f);
    log_info("build %s, %s", RUNG_BUILD, plan.loader);
    memory_init();
    isolate_choose();
    paging_init();
    isolate_init();
    screen_init(true);
    cpu_init(&cpus[0]);
    apic_init();
    apic_enable();
    ioapic_init();
    cpus[0].apic_id = apic_id();
    cpus[0].online = true;
    cpus_online = 1;
    hvm_init();
    log_info("cpu: %s, %s, TSC %lu kHz", features.brand, hvm->name, features.tsc_khz);
    smp_start();
    sched_init(&cpus[0]);
    console_irq_init();
    domains_init();
    sched_idle();
}
