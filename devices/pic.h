/* Two cascaded 8259A interrupt controllers with edge/level control registers (Intel 231468; ELCR as in 82371AB). */
#ifndef DEVICES_PIC_H
#define DEVICES_PIC_H

#include <stdbool.h>
#include <stdint.h>

struct platform;

enum pic_step { PIC_READY, PIC_WAIT_ICW2, PIC_WAIT_ICW3, PIC_WAIT_ICW4, PIC_UNPROGRAMMED };

struct pic {
    uint8_t line;       /* the inputs now */
    uint8_t irr, isr, imr;
    uint8_t elcr;       /* 1: level triggered */
    uint8_t base;       /* vector of input 0 */
    uint8_t lowest;     /* input with the lowest priority; the next one has the highest */
    uint8_t step;       /* enum pic_step: which control word comes next */
    bool icw4, single;  /* ICW1: which words follow */
    bool level;         /* ICW1.LTIM: all inputs level triggered */
    bool auto_eoi, rotate_auto, nested_special, special_mask;
    bool read_isr, poll;
};

void pic_init(struct platform *p);

uint8_t pic_read(struct platform *p, unsigned chip, unsigned a0);
void pic_write(struct platform *p, unsigned chip, unsigned a0, uint8_t value);
uint8_t elcr_read(struct platform *p, unsigned chip);
void elcr_write(struct platform *p, unsigned chip, uint8_t value);

/* A device drives its interrupt line; irq 0..15. */
void pic_line(struct platform *p, unsigned irq, bool level);

/* Both INTA cycles: the vector. With no request any more it is the default of input 7, which sets no in-service bit. */
uint32_t pic_acknowledge(struct platform *p);

/* Would a rising edge of IRQ0 change anything now? No while it is masked or already requested. */
bool pic_wants_tick(const struct platform *p);

#endif
