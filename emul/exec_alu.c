/* Arithmetic and logic: the CPU itself computes, with the guest's status flags before and after, so that those which the manuals
 * leave undefined come out as on the CPU that the guest runs on. */
#include "exec.h"

#define MODIFY_TRIES 64u           /* lost races for CMPXCHG8B and CMPXCHG16B before the guest is entered again (E22) */

/* AX as LAHF and SETO leave it: AH is SF ZF AF PF CF, AL is OF. */
static inline uint16_t pack_flags(uint64_t flags)
{
    return (uint16_t)((flags & 0xff) << 8 | (flags >> 11 & 1));
}

static inline uint64_t unpack_flags(uint64_t flags, uint16_t ax)
{
    return (flags & ~RFLAGS_STATUS) | (ax >> 8 & (RFLAGS_STATUS & 0xff)) | (uint64_t)(ax & 1) << 11;
}

/* Loads the flags from AX (127 + OF overflows just when OF is set), runs one instruction, stores them back. */
#define WITH_FLAGS(insn) "addb $127, %%al\n\tsahf\n\t" insn "\n\tlahf\n\tseto %%al"

/* `insn` with destination and source of one type; flags in and out. */
#define NATIVE2(insn, type) do { \
        type dst_ = (type)x->dst; \
        __asm__(WITH_FLAGS(insn " %[src], %[dst]") : [dst] "+r"(dst_), "+a"(ax) : [src] "r"((type)x->src) : "cc"); \
        x->dst = dst_; \
    } while (0)

#define BINARY(name, insn) \
    int do_##name(struct exec *x) \
    { \
        uint16_t ax = pack_flags(x->flags); \
        if (x->opsize == 4) \
            NATIVE2(insn, uint32_t); \
        else if (x->opsize == 8) \
            NATIVE2(insn, uint64_t); \
        else if (x->opsize == 1) \
            NATIVE2(insn, uint8_t); \
        else \
            NATIVE2(insn, uint16_t); \
        x->flags = unpack_flags(x->flags, ax); \
        return EMUL_DONE; \
    }

BINARY(add, "add")
BINARY(or, "or")
BINARY(adc, "adc")
BINARY(sbb, "sbb")
BINARY(and, "and")
BINARY(sub, "sub")
BINARY(xor, "xor")
BINARY(cmp, "cmp")
BINARY(test, "test")

/* The same with one operand. */
#define NATIVE1(insn, type) do { \
        type dst_ = (type)x->dst; \
        __asm__(WITH_FLAGS(insn " %[dst]") : [dst] "+r"(dst_), "+a"(ax) : : "cc"); \
        x->dst = dst_; \
    } while (0)

#define UNARY(name, insn) \
    int do_##name(struct exec *x) \
    { \
        uint16_t ax = pack_flags(x->flags); \
        if (x->opsize == 4) \
            NATIVE1(insn, uint32_t); \
        else if (x->opsize == 8) \
            NATIVE1(insn, uint64_t); \
        else if (x->opsize == 1) \
            NATIVE1(insn, uint8_t); \
        else \
            NATIVE1(insn, uint16_t); \
        x->flags = unpack_flags(x->flags, ax); \
        return EMUL_DONE; \
    }

UNARY(inc, "inc")
UNARY(dec, "dec")
UNARY(neg, "neg")

int do_not(struct exec *x)
{
    x->dst = ~x->dst;
    return EMUL_DONE;
}

uint64_t exec_compare_flags(uint64_t a, uint64_t b, unsigned size, uint64_t flags)
{
    unsigned shift = 64 - size * 8;
    uint64_t difference = (a - b) & emul_size_mask(size);
    uint64_t borrows = (~a & b) | (~(a ^ b) & difference);
    uint64_t overflow = (a ^ b) & (a ^ difference);

    flags &= ~RFLAGS_STATUS;
    flags |= borrows << shift >> 63 ? RFLAGS_CF : 0;
    flags |= overflow << shift >> 63 ? RFLAGS_OF : 0;
    flags |= difference << shift >> 63 ? RFLAGS_SF : 0;
    flags |= difference ? 0 : RFLAGS_ZF;
    flags |= (a ^ b ^ difference) & RFLAGS_AF;
    flags |= __builtin_parity((unsigned)difference & 0xff) ? 0 : RFLAGS_PF;
    return flags;
}

