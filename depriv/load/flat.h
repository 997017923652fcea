/* Image kind `flat`: raw bytes at info->load, entered at info->entry in 16-, 32- or 64-bit mode. */
#ifndef DEPRIV_LOAD_FLAT_H
#define DEPRIV_LOAD_FLAT_H

#include "depriv/load/boot.h"

enum abi_status flat_load(struct boot *b);

#endif
