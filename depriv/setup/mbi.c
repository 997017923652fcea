/* Reads what the boot loader left, multiboot2 tags or a multiboot 1 structure, with every length checked. */
#include "depriv/setup/setup.h"

enum { MB1_LOADER_MAGIC = 0x2badb002, MB2_LOADER_MAGIC = 0x36d76289 }; /* what eax holds on entry */
enum { VGA_TEXT = 0xb8000, VGA_COLUMNS = 80, VGA_ROWS = 25, VGA_CELL = 2 };
#define MBI_MAX (128u * 1024)
#define REACH   (4 * GIB) /* of modules */
#define PAGE    4096ul

static const void *at_physical(u64 pa) { return physical(pa, 0); } /* below 4 GiB */

/* Multiboot 1 has the file's name before the words that the user wrote. */
static const char *behind_name(const char *line, u64 max)
{
    u64 n = 0;
    while (n < max && line[n] && line[n] != ' ')
        n++;
    return line + n;
}

static const char *whole_line(const char *line, u64 max, const char *what)
{
    u64 n = 0;
    while (n < max && line[n])
        n++;
    if (n == max || n >= SETUP_LINE_MAX)
        stop("boot information: %s is longer than %u bytes or has no end", what, SETUP_LINE_MAX - 1);
    return line;
}

static void add_module(struct setup *s, u64 start, u64 end, const char *line, u64 line_max)
{
    if (s->modules == SETUP_MODULES_MAX)
        stop("boot information: more than %u modules", SETUP_MODULES_MAX);
    if (start >= end || end > REACH || start % PAGE)
        stop("boot information: module %u is at %lx to %lx: empty, above 4 GiB or not on a page boundary", s->modules, start, end);
    s->module[s->modules++] = (struct setup_module){ start, end, whole_line(line, line_max, "a module's line") };
}

static void add_range(u64 start, u64 length, u32 type)
{
    if (type == 1 && plan.ranges < ABI_RANGES_MAX && start + length > start)
        plan.range[plan.ranges++] = (struct abi_range){ start, start + length };
}

/* ---- multiboot2 (specification 2.0, 3.6) ------------------------------------------------------------------------------------- */

struct mb2_tag { u32 type, size; };
struct mb2_module { struct mb2_tag tag; u32 start, end; char line[]; };
struct mb2_mmap { struct mb2_tag tag; u32 entry_size, version; };
struct mb2_entry { u64 start, length; u32 type, reserved; };
struct mb2_screen { struct mb2_tag tag; u64 address; u32 pitch, width, height; u8 bpp, kind; u16 reserved; };
enum { SCREEN_RGB = 1, SCREEN_TEXT = 2 }; /* mb2_screen.kind */

static void mb2_line(struct setup *s, const struct mb2_tag *t)
{
    s->line = whole_line((const char *)(t + 1), t->size - sizeof(*t), "the command line");
}

static void mb2_loader(struct setup *s, const struct mb2_tag *t)
{
    u64 n = min_u64(t->size - sizeof(*t), sizeof(plan.loader) - 1);
    (void)s;
    memcpy(plan.loader, t + 1, n);
    plan.loader[n] = 0;
}

static void mb2_module(struct setup *s, const struct mb2_tag *t)
{
    const struct mb2_module *m = (const void *)t;
    add_module(s, m->start, m->end, m->line, t->size - sizeof(*m));
}

static void mb2_mmap(struct setup *s, const struct mb2_tag *t)
{
    const struct mb2_mmap *m = (const void *)t;
    (void)s;
    if (m->entry_size < sizeof(struct mb2_entry) || m->entry_size > t->size || m->entry_size % 8) /* specification 2.0, 3.6.8 */
        stop("boot information: multiboot2 tag 6 (memory map) has entries of %u bytes", m->entry_size);
    for (u32 at = sizeof(*m); at + m->entry_size <= t->size; at += m->entry_size) {
        const struct mb2_entry *e = (const void *)((const u8 *)m + at);
        add_range(e->start, e->length, e->type);
    }
}

static void mb2_screen(struct setup *s, const struct mb2_tag *t)
{
    const struct mb2_screen *f = (const void *)t;
    s->screen = (__typeof__(s->screen)){ f->address, f->pitch, f->width, f->height, f->bpp, f->kind == SCREEN_RGB || f->kind == SCREEN_TEXT,
                                         f->kind == SCREEN_TEXT };
}

static void mb2_rsdp(struct setup *s, const struct mb2_tag *t)
{
    memcpy(s->rsdp, t + 1, min_u64(t->size - sizeof(*t), sizeof(s->rsdp)));
    s->has_rsdp = true;
}

