/* Benchmark of the emulator: instructions retired for one emulated instruction, by callgrind, and nanoseconds of a loop. tests/bench/emul.sh
 * runs it and prints the table (make bench-emul).
 *
 *   gcc -std=gnu11 -O2 -I. -Iemul tests/host/bench_emul.c emul/[a-z]*.c -o bench_emul
 *   valgrind --tool=callgrind --collect-atstart=no ./bench_emul    each row's counts in a dump of its own, named as the row
 *   ./bench_emul                                                   nanoseconds of the same rows, and of a loop
 *
 * Configurations: `flat` is 32-bit protected mode without paging, what Xen's figures were taken with (flat hooks); as there, the caller
 * says once what mode the code is in, and nothing else is kept from call to call; `kept` is the same with emul_decoded; `exit` is 64-bit
 * mode with 4-level tables, emul_decoded and emul_walks, as the component has it for an exit; `all` is the same with emul_cache, as it
 * has it to run a guest by the emulator alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>
#include "emul/emul.h"
#include "emul/state.h"

#define RAM       0x80000u
#define TABLES    0x70000u
#define CODE      0x1000u
#define DATA      0x4000u
#define STACK     0x6800u
#define BULK      2048u            /* elements of a REP */
#define COUNTED   100u             /* rounds under callgrind */
#define TIMED     20000u

enum config { FLAT, KEPT, EXIT, ALL, CONFIGS };
static const char *const config_name[CONFIGS] = { "flat", "kept", "exit", "all" };

static struct bench {
    struct emul_ctx ctx;
    struct emul_result result;
    struct emul_ops ops;
    struct emul_state state;
    struct emul_cache cache;
    struct emul_decoded decoded;
    struct emul_walks walks;
    uint64_t gpr[16], touched[EMUL_CAUSES];
} b;
static uint8_t ram[RAM] __attribute__((aligned(4096)));
static struct emul_insn decoded_insn;
static int (*execute)(struct emul_ctx *ctx, uint32_t may, struct emul_result *result);

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(data, ram + gpa, size);
    return 0;
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(ram + gpa, data, size);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM || memcmp(ram + gpa, old, size))
        return gpa + size > RAM ? -1 : 1;
    memcpy(ram + gpa, new_value, size);
    return 0;
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned size)
{
    (void)opaque, (void)port;
    return size;
}

static void port_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    (void)opaque, (void)port, (void)size, (void)value;
}

static unsigned port_many(void *opaque, uint16_t port, unsigned size, const void *data, unsigned count)
{
    (void)opaque, (void)port, (void)size, (void)data;
    return count;
}

static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque, (void)gpa;
    return size;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)opaque, (void)gpa, (void)size, (void)value;
}

static int cpuid(void *opaque, uint32_t regs[4])
{
    (void)opaque;
    regs[1] = regs[2] = regs[3] = 0;
    return 0;
}

static int msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    (void)opaque;
    *value = index;
    return 0;
}

