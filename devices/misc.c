/* POST code port, debug console and the reset register of the chipset (82371AB 4.2.6.1). */
#include "devices/misc.h"
#include "devices/acpipm.h"
#include "devices/platform.h"

#define RESET_CPU      0x04u /* its rising edge resets */
#define RESET_WRITABLE 0x0eu

uint8_t post_read(struct platform *p)
{
    return p->misc.post;
}

void post_write(struct platform *p, uint8_t value)
{
    p->misc.post = value;
}

/* Guests look for this answer to see whether the port is there. */
uint8_t debugcon_read(struct platform *p)
{
    (void)p;
    return 0xe9;
}

/* There is no way to make the guest wait: without room the byte is lost, and counted. */
void debugcon_write(struct platform *p, uint8_t value)
{
    if (p->out_len < p->room)
        p->out[p->out_len++] = value;
    else
        p->out_lost++;
}

/* The reset register answers single bytes only: it lies inside the configuration address at cf8h, where a 4-byte write of an
 * address would otherwise reset the machine. */
uint32_t pci_read(struct platform *p, uint16_t port, unsigned size)
{
    return port == ACPIPM_RESET_PORT && size == 1 ? p->misc.reset : 0xffffffffu;
}

void pci_write(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
    if (port != ACPIPM_RESET_PORT || size != 1)
        return;
    if (value & ~(uint32_t)p->misc.reset & RESET_CPU)
        p->life = ABI_LIFE_REBOOT;
    p->misc.reset = value & RESET_WRITABLE;
}
