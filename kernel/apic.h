/* Local APIC (xAPIC or x2APIC, as CPUID offers) and I/O APIC: enough for a timer, IPIs and the serial port. */
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include "kernel/base.h"

#define VECTOR_SERIAL    0x30
#define VECTOR_TIMER     0xe0
#define VECTOR_WAKE      0xe1 /* look at the run queue */
#define VECTOR_STOP      0xe2 /* panic elsewhere: halt */
#define VECTOR_SPURIOUS  0xff

void apic_init(u64 mmio);            /* boot CPU: maps it; masks the 8259 pair (APIC: MADT local APIC address) */
void apic_enable(void);              /* each CPU */
u32 apic_id(void);
void apic_eoi(void);
void apic_ipi(u32 apic_id, u8 vector);
void apic_start(u32 apic_id, u8 page);   /* INIT, SIPI, SIPI at page << 12; SDM 3A 8.4.4.1 */
void apic_stop(u32 apic_id);             /* INIT alone: back to waiting for a SIPI */
void apic_timer_set(u64 tsc);        /* one shot at this TSC (TSC deadline where CPUID offers it, else the counter); ~0: off */
void ioapic_init(void);              /* from acpi.h's tables; all masked */
int ioapic_route(u32 isa_irq, u8 vector, u32 apic_id); /* honours MADT overrides; -E_NODEV without an I/O APIC */

#endif
