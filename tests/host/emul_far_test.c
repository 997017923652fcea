/* Segment registers, far transfers, interrupts, IRET and task switches, in every mode and with each fault.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I . -o emul_far_test \
 *     tests/host/emul_far_test.c emul/[a-z]*.c -lcmocka
 */
#include "tests/host/emul_flow_env.h"

enum { F_CF = 1, F_ZF = 0x40, F_TF = 0x100, F_IF = 0x200, F_OF = 0x800, F_IOPL = 0x3000, F_NT = 0x4000, F_RF = 0x10000, F_VM = 0x20000,
       F_AC = 0x40000, F_VIF = 0x80000, F_VIP = 0x100000, F_ID = 0x200000 };

#define UNUSABLE 0x10000u

static unsigned access_byte(unsigned selector)
{
    return f.ram[GDT + (selector & 0xfff8) + 5];
}

/* ---- Segment registers ---- */

#define MOV_DS "\x8e\xd8"
#define MOV_SS "\x8e\xd0"
#define MOV_FS "\x8e\xe0"
#define LLDT   "\x0f\x00\xd0"
#define LTR    "\x0f\x00\xd8"

static void test_load_data(void **state)
{
    static const struct { enum mode mode; uint16_t selector; unsigned vector, error; } rows[] = {
        { PROT0, DATA0, 0, 0 }, { PROT0, READONLY, 0, 0 }, { PROT0, CODE0, 0, 0 }, { PROT0, CONFORM, 0, 0 }, { PROT0, DATA3 | 3, 0, 0 },
        { PROT0, 0, 0, 0 }, { PROT0, 3, 0, 0 }, { PROT0, 0x0c, 0, 0 }, { LONG0, DATA3 | 3, 0, 0 }, { LONG3, 0, 0, 0 },
        { PROT0, DATA0 | 1, GP, DATA0 }, { PROT0, EXECONLY, GP, EXECONLY }, { PROT0, TSS, GP, TSS }, { PROT0, GATE, GP, GATE },
        { PROT0, DATA_NP, NP, DATA_NP }, { PROT0, GDT_SIZE, GP, GDT_SIZE }, { PROT0, GDT_SIZE | 3, GP, GDT_SIZE }, { PROT0, 0x104, GP, 0x104 },
        { PROT3, DATA0, GP, DATA0 }, { PROT3, DATA3, 0, 0 }, { PROT3, CONFORM | 3, 0, 0 }, { PROT1, DATA3 | 2, 0, 0 }, { PROT3, DATA1 | 3, GP, DATA1 },
        { LONG3, DATA0, GP, DATA0 }, { COMPAT3, DATA0, GP, DATA0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        environment(rows[i].mode);
        f.gpr[EMUL_RAX] = rows[i].selector | 0xabcd0000;
        if (rows[i].vector) {
            check_fault(RUN(MOV_DS), rows[i].vector, rows[i].error, "load row", i);
            continue;
        }
        _assert_int_equal(RUN(MOV_DS), EMUL_DONE, "load row", i);
        _assert_int_equal(f.state.seg[EMUL_DS].selector, rows[i].selector, "load row", i);
        _assert_int_equal(!!(f.state.seg[EMUL_DS].attr & UNUSABLE), rows[i].selector < 4, "load row", i);
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_SEGS);
    }
    environment(PROT0); /* what is loaded, and the accessed bit in memory */
    gdt(DATA0, descriptor(0x12345678, 0x23456, 0xc092));
    f.gpr[EMUL_RAX] = DATA0;
    f.state.rflags |= F_TF;
    next(MOV_DS);
    assert_int_equal(f.result.step, 1);
    assert_int_equal(f.state.shadow, 0);
    assert_int_equal(f.state.seg[EMUL_DS].base, 0x12345678);
    assert_int_equal(f.state.seg[EMUL_DS].limit, 0x23456fff);
    assert_int_equal(f.state.seg[EMUL_DS].attr, 0xc093);
    assert_int_equal(access_byte(DATA0), 0x93);
    gdt(DATA0, descriptor(0, 0, 0xc092)); /* another vcpu comes between: nothing is done */
    f.lose = 1;
    assert_int_equal(RUN(MOV_DS), EMUL_RETRY);
    assert_int_equal(unchanged(), 1);
}

static uint64_t rom_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque;
    assert_int_equal(size, 8);
    assert_int_equal(gpa, FAKE_HOLE + DATA0);
    return descriptor(0x1000, 0xfffff, 0xc092);
}

/* Descriptors in odd places: null's own, a table in ROM, no callback for the accessed bit. */
static void test_odd_tables(void **state)
{
    (void)state;
    environment(PROT0);
    gdt(0, descriptor(0, 0xfffff, 0xc093));
    f.gpr[EMUL_RAX] = 0;
    faults(GP, 0, MOV_SS);
    gdt(0, descriptor(0, 0xfffff, 0xc09b));
    faults(GP, 0, "\xea\x00\x70\x00\x00\x00\x00");
    f.gpr[EMUL_RCX] = 0;
    f.state.rflags |= F_ZF;
    next("\x0f\x02\xc1");
    assert_false(f.state.rflags & F_ZF);
    f.gpr[EMUL_RAX] = DATA0;
    f.state.gdtr.base = FAKE_HOLE;
    f.ops.mmio_read = rom_read;
    next(MOV_DS);
    assert_int_equal(f.state.seg[EMUL_DS].attr, 0xc093);
    assert_int_equal(f.log[0].kind, 'w');
    assert_int_equal(f.log[0].where, FAKE_HOLE + DATA0 + 5);
    assert_int_equal(f.log[0].value, 0x93);
    environment(PROT0);
    gdt(DATA0, descriptor(0, 0xfffff, 0xc092));
    f.gpr[EMUL_RAX] = DATA0;
    f.ops.phys_cmpxchg = NULL;
    assert_int_equal(RUN(MOV_DS), EMUL_UNHANDLED);
    assert_int_equal(unchanged(), 1);
    environment(PROT0); /* LDT and TSS are of the GDT, and no segments */
    put(LDT + 8, 8, descriptor(LDT, 0xff, 0x82));
    put(LDT + 16, 8, descriptor(TSS_B, 0x67, 0x89));
    f.gpr[EMUL_RAX] = 0x0c;
    faults(GP, 0x0c, LLDT);
    f.gpr[EMUL_RAX] = 0x14;
    faults(GP, 0x14, LTR);
    faults(GP, 0x14, "\xea\x00\x70\x00\x00\x14\x00");
    f.gpr[EMUL_RAX] = SMALL; /* a data segment of type 2 */
    faults(GP, SMALL, LLDT);
}

static void test_load_stack(void **state)
{
    static const struct { enum mode mode; uint16_t selector; unsigned vector, error; } rows[] = {
        { PROT0, DATA0, 0, 0 }, { PROT3, DATA3 | 3, 0, 0 }, { PROT1, DATA1 | 1, 0, 0 }, { LONG0, 0, 0, 0 }, { LONG3, DATA3 | 3, 0, 0 },
        { PROT0, 0, GP, 0 }, { COMPAT3, 3, GP, 0 }, { LONG3, 3, GP, 0 }, { LONG0, 1, GP, 0 }, { PROT0, DATA0 | 1, GP, DATA0 },
        { PROT0, DATA3 | 3, GP, DATA3 }, { PROT3, DATA3, GP, DATA3 }, { PROT0, READONLY, GP, READONLY }, { PROT0, CODE0, GP, CODE0 },
        { PROT0, DATA_NP, SS, DATA_NP }, { PROT0, LDT_S, GP, LDT_S }, { PROT0, GDT_SIZE, GP, GDT_SIZE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        environment(rows[i].mode);
        f.gpr[EMUL_RAX] = rows[i].selector;
        f.state.rflags |= F_TF;
        if (rows[i].vector) {
            check_fault(RUN(MOV_SS), rows[i].vector, rows[i].error, "stack row", i);
            continue;
        }
        _assert_int_equal(RUN(MOV_SS), EMUL_DONE, "stack row", i);
        assert_int_equal(f.state.shadow, EMUL_SHADOW_MOVSS);
        assert_int_equal(f.result.step, 0);
        assert_int_equal(f.state.seg[EMUL_SS].selector, rows[i].selector);
        assert_int_equal(f.state.seg[EMUL_SS].attr >> 5 & 3, rows[i].selector & 3); /* still the CPL */
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS);
        next(MOV_SS); /* the second of a row holds nothing back */
        assert_int_equal(f.state.shadow, 0);
        assert_int_equal(f.result.step, 1);
    }
}

static void test_segment_forms(void **state)
{
    (void)state;
    environment(REAL); /* real mode: base from the selector; limit and big segments stay */
    f.state.seg[EMUL_DS].limit = 0xffffffff;
    f.gpr[EMUL_RAX] = 0x1234;
    next(MOV_DS);
    assert_int_equal(f.state.seg[EMUL_DS].base, 0x12340);
    assert_int_equal(f.state.seg[EMUL_DS].limit, 0xffffffff);
    f.state.seg[EMUL_FS] = (struct emul_segment){ .attr = UNUSABLE }; /* as protected mode has left it */
    next(MOV_FS);
    assert_int_equal(f.state.seg[EMUL_FS].limit, 0xffff);
    assert_int_equal(f.state.seg[EMUL_FS].attr, 0x93);
    environment(V86);
    f.gpr[EMUL_RAX] = 0xffff;
    next(MOV_DS);
    assert_int_equal(f.state.seg[EMUL_DS].base, 0xffff0);
    assert_int_equal(f.state.seg[EMUL_DS].attr, 0xf3);
    environment(PROT3);
    f.gpr[EMUL_RAX] = f.gpr[EMUL_RCX] = 0xffffffff;
    next("\x8c\xd8"); /* MOV EAX, DS */
    assert_int_equal(f.gpr[EMUL_RAX], DATA3 | 3);
    next("\x66\x8c\xd9");
    assert_int_equal(f.gpr[EMUL_RCX], 0xffff0000 | DATA3 | 3);
    put(DATA, 4, 0xaaaaaaaa);
    f.gpr[EMUL_RBX] = DATA;
    next("\x8c\x0b"); /* memory: two bytes whatever the size */
    assert_int_equal(get(DATA, 4), 0xaaaa0000 | CODE3 | 3);
    f.state.seg[EMUL_DS].limit = DATA;
    faults(GP, 0, "\x8c\x0b");
    faults(GP, 0, "\x8e\x03");
    environment(PROT3);
    put(STACK, 4, DATA3);
    next("\x07");
    assert_int_equal(f.state.seg[EMUL_ES].selector, DATA3);
    assert_int_equal(f.state.rsp, STACK + 4);
    put(STACK, 4, DATA0);
    f.state.rsp = STACK;
    faults(GP, DATA0, "\x07");
    put(STACK, 4, DATA16_3 | 3);
    next("\x66\x17"); /* POP SS: the old width moves */
    assert_int_equal(f.state.rsp, STACK + 2);
    assert_int_equal(f.state.shadow, EMUL_SHADOW_MOVSS);
    environment(LONG0);
    put(STACK, 8, DATA0);
    next("\x0f\xa1");
    assert_int_equal(f.state.rsp, STACK + 8);
}

