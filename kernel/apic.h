/* Local APIC (xAPIC or x2APIC, as CPUID offers) and I/O APIC: enough for a timer, IPIs and the serial port. */
#pragma once

#include "kernel/base.h"

/* Interrupt vectors: WAKE: look at the run queue; STOP: panic elsewhere, halt. And what else an IPI's command may be (SDM 3A 10.6.1). */
enum { VECTOR_SERIAL = 0x30, VECTOR_TIMER = 0xe0, VECTOR_WAKE = 0xe1, VECTOR_STOP = 0xe2, VECTOR_SPURIOUS = 0xff,
       IPI_INIT = 0x500, IPI_STARTUP = 0x600 };

void apic_init(void);                /* boot CPU: maps it; masks the 8259 pair */
void apic_enable(void);              /* each CPU */
u32 apic_id(void);
void apic_eoi(void);
void apic_ipi(u32 apic_id, u32 command); /* a vector, IPI_INIT, or IPI_STARTUP | page */
void apic_timer_set(u64 tsc);        /* one shot at this TSC (TSC deadline where CPUID offers it, else the counter); ~0: off */
void ioapic_init(void);              /* all masked */
int ioapic_route(u32 isa_irq, u8 vector, u32 apic_id); /* honours MADT overrides; -E_NODEV without an I/O APIC */
