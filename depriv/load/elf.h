/* ELF executables, 32 and 64 bits, as guest images: segments to their physical addresses. */
#ifndef DEPRIV_LOAD_ELF_H
#define DEPRIV_LOAD_ELF_H

#include <stdint.h>

#include "depriv/load/boot.h"

/* Loads module 0's PT_LOAD segments; answers the guest-physical entry and the end of the highest segment. */
enum abi_status elf_load(struct boot *b, uint64_t *entry, uint64_t *end);

#endif
