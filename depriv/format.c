/* Text formatting for code without a C library, in both rings: %s %c %u %d %x with width and zero fill. */
#include "depriv/format.h"

#include <stdbool.h>
#include <stdint.h>

#define WIDTH_MAX 64u

struct text { char *buf; unsigned size, len; };
struct conversion { bool zero_fill, is_long; unsigned width; };

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

static void put_number(struct text *t, const struct conversion *c, uint64_t value, unsigned base, bool negative)
{
    char reversed[WIDTH_MAX]; /* 2^64 - 1 has 20 digits in decimal */
    unsigned n = 0;
    do {
        reversed[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (c->zero_fill && n + negative < c->width)
        reversed[n++] = '0';
    if (negative)
        reversed[n++] = '-';
    while (n < c->width)
        reversed[n++] = ' ';
    while (n)
        put_char(t, reversed[--n]);
}

/* Reads what follows a '%' up to the conversion letter; returns the position of that letter. */
static const char *parse_conversion(const char *s, struct conversion *c)
{
    *c = (struct conversion){ .zero_fill = *s == '0' };
    for (; *s >= '0' && *s <= '9'; s++)
        c->width = c->width * 10 + (unsigned)(*s - '0');
    if (c->width > WIDTH_MAX)
        c->width = WIDTH_MAX;
    for (; *s == 'l'; s++)
        c->is_long = true;
    return s;
}

unsigned text_vformat(char *buf, unsigned size, const char *fmt, va_list args)
{
    struct text t = { .buf = buf, .size = size };
    struct conversion c;
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put_char(&t, *fmt);
            continue;
        }
        fmt = parse_conversion(fmt + 1, &c);
        switch (*fmt) {
        case 's':
            put_string(&t, va_arg(args, const char *));
            break;
        case 'c':
            put_char(&t, (char)va_arg(args, int));
            break;
        case 'd': {
            int64_t v = c.is_long ? va_arg(args, long) : va_arg(args, int);
            put_number(&t, &c, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0);
            break;
        }
        case 'u':
        case 'x':
            put_number(&t, &c, c.is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), *fmt == 'x' ? 16 : 10, false);
            break;
        case '\0': /* the format ends inside a conversion */
            fmt--;
            break;
        default: /* %% too */
            put_char(&t, *fmt);
            break;
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