static void test_load_far(void **state)
{
    (void)state;
    environment(PROT3);
    f.gpr[EMUL_RBX] = DATA;
    put(DATA, 4, 0x12345678);
    put(DATA + 4, 2, DATA3 | 3);
    f.gpr[EMUL_RAX] = ~0ull;
    next("\xc5\x03");
    assert_int_equal(f.gpr[EMUL_RAX], 0x12345678);
    next("\xc4\x03");
    put(DATA + 4, 2, DATA0);
    faults(GP, DATA0, "\x0f\xb4\x03");
    put(DATA + 2, 2, CODE0);
    faults(GP, CODE0, "\x66\x0f\xb2\x03");
    put(DATA + 2, 2, DATA3 | 3);
    next("\x66\x0f\xb2\x03");
    assert_int_equal(f.gpr[EMUL_RAX], 0x12345678);
    assert_int_equal(f.state.shadow, 0);
    environment(LONG0);
    f.gpr[EMUL_RBX] = DATA;
    put(DATA, 8, 0x1122334455667788);
    put(DATA + 8, 2, DATA0);
    next("\x48\x0f\xb5\x03");
    assert_int_equal(f.gpr[EMUL_RAX], 0x1122334455667788);
    assert_int_equal(f.state.seg[EMUL_GS].selector, DATA0);
    put(DATA + 4, 2, DATA3);
    f.ctx.features |= EMUL_IS_AMD; /* m16:32 */
    next("\x48\x0f\xb5\x03");
    assert_int_equal(f.gpr[EMUL_RAX], 0x55667788);
    assert_int_equal(f.state.seg[EMUL_GS].selector, DATA3);
}

static void test_ask(void **state)
{
    enum { LAR, LSL, VERR, VERW };
    static const struct { enum mode mode; unsigned what; uint16_t selector; int visible; uint64_t value; } rows[] = {
        { PROT3, LAR, CODE3 | 3, 1, 0xcffb00 }, { PROT3, LAR, DATA0, 0, 0 }, { PROT3, LAR, CONFORM | 3, 1, 0xcf9f00 }, { PROT0, LAR, TSS, 1, 0x8b00 },
        { PROT0, LAR, LDT_S, 1, 0x8200 }, { PROT0, LAR, GATE, 1, 0x00ec00 }, { PROT0, LAR, TASKGATE, 1, 0xe500 }, { PROT0, LAR, 0, 0, 0 },
        { PROT0, LAR, GDT_SIZE, 0, 0 }, { PROT0, LAR, DATA_NP, 1, 0xcf1300 }, { PROT0, LAR, DATA0 | 1, 0, 0 }, { LONG0, LAR, GATE16, 0, 0 },
        { LONG0, LAR, TASKGATE, 0, 0 }, { LONG0, LAR, TSS, 1, 0x8b00 }, { PROT0, LSL, DATA0, 1, 0xffffffff }, { PROT0, LSL, TSS, 1, 0x2ff },
        { PROT0, LSL, GATE, 0, 0 }, { PROT0, LSL, TASKGATE, 0, 0 }, { PROT0, LSL, TSS16, 1, 0x2b }, { LONG0, LSL, TSS16, 0, 0 },
        { LONG0, LSL, LDT_S, 1, 0xff }, { PROT3, LSL, DATA1 | 3, 0, 0 }, { PROT0, VERR, DATA0, 1, 0 }, { PROT0, VERR, EXECONLY, 0, 0 },
        { PROT0, VERR, CODE0, 1, 0 }, { PROT0, VERR, TSS, 0, 0 }, { PROT3, VERR, DATA0, 0, 0 }, { PROT3, VERR, CONFORM, 1, 0 },
        { PROT0, VERW, DATA0, 1, 0 }, { PROT0, VERW, READONLY, 0, 0 }, { PROT0, VERW, CODE0, 0, 0 }, { PROT0, VERW, 3, 0, 0 },
    };
    static const char *const code[] = { "\x0f\x02\xc1", "\x0f\x03\xc1", "\x0f\x00\xe1", "\x0f\x00\xe9" };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        environment(rows[i].mode);
        f.gpr[EMUL_RAX] = 0xaaaaaaaaaaaaaaaa;
        f.gpr[EMUL_RCX] = rows[i].selector;
        f.state.rflags |= rows[i].visible ? 0 : F_ZF;
        _assert_int_equal(run(code[rows[i].what], 3), EMUL_DONE, "ask row", i);
        _assert_int_equal(!!(f.state.rflags & F_ZF), rows[i].visible, "ask row", i);
        assert_int_equal(f.state.rsp, STACK);
        _assert_int_equal(f.gpr[EMUL_RAX], rows[i].what < VERR && rows[i].visible ? rows[i].value : 0xaaaaaaaaaaaaaaaa, "ask row", i);
    }
    environment(PROT0);
    f.gpr[EMUL_RCX] = DATA0;
    f.gpr[EMUL_RAX] = 0x55555555;
    next("\x66\x0f\x02\xc1");
    assert_int_equal(f.gpr[EMUL_RAX], 0x55559300);
    environment(REAL);
    faults(UD, 0, "\x0f\x02\xc1");
    environment(V86);
    faults(UD, 0, "\x0f\x00\xe1");
    environment(PROT3);
    f.gpr[EMUL_RAX] = 0x12340010;
    f.gpr[EMUL_RCX] = 2;
    next("\x63\xc8"); /* ARPL AX, CX */
    assert_int_equal(f.gpr[EMUL_RAX], 0x12340012);
    assert_true(f.state.rflags & F_ZF);
    f.gpr[EMUL_RCX] = 1;
    next("\x63\xc8");
    assert_int_equal(f.gpr[EMUL_RAX], 0x12340012);
    assert_false(f.state.rflags & F_ZF);
    f.gpr[EMUL_RBX] = DATA;
    f.gpr[EMUL_RCX] = 3;
    put(DATA, 4, 0xeeee0001);
    next("\x63\x0b");
    assert_int_equal(get(DATA, 4), 0xeeee0003);
    f.gpr[EMUL_RCX] = 1;
    f.state.seg[EMUL_DS] = segment(READONLY);
    next("\x63\x0b"); /* nothing is written */
    put(DATA, 4, 0);
    faults(GP, 0, "\x63\x0b");
    environment(V86);
    faults(UD, 0, "\x63\xc8");
}

static void test_system_segments(void **state)
{
    static const struct { enum mode mode; int is_ltr; uint16_t selector; unsigned vector, error; } rows[] = {
        { PROT0, 0, LDT_S, 0, 0 }, { PROT0, 0, 0, 0, 0 }, { PROT0, 0, 3, 0, 0 }, { LONG0, 0, LDT_S, 0, 0 }, { PROT0, 0, DATA0, GP, DATA0 },
        { PROT0, 0, LDT_S | 4, GP, LDT_S | 4 }, { PROT0, 0, GDT_SIZE, GP, GDT_SIZE }, { PROT0, 0, TSS2, GP, TSS2 }, { PROT3, 0, LDT_S, GP, 0 },
        { PROT0, 1, TSS2, 0, 0 }, { PROT0, 1, TSS16, 0, 0 }, { PROT0, 1, 0, GP, 0 }, { PROT0, 1, TSS, GP, TSS }, { PROT0, 1, TSS2 | 4, GP, TSS2 | 4 },
        { PROT0, 1, DATA0, GP, DATA0 }, { LONG0, 1, TSS16, GP, TSS16 }, { PROT1, 1, TSS2, GP, 0 }, { LONG0, 0, GDT_SIZE - 8, GP, GDT_SIZE - 8 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned seg = rows[i].is_ltr ? EMUL_TR : EMUL_LDTR;

        environment(rows[i].mode);
        gdt(GDT_SIZE - 8, descriptor(0, 0xff, 0x82)); /* its second half is beyond the limit */
        f.gpr[EMUL_RAX] = rows[i].selector;
        if (rows[i].vector) {
            check_fault(rows[i].is_ltr ? RUN(LTR) : RUN(LLDT), rows[i].vector, rows[i].error, "system row", i);
            continue;
        }
        _assert_int_equal(rows[i].is_ltr ? RUN(LTR) : RUN(LLDT), EMUL_DONE, "system row", i);
        assert_int_equal(f.state.seg[seg].selector, rows[i].selector);
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_SYSTEM);
        if (rows[i].is_ltr) {
            assert_int_equal(f.state.seg[seg].attr & 2, 2);
            assert_int_equal(access_byte(rows[i].selector) & 2, 2);
        }
    }
    environment(LONG0); /* 16 bytes */
    f.gpr[EMUL_RAX] = LDT_S;
    put(GDT + LDT_S + 8, 8, 0xffff8001);
    next(LLDT);
    assert_int_equal(f.state.seg[EMUL_LDTR].base, 0xffff800100000000 | LDT);
    put(GDT + LDT_S + 8, 8, 0xffff7001);
    faults(GP, LDT_S, LLDT);
    put(GDT + LDT_S + 8, 8, 0x10000000000);
    faults(GP, LDT_S, LLDT);
    environment(PROT0);
    gdt(LDT_S, descriptor(LDT, 0xff, 0x02));
    f.gpr[EMUL_RAX] = LDT_S;
    faults(NP, LDT_S, LLDT);
    gdt(TSS2, descriptor(LDT, 0xff, 0x09));
    f.gpr[EMUL_RAX] = TSS2;
    faults(NP, TSS2, LTR);
    environment(PROT0); /* another vcpu takes the TSS: not busy twice */
    f.gpr[EMUL_RAX] = TSS2;
    f.lose = 1;
    assert_int_equal(RUN(LTR), EMUL_RETRY);
    assert_int_equal(f.state.seg[EMUL_TR].selector, TSS);
    environment(PROT3);
    next("\x0f\x00\xc8"); /* STR EAX */
    assert_int_equal(f.gpr[EMUL_RAX], TSS);
    f.gpr[EMUL_RAX] = ~0ull;
    next("\x66\x0f\x00\xc0");
    assert_int_equal(f.gpr[EMUL_RAX], 0xffffffffffff0000 | LDT_S);
    f.state.cr4 |= 1 << 11;
    faults(GP, 0, "\x0f\x00\xc8");
    environment(PROT0);
    f.state.cr4 |= 1 << 11;
    next("\x0f\x00\xc8");
    environment(REAL);
    faults(UD, 0, LTR);
}

