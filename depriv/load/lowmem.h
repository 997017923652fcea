/* The first MiB and the memory map, as a PC's firmware would leave them for every kind of guest. */
#ifndef DEPRIV_LOAD_LOWMEM_H
#define DEPRIV_LOAD_LOWMEM_H

#include <stdint.h>

#include "depriv/load/boot.h"

/* Address range types of ACPI 6.4 15.1; the Linux and multiboot maps use the same numbers. */
#define MAP_RAM      1u
#define MAP_RESERVED 2u
#define MAP_ENTRIES  5u /* at most */

struct map_entry {
    uint64_t base, len; /* bytes */
    uint32_t type;
};

#define LOWMEM_KIB   (BOOT_EBDA / 1024) /* conventional memory that is free */

/* Takes the areas that no image may use, and fills the BIOS data area: COM1, memory size, EBDA. */
enum abi_status lowmem_build(struct boot *b);

/* The guest's RAM, ascending; returns the number of entries. */
unsigned lowmem_map(const struct boot *b, struct map_entry map[MAP_ENTRIES]);

#endif
