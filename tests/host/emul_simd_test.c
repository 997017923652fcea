/* Vector moves and logic on a fake vcpu: MMX, SSE, VEX, EVEX with masks, the state that they need, alignment, and faults halfway.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_simd_test \
 *     tests/host/emul_simd_test.c emul/[a-z]*.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/host/emul_fake.h"
#include "emul/state.h"

enum { CODE = 0x1000, DATA = 0x4000, ZMM = 64, MM = 8 };

static struct fake f;
static uint8_t zmm[32][ZMM], mm[8][MM];
static uint64_t opmask[8];
static unsigned reach;             /* bytes of a vector register that this CPU has */

static int vector_read(void *opaque, unsigned kind, unsigned number, void *data, unsigned size)
{
    (void)opaque;
    assert_true(number < (kind == EMUL_VECTOR_XMM ? 32 : 8));
    if (kind == EMUL_VECTOR_XMM && size > reach)
        return -1;
    memcpy(data, kind == EMUL_VECTOR_XMM ? zmm[number] : kind == EMUL_VECTOR_MM ? mm[number] : (void *)&opmask[number], size);
    return 0;
}

static int vector_write(void *opaque, unsigned kind, unsigned number, const void *data, unsigned size)
{
    (void)opaque;
    assert_true(kind != EMUL_VECTOR_K && number < (kind == EMUL_VECTOR_XMM ? 32 : 8));
    if (kind == EMUL_VECTOR_XMM && size > reach)
        return -1;
    memcpy(kind == EMUL_VECTOR_XMM ? zmm[number] : mm[number], data, size);
    return 0;
}

/* Byte i of register n is n * 16 + i, of memory 0xc0 + i; RCX points there. */
static void prepare(unsigned bits, const char *code, unsigned count)
{
    fake_reset(&f, bits);
    f.ops.vector_read = vector_read;
    f.ops.vector_write = vector_write;
    f.state.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    f.gpr[EMUL_RCX] = DATA;
    f.gpr[EMUL_RAX] = 0x1716151413121110;
    reach = ZMM;
    for (unsigned n = 0; n < 32; n++) {
        for (unsigned i = 0; i < ZMM; i++)
            zmm[n][i] = n * 16 + i;
    }
    for (unsigned n = 0; n < 8; n++)
        memcpy(mm[n], zmm[n], MM);
    for (unsigned i = 0; i < 256; i++)
        f.ram[DATA + i] = 0xc0 + i;
    fake_code(&f, CODE, code, count);
}
#define PREPARE(bits, code) prepare(bits, code, sizeof(code) - 1)

static int run(void)
{
    static uint8_t before[32][ZMM], ram[FAKE_RAM];
    uint64_t rip = f.state.rip;
    int status;

    memcpy(before, zmm, sizeof(zmm));
    memcpy(ram, f.ram, sizeof(ram));
    status = emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result);
    if (status != EMUL_DONE) { /* nothing half done */
        assert_memory_equal(before, zmm, sizeof(zmm));
        assert_memory_equal(ram, f.ram, 0x30000);
        assert_int_equal(f.state.rip, rip);
    }
    return status;
}

