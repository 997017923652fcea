/* String instructions and ports on a fake vcpu: results, restart state, faults with nothing half done, bounds, and the bulk paths
 * against the plain ones.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_string_test \
 *     tests/host/emul_string_test.c emul/[a-z]*.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "tests/host/emul_fake.h"

enum { CODE = 0x1000, DATA = 0x4000, PORT = 0x3f8, DF = 0x400, TF = 0x100 };

static struct fake f;
static struct emul_port_exit out1 = { PORT, 1, 0, 0 }, out4 = { PORT, 4, 0, 0 }, rep_out1 = { PORT, 1, 0, 1 }, rep_out2 = { PORT, 2, 0, 1 },
                             rep_in1 = { PORT, 1, 1, 1 }, in4 = { PORT, 4, 1, 0 };

/* Code as a string literal; RDX is the port, RSI and RDI point at DATA, which holds 0, 1, 2, ... */
static void prepare(unsigned bits, const char *code, unsigned count)
{
    fake_reset(&f, bits);
    fake_code(&f, CODE, code, count);
    f.gpr[EMUL_RDX] = PORT;
    f.gpr[EMUL_RSI] = f.gpr[EMUL_RDI] = DATA;
    for (unsigned i = 0; i < 0x8000; i++)
        f.ram[DATA + i] = i;
}
#define PREPARE(bits, code) prepare(bits, code, sizeof(code) - 1)

static void expect_log(unsigned n, char kind, unsigned size, uint64_t value)
{
    assert_true(n < f.events);
    assert_int_equal(f.log[n].kind, kind);
    assert_int_equal(f.log[n].size, size);
    assert_int_equal(f.log[n].value, value);
}

static void expect_fault(const struct emul_port_exit *want, unsigned vector, unsigned error)
{
    assert_int_equal(emul_string_io(&f.ctx, want, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, vector);
    assert_int_equal(f.result.error, error);
    assert_int_equal(f.result.has_error, 1);
    assert_int_equal(f.state.rip, CODE);
}

static void test_single(void **state)
{
    (void)state;
    PREPARE(32, "\x6e"); /* outsb */
    f.state.rflags |= 0x10000;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_DONE);
    expect_log(0, 'o', 1, 0);
    assert_int_equal(f.gpr[EMUL_RSI], DATA + 1);
    assert_int_equal(f.state.rip, CODE + 1);
    assert_int_equal(f.state.rflags, 2); /* RF is cleared */
    PREPARE(64, "\x48\x6f"); /* REX.W outsd is 4 bytes */
    f.state.rflags |= DF;
    assert_int_equal(emul_string_io(&f.ctx, &out4, &f.result), EMUL_DONE);
    expect_log(0, 'o', 4, 0x03020100);
    assert_int_equal(f.gpr[EMUL_RSI], DATA - 4);
    PREPARE(16, "\x66\x6d"); /* insd in 16-bit code */
    f.next_input = 0xaabbccdd;
    f.gpr[EMUL_RDI] = 0x77770000 | DATA;
    assert_int_equal(emul_string_io(&f.ctx, &in4, &f.result), EMUL_DONE);
    assert_memory_equal(f.ram + DATA, "\xdd\xcc\xbb\xaa", 4);
    assert_int_equal(f.gpr[EMUL_RDI], 0x77770000 | (DATA + 4));
}

static void test_override(void **state)
{
    (void)state;
    PREPARE(16, "\x26\x6e"); /* es outsb */
    f.state.seg[EMUL_ES].base = 0x100;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_DONE);
    f.state.rip = CODE;
    f.ram[CODE] = 0x90;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_RETRY); /* E3: not what it was */
    PREPARE(64, "\x65\x6e"); /* gs outsb */
    f.state.seg[EMUL_GS].base = 0x25;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_DONE);
    expect_log(0, 'o', 1, 0x25);
    PREPARE(32, "\x2e\x6c"); /* an override does not move INS */
    f.state.seg[EMUL_CS].limit = CODE + 16;
    f.next_input = 0x5a;
    assert_int_equal(emul_string_io(&f.ctx, &(struct emul_port_exit){ PORT, 1, 1, 0 }, &f.result), EMUL_DONE);
    assert_int_equal(f.ram[DATA], 0x5a);
}

static void test_retry(void **state)
{
    (void)state;
    PREPARE(32, "\xf3\x6e");
    f.gpr[EMUL_RCX] = 1;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_RETRY);
    assert_int_equal(emul_string_io(&f.ctx, &rep_out2, &f.result), EMUL_RETRY);
    assert_int_equal(emul_string_io(&f.ctx, &rep_in1, &f.result), EMUL_RETRY);
    f.gpr[EMUL_RDX]++;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_RETRY);
    assert_int_equal(f.events, 0);
}

/* E14: counts of 0, above the bound, and huge; the state in between is the architectural one. */
static void test_counts(void **state)
{
    (void)state;
    PREPARE(64, "\xf3\x6e");
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.events, 0);
    f.state.rip = CODE;
    f.gpr[EMUL_RCX] = 5000;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE);
    assert_int_equal(f.result.iterations, EMUL_REP_MAX);
    assert_int_equal(f.gpr[EMUL_RCX], 5000 - EMUL_REP_MAX);
    assert_int_equal(f.gpr[EMUL_RSI], DATA + EMUL_REP_MAX);
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.events, 5000);
    for (unsigned i = 0; i < 5000; i++)
        expect_log(i, 'o', 1, i & 0xff);
    f.state.rip = CODE;
    f.gpr[EMUL_RCX] = ~0ull;
    f.gpr[EMUL_RSI] = DATA;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RCX], ~0ull - EMUL_REP_MAX);
    PREPARE(64, "\x67\xf3\x6e"); /* 32-bit registers: the upper halves are cleared */
    f.gpr[EMUL_RCX] = 0x500000002;
    f.gpr[EMUL_RSI] |= 0x700000000;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RCX], 0);
    assert_int_equal(f.gpr[EMUL_RSI], DATA + 2);
}

