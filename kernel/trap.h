/* Interrupts and exceptions of the host. */
#pragma once

#include "kernel/base.h"

enum { TRAP_IST_NMI, TRAP_IST_DF, TRAP_IST_MC, TRAP_IST_DB, TRAP_ISTS }; /* index in tss.ist[] */

#define TRAP_STUB 16u                /* bytes from one vector's stub to the next */

struct trap_frame {                  /* kernel/trap.asm pushes it */
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

void idt_init(void);                 /* boot CPU: fills the table */
void idt_load(void);                 /* each CPU */
const char *trap_name(u64 vector);
void trap_handle(struct trap_frame *f);   /* from trap.asm */
void boot_planned(const struct trap_frame *f) __attribute__((noreturn)); /* main.c: the setup program has ended */
void interrupt_handle(u32 vector);   /* external interrupt, also called by VMX with the acknowledged vector; does the EOI */