/* Shifts and rotates by CL. The count is already masked and not 0. */
#define SHIFT1(insn, type) do { \
        type dst_ = (type)x->dst; \
        __asm__(WITH_FLAGS(insn " %%cl, %[dst]") : [dst] "+r"(dst_), "+a"(ax) : "c"(count) : "cc"); \
        x->dst = dst_; \
    } while (0)

#define SHIFT(name, insn) \
    static uint16_t shift_##name(struct exec *x, uint8_t count, uint16_t ax) \
    { \
        if (x->opsize == 4) \
            SHIFT1(insn, uint32_t); \
        else if (x->opsize == 8) \
            SHIFT1(insn, uint64_t); \
        else if (x->opsize == 1) \
            SHIFT1(insn, uint8_t); \
        else \
            SHIFT1(insn, uint16_t); \
        return ax; \
    }

SHIFT(rol, "rol")
SHIFT(ror, "ror")
SHIFT(rcl, "rcl")
SHIFT(rcr, "rcr")
SHIFT(shl, "shl")
SHIFT(shr, "shr")
SHIFT(sar, "sar")

int do_shift(struct exec *x)
{
    uint8_t count = x->src & (x->opsize == 8 ? 63 : 31);
    uint16_t ax = pack_flags(x->flags);

    if (!count)
        return EMUL_DONE;
    switch (x->insn->op) {
    case EMUL_ROL:
        ax = shift_rol(x, count, ax);
        break;
    case EMUL_ROR:
        ax = shift_ror(x, count, ax);
        break;
    case EMUL_RCL:
        ax = shift_rcl(x, count, ax);
        break;
    case EMUL_RCR:
        ax = shift_rcr(x, count, ax);
        break;
    case EMUL_SHL:
        ax = shift_shl(x, count, ax);
        break;
    case EMUL_SHR:
        ax = shift_shr(x, count, ax);
        break;
    default:
        ax = shift_sar(x, count, ax);
        break;
    }
    x->flags = unpack_flags(x->flags, ax);
    return EMUL_DONE;
}

#define DOUBLE1(insn, type) do { \
        type dst_ = (type)x->dst; \
        __asm__(WITH_FLAGS(insn " %%cl, %[src], %[dst]") : [dst] "+r"(dst_), "+a"(ax) : [src] "r"((type)x->src), "c"(count) : "cc"); \
        x->dst = dst_; \
    } while (0)

#define DOUBLE(name, insn) \
    static uint16_t double_##name(struct exec *x, uint8_t count, uint16_t ax) \
    { \
        if (x->opsize == 4) \
            DOUBLE1(insn, uint32_t); \
        else if (x->opsize == 8) \
            DOUBLE1(insn, uint64_t); \
        else \
            DOUBLE1(insn, uint16_t); \
        return ax; \
    }

DOUBLE(left, "shld")
DOUBLE(right, "shrd")

int do_shld(struct exec *x)
{
    uint8_t count = x->src2 & (x->opsize == 8 ? 63 : 31);
    uint16_t ax = pack_flags(x->flags);

    if (count) {
        ax = x->insn->op == EMUL_SHLD ? double_left(x, count, ax) : double_right(x, count, ax);
        x->flags = unpack_flags(x->flags, ax);
    }
    return EMUL_DONE;
}

int do_xadd(struct exec *x)
{
    uint64_t old = x->dst;

    do_add(x);
    x->src = old;
    return EMUL_DONE;
}

/* Not equal: memory is written all the same, with what it held (SDM 2A CMPXCHG); a register stays. */
int do_cmpxchg(struct exec *x)
{
    uint64_t held = x->dst, accumulator = x->gpr[EMUL_RAX] & emul_size_mask(x->opsize);

    x->flags = exec_compare_flags(accumulator, held, x->opsize, x->flags);
    if (accumulator == held)
        x->dst = x->src;
    else
        exec_set_gpr(x, EMUL_RAX, x->opsize, held);
    if (accumulator != held && x->insn->mod == 3 && x->opsize == 4)
        exec_keep_register(x);
    return EMUL_DONE;
}

