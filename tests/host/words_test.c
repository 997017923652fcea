/* The loader's share of the boot loader's lines: each word's values and limits, command lines, where the initrd goes, every refusal by its text.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o words_test \
 *     tests/host/words_test.c depriv/load/words.c depriv/words.c depriv/format.c -lcmocka
 */
// sources: depriv/load/words.c depriv/words.c depriv/format.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "depriv/load/words.h"

static struct abi_info info;
static struct abi_frame frame;
static struct loader loader = { .info = &info, .frame = &frame };
static struct load_words *const w = &loader.words;

#define LINES(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
#define FLAT "domain=a kind=flat "

static enum abi_status read_lines(const char *const *lines)
{
    uint32_t used = 0;

    memset(&info, 0, sizeof(info));
    memset(w, 0xa5, sizeof(*w));
    for (; *lines; lines++) {
        info.module[info.modules] = (struct abi_module){ .size = 100 + info.modules, .line = used };
        info.modules++;
        strcpy(info.strings + used, *lines);
        used += (uint32_t)strlen(*lines) + 1;
    }
    return words_read(&loader);
}

static void accept(const char *const *lines)
{
    if (read_lines(lines))
        fail_msg("\"%s\": %s", lines[0], frame.text);
}

static void refuse(const char *const *lines, const char *text)
{
    if (read_lines(lines) != ABI_REFUSE)
        fail_msg("\"%s\" was taken", lines[0] ? lines[0] : "");
    if (!strstr(frame.text, text))
        fail_msg("\"%s\": %s", lines[0] ? lines[0] : "", frame.text);
}

static void test_words(void **state)
{
    (void)state;
    accept(LINES(FLAT));
    assert_string_equal(w->domain, "a");
    assert_int_equal(w->kind, LOAD_KIND_FLAT);
    assert_int_equal(w->load, 0x100000);
    assert_int_equal(w->entry, 0x100000);
    assert_int_equal(w->bits, 64);
    assert_int_equal(w->modules, 1);
    assert_int_equal(w->module[0].size, 100);
    assert_ptr_equal(w->module[0].bytes, ABI_MODULE_BASE);
    assert_string_equal(w->module[0].line, "");
    assert_false(w->has_initrd);
    accept(LINES("/x.bin role=image mem=3 bits=16 load=0x8000 cpu=63 vcpus=1 depriv=3 emulate=all guestmem=copy kind=flat "
                 "domain=0123456789012345678901234567890"));
    assert_int_equal(strlen(w->domain), 31);
    assert_int_equal(w->bits, 16);
    assert_int_equal(w->load, 0x8000);
    assert_int_equal(w->entry, 0x8000);
    accept(LINES(FLAT "bits=32 load=ffffffff entry=0"));
    assert_int_equal(w->load, 0xffffffff);
    assert_int_equal(w->entry, 0);
    accept(LINES(FLAT "load=0XaB mem=2 \"lo\"ad=\\c"));
    assert_int_equal(w->load, 0xc);
}

static void test_kinds(void **state)
{
    static const struct { const char *line; uint32_t kind; } rows[] = {
        { "domain=a kind=linux", LOAD_KIND_LINUX }, { "domain=a kind=multiboot", LOAD_KIND_MULTIBOOT },
        { "domain=a kind=pvh mem=32", LOAD_KIND_PVH }, { "domain=a kind=flat kind=firmware", LOAD_KIND_FIRMWARE } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        accept(LINES(rows[i].line));
        assert_int_equal(w->kind, rows[i].kind);
    }
}

static void test_lines(void **state)
{
    (void)state;
    accept(LINES(FLAT "--   a=1  \"b c\"  bogus=1"));
    assert_string_equal(w->module[0].line, "a=1  \"b c\"  bogus=1");
    accept(LINES(FLAT "--"));
    assert_string_equal(w->module[0].line, "");
    accept(LINES("kind=flat domain=a\\\"b -- y"));
    assert_string_equal(w->domain, "a\"b");
    assert_string_equal(w->module[0].line, "y");
}

static void test_modules(void **state)
{
    (void)state;
    accept(LINES(FLAT "-- x", "role=module domain=a -- m1", "domain=a \"role=module\"", "domain=a role=initrd -- i role=module",
                 "domain=a role=module -- m3"));
    assert_int_equal(w->modules, 5);
    assert_true(w->has_initrd);
    assert_string_equal(w->module[0].line, "x");
    assert_string_equal(w->module[1].line, "i role=module");
    assert_int_equal(w->module[1].size, 103);
    assert_ptr_equal(w->module[1].bytes, ABI_MODULE_BASE + 3 * ABI_MODULE_STRIDE);
    assert_string_equal(w->module[2].line, "m1");
    assert_string_equal(w->module[3].line, "");
    assert_string_equal(w->module[4].line, "m3");
    assert_int_equal(w->module[4].size, 104);
    refuse(LINES(FLAT, "domain=a role=initrd", "domain=a role=initrd"), "role=initrd: two modules have it");
}

static void test_refusals(void **state)
{
    static const struct { const char *line, *text; } rows[] = {
        { "domain=a", "kind=: missing" },
        { FLAT "x.bin", "x.bin: unknown" },
        { "x.bin " FLAT, "x.bin: unknown" },
        { FLAT "console=ttyS0", "console=ttyS0: unknown" },
        { FLAT "domains=b", "domains=b: unknown" },
        { FLAT "domain", "domain: unknown" },
        { FLAT "kind", "kind: unknown" },
        { FLAT "---", "---: unknown" },
        { "domain=a kind=elf", "kind=elf: one of linux multiboot pvh flat firmware is needed" },
        { "domain=a kind=linu", "kind=linu: one of" },
        { "domain=a kind=linuxx", "kind=linuxx: one of" },
        { "domain=a kind=", "kind=: one of" },
        { FLAT "load=100000000", "load=100000000: a hexadecimal number up to ffffffff is needed" },
        { FLAT "load=10000000000000000", "load=10000000000000000: a hexadecimal" },
        { FLAT "load=", "load=: a hexadecimal" },
        { FLAT "load=0x", "load=0x: a hexadecimal" },
        { FLAT "load=0x0x1", "load=0x0x1: a hexadecimal" },
        { FLAT "entry=g", "entry=g: a hexadecimal" },
        { FLAT "entry=-1", "entry=-1: a hexadecimal" },
        { FLAT "bits=8", "bits=8: 16, 32 or 64 is needed" },
        { FLAT "bits=1f", "bits=1f: 16, 32 or 64 is needed" },
        { FLAT "bits=", "bits=: 16, 32 or 64 is needed" },
        { FLAT "\"mem=2", "mem=2: a double quote has no partner" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refuse(LINES(rows[i].line), rows[i].text);
    refuse(LINES(), "modules: ");
    read_lines(LINES(FLAT));
    info.modules = ABI_MODULES_MAX + 1;
    assert_int_equal(words_read(&loader), ABI_REFUSE);
    read_lines(LINES(FLAT));
    info.module[0].line = sizeof(info.strings);
    assert_int_equal(words_read(&loader), ABI_REFUSE);
    memset(info.strings, 'x', sizeof(info.strings));
    assert_int_equal(words_read(&loader), ABI_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_kinds), cmocka_unit_test(test_lines), cmocka_unit_test(test_modules),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
