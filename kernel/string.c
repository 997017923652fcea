/* Two functions for names. */
#include "kernel/base.h"

bool str_equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

size_t str_copy(char *to, const char *from, size_t size)
{
    size_t n = strlen(from), k = n < size ? n : size - 1;
    memcpy(to, from, k);
    to[k] = 0;
    return n;
}
