/* The audit of ring 3's table under aspace=isolated: it passes the trampoline as it was mapped, and stops at anything else of the kernel, at
 * each place of the table and with each wrong bit.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. (the words of its row in tests.list)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/plan.h"

#define POOL_BYTES (8 * MIB)
#define CPUS_HERE  3u
#define POOL_REAL  0xffff800000000000ull /* POOL_BASE is where this program has its pool */

/* linker.ld's symbols, which its row in tests.list gives it. */
extern u8 entry_text[], entry_text_end[], entry_data[], entry_data_end[];
#define ENTRY_TEXT       ((u64)entry_text)
#define ENTRY_TEXT_END   ((u64)entry_text_end)
#define ENTRY_DATA_START ((u64)entry_data)
#define ENTRY_DATA_END   ((u64)entry_data_end)
#define TRAMPOLINE       ((ENTRY_TEXT_END - ENTRY_TEXT + ENTRY_DATA_END - ENTRY_DATA_START) / PAGE_SIZE + CPUS_HERE * ENTRY_PAGES)

/* The kernel around them. */
struct cpu cpus[CPUS_MAX];
struct abi_cpu features = { .isolated = true, .vmx = true };
struct abi_plan plan = { .pool = { 0, POOL_BYTES } };
struct frame_map pool_pages, guest_frames;
u64 counts[COUNTS];
static u64 pool_next;
static jmp_buf back;
static char said[256];

void *pool_alloc(unsigned pages)
{
    void *p = pool_virt(pool_next);
    pool_next += pages * PAGE_SIZE;
    assert_true(pool_next <= POOL_BYTES);
    return memset(p, 0, pages * PAGE_SIZE);
}

void pool_free(void *va, unsigned pages) { (void)va; (void)pages; }
bool frames_is_guest(u64 pa, u64 size) { (void)size; return pa >= POOL_BYTES && pa < 2 * POOL_BYTES; }
void idt_init(void) {}
void log_domain(const char *domain, const char *format, ...) { (void)domain; (void)format; }

void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    longjmp(back, 1);
}

void stop(const char *format, ...) { panic("stop: %s", format); }

/* ---- A domain's table, as component_map() begins it -------------------------------------------------------------------------- */

static u64 *root;

static int set_up(void **state)
{
    (void)state;
    pool_next = PAGE_SIZE;
    memset(cpus, 0, sizeof(cpus));
    kernel_root = pool_alloc(1);
    *paging_entry(kernel_root, ENTRY_BASE, 3, 0) = pool_phys(pool_alloc(1)) | PTE_P | PTE_W;
    isolate_init();
    for (u32 i = 0; i < CPUS_HERE; i++) {
        cpus[i].id = i;
        isolate_cpu_init(&cpus[i]);
    }
    root = paging_new_root(entry_root);
    return 0;
}

/* Pages of the kernel that the audit has passed, -1: it has stopped. */
static int audit(void)
{
    said[0] = 0;
    if (setjmp(back))
        return -1;
    return (int)paging_audit(root, AUDIT_ENTRY);
}

static void passes_the_trampoline(void **state)
{
    u8 *text = (u8 *)pool_alloc(1);
    (void)state;
    assert_int_equal(audit(), TRAMPOLINE);
    assert_int_equal(paging_map(root, ABI_COMPONENT_BASE, pool_phys(text), PAGE_SIZE, PTE_P | PTE_U, PTE_P | PTE_U | PTE_W), 0);
    assert_int_equal(audit(), TRAMPOLINE);
}

/* One page more, read-only and not executable, at each of these. */
static void stops_at_another_page(void **state)
{
    const u64 at[] = { KERNEL_IMAGE, ENTRY_TEXT - PAGE_SIZE, ENTRY_TEXT_END, ENTRY_DATA_START - PAGE_SIZE, ENTRY_DATA_END, POOL_REAL,
                       KSTACK_BASE + KSTACK_STRIDE - PAGE_SIZE, DEVICE_BASE + 0xfee00000, entry_page(0, ENTRY_PAGES), entry_page(1, 0) - PAGE_SIZE,
                       entry_page(CPUS_HERE, 0), entry_page(CPUS_MAX, 0), ENTRY_BASE - PAGE_SIZE, LOWER_HALF | 0xffff000000000000ull, -PAGE_SIZE };
    for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
        char want[32];
        set_up(state);
        assert_int_equal(paging_map(root, at[i], 0, PAGE_SIZE, PTE_P | PTE_NX, PTE_P | PTE_W), 0);
        assert_int_equal(audit(), -1);
        snprintf(want, sizeof(want), "%lx of the kernel", at[i]);
        assert_non_null(strstr(said, want));
    }
}

/* The kernel's own half in place of the trampoline's, or in one slot. */
static void stops_at_the_kernels_tables(void **state)
{
    (void)state;
    assert_int_equal(paging_map(kernel_root, KSTACK_BASE, 0, PAGE_SIZE, PTE_P | PTE_W | PTE_NX, PTE_P | PTE_W), 0);
    root = paging_new_root(kernel_root);
    assert_int_equal(audit(), -1);
    root = paging_new_root(entry_root);
    assert_true(audit() > 0);
    *paging_entry(root, KSTACK_BASE, 3, 0) = *paging_entry(kernel_root, KSTACK_BASE, 3, 0);
    assert_int_equal(audit(), -1);
}

/* Each page of the trampoline with one bit turned: present alone takes it away. */
static void stops_at_a_wrong_bit(void **state)
{
    const u64 page[] = { ENTRY_TEXT, ENTRY_DATA_START, entry_page(1, ENTRY_TSS), entry_page(1, ENTRY_STACKS), entry_page(2, ENTRY_GDT) };
    const u64 bits[] = { PTE_W, PTE_U, PTE_PWT, PTE_G, PTE_NX, BIT(12), BIT(20) };
    for (u32 i = 0; i < ARRAY_SIZE(page); i++) {
        for (u32 b = 0; b < ARRAY_SIZE(bits); b++) {
            u64 *e = paging_entry(root, page[i], 0, 0);
            *e ^= bits[b];
            assert_int_equal(audit(), -1);
            *e ^= bits[b] | PTE_A | PTE_D;
            assert_true(audit() > 0);
        }
    }
    (void)state;
}

static void stops_at_a_large_page(void **state)
{
    (void)state;
    *paging_entry(root, ENTRY_TEXT, 1, 0) = (ENTRY_TEXT - KERNEL_IMAGE) | PTE_P | PTE_PS;
    assert_int_equal(audit(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(passes_the_trampoline, set_up),
        cmocka_unit_test_setup(stops_at_another_page, set_up),
        cmocka_unit_test_setup(stops_at_the_kernels_tables, set_up),
        cmocka_unit_test_setup(stops_at_a_wrong_bit, set_up),
        cmocka_unit_test_setup(stops_at_a_large_page, set_up),
    };
    void *pool = mmap((void *)POOL_BASE, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return pool == (void *)POOL_BASE ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
