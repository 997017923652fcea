/* Guest memory, hand-made images and checks for the tests and the fuzzer of the image loader. */
#include "tests/host/load_bench.h"

#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SPAN_HIGH 0x4000000ull /* address space for RAM above 4 GiB */

static const char *const kind_names[LOAD_KINDS] = { "linux: ", "multiboot: ", "pvh: ", "flat: ", "firmware: " };
static uint8_t *space;
static struct bench bench;

static void set_access(uint64_t start, uint64_t end, int access)
{
    if (end > start)
        assert(!mprotect(space + start, end - start, access));
}

struct bench *bench_begin(enum load_kind kind, uint64_t ram_low, uint64_t ram_high)
{
    struct bench *b = &bench;
    const int rw = PROT_READ | PROT_WRITE;

    if (!space) {
        space = mmap(NULL, ABI_HIGH_BASE + SPAN_HIGH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert(space != MAP_FAILED);
    }
    if (ram_low != b->mem.ram_low || ram_high != b->mem.ram_high) {
        set_access(0, ABI_HIGH_BASE + SPAN_HIGH, PROT_NONE);
        set_access(0, ram_low < ABI_HOLE_START ? ram_low : ABI_HOLE_START, rw);
        set_access(ABI_HOLE_END, ram_low, rw);
        set_access(ABI_HIGH_BASE, ABI_HIGH_BASE + (ram_high < SPAN_HIGH ? ram_high : SPAN_HIGH), rw);
    }
    memset(b, 0, sizeof(*b));
    memset(&b->frame, 0xa5, sizeof(b->frame));
    b->mem = (struct guestmem){ .base = space, .ram_low = ram_low, .ram_high = ram_high, .count = b->touches };
    b->loader = (struct loader){ .info = &b->info, .mem = &b->mem, .frame = &b->frame };
    b->info = (struct abi_info){ .magic = ABI_INFO_MAGIC, .version = ABI_VERSION, .vcpus = 1, .ram_low = ram_low, .ram_high = ram_high };
    b->words = &b->loader.words;
    *b->words = (struct load_words){ .kind = kind, .domain = BENCH_NAME };
    return b;
}

void bench_end(struct bench *b)
{
    for (unsigned i = 0; i < ABI_MODULES_MAX; i++)
        free(b->copy[i]);
    memset(b->copy, 0, sizeof(b->copy));
    madvise(space, ABI_HIGH_BASE + SPAN_HIGH, MADV_DONTNEED);
}

unsigned bench_module(struct bench *b, const void *bytes, uint64_t size, const char *line)
{
    unsigned n = b->words->modules++;

    assert(n < ABI_MODULES_MAX);
    b->copy[n] = malloc(size ? size : 1);
    assert(b->copy[n]);
    memcpy(b->copy[n], bytes, size);
    b->words->module[n] = (struct load_module){ b->copy[n], size, n ? line : BENCH_CMDLINE };
    return n;
}

/* The rules of SDM 3C 27.3.1.1 to 27.3.1.4 that a loader could break. */
static void check_segments(const struct abi_state *s, bool real)
{
    for (unsigned i = ABI_ES; i <= ABI_GS; i++) {
        uint32_t attr = s->seg[i].attr;

        assert((attr & 0x91) == 0x91 && !(attr & 0x60) && !(attr & ~0xf0ffu));
        assert(attr & 0x8000 ? (s->seg[i].limit & 0xfff) == 0xfff : s->seg[i].limit <= 0xfffff);
        assert(s->seg[i].base <= 0xffffffff);
        if (real)
            assert(s->seg[i].base == (uint64_t)s->seg[i].selector << 4 && s->seg[i].limit == 0xffff);
    }
    assert((s->seg[ABI_CS].attr & 0xf) == 0xb && (s->seg[ABI_SS].attr & 0xf) == 3);
    assert(s->seg[ABI_LDTR].attr & ABI_SEG_UNUSABLE);
    assert((s->seg[ABI_TR].attr & 0x1ffff) == 0x8b && s->seg[ABI_TR].limit >= 0x67 && !(s->seg[ABI_TR].selector & 4));
}

static void check_state(const struct bench *b)
{
    const struct abi_state *s = &b->frame.state;
    bool lma = s->efer & 0x400, paging = s->cr0 & 0x80000000u, protected = s->cr0 & 1;

    assert(b->frame.state_out == ABI_STATE_ALL);
    assert(s->rflags == 2 && !s->shadow && s->dr7 == 0x400);
    assert(paging == lma && (!paging || protected));
    assert(!lma || ((s->efer & 0x100) && (s->cr4 & 0x20)));
    assert(!!(s->seg[ABI_CS].attr & 0x2000) == lma);
    assert(!(s->seg[ABI_CS].attr & 0x2000) || !(s->seg[ABI_CS].attr & 0x4000));
    assert(!s->idtr.limit || s->idtr.limit == 0x3ff);
    assert(s->gdtr.limit <= 0xffff);
    check_segments(s, !protected);
    assert(guestmem_is_ram(&b->mem, s->seg[ABI_CS].base + s->rip, 1));
    assert(protected || s->rip <= 0xffff);
    assert(!paging || (s->cr3 % ABI_PAGE == 0 && guestmem_is_ram(&b->mem, s->cr3, ABI_PAGE)));
}

static void check_refusal(const struct bench *b)
{
    const char *text = b->frame.text, *name = b->words->kind < LOAD_KINDS ? kind_names[b->words->kind] : "load: ";
    size_t len = strnlen(text, ABI_TEXT_BYTES);

    assert(len < ABI_TEXT_BYTES && len > strlen(name) + 4);
    assert(!strncmp(text, name, strlen(name)));
    for (size_t i = 0; i < len; i++)
        assert(text[i] >= ' ' && text[i] <= '~');
}

enum abi_status bench_load(struct bench *b)
{
    enum abi_status status = image_load(&b->loader);

