/* System instructions on a fake vcpu: every instruction, its modes, privileges and faults; what faults or is refused changes nothing.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_system_test \
 *     tests/host/emul_system_test.c emul/[a-z]*.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/host/emul_fake.h"
#include "emul/state.h"

enum { CODE = 0x1000, DATA = 0x4000, R11 = 11 };
#define BAD 0x800000000000ull      /* not canonical */
#define HIGH 0xffff800000000000ull

static struct fake f;
static struct emul_cache cache;
static struct { unsigned all, one; uint64_t linear; uint32_t got, index, fails_at; uint64_t value; int fails; } hooks;

static int state_get(void *opaque, uint32_t groups)
{
    (void)opaque;
    hooks.got |= groups;
    return hooks.fails ? -1 : 0;
}

static void tlb_flush(void *opaque, uint64_t linear, int all)
{
    (void)opaque;
    hooks.linear = linear;
    *(all ? &hooks.all : &hooks.one) += 1;
}

static int cpuid(void *opaque, uint32_t regs[4])
{
    (void)opaque;
    if (hooks.fails)
        return -1;
    for (unsigned i = 0; i < 4; i++)
        regs[i] = ~regs[i];
    return 0;
}

static int msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    (void)opaque;
    *value = 0x1122334400000000 | index;
    return hooks.fails || index == hooks.fails_at ? -1 : 0;
}

static int msr_write(void *opaque, uint32_t index, uint64_t value)
{
    (void)opaque;
    hooks.index = index;
    hooks.value = value;
    return hooks.fails ? -1 : 0;
}

static void prepare(unsigned bits, const char *code, unsigned count)
{
    fake_reset(&f, bits);
    memset(&hooks, 0, sizeof(hooks));
    memset(&cache, 0, sizeof(cache));
    f.ops.state_get = state_get;
    f.ops.tlb_flush = tlb_flush;
    f.ops.cpuid = cpuid;
    f.ops.msr_read = msr_read;
    f.ops.msr_write = msr_write;
    f.ctx.cache = &cache;
    for (unsigned i = 0; i < 16; i++)
        f.gpr[i] = 0x0101010101010101ull * i;
    f.state.seg[EMUL_TR].attr = 0x8b;
    f.state.sysenter_cs = 0x10;
    f.state.star = 0x0023000800000000ull | 0x5000;
    f.ctx.cr4_valid = 0xffffff;
    fake_code(&f, CODE, code, count);
}
#define PREPARE(bits, code) prepare(bits, code, sizeof(code) - 1)

static void set_user(void)
{
    f.state.seg[EMUL_CS].attr |= 0x60;
    f.state.seg[EMUL_SS].attr |= 0x60;
}

static void set_v86(void)
{
    f.state.rflags |= RFLAGS_VM;
    f.state.seg[EMUL_CS].attr = f.state.seg[EMUL_SS].attr = 0xf3;
}

/* Whatever is not EMUL_DONE leaves everything as it was; gpr[4] is scratch. */
static int run(void)
{
    static struct emul_state state;
    static uint64_t gpr[16];
    uint32_t changed = f.ctx.changed, pkru = f.ctx.pkru;
    int status;

    state = f.state;
    memcpy(gpr, f.gpr, sizeof(gpr));
    status = emul_execute(&f.ctx, EMUL_MAY_ANY, &f.result);
    if (status == EMUL_DONE)
        return status;
    gpr[EMUL_RSP] = f.gpr[EMUL_RSP];
    assert_memory_equal(&f.state, &state, sizeof(state));
    assert_memory_equal(f.gpr, gpr, sizeof(gpr));
    assert_int_equal(f.ctx.changed, changed);
    assert_int_equal(f.ctx.pkru, pkru);
    return status;
}

#define DONE() assert_int_equal(run(), EMUL_DONE)
#define REFUSED() assert_int_equal(run(), EMUL_UNHANDLED)
#define FAULT(v) \
    do { \
        assert_int_equal(run(), EMUL_FAULT); \
        assert_int_equal(f.result.vector, EMUL_VECTOR_##v); \
        assert_int_equal(f.result.error, 0); \
    } while (0)
#define AGAIN() (f.state.rip = CODE)

static void test_cr_read(void **state)
{
    static const char *const codes[] = { "\x0f\x20\xc1", "\x0f\x20\xd1", "\x0f\x20\xd9", "\x0f\x20\xe1" };

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        prepare(i < 4 ? 64 : 32, codes[i % 4], 3);
        f.state.cr2 = 0x123456789abcdef0;
        DONE();
        assert_int_equal(f.gpr[EMUL_RCX], i == 1 ? f.state.cr2 : i == 5 ? 0x9abcdef0 : i % 4 == 0 ? f.state.cr0 : i % 4 == 2 ?
                         f.state.cr3 : f.state.cr4);
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP);
    }
    PREPARE(64, "\x44\x0f\x20\xc0"); /* CR8 */
    REFUSED();
    PREPARE(64, "\x44\x0f\x22\xc0");
    REFUSED();
    PREPARE(64, "\x0f\x22\xd1"); /* CR2 takes anything */
    f.gpr[EMUL_RCX] = BAD;
    DONE();
    assert_int_equal(f.state.cr2, BAD);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CR);
    PREPARE(64, "\x41\x0f\x22\xd3"); /* from R11 */
    DONE();
    assert_int_equal(f.state.cr2, 0x0b0b0b0b0b0b0b0b);
}

struct cr_row { unsigned bits; uint64_t cr0, cr4, efer, value; int ok; uint64_t after, efer_after; };

