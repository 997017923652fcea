/* Division, bit counts, decimal adjustment, and the BMI instructions. */
#include "exec_far.h"

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
    exec_raise_if(x, remainder >= divisor, EMUL_VECTOR_DE, 0);
    __asm__("div %[divisor]" : "+a"(quotient), "+d"(remainder) : [divisor] "r"(divisor) : "cc");
    exec_raise_if(x, quotient > (is_signed ? sign - !differ : mask), EMUL_VECTOR_DE, 0);
    quotient = differ ? -quotient : quotient;
    remainder = negative ? -remainder : remainder;
    exec_set_gpr(x, EMUL_RAX, x->opsize, quotient);
    exec_reg_write(x->opsize == 1 ? (uint8_t *)x->gpr + 1 : (uint8_t *)&x->gpr[EMUL_RDX], x->opsize, remainder); /* AH, or rDX */
}

/* BSF and BSR of 0 leave the destination alone; LZCNT and TZCNT give the operand size in bits. */
void do_scan(struct exec *x)
{
    unsigned op = x->insn->op, bits = x->opsize * 8;
    unsigned first = x->src ? (unsigned)__builtin_ctzll(x->src) : bits, last = x->src ? 63 - (unsigned)__builtin_clzll(x->src) : 0;

    if (op == EMUL_TZCNT || op == EMUL_LZCNT) {
        x->dst = op == EMUL_TZCNT ? first : x->src ? bits - 1 - last : bits;
        exec_set_flag(x, RFLAGS_CF, !x->src);
        exec_set_flag(x, RFLAGS_ZF, !x->dst);
        return;
    }
    x->dst = op == EMUL_BSF ? first : last;
    exec_set_flag(x, RFLAGS_ZF, !x->src);
    if (!x->src)
        exec_keep_register(x);
}

void do_popcnt(struct exec *x)
{
    x->dst = 0;
    for (uint64_t left = x->src; left; left &= left - 1)
        x->dst++;
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

/* To AL, or to AX, with SF, ZF and PF of the low byte. */
static void decimal_result(struct exec *x, unsigned size, unsigned value)
{
    exec_set_gpr(x, EMUL_RAX, size, value);
    exec_set_flag(x, RFLAGS_SF, value & 0x80);
    exec_set_flag(x, RFLAGS_ZF, !(uint8_t)value);
    exec_set_flag(x, RFLAGS_PF, !__builtin_parity((uint8_t)value));
}

/* AAA, AAS (SDM 2A): by carry out of the low digit. */
void do_aaa(struct exec *x)
{
    uint16_t ax = (uint16_t)x->gpr[EMUL_RAX];
    int sign = x->insn->op == EMUL_AAS ? -1 : 1, carry = (ax & 0xf) > 9 || (x->flags & RFLAGS_AF);

    exec_set_gpr(x, EMUL_RAX, 2, (ax + sign * (carry ? 0x106 : 0)) & 0xff0f);
    exec_set_flag(x, RFLAGS_AF | RFLAGS_CF, carry);
}

/* DAA, DAS (SDM 2A) */
void do_daa(struct exec *x)
{
    uint8_t old = (uint8_t)x->gpr[EMUL_RAX];
    int low = (old & 0xf) > 9 || (x->flags & RFLAGS_AF), high = old > 0x99 || (x->flags & RFLAGS_CF);
    int sign = x->insn->op == EMUL_DAS ? -1 : 1;

    exec_set_flag(x, RFLAGS_CF, high || (low && sign < 0 && old < 6));
    exec_set_flag(x, RFLAGS_AF, low);
    decimal_result(x, 1, old + sign * ((low ? 6 : 0) + (high ? 0x60 : 0)));
}

void do_aam(struct exec *x)
{
    uint8_t al = (uint8_t)x->gpr[EMUL_RAX], base = (uint8_t)x->insn->imm;

    exec_raise_if(x, !base, EMUL_VECTOR_DE, 0);
    decimal_result(x, 2, (al / base) << 8 | al % base);
}

void do_aad(struct exec *x)
{
    decimal_result(x, 2, (uint8_t)(x->gpr[EMUL_RAX] + (x->gpr[EMUL_RAX] >> 8) * x->insn->imm));
}

/* SF and ZF by the result, OF clear; AF and PF are undefined and stay (SDM 2A ANDN, BLSR, BZHI), as SF does of BEXTR. */
static void bmi_result(struct exec *x, uint64_t value, uint64_t carry)
{
    x->dst = value & emul_size_mask(x->opsize);
    exec_set_flag(x, RFLAGS_OF, 0);
    exec_set_flag(x, RFLAGS_CF, carry);
    exec_set_flag(x, RFLAGS_ZF, !x->dst);
    if (x->insn->op != EMUL_BEXTR)
        exec_set_flag(x, RFLAGS_SF, x->dst >> (x->opsize * 8 - 1));
}

static uint64_t low_bits(uint64_t value, unsigned count)
{
    return count < 64 ? value & ((1ull << count) - 1) : value;
}

/* a: ModRM.rm; b: vvvv, of RORX the immediate; n: a count in b. */
#define BMI(name, does) \
    void do_##name(struct exec *x) \
    { \
        uint64_t a = x->src, b = x->src2, bits = x->opsize * 8u, n = b & (bits - 1); \
        (void)b, (void)n; \
        does; \
    }
BMI(andn, bmi_result(x, ~b & a, 0))
BMI(blsi, bmi_result(x, a & -a, a))
BMI(blsr, bmi_result(x, a & (a - 1), !a))
BMI(blsmsk, bmi_result(x, a ^ (a - 1), !a))
BMI(bzhi, bmi_result(x, low_bits(a, (uint8_t)b), (uint8_t)b >= bits))
BMI(bextr, bmi_result(x, low_bits((uint8_t)b < bits ? a >> n : 0, (uint8_t)(b >> 8)), 0))
BMI(rorx, x->dst = a >> n | a << (-n & (bits - 1)))
BMI(sarx, x->dst = exec_signed(a, x->opsize) >> n)
BMI(shlx, x->dst = a << n)
BMI(shrx, x->dst = a >> n)

/* PDEP spreads the low bits of vvvv over the mask, PEXT gathers them. */
void do_pdep(struct exec *x)
{
    uint64_t mask = x->src, value = x->src2;

    x->dst = 0;
    for (uint64_t low = 1; mask; low <<= 1, mask &= mask - 1) {
        uint64_t spread = mask & -mask;

        if (value & (x->insn->op == EMUL_PDEP ? low : spread))
            x->dst |= x->insn->op == EMUL_PDEP ? spread : low;
    }
}

/* The high half goes to ModRM.reg, which wins if vvvv is the same register. */
void do_mulx(struct exec *x)
{
    unsigned __int128 product = (unsigned __int128)(x->gpr[EMUL_RDX] & emul_size_mask(x->opsize)) * x->src;

    exec_set_gpr(x, x->insn->vvvv & (EMUL_GPRS - 1), x->opsize, product);
    x->dst = product >> x->opsize * 8;
}
