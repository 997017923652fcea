/* The silicon harness: instructions run on the CPU of this machine and in emul_execute(), and everything that differs is reported.
 *
 *   gcc -std=gnu11 -O2 -g -I. -Iemul tests/host/silicon*.c emul/[a-z]*.c -o silicon
 *   ./silicon [-n CASES] [-s SEED] [-m 16|32|64] [-o OP] [-j PROCESSES] [-r CASE] [-v]
 *
 * CASES per mode, a million if not given. -r runs one case of the mode and seed again (that is, its block up to it) and shows its state
 * before and after on both sides. Compared: general registers, RIP, RFLAGS, selectors, FS and GS base, memory, vector registers,
 * exception, error code, CR2. Exit status 1 if something differed that no row of `explained` names. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "emul/state.h"
#include "emul/walk.h"
#include "silicon.h"

static const char *const mode_name[] = { "16", "32", "64" };
static const char *const register_name[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                             "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

static struct outcome expected;

/* What differs of a case. */
enum { DIFF_GPR = 1, DIFF_RIP = 2, DIFF_FLAGS = 4, DIFF_SEGMENT = 8, DIFF_MEMORY = 16, DIFF_VECTOR_STATE = 32, DIFF_EXCEPTION = 64,
       DIFF_ERROR = 128, DIFF_CR2 = 256 };
static const char *const diff_name[] = { "registers", "RIP", "flags", "segments", "memory", "vector registers", "exception", "error code", "CR2" };

/* Differences with a reason: all that differs must be in `diff`, of the flags only those in `flags`, and `when` must hold. */
#define UNDEFINED(op, flags, where) { op, DIFF_FLAGS, flags, NULL, "undefined flags, " where }
#define CF RFLAGS_CF
#define PF RFLAGS_PF
#define AF RFLAGS_AF
#define ZF RFLAGS_ZF
#define SF RFLAGS_SF
#define OF RFLAGS_OF
#define ANY_FAULT (DIFF_EXCEPTION | DIFF_ERROR | DIFF_CR2)

static int is_fault(uint32_t vector);
/* The offset of the memory operand, or of the source of a string instruction. */
static uint64_t operand_offset(const struct test_case *c)
{
    const struct emul_insn *insn = &c->insn;
    uint64_t offset = insn->disp;

    if (insn->has_modrm && insn->mod == 3)
        return 0;
    if (insn->base < EMUL_GPRS)
        offset += c->before.gpr[insn->base];
    else if (insn->base == EMUL_REG_RIP)
        offset += c->before.rip + c->length;
    if (insn->index < EMUL_GPRS)
        offset += c->before.gpr[insn->index] << insn->scale;
    if (c->op == EMUL_MOVS || c->op == EMUL_CMPS || c->op == EMUL_LODS || c->op == EMUL_OUTS)
        offset = c->before.gpr[EMUL_RSI];
    if (c->op == EMUL_XLAT)
        offset = c->before.gpr[EMUL_RBX] + (c->before.gpr[EMUL_RAX] & 0xff);
    return offset & emul_size_mask(insn->addrsize);
}

static int both_fault(const struct test_case *c, const struct outcome *after)
{
    (void)c;
    return is_fault(expected.vector) && is_fault(after->vector);
}

static int has_rep(const struct test_case *c, const struct outcome *after)
{
    (void)after;
    return c->insn.prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE);
}

static int rep_fault(const struct test_case *c, const struct outcome *after)
{
    return has_rep(c, after) && both_fault(c, after);
}

static int cpu_faults(const struct test_case *c, const struct outcome *after)
{
    return is_fault(after->vector) && after->regs.rip == c->before.rip && after->regs.gpr[EMUL_RSP] == c->before.gpr[EMUL_RSP];
}

static int cpu_faults16(const struct test_case *c, const struct outcome *after)
{
    return cpu_faults(c, after) && c->insn.opsize == 2;
}

static int offset_not_canonical(const struct test_case *c, const struct outcome *after)
{
    int64_t first = operand_offset(c) >> 47, last = (operand_offset(c) + 63) >> 47; /* operands have up to 64 bytes */

    return c->mode == EMUL_MODE64 && c->insn.seg >= EMUL_FS && (first || last) && (first != 0x1ffff || last != 0x1ffff) && after->vector == EMUL_VECTOR_GP &&
           after->regs.rip == c->before.rip;
}

