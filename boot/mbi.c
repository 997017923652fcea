/* Reads what the boot loader left, multiboot2 tags or a multiboot 1 structure, with every length checked. Runs on the boot tables. */
#include "kernel/boot.h"
#include "kernel/log.h"

#define MB1_LOADER_MAGIC 0x2badb002u
#define MB2_LOADER_MAGIC 0x36d76289u
#define MBI_MAX          (64u * 1024)
#define REACH            (4 * GIB) /* what the boot tables map */

struct boot_info boot;

/* A byte of physical memory below 4 GiB: the boot tables map it there. Tests put their own memory behind it. */
#ifndef BOOT_PHYSICAL
#define BOOT_PHYSICAL(pa) ((const void *)(u64)(pa))
#endif

static void copy_line(char *to, const char *from, u64 max, const char *what)
{
    u64 n = 0;
    while (n < max && from[n])
        n++;
    if (n == max || n >= BOOT_LINE_MAX)
        stop("boot information: %s is longer than %u bytes or has no end", what, BOOT_LINE_MAX - 1);
    memcpy(to, from, n);
    to[n] = 0;
}

static void add_module(u64 start, u64 end, const char *line, u64 line_max)
{
    struct boot_module *m = &boot.module[boot.modules];
    if (boot.modules == BOOT_MODULES_MAX)
        stop("boot information: more than %u modules", BOOT_MODULES_MAX);
    if (start >= end || end > REACH || start % PAGE_SIZE)
        stop("boot information: module %u is at %lx to %lx: empty, above 4 GiB or not on a page boundary", boot.modules, start, end);
    m->start = start;
    m->end = end;
    copy_line(m->line, line, line_max, "a module's line");
    boot.modules++;
}

static void add_range(u64 start, u64 length, u32 type)
{
    if (type != 1 || !length || boot.ranges == BOOT_RANGES_MAX || start + length < start)
        return;
    boot.range[boot.ranges].start = start;
    boot.range[boot.ranges++].end = start + length;
}

/* ---- multiboot2 (specification 2.0, 3.6) ------------------------------------------------------------------------------------- */

struct mb2_tag { u32 type, size; };
enum { MB2_END, MB2_LINE, MB2_LOADER, MB2_MODULE, MB2_MMAP = 6, MB2_SCREEN = 8, MB2_RSDP1 = 14, MB2_RSDP2 };

struct mb2_module { struct mb2_tag tag; u32 start, end; char line[]; };
struct mb2_mmap { struct mb2_tag tag; u32 entry_size, version; u8 entries[]; };
struct mb2_entry { u64 start, length; u32 type, reserved; };
struct mb2_screen { struct mb2_tag tag; u64 address; u32 pitch, width, height; u8 bpp, kind; u16 reserved; };

static void need(const struct mb2_tag *t, u64 size, const char *name)
{
    if (t->size < size)
        stop("boot information: multiboot2 tag %u (%s) has %u bytes, at least %lu are needed", t->type, name, t->size, size);
}

static void mb2_mmap(const struct mb2_mmap *m)
{
    need(&m->tag, sizeof(*m), "memory map");
    if (m->entry_size < sizeof(struct mb2_entry))
        stop("boot information: multiboot2 memory map entries have %u bytes", m->entry_size);
    for (u32 at = sizeof(*m); at + m->entry_size <= m->tag.size; at += m->entry_size) {
        const struct mb2_entry *e = (const void *)((const u8 *)m + at);
        add_range(e->start, e->length, e->type);
    }
}

static void mb2_screen(const struct mb2_screen *s)
{
    need(&s->tag, sizeof(*s), "framebuffer");
    boot.screen.address = s->address;
    boot.screen.pitch = s->pitch;
    boot.screen.width = s->width;
    boot.screen.height = s->height;
    boot.screen.bpp = s->bpp;
    boot.screen.text = s->kind == 2;
    boot.screen.present = s->kind == 1 || s->kind == 2;
}

