/* The page walker against a second walker that is written from the tables of SDM 3A chapter 4, over all rights, and by hand-made cases.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_walk_test \
 *     tests/host/emul_walk_test.c emul/walk.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "emul/walk.h"
#include "tests/host/emul_fake.h"

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };
#define NX (1ull << 63)

static struct fake f;

static void put(uint64_t at, unsigned size, uint64_t value)
{
    memcpy(f.ram + at, &value, size);
}

static uint64_t get(uint64_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, f.ram + at, size);
    return value;
}

static void set_mode(uint64_t cr4, uint64_t efer)
{
    fake_reset(&f, 32);
    f.state.cr0 = 0x80000001;
    f.state.cr4 = cr4;
    f.state.efer = efer;
    f.state.cr3 = 0x1000;
}

/* What an access must give: 0, or the error code + 1. */
static unsigned expected(const uint64_t *entry, unsigned levels, unsigned access)
{
    int user = !!(access & EMUL_PF_U), write = !!(access & EMUL_PF_W), fetch = !!(access & EMUL_PF_FETCH);
    int nxe = !!(f.state.efer & 0x800), wp = !!(f.state.cr0 & 0x10000), page_user = 1, page_write = 1, page_nx = 0, bad = 0;
    unsigned code = (write ? 2 : 0) | (user ? 4 : 0) | (fetch && (nxe || (f.state.cr4 & CR4_SMEP)) ? 0x10 : 0);

    for (unsigned i = 0; i < levels; i++) {
        if (!(entry[i] & P))
            return code + 1;
        if ((entry[i] & NX) && !nxe)
            return code + 0x9 + 1;
        page_user &= !!(entry[i] & US);
        page_write &= !!(entry[i] & RW);
        page_nx |= !!(entry[i] & NX);
    }
    bad |= user && !page_user;
    bad |= write && !page_write && (user || wp);
    bad |= fetch && page_nx;
    bad |= fetch && !user && page_user && (f.state.cr4 & CR4_SMEP);
    bad |= !fetch && !user && page_user && (f.state.cr4 & CR4_SMAP) && !(f.state.rflags & 0x40000);
    return bad ? code + 1 + 1 : 0;
}

static int begin_and_walk(uint64_t linear, unsigned access, uint64_t *gpa)
{
    emul_begin(&f.ctx);
    return emul_walk(&f.ctx, linear, access, gpa, &f.result);
}

