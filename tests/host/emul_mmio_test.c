/* Moves to and from device memory, instruction lengths, and the fetch, on a fake vcpu.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_mmio_test \
 *     tests/host/emul_mmio_test.c emul/[a-z]*.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/host/emul_fake.h"

enum { CODE = 0x1000, DATA = 0x4000 };
#define READ 0x8877665544332211ull /* what the device answers first */

static struct fake f;

struct row {
    unsigned bits;
    const char *code;
    unsigned count;
    char kind;                 /* the device sees r or w */
    unsigned size;
    uint64_t value;            /* written, or RAX after */
};

#define ROW(bits, code, kind, size, value) { bits, code, sizeof(code) - 1, kind, size, value }

static void prepare(unsigned bits, const char *code, unsigned count)
{
    fake_reset(&f, bits);
    fake_code(&f, CODE, code, count);
    f.gpr[EMUL_RAX] = 0xaaaabbbbccccddddull;
    f.gpr[EMUL_RCX] = 0x1111222233334444ull;
    f.gpr[EMUL_RBX] = f.gpr[EMUL_RDI] = f.gpr[EMUL_RSI] = FAKE_DEVICE;
}

static void test_moves(void **state)
{
    static const struct row rows[] = {
        ROW(32, "\x88\x0b", 'w', 1, 0x44), ROW(32, "\x88\x2b", 'w', 1, 0x44), ROW(32, "\x89\x0b", 'w', 4, 0x33334444),
        ROW(64, "\x66\x89\x0b", 'w', 2, 0x4444), ROW(64, "\x48\x89\x0b", 'w', 8, 0x1111222233334444),
        ROW(64, "\x88\x23", 'w', 1, 0xdd), ROW(64, "\x40\x88\x23", 'w', 1, 0x00), /* AH, SPL */
        ROW(32, "\xc6\x03\x7f", 'w', 1, 0x7f), ROW(64, "\xc7\x03\xff\xff\xff\xff", 'w', 4, 0xffffffff),
        ROW(64, "\x48\xc7\x03\xfe\xff\xff\xff", 'w', 8, 0xfffffffffffffffe),
        ROW(32, "\xa2\x00\x00\xe0\xfe", 'w', 1, 0xdd), ROW(32, "\xa3\x00\x00\xe0\xfe", 'w', 4, 0xccccdddd),
        ROW(64, "\x8a\x03", 'r', 1, 0xaaaabbbbccccdd11), ROW(64, "\x66\x8b\x03", 'r', 2, 0xaaaabbbbcccc2211),
        ROW(64, "\x8b\x03", 'r', 4, 0x44332211), ROW(64, "\x48\x8b\x03", 'r', 8, READ),
        ROW(64, "\x8a\x23", 'r', 1, 0xaaaabbbbcccc11dd), /* AH */
        ROW(32, "\xa0\x00\x00\xe0\xfe", 'r', 1, 0xaaaabbbbccccdd11), ROW(32, "\xa1\x00\x00\xe0\xfe", 'r', 4, 0x44332211),
        ROW(64, "\xa1\x00\x00\xe0\xfe\x00\x00\x00\x00", 'r', 4, 0x44332211),
        ROW(64, "\x0f\xb6\x03", 'r', 1, 0x11), ROW(64, "\x66\x0f\xb6\x03", 'r', 1, 0xaaaabbbbcccc0011), ROW(64, "\x0f\xb7\x03",
        'r', 2, 0x2211),
        ROW(64, "\x48\x0f\xbe\x03", 'r', 1, 0x11), ROW(64, "\x48\x0f\xbf\x03", 'r', 2, 0x2211), ROW(64, "\x48\x63\x03", 'r', 4, 0x44332211),
        ROW(64, "\xac", 'r', 1, 0xaaaabbbbccccdd11), ROW(64, "\xab", 'w', 4, 0xccccdddd),
        ROW(64, "\xa4", 'r', 1, 0xaaaabbbbccccdddd),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];

        prepare(r->bits, r->code, r->count);
        if ((uint8_t)r->code[1] == 0x2b)
            f.gpr[EMUL_RCX] = 0x4400; /* CH */
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.state.rip, CODE + r->count);
        assert_int_equal(f.log[0].kind, r->kind);
        assert_int_equal(f.log[0].size, r->size);
        assert_int_equal(f.log[0].where, FAKE_DEVICE);
        assert_int_equal(r->kind == 'w' ? f.log[0].value : f.gpr[EMUL_RAX], r->value);
    }
}

static void test_sign(void **state)
{
    (void)state;
    prepare(64, "\x48\x0f\xbe\x03", 4);
    f.next_input = 0x80 - 0x11; /* the device answers ...80 */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RAX], 0xffffffffffffff80);
    prepare(64, "\x0f\xbe\x03", 3);
    f.next_input = 0x80 - 0x11;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RAX], 0xffffff80);
}

