/* libFuzzer target: the executor with a context, guest memory and callback results that all come from the input.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -Iemul \
 *       tests/host/fuzz_exec.c emul/[a-z]*.c -o OUT/fuzz_exec && OUT/fuzz_exec -max_total_time=60 -max_len=512
 *
 * Input: struct head, then `patches` of struct patch over state, registers and RAM, then a byte for each callback that may fail.
 * Checked: a fault, a refusal and a retry change nothing but accessed, dirty and busy flags and what a REP has done; each call is bounded;
 * what changed of the state is in ctx.changed; groups that were not given are never looked at; and where all callbacks succeed, the
 * answer is the same without direct pointers, with a cache, and with the bytes supplied. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "emul/emul.h"
#include "emul/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM      0x10000u
#define CODE     0x1000u
#define GDT      0x4000u
#define IDT      0x5000u
#define TSS      0x6000u
#define LONG     0x8000u           /* PML4, PDPT, PD; the identity map by one 2 MiB page */
#define LEGACY   0xc000u           /* page directory, table */
#define PAE      0xe000u
#define DEVICE   0x100000ull       /* page n of 256 behind RAM's first: device or nothing */
#define HOOKS    17u               /* that can be left out */
#define CALLS_MAX (EMUL_REP_MAX * 16u + 4096u) /* of callbacks in one call of the library */

struct head {
    uint8_t mode, features, may, call, checks, patches, reason, bytes_given;
    uint32_t missing;              /* bit n: hook n is NULL */
    uint32_t have;
    uint8_t insn[16];
};
#define RUN_LENGTH 6u              /* instructions in a row */
#define SWITCHED (EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS | EMUL_STATE_SYSTEM | EMUL_STATE_CR | EMUL_STATE_DR)
struct patch { uint16_t at; uint8_t kind, size; uint8_t value[8]; }; /* kind: 0 state, 1 registers, 2 RAM */

static struct run {
    struct emul_ctx ctx;
    struct emul_state state, given; /* given: what the library got, with what state_get() added */
    struct emul_result result;
    struct emul_ops ops;
    struct emul_cache cache;
    struct emul_decoded decoded;
    struct emul_walks walks;
    uint64_t gpr[16], touched[EMUL_CAUSES];
    uint8_t ram[RAM] __attribute__((aligned(4096)));
    uint8_t shadow[RAM];           /* RAM, with only what may change under a fault */
    uint8_t vectors[32][64];
    const uint8_t *script;
    size_t script_size, taken;
    unsigned calls, effects;       /* callbacks; those of them that cannot be taken back */
    struct emul_state real;        /* what state_get() answers */
    int status;
} one, two;

static void check(int holds)
{
    if (!holds)
        __builtin_trap();
}

/* ---- Callbacks --------------------------------------------------------------------------------------------------------------------- */
static int fails(struct run *r)
{
    check(++r->calls <= CALLS_MAX);
    return r->taken < r->script_size && r->script[r->taken++] % 16 == 0;
}

static int in_ram(uint64_t gpa, unsigned size)
{
    return gpa < RAM && gpa + size <= RAM && (gpa & 4095) + size <= 4096;
}

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    struct run *r = opaque;

    check(cause < EMUL_CAUSES && size && (gpa & 4095) + size <= 4096);
    if (fails(r) || !in_ram(gpa, size))
        return -1;
    memcpy(data, r->ram + gpa, size);
    return 0;
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    struct run *r = opaque;

    check(cause < EMUL_CAUSES && size && (gpa & 4095) + size <= 4096);
    if (!in_ram(gpa, size))
        return -1;
    (void)fails(r); /* a write to RAM that is there does not fail */
    memcpy(r->ram + gpa, data, size);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    struct run *r = opaque;

    check(cause < EMUL_CAUSES && (size == 1 || size == 2 || size == 4 || size == 8 || (size == 16 && !(gpa & 15))) && (gpa & 4095) + size <= 4096);
    if (!in_ram(gpa, size))
        return -1;
    if (fails(r) || memcmp(r->ram + gpa, old, size))
        return 1;
    memcpy(r->ram + gpa, new_value, size);
    if (cause == EMUL_FOR_WALK || cause == EMUL_FOR_DESCRIPTOR)
        memcpy(r->shadow + gpa, new_value, size);
    return 0;
}

static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    struct run *r = opaque;

    (void)write;
    check(cause < EMUL_CAUSES && ++r->calls <= CALLS_MAX);
    return gpa < RAM ? r->ram + gpa : NULL;
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned size)
{
    struct run *r = opaque;

    check(size == 1 || size == 2 || size == 4);
    r->effects++;
    fails(r);
    return (uint8_t)port * 0x01010101u; /* bytes as port_read_many() gives them */
}

