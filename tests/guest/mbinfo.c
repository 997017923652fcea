/* A multiboot 1 guest: checks and prints all that the loader handed over (Multiboot Specification 0.6.96, section 3.3). */
#include <stdint.h>

#define COM1       0x3f8
#define PM1A_CNT   0x604
#define PM1A_OFF   (0x2000 | 5 << 10)
#define MAGIC      0x2badb002u

#define INFO_MEMORY  0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODS    0x008u
#define INFO_MMAP    0x040u
#define INFO_LOADER  0x200u

struct mb_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
    uint32_t drives_length, drives_addr, config_table, boot_loader_name;
};
struct mb_module { uint32_t start, end, string, reserved; };
struct mb_range { uint32_t size; uint64_t base, length; uint32_t type; } __attribute__((packed));

void mbinfo_main(uint32_t magic, const struct mb_info *info);

static unsigned checks, failures;

static void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static void out16(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(const char *text)
{
    for (; *text; text++) {
        for (unsigned i = 0; i < 100000 && !(in8(COM1 + 5) & 0x20); i++) {
        }
        out8(COM1, (uint8_t)*text);
    }
}

static void put_number(uint64_t value, unsigned shift)
{
    static const char digits[] = "0123456789abcdef";
    char text[24];
    unsigned at = sizeof(text);
    text[--at] = 0;
    if (shift) {
        do
            text[--at] = digits[value & 15];
        while (value >>= shift);
    } else {
        uint32_t low = (uint32_t)value;
        do
            text[--at] = digits[low % 10];
        while (low /= 10);
    }
    put(text + at);
}

static void put_hex(const char *label, uint64_t value)
{
    put(label);
    put_number(value, 4);
}

static void check(int good, const char *what)
{
    checks++;
    if (good)
        return;
    failures++;
    put("mbinfo: FAIL ");
    put(what);
    put("\r\n");
}

static uint32_t address(const void *pointer) { return (uint32_t)(uintptr_t)pointer; }

static void check_modules(const struct mb_info *info)
{
    const struct mb_module *m = (const void *)(uintptr_t)info->mods_addr;
    uint32_t last = address(&check_modules);
    for (uint32_t i = 0; i < info->mods_count && i < 8; i++) {
        uint32_t sum = 0;
        for (uint32_t a = m[i].start; a < m[i].end; a++)
            sum += *(const volatile uint8_t *)(uintptr_t)a;
        put("mbinfo: module ");
        put_number(m[i].end - m[i].start, 0);
        put(" bytes, sum ");
        put_number(sum, 0);
        put(", line '");
        put((const char *)(uintptr_t)m[i].string);
        put("'\r\n");
        check(m[i].start % 4096 == 0, "module is page aligned");
        check(m[i].start > last && m[i].end >= m[i].start, "modules lie in order behind the image");
        check(m[i].end <= 0x100000u + info->mem_upper * 1024, "module is in RAM");
        last = m[i].end;
    }
}

static void check_map(const struct mb_info *info)
{
    uint32_t at = info->mmap_addr, end = at + info->mmap_length;
    uint64_t previous = 0, ram = 0;
    for (unsigned n = 0; at < end && n < 64; n++) {
        const struct mb_range *r = (const void *)(uintptr_t)at;
        put_hex("mbinfo: range ", r->base);
        put_hex(" + ", r->length);
        put_hex(" type ", r->type);
        put("\r\n");
        check(r->size >= 20, "size of a range");
        check(r->base >= previous, "ranges are in order and do not overlap");
        previous = r->base + r->length;
        if (r->type == 1) {
            ram += r->length;
            check(previous <= 0xa0000 || r->base >= 0x100000, "no RAM between a0000 and 100000");
        }
        at += r->size + 4;
    }
    check(at == end, "map ends with its last range");
    check(ram >= (uint64_t)info->mem_upper * 1024, "ranges hold the memory that mem_upper says");
}

void mbinfo_main(uint32_t magic, const struct mb_info *info)
{
    check(magic == MAGIC, "magic in EAX");
    put_hex("mbinfo: flags ", info->flags);
    put("\r\n");
    check((info->flags & INFO_MEMORY) != 0, "memory sizes are given");
    check(info->mem_lower >= 512 && info->mem_lower <= 640, "mem_lower");
    put("mbinfo: upper ");
    put_number(info->mem_upper, 0);
    put(" KiB\r\n");
    check((info->flags & INFO_CMDLINE) != 0, "command line is given");
    put("mbinfo: line '");
    put((const char *)(uintptr_t)info->cmdline);
    put("'\r\n");
    if (info->flags & INFO_LOADER) {
        put("mbinfo: loader '");
        put((const char *)(uintptr_t)info->boot_loader_name);
        put("'\r\n");
    }
    if (info->flags & INFO_MODS)
        check_modules(info);
    check((info->flags & INFO_MMAP) != 0, "memory map is given");
    if (info->flags & INFO_MMAP)
        check_map(info);
    put("mbinfo: ");
    put_number(checks, 0);
    put(" checks, ");
    put_number(failures, 0);
    put(" failed\r\n");
    out16(PM1A_CNT, PM1A_OFF);
    for (;;)
        __asm__ volatile("cli; hlt");
}
