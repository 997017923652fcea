/* Division, bit counts, decimal adjustment, and the BMI instructions. */
#include "exec.h"

/* The dividend is AX, or rDX:rAX. */
static unsigned __int128 dividend(const struct exec *x, int is_signed)
{
    uint64_t low = x->gpr[EMUL_RAX], high = x->gpr[EMUL_RDX], mask = emul_size_mask(x->opsize);

    if (x->opsize == 8)
        return (unsigned __int128)high << 64 | low;
    low = x->opsize == 1 ? (uint16_t)low : (low & mask) | (high & mask) << x->opsize * 8;
    return is_signed ? (unsigned __int128)exec_signed(low, x->opsize * 2) : low;
}

/* DIV and IDIV: by magnitudes, so that nothing overflows here that would not in the CPU. */
void do_div(struct exec *x)
{
    int is_signed = x->insn->op == EMUL_IDIV, negative, differ;
    uint64_t mask = emul_size_mask(x->opsize), sign = mask - mask / 2, divisor = exec_get_rm(x, x->opsize), quotient, remainder;
    unsigned __int128 value = dividend(x, is_signed);

    negative = is_signed && value >> 127;
    differ = negative != (is_signed && (divisor & sign));
    if (negative)
        value = -value;
    if (differ != negative)
        divisor = -divisor & mask;
    quotient = value;
    remainder = value >> 64;
    if (remainder >= divisor)
        exec_raise(x, EMUL_VECTOR_DE, 0);
    __asm__("div %[divisor]" : "+a"(quotient), "+d"(remainder) : [divisor] "r"(divisor) : "cc");
    if (quotient > (is_signed ? sign - !differ : mask))
        exec_raise(x, EMUL_VECTOR_DE, 0);
    quotient = differ ? -quotient : quotient;
    remainder = negative ? -remainder : remainder;
    if (x->opsize == 1) {
        exec_set_gpr(x, EMUL_RAX, 2, (quotient & mask) | (remainder & mask) << 8);
    } else {
        exec_set_gpr(x, EMUL_RAX, x->opsize, quotient);
        exec_set_gpr(x, EMUL_RDX, x->opsize, remainder);
    }
}

/* BSF and BSR of 0 leave the destination alone; LZCNT and TZCNT give the operand size in bits. */
void do_scan(struct exec *x)
{
    unsigned op = x->insn->op, bits = x->opsize * 8;
    unsigned first = x->src ? (unsigned)__builtin_ctzll(x->src) : bits, last = x->src ? 63 - (unsigned)__builtin_clzll(x->src) : 0;

    if (op == EMUL_BSF || op == EMUL_BSR) {
        exec_set_flag(x, RFLAGS_ZF, !x->src);
        if (x->src)
            x->dst = op == EMUL_BSF ? first : last;
        else
            exec_keep_register(x);
        return;
    }
    x->dst = op == EMUL_TZCNT ? first : x->src ? bits - 1 - last : bits;
    exec_set_flag(x, RFLAGS_CF, !x->src);
    exec_set_flag(x, RFLAGS_ZF, !x->dst);
}

void do_popcnt(struct exec *x)
{
    uint64_t v = x->src;

    v -= v >> 1 & 0x5555555555555555;
    v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
    x->dst = v * 0x0101010101010101 >> 56;
    x->flags &= ~RFLAGS_STATUS;
    exec_set_flag(x, RFLAGS_ZF, !x->src);
}

#define CRC32C 0x82f63b78u         /* the polynomial 11EDC6F41h, bits reversed (SDM 2A CRC32) */

void do_crc32(struct exec *x)
{
    uint32_t crc = (uint32_t)x->gpr[x->insn->reg];

    for (unsigned byte = 0; byte < x->src_size; byte++) {
        crc ^= (uint8_t)(x->src >> byte * 8);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC32C : 0);
    }
    exec_set_gpr(x, x->insn->reg, 4, crc); /* whatever the operand size */
}

/* SF, ZF, PF of a byte. */
static void byte_flags(struct exec *x, uint8_t value)
{
    exec_set_flag(x, RFLAGS_SF, value >> 7);
    exec_set_flag(x, RFLAGS_ZF, !value);
    exec_set_flag(x, RFLAGS_PF, !__builtin_parity(value));
}

/* AAA, AAS (SDM 2A): by carry out of the low digit. */
void do_aaa(struct exec *x)
{
    uint16_t ax = (uint16_t)x->gpr[EMUL_RAX];
    int subtract = x->insn->op == EMUL_AAS, carry = (ax & 0xf) > 9 || (x->flags & RFLAGS_AF);

    if (carry)
        ax = subtract ? ax - 0x106 : ax + 0x106;
    exec_set_gpr(x, EMUL_RAX, 2, ax & 0xff0f);
    exec_set_flag(x, RFLAGS_AF, carry);
    exec_set_flag(x, RFLAGS_CF, carry);
}