static void test_wrap16(void **state)
{
    (void)state;
    PREPARE(16, "\xf3\x6e");
    f.gpr[EMUL_RCX] = 0xabc0004;
    f.gpr[EMUL_RSI] = 0xfffe;
    f.ram[0xfffe] = 1;
    f.ram[0xffff] = 2;
    f.ram[0] = 3;
    f.ram[1] = 4;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    for (unsigned i = 0; i < 4; i++)
        expect_log(i, 'o', 1, i + 1);
    assert_int_equal(f.gpr[EMUL_RSI], 2);
    assert_int_equal(f.gpr[EMUL_RCX], 0xabc0000);
    PREPARE(16, "\xf3\x6e"); /* the same within a page, in a segment that does not end there */
    f.state.seg[EMUL_DS].base = 0x10;
    f.state.seg[EMUL_DS].limit = 0xffffffff;
    f.gpr[EMUL_RCX] = 4;
    f.gpr[EMUL_RSI] = 0xfffe;
    memcpy(f.ram + 0x1000e, "\x01\x02\x99\x99", 4);
    memcpy(f.ram + 0x10, "\x03\x04", 2);
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    for (unsigned i = 0; i < 4; i++)
        expect_log(i, 'o', 1, i + 1);
    PREPARE(16, "\x6f"); /* E8: a word across the end of the segment */
    f.gpr[EMUL_RSI] = 0xffff;
    expect_fault(&(struct emul_port_exit){ PORT, 2, 0, 0 }, EMUL_VECTOR_GP, 0);
    PREPARE(16, "\x36\x6f");
    f.gpr[EMUL_RSI] = 0xffff;
    expect_fault(&(struct emul_port_exit){ PORT, 2, 0, 0 }, EMUL_VECTOR_SS, 0);
    assert_int_equal(f.events, 0);
}

static void test_segments(void **state)
{
    (void)state;
    PREPARE(32, "\xf3\x6e");
    f.gpr[EMUL_RCX] = 100;
    f.state.seg[EMUL_DS].limit = DATA + 9;
    expect_fault(&rep_out1, EMUL_VECTOR_GP, 0);
    assert_int_equal(f.gpr[EMUL_RCX], 90); /* ten were inside */
    assert_int_equal(f.gpr[EMUL_RSI], DATA + 10);
    PREPARE(32, "\x6e");
    f.state.seg[EMUL_DS].attr |= 0x10000;
    expect_fault(&out1, EMUL_VECTOR_GP, 0);
    PREPARE(32, "\x6e"); /* expand-down: below and at the limit are outside */
    f.state.seg[EMUL_DS].attr = 0xc097;
    f.state.seg[EMUL_DS].limit = DATA;
    expect_fault(&out1, EMUL_VECTOR_GP, 0);
    f.gpr[EMUL_RSI]++;
    assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_DONE);
    PREPARE(32, "\x6e"); /* execute-only code */
    f.state.seg[EMUL_DS].attr = 0xc099;
    expect_fault(&out1, EMUL_VECTOR_GP, 0);
    PREPARE(32, "\x6d"); /* read-only data */
    f.state.seg[EMUL_ES].attr = 0xc091;
    expect_fault(&in4, EMUL_VECTOR_GP, 0);
    assert_int_equal(f.events, 0);
    PREPARE(64, "\x6e");
    f.gpr[EMUL_RSI] = 0x800000000000;
    expect_fault(&out1, EMUL_VECTOR_GP, 0);
    PREPARE(32, "\x6f"); /* alignment check at CPL 3 */
    f.state.seg[EMUL_SS].attr |= 0x60;
    f.state.cr0 |= 0x40000;
    f.state.rflags |= 0x43000; /* and IOPL 3 */
    f.gpr[EMUL_RSI]++;
    expect_fault(&out4, EMUL_VECTOR_AC, 0);
}