/* A selector in the LDT, whose table may not be there. */
static void test_ldt(void **state)
{
    (void)state;
    environment(PROT3);
    f.gpr[EMUL_RAX] = 0x0f;
    next(MOV_DS);
    assert_int_equal(f.state.seg[EMUL_DS].selector, 0x0f);
    f.gpr[EMUL_RAX] = 0x107;
    faults(GP, 0x104, MOV_DS);
    f.gpr[EMUL_RAX] = 0x0f;
    f.state.seg[EMUL_LDTR].attr = UNUSABLE;
    faults(GP, 0x0c, MOV_DS);
    environment(LONG3); /* the descriptor's page is not there: supervisor, implicit */
    f.state.gdtr.base = NO_PAGE;
    f.gpr[EMUL_RAX] = DATA3;
    faults(PF, 0, MOV_DS);
    assert_int_equal(f.result.cr2, NO_PAGE + DATA3);
}

/* ---- Far JMP, CALL, RET ---- */

/* JMP and CALL with a pointer in memory at DATA. */
static void pointer(unsigned size, uint64_t offset, unsigned selector)
{
    put(DATA, size, offset);
    put(DATA + size, 2, selector);
    f.gpr[EMUL_RBX] = DATA;
}
#define JMPF  "\xff\x2b"
#define CALLF "\xff\x1b"

static void test_far_direct(void **state)
{
    static const struct { enum mode mode; uint16_t selector; uint64_t offset; unsigned vector, error; } rows[] = {
        { PROT0, CODE0, 0x7000, 0, 0 }, { PROT0, CODE16_0, 0x7000, 0, 0 }, { PROT0, CONFORM, 0x7000, 0, 0 }, { PROT3,
            CONFORM | 3, 0x7000, 0, 0 }, { PROT0, CONFORM | 3, 0x7000, 0, 0 },
        { PROT3, CODE3, 0x7000, 0, 0 }, { PROT0, EXECONLY, 0x7000, 0, 0 }, { LONG0, CODE64_0, 0x7000, 0, 0 }, { LONG0, CODE0, 0x7000, 0, 0 },
        { COMPAT3, CODE64_3, 0x7000, 0, 0 }, { PROT0, CODE_SMALL, 0xfff, 0, 0 }, { PROT0, CODE_SMALL, 0x1000, GP, 0 }, { PROT0, 0, 0, GP, 0 },
        { PROT0, 3, 0, GP, 0 }, { PROT0, GDT_SIZE | 2, 0, GP, GDT_SIZE }, { PROT0, DATA0, 0, GP, DATA0 }, { PROT0, CODE0 | 1, 0, GP, CODE0 },
        { PROT0, CODE3 | 3, 0, GP, CODE3 }, { PROT3, CODE0, 0, GP, CODE0 }, { PROT0, CONFORM3, 0, GP, CONFORM3 }, { PROT0, CODE_NP, 0, NP, CODE_NP },
        { LONG0, CODE_LD, 0, GP, CODE_LD }, { LONG0, TSS2, 0, GP, TSS2 }, { LONG0, TASKGATE, 0, GP, TASKGATE }, { LONG0, GATE16, 0, GP, GATE16 },
        { PROT0, LDT_S, 0, GP, LDT_S },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned call = 0; call < 2; call++) {
            unsigned cpl;

            environment(rows[i].mode);
            cpl = f.state.seg[EMUL_CS].selector & 3;
            pointer(4, rows[i].offset, rows[i].selector);
            if (rows[i].vector) {
                check_fault(call ? RUN(CALLF) : RUN(JMPF), rows[i].vector, rows[i].error, "far row", i);
                continue;
            }
            _assert_int_equal(call ? RUN(CALLF) : RUN(JMPF), EMUL_DONE, "far row", i);
            assert_int_equal(f.state.rip, rows[i].offset);
            assert_int_equal(f.state.seg[EMUL_CS].selector, (rows[i].selector & ~3) | cpl);
            assert_int_equal(f.state.seg[EMUL_SS].attr >> 5 & 3, cpl);
            assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS);
            assert_int_equal(f.state.rsp, STACK - (call ? 8 : 0));
            if (call) {
                assert_int_equal(get(STACK - 4, 4), before.state.seg[EMUL_CS].selector);
                assert_int_equal(get(STACK - 8, 4), CODE + 2);
            }
        }
    }
    environment(PROT0); /* neither a push nor the accessed bit, when the last check fails */
    gdt(CODE_SMALL, descriptor(0, 0xfff, 0x409a));
    pointer(4, 0x1000, CODE_SMALL);
    faults(GP, 0, CALLF);
    pointer(4, 0xfff, CODE_SMALL);
    done(0xfff, JMPF);
    assert_int_equal(access_byte(CODE_SMALL), 0x9b);
    f.state.seg[EMUL_CS] = segment(CODE0);
    f.state.seg[EMUL_DS].limit = DATA + 4; /* the selector is out of the segment */
    faults(GP, 0, JMPF);
    f.state.seg[EMUL_DS].limit++;
    f.state.rsp = 4;
    f.state.seg[EMUL_SS].limit = 0xff;
    faults(SS, 0, CALLF);
    done(0x7000, "\xea\x00\x70\x00\x00\x08\x00");
    done(0x7000, "\x66\xea\x00\x70\x60\x00");
    environment(LONG0); /* REX.W: Intel m16:64, AMD m16:32; pushes of 8 bytes */
    pointer(8, 0x123456789a, CODE64_0);
    done(0x123456789a, "\x48\xff\x1b");
    assert_int_equal(get(STACK - 8, 8), CODE64_0);
    assert_int_equal(get(STACK - 16, 8), CODE + 3);
    pointer(8, 0x800000000000, CODE64_0);
    faults(GP, 0, "\x48\xff\x2b");
    f.ctx.features |= EMUL_IS_AMD;
    pointer(4, 0x7000, CODE64_0);
    done(0x7000, "\x48\xff\x2b");
}

static void test_far_real(void **state)
{
    (void)state;
    environment(REAL);
    f.state.seg[EMUL_CS].limit = 0xffffffff;
    done(0x5678, "\x9a\x78\x56\x34\x12");
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x12340);
    assert_int_equal(f.state.seg[EMUL_CS].limit, 0xffffffff);
    assert_int_equal(get(STACK - 2, 2), 0);
    assert_int_equal(get(STACK - 4, 2), CODE + 5);
    environment(REAL);
    put(STACK, 2, 0x1111);
    put(STACK + 2, 2, 0x2222);
    done(0x1111, "\xca\x06\x00");
    assert_int_equal(f.state.seg[EMUL_CS].selector, 0x2222);
    assert_int_equal(f.state.rsp, STACK + 10);
    environment(V86);
    pointer(2, 0x10, 0xf000);
    done(0x10, "\xff\x2f"); /* [bx] */
    assert_int_equal(f.state.seg[EMUL_CS].attr, 0xf3);
    environment(REAL);
    faults(GP, 0, "\x66\xea\x00\x00\x01\x00\x00\x00");
    put(STACK, 4, 0x10000);
    faults(GP, 0, "\x66\xcb");
}

