/* Stack instructions, near transfers, interrupt flags and segment registers, in every mode and with each fault.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I . -o emul_flow_test \
 *     tests/host/emul_flow_test.c emul/[a-z]*.c -lcmocka
 */
#include "tests/host/emul_flow_env.h"

enum { F_CF = 1, F_ZF = 0x40, F_TF = 0x100, F_IF = 0x200, F_IOPL = 0x3000, F_NT = 0x4000, F_RF = 0x10000, F_VM = 0x20000, F_AC = 0x40000,
       F_VIF = 0x80000, F_VIP = 0x100000, F_ID = 0x200000 };

/* ---- Stack ---- */

static void test_push(void **state)
{
    static const struct { enum mode mode; unsigned size; } sizes[] = {
        { REAL, 2 }, { PROT0, 4 }, { PROT3, 4 }, { CODE16, 2 }, { V86, 2 }, { LONG0, 8 }, { LONG3, 8 }, { COMPAT3, 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned size = sizes[i].size;
        uint64_t mask = ~0ull >> (64 - size * 8);

        environment(sizes[i].mode);
        f.gpr[EMUL_RBX] = 0x1122334455667788;
        next("\x53");
        assert_int_equal(f.state.rsp, STACK - size);
        assert_int_equal(get(STACK - size, size), 0x1122334455667788 & mask);
        assert_int_equal(get(STACK - size - 8, 8), 0);
        next("\x54"); /* PUSH rSP: as it was before */
        assert_int_equal(get(STACK - 2 * size, size), STACK - size);
        next("\x6a\xfe");
        assert_int_equal(get(STACK - 3 * size, size), -2 & mask);
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP);
        next("\x59"); /* POP rCX */
        assert_int_equal(f.gpr[EMUL_RCX], -2 & mask);
        next("\x5c"); /* POP rSP */
        assert_int_equal(f.state.rsp, STACK - size);
    }
}

static void test_push_forms(void **state)
{
    (void)state;
    environment(LONG3);
    f.gpr[8] = 0x8888888888888888;
    next("\x41\x50");
    assert_int_equal(get(STACK - 8, 8), 0x8888888888888888);
    next("\x66\x41\x50"); /* 66: two bytes */
    assert_int_equal(f.state.rsp, STACK - 10);
    next("\x68\xff\xff\xff\xff");
    assert_int_equal(get(STACK - 18, 8), ~0ull);
    put(STACK - 18 + 0x10, 8, 0x1234567890abcdef);
    next("\xff\x74\x24\x10"); /* PUSH [rsp + 10h]: address from rSP before */
    assert_int_equal(get(STACK - 26, 8), 0x1234567890abcdef);
    next("\x8f\x44\x24\x10"); /* POP [rsp + 10h]: address from rSP behind */
    assert_int_equal(get(STACK - 18 + 0x10, 8), 0x1234567890abcdef);
    assert_int_equal(f.state.rsp, STACK - 18);
    f.gpr[EMUL_RAX] = 0x1122334455667788;
    next("\xff\xf0"); /* PUSH rAX by its long form */
    next("\x8f\xc1");
    assert_int_equal(f.gpr[EMUL_RCX], 0x1122334455667788);
    f.state.rsp = 0x3ffc; /* over two pages */
    next("\x50");
    assert_int_equal(get(0x3ff4, 8), 0x1122334455667788);
    f.state.rsp = 0x4004;
    next("\x50");
    assert_int_equal(get(0x3ffc, 8), 0x1122334455667788);
    next("\x59");
    assert_int_equal(f.gpr[EMUL_RCX], 0x1122334455667788);
    environment(PROT3); /* a 16-bit stack pointer wraps and keeps the upper half of ESP */
    f.state.seg[EMUL_SS] = segment(DATA16_3 | 3);
    f.state.rsp = 0x12340002;
    next("\x66\x50");
    assert_int_equal(f.state.rsp, 0x12340000);
    next("\x66\x50");
    assert_int_equal(f.state.rsp, 0x1234fffe);
}

