/* The command line and the module lines: each word's values and limits, what belongs together, and every refusal by its text.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -DSETUP_HOST -o options_test \
 *     tests/host/options_test.c depriv/setup/plan.c depriv/words.c -lcmocka
 */
// sources: -DSETUP_HOST depriv/setup/plan.c depriv/words.c
#include "tests/host/boot_stub.h"

#define MODULE_PAGES 16ul

#define PAGE_SIZE 4096ul

static struct setup boot;

static void parse(void)
{
    options_first(&boot);
    options_parse(&boot);
}

static void parse_again(const char *line, const char *const *modules)
{
    memset(&boot, 0, sizeof(boot));
    memset(&plan, 0, sizeof(plan));
    plan.log_port = 1;
    boot.line = line;
    for (; *modules; modules++) {
        struct setup_module *m = &boot.module[boot.modules];

        m->start = (1 + boot.modules) * MODULE_PAGES * PAGE_SIZE;
        m->end = m->start + 100 + boot.modules;
        m->line = *modules;
        boot.modules++;
    }
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
#define FLAT "domain=a kind=flat "

static void accept(const char *line, const char *const *modules)
{
    parse_again(line, modules);
    if (stops(parse))
        fail_msg("\"%s\", \"%s\": %s", line, modules[0] ? modules[0] : "", stub_text);
}

/* text: the start of what is said. */
static void refuse(const char *line, const char *const *modules, const char *text)
{
    parse_again(line, modules);
    if (!stops(parse))
        fail_msg("\"%s\", \"%s\" was taken", line, modules[0] ? modules[0] : "");
    if (strncmp(stub_text, text, strlen(text)))
        fail_msg("\"%s\", \"%s\": %s", line, modules[0] ? modules[0] : "", stub_text);
}

static void test_options(void **state)
{
    static const struct { const char *word; u32 end; } ends[] = {
        { "end=poweroff", END_POWEROFF }, { "end=halt", END_HALT }, { "end=reboot", END_REBOOT },
        { "end=isa-debug", END_ISA_DEBUG }, { "end=bochs", END_BOCHS } };

    (void)state;
    accept("", LINES(FLAT));
    assert_int_equal(plan.log_port, 1);
    assert_int_equal(plan.cpus, 0);
    assert_int_equal(plan.aspace, ABI_ASPACE_DEFAULT);
    assert_int_equal(plan.pool, 0);
    assert_int_equal(boot.end, END_POWEROFF);
    assert_false(plan.quiet);
    accept(" \tquiet  cpus=64 aspace=isolated pool=256\tlog=com2 ", LINES(FLAT));
    assert_int_equal(plan.aspace, ABI_ASPACE_ISOLATED);
    assert_int_equal(plan.log_port, 2);
    assert_int_equal(plan.cpus, 64);
    assert_int_equal(plan.pool, 256);
    assert_true(plan.quiet);
    accept("/boot/rung.elf cpus=1 pool=4 log=com1 aspace=shared cpus=2", LINES(FLAT));
    assert_int_equal(plan.aspace, ABI_ASPACE_SHARED);
    assert_int_equal(plan.cpus, 2);
    assert_int_equal(plan.pool, 4);
    assert_int_equal(plan.log_port, 1);
    assert_int_equal(plan.domain[0].depriv, 3);
    accept("depriv=1", LINES(FLAT, "domain=b kind=flat depriv=0"));
    assert_int_equal(plan.domain[0].depriv, 1);
    assert_int_equal(plan.domain[1].depriv, 0);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        accept(ends[i].word, LINES(FLAT));
        assert_int_equal(boot.end, ends[i].end);
    }
}

