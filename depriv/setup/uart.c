/* The serial ports as ring 0's console takes them over: found, 115200 baud, FIFOs on, no interrupts (16550 data sheet). */
#include "depriv/setup/setup.h"

enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
enum { FCR_ON = 0x01 };                       /* FIFOs on, trigger at one byte */
enum { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT2 = 0x08 }; /* OUT2 connects the interrupt line */
enum { LSR_DATA = 0x01, SCRATCH = 0x5a };

static bool uart_init(u16 base, bool keep_early)
{
    out8(base + UART_SCR, SCRATCH);
    if (in8(base + UART_SCR) != SCRATCH)
        return false;
    while (keep_early && plan.early_count < ABI_EARLY_BYTES && in8(base + UART_LSR) & LSR_DATA) /* switching the FIFO on empties it */
        plan.early[plan.early_count++] = in8(base + UART_DATA);
    out8(base + UART_IER, 0);
    out8(base + UART_LCR, LCR_DLAB);
    out8(base + UART_DATA, 1); /* divisor: 115200 baud */
    out8(base + UART_IER, 0);
    out8(base + UART_LCR, LCR_8N1);
    out8(base + UART_FCR, FCR_ON);
    out8(base + UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    return true;
}

void uarts_init(void)
{
    plan.com[0] = uart_init(0x3f8, true);
    plan.com[1] = uart_init(0x2f8, false);
}
