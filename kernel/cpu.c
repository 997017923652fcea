/* The set-up of each CPU: GDT, TSS, IST stacks, control registers. */
#include "kernel/cpu.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/trap.h"

struct cpu cpus[CPUS_MAX];
unsigned cpus_online;

/* 64-bit code and data (L, or none), present, DPL as given, accessed; base and limit are ignored in long mode. */
#define GDT_CODE64(dpl) (0x00209b0000000000ull | (u64)(dpl) << 45)
#define GDT_DATA(dpl)   (0x0000930000000000ull | (u64)(dpl) << 45)

struct table_register { u16 limit; u64 base; } __attribute__((packed));

/* The table in use is a read-only copy, once there is one (isolate.h). In it the CPU has nothing to write: LTR has marked the TSS already. */
static void gdt_load(struct cpu *cpu)
{
    u64 tss = entry_tss(cpu);
    struct table_register gdtr = { sizeof(cpu->gdt) - 1, (u64)cpu->gdt };
    cpu->gdt[SEL_KCODE / 8] = GDT_CODE64(0);
    cpu->gdt[SEL_KDATA / 8] = GDT_DATA(0);
    cpu->gdt[SEL_UDATA / 8] = GDT_DATA(3);
    cpu->gdt[SEL_UCODE / 8] = GDT_CODE64(3);
    cpu->gdt[SEL_UDATA64 / 8] = GDT_DATA(3);
    cpu->gdt[SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\n\t"
                     "movl %2, %%ss\n\tmovl %3, %%ds\n\tmovl %3, %%es\n\tmovl %3, %%fs\n\tmovl %3, %%gs\n\tltr %w4"
                     : : "m"(gdtr), "i"(SEL_KCODE), "r"(SEL_KDATA), "r"(0), "r"(SEL_TSS) : "rax", "memory");
    if (!cpu->entry)
        return;
    memcpy(cpu->entry + ENTRY_GDT * PAGE_SIZE, cpu->gdt, sizeof(cpu->gdt));
    gdtr.base = entry_page(cpu->id, ENTRY_GDT);
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
}

u64 cpu_stack(struct cpu *cpu, u32 n, unsigned pages)
{
    struct stack_head *head = kstack_alloc(KSTACK_CPU(cpu->id, n), pages);
    if (!head)
        stop("too little memory for the stacks of CPU %u", cpu->id);
    *--head = (struct stack_head){ .cpu = cpu };
    return (u64)head;
}

/* IST stacks: the vectors that can arrive where RSP is not to be trusted (SYSENTER and SYSCALL entry, ATTACKS K6), each its own. */
static void ist_init(struct cpu *cpu)
{
    for (u32 i = 0; i < TRAP_ISTS; i++)
        cpu->tss.ist[i] = cpu_stack(cpu, i, 1);
    cpu->tss.iomap = sizeof(struct tss);
}

/* CR4.FSGSBASE and CR4.PCE stay clear: ring 3 must not set segment bases or read counters (ATTACKS K9, K10). */
static void control_registers(void)
{
    u64 offered = features.cr4 & (CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_OSXSAVE | CR4_PCIDE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    write_cr0((read_cr0() | CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG) & ~(CR0_EM | CR0_TS | CR0_NW | CR0_CD));
    write_cr4(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE | offered);
    if (features.xsave)
        xsetbv0(features.xcr0_all);
}

void cpu_tables(struct cpu *cpu)
{
    gdt_load(cpu);
    idt_load();
    __asm__ volatile("lldt %w0" : : "r"(0));
}

void cpu_init(struct cpu *cpu)
{
    cpu->timer_at = ~0ull;
    control_registers();
    ist_init(cpu);
    isolate_cpu_init(cpu);
    cpu_tables(cpu);
}
