/* pvpanic, one port of one byte: reads say what can be reported, writes report. */
#include "devices/pvpanic.h"
#include "devices/platform.h"

uint8_t pvpanic_read(struct platform *p)
{
    (void)p;
    return PVPANIC_PANICKED;
}

void pvpanic_write(struct platform *p, uint8_t value)
{
    if (value & PVPANIC_PANICKED)
        p->life = ABI_LIFE_PANIC;
}
