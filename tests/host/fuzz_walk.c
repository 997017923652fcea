/* libFuzzer target: the page walker against a walker written straight from the tables of SDM 3A 4.3 to 4.6, on page tables from the input.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -Iemul \
 *       tests/host/fuzz_walk.c emul/walk.c -o OUT/fuzz_walk && OUT/fuzz_walk -max_total_time=60 -max_len=128
 *
 * The reference asks for one thing at a time and keeps no common code with the library. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "emul/emul.h"
#include "emul/state.h"
#include "emul/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLE   4096u
#define TABLES  6u                 /* at gpa 0: one for each level */
#define RAM     (TABLES * TABLE)

static struct input {
    uint64_t linear, cr3_low;
    uint64_t entry[TABLES];        /* by level: [1] is the last */
    uint32_t pkru;
    uint8_t mode, rights, access, phys_bits, features, order;
} in;

static uint8_t ram[RAM] __attribute__((aligned(4096))), after[RAM];
static struct emul_state state;
static unsigned hooks;             /* bit 0: no direct pointers */

static void check(int holds)
{
    if (!holds)
        __builtin_trap();
}

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    (void)opaque;
    check(cause == EMUL_FOR_WALK);
    if (gpa + size > RAM || gpa + size < gpa)
        return -1;
    memcpy(data, ram + gpa, size);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    (void)opaque;
    check(cause == EMUL_FOR_WALK && !(gpa & (size - 1)));
    if (gpa + size > RAM || gpa + size < gpa)
        return -1;
    if (memcmp(ram + gpa, old, size))
        return 1;
    memcpy(ram + gpa, new_value, size);
    return 0;
}

static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    (void)opaque, (void)write, (void)cause;
    return gpa < RAM ? ram + gpa : NULL;
}

/* ---- The reference -------------------------------------------------------------------------------------------------------------------- */
enum { LEGACY, LEGACY_PSE, PAE, FOUR, FIVE };

struct answer { int fault; uint32_t error; uint64_t gpa; };
static int unfit; /* PAE's pointers lie in a table whose flags are set: the CPU has them in registers, the library reads them again */

static uint64_t read_reference(uint64_t gpa, unsigned size)
{
    uint64_t value = size == 8 ? ~0ull : 0xffffffff;

    if (gpa < RAM && gpa + size <= RAM)
        memcpy(&value, ram + gpa, size == 8 ? 8 : 4);
    return value;
}

static uint64_t bits(unsigned high, unsigned low) /* of a mask */
{
    return (~0ull >> (63 - high)) & (~0ull << low);
}

/* Reserved bits of a present entry (SDM 3A tables 4-4 to 4-6, 4-8 to 4-11, 4-14 to 4-20). level: 1 maps 4 KiB. */
static int has_reserved(unsigned format, unsigned level, uint64_t entry, unsigned phys_bits, int has_1g, int nxe)
{
    int large = level > 1 && (entry >> 7 & 1);

    if (format == LEGACY)
        return 0;
    if (format == LEGACY_PSE) {
        unsigned m = phys_bits < 40 ? phys_bits : 40;

        if (level != 2 || !large)
            return 0;
        return (entry & bits(21, 21)) || (m < 40 && (entry & bits(20, m - 19)));
    }
    if (phys_bits < 52 && (entry & bits(51, phys_bits)))
        return 1;
    if ((entry >> 63) && (!nxe || (format == PAE && level == 3)))
        return 1;
    if (format == PAE) {
        if (entry & bits(62, 52))
            return 1;
        if (level == 3)
            return (entry & (bits(2, 1) | bits(8, 6))) != 0; /* and bit 5, which the library lets pass for the sake of TCG */
        return level == 2 && large && (entry & bits(20, 13));
    }
    if (level >= 4)
        return entry >> 7 & 1;
    if (level == 3 && large)
        return !has_1g || (entry & bits(29, 13));
    return level == 2 && large && (entry & bits(20, 13));
}

static struct answer denied(uint32_t error, unsigned access)
{
    struct answer a = { 1, error, 0 };

