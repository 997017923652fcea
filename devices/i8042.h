/* The i8042 keyboard controller with nothing plugged in, and the A20/reset port at 92h (IBM PS/2 technical reference). */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include <stdint.h>

struct platform;

#define I8042_RAM 32u

struct i8042 {
    uint8_t ram[I8042_RAM]; /* byte 0 is the configuration */
    uint8_t status;
    uint8_t data;           /* the output buffer */
    uint8_t command;        /* whose parameter the next write to 60h is; 0: it is for the keyboard */
    uint8_t output;         /* output port */
    uint8_t port92;
};

void i8042_init(struct platform *p);
uint8_t i8042_data_read(struct platform *p);
void i8042_data_write(struct platform *p, uint8_t value);
uint8_t i8042_status_read(struct platform *p);
void i8042_command_write(struct platform *p, uint8_t value);
uint8_t port92_read(struct platform *p);
void port92_write(struct platform *p, uint8_t value);

#endif
