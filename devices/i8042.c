/* The keyboard controller: self tests, configuration, reset and A20 lines; both PS/2 ports are there and empty. */
#include "devices/i8042.h"
#include "devices/platform.h"

#define KEYBOARD_IRQ      1u
#define AUX_IRQ           12u

#define STATUS_FULL       0x01u
#define STATUS_SYSTEM     0x04u /* copy of the configuration bit: self test passed */
#define STATUS_COMMAND    0x08u /* the last write was to port 64h */
#define STATUS_UNLOCKED   0x10u
#define STATUS_AUX        0x20u
#define STATUS_TIMEOUT    0x40u

#define CONFIG_IRQ1       0x01u
#define CONFIG_IRQ12      0x02u
#define CONFIG_SYSTEM     0x04u
#define CONFIG_NO_KEYBOARD 0x10u
#define CONFIG_NO_AUX     0x20u
#define CONFIG_TRANSLATE  0x40u

#define OUTPUT_NO_RESET   0x01u
#define OUTPUT_DEFAULT    0xc3u /* no reset, A20, clock and data idle */
#define INPUT_DEFAULT     0x80u /* keyboard not locked */
#define PORT92_RESET      0x01u
#define PORT92_A20        0x02u

enum i8042_command {
    READ_RAM = 0x20, READ_RAM_LAST = 0x3f, WRITE_RAM = 0x60, WRITE_RAM_LAST = 0x7f,
    TEST_PASSWORD = 0xa4, DISABLE_AUX = 0xa7, ENABLE_AUX = 0xa8, TEST_AUX = 0xa9,
    SELF_TEST = 0xaa, TEST_KEYBOARD = 0xab, DISABLE_KEYBOARD = 0xad, ENABLE_KEYBOARD = 0xae,
    READ_INPUT = 0xc0, READ_OUTPUT = 0xd0, WRITE_OUTPUT = 0xd1, ECHO_KEYBOARD = 0xd2, ECHO_AUX = 0xd3,
    WRITE_AUX = 0xd4, READ_TEST = 0xe0, PULSE_FIRST = 0xf0
};

#define REPLY_NO_PASSWORD 0xf1u
#define REPLY_SELF_TEST   0x55u
#define REPLY_PORT_GOOD   0x00u
#define REPLY_RESEND      0xfeu /* with STATUS_TIMEOUT: nobody answered on that port */

static void update(struct platform *p)
{
    const struct i8042 *k = &p->i8042;
    bool full = k->status & STATUS_FULL, aux = k->status & STATUS_AUX;

    pic_line(p, KEYBOARD_IRQ, full && !aux && k->ram[0] & CONFIG_IRQ1);
    pic_line(p, AUX_IRQ, full && aux && k->ram[0] & CONFIG_IRQ12);
}

static void reply(struct platform *p, uint8_t value, uint8_t kind)
{
    struct i8042 *k = &p->i8042;

    k->data = value;
    k->status = (uint8_t)((k->status & ~(STATUS_AUX | STATUS_TIMEOUT)) | STATUS_FULL | kind);
    update(p);
}

static void config_write(struct platform *p, uint8_t value)
{
    p->i8042.ram[0] = value;
    if (value & CONFIG_SYSTEM)
        p->i8042.status |= STATUS_SYSTEM;
    else
        p->i8042.status &= (uint8_t)~STATUS_SYSTEM;
    update(p);
}

static void output_write(struct platform *p, uint8_t value)
{
    p->i8042.output = value;
    if (!(value & OUTPUT_NO_RESET))
        p->life = ABI_LIFE_REBOOT;
}

uint8_t i8042_status_read(struct platform *p)
{
    return p->i8042.status;
}

uint8_t i8042_data_read(struct platform *p)
{
    p->i8042.status &= (uint8_t)~(STATUS_FULL | STATUS_AUX | STATUS_TIMEOUT);
    update(p);
    return p->i8042.data;
}