/* SDM 2B MOV: each way into and out of paging and long mode, each forbidden pair of bits. */
static void test_cr0(void **state)
{
    static const struct cr_row rows[] = {
        { 32, 0x11, 0, 0, 0x80000011, 1, 0x80000011, 0 },                       /* paging */
        { 32, 0x11, 0x20, 0x100, 0x80000011, 1, 0x80000011, 0x500 },            /* long mode, through compatibility mode */
        { 32, 0x11, 0, 0x100, 0x80000011, 0, 0, 0 },                            /* without PAE */
        { 32, 0x80000011, 0x20, 0x500, 0x11, 1, 0x11, 0x100 },                  /* and off */
        { 32, 0x80000011, 0x20020, 0x500, 0x11, 0, 0, 0 },                      /* with PCIDE */
        { 64, 0x80000011, 0x20, 0x500, 0x11, 0, 0, 0 },                         /* from 64-bit mode */
        { 64, 0x80000011, 0x20, 0x500, 0x180000011, 0, 0, 0 },                  /* upper half */
        { 32, 0x11, 0, 0, 0x80000010, 0, 0, 0 },                                /* PG without PE */
        { 32, 0x11, 0, 0, 0x20000011, 0, 0, 0 },                                /* NW without CD */
        { 32, 0x11, 0, 0, 0x60000011, 1, 0x60000011, 0 },
        { 32, 0x10011, 0x800000, 0, 0x11, 0, 0, 0 },                            /* WP off with CET */
        { 32, 0x11, 0, 0, 0x1ffaffc1, 1, 0x11, 0 },                             /* reserved bits are ignored, ET is 1 */
        { 64, 0x80000011, 0x20, 0x500, 0x80010011, 1, 0x80010011, 0x500 },      /* a change within 64-bit mode */
        { 16, 0x10, 0, 0, 0x11, 1, 0x11, 0 },
        { 32, 0x11, 0, 0, 0x10, 1, 0x10, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct cr_row *r = &rows[i];

        PREPARE(r->bits, "\x0f\x22\xc1");
        f.state.cr0 = r->cr0;
        f.state.cr4 = r->cr4;
        f.state.efer = r->efer;
        f.state.cr3 = 0x30000;
        if (r->bits == 32)
            memcpy(f.ram + 0x31000, "\x83", 1); /* 32-bit tables: a large page at 0 */
        memcpy(f.ram + 0x30000, r->cr4 & 0x20 ? "\x67\x10\x03" : "\x83\0\0", 3);
        if (r->bits == 32 && (r->cr0 >> 31) && (r->efer & 0x400)) { /* running in compatibility mode: four levels */
            memcpy(f.ram + 0x31000, "\x67\x20\x03", 3);
            memcpy(f.ram + 0x32000, "\xe7\x00\x00", 3);
        }
        f.gpr[EMUL_RCX] = r->value;
        if (!r->ok) {
            FAULT(GP);
            continue;
        }
        DONE();
        assert_int_equal(f.state.cr0, r->after);
        assert_int_equal(f.state.efer, r->efer_after);
        assert_int_equal(hooks.all, !!((r->cr0 ^ r->after) & 0x80010001));
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CR);
        assert_int_equal(f.state.rip, CODE + 3);
    }
}

static void test_long_mode_guards(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 5; n++) { /* into long mode with CS.L, with a 16-bit TSS */
        PREPARE(32, "\x0f\x22\xc1");
        f.state.cr4 = 0x20;
        f.state.efer = 0x100;
        f.gpr[EMUL_RCX] = 0x80000011;
        f.state.seg[EMUL_CS].attr |= n == 0 ? 0x2000 : 0;
        f.state.seg[EMUL_TR].attr = n == 1 || n == 3 ? 0x83 : 0x8b;
        f.ctx.features |= n == 3 ? EMUL_IS_AMD : 0;
        f.ctx.have = n == 4 ? ~EMUL_STATE_SYSTEM : ~0u;
        f.ops.state_get = n == 4 ? NULL : state_get;
        if (n < 2)
            FAULT(GP);
        else if (n == 4)
            REFUSED();
        else
            DONE();
    }
}

/* PAE's pointers are judged as they are loaded, on Intel. */
static void test_pae(void **state)
{
    static const struct { const char *code; uint64_t value, cr0, cr4; } ways[] = {
        { "\x0f\x22\xc1", 0x80000011, 0x11, 0x20 }, { "\x0f\x22\xd9", 0x34000, 0x80000011, 0x20 },
        { "\x0f\x22\xe1", 0xa0, 0x80000011, 0x20 }, { "\x0f\x22\xc1", 0xc0000011, 0x80000011, 0x20 },
    };
    static const uint64_t bad[] = { 0x32003, 0x32101, 0x32041, 0x8000032001, 0x8000000000032001 };

    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        for (unsigned n = 0; n < 9; n++) {
            uint64_t *pointers = (uint64_t *)(f.ram + 0x34000);

            prepare(32, ways[way].code, 3);
            f.state.cr3 = 0x34000;
            f.state.cr0 = ways[way].cr0;
            f.state.cr4 = ways[way].cr4;
            f.gpr[EMUL_RCX] = ways[way].value;
            *(uint64_t *)(f.ram + 0x32000) = 0xe7;
            pointers[0] = 0x32001;
            f.ctx.features = n == 6 ? EMUL_IS_AMD : 0;
            if (n == 5 || n == 6)
                pointers[3] = bad[1];
            else if (n < 5)
                pointers[3] = bad[n];
            if (n == 7)
                pointers[3] = bad[1] & ~1ull; /* not present */
            if (n == 8)
                f.ops.phys_read = NULL;
            if (n < 6)
                FAULT(GP);
            else if (n == 8)
                REFUSED();
            else
                DONE();
            if (n == 6 || n == 7)
                assert_int_equal(way == 1 ? f.state.cr3 : way == 2 ? f.state.cr4 : f.state.cr0, ways[way].value);
        }
    }
}

/* Bad pointers do not matter without PAE, without paging, and to a change that does not load them. */
static void test_pae_unused(void **state)
{
    static const struct { const char *code; uint64_t value, cr0, cr4; } ways[] = {
        { "\x0f\x22\xc1", 0x11, 0x80000011, 0x20 }, { "\x0f\x22\xc1", 0x80010011, 0x80000011, 0x20 },
        { "\x0f\x22\xd9", 0x34000, 0x11, 0x20 },
        { "\x0f\x22\xd9", 0x34000, 0x80000011, 0x10 }, { "\x0f\x22\xe1", 0xa0, 0x11, 0x20 }, { "\x0f\x22\xe1", 0x90, 0x80000011, 0x10 },
        { "\x0f\x22\xe1", 0x220, 0x80000011, 0x20 },
    };

    (void)state;
    for (unsigned way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        uint64_t *pointers = (uint64_t *)(f.ram + 0x34000);

        prepare(32, ways[way].code, 3);
        f.state.cr3 = 0x34000;
        f.state.cr0 = ways[way].cr0;
        f.state.cr4 = ways[way].cr4;
        f.gpr[EMUL_RCX] = ways[way].value;
        *(uint64_t *)(f.ram + 0x32000) = 0xe7;
        pointers[0] = ways[way].cr4 & 0x10 ? 0xe7 : 0x32001; /* a large page of 32-bit tables */
        pointers[3] = 0x32101;
        f.ctx.have &= ~EMUL_STATE_SYSTEM; /* nor is TR asked for */
        f.ops.state_get = way ? NULL : state_get;
        DONE();
    }
}

static void test_cr3(void **state)
{
    (void)state;
    PREPARE(64, "\x0f\x22\xd9");
    f.gpr[EMUL_RCX] = 0x38018;
    cache.page[0][3].tag = 0x12345800;
    DONE();
    assert_int_equal(f.state.cr3, 0x38018);
    assert_int_equal(hooks.all, 1);
    assert_int_equal(cache.page[0][3].tag, 0);
    PREPARE(64, "\x0f\x22\xd9");
    f.gpr[EMUL_RCX] = 1ull << 39; /* MAXPHYADDR */
    FAULT(GP);
    f.gpr[EMUL_RCX] = 0x8000000000030000;
    FAULT(GP);
    f.state.cr4 |= CR4_PCIDE;
    cache.page[0][3].tag = 0x12345800;
    DONE();
    assert_int_equal(f.state.cr3, 0x30000);
    assert_int_equal(hooks.all, 0); /* the translations stay, but for those without a PCID */
    assert_int_equal(cache.page[0][3].tag, 0);
    AGAIN();
    f.gpr[EMUL_RCX] = 0x30005;
    f.ctx.cache = NULL;
    f.ops.tlb_flush = NULL;
    DONE();
    AGAIN();
    f.gpr[EMUL_RCX] |= 0x8000000000000000;
    DONE();
    PREPARE(32, "\x0f\x22\xd9");
    f.gpr[EMUL_RCX] = 0xffffffffff038000;
    DONE();
    assert_int_equal(f.state.cr3, 0xff038000);
}

