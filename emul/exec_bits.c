/* Multiplication, division, bit counts, decimal adjustment, and the BMI instructions. */
#include "exec.h"

/* One operand against the accumulator, in the CPU: MOV and SAHF keep what the next of them needs. ax: flags in and out. */
#define WIDE(insn) "addb $127, %%al\n\tsahf\n\tmov %[low], %%rax\n\t" insn "\n\tmov %%rax, %[low]\n\tlahf\n\tseto %%al"
#define WIDE1(insn, type) \
    __asm__(WIDE(insn " %[src]") : [low] "+r"(low), "+a"(ax), "+d"(high) : [src] "r"((type)x->dst) : "cc")

#define MULTIPLY(name, insn) \
    int do_##name(struct exec *x) \
    { \
        uint64_t low = x->gpr[EMUL_RAX], high = x->gpr[EMUL_RDX]; \
        uint64_t ax = (x->flags & 0xff) << 8 | (x->flags >> 11 & 1); \
        if (x->opsize == 4) \
            WIDE1(insn, uint32_t); \
        else if (x->opsize == 8) \
            WIDE1(insn, uint64_t); \
        else if (x->opsize == 1) \
            WIDE1(insn, uint8_t); \
        else \
            WIDE1(insn, uint16_t); \
        x->gpr[EMUL_RAX] = low; \
        x->gpr[EMUL_RDX] = high; \
        x->flags = (x->flags & ~RFLAGS_STATUS) | (ax >> 8 & (RFLAGS_STATUS & 0xff)) | (ax & 1) << 11; \
        return EMUL_DONE; \
    }

MULTIPLY(mul, "mul")
MULTIPLY(imul, "imul")

#define TIMES(type) do { \
        type dst_ = (type)a; \
        __asm__("addb $127, %%al\n\tsahf\n\timul %[src], %[dst]\n\tlahf\n\tseto %%al" : [dst] "+r"(dst_), "+a"(ax) : [src] "r"((type)b) : "cc"); \
        x->dst = dst_; \
    } while (0)

static int multiply2(struct exec *x, uint64_t a, uint64_t b)
{
    uint16_t ax = (uint16_t)((x->flags & 0xff) << 8 | (x->flags >> 11 & 1));

    if (x->opsize == 4)
        TIMES(uint32_t);
    else if (x->opsize == 8)
        TIMES(uint64_t);
    else
        TIMES(uint16_t);
    x->flags = (x->flags & ~RFLAGS_STATUS) | (ax >> 8 & (RFLAGS_STATUS & 0xff)) | (uint64_t)(ax & 1) << 11;
    return EMUL_DONE;
}

int do_imul2(struct exec *x)
{
    return multiply2(x, x->dst, x->src);
}

int do_imul3(struct exec *x)
{
    return multiply2(x, x->src, x->src2);
}

/* The dividend of a byte is AX, else rDX:rAX; quotient and remainder go where it came from. */
static int divide_done(struct exec *x, uint64_t quotient, uint64_t remainder)
{
    if (x->opsize == 1) {
        exec_set_gpr(x, EMUL_RAX, 2, (quotient & 0xff) | (remainder & 0xff) << 8);
    } else {
        exec_set_gpr(x, EMUL_RAX, x->opsize, quotient);
        exec_set_gpr(x, EMUL_RDX, x->opsize, remainder);
    }
    return EMUL_DONE;
}

/* high:low, the dividend in 64-bit halves; of the smaller sizes high is 0. */
static void dividend(const struct exec *x, uint64_t *high, uint64_t *low)
{
    unsigned bits = x->opsize * 8;

    *high = 0;
    if (x->opsize == 1) {
        *low = (uint16_t)x->gpr[EMUL_RAX];
    } else if (x->opsize == 8) {
        *low = x->gpr[EMUL_RAX];
        *high = x->gpr[EMUL_RDX];
    } else {
        uint64_t mask = emul_size_mask(x->opsize);

        *low = (x->gpr[EMUL_RAX] & mask) | (x->gpr[EMUL_RDX] & mask) << bits;
    }
}

/* The caller has seen to it that the quotient fits: high < divisor. */
static uint64_t divide128(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder)
{
    __asm__("div %[divisor]" : "+a"(low), "+d"(high) : [divisor] "r"(divisor) : "cc");
    *remainder = high;
    return low;
}

int do_div(struct exec *x)
{
    uint64_t high, low, quotient, remainder;

    dividend(x, &high, &low);
    if (!x->dst || high >= x->dst)
        return exec_fault(x, EMUL_VECTOR_DE, 0);
    quotient = divide128(high, low, x->dst, &remainder);
    if (quotient & ~emul_size_mask(x->opsize))
        return exec_fault(x, EMUL_VECTOR_DE, 0);
    return divide_done(x, quotient, remainder);
}