static void test_call_gate(void **state)
{
    (void)state;
    environment(PROT3); /* to level 0, three parameters */
    gdt(GATE, gate(CODE0, HANDLER, 0xec, 3));
    for (unsigned i = 0; i < 3; i++)
        put(STACK + i * 4, 4, 0x100 + i);
    pointer(4, 0xdeadbeef, GATE | 3);
    done(HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK0 - 28);
    assert_int_equal(f.state.seg[EMUL_CS].selector, CODE0);
    assert_int_equal(f.state.seg[EMUL_SS].selector, DATA0);
    assert_int_equal(get(STACK0 - 4, 4), DATA3 | 3);
    assert_int_equal(get(STACK0 - 8, 4), STACK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(get(STACK0 - 20 + i * 4, 4), 0x100 + i);
    assert_int_equal(get(STACK0 - 24, 4), CODE3 | 3);
    assert_int_equal(get(STACK0 - 28, 4), CODE + 2);
    f.gpr[EMUL_RSP] = 0;
    f.state.seg[EMUL_FS] = segment(CONFORM); /* and back: DS and GS of level 0 are nulled */
    f.state.seg[EMUL_ES] = segment(DATA3 | 3);
    f.state.seg[EMUL_DS] = f.state.seg[EMUL_GS] = segment(DATA0);
    done(CODE + 2, "\xca\x0c\x00");
    assert_int_equal(f.state.seg[EMUL_ES].selector, DATA3 | 3);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS);
    assert_int_equal(f.state.rsp, STACK + 12);
    assert_int_equal(f.state.seg[EMUL_CS].selector, CODE3 | 3);
    assert_int_equal(f.state.seg[EMUL_SS].selector, DATA3 | 3);
    assert_int_equal(f.state.seg[EMUL_DS].selector, 0);
    assert_int_equal(f.state.seg[EMUL_GS].attr & UNUSABLE, UNUSABLE);
    assert_int_equal(f.state.seg[EMUL_FS].selector, CONFORM);
    environment(PROT3); /* all 31, 16-bit gate */
    gdt(GATE16, gate(CODE0, HANDLER, 0xe4, 31));
    put(STACK + 60, 2, 0x7777);
    pointer(4, 0, GATE16);
    done(HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK0 - 35 * 2);
    assert_int_equal(get(STACK0 - 6, 2), 0x7777);
    environment(PROT3); /* the most that a call pushes */
    gdt(GATE, gate(CODE0, HANDLER, 0xec, 31));
    pointer(4, 0, GATE);
    done(HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK0 - 35 * 4);
    environment(PROT0); /* on the same level; JMP too */
    pointer(4, 0, GATE);
    done(HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK - 8);
    done(HANDLER, JMPF);
    environment(PROT3); /* to conforming code: the level stays */
    gdt(GATE, gate(CONFORM, HANDLER, 0xec, 0));
    pointer(4, 0, GATE);
    done(HANDLER, JMPF);
    assert_int_equal(f.state.seg[EMUL_CS].selector, CONFORM | 3);
    environment(COMPAT3); /* on the same level, out of a 32-bit segment: pushes as 64-bit code */
    gdt(GATE, gate(CODE64_3, HANDLER, 0xec, 0));
    pointer(4, 0, GATE);
    f.state.seg[EMUL_SS].limit = STACK - 9;
    done(HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK - 16);
    environment(LONG0); /* a 16-bit gate there is none */
    gdt(GATE, gate(CODE64_0, HANDLER, 0xe4, 0));
    pointer(4, 0, GATE);
    faults(GP, GATE, CALLF);
    environment(COMPAT3); /* 64 bits */
    put(GDT + GATE + 8, 8, 0x1234);
    pointer(4, 0, GATE);
    done(0x123400000000 | HANDLER, CALLF);
    assert_int_equal(f.state.rsp, STACK0 - 32);
    assert_int_equal(f.state.seg[EMUL_SS].selector, 0);
    assert_int_equal(get(STACK0 - 8, 8), DATA3 | 3);
    assert_int_equal(get(STACK0 - 32, 8), CODE + 2);
}

static void test_call_gate_faults(void **state)
{
    (void)state;
    environment(PROT3);
    pointer(4, 0, GATE);
    faults(GP, CODE0, JMPF); /* a JMP does not change the level */
    gdt(GATE, gate(CODE0, HANDLER, 0x8c, 0));
    faults(GP, GATE, CALLF);
    environment(PROT0);
    gdt(GATE, gate(CODE0, HANDLER, 0x8c, 0));
    pointer(4, 0, GATE | 1);
    faults(GP, GATE, CALLF);
    environment(PROT3);
    pointer(4, 0, GATE);
    gdt(GATE, gate(CODE0, HANDLER, 0x6c, 0));
    faults(NP, GATE, CALLF);
    gdt(GATE, gate(0, HANDLER, 0xec, 0));
    faults(GP, 0, CALLF);
    gdt(GATE, gate(DATA0, HANDLER, 0xec, 0));
    faults(GP, DATA0, CALLF);
    gdt(GATE, gate(CODE_NP, HANDLER, 0xec, 0));
    faults(NP, CODE_NP, CALLF);
    gdt(GATE, gate(GDT_SIZE, HANDLER, 0xec, 0));
    faults(GP, GDT_SIZE, CALLF);
    gdt(GATE, gate(CODE_SMALL, HANDLER, 0xec, 0));
    faults(GP, 0, CALLF);
    gdt(GATE, gate(CODE0, HANDLER, 0xec, 2)); /* the inner stack */
    put(TSS_A + 8, 2, 0);
    faults(TS, 0, CALLF);
    put(TSS_A + 8, 2, GDT_SIZE);
    faults(TS, GDT_SIZE, CALLF);
    put(TSS_A + 8, 2, DATA0 | 1);
    faults(TS, DATA0, CALLF);
    put(TSS_A + 8, 2, DATA3);
    faults(TS, DATA3, CALLF);
    put(TSS_A + 8, 2, READONLY);
    faults(TS, READONLY, CALLF);
    put(TSS_A + 8, 2, DATA_NP);
    faults(SS, DATA_NP, CALLF);
    put(TSS_A + 8, 2, SMALL); /* 24 bytes are pushed; the limit is FFF */
    put(TSS_A + 4, 4, 20);
    faults(SS, SMALL, CALLF);
    put(TSS_A + 4, 4, 0x1001);
    faults(SS, SMALL, CALLF);
    put(TSS_A + 4, 4, 24);
    f.state.seg[EMUL_SS].limit = STACK + 6; /* the second parameter */
    faults(SS, 0, CALLF);
    f.state.seg[EMUL_SS].limit = STACK + 7;
    done(HANDLER, CALLF);
    assert_int_equal(access_byte(SMALL), 0x93);
    environment(PROT3);
    pointer(4, 0, GATE);
    f.state.seg[EMUL_TR].limit = 8;
    faults(TS, TSS, CALLF);
    environment(COMPAT3);
    pointer(4, 0, GATE);
    put(GDT + GATE + 8, 8, 0x8000);
    faults(GP, 0, CALLF);
    put(GDT + GATE + 8, 8, 0x10000000000);
    faults(GP, GATE, CALLF);
    put(GDT + GATE + 8, 8, 0);
    put(TSS_A + 4, 8, 0x800000000010);
    faults(SS, 0, CALLF);
    put(TSS_A + 4, 8, NO_PAGE + 8);
    faults(PF, 2, CALLF);
    assert_int_equal(f.result.cr2, NO_PAGE);
    gdt(GATE, gate(CODE0, HANDLER, 0xec, 0)); /* not 64-bit code */
    faults(GP, CODE0, CALLF);
}

static void frame32(unsigned rip, unsigned cs, unsigned rsp, unsigned ss)
{
    put(STACK, 4, rip);
    put(STACK + 4, 4, cs);
    put(STACK + 8, 4, rsp);
    put(STACK + 12, 4, ss);
}

static void test_far_return_faults(void **state)
{
    static const struct { enum mode mode; uint16_t cs, ss; unsigned rip, vector, error; } rows[] = {
        { PROT0, CODE0, 0, 0x7000, 0, 0 }, { PROT0, CODE3 | 3, DATA3 | 3, 0x7000, 0, 0 }, { PROT0, CONFORM | 3, DATA3 | 3, 0x7000, 0, 0 },
        { PROT0, 0, 0, 0, GP, 0 }, { PROT3, CODE0, 0, 0, GP, CODE0 }, { PROT3, CODE3 | 2, 0, 0, GP, CODE3 }, { PROT0, DATA0, 0, 0, GP, DATA0 },
        { PROT0, CODE3, 0, 0, GP, CODE3 }, { PROT0, CONFORM3, 0, 0, GP, CONFORM3 }, { PROT0, CODE_NP, 0, 0, NP, CODE_NP },
        { PROT0, GDT_SIZE, 0, 0, GP, GDT_SIZE }, { PROT0, CODE_SMALL, 0, 0x1000, GP, 0 }, { PROT0, CODE3 | 3, 0, 0, GP, 0 },
        { PROT0, CODE3 | 3, 3, 0, GP, 0 }, { PROT0, CODE3 | 3, DATA3, 0, GP, DATA3 }, { PROT0, CODE3 | 3, DATA0, 0, GP, DATA0 },
        { PROT0, CODE3 | 3, CODE3 | 3, 0, GP, CODE3 }, { PROT0, CODE3 | 3, GDT_SIZE | 3, 0, GP, GDT_SIZE },
        { LONG0, CODE64_3 | 3, 3, 0, GP, 0 }, { LONG0, CODE_LD, 0, 0, GP, CODE_LD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        environment(rows[i].mode);
        frame32(rows[i].rip, rows[i].cs, 0x16800, rows[i].ss);
        if (rows[i].vector) {
            check_fault(RUN("\xcb"), rows[i].vector, rows[i].error, "retf row", i);
            continue;
        }
        _assert_int_equal(RUN("\xcb"), EMUL_DONE, "retf row", i);
        assert_int_equal(f.state.rip, rows[i].rip);
        assert_int_equal(f.state.rsp, rows[i].ss ? 0x16800 : STACK + 8);
        assert_int_equal(f.state.seg[EMUL_CS].selector, rows[i].cs);
        assert_int_equal(f.state.seg[EMUL_SS].attr >> 5 & 3, rows[i].cs & 3);
    }
    environment(PROT0);
    gdt(DATA_NP, descriptor(0, 0xfffff, 0xc073));
    frame32(0, CODE3 | 3, 0, DATA_NP | 3);
    faults(SS, DATA_NP, "\xcb");
    frame32(0, CODE3 | 3, 0, DATA3 | 3);
    f.state.seg[EMUL_SS].limit = STACK + 14;
    faults(SS, 0, "\xcb");
    f.state.seg[EMUL_SS].limit = STACK + 6;
    faults(SS, 0, "\xcb");
    environment(LONG0); /* 64 bits: to level 3, null SS on level 1 only */
    put(STACK, 8, 0x7fffffffffff);
    put(STACK + 8, 8, CODE64_3 | 3);
    put(STACK + 24 + 16, 8, DATA3 | 3);
    put(STACK + 16 + 16, 8, 0x123456789a);
    done(0x7fffffffffff, "\x48\xca\x10\x00");
    assert_int_equal(f.state.rsp, 0x12345678aa);
    environment(LONG0);
    put(STACK, 8, 0x800000000000);
    put(STACK + 8, 8, CODE64_0);
    faults(GP, 0, "\x48\xcb");
}

/* ---- Interrupts ---- */

#define INT(n) "\xcd" n

/* One gate of `type` at vector 30h for everyone. */
static void one_gate(unsigned selector, unsigned type)
{
    idt(0x30, gate(selector, HANDLER, 0xe0 | type, 0));
}

static void test_int_levels(void **state)
{
    (void)state;
    environment(PROT0); /* the same level */
    one_gate(CODE0, 0xe);
    f.state.rflags |= F_IF | F_TF | F_NT | F_CF | F_AC;
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK - 12);
    assert_int_equal(get(STACK - 4, 4), 2 | F_IF | F_TF | F_NT | F_CF | F_AC);
    assert_int_equal(get(STACK - 8, 4), CODE0);
    assert_int_equal(get(STACK - 12, 4), CODE + 2);
    assert_int_equal(f.state.rflags, 2 | F_CF | F_AC);
    assert_int_equal(f.result.step, 0);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS);
    one_gate(CODE0, 0xf); /* a trap gate leaves IF */
    f.state.rflags |= F_IF;
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rflags, 2 | F_CF | F_AC | F_IF);
    one_gate(CODE0, 6);
    f.state.rsp = STACK;
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK - 6);
    environment(PROT3); /* inwards, to level 1 and 0 */
    one_gate(CODE1, 0xe);
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK1 - 20);
    assert_int_equal(f.state.seg[EMUL_CS].selector, CODE1 | 1);
    assert_int_equal(f.state.seg[EMUL_SS].selector, DATA1 | 1);
    environment(PROT3);
    one_gate(CODE0, 0xe);
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK0 - 20);
    assert_int_equal(get(STACK0 - 4, 4), DATA3 | 3);
    assert_int_equal(get(STACK0 - 8, 4), STACK);
    assert_int_equal(f.state.seg[EMUL_DS].selector, DATA3 | 3); /* data segments stay */
    environment(PROT3);
    one_gate(CONFORM, 0xe);
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.seg[EMUL_CS].selector, CONFORM | 3);
    assert_int_equal(f.state.rsp, STACK - 12);
}

