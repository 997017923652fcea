/* Loading of a guest image into its memory (ABI_OP_LOAD): the one entry point, for ring 3 and for host tests.
 *
 * Ring 3, user stack of vcpu 0, before the guest has run. The image is hostile input.
 */
#ifndef DEPRIV_LOAD_LOAD_H
#define DEPRIV_LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "depriv/abi.h"
#include "depriv/guestmem.h"

enum load_kind { LOAD_KIND_LINUX, LOAD_KIND_MULTIBOOT, LOAD_KIND_PVH, LOAD_KIND_FLAT, LOAD_KIND_FIRMWARE, LOAD_KINDS };

struct load_module {
    const uint8_t *bytes;   /* size of them can be read */
    uint64_t size;
    const char *line;       /* what is behind "--" */
};

struct load_words {         /* what the lines of the modules say (words.h) */
    uint32_t kind;          /* enum load_kind */
    uint32_t bits;          /* flat: 16, 32 or 64 */
    uint64_t load, entry;   /* flat: guest-physical load address and entry */
    char domain[32];
    bool has_initrd;        /* module 1 */
    uint32_t modules;       /* 0: the image */
    struct load_module module[ABI_MODULES_MAX];
};

struct loader {
    const struct abi_info *info;
    struct guestmem *mem;
    struct abi_frame *frame;
    struct load_words words;
};

/* Loads module 0 as words.kind asks, with its command line, modules, memory map and ACPI tables, and describes
 * vcpu 0's first instruction in frame->gpr and frame->state (all groups). Answers ABI_OK, or ABI_REFUSE with one
 * line in frame->text that names the field at fault; frame->status is set to the same. Guest memory outside RAM is
 * never written; what a refused image has left in RAM is not defined. */
enum abi_status image_load(struct loader *l);

#endif