/* E13: an element on the seam of two pages, of which the second is missing: no byte out, no byte in, CR2 at the seam. */
static void test_seam(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned in = 0; in < 2; in++) {
        prepare(64, in ? "\x6d" : "\x6f", 1);
        low[0] = 0x34067;
        for (unsigned i = 0; i < 64; i++)
            table[i] = i << 12 | 0x67;
        table[5] = 0;
        f.gpr[EMUL_RSI] = f.gpr[EMUL_RDI] = 0x4ffe;
        expect_fault(in ? &in4 : &out4, EMUL_VECTOR_PF, in ? 2 : 0);
        assert_int_equal(f.result.cr2, 0x5000);
        assert_int_equal(f.events, 0);
        assert_int_equal(f.gpr[EMUL_RSI], 0x4ffe);
        table[5] = 0x8067; /* elsewhere */
        memcpy(f.ram + 0x4ffe, "\x11\x22", 2);
        memcpy(f.ram + 0x8000, "\x33\x44", 2);
        f.next_input = 0x88776655;
        assert_int_equal(emul_string_io(&f.ctx, in ? &in4 : &out4, &f.result), EMUL_DONE);
        if (in) {
            assert_memory_equal(f.ram + 0x4ffe, "\x55\x66", 2);
            assert_memory_equal(f.ram + 0x8000, "\x77\x88", 2);
        } else {
            expect_log(0, 'o', 4, 0x44332211);
        }
    }
    PREPARE(64, "\xf3\x6e"); /* REP into a missing page: what came before it is done */
    low[0] = 0x34067;
    for (unsigned i = 0; i < 64; i++)
        table[i] = i << 12 | 0x67;
    table[5] = 0;
    f.gpr[EMUL_RSI] = 0x4ff0;
    f.gpr[EMUL_RCX] = 100;
    expect_fault(&rep_out1, EMUL_VECTOR_PF, 0);
    assert_int_equal(f.gpr[EMUL_RCX], 84);
    assert_int_equal(f.gpr[EMUL_RSI], 0x5000);
    assert_int_equal(f.result.cr2, 0x5000);
    assert_int_equal(f.events, 16);
}

static void test_step(void **state)
{
    (void)state;
    PREPARE(32, "\xf3\x6e");
    f.gpr[EMUL_RCX] = 2;
    f.state.rflags |= TF;
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.result.step, 1);
    assert_int_equal(f.gpr[EMUL_RCX], 1);
    assert_int_equal(f.state.rip, CODE);
    assert_int_equal(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE);
    assert_int_equal(f.result.step, 1);
    assert_int_equal(f.state.rip, CODE + 2);
}

/* The source is a device's memory; and OUTS with each callback missing. */
static void test_device(void **state)
{
    (void)state;
    PREPARE(64, "\x6f");
    f.gpr[EMUL_RSI] = FAKE_DEVICE;
    assert_int_equal(emul_string_io(&f.ctx, &out4, &f.result), EMUL_DONE);
    expect_log(0, 'r', 4, 0x8877665544332211);
    expect_log(1, 'o', 4, 0x44332211);
    for (unsigned hook = 0; hook < sizeof(f.ops) / sizeof(void *); hook++) {
        PREPARE(64, "\xf3\x6e");
        f.gpr[EMUL_RCX] = 10;
        ((void **)&f.ops)[hook] = NULL;
        assert_in_range(emul_string_io(&f.ctx, &rep_out1, &f.result), EMUL_DONE, EMUL_UNHANDLED);
    }
    for (unsigned n = 0; n < 4; n++) { /* a string needs its own direction only */
        PREPARE(64, "\xf3\x6e");
        f.ram[CODE + 1] -= n & 1 ? 2 : 0;
        f.gpr[EMUL_RCX] = 10;
        if (n & 2)
            f.ops.port_in = NULL;
        else
            f.ops.port_out = NULL;
        assert_int_equal(emul_string_io(&f.ctx, n & 1 ? &rep_in1 : &rep_out1, &f.result), n == 1 || n == 2 ? EMUL_DONE : EMUL_UNHANDLED);
        assert_int_equal(f.events, n == 1 || n == 2 ? 10 : 0);
    }
}

/* Random instructions: with the bulk callbacks and direct memory, with neither, and in pieces, all must come to the same end. */
static void random_case(unsigned variant)
{
    static const char codes[][4] = { "\xf3\x6e", "\xf3\x6f", "\xf3\x6c", "\xf3\x6d", "\x67\xf3\x6e", "\xf3\x67\x6d", "\x66\xf3\x6f" };
    static const unsigned modes[] = { 16, 32, 64 };
    unsigned pick = rand() % 7, bits = modes[rand() % 3], count = rand() % 3 ? rand() % 40 : rand() % 6000;
    struct emul_port_exit want = { PORT, 1, pick == 2 || pick == 3 || pick == 5, 1 };
    unsigned seed = rand();

    prepare(bits, codes[pick], strlen(codes[pick]));
    want.size = pick == 6 ? bits == 16 ? 4 : 2 : pick == 1 || pick == 3 || pick == 5 ? bits == 16 ? 2 : 4 : 1;
    f.gpr[EMUL_RCX] = count;
    f.gpr[EMUL_RSI] = f.gpr[EMUL_RDI] = DATA + seed % 0x2000;
    f.state.rflags |= rand() % 4 ? 0 : DF;
    if (seed & 0x100)
        f.gpr[EMUL_RSI] = f.gpr[EMUL_RDI] = FAKE_HOLE - seed % 64;
    f.state.seg[EMUL_DS].limit = f.state.seg[EMUL_ES].limit = seed & 0x200 ? 0xffffffff : 0x6000 + seed % 0x800;
    if (variant == 1)
        f.ops.port_read_many = NULL, f.ops.port_write_many = NULL;
    if (variant == 2)
        f.ops.phys_map = NULL;
    for (unsigned calls = 0; calls < 4 && f.state.rip == CODE; calls++) {
        if (emul_string_io(&f.ctx, &want, &f.result))
            break;
    }
}

