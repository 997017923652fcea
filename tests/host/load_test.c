/* Tests of the image loader: every kind loads right, and every corrupt field is refused by its name or does no harm.
 *
 *   iasl -p OUT/dsdt -tc depriv/load/dsdt.asl
 *   gcc -std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -I. -IOUT \
 *       tests/host/load_test.c tests/host/load_bench.c depriv/load/[a-z]*.c depriv/words.c depriv/format.c depriv/guestmem.c -lcmocka \
 *       -o OUT/load_test && timeout 300 OUT/load_test
 *
 * With LOAD_KERNEL=FILE in the environment a real bzImage is loaded too; else one of /boot/vmlinuz-* if there is any.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "depriv/format.h"
#include "tests/host/load_bench.h"

static uint8_t image[BENCH_IMAGE_MAX];
static uint8_t initrd[10000];

static uint64_t get(const struct bench *b, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    assert_true(guestmem_is_ram(&b->mem, gpa, bytes));
    memcpy(&value, b->mem.base + gpa, bytes);
    return value;
}

static const char *get_string(const struct bench *b, uint64_t gpa)
{
    assert_true(guestmem_is_ram(&b->mem, gpa, 256));
    return (const char *)b->mem.base + gpa;
}

static void assert_zero(const struct bench *b, uint64_t gpa, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        assert_int_equal(b->mem.base[gpa + i], 0);
}

/* Ranges that a loaded guest finds in its memory must not touch each other. */
struct ranges { uint64_t start[24], end[24]; unsigned n; };

static void add_range(struct ranges *r, uint64_t start, uint64_t len)
{
    for (unsigned i = 0; i < r->n; i++)
        assert_true(start + len <= r->start[i] || r->end[i] <= start);
    assert_in_range(r->n, 0, 23);
    r->start[r->n] = start;
    r->end[r->n++] = start + len;
}

static void add_fixed(const struct bench *b, struct ranges *r)
{
    add_range(r, 0, 0x1000);
    add_range(r, 0x9fc00, 0x400);
    add_range(r, 0xa0000, 0x20000);
    add_range(r, 0xe0000, 0x20000);
    if (b->frame.state.cr0 & 1)
        add_range(r, b->frame.state.gdtr.base, b->frame.state.gdtr.limit + 1ull);
    if (b->frame.state.cr0 >> 31)
        add_range(r, b->frame.state.cr3, 6 * ABI_PAGE);
}

/* Every 2 MiB below 4 GiB is mapped to itself, and nothing above. */
static void check_identity_map(const struct bench *b)
{
    uint64_t cr3 = b->frame.state.cr3, pdpt, pd;

    pdpt = get(b, cr3, 8);
    assert_int_equal(pdpt & 0xfff, 3);
    for (uint64_t gpa = 0; gpa < ABI_HIGH_BASE; gpa += 0x200000) {
        pd = get(b, (pdpt & ~0xfffull) + (gpa >> 30) * 8, 8);
        assert_int_equal(pd & 0xfff, 3);
        assert_int_equal(get(b, (pd & ~0xfffull) + (gpa >> 21 & 511) * 8, 8), gpa | 0x83);
    }
    assert_zero(b, cr3 + 8, 4088);
    assert_zero(b, (pdpt & ~0xfffull) + 32, 4064);
}

static void check_gdt(const struct bench *b, uint64_t code)
{
    const struct abi_state *s = &b->frame.state;

    assert_int_equal(s->seg[ABI_CS].selector, 0x10);
    assert_int_equal(s->seg[ABI_DS].selector, 0x18);
    assert_int_equal(get(b, s->gdtr.base, 8), 0);
    assert_int_equal(get(b, s->gdtr.base + 0x10, 8), code);
    assert_int_equal(get(b, s->gdtr.base + 0x18, 8), 0x00cf93000000ffff);
    assert_int_equal(s->gdtr.limit, 0x1f);
}

static uint8_t sum(const struct bench *b, uint64_t gpa, uint64_t len)
{
    uint8_t total = 0;

    for (uint64_t i = 0; i < len; i++)
        total = (uint8_t)(total + get(b, gpa + i, 1));
    return total;
}

static void check_table(const struct bench *b, uint64_t gpa, const char *signature, uint64_t bytes)
{
    assert_memory_equal(b->mem.base + gpa, signature, 4);
    assert_true(get(b, gpa + 4, 4) >= bytes);
    assert_int_equal(sum(b, gpa, get(b, gpa + 4, 4)), 0);
}

