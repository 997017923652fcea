/* Edges that removing a defence moved and no other test saw: bounds, missing callbacks, what is left over, order of checks and effects.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -mno-red-zone -I . -o emul_edges_test tests/host/emul_edges_test.c emul/[a-z]*.c -lcmocka -lpthread
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "emul/state.h"
#include "emul/walk.h"
#include "tests/host/emul_fake.h"

enum { ROUNDS = 3000000, CODE = 0x1000, DATA = 0x4000, GDT = 0x5000, PML5 = 0x34000 };

static struct fake f;

static int run(void)
{
    return emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result);
}

static int run_code(const char *code, unsigned count)
{
    fake_code(&f, CODE, code, count);
    return run();
}

static int begin_and_walk(uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result)
{
    emul_begin(&f.ctx);
    return emul_walk(&f.ctx, linear, access, gpa, result);
}

/* E7: EIP is 32 bits wide where code is not 64-bit, also behind the last instruction of the 4 GiB. VM entry takes no other. */
static void test_eip_wraps(void **state)
{
    static const struct { const char *code; unsigned length; } rows[] = { { "\x90", 1 }, { "\x89\xc3", 2 }, { "\xf3\xa4", 2 }, { "\x0f\x1f\x00", 3 } };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_reset(&f, 32);
        fake_code(&f, CODE, rows[i].code, rows[i].length);
        f.state.rip = 0u - rows[i].length;
        f.state.seg[EMUL_CS].base = CODE + rows[i].length;
        assert_int_equal(run(), EMUL_DONE);
        assert_int_equal(f.state.rip, 0);
    }
}

/* E10: the shadow of STI or MOV SS lasts one instruction. */
static void test_shadow_ends(void **state)
{
    static const uint64_t shadows[] = { EMUL_SHADOW_STI, EMUL_SHADOW_MOVSS };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        fake_reset(&f, 64);
        f.state.shadow = shadows[i];
        assert_int_equal(run_code("\x90", 1), EMUL_DONE);
        assert_int_equal(f.state.shadow, 0);
        assert_true(f.ctx.changed & EMUL_STATE_RIP);
    }
}

static volatile int started, finished;
static uint64_t put, got, touched[EMUL_CAUSES];
static struct emul_walks walks;

static void *other_cpu(void *argument)
{
    put = got = 0;
    started = 1;
    for (uint64_t n = 1; !finished; n++) {
        put += n << 20;
        got += __atomic_exchange_n((uint64_t *)(f.ram + DATA), n << 20, __ATOMIC_SEQ_CST);
    }
    return argument;
}

/* E15: XCHG with memory locks without the prefix. What one CPU puts there the other one gets, or it is there at the end. */
static void test_xchg_locks(void **state)
{
    uint64_t mine = 0, theirs = 0;
    pthread_t thread;

    (void)state;
    fake_reset(&f, 64);
    fake_code(&f, CODE, "\x48\x87\x03", 3); /* XCHG [RBX], RAX */
    f.gpr[EMUL_RBX] = DATA;
    f.ctx.ram = f.ram;                 /* by pointer: the callback of the fake is no lock */
    f.ctx.ram_size = FAKE_RAM;
    f.ctx.touched = touched;
    f.ctx.walks = &walks;
    f.gpr[EMUL_RAX] = 0;
    assert_int_equal(run(), EMUL_DONE); /* which walks, and goes by callback: the others know the walk */
    started = finished = 0;
    assert_int_equal(pthread_create(&thread, NULL, other_cpu, NULL), 0);
    while (!started)
        ;
    for (uint64_t n = 1; n < ROUNDS; n++) {
        f.state.rip = CODE;
        f.gpr[EMUL_RAX] = n;
        mine += n;
        while (run() == EMUL_RETRY)
            ;
        assert_int_equal(f.result.status, EMUL_DONE);
        theirs += f.gpr[EMUL_RAX];
    }
    finished = 1;
    pthread_join(thread, NULL);
    assert_int_equal(mine + put, theirs + got + *(uint64_t *)(f.ram + DATA));
}

