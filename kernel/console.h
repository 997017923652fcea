/* Serial ports and screen: the guests' consoles, the log, input to the domain in focus. */
#pragma once

#include "kernel/base.h"
#include "kernel/domain.h"

void console_early_init(void);       /* both ports, polled, before anything else */
void console_irq_init(void);         /* from now on the ports' interrupts do the work, after ioapic_init */
void console_interrupt(void);        /* VECTOR_SERIAL: moves bytes to the focus domain's ring, wakes it */

void console_log(const char *bytes, u32 n, bool screen); /* the log port, and the screen if asked or while the machine is brought up */
void console_guest(struct domain *d, const char *bytes, u32 n); /* guest output; prefixed with its name when several domains exist */
void console_idle(struct domain *d); /* d has nothing to do, or has ended: its unfinished line goes out */
u32 console_room(void);              /* bytes that a guest may write now without ring 0 waiting for the port */
u32 console_input(struct domain *d, u8 *to, u32 max); /* takes input bytes; re-enables the receiver when the ring had been full */
void console_forget(struct domain *d); /* d has ended: no more input or event for it; before any of its vcpus is freed */
void console_force(void);            /* panic: take the ports whoever holds them */
void machine_end(bool success) __attribute__((noreturn)); /* by plan.end; success decides the exit status of the emulator */
