/* pvpanic: the guest's way to tell its hypervisor that it has panicked (QEMU's specification of the device). */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include <stdint.h>

struct platform;

#define PVPANIC_PORT     0x505u
#define PVPANIC_PANICKED 0x01u /* the guest has panicked and will not go on */

/* What the guest may report; other bits are ignored: of a crash with a dump kernel loaded, the guest takes care itself. */
uint8_t pvpanic_read(struct platform *p);
void pvpanic_write(struct platform *p, uint8_t value);

#endif