static void test_option_refusals(void **state)
{
    static const struct { const char *line, *text; } rows[] = {
        { "bogus", "unknown option bogus:" },
        { "bogus=1", "unknown option bogus=1:" },
        { "cpus=1 /x", "unknown option /x:" },
        { "lo=com1", "unknown option lo=com1:" },
        { "logs=com1", "unknown option logs=com1:" },
        { "log", "unknown option log:" },
        { "=", "unknown option =:" },
        { "quiet=1", "unknown option quiet=1:" },
        { "Quiet", "unknown option Quiet:" },
        { "log=", "log=: one of com1 com2 is needed" },
        { "log=com3", "log=com3: one of com1 com2 is needed" },
        { "log=com", "log=com: one of" },
        { "end=off", "end=off: one of poweroff halt reboot isa-debug bochs is needed" },
        { "cpus=", "cpus=: a number from 1 to 64 is needed" },
        { "cpus=0", "cpus=0: a number from 1 to 64 is needed" },
        { "cpus=65", "cpus=65: a number from" },
        { "cpus=-1", "cpus=-1: not a decimal number" },
        { "cpus=1x", "cpus=1x: not a decimal number" },
        { "cpus=0x1", "cpus=0x1: not a decimal number" },
        { "cpus=18446744073709551617", "cpus=18446744073709551617: a number from 1 to 64 is needed" },
        { "pool=3", "pool=3: a number from 4 to 256 is needed" },
        { "pool=257", "pool=257: a number from" },
        { "depriv.quanta=0", "depriv.quanta=0: a number from 1 to 1000000 is needed" },
        { "aspace=none", "aspace=none: one of shared isolated is needed" },
        { "depriv=4", "depriv=4: a number from 0 to 3 is needed" },
        { "pool=\"4", "pool=4: a double quote has no partner" },
        { "bogus log=com3", "log=com3: one of" }, /* where the complaint goes comes first */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        refuse(rows[i].line, LINES(FLAT), rows[i].text);
    refuse("bogus end=bochs log=com2", LINES(FLAT), "unknown option bogus:");
    assert_int_equal(boot.end, END_BOCHS);
    assert_int_equal(plan.log_port, 2);
}

static void test_module_words(void **state)
{
    const struct abi_domain *c = plan.domain;

    (void)state;
    accept("", LINES(FLAT));
    assert_int_equal(plan.domains, 1);
    assert_string_equal(c->name, "a");
    assert_int_equal(c->mem, 256 * MIB);
    assert_int_equal(c->vcpus, 1);
    assert_int_equal(c->cpu, ~0u);
    assert_int_equal(c->modules, 1);
    assert_int_equal(c->range[0].start, MODULE_PAGES * PAGE_SIZE);
    assert_int_equal(c->info.module[0].size, 100);
    accept("", LINES("/x.bin role=image mem=3 bits=16 load=0x8000 cpu=63 vcpus=1 kind=flat domain=0123456789012345678901234567890"));
    assert_int_equal(strlen(c->name), ABI_NAME_BYTES - 1);
    assert_int_equal(c->mem, 4 * MIB); /* rounded up */
    assert_int_equal(c->cpu, 63);
    accept("", LINES(FLAT "bits=32 mem=16384 load=ffffffff entry=0 cpu=0"));
    assert_int_equal(c->mem, 16384 * MIB);
    assert_int_equal(c->cpu, 0);
}

/* As the domain sees it, in the strings of its information page. */
static const char *line_of(const struct abi_domain *c, u32 module)
{
    return c->info.strings + c->info.module[module].line;
}

static void test_lines(void **state)
{
    (void)state;
    accept("", LINES(FLAT "-- mem=5 role=module"));
    assert_int_equal(plan.domain[0].mem, 256 * MIB);
    accept("", LINES(FLAT "\"mem=\"4 lo\\ad=5 -- x"));
    assert_int_equal(plan.domain[0].mem, 4 * MIB);
    assert_string_equal(line_of(plan.domain, 0), FLAT "\"mem=\"4 lo\\ad=5 -- x");
    accept("", LINES("kind=flat domain=a\\\"b -- y"));
    assert_string_equal(plan.domain[0].name, "a\"b");
    accept("mem=8 emulate=all", LINES(FLAT, "domain=b mem=4"));
    assert_int_equal(plan.domain[0].mem, 8 * MIB);
    assert_int_equal(plan.domain[1].mem, 4 * MIB);
    assert_int_equal(plan.domain[1].emulate, EMULATE_ALL);
}

static void test_attached(void **state)
{
    const struct abi_domain *c = plan.domain;

    (void)state;
    accept("", LINES("domain=b role=initrd", "domain=a role=module -- m1", "domain=b role=component", "domain=a role=initrd -- i", FLAT,
                     "domain=b kind=linux -- x", "domain=a role=module -- m2"));
    assert_int_equal(plan.domains, 2);
    assert_int_equal(c[0].modules, 4);
    assert_int_equal(c[0].range[0].start, boot.module[4].start);
    assert_int_equal(c[0].range[1].start, boot.module[1].start);
    assert_int_equal(c[0].range[2].start, boot.module[3].start);
    assert_int_equal(c[0].range[3].start, boot.module[6].start);
    assert_int_equal(c[0].info.module[3].size, 106);
    assert_string_equal(line_of(c, 3), "domain=a role=module -- m2");
    assert_int_equal(c[0].component.end, 0);
    assert_string_equal(c[1].name, "b");
    assert_int_equal(c[1].modules, 2);
    assert_int_equal(c[1].range[1].start, boot.module[0].start);
    assert_int_equal(c[1].component.start, boot.module[2].start);
    assert_int_equal(c[1].component.end - c[1].component.start, 102);
}

static void test_module_refusals(void **state)
{
    static const struct { const char *line, *text; } rows[] = {
        { "", "module 0: domain=NAME is missing" },
        { "kind=flat", "module 0: domain=NAME is missing in its line: kind=flat" },
        { "-- domain=a kind=flat", "module 0: domain=NAME is missing" },
        { "domain= kind=flat", "domain=: a name of 1 to 31 characters is needed" },
        { "domain=01234567890123456789012345678901", "domain=01234567890123456789012345678901: a name of 1 to 31" },
        { "domain=\"a b\" kind=flat", "domain=a b: a name of letters" },
        { "domain=\x1b kind=flat", "domain=\x1b: a name of letters" },
        { "domain=\xc3\xa4 kind=flat", "domain=\xc3\xa4: a name of letters" },
        { FLAT "role=disk", "role=disk: one of image initrd module component is needed" },
        { FLAT "mem=1", "mem=1: a number from 2 to 16384 is needed" },
        { FLAT "mem=16385", "mem=16385: a number from" },
        { FLAT "mem=2G", "mem=2G: not a decimal number" },
        { FLAT "vcpus=0", "vcpus=0: a number from 1 to " },
        { FLAT "vcpus=17", "vcpus=17: a number from 1 to 16 is needed" },
        { FLAT "cpu=64", "cpu=64: a number from 0 to 63 is needed" },
        { FLAT "\"mem=2", "mem=2: a double quote has no partner" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        refuse("", LINES(rows[i].line), rows[i].text);
    refuse("", LINES(), "no domain: ");
}

static void test_attach_refusals(void **state)
{
    static const char *const owned[] = { "kind=flat", "mem=4", "vcpus=1", "load=1", "entry=1", "bits=64", "cpu=1", "bogus" };

    (void)state;
    refuse("", LINES(FLAT, FLAT), "domain=a: two images have this name");
    refuse("", LINES(FLAT, "domain=b role=module"), "domain=b: no module with role=image has this name");
    refuse("", LINES("domain=a role=initrd"), "domain=a: no module with role=image");
    refuse("", LINES(FLAT "depriv=0", "domain=a role=component"), "domain=a: depriv=0 would run its own component in ring 0");
    refuse("", LINES(FLAT, "domain=a role=component", "domain=a role=component"), "domain=a: two modules with role=component");
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        char line[64];

        snprintf(line, sizeof(line), "domain=a role=module %s", owned[i]);
        refuse("", LINES(FLAT, line), owned[i]);
    }
}

static void test_limits(void **state)
{
    static char lines[SETUP_MODULES_MAX][48];
    const char *list[SETUP_MODULES_MAX + 1] = { NULL };
    static char longest[SETUP_LINE_MAX], longest_module[SETUP_LINE_MAX], second[ABI_STRINGS_BYTES - SETUP_LINE_MAX];

    (void)state;
    memset(second, 'x', sizeof(second) - 1);
    memcpy(second, "domain=a role=module -- ", strlen("domain=a role=module -- "));
    memset(longest_module, 'x', sizeof(longest_module) - 1);
    memcpy(longest_module, second, strlen("domain=a role=module -- "));
    for (unsigned i = 0; i < ABI_DOMAINS_MAX + 1; i++) {
        snprintf(lines[i], sizeof(lines[i]), "domain=d%u kind=flat", i);
        list[i] = lines[i];
    }
    refuse("", list, "domain=d16: more than 16 domains");
    list[ABI_DOMAINS_MAX] = NULL;
    accept("", list);
    assert_int_equal(plan.domains, ABI_DOMAINS_MAX);
    memset(list, 0, sizeof(list));
    list[0] = FLAT;
    for (unsigned i = 1; i < ABI_MODULES_MAX; i++)
        list[i] = "domain=a role=module";
    accept("", list);
    list[ABI_MODULES_MAX] = "domain=a role=initrd";
    refuse("", list, "domain=a: more than 8 modules");
    memset(longest, 'x', sizeof(longest) - 1);
    memcpy(longest, FLAT "-- ", strlen(FLAT "-- "));
    accept("", LINES(longest));
    assert_int_equal(strlen(line_of(plan.domain, 0)), SETUP_LINE_MAX - 1);
    assert_false(plan.domain[0].too_long);
    accept("", LINES(longest, "domain=a role=module")); /* what fills the strings, and what does not fit any more */
    assert_false(plan.domain[0].too_long);
    assert_string_equal(line_of(plan.domain, 1), "domain=a role=module");
    accept("", LINES(longest, second));
    assert_false(plan.domain[0].too_long);
    assert_int_equal(line_of(plan.domain, 1) + strlen(second) + 1 - plan.domain[0].info.strings, ABI_STRINGS_BYTES);
    accept("", LINES(longest, second, "domain=a role=module", longest_module));
    assert_true(plan.domain[0].too_long);
    assert_int_equal(plan.domain[0].modules, 4);
    memset(longest, 'x', sizeof(longest) - 1);
    refuse(longest, LINES(FLAT), "unknown option xxx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options), cmocka_unit_test(test_option_refusals), cmocka_unit_test(test_module_words),
        cmocka_unit_test(test_lines), cmocka_unit_test(test_attached),
        cmocka_unit_test(test_module_refusals), cmocka_unit_test(test_attach_refusals), cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