    a.error |= access & EMUL_PF_W ? 2 : 0;
    a.error |= access & EMUL_PF_U ? 4 : 0;
    if ((access & EMUL_PF_FETCH) && ((state.cr4 & CR4_SMEP) || ((state.efer & EFER_NXE) && (state.cr4 & CR4_PAE))))
        a.error |= 16;
    return a;
}

/* SDM 3A 4.6.1: may the access be made? */
static int permitted(unsigned access, int user_page, int writable, int no_execute)
{
    int user = !!(access & EMUL_PF_U), implicit = !!(access & EMUL_IMPLICIT);

    if (access & EMUL_PF_FETCH) {
        if (no_execute)
            return 0;
        return user ? user_page : !(user_page && (state.cr4 & CR4_SMEP));
    }
    if (user && !user_page)
        return 0;
    if (!user && user_page && (state.cr4 & CR4_SMAP) && (implicit || !(state.rflags & RFLAGS_AC)))
        return 0;
    if (!(access & EMUL_PF_W))
        return 1;
    return writable || (!user && !(state.cr0 & CR0_WP));
}

/* SDM 3A 4.6.2 */
static int key_permits(unsigned access, int user_page, unsigned key, uint32_t pkru)
{
    if (!(state.cr4 & CR4_PKE) || !(state.efer & EFER_LMA) || !user_page || (access & EMUL_PF_FETCH))
        return 1;
    if (pkru >> (key * 2) & 1)
        return 0;
    return !((pkru >> (key * 2 + 1) & 1) && (access & EMUL_PF_W) && ((access & EMUL_PF_U) || (state.cr0 & CR0_WP)));
}

static struct answer walk_reference(const struct emul_ctx *ctx, unsigned access)
{
    static const uint8_t levels[] = { [LEGACY] = 2, [LEGACY_PSE] = 2, [PAE] = 3, [FOUR] = 4, [FIVE] = 5 };
    unsigned format = state.efer & EFER_LMA ? (state.cr4 & CR4_LA57 ? FIVE : FOUR) : state.cr4 & CR4_PAE ? PAE :
                      state.cr4 & CR4_PSE ? LEGACY_PSE : LEGACY;
    unsigned level = levels[format], width = format >= PAE ? 9 : 10, bytes = format >= PAE ? 8 : 4;
    uint64_t table = format >= FOUR ? state.cr3 & bits(51, 12) : format == PAE ? state.cr3 & bits(31, 5) : state.cr3 & bits(31, 12);
    uint64_t at[6] = { 0 }, entry = 0;
    int user_page = 1, writable = 1, no_execute = 0;
    unsigned shift = 12, top = level;

    for (;; level--) {
        uint64_t index = in.linear >> (12 + width * (level - 1)) & ((1u << width) - 1);
        int large;

        if (format == PAE && level == 3)
            index = in.linear >> 30 & 3;
        at[level] = table + index * bytes;
        entry = read_reference(at[level], bytes);
        if (!(entry & 1))
            return denied(0, access);
        if (has_reserved(format, level, entry, ctx->phys_bits, ctx->features & EMUL_HAS_1G, !!(state.efer & EFER_NXE)))
            return denied(9, access);
        if (!(format == PAE && level == 3)) {
            writable &= entry >> 1 & 1;
            user_page &= entry >> 2 & 1;
            no_execute |= bytes == 8 && entry >> 63;
        }
        large = level > 1 && (entry >> 7 & 1) && format != LEGACY && !(format == PAE && level == 3);
        if (level == 1 || large)
            break;
        table = bytes == 8 ? entry & bits(51, 12) : entry & bits(31, 12);
    }
    shift = 12 + width * (level - 1);
    if (!key_permits(access, user_page, entry >> 59 & 15, ctx->pkru))
        return denied(1 | 32, access);
    if (!permitted(access, user_page, writable, no_execute))
        return denied(1, access);
    for (unsigned i = top; i >= level; i--) {          /* SDM 3A 4.8 */
        if ((format == PAE && i == 3) || at[i] + bytes > RAM)
            continue;
        unfit |= format == PAE && at[i] / TABLE == at[3] / TABLE;
        after[at[i]] |= 0x20 | (i == level && (access & EMUL_PF_W) ? 0x40 : 0);
    }
    entry &= bytes == 8 ? bits(51, 12) : bits(31, 12);
    if (format == LEGACY_PSE && level == 2)
        entry = (entry & bits(31, 22)) | (read_reference(at[2], 4) >> 13 & 0xff) << 32;
    return (struct answer){ 0, 0, (entry & ~bits(shift - 1, 0)) | (in.linear & bits(shift - 1, 0)) };
}

