/* A third voice: protected-mode instructions at CPL 0 that the CPU under the test cannot run for us, against Unicorn (QEMU's TCG).
 *
 *   gcc -std=gnu11 -O2 -I. -Iemul tests/host/unicorn_test.c emul/[a-z]*.c -lunicorn -o unicorn_test
 *   ./unicorn_test [-v] [-s SEED] [BATCHES] [CASE]     CASE: that one of batch 0 alone, with its state
 *
 * MOV CR and LMSW, loads of segment registers, LDTR and TR, LAR to VERW, far JMP, CALL, RET and IRET in 32-bit protected mode with random
 * descriptors. Unicorn is no judge: it checks no limits and rights of accesses and aborts on some input, so each batch has a process of
 * its own, and what is known of it is a row of `explained`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unicorn/unicorn.h>
#include "emul/emul.h"
#include "emul/state.h"

#define RAM       0x20000u
#define CODE      0x1000u
#define DATA      0x2000u
#define STACK     0x3000u
#define GDT       0x4000u
#define LDT       0x5000u
#define TSS       0x6000u
#define ENTRIES   32u              /* of GDT and LDT each; the first six of the GDT are good */
#define BATCH     2000u
#define HLT       0xf4u
#define CR4_HERE  0x3007ffull      /* bits of CR4 that both know */

enum { CS0 = 0x08, DS0 = 0x10, CS3 = 0x1b, DS3 = 0x23, TSS_SELECTOR = 0x28 };

struct view { uint64_t gpr[8], rip, rflags, cr0, cr2, cr4; uint16_t sel[6], ldtr, tr; int vector; };

static struct shared { uint64_t cases, faults, differ, aborted, current, by_reason[32], by_op[EMUL_OPS_END], bad_op[EMUL_OPS_END]; } *shared;
static uint8_t start[RAM], ours[RAM], theirs[RAM];
static uint64_t random_state, seed = 1;
static int verbose, only = -1;