static void check_acpi(const struct bench *b)
{
    uint64_t rsdp = 0xe0000, fadt, dsdt;

    while (memcmp(b->mem.base + rsdp, "RSD PTR ", 8))
        rsdp += 16;
    assert_int_equal(sum(b, rsdp, 20), 0);
    assert_int_equal(sum(b, rsdp, 36), 0);
    check_table(b, get(b, rsdp + 16, 4), "RSDT", 40);
    check_table(b, get(b, rsdp + 24, 8), "XSDT", 44);
    fadt = get(b, get(b, rsdp + 24, 8) + 36, 8);
    assert_int_equal(fadt, get(b, get(b, rsdp + 16, 4) + 36, 4));
    check_table(b, fadt, "FACP", 268);
    assert_int_equal(get(b, fadt + 46, 2), 9);
    assert_int_equal(get(b, fadt + 56, 4), 0x600);
    assert_int_equal(get(b, fadt + 64, 4), 0x604);
    assert_int_equal(get(b, fadt + 76, 4), 0x608);
    assert_int_equal(get(b, fadt + 112, 4), 0x575);
    assert_int_equal(get(b, fadt + 116, 8), 0xcf901000801);
    assert_int_equal(get(b, fadt + 148, 8), 0x60002002001);
    assert_int_equal(get(b, fadt + 128, 1), 6);
    dsdt = get(b, fadt + 40, 4);
    assert_int_equal(dsdt, get(b, fadt + 140, 8));
    check_table(b, dsdt, "DSDT", 100);
    assert_int_equal(get(b, fadt + 36, 4) % 64, 0);
    assert_memory_equal(b->mem.base + get(b, fadt + 36, 4), "FACS\x40\0\0\0", 8);
    assert_int_equal(get(b, 0x400, 2), 0x3f8);
    assert_int_equal(get(b, 0x413, 2), 639);
    assert_int_equal(get(b, 0x40e, 2), 0x9fc0);
    assert_zero(b, 0, 0x400);
}

static struct bench *begin(enum load_kind kind)
{
    return bench_begin(kind, BENCH_RAM_LOW, BENCH_RAM_HIGH);
}

static void load_ok(struct bench *b)
{
    if (bench_load(b) != ABI_OK)
        fail_msg("refused: %s", b->frame.text);
}

/* ---- linux -------------------------------------------------------------------------------------------------- */

static void check_linux(const struct bench *b, uint64_t load, uint64_t initrd_len)
{
    struct ranges r = { .n = 0 };
    uint64_t zero = b->frame.gpr[ABI_RSI], cmdline = get(b, zero + 0x228, 4);
    uint64_t ramdisk = get(b, zero + 0x218, 4) | get(b, zero + 0xc0, 4) << 32;

    add_fixed(b, &r);
    add_range(&r, zero, ABI_PAGE);
    add_range(&r, cmdline, strlen(BENCH_CMDLINE) + 1);
    add_range(&r, load, LINUX_INIT_SIZE);
    if (initrd_len) {
        add_range(&r, ramdisk, initrd_len);
        assert_int_equal(ramdisk % ABI_PAGE, 0);
        assert_memory_equal(b->mem.base + ramdisk, initrd, initrd_len);
    }
    assert_int_equal(get(b, zero + 0x21c, 4), initrd_len);
    assert_string_equal(get_string(b, cmdline), BENCH_CMDLINE);
    assert_memory_equal(b->mem.base + load, image + LINUX_CODE, LINUX_CODE_SIZE);
    assert_int_equal(get(b, zero + 0x70, 8), 0xe0000);
    assert_int_equal(get(b, zero + 0x210, 1), 0xff);
    assert_int_equal(get(b, zero + 0x1ef, 1), 0);
    assert_int_equal(get(b, zero + 0x214, 4), load);
    assert_int_equal(get(b, zero + 0x202, 4), 0x53726448);
}

static void check_e820(const struct bench *b, uint64_t zero)
{
    static const uint64_t expected[][3] = {
        { 0, 0x9fc00, 1 }, { 0x9fc00, 0x400, 2 }, { 0xe0000, 0x20000, 2 },
        { 0x100000, BENCH_RAM_LOW - 0x100000, 1 }, { ABI_HIGH_BASE, BENCH_RAM_HIGH, 1 },
    };

    assert_int_equal(get(b, zero + 0x1e8, 1), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(get(b, zero + 0x2d0 + i * 20, 8), expected[i][0]);
        assert_int_equal(get(b, zero + 0x2d8 + i * 20, 8), expected[i][1]);
        assert_int_equal(get(b, zero + 0x2e0 + i * 20, 4), expected[i][2]);
    }
}

static void test_linux64(void **state)
{
    struct bench *b = begin(LOAD_KIND_LINUX);
    (void)state;

    bench_module(b, image, image_linux(image), "");
    bench_module(b, initrd, sizeof(initrd), "");
    b->words->has_initrd = 1;
    load_ok(b);
    assert_int_equal(b->frame.state.rip, LINUX_PREF + 0x200);
    assert_int_equal(b->frame.state.efer, 0x500);
    check_linux(b, LINUX_PREF, sizeof(initrd));
    check_e820(b, b->frame.gpr[ABI_RSI]);
    check_identity_map(b);
    check_gdt(b, 0x00af9b000000ffff);
    check_acpi(b);
    bench_end(b);
}

static void test_linux32(void **state)
{
    struct bench *b = begin(LOAD_KIND_LINUX);
    (void)state;

    bench_module(b, image, image_linux32(image), "");
    load_ok(b);
    assert_int_equal(b->frame.state.rip, 0x100000);
    assert_int_equal(b->frame.state.cr0, 0x11);
    assert_int_equal(b->frame.gpr[ABI_RBP] | b->frame.gpr[ABI_RDI] | b->frame.gpr[ABI_RBX], 0);
    check_linux(b, 0x100000, 0);
    check_gdt(b, 0x00cf9b000000ffff);
    bench_end(b);
}