#define DONE() assert_int_equal(run(), EMUL_DONE)
#define REFUSED() assert_int_equal(run(), EMUL_UNHANDLED)
#define FAULT(v) \
    do { \
        assert_int_equal(run(), EMUL_FAULT); \
        assert_int_equal(f.result.vector, EMUL_VECTOR_##v); \
    } while (0)

/* What a register or memory holds after: bytes `from` + i, then zeros or what was there. */
enum place { REG, MEM, MMREG, RAX };
struct move { const char *code; unsigned length; enum place place; unsigned number, bytes, from, zeros; };
#define MOVE(code, place, number, bytes, from, zeros) { code, sizeof(code) - 1, place, number, bytes, from, zeros }

static void test_moves(void **state)
{
    static const struct move moves[] = {
        MOVE("\x0f\x10\x11", REG, 2, 16, 0xc0, 0), MOVE("\x66\x0f\x10\xd3", REG, 2, 16, 0x30, 0),
        MOVE("\xf3\x0f\x10\x11", REG, 2, 4, 0xc0, 12), MOVE("\xf2\x0f\x10\x11", REG, 2, 8, 0xc0, 8),
        MOVE("\xf3\x0f\x10\xd3", REG, 2, 4, 0x30, 0), MOVE("\xf2\x0f\x11\xd3", REG, 3, 8, 0x20, 0),
        MOVE("\x0f\x11\x11", MEM, 0, 16, 0x20, 0), MOVE("\xf3\x0f\x11\x11", MEM, 0, 4, 0x20, 0),
        MOVE("\xf2\x0f\x11\x11", MEM, 0, 8, 0x20, 0), MOVE("\x0f\x12\x11", REG, 2, 8, 0xc0, 0), MOVE("\x0f\x12\xd3", REG, 2, 8, 0x38, 0),
        MOVE("\x66\x0f\x13\x11", MEM, 0, 8, 0x20, 0), MOVE("\x0f\x17\x11", MEM, 0, 8, 0x28, 0), MOVE("\x0f\x28\x11", REG, 2, 16, 0xc0, 0),
        MOVE("\x66\x0f\x29\x11", MEM, 0, 16, 0x20, 0), MOVE("\x0f\x2b\x11", MEM, 0, 16, 0x20, 0),
        MOVE("\x66\x0f\xe7\x11", MEM, 0, 16, 0x20, 0), MOVE("\x66\x0f\x6f\x11", REG, 2, 16, 0xc0, 0),
        MOVE("\xf3\x0f\x7f\x11", MEM, 0, 16, 0x20, 0), MOVE("\xf2\x0f\xf0\x11", REG, 2, 16, 0xc0, 0),
        MOVE("\x66\x0f\x6e\x11", REG, 2, 4, 0xc0, 12), MOVE("\x66\x48\x0f\x6e\x11", REG, 2, 8, 0xc0, 8),
        MOVE("\x66\x0f\x7e\x11", MEM, 0, 4, 0x20, 0), MOVE("\x66\x48\x0f\x7e\xd0", RAX, 0, 8, 0x20, 0),
        MOVE("\x66\x0f\x7e\xd0", RAX, 0, 4, 0x20, 4), MOVE("\xf3\x0f\x7e\x11", REG, 2, 8, 0xc0, 8),
        MOVE("\x66\x0f\xd6\xd3", REG, 3, 8, 0x20, 8), MOVE("\x66\x0f\xd6\x11", MEM, 0, 8, 0x20, 0),
        MOVE("\x66\x0f\x38\x2a\x11", REG, 2, 16, 0xc0, 0), MOVE("\x45\x0f\x10\xd3", REG, 10, 16, 0xb0, 0),
        MOVE("\x0f\x6f\x11", MMREG, 2, 8, 0xc0, 0), MOVE("\x4d\x0f\x6f\xd3", MMREG, 2, 8, 0x30, 0),
        MOVE("\x0f\x7f\x11", MEM, 0, 8, 0x20, 0), MOVE("\x0f\xe7\x11", MEM, 0, 8, 0x20, 0), MOVE("\x0f\x6e\x11", MMREG, 2, 4, 0xc0, 4),
        MOVE("\x0f\x7e\xd0", RAX, 0, 4, 0x20, 4), MOVE("\xf3\x0f\xd6\xd3", REG, 2, 8, 0x30, 8),
        MOVE("\xf2\x0f\xd6\xd3", MMREG, 2, 8, 0x30, 0),
        /* VEX clears all above, with memory and without */
        MOVE("\xc5\xf8\x10\x11", REG, 2, 16, 0xc0, 48), MOVE("\xc5\xfc\x10\x11", REG, 2, 32, 0xc0, 32),
        MOVE("\xc5\xfd\x6f\xd3", REG, 2, 32, 0x30, 32), MOVE("\xc5\xfe\x7f\x11", MEM, 0, 32, 0x20, 0),
        MOVE("\xc5\xfa\x10\x11", REG, 2, 4, 0xc0, 60), MOVE("\xc5\xfd\xe7\x11", MEM, 0, 32, 0x20, 0),
        MOVE("\xc4\xe1\xf9\x6e\xd0", REG, 2, 8, 0x10, 56), MOVE("\x66\x0f\x6e\xd0", REG, 2, 4, 0x10, 12),
        MOVE("\xc5\xfa\x7e\xd3", REG, 2, 8, 0x30, 56), MOVE("\xc4\xe2\x7d\x2a\x11", REG, 2, 32, 0xc0, 32),
        MOVE("\xc5\xf9\xd6\xd3", REG, 3, 8, 0x20, 56), MOVE("\xc5\xfa\x11\x11", MEM, 0, 4, 0x20, 0),
        /* EVEX: 128, 256, 512 bits, registers up to 31, a scaled displacement */
        MOVE("\x62\xf1\x7c\x48\x10\x11", REG, 2, 64, 0xc0, 0), MOVE("\x62\x61\x7c\x28\x10\x31", REG, 30, 32, 0xc0, 32),
        MOVE("\x62\xf1\x7d\x48\x7f\x11", MEM, 0, 64, 0x20, 0), MOVE("\x62\xf1\x7c\x48\x10\x51\x01", REG, 2, 64, 0x00, 0),
        MOVE("\x62\xf1\x7e\x08\x10\x51\x03", REG, 2, 4, 0xcc, 60), MOVE("\x62\xf1\x7c\x28\x11\x51\x02", MEM, 64, 32, 0x20, 0),
        MOVE("\x62\x01\x7c\x48\x10\xd3", REG, 26, 64, 0xb0, 0),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        const struct move *m = &moves[i];
        const uint8_t *at = m->place == REG ? zmm[m->number] : m->place == MEM ? f.ram + DATA + m->number : m->place == MMREG ?
                            mm[m->number] : (const uint8_t *)&f.gpr[EMUL_RAX];

        prepare(64, m->code, m->length);
        DONE();
        assert_int_equal(f.state.rip, CODE + m->length);
        for (unsigned b = 0; b < m->bytes; b++)
            assert_int_equal(at[b], (uint8_t)(m->from + b));
        for (unsigned b = 0; b < m->zeros; b++)
            assert_int_equal(at[m->bytes + b], 0);
        if (m->place == MEM) /* and not a byte more */
            assert_int_equal(at[m->bytes], (uint8_t)(0xc0 + m->number + m->bytes));
        if (m->place == REG && !m->zeros && m->bytes && m->bytes < ZMM)
            assert_int_equal(at[m->bytes], (uint8_t)(m->number * 16 + m->bytes));
    }
}

static void test_merges(void **state)
{
    (void)state;
    PREPARE(64, "\xc5\xe2\x10\xd4"); /* vmovss xmm2, xmm3, xmm4 */
    DONE();
    assert_memory_equal(zmm[2], "\x40\x41\x42\x43\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x3e\x3f\0\0\0\0", 20);
    PREPARE(64, "\xc5\xe3\x11\xe2"); /* vmovsd xmm2, xmm3, xmm4: the other encoding */
    DONE();
    assert_memory_equal(zmm[2], "\x40\x41\x42\x43\x44\x45\x46\x47\x38\x39\x3a\x3b\x3c\x3d\x3e\x3f\0\0\0\0", 20);
    PREPARE(64, "\xc5\xe0\x12\x11"); /* vmovlps xmm2, xmm3, [rcx] */
    DONE();
    assert_memory_equal(zmm[2], "\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\x38\x39\x3a\x3b\x3c\x3d\x3e\x3f\0\0\0\0", 20);
    PREPARE(64, "\xc5\xe1\x16\x11"); /* vmovhpd */
    DONE();
    assert_memory_equal(zmm[2], "\x30\x31\x32\x33\x34\x35\x36\x37\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\0\0\0\0", 20);
    PREPARE(64, "\xc5\xe0\x12\xd4"); /* vmovhlps xmm2, xmm3, xmm4 */
    DONE();
    assert_memory_equal(zmm[2], "\x48\x49\x4a\x4b\x4c\x4d\x4e\x4f\x38\x39\x3a\x3b\x3c\x3d\x3e\x3f\0\0\0\0", 20);
    PREPARE(64, "\xc5\xe0\x16\xd4"); /* vmovlhps */
    DONE();
    assert_memory_equal(zmm[2], "\x30\x31\x32\x33\x34\x35\x36\x37\x40\x41\x42\x43\x44\x45\x46\x47\0\0\0\0", 20);
    PREPARE(64, "\x0f\x16\xd4"); /* movlhps: SSE keeps the rest */
    DONE();
    assert_memory_equal(zmm[2], "\x20\x21\x22\x23\x24\x25\x26\x27\x40\x41\x42\x43\x44\x45\x46\x47\x30\x31\x32\x33", 20);
}

static void test_logic(void **state)
{
    static const uint8_t single[] = { 0x54, 0x55, 0x56, 0x57 }, integer[] = { 0xdb, 0xdf, 0xeb, 0xef };

    (void)state;
    for (unsigned n = 0; n < 4 * 5; n++) {
        static const char *const codes[] = { "\x0f.\x11", "\x66\x0f.\x11", "\xc5\xe5.\x11", "\x62\xf1\x65\x48.\x11", "\x0f.\x11" };
        unsigned way = n / 4, kind = n % 4, bytes[] = { 16, 16, 32, 64, 8 };
        uint8_t code[8], *at = way == 4 ? mm[2] : zmm[2];
        unsigned length = strlen(codes[way]);

        memcpy(code, codes[way], length);
        code[length - 2] = way ? integer[kind] : single[kind];
        prepare(64, (char *)code, length);
        DONE();
        for (unsigned i = 0; i < ZMM && !(way == 4 && i == MM); i++) {
            uint8_t a = (way < 2 || way == 4 ? 0x20 : 0x30) + i, b = 0xc0 + i;
            uint8_t r = kind == 0 ? a & b : kind == 1 ? ~a & b : kind == 2 ? a | b : a ^ b;

            assert_int_equal(at[i], i < bytes[way] ? r : way < 2 ? 0x20 + i : 0);
        }
    }
}

/* EVEX: elements of 1, 2, 4, 8 bytes; merging and zeroing; loads, stores, registers, logic with a broadcast. */
static void test_masks(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4 * 2 * 3; n++) {
        static const uint8_t p1[] = { 0x7f, 0xff, 0x7e, 0xfe }; /* vmovdqu8, 16, 32, 64 */
        static const unsigned sizes[] = { 1, 2, 4, 8 };
        unsigned size = sizes[n % 4], zero = n / 4 % 2, way = n / 8; /* load, register, store */
        uint8_t code[] = { 0x62, 0xf1, p1[n % 4], 0x49 | zero << 7, way == 2 ? 0x7f : 0x6f, way == 1 ? 0xd3 : 0x11 };

        if (way == 2)
            code[3] &= 0x7f;
        prepare(64, (char *)code, sizeof(code));
        opmask[1] = 0x8123456789abcdef;
        DONE();
        for (unsigned i = 0; i < ZMM; i++) {
            unsigned on = opmask[1] >> i / size & 1;
            uint8_t source = way == 0 ? 0xc0 + i : way == 1 ? 0x30 + i : 0x20 + i, old = way == 2 ? 0xc0 + i : 0x20 + i;

            assert_int_equal((way == 2 ? f.ram + DATA : zmm[2])[i], on ? source : zero && way != 2 ? 0 : old);
        }
    }
    PREPARE(64, "\x62\xf1\x65\xd9\xef\x51\x03"); /* vpxord zmm2{k1}{z}, zmm3, [rcx + 12]{1to16} */
    opmask[1] = 0x8001;
    DONE();
    for (unsigned i = 0; i < ZMM; i++)
        assert_int_equal(zmm[2][i], i < 4 || i >= 60 ? (uint8_t)(0x30 + i) ^ (0xcc + i % 4) : 0);
    PREPARE(64, "\x62\xf1\x66\x09\x10\xd4"); /* vmovss xmm2{k1}, xmm3, xmm4: off: the old element, the rest of xmm3 */
    opmask[1] = 0xfffe;
    DONE();
    assert_memory_equal(zmm[2], "\x20\x21\x22\x23\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x3e\x3f\0\0\0\0", 20);
    PREPARE(64, "\x62\xf1\xff\x09\x10\x11"); /* vmovsd xmm2{k1}, [rcx]: one element of 8 bytes */
    opmask[1] = 1;
    DONE();
    assert_memory_equal(zmm[2], "\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\0\0\0\0", 12);
    PREPARE(64, "\x62\xf1\x7e\x09\x10\x11"); /* vmovss xmm2{k1}, [rcx] */
    opmask[1] = 0;
    f.gpr[EMUL_RCX] = 0x10000000000; /* not there, and not looked at */
    DONE();
    assert_memory_equal(zmm[2], "\x20\x21\x22\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
}

/* Masked elements do not fault, are not read from a device nor written to it; the others are, and in their order. */
static void test_suppression(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        unsigned store = n & 1, clear = n & 2;

        PREPARE(64, "\x62\xf1\x7c\x49\x10\x11"); /* vmovups zmm2{k1}, [rcx] over the end of a page */
        f.ram[CODE + 4] += store;
        low[0] = 0x34067;
        for (unsigned i = 0; i < 64; i++)
            table[i] = i << 12 | 0x67;
        table[5] = 0;
        f.gpr[EMUL_RCX] = 0x4fe0;
        memset(f.ram + 0x4fe0, 0xee, 32);
        opmask[1] = clear ? 0xff : 0x1ff;
        if (clear) {
            DONE();
            assert_memory_equal(zmm[2], store ? zmm[2] : f.ram + 0x4fe0, 32);
            assert_memory_equal(f.ram + 0x4fe0, store ? zmm[2] : f.ram + 0x4fe0, 32);
            continue;
        }
        FAULT(PF);
        assert_int_equal(f.result.error, store ? 2 : 0);
        assert_int_equal(f.result.cr2, 0x5000);
    }
    PREPARE(64, "\x62\xf1\xfd\x49\x7f\x11"); /* vmovdqa64 [rcx]{k1}, zmm2: to a device */
    f.gpr[EMUL_RCX] = FAKE_DEVICE;
    opmask[1] = 0x84;
    DONE();
    assert_int_equal(f.events, 2);
    assert_int_equal(f.log[0].where, FAKE_DEVICE + 16);
    assert_int_equal(f.log[1].where, FAKE_DEVICE + 56);
    assert_int_equal(f.log[1].value, 0x5f5e5d5c5b5a5958);
    PREPARE(64, "\x62\xf1\xfd\x49\x6f\x11");
    f.gpr[EMUL_RCX] = FAKE_DEVICE;
    opmask[1] = 0x84;
    DONE();
    assert_int_equal(f.events, 2);
    assert_int_equal(zmm[2][16], 0x11);
    assert_int_equal(zmm[2][0], 0x20);
    PREPARE(64, "\x62\xf1\x7c\x49\x11\x11"); /* elements on both sides of a seam between pages that are elsewhere */
    low[0] = 0x34067;
    for (unsigned i = 0; i < 64; i++)
        table[i] = i << 12 | 0x67;
    table[5] = 0x9067;
    f.gpr[EMUL_RCX] = 0x4fde;
    memset(f.ram + 0x4fd0, 0xee, 0x40);
    memset(f.ram + 0x9000, 0xee, 0x40);
    opmask[1] = 0x700;
    DONE();
    assert_memory_equal(f.ram + 0x4ffc, "\xee\xee\x40\x41", 4);
    assert_memory_equal(f.ram + 0x9000, "\x42\x43\x44\x45\x46\x47\x48\x49\x4a\x4b\xee", 11);
}

