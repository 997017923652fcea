/* The setup program: ring 3 at boot, from what boot loader and firmware left to the plan that ring 0 checks. What its parts share. */
#ifndef DEPRIV_SETUP_SETUP_H
#define DEPRIV_SETUP_SETUP_H

#include "depriv/abi.h"

#include <stdbool.h>
#include <stddef.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define ARRAY_SIZE(a)   (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)  (((x) + (a) - 1) & ~((a) - 1))
#define KIB             1024ul
#define MIB             (1024ul * 1024)
#define GIB             (1024ul * 1024 * 1024)
#define PAGE_2M         (2 * MIB)

#define SETUP_MODULES_MAX 32u
#define SETUP_LINE_MAX    2048u

enum end { END_POWEROFF, END_HALT, END_REBOOT, END_ISA_DEBUG, END_BOCHS }; /* when the last domain is gone */

/* What the boot loader handed over, in one form whichever protocol it spoke; what the plan takes as it is is there already. */
struct setup {
    const char *line;           /* hypervisor options; lines end within SETUP_LINE_MAX bytes */
    u32 modules;
    struct setup_module { u64 start, end; const char *line; } module[SETUP_MODULES_MAX];
    struct { u64 address; u32 pitch, width, height, bpp; bool present, text; } screen;
    u32 end;                    /* enum end */
    u16 pm1a_cnt;               /* port to power off with, 0: unknown */
    u16 slp_typ_s5;             /* value for SLP_TYP, 0xffff: unknown */
    u64 clock_tsc;              /* when clock was read */
    u8 clock[ABI_CLOCK_BYTES];  /* for abi_info */
    bool has_rsdp;              /* rsdp is what the boot loader passed on (UEFI) */
    u8 rsdp[40];
};

/* The program has no variable but the plan: the rest of its memory is read-only. */
#ifdef SETUP_HOST               /* tests bring both */
extern struct abi_plan plan;
const u8 *physical(u64 pa, u64 bytes);
#else
#define plan (*(struct abi_plan *)ABI_PLAN_BASE)
const u8 *physical(u64 pa, u64 bytes); /* NULL: out of the boot tables' reach */
#endif

/* The machine or the configuration cannot be used: ring 0 prints this line and ends the machine. */
void stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void boot_parse(struct setup *s, u32 magic, u64 info); /* fills s, plan.loader and plan.range */
void options_first(struct setup *s);         /* where a complaint goes, and how it ends: s->end */
void options_parse(struct setup *s);         /* the others, and plan.domain; behind boot_parse() */
void acpi_parse(struct setup *s);            /* plan.lapic to plan.irq, s->pm1a_cnt; without tables one CPU and no I/O APIC */
void cpu_describe(void);                     /* plan.cpu; stops with the name of a feature that Rung needs and the CPU lacks */
void time_measure(struct setup *s);          /* plan.cpu.tsc_khz, s->clock */

void *memcpy(void *restrict to, const void *restrict from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool str_equal(const char *a, const char *b);
void str_copy(char *to, const char *from, size_t size); /* always ends with NUL */

#define CPUID_EXTENDED 0x80000000u
struct cpuid { u32 eax, ebx, ecx, edx; };
static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
static inline u64 max_u64(u64 a, u64 b) { return a > b ? a : b; }

#endif
