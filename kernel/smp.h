/* The other CPUs. */
#pragma once

#include "kernel/cpu.h"

void smp_start(void);           /* starts the CPUs of the MADT, one by one; one that does not answer is a line in the log */
void smp_ap_main(struct cpu *cpu) __attribute__((noreturn)); /* boot/ap.asm */

extern u64 smp_ap_cr3, smp_ap_stack;
