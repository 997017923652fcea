/* Image kind `multiboot`: the Multiboot Specification 0.6.96, ELF or address fields, entered in 32-bit protected mode. */
#ifndef DEPRIV_LOAD_MULTIBOOT_H
#define DEPRIV_LOAD_MULTIBOOT_H

#include "depriv/load/boot.h"

enum abi_status multiboot_load(struct boot *b);

#endif