static unsigned walk(uint64_t linear, unsigned access, uint64_t *gpa)
{
    int status = begin_and_walk(linear, access, gpa);

    if (status == EMUL_DONE)
        return 0;
    assert_int_equal(status, EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
    assert_int_equal(f.result.cr2, linear);
    return f.result.error + 1;
}

/* All of P, RW, US, NX in the two lowest levels of 4-level paging, with each control bit and kind of access. */
static void test_rights(void **state)
{
    static const uint64_t bits[4] = { P, RW, US, NX };

    (void)state;
    for (unsigned n = 0; n < 1u << 17; n++) {
        uint64_t marks = n >> 16 ? A | D : 0; /* marked before: the quick way */
        uint64_t entry[4] = { 0x2000 | P | RW | US | marks, 0x3000 | P | RW | US | marks, 0x4000 | marks, 0x5000 | marks }, gpa;
        unsigned access = (n >> 12 & 1 ? EMUL_PF_W : 0) | (n >> 13 & 1 ? EMUL_PF_U : 0) | (n >> 14 & 1 ? EMUL_PF_FETCH : 0);
        unsigned want;

        if ((access & EMUL_PF_W) && (access & EMUL_PF_FETCH))
            continue;
        set_mode(CR4_PAE | (n >> 8 & 1 ? CR4_SMEP : 0) | (n >> 9 & 1 ? CR4_SMAP : 0), 0x500 | (n >> 10 & 1 ? 0x800 : 0));
        f.state.cr0 |= n >> 11 & 1 ? 0x10000 : 0;
        f.state.rflags |= n >> 15 & 1 ? 0x40000 : 0;
        for (unsigned i = 0; i < 8; i++)
            entry[2 + i / 4] |= n >> i & 1 ? bits[i % 4] : 0;
        put(0x1000, 8, entry[0]);
        put(0x2000, 8, entry[1]);
        put(0x3000 + 8, 8, entry[2]);
        put(0x4000 + 16, 8, entry[3]);
        want = expected(entry, 4, access);
        assert_int_equal(walk(0x202345, access, &gpa), want);
        if (want) {
            assert_int_equal(get(0x4010, 8), entry[3]); /* nothing is marked by an access that faults */
            continue;
        }
        assert_int_equal(gpa, 0x5345);
        assert_int_equal(get(0x3008, 8), entry[2] | A);
        assert_int_equal(get(0x4010, 8), entry[3] | A | (access & EMUL_PF_W ? D : 0));
    }
}

struct one {
    const char *name;
    uint64_t cr4, efer, linear;
    unsigned size;                   /* of an entry */
    uint64_t entry[5];               /* from the top, 0: ends */
    unsigned error;                  /* error code + 1, or 0 */
    uint64_t gpa;
    unsigned access;
};

/* Tables at 0x1000, 0x2000, ... are linked by the entries; index by the linear address. */
static void run(const struct one *c)
{
    static const uint8_t shift64[] = { 12, 21, 30, 39, 48 }, shift32[] = { 12, 22 };
    unsigned levels = c->efer & 0x400 ? c->cr4 & CR4_LA57 ? 5 : 4 : c->cr4 & CR4_PAE ? 3 : 2;
    uint64_t gpa = 0, table = 0x1000;

    set_mode(c->cr4, c->efer);
    for (unsigned i = 0; i < levels && c->entry[i]; i++) {
        unsigned shift = c->size == 8 ? shift64[levels - 1 - i] : shift32[levels - 1 - i];

        put(table + (c->linear >> shift & (c->size == 8 ? 0x1ff : 0x3ff)) * c->size, c->size, c->entry[i]);
        table += 0x1000;
    }
    for (unsigned again = 0; again < 2; again++) { /* then with the accessed flags set */
        if (walk(c->linear, c->access, &gpa) != c->error || (!c->error && gpa != c->gpa)) {
            print_message("%s: error %x gpa %llx\n", c->name, f.result.error, (unsigned long long)gpa);
            fail();
        }
        for (unsigned i = 0; i < 0x5000 && c->size == 8 && !(c->cr4 & CR4_PAE && !(c->efer & 0x400)); i += 8)
            put(0x1000 + i, 8, get(0x1000 + i, 8) | (get(0x1000 + i, 8) & P ? A : 0));
    }
}

static void test_formats(void **state)
{
    static const struct one cases[] = {
        { "32-bit", 0, 0, 0x00c03123, 4, { 0x2007, 0x5007 }, 0, 0x5123, 0 },
        { "32-bit, PS without PSE is ignored", 0, 0, 0x00c03123, 4, { 0x2087, 0x5007 }, 0, 0x5123, 0 },
        { "PSE", CR4_PSE, 0, 0x00c03123, 4, { 0x00800087 }, 0, 0x00803123, 0 },
        { "PSE-36", CR4_PSE, 0, 0x00c03123, 4, { 0x0080e087 }, 0, 0x700803123, 0 },
        { "PSE-36 above MAXPHYADDR 39", CR4_PSE, 0, 0x00c03123, 4, { 0x00900087 }, 0x9 + 1, 0, 0 },
        { "PSE bit 21", CR4_PSE, 0, 0x00c03123, 4, { 0x00a00087 }, 0x9 + 1, 0, 0 },
        { "not present at the top", 0, 0, 0x00c03123, 4, { 0x2006 }, 0 + 1, 0, 0 },
        { "PAE", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x3007, 0x5007 }, 0, 0x5123, 0 },
        { "PAE, rights of the pointer are none", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x3007, 0x5007 }, 0, 0x5123, 7 & ~1 },
        { "PAE pointer, reserved RW", CR4_PAE, 0, 0xc0603123, 8, { 0x2003, 0x3007, 0x5007 }, 0x9 + 1, 0, 0 },
        { "PAE 2 MiB", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x600087 }, 0, 0x603123, 0 },
        { "PAE 2 MiB, reserved bit 13", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x602087 }, 0x9 + 1, 0, 0 },
        { "PAE bit 52", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x3007, 0x0010000000005007 }, 0x9 + 1, 0, 0 },
        { "PAE bit 63 without NXE", CR4_PAE, 0, 0xc0603123, 8, { 0x2001, 0x3007, NX | 0x5007 }, 0x9 + 1, 0, 0 },
        { "PAE fetch, NX", CR4_PAE, 0x800, 0xc0603123, 8, { 0x2001, 0x3007, NX | 0x5007 }, 0x11 + 1, 0, EMUL_PF_FETCH },
        { "4-level", CR4_PAE, 0xd00, 0xffff800040603123, 8, { 0x2007, 0x3007, 0x4007, 0x5007 }, 0, 0x5123, 0 },
        { "4-level, bit 52 is ignored", CR4_PAE, 0xd00, 0x603123, 8, { 0x2007, 0x3007, 0x4007, 0x0010000000005007 }, 0, 0x5123, 0 },
        { "4-level, address above MAXPHYADDR", CR4_PAE, 0xd00, 0x603123, 8, { 0x2007, 0x3007, 0x4007, 0x8000005007 }, 0x9 + 1, 0, 0 },
        { "4-level, PS at the top", CR4_PAE, 0xd00, 0x603123, 8, { 0x2087, 0x3007, 0x4007, 0x5007 }, 0x9 + 1, 0, 0 },
        { "1 GiB", CR4_PAE, 0xd00, 0x40603123, 8, { 0x2007, 0x40000087 }, 0, 0x40603123, 0 },
        { "1 GiB, reserved bit 29", CR4_PAE, 0xd00, 0x40603123, 8, { 0x2007, 0x60000087 }, 0x9 + 1, 0, 0 },
        { "2 MiB, PAT bit", CR4_PAE, 0xd00, 0x603123, 8, { 0x2007, 0x3007, 0x601087 }, 0, 0x603123, 0 },
        { "5-level", CR4_PAE | CR4_LA57, 0xd00, 0x00ff800040603123, 8, { 0x2007, 0x3007, 0x4007, 0x5007, 0x6007 }, 0, 0x6123, 0 },
        { "5-level, PS at the top", CR4_PAE | CR4_LA57, 0xd00, 0x603123, 8, { 0x2087, 0x3007, 0x4007, 0x5007, 0x6007 }, 0x9 + 1, 0, 0 },
        { "table outside RAM", CR4_PAE, 0xd00, 0x603123, 8, { 0x7000000007 }, 0x9 + 1, 0, 0 },
        { "supervisor, no WP: writes", CR4_PAE, 0xd00, 0x603123, 8, { 0x2007, 0x3007, 0x4007, 0x5005 }, 0, 0x5123, EMUL_PF_W },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run(&cases[i]);
}