/* E13: 16, 32, 64 bytes on the seam of a page that is missing: nothing is written, CR2 is the second page. */
static void test_seam(void **state)
{
    static const char *const codes[] = { "\x0f\x10\x11", "\x0f\x11\x11", "\xc5\xfc\x10\x11", "\xc5\xfc\x11\x11", "\x62\xf1\x7c\x48\x10\x11",
                                         "\x62\xf1\x7c\x48\x11\x11" };
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned n = 0; n < 6; n++) {
        unsigned bytes = 16u << n / 2;

        for (unsigned at = 1; at < bytes; at++) {
            prepare(64, codes[n], strlen(codes[n]));
            low[0] = 0x34067;
            for (unsigned i = 0; i < 64; i++)
                table[i] = i << 12 | 0x67;
            table[5] = 0;
            f.gpr[EMUL_RCX] = 0x5000 - at;
            memset(f.ram + 0x5000 - at, 0xee, at);
            FAULT(PF);
            assert_int_equal(f.result.cr2, 0x5000);
            assert_int_equal(f.result.error, n & 1 ? 2 : 0);
            table[5] = 0x9067;
            memset(f.ram + 0x9000, 0xdd, bytes - at + 1);
            DONE();
            assert_memory_equal(zmm[2], f.ram + 0x5000 - at, at);
            assert_memory_equal(zmm[2] + at, f.ram + 0x9000, bytes - at);
            assert_int_equal(f.ram[0x9000 + bytes - at], 0xdd);
        }
    }
    PREPARE(64, "\x0f\x11\x11"); /* RAM, then a device that cannot be written: refused before anything is */
    f.gpr[EMUL_RCX] = FAKE_HOLE - 8;
    f.ops.mmio_write = NULL;
    REFUSED();
    assert_int_equal(f.ram[FAKE_HOLE - 8], 0);
}

