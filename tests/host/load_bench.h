/* Guest memory, hand-made images and checks for the tests and the fuzzer of the image loader. */
#ifndef TESTS_HOST_LOAD_BENCH_H
#define TESTS_HOST_LOAD_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "depriv/load/load.h"

#define BENCH_MIB       0x100000ull
#define BENCH_RAM_LOW   (32 * BENCH_MIB)
#define BENCH_RAM_HIGH  0x1000000ull
#define BENCH_IMAGE_MAX 0x10000u
#define BENCH_CMDLINE   "console=ttyS0 quiet"
#define BENCH_NAME      "guest1"

/* One load: what ring 0 would set up. Guest memory is real where there is RAM and faults elsewhere. */
struct bench {
    struct abi_info info;
    struct abi_frame frame;
    struct guestmem mem;
    uint64_t touches[ABI_CAUSES];
    struct loader loader;
    struct load_words *words; /* of the loader */
    uint8_t *copy[ABI_MODULES_MAX]; /* exact heap copies of the modules: an overrun is an ASan report */
};

/* A fresh bench for a kind: RAM zeroed, command line and name set, no modules. One bench at a time; bench_end() frees it. */
struct bench *bench_begin(enum load_kind kind, uint64_t ram_low, uint64_t ram_high);
void bench_end(struct bench *b);
/* Adds a module; returns its number. The first one's line is BENCH_CMDLINE. */
unsigned bench_module(struct bench *b, const void *bytes, uint64_t size, const char *line);

/* image_load(), then what must hold of any image at all: a refusal has a line that begins with the kind, and a success
 * leaves a state that VM entry accepts, with an entry in RAM. Aborts by assert() if not. */
enum abi_status bench_load(struct bench *b);

/* Valid little images; each returns its size. */
size_t image_linux(uint8_t *to);
size_t image_linux32(uint8_t *to);     /* not relocatable, no 64-bit entry */
size_t image_elf32(uint8_t *to);       /* multiboot, three segments, one of them only bss */
size_t image_elf64(uint8_t *to);
size_t image_addresses(uint8_t *to);   /* multiboot by address fields */

/* Where the pieces of those images are. */
#define LINUX_SECTS     2u
#define LINUX_CODE      ((LINUX_SECTS + 1) * 512)
#define LINUX_CODE_SIZE 4000u          /* not a multiple of 16 */
#define LINUX_PREF      0x1000000u
#define LINUX_INIT_SIZE 0x300000u
#define MB_HEADER_ELF   0x1000u        /* multiboot header in the ELF images */
#define MB_HEADER_FLAT  0x40u          /* and in that with address fields */
#define MB_LOAD         0x100000u
#define MB_VIRTUAL      0xc0000000u    /* p_vaddr - p_paddr */
#define MB_TEXT_SIZE    0x800u
#define MB_DATA         0x200000u      /* second segment */
#define MB_DATA_FILE    0x300u
#define MB_DATA_SIZE    0x5000u
#define MB_BSS          0x300000u
#define MB_BSS_SIZE     0x1234u

void put16(uint8_t *image, size_t at, uint16_t value);
void put32(uint8_t *image, size_t at, uint32_t value);
void put64(uint8_t *image, size_t at, uint64_t value);

#endif