/* setup_sects = 0 stands for 4; bytes after the code are not loaded. */
static void test_linux_sects(void **state)
{
    struct bench *b = begin(LOAD_KIND_LINUX);
    (void)state;

    bench_module(b, image, image_linux(image), "");
    b->copy[0][0x1f1] = 0;
    put32(b->copy[0], 0x1f4, 100);
    load_ok(b);
    assert_memory_equal(b->mem.base + LINUX_PREF, image + 5 * 512, 1600);
    assert_zero(b, LINUX_PREF + 1600, 4096);
    bench_end(b);
}

/* Wherever the header limits it, the initrd stays below, and goes above 4 GiB if nothing else is left. */
static void test_linux_initrd(void **state)
{
    static const struct { uint32_t max; uint64_t end; } rows[] = {
        { 0x7fffffff, BENCH_RAM_LOW }, { 0xffffffff, BENCH_RAM_LOW }, { 0x17fffff, 0x1800000 }, { 0x1000fff, LINUX_PREF },
        { 0x100fff, ABI_HIGH_BASE + BENCH_RAM_HIGH }, { 0x102fff, 0x103000 },
    };
    (void)state;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *b = begin(LOAD_KIND_LINUX);
        uint64_t size = image_linux(image), start = (rows[i].end - sizeof(initrd)) & ~0xfffull, zero;

        put32(image, 0x22c, rows[i].max);
        bench_module(b, image, size, "");
        bench_module(b, initrd, sizeof(initrd), "");
        b->words->has_initrd = 1;
        load_ok(b);
        zero = b->frame.gpr[ABI_RSI];
        assert_int_equal(get(b, zero + 0x218, 4) | get(b, zero + 0xc0, 4) << 32, start);
        check_linux(b, LINUX_PREF, sizeof(initrd));
        bench_end(b);
    }
}

/* ---- multiboot ------------------------------------------------------------------------------------------------ */

static uint64_t check_multiboot(const struct bench *b, uint64_t kernel_end)
{
    struct ranges r = { .n = 0 };
    uint64_t info = b->frame.gpr[ABI_RBX], mods, mmap, count;

    assert_int_equal(b->frame.gpr[ABI_RAX], 0x2badb002);
    assert_int_equal(b->frame.state.cr0, 0x11);
    add_fixed(b, &r);
    add_range(&r, info, 0x74);
    add_range(&r, MB_LOAD, kernel_end - MB_LOAD);
    assert_int_equal(get(b, info + 4, 4), 639);
    assert_int_equal(get(b, info + 8, 4), (BENCH_RAM_LOW - 0x100000) / 1024);
    assert_string_equal(get_string(b, get(b, info + 16, 4)), BENCH_NAME " " BENCH_CMDLINE);
    add_range(&r, get(b, info + 16, 4), sizeof(BENCH_NAME " " BENCH_CMDLINE));
    assert_string_equal(get_string(b, get(b, info + 0x40, 4)), "Rung");
    add_range(&r, get(b, info + 0x40, 4), 5);
    mmap = get(b, info + 0x30, 4);
    assert_int_equal(get(b, info + 0x2c, 4), 5 * 24);
    add_range(&r, mmap, 5 * 24);
    assert_int_equal(get(b, mmap, 4), 20);
    assert_int_equal(get(b, mmap + 12, 8), 0x9fc00);
    assert_int_equal(get(b, mmap + 4 * 24 + 4, 8), ABI_HIGH_BASE);

    count = get(b, info + 20, 4);
    mods = get(b, info + 24, 4);
    assert_int_equal(get(b, info, 4), count ? 0x24d : 0x245);
    if (count)
        add_range(&r, mods, count * 16);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t start = get(b, mods + i * 16, 4), end = get(b, mods + i * 16 + 4, 4);

        assert_int_equal(start % ABI_PAGE, 0);
        assert_true(start >= kernel_end);
        if (end > start)
            add_range(&r, start, end - start);
    }
    return mods;
}

static void check_segments_loaded(const struct bench *b)
{
    assert_memory_equal(b->mem.base + MB_LOAD, image + MB_HEADER_ELF, MB_TEXT_SIZE);
    assert_memory_equal(b->mem.base + MB_DATA, image + MB_HEADER_ELF + MB_TEXT_SIZE, MB_DATA_FILE);
    assert_zero(b, MB_DATA + MB_DATA_FILE, MB_DATA_SIZE - MB_DATA_FILE);
    assert_zero(b, MB_BSS, MB_BSS_SIZE);
}

static void test_multiboot_elf(void **state)
{
    (void)state;
    for (unsigned wide = 0; wide < 2; wide++) {
        struct bench *b = begin(LOAD_KIND_MULTIBOOT);

        memset(b->mem.base + MB_DATA, 0xee, 0x200000);
        bench_module(b, image, wide ? image_elf64(image) : image_elf32(image), "");
        load_ok(b);
        assert_int_equal(b->frame.state.rip, MB_LOAD + 0x20);
        check_segments_loaded(b);
        check_multiboot(b, MB_BSS + MB_BSS_SIZE);
        check_gdt(b, 0x00cf9b000000ffff);
        check_acpi(b);
        bench_end(b);
    }
}

