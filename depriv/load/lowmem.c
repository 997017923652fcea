/* The first MiB and the memory map, as a PC's firmware would leave them for every kind of guest. */
#include "depriv/load/lowmem.h"

#define BDA_COM1       0x400u /* port of the first serial line */
#define BDA_EBDA       0x40eu /* segment of the EBDA */
#define BDA_MEMORY     0x413u /* KiB of conventional memory */
#define BDA_START      0x400u
#define BDA_BYTES      0x100u
#define COM1_PORT      0x3f8u
#define EBDA_KIB       1u     /* the first byte of the EBDA is its size */

static void write_value(struct boot *b, uint64_t gpa, uint32_t value, unsigned bytes)
{
    guestmem_write(b->mem, gpa, &value, bytes, ABI_FOR_LOAD); /* little-endian on both sides */
}

enum abi_status lowmem_build(struct boot *b)
{
    enum abi_status status = boot_claim(b, 0, BOOT_LOW_START, "BIOS data area");

    if (!status)
        status = boot_claim(b, BOOT_EBDA, ABI_HOLE_START - BOOT_EBDA, "EBDA");
    if (!status)
        status = boot_claim(b, BOOT_ACPI, BOOT_MIB - BOOT_ACPI, "ACPI tables");
    if (status)
        return status;
    guestmem_set(b->mem, BDA_START, 0, BDA_BYTES, ABI_FOR_LOAD);
    write_value(b, BDA_COM1, COM1_PORT, 2);
    write_value(b, BDA_EBDA, BOOT_EBDA >> 4, 2);
    write_value(b, BDA_MEMORY, LOWMEM_KIB, 2);
    write_value(b, BOOT_EBDA, EBDA_KIB, 1);
    return ABI_OK;
}

unsigned lowmem_map(const struct boot *b, struct map_entry map[MAP_ENTRIES])
{
    unsigned n = 0;

    map[n++] = (struct map_entry){ 0, BOOT_EBDA, MAP_RAM };
    map[n++] = (struct map_entry){ BOOT_EBDA, ABI_HOLE_START - BOOT_EBDA, MAP_RESERVED };
    map[n++] = (struct map_entry){ BOOT_ACPI, BOOT_MIB - BOOT_ACPI, MAP_RESERVED };
    if (b->mem->ram_low > BOOT_MIB)
        map[n++] = (struct map_entry){ BOOT_MIB, b->mem->ram_low - BOOT_MIB, MAP_RAM };
    if (b->mem->ram_high)
        map[n++] = (struct map_entry){ ABI_HIGH_BASE, b->mem->ram_high, MAP_RAM };
    return n;
}