static void test_int_long(void **state)
{
    (void)state;
    environment(LONG0); /* always five words, aligned */
    one_gate(CODE64_0, 0xe);
    put(IDT + 0x30 * 16 + 8, 8, 0x1234);
    f.state.rsp = STACK - 3;
    done(0x123400000000 | HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK - 16 - 40);
    assert_int_equal(get(STACK - 24, 8), DATA0);
    assert_int_equal(get(STACK - 32, 8), STACK - 3);
    assert_int_equal(get(STACK - 48, 8), CODE64_0);
    assert_int_equal(get(STACK - 56, 8), CODE + 2);
    assert_int_equal(f.state.seg[EMUL_SS].selector, DATA0);
    environment(LONG3); /* inwards: SS is null */
    one_gate(CODE64_0, 0xe);
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK0 - 40);
    assert_int_equal(f.state.seg[EMUL_SS].selector, 0);
    assert_int_equal(f.state.seg[EMUL_SS].attr, UNUSABLE);
    for (enum mode mode = LONG0; mode <= COMPAT3; mode++) { /* IST, from any level */
        environment(mode);
        put(IDT + 0x30 * 16, 8, gate(CODE64_0, HANDLER, 0xee, 2));
        put(TSS_A + 0x24 + 8, 8, STACK_IST + 7);
        done(HANDLER, INT("\x30"));
        assert_int_equal(f.state.rsp, STACK_IST - 40);
    }
    environment(COMPAT3);
    one_gate(CODE64_3, 0xe); /* the same level, out of a 32-bit segment, whose limit is none there */
    f.state.rsp = STACK + 4;
    f.state.seg[EMUL_SS].limit = STACK - 20;
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK - 40);
    environment(LONG3);
    one_gate(CODE64_0, 0xe);
    put(IDT + 0x30 * 16 + 8, 8, 0x8000);
    faults(GP, 0, INT("\x30"));
    one_gate(CODE0, 0xe); /* not 64-bit code */
    faults(GP, CODE0, INT("\x30"));
    one_gate(CODE64_0, 6);
    faults(GP, 0x182, INT("\x30"));
    one_gate(CODE64_0, 0xe);
    f.state.seg[EMUL_TR].limit = 10;
    faults(TS, TSS, INT("\x30"));
    f.state.seg[EMUL_TR].limit = 0x67;
    f.state.idtr.limit = 0x30 * 16 + 14;
    faults(GP, 0x182, INT("\x30"));
    f.state.idtr.limit++;
    done(HANDLER, INT("\x30"));
}

static void test_int_faults(void **state)
{
    static const struct { uint16_t selector; uint8_t type; unsigned vector, error; } rows[] = {
        { CODE0, 0x8e, GP, 0x182 }, { CODE0, 0xec, GP, 0x182 }, { CODE0, 0xfe, GP, 0x182 }, { CODE0, 0x6e, NP, 0x182 }, { 0, 0xee, GP, 0 },
        { GDT_SIZE | 3, 0xee, GP, GDT_SIZE }, { DATA0, 0xee, GP, DATA0 }, { CODE_NP, 0xee, NP, CODE_NP }, { TSS2, 0xee, GP, TSS2 },
        { CODE_SMALL, 0xee, GP, 0 }, { GDT_SIZE, 0xe5, GP, GDT_SIZE }, { TSS2 | 4, 0xe5, GP, TSS2 | 4 }, { TSS, 0xe5, GP, TSS }, { CODE0, 0xe5, GP, CODE0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned is_idt = rows[i].error == 0x182;

        environment(PROT3);
        idt(0x30, gate(rows[i].selector, HANDLER, rows[i].type, 0));
        check_fault(RUN(INT("\x30")), rows[i].vector, rows[i].error, "int row", i);
        if (rows[i].type == 0x8e)
            continue; /* only software is asked for its level */
        before = f; /* the same by hardware: EXT */
        check_fault(emul_deliver(&f.ctx, 0x30, EMUL_EVENT_INTERRUPT, 0, 0, &f.result), rows[i].vector, rows[i].error | 1, "hardware row", i);
        assert_int_equal(is_idt, (f.result.error & 2) >> 1);
    }
    environment(PROT1);
    idt(0x30, gate(CODE3, HANDLER, 0xee, 0)); /* outwards there is no way */
    faults(GP, CODE3, INT("\x30"));
    environment(PROT3);
    one_gate(CODE0, 0xe);
    f.state.idtr.limit = 0x30 * 8 + 6;
    faults(GP, 0x182, INT("\x30"));
    f.state.idtr.limit++;
    put(TSS_A + 8, 2, 0);
    faults(TS, 0, INT("\x30"));
    before = f;
    check_fault(emul_deliver(&f.ctx, 0x30, EMUL_EVENT_TRAP, 0, 0, &f.result), TS, 1, __FILE__, __LINE__);
    put(TSS_A + 8, 2, DATA_NP);
    faults(SS, DATA_NP, INT("\x30"));
    put(TSS_A + 8, 2, SMALL);
    put(TSS_A + 4, 4, 16);
    faults(SS, SMALL, INT("\x30"));
    before = f;
    check_fault(emul_deliver(&f.ctx, 0x30, EMUL_EVENT_FAULT, 1, 5, &f.result), SS, SMALL | 1, __FILE__, __LINE__);
    environment(PROT0);
    one_gate(CODE0, 0xe);
    f.state.seg[EMUL_SS].limit = STACK - 8;
    faults(SS, 0, INT("\x30"));
}

static void test_int_kinds(void **state)
{
    (void)state;
    environment(PROT3);
    idt(3, gate(CODE0, HANDLER, 0xee, 0));
    idt(4, gate(CODE0, HANDLER + 4, 0xee, 0));
    idt(1, gate(CODE0, HANDLER + 1, 0x8e, 0));
    done(HANDLER, "\xcc");
    assert_int_equal(get(STACK0 - 20, 4), CODE + 1);
    environment(PROT3);
    idt(4, gate(CODE0, HANDLER + 4, 0xee, 0));
    next("\xce");
    f.state.rflags |= F_OF;
    done(HANDLER + 4, "\xce");
    environment(PROT3);
    idt(3, gate(CODE0, HANDLER, 0x8e, 0));
    idt(1, gate(CODE0, HANDLER + 1, 0x8e, 0));
    faults(GP, 0x1a, "\xcc");
    faults(GP, 0x1a, INT("\x03"));
    done(HANDLER + 1, "\xf1"); /* INT1 asks no DPL */
    environment(PROT3);
    faults(GP, 0x0b, "\xf1"); /* and is an exception: EXT */
}

static void test_deliver(void **state)
{
    (void)state;
    environment(PROT3); /* error code; RF of a fault */
    idt(13, gate(CODE0, HANDLER, 0x8e, 0));
    f.state.rflags |= F_IF;
    assert_int_equal(emul_deliver(&f.ctx, 13, EMUL_EVENT_FAULT, 1, 0x1234, &f.result), EMUL_DONE);
    assert_int_equal(f.result.status, EMUL_DONE);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS);
    assert_int_equal(f.state.rip, HANDLER);
    assert_int_equal(f.state.rsp, STACK0 - 24);
    assert_int_equal(get(STACK0 - 24, 4), 0x1234);
    assert_int_equal(get(STACK0 - 20, 4), CODE);
    assert_int_equal(get(STACK0 - 12, 4), 2 | F_IF | F_RF);
    assert_int_equal(f.state.rflags, 2);
    environment(PROT3);
    idt(0x30, gate(CODE0, HANDLER, 0x8e, 0));
    f.state.shadow = EMUL_SHADOW_STI;
    assert_int_equal(emul_deliver(&f.ctx, 0x30, EMUL_EVENT_INTERRUPT, 0, 0, &f.result), EMUL_DONE);
    assert_int_equal(get(STACK0 - 12, 4), 2);
    assert_int_equal(f.state.shadow, 0);
    environment(PROT3); /* #DB before an instruction: RF as it was, so that the breakpoint comes back */
    idt(1, gate(CODE0, HANDLER, 0x8e, 0));
    assert_int_equal(emul_deliver(&f.ctx, 1, EMUL_EVENT_FAULT, 0, 0, &f.result), EMUL_DONE);
    assert_int_equal(get(STACK0 - 12, 4), 2);
    environment(LONG0); /* a page fault has no EXT */
    idt(14, gate(CODE64_0, HANDLER, 0x8e, 0));
    f.state.rsp = NO_PAGE + 16;
    before = f;
    check_fault(emul_deliver(&f.ctx, 14, EMUL_EVENT_FAULT, 1, 6, &f.result), PF, 2, __FILE__, __LINE__);
    environment(LONG3);
    idt(14, gate(CODE64_0, HANDLER, 0x8e, 0));
    assert_int_equal(emul_deliver(&f.ctx, 14, EMUL_EVENT_FAULT, 1, 6, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rsp, STACK0 - 48);
    assert_int_equal(get(STACK0 - 48, 8), 6);
    environment(REAL); /* no error code there */
    put(13 * 4, 4, 0x12345678);
    f.state.rflags |= F_IF | F_TF | F_AC;
    assert_int_equal(emul_deliver(&f.ctx, 13, EMUL_EVENT_FAULT, 1, 0, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rsp, STACK - 6);
    assert_int_equal(f.state.rip, 0x5678);
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x12340);
    assert_int_equal(get(STACK - 2, 2), 2 | F_IF | F_TF);
    assert_int_equal(f.state.rflags, 2);
    environment(REAL);
    f.state.idtr.limit = 13 * 4 + 2;
    faults(GP, 0x6a, INT("\x0d"));
    f.state.rsp = 5;
    f.state.idtr.limit++;
    f.state.seg[EMUL_SS].limit = 0xff;
    faults(SS, 0, INT("\x0d"));
}

/* SDM 3B table 20-2: what INT n does in virtual-8086 mode. */
static void test_int_v86(void **state)
{
    (void)state;
    environment(V86); /* no VME, IOPL 3: the protected-mode handler */
    f.state.rflags |= F_IOPL | F_IF;
    one_gate(CODE0, 0xe);
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        f.state.seg[i].selector = i == EMUL_CS ? 0 : 0x100 + i;
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK0 - 36);
    assert_int_equal(get(STACK0 - 4, 4), 0x100 + EMUL_GS);
    assert_int_equal(get(STACK0 - 8, 4), 0x100 + EMUL_FS);
    assert_int_equal(get(STACK0 - 12, 4), 0x100 + EMUL_DS);
    assert_int_equal(get(STACK0 - 16, 4), 0x100 + EMUL_ES);
    assert_int_equal(get(STACK0 - 20, 4), 0x100 + EMUL_SS);
    assert_int_equal(get(STACK0 - 24, 4), STACK);
    assert_int_equal(get(STACK0 - 28, 4), 2 | F_IOPL | F_IF | F_VM);
    assert_int_equal(get(STACK0 - 36, 4), CODE + 2);
    assert_int_equal(f.state.rflags, 2 | F_IOPL);
    assert_int_equal(f.state.seg[EMUL_GS].attr, UNUSABLE);
    assert_int_equal(f.state.seg[EMUL_SS].attr >> 5 & 3, 0);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS);
    environment(V86); /* below IOPL 3 */
    one_gate(CODE0, 0xe);
    idt(3, gate(CODE0, HANDLER, 0xee, 0));
    faults(GP, 0, INT("\x30"));
    f.state.cr4 |= 1; /* VME, and the bitmap says no */
    faults(GP, 0, INT("\x30"));
    done(HANDLER, "\xcc"); /* INT3 is not asked */
    for (unsigned iopl = 2; iopl <= 3; iopl++) { /* redirected */
        environment(V86);
        f.state.cr4 |= 1;
        f.state.rflags |= iopl << 12 | F_VIF | F_TF | (iopl == 3 ? F_IF : 0);
        put(0x30 * 4, 4, 0x01005678);
        f.ram[TSS_A + 0x100 - 32 + 6] = 0xfe;
        done(0x5678, INT("\x30"));
        assert_int_equal(f.state.seg[EMUL_CS].base, 0x1000);
        assert_int_equal(f.state.rsp, STACK - 6);
        assert_int_equal(get(STACK - 2, 2), 2 | F_IF | F_TF | F_IOPL);
        assert_int_equal(f.state.rflags, 2 | F_VM | iopl << 12 | (iopl == 3 ? F_VIF : 0));
    }
    environment(V86); /* the bitmap ends before it, or there is none */
    f.state.cr4 |= 1;
    f.ram[TSS_A + 0xe6] = 0;
    f.state.seg[EMUL_TR].limit = 0xe5;
    faults(GP, 0, INT("\x30"));
    put(TSS_A + 0x66, 2, 0x20);
    f.state.seg[EMUL_TR].limit = 0x66;
    faults(GP, 0, INT("\x30"));
    environment(V86); /* without VME nobody asks it */
    f.ram[TSS_A + 0xe6] = 0;
    f.state.rflags |= F_IOPL;
    one_gate(CODE0, 0xe);
    done(HANDLER, INT("\x30"));
    assert_int_equal(f.state.rsp, STACK0 - 36);
    environment(V86); /* the handler must be at level 0, not conforming */
    f.state.rflags |= F_IOPL;
    one_gate(CODE1, 0xe);
    faults(GP, CODE1, INT("\x30"));
    one_gate(CONFORM, 0xe);
    faults(GP, CONFORM, INT("\x30"));
}