static void test_cr4(void **state)
{
    static const struct cr_row rows[] = {
        { 64, 0x80010011, 0x20, 0x500, 0x0, 0, 0, 0 },                          /* PAE off in long mode */
        { 64, 0x80010011, 0x20, 0x500, 0x1020, 0, 0, 0 },                       /* LA57 changed in it */
        { 64, 0x80010011, 0x20, 0x500, 0x2000020, 0, 0, 0 },                    /* not a valid bit */
        { 64, 0x80010011, 0x20, 0x500, 0x20020, 1, 0x20020, 0 },                /* PCIDE */
        { 64, 0x80010011, 0x20, 0x500, 0x6a0, 1, 0x6a0, 0 },
        { 32, 0x11, 0, 0, 0x20020, 0, 0, 0 },                                   /* PCIDE outside */
        { 32, 0x11, 0, 0, 0x800000, 0, 0, 0 },                                  /* CET without WP */
        { 32, 0x10011, 0, 0, 0x800000, 1, 0x800000, 0 },
        { 32, 0x11, 0, 0, 0x1020, 1, 0x1020, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        PREPARE(rows[i].bits, "\x0f\x22\xe1");
        f.state.cr0 = rows[i].cr0;
        f.state.cr4 = rows[i].cr4;
        f.state.efer = rows[i].efer;
        f.gpr[EMUL_RCX] = rows[i].value;
        if (!rows[i].ok) {
            FAULT(GP);
            continue;
        }
        DONE();
        assert_int_equal(f.state.cr4, rows[i].after);
        assert_int_equal(hooks.all, 1);
    }
    PREPARE(64, "\x0f\x22\xe1");
    f.state.cr3 |= 8; /* PCIDE with a PCID in CR3 */
    f.gpr[EMUL_RCX] = 0x20020;
    FAULT(GP);
    f.gpr[EMUL_RCX] = f.state.cr4; /* nothing new */
    DONE();
    assert_int_equal(hooks.all, 0);
}

static void test_dr(void **state)
{
    (void)state;
    PREPARE(64, "\x0f\x23\xf9"); /* DR7 */
    f.gpr[EMUL_RCX] = 0xffffffff & ~0x2000ull;
    DONE();
    assert_int_equal(f.state.dr7, 0xffff07ff);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_DR);
    AGAIN();
    f.gpr[EMUL_RCX] = 0x100000000;
    FAULT(GP);
    PREPARE(64, "\x0f\x23\xe1"); /* DR4 is DR6 */
    f.gpr[EMUL_RCX] = 0x1003;
    DONE();
    assert_int_equal(f.state.dr6, 0xffff0ff3);
    AGAIN();
    f.gpr[EMUL_RCX] = 0x100000000;
    FAULT(GP);
    f.state.cr4 |= CR4_DE;
    FAULT(UD);
    f.ram[CODE + 2] = 0xf1; /* DR6 itself */
    f.gpr[EMUL_RCX] = 0;
    DONE();
    PREPARE(64, "\x0f\x21\xe9"); /* DR5 is DR7 */
    f.state.dr7 = 0x400;
    DONE();
    assert_int_equal(f.gpr[EMUL_RCX], 0x400);
    PREPARE(64, "\x0f\x23\xd9"); /* DR3 takes 64 bits */
    f.gpr[EMUL_RCX] = BAD;
    DONE();
    assert_int_equal(f.state.dr[3], BAD);
    PREPARE(32, "\x0f\x21\xd9");
    f.state.dr[3] = 0x123456789;
    DONE();
    assert_int_equal(f.gpr[EMUL_RCX], 0x23456789);
    AGAIN();
    f.state.dr7 = 0x2400;
    FAULT(DB);
    assert_int_equal(f.result.dr6, 0x2000);
    assert_int_equal(f.result.has_error, 0);
    set_user(); /* the privilege comes first */
    FAULT(GP);
}

static void test_msw(void **state)
{
    (void)state;
    PREPARE(32, "\x0f\x01\xf1"); /* lmsw cx: PE stays */
    f.gpr[EMUL_RCX] = 0xfffffff8;
    f.state.cr0 = 0x80000017;
    f.state.cr3 = 0x30000;
    memcpy(f.ram + 0x30000, "\x83", 1);
    f.state.cr4 = 0x10;
    *(uint32_t *)(f.ram + 0x30000) = 0xe3;
    DONE();
    assert_int_equal(f.state.cr0, 0x80000019);
    PREPARE(16, "\x0f\x01\x36\x00\x40"); /* lmsw [0x4000]: into protected mode */
    memcpy(f.ram + DATA, "\xff\xff", 2);
    f.state.cr0 = 0x60000010;
    DONE();
    assert_int_equal(f.state.cr0, 0x6000001f);
    assert_int_equal(hooks.all, 1);
    PREPARE(64, "\x48\x0f\x01\xe1"); /* smsw rcx, ecx, cx */
    DONE();
    assert_int_equal(f.gpr[EMUL_RCX], 0x80010001);
    PREPARE(64, "\x66\x0f\x01\xe1");
    DONE();
    assert_int_equal(f.gpr[EMUL_RCX], 0x0101010101010001);
    PREPARE(64, "\x48\x0f\x01\x21"); /* smsw [rcx]: two bytes */
    f.gpr[EMUL_RCX] = DATA;
    memset(f.ram + DATA, 0xee, 8);
    DONE();
    assert_memory_equal(f.ram + DATA, "\x01\x00\xee\xee", 4);
    PREPARE(32, "\x0f\x06");
    f.state.cr0 |= CR0_TS;
    DONE();
    assert_int_equal(f.state.cr0, 1);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CR);
}

struct table_row { unsigned bits; const char *code; unsigned length, bytes; uint64_t base; };

