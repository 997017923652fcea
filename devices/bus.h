/* The I/O port space: which device answers which ports. */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <stdbool.h>
#include <stdint.h>

/* One row for each range of ports, in the order of bus_rows[]. */
enum bus_row_id {
    BUS_NONE, /* unclaimed: reads all ones, writes dropped */
    BUS_PIC_MASTER,
    BUS_PIT,
    BUS_KBD_DATA,
    BUS_PORT61,
    BUS_KBD_COMMAND,
    BUS_RTC,
    BUS_POST,
    BUS_PORT92,
    BUS_PIC_SLAVE,
    BUS_DEBUGCON,
    BUS_COM1,
    BUS_ELCR,
    BUS_PVPANIC,
    BUS_ACPIPM,
    BUS_PCI,
    BUS_ROWS
};

struct bus_row {
    const char *name;
    uint16_t first, last;
    bool wide; /* takes accesses of 2 and 4 bytes whole; the others see them one byte at a time, as on ISA */
};
extern const struct bus_row bus_rows[BUS_ROWS];

/* Port to row, in two steps: ports cluster in few of the 256 blocks, so the whole map is 2 KiB. */
#define BUS_LEAVES 8u
struct bus {
    uint8_t leaf[256];              /* by the high byte of the port; leaf 0 is all unclaimed */
    uint8_t row[BUS_LEAVES][256];   /* by the low byte */
    uint64_t accesses[BUS_ROWS];    /* a split access counts once for each byte */
};

void bus_init(struct bus *b);

#endif