/* The same where RAM is not had by pointer: what locks goes by compare-exchange, and one that is lost is tried again. */
static void test_locks_by_callback(void **state)
{
    static const struct { const char *code; unsigned length; } rows[] = {
        { "\x87\x03", 2 }, { "\xf0\x01\x03", 3 }, { "\xf0\xff\x03", 3 }, { "\xf0\x0f\xc1\x03", 4 }, { "\xf0\x0f\xb1\x03", 4 }, { "\xf0\x0f\xab\x03", 4 },
        { "\xf0\x0f\xc7\x0b", 4 }, { "\x0f\xc7\x0b", 3 }, /* XCHG ADD INC XADD CMPXCHG BTS CMPXCHG8B, which is always atomic here */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_reset(&f, 32);
        f.ops.phys_map = NULL;
        f.lose = 1;
        f.gpr[EMUL_RBX] = DATA;
        f.gpr[EMUL_RCX] = 1;
        assert_int_equal(run_code(rows[i].code, rows[i].length), EMUL_DONE);
        assert_int_equal(f.lose, 0);
    }
}

/* E22: a locked operand that another CPU changes all the time costs a bounded number of tries, and nothing has changed. */
static void test_lock_bound(void **state)
{
    (void)state;
    fake_reset(&f, 32);
    f.ops.phys_map = NULL;
    f.lose = 1000000;
    f.gpr[EMUL_RBX] = DATA;
    assert_int_equal(run_code("\xf0\xff\x03", 3), EMUL_RETRY); /* LOCK INC */
    assert_in_range(f.lose, 1000000 - 1000, 1000000 - 1);
    assert_int_equal(f.state.rip, CODE);
    assert_int_equal(f.ram[DATA], 0);
    assert_int_equal(f.state.rflags, 2);
}

/* E20: devices without a callback, on each of the ways that lead to one. */
static void test_no_device(void **state)
{
    static const char code[][5] = { "\x8b\x03", "\x89\x03", "\x01\x03", "\xff\x33", "\x8b\x43\x01", "\x89\x43\x01", "\x66\x0f\xb6\x03" };

    (void)state;
    for (unsigned i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        for (unsigned known = 0; known < 2; known++) {
            fake_reset(&f, 64);
            f.ops.mmio_read = NULL;
            f.ops.mmio_write = NULL;
            f.ctx.exit_known = known;
            f.ctx.exit_gpa = FAKE_DEVICE;
            f.ctx.exit_write = i == 1;
            f.gpr[EMUL_RBX] = FAKE_DEVICE;
            assert_int_equal(run_code(code[i], 4), EMUL_UNHANDLED);
            assert_int_equal(f.state.rip, CODE);
            assert_int_equal(f.state.rsp, 0x8000);
        }
    }
}

/* E18: of what a device answers, the bytes that were asked for. Its answers here have all 64 bits. */
static void test_device_bytes(void **state)
{
    static const struct { const char *code; unsigned length; uint64_t rax; } rows[] = {
        { "\x0f\xb6\x03", 3, 0x11 }, { "\x0f\xb7\x03", 3, 0x2211 }, { "\x8b\x03", 2, 0x44332211 }, { "\x48\x0f\xbf\x03", 4, 0x2211 },
        { "\x8a\x03", 2, ~0xffull | 0x11 }, { "\x66\x8b\x03", 3, ~0xffffull | 0x2211 }, { "\x48\x63\x03", 3, 0x44332211 },
        { "\x48\x8b\x03", 3, 0x8877665544332211 }, { "\x8b\x43\x01", 3, 0x13221211 } /* bytes 1, 2 and 3, 4 in pieces of 1, 2, 1 */,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned known = 0; known < 2; known++) {
            fake_reset(&f, 64);
            f.gpr[EMUL_RAX] = ~0ull;
            f.gpr[EMUL_RBX] = FAKE_DEVICE;
            f.ctx.exit_known = known;
            f.ctx.exit_gpa = FAKE_DEVICE + (rows[i].code[1] == 0x43);
            assert_int_equal(run_code(rows[i].code, rows[i].length), EMUL_DONE);
            assert_int_equal(f.gpr[EMUL_RAX], rows[i].rax);
        }
    }
}