/* ---- The comparison ------------------------------------------------------------------------------------------------------------------------ */
static void set_state(void)
{
    memset(&state, 0, sizeof(state));
    state.cr0 = CR0_PE | CR0_PG | (in.rights & 1 ? CR0_WP : 0);
    state.cr4 = (in.rights & 2 ? CR4_SMEP : 0) | (in.rights & 4 ? CR4_SMAP : 0) | (in.rights & 8 ? CR4_PKE : 0);
    state.rflags = RFLAGS_1 | (in.rights & 16 ? RFLAGS_AC : 0);
    state.efer = in.rights & 32 ? EFER_NXE : 0;
    state.cr3 = (in.order % TABLES) * TABLE | (in.cr3_low & 0xfe0);
    switch (in.mode % 5) {
    case LEGACY: break;
    case LEGACY_PSE: state.cr4 |= CR4_PSE; break;
    case PAE: state.cr4 |= CR4_PAE; break;
    case FIVE: state.cr4 |= CR4_LA57; /* fall through */
    default: state.cr4 |= CR4_PAE; state.efer |= EFER_LME | EFER_LMA; break;
    }
    if (in.mode % 5 < FOUR)
        in.linear = (uint32_t)in.linear;
}

/* Tables in the order of levels, each filled with one entry; whether it leads on to a table, the input says. */
static void set_tables(void)
{
    unsigned bytes = in.mode % 5 < PAE ? 4 : 8;

    for (unsigned t = 0; t < TABLES; t++)
        for (unsigned i = 0; i < TABLE; i += bytes)
            memcpy(ram + t * TABLE + i, &in.entry[t], bytes);
    memcpy(after, ram, RAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emul_ops ops = { .phys_read = phys_read, .phys_cmpxchg = phys_cmpxchg };
    struct emul_ctx ctx = { .state = &state, .have = ~0u, .ops = &ops };
    struct emul_result result;
    struct answer want;
    unsigned access;
    uint64_t gpa = 0;
    int status;

    if (size < sizeof(in))
        return 0;
    memcpy(&in, data, sizeof(in));
    hooks = in.mode / 5;
    if (!(hooks & 1))
        ops.phys_map = phys_map;
    set_state();
    set_tables();
    ctx.phys_bits = 32 + in.phys_bits % 21;
    ctx.features = in.features & EMUL_HAS_1G;
    ctx.pkru = in.pkru;
    access = (in.access & 1 ? EMUL_PF_W : 0) | (in.access & 2 ? EMUL_PF_U : 0) | (in.access & 4 ? EMUL_IMPLICIT : 0);
    if (in.access & 8)
        access = EMUL_PF_FETCH | (access & EMUL_PF_U);
    if (access & EMUL_IMPLICIT)
        access &= ~(EMUL_PF_U | EMUL_PF_FETCH);
    unfit = 0;
    want = walk_reference(&ctx, access);
    if (unfit)
        return 0;
    emul_begin(&ctx);
    status = emul_walk(&ctx, in.linear, access, &gpa, &result);
    if (want.fault)
        check(status == EMUL_FAULT && result.vector == EMUL_VECTOR_PF && result.error == want.error && result.cr2 == in.linear);
    else
        check(status == EMUL_DONE && gpa == want.gpa);
    check(!memcmp(ram, after, RAM));
    return 0;
}
