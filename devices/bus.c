/* The port space: from a port to its device, and accesses of 2 and 4 bytes to devices of one byte. */
#include "devices/bus.h"
#include "devices/platform.h"

#define PORT_LAST 0xffffu

const struct bus_row bus_rows[BUS_ROWS] = {
    [BUS_NONE]        = { "unclaimed",      1,      0,      true },
    [BUS_PIC_MASTER]  = { "8259 master",    0x020,  0x021,  false },
    [BUS_PIT]         = { "8254",           0x040,  0x043,  false },
    [BUS_KBD_DATA]    = { "i8042 data",     0x060,  0x060,  false },
    [BUS_PORT61]      = { "port 61h",       0x061,  0x061,  false },
    [BUS_KBD_COMMAND] = { "i8042 command",  0x064,  0x064,  false },
    [BUS_RTC]         = { "rtc",            0x070,  0x071,  false },
    [BUS_POST]        = { "post code",      0x080,  0x080,  false },
    [BUS_PORT92]      = { "port 92h",       0x092,  0x092,  false },
    [BUS_PIC_SLAVE]   = { "8259 slave",     0x0a0,  0x0a1,  false },
    [BUS_DEBUGCON]    = { "debug console",  0x0e9,  0x0e9,  false },
    [BUS_COM1]        = { "com1",           0x3f8,  0x3ff,  false },
    [BUS_ELCR]        = { "elcr",           0x4d0,  0x4d1,  false },
    [BUS_PVPANIC]     = { "pvpanic",        PVPANIC_PORT, PVPANIC_PORT, false },
    [BUS_ACPIPM]      = { "acpi pm",        ACPIPM_EVENT_PORT, ACPIPM_LAST_PORT, true },
    [BUS_PCI]         = { "pci and reset",  0xcf8,  0xcff,  true },
};

/* A switch and not pointers in the rows: built with -fno-jump-tables, it leaves no indirect branch on the way to a device. */
static inline __attribute__((always_inline)) uint8_t byte_read(struct platform *p, unsigned row, uint16_t port)
{
    switch ((enum bus_row_id)row) {
    case BUS_PIC_MASTER:
    case BUS_PIC_SLAVE:
        return pic_read(p, row == BUS_PIC_SLAVE, port & 1);
    case BUS_PIT:
        return pit_read(p, port & 3);
    case BUS_KBD_DATA:
        return i8042_data_read(p);
    case BUS_PORT61:
        return port61_read(p);
    case BUS_KBD_COMMAND:
        return i8042_status_read(p);
    case BUS_RTC:
        return rtc_read(p, port & 1);
    case BUS_POST:
        return post_read(p);
    case BUS_PORT92:
        return port92_read(p);
    case BUS_DEBUGCON:
        return debugcon_read(p);
    case BUS_COM1:
        return uart_read(p, &p->com1, port & 7);
    case BUS_ELCR:
        return elcr_read(p, port & 1);
    case BUS_PVPANIC:
        return pvpanic_read(p);
    case BUS_ACPIPM:
        return (uint8_t)acpipm_read(p, port, 1);
    case BUS_PCI:
        return (uint8_t)pci_read(p, port, 1);
    case BUS_NONE:
    case BUS_ROWS:
    default:
        return 0xff;
    }
}

static inline __attribute__((always_inline)) void byte_write(struct platform *p, unsigned row, uint16_t port, uint8_t value)
{
    switch ((enum bus_row_id)row) {
    case BUS_PIC_MASTER:
    case BUS_PIC_SLAVE:
        pic_write(p, row == BUS_PIC_SLAVE, port & 1, value);
        break;
    case BUS_PIT:
        pit_write(p, port & 3, value);
        break;
    case BUS_KBD_DATA:
        i8042_data_write(p, value);
        break;
    case BUS_PORT61:
        port61_write(p, value);
        break;
    case BUS_KBD_COMMAND:
        i8042_command_write(p, value);
        break;
    case BUS_RTC:
        rtc_write(p, port & 1, value);
        break;
    case BUS_POST:
        post_write(p, value);
        break;
    case BUS_PORT92:
        port92_write(p, value);
        break;
    case BUS_DEBUGCON:
        debugcon_write(p, value);
        break;
    case BUS_COM1:
        uart_write(p, &p->com1, port & 7, value);
        break;
    case BUS_ELCR:
        elcr_write(p, port & 1, value);
        break;
    case BUS_PVPANIC:
        pvpanic_write(p, value);
        break;
    case BUS_ACPIPM:
        acpipm_write(p, port, 1, value);
        break;
    case BUS_PCI:
        pci_write(p, port, 1, value);
        break;
    case BUS_NONE:
    case BUS_ROWS:
    default:
        break;
    }
}