/* E6: the sizes of SGDT, SIDT, LGDT, LIDT under 66 and REX.W. */
static void test_tables(void **state)
{
    static const struct table_row rows[] = {
        { 64, "\x0f\x01\x01", 3, 10, 0xffff888877665544 }, { 64, "\x66\x0f\x01\x09", 4, 10, 0xffff888877665544 },
        { 32, "\x0f\x01\x01", 3, 6, 0x77665544 }, { 32, "\x66\x0f\x01\x09", 4, 6, 0x665544 }, { 16, "\x67\x0f\x01\x01", 4, 6, 0x665544 },
        { 16, "\x66\x67\x0f\x01\x09", 5, 6, 0x77665544 },
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        const struct table_row *r = &rows[i / 2];
        struct emul_table *table = r->code[r->length - 1] == 9 ? &f.state.idtr : &f.state.gdtr;

        prepare(r->bits, r->code, r->length);
        f.gpr[EMUL_RCX] = DATA;
        if (i & 1) { /* load */
            f.ram[CODE + r->length - 1] += 0x10;
            memcpy(f.ram + DATA, "\x34\x12\x44\x55\x66\x77\x88\x88\xff\xff", 10);
            DONE();
            assert_int_equal(table->limit, 0x1234);
            assert_int_equal(table->base, r->base);
            assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_SYSTEM);
            AGAIN();
            f.ram[DATA + 9] = 0x7f; /* not canonical, where that counts */
            if (r->bits == 64)
                FAULT(GP);
            else
                DONE();
        } else {
            *table = (struct emul_table){ 0xffff888877665544, 0x1234, 0 };
            memset(f.ram + DATA, 0xee, 12);
            DONE();
            assert_memory_equal(f.ram + DATA, "\x34\x12\x44\x55\x66\x77\x88\x88\xff\xff", r->bytes);
            assert_int_equal(f.ram[DATA + r->bytes], 0xee);
        }
    }
}

static void test_table_faults(void **state)
{
    uint64_t *low = (uint64_t *)(f.ram + 0x32000), *table = (uint64_t *)(f.ram + 0x34000);

    (void)state;
    for (unsigned load = 0; load < 2; load++) {
        PREPARE(64, "\x0f\x01\x01"); /* E13: on the seam of two pages, of which one is missing */
        f.ram[CODE + 2] += load * 0x10;
        low[0] = 0x34067;
        for (unsigned i = 0; i < 64; i++)
            table[i] = i << 12 | 0x67;
        table[5] = 0;
        f.gpr[EMUL_RCX] = 0x4ffc;
        memset(f.ram + 0x4ff0, 0xee, 16);
        assert_int_equal(run(), EMUL_FAULT);
        assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
        assert_int_equal(f.result.error, load ? 0 : 2);
        assert_int_equal(f.result.cr2, 0x5000);
        assert_int_equal(f.ram[0x4ffc], 0xee);
        PREPARE(32, "\x0f\x01\x01"); /* E8: within the limit or not at all */
        f.ram[CODE + 2] += load * 0x10;
        f.gpr[EMUL_RCX] = DATA;
        f.state.seg[EMUL_DS].limit = DATA + 4;
        FAULT(GP);
        f.state.seg[EMUL_DS].limit++;
        DONE();
    }
    PREPARE(64, "\x0f\x01\x01"); /* alignment by four, as a user */
    set_user();
    f.state.cr0 |= CR0_AM;
    f.state.rflags |= RFLAGS_AC;
    f.gpr[EMUL_RCX] = DATA + 2;
    FAULT(AC);
    f.gpr[EMUL_RCX] = DATA + 4;
    DONE();
    f.gpr[EMUL_RCX] = DATA + 2;
    for (unsigned n = 0; n < 3; n++) { /* ... with AM, with AC */
        AGAIN();
        f.state.cr0 ^= n != 2 ? CR0_AM : 0;
        f.state.rflags ^= n == 1 ? RFLAGS_AC : 0;
        f.state.seg[EMUL_SS].attr ^= n == 2 ? 0x60 : 0;
        f.state.rflags |= n == 2 ? RFLAGS_AC : 0;
        DONE();
    }
    PREPARE(64, "\x0f\x01\x01"); /* a fault is one, whatever else is missing */
    f.gpr[EMUL_RCX] = 0x10000000000;
    f.ops.mmio_write = NULL;
    f.ops.phys_map = NULL;
    assert_int_equal(run(), EMUL_FAULT);
    for (unsigned n = 0; n < 3; n++) { /* UMIP: SGDT, SIDT, SMSW */
        PREPARE(64, "\x0f\x01\x01");
        f.ram[CODE + 2] = n == 2 ? 0x21 : n * 8 + 1;
        f.gpr[EMUL_RCX] = DATA;
        set_user();
        f.state.cr4 |= CR4_UMIP;
        FAULT(GP);
        f.state.cr4 &= ~CR4_UMIP;
        DONE();
        f.state.cr4 |= CR4_UMIP;
        f.state.seg[EMUL_SS].attr &= ~0x60u;
        AGAIN();
        DONE();
    }
    PREPARE(64, "\x0f\x01\x01"); /* onto a device that cannot be written: nothing is written at all */
    f.gpr[EMUL_RCX] = FAKE_HOLE - 4;
    f.ops.mmio_write = NULL;
    memset(f.ram + FAKE_HOLE - 4, 0xee, 4);
    REFUSED();
    assert_int_equal(f.ram[FAKE_HOLE - 4], 0xee);
}

static void test_invalidate(void **state)
{
    (void)state;
    PREPARE(64, "\x0f\x01\x39"); /* invlpg [rcx], even if it is not canonical */
    f.gpr[EMUL_RCX] = BAD;
    cache.page[0][1].tag = 5;
    DONE();
    assert_int_equal(hooks.one, 1);
    assert_int_equal(hooks.linear, BAD);
    assert_int_equal(cache.page[0][1].tag, 0);
    PREPARE(64, "\x0f\x01\x39"); /* DS has no base in 64-bit mode */
    f.state.seg[EMUL_DS].base = 0x1000000;
    f.gpr[EMUL_RCX] = 0x7000;
    f.ctx.cache = NULL;
    DONE();
    assert_int_equal(hooks.linear, 0x7000);
    PREPARE(64, "\x65\x0f\x01\x39");
    f.state.seg[EMUL_GS].base = HIGH;
    f.gpr[EMUL_RCX] = 0x123;
    DONE();
    assert_int_equal(hooks.linear, HIGH + 0x123);
    PREPARE(32, "\x0f\x01\x39"); /* no limit, but a base and 32 bits */
    f.state.seg[EMUL_DS].base = 0xfffff000;
    f.state.seg[EMUL_DS].limit = 0;
    f.gpr[EMUL_RCX] = 0x2123;
    DONE();
    assert_int_equal(hooks.linear, 0x1123);
    for (unsigned n = 0; n < 64; n++) { /* invpcid rdx, [rcx] */
        unsigned type = n % 5, pcide = n & 8, pcid = n & 16, bad = n & 32;
        int fault = type > 3 || (type < 2 && pcid && !pcide) || (type == 0 && bad);

        PREPARE(64, "\x66\x0f\x38\x82\x11");
        f.gpr[EMUL_RCX] = DATA;
        f.gpr[EMUL_RDX] = type;
        f.state.cr4 |= pcide ? CR4_PCIDE : 0;
        f.ram[DATA] = pcid ? 5 : 0;
        *(uint64_t *)(f.ram + DATA + 8) = bad ? BAD : 0x7000;
        if (fault) {
            FAULT(GP);
            continue;
        }
        DONE();
        assert_int_equal(hooks.one, type == 0 && !pcid);
        assert_int_equal(hooks.all, type != 0 || pcid);
        AGAIN();
        f.ram[DATA + 2] = 1; /* reserved */
        FAULT(GP);
    }
    for (unsigned n = 0; n < 2; n++) { /* the descriptor, or its second half, is behind the limit */
        PREPARE(32, "\x66\x0f\x38\x82\x11");
        f.gpr[EMUL_RCX] = DATA;
        f.gpr[EMUL_RDX] = 2;
        f.state.seg[EMUL_DS].limit = DATA + 14 - n * 8;
        FAULT(GP);
        assert_int_equal(hooks.all, 0);
    }
    PREPARE(64, "\x66\x0f\x38\x82\x11"); /* the first half is not there, the second is */
    f.gpr[EMUL_RDX] = 2;
    f.gpr[EMUL_RCX] = 0x1ffff8;
    *(uint64_t *)(f.ram + 0x32000) = 0;
    *(uint64_t *)(f.ram + 0x32008) = 0xe7;
    f.state.rip = CODE + 0x200000;
    assert_int_equal(run(), EMUL_FAULT);
    assert_int_equal(f.result.vector, EMUL_VECTOR_PF);
    assert_int_equal(f.result.cr2, 0x1ffff8);
    PREPARE(32, "\x66\x0f\x38\x82\x11");
    f.gpr[EMUL_RCX] = DATA;
    f.gpr[EMUL_RDX] = 0x100000002;
    DONE();
}