/* CMPXCHG8B and CMPXCHG16B: half is 4 or 8 bytes. Always atomic on RAM. */
int do_cmpxchg8b(struct exec *x)
{
    unsigned half = x->opsize == 8 ? 8 : 4;
    uint64_t held[2], want[2] = { x->gpr[EMUL_RAX], x->gpr[EMUL_RDX] }, with[2] = { x->gpr[EMUL_RBX], x->gpr[EMUL_RCX] };
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t linear;
    int status = emul_linear(x->ctx, x->mode, x->insn->seg, exec_offset(x), half * 2, EMUL_PF_W, &linear, x->result);

    if (!status && half == 8 && (linear & 15))
        return exec_gp0(x);
    if (!status)
        status = exec_resolve(x, 0, half * 2, EMUL_PF_W, &x->place);
    if (status)
        return status;
    if (half == 4) {
        want[0] = (uint32_t)want[0] | want[1] << 32;
        with[0] = (uint32_t)with[0] | with[1] << 32;
    }
    for (unsigned tries = 0; tries < MODIFY_TRIES; tries++) {
        int equal, lost = -1;

        status = emul_load_bytes(x->ctx, &x->place, held, EMUL_FOR_OPERAND);
        if (status)
            return status;
        equal = held[0] == want[0] && (half == 4 || held[1] == want[1]);
        if (!x->place.size[1] && ops->phys_cmpxchg)
            lost = ops->phys_cmpxchg(x->ctx->opaque, x->place.gpa[0], half * 2, held, equal ? with : held, EMUL_FOR_OPERAND);
        if (lost < 0)
            status = emul_store_bytes(x->ctx, &x->place, equal ? with : held, EMUL_FOR_OPERAND);
        if (status)
            return status;
        if (lost == 1)
            continue;
        x->flags = equal ? x->flags | RFLAGS_ZF : x->flags & ~RFLAGS_ZF;
        if (!equal) {
            exec_set_gpr(x, EMUL_RAX, half, held[0]);
            exec_set_gpr(x, EMUL_RDX, half, half == 4 ? held[0] >> 32 : held[1]);
        }
        return EMUL_DONE;
    }
    return EMUL_RETRY;
}

/* ADCX and ADOX: one flag in and out, no other (SDM 2A). */
int do_adcx(struct exec *x)
{
    uint64_t flag = x->insn->op == EMUL_ADCX ? RFLAGS_CF : RFLAGS_OF, sum;
    int carry = __builtin_add_overflow(x->dst, x->src, &sum);

    carry |= __builtin_add_overflow(sum, !!(x->flags & flag), &sum);
    if (x->opsize == 4)
        carry = sum >> 32 & 1;
    x->dst = sum;
    x->flags = carry ? x->flags | flag : x->flags & ~flag;
    return EMUL_DONE;
}

/* BT, BTS, BTR, BTC on the bit src of dst. Of the flags only CF changes. */
static int run_bit(struct exec *x)
{
    uint64_t bit = 1ull << x->src;

    x->flags = x->dst & bit ? x->flags | RFLAGS_CF : x->flags & ~RFLAGS_CF;
    if (x->insn->op == EMUL_BTS)
        x->dst |= bit;
    else if (x->insn->op == EMUL_BTR)
        x->dst &= ~bit;
    else if (x->insn->op == EMUL_BTC)
        x->dst ^= bit;
    return EMUL_DONE;
}

/* A bit number in a register reaches memory far from the operand's address, either way (SDM 2A 3.1.1.9, E5). */
int do_bit(struct exec *x)
{
    const struct emul_insn *insn = x->insn;
    unsigned bits = x->opsize * 8;
    int64_t number = insn->imm_size ? insn->imm & (bits - 1) : (int64_t)(x->gpr[insn->reg] << (64 - bits)) >> (64 - bits);
    int test = insn->op == EMUL_BT;
    int status;

    x->src = number & (bits - 1);
    if (insn->mod == 3) {
        uint8_t *reg = exec_reg(x, insn->rm, x->opsize);

        x->dst = exec_reg_read(reg, x->opsize);
        run_bit(x);
        if (!test)
            exec_reg_write(reg, x->opsize, x->dst);
        return EMUL_DONE;
    }
    number = (number - (int64_t)x->src) / (int64_t)bits * x->opsize;
    number = (int64_t)(((exec_offset(x) + (uint64_t)number) & emul_size_mask(insn->addrsize)) - exec_offset(x));
    status = exec_resolve(x, (uint64_t)number, x->opsize, test ? 0 : EMUL_PF_W, &x->place);
    return status ? status : exec_modify(x, run_bit, !test);
}
