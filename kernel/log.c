/* The hypervisor's messages, one line at a time to the log port, and the two ways to stop. */
#include "kernel/log.h"
#include "depriv/format.h"
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"

#define LINE_MAX 320u

static void line(const char *domain, bool screen, const char *format, va_list args)
{
    char text[LINE_MAX];
    u32 n = text_format(text, sizeof(text) - 2, domain ? "rung: [%s] " : "rung: ", domain);
    n += text_vformat(text + n, (u32)sizeof(text) - 2 - n, format, args);
    for (u32 i = 0; i < n; i++)
        if ((u8)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
    text[n++] = '\r';
    text[n++] = '\n';
    console_log(text, n, screen);
}

void log_domain(const char *domain, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line(domain, false, format, args);
    va_end(args);
}

void stop(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line("stop", true, format, args);
    va_end(args);
    machine_end(false);
}

/* The words of the stack that look like return addresses. Bound: the stack. */
static void print_stack(void)
{
    extern u8 text_start[], text_end[];
    u64 *sp = __builtin_frame_address(0), *top = (u64 *)stack_head();
    for (u32 n = 0; sp < top && n < 24; sp++) {
        if (*sp >= (u64)text_start && *sp < (u64)text_end) {
            log_line("  stack %lx: %lx", (u64)sp, *sp);
            n++;
        }
    }
}

void panic(const char *format, ...)
{
    static u32 once;
    va_list args;
    irq_disable();
    if (__atomic_exchange_n(&once, 1, __ATOMIC_SEQ_CST))
        cpu_halt();
    for (u32 i = 0; i < cpus_online; i++)
        if (&cpus[i] != this_cpu())
            apic_ipi(cpus[i].apic_id, VECTOR_STOP);
    console_force();
    log_line("build %s, CPU %u", RUNG_BUILD, this_cpu() ? this_cpu()->id : 0);
    print_stack();
    va_start(args, format);
    line("panic", true, format, args);
    va_end(args);
    machine_end(false);
}