static void test_variants(void **state)
{
    static struct fake first;
    unsigned bulk = 0;

    (void)state;
    for (unsigned n = 0; n < 1500; n++) {
        for (unsigned variant = 0; variant < 3; variant++) {
            srand(n);
            random_case(variant);
            if (!variant) {
                first = f;
                bulk += f.bulk;
                continue;
            }
            assert_int_equal(f.result.status, first.result.status);
            assert_int_equal(f.events, first.events);
            assert_memory_equal(f.log, first.log, sizeof(f.log));
            assert_memory_equal(f.gpr, first.gpr, sizeof(f.gpr));
            assert_memory_equal(f.ram, first.ram, sizeof(f.ram));
            assert_int_equal(f.state.rip, first.state.rip);
        }
    }
    assert_true(bulk > 500);
}

/* What MOVS, STOS, LODS, CMPS, SCAS are, one element after the other, in flat memory with a limit: 0, or 1 for a fault. */
enum { MOVS, STOS, LODS, CMPS, SCAS, KINDS };

static uint64_t element(unsigned size, const uint8_t *p)
{
    uint64_t value = 0;

    memcpy(&value, p, size);
    return value;
}

static uint64_t compare(uint64_t a, uint64_t b, unsigned size, uint64_t flags)
{
    uint64_t sign = 1ull << (size * 8 - 1), r = (a - b) & ((sign << 1) - 1);

    flags &= ~0x8d5ull;
    flags |= a < b ? 1 : 0;
    flags |= __builtin_parity(r & 0xff) ? 0 : 4;
    flags |= (a ^ b ^ r) & 0x10;
    flags |= r ? 0 : 0x40;
    flags |= r & sign ? 0x80 : 0;
    return flags | ((a ^ b) & (a ^ r) & sign ? 0x800 : 0);
}

static int model(uint8_t *ram, uint64_t *gpr, uint64_t *flags, unsigned kind, unsigned size, unsigned addr, int rep, uint64_t limit)
{
    uint64_t mask = addr == 8 ? ~0ull : (1ull << addr * 8) - 1, before = *flags;
    uint64_t step = *flags & DF ? -(uint64_t)size : size;

    for (unsigned n = 0; n < EMUL_REP_MAX; n++) {
        uint64_t si = gpr[EMUL_RSI] & mask, di = gpr[EMUL_RDI] & mask, a = gpr[EMUL_RAX] & ((2ull << (size * 8 - 1)) - 1);

        if (rep && !(gpr[EMUL_RCX] & mask))
            return 0;
        if ((kind != STOS && kind != SCAS && si + size - 1 > limit) || (kind != LODS && di + size - 1 > limit)) {
            *flags = before;
            return 1;
        }
        if (kind != STOS && kind != SCAS)
            a = element(size, ram + si);
        if (kind == LODS)
            size == 4 ? (void)(gpr[EMUL_RAX] = (uint32_t)a) : (void)memcpy(&gpr[EMUL_RAX], &a, size);
        if (kind == MOVS || kind == STOS)
            memcpy(ram + di, &a, size);
        if (kind == CMPS || kind == SCAS)
            *flags = compare(a, element(size, ram + di), size, *flags);
        for (unsigned reg = EMUL_RCX; reg <= EMUL_RDI; reg++) {
            uint64_t by = reg == EMUL_RCX ? -(uint64_t)!!rep : step;

            if ((reg == EMUL_RCX && rep) || (reg == EMUL_RSI && kind != STOS && kind != SCAS) || (reg == EMUL_RDI && kind != LODS))
                gpr[reg] = addr == 2 ? (gpr[reg] & ~mask) | ((gpr[reg] + by) & mask) : (gpr[reg] + by) & mask;
        }
        if (!rep || ((kind == CMPS || kind == SCAS) && !(*flags & 0x40) == (rep == 1)))
            return 0;
    }
    return 0;
}

/* One random instruction. RAM is all alike near RSI and RDI, so that comparisons go on for a while. */
static unsigned random_memory(unsigned seed, unsigned variant, unsigned *kind, unsigned *size, unsigned *addr, int *rep)
{
    static const uint8_t opcode[KINDS] = { 0xa4, 0xaa, 0xac, 0xa6, 0xae };
    static const unsigned modes[] = { 16, 32, 64 };
    unsigned bits = modes[seed % 3], len = 0, shift = rand() % 4;
    uint8_t code[8];

    *kind = rand() % KINDS;
    *rep = rand() % 3;
    *size = bits == 64 ? 1u << shift : 1u << shift % 3;
    *addr = bits / 8;
    if (rand() % 4 == 0) {
        code[len++] = 0x67;
        *addr = bits == 32 ? 2 : 4;
    }
    if (*rep)
        code[len++] = *rep == 1 ? 0xf3 : 0xf2;
    if (bits == 16 ? *size == 4 : *size == 2)
        code[len++] = 0x66;
    if (*size == 8)
        code[len++] = 0x48;
    code[len++] = opcode[*kind] + (*size > 1);
    prepare(bits, (const char *)code, len);
    memset(f.ram + 0x4000, 0x11, 0x6000);
    f.ram[0x4000 + rand() % 0x6000] = 0x12;
    for (unsigned i = 0; i < 0x800; i++)
        f.ram[0x6000 + i] = rand() % 2 ? i : 0x11;
    f.gpr[EMUL_RAX] = 0x1111111111111111ull + (rand() % 8 ? 0 : rand());
    f.gpr[EMUL_RCX] = rand() % 4 ? rand() % 100 : rand() % (0x4f00 / (int)*size);
    f.gpr[EMUL_RSI] = 0x5000 + rand() % 0x2000;
    f.gpr[EMUL_RDI] = rand() % 2 ? (int)f.gpr[EMUL_RSI] + rand() % 40 - 20 : 0x5000 + rand() % 0x2000;
    if (*addr == 2 && rand() % 8 == 0)
        f.gpr[EMUL_RSI] = 0xffff - rand() % 64;
    if (*addr < 8) /* what is above the address size does not count */
        f.gpr[EMUL_RSI] |= *addr == 4 ? 0x500000000 : 0x30000;
    f.state.rflags |= rand() % 3 ? 0 : DF;
    if (bits != 64)
        f.state.seg[EMUL_DS].limit = f.state.seg[EMUL_ES].limit = rand() % 4 ? 0xffff : 0x6000 + rand() % 0x2000;
    if (variant)
        f.ops.phys_map = NULL;
    return len;
}