struct msr_case { uint32_t index; size_t at; uint32_t group; uint64_t good, bad; };
#define MSR(index, field, group, good, bad) { index, offsetof(struct emul_state, field), EMUL_STATE_##group, good, bad }

static void check_state_msr(const struct msr_case *c)
{
    uint64_t *field = (uint64_t *)((uint8_t *)&f.state + c->at);

    PREPARE(64, "\x0f\x30");
    f.ctx.have &= ~c->group;
    f.gpr[EMUL_RCX] = 0xabcd00000000 | c->index;
    f.gpr[EMUL_RAX] = 0x7700000000 | (uint32_t)c->good;
    f.gpr[EMUL_RDX] = 0x6600000000 | c->good >> 32;
    DONE();
    assert_int_equal(*field, c->good);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | c->group);
    assert_int_equal(hooks.got, c->group);
    assert_int_equal(hooks.index, 0);
    if (c->bad) {
        AGAIN();
        f.gpr[EMUL_RDX] = c->bad >> 32;
        f.gpr[EMUL_RAX] = (uint32_t)c->bad;
        FAULT(GP);
    }
    fake_code(&f, CODE, "\x0f\x32", 2);
    f.gpr[EMUL_RAX] = f.gpr[EMUL_RDX] = ~0ull;
    DONE();
    assert_int_equal(f.gpr[EMUL_RDX] << 32 | f.gpr[EMUL_RAX], c->good);
    AGAIN();
    f.ctx.have &= ~c->group;
    hooks.fails = 1;
    REFUSED();
    fake_code(&f, CODE, "\x0f\x30", 2);
    REFUSED();
    f.ctx.have = ~0u;
    f.ops.msr_write = NULL; /* which is for others */
    DONE();
}