/* E17, E12: CR0.EM and TS, CR4.OSFXSR and OSXSAVE, XCR0, modes. */
static void test_state_checks(void **state)
{
    static const char *const codes[] = { "\x0f\x10\x11", "\x0f\x6f\x11", "\xc5\xfc\x10\x11", "\x62\xf1\x7c\x48\x10\x11", "\x0f\x54\x11" };

    (void)state;
    for (unsigned n = 0; n < 5 * 64; n++) {
        unsigned way = n / 64, vex = way == 2 || way == 3, mmx = way == 1;
        int ud = vex ? !(n & 8) || (n & 16) : (n & 1) || (!mmx && !(n & 4));

        prepare(64, codes[way], strlen(codes[way]));
        f.state.cr0 |= (n & 1 ? CR0_EM : 0) | (n & 2 ? CR0_TS : 0);
        f.state.cr4 &= ~((n & 4 ? 0 : CR4_OSFXSR) | (n & 8 ? 0 : CR4_OSXSAVE));
        reach = n & 16 ? way == 3 ? 32 : 16 : ZMM; /* what XCR0 leaves */
        if (n & 32)
            f.gpr[EMUL_RCX] = 0x10000000000; /* the operand comes last */
        if (ud)
            FAULT(UD);
        else if (n & 2)
            FAULT(NM);
        else if (n & 32)
            FAULT(PF);
        else
            DONE();
    }
    for (unsigned way = 2; way < 4; way++) {
        static const char reg32[][8] = { "\xc5\xfc\x10\xd3", "\x62\xf1\x7c\x48\x10\xd3" };

        prepare(32, codes[0], 3);
        memcpy(f.ram + CODE, reg32[way - 2], 6);
        DONE();
        assert_int_equal(zmm[2][0], 0x30);
        for (unsigned v86 = 0; v86 < 2; v86++) { /* real and virtual-8086 mode */
            prepare(v86 ? 32 : 16, reg32[way - 2], 6);
            if (v86) {
                f.state.rflags |= RFLAGS_VM;
                f.state.seg[EMUL_CS].attr = f.state.seg[EMUL_SS].attr = 0xf3;
            }
            FAULT(UD);
        }
    }
    PREPARE(16, "\x0f\x10\xd3"); /* SSE has no such rule */
    DONE();
    PREPARE(64, "\xc5\xfc\x10\x11"); /* no AVX-512: 32 bytes are all there is */
    reach = 32;
    DONE();
    assert_int_equal(zmm[2][31], 0xdf);
    assert_int_equal(zmm[2][32], 0x40);
}