static void port_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    struct run *r = opaque;

    (void)port, (void)value;
    check(size == 1 || size == 2 || size == 4);
    r->effects++;
    fails(r);
}

static unsigned port_read_many(void *opaque, uint16_t port, unsigned size, void *data, unsigned count)
{
    struct run *r = opaque;

    check(count && count <= 4096 / size);
    r->effects++;
    count = fails(r) ? 1 : count;
    memset(data, port, (size_t)size * count);
    return count;
}

static unsigned port_write_many(void *opaque, uint16_t port, unsigned size, const void *data, unsigned count)
{
    static volatile uint8_t sink;
    struct run *r = opaque;

    check(count && count <= 4096 / size);
    r->effects++;
    count = fails(r) ? 1 : count;
    for (unsigned i = 0; i < size * count; i++)
        sink = ((const uint8_t *)data)[i] + port;
    (void)sink;
    return count;
}

static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    struct run *r = opaque;

    check((size == 1 || size == 2 || size == 4 || size == 8) && !(gpa & (size - 1)));
    fails(r);
    return gpa * 0x0101010101010101ull;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    struct run *r = opaque;

    (void)value;
    check((size == 1 || size == 2 || size == 4 || size == 8) && !(gpa & (size - 1)));
    r->effects++;
    fails(r);
}

static void move_group(struct emul_state *to, const struct emul_state *from, uint32_t groups)
{
    const struct { uint32_t group; size_t first, end; } parts[] = {
        { EMUL_STATE_RIP, offsetof(struct emul_state, rip), offsetof(struct emul_state, seg) },
        { EMUL_STATE_CS, offsetof(struct emul_state, seg[EMUL_CS]), offsetof(struct emul_state, seg[EMUL_DS]) },
        { EMUL_STATE_SEGS, offsetof(struct emul_state, seg[EMUL_ES]), offsetof(struct emul_state, seg[EMUL_CS]) },
        { EMUL_STATE_SEGS, offsetof(struct emul_state, seg[EMUL_DS]), offsetof(struct emul_state, seg[EMUL_LDTR]) },
        { EMUL_STATE_SYSTEM, offsetof(struct emul_state, seg[EMUL_LDTR]), offsetof(struct emul_state, cr0) },
        { EMUL_STATE_CR, offsetof(struct emul_state, cr0), offsetof(struct emul_state, dr6) },
        { EMUL_STATE_DR, offsetof(struct emul_state, dr6), offsetof(struct emul_state, sysenter_cs) },
        { EMUL_STATE_DR, offsetof(struct emul_state, dr), sizeof(struct emul_state) },
        { EMUL_STATE_SYSENTER, offsetof(struct emul_state, sysenter_cs), offsetof(struct emul_state, star) },
        { EMUL_STATE_SYSCALL, offsetof(struct emul_state, star), offsetof(struct emul_state, dr) },
    };

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (groups & parts[i].group)
            memcpy((uint8_t *)to + parts[i].first, (const uint8_t *)from + parts[i].first, parts[i].end - parts[i].first);
}

static int state_get(void *opaque, uint32_t groups)
{
    struct run *r = opaque;

    check(groups && !(groups & r->ctx.have));
    if (fails(r))
        return -1;
    move_group(&r->state, &r->real, groups);
    move_group(&r->given, &r->real, groups);
    return 0;
}

static int cpuid(void *opaque, uint32_t regs[4])
{
    regs[0] ^= 0x1234;
    return fails(opaque) ? -1 : 0;
}

static int msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    *value = index;
    return fails(opaque) ? -1 : 0;
}

static int msr_write(void *opaque, uint32_t index, uint64_t value)
{
    struct run *r = opaque;

    (void)index, (void)value;
    if (fails(r))
        return -1;
    r->effects++;
    return 0;
}

static void tlb_flush(void *opaque, uint64_t linear, int all)
{
    (void)linear, (void)all;
    fails(opaque);
}

static int vector_read(void *opaque, unsigned kind, unsigned number, void *data, unsigned size)
{
    struct run *r = opaque;

    check(kind < EMUL_VECTOR_KINDS && number < 32 && size <= 64);
    if (fails(r))
        return -1;
    memcpy(data, r->vectors[number], size);
    return 0;
}

static int vector_write(void *opaque, unsigned kind, unsigned number, const void *data, unsigned size)
{
    struct run *r = opaque;

    check(kind < EMUL_VECTOR_KINDS && number < 32 && size <= 64);
    if (fails(r))
        return -1;
    memcpy(r->vectors[number], data, size);
    r->effects++;
    return 0;
}

