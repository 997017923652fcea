/* ELF executables, 32 and 64 bits, as guest images: segments to their physical addresses (System V gABI 4 and 5). */
#include "depriv/load/elf.h"

#include <stdbool.h>

#define ELF_MAGIC        0x464c457fu /* "\x7f" "ELF" */
#define ELF_CLASS_32     1u
#define ELF_CLASS_64     2u
#define ELF_DATA_LITTLE  1u
#define ELF_VERSION      1u
#define ELF_TYPE_EXEC    2u
#define ELF_MACHINE_386  3u
#define ELF_MACHINE_X64  62u
#define ELF_SEGMENT_LOAD 1u
#define ELF_SEGMENTS_MAX 64u

struct elf_ident {
    uint32_t magic;                             /* 0x00 */
    uint8_t class, data, version, abi, pad[8];  /* 0x04 */
    uint16_t type, machine;                     /* 0x10 */
    uint32_t file_version;                      /* 0x14 */
};

/* What follows struct elf_ident, in the two classes. */
struct elf32_rest {
    uint32_t entry, phoff, shoff, flags;        /* 0x18 */
    uint16_t ehsize, phentsize, phnum;          /* 0x28 */
    uint16_t shentsize, shnum, shstrndx;        /* 0x2e */
};

struct elf64_rest {
    uint64_t entry, phoff, shoff;               /* 0x18 */
    uint32_t flags;                             /* 0x30 */
    uint16_t ehsize, phentsize, phnum;          /* 0x34 */
    uint16_t shentsize, shnum, shstrndx;        /* 0x3a */
};

struct elf32_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct elf_ident) == 24, "elf_ident");
_Static_assert(sizeof(struct elf32_rest) == 28 && sizeof(struct elf64_rest) == 40, "elf rest");
_Static_assert(sizeof(struct elf32_segment) == 32 && sizeof(struct elf64_segment) == 56, "elf segment");

/* One program for both classes: the fields that are looked at, in the wider type. */
struct elf {
    bool is64;
    uint64_t entry, phoff;
    uint32_t phentsize, phnum;
};

struct segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

static bool read_image(const struct boot *b, uint64_t offset, void *to, uint64_t len)
{
    if (offset > b->size || len > b->size - offset)
        return false;
    __builtin_memcpy(to, b->image + offset, len);
    return true;
}

static enum abi_status check_ident(struct boot *b, const struct elf_ident *i)
{
    if (i->magic != ELF_MAGIC)
        return boot_refuse(b, "e_ident: magic number 0x%x is not that of ELF", i->magic);
    if (i->class != ELF_CLASS_32 && i->class != ELF_CLASS_64)
        return boot_refuse(b, "e_ident: class is %u, not 1 or 2", i->class);
    if (i->data != ELF_DATA_LITTLE)
        return boot_refuse(b, "e_ident: data is %u, not little-endian", i->data);
    if (i->version != ELF_VERSION || i->file_version != ELF_VERSION)
        return boot_refuse(b, "e_version is %u and %u, not 1", i->version, i->file_version);
    if (i->type != ELF_TYPE_EXEC)
        return boot_refuse(b, "e_type is %u, not an executable (2)", i->type);
    if (i->machine != ELF_MACHINE_386 && i->machine != ELF_MACHINE_X64)
        return boot_refuse(b, "e_machine is %u, not x86 (3 or 62)", i->machine);
    return ABI_OK;
}

static bool read_rest(const struct boot *b, struct elf *e)
{
    struct elf32_rest r32;
    struct elf64_rest r64;

    if (e->is64) {
        if (!read_image(b, sizeof(struct elf_ident), &r64, sizeof(r64)))
            return false;
        *e = (struct elf){ true, r64.entry, r64.phoff, r64.phentsize, r64.phnum };
    } else {
        if (!read_image(b, sizeof(struct elf_ident), &r32, sizeof(r32)))
            return false;
        *e = (struct elf){ false, r32.entry, r32.phoff, r32.phentsize, r32.phnum };
    }
    return true;
}

static enum abi_status read_header(struct boot *b, struct elf *e)
{
    struct elf_ident ident;
    uint32_t entry_size;
    enum abi_status status;

