/* COM1 carries the guests' consoles, COM1 or COM2 the log; the screen shows what stops the machine (16550 data sheet).
 * Output goes through a ring that the transmitter's interrupt empties; input goes to the ring of the domain in focus. */
#include "kernel/console.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/boot.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/screen.h"
#include "kernel/vcpu.h"

enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
#define IER_RX        0x01
#define IER_TX        0x02
#define FCR_ON        0x01 /* FIFOs on, trigger at one byte */
#define LCR_8N1       0x03
#define LCR_DLAB      0x80
#define MCR_DTR       0x01
#define MCR_RTS       0x02
#define MCR_OUT2      0x08 /* connects the interrupt line */
#define LSR_DATA      0x01
#define LSR_THRE      0x20
#define LSR_EMPTY     0x40
#define FIFO_BYTES    16u
#define TX_WAIT       1000000u /* polls until the port counts as stuck: a second, where a FIFO takes 1.4 ms */
#define TX_RING       8192u
#define FOCUS_KEY     0x1d /* Ctrl-], then a digit: that domain; twice: the key itself */

struct uart_port {
    u16 base;
    bool present;
    bool irq;                   /* transmitter interrupts empty the ring */
    bool stuck;                 /* did not become empty in TX_WAIT polls: not waited for until it does */
    bool receive;               /* the receiver's interrupt is wanted */
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
static u32 early_count;
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

/* Interrupts for what is left to do: bytes to send, bytes that may come. */
static void uart_ier(struct uart_port *p)
{
    u8 ier = (p->receive ? IER_RX : 0) | (p->head != p->tail ? IER_TX : 0);
    if (p->ier != ier) {
        p->ier = ier;
        uart_out(p, UART_IER, ier);
    }
}

/* Fills the transmitter's FIFO if it is empty. Bound: the FIFO. */
static void uart_pump(struct uart_port *p)
{
    if (p->head == p->tail || !(uart_in(p, UART_LSR) & LSR_THRE))
        return;
    for (u32 i = 0; i < FIFO_BYTES && p->head != p->tail; i++)
        uart_out(p, UART_DATA, p->ring[p->tail++ % TX_RING]);
}

/* Sends until at most `left` bytes are in the ring. A stuck port costs its bytes, not the machine. Bound: TX_WAIT polls for each FIFO. */
static void uart_wait(struct uart_port *p, u32 left)
{
    for (u32 i = 0; p->head - p->tail > left && i < (p->stuck ? 1 : TX_WAIT); i++) {
        u32 tail = p->tail;
        uart_pump(p);
        if (p->tail != tail) {
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
    if (!p->present)
        return;
    for (u32 i = 0; i < n; i++)
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
    u32 apic = cpus[0].apic_id;
    com[0].irq = com[0].present && !ioapic_route(4, VECTOR_SERIAL, apic);
    com[1].irq = com[1].present && !ioapic_route(3, VECTOR_SERIAL, apic);
    com[0].receive = com[0].irq;
    uart_flush(&com[0]);
    booted = true;
}

static struct uart_port *log_port(void)
{
    return options.log_port == 2 && com[1].present ? &com[1] : &com[0];
}

void console_log(const char *bytes, u32 n, bool screen)
{
    struct uart_port *p = log_port();
    spin_lock(&lock);
    if (p == &com[0] && line_owner) {
        uart_write(p, "\r\n", 2);
        line_owner = 0;
    }
    uart_write(p, bytes, n);
    if (screen || !booted)
        screen_write(bytes, n);
    spin_unlock(&lock);
}

/* With several domains each line begins with its owner's name, and lines do not mix: a line is held until it is complete, until it
 * fills its buffer, or until its domain has nothing to do (a prompt). */
static void line_flush(struct domain *d)
{
    if (!d->line_length)
        return;
    if (line_owner && line_owner != d->id)
        uart_write(&com[0], "\r\n", 2);
    if (line_owner != d->id) {
        uart_write(&com[0], "[", 1);
        uart_write(&com[0], d->name, (u32)strlen(d->name));
        uart_write(&com[0], "] ", 2);
    }
    line_owner = d->line[d->line_length - 1] == '\n' ? 0 : d->id;
    uart_write(&com[0], d->line, d->line_length);
    d->line_length = 0;
}

static void guest_byte(struct domain *d, char c)
{
    if (domain_config_count <= 1) {
        line_owner = c == '\n' ? 0 : d->id;
        uart_put(&com[0], (u8)c);
        return;
    }
    d->line[d->line_length++] = c;
    if (c == '\n' || d->line_length == sizeof(d->line))
        line_flush(d);
}

void console_guest(struct domain *d, const char *bytes, u32 n)
{
    spin_lock(&lock);
    for (u32 i = 0; com[0].present && i < n; i++)
        guest_byte(d, bytes[i]);
    uart_flush(&com[0]);
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

/* The domain in focus, or, when it is gone, the next that is left; NULL when none is. */
static struct domain *focus_domain(void)
{
    for (u32 i = 0; !domains[focus] && i < DOMAINS_MAX; i++)
        focus = focus % DOMAINS_MAX + 1;
    return domains[focus];
}

static void focus_set(u32 id)
{
    static const char text[] = "\r\nrung: console of ";
    struct domain *d;
    focus = id;
    d = focus_domain();
    uart_write(&com[0], text, sizeof(text) - 1);
    uart_write(&com[0], d->name, (u32)strlen(d->name));
    uart_write(&com[0], "\r\n", 2);
    line_owner = 0;
}

static bool ring_full(const struct console_ring *r)
{
    return r->head - r->tail == sizeof(r->bytes);
}

/* Ctrl-] and a digit move the focus; Ctrl-] twice is one Ctrl-]; one before anything else is dropped. */
static void input_byte(struct domain *d, u8 c)
{
    bool was_pending = focus_pending;
    focus_pending = !was_pending && c == FOCUS_KEY;
    if (focus_pending)
        return;
    if (was_pending && c >= '1' && c <= '9')
        focus_set((u32)(c - '0'));
    else
        d->input.bytes[d->input.head++ % sizeof(d->input.bytes)] = c;
}

/* A full ring leaves bytes in the UART, takes RTS away and masks the receiver: the sender waits, nothing is lost. */
static void receiver(struct uart_port *p, bool on)
{
    uart_out(p, UART_MCR, MCR_DTR | MCR_OUT2 | (on ? MCR_RTS : 0));
    p->receive = on;
}

/* COM1's bytes go to the domain in focus; with none left they have no reader. Bound: what one interrupt may bring. */
static void receive(struct uart_port *p)
{
    u32 taken = 0;
    for (u32 i = 0; i < 4 * FIFO_BYTES && (taken < early_count || uart_in(p, UART_LSR) & LSR_DATA); i++) {
        struct domain *d = focus_domain();
        if (d && ring_full(&d->input)) {
            receiver(p, false);
            break;
        }
        u8 c = taken < early_count ? early[taken++] : uart_in(p, UART_DATA);
        if (d)
            input_byte(d, c);
        if (d && d->end == DOMAIN_RUNS)
            vcpu_event(d->vcpu[0], ABI_EVENT_INPUT);
    }
    early_count = 0;
}

/* The ISA line is an edge: with every source masked for the while it is low, and a source that is left raises it anew at the end. */
static void port_interrupt(struct uart_port *p)
{
    if (!p->irq)
        return;
    uart_out(p, UART_IER, 0);
    p->ier = 0;
    if (p == &com[0])
        receive(p);
    uart_pump(p);
    uart_ier(p);
}

void console_interrupt(void)
{
    spin_lock(&lock);
    port_interrupt(&com[0]);
    port_interrupt(&com[1]);
    spin_unlock(&lock);
}

u32 console_input(struct domain *d, u8 *to, u32 max)
{
    u32 n = 0;
    bool was_full;
    spin_lock(&lock);
    was_full = ring_full(&d->input);
    while (n < max && d->input.head != d->input.tail)
        to[n++] = d->input.bytes[d->input.tail++ % sizeof(d->input.bytes)];
    if (was_full && n && com[0].irq) {
        receiver(&com[0], true);
        uart_ier(&com[0]);
    }
    spin_unlock(&lock);
    return n;
}

void console_forget(struct domain *d)
{
    spin_lock(&lock);
    if (domains[d->id] == d)
        domains[d->id] = NULL;
    if (line_owner == d->id) {
        uart_write(&com[0], "\r\n", 2);
        line_owner = 0;
    }
    if (com[0].irq && !com[0].receive) { /* its ring may have been the full one */
        receiver(&com[0], true);
        uart_ier(&com[0]);
    }
    spin_unlock(&lock);
}

/* ---- End ------------------------------------------------------------------------------------------------------------------- */

void console_force(void)
{
    lock.held = 0;
    com[0].irq = com[1].irq = false;
}

void console_drain(void)
{
    for (u32 p = 0; p < 2; p++) {
        if (!com[p].present)
            continue;
        com[p].irq = false;
        uart_flush(&com[p]);
        for (u32 i = 0; i < TX_WAIT && !(uart_in(&com[p], UART_LSR) & LSR_EMPTY); i++)
            ;
    }
}

#define ISA_DEBUG_EXIT 0xf4
#define ISA_SUCCESS    0x10
#define ISA_FAILURE    0x11
#define BOCHS_SHUTDOWN 0x8900
#define RESET_CONTROL  0xcf9

static void end_poweroff(void)
{
    if (acpi.pm1a_cnt && acpi.slp_typ_s5 != 0xffff)
        out16(acpi.pm1a_cnt, (u16)(acpi.slp_typ_s5 << 10 | 0x2000));
    for (const char *s = "Shutdown"; *s; s++)
        out8(BOCHS_SHUTDOWN, (u8)*s);
}

void machine_end(bool success)
{
    irq_disable();
    console_force();
    console_drain();
    switch (options.end) {
    case END_ISA_DEBUG:
        out8(ISA_DEBUG_EXIT, success ? ISA_SUCCESS : ISA_FAILURE);
        break;
    case END_BOCHS:
        if (success)
            __asm__ volatile("xchg %bx, %bx"); /* Bochs: stop in the debugger, which then quits with status 0 */
        for (const char *s = "Shutdown"; *s; s++)
            out8(BOCHS_SHUTDOWN, (u8)*s);
        break;
    case END_REBOOT:
        out8(RESET_CONTROL, 6);
        out8(0x64, 0xfe);
        break;
    case END_POWEROFF:
        if (success)
            end_poweroff();
        break;
    case END_HALT:
    default:
        break;
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}