static int stack_first(const struct test_case *c, const struct outcome *after)
{
    return both_fault(c, after) && (after->vector == EMUL_VECTOR_PF || after->vector == EMUL_VECTOR_AC || after->vector == EMUL_VECTOR_SS);
}

static int rip_first(const struct test_case *c, const struct outcome *after)
{
    (void)c;
    return (expected.vector == EMUL_VECTOR_GP || expected.vector == EMUL_VECTOR_SS) && after->vector == EMUL_VECTOR_GP && after->error == 0;
}

static int align_first(const struct test_case *c, const struct outcome *after)
{
    (void)c;
    return expected.vector == EMUL_VECTOR_SS && after->vector == EMUL_VECTOR_GP;
}

static int mask_fault(const struct test_case *c, const struct outcome *after)
{
    return c->insn.mask && (is_fault(expected.vector) || is_fault(after->vector));
}

/* The target that the instruction names: in it, or in memory as the CPU has it. */
static int call_changes_mode(const struct test_case *c, const struct outcome *after)
{
    struct emul_segment base;
    uint64_t selector = c->insn.imm2, linear = operand_offset(c) + c->insn.opsize;

    if (c->insn.mod != 3) {
        world_segment(c->before.sel[c->insn.seg], &base);
        linear += c->mode != EMUL_MODE64 ? base.base : c->insn.seg == EMUL_FS ? c->before.fs_base : c->insn.seg == EMUL_GS ? c->before.gs_base : 0;
        if (!world_peek(c->mode == EMUL_MODE64 ? linear : (uint32_t)linear, 2, &selector))
            return 0;
    }
    (void)after;
    return (c->mode == EMUL_MODE64) != ((selector & 0xfffc) == 0x30);
}

static int debug_before(const struct test_case *c, const struct outcome *after)
{
    return after->vector == EMUL_VECTOR_DB && after->regs.rip == c->before.rip;
}

static int prefetch_register(const struct test_case *c, const struct outcome *after)
{
    return c->insn.map == EMUL_MAP_0F && c->insn.opcode == 0x0d && c->insn.mod == 3 && after->vector == EMUL_VECTOR_UD;
}

