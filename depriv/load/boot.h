/* What every image kind needs while it is loaded: refusal lines, and a list of the guest memory already spoken for. */
#ifndef DEPRIV_LOAD_BOOT_H
#define DEPRIV_LOAD_BOOT_H

#include <stdint.h>

#include "depriv/load/load.h"

#define BOOT_RANGES    64u       /* claimed ranges: image segments, modules, tables */
#define BOOT_PAGE      0x1000ull
#define BOOT_MIB       0x100000ull

/* Fixed places of a PC's first MiB. Tables of the loader go to the top of [BOOT_LOW_START, BOOT_EBDA). */
#define BOOT_LOW_START 0x1000ull  /* below it: the real-mode vectors and the BIOS data area */
#define BOOT_EBDA      0x9fc00ull /* 1 KiB extended BIOS data area, up to the hole */
#define BOOT_ACPI      0xe0000ull /* ACPI tables, up to 1 MiB: where a guest looks for the RSDP (ACPI 5.2.5.1) */

struct boot_range {
    uint64_t start, end;
    const char *what;
};

struct boot {
    struct loader *loader;
    struct guestmem *mem;
    const char *kind;     /* begins each refusal line */
    const uint8_t *image; /* module 0 */
    uint64_t size;
    uint64_t rsdp;        /* where the ACPI tables begin */
    struct boot_range range[BOOT_RANGES];
    unsigned ranges;
};

/* Writes "<kind>: ..." to frame->text and returns ABI_REFUSE. */
enum abi_status boot_refuse(struct boot *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Takes [start, start + len) for `what`. Refuses if that is not RAM below 4 GiB or is taken already. */
enum abi_status boot_claim(struct boot *b, uint64_t start, uint64_t len, const char *what);

/* Finds, takes and answers in *gpa `len` free bytes of RAM within [min, max), aligned to a power of two: the highest
 * or the lowest such place. The range must lie in one piece of RAM; refuses if there is none. */
enum abi_status boot_place_high(struct boot *b, const char *what, uint64_t len, uint64_t align, uint64_t min, uint64_t max, uint64_t *gpa);
enum abi_status boot_place_low(struct boot *b, const char *what, uint64_t len, uint64_t align, uint64_t min, uint64_t max, uint64_t *gpa);

/* Places `len` bytes at the top of conventional memory; bytes NULL: zeroes, which the caller writes over. */
enum abi_status boot_place_table(struct boot *b, const char *what, const void *bytes, uint64_t len, uint64_t align, uint64_t *gpa);
/* The same for a NUL-ended string. */
enum abi_status boot_place_string(struct boot *b, const char *what, const char *text, uint64_t *gpa);

#endif
