/* A vcpu with 256 KiB of RAM, logged ports and one logged device page, for the host tests of emul/. */
#ifndef TESTS_HOST_EMUL_FAKE_H
#define TESTS_HOST_EMUL_FAKE_H

#include <stdint.h>
#include <string.h>
#include "emul/emul.h"

#define FAKE_RAM    0x40000u
#define FAKE_LOG    8192u
#define FAKE_DEVICE 0xfee00000ull
#define FAKE_HOLE   0x3f000u       /* a page below FAKE_RAM that is not RAM */

struct fake_event { char kind; uint8_t size; uint64_t where, value; }; /* kind: i o (ports), r w (device) */

struct fake {
    struct emul_ctx ctx;
    struct emul_result result;
    struct emul_ops ops;
    uint64_t gpr[16];
    struct emul_state state;
    uint8_t ram[FAKE_RAM] __attribute__((aligned(4096)));
    struct fake_event log[FAKE_LOG];
    unsigned events;
    unsigned counts[EMUL_CAUSES];
    unsigned bulk;                 /* calls of the bulk port callbacks */
    unsigned lose;                 /* next cmpxchgs that fail because "another vcpu" came first */
    uint64_t next_input;
};

static inline struct fake_event *fake_add(struct fake *f, char kind, unsigned size, uint64_t where, uint64_t value)
{
    struct fake_event *e = &f->log[f->events < FAKE_LOG - 1 ? f->events++ : FAKE_LOG - 1];

    *e = (struct fake_event){ kind, size, where, value };
    return e;
}

static inline int fake_is_ram(uint64_t gpa, unsigned size)
{
    return gpa + size <= FAKE_RAM && gpa + size >= gpa && gpa / 4096 != FAKE_HOLE / 4096;
}

static inline int fake_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    struct fake *f = opaque;

    f->counts[cause]++;
    if (!fake_is_ram(gpa, size))
        return -1;
    memcpy(data, f->ram + gpa, size);
    return 0;
}

static inline int fake_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    struct fake *f = opaque;

    f->counts[cause]++;
    if (!fake_is_ram(gpa, size))
        return -1;
    memcpy(f->ram + gpa, data, size);
    return 0;
}

static inline int fake_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    struct fake *f = opaque;

    f->counts[cause]++;
    if (!fake_is_ram(gpa, size))
        return -1;
    if (f->lose) {
        f->lose--;
        return 1;
    }
    if (memcmp(f->ram + gpa, old, size))
        return 1;
    memcpy(f->ram + gpa, new_value, size);
    return 0;
}

static inline void *fake_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    struct fake *f = opaque;

    (void)write;
    f->counts[cause]++;
    return fake_is_ram(gpa, 1) ? f->ram + gpa : NULL;
}

static inline uint32_t fake_in(void *opaque, uint16_t port, unsigned size)
{
    struct fake *f = opaque;
    uint32_t value = f->next_input++;

    fake_add(f, 'i', size, port, value);
    return value;
}

static inline void fake_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    fake_add(opaque, 'o', size, port, value);
}

static inline unsigned fake_in_many(void *opaque, uint16_t port, unsigned size, void *data, unsigned count)
{
    struct fake *f = opaque;

    f->bulk++;
    for (unsigned i = 0; i < count; i++) {
        uint32_t value = fake_in(f, port, size);

        memcpy((uint8_t *)data + i * size, &value, size);
    }
    return count;
}

static inline unsigned fake_out_many(void *opaque, uint16_t port, unsigned size, const void *data, unsigned count)
{
    struct fake *f = opaque;

    f->bulk++;
    for (unsigned i = 0; i < count; i++) {
        uint32_t value = 0;

        memcpy(&value, (const uint8_t *)data + i * size, size);
        fake_out(f, port, size, value);
    }
    return count;
}

static inline uint64_t fake_mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    struct fake *f = opaque;
    uint64_t value = 0x8877665544332211ull + f->next_input++;

    fake_add(f, 'r', size, gpa, value);
    return value;
}

static inline void fake_mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    fake_add(opaque, 'w', size, gpa, value);
}

/* bits: 16 is real mode, 32 flat protected mode without paging, 64 long mode with RAM and the device page identity-mapped by
 * 2 MiB pages for supervisor and user, the device at 2 GiB less too; tables at 0x30000. CPL 0. */
static inline void fake_reset(struct fake *f, unsigned bits)
{
    uint64_t *pml4 = (uint64_t *)(f->ram + 0x30000), *pdpt = (uint64_t *)(f->ram + 0x31000);
    uint64_t *low = (uint64_t *)(f->ram + 0x32000), *high = (uint64_t *)(f->ram + 0x33000);

    memset(f, 0, sizeof(*f));
    f->ops = (struct emul_ops){ .phys_read = fake_read, .phys_write = fake_write, .phys_cmpxchg = fake_cmpxchg, .phys_map = fake_map,
                                .port_in = fake_in, .port_out = fake_out, .port_read_many = fake_in_many, .port_write_many = fake_out_many,
                                .mmio_read = fake_mmio_read, .mmio_write = fake_mmio_write };
    f->ctx = (struct emul_ctx){ .gpr = f->gpr, .state = &f->state, .have = ~0u, .phys_bits = 39, .features = EMUL_HAS_1G, .ops = &f->ops,
                                .opaque = f, .cr4_valid = ~0ull, .efer_valid = ~0ull };
    f->state.rflags = 2;
    f->state.rsp = 0x8000;
    for (unsigned i = 0; i < 6; i++)
        f->state.seg[i] = (struct emul_segment){ .limit = bits == 16 ? 0xffff : 0xffffffff, .attr = (i == EMUL_CS ? 0x9b : 0x93) |
                                           (bits == 32 ? 0xc000 : 0) | (bits == 64 ? i == EMUL_CS ? 0xa000 : 0xc000 : 0) };
    f->state.cr0 = bits == 16 ? 0 : 1;
    if (bits != 64)
        return;
    f->state.cr0 = 0x80010001;
    f->state.cr4 = 0x20;
    f->state.efer = 0xd00;
    f->state.cr3 = 0x30000;
    pml4[0] = 0x31067;
    pdpt[0] = 0x32067;
    pdpt[1] = pdpt[3] = 0x33067;
    low[0] = 0xe7;
    high[0x1f7] = (FAKE_DEVICE & ~0x1fffffull) | 0xe7;
}

static inline void fake_code(struct fake *f, uint64_t at, const void *bytes, unsigned count)
{
    memcpy(f->ram + at, bytes, count);
    f->state.rip = at;
}

#endif
