/* The plan that the setup program makes: ring 0 takes one whose every index, sum and address holds, and refuses each that does not.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -no-pie -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o plan_test tests/host/plan_test.c -lcmocka
 */
// sources: -no-pie
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "kernel/arch.h"
#define read_cr2() 0ul /* privileged */
#include "kernel/plan.c"

struct abi_plan plan;
struct cpu cpus[CPUS_MAX];
u8 setup_main[1];
static jmp_buf back;
static char said[400];

void stop(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    longjmp(back, 1);
}

void screen_init(bool mapped) { (void)mapped; }
const char *trap_name(u64 vector) { (void)vector; return "#XX"; }

/* What ring 0 says of the plan, "" when it takes it. */
static const char *take(void)
{
    static const struct trap_frame f = { .rip = 0x1234 };
    said[0] = 0;
    if (!setjmp(back))
        plan_take(&f);
    return said;
}

static struct abi_domain *good(void)
{
    static const struct abi_domain c = { .name = "a", .mem = 2 * MIB, .vcpus = 1, .depriv = 3, .modules = 1, .range = { { 0x200000, 0x200001 } } };
    plan = (struct abi_plan){ .done = ABI_PLAN_DONE, .log_port = 1, .cpu_count = 1, .lapic = 0xfee00000,
                              .cpu = { .physical_bits = 40, .tsc_khz = 5000 }, .domains = 1, .domain = { c } };
    return plan.domain;
}

static void test_good(void **state)
{
    struct abi_domain *d = good();
    (void)state;
    assert_string_equal(take(), "");
    assert_int_equal(features.tsc_khz, 5000);
    plan.domains = ABI_DOMAINS_MAX; /* each at its limits */
    for (u32 i = 0; i < ABI_DOMAINS_MAX; i++) {
        d[i] = d[0];
        d[i].mem = 16 * GIB;
        d[i].modules = ABI_MODULES_MAX;
        d[i].component = d[i].range[ABI_MODULES_MAX - 1] = (struct abi_range){ 0, 4 * GIB };
        d[i].guestmem = ABI_GUESTMEM_COPY;
        d[i].emulate = EMULATE_ALL;
        d[i].depriv = 1;
    }
    plan.ranges = ABI_RANGES_MAX;
    plan.cpu_count = ABI_CPUS_MAX;
    plan.ioapics = ARRAY_SIZE(plan.ioapic);
    plan.pool = 256;
    plan.cpu.physical_bits = 52;
    plan.cpu.xcr0_all = 0x2e7;
    memset(plan.cpu.brand, 0xff, sizeof(plan.cpu.brand));
    plan.trampoline = 0x9e000;
    plan.lapic = DEVICE_BYTES - PAGE_SIZE;
    assert_string_equal(take(), "");
    memset(d[ABI_DOMAINS_MAX - 1].name, 'x', sizeof(d->name)); /* without an end */
    memset(plan.loader, 'x', sizeof(plan.loader));
    assert_string_equal(take(), "");
    assert_int_equal(strlen(d[ABI_DOMAINS_MAX - 1].name), ABI_NAME_BYTES - 1);
    assert_int_equal(features.brand[sizeof(features.brand) - 1], 0);
    assert_int_equal(strlen(plan.loader), sizeof(plan.loader) - 1);
}

static void test_end(void **state)
{
    (void)state;
    good();
    plan.done = 0;
    assert_memory_equal(take(), "setup: ring 3: #XX at 1234", 26);
    good();
    strcpy(plan.text, "no %s"); /* its text is no format */
    assert_string_equal(take(), "no %s");
    memset(plan.text, 'x', sizeof(plan.text));
    assert_int_equal(strlen(take()), sizeof(plan.text) - 1);
}

#define BAD(change) \
    do { \
        struct abi_domain *d = good(); \
        (void)d; \
        change; \
        if (strcmp(take(), "setup: ring 3: bad plan")) \
            fail_msg("%s: taken", #change); \
    } while (0)

static void test_bad(void **state)
{
    (void)state;
    BAD(plan.ranges = ABI_RANGES_MAX + 1);
    BAD(plan.cpu_count = ABI_CPUS_MAX + 1);
    BAD(plan.ioapics = ARRAY_SIZE(plan.ioapic) + 1);
    BAD(plan.domains = ABI_DOMAINS_MAX + 1);
    BAD(plan.domains = ~0u);
    BAD(plan.pool = 257);
    BAD(plan.lapic = DEVICE_BYTES);
    BAD(plan.trampoline = 0x100000);
    BAD(plan.trampoline = 0x9e001);
    BAD(plan.cpu.physical_bits = 53);
    BAD(plan.cpu.xcr0_all = BIT(18)); /* its state would not fit in struct vcpu */
    BAD(d->modules = ABI_MODULES_MAX + 1);
    BAD(d->modules = ~0u);
    BAD(d->range[0].start = 0x200002; d->range[0].end = 0x200001);
    BAD(d->range[0].start = 0x200800; d->range[0].end = 0x201000);
    BAD(d->range[0].end = 4 * GIB + 1);
    BAD(d->component.start = 0x1001; d->component.end = 0x2000);
    BAD(d->component.end = ~0ul);
    BAD(d->mem = 0);
    BAD(d->mem = 2 * MIB + 1);
    BAD(d->mem = 16 * GIB + PAGE_2M);
    BAD(d->vcpus = 0);
    BAD(d->vcpus = 2);
    BAD(d->depriv = 4);
    BAD(d->emulate = EMULATE_ALL + 1);
    BAD(d->guestmem = ABI_GUESTMEM_COPY + 1);
    BAD(d->depriv = 0; d->guestmem = ABI_GUESTMEM_WINDOW);
    BAD(d->depriv = 0; d->component.end = PAGE_SIZE);
    BAD(plan.domains = 2); /* the second is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_end), cmocka_unit_test(test_bad) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
