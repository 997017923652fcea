/* The hypervisor's messages: a small formatter, one line at a time to the log port, and the two ways to stop. */
#include "kernel/log.h"
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/options.h"

#define LINE_MAX 320u

struct out { char *buf; u32 size, len; };

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len++] = c;
}

static void put_text(struct out *o, const char *s, u32 width)
{
    u32 n = 0;
    for (; *s; s++, n++)
        put(o, *s);
    for (; n < width; n++)
        put(o, ' ');
}

static void put_number(struct out *o, u64 value, u32 base, bool negative, u32 width, char fill)
{
    char digits[24];
    u32 n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        put(o, '-');
    for (u32 k = n; k < width; k++)
        put(o, fill);
    while (n)
        put(o, digits[--n]);
}

static void put_signed(struct out *o, long value, u32 width, char fill)
{
    put_number(o, value < 0 ? -(u64)value : (u64)value, 10, value < 0, width, fill);
}

/* One conversion, after '%'. Returns the last character used. */
static const char *convert(struct out *o, const char *f, va_list *args)
{
    char fill = *f == '0' ? '0' : ' ';
    u32 width = 0;
    bool is_long = false;
    for (; *f >= '0' && *f <= '9'; f++)
        width = width * 10 + (u32)(*f - '0');
    for (; *f == 'l'; f++)
        is_long = true;
    switch (*f) {
    case 's':
        put_text(o, va_arg(*args, const char *), width);
        break;
    case 'c':
        put(o, (char)va_arg(*args, int));
        break;
    case 'd':
        put_signed(o, is_long ? va_arg(*args, long) : va_arg(*args, int), width, fill);
        break;
    case 'u':
        put_number(o, is_long ? va_arg(*args, u64) : va_arg(*args, u32), 10, false, width, fill);
        break;
    case 'x':
        put_number(o, is_long ? va_arg(*args, u64) : va_arg(*args, u32), 16, false, width, fill);
        break;
    case 'p':
        put_number(o, va_arg(*args, u64), 16, false, 16, '0');
        break;
    default:
        put(o, *f);
        break;
    }
    return f;
}

u32 log_format(char *buf, u32 size, const char *format, va_list args)
{
    struct out o = { buf, size, 0 };
    va_list copy;
    va_copy(copy, args);
    for (const char *f = format; *f; f++) {
        if (*f != '%')
            put(&o, *f);
        else if (f[1])
            f = convert(&o, f + 1, &copy);
    }
    va_end(copy);
    buf[o.len] = 0;
    return o.len;
}

static void line(const char *domain, bool screen, const char *format, va_list args)
{
    char text[LINE_MAX];
    struct out o = { text, sizeof(text) - 2, 0 };
    put_text(&o, "rung: ", 0);
    if (domain) {
        put(&o, '[');
        put_text(&o, domain, 0);
        put_text(&o, "] ", 0);
    }
    o.len += log_format(text + o.len, o.size - o.len, format, args);
    for (u32 i = 0; i < o.len; i++)
        if ((u8)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
    text[o.len++] = '\r';
    text[o.len++] = '\n';
    console_log(text, o.len, screen);
}

void log_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line(NULL, false, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;
    if (options.quiet)
        return;
    va_start(args, format);
    line(NULL, false, format, args);
    va_end(args);
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
            log_line("  stack %p: %p", (void *)sp, (void *)*sp);
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
        for (;;)
            __asm__ volatile("cli; hlt");
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
