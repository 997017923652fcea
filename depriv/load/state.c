/* The first state of vcpu 0: real, 32-bit or 64-bit mode, with the GDT and page tables that it needs in guest RAM. */
#include "depriv/load/state.h"

#define CR0_PE          0x00000001ull
#define CR0_ET          0x00000010ull
#define CR0_PG          0x80000000ull
#define CR4_PAE         0x20ull
#define EFER_LME        0x100ull
#define EFER_LMA        0x400ull
#define RFLAGS_FIXED    0x2ull
#define DR6_RESET       0xffff0ff0ull
#define DR7_RESET       0x400ull

/* Segment attributes as in struct abi_segment; all present, DPL 0, and accessed: VM entry asks for it (SDM 3C 27.3.1.2). */
#define ATTR_CODE       0x9bu   /* execute, read */
#define ATTR_DATA       0x93u   /* read, write */
#define ATTR_TSS_BUSY   0x8bu
#define ATTR_L          0x2000u
#define ATTR_DB         0x4000u
#define ATTR_G          0x8000u

#define LIMIT_REAL      0xffffu
#define LIMIT_FLAT      0xffffffffu
#define REAL_IDT_LIMIT  0x3ffu  /* 256 vectors of 4 bytes at 0 */
#define REAL_CS_MASK    0xf0000ull

#define PTE_P           0x01ull
#define PTE_RW          0x02ull
#define PTE_PS          0x80ull
#define TABLE_ENTRIES   512u
#define ENTRIES_BLOCK   64u
#define LARGE_PAGE      0x200000ull
#define MAPPED_GIB      4u
#define PAGE_TABLES     (2u + MAPPED_GIB) /* one of the two upper levels each, and a directory for each GiB */

struct mode {
    uint64_t cr0, cr4, efer;
    uint32_t code_attr, data_attr, limit;
    uint16_t code, data; /* selectors */
    uint16_t idt_limit;
};

static const struct mode modes[STATE_MODES] = {
    [STATE_REAL]      = { .cr0 = CR0_ET, .code_attr = ATTR_CODE, .data_attr = ATTR_DATA, .limit = LIMIT_REAL,
                          .idt_limit = REAL_IDT_LIMIT },
    [STATE_PROTECTED] = { .cr0 = CR0_ET | CR0_PE, .code_attr = ATTR_CODE | ATTR_DB | ATTR_G,
                          .data_attr = ATTR_DATA | ATTR_DB | ATTR_G, .limit = LIMIT_FLAT,
                          .code = STATE_CODE_SELECTOR, .data = STATE_DATA_SELECTOR },
    [STATE_LONG]      = { .cr0 = CR0_ET | CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA,
                          .code_attr = ATTR_CODE | ATTR_L | ATTR_G, .data_attr = ATTR_DATA | ATTR_DB | ATTR_G,
                          .limit = LIMIT_FLAT, .code = STATE_CODE_SELECTOR, .data = STATE_DATA_SELECTOR },
};

/* A flat descriptor of these attributes: base 0, limit 0xfffff (SDM 3A 3.4.5). */
static uint64_t make_descriptor(uint32_t attr)
{
    return 0x000f00000000ffffull | (uint64_t)attr << 40;
}

static enum abi_status place_gdt(struct boot *b, const struct mode *m)
{
    struct abi_table *gdtr = &b->loader->frame->state.gdtr;
    uint64_t gdt[] = {
        [STATE_CODE_SELECTOR / 8] = make_descriptor(m->code_attr),
        [STATE_DATA_SELECTOR / 8] = make_descriptor(m->data_attr),
    };
    gdtr->limit = sizeof(gdt) - 1;
    return boot_place_table(b, "GDT", gdt, sizeof(gdt), sizeof(gdt[0]), &gdtr->base);
}

/* `count` entries from the one at gpa on, the first of which has `first`, each `step` further. */
static void write_entries(struct boot *b, uint64_t gpa, unsigned count, uint64_t first, uint64_t step)
{
    uint64_t block[ENTRIES_BLOCK];

    for (unsigned i = 0; i < count; i += ENTRIES_BLOCK) {
        unsigned n = count - i < ENTRIES_BLOCK ? count - i : ENTRIES_BLOCK;

        for (unsigned k = 0; k < n; k++)
            block[k] = first + (i + k) * step;
        guestmem_write(b->mem, gpa + i * sizeof(block[0]), block, n * sizeof(block[0]), ABI_FOR_LOAD);
    }
}

/* PML4, PDPT, then the directories, in consecutive pages. 1 GiB pages would save four pages, but not every CPU has them. */
static enum abi_status place_page_tables(struct boot *b)
{
    uint64_t *cr3 = &b->loader->frame->state.cr3;
    enum abi_status status = boot_place_table(b, "page tables", NULL, PAGE_TABLES * BOOT_PAGE, BOOT_PAGE, cr3);
    uint64_t pdpt = *cr3 + BOOT_PAGE, directories = pdpt + BOOT_PAGE;

    if (status)
        return status;
    write_entries(b, *cr3, 1, pdpt | PTE_P | PTE_RW, 0);
    write_entries(b, pdpt, MAPPED_GIB, directories | PTE_P | PTE_RW, BOOT_PAGE);
    write_entries(b, directories, MAPPED_GIB * TABLE_ENTRIES, PTE_P | PTE_RW | PTE_PS, LARGE_PAGE);
    return ABI_OK;
}

static void set_segments(struct abi_state *s, const struct mode *m)
{
    for (unsigned i = 0; i < ABI_SEGS; i++)
        s->seg[i] = (struct abi_segment){ .limit = m->limit, .attr = m->data_attr, .selector = m->data };
    s->seg[ABI_CS].attr = m->code_attr;
    s->seg[ABI_CS].selector = m->code;
    s->seg[ABI_LDTR] = (struct abi_segment){ .attr = ABI_SEG_UNUSABLE };
    /* TR must be a busy TSS even if no guest has loaded it (SDM 3C 27.3.1.2); as after a reset, its limit is 64 KiB. */
    s->seg[ABI_TR] = (struct abi_segment){ .limit = LIMIT_REAL, .attr = ATTR_TSS_BUSY };
}

enum abi_status state_enter(struct boot *b, enum state_mode mode, uint64_t entry)
{
    const struct mode *m = &modes[mode];
    struct abi_frame *frame = b->loader->frame;
    struct abi_state *s = &frame->state;
    enum abi_status status = ABI_OK;

    __builtin_memset(frame->gpr, 0, sizeof(frame->gpr));
    *s = (struct abi_state){ .rip = entry, .rsp = STATE_STACK, .rflags = RFLAGS_FIXED, .cr0 = m->cr0, .cr4 = m->cr4,
                             .efer = m->efer, .dr6 = DR6_RESET, .dr7 = DR7_RESET, .idtr.limit = m->idt_limit };
    set_segments(s, m);
    if (mode == STATE_REAL) {
        s->seg[ABI_CS].base = entry & REAL_CS_MASK;
        s->seg[ABI_CS].selector = (uint16_t)(s->seg[ABI_CS].base >> 4);
        s->rip = entry - s->seg[ABI_CS].base;
        s->gdtr.limit = LIMIT_REAL;
    }
    if (mode == STATE_LONG)
        status = place_page_tables(b);
    if (mode != STATE_REAL && !status)
        status = place_gdt(b, m);
    frame->state_out = ABI_STATE_ALL;
    return status;
}