/* ---- IRET ---- */

static void iret_frame(unsigned size, uint64_t rip, unsigned cs, uint64_t flags, uint64_t rsp, unsigned ss)
{
    const uint64_t frame[] = { rip, cs, flags, rsp, ss };

    for (unsigned i = 0; i < 5; i++)
        put(STACK + i * size, size, frame[i]);
}

static void test_iret(void **state)
{
    enum { ALL = 0x3f7fd7, LOW = 0xcd5 };

    (void)state;
    environment(PROT0); /* the same level: all flags but VM */
    iret_frame(4, 0x7000, CODE0, ALL & ~F_VM, 0, 0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rsp, STACK + 12);
    assert_int_equal(f.state.rflags, ALL & ~F_VM);
    environment(PROT0); /* 16 bits: the lower half */
    iret_frame(2, 0x7000, CODE0, 0xffff, 0, 0);
    f.state.rflags |= F_AC;
    done(0x7000, "\x66\xcf");
    assert_int_equal(f.state.rflags, 2 | F_AC | (ALL & 0xffff));
    environment(PROT3); /* level 3: neither IOPL nor IF, VIF, VIP */
    iret_frame(4, 0x7000, CODE3 | 3, ALL & ~F_NT, 0, 0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2 | LOW | F_TF | F_RF | F_AC | F_ID);
    environment(PROT3);
    f.state.rflags |= F_IOPL;
    iret_frame(4, 0x7000, CODE3 | 3, F_IF, 0, 0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2 | F_IOPL | F_IF);
    environment(PROT0); /* outwards, to a 16-bit stack: the upper half of ESP stays */
    f.state.rsp = 0x10000 | STACK;
    for (unsigned i = 0; i < 5; i++)
        put(0x10000 + STACK + i * 4, 4, (uint64_t[]){ 0x7000, CODE3 | 3, 2, 0x22224444, DATA16_3 | 3 }[i]);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rsp, 0x14444);
    assert_int_equal(f.state.seg[EMUL_DS].selector, 0);
    environment(REAL);
    iret_frame(2, 0x5678, 0x1234, 0xffff, 0, 0);
    done(0x5678, "\xcf");
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x12340);
    assert_int_equal(f.state.rflags, 2 | (ALL & 0x7fff));
    environment(REAL);
    iret_frame(4, 0x5678, 0x1234, ALL, 0, 0);
    done(0x5678, "\x66\xcf");
    assert_int_equal(f.state.rflags, ALL & ~(F_VM | F_VIF | F_VIP));
    iret_frame(4, 0x10000, 0x1234, 2, 0, 0);
    f.state.rsp = STACK;
    f.state.seg[EMUL_CS] = before.state.seg[EMUL_CS];
    faults(GP, 0, "\x66\xcf");
}

static void test_iret_long(void **state)
{
    (void)state;
    environment(LONG0); /* RSP and SS always */
    iret_frame(8, 0x7000, CODE64_0, 2, 0x123456789a, 0);
    done(0x7000, "\x48\xcf");
    assert_int_equal(f.state.rsp, 0x123456789a);
    assert_int_equal(f.state.seg[EMUL_SS].selector, 0);
    environment(LONG0);
    iret_frame(8, 0x7000, CODE64_3 | 3, F_VM | F_IF, 0x123456789a, DATA3 | 3);
    done(0x7000, "\x48\xcf");
    assert_int_equal(f.state.rflags, 2 | F_IF);
    assert_int_equal(f.state.seg[EMUL_DS].attr & UNUSABLE, UNUSABLE);
    environment(LONG0);
    iret_frame(4, 0x7000, CODE64_0, F_VM | F_CF, 0x9000, DATA0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2 | F_CF);
    assert_int_equal(f.state.rsp, 0x9000);
    environment(LONG0); /* to compatibility mode with a 16-bit stack */
    f.state.rsp = STACK;
    iret_frame(8, 0x7000, CODE3 | 3, 2, 0x123454444, DATA16_3 | 3);
    done(0x7000, "\x48\xcf");
    assert_int_equal(f.state.rsp, 0x4444);
    environment(LONG0);
    iret_frame(8, 0x7000, CODE3 | 3, 2, 0, 3);
    faults(GP, 0, "\x48\xcf");
    iret_frame(8, 0x7000, CODE64_3 | 3, 2, 0, 3);
    faults(GP, 0, "\x48\xcf");
    iret_frame(8, 0x7000, CODE64_0, 2, 0, 1);
    faults(GP, 0, "\x48\xcf");
    iret_frame(8, 0x7000, CODE0, 2, 0, 0);
    faults(GP, 0, "\x48\xcf");
    iret_frame(8, 0x7000, CODE64_0, 2, 0, DATA3 | 3);
    faults(GP, DATA3, "\x48\xcf");
    iret_frame(8, 0x800000000000, CODE64_0, 2, 0, 0);
    faults(GP, 0, "\x48\xcf");
    iret_frame(8, 0x100000000, CODE0, 2, 0, DATA0);
    faults(GP, 0, "\x48\xcf");
    f.state.rflags |= F_NT;
    iret_frame(8, 0x7000, CODE64_0, 2, 0, 0);
    faults(GP, 0, "\x48\xcf");
    environment(LONG3);
    iret_frame(8, 0x7000, CODE64_0, 2, 0, 0);
    faults(GP, CODE64_0, "\x48\xcf");
    environment(LONG0);
    put(STACK, 8, 0x7000);
    f.state.rsp = NO_PAGE - 8;
    faults(PF, 0, "\x48\xcf");
}

