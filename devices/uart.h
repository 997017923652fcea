/* The 16550A serial port (National PC16550D) on the host's console. */
#ifndef DEVICES_UART_H
#define DEVICES_UART_H

#include <stdbool.h>
#include <stdint.h>

struct platform;

#define UART_FIFO 16u

struct uart {
    uint8_t irq;
    bool console;        /* what it sends goes to the host console; else nowhere */
    bool line;           /* its interrupt line */
    bool blocked;        /* the host console has no room: nothing leaves until platform_output_room() */
    bool sent;           /* the THRE interrupt is pending */
    bool fifo;           /* FCR bit 0 */
    uint8_t ier, lcr, mcr, scratch;
    uint8_t lsr;         /* error bits of the byte at the head, and overrun */
    uint8_t msr;         /* delta bits */
    uint8_t trigger;     /* bytes that raise the receive interrupt */
    uint8_t divisor[2];
    uint8_t rx_head, rx_count, rx_errors;
    uint8_t tx_count;    /* bytes that wait because blocked */
    uint8_t rx[UART_FIFO], rx_error[UART_FIFO], tx[UART_FIFO];
};

void uart_init(struct platform *p, struct uart *u, unsigned irq, bool console);
uint8_t uart_read(struct platform *p, struct uart *u, unsigned reg);
void uart_write(struct platform *p, struct uart *u, unsigned reg, uint8_t value);

/* Bytes from the host; those beyond uart_room() are dropped. */
void uart_input(struct platform *p, struct uart *u, const uint8_t *bytes, unsigned n);
unsigned uart_room(const struct uart *u);

/* The host console takes more: send what waits. */
void uart_drain(struct platform *p, struct uart *u);

#endif