static void set_ops(struct emul_ops *o, uint32_t missing)
{
#define HOOK(n, name) .name = missing >> (n) & 1 ? NULL : name
    *o = (struct emul_ops){ HOOK(0, phys_read), HOOK(1, phys_write), HOOK(2, phys_cmpxchg), HOOK(3, phys_map), HOOK(4, port_in), HOOK(5, port_out),
                            HOOK(6, port_read_many), HOOK(7, port_write_many), HOOK(8, mmio_read), HOOK(9, mmio_write), HOOK(10, state_get),
                            HOOK(11, cpuid), HOOK(12, msr_read), HOOK(13, msr_write), HOOK(14, tlb_flush), HOOK(15, vector_read),
                            HOOK(16, vector_write) };
}

/* ---- The vcpu -------------------------------------------------------------------------------------------------------------------------- */
enum { REAL, V86, FLAT16, FLAT32, LONG64, COMPAT32, MODES };

static void set_memory(uint8_t *ram)
{
    uint64_t *gdt = (uint64_t *)(ram + GDT), *idt = (uint64_t *)(ram + IDT), *pml4 = (uint64_t *)(ram + LONG), *pae = (uint64_t *)(ram + PAE);

    for (unsigned i = 0; i < 0x400; i += 4)
        *(uint32_t *)(ram + i) = 0x00001000u + i;      /* real-mode vectors */
    gdt[1] = 0x00cf9b000000ffff;                       /* 8: code, 10h: data, 18h and 20h: the same of DPL 3, 28h: 64-bit code, 30h: DPL 3 */
    gdt[2] = 0x00cf93000000ffff;
    gdt[3] = 0x00cffa000000ffff;
    gdt[4] = 0x00cff2000000ffff;
    gdt[5] = 0x00af9b000000ffff;
    gdt[6] = 0x00affa000000ffff;
    gdt[7] = 0x0000890060000fff | (uint64_t)TSS << 16; /* 38h: a free TSS */
    gdt[9] = 0x0000ec0000081200;                       /* 48h: call gate */
    gdt[11] = 0x00008b0000000fff | (uint64_t)TSS << 16; /* 58h: the busy TSS */
    for (unsigned i = 0; i < 64; i++) {
        idt[i * 2] = 0x0000ee0000081300ull + (i & 1 ? 0x10000000000ull : 0);
        idt[i * 2 + 1] = 0;
    }
    *(uint32_t *)(ram + TSS + 4) = 0x3f00;
    *(uint16_t *)(ram + TSS + 8) = 0x10;
    *(uint16_t *)(ram + TSS + 0x66) = 0x80;
    pml4[0] = (LONG + 0x1000) | 7;
    pml4[512] = (LONG + 0x2000) | 7;
    pml4[1024] = 0x87;
    *(uint32_t *)(ram + LEGACY) = (LEGACY + 0x1000) | 7;
    for (unsigned i = 0; i < 1024; i++)
        *(uint32_t *)(ram + LEGACY + 0x1000 + i * 4) = i << 12 | 7;
    pae[0] = (PAE + 0x1000) | 1;
    pae[512] = 0x87;
}

static void set_state(struct emul_state *s, unsigned mode, unsigned paging, unsigned user)
{
    static const uint16_t attr[MODES] = { 0x93, 0xf3, 0x93, 0xc093, 0xc093, 0xc093 }, code[MODES] = { 0x9b, 0xf3, 0x9b, 0xc09b, 0xa09b, 0xc09b };

    user = mode == REAL ? 0 : mode == V86 || user ? 3 : 0;
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        s->seg[i] = (struct emul_segment){ 0, mode < FLAT32 ? 0xffff : 0xffffffff, i == EMUL_CS ? code[mode] : attr[mode],
                                           mode < FLAT16 ? 0 : (i == EMUL_CS ? 8 : 0x10), { 0 } };
    for (unsigned i = 0; i < EMUL_SEGS && user && mode != V86; i++) {
        s->seg[i].attr |= 0x60;
        s->seg[i].selector = i == EMUL_CS ? (mode == LONG64 ? 0x33 : 0x1b) : 0x23;
    }
    s->seg[EMUL_LDTR] = (struct emul_segment){ GDT, 0x7f, 0x82, 0x50, { 0 } };
    s->seg[EMUL_TR] = (struct emul_segment){ TSS, 0xfff, 0x8b, 0x58, { 0 } };
    s->gdtr = (struct emul_table){ GDT, 0x7f, 0 };
    s->idtr = mode == REAL ? (struct emul_table){ 0, 0x3ff, 0 } : (struct emul_table){ IDT, 0x3ff, 0 };
    s->rip = CODE;
    s->rsp = 0x3800;
    s->rflags = 2 | (mode == V86 ? RFLAGS_VM : 0);
    s->cr0 = CR0_ET | (mode == REAL ? 0 : CR0_PE);
    if (mode >= LONG64) {
        s->cr0 |= CR0_PG;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
        s->cr3 = LONG;
    } else if (paging && mode != REAL) {
        s->cr0 |= CR0_PG;
        s->cr3 = paging == 1 ? LEGACY : PAE;
        s->cr4 = paging == 1 ? 0 : CR4_PAE;
    }
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
}

