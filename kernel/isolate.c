/* Address-space isolation: where a CPU lets ring 3 read what it may not (RDCL, SDM 4 IA32_ARCH_CAPABILITIES), ring 3's table has nothing of
 * the kernel but the trampoline, by which interrupts and calls come in: the code in section .entry, the IDT and entry_cr3, and of each CPU
 * GDT, TSS and small stacks, on which nothing is kept but the frame of the moment. No mapping of the kernel is global then. */
#include "kernel/isolate.h"
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/plan.h"
#include "kernel/trap.h"

#define RDCL_NO BIT(0)

extern u8 entry_text[], entry_text_end[], entry_data[], entry_data_end[]; /* linker.ld */

u64 *entry_root;
u64 entry_cr3 ENTRY_DATA;

void isolate_choose(void)
{
    bool immune = !features.vmx || (features.arch_capabilities && rdmsr(MSR_ARCH_CAPABILITIES) & RDCL_NO);
    const char *why = !features.vmx ? "AMD: ring 3 cannot read what it may not" : immune ? "RDCL_NO" : "no RDCL_NO";
    features.isolated = plan.aspace == ABI_ASPACE_DEFAULT ? !immune : plan.aspace == ABI_ASPACE_ISOLATED;
    log_info("address space: %s (%s)", features.isolated ? "isolated" : "shared", plan.aspace == ABI_ASPACE_DEFAULT ? why : "aspace=");
}

u64 entry_leaf(u64 va)
{
    u64 id = (va - ENTRY_BASE) >> ENTRY_SHIFT, page = va % BIT(ENTRY_SHIFT) / PAGE_SIZE;
    if (va >= (u64)entry_text && va < (u64)entry_text_end)
        return (va - KERNEL_IMAGE) | PTE_P;
    if (va >= (u64)entry_data && va < (u64)entry_data_end)
        return (va - KERNEL_IMAGE) | PTE_P | PTE_NX;
    if (id < CPUS_MAX && cpus[id].entry && page < ENTRY_PAGES)
        return (pool_phys(cpus[id].entry) + page * PAGE_SIZE) | PTE_P | PTE_NX | (page == ENTRY_STACKS ? PTE_W : 0);
    return 0;
}

static void entry_map(u64 *root, u64 va, u64 end)
{
    for (; va < end; va += PAGE_SIZE) {
        u64 leaf = entry_leaf(va);
        if (paging_map(root, va, leaf & PTE_ADDRESS, PAGE_SIZE, leaf & ~PTE_ADDRESS, PTE_P | PTE_W))
            stop("too little memory for the trampoline's tables");
    }
}

/* What is made of ENTRY_BASE later is seen through the shared table below it. */
void isolate_init(void)
{
    if (!features.isolated)
        return;
    entry_root = pool_alloc(1);
    *paging_entry(entry_root, ENTRY_BASE, 3, 0) = *paging_entry(kernel_root, ENTRY_BASE, 3, 0);
    entry_map(entry_root, (u64)entry_text, (u64)entry_text_end);
    entry_map(entry_root, (u64)entry_data, (u64)entry_data_end);
    idt_init();
    entry_cr3 = pool_phys(kernel_root) | (features.pcid ? CR3_NOFLUSH : 0);
}

void isolate_cpu_init(struct cpu *cpu)
{
    u64 stack = entry_page(cpu->id, ENTRY_STACKS) + BIT(ENTRY_SLOT_SHIFT), ist = (offsetof(struct tss, ist) - offsetof(struct tss, rsp)) / 8;
    struct tss *tss;
    cpu->entry = pool_alloc(ENTRY_PAGES);
    if (!cpu->entry)
        stop("too little memory for CPU %u", cpu->id);
    tss = (struct tss *)cpu->entry;
    tss->iomap = sizeof(*tss);
    tss->rsp[0] = stack;
    for (u32 i = 0; i < TRAP_ISTS; i++)
        tss->ist[i] = stack + ((ist + i) << ENTRY_SLOT_SHIFT);
    entry_map(kernel_root, entry_page(cpu->id, 0), entry_page(cpu->id, ENTRY_PAGES));
}
