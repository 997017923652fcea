/* Starts the CPUs of the MADT one after another (SDM 3A 8.4.4). */
#include "kernel/smp.h"
#include "kernel/apic.h"
#include "kernel/frames.h"
#include "kernel/hvm.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/plan.h"
#include "kernel/time.h"
#include "kernel/trap.h"

#define XAPIC_BROADCAST 0xffu /* xAPIC IDs have 8 bits (SDM 3A 10.6.2.1) */
#define ANSWER_MS  500u

extern const u8 ap_trampoline[], ap_trampoline_end[];

u64 smp_ap_cr3, smp_ap_stack;

/* INIT, SIPI, SIPI (SDM 3A 8.4.4.1). */
static bool start_one(struct cpu *cpu)
{
    smp_ap_stack = cpu_stack(cpu, TRAP_ISTS, 2);
    smp_ap_cr3 = pool_phys(kernel_root);
    barrier();
    apic_ipi(cpu->apic_id, IPI_INIT);
    time_delay_us(10000);
    for (u32 i = 0; i < 2; i++) {
        apic_ipi(cpu->apic_id, IPI_STARTUP | (u32)(plan.trampoline >> 12));
        time_delay_us(200);
    }
    for (u32 ms = 0; ms < ANSWER_MS && !READ_ONCE(cpu->online); ms++)
        time_delay_us(1000);
    if (!READ_ONCE(cpu->online))
        apic_ipi(cpu->apic_id, IPI_INIT); /* one that would come late must not meet the next one's stack */
    return cpu->online;
}

void smp_start(void)
{
    u32 limit = plan.cpus ? (u32)min_u64(plan.cpus, CPUS_MAX) : CPUS_MAX;
    if (plan.trampoline)
        memcpy(paging_map_physical(plan.trampoline, PAGE_SIZE, PTE_DEVICE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    for (u32 i = 0; i < plan.cpu_count && cpus_online < limit && plan.trampoline; i++) {
        struct cpu *cpu = &cpus[cpus_online];
        if (plan.cpu_apic_id[i] == cpus[0].apic_id)
            continue;
        if (!features.x2apic && plan.cpu_apic_id[i] >= XAPIC_BROADCAST)
            continue;
        *cpu = (struct cpu){ .id = cpus_online, .apic_id = plan.cpu_apic_id[i] };
        if (start_one(cpu))
            cpus_online++;
        else
            log_line("CPU with APIC ID %u did not start, going on without it", plan.cpu_apic_id[i]);
    }
    if (!plan.trampoline)
        log_line("no usable page below 640 KiB: the other CPUs stay off");
    if (plan.no_madt)
        log_line("no ACPI MADT: one CPU, no I/O APIC");
    log_info("%u of %u CPUs", cpus_online, plan.cpu_count);
}

void smp_ap_main(struct cpu *cpu)
{
    cpu_init(cpu);
    apic_enable();
    if (hvm->cpu_enable(cpu))
        panic("%s could not be enabled on CPU %u", hvm->name, cpu->id);
    sched_init(cpu);
    WRITE_ONCE(cpu->online, true);
    sched_idle();
}