static const struct {
    const char *op;
    uint32_t diff;
    uint64_t flags;
    int (*when)(const struct test_case *c, const struct outcome *after); /* NULL: always */
    const char *reason;
} explained[] = {
    UNDEFINED("AAA", PF | ZF | SF | OF, "SDM 2A AAA"), UNDEFINED("AAS", PF | ZF | SF | OF, "SDM 2A AAS"),
    UNDEFINED("AAM", CF | AF | OF, "SDM 2A AAM"), UNDEFINED("AAD", CF | AF | OF, "SDM 2A AAD"),
    UNDEFINED("DAA", OF, "SDM 2A DAA"), UNDEFINED("DAS", OF, "SDM 2A DAS"),
    UNDEFINED("DIV", CF | PF | AF | ZF | SF | OF, "SDM 2A DIV"), UNDEFINED("IDIV", CF | PF | AF | ZF | SF | OF, "SDM 2A IDIV"),
    UNDEFINED("BSF", CF | PF | AF | SF | OF, "SDM 2A BSF"), UNDEFINED("BSR", CF | PF | AF | SF | OF, "SDM 2A BSR"),
    UNDEFINED("LZCNT", PF | AF | SF | OF, "SDM 2A LZCNT"), UNDEFINED("TZCNT", PF | AF | SF | OF, "SDM 2D TZCNT"),
    UNDEFINED("ANDN", PF | AF, "SDM 2A ANDN"), UNDEFINED("BEXTR", PF | AF | SF, "SDM 2A BEXTR"), UNDEFINED("BZHI", PF | AF, "SDM 2A BZHI"),
    UNDEFINED("BLSI", PF | AF, "SDM 2A BLSI"), UNDEFINED("BLSMSK", PF | AF, "SDM 2A BLSMSK"), UNDEFINED("BLSR", PF | AF, "SDM 2A BLSR"),
    { "NOP", ANY_FAULT | DIFF_RIP, 0, prefetch_register,
      "0F 0D with a register: #UD on AMD (APM3 PREFETCH), a no-operation on Intel (SDM 2D A.3)" },
    { "CMPS", ANY_FAULT, 0, both_fault, "both operands fault: which of them is reported is open (SDM 2A CMPS)" },
    { "CALL", ANY_FAULT, 0, both_fault, "stack and target fault: AMD pushes first, SDM 2A CALL checks the target first" },
    { "CMPS", DIFF_FLAGS | ANY_FAULT, RFLAGS_STATUS, rep_fault,
      "a fault in a later iteration: flags as before (SDM 2B REP), on AMD those of the last iteration" },
    { "SCAS", DIFF_FLAGS, RFLAGS_STATUS, rep_fault,
      "a fault in a later iteration: flags as before (SDM 2B REP), on AMD those of the last iteration" },
    { "ENTER", DIFF_MEMORY, 0, both_fault, "pushes before the one that faults stay below the stack pointer on AMD" },
    { "CALLF", DIFF_MEMORY, 0, both_fault,
      "pushes before the one that faults, or before the fault of the target, stay below the stack pointer on AMD" },
    { "RETF", ANY_FAULT, 0, stack_first,
      "AMD reads CS before RIP, and RSP and SS of an outer return before it checks the selector; SDM 2B RET has another order" },
    { "IRET", ANY_FAULT, 0, stack_first,
      "AMD reads CS before RIP, and RSP and SS of an outer return before it checks the selector; SDM 2A IRET has another order" },
    { "IRET", DIFF_EXCEPTION | DIFF_ERROR, 0, rip_first, "AMD checks RIP against CS before it looks at SS; SDM 2A IRET after it" },
    { "CALLF", DIFF_GPR | DIFF_RIP | DIFF_SEGMENT | DIFF_MEMORY | ANY_FAULT, 0, call_changes_mode,
      "between 64-bit and compatibility mode AMD addresses the stack as the target does; SDM 2A CALL pushes before it loads CS" },
    { "UD0", ANY_FAULT, 0, both_fault, "AMD does not fetch the ModRM that SDM 2B UD describes" },
    { "UD1", ANY_FAULT, 0, both_fault, "AMD does not fetch the ModRM that SDM 2B UD describes" },
    { "INT1", DIFF_RIP, 0, debug_before, "a hypervisor under this machine that intercepts #DB gives RIP before INT1; SDM 2A INT1: a trap" },
    { "PUSHA", DIFF_MEMORY, 0, both_fault, "pushes before the one that faults stay below the stack pointer on AMD" },
    { "POPA", DIFF_GPR | DIFF_CR2, 0, both_fault,
      "registers popped before the fault are kept on AMD, and the slot of rSP is read; restart pops again" },
    { "POPA", DIFF_GPR | DIFF_RIP | ANY_FAULT, 0, cpu_faults, "AMD reads the skipped slot of rSP too" },
    { "MOVSXD", DIFF_GPR | DIFF_RIP | ANY_FAULT, 0, cpu_faults16, "with 66 AMD reads 4 bytes (APM3 MOVSXD), Intel 2 (SDM 2B MOVSXD)" },
    { "CMPXCHG8B", ANY_FAULT, 0, both_fault, "not aligned and not canonical: which is reported is open (SDM 2A CMPXCHG8B)" },
    { "SIMD", DIFF_EXCEPTION, 0, align_first, "not aligned and beyond SS's limit: which is reported is open (SDM 3A 6.9)" },
    { "VEX", DIFF_EXCEPTION, 0, align_first, "not aligned and beyond SS's limit: which is reported is open (SDM 3A 6.9)" },
    { "EVEX", DIFF_EXCEPTION, 0, align_first, "not aligned and beyond SS's limit: which is reported is open (SDM 3A 6.9)" },
    { "EVEX", DIFF_RIP | DIFF_VECTOR_STATE | DIFF_MEMORY | ANY_FAULT, 0, mask_fault,
      "under a mask: which faults of elements outside it count, and the CR2 of the others, differs (SDM 2A 2.7.11: suppressed)" },
    { "*", ~0u, ~0ull, offset_not_canonical,
      "offset not canonical, but the sum with the FS or GS base is: #GP on Zen 4, allowed by SDM 1 3.3.7.1" },
};
#define EXPLAINED (sizeof(explained) / sizeof(explained[0]))

#define HAS_FSGSBASE 2u /* of AT_HWCAP2 */

/* Shared by the processes. */
struct totals {
    uint64_t cases, unexplained, current[16];
    uint64_t explained[EXPLAINED], by_op[EMUL_OPS_END], refused_op[EMUL_OPS_END], unexplained_op[EMUL_OPS_END], by_vector[64];
};
static struct totals *totals;
static struct {
    uint64_t count, seed, replay;
    unsigned mode, processes;
    const char *op;
    int has_replay, verbose;
} opt = { .count = 1000000, .seed = 1, .processes = 2 };
static unsigned mode, process;
static uint64_t next_number, stop_number;

