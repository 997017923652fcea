/* aspace=: whether ring 3 runs on a table without the kernel, and what it has of it then: the trampoline. */
#pragma once

#include "kernel/cpu.h"
#include "kernel/domain.h"
#include "kernel/paging.h"

/* Each CPU's share of ENTRY_BASE. Behind the GDT nothing is mapped, and it is read-only: a VM exit sets its limit to FFFFh (SDM 3C 27.5.2),
 * and ring 3 may load any selector. */
#define ENTRY_SHIFT      17
#define ENTRY_SLOT_SHIFT 9 /* stack n of a CPU is for the RSP that is in place n of a TSS from RSP0 on */
enum { ENTRY_TSS, ENTRY_STACKS, ENTRY_GDT, ENTRY_PAGES }; /* the pages of cpu.entry and their order in its share */
static inline u64 entry_page(u32 cpu, u32 page) { return ENTRY_BASE + ((u64)cpu << ENTRY_SHIFT) + page * PAGE_SIZE; }

#define ENTRY_DATA __attribute__((section(".entry.data")))

extern u64 *entry_root;     /* a table with the trampoline alone; NULL: aspace=shared */
extern u64 entry_cr3;       /* the kernel's, for the way in; 0: aspace=shared */

void isolate_choose(void);  /* boot, before the kernel's tables: by option or CPU; says which */
void isolate_init(void);    /* boot, behind them */
void isolate_cpu_init(struct cpu *cpu); /* each CPU: its pages of the trampoline; cpu.tss has the stacks behind its own */

/* The table entry by which ring 3 may have va, of the kernel's half, or 0. */
u64 entry_leaf(u64 va);

static inline u64 entry_tss(const struct cpu *cpu) { return features.isolated ? entry_page(cpu->id, ENTRY_TSS) : (u64)&cpu->tss; }

/* With depriv=0 ring 0 runs the component, on one table. */
static inline bool domain_isolated(const struct domain *d) { return features.isolated && d->method; }
