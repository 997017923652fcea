/* The silicon harness's world: memory, page tables, descriptors, each once for the CPU and once for the library, and one emulation in it. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "emul/state.h"
#include "emul/walk.h"
#include "silicon.h"

/* Guest-physical frames: those of the window, then what the library alone has: the tables of a kernel around the test. */
enum { FRAME_CODE, FRAME_CODE2, FRAME_RO, FRAME_RW, FRAME_PML4 = FRAME_RW + RW_FRAMES, FRAME_PDPT, FRAME_PD, FRAME_PT, FRAME_PDPT_HIGH,
       FRAME_PD_HIGH, FRAME_PT_HIGH, FRAME_GDT, FRAME_LDT, FRAME_IDT, FRAME_TSS, FRAME_STACK, FRAME_ENTRY, FRAMES, NONE = 0xff };
#define KERNEL      0xffffff8000000000ull /* linear address of FRAME_GDT and those behind it */
#define KERNEL_PAGE(frame) (KERNEL + ((frame) - FRAME_GDT) * 4096ull)
#define STACK_TOP   (KERNEL_PAGE(FRAME_STACK) + 4096)
#define ENTRY_STEP  16u                   /* vector n enters at KERNEL_PAGE(FRAME_ENTRY) + n * ENTRY_STEP */
#define PHYSICAL    0x100000ull           /* guest-physical address of frame 0 */

/* The window. Aliases of one frame are on purpose: they keep the comparison short. */
static const struct { uint8_t frame, prot; } window[WINDOW_PAGES] = {
#define RW(n) { FRAME_RW + (n), PROT_READ | PROT_WRITE }
#define RO { FRAME_RO, PROT_READ }
#define NO { NONE, 0 }
    RW(0), RW(1), RW(2), RO, RW(3), NO, { FRAME_CODE, PROT_READ | PROT_EXEC }, { FRAME_CODE2, PROT_READ | PROT_EXEC },
    NO, RW(4), RW(5), RO, NO, RW(0), RW(1), RW(2), RW(3), RW(4), NO, NO, NO, NO, NO, NO
#undef RW
#undef RO
#undef NO
};
static const uint8_t rw_pages[] = { 0, 1, 2, 4, 9, 10, 13, 14, 15, 16, 17 };

/* The LDT. contents: as in struct user_desc: 0 data, 1 expand-down, 2 code, 3 conforming code, which
 * Linux takes only if it is not present. */
#define PAGES 0x100 /* in `limit`'s flag word below: limit in pages */
#define ABSENT 0x200
#define NOWRITE 0x400 /* read-only, or execute-only */
#define WIDE 0x800 /* D or B */
static const struct { uint32_t base, limit, flags; } ldt[] = {
    /* 0 */ { WINDOW, 0xffff, 2 }, { WINDOW + 0x10, 0x77f0, 2 }, { 0, 0xfffff, 2 | WIDE | PAGES }, { WINDOW + 0x20, 0x7c00, 2 | WIDE },
    /* 4 */ { WINDOW, 0x1ffff, 2 | WIDE }, { WINDOW, 0xffff, 2 | NOWRITE }, { WINDOW, 0xffff, 0 }, { WINDOW + 0x1230, 0xffff, 0 },
    /* 8 */ { WINDOW + 0x40, 0x17ff, 0 }, { WINDOW, 0x0fff, 1 }, { 0, 0xfffff, WIDE | PAGES }, { WINDOW, 0x2345, WIDE },
    /* 12 */ { WINDOW, 0x0fff, 1 | WIDE }, { 0, 0xfffff, WIDE | PAGES | NOWRITE }, { 0, 0xfffff, WIDE | PAGES | ABSENT },
    /* 15 */ { WINDOW + 0x20, 1, 1 | PAGES }, { WINDOW - 0x8000, 0x1ffff, WIDE }, { 0xf0000000, 0xfffff, WIDE | PAGES },
    /* 18 */ { 0, 0xfffff, 2 | WIDE | PAGES | NOWRITE }, { WINDOW + 0x9000, 0x1fff, 0 }, { 0, WINDOW / 4096 + 8, 1 | WIDE | PAGES },
    /* 21 */ { WINDOW, 0xffff, 2 | ABSENT }, { WINDOW, 0xffff, 3 | ABSENT }, { WINDOW + 0x3000, 0, 0 },
};
#define LDT_COUNT (sizeof(ldt) / sizeof(ldt[0]))
#define LDT_SELECTOR(n) ((uint16_t)((n) << 3 | 7))
static const uint8_t code16[] = { 0, 0, 0, 1, 5 }, code32[] = { 2, 2, 2, 3, 4, 18 };
static const uint8_t data[] = { 6, 6, 7, 8, 9, 10, 10, 11, 12, 13, 15, 16, 17, 0, 2 }, stacks[] = { 6, 6, 7, 8, 9, 10, 10, 11, 12, 15, 17, 19, 20 };

