/* The plan that ring 3 made at boot of what boot loader and firmware left: options, memory, CPUs, domains. */
#pragma once

#include "depriv/abi.h"
#include "kernel/base.h"

struct trap_frame;

extern struct abi_plan plan;         /* boot/multiboot2.asm has its pages */

void plan_make(u32 magic, u32 info) __attribute__((noreturn)); /* on the boot tables: runs the setup program; its end is a trap */
void plan_take(const struct trap_frame *f); /* the trap: stops the machine unless there is a plan that holds */
