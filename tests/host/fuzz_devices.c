/* libFuzzer target: the input is a stream of accesses, clock steps and host events on one platform.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
 *       tests/host/fuzz_devices.c devices/[a-z]*.c -o OUT/fuzz_devices && OUT/fuzz_devices -max_total_time=60 -max_len=4096
 */
#include <stdlib.h>

#include "devices/platform.h"

#define RECORD 8u

struct fuzz {
    struct platform p; /* first */
    uint64_t tsc;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t fuzz_clock(struct platform *p)
{
    return ((struct fuzz *)p)->tsc;
}

/* Bytes 0: what; 1: where in the row, or a shift; 2-3: port or row; 4-7: value. */
static void record_run(struct fuzz *f, const uint8_t *r)
{
    static const uint8_t sizes[4] = { 1, 1, 2, 4 };
    uint32_t value = r[4] | r[5] << 8 | r[6] << 16 | (uint32_t)r[7] << 24;
    const struct bus_row *row = &bus_rows[r[2] % BUS_ROWS];
    unsigned span = row->last >= row->first ? row->last - row->first + 1u : 1;
    uint16_t port = r[0] & 0x80 ? (uint16_t)(r[2] | r[3] << 8) : (uint16_t)(row->first + r[1] % span);
    unsigned size = sizes[r[0] >> 5 & 3];

    switch (r[0] & 7) {
    case 0:
        f->tsc += (uint64_t)value << (r[1] & 15);
        platform_timer(&f->p);
        if (f->p.deadline <= f->tsc)
            abort();
        break;
    case 1:
        f->tsc += value;
        break;
    case 2:
        platform_intack(&f->p);
        break;
    case 3:
        platform_input(&f->p, r, r[1] % (RECORD + 1));
        break;
    case 4:
        f->p.out_len = 0;
        platform_output_room(&f->p, value & 511);
        break;
    case 5:
        platform_port_read(&f->p, port, size);
        break;
    default:
        platform_port_write(&f->p, port, size, value);
        break;
    }
    if (f->p.out_len > PLATFORM_OUT || f->p.input_wanted != (platform_input_room(&f->p) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz f;
    static const struct platform_config config = { .tsc_khz = 2400000, .wall = 1700000000, .ram_low = 1u << 30 };

    f.tsc = 1u << 20;
    f.p.clock = fuzz_clock;
    platform_init(&f.p, &config, f.tsc);
    for (size_t at = 0; at + RECORD <= size; at += RECORD)
        record_run(&f, data + at);
    return 0;
}