static void test_model(void **state)
{
    static uint8_t ram[FAKE_RAM];

    (void)state;
    for (unsigned seed = 0; seed < 6000; seed++) {
        unsigned kind, size, addr, faults;
        uint64_t gpr[16], flags, limit;
        int rep;

        srand(seed);
        unsigned len = random_memory(seed, seed % 5 == 0, &kind, &size, &addr, &rep);

        memcpy(ram, f.ram, sizeof(ram));
        memcpy(gpr, f.gpr, sizeof(gpr));
        flags = f.state.rflags;
        limit = seed % 3 == 2 ? FAKE_RAM : f.state.seg[EMUL_DS].limit;
        faults = model(ram, gpr, &flags, kind, size, addr, rep, limit);
        gpr[EMUL_RSP] = f.state.rsp;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), faults ? EMUL_FAULT : EMUL_DONE);
        assert_memory_equal(f.gpr, gpr, sizeof(gpr));
        assert_memory_equal(f.ram, ram, sizeof(ram));
        if (f.state.rip == CODE && !faults)
            flags |= 0x10000; /* in the middle */
        assert_int_equal(f.state.rflags, flags);
        assert_true(f.state.rip == CODE || f.state.rip == CODE + len);
    }
}

/* A comparison that faults in its third element: registers are there, flags are those before the instruction; and the next call
 * goes on. STI's shadow is over. */
static void test_compare_fault(void **state)
{
    (void)state;
    PREPARE(32, "\xf3\xa7");
    f.gpr[EMUL_RCX] = 9;
    f.gpr[EMUL_RDI] += 0x100;
    f.state.shadow = EMUL_SHADOW_STI;
    f.state.rflags |= 0x895;
    f.state.seg[EMUL_ES].limit = DATA + 0x107;
    f.ctx.changed = 0;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_GP);
    assert_int_equal(f.result.iterations, 2);
    assert_int_equal(f.gpr[EMUL_RCX], 7);
    assert_int_equal(f.gpr[EMUL_RSI], DATA + 8);
    assert_int_equal(f.state.rflags, 0x897);
    assert_int_equal(f.state.shadow, 0);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP);
    f.state.seg[EMUL_ES].limit = ~0u;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.state.rflags, 0x46);
}

/* Whole runs in bulk: few looks at memory, whatever size and direction; between RAM and a device element by element. */
static void test_bulk(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4 * 2 * 2; n++) {
        static const char *const codes[] = { "\xf3\xa4", "\xf3\x66\xa5", "\xf3\xa5", "\xf3\x48\xa5" };
        unsigned size = 1u << n % 4, down = n & 4, fill = n & 8, count = 4096 / size, last = 4096 - size;

        prepare(64, codes[n % 4], strlen(codes[n % 4]));
        f.ram[CODE + strlen(codes[n % 4]) - 1] += fill ? 6 : 0;
        f.gpr[EMUL_RAX] = 0x8877665544332211;
        f.gpr[EMUL_RCX] = count;
        f.gpr[EMUL_RSI] += down ? last : 0;
        f.gpr[EMUL_RDI] += 0x2000 + (down ? last : 0);
        f.state.rflags |= down ? DF : 0;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.gpr[EMUL_RCX], 0);
        assert_in_range(f.counts[EMUL_FOR_OPERAND], 1, 4);
        for (unsigned i = 0; i < 4096; i++)
            assert_int_equal(f.ram[DATA + 0x2000 + i], (uint8_t)(fill ? f.gpr[EMUL_RAX] >> i % size * 8 : i));
    }
    for (unsigned n = 0; n < 2; n++) {
        PREPARE(64, "\xf3\xa4");
        f.gpr[n ? EMUL_RSI : EMUL_RDI] = FAKE_DEVICE;
        f.gpr[EMUL_RCX] = 64;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.events, 64);
        assert_int_equal(f.log[63].where, FAKE_DEVICE + 63);
        assert_int_equal(f.log[63].kind, n ? 'r' : 'w');
    }
}

/* An element of MOVS as a loop would move it, from and to RAM or the hole behind it, which reads as the fake's device does. */
static void move_element(uint8_t *ram, uint64_t from, uint64_t to, unsigned size, uint64_t *reads, unsigned *writes)
{
    uint64_t value = 0;

    if (from >= FAKE_HOLE)
        value = 0x8877665544332211ull + (*reads)++;
    else
        memcpy(&value, ram + from, size);
    if (to >= FAKE_HOLE)
        ++*writes;
    else
        memcpy(ram + to, &value, size);
}

