/* Image kind `linux`: a bzImage by the 64-bit boot protocol, or by the 32-bit one if it has no 64-bit entry.
 * Field names and sections are those of the kernel's Documentation/arch/x86/boot.rst and zero-page.rst. */
#include "depriv/load/linux.h"

#include <stdbool.h>

#include "depriv/load/lowmem.h"
#include "depriv/load/state.h"

#define SECTOR              512u
#define SETUP_SECTS_OLD     4u          /* what 0 sectors stands for */
#define PARAGRAPH           16u         /* unit of syssize */
#define BOOT_FLAG           0xaa55u
#define HEADER_MAGIC        0x53726448u /* "HdrS" */
#define JUMP_SHORT          0xebu
#define JUMP_END            0x202u      /* the jump's displacement counts from here to the end of the header */
#define VERSION_MIN         0x020au     /* 2.10 (Linux 2.6.31): has pref_address and init_size */
#define VERSION_XLOADFLAGS  0x020cu
#define LOADED_HIGH         0x01u       /* loadflags: the code is for 1 MiB, not for the zImage's 64 KiB */
#define XLF_KERNEL_64       0x0001u     /* xloadflags: 64-bit entry at 0x200 */
#define XLF_ABOVE_4G        0x0002u     /* and the initrd may lie above 4 GiB */
#define ENTRY_64            0x200u
#define LOAD_DEFAULT        0x100000u   /* of what is not relocatable */
#define TYPE_OF_LOADER      0xffu       /* none of those with a number */

/* The setup header as it is in the image and in the zero page. */
struct setup_header {
    uint8_t setup_sects;            /* 0x1f1 */
    uint16_t root_flags;            /* 0x1f2 */
    uint32_t syssize;               /* 0x1f4 */
    uint16_t ram_size, vid_mode, root_dev; /* 0x1f8 */
    uint16_t boot_flag;             /* 0x1fe */
    uint8_t jump, jump_len;         /* 0x200 */
    uint32_t header;                /* 0x202 */
    uint16_t version;               /* 0x206 */
    uint32_t realmode_swtch;        /* 0x208 */
    uint16_t start_sys_seg, kernel_version; /* 0x20c */
    uint8_t type_of_loader, loadflags; /* 0x210 */
    uint16_t setup_move_size;       /* 0x212 */
    uint32_t code32_start;          /* 0x214 */
    uint32_t ramdisk_image, ramdisk_size; /* 0x218 */
    uint32_t bootsect_kludge;       /* 0x220 */
    uint16_t heap_end_ptr;          /* 0x224 */
    uint8_t ext_loader_ver, ext_loader_type; /* 0x226 */
    uint32_t cmd_line_ptr;          /* 0x228 */
    uint32_t initrd_addr_max;       /* 0x22c */
    uint32_t kernel_alignment;      /* 0x230 */
    uint8_t relocatable_kernel, min_alignment; /* 0x234 */
    uint16_t xloadflags;            /* 0x236 */
    uint32_t cmdline_size;          /* 0x238 */
    uint32_t hardware_subarch;      /* 0x23c */
    uint64_t hardware_subarch_data; /* 0x240 */
    uint32_t payload_offset, payload_length; /* 0x248 */
    uint64_t setup_data;            /* 0x250 */
    uint64_t pref_address;          /* 0x258 */
    uint32_t init_size;             /* 0x260 */
    uint32_t handover_offset;       /* 0x264 */
    uint32_t kernel_info_offset;    /* 0x268 */
} __attribute__((packed));

struct e820_entry {
    uint64_t base, len;
    uint32_t type;
} __attribute__((packed));

/* The zero page, struct boot_params: what is not set here is 0, as the protocol asks. */
struct zero_page {
    uint8_t pad0[0x70];
    uint64_t acpi_rsdp_addr;        /* 0x070 */
    uint8_t pad1[0xc0 - 0x78];
    uint32_t ext_ramdisk_image, ext_ramdisk_size; /* 0x0c0 upper halves */
    uint8_t pad2[0x1e8 - 0xc8];
    uint8_t e820_entries;           /* 0x1e8 */
    uint8_t pad3[0x1f1 - 0x1e9];
    struct setup_header hdr;        /* 0x1f1 */
    uint8_t pad4[0x2d0 - 0x26c];
    struct e820_entry e820[128];    /* 0x2d0 */
    uint8_t pad5[0x1000 - 0xcd0];
} __attribute__((packed));

#define HEADER_START        offsetof(struct zero_page, hdr)
#define HEADER_MIN_END      (HEADER_START + offsetof(struct setup_header, handover_offset))
_Static_assert(sizeof(struct setup_header) == 0x26c - 0x1f1, "setup_header");
_Static_assert(offsetof(struct zero_page, hdr) == 0x1f1 && offsetof(struct zero_page, e820) == 0x2d0, "zero_page");
_Static_assert(sizeof(struct zero_page) == BOOT_PAGE, "zero_page");

