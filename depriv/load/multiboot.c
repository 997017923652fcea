/* Image kind `multiboot`: the Multiboot Specification 0.6.96, ELF or address fields, entered in 32-bit protected mode. */
#include "depriv/load/multiboot.h"

#include <stdbool.h>

#include "depriv/load/elf.h"
#include "depriv/load/lowmem.h"
#include "depriv/load/state.h"

#define HEADER_MAGIC      0x1badb002u
#define LOADER_MAGIC      0x2badb002u /* in EAX at the entry */
#define HEADER_SEARCH     8192u       /* the header lies wholly in these bytes ... */
#define HEADER_ALIGN      4u          /* ... at a multiple of this (3.1) */

/* Header flags (3.1.2): an unknown one among the low 16 must be refused. */
#define HEADER_PAGE_ALIGN 0x00000001u /* modules on page boundaries: they always are */
#define HEADER_MEMORY     0x00000002u /* memory sizes: always given */
#define HEADER_VIDEO      0x00000004u /* there is no display */
#define HEADER_REQUIRED   0x0000ffffu
#define HEADER_ADDRESSES  0x00010000u

/* Information flags (3.3). */
#define INFO_MEMORY       0x00000001u
#define INFO_CMDLINE      0x00000004u
#define INFO_MODULES      0x00000008u
#define INFO_MMAP         0x00000040u
#define INFO_LOADER_NAME  0x00000200u

#define LOADER_NAME       "Rung"

struct multiboot_header {
    uint32_t magic, flags, checksum;                                        /* 0x00 */
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* 0x0c if HEADER_ADDRESSES */
};
#define HEADER_SHORT      12u

struct multiboot_info {
    uint32_t flags;                     /* 0x00 */
    uint32_t mem_lower, mem_upper;      /* 0x04 KiB */
    uint32_t boot_device;               /* 0x0c */
    uint32_t cmdline;                   /* 0x10 */
    uint32_t mods_count, mods_addr;     /* 0x14 */
    uint32_t syms[4];                   /* 0x1c */
    uint32_t mmap_length, mmap_addr;    /* 0x2c */
    uint32_t drives[2], config_table;   /* 0x34 */
    uint32_t boot_loader_name;          /* 0x40 */
    uint32_t apm_table, vbe[4], framebuffer[7]; /* 0x44 */
};
_Static_assert(offsetof(struct multiboot_info, boot_loader_name) == 0x40, "multiboot_info");
_Static_assert(sizeof(struct multiboot_info) == 0x74, "multiboot_info");

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

struct multiboot_mmap {
    uint32_t size; /* of what follows */
    uint64_t base, len;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct multiboot_mmap) == 24, "multiboot_mmap");

struct multiboot {
    struct boot *boot;
    struct multiboot_header header;
    uint32_t header_offset;
    uint64_t entry, end;         /* guest-physical entry, end of the kernel */
    struct multiboot_info info;
    uint64_t info_gpa;
};

static enum abi_status find_header(struct multiboot *m)
{
    struct boot *b = m->boot;
    uint32_t search = b->size < HEADER_SEARCH ? (uint32_t)b->size : HEADER_SEARCH;
    bool magic_seen = false;
    struct multiboot_header *h = &m->header;

    for (uint32_t at = 0; at + HEADER_SHORT <= search; at += HEADER_ALIGN) {
        __builtin_memcpy(h, b->image + at, HEADER_SHORT);
        if (h->magic != HEADER_MAGIC)
            continue;
        magic_seen = true;
        if (h->magic + h->flags + h->checksum == 0) {
            m->header_offset = at;
            return ABI_OK;
        }
    }
    if (magic_seen)
        return boot_refuse(b, "checksum of the header is wrong");
    return boot_refuse(b, "magic number 0x%x is not in the first %u bytes", HEADER_MAGIC, search);
}

static enum abi_status check_flags(struct multiboot *m)
{
    struct boot *b = m->boot;
    uint32_t unknown = m->header.flags & HEADER_REQUIRED & ~(HEADER_PAGE_ALIGN | HEADER_MEMORY);

