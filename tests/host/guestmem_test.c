/* Guest memory as ring 3 reaches it, by each policy, against a fake ring 0: the bytes, the calls made for them, the counts. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "depriv/guestmem.h"

#define RAM_LOW  (160ull << 20) /* more than there are windows */
#define RAM_HIGH (4ull << 20)
#define SPACE    (ABI_HIGH_BASE + RAM_HIGH)

static int fd;
static uint8_t *ram;                                   /* byte g of guest memory at ram + g */
static uint8_t *window_area;
static uint64_t window_frame[ABI_WINDOWS];             /* 1 + frame, 0: not mapped */
static struct abi_frame frame;
static unsigned calls, refused;

static uint64_t file_offset(uint64_t gpa) { return gpa < ABI_HIGH_BASE ? gpa : gpa - ABI_HIGH_BASE + RAM_LOW; }

static long map_window(uint64_t window, uint64_t gpa)
{
    uint64_t start = gpa & ~(ABI_WINDOW_SIZE - 1);
    void *at = window_area + window * ABI_WINDOW_SIZE;

    assert_true(window < ABI_WINDOWS);
    window_frame[window] = 1 + gpa / ABI_WINDOW_SIZE;
    assert_ptr_equal(mmap(at, ABI_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)file_offset(start)), at);
    return 0;
}

static long fake_call(const struct abi_info *info, uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3)
{
    (void)info;
    (void)a3;
    calls++;
    if (refused)
        return -ABI_E_ARG;
    switch (number) {
    case ABI_CALL_MAP_WINDOW:
        return map_window(a1, a2);
    case ABI_CALL_GUEST_READ:
        assert_true(a1 && a1 <= ABI_COPY_BYTES);
        memcpy(frame.copy, ram + a2, a1);
        return 0;
    case ABI_CALL_GUEST_WRITE:
        assert_true(a1 && a1 <= ABI_COPY_BYTES);
        memcpy(ram + a2, frame.copy, a1);
        return 0;
    case ABI_CALL_GUEST_CMPXCHG:
        frame.copy[ABI_CMPXCHG_EQUAL] = !memcmp(ram + a2, frame.copy + ABI_CMPXCHG_OLD, a1);
        if (frame.copy[ABI_CMPXCHG_EQUAL])
            memcpy(ram + a2, frame.copy + ABI_CMPXCHG_NEW, a1);
        return 0;
    default:
        fail_msg("call %u", number);
        return -ABI_E_CALL;
    }
}

static void end_operation(struct guestmem *m)
{
    mmap(window_area, ABI_WINDOWS * ABI_WINDOW_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    memset(window_frame, 0, sizeof(window_frame));
    guestmem_begin(m);
}

static struct guestmem memory(uint32_t policy)
{
    struct guestmem m = { .base = policy == ABI_GUESTMEM_MAP ? ram : NULL, .ram_low = RAM_LOW, .ram_high = RAM_HIGH, .count = frame.touches,
                          .policy = policy, .frame = &frame, .call = fake_call, .window = window_area };

    memset(&frame, 0, sizeof(frame));
    madvise(ram, RAM_LOW, MADV_REMOVE);
    end_operation(&m);
    calls = refused = 0;
    return m;
}

static int set_up(void **state)
{
    (void)state;
    fd = memfd_create("ram", 0);
    assert_int_equal(ftruncate(fd, (off_t)(RAM_LOW + RAM_HIGH)), 0);
    ram = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mmap(ram, RAM_LOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    mmap(ram + ABI_HIGH_BASE, RAM_HIGH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, RAM_LOW);
    window_area = mmap(NULL, ABI_WINDOWS * ABI_WINDOW_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return 0;
}

/* Writes, fills and reads of all lengths, across every seam, come out as they went in. */
static void test_copies(void **state)
{
    static uint8_t in[3 << 20], out[3 << 20];
    const uint64_t at[] = { 0, 1, 0x9f000, 0xc0000, ABI_WINDOW_SIZE - 3, ABI_WINDOW_SIZE * 33 - 2047, RAM_LOW - sizeof(in), ABI_HIGH_BASE };
    const size_t length[] = { 1, 2, 4, 8, 16, 2047, 2048, 2049, 4096, sizeof(in) };

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7 + (i >> 8));
    for (uint32_t policy = ABI_GUESTMEM_MAP; policy <= ABI_GUESTMEM_COPY; policy++) {
        struct guestmem m = memory(policy);
        unsigned count = 0;

        for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
            for (unsigned k = 0; k < sizeof(length) / sizeof(length[0]); k++) {
                if (!guestmem_is_ram(&m, at[i], length[k]))
                    continue;
                assert_int_equal(guestmem_write(&m, at[i], in, length[k], ABI_FOR_LOAD), 0);
                assert_memory_equal(ram + at[i], in, length[k]);
                assert_int_equal(guestmem_read(&m, at[i], out, length[k], ABI_FOR_LOAD), 0);
                assert_memory_equal(out, in, length[k]);
                assert_int_equal(guestmem_set(&m, at[i], 0x5a, length[k], ABI_FOR_LOAD), 0);
                assert_int_equal(ram[at[i]], 0x5a);
                assert_int_equal(ram[at[i] + length[k] - 1], 0x5a);
                count += 3;
            }
            end_operation(&m);
        }
        assert_int_equal(frame.touches[ABI_FOR_LOAD], count);
        assert_true((calls == 0) == (policy == ABI_GUESTMEM_MAP));
    }
}

static void test_not_ram(void **state)
{
    uint64_t value = 0;

    (void)state;
    for (uint32_t policy = ABI_GUESTMEM_MAP; policy <= ABI_GUESTMEM_COPY; policy++) {
        const uint64_t at[] = { 0x9fffc, 0xa0000, 0xbfff9, RAM_LOW - 7, RAM_LOW, ABI_HIGH_BASE - 1, ABI_HIGH_BASE + RAM_HIGH - 7, ~0ull };
        struct guestmem m = memory(policy);

        for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
            assert_int_equal(guestmem_read(&m, at[i], &value, 8, ABI_FOR_DMA), -ABI_E_ARG);
            assert_int_equal(guestmem_write(&m, at[i], &value, 8, ABI_FOR_DMA), -ABI_E_ARG);
            assert_int_equal(guestmem_set(&m, at[i], 0, 8, ABI_FOR_DMA), -ABI_E_ARG);
            assert_int_equal(guestmem_cmpxchg(&m, at[i], 8, &value, &value, ABI_FOR_DMA), -ABI_E_ARG);
            assert_null(guestmem_window(&m, at[i], 8, ABI_FOR_DMA));
        }
        assert_int_equal(calls, 0);
        assert_int_equal(frame.touches[ABI_FOR_DMA], 0);
    }
}

