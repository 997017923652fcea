/* The pair of 8259A interrupt controllers: requests, priorities, control words, acknowledge cycles. */
#include "devices/pic.h"
#include "devices/platform.h"

#define IR(n)             (1u << (n))
#define PIC_INPUTS        8u
#define CASCADE           2u   /* the slave's INT is wired to input 2 of the master */
#define DEFAULT_INPUT     7u

#define ICW1_IC4          0x01u
#define ICW1_SNGL         0x02u
#define ICW1_LTIM         0x08u
#define ICW1_SELECT       0x10u
#define ICW2_BASE         0xf8u
#define ICW4_AEOI         0x02u
#define ICW4_SFNM         0x10u
#define OCW3_SELECT       0x08u
#define OCW3_RIS          0x01u
#define OCW3_RR           0x02u
#define OCW3_POLL         0x04u
#define OCW3_SMM          0x20u
#define OCW3_ESMM         0x40u
#define POLL_PENDING      0x80u

/* OCW2 bits 7-5: R, SL, EOI */
enum ocw2 { ROTATE_AUTO_CLEAR, EOI, NOP, EOI_SPECIFIC, ROTATE_AUTO_SET, ROTATE_EOI, SET_PRIORITY, ROTATE_EOI_SPECIFIC };

/* IRQ 0, 1, 2, 8 and 13 are edge triggered whatever is written (82371AB 4.2.4). */
static const uint8_t elcr_mask[2] = { 0xf8, 0xde };

static unsigned level_inputs(const struct pic *c)
{
    return c->level ? 0xffu : c->elcr;
}

/* The input of highest priority in `set`, or PIC_INPUTS: rotated so that the highest priority is bit 0. */
static unsigned first_input(const struct pic *c, unsigned set)
{
    unsigned top = (c->lowest + 1u) & 7u;

    set &= 0xffu;
    if (!set)
        return PIC_INPUTS;
    set = set >> top | set << (PIC_INPUTS - top);
    return ((unsigned)__builtin_ctz(set) + top) & 7u;
}

static unsigned priority(const struct pic *c, unsigned input)
{
    return (input - c->lowest - 1u) & 7u;
}

/* The input that INT is raised for, or PIC_INPUTS. */
static unsigned pending_input(const struct pic *c, bool master)
{
    unsigned input = first_input(c, c->irr & ~(unsigned)c->imr), serving;

    if (input == PIC_INPUTS || c->step != PIC_READY)
        return PIC_INPUTS;
    /* Special mask mode: a level that is in service and masked does not hold back lower ones (231468 "Special Mask Mode"). */
    serving = first_input(c, c->special_mask ? c->isr & ~(unsigned)c->imr : c->isr);
    if (serving == PIC_INPUTS || priority(c, input) < priority(c, serving))
        return input;
    /* Special fully nested mode: the slave may interrupt its own service with a higher request of its own. */
    if (c->nested_special && master && input == serving && input == CASCADE)
        return input;
    return PIC_INPUTS;
}

/* The master's cascade input follows the slave's INT as a level. An edge could be missed here where the chip sees a short low
 * pulse between two requests of a slave in automatic EOI mode. */
static void update(struct platform *p)
{
    struct pic *master = &p->pic[0];

    if (pending_input(&p->pic[1], false) != PIC_INPUTS)
        master->irr |= IR(CASCADE);
    else
        master->irr &= (uint8_t)~IR(CASCADE);
    p->intr = pending_input(master, true) != PIC_INPUTS;
}

/* In edge mode too a request is withdrawn when the line falls: the input must stay high until the acknowledge. */
void pic_line(struct platform *p, unsigned irq, bool level)
{
    struct pic *c = &p->pic[irq >> 3 & 1];
    uint8_t bit = (uint8_t)IR(irq & 7);

    if (level == ((c->line & bit) != 0))
        return;
    if (level) {
        c->line |= bit;
        c->irr |= bit;
    } else {
        c->line &= (uint8_t)~bit;
        c->irr &= (uint8_t)~bit;
    }
    update(p);
}

static void input_acknowledge(struct pic *c, unsigned input)
{
    c->irr &= (uint8_t)~(IR(input) & ~level_inputs(c));
    if (!c->auto_eoi)
        c->isr |= (uint8_t)IR(input);
    else if (c->rotate_auto)
        c->lowest = (uint8_t)input;
}

uint32_t pic_acknowledge(struct platform *p)
{
    struct pic *c = &p->pic[0];
    unsigned input = pending_input(c, true);

    if (input == CASCADE) {
        input_acknowledge(c, CASCADE);
        c = &p->pic[1];
        input = pending_input(c, false);
    }
    if (input == PIC_INPUTS)
        input = DEFAULT_INPUT;
    else
        input_acknowledge(c, input);
    update(p);
    return (c->base & ICW2_BASE) | input;
}

bool pic_wants_tick(const struct platform *p)
{
    const struct pic *c = &p->pic[0];

    return c->step == PIC_READY && !((c->imr | c->irr) & IR(0));
}

