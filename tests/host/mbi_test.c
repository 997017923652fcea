/* What a boot loader may leave: multiboot2 tags and multiboot 1 structures, right ones taken whole and malformed ones refused
 * by name. Each lies in memory of exactly its size, so that a read beyond it is seen.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -DSETUP_HOST -o mbi_test tests/host/mbi_test.c -lcmocka
 */
// sources: -DSETUP_HOST
#include "tests/host/boot_stub.h"

#include "depriv/setup/mbi.c"

#define PIECES_MAX 8u
#define INFO_PA    0x10000ull
#define BIT(n)     (1u << (n))

static struct setup boot;

static struct { u64 pa; void *bytes; } pieces[PIECES_MAX]; /* physical memory */
static unsigned piece_count;
static u8 info[3 * 65536];     /* under construction */
static u32 size;
static u32 magic;

const u8 *physical(u64 pa, u64 bytes)
{
    static const u8 nothing[16];

    (void)bytes;
    for (unsigned i = 0; i < piece_count; i++)
        if (pieces[i].pa == pa)
            return pieces[i].bytes;
    return nothing; /* an address in a field that no flag makes valid */
}

static void piece_add(u64 pa, const void *bytes, size_t n)
{
    assert_true(piece_count < PIECES_MAX);
    pieces[piece_count].pa = pa;
    pieces[piece_count].bytes = malloc(n);
    memcpy(pieces[piece_count++].bytes, bytes, n);
}

static void start(void)
{
    while (piece_count)
        free(pieces[--piece_count].bytes);
    memset(&boot, 0, sizeof(boot));
    memset(&plan, 0, sizeof(plan));
    memset(info, 0, sizeof(info));
    size = 8;
}

static void put32(u32 at, u32 v) { memcpy(info + at, &v, 4); }
static void put64(u32 at, u64 v) { memcpy(info + at, &v, 8); }

/* Adds a tag with n bytes behind its head; returns where they are. */
static u32 tag(u32 type, const void *bytes, u32 n)
{
    u32 at = size;

    put32(at, type);
    put32(at + 4, 8 + n);
    if (bytes)
        memcpy(info + at + 8, bytes, n);
    size = at + (u32)ALIGN_UP(8ul + n, 8ul);
    return at + 8;
}

static void end_tag(void)
{
    tag(0, NULL, 0);
    put32(0, size);
}

static u32 memory_tag(void)
{
    u32 at = tag(6, NULL, 8 + 2 * 24);

    put32(at, 24);
    put64(at + 8, 0x100000);
    put64(at + 16, 0x7f00000);
    put32(at + 24, 1);
    put64(at + 32, 0xf0000);
    put64(at + 40, 0x10000);
    put32(at + 48, 2);
    return at;
}

static u32 module_tag(u32 from, u32 to, const char *line)
{
    u8 bytes[64];

    memcpy(bytes, &from, 4);
    memcpy(bytes + 4, &to, 4);
    memcpy(bytes + 8, line, strlen(line) + 1);
    return tag(3, bytes, 8 + (u32)strlen(line) + 1);
}

static void parse(void)
{
    boot_parse(&boot, magic, INFO_PA);
}

static void parse_mb2(void)
{
    magic = MB2_LOADER_MAGIC;
    piece_add(INFO_PA, info, size);
}

static void accept(void)
{
    parse_mb2();
    if (stops(parse))
        fail_msg("%s", stub_text);
}

static void refuse(const char *text)
{
    parse_mb2();
    if (!stops(parse))
        fail_msg("taken, instead of: %s", text);
    if (!strstr(stub_text, text))
        fail_msg("instead of \"%s\": %s", text, stub_text);
}

