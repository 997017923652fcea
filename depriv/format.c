/* Text formatting for code without a C library, in both rings: %s %c %u %d %x with width and zero fill. */
#include "depriv/format.h"

#include <stdbool.h>
#include <stdint.h>

#define WIDTH_MAX 64u

struct text { char *buf; unsigned size, len; };

static void put_char(struct text *t, char c)
{
    if (t->len + 1 < t->size)
        t->buf[t->len++] = c;
}

static void put_string(struct text *t, const char *s)
{
    for (s = s ? s : "(null)"; *s; s++)
        put_char(t, *s);
}

static void put_number(struct text *t, uint64_t value, unsigned base, bool negative, unsigned width, bool zero_fill)
{
    char reversed[WIDTH_MAX]; /* 2^64 - 1 has 20 digits in decimal */
    unsigned n = 0;
    do {
        reversed[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (zero_fill && n + negative < width)
        reversed[n++] = '0';
    if (negative)
        reversed[n++] = '-';
    while (n < width)
        reversed[n++] = ' ';
    while (n)
        put_char(t, reversed[--n]);
}

unsigned text_vformat(char *buf, unsigned size, const char *fmt, va_list args)
{
    struct text t = { .buf = buf, .size = size };
    for (; *fmt; fmt++) {
        unsigned width = 0;
        bool zero_fill, is_long = false;
        if (*fmt != '%') {
            put_char(&t, *fmt);
            continue;
        }
        zero_fill = *++fmt == '0';
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width < WIDTH_MAX ? width * 10 + (unsigned)(*fmt - '0') : width;
        width = width < WIDTH_MAX ? width : WIDTH_MAX;
        for (; *fmt == 'l'; fmt++)
            is_long = true;
        if (*fmt == 's') {
            put_string(&t, va_arg(args, const char *));
        } else if (*fmt == 'c') {
            put_char(&t, (char)va_arg(args, int));
        } else if (*fmt == 'd') {
            int64_t v = is_long ? va_arg(args, long) : va_arg(args, int);
            put_number(&t, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, zero_fill);
        } else if (*fmt == 'u' || *fmt == 'x') {
            put_number(&t, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), *fmt == 'x' ? 16 : 10, false, width, zero_fill);
        } else if (!*fmt) {
            break; /* the format ends inside a conversion */
        } else {
            put_char(&t, *fmt); /* %% too */
        }
    }
    if (size)
        buf[t.len] = '\0';
    return t.len;
}

unsigned text_format(char *buf, unsigned size, const char *fmt, ...)
{
    va_list args;
    unsigned len;
    va_start(args, fmt);
    len = text_vformat(buf, size, fmt, args);
    va_end(args);
    return len;
}
