/* What the firmware's ACPI tables say: CPUs, I/O APICs, overrides. Every length and checksum is checked. */
#pragma once

#include "kernel/base.h"
#include "kernel/cpu.h"

struct acpi_ioapic { u64 address; u32 gsi; };
struct acpi_override { u32 gsi; u16 flags; bool valid; };

struct acpi_machine {
    u32 cpu_count;
    u32 cpu_apic_id[CPUS_MAX];       /* enabled CPUs of the MADT, the boot CPU anywhere among them */
    u64 lapic;                       /* physical address */
    u32 ioapic_count;
    struct acpi_ioapic ioapic[4];
    struct acpi_override irq[16]; /* interrupt source overrides of ISA IRQs */
    u16 pm1a_cnt;                    /* port to power off with, 0: unknown */
    u16 slp_typ_s5;                  /* value for SLP_TYP, 0xffff: unknown */
};
extern struct acpi_machine acpi;

/* rsdp: a copy of the RSDP from the boot loader, or NULL to search the BIOS area (also when it is none). Without tables:
 * one CPU, no I/O APIC, one line in the log. */
void acpi_init(const u8 *rsdp);
