/* What every ring-0 file needs: integer types, errors, bits, compiler words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* Functions return 0 or one of these, negated. */
enum error {
    E_OK,
    E_NOMEM,   /* no frame or slot left */
    E_INVAL,   /* malformed input */
    E_RANGE,   /* out of range */
    E_NODEV,   /* hardware or feature absent */
    E_KILLED,  /* the domain ended meanwhile */
    E_PENDING, /* method 1: unwind, ring 3 runs at the top of the exit path, come again */
};

#define BIT(n)            (1ul << (n))
#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE         4096ul
#define PAGE_2M           0x200000ul
#define KIB               1024ul
#define MIB               (1024ul * 1024)
#define GIB               (1024ul * 1024 * 1024)
#define ALIGN_DOWN(x, a)  ((x) & ~((a) - 1))
#define ALIGN_UP(x, a)    (((x) + (a) - 1) & ~((a) - 1))

#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define READ_ONCE(x)      (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)  (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier()         __asm__ volatile("" ::: "memory")

static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
static inline u64 max_u64(u64 a, u64 b) { return a > b ? a : b; }

/* depriv/string.c. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);