    if (unknown == HEADER_VIDEO)
        return boot_refuse(b, "flags 0x%x ask for a video mode, there is no display", m->header.flags);
    if (unknown)
        return boot_refuse(b, "flags 0x%x ask for the unknown feature 0x%x", m->header.flags, unknown);
    if (!(m->header.flags & HEADER_ADDRESSES))
        return ABI_OK;
    if (b->size - m->header_offset < sizeof(m->header) || m->header_offset + sizeof(m->header) > HEADER_SEARCH)
        return boot_refuse(b, "flags 0x%x promise address fields, the header at 0x%x is cut off", m->header.flags, m->header_offset);
    __builtin_memcpy(&m->header, b->image + m->header_offset, sizeof(m->header));
    return ABI_OK;
}

/* The address fields instead of ELF headers (3.1.3): where the bytes from before the header on go, and how many. */
static enum abi_status load_by_addresses(struct multiboot *m)
{
    struct boot *b = m->boot;
    const struct multiboot_header *h = &m->header;
    uint64_t before = (uint64_t)h->header_addr - h->load_addr, offset, len, memory;
    enum abi_status status;

    if (h->load_addr > h->header_addr || before > m->header_offset)
        return boot_refuse(b, "load_addr 0x%x is not within 0x%x bytes before header_addr 0x%x", h->load_addr, m->header_offset,
                           h->header_addr);
    offset = m->header_offset - before;
    len = b->size - offset;
    if (h->load_end_addr) {
        if (h->load_end_addr < h->load_addr || h->load_end_addr - h->load_addr > len)
            return boot_refuse(b, "load_end_addr 0x%x: the image has 0x%lx bytes from load_addr 0x%x on", h->load_end_addr, len,
                               h->load_addr);
        len = h->load_end_addr - h->load_addr;
    }
    memory = len;
    if (h->bss_end_addr) {
        if (h->bss_end_addr < h->load_addr + len)
            return boot_refuse(b, "bss_end_addr 0x%x is below the end of the load, 0x%lx", h->bss_end_addr, h->load_addr + len);
        memory = h->bss_end_addr - h->load_addr;
    }
    if (h->entry_addr < h->load_addr || h->entry_addr - h->load_addr >= memory)
        return boot_refuse(b, "entry_addr 0x%x is not in 0x%lx bytes at 0x%x", h->entry_addr, memory, h->load_addr);
    status = boot_claim(b, h->load_addr, memory, "image (load_addr, bss_end_addr)");
    if (status)
        return status;
    guestmem_write(b->mem, h->load_addr, b->image + offset, len, ABI_FOR_LOAD);
    guestmem_set(b->mem, h->load_addr + len, 0, memory - len, ABI_FOR_LOAD);
    m->entry = h->entry_addr;
    m->end = h->load_addr + memory;
    return ABI_OK;
}

/* Modules lie page-aligned above the kernel, in their order, as GRUB leaves them. */
static enum abi_status load_module(struct multiboot *m, unsigned n, struct multiboot_module *entry)
{
    struct boot *b = m->boot;
    struct load_module module = b->loader->words.module[n];
    uint64_t min = m->end > BOOT_MIB ? m->end : BOOT_MIB, start, line = 0;
    enum abi_status status = boot_place_low(b, "module", module.size, BOOT_PAGE, min, ABI_LOW_MAX, &start);

    if (!status)
        status = boot_place_string(b, "module line", module.line, &line);
    if (status)
        return status;
    guestmem_write(b->mem, start, module.bytes, module.size, ABI_FOR_LOAD);
    *entry = (struct multiboot_module){ (uint32_t)start, (uint32_t)(start + module.size), (uint32_t)line, 0 };
    m->end = start + module.size;
    return ABI_OK;
}

static enum abi_status load_modules(struct multiboot *m)
{
    struct boot *b = m->boot;
    unsigned count = b->loader->words.modules - 1;
    struct multiboot_module list[ABI_MODULES_MAX];
    uint64_t gpa;
    enum abi_status status;

