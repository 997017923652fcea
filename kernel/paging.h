/* Four-level tables: the kernel's own, each domain's ring-3 table, and, with the vendor's entry bits, the nested tables. */
#pragma once

#include "kernel/cpu.h"
#include "kernel/domain.h"

enum { PTE_P = BIT(0), PTE_W = BIT(1), PTE_U = BIT(2), PTE_PWT = BIT(3), PTE_PCD = BIT(4), PTE_A = BIT(5), PTE_D = BIT(6), PTE_PS = BIT(7), PTE_G = BIT(8) };
#define PTE_NX  BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define LOWER_HALF     (1ull << 47) /* where it ends */

/* Kernel half of every table. */
#define KERNEL_IMAGE   0xffffffff80000000ull /* + physical address of the image */
#define KSTACK_BASE    0xffffc00000000000ull /* supervisor and IST stacks, one a stride, guard below each */
#define KSTACK_STRIDE  0x4000ull
#define ENTRY_BASE     0xffffc80000000000ull /* GDT, TSS and first stacks of each CPU (isolate.h) */
#define DEVICE_BASE    0xffffd00000000000ull /* + physical address: memory-mapped devices, uncached */
#define DEVICE_BYTES   BIT(39)

/* The entry for va in the table of that level (0: of a 4 KiB page, 1: of 2 MiB), whose tables are made with the bits `table`; NULL when the
 * pool is empty. */
u64 *paging_entry(u64 *root, u64 va, unsigned level, u64 table);
/* Maps one page: size PAGE_SIZE or PAGE_2M; leaf and table are the entry bits besides the address. -E_NOMEM when the pool is empty.
 * The caller owns the table and its locking; a mapping that exists is replaced, the caller flushes. */
int paging_map(u64 *root, u64 va, u64 pa, u64 size, u64 leaf, u64 table);
/* Frees the tables of [start, end), rounded to 512 GiB, not what they map; the caller flushes. */
void paging_free(u64 *root, u64 start, u64 end);

extern u64 *kernel_root;           /* virtual address of the kernel's PML4 */
void paging_init(void);            /* builds W^X tables and switches to them */
u64 *paging_new_root(const u64 *half); /* a new PML4 that shares the kernel's half of that one; NULL when the pool is empty */
/* Below DEVICE_BYTES, readable, and what leaf says besides. Boot only; panics when the pool is empty. */
void *paging_map_physical(u64 pa, u64 bytes, u64 leaf);
#define PTE_DEVICE (PTE_W | PTE_PCD | PTE_PWT) /* writable, uncached */

/* Each stack has its number and its place: those of CPUs (five each) first, then those of vcpus, by domain. */
#define KSTACK_CPU(cpu, n)        ((cpu) * 8 + (n))
#define KSTACK_VCPU(domid, index) (KSTACK_CPU(CPUS_MAX, 0) + (domid) * ABI_VCPUS_MAX + (index))
#define KSTACKS                   KSTACK_VCPU(DOMAINS_MAX + 1, 0)
void *kstack_alloc(u32 n, unsigned pages); /* top of stack n, of 1..3 pages with a guard below, or NULL */
void kstack_free(u32 n, unsigned pages);

extern u32 paging_generation;      /* grows when a kernel mapping was taken away: a CPU that has seen less flushes before it runs a thread */

/* Walks the kernel's half, or of another root the lower one, and proves the invariants: no page both writable and executable; in the lower half all
 * of them ring 3's if `allow` has PTE_U, else none; guest memory only with AUDIT_GUEST. With AUDIT_ENTRY the kernel's half of any root: nothing but the
 * trampoline (isolate.h). Returns the number of mappings; panics on a violation. */
#define AUDIT_GUEST PTE_W
#define AUDIT_ENTRY PTE_PS
u64 paging_audit(const u64 *root, u64 allow);