    if (!read_image(b, 0, &ident, sizeof(ident)))
        return boot_refuse(b, "e_ident: the image has only %lu bytes", b->size);
    status = check_ident(b, &ident);
    if (status)
        return status;
    e->is64 = ident.class == ELF_CLASS_64;
    if (!read_rest(b, e))
        return boot_refuse(b, "e_entry: the image has only %lu bytes", b->size);

    entry_size = e->is64 ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment);
    if (e->phentsize != entry_size)
        return boot_refuse(b, "e_phentsize is %u, not %u", e->phentsize, entry_size);
    if (!e->phnum || e->phnum > ELF_SEGMENTS_MAX)
        return boot_refuse(b, "e_phnum is %u, not between 1 and %u", e->phnum, ELF_SEGMENTS_MAX);
    if (e->phoff > b->size || e->phnum * entry_size > b->size - e->phoff)
        return boot_refuse(b, "e_phoff: %u headers at 0x%lx, the image has %lu bytes", e->phnum, e->phoff, b->size);
    return ABI_OK;
}

/* read_header() has found the table of segments to be inside the image. */
static struct segment read_segment(const struct boot *b, const struct elf *e, unsigned n)
{
    uint64_t at = e->phoff + n * e->phentsize;
    struct elf32_segment s32 = { 0 };
    struct elf64_segment s64 = { 0 };

    if (e->is64) {
        read_image(b, at, &s64, sizeof(s64));
        return (struct segment){ s64.type, s64.offset, s64.vaddr, s64.paddr, s64.filesz, s64.memsz };
    }
    read_image(b, at, &s32, sizeof(s32));
    return (struct segment){ s32.type, s32.offset, s32.vaddr, s32.paddr, s32.filesz, s32.memsz };
}

static enum abi_status load_segment(struct boot *b, const struct segment *s)
{
    enum abi_status status;

    if (s->filesz > s->memsz)
        return boot_refuse(b, "p_filesz 0x%lx is more than p_memsz 0x%lx", s->filesz, s->memsz);
    if (s->offset > b->size || s->filesz > b->size - s->offset)
        return boot_refuse(b, "p_offset: 0x%lx bytes at 0x%lx, the image has 0x%lx", s->filesz, s->offset, b->size);
    status = boot_claim(b, s->paddr, s->memsz, "segment (p_paddr, p_memsz)");
    if (status)
        return status;
    guestmem_write(b->mem, s->paddr, b->image + s->offset, s->filesz, ABI_FOR_LOAD);
    guestmem_set(b->mem, s->paddr + s->filesz, 0, s->memsz - s->filesz, ABI_FOR_LOAD);
    return ABI_OK;
}

/* e_entry is a virtual address: where its segment is linked elsewhere than it is loaded, it moves along. */
static bool find_entry(const struct boot *b, const struct elf *e, uint64_t *entry)
{
    struct segment s;

    for (unsigned i = 0; i < e->phnum; i++) {
        s = read_segment(b, e, i);
        if (s.type == ELF_SEGMENT_LOAD && e->entry >= s.vaddr && e->entry - s.vaddr < s.memsz) {
            *entry = s.paddr + (e->entry - s.vaddr);
            return true;
        }
    }
    for (unsigned i = 0; i < e->phnum; i++) {
        s = read_segment(b, e, i);
        if (s.type == ELF_SEGMENT_LOAD && e->entry >= s.paddr && e->entry - s.paddr < s.memsz) {
            *entry = e->entry;
            return true;
        }
    }
    return false;
}

enum abi_status elf_load(struct boot *b, uint64_t *entry, uint64_t *end)
{
    struct elf e = { 0 };
    struct segment s;
    enum abi_status status = read_header(b, &e);

    *end = 0;
    for (unsigned i = 0; !status && i < e.phnum; i++) {
        s = read_segment(b, &e, i);
        if (s.type != ELF_SEGMENT_LOAD || !s.memsz)
            continue;
        status = load_segment(b, &s);
        if (!status && s.paddr + s.memsz > *end)
            *end = s.paddr + s.memsz;
    }
    if (!status && !*end)
        status = boot_refuse(b, "p_type: no segment to load among %u", e.phnum);
    if (!status && !find_entry(b, &e, entry))
        status = boot_refuse(b, "e_entry 0x%lx is in no loaded segment", e.entry);
    return status;
}