static void test_iret_v86(void **state)
{
    static const uint16_t segs[] = { 0x1001, 0x1002, 0x1003, 0x1004, 0x1005 }; /* SS ES DS FS GS */

    (void)state;
    environment(PROT0);
    iret_frame(4, 0x7000, 0x2222, 2 | F_VM | F_VIF | F_VIP | F_IOPL | F_IF | F_NT, 0x12348888, segs[0]);
    for (unsigned i = 1; i < 5; i++)
        put(STACK + 16 + i * 4, 4, segs[i]);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2 | F_VM | F_VIF | F_VIP | F_IOPL | F_IF | F_NT);
    assert_int_equal(f.state.rsp, 0x12348888);
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x22220);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS);
    for (unsigned i = 0; i < 5; i++) {
        const struct emul_segment *s = &f.state.seg[(uint8_t[]){ EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS }[i]];

        assert_int_equal(s->selector, segs[i]);
        assert_int_equal(s->base, segs[i] * 16);
        assert_int_equal(s->limit, 0xffff);
        assert_int_equal(s->attr, 0xf3);
    }
    environment(PROT0);
    iret_frame(4, 0x10000, 0x2222, 2 | F_VM, 0, 0);
    faults(GP, 0, "\xcf");
    environment(PROT1); /* only level 0 may: VM is ignored elsewhere */
    iret_frame(4, 0x7000, CODE1 | 1, 2 | F_VM, 0, 0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2);
    environment(V86); /* within */
    iret_frame(2, 0x7000, 0x2222, F_IF, 0, 0);
    faults(GP, 0, "\xcf");
    f.state.cr4 |= 1;
    iret_frame(2, 0x7000, 0x2222, F_IF | F_TF, 0, 0);
    faults(GP, 0, "\xcf");
    iret_frame(2, 0x7000, 0x2222, F_IF | F_IOPL, 0, 0);
    done(0x7000, "\xcf");
    assert_int_equal(f.state.rflags, 2 | F_VM | F_VIF);
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x22220);
    assert_int_equal(f.state.seg[EMUL_CS].attr, 0xf3);
    f.state.seg[EMUL_CS].base = 0;
    f.state.rsp = STACK;
    faults(GP, 0, "\x66\xcf");
    environment(V86);
    f.state.rflags |= F_IOPL;
    iret_frame(4, 0x7000, 0x2222, F_IF | F_RF | F_VIP, 0, 0);
    done(0x7000, "\x66\xcf");
    assert_int_equal(f.state.rflags, 2 | F_VM | F_IOPL | F_IF | F_RF);
}

/* ---- Tasks ---- */

/* A runnable 32-bit task at TSS_B, of level 0. */
static void task32(void)
{
    put(TSS_B + 0x1c, 4, 0x77777000);
    put(TSS_B + 0x20, 4, 0x7000);
    put(TSS_B + 0x24, 4, 2 | F_CF);
    for (unsigned i = 0; i < 8; i++)
        put(TSS_B + 0x28 + i * 4, 4, i == EMUL_RSP ? 0xc000 : 0xb0000000 + i);
    for (unsigned i = 0; i < 6; i++)
        put(TSS_B + 0x48 + i * 4, 4, i == EMUL_CS ? CODE0 : DATA0);
    put(TSS_B + 0x60, 2, LDT_S);
    put(TSS_B + 0x64, 4, 0);
}

static void prepare_task(void)
{
    environment(PROT0);
    task32();
    for (unsigned i = 0; i < 8; i++)
        f.gpr[i] = 0xa0000000 + i;
    memset(f.ram + TSS_A + 0x20, 0xee, 0x48); /* what is stored there shows */
    put(TSS_A + 0x60, 2, LDT_S);
    f.state.rflags |= F_IF;
    f.state.dr7 = 0x7ff;
    pointer(4, 0, TSS2);
}

static void check_saved(uint64_t rip, uint64_t flags)
{
    assert_int_equal(get(TSS_A + 0x20, 4), rip);
    assert_int_equal(get(TSS_A + 0x24, 4), flags);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(TSS_A + 0x28 + i * 4, 4), i == EMUL_RSP ? STACK : i == EMUL_RBX ? DATA : 0xa0000000 + i);
    for (unsigned i = 0; i < 6; i++) /* two bytes: the padding stays as it was */
        assert_int_equal(get(TSS_A + 0x48 + i * 4, 4), 0xeeee0000 | (i == EMUL_CS ? CODE0 : DATA0));
    assert_int_equal(get(TSS_A + 0x60, 4), 0xeeee0000 | LDT_S);
}

static void test_task_switch(void **state)
{
    (void)state;
    for (unsigned call = 0; call < 2; call++) {
        for (unsigned by_gate = 0; by_gate < 2; by_gate++) {
            prepare_task();
            pointer(4, 0x999999, by_gate ? TASKGATE : TSS2);
            assert_int_equal(call ? RUN(CALLF) : RUN(JMPF), EMUL_DONE);
            assert_int_equal(f.state.rip, 0x7000);
            check_saved(CODE + 2, 2 | F_IF);
            assert_int_equal(f.state.rflags, 2 | F_CF | (call ? F_NT : 0));
            assert_int_equal(f.state.rsp, 0xc000);
            assert_int_equal(f.gpr[EMUL_RDI], 0xb0000007);
            assert_int_equal(f.state.seg[EMUL_TR].selector, TSS2);
            assert_int_equal(f.state.seg[EMUL_TR].base, TSS_B);
            assert_int_equal(f.state.seg[EMUL_TR].attr & 0xf, 0xb);
            assert_int_equal(access_byte(TSS2), 0x8b);
            assert_int_equal(access_byte(TSS), call ? 0x8b : 0x89);
            assert_int_equal(get(TSS_B, 2), call ? TSS : 0);
            assert_int_equal(f.state.cr0 & 8, 8);
            assert_int_equal(f.state.dr7, 0x7ff & ~0x155);
            assert_int_equal(f.state.cr3, 0); /* without paging it is not loaded */
            assert_int_equal(f.state.seg[EMUL_LDTR].selector, LDT_S);
            assert_int_equal(f.state.seg[EMUL_GS].selector, DATA0);
            assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS | EMUL_STATE_SYSTEM | EMUL_STATE_CR | EMUL_STATE_DR);
            assert_int_equal(f.result.step, 0);
        }
    }
}

static void test_task_return(void **state)
{
    (void)state;
    prepare_task();
    done(0x7000, CALLF);
    put(TSS_B + 0x20, 4, 0);
    memcpy(f.ram + 0x7000, "\xcf", 1);
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(f.state.rflags, 2 | F_IF);
    assert_int_equal(f.state.seg[EMUL_TR].selector, TSS);
    assert_int_equal(access_byte(TSS), 0x8b);
    assert_int_equal(access_byte(TSS2), 0x89);
    assert_int_equal(get(TSS_B + 0x20, 4), 0x7001);
    assert_int_equal(get(TSS_B + 0x24, 4), 2 | F_CF); /* NT is off in what is stored */
    assert_int_equal(f.gpr[EMUL_RBX], DATA);
    prepare_task(); /* the link is bad */
    f.state.rflags |= F_NT;
    put(TSS_A, 2, TSS2);
    faults(TS, TSS2, "\xcf"); /* not busy */
    put(TSS_A, 2, TSS2 | 4);
    faults(TS, TSS2 | 4, "\xcf");
    put(TSS_A, 2, 0);
    faults(TS, 0, "\xcf");
    put(TSS_A, 2, GDT_SIZE);
    faults(TS, GDT_SIZE, "\xcf");
    put(TSS_A, 2, TSS2);
    gdt(TSS2, descriptor(TSS_B, 0x67, 0x0b));
    faults(NP, TSS2, "\xcf");
}

static void test_task16(void **state)
{
    (void)state;
    prepare_task();
    put(TSS_16 + 0xe, 2, 0x7000);
    put(TSS_16 + 0x10, 2, F_CF);
    for (unsigned i = 0; i < 8; i++)
        put(TSS_16 + 0x12 + i * 2, 2, 0xb000 + i);
    for (unsigned i = 0; i < 4; i++)
        put(TSS_16 + 0x22 + i * 2, 2, i == EMUL_CS ? CODE16_0 : DATA16_0);
    put(TSS_16 + 0x64, 2, 1); /* behind its end: no T */
    pointer(4, 0, TSS16);
    done(0x7000, CALLF);
    check_saved(CODE + 2, 2 | F_IF);
    assert_int_equal(f.state.rflags, 2 | F_CF | F_NT);
    assert_int_equal(f.gpr[EMUL_RAX], 0xb000);
    assert_int_equal(f.state.seg[EMUL_FS].attr & UNUSABLE, UNUSABLE);
    assert_int_equal(f.state.seg[EMUL_LDTR].attr & UNUSABLE, UNUSABLE);
    f.ram[0x7000] = '\xcf'; /* and back, which stores it */
    assert_int_equal(emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, CODE + 2);
    assert_int_equal(get(TSS_16 + 0xe, 2), 0x7001);
    assert_int_equal(get(TSS_16 + 0x10, 2), 2 | F_CF);
    assert_int_equal(get(TSS_16 + 0x2a, 2), 0);
    assert_int_equal(f.state.rflags, 2 | F_IF);
}