static void test_good(void **state)
{
    static const u8 screen[24] = { 0, 0, 0, 0xe0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 5, 0, 0, 0x20, 3, 0, 0, 32, 1 };

    (void)state;
    start();
    tag(1, "end=halt x", 11);
    tag(2, "GRUB 2.06", 10);
    tag(77, "abc", 3);
    module_tag(0x200000, 0x200001, "domain=a");
    memory_tag();
    tag(8, screen, sizeof(screen));
    tag(14, "RSD PTR 123456789abc", 20);
    tag(15, "RSD PTR 123456789abcdefghijklmnopqrs", 36);
    module_tag(0x300000, 0xfffff000, "");
    end_tag();
    accept();
    assert_string_equal(boot.line, "end=halt x");
    assert_string_equal(plan.loader, "GRUB 2.06");
    assert_int_equal(boot.modules, 2);
    assert_int_equal(boot.module[0].start, 0x200000);
    assert_int_equal(boot.module[0].end, 0x200001);
    assert_string_equal(boot.module[0].line, "domain=a");
    assert_string_equal(boot.module[1].line, "");
    assert_int_equal(plan.ranges, 1);
    assert_int_equal(plan.range[0].start, 0x100000);
    assert_int_equal(plan.range[0].end, 0x8000000);
    assert_true(boot.has_rsdp);
    assert_memory_equal(boot.rsdp, "RSD PTR 123456789abcdefghijklmnopqrs", 36);
    assert_true(boot.screen.present);
    assert_false(boot.screen.text);
    assert_int_equal(boot.screen.address, 0xe0000000);
    assert_int_equal(boot.screen.pitch, 5120);
    assert_int_equal(boot.screen.width, 1280);
    assert_int_equal(boot.screen.height, 800);
    assert_int_equal(boot.screen.bpp, 32);
}

static void test_screen_kinds(void **state)
{
    (void)state;
    for (u8 kind = 0; kind < 4; kind++) {
        u8 screen[24] = { [21] = kind };

        start();
        memory_tag();
        tag(8, screen, sizeof(screen));
        end_tag();
        accept();
        assert_int_equal(boot.screen.present, kind == 1 || kind == 2);
        assert_int_equal(boot.screen.text, kind == 2);
    }
}

static void test_totals(void **state)
{
    static const u32 totals[] = { 0, 7, 8, 15, 128 * 1024 + 1, 0xffffffff };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
        char text[80];

        start();
        memory_tag();
        end_tag();
        put32(0, totals[i]);
        snprintf(text, sizeof(text), "boot information: multiboot2 structure of %u bytes", totals[i]);
        refuse(text);
    }
    start();
    memory_tag();
    put32(0, size);
    refuse("has no end tag");
    start();
    memory_tag();
    end_tag();
    size -= 1; /* cut within the end tag */
    put32(0, size);
    refuse("has no end tag");
}

/* Each tag that is used, at every size: below its least refused by its name, and beyond the structure too. */
static void test_sizes(void **state)
{
    static const struct { u32 type, least; const char *name; } rows[] = {
        { 1, 9, "tag 1 (command line)" }, { 2, 9, "tag 2 (loader name)" }, { 3, 17, "tag 3 (module)" }, { 6, 16, "tag 6 (memory map)" },
        { 8, 32, "tag 8 (framebuffer)" }, { 14, 28, "tag 14 (RSDP 1.0)" }, { 15, 44, "tag 15 (RSDP 2.0)" }, { 99, 8, "tag 99 (not used" } };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (u32 n = 0; n < rows[i].least; n++) {
            start();
            put32(tag(rows[i].type, NULL, 56) - 4, n);
            memory_tag();
            end_tag();
            refuse(rows[i].name);
        }
        for (u32 beyond = 1; beyond < 3; beyond++) {
            start();
            memory_tag();
            tag(rows[i].type, NULL, 56);
            put32(0, size);
            put32(size - 60, 64 + (beyond == 1 ? 1 : 0xffffffbf));
            refuse(rows[i].name);
        }
    }
}

