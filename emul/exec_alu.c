/* Arithmetic and logic: the CPU itself computes, with the guest's status flags before and after, so that those which the manuals
 * leave undefined come out as on the CPU that the guest runs on. */
#include "exec.h"

#define MODIFY_TRIES 64u           /* lost races for CMPXCHG8B and CMPXCHG16B before the guest is entered again (E22) */

/* AX between two instructions of ours: AH is SF ZF AF PF CF, as LAHF and SAHF have them, bit 3 of AL is OF. Swapped, that is RFLAGS. */
static inline uint64_t swap_flags(uint64_t ax)
{
    uint16_t flags = ax;

    __asm__("rolw $8, %0" : "+r"(flags) : : "cc");
    return flags;
}

/* 120 + 8 overflows: OF. */
#define LOAD_FLAGS  "andb $8, %%al\n\taddb $120, %%al\n\tsahf\n\t"
#define STORE_FLAGS "\n\tlahf\n\tseto %%al\n\tshlb $3, %%al"

/* Loads the flags from AX, runs one instruction on dst, src and CL, stores them back. */
#define NATIVE(type, insn, source, count) do { \
        type dst_ = (type)x->dst; \
        __asm__(LOAD_FLAGS insn STORE_FLAGS : [dst] "+r"(dst_), "+a"(ax) : [src] "ri"((type)(source)), "ci"((uint8_t)(count)) : "cc"); \
        x->dst = dst_; \
    } while (0)

/* The same of one that no flag goes into, whatever CPU it is. */
#define FRESH(type, insn, source, count) do { \
        type dst_ = (type)x->dst; \
        __asm__(insn STORE_FLAGS : [dst] "+r"(dst_), "=a"(ax) : [src] "ri"((type)(source)) : "cc"); \
        x->dst = dst_; \
    } while (0)

/* One operand against the accumulator: MOV and SAHF keep what the next of them needs. */
#define WIDE(type, insn) \
    __asm__(LOAD_FLAGS "mov %[low], %%rax\n\t" insn " %[src]\n\tmov %%rax, %[low]" STORE_FLAGS \
            : [low] "+r"(x->gpr[EMUL_RAX]), "+a"(ax), "+d"(x->gpr[EMUL_RDX]) : [src] "r"((type)x->dst) : "cc")

/* A handler of one instruction in 16, 32 and 64 bits; with `byte` in 8 bits too. native: one of the three above; then what it takes. */
#define HANDLER(name, byte, native, ...) \
    void do_##name(struct exec *x) \
    { \
        uint64_t ax = swap_flags(x->flags); \
        if (EMUL_LIKELY(x->opsize == 4)) \
            native(uint32_t, __VA_ARGS__); \
        else if (x->opsize == 8) \
            native(uint64_t, __VA_ARGS__); \
        else if (x->opsize == 2) \
            native(uint16_t, __VA_ARGS__); \
        byte \
        x->flags = (x->flags & ~RFLAGS_STATUS) | (swap_flags(ax) & RFLAGS_STATUS); \
    }
#define ALU(name, native, ...)  HANDLER(name, else native(uint8_t, __VA_ARGS__);, native, __VA_ARGS__)
#define WORDS(name, ...) HANDLER(name, , NATIVE, __VA_ARGS__)
#define ACCUMULATOR(name, insn) HANDLER(name, else WIDE(uint8_t, insn);, WIDE, insn)

/* By operands: source and destination; one; a count, which the CPU masks by the size, and leaves the flags alone if it is 0. */
#define TWO(name, native) ALU(name, native, #name " %[src], %[dst]", x->src, 0)
#define ONE(name)   ALU(name, NATIVE, #name " %[dst]", 0, 0)
#define SHIFT(name) ALU(name, NATIVE, #name " %%cl, %[dst]", 0, x->src)
TWO(add, FRESH) TWO(or, FRESH) TWO(adc, NATIVE) TWO(sbb, NATIVE) TWO(and, FRESH) TWO(sub, FRESH) TWO(xor, FRESH) TWO(cmp, FRESH) TWO(test, FRESH)
ONE(inc) ONE(dec) ONE(neg)
SHIFT(rol) SHIFT(ror) SHIFT(rcl) SHIFT(rcr) SHIFT(shl) SHIFT(shr) SHIFT(sar)
WORDS(shld, "shld %%cl, %[src], %[dst]", x->src, x->src2)
WORDS(shrd, "shrd %%cl, %[src], %[dst]", x->src, x->src2)
WORDS(imul2, "imul %[src], %[dst]", x->src, 0)
ACCUMULATOR(mul, "mul")
ACCUMULATOR(imul, "imul")

void do_imul3(struct exec *x)
{
    x->dst = x->src2;
    do_imul2(x);
}

void do_xadd(struct exec *x)
{
    uint64_t old = x->dst;

    do_add(x);
    x->src = old;
}

