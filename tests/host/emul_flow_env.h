/* A vcpu with descriptor tables, task states and stacks, for the tests of stack, segment, far transfer, interrupt and task code. */
#ifndef TESTS_HOST_EMUL_FLOW_ENV_H
#define TESTS_HOST_EMUL_FLOW_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "tests/host/emul_fake.h"

enum mode { REAL, PROT0, PROT1, PROT3, CODE16, V86, LONG0, LONG3, COMPAT3 };

enum { IVT = 0, CODE = 0x1000, GDT = 0x2000, LDT = 0x2800, IDT = 0x3000, DATA = 0x4000, TSS_A = 0x5000, TSS_B = 0x5400, TSS_16 = 0x5800,
       STACK = 0x8000, STACK0 = 0x9000, STACK1 = 0xa000, STACK_IST = 0xb000, HANDLER = 0x6000, NO_PAGE = 0x400000 };

/* Selectors of the GDT. */
enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x18, DATA3 = 0x20, CODE64_0 = 0x28, CODE64_3 = 0x30, TSS = 0x38 /* two slots */,
       LDT_S = 0x48 /* two slots */, CONFORM = 0x58, CODE16_0 = 0x60, DATA16_0 = 0x68, CODE_NP = 0x70, DATA_NP = 0x78, READONLY = 0x80,
       EXECONLY = 0x88, GATE = 0x90 /* two slots */, TASKGATE = 0xa0, TSS2 = 0xa8, TSS16 = 0xb0, GATE16 = 0xb8, DATA1 = 0xc0, CODE1 = 0xc8,
       SMALL = 0xd0, CODE_SMALL = 0xd8, CODE_LD = 0xe0, CONFORM3 = 0xe8, DATA16_3 = 0xf0, GDT_SIZE = 0x100 };

static struct fake f, before;

static inline void put(uint64_t at, unsigned size, uint64_t value)
{
    memcpy(f.ram + at, &value, size);
}

static inline uint64_t get(uint64_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, f.ram + at, size);
    return value;
}

/* attr: as in a descriptor, type to G at bits 0-7 and 12-15. */
static inline uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 0xf) << 48 |
           (uint64_t)(base >> 24) << 56;
}

static inline uint64_t gate(unsigned selector, uint32_t offset, unsigned attr, unsigned count)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 | (uint64_t)attr << 40 | (uint64_t)(offset >> 16) << 48;
}

static inline void gdt(unsigned selector, uint64_t d)
{
    put(GDT + (selector & 0xfff8), 8, d);
}

/* An IDT entry of the size that the mode has; ist counts in long mode. */
static inline void idt(unsigned vector, uint64_t d)
{
    unsigned wide = f.state.efer & 0x400 ? 16 : 8;

    put(IDT + vector * wide, 8, d);
    if (wide == 16)
        put(IDT + vector * wide + 8, 8, 0);
}