static void test_multiboot_modules(void **state)
{
    struct bench *b = begin(LOAD_KIND_MULTIBOOT);
    uint64_t mods;
    (void)state;

    bench_module(b, image, image_elf32(image), "");
    bench_module(b, initrd, sizeof(initrd), "initrd a=b");
    bench_module(b, initrd, 0, "empty");
    bench_module(b, initrd + 1, 4096, "");
    b->words->has_initrd = 1;
    load_ok(b);
    mods = check_multiboot(b, MB_BSS + MB_BSS_SIZE);
    assert_int_equal(get(b, mods, 4), 0x302000);
    assert_int_equal(get(b, mods + 4, 4), 0x302000 + sizeof(initrd));
    assert_string_equal(get_string(b, get(b, mods + 8, 4)), "initrd a=b");
    assert_memory_equal(b->mem.base + get(b, mods, 4), initrd, sizeof(initrd));
    assert_string_equal(get_string(b, get(b, mods + 24, 4)), "empty");
    assert_int_equal(get(b, mods + 16, 4), get(b, mods + 20, 4));
    assert_memory_equal(b->mem.base + get(b, mods + 32, 4), initrd + 1, 4096);
    bench_end(b);
}

static void test_multiboot_addresses(void **state)
{
    struct bench *b = begin(LOAD_KIND_MULTIBOOT);
    (void)state;

    memset(b->mem.base + MB_LOAD, 0xee, 0x2000);
    bench_module(b, image, image_addresses(image), "");
    load_ok(b);
    assert_int_equal(b->frame.state.rip, MB_LOAD + 0x100);
    assert_memory_equal(b->mem.base + MB_LOAD, image + MB_HEADER_FLAT - 0x20, 0x400);
    assert_zero(b, MB_LOAD + 0x400, 0x2000 - 0x400);
    check_multiboot(b, MB_LOAD + 0x2000);
    bench_end(b);

    b = begin(LOAD_KIND_MULTIBOOT); /* load_end_addr = 0: to the end of the file; bss_end_addr = 0: no bss */
    put64(image, MB_HEADER_FLAT + 20, 0);
    bench_module(b, image, MB_TEXT_SIZE, "");
    load_ok(b);
    assert_memory_equal(b->mem.base + MB_LOAD, image + MB_HEADER_FLAT - 0x20, MB_TEXT_SIZE - MB_HEADER_FLAT + 0x20);
    check_multiboot(b, MB_LOAD + MB_TEXT_SIZE - MB_HEADER_FLAT + 0x20);
    bench_end(b);
}

/* ---- flat ------------------------------------------------------------------------------------------------------ */

static void test_flat(void **state)
{
    static const struct { uint32_t bits; uint64_t load, entry, base, rip, cr0; } rows[] = {
        { 16, 0x7c00, 0x7c02, 0, 0x7c02, 0x10 },  { 16, 0x20000, 0x20010, 0x20000, 0x10, 0x10 },
        { 32, 0x100000, 0x100000, 0, 0x100000, 0x11 }, { 64, 0x200000, 0x200fff, 0, 0x200fff, 0x80000011 },
        { 64, 0x90000, 0x90000, 0, 0x90000, 0x80000011 },
    };
    (void)state;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *b = begin(LOAD_KIND_FLAT);
        struct ranges r = { .n = 0 };

        bench_module(b, initrd, 4096, "");
        b->words->bits = rows[i].bits;
        b->words->load = rows[i].load;
        b->words->entry = rows[i].entry;
        load_ok(b);
        assert_int_equal(b->frame.state.rip, rows[i].rip);
        assert_int_equal(b->frame.state.seg[ABI_CS].base, rows[i].base);
        assert_int_equal(b->frame.state.cr0, rows[i].cr0);
        assert_memory_equal(b->mem.base + rows[i].load, initrd, 4096);
        add_fixed(b, &r);
        add_range(&r, rows[i].load, 4096);
        if (rows[i].bits != 16) {
            add_range(&r, b->frame.gpr[ABI_RSI], sizeof(BENCH_CMDLINE));
            assert_string_equal(get_string(b, b->frame.gpr[ABI_RSI]), BENCH_CMDLINE);
        }
        if (rows[i].bits == 64)
            check_identity_map(b);
        check_acpi(b);
        bench_end(b);
    }
}

/* ---- refusals -------------------------------------------------------------------------------------------------- */

struct corruption {
    size_t (*make)(uint8_t *to);
    enum load_kind kind;
    uint32_t at, bytes;
    uint64_t value;
    const char *named; /* in the refusal; NULL: must load */
};

#define LX image_linux, LOAD_KIND_LINUX
#define LY image_linux32, LOAD_KIND_LINUX
#define E3 image_elf32, LOAD_KIND_MULTIBOOT
#define E6 image_elf64, LOAD_KIND_MULTIBOOT
#define AD image_addresses, LOAD_KIND_MULTIBOOT
#define MBE (MB_HEADER_ELF + 4)
#define S3(n) (52 + (n) * 32)
#define S6(n) (64 + (n) * 56)

