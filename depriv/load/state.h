/* The first state of vcpu 0: real, 32-bit or 64-bit mode, with the GDT and page tables that it needs in guest RAM. */
#ifndef DEPRIV_LOAD_STATE_H
#define DEPRIV_LOAD_STATE_H

#include <stdint.h>

#include "depriv/load/boot.h"

enum state_mode {
    STATE_REAL,      /* 16 bits, CS base = entry & 0xf0000, all other bases 0 */
    STATE_PROTECTED, /* 32 bits, flat segments, paging off */
    STATE_LONG,      /* 64 bits, [0, 4 GiB) mapped to itself by 2 MiB pages */
    STATE_MODES
};

#define STATE_CODE_SELECTOR 0x10u /* those of the Linux boot protocol */
#define STATE_DATA_SELECTOR 0x18u
#define STATE_STACK         0x7c00u /* first stack pointer; nothing is reserved there, the guest soon sets its own */

/* Places the tables and fills in frame->state, all groups, and zeroes frame->gpr: RFLAGS = 2, interrupts off. `entry`
 * is a guest-physical address, below 1 MiB for STATE_REAL and below 4 GiB for the others. */
enum abi_status state_enter(struct boot *b, enum state_mode mode, uint64_t entry);

#endif
