/* Harness of the device tests: a platform on a clock that the test moves. */
#ifndef TESTS_HOST_DEVICES_TEST_H
#define TESTS_HOST_DEVICES_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/clock.h"
#include "devices/platform.h"

/* 1000 TSC cycles are one PIT tick. */
#define TEST_KHZ   1193182u
#define PIT_TICK   1000u
#define SECOND     (TEST_KHZ * 1000ull)
#define START_TSC  0x123456789abcull
#define START_WALL 951782400 /* 2000-02-29 00:00:00 UTC, a Tuesday */

struct bench {
    struct platform p; /* first */
    uint64_t tsc;
};

struct bench *bench_new(void);               /* the one bench, afresh */
void bench_irqs(struct bench *b);            /* 8259s programmed as PCs do: vectors 8h and 70h, nothing masked */
void bench_wait(struct bench *b, uint64_t cycles);          /* time passes, platform_timer() is not called */
unsigned bench_run(struct bench *b, uint64_t cycles);       /* time passes, platform_timer() at each deadline; answers how often */
uint8_t in8(struct bench *b, uint16_t port);
void out8(struct bench *b, uint16_t port, uint8_t value);
uint8_t cmos_get(struct bench *b, uint8_t index);
void cmos_set(struct bench *b, uint8_t index, uint8_t value);
void eoi(struct bench *b);                   /* non-specific, to both chips */

int run_pic_tests(void);
int run_pit_tests(void);
int run_rtc_tests(void);
int run_uart_tests(void);
int run_misc_tests(void);
int run_storm_tests(void);

#endif