/* ---- Showing ------------------------------------------------------------------------------------------------------------------------ */
static void show_outcome(const char *who, const struct outcome *o)
{
    printf("  %-8s vector %x error %x cr2 %" PRIx64 " rip %" PRIx64 " rflags %" PRIx64 "\n   ", who, o->vector, o->error, o->cr2, o->regs.rip,
           o->regs.rflags);
    for (unsigned i = 0; i < 16; i++)
        printf(" %s %" PRIx64 "%s", register_name[i], o->regs.gpr[i], i == 7 ? "\n   " : "");
    printf("\n    es %x cs %x ss %x ds %x fs %x gs %x fs_base %" PRIx64 " gs_base %" PRIx64 "\n", o->regs.sel[0], o->regs.sel[1], o->regs.sel[2],
           o->regs.sel[3], o->regs.sel[4], o->regs.sel[5], o->regs.fs_base, o->regs.gs_base);
}

static void show_memory(void)
{
    for (unsigned i = 0; i < RW_FRAMES; i++) {
        for (unsigned j = 0, shown = 0; j < 4096 && shown < 8; j++) {
            if (world.rw[i][j] != world.copy[i][j]) {
                printf("    frame %u byte %03x: library %02x CPU %02x\n", i, j, world.copy[i][j], world.rw[i][j]);
                shown++;
            }
        }
    }
}

/* What was on the stack, if the instruction has not changed it. */
static void show_stack(const struct regs *r)
{
    struct emul_segment ss;
    uint64_t word, linear = r->gpr[EMUL_RSP];

    world_segment(r->sel[EMUL_SS], &ss);
    if (mode != EMUL_MODE64)
        linear = (uint32_t)(ss.base + (ss.attr & SEG_DB ? linear : (uint16_t)linear));
    printf("    stack at %" PRIx64 ":", linear);
    for (unsigned i = 0; i < 5 && world_peek(linear + i * 8, 8, &word); i++)
        printf(" %016" PRIx64, word);
    printf("\n");
}

/* One line: what was, what the library made of it, what the CPU. */
static void show_differences(const struct outcome *before, const struct outcome *after)
{
    const struct regs *b = &before->regs, *l = &expected.regs, *a = &after->regs;

    if (expected.vector != after->vector || expected.error != after->error || expected.cr2 != after->cr2)
        printf("    vector(error) cr2: library %x(%x) %" PRIx64 ", CPU %x(%x) %" PRIx64 "\n", expected.vector, expected.error, expected.cr2,
               after->vector, after->error, after->cr2);
    if (l->rip != a->rip)
        printf("    rip: %" PRIx64 " -> library %" PRIx64 ", CPU %" PRIx64 "\n", b->rip, l->rip, a->rip);
    if (l->rflags != a->rflags)
        printf("    rflags: %" PRIx64 " -> library %" PRIx64 ", CPU %" PRIx64 "\n", b->rflags, l->rflags, a->rflags);
    for (unsigned i = 0; i < 16; i++)
        if (l->gpr[i] != a->gpr[i])
            printf("    %s: %" PRIx64 " -> library %" PRIx64 ", CPU %" PRIx64 "\n", register_name[i], b->gpr[i], l->gpr[i], a->gpr[i]);
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        if (l->sel[i] != a->sel[i])
            printf("    selector %u: %x -> library %x, CPU %x\n", i, b->sel[i], l->sel[i], a->sel[i]);
    if (l->fs_base != a->fs_base || l->gs_base != a->gs_base)
        printf("    fs, gs base: %" PRIx64 " %" PRIx64 " -> library %" PRIx64 " %" PRIx64 ", CPU %" PRIx64 " %" PRIx64 "\n", b->fs_base, b->gs_base,
               l->fs_base, l->gs_base, a->fs_base, a->gs_base);
}

static void show_bytes(const struct test_case *c, const char *what)
{
    printf("%s:%" PRIu64 ":%" PRIu64 " %s %s", mode_name[mode], opt.seed, c->number, what, emul_op_name(c->op));
    for (unsigned i = 0; i < c->length; i++)
        printf("%s%02x", i ? " " : " (", c->bytes[i]);
    printf(")%s", *what ? "\n" : "");
}

