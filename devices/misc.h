/* Ports with next to nothing behind them: POST code, debug console, PCI configuration with the reset register inside. */
#ifndef DEVICES_MISC_H
#define DEVICES_MISC_H

#include <stdint.h>

struct platform;

struct misc {
    uint8_t post;  /* port 80h: the last byte written */
    uint8_t reset; /* port cf9h */
};

uint8_t post_read(struct platform *p);
void post_write(struct platform *p, uint8_t value);
uint8_t debugcon_read(struct platform *p);
void debugcon_write(struct platform *p, uint8_t value);

/* Ports cf8h-cffh. No PCI bus is there: configuration accesses read all ones. */
uint32_t pci_read(struct platform *p, uint16_t port, unsigned size);
void pci_write(struct platform *p, uint16_t port, unsigned size, uint32_t value);

#endif
