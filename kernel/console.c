/* COM1 carries the guests' consoles, COM1 or COM2 the log; the screen shows what stops the machine (16550 data sheet).
 * Output goes through a ring that the transmitter's interrupt empties; input goes to the ring of the domain in focus. */
#include "kernel/console.h"
#include "depriv/format.h"
#include "kernel/apic.h"
#include "kernel/log.h"
#include "kernel/plan.h"
#include "kernel/screen.h"
#include "kernel/vcpu.h"

enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
enum { IER_RX = 0x01, IER_TX = 0x02 };
enum { FCR_ON = 0x01 };                       /* FIFOs on, trigger at one byte */
enum { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT2 = 0x08 }; /* OUT2 connects the interrupt line */
enum { LSR_DATA = 0x01, LSR_THRE = 0x20, LSR_EMPTY = 0x40 };
#define FIFO_BYTES 16u
#define TX_WAIT    1000000u /* polls until the port counts as stuck: a second, where a FIFO takes 1.4 ms */
#define TX_RING    8192u
#define FOCUS_KEY  0x1d /* Ctrl-], then a digit: that domain; twice: the key itself */

struct uart_port {
    u16 base;
    bool present;
    bool irq;                   /* transmitter interrupts empty the ring */
    bool stuck;                 /* did not become empty in TX_WAIT polls: not waited for until it does */
    u8 ier;                     /* as the port has it */
    u32 head, tail;
    u8 ring[TX_RING];
};

static struct uart_port com[2] = { { .base = 0x3f8 }, { .base = 0x2f8 } };
static struct spinlock lock;
static u32 focus = 1;
static bool focus_pending;
static u32 line_owner;          /* domain whose line COM1 is in the middle of, 0: none */
static u8 early[FIFO_BYTES];    /* what COM1 received before the FIFO was switched on, which empties it */
static u32 early_count, early_taken;
static bool booted;

static u8 uart_in(const struct uart_port *p, u32 reg) { return in8((u16)(p->base + reg)); }
static void uart_out(const struct uart_port *p, u32 reg, u8 v) { out8((u16)(p->base + reg), v); }