static void mb2_tag(const struct mb2_tag *t)
{
    const char *text = (const char *)(t + 1);
    const struct mb2_module *m = (const void *)t;
    switch (t->type) {
    case MB2_LINE:
        copy_line(boot.line, text, t->size - sizeof(*t), "the command line");
        break;
    case MB2_LOADER:
        str_copy(boot.loader, t->size > sizeof(*t) ? text : "", sizeof(boot.loader));
        break;
    case MB2_MODULE:
        need(t, sizeof(*m) + 1, "module");
        add_module(m->start, m->end, m->line, t->size - sizeof(*m));
        break;
    case MB2_MMAP:
        mb2_mmap((const void *)t);
        break;
    case MB2_SCREEN:
        mb2_screen((const void *)t);
        break;
    case MB2_RSDP1:
    case MB2_RSDP2:
        need(t, sizeof(*t) + 20, "RSDP");
        memcpy(boot.rsdp_copy, text, min_u64(t->size - sizeof(*t), sizeof(boot.rsdp_copy)));
        boot.has_rsdp = true;
        break;
    default: /* a tag that Rung has no use for */
        break;
    }
}

static void mb2_parse(const u8 *info)
{
    u32 total = *(const u32 *)info;
    u32 at = 8;
    if (total < 16 || total > MBI_MAX)
        stop("boot information: multiboot2 structure of %u bytes", total);
    while (at + sizeof(struct mb2_tag) <= total) {
        const struct mb2_tag *t = (const void *)(info + at);
        if (t->type == MB2_END)
            return;
        if (t->size < sizeof(*t) || t->size > total - at)
            stop("boot information: multiboot2 tag %u at byte %u has size %u of %u", t->type, at, t->size, total);
        mb2_tag(t);
        at += (u32)ALIGN_UP(t->size, 8ul);
    }
    stop("boot information: multiboot2 structure of %u bytes has no end tag", total);
}

/* ---- multiboot 1 (specification 0.6.96, 3.3): QEMU -kernel ------------------------------------------------------------------- */

struct mb1_info { u32 flags, lower, upper, device, line, modules, module_list, symbols[4], mmap_length, mmap; };
struct mb1_module { u32 start, end, line, reserved; };
struct mb1_entry { u32 size; u64 start, length; u32 type; } __attribute__((packed));
#define MB1_LINE    BIT(2)
#define MB1_MODULES BIT(3)
#define MB1_MMAP    BIT(6)

static void mb1_parse(const struct mb1_info *i)
{
    const struct mb1_module *m = BOOT_PHYSICAL(i->module_list);
    str_copy(boot.loader, "multiboot 1", sizeof(boot.loader));
    if (i->flags & MB1_LINE)
        copy_line(boot.line, BOOT_PHYSICAL(i->line), BOOT_LINE_MAX, "the command line");
    for (u32 k = 0; i->flags & MB1_MODULES && k < i->modules; k++)
        add_module(m[k].start, m[k].end, BOOT_PHYSICAL(m[k].line), BOOT_LINE_MAX);
    if (!(i->flags & MB1_MMAP) || i->mmap_length > MBI_MAX)
        stop("boot information: no multiboot memory map");
    for (u32 at = 0; at + sizeof(struct mb1_entry) <= i->mmap_length;) {
        const struct mb1_entry *e = BOOT_PHYSICAL(i->mmap + at);
        add_range(e->start, e->length, e->type);
        if (e->size < sizeof(*e) - 4)
            stop("boot information: multiboot memory map entry of %u bytes", e->size);
        at += e->size + 4;
    }
}

void boot_parse(u32 magic, u64 info)
{
    if (magic == MB2_LOADER_MAGIC)
        mb2_parse(BOOT_PHYSICAL(info));
    else if (magic == MB1_LOADER_MAGIC)
        mb1_parse(BOOT_PHYSICAL(info));
    else
        stop("started with magic %x: boot with GRUB's multiboot2 command, or QEMU -kernel", magic);
    if (!boot.ranges)
        stop("boot information: the memory map has no usable memory");
}