    if (!count)
        return ABI_OK;
    status = boot_place_table(b, "module list", NULL, count * sizeof(list[0]), HEADER_ALIGN, &gpa);
    for (unsigned i = 0; !status && i < count; i++)
        status = load_module(m, i + 1, &list[i]);
    if (status)
        return status;
    guestmem_write(b->mem, gpa, list, count * sizeof(list[0]), ABI_FOR_LOAD);
    m->info.mods_count = count;
    m->info.mods_addr = (uint32_t)gpa;
    m->info.flags |= INFO_MODULES;
    return ABI_OK;
}

static enum abi_status place_mmap(struct multiboot *m)
{
    struct map_entry map[MAP_ENTRIES];
    unsigned count = lowmem_map(m->boot, map);
    struct multiboot_mmap list[MAP_ENTRIES];
    uint64_t gpa;
    enum abi_status status;

    for (unsigned i = 0; i < count; i++)
        list[i] = (struct multiboot_mmap){ sizeof(list[i]) - sizeof(list[i].size), map[i].base, map[i].len, map[i].type };
    status = boot_place_table(m->boot, "memory map", list, count * sizeof(list[0]), HEADER_ALIGN, &gpa);
    if (status)
        return status;
    m->info.mmap_addr = (uint32_t)gpa;
    m->info.mmap_length = count * sizeof(list[0]);
    m->info.mem_lower = LOWMEM_KIB;
    m->info.mem_upper = (uint32_t)((m->boot->mem->ram_low - BOOT_MIB) / 1024);
    m->info.flags |= INFO_MMAP | INFO_MEMORY;
    return ABI_OK;
}

/* The first word of the line is the name of what runs, as it is under GRUB and QEMU: here the domain's name. */
static enum abi_status place_strings(struct multiboot *m)
{
    struct boot *b = m->boot;
    const char *name = b->loader->words.domain, *line = b->loader->words.module[0].line;
    uint64_t name_len = __builtin_strlen(name), line_len = __builtin_strlen(line), gpa;
    enum abi_status status = boot_place_table(b, "command line", NULL, name_len + 1 + line_len + 1, 1, &gpa);

    if (status)
        return status;
    guestmem_write(b->mem, gpa, name, name_len, ABI_FOR_LOAD);
    guestmem_set(b->mem, gpa + name_len, ' ', 1, ABI_FOR_LOAD);
    guestmem_write(b->mem, gpa + name_len + 1, line, line_len, ABI_FOR_LOAD);
    m->info.cmdline = (uint32_t)gpa;
    m->info.flags |= INFO_CMDLINE;

    status = boot_place_string(b, "boot loader name", LOADER_NAME, &gpa);
    m->info.boot_loader_name = (uint32_t)gpa;
    m->info.flags |= INFO_LOADER_NAME;
    return status;
}

static enum abi_status place_info(struct multiboot *m)
{
    enum abi_status status = boot_place_table(m->boot, "multiboot information", NULL, sizeof(m->info), HEADER_ALIGN, &m->info_gpa);

    if (!status)
        status = place_mmap(m);
    if (!status)
        status = place_strings(m);
    if (!status)
        status = load_modules(m);
    if (!status)
        guestmem_write(m->boot->mem, m->info_gpa, &m->info, sizeof(m->info), ABI_FOR_LOAD);
    return status;
}

enum abi_status multiboot_load(struct boot *b)
{
    struct multiboot m = { .boot = b };
    uint64_t *gpr = b->loader->frame->gpr;
    enum abi_status status = find_header(&m);

    if (!status)
        status = check_flags(&m);
    if (!status)
        status = m.header.flags & HEADER_ADDRESSES ? load_by_addresses(&m) : elf_load(b, &m.entry, &m.end);
    if (!status)
        status = place_info(&m);
    if (!status)
        status = state_enter(b, STATE_PROTECTED, m.entry);
    if (status)
        return status;
    gpr[ABI_RAX] = LOADER_MAGIC;
    gpr[ABI_RBX] = m.info_gpa;
    return ABI_OK;
}