static uint64_t rnd(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* ---- Cases --------------------------------------------------------------------------------------------------------------------------- */
static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
    return (uint64_t)(base & 0xff000000) << 32 | (uint64_t)(attr & 0xf000) << 40 | (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

/* Code and data that are flat, of any type, DPL and presence; system descriptors with what lies at TSS or a gate's target. */
static uint64_t random_descriptor(void)
{
    uint32_t attr = (rnd() & 0x7f) | (rnd() % 8 ? SEG_P : 0);
    uint64_t gate;

    if (rnd() % 3)
        attr |= SEG_S;
    if (attr & SEG_S)
        return descriptor(0, 0xfffff, attr | SEG_G | (rnd() % 4 ? SEG_DB : 0));
    if ((attr & 5) == 1)                               /* TSS, 16 or 32 bits */
        return descriptor(TSS, 0x67, attr);
    if ((attr & 0xf) == 2)
        return descriptor(LDT, ENTRIES * 8 - 1, attr);
    gate = CODE + 0x800 + (rnd() & 0xff);              /* gates, and types that do not exist */
    return (gate & 0xffff) | (uint64_t)(rnd() % 4 ? CS0 : rnd() % (ENTRIES * 8)) << 16 | (uint64_t)(rnd() % 4) << 32 | (uint64_t)(attr & 0xff) << 40;
}

static uint16_t random_selector(void)
{
    unsigned n = rnd() % 16;

    return n == 0 ? rnd() & 3 : n == 1 ? rnd() & 0xffff : n < 4 ? CS0 : n < 6 ? DS0 | (rnd() & 3) : (rnd() % ENTRIES) << 3 | (rnd() & 7);
}

static void fill_memory(void)
{
    uint64_t *gdt = (uint64_t *)(start + GDT), *ldt = (uint64_t *)(start + LDT);

    memset(start, HLT, RAM);
    memset(start + DATA, 0, 0x1000);
    for (unsigned i = 0; i < ENTRIES; i++) {
        gdt[i] = random_descriptor();
        ldt[i] = random_descriptor();
    }
    gdt[0] = 0;
    gdt[CS0 >> 3] = descriptor(0, 0xfffff, 0xc09b);
    gdt[DS0 >> 3] = descriptor(0, 0xfffff, 0xc093);
    gdt[CS3 >> 3] = descriptor(0, 0xfffff, 0xc0fb);
    gdt[DS3 >> 3] = descriptor(0, 0xfffff, 0xc0f3);
    gdt[TSS_SELECTOR >> 3] = descriptor(TSS, 0x67, 0x8b);
    memset(start + TSS, 0, 0x68);
    *(uint32_t *)(start + TSS + 4) = STACK + 0x800;    /* ESP0, SS0 */
    *(uint16_t *)(start + TSS + 8) = DS0;
    for (unsigned i = 0; i < 0x100; i += 4)
        *(uint32_t *)(start + STACK + 0x400 + i) = rnd();
}

static const struct template { uint8_t bytes[6], length; char kind; } templates[] = { /* kind: s selector, p far pointer in memory, r on the stack */
    { { 0x8e, 0xc0 }, 2, 's' }, { { 0x8e, 0xd0 }, 2, 's' }, { { 0x8e, 0xd8 }, 2, 's' }, { { 0x8e, 0xe0 }, 2, 's' }, { { 0x8e, 0xe8 }, 2, 's' },
    { { 0x0f, 0x02, 0xd8 }, 3, 's' }, { { 0x0f, 0x03, 0xd8 }, 3, 's' }, { { 0x0f, 0x00, 0xe0 }, 3, 's' }, { { 0x0f, 0x00, 0xe8 }, 3, 's' },
    { { 0x0f, 0x00, 0xd0 }, 3, 's' }, { { 0x0f, 0x00, 0xd8 }, 3, 's' }, { { 0x63, 0xc8 }, 2, 's' },
    { { 0xc5, 0x1e }, 2, 'p' }, { { 0xc4, 0x1e }, 2, 'p' }, { { 0x0f, 0xb4, 0x1e }, 3, 'p' }, { { 0x0f, 0xb5, 0x1e }, 3, 'p' },
    { { 0x0f, 0xb2, 0x26 }, 3, 'p' }, { { 0xff, 0x2e }, 2, 'p' }, { { 0xff, 0x1e }, 2, 'p' }, { { 0xcb }, 1, 'r' },
    { { 0xcf }, 1, 'r' }, { { 0x1f }, 1, 'r' }, { { 0x07 }, 1, 'r' }, { { 0x17 }, 1, 'r' }, { { 0x0f, 0xa1 }, 2, 'r' }, { { 0x0f, 0xa9 }, 2, 'r' },
    { { 0x0f, 0x22, 0xc0 }, 3, 'c' }, { { 0x0f, 0x22, 0xd0 }, 3, 'c' }, { { 0x0f, 0x22, 0xe0 }, 3, '4' }, { { 0x0f, 0x20, 0xc1 }, 3, 'c' },
    { { 0x0f, 0x01, 0xf0 }, 3, 'c' }, { { 0x0f, 0x01, 0xe1 }, 3, 'c' }, { { 0x0f, 0x06 }, 2, 'c' },
};

/* The instruction and its operands; the registers before in *v. */
static void make_case(struct view *v)
{
    const struct template *t = &templates[rnd() % (sizeof(templates) / sizeof(templates[0]))];
    unsigned at = CODE, wide = 1;
    uint32_t offset = CODE + 0x800 + (rnd() & 0xff);

    fill_memory();
    memset(v, 0, sizeof(*v));
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = (uint32_t)rnd();
    v->gpr[EMUL_RSI] = DATA;
    v->gpr[EMUL_RSP] = STACK + 0x400;
    v->rip = CODE;
    v->rflags = 2 | (rnd() & RFLAGS_STATUS);
    v->cr0 = 0x60000011;
    if (rnd() % 4 == 0 && t->kind != 'c' && t->kind != '4') {
        start[at++] = 0x66;
        wide = 0;
    }
    memcpy(start + at, t->bytes, t->length);
    if (t->kind == 's') {
        v->gpr[EMUL_RAX] = (uint32_t)rnd() << 16 | random_selector();
    } else if (t->kind == 'p') {
        memcpy(start + DATA, &offset, 4);
        *(uint16_t *)(start + DATA + (wide ? 4 : 2)) = random_selector();
    } else if (t->kind == 'r') {
        uint16_t outer = rnd() % 2 ? DS3 : random_selector(), cs = rnd() % 4 ? random_selector() : rnd() % 2 ? CS3 : CS0;
        uint32_t frame[5] = { t->length == 1 && t->bytes[0] >= 0xcb ? offset : random_selector(), cs, rnd() & ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_VM),
                              STACK + 0x600, outer };

        for (unsigned i = 0; i < 5; i++)
            memcpy(start + STACK + 0x400 + i * (wide ? 4 : 2), &frame[i], wide ? 4 : 2);
    } else if (t->kind == 'c') {
        v->gpr[EMUL_RAX] = (rnd() & 0x40050036) | (rnd() % 4 ? 1 : 0); /* no PG: there are no page tables; Unicorn knows no rules for NW */
    } else {
        v->gpr[EMUL_RAX] = rnd() & CR4_HERE & ~CR4_PAE; /* Unicorn does not check reserved bits */
    }
}

/* ---- The library --------------------------------------------------------------------------------------------------------------------------- */
static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    (void)opaque, (void)write, (void)cause;
    return gpa < RAM ? ours + gpa : NULL;
}

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(data, ours + gpa, size);
    return 0;
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(ours + gpa, data, size);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    if (gpa + size > RAM || memcmp(ours + gpa, old, size))
        return gpa + size > RAM ? -1 : 1;
    return phys_write(opaque, gpa, new_value, size, cause);
}