static void test_push_segment(void **state)
{
    (void)state;
    environment(PROT3);
    put(STACK - 4, 4, 0xaaaaaaaa);
    next("\x1e"); /* PUSH DS, Intel: the upper half of the slot stays */
    assert_int_equal(get(STACK - 4, 4), 0xaaaa0000 | DATA3 | 3);
    put(STACK - 8, 4, 0xaaaaaaaa);
    f.ctx.features |= EMUL_IS_AMD;
    next("\x0e");
    assert_int_equal(get(STACK - 8, 4), CODE3 | 3);
    next("\x66\x16");
    assert_int_equal(f.state.rsp, STACK - 10);
    environment(LONG3);
    put(STACK - 8, 8, ~0ull);
    next("\x0f\xa0");
    assert_int_equal(get(STACK - 8, 8), DATA3 | 3);
    f.state.seg[EMUL_GS].selector = 0x5555;
    next("\x66\x0f\xa8");
    assert_int_equal(get(STACK - 10, 2), 0x5555);
}

static void test_stack_faults(void **state)
{
    (void)state;
    environment(PROT3);
    f.state.seg[EMUL_SS].limit = 0x7ffe;
    faults(SS, 0, "\x50");
    f.state.rsp = 0x7ffc;
    faults(SS, 0, "\x58");
    f.state.rsp = 0x7fff;
    next("\x50"); /* its last byte is at the limit */
    f.state.seg[EMUL_SS].attr |= 4; /* expand-down */
    f.state.rsp = 0x8002;
    faults(SS, 0, "\x50");
    environment(REAL);
    f.state.rsp = 1;
    faults(SS, 0, "\x50");
    environment(LONG3);
    f.state.rsp = 0x800000000000;
    faults(SS, 0, "\x58");
    f.state.rsp = 0x800000000004; /* on the seam of canonical addresses */
    faults(SS, 0, "\x50");
    f.state.rsp = NO_PAGE + 8;
    faults(PF, 6, "\x50");
    assert_int_equal(f.result.cr2, NO_PAGE);
    faults(PF, 4, "\x58");
    f.state.rsp = STACK;
    f.gpr[EMUL_RBX] = NO_PAGE;
    faults(PF, 6, "\x8f\x03");
    faults(PF, 4, "\xff\x33");
    environment(COMPAT3);
    f.state.rsp = STACK + 1;
    f.state.rflags |= F_AC;
    f.state.cr0 |= 1 << 18;
    faults(AC, 0, "\x50");
}

static void test_pusha(void **state)
{
    (void)state;
    for (unsigned bits = 16; bits <= 32; bits += 16) {
        unsigned size = bits / 8;

        environment(bits == 16 ? REAL : PROT3);
        for (unsigned i = 0; i < 8; i++)
            f.gpr[i] = i * 0x1111;
        next("\x60");
        assert_int_equal(f.state.rsp, STACK - 8 * size);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(get(STACK - (i + 1) * size, size), i == EMUL_RSP ? STACK : i * 0x1111);
        for (unsigned i = 0; i < 8; i++)
            put(STACK - (i + 1) * size, size, 0x100 + i);
        next("\x61");
        assert_int_equal(f.state.rsp, STACK);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(f.gpr[i], i == EMUL_RSP ? STACK : 0x100 + i);
    }
    environment(REAL);
    f.state.rsp = 9;
    faults(GP, 0, "\x60");
    f.state.rsp = 5;
    faults(SS, 0, "\x60");
    f.state.rsp = 8;
    next("\x60");
    f.state.rsp = 17;
    next("\x60");
    f.state.rsp = 0xabcd0000 | STACK; /* 32 bits from a 16-bit stack: the upper half of ESP stays */
    next("\x66\x61");
    assert_int_equal(f.state.rsp, 0xabcd0020 | STACK);
    environment(PROT0);
    f.state.rsp = 9;
    faults(SS, 0, "\x60");
    environment(PROT3); /* the last of eight does not fit: none is written */
    f.state.seg[EMUL_SS].attr |= 4;
    f.state.seg[EMUL_SS].limit = STACK - 29;
    faults(SS, 0, "\x60");
    environment(PROT3);
    f.state.seg[EMUL_SS].limit = STACK + 30;
    faults(SS, 0, "\x61");
}