/* The tags that Rung uses; least is the smallest size that holds what is read of it. Others are passed over. */
static const struct mb2_row {
    u32 type, least;
    const char *name;
    void (*take)(struct setup *s, const struct mb2_tag *t);
} mb2_rows[] = {
    { 1,  sizeof(struct mb2_tag) + 1,    "command line", mb2_line },
    { 2,  sizeof(struct mb2_tag) + 1,    "loader name",  mb2_loader },
    { 3,  sizeof(struct mb2_module) + 1, "module",       mb2_module },
    { 6,  sizeof(struct mb2_mmap),       "memory map",   mb2_mmap },
    { 8,  sizeof(struct mb2_screen),     "framebuffer",  mb2_screen },
    { 14, sizeof(struct mb2_tag) + 20,   "RSDP 1.0",     mb2_rsdp },
    { 15, sizeof(struct mb2_tag) + 36,   "RSDP 2.0",     mb2_rsdp },
};
#define MB2_END 0u

static void mb2_tag(struct setup *s, const struct mb2_tag *t, u32 at, u32 left)
{
    const struct mb2_row *row = NULL;
    for (u32 i = 0; i < ARRAY_SIZE(mb2_rows) && !row; i++)
        if (mb2_rows[i].type == t->type)
            row = &mb2_rows[i];
    if (t->size > left || t->size < (row ? row->least : sizeof(*t)))
        stop("boot information: multiboot2 tag %u (%s) at byte %u has size %u; %lu to %u are possible", t->type,
             row ? row->name : "not used by Rung", at, t->size, row ? row->least : sizeof(*t), left);
    if (row)
        row->take(s, t);
}

static void mb2_parse(struct setup *s, const u8 *info)
{
    u32 total = *(const u32 *)info;
    u32 at = 8;
    if (total < 16 || total > MBI_MAX)
        stop("boot information: multiboot2 structure of %u bytes", total);
    while (at + sizeof(struct mb2_tag) <= total) {
        const struct mb2_tag *t = (const void *)(info + at);
        if (t->type == MB2_END)
            return;
        mb2_tag(s, t, at, total - at);
        at += (u32)ALIGN_UP(t->size, 8ul);
    }
    stop("boot information: multiboot2 structure of %u bytes has no end tag", total);
}

/* ---- multiboot 1 (specification 0.6.96, 3.3): QEMU -kernel ------------------------------------------------------------------- */

struct mb1_info { u32 flags, lower, upper, device, line, modules, module_list, symbols[4], mmap_length, mmap; };
struct mb1_module { u32 start, end, line, reserved; };
struct mb1_entry { u32 size; u64 start, length; u32 type; } __attribute__((packed));
enum { MB1_LINE = 1 << 2, MB1_MODULES = 1 << 3, MB1_MMAP = 1 << 6 }; /* mb1_info.flags: what is valid */

static void mb1_parse(struct setup *s, const struct mb1_info *i)
{
    const struct mb1_module *m = at_physical(i->module_list);
    str_copy(plan.loader, "multiboot 1", sizeof(plan.loader));
    /* Who starts Rung this way leaves the BIOS's text mode. */
    s->screen = (__typeof__(s->screen)){ VGA_TEXT, VGA_CELL * VGA_COLUMNS, VGA_COLUMNS, VGA_ROWS, 8 * VGA_CELL, true, true };
    if (i->flags & MB1_LINE)
        s->line = whole_line(behind_name(at_physical(i->line), SETUP_LINE_MAX), SETUP_LINE_MAX, "the command line");
    for (u32 k = 0; i->flags & MB1_MODULES && k < i->modules; k++)
        add_module(s, m[k].start, m[k].end, behind_name(at_physical(m[k].line), SETUP_LINE_MAX), SETUP_LINE_MAX);
    if (!(i->flags & MB1_MMAP) || i->mmap_length > MBI_MAX)
        stop("boot information: multiboot flags %x, memory map of %u bytes: a memory map (flag 6) is needed", i->flags, i->mmap_length);
    for (u32 at = 0; at + sizeof(struct mb1_entry) <= i->mmap_length;) {
        const struct mb1_entry *e = at_physical(i->mmap + at);
        add_range(e->start, e->length, e->type);
        if (e->size < sizeof(*e) - 4 || e->size > MBI_MAX)
            stop("boot information: multiboot memory map has an entry of %u bytes", e->size);
        at += e->size + 4;
    }
}

void boot_parse(struct setup *s, u32 magic, u64 info)
{
    if (magic == MB2_LOADER_MAGIC)
        mb2_parse(s, at_physical(info));
    else if (magic == MB1_LOADER_MAGIC)
        mb1_parse(s, at_physical(info));
    else
        stop("started with magic %x: boot with GRUB's multiboot2 command, or QEMU -kernel", magic);
    if (!plan.ranges)
        stop("boot information: the memory map has no usable memory");
}
