/* The screen of the machine: VGA text, or the linear framebuffer that UEFI left. Only for what stops the machine. */
#pragma once

#include "kernel/base.h"

void screen_init(bool mapped);                      /* with the plan, on the boot tables, and again (mapped) behind paging_init() */
void screen_write(const char *bytes, u32 n);        /* not locked: the console's lock; no effect without a screen */