static void test_no_1g(void **state)
{
    const struct one c = { "1 GiB without the feature", CR4_PAE, 0xd00, 0x40603123, 8, { 0x2007, 0x40000087 }, 0x9 + 1, 0, 0 };
    uint64_t gpa;

    (void)state;
    run(&(struct one){ "with", CR4_PAE, 0xd00, 0x40603123, 8, { 0x2007, 0x40000087 }, 0, 0x40603123, 0 });
    f.ctx.features = 0;
    assert_int_equal(walk(c.linear, 0, &gpa), c.error);
}

/* E16: keys apply to user pages and data alone; write-disable to the supervisor only with WP. */
static void test_keys(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 64; n++) {
        unsigned pkru = n & 3, wp = n >> 2 & 1, access = (n >> 3 & 1 ? EMUL_PF_W : 0) | (n >> 4 & 1 ? EMUL_PF_U : 0), user_page = n >> 5;
        int denied = user_page && ((pkru & 1) || ((pkru & 2) && (access & EMUL_PF_W) && ((access & EMUL_PF_U) || wp)));
        int rights = (access & EMUL_PF_U) && !user_page;
        uint64_t gpa;

        set_mode(CR4_PAE | CR4_PKE, 0xd00);
        f.state.cr0 |= wp ? 0x10000 : 0;
        f.ctx.pkru = pkru << 2 * 9;
        put(0x1000, 8, 0x2007);
        put(0x2000, 8, 0x3007);
        put(0x3000, 8, 0x4007);
        put(0x4000, 8, 0x5003 | (user_page ? US : 0) | 9ull << 59);
        assert_int_equal(walk(0x10, access, &gpa), denied ? (access | 0x21) + 1 : rights ? (access | 1) + 1 : 0);
        if (!(access & EMUL_PF_W) && user_page) /* keys do not stop fetches */
            assert_int_equal(walk(0x10, access | EMUL_PF_FETCH, &gpa), 0);
    }
}

static void test_races(void **state)
{
    uint64_t gpa;

    (void)state;
    set_mode(0, 0);
    put(0x1000, 4, 0x2007);
    put(0x2000, 4, 0x5007);
    f.lose = 3;
    assert_int_equal(walk(0x10, 0, &gpa), 0);
    assert_int_equal(get(0x2000, 4), 0x5027);
    set_mode(CR4_PAE, 0xd00); /* a write to a page that was only read */
    for (unsigned table = 0x1000; table < 0x5000; table += 0x1000)
        put(table, 8, (table + 0x1000) | 0x27);
    assert_int_equal(walk(0, EMUL_PF_W, &gpa), 0);
    assert_int_equal(get(0x4000, 8), 0x5067);
    set_mode(0, 0);
    put(0x1000, 4, 0x2027);
    put(0x2000, 4, 0x5007);
    f.lose = 1000;
    assert_int_equal(begin_and_walk(0x10, 0, &gpa), EMUL_RETRY);
    assert_in_range(f.lose, 900, 999); /* bounded */
    f.ops.phys_cmpxchg = NULL;
    assert_int_equal(begin_and_walk(0x10, 0, &gpa), EMUL_UNHANDLED);
    f.ops.phys_map = NULL;
    put(0x2000, 4, 0x5027);
    assert_int_equal(walk(0x10, 0, &gpa), 0);
    f.ops.phys_read = NULL;
    assert_int_equal(begin_and_walk(0x10, 0, &gpa), EMUL_UNHANDLED);
    f.state.cr0 = 1;
    assert_int_equal(walk(0x12345678, 0, &gpa), 0);
    assert_int_equal(gpa, 0x12345678);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rights), cmocka_unit_test(test_formats), cmocka_unit_test(test_no_1g),
                                        cmocka_unit_test(test_keys), cmocka_unit_test(test_races) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