static void apply_patch(struct run *r, const struct patch *p)
{
    static const uint16_t sizes[3] = { sizeof(struct emul_state), 128, RAM };
    uint8_t *const targets[3] = { (uint8_t *)&r->state, (uint8_t *)r->gpr, r->ram };
    unsigned kind = p->kind % 3, size = 1 + p->size % 8, at = p->at % (kind == 2 ? RAM : sizes[kind]);
    unsigned room = (kind == 2 ? RAM : sizes[kind]) - at;

    memcpy(targets[kind] + at, p->value, size < room ? size : room);
}

static void set_run(struct run *r, const struct head *h, const uint8_t *rest, size_t size)
{
    unsigned patches = h->patches % 24;

    memset(r, 0, sizeof(*r));
    set_memory(r->ram);
    for (unsigned i = 0; i < 16; i++)
        r->gpr[i] = 0x2000 + i * 0x40;
    r->gpr[EMUL_RCX] = h->reason % 40;
    set_state(&r->state, h->mode % MODES, h->mode / MODES % 3, h->mode & 0x80);
    memcpy(r->ram + CODE, h->insn, sizeof(h->insn));
    for (; patches && size >= sizeof(struct patch); patches--, rest += sizeof(struct patch), size -= sizeof(struct patch))
        apply_patch(r, (const struct patch *)rest);
    if (!(r->state.seg[EMUL_CS].attr & SEG_CODE))     /* no CPU has an unusable or expand-down CS */
        r->state.seg[EMUL_CS].attr &= ~SEG_DOWN;
    r->state.seg[EMUL_CS].attr &= ~SEG_UNUSABLE;
    r->script = rest;
    r->script_size = size;
    r->real = r->state;
    r->ctx = (struct emul_ctx){ .gpr = r->gpr, .state = &r->state, .have = (h->have | EMUL_STATE_NEEDED) & 0xff, .pkru = h->have >> 8,
                                .phys_bits = 32 + h->features / 8 % 21, .features = h->features & 3, .exit_write = h->checks >> 6 & 1,
                                .exit_known = h->checks >> 7, .exit_gpa = DEVICE + 0x40, .cr4_valid = 0x7ff7f7, .efer_valid = 0xd01,
                                .ops = &r->ops, .opaque = r };
    if (h->bytes_given) {
        r->ctx.bytes = h->insn;
        r->ctx.byte_count = h->bytes_given % 16;
    }
    set_ops(&r->ops, h->missing & (h->checks & 0x20 ? ~0u : 0));
    memcpy(r->shadow, r->ram, RAM);
}

/* Groups that are not given hold `poison`. */
static void poison(struct run *r, int value)
{
    struct emul_state bad;

    memset(&bad, value, sizeof(bad));
    move_group(&r->state, &bad, ~r->ctx.have & 0xff);
    r->given = r->state;
}

/* ---- Checks ------------------------------------------------------------------------------------------------------------------------------ */
static void check_state(const struct run *r, const uint64_t *gpr)
{
    struct emul_state now = r->state;

    check((r->ctx.changed & ~r->ctx.have) == 0);
    move_group(&now, &r->given, r->ctx.changed);
    check(!memcmp(&now, &r->given, sizeof(now)));
    if (r->status == EMUL_DONE)
        return;
    if (r->status == EMUL_FAULT && (r->ctx.changed & SWITCHED) == SWITCHED)
        return; /* behind the commit point of a task switch: a fault of the new task (SDM 3A 7.3) */
    check(r->effects == 0 || r->result.iterations);
    if (r->result.iterations)
        return;
    check(!memcmp(&r->state, &r->given, sizeof(now)));
    for (unsigned i = 0; i < 16; i++)
        check(i == EMUL_RSP || r->gpr[i] == gpr[i]);
    check(!memcmp(r->ram, r->shadow, RAM));
}

