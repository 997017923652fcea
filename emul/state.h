/* Architectural bits and small questions about the vcpu that every part of the library asks. */
#ifndef EMUL_STATE_H
#define EMUL_STATE_H

#include "emul.h"

#define CR0_PE     (1ull << 0)
#define CR0_MP     (1ull << 1)
#define CR0_EM     (1ull << 2)
#define CR0_TS     (1ull << 3)
#define CR0_ET     (1ull << 4)
#define CR0_NE     (1ull << 5)
#define CR0_WP     (1ull << 16)
#define CR0_AM     (1ull << 18)
#define CR0_NW     (1ull << 29)
#define CR0_CD     (1ull << 30)
#define CR0_PG     (1ull << 31)
#define CR4_VME    (1ull << 0)
#define CR4_PVI    (1ull << 1)
#define CR4_TSD    (1ull << 2)
#define CR4_DE     (1ull << 3)
#define CR4_PSE    (1ull << 4)
#define CR4_PAE    (1ull << 5)
#define CR4_PGE    (1ull << 7)
#define CR4_PCE    (1ull << 8)
#define CR4_OSFXSR (1ull << 9)
#define CR4_UMIP   (1ull << 11)
#define CR4_LA57   (1ull << 12)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_PCIDE  (1ull << 17)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP   (1ull << 20)
#define CR4_SMAP   (1ull << 21)
#define CR4_PKE    (1ull << 22)
#define EFER_SCE   (1ull << 0)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)

#define RFLAGS_CF  (1ull << 0)
#define RFLAGS_1   (1ull << 1)
#define RFLAGS_PF  (1ull << 2)
#define RFLAGS_AF  (1ull << 4)
#define RFLAGS_ZF  (1ull << 6)
#define RFLAGS_SF  (1ull << 7)
#define RFLAGS_TF  (1ull << 8)
#define RFLAGS_IF  (1ull << 9)
#define RFLAGS_DF  (1ull << 10)
#define RFLAGS_OF  (1ull << 11)
#define RFLAGS_IOPL (3ull << 12)
#define RFLAGS_NT  (1ull << 14)
#define RFLAGS_RF  (1ull << 16)
#define RFLAGS_VM  (1ull << 17)
#define RFLAGS_AC  (1ull << 18)
#define RFLAGS_VIF (1ull << 19)
#define RFLAGS_VIP (1ull << 20)
#define RFLAGS_ID  (1ull << 21)
#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* struct emul_segment.attr, SDM 3C table 24-2; the low four bits are the descriptor's type (SDM 3A 3.4.5.1) */
#define SEG_ACCESSED 0x00001u
#define SEG_WRITE    0x00002u /* of data: writable; of code: readable */
#define SEG_DOWN     0x00004u /* of data: expand-down; of code: conforming */
#define SEG_CODE     0x00008u
#define SEG_TYPE     0x0000fu
#define SEG_S        0x00010u /* code or data; else a system descriptor */
#define SEG_DPL      5
#define SEG_P        0x00080u
#define SEG_L        0x02000u
#define SEG_DB       0x04000u
#define SEG_G        0x08000u
#define SEG_UNUSABLE 0x10000u

#define PAGE_SIZE  4096u
#define PAGE_MASK  4095u

/* Words at any address, of any type; guest memory may change meanwhile. */
typedef volatile uint16_t __attribute__((aligned(1), may_alias)) emul_loose16;
typedef volatile uint32_t __attribute__((aligned(1), may_alias)) emul_loose32;
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) emul_loose64;
/* Parts of a general register. */
typedef uint16_t __attribute__((may_alias)) emul_reg16;
typedef uint32_t __attribute__((may_alias)) emul_reg32;
typedef uint64_t __attribute__((aligned(1), may_alias)) emul_reg64;

#define EMUL_LIKELY(x)   __builtin_expect(!!(x), 1)
#define EMUL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Descriptors are checked in protected mode only: real mode and virtual-8086 use base and limit as they are cached. */
static inline int emul_protected(const struct emul_state *s)
{
    return (s->cr0 & CR0_PE) && !(s->rflags & RFLAGS_VM);
}

/* SDM 3C 24.4.1: the DPL of SS is the CPL, except in real mode (0) and virtual-8086 mode (3). */
static inline unsigned emul_cpl(const struct emul_state *s)
{
    if (!(s->cr0 & CR0_PE))
        return 0;
    return s->rflags & RFLAGS_VM ? 3 : s->seg[EMUL_SS].attr >> SEG_DPL & 3;
}

/* Is it canonical whatever the paging mode? The quick question; emul_canonical() is the exact one. */
static inline int emul_canonical48(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* SDM 3A 3.3.7.1 */
static inline int emul_canonical(const struct emul_state *s, uint64_t linear)
{
    int64_t high = (int64_t)linear >> (s->cr4 & CR4_LA57 ? 56 : 47);

    return high == 0 || high == -1;
}

/* emul_ctx.facts: what follows from segments, control registers and RFLAGS for one instruction as for the next. FLAT: the segment is all of
 * the address space, and data may be read and written there; off where an operand is to be looked at (alignment checks, an exit's own). */
#define EMUL_FACT_KNOWN    0x00000002u /* where RFLAGS has a bit that is always set */
#define EMUL_FACT_USER     0x00000004u /* CPL 3: EMUL_PF_U */
#define EMUL_FACT_STACK    4           /* rSP has so many bytes: 2, 4, 8 (SDM 1 6.2.3) */
#define EMUL_FACT_AC       0x00000400u
#define EMUL_FACT_PAGING   0x00000800u
#define EMUL_FACT_FLAGS    0x00060000u /* as in RFLAGS: AC, VM */
#define EMUL_FACT_MODE     20          /* enum emul_mode */
#define EMUL_FACT_EXIT     0x00800000u /* exit_gpa counts, in 64-bit code */
#define EMUL_FACT_FLAT     24          /* bit n more: data in segment n */
#define EMUL_FACTS_FLAT64  (0xfu << EMUL_FACT_FLAT)
#define EMUL_FACT_CODE     0x40000000u /* CS is flat for fetches, and the CPU has supplied no bytes */

static inline unsigned emul_mode_of(uint32_t facts)
{
    return facts >> EMUL_FACT_MODE & 3;
}

/* Vectors that push an error code (SDM 3A table 6-1): DF TS NP SS GP PF AC. */
#define EMUL_VECTORS_CODE 0x00027d00u

static inline int emul_fault(struct emul_result *result, unsigned vector, uint32_t error)
{
    result->vector = vector;
    result->has_error = EMUL_VECTORS_CODE >> vector & 1;
    result->error = error;
    return EMUL_FAULT;
}

static inline uint64_t emul_size_mask(unsigned size) /* 1 to 8 */
{
    return ~0ull >> (64 - size * 8);
}

#endif
