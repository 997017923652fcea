/* The 16550A serial port. Its line is infinitely fast: a byte takes no time, so four character times of silence (the receive
 * time-out) have passed as soon as a byte is there, and the transmitter is empty whenever the host console has room. */
#include "devices/uart.h"
#include "devices/platform.h"

enum uart_register { UART_DATA, UART_IER, UART_IIR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
#define UART_FCR         UART_IIR

#define IER_RECEIVED     0x01u
#define IER_SENT         0x02u
#define IER_ERROR        0x04u
#define IER_MODEM        0x08u
#define IER_MASK         0x0fu

#define IIR_MODEM        0x00u
#define IIR_NONE         0x01u
#define IIR_SENT         0x02u
#define IIR_RECEIVED     0x04u
#define IIR_ERROR        0x06u
#define IIR_TIMEOUT      0x0cu
#define IIR_FIFO         0xc0u

#define FCR_ENABLE       0x01u
#define FCR_RESET_RX     0x02u
#define FCR_RESET_TX     0x04u

#define LCR_WORD         0x03u
#define LCR_8N1          0x03u
#define LCR_BREAK        0x40u
#define LCR_DLAB         0x80u

#define MCR_DTR          0x01u
#define MCR_RTS          0x02u
#define MCR_OUT1         0x04u
#define MCR_OUT2         0x08u
#define MCR_LOOP         0x10u
#define MCR_MASK         0x1fu

#define LSR_READY        0x01u
#define LSR_OVERRUN      0x02u
#define LSR_FRAMING      0x08u
#define LSR_BREAK        0x10u
#define LSR_ERRORS       0x1eu
#define LSR_EMPTY        0x60u /* THRE and TEMT: with no shift time they go together */
#define LSR_FIFO_ERROR   0x80u

#define MSR_CTS          0x10u
#define MSR_DSR          0x20u
#define MSR_RI           0x40u
#define MSR_DCD          0x80u
#define MSR_TERI         0x04u
#define MSR_DELTAS       0x0fu

static const uint8_t trigger_level[4] = { 1, 4, 8, 14 };

static bool loop(const struct uart *u)
{
    return u->mcr & MCR_LOOP;
}

static bool empty(const struct uart *u)
{
    return loop(u) || (!u->blocked && !u->tx_count);
}

/* The interrupt of highest priority (PC16550D table IV). */
static uint8_t interrupt_id(const struct uart *u)
{
    if (u->ier & IER_ERROR && u->lsr & LSR_ERRORS)
        return IIR_ERROR;
    if (u->ier & IER_RECEIVED && u->rx_count)
        return u->rx_count >= u->trigger ? IIR_RECEIVED : IIR_TIMEOUT;
    if (u->ier & IER_SENT && u->sent)
        return IIR_SENT;
    if (u->ier & IER_MODEM && u->msr)
        return IIR_MODEM;
    return IIR_NONE;
}

/* On a PC, OUT2 gates the interrupt; in loop mode the pin is inactive. */
static void update(struct platform *p, struct uart *u)
{
    bool line = u->ier && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && interrupt_id(u) != IIR_NONE;

    if (line == u->line)
        return;
    u->line = line;
    pic_line(p, u->irq, line);
}

unsigned uart_room(const struct uart *u)
{
    unsigned depth = u->fifo ? UART_FIFO : 1;

    return loop(u) || u->rx_count > depth ? 0 : depth - u->rx_count;
}

static void wanted_update(struct platform *p, const struct uart *u)
{
    if (u->console)
        p->input_wanted = uart_room(u) != 0;
}

/* A byte arrives at a full FIFO: the one in the shift register is lost; without FIFO the one not read yet is overwritten. */
static void receive(struct uart *u, uint8_t byte, uint8_t error)
{
    unsigned depth = u->fifo ? UART_FIFO : 1, slot;

    if (u->rx_count >= depth) {
        u->lsr |= LSR_OVERRUN;
        if (u->fifo)
            return;
        u->rx_count = u->rx_errors = 0;
    }
    slot = (u->rx_head + u->rx_count) % UART_FIFO;
    u->rx[slot] = byte;
    u->rx_error[slot] = error;
    u->rx_errors += error != 0;
    if (!u->rx_count++)
        u->lsr |= error;
}

static void rx_reset(struct uart *u)
{
    u->rx_head = u->rx_count = u->rx_errors = 0;
}

/* An error is reported when its byte reaches the head, and counts as in the FIFO until LSR was read or the byte taken. */
static void head_error_clear(struct uart *u)
{
    uint8_t *error = &u->rx_error[u->rx_head % UART_FIFO];

    if (u->rx_count && *error && u->rx_errors)
        u->rx_errors--;
    *error = 0;
}

static uint8_t data_read(struct platform *p, struct uart *u)
{
    uint8_t byte = u->rx[u->rx_head % UART_FIFO];

    if (!u->rx_count)
        return byte;
    head_error_clear(u);
    u->rx_head = (uint8_t)((u->rx_head + 1u) % UART_FIFO);
    if (--u->rx_count)
        u->lsr |= u->rx_error[u->rx_head];
    wanted_update(p, u);
    update(p, u);
    return byte;
}

/* True if the byte is on its way. */
static bool send(struct platform *p, struct uart *u, uint8_t byte)
{
    if (!u->console)
        return true;
    if (p->out_len >= p->room)
        return false;
    p->out[p->out_len++] = byte;
    u->blocked = p->out_len >= p->room;
    return true;
}

/* Into the transmitter, which holds it only while the host console has no room. A byte too many is lost, as in the chip. */
static void transmitter_write(struct uart *u, uint8_t value)
{
    u->blocked = true;
    if (!u->fifo)
        u->tx_count = 0;
    if (u->tx_count < UART_FIFO)
        u->tx[u->tx_count++] = value;
}

static __attribute__((noinline)) void data_write_any(struct platform *p, struct uart *u, uint8_t value)
{
    if (u->ier & IER_SENT && u->sent) {
        u->sent = false; /* the line falls for the time of this write: the next THRE is a new edge */
        update(p, u);
    }
    if (!empty(u) || (!loop(u) && !send(p, u, value)))
        transmitter_write(u, value);
    else if (loop(u))
        receive(u, value, 0);
    u->sent = empty(u);
    if (u->ier)
        update(p, u);
}

/* A polled console with room is the hot path of many guests: no interrupt to look after, nothing waiting. */
static void data_write(struct platform *p, struct uart *u, uint8_t value)
{
    value &= (uint8_t)(0xffu >> (~u->lcr & LCR_WORD)); /* 5 to 8 bits */
    if (!(u->ier | u->blocked | u->tx_count | (u->mcr & MCR_LOOP)) && send(p, u, value))
        u->sent = !u->blocked;
    else
        data_write_any(p, u, value);
}

void uart_drain(struct platform *p, struct uart *u)
{
    unsigned sent = 0, waiting = u->tx_count < UART_FIFO ? u->tx_count : UART_FIFO;
    bool was_empty = empty(u);

    u->blocked = u->console && p->out_len >= p->room;
    while (sent < waiting && !u->blocked && send(p, u, u->tx[sent]))
        sent++;
    u->tx_count = 0;
    while (sent < waiting)
        u->tx[u->tx_count++] = u->tx[sent++];
    if (!was_empty && empty(u)) {
        u->sent = true;
        update(p, u);
    }
}

static void fcr_write(struct platform *p, struct uart *u, uint8_t value)
{
    bool enable = value & FCR_ENABLE, change = enable != u->fifo;

    u->fifo = enable;
    if (change || (enable && value & FCR_RESET_RX))
        rx_reset(u);
    if (change || (enable && value & FCR_RESET_TX))
        u->tx_count = 0;
    u->trigger = enable ? trigger_level[value >> 6] : 1; /* other bits count only with bit 0 set */
    wanted_update(p, u);
    update(p, u);
}

static uint8_t modem_lines(uint8_t mcr)
{
    if (!(mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD; /* the console is always there */
    return (uint8_t)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) |
                     (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void mcr_write(struct platform *p, struct uart *u, uint8_t value)
{
    uint8_t before = modem_lines(u->mcr), after = modem_lines(value & MCR_MASK), change = before ^ after;

    u->mcr = value & MCR_MASK;
    change &= (uint8_t)~(after & MSR_RI); /* for RI it is the trailing edge that counts */
    u->msr |= change >> 4;
    wanted_update(p, u);
    update(p, u);
}

static void ier_write(struct platform *p, struct uart *u, uint8_t value)
{
    if (value & ~u->ier & IER_SENT && empty(u))
        u->sent = true; /* enabling it raises it when the transmitter is empty */
    u->ier = value & IER_MASK;
    update(p, u);
}

static void lcr_write(struct platform *p, struct uart *u, uint8_t value)
{
    if (loop(u) && value & ~u->lcr & LCR_BREAK) {
        receive(u, 0, LSR_BREAK | LSR_FRAMING);
        update(p, u);
    }
    u->lcr = value;
}

static uint8_t iir_read(struct platform *p, struct uart *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_SENT) {
        u->sent = false;
        update(p, u);
    }
    return id | (u->fifo ? IIR_FIFO : 0);
}

static uint8_t lsr_read(struct platform *p, struct uart *u)
{
    uint8_t value = (uint8_t)(u->lsr | (u->rx_count ? LSR_READY : 0) | (empty(u) ? LSR_EMPTY : 0) |
                              (u->fifo && u->rx_errors ? LSR_FIFO_ERROR : 0));

    if (u->lsr) {
        u->lsr = 0;
        head_error_clear(u);
        update(p, u);
    }
    return value;
}

static uint8_t msr_read(struct platform *p, struct uart *u)
{
    uint8_t value = u->msr | modem_lines(u->mcr);

    if (u->msr) {
        u->msr = 0;
        update(p, u);
    }
    return value;
}

uint8_t uart_read(struct platform *p, struct uart *u, unsigned reg)
{
    bool divisor = u->lcr & LCR_DLAB;

    switch ((enum uart_register)(reg & 7)) {
    case UART_DATA:
        return divisor ? u->divisor[0] : data_read(p, u);
    case UART_IER:
        return divisor ? u->divisor[1] : u->ier;
    case UART_IIR:
        return iir_read(p, u);
    case UART_LCR:
        return u->lcr;
    case UART_MCR:
        return u->mcr;
    case UART_LSR:
        return lsr_read(p, u);
    case UART_MSR:
        return msr_read(p, u);
    case UART_SCR:
    default:
        return u->scratch;
    }
}

static __attribute__((noinline)) void control_write(struct platform *p, struct uart *u, unsigned reg, uint8_t value)
{
    switch ((enum uart_register)reg) {
    case UART_IER:
        ier_write(p, u, value);
        break;
    case UART_FCR:
        fcr_write(p, u, value);
        break;
    case UART_LCR:
        lcr_write(p, u, value);
        break;
    case UART_MCR:
        mcr_write(p, u, value);
        break;
    case UART_SCR:
        u->scratch = value;
        break;
    case UART_DATA: /* not here */
    case UART_LSR: /* factory test only */
    case UART_MSR: /* read-only */
    default:
        break;
    }
}

void uart_write(struct platform *p, struct uart *u, unsigned reg, uint8_t value)
{
    reg &= 7;
    if (u->lcr & LCR_DLAB && reg <= UART_IER)
        u->divisor[reg] = value;
    else if (reg == UART_DATA)
        data_write(p, u, value);
    else
        control_write(p, u, reg, value);
}

void uart_input(struct platform *p, struct uart *u, const uint8_t *bytes, unsigned n)
{
    unsigned room = uart_room(u);

    if (n > room)
        n = room;
    for (unsigned i = 0; i < n; i++)
        receive(u, bytes[i], 0);
    wanted_update(p, u);
    update(p, u);
}

void uart_init(struct platform *p, struct uart *u, unsigned irq, bool console)
{
    u->irq = (uint8_t)irq;
    u->console = console;
    u->trigger = 1;
    u->sent = true;
    u->lcr = LCR_8N1;  /* as firmware leaves it, for guests that just write */
    u->divisor[0] = 1; /* 115200 */
    wanted_update(p, u);
}