/* Not equal: memory is written all the same, with what it held (SDM 2A CMPXCHG); a register stays. */
void do_cmpxchg(struct exec *x)
{
    uint64_t held = x->dst, with = x->src;

    x->dst = x->gpr[EMUL_RAX];
    x->src = held;
    do_cmp(x);
    x->src = with;
    x->dst = x->flags & RFLAGS_ZF ? with : held;
    if (x->flags & RFLAGS_ZF)
        return;
    exec_set_gpr(x, EMUL_RAX, x->opsize, held);
    if (x->insn->mod == 3 && x->opsize == 4)
        exec_keep_register(x);
}

/* CMPXCHG8B and CMPXCHG16B: half is 4 or 8 bytes. Always atomic on RAM. */
void do_cmpxchg8b(struct exec *x)
{
    unsigned half = x->opsize == 8 ? 8 : 4;
    uint64_t held[2], want[2] = { x->gpr[EMUL_RAX], x->gpr[EMUL_RDX] }, with[2] = { x->gpr[EMUL_RBX], x->gpr[EMUL_RCX] };
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t linear;

    exec_must(x, emul_linear(x->ctx, x->mode, x->insn->seg, exec_offset(x), half * 2, EMUL_PF_W, &linear, x->result));
    exec_gp0_if(x, half == 8 && (linear & 15));
    exec_must(x, exec_resolve(x, 0, half * 2, EMUL_PF_W, &x->place));
    if (half == 4) {
        want[0] = (uint32_t)want[0] | want[1] << 32;
        with[0] = (uint32_t)with[0] | with[1] << 32;
    }
    for (unsigned tries = 0; tries < MODIFY_TRIES; tries++) {
        int equal, lost = -1;

        exec_must(x, emul_move(x->ctx, &x->place, held, x->place.how, EMUL_FOR_OPERAND));
        equal = held[0] == want[0] && (half == 4 || held[1] == want[1]);
        if (!x->place.size[1] && ops->phys_cmpxchg)
            lost = ops->phys_cmpxchg(x->ctx->opaque, x->place.gpa[0], half * 2, held, equal ? with : held, EMUL_FOR_OPERAND);
        if (lost > 0)
            continue;
        if (lost < 0)
            exec_must(x, emul_move(x->ctx, &x->place, equal ? with : held, x->place.how | EMUL_MOVE_WRITE, EMUL_FOR_OPERAND));
        exec_set_flag(x, RFLAGS_ZF, equal);
        if (!equal) {
            exec_set_gpr(x, EMUL_RAX, half, held[0]);
            exec_set_gpr(x, EMUL_RDX, half, half == 4 ? held[0] >> 32 : held[1]);
        }
        return;
    }
    exec_end(x, EMUL_RETRY);
}

/* ADCX and ADOX: one flag in and out, no other (SDM 2A). */
void do_adcx(struct exec *x)
{
    uint64_t flag = x->insn->op == EMUL_ADCX ? RFLAGS_CF : RFLAGS_OF;
    unsigned __int128 sum = (unsigned __int128)x->dst + x->src + !!(x->flags & flag);

    x->dst = sum;
    exec_set_flag(x, flag, sum >> x->opsize * 8 & 1);
}

/* On the bit src of dst. Of the defined flags only CF changes. */
#define BIT_TEST(name) static WORDS(name, #name " %[src], %[dst]", x->src, 0)
BIT_TEST(bt) BIT_TEST(btc) BIT_TEST(btr) BIT_TEST(bts)

/* A bit number in a register reaches memory far from the operand's address, either way (SDM 2A 3.1.1.9, E5). The operation is in the
 * opcode, or in ModRM.reg. */
void do_bit(struct exec *x)
{
    static void (*const computes[4])(struct exec *) = { do_bt, do_bts, do_btr, do_btc };
    const struct emul_insn *insn = x->insn;
    void (*compute)(struct exec *) = computes[insn->imm_size ? insn->reg & 3 : insn->opcode >> 3 & 3];
    int64_t number = insn->imm_size ? insn->imm & (x->opsize * 8 - 1) : exec_signed(x->gpr[insn->reg], x->opsize);
    uint64_t offset = exec_offset(x), skip;

    x->src = number & (x->opsize * 8 - 1);
    if (insn->mod == 3) {
        uint8_t *reg = exec_reg(x, insn->rm, x->opsize);

        x->dst = exec_reg_read(reg, x->opsize);
        compute(x);
        if (compute != do_bt)
            exec_reg_write(reg, x->opsize, x->dst);
        return;
    }
    skip = ((offset + (uint64_t)((number - (int64_t)x->src) / 8)) & emul_size_mask(insn->addrsize)) - offset;
    exec_must(x, exec_resolve(x, skip, x->opsize, compute == do_bt ? 0 : EMUL_PF_W, &x->place));
    exec_must(x, exec_modify(x, compute, compute != do_bt ? X_READ | X_WRITE : X_READ));
}
