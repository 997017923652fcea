/* The CPU that a guest sees, made of this machine's: what is not virtualised is not offered, entries for ring 0 say what the operation says,
 * MSRs keep, ignore or refuse as their rows say.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o guestcpu_test \
 *     tests/host/guestcpu_test.c depriv/guestcpu.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include "depriv/guestcpu.h"

#define BIT(n) (1u << (n))

static struct abi_frame *frame; /* where vcpu 0 has it */
static const struct abi_info info = { .tsc_khz = 1234567, .xcr0 = 7 };

static int setup(void **state)
{
    (void)state;
    if (!frame)
        frame = mmap((void *)ABI_FRAME_BASE, ABI_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (frame == MAP_FAILED)
        return -1;
    memset(frame, 0, sizeof(*frame));
    guestcpu_init(frame);
    return 0;
}

static struct abi_cpuid ask(uint32_t leaf, uint32_t subleaf)
{
    frame->gpr[ABI_RAX] = leaf | 0xffffffff00000000;
    frame->gpr[ABI_RCX] = subleaf | 0xffffffff00000000;
    frame->gpr[ABI_RBX] = frame->gpr[ABI_RDX] = ~0ull;
    guestcpu_cpuid(frame, &info);
    assert_int_equal((frame->gpr[ABI_RAX] | frame->gpr[ABI_RBX] | frame->gpr[ABI_RCX] | frame->gpr[ABI_RDX]) >> 32, 0);
    return (struct abi_cpuid){ (uint32_t)frame->gpr[ABI_RAX], (uint32_t)frame->gpr[ABI_RBX], (uint32_t)frame->gpr[ABI_RCX], (uint32_t)frame->gpr[ABI_RDX] };
}

static struct abi_cpuid own(uint32_t leaf, uint32_t subleaf)
{
    struct abi_cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static void test_features(void **state)
{
    struct abi_cpuid one = ask(1, 0), seven = ask(7, 0), ext = ask(0x80000001, 0), real = own(1, 0);
    (void)state;
    assert_int_equal(one.ecx & (BIT(3) | BIT(5) | BIT(6) | BIT(15) | BIT(21) | BIT(24) | BIT(27)), 0); /* MONITOR VMX SMX PDCM x2APIC deadline OSXSAVE */
    assert_int_equal(one.edx & (BIT(7) | BIT(9) | BIT(14)), 0);
    assert_true(one.ecx & BIT(31));
    assert_int_equal(one.ebx, (real.ebx & 0xff00) | BIT(16));
    assert_int_equal(one.ecx & ~real.ecx & ~BIT(31), 0);
    assert_int_equal(one.edx & ~real.edx, 0);
    assert_int_equal(seven.ebx & (BIT(2) | BIT(4) | BIT(11) | BIT(14)), 0); /* SGX HLE RTM MPX */
    assert_int_equal(seven.ecx & (BIT(4) | BIT(5) | BIT(7)), 0);
    assert_int_equal(ext.ecx & BIT(2), 0);
    assert_true(ext.edx & BIT(29));
}

static void test_live_bits(void **state)
{
    (void)state;
    frame->state.cr4 = BIT(18) | BIT(22);
    assert_true(ask(1, 0).ecx & BIT(27));
    assert_int_equal(!(ask(7, 0).ecx & BIT(4)), !(own(7, 0).ecx & BIT(3)));
}

static void test_limits(void **state)
{
    static const uint32_t nobody[] = { 5, 6, 0xb, 0x1f, 0x20, 0x7fffffff, 0x40000001, 0x40000011, 0x80000022, 0x80001000, 0xffffffff };
    (void)state;
    assert_true(ask(0, 0).eax <= 0x1f);
    assert_true(ask(0x80000000, 0).eax <= 0x80000021);
    for (unsigned i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        struct abi_cpuid r = ask(nobody[i], 0);
        assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
    assert_int_equal(ask(0x40000000, 0).ebx, 0x676e7552);
    assert_int_equal(ask(0x40000010, 0).eax, info.tsc_khz);
}

static void test_xsave(void **state)
{
    (void)state;
    assert_int_equal(ask(0xd, 0).eax, own(0xd, 0).eax & info.xcr0);
    assert_int_equal(ask(0xd, 0).edx, 0);
    assert_int_equal(ask(0xd, 1).eax & BIT(3), 0); /* XSAVES */
    assert_int_equal(ask(0xd, 9).eax | ask(0xd, 63).eax | ask(0xd, 200).ebx, 0);
    assert_int_equal(ask(0xd, 2).eax, own(0xd, 2).eax);
    assert_int_equal(ask(7, 1).eax | ask(7, 1).ebx, 0);
}

/* What ring 0 answers alone is what ring 3 would say; what depends on more than the leaf it does not. */
static void test_entries(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < ABI_CPUID_ENTRIES; n++) {
        uint32_t leaf = (n & 0xf) | (n & 0x10) << 27;
        bool asked = leaf == 1 || leaf == 4 || leaf == 7 || leaf == 0xd;
        assert_int_equal(leaf & ~ABI_CPUID_LEAVES, 0);
        assert_int_equal(frame->cpuid_known >> n & 1, !asked);
        for (uint32_t subleaf = 0; !asked && subleaf < 3; subleaf++) {
            struct abi_cpuid r = ask(leaf, subleaf);
            assert_memory_equal(&r, &frame->cpuid[n], sizeof(r));
        }
    }
    assert_int_equal(frame->cpuid_known >> ABI_CPUID_ENTRIES, 0);
}

/* status of an access; *value: written, or read */
static uint32_t msr(uint32_t number, bool write, uint64_t *value)
{
    frame->status = ABI_OK;
    frame->flags = write ? ABI_MSR_WRITE : 0;
    frame->gpr[ABI_RCX] = number;
    frame->gpr[ABI_RAX] = write ? (uint32_t)*value : 1;
    frame->gpr[ABI_RDX] = write ? *value >> 32 : 1;
    guestcpu_msr(frame);
    *value = frame->gpr[ABI_RDX] << 32 | frame->gpr[ABI_RAX];
    return frame->status;
}

static void test_msrs(void **state)
{
    static const struct { uint32_t number; bool read, write, keeps; } rows[] = {
        { 0x17, true, false, false }, { 0x3a, true, false, false }, { 0x79, false, true, false }, { 0x8b, true, true, false }, { 0xfe, true, false, false },
        { 0x200, true, true, true }, { 0x20f, true, true, true }, { 0x250, true, true, true }, { 0x259, true, true, true }, { 0x26f, true, true, true },
        { 0x2ff, true, true, true }, { 0x210, false, false, false }, { 0x251, false, false, false }, { 0x25a, false, false, false },
        { 0x270, false, false, false }, { 0x480, false, false, false }, { 0xc0010117, false, false, false }, { 0xffffffff, false, false, false },
        { 0, false, false, false },
        { 0, false, false, false },
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = 0, wrote = 0x1122334455667700 + i, got = 0;
        assert_int_equal(msr(rows[i].number, false, &before), rows[i].read ? ABI_OK : ABI_FAULT);
        assert_int_equal(msr(rows[i].number, true, &wrote), rows[i].write ? ABI_OK : ABI_FAULT);
        if (!rows[i].write) /* nothing but the fault is told */
            assert_int_equal(frame->inject, ABI_INJECT_VALID | ABI_INJECT_ERROR | 13);
        if (msr(rows[i].number, false, &got) == ABI_OK)
            assert_int_equal(got, rows[i].keeps ? 0x1122334455667700 + i : before);
        else
            assert_int_equal(got, 1ull << 32 | 1); /* registers as they were */
    }
}

/* No two rows share storage. */
static void test_msrs_apart(void **state)
{
    (void)state;
    for (unsigned pass = 0; pass < 2; pass++)
        for (uint32_t n = 0x200; n < 0x300; n++) {
            uint64_t value = n * 0x10001ull;
            if (pass == 0)
                msr(n, true, &value);
            else if (msr(n, false, &value) == ABI_OK)
                assert_int_equal(value, n * 0x10001ull);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, setup)
    const struct CMUnitTest tests[] = {
        TEST(features), TEST(live_bits), TEST(limits), TEST(xsave), TEST(entries), TEST(msrs), TEST(msrs_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