/* REP MOVS against one element after the other: overlaps by less than a word and by more, either way, up and down; to the page's last
 * byte and beyond; into the hole. What lies in one page, upwards, in whole words and not within a word ahead takes two looks at memory. */
static void test_at_once(void **state)
{
    static const char *const codes[] = { "\xf3\xa4", "\xf3\x66\xa5", "\xf3\xa5", "\xf3\x48\xa5" };
    static uint8_t ram[FAKE_RAM];
    unsigned at_once = 0, devices = 0;

    (void)state;
    srand(1);
    for (unsigned n = 0; n < 6000; n++) {
        unsigned size = 1u << n % 4, down = rand() % 3 == 0, hole = rand() % 8 == 0, writes = 0, written = 0;
        unsigned count = (unsigned)rand() % (rand() % 4 ? 80 : 0x1800 / size);
        int ahead = rand() % 2 ? rand() % 41 - 20 : (rand() % 5 - 2) * 0x1000;
        uint64_t base = hole ? FAKE_HOLE - size * (rand() % 40u) : DATA + 0x3000 + rand() % 0x2000u, reads = 0;
        uint64_t to = rand() % 4 ? base + ahead : (base + 0x4000 - count * size) & ~0xfffull, last = count ? (count - 1) * size : 0;

        if (hole) { /* no element across the seam */
            to = rand() % 2 ? base - 0x8000 : base;
            base = to == base ? base - 0x8000 : base;
            down = 0;
        }
        prepare(64, codes[n % 4], strlen(codes[n % 4]));
        memcpy(ram, f.ram, sizeof(ram));
        f.gpr[EMUL_RCX] = count;
        f.gpr[EMUL_RSI] = base + (down ? last : 0);
        f.gpr[EMUL_RDI] = to + (down ? last : 0);
        f.state.rflags |= down ? DF : 0;
        for (unsigned i = 0; i < count; i++)
            move_element(ram, base + (down ? last - i * size : i * size), to + (down ? last - i * size : i * size), size, &reads, &writes);
        for (unsigned calls = 0; calls < 3 && f.state.rip == CODE; calls++)
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.gpr[EMUL_RCX], 0);
        assert_int_equal(f.gpr[EMUL_RSI], base + (down ? -(uint64_t)size : size) * count + (down ? last : 0));
        assert_int_equal(f.gpr[EMUL_RDI], to + (down ? -(uint64_t)size : size) * count + (down ? last : 0));
        assert_memory_equal(f.ram, ram, sizeof(ram));
        for (unsigned i = 0; i < f.events; i++)
            written += f.log[i].kind == 'w';
        assert_int_equal(written, writes);
        assert_int_equal(f.events, reads + writes);
        devices += reads + writes;
        if (count && !down && !hole && base % 4096 + count * size <= 4096 && to % 4096 + count * size <= 4096 &&
            (size == 1 || count * size % 8 == 0) && to - base - 1 >= 7) {
            assert_int_equal(f.counts[EMUL_FOR_OPERAND], 2);
            at_once++;
        }
    }
    assert_true(at_once > 600 && devices > 3000);
}

/* Pages whose frames lie in another order: upwards and downwards, in the middle of an element too. */
static void test_pages(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned n = 0; n < 64; n++) {
        unsigned size = n & 1 ? 4 : 1, down = n & 2, fill = n & 4, skew = n >> 3, count = 0x1400 / size, base = 0x10000 + skew;

        prepare(64, size == 4 ? "\xf3\xa5" : "\xf3\xa4", 2);
        f.ram[CODE + 1] += fill ? 6 : 0;
        low[0] = 0x34067;
        for (unsigned i = 0; i < 64; i++)
            table[i] = i << 12 | 0x67;
        for (unsigned i = 0; i < 4; i++) /* linear pages 10 to 13: frames 23, 22, 21, 20 */
            table[0x10 + i] = (0x23 - i) << 12 | 0x67;
        f.gpr[EMUL_RAX] = 0xddccbbaa;
        f.gpr[EMUL_RCX] = count;
        f.gpr[EMUL_RSI] = DATA + (down ? 0x1400 - size : 0);
        f.gpr[EMUL_RDI] = base + (down ? 0x1400 - size : 0);
        f.state.rflags |= down ? DF : 0;
        for (unsigned calls = 0; calls < 2 && f.state.rip == CODE; calls++)
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.gpr[EMUL_RCX], 0);
        for (unsigned i = 0; i < 0x1400; i++) {
            unsigned linear = base + i, at = (0x23 - (linear / 4096 - 0x10)) * 4096 + linear % 4096;

            assert_int_equal(f.ram[at], (uint8_t)(fill ? 0xddccbbaa >> i % size * 8 : i));
        }
    }
}