static void test_cmpxchg(void **state)
{
    (void)state;
    for (uint32_t policy = ABI_GUESTMEM_MAP; policy <= ABI_GUESTMEM_COPY; policy++) {
        struct guestmem m = memory(policy);

        for (size_t size = 1; size <= 16; size *= 2) {
            uint64_t at = 0x300000, zero[2] = { 0, 0 }, value[2] = { 0x1122334455667788, 0x99aabbccddeeff00 };

            memset(ram + at, 0, 32);
            assert_int_equal(guestmem_cmpxchg(&m, at, size, zero, value, ABI_FOR_WALK), 0);
            assert_memory_equal(ram + at, value, size);
            assert_int_equal(ram[at + size], 0);
            assert_int_equal(guestmem_cmpxchg(&m, at, size, zero, value, ABI_FOR_WALK), 1);
            assert_memory_equal(ram + at, value, size);
        }
        assert_int_equal(frame.touches[ABI_FOR_WALK], 10);
    }
}

/* Windows: one call for what is mapped already; none after the operation; the least recently used one goes. */
static void test_windows(void **state)
{
    struct guestmem m = memory(ABI_GUESTMEM_WINDOW);
    uint8_t *first = guestmem_window(&m, 5, 8, ABI_FOR_FETCH);

    (void)state;
    assert_ptr_equal(first, window_area + 5);
    assert_ptr_equal(guestmem_window(&m, 0x1ff000, 0x1000, ABI_FOR_FETCH), window_area + 0x1ff000);
    assert_null(guestmem_window(&m, 0x1ff000, 0x1001, ABI_FOR_FETCH));
    assert_int_equal(calls, 1);
    for (uint64_t f = 1; f < ABI_WINDOWS; f++)
        assert_non_null(guestmem_window(&m, f * ABI_WINDOW_SIZE, 8, ABI_FOR_WALK));
    assert_int_equal(calls, ABI_WINDOWS);
    assert_ptr_equal(guestmem_window(&m, 5, 8, ABI_FOR_FETCH), first); /* used again: now frame 1 is the oldest */
    assert_ptr_equal(guestmem_window(&m, 40 * ABI_WINDOW_SIZE, 8, ABI_FOR_WALK), window_area + ABI_WINDOW_SIZE);
    assert_int_equal(window_frame[0], 1);
    assert_int_equal(window_frame[1], 1 + 40);
    assert_int_equal(calls, ABI_WINDOWS + 1);
    end_operation(&m);
    assert_ptr_equal(guestmem_window(&m, 7 * ABI_WINDOW_SIZE, 8, ABI_FOR_WALK), window_area);
    assert_int_equal(calls, ABI_WINDOWS + 2);
    assert_int_equal(frame.touches[ABI_FOR_FETCH], 3);
}

static void test_refused(void **state)
{
    struct guestmem m = memory(ABI_GUESTMEM_COPY);
    uint64_t value = 0;

    (void)state;
    refused = 1;
    assert_int_equal(guestmem_read(&m, 0, &value, 8, ABI_FOR_DMA), -ABI_E_ARG);
    assert_int_equal(guestmem_set(&m, 0, 0, 8192, ABI_FOR_DMA), -ABI_E_ARG);
    assert_int_equal(guestmem_cmpxchg(&m, 0, 8, &value, &value, ABI_FOR_DMA), -ABI_E_ARG);
    assert_int_equal(calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies), cmocka_unit_test(test_not_ram), cmocka_unit_test(test_cmpxchg), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