static void test_addresses(void **state)
{
    (void)state;
    prepare(64, "\x8b\x84\x8d\x00\x01\x00\x00", 7); /* [rbp + rcx * 4 + 0x100] */
    f.gpr[EMUL_RBP] = FAKE_DEVICE - 0x100 - 0x40;
    f.gpr[EMUL_RCX] = 0x10;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    prepare(64, "\x8b\x44\x24\x08", 4); /* [rsp + 8] */
    f.state.rsp = FAKE_DEVICE;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.log[0].where, FAKE_DEVICE + 8);
    prepare(64, "\x67\x8b\x03", 3); /* [ebx]: upper half ignored */
    f.gpr[EMUL_RBX] |= 0x500000000;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    prepare(64, "\x89\x05\xfa\xef\xdf\x7e", 6); /* RIP-relative, to the device's second mapping */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.log[0].where, FAKE_DEVICE);
    prepare(16, "\x65\x8b\x42\x10", 4); /* gs:[bp + si + 16], unreal base */
    f.state.seg[EMUL_GS].base = FAKE_DEVICE;
    f.gpr[EMUL_RBP] = 0xfffffff0;
    f.gpr[EMUL_RSI] = 0x20;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.log[0].where, FAKE_DEVICE + 0x20);
    prepare(64, "\x48\x89\x0b", 3); /* 8 bytes at 3: pieces as aligned as they can be */
    f.gpr[EMUL_RBX] += 3;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.events, 4);
    assert_int_equal(f.log[1].size, 4);
    assert_int_equal(f.log[1].value, 0x22333344);
}

static void test_strings(void **state)
{
    (void)state;
    prepare(64, "\xf3\xab", 2); /* rep stosd to the end of the device's page and into the next */
    f.gpr[EMUL_RDI] = FAKE_DEVICE + 0xff8;
    f.gpr[EMUL_RCX] = 5;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.gpr[EMUL_RCX], 0);
    assert_int_equal(f.events, 5);
    prepare(64, "\xf3\xa4", 2); /* rep movsb from RAM, bounded */
    f.gpr[EMUL_RSI] = DATA;
    f.gpr[EMUL_RCX] = 6000;
    f.state.rflags |= 0x400;
    f.gpr[EMUL_RSI] = DATA + 6000;
    f.gpr[EMUL_RDI] = FAKE_DEVICE + 6000;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.result.iterations, EMUL_REP_MAX);
    assert_int_equal(f.gpr[EMUL_RDI], FAKE_DEVICE + 6000 - EMUL_REP_MAX);
    prepare(64, "\xa5", 1); /* movs whose destination faults does not read the device */
    f.gpr[EMUL_RDI] = 0x10000000000;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.cr2, 0x10000000000);
    assert_int_equal(f.events, 0);
}

static void test_refusals(void **state)
{
    char text[64];

    (void)state;
    prepare(64, "\xdf\x23", 2); /* fbld */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_UNHANDLED);
    emul_describe(&f.result, text, sizeof(text));
    assert_string_equal(text, "X87 (df 23)");
    emul_describe(&f.result, text, 6);
    assert_string_equal(text, "X87");
    prepare(64, "\x89\xc3", 2); /* no memory operand any more */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_RETRY);
    prepare(64, "\x0f\x0b", 2);
    f.ram[CODE + 1] = 0x04; /* 0F 04 does not exist */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_RETRY);
    for (unsigned hook = 0; hook < sizeof(f.ops) / sizeof(void *); hook++) {
        prepare(64, "\x48\xa5", 2);
        ((void **)&f.ops)[hook] = NULL;
        assert_in_range(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE, EMUL_UNHANDLED);
    }
}

struct sized { unsigned bits; const char *code; unsigned length, class; };