static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque, (void)gpa, (void)size;
    return ~0ull;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)opaque, (void)gpa, (void)size, (void)value;
}

static const struct emul_ops ops = { .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg, .phys_map = phys_map,
                                     .mmio_read = mmio_read, .mmio_write = mmio_write };

static int run_library(const struct view *before, struct view *after, struct emul_result *result)
{
    struct emul_state s = { .rip = before->rip, .rsp = before->gpr[EMUL_RSP], .rflags = before->rflags, .cr0 = before->cr0, .cr4 = before->cr4,
                            .dr6 = 0xffff0ff0, .dr7 = 0x400, .gdtr = { GDT, ENTRIES * 8 - 1, 0 }, .idtr = { 0, 0, 0 } };
    struct emul_ctx ctx = { .gpr = after->gpr, .state = &s, .have = ~0u, .phys_bits = 36, .ops = &ops, .cr4_valid = CR4_HERE };
    uint64_t gpr[16] = { 0 };
    int status;

    memcpy(ours, start, RAM);
    memcpy(gpr, before->gpr, sizeof(before->gpr));
    ctx.gpr = gpr;
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        s.seg[i] = (struct emul_segment){ 0, 0xffffffff, i == EMUL_CS ? 0xc09b : 0xc093, i == EMUL_CS ? CS0 : DS0, { 0 } };
    s.seg[EMUL_LDTR] = (struct emul_segment){ LDT, ENTRIES * 8 - 1, 0x82, 0, { 0 } };
    s.seg[EMUL_TR] = (struct emul_segment){ TSS, 0x67, 0x8b, TSS_SELECTOR, { 0 } };
    status = emul_execute(&ctx, EMUL_MAY_ANY, result);
    memcpy(after->gpr, gpr, sizeof(after->gpr));
    after->gpr[EMUL_RSP] = s.rsp;
    after->rip = s.rip;
    after->rflags = s.rflags;
    after->cr0 = s.cr0;
    after->cr4 = s.cr4;
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        after->sel[i] = s.seg[i].selector;
    after->ldtr = s.seg[EMUL_LDTR].selector;
    after->tr = s.seg[EMUL_TR].selector;
    after->vector = status == EMUL_FAULT ? result->vector : -1;
    return status;
}