struct flags_row { enum mode mode; unsigned iopl, cr4; uint64_t old, popped; int wide; uint64_t now; int fault; };

/* SDM 2B, POPF's table, row by row. ALL: every flag set on the stack. */
static void test_popf(void **state)
{
    enum { ALL = 0x3f7fd7, LOW = 0xcd5, KEEP = 2 };
    static const struct flags_row rows[] = {
        { REAL, 0, 0, KEEP, ALL, 0, LOW | F_TF | F_IF | F_IOPL | F_NT | KEEP, 0 },
        { REAL, 0, 0, KEEP, ALL, 1, LOW | F_TF | F_IF | F_IOPL | F_NT | KEEP | F_AC | F_ID, 0 },
        { PROT0, 0, 0, KEEP, ALL, 1, LOW | F_TF | F_IF | F_IOPL | F_NT | KEEP | F_AC | F_ID, 0 },
        { PROT0, 0, 0, KEEP | F_RF | F_VIF | F_VIP, 0, 1, KEEP | F_VIF | F_VIP, 0 },
        { PROT1, 0, 0, KEEP, ALL, 1, LOW | F_TF | F_NT | KEEP | F_AC | F_ID, 0 },
        { PROT1, 1, 0, KEEP, ALL, 1, LOW | F_TF | F_IF | F_NT | KEEP | F_AC | F_ID, 0 },
        { PROT3, 2, 0, KEEP | F_IF, 0, 1, KEEP | F_IF, 0 },
        { PROT3, 3, 0, KEEP | F_IF, 0, 1, KEEP, 0 },
        { PROT3, 0, 2, KEEP, ALL, 1, LOW | F_TF | F_NT | KEEP | F_AC | F_ID, 0 }, /* PVI: POPF leaves VIF alone */
        { LONG3, 0, 0, KEEP, ALL, 1, LOW | F_TF | F_NT | KEEP | F_AC | F_ID, 0 },
        { LONG3, 0, 0, KEEP, ALL, 0, LOW | F_TF | F_NT | KEEP, 0 },
        { V86, 3, 0, KEEP, ALL, 0, LOW | F_TF | F_IF | F_NT | KEEP, 0 },
        { V86, 3, 0, KEEP, ALL, 1, LOW | F_TF | F_IF | F_NT | KEEP | F_AC | F_ID, 0 },
        { V86, 2, 0, KEEP, 0, 0, 0, 1 },
        { V86, 2, 1, KEEP, 0, 1, 0, 1 },
        { V86, 2, 1, KEEP, LOW | F_IF | F_NT, 0, LOW | F_NT | KEEP | F_VIF, 0 },
        { V86, 0, 1, KEEP | F_IF | F_VIF, 0, 0, KEEP | F_IF, 0 },
        { V86, 0, 1, KEEP | F_VIP, F_IF, 0, 0, 1 },
        { V86, 0, 1, KEEP | F_VIP, 0, 0, KEEP | F_VIP, 0 },
        { V86, 0, 1, KEEP, F_TF, 0, 0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct flags_row *r = &rows[i];
        uint64_t vm = r->mode == V86 ? F_VM : 0, iopl = (uint64_t)r->iopl << 12;
        int is_16 = r->mode == REAL || r->mode == V86, prefix = is_16 == r->wide;

        environment(r->mode);
        f.state.cr4 |= r->cr4;
        f.state.rflags = r->old | vm | iopl;
        put(STACK, 8, r->popped);
        if (r->mode == LONG3)
            prefix = !r->wide;
        if (r->fault) {
            check_fault(prefix ? RUN("\x66\x9d") : RUN("\x9d"), GP, 0, "popf row", i);
            continue;
        }
        _assert_int_equal(prefix ? RUN("\x66\x9d") : RUN("\x9d"), EMUL_DONE, "popf row", i);
        if (!(r->now & F_IOPL))
            vm |= iopl;
        _assert_int_equal(f.state.rsp, STACK + (r->mode == LONG3 ? r->wide ? 8 : 2 : r->wide ? 4 : 2), "popf row", i);
        _assert_int_equal(f.state.rflags, r->now | vm, "popf row", i);
    }
}

static void test_pushf(void **state)
{
    (void)state;
    environment(PROT3);
    f.state.rflags = 2 | F_RF | F_CF | F_AC | F_IF;
    next("\x9c");
    assert_int_equal(get(STACK - 4, 4), 2 | F_CF | F_AC | F_IF);
    environment(LONG0);
    f.state.rflags = 2 | F_ID;
    next("\x9c");
    assert_int_equal(get(STACK - 8, 8), 2 | F_ID);
    environment(V86);
    faults(GP, 0, "\x9c");
    f.state.cr4 |= 1;
    faults(GP, 0, "\x66\x9c");
    f.state.rflags |= F_VIF;
    next("\x9c");
    assert_int_equal(get(STACK - 2, 2), 2 | F_IF | F_IOPL);
    f.state.rflags = (f.state.rflags | F_IF) & ~(uint64_t)F_VIF;
    next("\x9c");
    assert_int_equal(get(STACK - 4, 2), 2 | F_IOPL);
    f.state.rflags |= F_IOPL;
    next("\x66\x9c");
    assert_int_equal(get(STACK - 8, 4), 2 | F_IOPL | F_IF);
}

static void test_enter(void **state)
{
    (void)state;
    environment(PROT3);
    f.gpr[EMUL_RBP] = STACK + 0x100;
    next("\xc8\x10\x00\x00");
    assert_int_equal(f.gpr[EMUL_RBP], STACK - 4);
    assert_int_equal(get(STACK - 4, 4), STACK + 0x100);
    assert_int_equal(f.state.rsp, STACK - 4 - 16);
    next("\xc9");
    assert_int_equal(f.state.rsp, STACK);
    assert_int_equal(f.gpr[EMUL_RBP], STACK + 0x100);
    for (unsigned i = 1; i < 4; i++)
        put(STACK + 0x100 - i * 4, 4, 0x100 * i);
    next("\xc8\x08\x00\x23"); /* level 3, of 35 mod 32 */
    assert_int_equal(get(STACK - 8, 4), 0x100);
    assert_int_equal(get(STACK - 12, 4), 0x200);
    assert_int_equal(get(STACK - 16, 4), STACK - 4);
    assert_int_equal(f.state.rsp, STACK - 16 - 8);
    environment(LONG3); /* the display overlaps the new frame: what is read has just been pushed */
    f.gpr[EMUL_RBP] = STACK;
    next("\xc8\x00\x00\x02");
    assert_int_equal(get(STACK - 16, 8), STACK);
    environment(LONG3);
    f.gpr[EMUL_RBP] = NO_PAGE;
    f.state.rsp = STACK;
    faults(PF, 4, "\xc8\x00\x00\x1f"); /* the display is not there */
    f.state.rsp = NO_PAGE + 0x200000 + 16;
    faults(PF, 6, "\xc8\x00\x00\x00");
    environment(PROT3); /* the new top of the stack must be there too */
    f.state.seg[EMUL_SS].attr |= 4;
    f.state.seg[EMUL_SS].limit = STACK - 0x100;
    faults(SS, 0, "\xc8\x00\x02\x00");
    environment(LONG3);
    f.gpr[EMUL_RBP] = NO_PAGE;
    faults(PF, 4, "\xc9");
}

/* ---- Near transfers ---- */

static void test_call(void **state)
{
    (void)state;
    environment(PROT3);
    done(CODE + 5 + 0x100, "\xe8\x00\x01\x00\x00");
    assert_int_equal(get(STACK - 4, 4), CODE + 5);
    put(STACK - 4, 4, 0x7000);
    done(0x7000, "\xc2\x08\x80");
    assert_int_equal(f.state.rsp, STACK + 0x8008); /* its immediate has no sign */
    environment(PROT3);
    f.gpr[EMUL_RDX] = 0xffff7000;
    done(0x7000, "\x66\xff\xd2"); /* 16 bits: cut */
    assert_int_equal(get(STACK - 2, 2), CODE + 3);
    environment(LONG3);
    f.gpr[EMUL_RSP] = 0;
    put(DATA, 8, 0x123456789ab);
    f.gpr[EMUL_RBX] = DATA;
    done(0x123456789ab, "\xff\x13");
    assert_int_equal(get(STACK - 8, 8), CODE + 2);
    environment(LONG3);
    done(CODE + 6 - 2, "\x66\xe8\xfe\xff\xff\xff"); /* Intel: 66 means nothing */
    environment(LONG3);
    f.ctx.features |= EMUL_IS_AMD;
    done(0x1002, "\x66\xe8\xfe\xff");
    assert_int_equal(f.state.rsp, STACK - 2);
    environment(REAL);
    done(CODE + 2 - 16, "\xeb\xf0");
    environment(REAL);
    f.gpr[EMUL_RAX] = 0x12345678;
    done(0x5678, "\xff\xe0");
}

static void test_branch_faults(void **state)
{
    (void)state;
    environment(PROT3);
    f.state.seg[EMUL_CS].limit = 0x1fff;
    faults(GP, 0, "\xe8\x00\x10\x00\x00");
    faults(GP, 0, "\xe9\x00\x10\x00\x00");
    f.state.rflags |= F_ZF;
    faults(GP, 0, "\x0f\x84\xfb\x0f\x00\x00");
    put(STACK, 4, 0x2000);
    faults(GP, 0, "\xc3");
    faults(GP, 0, "\xc2\x04\x00");
    f.gpr[EMUL_RCX] = 2;
    f.state.seg[EMUL_CS].limit = 0x1040;
    faults(GP, 0, "\xe2\x7f"); /* ECX stays */
    environment(LONG3);
    f.gpr[EMUL_RAX] = 0x800000000000;
    faults(GP, 0, "\xff\xd0");
    faults(GP, 0, "\xff\xe0");
    put(STACK, 8, 0xffff7fffffffffff);
    faults(GP, 0, "\xc3");
    f.state.rsp = NO_PAGE;
    faults(PF, 4, "\xc3");
    f.state.rsp = NO_PAGE + 8;
    faults(PF, 6, "\xe8\x00\x00\x00\x00");
    f.gpr[EMUL_RBX] = NO_PAGE;
    faults(PF, 4, "\xff\x23");
    environment(PROT3); /* the stack is looked at behind the target */
    f.state.rsp = 2;
    f.state.seg[EMUL_SS].limit = 0xff;
    faults(SS, 0, "\xe8\x00\x00\x00\x00");
}

static void test_conditions(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 16; code++) {
        for (unsigned flags = 0; flags < 32; flags++) {
            unsigned c = flags & 1, p = flags >> 1 & 1, z = flags >> 2 & 1, s = flags >> 3 & 1, o = flags >> 4;
            unsigned want[8] = { o, c, z, c | z, s, p, s ^ o, z | (s ^ o) };
            char bytes[2] = { 0x70 | code, 0x10 };

            environment(PROT3);
            f.state.rflags = 2 | c | p << 2 | z << 6 | s << 7 | o << 11;
            assert_int_equal(run(bytes, 2), EMUL_DONE);
            assert_int_equal(f.state.rip, CODE + 2 + ((want[code / 2] ^ code) & 1 ? 0x10 : 0));
        }
    }
}

