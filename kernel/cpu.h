/* Physical CPUs: their private data, their features. */
#pragma once

#include "depriv/abi.h"
#include "kernel/arch.h"
#include "kernel/sched.h"
#include "kernel/spinlock.h"

#define CPUS_MAX ABI_CPUS_MAX

/* Global descriptor table. SYSEXIT takes CS = SYSENTER_CS + 32 and SS = + 40; SYSRET takes CS = STAR[63:48] + 16 and SS = + 8
 * (SDM 2B SYSEXIT, SYSRET), so one order serves both. */
enum { SEL_KCODE = 0x08, SEL_KDATA = 0x10, SEL_UCODE32 = 0x18 /* never entered: not present */, SEL_UDATA = 0x20, SEL_UCODE = 0x28,
       SEL_UDATA64 = 0x30, SEL_TSS = 0x38 };

struct tss {                    /* SDM 3A 7.7; packed because rsp0 is at offset 4 */
    u32 reserved0;
    u64 rsp[3];                 /* 0x04 */
    u64 reserved1;
    u64 ist[7];                 /* 0x24 */
    u64 reserved2;
    u16 reserved3;
    u16 iomap;                  /* 0x66 */
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 0x68, "TSS is 104 bytes");

struct cpu {
    u32 id;                     /* index in cpus[] */
    u32 apic_id;
    bool online;
    struct tss tss;             /* with aspace=isolated not the one in use, but the stacks behind those of that one (trap.asm) */
    u64 gdt[16];
    u8 *entry;                  /* pool: its pages of the trampoline (isolate.h) */
    struct thread *current;     /* the thread that runs here */
    struct vcpu *loaded;        /* whose VMCS/VMCB, vector registers and CR3 this CPU holds; may outlive its turn */
    struct thread idle;
    struct run_queue queue;
    struct vcpu *dead;          /* its thread has ended here; the idle thread frees it */
    u64 timer_at;               /* TSC at which the local APIC timer is set to fire, ~0 when off */
    u64 quantum_end;            /* TSC at which current must yield if others are ready */
    void *hvm_page;             /* pool page: VMXON region or host save area */
    u64 hvm_page2;              /* vendor's own: e.g. physical address of the host VMCB for VMLOAD */
    u32 paging_seen;            /* paging_generation that this CPU has flushed for */
};

extern struct cpu cpus[CPUS_MAX];
extern unsigned cpus_online;

/* At the top of every supervisor and IST stack (KSTACK_STRIDE aligned, see paging.h), so that per-CPU data is found from RSP
 * alone: ring 3 and the guest can change GS, so ring 0 never uses it (ATTACKS K6, K12). The scheduler rewrites cpu at each switch. */
struct stack_head {
    struct cpu *cpu;
    struct vcpu *vcpu;          /* NULL for idle and IST stacks */
    u64 pad[6];
};
_Static_assert(sizeof(struct stack_head) == 64, "depriv/gate.asm and kernel/trap.asm know the size");

static inline struct stack_head *stack_head(void)
{
    u64 rsp;
    __asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
    return (struct stack_head *)((rsp | 0x3fff) - 63);
}
static inline struct cpu *this_cpu(void) { return stack_head()->cpu; }

/* What changes what ring 0 does; read once on the boot CPU, required to be the same on the others. A copy of plan.cpu, and what counts of it is
 * checked in kernel/plan.c. */
extern struct abi_cpu features;

u64 cpu_stack(struct cpu *cpu, u32 n, unsigned pages); /* RSP of a new stack: n below TRAP_ISTS for IST, TRAP_ISTS for its idle thread */
void cpu_tables(struct cpu *cpu); /* GDT, TSS without stacks, IDT */
void cpu_init(struct cpu *cpu); /* GDT, TSS, IDT, CR0, CR4, EFER of the CPU that runs it */