static void test_msr(void **state)
{
    static const struct msr_case cases[] = {
        MSR(0x174, sysenter_cs, SYSENTER, 0x1234, 0), MSR(0x175, sysenter_esp, SYSENTER, HIGH, BAD), MSR(0x176, sysenter_eip, SYSENTER,
        HIGH, BAD), MSR(0xc0000081, star, SYSCALL, BAD, 0), MSR(0xc0000082, lstar, SYSCALL, HIGH, BAD), MSR(0xc0000083, cstar, SYSCALL,
        HIGH, BAD), MSR(0xc0000084, fmask, SYSCALL, 0xffffffff, 0x100000000), MSR(0xc0000100, seg[EMUL_FS].base, SEGS, HIGH, BAD),
        MSR(0xc0000101, seg[EMUL_GS].base, SEGS, HIGH, BAD), MSR(0xc0000102, kernel_gs_base, SYSCALL, HIGH, BAD),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_state_msr(&cases[i]);
    PREPARE(64, "\x0f\x30");
    f.gpr[EMUL_RCX] = 0x277;
    DONE();
    assert_int_equal(hooks.index, 0x277);
    assert_int_equal(hooks.value, 0x0202020200000000);
    AGAIN();
    hooks.fails = 1;
    FAULT(GP);
    f.ops.msr_write = NULL;
    REFUSED();
    PREPARE(64, "\x0f\x32");
    f.gpr[EMUL_RCX] = 0x277;
    DONE();
    assert_int_equal(f.gpr[EMUL_RAX], 0x277);
    assert_int_equal(f.gpr[EMUL_RDX], 0x11223344);
    AGAIN();
    hooks.fails = 1;
    FAULT(GP);
    f.ops.msr_read = NULL;
    REFUSED();
}

static void test_efer(void **state)
{
    static const struct { uint64_t before, value; unsigned bits; int ok; uint64_t after; unsigned flushes; } rows[] = {
        { 0x500, 0xd01, 64, 1, 0xd01, 1 }, { 0xd00, 0x501, 64, 1, 0x501, 1 }, { 0xd00, 0x101, 64, 1, 0x501, 1 }, /* LMA stays */
        { 0xd00, 0xc00, 64, 0, 0, 0 }, { 0xd00, 0x1d00, 64, 0, 0, 0 }, { 0, 0x900, 32, 1, 0x900, 1 }, { 0, 0x501, 32, 1, 0x101, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        PREPARE(rows[i].bits, "\x0f\x30");
        f.ctx.efer_valid = 0x901;
        f.state.efer = rows[i].before;
        f.gpr[EMUL_RCX] = 0xc0000080;
        f.gpr[EMUL_RDX] = 0;
        f.gpr[EMUL_RAX] = rows[i].value;
        if (!rows[i].ok) {
            FAULT(GP);
            continue;
        }
        DONE();
        assert_int_equal(f.state.efer, rows[i].after);
        assert_int_equal(hooks.all, rows[i].flushes);
        assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_CR);
    }
}

static void test_identity(void **state)
{
    (void)state;
    PREPARE(64, "\x0f\x31");
    DONE();
    assert_int_equal(f.gpr[EMUL_RAX], 0x10);
    assert_int_equal(f.gpr[EMUL_RDX], 0x11223344);
    for (unsigned n = 0; n < 8; n++) { /* CR4.TSD: users, also in virtual-8086 mode; RDTSC, RDTSCP */
        PREPARE(32, "\x0f\x31\x90");
        if (n & 1)
            memcpy(f.ram + CODE, "\x0f\x01\xf9", 3);
        f.state.cr4 |= n & 2 ? CR4_TSD : 0;
        if (n & 4)
            set_user();
        if ((n & 6) == 6)
            FAULT(GP);
        else
            DONE();
        assert_int_equal(f.gpr[EMUL_RCX], (n & 1) && (n & 6) != 6 ? 0xc0000103 : 0x0101010101010101);
    }
    f.state.rflags |= RFLAGS_VM;
    f.state.seg[EMUL_CS].attr = 0xf3;
    AGAIN();
    FAULT(GP);
    PREPARE(64, "\xf3\x48\x0f\xc7\xf9"); /* rdpid rcx */
    DONE();
    assert_int_equal(f.gpr[EMUL_RCX], 0xc0000103);
    AGAIN();
    f.ops.msr_read = NULL;
    REFUSED();
    PREPARE(64, "\x0f\x01\xf9");
    f.ops.msr_read = NULL;
    REFUSED();
    for (unsigned n = 0; n < 3; n++) { /* either MSR is missing; RDTSC needs but one */
        PREPARE(64, "\x0f\x01\xf9");
        hooks.fails_at = n ? 0xc0000103 : 0x10;
        if (n == 2)
            fake_code(&f, CODE, "\x0f\x31", 2);
        if (n == 2)
            DONE();
        else
            FAULT(GP);
    }
    PREPARE(64, "\x0f\xa2");
    DONE();
    assert_int_equal(f.gpr[EMUL_RAX], 0xffffffff);
    assert_int_equal(f.gpr[EMUL_RBX], 0xfcfcfcfc);
    assert_int_equal(f.gpr[EMUL_RCX], 0xfefefefe);
    assert_int_equal(f.gpr[EMUL_RDX], 0xfdfdfdfd);
    AGAIN();
    hooks.fails = 1;
    REFUSED();
    f.ops.cpuid = NULL;
    REFUSED();
}

static void expect_segments(unsigned cs, uint32_t cs_attr, unsigned ss, uint32_t ss_attr)
{
    const struct emul_segment *seg = f.state.seg;

    assert_int_equal(seg[EMUL_CS].selector, cs);
    assert_int_equal(seg[EMUL_CS].attr, cs_attr);
    assert_int_equal(seg[EMUL_CS].base, 0);
    assert_int_equal(seg[EMUL_CS].limit, 0xffffffff);
    assert_int_equal(seg[EMUL_SS].selector, ss);
    assert_int_equal(seg[EMUL_SS].attr, ss_attr);
    assert_int_equal(seg[EMUL_SS].limit, 0xffffffff);
    assert_true(f.ctx.changed & EMUL_STATE_CS);
}

/* Compatibility mode: long mode's paging, a 32-bit code segment. */
static void set_compat(void)
{
    f.state.seg[EMUL_CS].attr = 0xc09b;
}

/* E21: SYSCALL in 64-bit, compatibility, protected, real, virtual-8086 mode, on both vendors. */
static void test_syscall(void **state)
{
    enum { LONG, COMPAT, LEGACY, REAL, V86, MODES };

    (void)state;
    for (unsigned n = 0; n < 2 * MODES; n++) {
        unsigned mode = n / 2, amd = n & 1;

        PREPARE(mode < LEGACY ? 64 : mode == REAL ? 16 : 32, "\x0f\x05");
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        f.state.efer |= EFER_SCE;
        f.state.lstar = HIGH + 0x700;
        f.state.cstar = 0x123456780;
        f.state.fmask = 0x202;
        f.state.rflags = 0x10243; /* RF */
        set_user();
        if (mode == COMPAT)
            f.state.seg[EMUL_CS].attr = 0xc0fb;
        if (mode == V86)
            set_v86();
        if (mode >= REAL || (mode != LONG && !amd)) {
            FAULT(UD);
            continue;
        }
        f.state.efer &= ~EFER_SCE;
        FAULT(UD);
        f.state.efer |= EFER_SCE;
        DONE();
        assert_int_equal(f.gpr[EMUL_RCX], CODE + 2);
        assert_int_equal(f.state.rip, mode == LONG ? HIGH + 0x700 : mode == COMPAT ? 0x123456780 : 0x5000);
        assert_int_equal(f.state.rflags, 0x43);
        if (mode != LEGACY)
            assert_int_equal(f.gpr[R11], 0x243);
        else
            assert_int_equal(f.gpr[R11], 0x0b0b0b0b0b0b0b0b);
        expect_segments(8, mode == LEGACY ? 0xc09b : 0xa09b, 0x10, 0xc093);
    }
}

/* E10: the trap behind SYSCALL and SYSRET is for TF as they leave it. */
static void test_syscall_step(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        PREPARE(64, "\x0f\x05");
        f.state.efer |= EFER_SCE;
        f.state.fmask = n & 1 ? RFLAGS_TF : 0;
        f.state.rflags |= n & 2 ? RFLAGS_TF : 0;
        DONE();
        assert_int_equal(f.result.step, n == 2);
        assert_int_equal(f.state.rflags, n == 2 ? 0x102 : 2);
        PREPARE(64, "\x48\x0f\x07");
        f.state.efer |= EFER_SCE;
        f.gpr[EMUL_RCX] = 0;
        f.gpr[R11] = n & 1 ? RFLAGS_TF : 0;
        f.state.rflags |= n & 2 ? RFLAGS_TF : 0;
        DONE();
        assert_int_equal(f.result.step, n & 1);
    }
    PREPARE(32, "\x0f\x34"); /* SYSENTER leaves TF as it is */
    f.state.rflags |= RFLAGS_TF;
    DONE();
    assert_int_equal(f.result.step, 1);
}

static void test_sysret(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 16; n++) {
        unsigned amd = n & 1, wide = n & 2, compat = n & 4, legacy = n & 8;

        prepare(legacy ? 32 : 64, wide && !compat && !legacy ? "\x48\x0f\x07" : "\x0f\x07", wide && !compat && !legacy ? 3 : 2);
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        f.state.efer |= EFER_SCE;
        f.gpr[EMUL_RCX] = 0x123456000;
        f.gpr[R11] = ~0ull;
        f.state.seg[EMUL_SS].limit = 0x1234;
        if (compat && !legacy)
            set_compat();
        if ((compat || legacy) && !amd) {
            FAULT(UD);
            continue;
        }
        f.state.efer &= ~EFER_SCE;
        FAULT(UD);
        f.state.efer |= EFER_SCE;
        DONE();
        wide = wide && !compat && !legacy;
        assert_int_equal(f.state.rip, wide ? 0x123456000 : 0x23456000);
        assert_int_equal(f.state.rflags, compat || legacy ? 0x202 : 0x3c7fd7);
        assert_int_equal(f.state.seg[EMUL_SS].limit, amd ? 0x1234 : 0xffffffff);
        f.state.seg[EMUL_SS].limit = ~0u;
        expect_segments(wide ? 0x33 : 0x23, wide ? 0xa0fb : 0xc0fb, 0x2b, 0xc0f3);
    }
    for (unsigned amd = 0; amd < 2; amd++) { /* CVE-2012-0217: where a bad RIP is noticed */
        PREPARE(64, "\x48\x0f\x07");
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        f.state.efer |= EFER_SCE;
        f.gpr[EMUL_RCX] = BAD;
        if (amd)
            DONE();
        else
            FAULT(GP);
        PREPARE(64, "\x48\x0f\x07");
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        set_user();
        FAULT(UD); /* without SCE it does not exist, with it, it is not for users */
        f.state.efer |= EFER_SCE;
        FAULT(GP);
    }
    for (unsigned v86 = 0; v86 < 2; v86++) {
        PREPARE(16, "\x0f\x07");
        f.ctx.features |= EMUL_IS_AMD;
        f.state.efer |= EFER_SCE;
        f.state.cr0 |= v86;
        if (v86)
            set_v86();
        FAULT(GP);
    }
}