static const struct corruption corruptions[] = {
    { LX, 0x1f1, 1, 39, "setup_sects" },            { LX, 0x1f1, 1, 0xff, "setup_sects" },
    { LX, 0x1f1, 1, 0, "syssize" },                 { LX, 0x1f4, 4, 0, "syssize" },
    { LX, 0x1f4, 4, 251, "syssize" },               { LX, 0x1f4, 4, 0xffffffff, "syssize" },
    { LX, 0x1f4, 4, 32, "syssize" },                { LX, 0x1f4, 4, 33, NULL },
    { LX, 0x1fe, 2, 0xaa54, "boot_flag" },          { LX, 0x200, 1, 0xe9, "jump" },
    { LX, 0x201, 1, 0x10, "jump" },                 { LX, 0x201, 1, 0xff, NULL },
    { LX, 0x202, 4, 0x53726449, "header" },         { LX, 0x206, 2, 0x209, "version" },
    { LX, 0x211, 1, 0, "loadflags" },               { LX, 0x22c, 4, 0x1fff, NULL },
    { LX, 0x230, 4, 0, "kernel_alignment" },        { LX, 0x230, 4, 0x300000, "kernel_alignment" },
    { LX, 0x230, 4, 0x800, "kernel_alignment" },    { LX, 0x230, 4, 0x80000000, "init_size" },
    { LX, 0x234, 1, 0, NULL },                      { LX, 0x236, 2, 0, NULL },
    { LX, 0x238, 4, 18, "cmdline_size" },           { LX, 0x238, 4, 19, NULL },
    { LX, 0x258, 8, ~0ull, "pref_address" },        { LX, 0x258, 8, BENCH_RAM_LOW, "pref_address" },
    { LX, 0x258, 8, 0xfffffffffffff000, "pref_address" }, { LX, 0x258, 8, 0, NULL },
    { LX, 0x258, 8, BENCH_RAM_LOW - 0x1000, "RAM ends" }, { LX, 0x258, 8, 0x1000001, NULL },
    { LX, 0x260, 4, 0xffffffff, "init_size" },      { LX, 0x260, 4, 0, NULL },
    { LX, 0x260, 4, BENCH_RAM_LOW - LINUX_PREF + 1, "init_size" }, { LY, 0x214, 4, 0x200000, "code32_start" },
    { LY, 0x214, 4, 0, "code32_start" },            { LY, 0x258, 8, 0x180000, NULL },
    { LX, 0x250, 8, ~0ull, NULL },

    { E3, MBE, 4, 0, "magic" },                     { E3, MBE + 4, 4, 2, "checksum" },
    { E3, MBE + 8, 4, 0, "checksum" },
    { E3, 0, 1, 0, "e_ident" },                     { E3, 4, 1, 3, "e_ident" },
    { E3, 5, 1, 2, "e_ident" },                     { E3, 6, 1, 0, "e_version" },
    { E3, 16, 2, 3, "e_type" },                     { E3, 18, 2, 40, "e_machine" },
    { E3, 20, 4, 2, "e_version" },                  { E3, 24, 4, 0x10, "e_entry" },
    { E3, 28, 4, 0xfffffff0, "e_phoff" },           { E3, 28, 4, 0x1b00, "e_phoff" },
    { E3, 42, 2, 56, "e_phentsize" },               { E3, 44, 2, 0, "e_phnum" },
    { E3, 44, 2, 0xffff, "e_phnum" },               { E3, 4, 1, 2, "e_phentsize" },
    { E3, S3(0) + 4, 4, 0xfffff000, "p_offset" },   { E3, S3(0) + 12, 4, 0xfffff000, "p_paddr" },
    { E3, S3(0) + 12, 4, 0x9ff00, "not in RAM" },      { E3, S3(0) + 12, 4, 0, "overlap BIOS data area" },
    { E3, S3(0) + 12, 4, 0xf0000, "overlap ACPI" }, { E3, S3(0) + 12, 4, MB_DATA + 0x1000, "overlap" },
    { E3, S3(0) + 16, 4, 0xffffffff, "p_filesz" },  { E3, S3(0) + 20, 4, MB_TEXT_SIZE - 1, "p_filesz" },
    { E3, S3(0) + 20, 4, 0xffffffff, "p_memsz" },   { E3, S3(3) + 20, 4, 0xffffffff, "p_memsz" },
    { E3, S3(2) + 20, 4, 0x200000, "overlap" },     { E3, S3(0), 4, 0, "e_entry" },
    { E3, 24, 4, MB_LOAD, NULL },                   { E3, S3(0) + 12, 4, 0x9f800, "overlap EBDA" },
    { E3, S3(2) + 20, 4, MB_DATA_FILE, NULL },      { E3, S3(0) + 12, 4, 0x8000, NULL },
    { E3, S3(0) + 12, 4, 0x9f3ff, NULL },           { E3, S3(0) + 12, 4, 0x9f400, NULL },
    { E3, S3(0) + 12, 4, 0x9f401, "overlap EBDA" },

    { E6, 24, 8, ~0ull, "e_entry" },                { E6, 32, 8, ~0ull, "e_phoff" },
    { E6, 32, 8, 0xfffffffffffffff0, "e_phoff" },   { E6, 54, 2, 32, "e_phentsize" },
    { E6, 56, 2, 65, "e_phnum" },                   { E6, S6(0) + 8, 8, ~0ull, "p_offset" },
    { E6, S6(0) + 24, 8, ~0ull, "p_paddr" },        { E6, S6(0) + 24, 8, ABI_HIGH_BASE, "p_paddr" },
    { E6, S6(0) + 32, 8, ~0ull, "p_filesz" },       { E6, S6(0) + 40, 8, ~0ull, "p_memsz" },
    { E6, S6(0) + 40, 8, 0x7ffffffffff00000, "p_memsz" }, { E6, S6(0) + 24, 8, BENCH_RAM_LOW - 1, "p_paddr" },

    { AD, MB_HEADER_FLAT + 12, 4, MB_LOAD - 1, "load_addr" }, { AD, MB_HEADER_FLAT + 12, 4, MB_LOAD + 0x41, "load_addr" },
    { AD, MB_HEADER_FLAT + 16, 4, 0, "load_addr" },           { AD, MB_HEADER_FLAT + 16, 4, 0xffffffff, "load_addr" },
    { AD, MB_HEADER_FLAT + 20, 4, MB_LOAD - 1, "load_end_addr" }, { AD, MB_HEADER_FLAT + 20, 4, 0xffffffff, "load_end_addr" },
    { AD, MB_HEADER_FLAT + 24, 4, MB_LOAD + 0x3ff, "bss_end_addr" }, { AD, MB_HEADER_FLAT + 24, 4, 0xffffffff, "bss_end_addr" },
    { AD, MB_HEADER_FLAT + 24, 4, 1, "bss_end_addr" },        { AD, MB_HEADER_FLAT + 28, 4, 0, "entry_addr" },
    { AD, MB_HEADER_FLAT + 28, 4, MB_LOAD + 0x2000, "entry_addr" }, { AD, MB_HEADER_FLAT + 20, 4, MB_LOAD, NULL },
};