/* DAA, DAS (SDM 2A) */
void do_daa(struct exec *x)
{
    uint8_t old = (uint8_t)x->gpr[EMUL_RAX], al = old;
    int subtract = x->insn->op == EMUL_DAS, low = (old & 0xf) > 9 || (x->flags & RFLAGS_AF), high = old > 0x99 || (x->flags & RFLAGS_CF);

    if (low)
        al = subtract ? al - 6 : al + 6;
    if (high)
        al = subtract ? al - 0x60 : al + 0x60;
    exec_set_flag(x, RFLAGS_CF, high || (low && subtract && old < 6));
    exec_set_flag(x, RFLAGS_AF, low);
    byte_flags(x, al);
    exec_set_gpr(x, EMUL_RAX, 1, al);
}

void do_aam(struct exec *x)
{
    uint8_t al = (uint8_t)x->gpr[EMUL_RAX], base = (uint8_t)x->insn->imm;

    if (!base)
        exec_raise(x, EMUL_VECTOR_DE, 0);
    exec_set_gpr(x, EMUL_RAX, 2, (al / base) << 8 | al % base);
    byte_flags(x, al % base);
}

void do_aad(struct exec *x)
{
    uint8_t al = (uint8_t)(x->gpr[EMUL_RAX] + (uint8_t)(x->gpr[EMUL_RAX] >> 8) * (uint8_t)x->insn->imm);

    exec_set_gpr(x, EMUL_RAX, 2, al);
    byte_flags(x, al);
}

/* SF and ZF by the result, OF clear; AF and PF are undefined and stay (SDM 2A ANDN, BLSR, BZHI), as SF does of BEXTR. */
void do_bmi(struct exec *x)
{
    unsigned bits = x->opsize * 8, start = (uint8_t)x->src2, count = (uint8_t)(x->src2 >> 8);
    uint64_t carry = 0;

    switch (x->insn->op) {
    case EMUL_ANDN:
        x->dst = ~x->src2 & x->src;
        break;
    case EMUL_BLSI:
        x->dst = x->src & -x->src;
        carry = x->src;
        break;
    case EMUL_BLSR:
        x->dst = x->src & (x->src - 1);
        carry = !x->src;
        break;
    case EMUL_BLSMSK:
        x->dst = x->src ^ (x->src - 1);
        carry = !x->src;
        break;
    case EMUL_BZHI:
        x->dst = start < bits ? x->src & ((1ull << start) - 1) : x->src;
        carry = start >= bits;
        break;
    default: /* BEXTR */
        x->dst = start < bits ? x->src >> start : 0;
        x->dst = count < 64 ? x->dst & ((1ull << count) - 1) : x->dst;
        break;
    }
    x->dst &= emul_size_mask(x->opsize);
    if (x->insn->op != EMUL_BEXTR)
        exec_set_flag(x, RFLAGS_SF, x->dst >> (bits - 1) & 1);
    exec_set_flag(x, RFLAGS_ZF, !x->dst);
    exec_set_flag(x, RFLAGS_CF, carry);
    exec_set_flag(x, RFLAGS_OF, 0);
}

/* RORX, SARX, SHLX, SHRX: no flags. */
void do_bmi_shift(struct exec *x)
{
    unsigned op = x->insn->op, bits = x->opsize * 8, count = x->src2 & (bits - 1);

    if (op == EMUL_SHLX)
        x->dst = x->src << count;
    else if (op == EMUL_SARX)
        x->dst = exec_signed(x->src, x->opsize) >> count;
    else
        x->dst = x->src >> count | (op == EMUL_RORX && count ? x->src << (bits - count) : 0);
}

/* PDEP spreads the low bits of vvvv over the mask, PEXT gathers them. */
void do_pdep(struct exec *x)
{
    uint64_t mask = x->src, result = 0;

    for (unsigned n = 0; mask; n++, mask &= mask - 1) {
        if (x->insn->op == EMUL_PDEP)
            result |= x->src2 >> n & 1 ? mask & (0 - mask) : 0;
        else
            result |= x->src2 & mask & (0 - mask) ? 1ull << n : 0;
    }
    x->dst = result;
}

/* The high half goes to ModRM.reg, which wins if vvvv is the same register. */
void do_mulx(struct exec *x)
{
    unsigned __int128 product = (unsigned __int128)(x->gpr[EMUL_RDX] & emul_size_mask(x->opsize)) * x->src;

    exec_set_gpr(x, x->insn->vvvv & (EMUL_GPRS - 1), x->opsize, product);
    x->dst = product >> x->opsize * 8;
}