/* ---- Unicorn ------------------------------------------------------------------------------------------------------------------------------------ */
static const int uc_gpr[8] = { UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI,
                               UC_X86_REG_EDI };
static const int uc_sel[6] = { UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS, UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS };
static int interrupt;

static void on_interrupt(uc_engine *uc, uint32_t number, void *data)
{
    (void)data;
    interrupt = number;
    uc_emu_stop(uc);
}

static void uc_set(uc_engine *uc, int reg, uint64_t value)
{
    uc_reg_write(uc, reg, &value);
}

static uint64_t uc_get(uc_engine *uc, int reg)
{
    uint64_t value = 0;

    uc_reg_read(uc, reg, &value);
    return value;
}

/* 1: it could not say. */
static int run_unicorn(const struct view *before, struct view *after)
{
    uc_x86_mmr table = { .base = GDT, .limit = ENTRIES * 8 - 1 }, ldt = { .base = LDT, .limit = ENTRIES * 8 - 1, .flags = 0x8200 },
               task = { .selector = TSS_SELECTOR, .base = TSS, .limit = 0x67, .flags = 0x8b00 };
    uc_engine *uc;
    uc_hook hook;
    uc_err error;

    if (uc_open(UC_ARCH_X86, UC_MODE_32, &uc))
        exit(3);
    memcpy(theirs, start, RAM);
    uc_mem_map_ptr(uc, 0, RAM, UC_PROT_ALL, theirs);
    uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_interrupt, NULL, 1, 0);
    uc_reg_write(uc, UC_X86_REG_GDTR, &table);
    uc_reg_write(uc, UC_X86_REG_LDTR, &ldt);
    uc_reg_write(uc, UC_X86_REG_TR, &task);
    for (unsigned i = 0; i < 6; i++)
        uc_set(uc, uc_sel[i], i == EMUL_CS ? CS0 : DS0);
    memcpy(theirs, start, RAM);                        /* the loads set accessed flags */
    uc_set(uc, UC_X86_REG_CR0, before->cr0);
    for (unsigned i = 0; i < 8; i++)
        uc_set(uc, uc_gpr[i], before->gpr[i]);
    uc_set(uc, UC_X86_REG_EFLAGS, before->rflags);
    interrupt = -1;
    error = uc_emu_start(uc, before->rip, 0xffffffff, 0, 1);
    for (unsigned i = 0; i < 8; i++)
        after->gpr[i] = uc_get(uc, uc_gpr[i]) & 0xffffffff;
    for (unsigned i = 0; i < 6; i++)
        after->sel[i] = uc_get(uc, uc_sel[i]);
    after->rip = uc_get(uc, UC_X86_REG_EIP) & 0xffffffff;
    after->rflags = uc_get(uc, UC_X86_REG_EFLAGS) & 0xffffffff;
    after->cr0 = uc_get(uc, UC_X86_REG_CR0) & 0xffffffff;
    after->cr4 = uc_get(uc, UC_X86_REG_CR4) & 0xffffffff;
    uc_reg_read(uc, UC_X86_REG_LDTR, &ldt);
    uc_reg_read(uc, UC_X86_REG_TR, &task);
    after->ldtr = ldt.selector;
    after->tr = task.selector;
    after->vector = interrupt;
    uc_close(uc);
    return error != UC_ERR_OK && interrupt < 0;
}

/* ---- Comparing ------------------------------------------------------------------------------------------------------------------------------------ */
static int same_memory(void)
{
    return !memcmp(ours, theirs, RAM);
}

/* The first of its kind. */
static const char *difference(const struct view *a, const struct view *b)
{
    if (a->vector != b->vector)
        return "exception";
    if (a->vector >= 0)
        return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) || memcmp(a->sel, b->sel, sizeof(a->sel)) ? "state under a fault" : NULL;
    if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)))
        return "registers";
    if (a->rip != b->rip)
        return "RIP";
    if (a->rflags != b->rflags)
        return "flags";
    if (memcmp(a->sel, b->sel, sizeof(a->sel)) || a->ldtr != b->ldtr || a->tr != b->tr)
        return "segments";
    if (a->cr0 != b->cr0 || a->cr4 != b->cr4)
        return "control registers";
    return same_memory() ? NULL : "memory";
}