static void test_alignment(void **state)
{
    struct row { const char *code; unsigned align; } rows[] = {
        { "\x0f\x28\x11", 16 }, { "\x0f\x29\x11", 16 }, { "\x66\x0f\x6f\x11", 16 }, { "\x66\x0f\x7f\x11", 16 }, { "\x0f\x2b\x11", 16 },
        { "\x66\x0f\xe7\x11", 16 }, { "\x66\x0f\x38\x2a\x11", 16 }, { "\x0f\x57\x11", 16 }, { "\x66\x0f\xef\x11", 16 },
        { "\x0f\x10\x11", 1 },
        { "\xf3\x0f\x6f\x11", 1 }, { "\xf2\x0f\xf0\x11", 1 }, { "\x0f\xef\x11", 1 }, { "\x0f\xe7\x11", 1 }, { "\xc5\xfc\x28\x11", 32 },
        { "\xc5\xe4\x57\x11", 1 }, { "\x62\xf1\x7c\x48\x28\x11", 64 }, { "\x62\xf1\x7d\x48\xe7\x11", 64 },
        { "\x62\xf1\xfe\x48\x6f\x11", 1 },
        { "\x0f\x12\x11", 1 }, { "\xf3\x0f\x7e\x11", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned at = 1; at <= 64; at *= 2) {
            prepare(64, rows[i].code, strlen(rows[i].code));
            f.gpr[EMUL_RCX] = DATA + at;
            if (at < rows[i].align)
                FAULT(GP);
            else
                DONE();
        }
    }
    PREPARE(64, "\x62\xf1\x7c\x49\x28\x11"); /* a mask does not align; no element at all does */
    f.gpr[EMUL_RCX] = DATA + 4;
    opmask[1] = 2;
    FAULT(GP);
    opmask[1] = 0;
    DONE();
    for (unsigned n = 0; n < 16; n++) { /* of users, with AM, with AC */
        PREPARE(64, "\x0f\x10\x11");
        f.gpr[EMUL_RCX] = DATA + (n & 1) * 8;
        f.state.seg[EMUL_SS].attr |= n & 2 ? 0x60 : 0;
        f.state.cr0 |= n & 4 ? CR0_AM : 0;
        f.state.rflags |= n & 8 ? RFLAGS_AC : 0;
        if (n == 15)
            FAULT(AC);
        else
            DONE();
    }
    for (unsigned n = 0; n < 6; n++) { /* #AC, as measured on an AMD EPYC: 16 bytes at most, of a mask the element */
        static const struct { const char *code; unsigned align; } ac[] = { { "\x0f\x10\x11", 16 }, { "\xc5\xfc\x10\x11", 16 },
            { "\x62\xf1\x7c\x48\x10\x11", 16 }, { "\x62\xf1\x7c\x49\x10\x11", 4 }, { "\xf3\x0f\x7e\x11", 8 }, { "\x66\x0f\x6e\x11", 4 } };

        prepare(64, ac[n].code, strlen(ac[n].code));
        f.state.seg[EMUL_SS].attr |= 0x60;
        f.state.cr0 |= CR0_AM;
        f.state.rflags |= RFLAGS_AC;
        opmask[1] = 6;
        f.gpr[EMUL_RCX] = DATA + ac[n].align;
        DONE();
        f.state.rip = CODE;
        f.gpr[EMUL_RCX] = DATA + ac[n].align / 2;
        FAULT(AC);
        f.state.cr0 &= ~CR0_AM;
        DONE();
    }
}

