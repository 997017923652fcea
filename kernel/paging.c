/* Four-level page tables: the kernel's W^X half, ring-3 tables that share it, and nested tables by the vendor's entry bits (SDM 3A 4.5). */
#include "kernel/paging.h"
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/plan.h"

#define ENTRIES      512u
#define KERNEL_SLOT  256u /* first PML4 entry of the kernel's half */

extern u8 text_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[]; /* linker.ld */
extern u8 boot_stack[]; /* boot/multiboot2.asm: page aligned */

u64 *kernel_root;
u32 paging_generation;
static void *kstacks[KSTACKS]; /* the pages of each that exists */

static unsigned slot(u64 va, unsigned level) /* level 3: PML4 ... 0: page table */
{
    return va >> (12 + 9 * level) & (ENTRIES - 1);
}

u64 *paging_entry(u64 *root, u64 va, unsigned last, u64 table)
{
    u64 *t = root;
    for (unsigned level = 3; level > last; level--) {
        u64 *e = &t[slot(va, level)];
        if (!(*e & PTE_P)) {
            void *next = pool_alloc(1);
            if (!next)
                return NULL;
            *e = pool_phys(next) | table;
        } else if (*e & PTE_PS && level < 3) {
            panic("paging_entry: 2 MiB page in the way of %lx", va);
        }
        t = pool_virt(*e & PTE_ADDRESS);
    }
    return &t[slot(va, last)];
}

int paging_map(u64 *root, u64 va, u64 pa, u64 size, u64 leaf, u64 table)
{
    u64 *e = paging_entry(root, va, size == PAGE_2M, table);
    if (!e)
        return -E_NOMEM;
    *e = pa | leaf | (size == PAGE_2M ? PTE_PS : 0);
    return 0;
}

/* Frees the tables that entries [first, end) of a table name, and those below. Depth is at most four, each level at most 512 entries. */
static void tables_free(u64 *t, unsigned level, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        u64 *below = pool_virt(t[i] & PTE_ADDRESS);
        if (!(t[i] & PTE_P) || (level < 3 && t[i] & PTE_PS))
            continue;
        if (level > 1)
            tables_free(below, level - 1, 0, ENTRIES);
        pool_free(below, 1);
        t[i] = 0;
    }
}

void paging_free(u64 *root, u64 start, u64 end)
{
    tables_free(root, 3, slot(start, 3), slot(end - 1, 3) + 1);
}

/* Into the kernel's half, with pages of size `page`. Whoever maps or unmaps drops its own CPU's old translation: others see the generation. */
static int map_range(u64 va, u64 pa, u64 bytes, u64 page, u64 leaf)
{
    for (u64 at = 0; at < bytes; at += page) {
        if (paging_map(kernel_root, va + at, pa + at, page, leaf, PTE_P | PTE_W))
            return -E_NOMEM;
        invlpg((void *)(va + at));
    }
    return 0;
}

static void *kernel_map(u64 va, u64 pa, u64 bytes, u64 page, u64 leaf)
{
    if (map_range(va, pa, bytes, page, leaf | PTE_P | (features.pge && !features.isolated ? PTE_G : 0)))
        panic("the pool is too small for the kernel's own tables");
    return (void *)va;
}

static void image_map(const u8 *from, const u8 *to, u64 leaf)
{
    kernel_map((u64)from, (u64)from - KERNEL_IMAGE, (u64)(to - from), PAGE_SIZE, leaf);
}

/* Every PML4 entry of the kernel's half gets its table now, so that tables made later by copying them see what is mapped later still.
 * The boot tables reach the pool only through their identity map: pool_virt() works from the switch on, so the first tables are built
 * with the boot loader's view of POOL_BASE, which boot/multiboot2.asm maps to the first 4 GiB as well. */
void paging_init(void)
{
    static const u64 windows[] = { POOL_BASE, KSTACK_BASE, ENTRY_BASE, DEVICE_BASE, KERNEL_IMAGE };
    kernel_root = pool_alloc(1);
    for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
        kernel_root[slot(windows[i], 3)] = pool_phys(pool_alloc(1)) | PTE_P | PTE_W;
    image_map(text_start, text_end, 0);
    image_map(rodata_start, rodata_end, PTE_NX);
    image_map(data_start, boot_stack, PTE_W | PTE_NX);
    image_map(boot_stack + PAGE_SIZE, data_end, PTE_W | PTE_NX); /* its lowest page is the guard of the boot CPU's stack */
    kernel_map(POOL_BASE + plan.pool.start, plan.pool.start, plan.pool.end - plan.pool.start, PAGE_2M, PTE_W | PTE_NX);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    write_cr3(pool_phys(kernel_root));
}