static void test_lines(void **state)
{
    static char longest[SETUP_LINE_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    start();
    tag(1, "abc", 3); /* no end */
    memory_tag();
    end_tag();
    refuse("the command line is longer than 2047 bytes or has no end");
    start();
    memory_tag();
    put32(module_tag(0x200000, 0x201000, "abcdefg") - 4, 8 + 8 + 7); /* the same of a module */
    end_tag();
    refuse("a module's line is longer");
    start();
    tag(1, longest, SETUP_LINE_MAX + 1);
    memory_tag();
    end_tag();
    refuse("the command line is longer");
    longest[SETUP_LINE_MAX - 1] = 0;
    start();
    tag(1, longest, SETUP_LINE_MAX);
    tag(2, longest, 100); /* cut */
    memory_tag();
    end_tag();
    accept();
    assert_int_equal(strlen(boot.line), SETUP_LINE_MAX - 1);
    assert_int_equal(strlen(plan.loader), sizeof(plan.loader) - 1);
}

static void test_modules(void **state)
{
    static const struct { u32 from, to; } rows[] = {
        { 0x200000, 0x200000 }, { 0x201000, 0x200000 }, { 0x200001, 0x202000 }, { 0xfffff000, 0 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        start();
        memory_tag();
        module_tag(rows[i].from, rows[i].to, "m");
        end_tag();
        refuse("module 0 is at");
    }
    for (u32 n = SETUP_MODULES_MAX; n <= SETUP_MODULES_MAX + 1; n++) {
        start();
        memory_tag();
        for (u32 i = 0; i < n; i++)
            module_tag(0x200000 + 0x1000 * i, 0x200800 + 0x1000 * i, "m");
        end_tag();
        if (n <= SETUP_MODULES_MAX)
            accept();
        else
            refuse("more than 32 modules");
    }
}

static void test_memory(void **state)
{
    static const u32 entry_sizes[] = { 0, 1, 8, 20, 23, 25, 28, 65, 1000, 0x80000000, 0xffffffff, 0xfffffff0 };
    u32 at;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(entry_sizes); i++) {
        start();
        put32(memory_tag(), entry_sizes[i]);
        end_tag();
        refuse("tag 6 (memory map) has entries of");
    }
    start();
    at = memory_tag();
    put32(at, 32); /* larger entries of a later version: the one that is whole counts */
    end_tag();
    accept();
    assert_int_equal(plan.ranges, 1);
    start();
    at = memory_tag();
    put32(at - 4, 16 + 24 + 23); /* the second is cut off */
    put32(at + 48, 1);
    end_tag();
    accept();
    assert_int_equal(plan.ranges, 1);
    start();
    at = memory_tag();
    put64(at + 16, 0xffffffffffffff00ull); /* wraps */
    end_tag();
    refuse("no usable memory");
    start();
    put64(memory_tag() + 16, 0);
    end_tag();
    refuse("no usable memory");
    start();
    end_tag();
    refuse("no usable memory");
}

static void test_many_ranges(void **state)
{
    u32 n = ABI_RANGES_MAX + 10, at;

    (void)state;
    start();
    at = tag(6, NULL, 8 + n * 24);
    put32(at, 24);
    for (u32 i = 0; i < n; i++) {
        put64(at + 8 + 24 * i, 0x1000000ull * i);
        put64(at + 16 + 24 * i, 0x1000);
        put32(at + 24 + 24 * i, 1);
    }
    end_tag();
    accept();
    assert_int_equal(plan.ranges, ABI_RANGES_MAX);
}

/* Random damage to a good structure: taken or refused, never a read outside of it. */
static void test_damage(void **state)
{
    u32 seed = 1;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        start();
        tag(1, "end=halt x", 11);
        module_tag(0x200000, 0x200001, "domain=a");
        memory_tag();
        tag(8, NULL, 24);
        tag(15, NULL, 36);
        end_tag();
        for (unsigned i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            info[8 + (seed >> 8) % (size - 8)] = (u8)(seed >> 24 & 1 ? seed >> 16 : seed >> 16 & 15);
        }
        parse_mb2();
        if (stops(parse))
            assert_memory_equal(stub_text, "boot information: ", 18);
    }
}

/* ---- multiboot 1 --------------------------------------------------------------------------------------------------------- */

enum { FLAGS = 0, LINE = 16, MODULES = 20, MODULE_LIST = 24, MMAP_LENGTH = 44, MMAP = 48, MB1_BYTES = 52 };
#define MMAP_PA 0x20000u
#define LINE_PA 0x30000u
#define LIST_PA 0x40000u