/* Alignment is checked of users, with AM, with AC, and not of bytes. E8, downwards: as far as the segment goes. */
static void test_checks(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 32; n++) {
        PREPARE(32, "\xf3\xa4");
        f.ram[CODE + 1] += n & 1;
        f.gpr[EMUL_RCX] = 4;
        f.gpr[EMUL_RSI] += n & 2 ? 1 : 0;
        f.gpr[EMUL_RDI] += 0x100;
        f.state.rflags |= n & 4 ? 0x40000 : 0;
        f.state.cr0 |= n & 8 ? 0x40000 : 0;
        f.state.seg[EMUL_SS].attr |= n & 16 ? 0x60 : 0;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), n == 31 ? EMUL_FAULT : EMUL_DONE);
        if (n == 31)
            assert_int_equal(f.result.vector, EMUL_VECTOR_AC);
    }
    for (unsigned n = 0; n < 2; n++) {
        PREPARE(32, "\xf3\xab");
        f.gpr[EMUL_RCX] = 16;
        f.state.rflags |= DF;
        f.gpr[EMUL_RDI] += 0x40;
        if (n) /* expand-down: its lower end */
            f.state.seg[EMUL_ES] = (struct emul_segment){ .attr = 0xc097, .limit = DATA + 0x1f };
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), n ? EMUL_FAULT : EMUL_DONE);
        assert_int_equal(f.gpr[EMUL_RCX], n ? 7 : 0);
        assert_int_equal(f.gpr[EMUL_RDI], n ? DATA + 0x1c : DATA);
        assert_int_equal(f.ram[DATA + 0x1f], n ? 0x1f : 0);
    }
}

/* E10, E14: TF stops MOVS behind each element with RF set, and takes RF off with the last; the bound sets RF too. */
static void test_pause(void **state)
{
    (void)state;
    PREPARE(64, "\xf3\xa4");
    f.gpr[EMUL_RCX] = 2;
    f.gpr[EMUL_RDI] += 0x1000;
    f.state.rflags |= TF;
    for (unsigned left = 1; left < 2; left--) {
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
        assert_int_equal(f.result.step, 1);
        assert_int_equal(f.result.iterations, 1);
        assert_int_equal(f.gpr[EMUL_RCX], left);
        assert_int_equal(f.state.rflags, left ? 0x10102 : 0x102);
        assert_int_equal(f.state.rip, left ? CODE : CODE + 2);
    }
    PREPARE(64, "\xf3\xa4"); /* nothing to do: but a trap behind it */
    f.state.rflags |= TF;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RCX], 0);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.result.step, 1);
    PREPARE(64, "\xf3\xaa");
    f.gpr[EMUL_RCX] = EMUL_REP_MAX + 1;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rflags, 0x10002);
    assert_int_equal(f.result.step, 0);
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rflags, 2);
    assert_int_equal(f.state.rip, CODE + 2);
}

/* E20: MOVS from a device to a device, without each callback in turn: what is refused has read nothing, what went on is kept. */
static void test_hooks(void **state)
{
    (void)state;
    for (unsigned hook = 0; hook < sizeof(f.ops) / sizeof(void *); hook++) {
        PREPARE(64, "\xf3\xa5");
        f.gpr[EMUL_RSI] = f.gpr[EMUL_RDI] = FAKE_DEVICE;
        f.gpr[EMUL_RCX] = 3;
        ((void **)&f.ops)[hook] = NULL;
        if (emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result) == EMUL_UNHANDLED) {
            assert_int_equal(f.events, 0);
            assert_int_equal(f.gpr[EMUL_RCX], 3);
            assert_int_equal(f.state.rip, CODE);
        } else {
            assert_int_equal(f.events, 6);
        }
    }
    PREPARE(64, "\xf3\xa5"); /* without direct memory nothing says that it is RAM */
    f.gpr[EMUL_RSI] = FAKE_DEVICE;
    f.gpr[EMUL_RCX] = 3;
    f.ops.mmio_write = NULL;
    f.ops.phys_map = NULL;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_UNHANDLED);
    assert_int_equal(f.events, 0);
    f.ops.mmio_write = fake_mmio_write;
    f.ops.phys_write = NULL;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_UNHANDLED);
    assert_int_equal(f.events, 0);
    f.gpr[EMUL_RDI] = 0x10000000000; /* a fault is one all the same */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_FAULT);
    PREPARE(64, "\xae"); /* and a load does not ask */
    f.ops.mmio_write = NULL;
    f.ops.phys_map = NULL;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    PREPARE(64, "\xf3\xa6"); /* a comparison gets nowhere in its third element: flags are those of the second */
    f.gpr[EMUL_RSI] = FAKE_HOLE - 0x102;
    f.gpr[EMUL_RDI] = FAKE_HOLE - 2;
    f.gpr[EMUL_RCX] = 9;
    f.ram[FAKE_HOLE - 0x100] = 0x91;
    f.ops.mmio_read = NULL;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RCX], 7);
    assert_int_equal(f.state.rflags, 0x10046);
    PREPARE(64, "\xf3\xa5"); /* RAM, then a device that cannot be written */
    f.ops.mmio_write = NULL;
    f.gpr[EMUL_RDI] = FAKE_HOLE - 8;
    f.gpr[EMUL_RCX] = 3;
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_DONE);
    assert_int_equal(f.gpr[EMUL_RCX], 1);
    assert_int_equal(f.state.rip, CODE);
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_UNHANDLED);
    assert_int_equal(f.gpr[EMUL_RCX], 1);
}

struct port_row { unsigned bits; const char *code; unsigned length; char kind; unsigned size, port; uint64_t value; };