/* By magnitudes, so that nothing overflows here that would not in the CPU. */
int do_idiv(struct exec *x)
{
    unsigned bits = x->opsize * 8;
    uint64_t sign = 1ull << (bits - 1), divisor = x->dst, high, low, quotient, remainder;
    int divisor_negative = !!(divisor & sign), negative;

    dividend(x, &high, &low);
    negative = x->opsize == 8 ? high >> 63 : low >> (2 * bits - 1) & 1;
    if (negative && x->opsize == 8)
        high = ~high + !low;
    if (negative)
        low = x->opsize == 8 ? 0 - low : (0 - low) & emul_size_mask(x->opsize * 2);
    if (divisor_negative)
        divisor = (0 - divisor) & emul_size_mask(x->opsize);
    if (!divisor || high >= divisor)
        return exec_fault(x, EMUL_VECTOR_DE, 0);
    quotient = divide128(high, low, divisor, &remainder);
    if (quotient > sign - (negative == divisor_negative))
        return exec_fault(x, EMUL_VECTOR_DE, 0);
    return divide_done(x, negative == divisor_negative ? quotient : 0 - quotient, negative ? 0 - remainder : remainder);
}

/* BSF and BSR of 0 leave the destination alone; LZCNT and TZCNT give the operand size in bits. */
int do_scan(struct exec *x)
{
    unsigned bits = x->opsize * 8;
    unsigned first = x->src ? (unsigned)__builtin_ctzll(x->src) : bits, last = x->src ? 63 - (unsigned)__builtin_clzll(x->src) : 0;

    switch (x->insn->op) {
    case EMUL_TZCNT:
        x->dst = first;
        break;
    case EMUL_LZCNT:
        x->dst = x->src ? bits - 1 - last : bits;
        break;
    default:
        exec_set_flag(x, RFLAGS_ZF, !x->src);
        if (x->src)
            x->dst = x->insn->op == EMUL_BSF ? first : last;
        else
            exec_keep_register(x);
        return EMUL_DONE;
    }
    exec_set_flag(x, RFLAGS_CF, !x->src);
    exec_set_flag(x, RFLAGS_ZF, !x->dst);
    return EMUL_DONE;
}

int do_popcnt(struct exec *x)
{
    uint64_t v = x->src;

    v -= v >> 1 & 0x5555555555555555;
    v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
    x->dst = v * 0x0101010101010101 >> 56;
    x->flags &= ~RFLAGS_STATUS;
    exec_set_flag(x, RFLAGS_ZF, !x->src);
    return EMUL_DONE;
}

#define CRC32C 0x82f63b78u         /* the polynomial 11EDC6F41h, bits reversed (SDM 2A CRC32) */

int do_crc32(struct exec *x)
{
    uint32_t crc = (uint32_t)x->gpr[x->insn->reg];

    for (unsigned byte = 0; byte < x->src_size; byte++) {
        crc ^= (uint8_t)(x->src >> byte * 8);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC32C : 0);
    }
    exec_set_gpr(x, x->insn->reg, 4, crc); /* whatever the operand size */
    return EMUL_DONE;
}

/* SF, ZF, PF of a byte. */
static void byte_flags(struct exec *x, uint8_t value)
{
    exec_set_flag(x, RFLAGS_SF, value >> 7);
    exec_set_flag(x, RFLAGS_ZF, !value);
    exec_set_flag(x, RFLAGS_PF, !__builtin_parity(value));
}

/* AAA, AAS (SDM 2A): by carry out of the low digit. */
static void adjust_unpacked(struct exec *x, int subtract)
{
    uint16_t ax = (uint16_t)x->gpr[EMUL_RAX];
    int carry = (ax & 0xf) > 9 || (x->flags & RFLAGS_AF);

    if (carry)
        ax = subtract ? ax - 0x106 : ax + 0x106;
    exec_set_gpr(x, EMUL_RAX, 2, ax & 0xff0f);
    exec_set_flag(x, RFLAGS_AF, carry);
    exec_set_flag(x, RFLAGS_CF, carry);
}

/* DAA, DAS (SDM 2A) */
static void adjust_packed(struct exec *x, int subtract)
{
    uint8_t old = (uint8_t)x->gpr[EMUL_RAX], al = old;
    int low = (old & 0xf) > 9 || (x->flags & RFLAGS_AF), high = old > 0x99 || (x->flags & RFLAGS_CF);

    if (low)
        al = subtract ? al - 6 : al + 6;
    if (high)
        al = subtract ? al - 0x60 : al + 0x60;
    exec_set_flag(x, RFLAGS_CF, high || (low && subtract && old < 6));
    exec_set_flag(x, RFLAGS_AF, low);
    byte_flags(x, al);
    exec_set_gpr(x, EMUL_RAX, 1, al);
}