static void test_task_faults(void **state)
{
    (void)state;
    prepare_task(); /* before the switch: nothing has changed */
    gdt(TSS2, descriptor(TSS_B, 0x66, 0x89));
    faults(TS, TSS2, JMPF);
    gdt(TSS2, descriptor(TSS_B, 0x67, 0x09));
    faults(NP, TSS2, JMPF);
    gdt(TSS2, descriptor(TSS_B, 0x67, 0x8b));
    faults(GP, TSS2, JMPF);
    pointer(4, 0, TSS2 | 1);
    gdt(TSS2, descriptor(TSS_B, 0x67, 0x89));
    faults(GP, TSS2, JMPF);
    pointer(4, 0, TSS16);
    gdt(TSS16, descriptor(TSS_16, 0x2a, 0x81));
    faults(TS, TSS16, JMPF);
    prepare_task(); /* the old one has no room */
    f.state.seg[EMUL_TR].limit = 0x66;
    faults(TS, TSS, JMPF);
    faults(TS, TSS, CALLF);
    environment(PROT3);
    pointer(4, 0, TSS2);
    faults(GP, TSS2, CALLF);
    pointer(4, 0, TASKGATE | 3);
    gdt(TASKGATE, gate(TSS2 | 4, 0, 0xe5, 0));
    faults(GP, TSS2 | 4, CALLF);
    gdt(TASKGATE, gate(TSS, 0, 0xe5, 0));
    faults(GP, TSS, CALLF);
    gdt(TASKGATE, gate(0, 0, 0xe5, 0));
    faults(GP, 0, CALLF);
    gdt(TASKGATE, gate(TSS2, 0, 0x65, 0));
    faults(NP, TASKGATE, CALLF);
    prepare_task(); /* another vcpu has won the descriptor */
    f.lose = 1;
    assert_int_equal(RUN(JMPF), EMUL_RETRY);
    assert_int_equal(unchanged(), 1);
}

/* Faults of the new task: it is there, and its state is whole. */
static void test_task_loads(void **state)
{
    static const struct { unsigned at; uint32_t value; unsigned vector, error; } rows[] = {
        { 0x60, DATA0, TS, DATA0 }, { 0x60, LDT_S | 4, TS, LDT_S | 4 }, { 0x60, GDT_SIZE, TS, GDT_SIZE },
        { 0x4c, 0, TS, 0 }, { 0x4c, DATA0, TS, DATA0 }, { 0x4c, CODE3, TS, CODE3 }, { 0x4c, CODE_NP, NP, CODE_NP }, { 0x4c, GDT_SIZE, TS, GDT_SIZE },
        { 0x50, 0, TS, 0 }, { 0x50, DATA3 | 3, TS, DATA3 }, { 0x50, READONLY, TS, READONLY }, { 0x50, DATA_NP, SS, DATA_NP },
        { 0x48, EXECONLY, TS, EXECONLY }, { 0x54, DATA0 | 1, TS, DATA0 }, { 0x58, DATA_NP, NP, DATA_NP }, { 0x5c, TSS, TS, TSS },
        { 0x4c, CODE_SMALL, GP, 0 }, { 0x64, 1, DB, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        prepare_task();
        put(TSS_B + rows[i].at, 2, rows[i].value);
        f.state.shadow = EMUL_SHADOW_STI;
        _assert_int_equal(RUN(JMPF), EMUL_FAULT, "task row", i);
        _assert_int_equal(f.result.vector, rows[i].vector, "task row", i);
        _assert_int_equal(f.result.error, rows[i].error, "task row", i);
        assert_int_equal(f.state.rip, 0x7000);
        assert_int_equal(f.state.rsp, 0xc000);
        assert_int_equal(f.state.shadow, 0);
        assert_int_equal(f.state.seg[EMUL_TR].selector, TSS2);
        assert_int_equal(f.state.seg[EMUL_CS].selector, get(TSS_B + 0x4c, 2));
        assert_int_equal(f.state.seg[EMUL_CS].attr & 0x90, 0x90);
        assert_int_equal(f.gpr[EMUL_RDI], 0xb0000007);
        if (rows[i].vector == DB)
            assert_int_equal(f.result.dr6, 0x8000);
    }
}

static struct emul_cache cache;
static unsigned flushes;

static void count_flush(void *opaque, uint64_t linear, int all)
{
    (void)opaque;
    (void)linear;
    flushes += all;
}

/* The descriptor of the new task cannot be written, that of the old one can: nothing is. */
static void test_task_readonly(void **state)
{
    (void)state;
    prepare_task();
    memcpy(f.ram + 0x2f80, f.ram + GDT, GDT_SIZE); /* TSS2 in the page behind */
    f.state.gdtr.base = 0x2f80;
    for (unsigned i = 0; i < 64; i++)
        put(0x31000 + i * 4, 4, i * 4096 + (i == 3 ? 0x65 : 0x67));
    put(0x30000, 4, 0x31067);
    f.state.cr0 |= 1u << 31 | 1 << 16;
    f.state.cr3 = 0x30000;
    faults(PF, 3, JMPF);
    faults(PF, 3, CALLF);
}

/* Task gates in the IDT, error codes, a virtual-8086 task, CR3. */
static void test_task_events(void **state)
{
    (void)state;
    prepare_task();
    idt(8, gate(TSS2, 0, 0x85, 0));
    assert_int_equal(emul_deliver(&f.ctx, 8, EMUL_EVENT_FAULT, 1, 0x1234, &f.result), EMUL_DONE);
    assert_int_equal(f.state.rip, 0x7000);
    assert_int_equal(f.state.rsp, 0xc000 - 4);
    assert_int_equal(get(0xc000 - 4, 4), 0x1234);
    assert_int_equal(get(TSS_B, 2), TSS);
    assert_int_equal(get(TSS_A + 0x20, 4), CODE);
    assert_int_equal(get(TSS_A + 0x24, 4), 2 | F_IF | F_RF);
    assert_int_equal(f.state.rflags, 2 | F_CF | F_NT);
    prepare_task();
    idt(8, gate(TSS2, 0, 0x85, 0));
    put(TSS_B + 0x50, 2, DATA_NP);
    assert_int_equal(emul_deliver(&f.ctx, 8, EMUL_EVENT_FAULT, 1, 0, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, SS);
    assert_int_equal(f.result.error, DATA_NP | 1);
    prepare_task(); /* as an exit reports it */
    assert_int_equal(emul_task_switch(&f.ctx, TSS2, EMUL_TASK_CALL, 0, 0, &f.result), EMUL_DONE);
    assert_int_equal(get(TSS_B, 2), TSS);
    assert_int_equal(f.state.rip, 0x7000);
    assert_int_equal(emul_task_switch(&f.ctx, TSS, EMUL_TASK_IRET, 0, 0, &f.result), EMUL_DONE);
    assert_int_equal(f.state.seg[EMUL_TR].selector, TSS);
    assert_int_equal(emul_task_switch(&f.ctx, TSS, EMUL_TASK_JUMP, 0, 0, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, GP);
    assert_int_equal(f.result.error, TSS);
    assert_int_equal(emul_task_switch(&f.ctx, TSS, EMUL_TASK_GATE, 0, 0, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.error, TSS | 1);
    prepare_task();
    put(TSS_B + 0x24, 4, 2 | F_VM);
    put(TSS_B + 0x4c, 2, 0x1234);
    done(0x7000, JMPF);
    assert_int_equal(f.state.seg[EMUL_CS].base, 0x12340);
    assert_int_equal(f.state.seg[EMUL_CS].attr, 0xf3);
    assert_int_equal(f.state.seg[EMUL_GS].attr, 0xf3);
    prepare_task(); /* error code stacked, then EIP beyond the limit; TF of the new task traps behind its first instruction */
    idt(8, gate(TSS2, 0, 0x85, 0));
    put(TSS_B + 0x4c, 2, CODE_SMALL);
    assert_int_equal(emul_deliver(&f.ctx, 8, EMUL_EVENT_FAULT, 1, 0, &f.result), EMUL_FAULT);
    assert_int_equal(f.result.vector, GP);
    assert_int_equal(f.result.error, 1);
    assert_int_equal(f.state.rsp, 0xc000 - 4);
    assert_int_equal(access_byte(CODE_SMALL), 0x9b);
    prepare_task();
    put(TSS_B + 0x24, 4, 2 | F_TF);
    done(0x7000, JMPF);
    assert_int_equal(f.result.step, 0);
    prepare_task(); /* paging, 32-bit tables at 30000h: 4 MiB page onto itself; another table for the new task */
    put(0x30000, 4, 0xe7);
    put(0x31000, 4, 0xe7);
    f.state.cr0 |= 1u << 31;
    f.state.cr4 |= 1 << 4;
    f.state.cr3 = 0x30000;
    put(TSS_B + 0x1c, 4, 0x31000);
    f.ops.tlb_flush = count_flush;
    f.ctx.cache = &cache;
    flushes = 0;
    done(0x7000, JMPF);
    assert_int_equal(f.state.cr3, 0x31000);
    assert_int_equal(flushes, 1);
    assert_true(cache.page[0][CODE / 4096].tag == 0);
    prepare_task();
    put(0x30000, 4, 0xe7);
    f.state.cr0 |= 1u << 31;
    f.state.cr4 |= 1 << 4;
    f.state.cr3 = 0x30000;
    gdt(TSS2, descriptor(NO_PAGE - 0x40, 0x67, 0x89)); /* its end is not mapped */
    faults(PF, 0, JMPF);
    assert_int_equal(f.result.cr2, NO_PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_data), cmocka_unit_test(test_load_stack), cmocka_unit_test(test_segment_forms),
        cmocka_unit_test(test_load_far), cmocka_unit_test(test_ask), cmocka_unit_test(test_system_segments), cmocka_unit_test(test_ldt),
        cmocka_unit_test(test_far_direct), cmocka_unit_test(test_far_real), cmocka_unit_test(test_call_gate),
        cmocka_unit_test(test_call_gate_faults), cmocka_unit_test(test_far_return_faults), cmocka_unit_test(test_int_levels),
        cmocka_unit_test(test_int_long), cmocka_unit_test(test_int_faults), cmocka_unit_test(test_int_kinds), cmocka_unit_test(test_deliver),
        cmocka_unit_test(test_int_v86), cmocka_unit_test(test_iret), cmocka_unit_test(test_iret_long), cmocka_unit_test(test_iret_v86),
        cmocka_unit_test(test_task_switch), cmocka_unit_test(test_task_return), cmocka_unit_test(test_task16),
        cmocka_unit_test(test_task_faults), cmocka_unit_test(test_task_loads), cmocka_unit_test(test_task_events),
        cmocka_unit_test(test_task_readonly), cmocka_unit_test(test_odd_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