/* E16: SMAP with RFLAGS.AC set lets instructions at user pages, not the CPU's own accesses (SDM 3A 4.6.1). */
static void test_smap_implicit(void **state)
{
    uint64_t gpa;

    (void)state;
    fake_reset(&f, 64);
    f.state.cr4 |= CR4_SMAP;
    f.state.rflags |= RFLAGS_AC;
    assert_int_equal(begin_and_walk(DATA, 0, &gpa, &f.result), EMUL_DONE);
    assert_int_equal(gpa, DATA);
    assert_int_equal(begin_and_walk(DATA, EMUL_IMPLICIT, &gpa, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
    assert_int_equal(f.result.error, EMUL_PF_P);
    f.state.rflags &= ~(uint64_t)RFLAGS_AC;
    assert_int_equal(begin_and_walk(DATA, 0, &gpa, &f.result), EMUL_FAULT);
}

/* E16: five levels are walked as five, with nothing kept and with walks kept. */
static void test_five_levels(void **state)
{
    static struct emul_walks walks;
    static uint64_t touched[EMUL_CAUSES];

    (void)state;
    for (unsigned kept = 0; kept < 2; kept++) {
        uint64_t *pml5, gpa;

        fake_reset(&f, 64);
        memset(&walks, 0, sizeof(walks));
        pml5 = (uint64_t *)(f.ram + PML5);
        pml5[0] = 0x30067;
        *(uint64_t *)(f.ram + 0x32000 + DATA / 4096 * 8) = 0x9067; /* what four levels would find */
        pml5[1] = 0x30067;
        f.ctx.walks = kept ? &walks : NULL;
        f.ctx.touched = touched;
        f.state.cr3 = PML5;
        f.state.cr4 |= CR4_LA57;
        for (unsigned again = 0; again < 2; again++) {
            assert_int_equal(begin_and_walk(DATA, 0, &gpa, &f.result), EMUL_DONE);
            assert_int_equal(gpa, DATA);
            assert_int_equal(begin_and_walk((1ull << 48) + DATA, 0, &gpa, &f.result), EMUL_DONE);
            assert_int_equal(gpa, DATA);
            assert_int_equal(begin_and_walk((2ull << 48) + DATA, 0, &gpa, &f.result), EMUL_FAULT);
        }
        pml5[1] = 0;
        assert_int_equal(begin_and_walk((1ull << 48) + DATA, 0, &gpa, &f.result), EMUL_FAULT);
    }
}

/* E9: a descriptor whose accessed flag cannot be set is a page fault of a far transfer, and CS is as before. */
static void test_accessed_fault(void **state)
{
    static const char *const code[] = { "\xff\x2b", "\xff\x1b" }; /* JMP, CALL far [RBX] */

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct emul_state before;

        fake_reset(&f, 64);
        *(uint64_t *)(f.ram + 0x32008) = 0xe5; /* RAM once more at 2 MiB, read-only: the GDT is there */
        *(uint64_t *)(f.ram + GDT + 8) = 0x00af9a000000ffff;
        f.state.gdtr = (struct emul_table){ .base = 0x200000 + GDT, .limit = 15 };
        f.state.seg[EMUL_CS].selector = 0x10;
        memcpy(f.ram + DATA, "\x00\x20\x00\x00\x08\x00", 6);
        f.gpr[EMUL_RBX] = DATA;
        fake_code(&f, CODE, code[i], 2);
        before = f.state;
        assert_int_equal(run(), EMUL_FAULT);
        assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
        assert_int_equal(f.result.error, EMUL_PF_P | EMUL_PF_W);
        assert_int_equal(f.result.cr2, 0x200000 + GDT + 8 + 5);
        assert_memory_equal(&f.state, &before, sizeof(before));
        assert_int_equal(*(uint64_t *)(f.ram + 0x7ff8), 0);
        *(uint64_t *)(f.ram + 0x32008) = 0xe7;
        assert_int_equal(run(), EMUL_DONE);
        assert_int_equal(f.state.seg[EMUL_CS].selector, 8);
        assert_int_equal(f.state.rip, 0x2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eip_wraps), cmocka_unit_test(test_shadow_ends), cmocka_unit_test(test_xchg_locks), cmocka_unit_test(test_locks_by_callback),
        cmocka_unit_test(test_lock_bound), cmocka_unit_test(test_no_device), cmocka_unit_test(test_device_bytes),
        cmocka_unit_test(test_smap_implicit), cmocka_unit_test(test_five_levels), cmocka_unit_test(test_accessed_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