/* Poll: the read is the acknowledge. Only this chip takes part; software polls the slave itself when it is told input 2. */
static uint8_t poll_read(struct platform *p, struct pic *c)
{
    unsigned input = pending_input(c, c == &p->pic[0]);

    c->poll = false;
    if (input == PIC_INPUTS)
        return 0;
    input_acknowledge(c, input);
    update(p);
    return (uint8_t)(POLL_PENDING | input);
}

uint8_t pic_read(struct platform *p, unsigned chip, unsigned a0)
{
    struct pic *c = &p->pic[chip & 1];
    uint8_t value;

    pit_catch_up(p);
    if (c->poll)
        value = poll_read(p, c);
    else if (a0)
        value = c->imr;
    else
        value = c->read_isr ? c->isr : c->irr;
    pit_follow(p);
    return value;
}

static void icw1_write(struct pic *c, uint8_t value)
{
    c->icw4 = value & ICW1_IC4;
    c->single = value & ICW1_SNGL;
    c->level = value & ICW1_LTIM;
    c->irr = (uint8_t)(c->line & level_inputs(c)); /* edge sense is reset: a line must fall before it can request again */
    c->isr = c->imr = 0;
    c->lowest = DEFAULT_INPUT;
    c->auto_eoi = c->rotate_auto = c->nested_special = c->special_mask = c->read_isr = c->poll = false;
    c->step = PIC_WAIT_ICW2;
}

static void eoi_write(struct pic *c, uint8_t value)
{
    unsigned input = value & 7;
    unsigned serving = first_input(c, c->special_mask ? c->isr & ~(unsigned)c->imr : c->isr);

    switch ((enum ocw2)(value >> 5)) {
    case ROTATE_AUTO_CLEAR:
    case ROTATE_AUTO_SET:
        c->rotate_auto = value >> 5 == ROTATE_AUTO_SET;
        break;
    case EOI:
    case ROTATE_EOI:
        if (serving == PIC_INPUTS)
            break;
        c->isr &= (uint8_t)~IR(serving);
        if (value >> 5 == ROTATE_EOI)
            c->lowest = (uint8_t)serving;
        break;
    case EOI_SPECIFIC:
        c->isr &= (uint8_t)~IR(input);
        break;
    case ROTATE_EOI_SPECIFIC:
        c->isr &= (uint8_t)~IR(input);
        c->lowest = (uint8_t)input;
        break;
    case SET_PRIORITY:
        c->lowest = (uint8_t)input;
        break;
    case NOP:
    default:
        break;
    }
}

static void ocw3_write(struct pic *c, uint8_t value)
{
    if (value & OCW3_ESMM)
        c->special_mask = value & OCW3_SMM;
    if (value & OCW3_POLL)
        c->poll = true; /* overrides a register read in the same word */
    else if (value & OCW3_RR)
        c->read_isr = value & OCW3_RIS;
}

/* The words at A0 = 1: what comes next depends on where the initialization sequence is. */
static void data_write(struct pic *c, uint8_t value)
{
    switch ((enum pic_step)c->step) {
    case PIC_WAIT_ICW2:
        c->base = value & ICW2_BASE;
        c->step = !c->single ? PIC_WAIT_ICW3 : c->icw4 ? PIC_WAIT_ICW4 : PIC_READY;
        break;
    case PIC_WAIT_ICW3: /* which inputs have slaves is fixed by the board */
        c->step = c->icw4 ? PIC_WAIT_ICW4 : PIC_READY;
        break;
    case PIC_WAIT_ICW4:
        c->auto_eoi = value & ICW4_AEOI;
        c->nested_special = value & ICW4_SFNM;
        c->step = PIC_READY;
        break;
    case PIC_READY:
    case PIC_UNPROGRAMMED:
    default:
        c->imr = value;
        break;
    }
}

void pic_write(struct platform *p, unsigned chip, unsigned a0, uint8_t value)
{
    struct pic *c = &p->pic[chip & 1];

    pit_catch_up(p);
    if (a0)
        data_write(c, value);
    else if (value & ICW1_SELECT)
        icw1_write(c, value);
    else if (value & OCW3_SELECT)
        ocw3_write(c, value);
    else
        eoi_write(c, value);
    update(p);
    pit_follow(p);
}

uint8_t elcr_read(struct platform *p, unsigned chip)
{
    return p->pic[chip & 1].elcr;
}

void elcr_write(struct platform *p, unsigned chip, uint8_t value)
{
    struct pic *c = &p->pic[chip & 1];
    unsigned level;

    pit_catch_up(p);
    c->elcr = value & elcr_mask[chip & 1];
    level = level_inputs(c);
    c->irr = (uint8_t)((c->irr & ~level) | (c->line & level));
    update(p);
    pit_follow(p);
}

void pic_init(struct platform *p)
{
    for (unsigned i = 0; i < 2; i++) {
        p->pic[i].lowest = DEFAULT_INPUT;
        p->pic[i].step = PIC_UNPROGRAMMED;
    }
}
