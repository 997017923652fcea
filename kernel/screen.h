/* The screen of the machine: VGA text, or the linear framebuffer that UEFI left. Only for what stops the machine. */
#ifndef KERNEL_SCREEN_H
#define KERNEL_SCREEN_H

#include "kernel/base.h"

void screen_early_init(void);                       /* on the boot tables, behind boot_parse(): until paging_init() */
void screen_init(void);                             /* behind paging_init(): maps it; no effect without one */
void screen_write(const char *bytes, u32 n);        /* not locked: the console's lock */

#endif