static void test_zero_upper(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        unsigned all = n & 1, count = n & 2 ? 8 : 16;

        prepare(n & 2 ? 32 : 64, all ? "\xc5\xfc\x77" : "\xc5\xf8\x77", 3);
        DONE();
        for (unsigned reg = 0; reg < 32; reg++) {
            assert_int_equal(zmm[reg][1], reg < count && all ? 0 : (uint8_t)(reg * 16 + 1));
            assert_int_equal(zmm[reg][17], reg < count ? 0 : (uint8_t)(reg * 16 + 17));
            assert_int_equal(zmm[reg][33], reg < count ? 0 : (uint8_t)(reg * 16 + 33));
        }
    }
}

/* Other modes and addresses, the segment's limit (E8), what is refused, and E3. */
static void test_rest(void **state)
{
    static const char *const refused[] = { "\x0f\x58\x11", "\x0f\x77", "\xf3\x0f\x12\x11", "\xc5\xe0\x58\x11", "\x62\xf1\x64\x48\x58\x11",
                                           "\x0f\xae\x11", "\xf3\x0f\x2b\x11", "\x66\x0f\x38\x00\x11", "\x0f\x5b\xd3",
                                           "\x62\xf2\xfe\x48\x2a\xd3" };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        prepare(64, refused[i], strlen(refused[i]));
        REFUSED();
    }
    PREPARE(32, "\x0f\x11\x11");
    f.state.seg[EMUL_DS].limit = DATA + 14;
    FAULT(GP);
    f.state.seg[EMUL_DS].limit++;
    DONE();
    PREPARE(32, "\x62\xf1\x7c\x49\x11\x11"); /* with a mask, as far as the last element */
    f.state.seg[EMUL_DS].limit = DATA + 14;
    opmask[1] = 15;
    FAULT(GP);
    opmask[1] = 7;
    DONE();
    PREPARE(64, "\x67\x62\xf1\x7c\x48\x10\x51\xff"); /* [ecx - 64] wraps at 32 bits */
    f.gpr[EMUL_RCX] = 0x700000000 + 0x20;
    FAULT(PF);
    assert_int_equal(f.result.cr2, 0xffffffe0);
    PREPARE(64, "\x0f\x10\x11");
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_RETRY);
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    PREPARE(64, "\x0f\x10\xd3");
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_RETRY);
    for (unsigned hook = 0; hook < sizeof(f.ops) / sizeof(void *); hook++) { /* E20 */
        for (unsigned n = 0; n < 4; n++) {
            static const char *const codes[] = { "\x0f\x10\x11", "\x0f\x11\x11", "\xc5\xf8\x77", "\x62\xf1\x7c\x49\x11\x11" };

            prepare(64, codes[n], strlen(codes[n]));
            f.gpr[EMUL_RCX] = n ? DATA : FAKE_DEVICE;
            ((void **)&f.ops)[hook] = NULL;
            assert_in_range(run(), EMUL_DONE, EMUL_UNHANDLED);
        }
    }
    PREPARE(64, "\x0f\x11\x11"); /* without direct memory a store needs both ways; a fault and a load do not ask */
    f.ops.phys_map = NULL;
    f.ops.mmio_write = NULL;
    REFUSED();
    f.gpr[EMUL_RCX] = 0x10000000000;
    FAULT(PF);
    f.gpr[EMUL_RCX] = DATA;
    f.ram[CODE + 1] = 0x10;
    DONE();
    PREPARE(64, "\x0f\x10\x11");
    f.ops.vector_read = NULL;
    REFUSED();
    PREPARE(64, "\x0f\x10\x11");
    f.ops.vector_write = NULL;
    REFUSED();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves), cmocka_unit_test(test_merges), cmocka_unit_test(test_logic), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_suppression), cmocka_unit_test(test_seam), cmocka_unit_test(test_state_checks),
        cmocka_unit_test(test_alignment), cmocka_unit_test(test_zero_upper), cmocka_unit_test(test_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
