/* Loading of a guest image into its memory (ABI_OP_LOAD): the one entry point, for ring 3 and for host tests.
 *
 * Ring 3, user stack of vcpu 0, before the guest has run. The image is hostile input.
 */
#ifndef DEPRIV_LOAD_LOAD_H
#define DEPRIV_LOAD_LOAD_H

#include <stdint.h>

#include "depriv/abi.h"
#include "depriv/guestmem.h"

struct loader {
    const struct abi_info *info;
    struct guestmem *mem;
    const uint8_t *module[ABI_MODULES_MAX]; /* info->module[n].size readable bytes each */
    struct abi_frame *frame;
};

/* Loads module 0 as info->kind asks, with its command line, modules, memory map and ACPI tables, and describes
 * vcpu 0's first instruction in frame->gpr and frame->state (all groups). Answers ABI_OK, or ABI_REFUSE with one
 * line in frame->text that names the field at fault; frame->status is set to the same. Guest memory outside RAM is
 * never written; what a refused image has left in RAM is not defined. */
enum abi_status image_load(struct loader *l);

#endif