static void run_corruption(const struct corruption *c)
{
    struct bench *b = begin(c->kind);
    size_t size = c->make(image);

    memcpy(image + c->at, &c->value, c->bytes);
    bench_module(b, image, size, "");
    if (!c->named) {
        if (bench_load(b) != ABI_OK)
            fail_msg("offset 0x%x = 0x%lx refused: %s", c->at, c->value, b->frame.text);
    } else {
        if (bench_load(b) == ABI_OK)
            fail_msg("offset 0x%x = 0x%lx (%s) was loaded", c->at, c->value, c->named);
        if (!strstr(b->frame.text, c->named))
            fail_msg("offset 0x%x = 0x%lx: \"%s\" does not name %s", c->at, c->value, b->frame.text, c->named);
    }
    bench_end(b);
}

static void test_corrupt_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(corruptions) / sizeof(corruptions[0]); i++)
        run_corruption(&corruptions[i]);
}

struct maker { size_t (*make)(uint8_t *to); enum load_kind kind; };
static const struct maker makers[] = { { LX }, { LY }, { E3 }, { E6 }, { AD } };
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

/* Every shorter image is refused, unless all that is needed of it is still there. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t m = 0; m < MAKERS; m++) {
        size_t full = makers[m].make(image), loaded = 0;

        for (size_t size = 0; size < full; size++) {
            struct bench *b = begin(makers[m].kind);

            bench_module(b, image, size, "");
            loaded += bench_load(b) == ABI_OK;
            bench_end(b);
        }
        /* A last paragraph that is not full; what load_end_addr leaves out. */
        assert_in_range(loaded, 0, makers[m].make == image_addresses ? full - 0x420 : 15);
    }
}

/* Every byte of the headers with telling values: bench_load() checks that nothing is broken. */
static void test_every_byte(void **state)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x10, 0x7f, 0x80, 0xff };
    static const struct { size_t from, to; } spans[MAKERS] = {
        { 0x1f0, 0x270 }, { 0x1f0, 0x270 }, { 0, S3(4) }, { 0, S6(4) }, { MB_HEADER_FLAT, MB_HEADER_FLAT + 32 },
    };
    (void)state;

    for (size_t m = 0; m < MAKERS; m++) {
        size_t size = makers[m].make(image);

        for (size_t at = spans[m].from; at < spans[m].to; at++) {
            uint8_t good = image[at];

            for (size_t v = 0; v < sizeof(values); v++) {
                struct bench *b = begin(makers[m].kind);

                image[at] = values[v];
                bench_module(b, image, size, "");
                bench_module(b, initrd, sizeof(initrd), "");
                b->words->has_initrd = 1;
                bench_load(b);
                bench_end(b);
            }
            image[at] = good;
        }
    }
}

static void refuse(struct bench *b, const char *named)
{
    if (bench_load(b) == ABI_OK)
        fail_msg("%s was loaded", named);
    if (!strstr(b->frame.text, named))
        fail_msg("\"%s\" does not name %s", b->frame.text, named);
    bench_end(b);
}

static void test_multiboot_flags(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 16; bit++) {
        struct bench *b = begin(LOAD_KIND_MULTIBOOT);
        size_t size = image_elf32(image);

        put32(image, MBE + 4, 1u << bit);
        put32(image, MBE + 8, 0u - 0x1badb002u - (1u << bit));
        bench_module(b, image, size, "");
        if (bit < 2) {
            load_ok(b);
            bench_end(b);
        } else {
            refuse(b, "flags");
        }
    }
}