static void test_loops(void **state)
{
    static const struct { enum mode mode; const char *code; unsigned count; uint64_t rcx; int zf; uint64_t after; int taken; } rows[] = {
        { PROT3, "\xe2\x10", 2, 2, 0, 1, 1 }, { PROT3, "\xe2\x10", 2, 1, 0, 0, 0 }, { PROT3, "\xe2\x10", 2, 0, 0, 0xffffffff, 1 },
        { PROT3, "\xe1\x10", 2, 2, 1, 1, 1 }, { PROT3, "\xe1\x10", 2, 2, 0, 1, 0 }, { PROT3, "\xe0\x10", 2, 2, 0, 1, 1 },
        { PROT3, "\xe0\x10", 2, 2, 1, 1, 0 }, { PROT3, "\xe1\x10", 2, 1, 1, 0, 0 }, { REAL, "\xe2\x10", 2, 0x10001, 0, 0x10000, 0 },
        { LONG3, "\xe2\x10", 2, 0x100000001, 0, 0x100000000, 1 }, { LONG3, "\x67\xe2\x10", 3, 0x100000001, 0, 0, 0 },
        { LONG3, "\x67\xe3\x10", 3, 0x100000000, 0, 0x100000000, 1 }, { LONG3, "\xe3\x10", 2, 0x100000000, 0, 0x100000000, 0 },
        { PROT3, "\x67\xe3\x10", 3, 0x10000, 0, 0x10000, 1 }, { REAL, "\xe3\x10", 2, 0x10001, 0, 0x10001, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        environment(rows[i].mode);
        f.gpr[EMUL_RCX] = rows[i].rcx;
        f.state.rflags |= rows[i].zf ? F_ZF : 0;
        assert_int_equal(run(rows[i].code, rows[i].count), EMUL_DONE);
        _assert_int_equal(f.gpr[EMUL_RCX], rows[i].after, "loop row", i);
        _assert_int_equal(f.state.rip, CODE + rows[i].count + (rows[i].taken ? 0x10 : 0), "loop row", i);
    }
}

/* ---- Interrupt flag, BOUND, HLT ---- */

static void test_cli_sti(void **state)
{
    static const struct { enum mode mode; unsigned iopl, cr4; uint64_t old, cli, sti; } rows[] = { /* 1: #GP */
        { REAL, 0, 0, F_IF, 0, F_IF }, { PROT0, 0, 0, F_IF, 0, F_IF }, { PROT1, 0, 2, 0, 1, 1 }, { PROT1, 1, 0, 0, 0, F_IF },
        { PROT3, 0, 0, 0, 1, 1 }, { PROT3, 3, 0, 0, 0, F_IF }, { PROT3, 2, 2, F_IF | F_VIF, F_IF, F_IF | F_VIF },
        { PROT3, 2, 2, F_VIP, F_VIP, 1 }, { PROT3, 2, 2, 0, 0, F_VIF }, { PROT3, 2, 1, 0, 1, 1 }, { V86, 0, 0, 0, 1, 1 }, { V86,
            0, 2, 0, 1, 1 }, { V86, 3, 1, 0, 0, F_IF },
        { V86, 2, 1, F_IF | F_VIF, F_IF, F_IF | F_VIF }, { V86, 2, 1, F_VIP, F_VIP, 1 }, { V86, 3, 1, F_VIP, F_VIP, F_VIP | F_IF },
        { LONG3, 0, 0, 0, 1, 1 }, { LONG0, 0, 0, F_IF, 0, F_IF },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned sti = 0; sti < 2; sti++) {
            uint64_t want = sti ? rows[i].sti : rows[i].cli, fixed;

            environment(rows[i].mode);
            f.state.cr4 |= rows[i].cr4;
            fixed = (f.state.rflags |= (uint64_t)rows[i].iopl << 12);
            f.state.rflags |= rows[i].old;
            if (want == 1) {
                check_fault(sti ? RUN("\xfb") : RUN("\xfa"), GP, 0, "cli row", i);
                continue;
            }
            _assert_int_equal(sti ? RUN("\xfb") : RUN("\xfa"), EMUL_DONE, "cli row", i);
            _assert_int_equal(f.state.rflags, fixed | want, "cli row", i);
            _assert_int_equal(f.state.shadow, sti && (want & F_IF) && !(rows[i].old & F_IF) ? EMUL_SHADOW_STI : 0, "cli row", i);
        }
    }
}