static void test_ports(void **state)
{
    static const struct port_row rows[] = {
        { 64, "\xe4\x80", 2, 'i', 1, 0x80, 0x11111111111111a1 }, { 64, "\xe5\xff", 2, 'i', 4, 0xff, 0x876543a1 },
        { 64, "\x66\xe5\x70", 3, 'i', 2, 0x70, 0x11111111111143a1 }, { 64, "\x48\xed", 2, 'i', 4, PORT, 0x876543a1 },
        { 16, "\xed", 1, 'i', 2, PORT, 0x11111111111143a1 }, { 64, "\xec", 1, 'i', 1, PORT, 0x11111111111111a1 },
        { 64, "\xe6\x80", 2, 'o', 1, 0x80, 0x11 }, { 32, "\xe7\x80", 2, 'o', 4, 0x80, 0x11111111 }, { 32, "\xee", 1, 'o', 1, PORT, 0x11 },
        { 32, "\x66\xef", 2, 'o', 2, PORT, 0x1111 }, { 64, "\x48\xef", 2, 'o', 4, PORT, 0x11111111 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct port_row *r = &rows[i];

        prepare(r->bits, r->code, r->length);
        f.next_input = 0x876543a1;
        f.gpr[EMUL_RAX] = 0x1111111111111111;
        f.gpr[EMUL_RDX] |= 0xabcd0000; /* DX only */
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_MEMORY, &f.result), EMUL_RETRY); /* E3: not what that exit was about */
        assert_int_equal(emul_string_io(&f.ctx, &out1, &f.result), EMUL_RETRY);
        assert_int_equal(f.events, 0);
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_DONE);
        assert_int_equal(f.events, 1);
        assert_int_equal(f.log[0].kind, r->kind);
        assert_int_equal(f.log[0].size, r->size);
        assert_int_equal(f.log[0].where, r->port);
        assert_int_equal(r->kind == 'o' ? f.log[0].value : f.gpr[EMUL_RAX], r->value);
        assert_int_equal(f.state.rip, CODE + r->length);
        f.state.rip = CODE;
        f.ops.port_in = NULL;
        f.ops.port_out = NULL;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_UNHANDLED);
        assert_int_equal(f.state.rip, CODE);
    }
}

/* E1: IOPL and the bitmap of the TSS, which is read through the page tables; vm86 always asks the bitmap. */
static void test_permission(void **state)
{
    static const char *const codes[] = { "\xec", "\xee", "\x6c", "\x6e" };

    (void)state;
    for (unsigned n = 0; n < 4 * 16; n++) {
        unsigned cpl = n & 1 ? 3 : 0, iopl = n & 2 ? 3 : 0, vm = n & 4, open = n & 8;

        PREPARE(32, "\x90");
        f.ram[CODE] = codes[n / 16][0];
        f.state.seg[EMUL_SS].attr |= (vm ? 3 : cpl) << 5;
        f.state.rflags |= iopl << 12 | (vm ? 0x20000 : 0);
        f.state.seg[EMUL_CS].attr &= vm ? ~0x4000u : ~0u;
        f.state.seg[EMUL_TR] = (struct emul_segment){ .base = 0x20000, .limit = 0x68 + 0x80, .attr = 0x8b };
        f.ram[0x20066] = 0x68;
        f.ram[0x20068 + PORT / 8] = open ? 0xfe : 0xff;
        if (!vm && cpl <= iopl) {
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_DONE);
        } else if (open) {
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_DONE);
            f.state.rip = CODE;
            f.gpr[EMUL_RDX]++; /* its neighbour is closed */
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_FAULT);
            f.gpr[EMUL_RDX] = 0x3ff + 1; /* behind the limit of the TSS */
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_FAULT);
        } else {
            assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), EMUL_FAULT);
            assert_int_equal(f.result.vector, EMUL_VECTOR_GP);
            assert_int_equal(f.events, 0);
            assert_int_equal(f.gpr[EMUL_RSI], DATA);
        }
    }
}

/* Behind the bitmap's answer the access is a user's, through the page tables, as it was before. */
static void test_permitted(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned user = 0; user < 2; user++) {
        prepare(64, "l", 1);
        low[0] = 0x34067;
        for (unsigned i = 0; i < 64; i++)
            table[i] = i << 12 | 0x67;
        table[0x10] = 0x23063 | user << 2;
        f.state.seg[EMUL_SS].attr |= 3 << 5;
        f.state.seg[EMUL_TR] = (struct emul_segment){ .base = 0x20000, .limit = 0x68 + 0x80, .attr = 0x8b };
        f.ram[0x20066] = 0x68;
        f.ram[0x20068 + PORT / 8] = 0xfe;
        f.gpr[EMUL_RDX] = PORT;
        f.gpr[EMUL_RDI] = 0x10000;
        f.ram[0x10000] = f.ram[0x23000] = 0xa7;
        assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_PORT, &f.result), user ? EMUL_DONE : EMUL_FAULT);
        assert_int_equal(f.ram[0x10000], 0xa7);
        if (user) {
            assert_int_not_equal(f.ram[0x23000], 0xa7);
        } else {
            assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
            assert_int_equal(f.result.error, 7);
            assert_int_equal(f.ram[0x23000], 0xa7);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single), cmocka_unit_test(test_override), cmocka_unit_test(test_retry), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_wrap16), cmocka_unit_test(test_segments), cmocka_unit_test(test_seam), cmocka_unit_test(test_step),
        cmocka_unit_test(test_device), cmocka_unit_test(test_variants), cmocka_unit_test(test_model), cmocka_unit_test(test_compare_fault),
        cmocka_unit_test(test_checks), cmocka_unit_test(test_bulk), cmocka_unit_test(test_at_once), cmocka_unit_test(test_pages),
        cmocka_unit_test(test_pause), cmocka_unit_test(test_hooks), cmocka_unit_test(test_ports), cmocka_unit_test(test_permission),
        cmocka_unit_test(test_permitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
