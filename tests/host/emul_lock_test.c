/* LOCK against another CPU: one thread counts with the emulator, one with the processor, on the same word (ATTACKS E15).
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -mno-red-zone -I . -o emul_lock_test tests/host/emul_lock_test.c emul/[a-z]*.c -lcmocka -lpthread
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "tests/host/emul_fake.h"

enum { CODE = 0x1000, DATA = 0x4000, ROUNDS = 200000 };

static struct fake f;
static volatile int started, finished;
static uint32_t others;

/* The fake's, but atomic; memory and word are the same. */
static int lock_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    uint32_t expected, wanted;

    (void)opaque;
    (void)cause;
    assert_int_equal(size, sizeof(expected));
    memcpy(&expected, old, sizeof(expected));
    memcpy(&wanted, new_value, sizeof(wanted));
    return !__atomic_compare_exchange_n((uint32_t *)(f.ram + gpa), &expected, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *other_cpu(void *argument)
{
    others = 0;
    started = 1;
    for (; !finished; others++)
        __atomic_add_fetch((uint32_t *)(f.ram + DATA), 1, __ATOMIC_SEQ_CST);
    return argument;
}

/* Runs the instruction ROUNDS times beside the other thread; how many of the additions of both are missing. A lost race past the bound is
 * tried again, as Rung would. */
static uint32_t race(const char *code, unsigned count)
{
    pthread_t thread;

    fake_reset(&f, 64);
    f.ops.phys_cmpxchg = lock_cmpxchg;
    fake_code(&f, CODE, code, count);
    f.gpr[EMUL_RBX] = DATA;
    started = finished = 0;
    assert_int_equal(pthread_create(&thread, NULL, other_cpu, NULL), 0);
    while (!started)
        ;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int status;

        f.state.rip = CODE;
        f.gpr[EMUL_RAX] = 1;
        do
            status = emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result);
        while (status == EMUL_RETRY);
        assert_int_equal(status, EMUL_DONE);
    }
    finished = 1;
    pthread_join(thread, NULL);
    return ROUNDS + others - *(uint32_t *)(f.ram + DATA);
}

static void test_locked(void **state)
{
    (void)state;
    assert_int_equal(race("\xf0\xff\x03", 3), 0);     /* LOCK INC */
    assert_int_equal(race("\xf0\x01\x03", 3), 0);     /* LOCK ADD */
    assert_int_equal(race("\xf0\x0f\xc1\x03", 4), 0); /* LOCK XADD */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_locked) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
