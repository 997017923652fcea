/* The silicon harness: what its parts share. silicon.c says what it is; silicon_world.c has the memory and segments that the CPU and
 * the library both see, silicon_gen.c makes cases, silicon_cpu.c runs them on the CPU. */
#ifndef TESTS_HOST_SILICON_H
#define TESTS_HOST_SILICON_H

#include <stdint.h>
#include "emul/emul.h"

#define WINDOW        0x10000000u  /* linear address of the test pages, the same in the process and in the library's page tables */
#define WINDOW_PAGES  24u
#define CODE_PAGE     6u           /* two pages of INT3, executable; the next one is not there */
#define CODE_BYTES    0x2000u
#define FILLER        0xccu        /* INT3: what follows each instruction ends the case */
#define RW_FRAMES     6u           /* writable frames; the library has copies of its own of them */
#define LINEAR_USER_END 0x7ffffffff000ull /* Linux's TASK_SIZE_MAX */

struct vectors {                   /* as in an XSAVE area, but whole registers */
    uint8_t zmm[32][64];
    uint64_t k[8], mm[8];
};

struct regs {
    uint64_t gpr[16], rip, rflags, fs_base, gs_base;
    uint16_t sel[EMUL_SEGS];
};

/* A state before, or after with the exception that ended it: an instruction that completes ends at the INT3 behind it. */
struct outcome {
    struct regs regs;
    uint32_t vector, error;        /* error: 0 for vectors without one */
    uint64_t cr2;                  /* with #PF, else 0 */
};
enum { VECTOR_HANG = 0x100, VECTOR_SYSCALL, VECTOR_REFUSED, VECTOR_RETRY, VECTOR_ENDLESS }; /* outcomes that are no exception */

struct test_case {
    uint64_t number;               /* in the run: block * BLOCK_CASES + n */
    unsigned mode;                 /* enum emul_mode of the code segment */
    unsigned op;                   /* enum emul_op, EMUL_BAD of invalid bytes */
    unsigned length, room;         /* bytes of the instruction, and how many of them lie within the code pages */
    unsigned supplied;             /* how many the CPU can fetch: within the limit of CS too */
    uint8_t bytes[24];
    uint32_t at;                   /* where they are in the code pages */
    unsigned vector_state;         /* 1: the CPU's vector registers are loaded and compared */
    struct emul_insn insn;
    struct regs before;
};
#define BLOCK_CASES 256u           /* memory is filled anew at the start of each block, so that a case can be replayed from there */

/* silicon_world.c */
struct world {
    uint8_t *rw[RW_FRAMES];        /* the CPU's memory */
    uint8_t *copy[RW_FRAMES];      /* the library's */
    uint8_t *code;                 /* writable alias of the code pages */
    uint8_t *ro;                   /* writable alias of the read-only frame */
    struct vectors vectors, vectors_copy;
    struct emul_cache cache;
    struct emul_decoded decoded;
    struct emul_walks walks;
};
extern struct world world;
void world_create(void);                                  /* per process: LDT, maps */
void world_fill(uint64_t seed, unsigned variant);         /* memory of a block; variant: which callbacks the library gets */
void world_emulate(const struct test_case *c, struct outcome *after);
void world_poke(uint64_t linear, unsigned size, uint64_t value); /* both memories, where writable */
int world_peek(uint64_t linear, unsigned size, uint64_t *value); /* 0: unmapped */
void world_segment(uint16_t selector, struct emul_segment *segment); /* what a load of it caches */
int world_is_code(uint64_t linear);
uint64_t world_rw_address(unsigned page);                 /* linear address of the n-th writable page */
unsigned world_cs_count(unsigned mode);
uint16_t world_cs(unsigned mode, unsigned n);
uint16_t world_data_selector(uint64_t random), world_stack_selector(uint64_t random), world_any_selector(uint64_t random);

/* silicon_gen.c */
struct options { uint64_t seed, count, first; unsigned mode; const char *op; int all; };
uint64_t gen_mix(uint64_t value);
unsigned gen_pool(unsigned mode, const char *op);         /* builds the pool of encodings; how many */
void gen_block(uint64_t seed);
int gen_case(struct test_case *c);                        /* 0: not this one */

/* silicon_cpu.c */
typedef int cpu_next(struct test_case *c);                /* 0: no more */
typedef void cpu_judge(const struct test_case *c, struct outcome *after);
void cpu_run(cpu_next *next, cpu_judge *judge);

#endif