struct world world;
static uint8_t *frames[FRAMES];
static struct emul_ops ops;

/* ---- Descriptors --------------------------------------------------------------------------------------------------------- */
/* As Linux builds them of a user_desc (fill_ldt in its sources): DPL 3, accessed, AVL. */
static uint64_t ldt_descriptor(unsigned n)
{
    uint64_t type = (ldt[n].flags & NOWRITE ? 0 : 2) | (ldt[n].flags & 3) << 2 | 1;
    uint64_t high = type << 8 | 0x7000 | (ldt[n].flags & ABSENT ? 0 : 0x8000) | 1 << 20 | (ldt[n].flags & WIDE ? 1 << 22 : 0) |
                    (ldt[n].flags & PAGES ? 1 << 23 : 0) | (ldt[n].limit & 0xf0000) | (ldt[n].base >> 16 & 0xff) | (ldt[n].base & 0xff000000);

    return high << 32 | (uint32_t)(ldt[n].base << 16) | (ldt[n].limit & 0xffff);
}

static void install_ldt(void)
{
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        struct user_desc d = { .entry_number = i, .base_addr = ldt[i].base, .limit = ldt[i].limit, .contents = ldt[i].flags & 3,
                               .seg_32bit = !!(ldt[i].flags & WIDE), .limit_in_pages = !!(ldt[i].flags & PAGES), .useable = 1,
                               .seg_not_present = !!(ldt[i].flags & ABSENT), .read_exec_only = !!(ldt[i].flags & NOWRITE) };

        if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d))) {
            perror("modify_ldt");
            exit(2);
        }
        ((uint64_t *)frames[FRAME_LDT])[i] = ldt_descriptor(i);
    }
}

/* The GDT of Linux as far as it does not change; what a user may see of the CPU number's segment is asked of the CPU. */
static void fill_gdt(void)
{
    static const uint64_t fixed[] = { 0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
                                      0x00affb000000ffff };
    uint64_t *gdt = (uint64_t *)frames[FRAME_GDT];
    uint32_t rights = 0, limit = 0;

    memcpy(gdt, fixed, sizeof(fixed));
    gdt[8] = 0x00008b0000004087 | (KERNEL_PAGE(FRAME_TSS) & 0xffffff) << 16 | (KERNEL_PAGE(FRAME_TSS) >> 24 & 0xff) << 56;
    gdt[9] = KERNEL_PAGE(FRAME_TSS) >> 32;
    gdt[10] = 0x0000820000000000 | (LDT_COUNT * 8 - 1) | (KERNEL_PAGE(FRAME_LDT) & 0xffffff) << 16 | (KERNEL_PAGE(FRAME_LDT) >> 24 & 0xff) << 56;
    gdt[11] = KERNEL_PAGE(FRAME_LDT) >> 32;
    __asm__("lar %1, %0" : "+r"(rights) : "r"(0x7b));
    __asm__("lsl %1, %0" : "+r"(limit) : "r"(0x7b));
    gdt[15] = (uint64_t)(rights & 0xf0ff00) << 32 | (limit & 0xffff) | (uint64_t)(limit & 0xf0000) << 32;
}

static void fill_idt(void)
{
    uint64_t *idt = (uint64_t *)frames[FRAME_IDT];

    for (unsigned i = 0; i < 256; i++) {
        uint64_t entry = KERNEL_PAGE(FRAME_ENTRY) + i * ENTRY_STEP;
        uint64_t dpl = i == 3 || i == 4 || i == 0x80 ? 3 : 0;

        idt[i * 2] = (entry & 0xffff) | 0x10 << 16 | (0x8e00 | dpl << 13) << 32 | (entry >> 16 & 0xffff) << 48;
        idt[i * 2 + 1] = entry >> 32;
    }
}