/* What is known of Unicorn, by operation and the first thing that differs; of registers and flags only the bits in `mask`. */
static const struct { const char *op, *what; uint32_t mask; const char *reason; } explained[] = {
    { "SMSW", "registers", 0xffff0000, "upper half with a 32-bit register: undefined (SDM 2B SMSW), CPUs give CR0's; Unicorn leaves it" },
    { "LAR", "registers", 0x000f0000, "limit bits: undefined (SDM 2A LAR), CPUs give them, Unicorn 0" },
    { "LTR", "exception", 0, "Unicorn loads a null selector; #GP(0) (SDM 2A LTR)" },
    { "IRET", "flags", RFLAGS_VIF | RFLAGS_VIP, "loaded at CPL 0 (SDM 2A IRET); Unicorn leaves them" },
    { "IRET", "exception", 0, "an outer stack segment that is not present: #SS (SDM 2A IRET), Unicorn raises #NP" },
    { "RETF", "exception", 0, "an outer stack segment that is not present: #SS (SDM 2B RET), Unicorn raises #NP" },
    { "CALLF", "exception", 0, "a task gate to a selector that is no free TSS: #GP (SDM 2A CALL), Unicorn raises #TS" },
    { "JMPF", "exception", 0, "a task gate to a selector that is no free TSS: #GP (SDM 2A JMP), Unicorn raises #TS" },
    { "CALLF", "state under a fault", 0xffff0000, "upper halves after a 16-bit task switch: Unicorn sets them" },
    { "JMPF", "state under a fault", 0xffff0000, "upper halves after a 16-bit task switch: Unicorn sets them" },
    { "CALLF", "registers", 0xffff0000, "upper halves after a 16-bit task switch: Unicorn sets them" },
    { "JMPF", "registers", 0xffff0000, "upper halves after a 16-bit task switch: Unicorn sets them" },
    { "CALLF", "memory", 1, "the accessed flag of CS, which Unicorn does not set (SDM 3A 3.4.5.1)" },
    { "JMPF", "memory", 1, "the accessed flag of CS, which Unicorn does not set (SDM 3A 3.4.5.1)" },
    { "RETF", "memory", 1, "the accessed flag of CS, which Unicorn does not set (SDM 3A 3.4.5.1)" },
    { "IRET", "memory", 1, "the accessed flag of CS, which Unicorn does not set (SDM 3A 3.4.5.1)" },
};
#define EXPLAINED (sizeof(explained) / sizeof(explained[0]))

/* All bits in which the two differ, of registers and flags; of memory 1 if it is one accessed flag of a descriptor. */
static uint64_t differing_bits(const char *what, const struct view *a, const struct view *b)
{
    uint64_t bits = 0;
    unsigned bytes = 0;

    if (!strcmp(what, "flags"))
        return a->rflags ^ b->rflags;
    if (!strcmp(what, "exception"))
        return !(a->vector == EMUL_VECTOR_GP && (b->vector == EMUL_VECTOR_TS || b->vector == -1)) &&
               !(a->vector == EMUL_VECTOR_SS && b->vector == EMUL_VECTOR_NP);
    for (unsigned i = 0; i < 8 && (!strcmp(what, "registers") || !strcmp(what, "state under a fault")); i++)
        bits |= a->gpr[i] ^ b->gpr[i];
    if (!strcmp(what, "state under a fault") && memcmp(a->sel, b->sel, sizeof(a->sel)))
        bits |= 1;
    for (unsigned i = 0; i < RAM && !strcmp(what, "memory"); i++) {
        if (ours[i] != theirs[i])
            bits |= ++bytes == 1 && i % 8 == 5 && i >= GDT && i < TSS ? ours[i] ^ theirs[i] : 0x100;
    }
    return bits;
}