static void mb1_start(u32 flags)
{
    start();
    magic = MB1_LOADER_MAGIC;
    put32(FLAGS, flags);
    put32(LINE, LINE_PA);
    put32(MODULE_LIST, LIST_PA);
    put32(MMAP, MMAP_PA);
}

static void mb1_memory(u32 entry, u32 bytes)
{
    struct mb1_entry e = { .size = entry, .start = 0x100000, .length = 0x7f00000, .type = 1 };

    put32(MMAP_LENGTH, bytes);
    piece_add(MMAP_PA, &e, sizeof(e));
}

static void mb1_run(const char *text) /* NULL: it is taken */
{
    piece_add(INFO_PA, info, MB1_BYTES);
    if (!stops(parse)) {
        if (text)
            fail_msg("taken, instead of: %s", text);
    } else if (!text || !strstr(stub_text, text)) {
        fail_msg("instead of \"%s\": %s", text ? text : "success", stub_text);
    }
}

static void test_mb1_good(void **state)
{
    static const u32 list[8] = { 0x200000, 0x200005, 0x50000, 0, 0x300000, 0x301000, 0x60000, 0 };

    (void)state;
    mb1_start(BIT(2) | BIT(3) | BIT(6));
    mb1_memory(20, 24);
    put32(MODULES, 2);
    piece_add(LIST_PA, list, sizeof(list));
    piece_add(LINE_PA, "/a/rung32.elf end=halt", 23);
    piece_add(0x50000, "vmlinuz domain=a -- x", 22);
    piece_add(0x60000, "initrd", 7);
    mb1_run(NULL);
    assert_string_equal(boot.line, " end=halt");
    assert_int_equal(boot.modules, 2);
    assert_string_equal(boot.module[0].line, " domain=a -- x");
    assert_string_equal(boot.module[1].line, "");
    assert_int_equal(boot.module[1].end, 0x301000);
    assert_int_equal(plan.ranges, 1);
    assert_int_equal(plan.range[0].end, 0x8000000);
    assert_false(boot.has_rsdp);
    assert_true(boot.screen.present && boot.screen.text);
    assert_int_equal(boot.screen.address, 0xb8000);
    assert_int_equal(boot.screen.width, 80);
    assert_int_equal(boot.screen.height, 25);
    assert_int_equal(boot.screen.pitch, 160);
}

static void test_mb1_refusals(void **state)
{
    static const u32 list[4] = { 0x200000, 0x200000, 0x50000, 0 };
    static const u32 entries[] = { 0, 19, 128 * 1024 + 1, 0xfffffffc, 0xffffffff };
    static char longest[SETUP_LINE_MAX + 2];

    (void)state;
    mb1_start(0);
    mb1_memory(20, 24);
    mb1_run("a memory map (flag 6) is needed");
    mb1_start(BIT(6));
    mb1_memory(20, 0xffffffff);
    mb1_run("memory map of 4294967295 bytes");
    mb1_start(BIT(6));
    mb1_memory(20, 23); /* holds no entry */
    mb1_run("no usable memory");
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        mb1_start(BIT(6));
        mb1_memory(entries[i], 24);
        mb1_run("multiboot memory map has an entry of");
    }
    mb1_start(BIT(3) | BIT(6));
    mb1_memory(20, 24);
    put32(MODULES, 0xffffffff);
    piece_add(LIST_PA, list, sizeof(list));
    mb1_run("module 0 is at 200000 to 200000");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = ' ';
    mb1_start(BIT(2) | BIT(6));
    mb1_memory(20, 24);
    piece_add(LINE_PA, longest, sizeof(longest));
    mb1_run("the command line is longer");
}

static void test_magic(void **state)
{
    (void)state;
    start();
    magic = 0x1234;
    assert_int_equal(stops(parse), 1);
    assert_non_null(strstr(stub_text, "started with magic 1234"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_screen_kinds), cmocka_unit_test(test_totals), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_lines), cmocka_unit_test(test_modules), cmocka_unit_test(test_memory), cmocka_unit_test(test_many_ranges),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_mb1_good), cmocka_unit_test(test_mb1_refusals), cmocka_unit_test(test_magic),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    start();
    return failed;
}