void world_segment(uint16_t selector, struct emul_segment *segment)
{
    const uint64_t *table = (const uint64_t *)frames[selector & 4 ? FRAME_LDT : FRAME_GDT];
    uint64_t d = table[selector >> 3];

    memset(segment, 0, sizeof(*segment));
    segment->selector = selector;
    segment->attr = SEG_UNUSABLE;
    if (!(selector & ~3))
        return;
    segment->base = (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24;
    segment->limit = (d & 0xffff) | (d >> 32 & 0xf0000);
    segment->attr = d >> 40 & 0xf0ff;
    if (segment->attr & SEG_G)
        segment->limit = segment->limit << 12 | 0xfff;
}

unsigned world_cs_count(unsigned mode)
{
    return mode == EMUL_MODE64 ? 1 : mode == EMUL_MODE32 ? sizeof(code32) : sizeof(code16);
}

uint16_t world_cs(unsigned mode, unsigned n)
{
    return mode == EMUL_MODE64 ? 0x33 : LDT_SELECTOR(mode == EMUL_MODE32 ? code32[n] : code16[n]);
}

uint16_t world_data_selector(uint64_t random)
{
    unsigned n = random % (sizeof(data) + 4);

    return n < sizeof(data) ? LDT_SELECTOR(data[n]) : n == sizeof(data) ? 0 : n == sizeof(data) + 1 ? 0x2b : LDT_SELECTOR(10);
}

uint16_t world_stack_selector(uint64_t random)
{
    unsigned n = random % (sizeof(stacks) + 1);

    return n < sizeof(stacks) ? LDT_SELECTOR(stacks[n]) : 0x2b;
}

/* Good ones, bad ones, of any RPL, behind the limits; TSS and LDT in the GDT, its empty entries. */
uint16_t world_any_selector(uint64_t random)
{
    unsigned n = random >> 8 & 0xff;

    if ((random & 7) == 0)
        return random >> 8 & 0x7f;                       /* the GDT, any RPL, and LDT entries 0 to 15 by bit 2 */
    if ((random & 7) == 1)
        return (random >> 8 & 0x1ff) | 4;
    if ((random & 0xff) == 2)
        return random >> 8 & 0xffff;
    return LDT_SELECTOR(n % LDT_COUNT) & ~((random >> 16 & 3) == 0 ? random >> 18 & 3 : 0);
}

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */
#define TABLE(frame) ((uint64_t *)frames[frame])
#define ENTRY(frame, rights) (PHYSICAL + (frame) * 4096ull + (rights))
#define P_RW_A_D    0x63ull
#define P_A         0x21ull
#define USER        4ull
#define NO_EXECUTE  (1ull << 63)

static void map_tables(uint64_t linear, unsigned pml4, unsigned pdpt, unsigned pd, unsigned pt, uint64_t user)
{
    TABLE(pml4)[linear >> 39 & 511] = ENTRY(pdpt, P_RW_A_D | user);
    TABLE(pdpt)[linear >> 30 & 511] = ENTRY(pd, P_RW_A_D | user);
    TABLE(pd)[linear >> 21 & 511] = ENTRY(pt, P_RW_A_D | user);
}

static void fill_tables(void)
{
    map_tables(WINDOW, FRAME_PML4, FRAME_PDPT, FRAME_PD, FRAME_PT, USER);
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        if (window[i].frame != NONE)
            TABLE(FRAME_PT)[(WINDOW >> 12 & 511) + i] = ENTRY(window[i].frame, (window[i].prot & PROT_WRITE ? P_RW_A_D : P_A) | USER) |
                                                        (window[i].prot & PROT_EXEC ? 0 : NO_EXECUTE);
    }
    map_tables(KERNEL, FRAME_PML4, FRAME_PDPT_HIGH, FRAME_PD_HIGH, FRAME_PT_HIGH, 0);
    for (unsigned i = FRAME_GDT; i < FRAMES; i++)
        TABLE(FRAME_PT_HIGH)[(KERNEL >> 12 & 511) + i - FRAME_GDT] = ENTRY(i, P_RW_A_D) | (i == FRAME_ENTRY ? 0 : NO_EXECUTE);
    *(uint64_t *)(frames[FRAME_TSS] + 4) = STACK_TOP;    /* RSP0, SDM 3A figure 7-11 */
    for (unsigned i = 0x24; i < 0x5c; i += 8)            /* IST 1 to 7 */
        *(uint64_t *)(frames[FRAME_TSS] + i) = STACK_TOP;
    *(uint16_t *)(frames[FRAME_TSS] + 0x66) = 0x4088;    /* no I/O bitmap: behind the limit */
}