static void show_case(const struct test_case *c, uint32_t diff, const struct outcome *after)
{
    struct outcome before = { .regs = c->before };

    show_bytes(c, "");
    for (unsigned i = 0; i < sizeof(diff_name) / sizeof(diff_name[0]); i++)
        if (diff >> i & 1)
            printf(" %s", diff_name[i]);
    printf("\n");
    if (opt.has_replay) {
        show_outcome("before", &before);
        show_stack(&before.regs);
        show_outcome("library", &expected);
        show_outcome("CPU", after);
    }
    show_differences(&before, after);
    if (diff & DIFF_MEMORY)
        show_memory();
    fflush(stdout);
}

/* ---- Judging -------------------------------------------------------------------------------------------------------------------------- */
static int memory_differs(void)
{
    for (unsigned i = 0; i < RW_FRAMES; i++)
        if (memcmp(world.rw[i], world.copy[i], 4096))
            return 1;
    return 0;
}

static void memory_restore(int from_cpu)
{
    for (unsigned i = 0; i < RW_FRAMES; i++)
        memcpy(from_cpu ? world.copy[i] : world.rw[i], from_cpu ? world.rw[i] : world.copy[i], 4096);
}

static uint16_t null_is_null(uint16_t selector) /* a return to an outer ring makes a null selector's RPL 0 (SDM 2A IRET) */
{
    return selector & ~3 ? selector : 0;
}

static int is_fault(uint32_t vector)
{
    return vector != EMUL_VECTOR_BP && vector != EMUL_VECTOR_DB && vector != EMUL_VECTOR_OF;
}

static uint32_t difference(const struct test_case *c, const struct outcome *a, const struct outcome *b, uint64_t *flags)
{
    uint32_t diff = 0;
    uint32_t error_a = a->error, error_b = b->error;

    if (a->vector != b->vector)
        diff |= DIFF_EXCEPTION;
    if (a->vector == EMUL_VECTOR_PF && b->vector == EMUL_VECTOR_PF && a->cr2 >= LINEAR_USER_END) {
        error_a |= EMUL_PF_P; /* Linux does not tell whether an address of its own is mapped */
        error_b |= EMUL_PF_P;
    }
    if (error_a != error_b)
        diff |= DIFF_ERROR;
    if (a->cr2 != b->cr2)
        diff |= DIFF_CR2;
    if (memcmp(a->regs.gpr, b->regs.gpr, sizeof(a->regs.gpr)))
        diff |= DIFF_GPR;
    if (a->regs.rip != b->regs.rip)
        diff |= DIFF_RIP;
    *flags = a->regs.rflags ^ b->regs.rflags;
    *flags &= ~RFLAGS_RF; /* set in the image that a fault pushes, cleared by the INT3 behind (SDM 3B 17.3.1.1) */
    if (*flags)
        diff |= DIFF_FLAGS;
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        if (null_is_null(a->regs.sel[i]) != null_is_null(b->regs.sel[i]))
            diff |= DIFF_SEGMENT;
    if (a->regs.fs_base != b->regs.fs_base || a->regs.gs_base != b->regs.gs_base)
        diff |= DIFF_SEGMENT;
    if (memory_differs())
        diff |= DIFF_MEMORY;
    if (c->vector_state && memcmp(&world.vectors, &world.vectors_copy, sizeof(world.vectors)))
        diff |= DIFF_VECTOR_STATE;
    return diff;
}

static int explanation(const struct test_case *c, const struct outcome *after, uint32_t diff, uint64_t flags)
{
    for (unsigned i = 0; i < EXPLAINED; i++)
        if ((!strcmp(explained[i].op, emul_op_name(c->op)) || explained[i].op[0] == '*') &&
            !(diff & ~explained[i].diff) && !(flags & ~explained[i].flags) &&
            (!explained[i].when || explained[i].when(c, after)))
            return i;
    return -1;
}

