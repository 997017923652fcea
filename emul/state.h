/* Architectural bits and small questions about the vcpu that every part of the library asks. */
#ifndef EMUL_STATE_H
#define EMUL_STATE_H

#include "emul.h"

#define CR0_PE     (1ull << 0)
#define CR0_WP     (1ull << 16)
#define CR0_AM     (1ull << 18)
#define CR0_PG     (1ull << 31)
#define CR4_PSE    (1ull << 4)
#define CR4_PAE    (1ull << 5)
#define CR4_LA57   (1ull << 12)
#define CR4_SMEP   (1ull << 20)
#define CR4_SMAP   (1ull << 21)
#define CR4_PKE    (1ull << 22)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define RFLAGS_TF  (1ull << 8)
#define RFLAGS_DF  (1ull << 10)
#define RFLAGS_RF  (1ull << 16)
#define RFLAGS_VM  (1ull << 17)
#define RFLAGS_AC  (1ull << 18)

/* struct emul_segment.attr, SDM 3C table 24-2; the low four bits are the descriptor's type (SDM 3A 3.4.5.1) */
#define SEG_WRITE    0x00002u /* of data: writable; of code: readable */
#define SEG_DOWN     0x00004u /* of data: expand-down */
#define SEG_CODE     0x00008u
#define SEG_DPL      5
#define SEG_L        0x02000u
#define SEG_DB       0x04000u
#define SEG_UNUSABLE 0x10000u

#define PAGE_SIZE  4096u
#define PAGE_MASK  4095u

/* Decoder mode of the code segment. */
static inline unsigned emul_code_mode(const struct emul_ctx *ctx)
{
    uint32_t attr = ctx->seg[EMUL_CS].attr;

    if ((ctx->efer & EFER_LMA) && (attr & SEG_L))
        return EMUL_MODE64;
    return attr & SEG_DB ? EMUL_MODE32 : EMUL_MODE16;
}

/* Descriptors are checked in protected mode only: real mode and virtual-8086 use base and limit as they are cached. */
static inline int emul_protected(const struct emul_ctx *ctx)
{
    return (ctx->cr0 & CR0_PE) && !(ctx->rflags & RFLAGS_VM);
}

/* SDM 3C 24.4.1: the DPL of SS is the CPL, except in real mode (0) and virtual-8086 mode (3). */
static inline unsigned emul_cpl(const struct emul_ctx *ctx)
{
    if (!(ctx->cr0 & CR0_PE))
        return 0;
    return ctx->rflags & RFLAGS_VM ? 3 : ctx->seg[EMUL_SS].attr >> SEG_DPL & 3;
}

static inline int emul_fault(struct emul_result *result, unsigned vector, uint32_t error)
{
    result->vector = vector;
    result->has_error = vector != EMUL_VECTOR_UD;
    result->error = error;
    return EMUL_FAULT;
}

static inline uint64_t emul_get_gpr(const struct emul_ctx *ctx, unsigned reg)
{
    return reg == EMUL_RSP ? ctx->rsp : ctx->gpr[reg & (EMUL_GPRS - 1)];
}

static inline uint64_t emul_size_mask(unsigned size) /* 1 to 8 */
{
    return ~0ull >> (64 - size * 8);
}

/* Writes the low `size` bytes: 4 clear the upper half, 1 and 2 keep the rest (SDM 1 3.4.1.1). */
static inline void emul_set_gpr(struct emul_ctx *ctx, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t *at = reg == EMUL_RSP ? &ctx->rsp : &ctx->gpr[reg & (EMUL_GPRS - 1)];

    if (size < 4)
        *at = (*at & ~emul_size_mask(size)) | (value & emul_size_mask(size));
    else
        *at = value & emul_size_mask(size);
}

/* RIP behind an instruction: 64 bits in 64-bit mode, else EIP. */
static inline uint64_t emul_next_rip(const struct emul_ctx *ctx, const struct emul_insn *insn)
{
    uint64_t rip = ctx->rip + insn->length;

    return insn->mode == EMUL_MODE64 ? rip : rip & 0xffffffff;
}

/* The instruction is complete. */
static inline int emul_finish(struct emul_ctx *ctx, struct emul_result *result)
{
    ctx->rip = emul_next_rip(ctx, &result->insn);
    ctx->rflags &= ~RFLAGS_RF;
    result->step = !!(ctx->rflags & RFLAGS_TF);
    return EMUL_DONE;
}

#endif