void world_create(void)
{
    unsigned shared = FRAME_RW + RW_FRAMES;
    int fd = memfd_create("silicon", 0);
    uint8_t *alias, *own = aligned_alloc(4096, (FRAMES - FRAME_RW) * 4096);

    if (fd < 0 || ftruncate(fd, shared * 4096))
        exit(2);
    alias = mmap(NULL, shared * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        if (window[i].frame == NONE)
            continue;
        if (mmap((void *)(uintptr_t)(WINDOW + i * 4096), 4096, window[i].prot,
                 MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, window[i].frame * 4096) == MAP_FAILED) {
            perror("mmap");
            exit(2);
        }
        (void)*(volatile uint8_t *)(uintptr_t)(WINDOW + i * 4096); /* a page that is not there yet faults otherwise than one that is read-only */
    }
    for (unsigned i = 0; i < FRAMES; i++) {
        frames[i] = i < FRAME_RW ? alias + i * 4096 : own + (i - FRAME_RW) * 4096;
        memset(frames[i], 0, 4096);
    }
    for (unsigned i = 0; i < RW_FRAMES; i++) {
        world.rw[i] = alias + (FRAME_RW + i) * 4096;
        world.copy[i] = frames[FRAME_RW + i];
    }
    world.code = alias + FRAME_CODE * 4096;
    world.ro = alias + FRAME_RO * 4096;
    memset(world.code, FILLER, CODE_BYTES);
    fill_tables();
    install_ldt();
    fill_gdt();
    fill_idt();
}

static uint8_t *real_address(uint64_t linear)
{
    uint64_t page = (linear - WINDOW) / 4096;

    if (linear < WINDOW || page >= WINDOW_PAGES || window[page].frame == NONE)
        return NULL;
    return world.code + (window[page].frame - FRAME_CODE) * 4096 + (linear & 4095);
}

int world_peek(uint64_t linear, unsigned size, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        const uint8_t *p = real_address(linear + i);

        if (!p)
            return 0;
        *value |= (uint64_t)*p << i * 8;
    }
    return 1;
}

void world_poke(uint64_t linear, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t *p = real_address(linear + i);
        unsigned page = (linear + i - WINDOW) / 4096;

        if (!p || !(window[page].prot & PROT_WRITE))
            continue;
        *p = value >> i * 8;
        frames[window[page].frame][(linear + i) & 4095] = *p;
    }
}

int world_is_code(uint64_t linear)
{
    return linear - (WINDOW + CODE_PAGE * 4096) < CODE_BYTES;
}

uint64_t world_rw_address(unsigned page)
{
    return WINDOW + rw_pages[page % sizeof(rw_pages)] * 4096ull;
}

/* ---- The library's callbacks ------------------------------------------------------------------------------------------------- */
static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    uint64_t frame = (gpa - PHYSICAL) / 4096;

    (void)opaque;
    (void)cause;
    (void)write;
    return gpa >= PHYSICAL && frame < FRAMES ? frames[frame] + (gpa & 4095) : NULL;
}

static int phys_read(void *opaque, uint64_t gpa, void *value, unsigned size, unsigned cause)
{
    const void *p = phys_map(opaque, gpa, 0, cause);

    if (!p)
        return -1;
    memcpy(value, p, size);
    return 0;
}

static int phys_write(void *opaque, uint64_t gpa, const void *value, unsigned size, unsigned cause)
{
    void *p = phys_map(opaque, gpa, 1, cause);

    if (!p)
        return -1;
    memcpy(p, value, size);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    void *p = phys_map(opaque, gpa, 1, cause);

    if (!p)
        return -1;
    if (memcmp(p, old, size))
        return 1;
    memcpy(p, new_value, size);
    return 0;
}

