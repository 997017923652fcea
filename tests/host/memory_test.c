/* The division of memory: each frame of the boot loader's map that is whole and unused belongs to the pool or to the guests, once; others to nobody.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -DSETUP_HOST -o memory_test \
 *     tests/host/memory_test.c depriv/setup/memory.c -lcmocka
 */
// sources: -DSETUP_HOST depriv/setup/memory.c
#include "tests/host/boot_stub.h"

#define FRAMES 1024u              /* 2 GiB */
#define IMAGE_START (2 * MIB)
#define IMAGE_END   (5 * MIB)

static struct setup boot;

static void divide(void)
{
    memset(&plan, 0, sizeof(plan));
    memory_divide(&boot, IMAGE_START, IMAGE_END);
}

static bool used(u64 start, u64 end, u64 frame)
{
    return start < (frame + 1) * PAGE_2M && frame * PAGE_2M < end;
}

/* By the boot loader's map alone, frame by frame. Ranges that touch make a frame together only where both are whole frames. */
static bool is_free(u64 frame)
{
    bool free = false;
    for (u32 i = 0; i < boot.ranges; i++)
        free |= boot.range[i].start <= frame * PAGE_2M && (frame + 1) * PAGE_2M <= boot.range[i].end;
    free &= frame > 0 && !used(IMAGE_START, IMAGE_END, frame);
    for (u32 i = 0; i < boot.modules; i++)
        free &= !used(boot.module[i].start, boot.module[i].end, frame);
    return free;
}

static void check(void)
{
    for (u64 frame = 0; frame < FRAMES + 8; frame++) {
        u32 owners = used(plan.pool.start, plan.pool.end, frame);
        for (u32 i = 0; i < plan.ranges; i++)
            owners += used(plan.range[i].start, plan.range[i].end, frame);
        if (owners != is_free(frame))
            fail_msg("frame %lu has %u owners", frame, owners);
    }
    for (u32 i = 0; i < plan.ranges; i++)
        assert_true(plan.range[i].start < plan.range[i].end && !((plan.range[i].start | plan.range[i].end) % PAGE_2M));
}

static void test_plain(void **state)
{
    (void)state;
    boot = (struct setup){ .ranges = 3, .range = { { 0, 0x9f000 }, { MIB, 512 * MIB }, { 4 * GIB, 6 * GIB + 1 } } };
    divide();
    assert_int_equal(plan.pool.end, 512 * MIB);
    assert_int_equal(plan.pool.end - plan.pool.start, 80 * MIB); /* a 32nd, in frames */
    assert_int_equal(plan.ranges, 2);
    assert_int_equal(plan.range[1].start == 4 * GIB ? plan.range[1].end : plan.range[0].end, 6 * GIB);
    boot.pool = 4;
    divide();
    assert_int_equal(plan.pool.start, 508 * MIB);
    boot.ranges = 2;
    boot.pool = 0;
    divide();
    assert_int_equal(plan.pool.end - plan.pool.start, 16 * MIB);
    boot.range[1].end = 1ul << 41; /* no frame from 1 TiB on */
    divide();
    assert_int_equal(plan.pool.end, 4 * GIB);
    assert_int_equal(plan.pool.end - plan.pool.start, 256 * MIB);
    for (u32 i = 0; i < plan.ranges; i++)
        assert_in_range(plan.range[i].end, 0, 1ul << 40);
}

static void test_touching(void **state)
{
    (void)state;
    boot = (struct setup){ .ranges = 2, .range = { { MIB, 14 * MIB }, { 14 * MIB, 24 * MIB } } }; /* neither holds it alone */
    divide();
    assert_int_equal(plan.pool.end, 24 * MIB);
}

static void test_little(void **state)
{
    (void)state;
    boot = (struct setup){ .ranges = 1, .range = { { MIB, 20 * MIB } } };
    assert_int_equal(stops(divide), 1);
    assert_memory_equal(stub_text, "too little memory: the hypervisor's pool needs 16 MiB", 50);
    boot.range[0] = (struct abi_range){ 4 * GIB, 8 * GIB };
    assert_int_equal(stops(divide), 1);
}

static void test_random(void **state)
{
    u64 seed = 1;
    unsigned taken = 0;
    (void)state;
    for (unsigned round = 0; round < 5000; round++) {
        memset(&boot, 0, sizeof(boot));
        boot.pool = 4;
        boot.ranges = 1 + round % 12;
        for (u32 i = 0; i < boot.ranges + 5; i++) {
            u64 start, end;
            seed = seed * 6364136223846793005ul + 1442695040888963407ul;
            start = (seed >> 40) % (FRAMES * 2) * MIB + (seed >> 33 & 1 ? seed >> 50 : 0);
            end = start + (seed >> 20) % (200 * MIB);
            if (i < boot.ranges)
                boot.range[i] = (struct abi_range){ start, min_u64(end, FRAMES * PAGE_2M) > start ? min_u64(end, FRAMES * PAGE_2M) : start };
            else
                boot.module[boot.modules++] = (struct setup_module){ start, start + (end - start) / 8, "" };
        }
        if (stops(divide))
            continue;
        taken++;
        check();
    }
    assert_in_range(taken, 3000, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_touching), cmocka_unit_test(test_little), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