struct linux_image {
    struct boot *boot;
    struct setup_header h;
    uint64_t offset, size;        /* of the protected-mode code in the image */
    uint64_t load, end;           /* guest-physical: where it goes, where the memory ends that it needs at first */
    bool is64;
    struct zero_page zero;
    uint64_t zero_gpa;
};

static enum abi_status read_header(struct linux_image *k)
{
    struct boot *b = k->boot;
    struct setup_header *h = &k->h;
    uint64_t end;

    if (b->size < HEADER_MIN_END)
        return boot_refuse(b, "setup header: the image has %lu bytes, too few for any", b->size);
    __builtin_memcpy(h, b->image + HEADER_START, HEADER_MIN_END - HEADER_START);
    if (h->boot_flag != BOOT_FLAG)
        return boot_refuse(b, "boot_flag is 0x%x, not 0x%x", h->boot_flag, BOOT_FLAG);
    if (h->header != HEADER_MAGIC)
        return boot_refuse(b, "header is 0x%x, not \"HdrS\": no bzImage", h->header);
    if (h->version < VERSION_MIN)
        return boot_refuse(b, "version 0x%04x of the boot protocol is older than 0x%04x", h->version, VERSION_MIN);
    end = JUMP_END + h->jump_len;
    if (h->jump != JUMP_SHORT || end < HEADER_MIN_END)
        return boot_refuse(b, "jump 0x%x 0x%x ends the setup header before init_size", h->jump, h->jump_len);
    if (end > b->size)
        return boot_refuse(b, "jump ends the setup header at 0x%lx, the image at 0x%lx", end, b->size);
    if (end > HEADER_START + sizeof(*h)) /* a later protocol's fields: not understood, so not passed on */
        end = HEADER_START + sizeof(*h);
    __builtin_memcpy(h, b->image + HEADER_START, end - HEADER_START);
    return ABI_OK;
}

/* Sizes of the two parts. The last paragraph of the code may be incomplete; bytes after it are a signature or fill. */
static enum abi_status check_sizes(struct linux_image *k)
{
    struct boot *b = k->boot;
    uint64_t sectors = k->h.setup_sects ? k->h.setup_sects : SETUP_SECTS_OLD, rest, code;

    k->offset = (sectors + 1) * SECTOR;
    if (k->offset >= b->size)
        return boot_refuse(b, "setup_sects says %lu sectors, the image has %lu", sectors, b->size / SECTOR - 1);
    rest = b->size - k->offset;
    code = (uint64_t)k->h.syssize * PARAGRAPH;
    if (!code || code > rest + PARAGRAPH - 1)
        return boot_refuse(b, "syssize says %lu bytes of code, the image has %lu", code, rest);
    k->size = code < rest ? code : rest;
    if (!(k->h.loadflags & LOADED_HIGH))
        return boot_refuse(b, "loadflags 0x%x: a zImage, for loading below 1 MiB", k->h.loadflags);
    k->is64 = k->h.version >= VERSION_XLOADFLAGS && k->h.xloadflags & XLF_KERNEL_64;
    if (k->is64 && k->size <= ENTRY_64)
        return boot_refuse(b, "syssize says %lu bytes of code, xloadflags an entry at 0x%x", k->size, ENTRY_64);
    return ABI_OK;
}

/* The code moves itself to pref_address if it is loaded lower, and needs init_size bytes there: so it goes there at
 * once if it can be moved at all, and to 1 MiB if it cannot (boot.rst, pref_address). */
static enum abi_status choose_load(struct linux_image *k)
{
    struct boot *b = k->boot;
    uint64_t align = k->h.kernel_alignment, run = k->h.pref_address, low = b->mem->ram_low;
    uint64_t need = k->h.init_size > k->size ? k->h.init_size : k->size;

    if (run < LOAD_DEFAULT)
        run = LOAD_DEFAULT;
    if (run >= low)
        return boot_refuse(b, "pref_address 0x%lx is not in RAM below 0x%lx", run, low);
    if (k->h.relocatable_kernel) {
        if (align < BOOT_PAGE || align & (align - 1))
            return boot_refuse(b, "kernel_alignment 0x%lx is not a power of two from 0x%llx on", align, BOOT_PAGE);
        run = (run + align - 1) & ~(align - 1);
        k->load = run;
    } else {
        if (k->h.code32_start != LOAD_DEFAULT)
            return boot_refuse(b, "code32_start is 0x%x, not 0x%x, and the kernel is not relocatable", k->h.code32_start, LOAD_DEFAULT);
        k->load = LOAD_DEFAULT;
    }
    if (k->size > low - k->load)
        return boot_refuse(b, "syssize says 0x%lx bytes of code, RAM ends at 0x%lx", k->size, low);
    k->end = run + need;
    if (run >= low || need > low - run)
        return boot_refuse(b, "init_size: the kernel needs 0x%lx bytes at 0x%lx, RAM ends at 0x%lx", need, run, low);
    return ABI_OK;
}