static void show(const char *who, const struct view *v)
{
    printf("  %-8s vector %d rip %" PRIx64 " rflags %" PRIx64 " cr0 %" PRIx64 " cr4 %" PRIx64 " ldtr %x tr %x\n   ", who, v->vector, v->rip, v->rflags, v->cr0,
           v->cr4, v->ldtr, v->tr);
    for (unsigned i = 0; i < 8; i++)
        printf(" %" PRIx64, v->gpr[i]);
    printf("; es %x cs %x ss %x ds %x fs %x gs %x\n", v->sel[0], v->sel[1], v->sel[2], v->sel[3], v->sel[4], v->sel[5]);
}

static void run_case(uint64_t number)
{
    struct view before, library, other;
    struct emul_result result;
    const char *what;
    char text[64];
    int status;

    random_state = seed * 0x9e3779b97f4a7c15ull + number * 0xd1342543de82ef95ull;
    make_case(&before);
    memset(&library, 0, sizeof(library));
    memset(&other, 0, sizeof(other));
    shared->current = number;
    status = run_library(&before, &library, &result);
    if (run_unicorn(&before, &other) || status == EMUL_UNHANDLED || status == EMUL_RETRY)
        return;
    shared->cases++;
    shared->faults += status == EMUL_FAULT;
    shared->by_op[result.insn->op]++;
    what = difference(&library, &other);
    if (!what && only < 0)
        return;
    for (unsigned i = 0; what && i < EXPLAINED; i++) {
        if (!strcmp(explained[i].op, emul_op_name(result.insn->op)) && !strcmp(explained[i].what, what) &&
            !(differing_bits(what, &library, &other) & ~(uint64_t)explained[i].mask)) {
            shared->by_reason[i]++;
            return;
        }
    }
    shared->differ += !!what;
    if (shared->bad_op[result.insn->op]++ < 2 || verbose || only >= 0) {
        emul_describe(&result, text, sizeof(text));
        printf("%" PRIu64 ": %s: %s, error %x\n", number, text, what ? what : "same", result.has_error ? result.error : 0);
        show("before", &before);
        show("library", &library);
        show("Unicorn", &other);
        for (unsigned i = 0; i < RAM && (only >= 0 || (what && !strcmp(what, "memory"))); i++)
            if (ours[i] != theirs[i])
                printf("    [%x] library %02x Unicorn %02x\n", i, ours[i], theirs[i]);
        fflush(stdout);
    }
}

static void run_batch(uint64_t first)
{
    uint64_t next = first;

    while (next < first + BATCH) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            for (uint64_t n = next; n < first + BATCH; n++)
                run_case(n);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return;
        shared->aborted++;
        next = shared->current + 1;
    }
}

int main(int argc, char **argv)
{
    unsigned batches = 20;
    int letter;

    while ((letter = getopt(argc, argv, "vs:")) != -1) {
        if (letter == 's')
            seed = strtoull(optarg, NULL, 0);
        verbose |= letter == 'v';
    }
    if (optind < argc)
        batches = atoi(argv[optind]);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (optind + 1 < argc) {
        only = atoi(argv[optind + 1]);
        run_case(only);
        return 0;
    }
    for (unsigned i = 0; i < batches; i++)
        run_batch((uint64_t)i * BATCH);
    for (unsigned i = 0; i < EXPLAINED; i++)
        if (shared->by_reason[i])
            printf("  explained: %s, %s: %" PRIu64 ": %s\n", explained[i].op, explained[i].what, shared->by_reason[i], explained[i].reason);
    for (unsigned op = 0; op < EMUL_OPS_END; op++)
        if (shared->bad_op[op])
            printf("  unexplained: %s %" PRIu64 " of %" PRIu64 "\n", emul_op_name(op), shared->bad_op[op], shared->by_op[op]);
    printf("unicorn: %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " aborts of Unicorn, %" PRIu64 " unexplained\n", shared->cases, shared->faults,
           shared->aborted, shared->differ);
    return shared->differ != 0;
}