/* All memory is RAM; that there are devices lets stores go without a direct pointer. */
static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque;
    (void)gpa;
    (void)size;
    return ~0ull;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)opaque;
    (void)gpa;
    (void)size;
    (void)value;
}

static uint8_t *vector_register(unsigned kind, unsigned number)
{
    if (kind == EMUL_VECTOR_XMM)
        return world.vectors_copy.zmm[number & 31];
    return (uint8_t *)(kind == EMUL_VECTOR_K ? &world.vectors_copy.k[number & 7] : &world.vectors_copy.mm[number & 7]);
}

static int vector_read(void *opaque, unsigned kind, unsigned number, void *value, unsigned size)
{
    (void)opaque;
    memcpy(value, vector_register(kind, number), size);
    return 0;
}

static int vector_write(void *opaque, unsigned kind, unsigned number, const void *value, unsigned size)
{
    (void)opaque;
    memcpy(vector_register(kind, number), value, size);
    return 0;
}

/* Blocks differ in what the library may use: direct pointers or not, a cache or not, bytes supplied with the exit or not. */
static unsigned variant;

void world_fill(uint64_t seed, unsigned kind)
{
    for (unsigned i = 0; i < RW_FRAMES; i++) {
        uint64_t *words = (uint64_t *)world.rw[i];

        for (unsigned j = 0; j < 512; j++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            words[j] = (seed >> 60) == 0 ? 0 : (seed >> 60) == 1 ? seed >> 33 & 0xff : seed ^ seed >> 29;
        }
        memcpy(world.copy[i], words, 4096);
    }
    memcpy(world.ro, world.rw[0], 4096);
    variant = kind;
    memset(&world.cache, 0, sizeof(world.cache));
    memset(&world.decoded, 0, sizeof(world.decoded));
    memset(&world.walks, 0, sizeof(world.walks));
    ops = (struct emul_ops){ .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg,
                             .mmio_read = mmio_read, .mmio_write = mmio_write, .phys_map = kind & 1 ? NULL : phys_map,
                             .vector_read = vector_read, .vector_write = vector_write };
}

/* ---- One emulation --------------------------------------------------------------------------------------------------------------- */
static void state_before(const struct test_case *c, struct emul_state *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        world_segment(c->before.sel[i], &s->seg[i]);
    if (c->mode == EMUL_MODE64) {
        s->seg[EMUL_FS].base = c->before.fs_base;
        s->seg[EMUL_GS].base = c->before.gs_base;
    }
    s->rip = c->before.rip;
    s->rsp = c->before.gpr[EMUL_RSP];
    s->rflags = c->before.rflags;
    s->seg[EMUL_LDTR] = (struct emul_segment){ KERNEL_PAGE(FRAME_LDT), LDT_COUNT * 8 - 1, SEG_P | 2, 0x50, { 0, 0, 0 } };
    s->seg[EMUL_TR] = (struct emul_segment){ KERNEL_PAGE(FRAME_TSS), 0x4087, SEG_P | 0xb, 0x40, { 0, 0, 0 } };
    s->gdtr = (struct emul_table){ KERNEL_PAGE(FRAME_GDT), 127, 0 };
    s->idtr = (struct emul_table){ KERNEL_PAGE(FRAME_IDT), 4095, 0 };
    s->cr0 = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    s->cr3 = PHYSICAL + FRAME_PML4 * 4096;
    s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP;
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
}

static void regs_of(const struct emul_state *s, const uint64_t gpr[16], struct regs *r)
{
    memcpy(r->gpr, gpr, sizeof(r->gpr));
    r->gpr[EMUL_RSP] = s->rsp;
    r->rip = s->rip;
    r->rflags = s->rflags;
    r->fs_base = s->seg[EMUL_FS].base;
    r->gs_base = s->seg[EMUL_GS].base;
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        r->sel[i] = s->seg[i].selector;
}