int do_bcd(struct exec *x)
{
    unsigned op = x->insn->op;

    if (op == EMUL_AAA || op == EMUL_AAS)
        adjust_unpacked(x, op == EMUL_AAS);
    else
        adjust_packed(x, op == EMUL_DAS);
    return EMUL_DONE;
}

int do_aam(struct exec *x)
{
    uint8_t al = (uint8_t)x->gpr[EMUL_RAX], base = (uint8_t)x->insn->imm;

    if (!base)
        return exec_fault(x, EMUL_VECTOR_DE, 0);
    exec_set_gpr(x, EMUL_RAX, 2, (al / base) << 8 | al % base);
    byte_flags(x, al % base);
    return EMUL_DONE;
}

int do_aad(struct exec *x)
{
    uint8_t al = (uint8_t)(x->gpr[EMUL_RAX] + (uint8_t)(x->gpr[EMUL_RAX] >> 8) * (uint8_t)x->insn->imm);

    exec_set_gpr(x, EMUL_RAX, 2, al);
    byte_flags(x, al);
    return EMUL_DONE;
}

/* SF and ZF by the result, CF as given, OF clear; AF and PF are undefined and stay (SDM 2A ANDN, BLSR, BZHI). */
static int bmi_flags(struct exec *x, int carry)
{
    x->dst &= emul_size_mask(x->opsize);
    exec_set_flag(x, RFLAGS_SF, x->dst >> (x->opsize * 8 - 1) & 1);
    exec_set_flag(x, RFLAGS_ZF, !x->dst);
    exec_set_flag(x, RFLAGS_CF, carry);
    exec_set_flag(x, RFLAGS_OF, 0);
    return EMUL_DONE;
}

int do_bmi(struct exec *x)
{
    unsigned bits = x->opsize * 8, start = (uint8_t)x->src2, count = (uint8_t)(x->src2 >> 8);
    uint64_t sf = x->flags & RFLAGS_SF;

    switch (x->insn->op) {
    case EMUL_ANDN:
        x->dst = ~x->src2 & x->src;
        return bmi_flags(x, 0);
    case EMUL_BLSI:
        x->dst = x->src & (0 - x->src);
        return bmi_flags(x, !!x->src);
    case EMUL_BLSR:
        x->dst = x->src & (x->src - 1);
        return bmi_flags(x, !x->src);
    case EMUL_BLSMSK:
        x->dst = x->src ^ (x->src - 1);
        return bmi_flags(x, !x->src);
    case EMUL_BZHI:
        x->dst = start < bits ? x->src & ((1ull << start) - 1) : x->src;
        return bmi_flags(x, start >= bits);
    default: /* BEXTR: SF is undefined and stays */
        x->dst = start < bits ? x->src >> start : 0;
        x->dst = count < 64 ? x->dst & ((1ull << count) - 1) : x->dst;
        bmi_flags(x, 0);
        exec_set_flag(x, RFLAGS_SF, !!sf);
        return EMUL_DONE;
    }
}

/* RORX, SARX, SHLX, SHRX: no flags. */
int do_bmi_shift(struct exec *x)
{
    unsigned bits = x->opsize * 8, count = x->src2 & (bits - 1);

    switch (x->insn->op) {
    case EMUL_SHLX:
        x->dst = x->src << count;
        break;
    case EMUL_SHRX:
        x->dst = x->src >> count;
        break;
    case EMUL_SARX:
        x->dst = (uint64_t)((int64_t)(x->src << (64 - bits)) >> (64 - bits) >> count);
        break;
    default:
        x->dst = count ? x->src >> count | x->src << (bits - count) : x->src;
        break;
    }
    return EMUL_DONE;
}

/* PDEP spreads the low bits of vvvv over the mask, PEXT gathers them. */
int do_pdep(struct exec *x)
{
    uint64_t mask = x->src, result = 0;

    for (unsigned n = 0; mask; n++, mask &= mask - 1) {
        if (x->insn->op == EMUL_PDEP)
            result |= x->src2 >> n & 1 ? mask & (0 - mask) : 0;
        else
            result |= x->src2 & mask & (0 - mask) ? 1ull << n : 0;
    }
    x->dst = result;
    return EMUL_DONE;
}

/* The high half goes to ModRM.reg, which wins if vvvv is the same register. */
int do_mulx(struct exec *x)
{
    uint64_t low = x->gpr[EMUL_RDX], high;

    if (x->opsize == 4) {
        low = (uint32_t)low * x->src;
        high = low >> 32;
    } else {
        __asm__("mul %[src]" : "+a"(low), "=d"(high) : [src] "r"(x->src) : "cc");
    }
    exec_set_gpr(x, x->insn->vvvv & (EMUL_GPRS - 1), x->opsize, low);
    x->dst = high;
    return EMUL_DONE;
}
