/* The guest's ACPI tables: RSDP, RSDT, XSDT, FADT, FACS and DSDT in [BOOT_ACPI, 1 MiB). */
#ifndef DEPRIV_LOAD_ACPI_TABLES_H
#define DEPRIV_LOAD_ACPI_TABLES_H

#include "depriv/load/boot.h"

/* Writes the tables, in memory that lowmem_build() has taken, and sets b->rsdp. There is no MADT: the guest has no
 * local APIC and no I/O APIC, its CPUID says so, and the 8259s are all there is. */
enum abi_status acpi_build(struct boot *b);

#endif