/* The header must lie wholly in the first 8 KiB, at a multiple of 4; a false one before the true one does no harm. */
static void test_multiboot_search(void **state)
{
    static const struct { size_t at; const char *named; } rows[] = {
        { 8180, NULL }, { 8184, "magic" }, { 8192, "magic" }, { 4098, "magic" }, { 4096, NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *b = begin(LOAD_KIND_MULTIBOOT);
        uint8_t header[12];
        size_t size = image_elf32(image);

        memcpy(header, image + MBE, 12);
        memset(image + MBE, 0, 12);
        memset(image + size, 0, sizeof(image) - size);
        memcpy(image + rows[i].at, header, 12);
        if (rows[i].at == 8180)
            put32(image, 0x800, 0x1badb002);
        bench_module(b, image, 0x3000, "");
        if (rows[i].named) {
            refuse(b, rows[i].named);
        } else {
            load_ok(b);
            bench_end(b);
        }
    }
    struct bench *b = begin(LOAD_KIND_MULTIBOOT); /* address fields that the 8 KiB cut off */
    memset(image, 0, sizeof(image));
    size_t size = image_addresses(image);
    memmove(image + 8180, image + MB_HEADER_FLAT, 32);
    memset(image, 0, size);
    bench_module(b, image, 0x3000, "");
    refuse(b, "flags");
}

static struct bench *flat(uint32_t bits, uint64_t load, uint64_t entry, size_t size)
{
    struct bench *b = begin(LOAD_KIND_FLAT);

    b->words->bits = bits;
    b->words->load = load;
    b->words->entry = entry;
    bench_module(b, initrd, size, "");
    return b;
}

static void test_refused_flat(void **state)
{
    struct bench *b;
    (void)state;

    refuse(flat(8, 0x100000, 0x100000, 16), "bits");
    refuse(flat(32, 0x100000, 0x100010, 16), "entry");
    refuse(flat(32, 0x100000, 0xfffff, 16), "entry");
    refuse(flat(16, 0x100000, 0x100000, 16), "entry");
    refuse(flat(32, 0x9f800, 0x9f800, 0x1000), "load");
    refuse(flat(32, 0xa0000, 0xa0000, 1), "load");
    refuse(flat(32, 0, 0, 16), "overlap BIOS data area");
    refuse(flat(32, BENCH_RAM_LOW - 15, BENCH_RAM_LOW - 15, 16), "load");
    refuse(flat(32, ~0ull, ~0ull, 16), "load");
    refuse(flat(64, ABI_HIGH_BASE, ABI_HIGH_BASE, 16), "load");
    refuse(flat(64, 0xf0000, 0xf0000, 16), "overlap ACPI");
    b = flat(64, 0x100000, 0x100000, 16);
    bench_module(b, initrd, 16, "");
    refuse(b, "modules");
}

/* An image of all of conventional memory leaves no room for the tables. */
static void test_no_room(void **state)
{
    struct bench *b = begin(LOAD_KIND_FLAT);
    size_t size = 0x9fc00 - 0x1000;
    uint8_t *bytes = calloc(1, size);
    (void)state;

    b->words->bits = 64;
    b->words->load = b->words->entry = 0x1000;
    bench_module(b, bytes, size, "");
    refuse(b, "page tables");

    b = begin(LOAD_KIND_MULTIBOOT);
    bench_module(b, image, image_elf32(image), "");
    b->words->module[bench_module(b, initrd, 16, "")].size = BENCH_RAM_LOW;
    refuse(b, "module");
    free(bytes);
}

static struct bench *begin_linux(uint64_t ram_low, uint64_t ram_high)
{
    struct bench *b = bench_begin(LOAD_KIND_LINUX, ram_low, ram_high);

    bench_module(b, image, image_linux(image), "");
    return b;
}

static void test_refused_info(void **state)
{
    struct bench *b = begin_linux(BENCH_RAM_LOW, 0);
    (void)state;

    bench_module(b, initrd, 16, "");
    refuse(b, "modules");
    b = begin_linux(BENCH_RAM_LOW, 0);
    bench_module(b, initrd, 0, "");
    b->words->has_initrd = 1;
    refuse(b, "initrd");
    b = begin_linux(BENCH_RAM_LOW, 0);
    b->words->modules = 9;
    refuse(b, "modules");
    b = begin_linux(BENCH_RAM_LOW, 0);
    b->words->module[0].size = ABI_MODULE_STRIDE + 1;
    refuse(b, "module 0");
    refuse(begin_linux(32 * BENCH_MIB - 4096, 0), "mem");
    refuse(begin_linux(0xff000, 0), "ram_low");
    refuse(begin_linux(0x100000, 0), "mem");
    refuse(begin_linux(ABI_LOW_MAX + 0x1000, 0), "ram_low");
    refuse(begin_linux(BENCH_RAM_LOW, ~0xfffull), "ram_high");
    for (unsigned kind = LOAD_KIND_LINUX; kind <= LOAD_KINDS; kind++) {
        b = bench_begin((enum load_kind)kind, BENCH_RAM_LOW, 0);
        if (kind == LOAD_KIND_PVH || kind >= LOAD_KIND_FIRMWARE) {
            bench_module(b, initrd, 16, "");
            refuse(b, "kind");
        } else {
            refuse(b, "modules");
        }
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

static void test_guestmem(void **state)
{
    struct bench *b = begin(LOAD_KIND_FLAT);
    static const struct { uint64_t gpa, len; bool ram; } rows[] = {
        { 0, 0xa0000, true }, { 0, 0xa0001, false }, { 0x9ffff, 1, true }, { 0xa0000, 1, false }, { 0xbffff, 2, false },
        { 0xc0000, 1, true }, { 0xc0000, BENCH_RAM_LOW - 0xc0000, true }, { BENCH_RAM_LOW, 1, false },
        { BENCH_RAM_LOW - 1, 2, false }, { ABI_HIGH_BASE - 1, 2, false }, { ABI_HIGH_BASE, BENCH_RAM_HIGH, true },
        { ABI_HIGH_BASE + BENCH_RAM_HIGH, 1, false }, { ~0ull, 1, false }, { ~0ull, 2, false }, { 1, ~0ull, false },
        { ABI_HIGH_BASE, ~0ull, false }, { 0x9ffff, 0, true },
    };
    uint64_t value = 0x1122334455667788, back;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(guestmem_is_ram(&b->mem, rows[i].gpa, rows[i].len), rows[i].ram);
    for (size_t len = 0; len <= 8; len++) {
        assert_int_equal(guestmem_set(&b->mem, 0x2000, 0xee, 16, ABI_FOR_DMA), 0);
        assert_int_equal(guestmem_write(&b->mem, 0x2001, &value, len, ABI_FOR_OPERAND), 0);
        back = 0;
        assert_int_equal(guestmem_read(&b->mem, 0x2001, &back, len, ABI_FOR_FETCH), 0);
        assert_int_equal(back, len == 8 ? value : value & ((1ull << 8 * len) - 1));
        assert_int_equal(get(b, 0x2001 + len, 1), 0xee);
        assert_int_equal(get(b, 0x2000, 1), 0xee);
    }
    assert_int_equal(b->touches[ABI_FOR_DMA], 9);
    assert_int_equal(b->touches[ABI_FOR_OPERAND], 9);
    assert_int_equal(guestmem_write(&b->mem, 0x9fffc, &value, 8, ABI_FOR_OPERAND), -ABI_E_ARG);
    assert_int_equal(get(b, 0x9fffc, 4), 0);
    assert_int_equal(guestmem_read(&b->mem, 0x9fffc, &value, 8, ABI_FOR_OPERAND), -ABI_E_ARG);
    assert_int_equal(guestmem_set(&b->mem, 0x9fffc, 1, 8, ABI_FOR_OPERAND), -ABI_E_ARG);
    assert_int_equal(b->touches[ABI_FOR_OPERAND], 9);
    bench_end(b);
}

static void test_format(void **state)
{
    char text[96], small[8];
    (void)state;

    assert_int_equal(text_format(text, sizeof(text), "%s %u %x %c%%", "ab", 0u, 0xfeu, 'z'), 10);
    assert_string_equal(text, "ab 0 fe z%");
    text_format(text, sizeof(text), "%lu %lx %llu %d %ld", ~0ul, ~0ul, 12ull, -5, (long)INT64_MIN);
    assert_string_equal(text, "18446744073709551615 ffffffffffffffff 12 -5 -9223372036854775808");
    text_format(text, sizeof(text), "%4u|%04x|%08lx|%3d|%03d|%u", 7u, 0xabu, 1ul, -1, -1, 12345u);
    assert_string_equal(text, "   7|00ab|00000001| -1|-01|12345");
    assert_int_equal(text_format(small, sizeof(small), "%s", "longer than eight"), 7);
    assert_string_equal(small, "longer ");
    assert_int_equal(text_format(small, 0, "%s", "nothing"), 0);
    assert_int_equal(text_format(small, 1, "%s", "nothing"), 0);
    assert_string_equal(small, "");
}

static const char *find_kernel(void)
{
    static char path[512];
    const char *given = getenv("LOAD_KERNEL");
    glob_t found;

    if (given)
        return given;
    if (glob("/boot/vmlinuz-*", 0, NULL, &found))
        return NULL;
    snprintf(path, sizeof(path), "%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static void test_real_kernel(void **state)
{
    const char *path = find_kernel();
    FILE *file = path ? fopen(path, "rb") : NULL;
    struct bench *b = bench_begin(LOAD_KIND_LINUX, 0x10000000, 0);
    size_t limit = 0x4000000, size;
    uint8_t *bytes;
    (void)state;

    if (!file)
        skip();
    bytes = malloc(limit);
    size = fread(bytes, 1, limit, file);
    fclose(file);
    bench_module(b, bytes, size, "");
    bench_module(b, initrd, sizeof(initrd), "");
    b->words->has_initrd = 1;
    load_ok(b);
    assert_int_equal(get(b, b->frame.gpr[ABI_RSI] + 0x202, 4), 0x53726448);
    bench_end(b);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_guestmem),
        cmocka_unit_test(test_linux64),
        cmocka_unit_test(test_linux32),
        cmocka_unit_test(test_linux_sects),
        cmocka_unit_test(test_linux_initrd),
        cmocka_unit_test(test_multiboot_elf),
        cmocka_unit_test(test_multiboot_modules),
        cmocka_unit_test(test_multiboot_addresses),
        cmocka_unit_test(test_multiboot_flags),
        cmocka_unit_test(test_multiboot_search),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_corrupt_fields),
        cmocka_unit_test(test_refused_flat),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_refused_info),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_real_kernel),
    };

    for (size_t i = 0; i < sizeof(initrd); i++)
        initrd[i] = (uint8_t)(i * 11 + (i >> 8));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
