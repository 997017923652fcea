/* Text formatting for code without a C library: %s %c %u %d %x with width and zero fill. */
#include "depriv/format.h"

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_DIGITS 20u /* of 2^64 - 1 in decimal */
#define WIDTH_MAX     64u

struct text {
    char *buf;
    unsigned size, len;
};

struct conversion {
    bool zero_fill, is_long;
    unsigned width;
    char type;
};

static void put_char(struct text *t, char c)
{
    if (t->len + 1 < t->size)
        t->buf[t->len++] = c;
}

static void put_string(struct text *t, const char *s)
{
    if (!s)
        s = "(null)";
    while (*s)
        put_char(t, *s++);
}

static void put_number(struct text *t, const struct conversion *c, uint64_t value, bool negative)
{
    unsigned base = c->type == 'x' ? 16 : 10;
    char digits[NUMBER_DIGITS];
    unsigned count = 0, used;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);

    used = count + negative;
    if (negative && c->zero_fill)
        put_char(t, '-');
    for (; used < c->width; used++)
        put_char(t, c->zero_fill ? '0' : ' ');
    if (negative && !c->zero_fill)
        put_char(t, '-');
    while (count)
        put_char(t, digits[--count]);
}

/* Reads what follows a '%' up to the conversion letter; returns the position of that letter. */
static const char *parse_conversion(const char *s, struct conversion *c)
{
    *c = (struct conversion){ .zero_fill = *s == '0' };
    for (; *s >= '0' && *s <= '9'; s++)
        c->width = c->width > WIDTH_MAX ? WIDTH_MAX : c->width * 10 + (unsigned)(*s - '0');
    for (; *s == 'l'; s++)
        c->is_long = true;
    c->type = *s;
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
        switch (c.type) {
        case 's':
            put_string(&t, va_arg(args, const char *));
            break;
        case 'c':
            put_char(&t, (char)va_arg(args, int));
            break;
        case 'd': {
            int64_t v = c.is_long ? va_arg(args, long) : va_arg(args, int);
            put_number(&t, &c, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
            break;
        }
        case 'u':
        case 'x':
            put_number(&t, &c, c.is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), false);
            break;
        case '%':
            put_char(&t, '%');
            break;
        case '\0': /* the format ends inside a conversion */
            fmt--;
            break;
        default:
            put_char(&t, '%');
            put_char(&t, c.type);
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
