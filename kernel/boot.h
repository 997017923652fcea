/* What the boot loader handed over, in one neutral form whichever protocol it spoke (multiboot2 by GRUB, multiboot 1 by QEMU -kernel). */
#pragma once

#include "kernel/base.h"

#define BOOT_MODULES_MAX 32u
#define BOOT_LINE_MAX    2048u
#define CPUS_MAX_OPTION  64u
#define BOOT_RANGES_MAX  128u

struct boot_module { u64 start, end; char line[BOOT_LINE_MAX]; }; /* physical; line NUL ended, truncation refused at boot */

struct boot_range { u64 start, end; };
struct boot_screen { u64 address; u32 pitch, width, height, bpp; bool present, text; };

struct boot_info {
    char loader[64];
    char line[BOOT_LINE_MAX];        /* hypervisor options */
    u32 modules;
    struct boot_module module[BOOT_MODULES_MAX];
    u32 ranges;
    struct boot_range range[BOOT_RANGES_MAX]; /* usable memory */
    bool has_rsdp;                   /* rsdp_copy is the RSDP that the boot loader passed on (UEFI) */
    u8 rsdp_copy[40];
    struct boot_screen screen;
};
extern struct boot_info boot;

/* Runs on the boot page tables (low 4 GiB identity mapped). Walks the tags with every length checked; stops with the tag's name when one is malformed. */
void boot_parse(u32 magic, u64 info);