    assert(status == b->frame.status);
    assert(status == ABI_OK || status == ABI_REFUSE);
    if (status == ABI_OK)
        check_state(b);
    else
        check_refusal(b);
    return status;
}

void put16(uint8_t *image, size_t at, uint16_t value)
{
    memcpy(image + at, &value, sizeof(value));
}

void put32(uint8_t *image, size_t at, uint32_t value)
{
    memcpy(image + at, &value, sizeof(value));
}

void put64(uint8_t *image, size_t at, uint64_t value)
{
    memcpy(image + at, &value, sizeof(value));
}

static void fill(uint8_t *image, size_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        image[at + i] = (uint8_t)(i * 7 + (i >> 8) + 1);
}

size_t image_linux(uint8_t *to)
{
    memset(to, 0, LINUX_CODE);
    to[0x1f1] = LINUX_SECTS;
    put32(to, 0x1f4, (LINUX_CODE_SIZE + 15) / 16);
    put16(to, 0x1fe, 0xaa55);
    put16(to, 0x200, 0x6aeb);
    put32(to, 0x202, 0x53726448);
    put16(to, 0x206, 0x20f);
    to[0x211] = 1;
    put32(to, 0x214, 0x100000);
    put32(to, 0x22c, 0x7fffffff);
    put32(to, 0x230, 0x200000);
    to[0x234] = 1;
    to[0x235] = 0x15;
    put16(to, 0x236, 0x3);
    put32(to, 0x238, 2047);
    put64(to, 0x258, LINUX_PREF);
    put32(to, 0x260, LINUX_INIT_SIZE);
    fill(to, LINUX_CODE, LINUX_CODE_SIZE);
    return LINUX_CODE + LINUX_CODE_SIZE;
}

size_t image_linux32(uint8_t *to)
{
    size_t size = image_linux(to);

    put16(to, 0x206, 0x20c);
    put16(to, 0x200, 0x66eb);
    put32(to, 0x230, 0x1000);
    to[0x234] = 0;
    put16(to, 0x236, 0);
    put64(to, 0x258, 0x100000);
    put32(to, 0x260, 0x70000);
    put32(to, 0x238, 255);
    return size;
}

static void put_multiboot(uint8_t *to, size_t at, uint32_t flags)
{
    put32(to, at, 0x1badb002);
    put32(to, at + 4, flags);
    put32(to, at + 8, 0u - 0x1badb002u - flags);
}

static void put_ident(uint8_t *to, uint8_t class, uint16_t machine)
{
    memset(to, 0, 0x1000);
    put32(to, 0, 0x464c457f);
    to[4] = class;
    to[5] = 1;
    to[6] = 1;
    put16(to, 16, 2);
    put16(to, 18, machine);
    put32(to, 20, 1);
}

struct test_segment { uint32_t type; uint64_t offset, paddr, filesz, memsz; };

static const struct test_segment test_segments[] = {
    { 1, MB_HEADER_ELF, MB_LOAD, MB_TEXT_SIZE, MB_TEXT_SIZE },
    { 4, 0, 0, 16, 16 },
    { 1, MB_HEADER_ELF + MB_TEXT_SIZE, MB_DATA, MB_DATA_FILE, MB_DATA_SIZE },
    { 1, 0, MB_BSS, 0, MB_BSS_SIZE },
};
#define TEST_SEGMENTS (sizeof(test_segments) / sizeof(test_segments[0]))

static size_t put_contents(uint8_t *to)
{
    fill(to, MB_HEADER_ELF, MB_TEXT_SIZE + MB_DATA_FILE);
    put_multiboot(to, MB_HEADER_ELF + 4, 3);
    return MB_HEADER_ELF + MB_TEXT_SIZE + MB_DATA_FILE;
}

size_t image_elf32(uint8_t *to)
{
    put_ident(to, 1, 3);
    put32(to, 24, MB_VIRTUAL + MB_LOAD + 0x20);
    put32(to, 28, 52);
    put16(to, 40, 52);
    put16(to, 42, 32);
    put16(to, 44, TEST_SEGMENTS);
    for (size_t i = 0; i < TEST_SEGMENTS; i++) {
        const struct test_segment *s = &test_segments[i];
        size_t at = 52 + i * 32;

        put32(to, at, s->type);
        put32(to, at + 4, (uint32_t)s->offset);
        put32(to, at + 8, (uint32_t)s->paddr + MB_VIRTUAL);
        put32(to, at + 12, (uint32_t)s->paddr);
        put32(to, at + 16, (uint32_t)s->filesz);
        put32(to, at + 20, (uint32_t)s->memsz);
    }
    return put_contents(to);
}

size_t image_elf64(uint8_t *to)
{
    put_ident(to, 2, 62);
    put64(to, 24, MB_LOAD + 0x20);
    put64(to, 32, 64);
    put16(to, 52, 64);
    put16(to, 54, 56);
    put16(to, 56, TEST_SEGMENTS);
    for (size_t i = 0; i < TEST_SEGMENTS; i++) {
        const struct test_segment *s = &test_segments[i];
        size_t at = 64 + i * 56;

        put32(to, at, s->type);
        put64(to, at + 8, s->offset);
        put64(to, at + 16, s->paddr + 0xffffffff80000000ull);
        put64(to, at + 24, s->paddr);
        put64(to, at + 32, s->filesz);
        put64(to, at + 40, s->memsz);
    }
    return put_contents(to);
}

size_t image_addresses(uint8_t *to)
{
    fill(to, 0, MB_TEXT_SIZE);
    put_multiboot(to, MB_HEADER_FLAT, 0x10003);
    put32(to, MB_HEADER_FLAT + 12, MB_LOAD + 0x20);    /* header_addr: the image's first 0x20 bytes stay out */
    put32(to, MB_HEADER_FLAT + 16, MB_LOAD);
    put32(to, MB_HEADER_FLAT + 20, MB_LOAD + 0x400);   /* load_end_addr */
    put32(to, MB_HEADER_FLAT + 24, MB_LOAD + 0x2000);  /* bss_end_addr */
    put32(to, MB_HEADER_FLAT + 28, MB_LOAD + 0x100);   /* entry_addr */
    return MB_TEXT_SIZE;
}
