/* libFuzzer target: the input is an image, raw or as patches to a valid one, and how it is asked to be loaded.
 *
 *   iasl -p OUT/dsdt -tc depriv/load/dsdt.asl
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -IOUT \
 *       tests/host/fuzz_load.c tests/host/load_bench.c depriv/load/[a-z]*.c depriv/words.c depriv/format.c depriv/guestmem.c \
 *       -o OUT/fuzz_load && OUT/fuzz_load -max_total_time=60 -max_len=8192
 */
#include <string.h>

#include "tests/host/load_bench.h"

#define CONTROL 12u /* bytes that say how */
#define PATCH   8u  /* each: offset (2), bytes (1), what (1), value (4) */

static uint8_t image[BENCH_IMAGE_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A valid image with fields overwritten: 1 to 8 bytes each, 32-bit values sign-extended if bit 0 of `what` is set. */
static size_t patch_image(size_t full, const uint8_t *data, size_t size)
{
    for (; size >= PATCH; data += PATCH, size -= PATCH) {
        size_t at = (data[0] | (size_t)data[1] << 8) % full, bytes = data[2] % 8 + 1u;
        int32_t low;
        uint64_t value;

        memcpy(&low, data + 4, sizeof(low));
        value = data[3] & 1 ? (uint64_t)(int64_t)low : (uint32_t)low;
        if (data[3] & 2)
            value = (value & 0xff) << 24; /* addresses with few bits set are the interesting ones */
        if (at + bytes <= full)
            memcpy(image + at, &value, bytes);
    }
    return full;
}

/* A multiboot header's checksum made right, so that the fuzzer gets beyond it. */
static void repair_checksum(size_t full)
{
    uint32_t magic, flags;

    for (size_t at = 0; at + 12 <= full; at += 4) {
        memcpy(&magic, image + at, sizeof(magic));
        memcpy(&flags, image + at + 4, sizeof(flags));
        if (magic == 0x1badb002)
            put32(image, at + 8, 0u - magic - flags);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t (*const makers[])(uint8_t *to) = { image_linux, image_linux32, image_elf32, image_elf64, image_addresses };
    static const enum load_kind kinds[] = { LOAD_KIND_LINUX, LOAD_KIND_LINUX, LOAD_KIND_MULTIBOOT, LOAD_KIND_MULTIBOOT,
                                           LOAD_KIND_MULTIBOOT, LOAD_KIND_FLAT };
    unsigned which;
    size_t full;
    struct bench *b;

    if (size < CONTROL)
        return 0;
    which = data[0] % 6;
    b = bench_begin(kinds[which], data[2] & 1 ? BENCH_RAM_LOW : 0x400000, data[2] & 2 ? BENCH_RAM_HIGH : 0);
    if (data[1] & 1 && which < 5) {
        full = patch_image(makers[which](image), data + CONTROL, size - CONTROL);
    } else {
        full = size - CONTROL < sizeof(image) ? size - CONTROL : sizeof(image);
        memcpy(image, data + CONTROL, full);
    }
    repair_checksum(full);
    if (data[1] & 2)
        full -= full < data[3] ? full : data[3];
    bench_module(b, image, full, "");
    b->words->has_initrd = data[1] >> 2 & 1;
    for (unsigned i = 0; i < (data[1] >> 3 & 3u); i++)
        bench_module(b, image, (size_t)data[4] << 4, i ? "" : "module");
    b->words->bits = 16u << (data[1] >> 5 & 3);
    memcpy(&b->words->load, data + 4, 4);
    b->words->load <<= data[8] % 40;
    b->words->entry = b->words->load + data[9];
    bench_load(b);
    bench_end(b);
    return 0;
}