static int msr_write(void *opaque, uint32_t index, uint64_t value)
{
    (void)opaque, (void)index, (void)value;
    return 0;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------------------------------- */
#define DECODE    1u               /* emul_decode() only */
#define NO_MAP    2u               /* no direct pointers */
#define NO_MANY   4u               /* no bulk hook of ports */
#define REP       8u               /* figures are per byte of BULK */

/* xen: instructions that Xen's x86_emulate() retires for the same (gcc 12 -O2, flat hooks, loop subtracted), in hundredths. */
static const struct row {
    const char *name;
    uint8_t bytes[8];
    unsigned length, flags, xen;
} rows[] = {
    { "decode only", { 0x8b, 0x43, 0x08 }, 3, DECODE, 35700 },
    { "mov r32,[m]", { 0x8b, 0x43, 0x08 }, 3, 0, 66100 },
    { "mov [m],r32", { 0x89, 0x43, 0x08 }, 3, 0, 68000 },
    { "movzx r32,[m8]", { 0x0f, 0xb6, 0x43, 0x08 }, 4, 0, 73800 },
    { "add [m],r", { 0x01, 0x43, 0x08 }, 3, 0, 69700 },
    { "lock cmpxchg", { 0xf0, 0x0f, 0xb1, 0x4b, 0x08 }, 5, 0, 86400 },
    { "push", { 0x50 }, 1, 0, 53500 },
    { "pop", { 0x58 }, 1, 0, 53000 },
    { "rep movsb, bulk hook", { 0xf3, 0xa4 }, 2, REP, 26 },
    { "rep movsb, none", { 0xf3, 0xa4 }, 2, REP | NO_MAP, 67600 },
    { "in al,dx", { 0xec }, 1, 0, 57400 },
    { "out dx,al", { 0xee }, 1, 0, 55000 },
    { "rep outsb, bulk hook", { 0xf3, 0x6e }, 2, REP, 517 },
    { "rep outsb, none", { 0xf3, 0x6e }, 2, REP | NO_MANY, 70300 },
    { "cpuid", { 0x0f, 0xa2 }, 2, 0, 60400 },
    { "rdmsr", { 0x0f, 0x32 }, 2, 0, 59900 },
    { "wrmsr", { 0x0f, 0x30 }, 2, 0, 59500 },
    { "lmsw", { 0x0f, 0x01, 0xf0 }, 3, 0, 76900 },
    { "clts", { 0x0f, 0x06 }, 2, 0, 60700 },
    { "invlpg", { 0x0f, 0x01, 0x3b }, 3, 0, 76800 },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void set_tables(void)
{
    uint64_t *pml4 = (uint64_t *)(ram + TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512, *pt = pd + 512;

    pml4[0] = (TABLES + 0x1000) | 0x63;
    pdpt[0] = (TABLES + 0x2000) | 0x63;
    pd[0] = (TABLES + 0x3000) | 0x63;
    for (unsigned i = 0; i < RAM / 4096; i++)
        pt[i] = i * 4096u | 0x63;
}

static void reset(enum config config, unsigned flags)
{
    memset(&b, 0, sizeof(b));
    execute = config == EXIT ? emul_execute : emul_execute_next;
    set_tables();
    b.ops = (struct emul_ops){ .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg,
                               .port_in = port_in, .port_out = port_out,
                               .port_write_many = flags & NO_MANY ? NULL : port_many, .mmio_read = mmio_read, .mmio_write = mmio_write,
                               .cpuid = cpuid, .msr_read = msr_read, .msr_write = msr_write };
    b.ctx = (struct emul_ctx){ .gpr = b.gpr, .state = &b.state, .have = ~0u, .phys_bits = 39, .features = EMUL_HAS_1G, .ops = &b.ops, .ram = ram,
                               .ram_size = flags & NO_MAP ? 0 : RAM, .touched = b.touched,
                               .cr4_valid = ~0ull, .efer_valid = ~0ull, .cache = config == ALL ? &b.cache : NULL,
                               .decoded = config == FLAT ? NULL : &b.decoded, .walks = config == EXIT ? &b.walks : NULL };
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        b.state.seg[i] = (struct emul_segment){ .limit = 0xffffffff, .attr = (i == EMUL_CS ? 0x9b : 0x93) |
                                                (config <= KEPT || i != EMUL_CS ? SEG_DB | SEG_G : SEG_L | SEG_G) };
    b.state.rflags = RFLAGS_1;
    b.state.cr0 = CR0_PE | CR0_ET | CR0_NE | (config <= KEPT ? 0 : CR0_PG | CR0_WP);
    b.state.cr4 = config <= KEPT ? 0 : CR4_PAE;
    b.state.cr3 = TABLES;
    b.state.efer = config <= KEPT ? 0 : EFER_LME | EFER_LMA;
    b.state.rip = CODE;
}

static void set_registers(void)
{
    b.state.rip = CODE;
    b.state.rsp = b.gpr[EMUL_RSP] = STACK;
    b.gpr[EMUL_RAX] = 0;
    b.gpr[EMUL_RBX] = DATA;
    b.gpr[EMUL_RCX] = BULK;
    b.gpr[EMUL_RDX] = 0x3f8;
    b.gpr[EMUL_RSI] = DATA;
    b.gpr[EMUL_RDI] = DATA + 0x1000;
    *(uint32_t *)(ram + DATA + 8) = 0;
}


static inline __attribute__((always_inline)) int run(enum config config, unsigned flags)
{
    if (flags & DECODE)
        return emul_decode(&decoded_insn, ram + CODE, 15, config <= KEPT ? EMUL_MODE32 : EMUL_MODE64) > 0 ? EMUL_DONE : EMUL_FAULT;
    return execute(&b.ctx, EMUL_MAY_ANY, &b.result);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* What the two client requests around a row count themselves. */
static void count_nothing(void)
{
    for (unsigned i = 0; i < COUNTED; i++) {
        CALLGRIND_TOGGLE_COLLECT;
        __asm__ volatile("" ::: "memory");
        CALLGRIND_TOGGLE_COLLECT;
    }
    CALLGRIND_DUMP_STATS_AT("nothing|none");
}

/* 1: the library refuses it. */
static int bench_row(enum config config, const struct row *row)
{
    unsigned rounds = RUNNING_ON_VALGRIND ? COUNTED : row->flags & REP ? 2000 : TIMED;
    double start, best = 1e9;
    char name[64];

    reset(config, row->flags);
    memset(ram + CODE, 0x90, 64);
    memcpy(ram + CODE, row->bytes, row->length);
    set_registers();
    if (run(config, row->flags) != EMUL_DONE)
        return 1;
    for (unsigned part = 0; part < (RUNNING_ON_VALGRIND ? 1 : 5); part++) {
        start = seconds();
        for (unsigned i = 0; i < rounds; i++) {
            set_registers();
            if (row->flags & DECODE) {
                CALLGRIND_TOGGLE_COLLECT;
                run(config, DECODE);
                CALLGRIND_TOGGLE_COLLECT;
            } else {
                CALLGRIND_TOGGLE_COLLECT;
                run(config, 0);
                CALLGRIND_TOGGLE_COLLECT;
            }
        }
        if (seconds() - start < best)
            best = seconds() - start;
    }
    snprintf(name, sizeof(name), "%s|%s", row->name, config_name[config]);
    CALLGRIND_DUMP_STATS_AT(name);
    if (!RUNNING_ON_VALGRIND)
        printf("ns|%s|%.3f\n", name, best * 1e9 / rounds / (row->flags & REP ? BULK : 1));
    return 0;
}

/* A loop of a checksum over 64 words, as a guest runs it: mov, add, rol, xor, inc, lea, cmp, jcc and a push and pop. */
static const uint8_t loop[] = {
    0x31, 0xc9,                    /* xor ecx,ecx */
    0x8b, 0x14, 0x8b,              /* again: mov edx,[rbx+rcx*4] */
    0x01, 0xd0,                    /* add eax,edx */
    0xc1, 0xc0, 0x05,              /* rol eax,5 */
    0x31, 0xc8,                    /* xor eax,ecx */
    0x50,                          /* push rax */
    0x8d, 0x54, 0x10, 0x01,        /* lea edx,[rax+rdx+1] */
    0x5f,                          /* pop rdi */
    0x89, 0x16,                    /* mov [rsi],edx */
    0x83, 0xc1, 0x01,              /* add ecx,1 */
    0x83, 0xf9, 0x40,              /* cmp ecx,64 */
    0x75, 0xe7,                    /* jne again */
    0xeb, 0xe3,                    /* jmp start */
};

static void bench_loop(enum config config)
{
    unsigned rounds = RUNNING_ON_VALGRIND ? 5000 : 500000;
    double best = 1e9;
    char name[64];

    reset(config, 0);
    memcpy(ram + CODE, loop, sizeof(loop));
    set_registers();
    for (unsigned part = 0; part < (RUNNING_ON_VALGRIND ? 1 : 5); part++) {
        double start = seconds();

        CALLGRIND_TOGGLE_COLLECT;
        for (unsigned i = 0; i < rounds; i++) {
            if (run(config, 0) != EMUL_DONE) {
                printf("bench_emul: the loop is refused at %llx\n", (unsigned long long)b.state.rip);
                exit(1);
            }
        }
        CALLGRIND_TOGGLE_COLLECT;
        if (seconds() - start < best)
            best = seconds() - start;
    }
    snprintf(name, sizeof(name), "loop|%s", config_name[config]);
    CALLGRIND_DUMP_STATS_AT(name);
    if (!RUNNING_ON_VALGRIND)
        printf("ns|%s|%.3f\n", name, best * 1e9 / rounds);
}

int main(void)
{
    count_nothing();
    for (unsigned i = 0; i < ROWS; i++) {
        if (!RUNNING_ON_VALGRIND)
            printf("row|%s|%u|%u\n", rows[i].name, rows[i].xen, rows[i].flags & REP ? BULK : 1);
        for (enum config config = FLAT; config < CONFIGS; config++)
            if (bench_row(config, &rows[i]) && config == FLAT && !RUNNING_ON_VALGRIND)
                printf("refused|%s\n", rows[i].name);
    }
    for (enum config config = FLAT; config < CONFIGS; config++)
        bench_loop(config);
    if (!RUNNING_ON_VALGRIND)
        printf("counted|%u\nlooped|%u\n", COUNTED, 5000u);
    return 0;
}