static int call_library(struct run *r, const struct head *h)
{
    const struct emul_port_exit want = { h->reason, 1u << (h->may % 3), h->may >> 2 & 1, h->may >> 3 & 1 };
    uint32_t may = h->may == 0xff || !(h->checks & 0x10) ? EMUL_MAY_ANY : (h->may | (uint32_t)h->reason << 8) & 0x3ff;
    uint64_t gpr[16];

    memcpy(gpr, r->gpr, sizeof(gpr));
    switch (h->call % 16) {
    case 0:
        r->status = emul_length(&r->ctx, h->reason % EMUL_CLASSES, &r->result);
        break;
    case 1:
        r->status = emul_string_io(&r->ctx, &want, &r->result);
        break;
    case 2: case 3:
        r->status = emul_deliver(&r->ctx, h->reason, h->may % 4, h->may >> 2 & 1, h->may >> 3, &r->result);
        break;
    case 4:
        r->status = emul_task_switch(&r->ctx, h->reason & 0xfc, h->may % 4, h->may >> 2 & 1, h->may >> 3, &r->result);
        break;
    default:
        r->status = emul_execute(&r->ctx, may, &r->result);
        break;
    }
    check(r->ctx.gpr == r->gpr && r->ctx.state == &r->state && r->ctx.ops == &r->ops && r->status >= EMUL_DONE && r->status <= EMUL_UNHANDLED);
    check(r->status != EMUL_FAULT || r->result.vector < 32);
    check_state(r, gpr);
    return r->status;
}

static void check_same(const struct run *a, const struct run *b)
{
    check(a->status == b->status);
    if (a->status == EMUL_FAULT)
        check(a->result.vector == b->result.vector && (!a->result.has_error || a->result.error == b->result.error) &&
              (a->result.vector != EMUL_VECTOR_PF || a->result.cr2 == b->result.cr2));
    check(a->ctx.changed == b->ctx.changed && a->result.iterations == b->result.iterations);
    for (unsigned i = 0; i < 16; i++)
        check(i == EMUL_RSP || a->gpr[i] == b->gpr[i]);
    check(!memcmp(a->ram, b->ram, RAM));
}

/* What may be kept without being told of what the guest does to its memory. */
static void set_kept(struct run *r, const struct head *h)
{
    if (h->checks & 4)
        r->ctx.decoded = &r->decoded;
    r->ctx.touched = r->touched;
    if (h->checks & 8) {
        r->ctx.ram = r->ram;
        r->ctx.ram_size = h->checks & 0x10 ? RAM : RAM / 2;
    }
    if ((h->checks & 9) == 8)
        r->ctx.walks = &r->walks;
}

/* A run of instructions is the same as one at a time, whatever is kept from one to the next: facts, walks, decoded instructions. */
static void check_run(const struct head *h, const uint8_t *data, size_t size)
{
    set_run(&one, h, data, size);
    set_run(&two, h, data, size);
    poison(&one, 0);
    poison(&two, 0);
    set_kept(&two, h);
    for (unsigned n = 0; n < RUN_LENGTH && (!n || one.status == EMUL_DONE); n++) {
        memset(&one.ctx.seen, 0xff, sizeof(one.ctx.seen));
        one.calls = two.calls = 0;
        one.status = emul_execute(&one.ctx, EMUL_MAY_ANY, &one.result);
        two.status = (n ? emul_execute_next : emul_execute)(&two.ctx, EMUL_MAY_ANY, &two.result);
        check_same(&one, &two);
        check(!memcmp(&one.state, &two.state, sizeof(one.state)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head h;
    char text[64];

    if (size < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    set_run(&one, &h, data + sizeof(h), size - sizeof(h));
    poison(&one, 0x5a);
    call_library(&one, &h);
    if (one.result.insn) {                             /* emul_deliver() and emul_task_switch() decode nothing */
        emul_describe(&one.result, text, sizeof(text));
        check(memchr(text, 0, sizeof(text)) != NULL);
    }

    set_run(&two, &h, data + sizeof(h), size - sizeof(h));
    poison(&two, 0xa5);                                /* E18: what was not given decides nothing */
    call_library(&two, &h);
    check_same(&one, &two);
    if (one.script_size || (h.checks & 0x20))
        return 0;
    set_run(&two, &h, data + sizeof(h), size - sizeof(h));
    poison(&two, 0);
    if (h.checks & 1)
        two.ops.phys_map = NULL;
    if (h.checks & 2)
        two.ctx.cache = &two.cache;
    set_kept(&two, &h);
    call_library(&two, &h);
    check_same(&one, &two);
    check_run(&h, data + sizeof(h), size - sizeof(h));
    return 0;
}