void i8042_data_write(struct platform *p, uint8_t value)
{
    struct i8042 *k = &p->i8042;
    uint8_t command = k->command;

    k->command = 0;
    k->status &= (uint8_t)~STATUS_COMMAND;
    if (command == WRITE_RAM)
        config_write(p, value);
    else if (command > WRITE_RAM && command <= WRITE_RAM_LAST)
        k->ram[command % I8042_RAM] = value;
    else if (command == WRITE_OUTPUT)
        output_write(p, value);
    else if (command == ECHO_KEYBOARD)
        reply(p, value, 0);
    else if (command == ECHO_AUX)
        reply(p, value, STATUS_AUX);
    else if (command == WRITE_AUX)
        reply(p, REPLY_RESEND, STATUS_AUX | STATUS_TIMEOUT);
    else
        reply(p, REPLY_RESEND, STATUS_TIMEOUT);
}

static void config_change(struct platform *p, uint8_t clear, uint8_t set)
{
    config_write(p, (uint8_t)((p->i8042.ram[0] & ~clear) | set));
}

/* Commands 20h-3fh, 60h-7fh and f0h-ffh, whose low bits are the operand. */
static void ranged_command(struct platform *p, uint8_t value)
{
    struct i8042 *k = &p->i8042;

    if (value >= READ_RAM && value <= READ_RAM_LAST)
        reply(p, k->ram[value % I8042_RAM], 0);
    else if (value >= WRITE_RAM && value <= WRITE_RAM_LAST)
        k->command = value;
    else if (value >= PULSE_FIRST && !(value & OUTPUT_NO_RESET)) /* a 0 pulses that bit of the output port low */
        p->life = ABI_LIFE_REBOOT;
}

void i8042_command_write(struct platform *p, uint8_t value)
{
    struct i8042 *k = &p->i8042;

    k->command = 0;
    k->status |= STATUS_COMMAND;
    switch ((enum i8042_command)value) {
    case TEST_PASSWORD:
        reply(p, REPLY_NO_PASSWORD, 0);
        break;
    case DISABLE_AUX:
        config_change(p, 0, CONFIG_NO_AUX);
        break;
    case ENABLE_AUX:
        config_change(p, CONFIG_NO_AUX, 0);
        break;
    case SELF_TEST:
        config_change(p, 0, CONFIG_SYSTEM);
        reply(p, REPLY_SELF_TEST, 0);
        break;
    case TEST_AUX:
    case TEST_KEYBOARD:
        reply(p, REPLY_PORT_GOOD, 0);
        break;
    case DISABLE_KEYBOARD:
        config_change(p, 0, CONFIG_NO_KEYBOARD);
        break;
    case ENABLE_KEYBOARD:
        config_change(p, CONFIG_NO_KEYBOARD, 0);
        break;
    case READ_INPUT:
        reply(p, INPUT_DEFAULT, 0);
        break;
    case READ_OUTPUT:
        reply(p, k->output, 0);
        break;
    case READ_TEST:
        reply(p, 0, 0);
        break;
    case WRITE_OUTPUT:
    case ECHO_KEYBOARD:
    case ECHO_AUX:
    case WRITE_AUX:
        k->command = value;
        break;
    case READ_RAM:
    case READ_RAM_LAST:
    case WRITE_RAM:
    case WRITE_RAM_LAST:
    case PULSE_FIRST:
    default:
        ranged_command(p, value);
        break;
    }
}

uint8_t port92_read(struct platform *p)
{
    return p->i8042.port92;
}

/* The reset bit works by its rising edge. A20 is remembered only: the guest's address lines are never masked. */
void port92_write(struct platform *p, uint8_t value)
{
    if (value & ~p->i8042.port92 & PORT92_RESET)
        p->life = ABI_LIFE_REBOOT;
    p->i8042.port92 = value & (PORT92_RESET | PORT92_A20);
}

void i8042_init(struct platform *p)
{
    struct i8042 *k = &p->i8042;

    k->ram[0] = CONFIG_SYSTEM | CONFIG_NO_AUX | CONFIG_TRANSLATE;
    k->status = STATUS_SYSTEM | STATUS_UNLOCKED;
    k->output = OUTPUT_DEFAULT;
    k->port92 = PORT92_A20;
}