static void test_lengths(void **state)
{
    static const struct sized rows[] = {
        { 64, "\x0f\xa2", 2, EMUL_CLASS_CPUID }, { 64, "\x66\x0f\xa2", 3, EMUL_CLASS_CPUID }, { 16, "\x0f\x32", 2, EMUL_CLASS_RDMSR },
        { 32, "\x0f\x30", 2, EMUL_CLASS_WRMSR }, { 16, "\xf4", 1, EMUL_CLASS_HLT }, { 64, "\x0f\x01\xd1", 3, EMUL_CLASS_XSETBV },
        { 64, "\x0f\x08", 2, EMUL_CLASS_INVD }, { 64, "\xf3\x0f\x09", 3, EMUL_CLASS_WBINVD }, { 64, "\x0f\x31", 2, EMUL_CLASS_RDTSC },
        { 64, "\x0f\x01\xf9", 3, EMUL_CLASS_RDTSCP }, { 64, "\x0f\x33", 2, EMUL_CLASS_RDPMC }, { 64, "\xf3\x90", 2, EMUL_CLASS_PAUSE },
        { 64, "\x0f\x01\xd9", 3, EMUL_CLASS_VMMCALL }, { 64, "\x0f\x01\xc8", 3, EMUL_CLASS_MONITOR }, { 64, "\x0f\x01\xc9", 3,
        EMUL_CLASS_MWAIT },
        { 64, "\x44\x0f\x20\xc0", 4, EMUL_CLASS_MOVCR }, { 32, "\x0f\x22\xc0", 3, EMUL_CLASS_MOVCR }, { 16, "\x0f\x01\x36\x34\x12",
        5, EMUL_CLASS_LMSW },
        { 32, "\x0f\x06", 2, EMUL_CLASS_CLTS }, { 32, "\xcd\x80", 2, EMUL_CLASS_INT }, { 64, "\xcc", 1, EMUL_CLASS_INT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_reset(&f, rows[i].bits);
        fake_code(&f, CODE, rows[i].code, rows[i].length);
        assert_int_equal(emul_length(&f.ctx, rows[i].class, &f.result), EMUL_DONE);
        assert_int_equal(f.result.insn->length, rows[i].length);
        assert_int_equal(f.state.rip, CODE);
        assert_int_equal(emul_length(&f.ctx, (rows[i].class + 1) % EMUL_CLASSES, &f.result), EMUL_RETRY);
        assert_int_equal(f.result.class, rows[i].class);
    }
}

static void test_fetch(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);
    static const uint8_t given[] = { 0x2e, 0x0f };

    (void)state;
    fake_reset(&f, 64);
    low[0] = 0x34067;
    table[5] = 0x5067;
    table[0x34] = 0x34067;
    fake_code(&f, 0x5ffe, "\x2e\x0f", 2);
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_CPUID, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
    assert_int_equal(f.result.cr2, 0x6000);
    assert_int_equal(f.result.error, 0x10); /* NXE is on: the fetch shows */
    table[6] = 0x8067;
    f.ram[0x8000] = 0xa2;
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_CPUID, &f.result), EMUL_DONE);
    assert_int_equal(f.result.insn->length, 3);
    f.ctx.bytes = given; /* bytes from the CPU end in the middle */
    f.ctx.byte_count = 2;
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_CPUID, &f.result), EMUL_DONE);
    fake_reset(&f, 64);
    fake_code(&f, CODE, "\xf4", 1);
    f.ram[CODE] = 0x90;
    f.ctx.bytes = (const uint8_t *)"\xf4";
    f.ctx.byte_count = 1; /* E3: what the CPU saw counts, and no memory is read */
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_HLT, &f.result), EMUL_DONE);
    assert_int_equal(f.counts[EMUL_FOR_FETCH] + f.counts[EMUL_FOR_WALK], 0);
    f.ctx.byte_count = 0;
    f.state.rip = 0x7fffffffffff; /* E7: the end of the lower half */
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_HLT, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
    f.state.rip++;
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_HLT, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_GP);
}

static void test_fetch_limits(void **state)
{
    (void)state;
    for (unsigned limit = CODE; limit < CODE + 3; limit++) { /* CS ends within 66 0F A2: #GP(0); behind it: fine */
        fake_reset(&f, 32);
        fake_code(&f, CODE, "\x66\x0f\xa2", 3);
        f.state.seg[EMUL_CS].limit = limit;
        assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_CPUID, &f.result), limit < CODE + 2 ? EMUL_FAULT : EMUL_DONE);
        if (limit < CODE + 2)
            assert_int_equal(f.result.vector, EMUL_VECTOR_GP);
    }
    fake_reset(&f, 32);
    memset(f.ram + CODE, 0x66, 16); /* E11: prefixes without end */
    f.state.rip = CODE;
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_CPUID, &f.result), EMUL_RETRY);
    fake_reset(&f, 16);
    f.state.seg[EMUL_CS].base = 0x3000;
    fake_code(&f, 0x4000, "\xf4", 1);
    f.state.rip = 0x1000;
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_HLT, &f.result), EMUL_DONE);
    f.state.rip = 0x10000; /* E7: behind a 64 KiB segment */
    assert_int_equal(emul_length(&f.ctx, EMUL_CLASS_HLT, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_GP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves), cmocka_unit_test(test_sign), cmocka_unit_test(test_addresses), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_lengths), cmocka_unit_test(test_fetch), cmocka_unit_test(test_fetch_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