static enum abi_status load_kernel(struct linux_image *k)
{
    enum abi_status status = read_header(k);

    if (!status)
        status = check_sizes(k);
    if (!status)
        status = choose_load(k);
    if (!status)
        status = boot_claim(k->boot, k->load, k->end - k->load, "kernel (pref_address, init_size)");
    if (!status)
        guestmem_write(k->boot->mem, k->load, k->boot->image + k->offset, k->size, ABI_FOR_LOAD);
    return status;
}

static enum abi_status place_zero_page(struct linux_image *k)
{
    struct map_entry map[MAP_ENTRIES];
    unsigned count = lowmem_map(k->boot, map);
    struct zero_page *z = &k->zero;
    enum abi_status status = boot_place_table(k->boot, "zero page", NULL, sizeof(*z), BOOT_PAGE, &k->zero_gpa);

    if (status)
        return status;
    z->hdr = k->h;
    z->hdr.type_of_loader = TYPE_OF_LOADER;
    z->hdr.code32_start = (uint32_t)k->load;
    z->hdr.ramdisk_image = 0;
    z->hdr.ramdisk_size = 0;
    z->hdr.setup_data = 0;
    z->acpi_rsdp_addr = k->boot->rsdp;
    for (unsigned i = 0; i < count; i++)
        z->e820[i] = (struct e820_entry){ map[i].base, map[i].len, map[i].type };
    z->e820_entries = (uint8_t)count;
    return ABI_OK;
}

static enum abi_status place_cmdline(struct linux_image *k)
{
    struct boot *b = k->boot;
    const char *line = b->loader->words.module[0].line;
    uint64_t len = __builtin_strlen(line), gpa;
    enum abi_status status;

    if (len > k->h.cmdline_size)
        return boot_refuse(b, "cmdline_size allows %u bytes, the command line has %lu", k->h.cmdline_size, len);
    status = boot_place_string(b, "command line", line, &gpa);
    k->zero.hdr.cmd_line_ptr = (uint32_t)gpa;
    return status;
}

/* As high as the kernel allows below 4 GiB, so that it is out of the way; else above. */
static enum abi_status load_initrd(struct linux_image *k, const struct load_module *m)
{
    struct boot *b = k->boot;
    uint64_t max = (uint64_t)k->h.initrd_addr_max + 1, gpa;
    enum abi_status status;

    if (!m->size)
        return boot_refuse(b, "initrd is empty");
    status = boot_place_high(b, "initrd (initrd_addr_max)", m->size, BOOT_PAGE, LOAD_DEFAULT, max, &gpa);
    if (status && k->is64 && k->h.xloadflags & XLF_ABOVE_4G && b->mem->ram_high)
        status = boot_place_high(b, "initrd", m->size, BOOT_PAGE, ABI_HIGH_BASE, ABI_HIGH_BASE + b->mem->ram_high, &gpa);
    if (status)
        return status;
    guestmem_write(b->mem, gpa, m->bytes, m->size, ABI_FOR_LOAD);
    k->zero.hdr.ramdisk_image = (uint32_t)gpa;
    k->zero.hdr.ramdisk_size = (uint32_t)m->size;
    k->zero.ext_ramdisk_image = (uint32_t)(gpa >> 32);
    k->zero.ext_ramdisk_size = (uint32_t)(m->size >> 32);
    return ABI_OK;
}

static enum abi_status load_modules(struct linux_image *k)
{
    const struct load_words *words = &k->boot->loader->words;

    if (words->modules > 1 + !!words->has_initrd)
        return boot_refuse(k->boot, "modules: %u are given, a kernel takes itself and one initrd", words->modules);
    return words->modules == 1 ? ABI_OK : load_initrd(k, &words->module[1]);
}

enum abi_status linux_load(struct boot *b)
{
    struct linux_image k = { .boot = b };
    enum abi_status status = load_kernel(&k);

    if (!status)
        status = place_zero_page(&k);
    if (!status)
        status = place_cmdline(&k);
    if (!status)
        status = load_modules(&k);
    if (!status && k.is64)
        status = state_enter(b, STATE_LONG, k.load + ENTRY_64);
    else if (!status)
        status = state_enter(b, STATE_PROTECTED, k.load);
    if (status)
        return status;
    guestmem_write(b->mem, k.zero_gpa, &k.zero, sizeof(k.zero), ABI_FOR_LOAD);
    b->loader->frame->gpr[ABI_RSI] = k.zero_gpa;
    return ABI_OK;
}