/* The library delivered a software interrupt to the kernel of FRAME_ENTRY: the state before is on its stack (SDM 3A 6.14.2). */
static void undeliver(const struct emul_state *s, struct outcome *after)
{
    const uint64_t *stack = (const uint64_t *)(frames[FRAME_STACK] + (s->rsp & 4095));

    after->vector = (s->rip - KERNEL_PAGE(FRAME_ENTRY)) / ENTRY_STEP;
    after->regs.rip = stack[0];
    after->regs.sel[EMUL_CS] = stack[1];
    after->regs.rflags = stack[2];
    after->regs.gpr[EMUL_RSP] = stack[3];
    after->regs.sel[EMUL_SS] = stack[4];
}

static void stop_by_fetch(struct outcome *after, uint64_t linear)
{
    uint64_t present;

    after->vector = EMUL_VECTOR_PF;
    after->error = EMUL_PF_FETCH | EMUL_PF_U | (world_peek(linear, 1, &present) ? EMUL_PF_P : 0);
    after->cr2 = linear;
}

/* The instruction completed: where the CPU stops behind it. Independent of the library's own fetch. */
static void stop_behind(const struct emul_state *s, struct outcome *after)
{
    const struct emul_segment *cs = &s->seg[EMUL_CS];
    uint64_t linear = s->rip;

    after->error = 0;
    after->cr2 = 0;
    if (!(cs->attr & SEG_L)) {
        linear = (uint32_t)(s->rip + cs->base);
        if (s->rip > cs->limit) {
            after->vector = EMUL_VECTOR_GP;
            return;
        }
    }
    if (world_is_code(linear)) {
        after->vector = EMUL_VECTOR_BP;
        after->regs.rip++;
        return;
    }
    stop_by_fetch(after, linear);
}

#define FIRST_OWN  (PHYSICAL + FRAME_RW * 4096ull) /* the first frame that the CPU does not share */
#define ROUNDS_MAX 8u /* of EMUL_REP_MAX elements */

void world_emulate(const struct test_case *c, struct outcome *after)
{
    static struct emul_state s;
    static struct emul_result result;
    static uint64_t touched[EMUL_CAUSES];
    uint64_t gpr[16];
    struct emul_ctx ctx = { .gpr = gpr, .state = &s, .have = ~0u, .phys_bits = 48, .features = EMUL_HAS_1G, .cr4_valid = ~0ull,
                            .efer_valid = ~0ull, .ops = &ops, .cache = variant & 2 ? &world.cache : NULL,
                            .decoded = variant & 2 ? &world.decoded : NULL, .touched = touched, .walks = variant & 16 ? &world.walks : NULL,
                            .ram = frames[FRAME_RW] - FIRST_OWN, .ram_start = FIRST_OWN,
                            .ram_size = variant & 8 ? (FRAMES - FRAME_RW) * 4096 : 0 }; /* code and read-only data are not in it */
    int status = EMUL_DONE;

    ctx.features |= __builtin_cpu_is("amd") ? EMUL_IS_AMD : 0;
    memcpy(gpr, c->before.gpr, sizeof(gpr));
    state_before(c, &s);
    if (variant & 4) {
        ctx.bytes = c->bytes;
        ctx.byte_count = c->supplied;
    }
    memset(after, 0, sizeof(*after));
    for (unsigned round = 0; ; round++) {
        status = emul_execute(&ctx, EMUL_MAY_ANY, &result);
        if (status != EMUL_DONE || s.rip != c->before.rip || !(c->insn.prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE)) ||
            result.iterations == 0 || result.step)
            break;
        if (round == ROUNDS_MAX) {
            after->vector = VECTOR_ENDLESS;
            return;
        }
    }
    regs_of(&s, gpr, &after->regs);
    if (status == EMUL_FAULT) {
        after->vector = result.vector;
        after->error = result.has_error ? result.error : 0;
        after->cr2 = result.vector == EMUL_VECTOR_PF ? result.cr2 : 0;
    } else if (status == EMUL_DONE) {
        if (emul_cpl(&s) == 0)
            undeliver(&s, after);
        else if (result.step)
            after->vector = EMUL_VECTOR_DB;            /* before the CPU fetches anything behind */
        else
            stop_behind(&s, after);
    } else {
        after->vector = status == EMUL_RETRY ? VECTOR_RETRY : VECTOR_REFUSED;
    }
}