static inline void build_gdt(int is_long)
{
    static const struct { unsigned selector; uint32_t limit, attr; } rows[] = {
        { CODE0, 0xfffff, 0xc09b }, { DATA0, 0xfffff, 0xc093 }, { CODE3, 0xfffff, 0xc0fb }, { DATA3, 0xfffff, 0xc0f3 },
        { CODE64_0, 0xfffff, 0xa09b }, { CODE64_3, 0xfffff, 0xa0fb }, { CONFORM, 0xfffff, 0xc09f }, { CODE16_0, 0xffff, 0x009b },
        { DATA16_0, 0xffff, 0x0093 }, { CODE_NP, 0xfffff, 0xc01b }, { DATA_NP, 0xfffff, 0xc013 }, { READONLY, 0xfffff, 0xc091 },
        { EXECONLY, 0xfffff, 0xc099 }, { DATA1, 0xfffff, 0xc0b3 }, { CODE1, 0xfffff, 0xc0bb }, { SMALL, 0x0fff, 0x4092 },
        { CODE_SMALL, 0x0fff, 0x409a }, { CODE_LD, 0xfffff, 0xe09b }, { CONFORM3, 0xfffff, 0xc0ff }, { DATA16_3, 0xffff, 0x00f3 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        gdt(rows[i].selector, descriptor(0, rows[i].limit, rows[i].attr));
    gdt(TSS, descriptor(TSS_A, 0x2ff, 0x8b));
    gdt(LDT_S, descriptor(LDT, 0xff, 0x82));
    gdt(TSS2, descriptor(TSS_B, 0x67, 0x89));
    gdt(TSS16, descriptor(TSS_16, 0x2b, 0x81));
    gdt(TASKGATE, gate(TSS2, 0, 0xe5, 0));
    gdt(GATE, gate(is_long ? CODE64_0 : CODE0, HANDLER, 0xec, 0));
    gdt(GATE16, gate(CODE0, HANDLER, 0xe4, 0));
    put(LDT + 8, 8, descriptor(0, 0xfffff, 0xc0f3));
}

/* Stacks of the inner levels, and a bitmap that permits nothing. */
static inline void build_tss(int is_long)
{
    if (is_long) {
        put(TSS_A + 4, 8, STACK0);
        put(TSS_A + 12, 8, STACK1);
        put(TSS_A + 0x24 + 8, 8, STACK_IST); /* IST 2 */
        return;
    }
    put(TSS_A + 4, 4, STACK0);
    put(TSS_A + 8, 2, DATA0);
    put(TSS_A + 12, 4, STACK1);
    put(TSS_A + 16, 2, DATA1 | 1);
    put(TSS_A + 0x66, 2, 0x100);
    memset(f.ram + TSS_A + 0xe0, 0xff, 0x120);
}

static inline struct emul_segment segment(unsigned selector)
{
    uint64_t d = get(GDT + (selector & 0xfff8), 8);
    uint32_t limit = (d & 0xffff) | (d >> 32 & 0xf0000);
    struct emul_segment s = { .base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000), .attr = d >> 40 & 0xf0ff, .selector = selector };

    s.limit = s.attr & 0x8000 ? limit << 12 | 0xfff : limit;
    return s;
}

static inline void load_all(unsigned code, unsigned data)
{
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        f.state.seg[i] = segment(i == EMUL_CS ? code : data);
}

static inline void environment(enum mode mode)
{
    static const uint8_t bits[] = { 16, 32, 32, 32, 32, 32, 64, 64, 64 };
    int is_long = mode >= LONG0;

    fake_reset(&f, bits[mode]);
    build_gdt(is_long);
    f.state.gdtr = (struct emul_table){ GDT, GDT_SIZE - 1, 0 };
    f.state.idtr = (struct emul_table){ mode == REAL ? IVT : IDT, is_long ? 0xfff : 0x7ff, 0 };
    f.state.rsp = STACK;
    f.state.rip = CODE;
    if (mode == REAL)
        return;
    build_tss(is_long);
    f.state.seg[EMUL_TR] = segment(TSS);
    f.state.seg[EMUL_LDTR] = segment(LDT_S);
    if (mode == PROT0)
        load_all(CODE0, DATA0);
    else if (mode == PROT1)
        load_all(CODE1 | 1, DATA1 | 1);
    else if (mode == PROT3 || mode == COMPAT3)
        load_all(CODE3 | 3, DATA3 | 3);
    else if (mode == CODE16)
        load_all(CODE16_0, DATA16_0);
    else if (mode == LONG0)
        load_all(CODE64_0, DATA0);
    else if (mode == LONG3)
        load_all(CODE64_3 | 3, DATA3 | 3);
    if (mode == V86) {
        f.state.rflags |= 1 << 17;
        for (unsigned i = 0; i < EMUL_SEGS; i++)
            f.state.seg[i] = (struct emul_segment){ .limit = 0xffff, .attr = 0xf3 };
    }
}

/* Runs the bytes at CODE; CS has base 0. */
static inline int run(const char *code, unsigned count)
{
    memcpy(f.ram + CODE, code, count);
    f.state.rip = CODE;
    before = f;
    return emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result);
}
#define RUN(code) run(code, sizeof(code) - 1)

/* It worked, and RIP is there. */
#define done(to, code) \
    do { \
        assert_int_equal(RUN(code), EMUL_DONE); \
        assert_int_equal(f.state.rip, to); \
        assert_int_equal(f.state.rsp, f.gpr[EMUL_RSP]); \
    } while (0)
#define next(code) done(CODE + sizeof(code) - 1, code)

/* Nothing of the vcpu nor of its memory has changed. */
static inline int unchanged(void)
{
    f.gpr[EMUL_RSP] = before.gpr[EMUL_RSP];
    return !memcmp(&f.state, &before.state, sizeof(f.state)) && !memcmp(f.gpr, before.gpr, sizeof(f.gpr)) &&
           !memcmp(f.ram, before.ram, sizeof(f.ram)) && f.ctx.changed == before.ctx.changed;
}

static inline void check_fault(int status, unsigned vector, uint32_t error, const char *file, int line)
{
    _assert_int_equal(status, EMUL_FAULT, file, line);
    _assert_int_equal(f.result.vector, vector, file, line);
    _assert_int_equal(f.result.error, error, file, line);
    _assert_int_equal(unchanged(), 1, file, line);
}
#define faults(vector, error, code) check_fault(RUN(code), vector, error, __FILE__, __LINE__)

enum { DB = 1, BP = 3, OF = 4, BR = 5, UD = 6, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, AC = 17 };

#endif