static unsigned row_of(const struct platform *p, uint32_t port)
{
    if (port > PORT_LAST) /* a wide access at the last port runs out of the space; nothing is there */
        return BUS_NONE;
    return p->bus.row[p->bus.leaf[port >> 8] % BUS_LEAVES][port & 0xff];
}

/* How many bytes from `port` on the device at `port` takes in one go. */
static unsigned run_length(const struct platform *p, unsigned row, uint32_t port, unsigned most)
{
    unsigned n = 1;

    if (!bus_rows[row].wide)
        return 1;
    while (n < most && row_of(p, port + n) == row)
        n++;
    return n;
}

static uint32_t wide_read(struct platform *p, unsigned row, uint16_t port, unsigned size)
{
    if (row == BUS_ACPIPM)
        return acpipm_read(p, port, size);
    return row == BUS_PCI ? pci_read(p, port, size) : 0xffffffffu;
}

static void wide_write(struct platform *p, unsigned row, uint16_t port, unsigned size, uint32_t value)
{
    if (row == BUS_ACPIPM)
        acpipm_write(p, port, size, value);
    else if (row == BUS_PCI)
        pci_write(p, port, size, value);
}

static uint32_t low_bytes(uint32_t value, unsigned n)
{
    return n >= 4 ? value : value & ((1u << 8 * n) - 1);
}

/* Sizes 2 and 4, lowest address first, as the bus does it; any other size is cut at 4. Kept out of line: the accesses of one byte
 * then save no registers for it. */
static __attribute__((noinline)) uint32_t split_read(struct platform *p, uint16_t port, unsigned size)
{
    uint32_t value = 0;
    unsigned n, row;

    if (size > 4)
        size = 4;
    for (unsigned i = 0; i < size; i += n) {
        row = row_of(p, (uint32_t)port + i);
        n = run_length(p, row, (uint32_t)port + i, size - i);
        p->bus.accesses[row] += n;
        value |= low_bytes(n > 1 ? wide_read(p, row, (uint16_t)(port + i), n) : byte_read(p, row, (uint16_t)(port + i)), n) << 8 * i;
    }
    return value;
}

static __attribute__((noinline)) void split_write(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
    unsigned n, row;

    if (size > 4)
        size = 4;
    for (unsigned i = 0; i < size; i += n) {
        row = row_of(p, (uint32_t)port + i);
        n = run_length(p, row, (uint32_t)port + i, size - i);
        p->bus.accesses[row] += n;
        if (n > 1)
            wide_write(p, row, (uint16_t)(port + i), n, low_bytes(value >> 8 * i, n));
        else
            byte_write(p, row, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
    }
}

uint32_t platform_port_read(struct platform *p, uint16_t port, unsigned size)
{
    unsigned row;

    if (size != 1)
        return split_read(p, port, size);
    row = row_of(p, port);
    p->bus.accesses[row]++;
    return byte_read(p, row, port);
}

void platform_port_write(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
    unsigned row;

    if (size != 1) {
        split_write(p, port, size, value);
        return;
    }
    row = row_of(p, port);
    p->bus.accesses[row]++;
    byte_write(p, row, port, (uint8_t)value);
}

void bus_init(struct bus *b)
{
    unsigned leaves = 1;

    for (unsigned row = BUS_NONE + 1; row < BUS_ROWS; row++) {
        for (unsigned port = bus_rows[row].first; port <= bus_rows[row].last; port++) {
            if (!b->leaf[port >> 8] && leaves < BUS_LEAVES)
                b->leaf[port >> 8] = (uint8_t)leaves++;
            if (b->leaf[port >> 8]) /* without a leaf left, the port stays unclaimed: the host test reads the map back */
                b->row[b->leaf[port >> 8]][port & 0xff] = (uint8_t)row;
        }
    }
}