static void add(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

#define SHOWN_PER_OP 2u

static void judge(const struct test_case *c, struct outcome *after)
{
    uint64_t flags;
    uint32_t diff;
    struct emul_segment cs;
    int row;

    world_segment(after->regs.sel[EMUL_CS], &cs);
    if (!(cs.attr & SEG_L)) { /* the CPU pushes ESP when it leaves compatibility mode; with a 16-bit stack above it is what Linux left */
        expected.regs.gpr[EMUL_RSP] = (uint32_t)expected.regs.gpr[EMUL_RSP];
        after->regs.gpr[EMUL_RSP] = (uint32_t)after->regs.gpr[EMUL_RSP];
    }
    diff = difference(c, &expected, after, &flags);
    memset(world.code + c->at, FILLER, c->room);
    add(&totals->cases);
    add(&totals->by_op[c->op]);
    add(&totals->by_vector[after->vector & 63]);
    if (opt.has_replay && c->number == opt.replay)
        show_case(c, diff, after);
    if (!diff)
        return;
    row = explanation(c, after, diff, flags);
    if (row >= 0) {
        add(&totals->explained[row]);
    } else {
        add(&totals->unexplained);
        if (__atomic_fetch_add(&totals->unexplained_op[c->op], 1, __ATOMIC_RELAXED) < SHOWN_PER_OP && !opt.has_replay)
            show_case(c, diff, after);
    }
    memory_restore(1);
    world.vectors_copy = world.vectors;
}

/* ---- Making ------------------------------------------------------------------------------------------------------------------------------ */
static void begin_block(uint64_t block)
{
    uint64_t seed = gen_mix(opt.seed * 3 + mode + gen_mix(block));

    gen_block(seed);
    world_fill(seed, block);
    for (unsigned i = 0; i < sizeof(world.vectors) / 8; i++)
        ((uint64_t *)&world.vectors)[i] = gen_mix(seed + i);
    world.vectors_copy = world.vectors;
}

/* Would the CPU go on with bytes of the instruction itself, or is there nothing to compare? */
static int is_unfit(const struct test_case *c)
{
    uint64_t before = WINDOW + CODE_PAGE * 4096 + c->at, linear;
    struct emul_segment cs;

    if (expected.vector == VECTOR_ENDLESS || expected.vector == VECTOR_REFUSED)
        return 1;
    if (expected.vector != EMUL_VECTOR_BP)
        return 0;
    world_segment(expected.regs.sel[EMUL_CS], &cs);
    linear = expected.regs.rip - 1 + (cs.attr & SEG_L ? 0 : cs.base);
    if (!(cs.attr & SEG_L))
        linear &= 0xffffffff;
    return linear - before < c->length;
}

static void count_refused(const struct test_case *c)
{
    if (expected.vector == VECTOR_REFUSED) {
        if (__atomic_fetch_add(&totals->refused_op[c->op], 1, __ATOMIC_RELAXED) < SHOWN_PER_OP && opt.verbose)
            show_bytes(c, "refused");
        if (memory_differs()) {
            add(&totals->unexplained);
            add(&totals->unexplained_op[c->op]);
            printf("%s:%" PRIu64 ":%" PRIu64 " %s: refused, but memory has changed\n", mode_name[mode], opt.seed, c->number, emul_op_name(c->op));
        }
    }
}

#define TRIES_MAX 100000u

static int next(struct test_case *c)
{
    if (next_number == stop_number)
        return 0;
    if (next_number % BLOCK_CASES == 0)
        begin_block(next_number / BLOCK_CASES);
    c->number = next_number;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        memset(c->bytes, 0, sizeof(c->bytes));
        c->vector_state = 0;
        if (!gen_case(c))
            continue;
        memcpy(world.code + c->at, c->bytes, c->room);
        totals->current[process] = c->number;
        world_emulate(c, &expected);
        if (!is_unfit(c)) {
            next_number++;
            if (next_number % BLOCK_CASES == 0 && !opt.has_replay)
                next_number += (opt.processes - 1) * (uint64_t)BLOCK_CASES;
            return 1;
        }
        count_refused(c);
        memset(world.code + c->at, FILLER, c->room);
        memory_restore(1);
        world.vectors_copy = world.vectors;
    }
    return 0;
}

/* ---- Running -------------------------------------------------------------------------------------------------------------------------- */
static int run_process(unsigned n)
{
    uint64_t blocks = (opt.count + BLOCK_CASES - 1) / BLOCK_CASES;
    cpu_set_t cpus;

    process = n;
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus); /* stay here: a segment in Linux's GDT has the CPU's number */
    sched_setaffinity(0, sizeof(cpus), &cpus);
    world_create();
    next_number = n * (uint64_t)BLOCK_CASES;
    stop_number = (blocks + (n - blocks % opt.processes + opt.processes) % opt.processes) * BLOCK_CASES;
    if (opt.has_replay) {
        next_number = opt.replay / BLOCK_CASES * BLOCK_CASES;
        stop_number = opt.replay + 1;
    }
    if (next_number >= stop_number)
        return 0;
    world_fill(0, 0);
    if (!gen_pool(mode, opt.op)) {
        printf("silicon %s: nothing to run\n", mode_name[mode]);
        fflush(stdout);
        return 0;
    }
    cpu_run(next, judge);
    fflush(stdout);
    return 0;
}