static void test_sysenter(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 10; n++) {
        unsigned mode = n / 2, amd = n & 1; /* 64-bit, compatibility, protected, virtual-8086, real */

        PREPARE(mode < 2 ? 64 : mode == 4 ? 16 : 32, "\x0f\x34");
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        f.state.sysenter_cs = 0x12341009; /* the RPL does not count */
        f.state.sysenter_esp = HIGH + 0x100000010;
        f.state.sysenter_eip = HIGH + 0x100000020;
        f.state.rflags = 0x202;
        set_user();
        if (mode == 1)
            f.state.seg[EMUL_CS].attr = 0xc0fb;
        if (mode == 3)
            set_v86();
        if (mode == 4) {
            FAULT(GP);
        } else if (mode < 2 && amd) {
            FAULT(UD);
        } else {
            DONE();
            expect_segments(0x1008, mode < 2 ? 0xa09b : 0xc09b, 0x1010, 0xc093);
            assert_int_equal(f.state.rsp, mode < 2 ? HIGH + 0x100000010 : 0x10);
            assert_int_equal(f.state.rip, mode < 2 ? HIGH + 0x100000020 : 0x20);
            assert_int_equal(f.state.rflags, 2);
        }
    }
    PREPARE(32, "\x0f\x34");
    f.state.sysenter_cs = 0x10003;
    FAULT(GP);
    f.ctx.have &= ~EMUL_STATE_SYSENTER;
    f.ops.state_get = NULL;
    REFUSED();
}

static void test_sysexit(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        unsigned amd = n & 1, wide = n & 2, legacy = n & 4;

        prepare(legacy ? 32 : 64, wide && !legacy ? "\x48\x0f\x35" : "\x0f\x35", wide && !legacy ? 3 : 2);
        f.ctx.features |= amd ? EMUL_IS_AMD : 0;
        f.gpr[EMUL_RDX] = 0x123456000;
        f.gpr[EMUL_RCX] = 0x765432100;
        if (amd && !legacy) {
            FAULT(UD);
            set_user();
            FAULT(GP); /* as measured on an AMD EPYC: the privilege comes first */
            continue;
        }
        DONE();
        wide = wide && !legacy;
        assert_int_equal(f.state.rip, wide ? 0x123456000 : 0x23456000);
        assert_int_equal(f.state.rsp, wide ? 0x765432100 : 0x65432100);
        expect_segments(wide ? 0x33 : 0x23, wide ? 0xa0fb : 0xc0fb, wide ? 0x3b : 0x2b, 0xc0f3);
    }
    for (unsigned reg = EMUL_RCX; reg <= EMUL_RDX; reg++) {
        PREPARE(64, "\x48\x0f\x35");
        f.gpr[reg] = BAD;
        FAULT(GP);
    }
    PREPARE(32, "\x0f\x35");
    f.state.sysenter_cs = 3;
    FAULT(GP);
    PREPARE(16, "\x0f\x35");
    FAULT(GP);
}

static void test_bases(void **state)
{
    (void)state;
    PREPARE(64, "\x0f\x01\xf8"); /* swapgs */
    f.state.seg[EMUL_GS].base = 1;
    f.state.kernel_gs_base = HIGH;
    f.ctx.have &= ~(EMUL_STATE_SEGS | EMUL_STATE_SYSCALL);
    DONE();
    assert_int_equal(f.state.seg[EMUL_GS].base, HIGH);
    assert_int_equal(f.state.kernel_gs_base, 1);
    assert_int_equal(hooks.got, EMUL_STATE_SEGS | EMUL_STATE_SYSCALL);
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP | EMUL_STATE_SEGS | EMUL_STATE_SYSCALL);
    for (unsigned n = 0; n < 8; n++) { /* {rd,wr}{fs,gs}base of ECX and RCX */
        unsigned gs = n & 1, write = n & 2, wide = n & 4;
        uint64_t *base = &f.state.seg[gs ? EMUL_GS : EMUL_FS].base;

        prepare(64, wide ? "\xf3\x48\x0f\xae\xc1" : "\x66\xf3\x0f\xae\xc1", 5);
        f.ram[CODE + 4] += n % 4 * 8;
        f.gpr[EMUL_RCX] = HIGH + 0x100000005;
        *base = HIGH + 0x200000006;
        FAULT(UD);
        f.state.cr4 |= CR4_FSGSBASE;
        set_user();
        DONE();
        if (write)
            assert_int_equal(*base, wide ? HIGH + 0x100000005 : 5);
        else
            assert_int_equal(f.gpr[EMUL_RCX], wide ? HIGH + 0x200000006 : 6);
        AGAIN();
        f.gpr[EMUL_RCX] = BAD;
        if (write && wide)
            FAULT(GP);
        else
            DONE();
    }
}

static void test_rest(void **state)
{
    static const char *const undefined[] = { "\x0f\x0b", "\x0f\xff\xc0", "\x0f\xb9\xc0" };

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        prepare(32, undefined[n], 3);
        FAULT(UD);
    }
    PREPARE(32, "\x0f\x09");
    DONE();
    PREPARE(32, "\x0f\x08");
    DONE();
    assert_int_equal(f.ctx.changed, EMUL_STATE_RIP);
    PREPARE(32, "\x0f\x01\xc1");
    REFUSED();
    PREPARE(32, "\x0f\x01\xd9");
    REFUSED();
    for (unsigned n = 0; n < 4; n++) { /* clac, stac */
        PREPARE(32, "\x0f\x01\xca");
        f.ram[CODE + 2] += n & 1;
        f.state.rflags |= n & 2 ? RFLAGS_AC : 0;
        DONE();
        assert_int_equal(f.state.rflags, n & 1 ? 0x40002 : 2);
        AGAIN();
        set_user();
        FAULT(UD);
        set_v86();
        FAULT(UD);
    }
}

static void test_cr4_bits(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) { /* xgetbv, xsetbv */
        PREPARE(64, "\x0f\x01\xd0");
        f.ram[CODE + 2] += n;
        FAULT(UD);
        f.state.cr4 |= CR4_OSXSAVE;
        REFUSED();
    }
    PREPARE(64, "\x0f\x01\xee"); /* rdpkru */
    f.ctx.pkru = 0x12345678;
    f.gpr[EMUL_RCX] = 0x100000000;
    FAULT(UD);
    f.state.cr4 |= CR4_PKE;
    set_user();
    DONE();
    assert_int_equal(f.gpr[EMUL_RAX], 0x12345678);
    assert_int_equal(f.gpr[EMUL_RDX], 0);
    AGAIN();
    f.gpr[EMUL_RCX] = 1;
    FAULT(GP);
    PREPARE(64, "\x0f\x01\xef");
    f.state.cr4 |= CR4_PKE;
    f.gpr[EMUL_RCX] = 0;
    FAULT(GP); /* EDX */
    f.gpr[EMUL_RDX] = 0x100000000;
    f.gpr[EMUL_RAX] = 0x99;
    cache.page[0][0].tag = 7;
    DONE();
    assert_int_equal(f.ctx.pkru, 0x99);
    assert_int_equal(cache.page[0][0].tag, 0);
    AGAIN();
    f.ctx.cache = NULL;
    DONE();
}

