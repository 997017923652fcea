/* A hypervisor whose CPUs send each other NMIs all the time: linked around its own apic_eoi() and trap_handle() (build.sh).
 * Ring 0. What is sent lands wherever the other CPU is: in a guest, in ring 3, on the way between, in an interrupt. Nothing else can send an
 * NMI on the emulators, and nobody may notice. */
#include "kernel/apic.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/trap.h"

#define IPI_NMI   0x400u        /* SDM 3A 10.6.1: delivery mode */
#define BURST     16u           /* NMIs an interrupt */
#define GAP       2000u         /* ticks of the TSC between two, and as many again by chance; those that come together count as one */
#define SEEN      20u           /* of each kind before it is said */

void __real_apic_eoi(void);
void __real_trap_handle(struct trap_frame *f);
void __wrap_apic_eoi(void);
void __wrap_trap_handle(struct trap_frame *f);

static u32 ring3, ring0;        /* where they came */
static bool said;

void __wrap_trap_handle(struct trap_frame *f)
{
    if (f->vector == VEC_NMI)
        __atomic_add_fetch(f->cs & 3 ? &ring3 : &ring0, 1, __ATOMIC_RELAXED);
    __real_trap_handle(f);
}

void __wrap_apic_eoi(void)
{
    u32 me = this_cpu()->id;
    __real_apic_eoi();
    for (u32 n = 0; n < BURST; n++) {
        u64 end = rdtsc() + GAP + (rdtsc() * 2654435761u >> 16) % GAP;
        while (rdtsc() < end)
            cpu_relax();
        for (u32 i = 0; i < cpus_online; i++)
            if (i != me && READ_ONCE(cpus[i].online))
                apic_ipi(cpus[i].apic_id, IPI_NMI);
    }
    if (ring3 >= SEEN && ring0 >= SEEN && !__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        log_line("NMIs: more than %u each of ring 3 and ring 0", SEEN);
}
