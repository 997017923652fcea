/* Two functions for names. */
#include "kernel/base.h"

bool str_equal(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && !memcmp(a, b, strlen(a));
}

size_t str_copy(char *to, const char *from, size_t size)
{
    size_t n = strlen(from), k = n < size ? n : size - 1;
    memcpy(to, from, k);
    to[k] = 0;
    return n;
}