u64 *paging_new_root(const u64 *half)
{
    u64 *root = pool_alloc(1);
    if (root)
        memcpy(root + KERNEL_SLOT, half + KERNEL_SLOT, KERNEL_SLOT * sizeof(*root));
    return root;
}

void *paging_map_physical(u64 pa, u64 bytes, u64 leaf)
{
    u64 offset = pa & (PAGE_SIZE - 1);
    return (u8 *)kernel_map(DEVICE_BASE + pa - offset, pa - offset, bytes + offset, PAGE_SIZE, leaf | PTE_NX) + offset;
}

static u64 kstack_top(u32 n)
{
    return KSTACK_BASE + (n + 1) * KSTACK_STRIDE;
}

void *kstack_alloc(u32 n, unsigned pages)
{
    u64 bytes = pages * PAGE_SIZE;
    kstacks[n] = pool_alloc(pages);
    if (kstacks[n] && !map_range(kstack_top(n) - bytes, pool_phys(kstacks[n]), bytes, PAGE_SIZE, PTE_P | PTE_W | PTE_NX))
        return (void *)kstack_top(n);
    kstack_free(n, pages);
    return NULL;
}

/* Other CPUs may hold the old translation: they see the generation and flush before they run the slot's next owner. */
void kstack_free(u32 n, unsigned pages)
{
    if (!kstacks[n])
        return;
    map_range(kstack_top(n) - pages * PAGE_SIZE, 0, pages * PAGE_SIZE, PAGE_SIZE, 0);
    pool_free(kstacks[n], pages);
    kstacks[n] = NULL;
    __atomic_add_fetch(&paging_generation, 1, __ATOMIC_SEQ_CST);
}

static void audit_leaf(u64 va, u64 e, u64 size, u64 allow)
{
    u64 pa = e & PTE_ADDRESS & ~(size - 1);
    bool device = va >= DEVICE_BASE && va < DEVICE_BASE + DEVICE_BYTES;
    if (allow == AUDIT_ENTRY && (e & ~(u64)(PTE_A | PTE_D)) != entry_leaf(va))
        panic("audit: ring 3's table has %lx of the kernel, which is not the trampoline's", va);
    if (e & PTE_W && !(e & PTE_NX))
        panic("audit: %lx is writable and executable", va);
    if ((e ^ allow) & PTE_U)
        panic("audit: %lx is %s ring 3's", va, allow ? "not" : "unduly");
    if (!(allow & AUDIT_GUEST) && frames_is_guest(pa, size))
        panic("audit: %lx maps guest memory %lx", va, pa);
    if (va < POOL_BASE)
        return;
    if (!device && !(pa >= plan.pool.start && pa + size <= plan.pool.end) && !(pa >= (u64)text_start - KERNEL_IMAGE && pa < (u64)data_end - KERNEL_IMAGE))
        panic("audit: %lx maps %lx, neither pool nor image", va, pa);
}

static u64 audit_table(const u64 *t, unsigned level, u64 base, unsigned first, unsigned end, u64 allow)
{
    u64 n = 0;
    for (unsigned i = first; i < end; i++) {
        u64 size = 1ull << (12 + 9 * level), va = base + i * size;
        if (!(t[i] & PTE_P))
            continue;
        if (first == KERNEL_SLOT)
            va |= 0xffff000000000000ull;
        if (level == 0 || (level < 3 && t[i] & PTE_PS)) {
            audit_leaf(va, t[i], size, allow);
            n++;
        } else {
            n += audit_table(pool_virt(t[i] & PTE_ADDRESS), level - 1, va, 0, ENTRIES, allow);
        }
    }
    return n;
}

u64 paging_audit(const u64 *root, u64 allow)
{
    bool kernel = root == kernel_root || allow == AUDIT_ENTRY;
    return audit_table(root, 3, 0, kernel ? KERNEL_SLOT : 0, kernel ? ENTRIES : KERNEL_SLOT, allow);
}
