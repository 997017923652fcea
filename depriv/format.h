/* Text formatting for code without a C library: the lines of the log, ring 3's refusals and messages. */
#ifndef DEPRIV_FORMAT_H
#define DEPRIV_FORMAT_H

#include <stdarg.h>

/* Writes at most `size` bytes to `buf`, the ending NUL included, and returns the length without it: never more
 * than size - 1. What does not fit is cut off. Size 0 writes nothing. Conversions: %s %c %u %d %x %%, each number
 * with `l` or `ll` for 64 bits and an optional width (`%4u`, `%08lx`), 64 at most; of an unknown one the letter is printed. */
unsigned text_format(char *buf, unsigned size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
unsigned text_vformat(char *buf, unsigned size, const char *fmt, va_list args) __attribute__((format(printf, 3, 0)));

#endif