struct class_row { const char *code; unsigned length, may; int priv; };

static const struct class_row classes[] = {
    { "\x0f\x20\xc0", 3, EMUL_MAY_CR, 1 }, { "\x0f\x22\xc0", 3, EMUL_MAY_CR, 1 }, { "\x0f\x21\xc0", 3, EMUL_MAY_DR, 1 },
    { "\x0f\x23\xc0", 3, EMUL_MAY_DR, 1 }, { "\x0f\x01\xf0", 3, EMUL_MAY_CR, 1 }, { "\x0f\x01\xe0", 3, EMUL_MAY_CR, 0 },
    { "\x0f\x06", 2, EMUL_MAY_CR, 1 }, { "\x0f\x01\x3f", 3, EMUL_MAY_INVLPG, 1 }, { "\x66\x0f\x38\x82\x07", 5, EMUL_MAY_INVLPG |
    EMUL_MAY_MEMORY, 1 }, { "\x0f\x01\x17", 3, EMUL_MAY_TABLE | EMUL_MAY_MEMORY, 1 }, { "\x0f\x01\x1f", 3, EMUL_MAY_TABLE |
    EMUL_MAY_MEMORY, 1 }, { "\x0f\x01\x07", 3, EMUL_MAY_TABLE | EMUL_MAY_MEMORY, 0 }, { "\x0f\x01\x0f", 3, EMUL_MAY_TABLE |
    EMUL_MAY_MEMORY, 0 }, { "\x0f\x32", 2, EMUL_MAY_MSR, 1 }, { "\x0f\x30", 2, EMUL_MAY_MSR, 1 }, { "\x0f\x31", 2, EMUL_MAY_MSR, 0 },
    { "\x0f\x01\xf9", 3, EMUL_MAY_MSR, 0 }, { "\x0f\x01\xd1", 3, EMUL_MAY_MSR, 1 }, { "\x0f\xa2", 2, EMUL_MAY_CPUID, 0 },
    { "\x0f\x05", 2, 0, 0 }, { "\x0f\x34", 2, 0, 0 }, { "\x0f\x35", 2, 0, 1 }, { "\x0f\x01\xca", 3, 0, 0 }, { "\x0f\x0b", 2, 0, 0 },
    { "\x0f\x08", 2, 0, 1 }, { "\x0f\x09", 2, 0, 1 }, { "\x0f\x01\xee", 3, 0, 0 },
};

/* E1: users and virtual-8086 mode; E3: only what may have caused the exit. */
static void test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        const struct class_row *r = &classes[i];

        for (unsigned bit = 0; bit < 10; bit++) {
            prepare(32, r->code, r->length);
            f.gpr[EMUL_RDI] = DATA;
            assert_int_equal(emul_execute(&f.ctx, 1u << bit, &f.result) == EMUL_RETRY, !(r->may >> bit & 1));
        }
        for (unsigned v86 = 0; v86 < 2 && r->priv; v86++) {
            prepare(32, r->code, r->length);
            if (v86)
                set_v86();
            else
                set_user();
            f.state.rflags |= RFLAGS_IOPL;
            f.state.cr4 |= CR4_OSXSAVE;
            FAULT(GP);
        }
    }
    PREPARE(64, "\x0f\x01\xf8");
    set_user();
    FAULT(GP);
}

struct group_row { const char *code; unsigned length, group; };

/* E20: a group of the state is missing and cannot be had. */
static void test_missing_groups(void **state)
{
    static const struct group_row rows[] = {
        { "\x0f\x05", 2, EMUL_STATE_SYSCALL }, { "\x0f\x07", 2, EMUL_STATE_SYSCALL }, { "\x0f\x34", 2, EMUL_STATE_SYSENTER },
        { "\x0f\x35", 2, EMUL_STATE_SYSENTER }, { "\x0f\x01\xf8", 3, EMUL_STATE_SEGS }, { "\x0f\x01\xf8", 3, EMUL_STATE_SYSCALL },
        { "\xf3\x0f\xae\xc0", 4, EMUL_STATE_SEGS }, { "\x65\x0f\x01\x3f", 4, EMUL_STATE_SEGS }, { "\x0f\x01\x07", 3, EMUL_STATE_SYSTEM },
        { "\x0f\x01\x17", 3, EMUL_STATE_SYSTEM }, { "\x0f\x21\xc0", 3, EMUL_STATE_DR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        prepare(64, rows[i].code, rows[i].length);
        f.state.efer |= EFER_SCE;
        f.state.cr4 |= CR4_FSGSBASE;
        f.gpr[EMUL_RDI] = DATA;
        f.ctx.have &= ~rows[i].group;
        f.ops.state_get = NULL;
        REFUSED();
        f.ops.state_get = state_get;
        DONE();
        assert_int_equal(hooks.got, rows[i].group);
    }
}

/* E20: everything that it can do without state_get, without memory, without hooks, with none of the groups. */
static void test_nothing_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        for (unsigned hook = 0; hook < sizeof(f.ops) / sizeof(void *); hook++) {
            prepare(32, classes[i].code, classes[i].length);
            f.gpr[EMUL_RDI] = FAKE_DEVICE;
            ((void **)&f.ops)[hook] = NULL;
            f.ctx.have = EMUL_STATE_NEEDED;
            assert_in_range(run(), EMUL_DONE, EMUL_UNHANDLED);
        }
        prepare(32, classes[i].code, classes[i].length);
        f.gpr[EMUL_RDI] = DATA;
        f.ctx.have = EMUL_STATE_NEEDED;
        f.ops.state_get = NULL;
        run();
        assert_int_equal(f.ctx.changed & ~(EMUL_STATE_NEEDED), 0); /* no group is given back that was never there */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cr_read), cmocka_unit_test(test_cr0), cmocka_unit_test(test_long_mode_guards), cmocka_unit_test(test_pae),
        cmocka_unit_test(test_cr3), cmocka_unit_test(test_cr4), cmocka_unit_test(test_dr), cmocka_unit_test(test_msw),
        cmocka_unit_test(test_tables), cmocka_unit_test(test_table_faults), cmocka_unit_test(test_invalidate), cmocka_unit_test(test_msr),
        cmocka_unit_test(test_efer), cmocka_unit_test(test_identity), cmocka_unit_test(test_syscall), cmocka_unit_test(test_syscall_step),
        cmocka_unit_test(test_sysret), cmocka_unit_test(test_sysenter), cmocka_unit_test(test_sysexit), cmocka_unit_test(test_bases),
        cmocka_unit_test(test_rest), cmocka_unit_test(test_cr4_bits), cmocka_unit_test(test_classes), cmocka_unit_test(test_missing_groups),
        cmocka_unit_test(test_pae_unused), cmocka_unit_test(test_nothing_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
