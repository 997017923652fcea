/* Ring 3: one operation, from the frame page to the device, loader or emulator that serves it, and back to the frame page.
 * Runs on the user stack of the vcpu that trapped, interrupts on, preemptible anywhere. Entered from ustart.asm. */
#include "depriv/clock.h"
#include "depriv/explain.h"
#include "depriv/guestcpu.h"
#include "depriv/guestmem.h"
#include "depriv/load/load.h"
#include "depriv/load/words.h"
#include "depriv/runtime.h"
#include "depriv/uinsn.h"
#include "devices/platform.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);

_Static_assert(offsetof(struct abi_info, domid) == 8 && offsetof(struct abi_info, cpu) == 20 &&
               offsetof(struct abi_info, call) == 3784, "ustart.asm knows these");

#define UART_COM1 0x3f8u /* its data register */

static struct platform platform;
static struct guestmem mem;
static bool input_left; /* ring 0 holds more console bytes than the last read took */

static uint64_t clock_tsc(struct platform *p)
{
    uint32_t a, d;
    (void)p;
    __asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
    return (uint64_t)d << 32 | a;
}

static uint64_t timer_told = ABI_TIMER_NEVER; /* the deadline that ring 0 has */

/* What the devices want of ring 0, said in notes on the status. */
static __attribute__((noinline)) void reply_notes(struct abi_frame *f)
{
    uint32_t notes = platform.intr ? ABI_NOTE_INTR : 0;
    if (platform.out_len) {
        bool full = platform.out_len == platform.room;
        memcpy(f->console, platform.out, platform.out_len);
        f->console_len = platform.out_len;
        platform.out_len = 0;
        notes |= ABI_NOTE_CONSOLE;
        if (full)
            platform_output_room(&platform, ABI_CONSOLE_BYTES);
    }
    if (platform.life) {
        f->life = platform.life;
        notes |= ABI_NOTE_LIFE;
    }
    if (platform.deadline != timer_told) {
        f->timer = timer_told = platform.deadline;
        notes |= ABI_NOTE_TIMER;
    }
    f->status |= notes;
}

static void op_port(struct abi_frame *f)
{
    if (f->flags & ABI_PORT_IN) {
        uint32_t value = platform_port_read(&platform, f->port, f->size);
        if (f->size == 1)
            *(uint8_t *)&f->gpr[ABI_RAX] = (uint8_t)value;
        else if (f->size == 2)
            *(uint16_t *)&f->gpr[ABI_RAX] = (uint16_t)value;
        else /* a 32-bit result clears the upper half (SDM 1 3.4.1.1) */
            f->gpr[ABI_RAX] = value;
    } else {
        platform_port_write(&platform, f->port, f->size, (uint32_t)f->gpr[ABI_RAX]);
    }
}

static void op_load(struct abi_frame *f, const struct abi_info *info)
{
    struct platform_config config = { info->tsc_khz, clock_seconds(info->clock), info->ram_low, info->ram_high };
    struct loader loader = { .info = info, .mem = &mem, .frame = f };
    uint64_t now = clock_tsc(&platform);
    config.wall += (int64_t)((now - info->boot_tsc) / (info->tsc_khz * 1000));
    platform.clock = clock_tsc;
    platform_init(&platform, &config, now);
    platform_output_room(&platform, ABI_CONSOLE_BYTES);
    mem = (struct guestmem){
        .base = (uint8_t *)ABI_GUEST_BASE, .ram_low = info->ram_low, .ram_high = info->ram_high, .count = f->touches, .policy = info->guestmem,
        .info = info, .frame = f, .call = abi_call3, .window = (uint8_t *)ABI_WINDOW_BASE, /* of vcpu 0, the one that loads and the only one */
    };
    guestcpu_init(f);
    f->status = words_read(&loader);
    if (!f->status)
        f->status = image_load(&loader);
}

/* Console bytes that ring 0 holds for this domain go to COM1 as its FIFO has room. Bound: the FIFO. */
static __attribute__((noinline)) void pull_input(struct abi_frame *f, const struct abi_info *info)
{
    unsigned room = platform_input_room(&platform);
    long n;
    input_left = true;
    if (!room)
        return;
    n = abi_console_read(info, room < ABI_CONSOLE_BYTES ? room : ABI_CONSOLE_BYTES);
    input_left = n == (long)room;
    if (n > 0)
        platform_input(&platform, (const uint8_t *)f->console, (unsigned)n);
}

/* More is given when the guest has emptied the receiver and has had the chance to see that, by any access but the read of a byte: a
 * driver that reads until the line falls would else never see it fall, and lose the next edge. */
static __attribute__((noinline)) void continue_input(struct abi_frame *f, const struct abi_info *info)
{
    bool read_byte = f->op == ABI_OP_PORT && f->port == UART_COM1;
    if (platform_input_empty(&platform) && !read_byte)
        pull_input(f, info);
}

static __attribute__((noinline)) void op_event(struct abi_frame *f, const struct abi_info *info)
{
    uint32_t events = f->events;
    if (events & ABI_EVENT_TIMER) {
        timer_told = ABI_TIMER_NEVER; /* it has fired: ring 0 has none any more */
        platform_timer(&platform);
    }
    if (events & ABI_EVENT_INPUT)
        pull_input(f, info);
    if (events & ABI_EVENT_ROOM)
        platform_output_room(&platform, f->console_room);
}

static __attribute__((noinline)) void op_other(struct abi_frame *f, const struct abi_info *info)
{
    switch (f->op) {
    case ABI_OP_EVENT:
        op_event(f, info);
        break;
    case ABI_OP_INTACK:
        f->vector = platform_intack(&platform);
        break;
    case ABI_OP_LOAD:
        op_load(f, info);
        break;
    case ABI_OP_STRING:
    case ABI_OP_LENGTH:
    case ABI_OP_FORCED:
    case ABI_OP_TASK:
    case ABI_OP_RUN:
        insn_operation(f, info, &platform, &mem);
        break;
    case ABI_OP_CPUID:
        guestcpu_cpuid(f, info);
        break;
    case ABI_OP_MSR:
        guestcpu_msr(f);
        break;
    case ABI_OP_EXPLAIN:
        explain_operation(f, info);
        break;
    case ABI_OP_NULL:
    default:
        break;
    }
}

void component_main(struct abi_frame *f, const struct abi_info *info)
{
    if (__builtin_expect(f->op == ABI_OP_PORT, 1))
        op_port(f);
    else if (f->op == ABI_OP_MMIO)
        insn_mmio(f, info, &platform, &mem);
    else
        op_other(f, info);
    if (__builtin_expect(input_left, 0))
        continue_input(f, info);
    if (__builtin_expect(platform.intr | platform.out_len | platform.life || platform.deadline != timer_told, 0))
        reply_notes(f);
}