static void test_bound(void **state)
{
    (void)state;
    environment(PROT3);
    f.gpr[EMUL_RBX] = DATA;
    put(DATA, 4, -5);
    put(DATA + 4, 4, 7);
    f.gpr[EMUL_RAX] = 7;
    next("\x62\x03");
    f.gpr[EMUL_RAX] = 0xfffffffb;
    next("\x62\x03");
    f.gpr[EMUL_RAX] = 8;
    faults(BR, 0, "\x62\x03");
    f.gpr[EMUL_RAX] = 0xfffffffa;
    faults(BR, 0, "\x62\x03");
    put(DATA, 4, 0x00030001);
    f.gpr[EMUL_RAX] = 0x80000002;
    next("\x66\x62\x03");
    f.state.seg[EMUL_DS].limit = DATA + 6; /* the upper bound is out of the segment */
    faults(GP, 0, "\x62\x03");
}

static void test_hlt(void **state)
{
    (void)state;
    environment(PROT0);
    next("\xf4");
    assert_int_equal(f.result.halted, 1);
    environment(PROT3);
    faults(GP, 0, "\xf4");
    assert_int_equal(f.result.halted, 0);
    environment(V86);
    f.state.rflags |= F_IOPL;
    faults(GP, 0, "\xf4");
}