static int wait_for(unsigned n, pid_t pid)
{
    int status;

    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    printf("silicon %s: process %u ended with status %x in case %" PRIu64 "\n", mode_name[mode], n, status, totals->current[n]);
    return 1;
}

static void show_totals(void)
{
    uint64_t matched = 0;

    for (unsigned i = 0; i < EXPLAINED; i++) {
        matched += totals->explained[i];
        if (totals->explained[i])
            printf("  explained: %s %" PRIu64 ": %s\n", explained[i].op, totals->explained[i], explained[i].reason);
    }
    for (unsigned op = 0; op < EMUL_OPS_END; op++) {
        if (totals->unexplained_op[op])
            printf("  unexplained: %s %" PRIu64 " of %" PRIu64 "\n", emul_op_name(op), totals->unexplained_op[op], totals->by_op[op]);
        if (totals->refused_op[op])
            printf("  refused: %s %" PRIu64 " times, run %" PRIu64 " times\n", emul_op_name(op), totals->refused_op[op], totals->by_op[op]);
        if (opt.verbose && totals->by_op[op])
            printf("  %-12s %" PRIu64 "\n", emul_op_name(op), totals->by_op[op]);
    }
    for (unsigned i = 0; i < 64 && opt.verbose; i++)
        if (totals->by_vector[i])
            printf("  vector %2u: %" PRIu64 "\n", i, totals->by_vector[i]);
    printf("silicon %s-bit code: %" PRIu64 " cases, %" PRIu64 " explained, %" PRIu64 " unexplained\n", mode_name[mode], totals->cases, matched,
           totals->unexplained);
    fflush(stdout);
}

static int run_mode(void)
{
    pid_t pids[16];
    int bad = 0;

    memset(totals, 0, sizeof(*totals));
    for (unsigned n = 0; n < opt.processes; n++) {
        pids[n] = fork();
        if (pids[n] == 0)
            exit(run_process(n)); /* not _exit(): make coverage counts in here */
    }
    for (unsigned n = 0; n < opt.processes; n++)
        bad |= wait_for(n, pids[n]);
    if (!opt.has_replay)
        show_totals();
    return bad || totals->unexplained;
}

static void read_options(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "n:s:m:o:j:r:v")) != -1) {
        switch (letter) {
        case 'n': opt.count = strtoull(optarg, NULL, 0); break;
        case 's': opt.seed = strtoull(optarg, NULL, 0); break;
        case 'm': opt.mode = atoi(optarg); break;
        case 'o': opt.op = optarg; break;
        case 'j': opt.processes = atoi(optarg) < 1 ? 1 : atoi(optarg) > 16 ? 16 : atoi(optarg); break;
        case 'r': opt.replay = strtoull(optarg, NULL, 0); opt.has_replay = 1; opt.processes = 1; break;
        case 'v': opt.verbose = 1; break;
        default:
            fprintf(stderr, "usage: silicon [-n CASES] [-s SEED] [-m 16|32|64] [-o OP] [-j PROCESSES] [-r CASE] [-v]\n");
            exit(2);
        }
    }
}

/* What the harness cannot do without; NULL: it is there. */
static const char *what_is_missing(void)
{
    uint64_t entry[2];

    if (!(getauxval(AT_HWCAP2) & HAS_FSGSBASE))
        return "WRFSBASE for users";
    return syscall(SYS_modify_ldt, 0, entry, sizeof(entry)) < 0 ? "modify_ldt" : NULL;
}

int main(int argc, char **argv)
{
    int bad = 0;

    read_options(argc, argv);
    if (what_is_missing()) {
        printf("silicon: this kernel has no %s: skipped\n", what_is_missing());
        return 0;
    }
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (mode = EMUL_MODE16; mode <= EMUL_MODE64; mode++)
        if (!opt.mode || opt.mode == (unsigned)atoi(mode_name[mode]))
            bad |= run_mode();
    return bad;
}
