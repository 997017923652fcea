/* What the parts of the setup program need besides each other: the plan, and a stop() that comes back to the test with its text. */
#ifndef TESTS_HOST_BOOT_STUB_H
#define TESTS_HOST_BOOT_STUB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "depriv/setup/setup.h"

static jmp_buf stub_back;
static char stub_text[512];       /* what stop() said */
struct abi_plan plan;

void stop(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(stub_text, sizeof(stub_text), format, args);
    va_end(args);
    longjmp(stub_back, 1);
}

/* Calls f(). 1: it stopped, and said so in stub_text. */
static inline int stops(void (*f)(void))
{
    stub_text[0] = 0;
    if (setjmp(stub_back))
        return 1;
    f();
    return 0;
}

bool str_equal(const char *a, const char *b)
{
    return !strcmp(a, b);
}

void str_copy(char *to, const char *from, size_t size)
{
    snprintf(to, size, "%s", from);
}

#endif