/* Groups of the state that the caller has not given and cannot give: refused, and nothing done (E20). */
static void test_groups(void **state)
{
    static const char *const codes[] = { "\x1e", "\x8c\xd8", "\x8e\xd8", "\x0f\x00\xc8", "\x0f\x00\xd0", "\x0f\x02\xc1", "\xcd\x30", "\xff\x2b",
                                         "\x07", "\xf1" };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        environment(PROT0);
        f.gpr[EMUL_RBX] = DATA;
        put(DATA + 4, 2, CODE0);
        f.ctx.have = EMUL_STATE_NEEDED | (codes[i][0] == '\xff' ? EMUL_STATE_SEGS : 0);
        _assert_int_equal(run(codes[i], strlen(codes[i]) < 2 ? 1 : 3), EMUL_UNHANDLED, codes[i], i);
        assert_int_equal(unchanged(), 1);
    }
    environment(PROT0);
    f.ctx.have = EMUL_STATE_NEEDED;
    f.state.rflags |= F_NT;
    assert_int_equal(RUN("\xcf"), EMUL_UNHANDLED);
    environment(V86);
    f.ctx.have = EMUL_STATE_NEEDED;
    f.state.cr4 |= 1;
    assert_int_equal(RUN("\xcd\x30"), EMUL_UNHANDLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push), cmocka_unit_test(test_push_forms), cmocka_unit_test(test_push_segment),
        cmocka_unit_test(test_stack_faults), cmocka_unit_test(test_pusha), cmocka_unit_test(test_popf), cmocka_unit_test(test_pushf),
        cmocka_unit_test(test_enter), cmocka_unit_test(test_call), cmocka_unit_test(test_branch_faults), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_loops), cmocka_unit_test(test_cli_sti), cmocka_unit_test(test_bound), cmocka_unit_test(test_hlt),
        cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