static void uart_init(struct uart_port *p)
{
    uart_out(p, UART_SCR, 0x5a);
    p->present = uart_in(p, UART_SCR) == 0x5a;
    if (!p->present)
        return;
    while (p == &com[0] && early_count < FIFO_BYTES && uart_in(p, UART_LSR) & LSR_DATA)
        early[early_count++] = uart_in(p, UART_DATA);
    uart_out(p, UART_IER, 0);
    uart_out(p, UART_LCR, LCR_DLAB);
    uart_out(p, UART_DATA, 1); /* 115200 baud */
    uart_out(p, UART_IER, 0);
    uart_out(p, UART_LCR, LCR_8N1);
    uart_out(p, UART_FCR, FCR_ON);
    uart_out(p, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
}

/* Fills the transmitter's FIFO if it is empty; true: something was sent. Bound: the FIFO. */
static bool uart_pump(struct uart_port *p)
{
    if (p->head == p->tail || !(uart_in(p, UART_LSR) & LSR_THRE))
        return false;
    for (u32 i = 0; i < FIFO_BYTES && p->head != p->tail; i++)
        uart_out(p, UART_DATA, p->ring[p->tail++ % TX_RING]);
    return true;
}

/* Sends until at most `left` bytes are in the ring. A stuck port costs its bytes, not the machine. Bound: TX_WAIT polls for each FIFO. */
static void uart_wait(struct uart_port *p, u32 left)
{
    for (u32 i = p->stuck ? TX_WAIT - 1 : 0; p->head - p->tail > left && i < TX_WAIT; i++) {
        if (uart_pump(p)) {
            p->stuck = false;
            i = 0;
        }
    }
    if (p->head - p->tail > left) {
        p->stuck = true;
        p->tail = p->head - left;
    }
}

static void uart_put(struct uart_port *p, u8 c)
{
    if (p->head - p->tail == TX_RING)
        uart_wait(p, TX_RING - 1);
    p->ring[p->head++ % TX_RING] = c;
}

/* The domain in focus, or, when it is gone, the next that is left; NULL when none is. */
static struct domain *focus_domain(void)
{
    for (u32 i = 0; !domains[focus] && i < DOMAINS_MAX; i++)
        focus = focus % DOMAINS_MAX + 1;
    return domains[focus];
}

static bool ring_full(const struct domain *d)
{
    return d && d->input.head - d->input.tail == sizeof(d->input.bytes);
}

/* Interrupts for what is left to do: bytes to send, bytes that may come. A full ring leaves bytes in the UART, takes RTS away and masks the
 * receiver: the sender waits, nothing is lost. */
static void uart_ier(struct uart_port *p)
{
    bool input = p == &com[0], full = input && ring_full(focus_domain());
    u8 ier = (input && !full ? IER_RX : 0) | (p->head != p->tail ? IER_TX : 0);
    if (p->ier == ier)
        return;
    p->ier = ier;
    uart_out(p, UART_MCR, MCR_DTR | MCR_OUT2 | (full ? 0 : MCR_RTS));
    uart_out(p, UART_IER, ier);
}

static void uart_flush(struct uart_port *p)
{
    if (p->irq) {
        uart_pump(p);
        uart_ier(p);
    } else {
        uart_wait(p, 0);
    }
}

static void uart_write(struct uart_port *p, const char *bytes, u32 n)
{
    for (u32 i = 0; p->present && i < n; i++)
        uart_put(p, (u8)bytes[i]);
    uart_flush(p);
}

void console_early_init(void)
{
    uart_init(&com[0]);
    uart_init(&com[1]);
}

void console_irq_init(void)
{
    com[0].irq = com[0].present && !ioapic_route(4, VECTOR_SERIAL, cpus[0].apic_id);
    com[1].irq = com[1].present && !ioapic_route(3, VECTOR_SERIAL, cpus[0].apic_id);
    uart_flush(&com[0]);
    booted = true;
}

/* Ends the line that a domain has begun on COM1. */
static void line_break(void)
{
    if (line_owner)
        uart_write(&com[0], "\r\n", 2);
    line_owner = 0;
}

void console_log(const char *bytes, u32 n, bool screen)
{
    struct uart_port *p = plan.log_port == 2 && com[1].present ? &com[1] : &com[0];
    spin_lock(&lock);
    if (p == &com[0])
        line_break();
    uart_write(p, bytes, n);
    if (screen || !booted)
        screen_write(bytes, n);
    spin_unlock(&lock);
}

/* With several domains each line begins with its owner's name, and lines do not mix: a line is held until it is complete, until it
 * fills its buffer, or until its domain has nothing to do (a prompt). */
static void line_flush(struct domain *d)
{
    char name[DOMAIN_NAME + 4];
    if (!d->line_length)
        return;
    if (line_owner != d->id) {
        line_break();
        if (plan.domains > 1)
            uart_write(&com[0], name, text_format(name, sizeof(name), "[%s] ", d->name));
    }
    line_owner = d->line[d->line_length - 1] == '\n' ? 0 : d->id;
    uart_write(&com[0], d->line, d->line_length);
    d->line_length = 0;
}

void console_guest(struct domain *d, const char *bytes, u32 n)
{
    spin_lock(&lock);
    for (u32 i = 0; i < n; i++) {
        d->line[d->line_length++] = bytes[i];
        if (bytes[i] == '\n' || d->line_length == sizeof(d->line))
            line_flush(d);
    }
    if (plan.domains <= 1)
        line_flush(d);
    spin_unlock(&lock);
}

void console_idle(struct domain *d)
{
    if (!d->line_length)
        return;
    spin_lock(&lock);
    line_flush(d);
    spin_unlock(&lock);
}

u32 console_room(void)
{
    return TX_RING - (com[0].head - com[0].tail);
}

/* ---- Input ----------------------------------------------------------------------------------------------------------------- */

/* Ctrl-] and a digit move the focus; Ctrl-] twice is one Ctrl-]; one before anything else is dropped. */
static void input_byte(struct domain *d, u8 c)
{
    char text[DOMAIN_NAME + 32];
    bool was_pending = focus_pending;
    focus_pending = !was_pending && c == FOCUS_KEY;
    if (focus_pending)
        return;
    if (was_pending && c >= '1' && c <= '9') {
        focus = c - '0';
        uart_write(&com[0], text, text_format(text, sizeof(text), "\r\nrung: console of %s\r\n", focus_domain()->name));
        line_owner = 0;
    } else {
        d->input.bytes[d->input.head++ % sizeof(d->input.bytes)] = c;
    }
}

/* The next byte that COM1 has received, or -1. */
static int uart_get(struct uart_port *p)
{
    if (early_taken < early_count)
        return early[early_taken++];
    return uart_in(p, UART_LSR) & LSR_DATA ? uart_in(p, UART_DATA) : -1;
}

/* COM1's bytes go to the domain in focus; with none left they have no reader. Bound: what one interrupt may bring. */
static void receive(struct uart_port *p)
{
    struct domain *d;
    int c;
    for (u32 i = 0; i < 4 * FIFO_BYTES; i++) {
        d = focus_domain();
        if (ring_full(d) || (c = uart_get(p)) < 0)
            return;
        if (d)
            input_byte(d, (u8)c);
        if (d && d->end == DOMAIN_RUNS)
            vcpu_event(d->vcpu[0], ABI_EVENT_INPUT);
    }
}

/* The ISA line is an edge: with every source masked for the while it is low, and a source that is left raises it anew at the end. */
void console_interrupt(void)
{
    spin_lock(&lock);
    for (struct uart_port *p = com; p < com + ARRAY_SIZE(com); p++) {
        if (!p->irq)
            continue;
        uart_out(p, UART_IER, 0);
        p->ier = 0;
        if (p == &com[0])
            receive(p);
        uart_pump(p);
        uart_ier(p);
    }
    spin_unlock(&lock);
}

u32 console_input(struct domain *d, u8 *to, u32 max)
{
    u32 n = 0;
    spin_lock(&lock);
    while (n < max && d->input.head != d->input.tail)
        to[n++] = d->input.bytes[d->input.tail++ % sizeof(d->input.bytes)];
    uart_flush(&com[0]);
    spin_unlock(&lock);
    return n;
}

void console_forget(struct domain *d)
{
    spin_lock(&lock);
    if (domains[d->id] == d)
        domains[d->id] = NULL;
    if (line_owner == d->id)
        line_break();
    uart_flush(&com[0]); /* its ring may have been the full one */
    spin_unlock(&lock);
}

/* ---- End ------------------------------------------------------------------------------------------------------------------- */

void console_force(void)
{
    lock.held = 0;
    com[0].irq = com[1].irq = false;
}

/* Waits until a port has sent everything. Bound: TX_WAIT polls for each FIFO. */
static void uart_drain(struct uart_port *p)
{
    uart_wait(p, 0);
    for (u32 i = 0; i < TX_WAIT && !(uart_in(p, UART_LSR) & LSR_EMPTY); i++)
        ;
}

void machine_end(bool success)
{
    irq_disable();
    console_force();
    uart_drain(&com[0]);
    uart_drain(&com[1]);
    if (success)
        __asm__ volatile("xchg %bx, %bx"); /* Bochs: stop in the debugger, which then quits with status 0 */
    for (u32 i = 0; i < ARRAY_SIZE(plan.end); i++) {
        if (plan.end[i].when >> success & 1 && plan.end[i].bytes == 2)
            out16(plan.end[i].port, plan.end[i].value);
        else if (plan.end[i].when >> success & 1)
            out8(plan.end[i].port, (u8)plan.end[i].value);
    }
    cpu_halt();
}
