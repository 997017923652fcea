/* Makes the silicon harness's cases: encodings of everything that the library executes, and registers, memory and places to go with them.
 *
 * Nothing here knows what an instruction does; the rows of `kinds` say what operands make it interesting. */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include "emul/exec.h"
#include "silicon.h"

/* ---- Random numbers: all of a case follows from its block's seed ------------------------------------------------------------ */
static uint64_t random_state;

uint64_t gen_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

void gen_block(uint64_t seed)
{
    random_state = seed;
}

static uint64_t rnd(void)
{
    return gen_mix(random_state += 0x9e3779b97f4a7c15ull);
}

static int chance(unsigned percent)
{
    return rnd() % 100 < percent;
}

static uint64_t edge_value(void)
{
    static const uint64_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
                                      0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~1ull, 0x0101010101010101,
                                      0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x9999999999999999, 10, 16, 32, 64, 0xffffffff80000000 };
    uint64_t r = rnd();

    switch (r & 7) {
    case 0: case 1: case 2:
        return edges[(r >> 3) % (sizeof(edges) / sizeof(edges[0]))];
    case 3:
        return 1ull << (r >> 3 & 63);
    case 4:
        return r >> (r >> 58);
    default:
        return rnd();
    }
}

/* ---- The pool of encodings ------------------------------------------------------------------------------------------------------ */
struct encoding {
    uint8_t op, map, opcode, pp, modrm, free; /* free: bits of modrm that are chosen at random */
    uint8_t encoding, vex[3];                 /* EMUL_ENC_VEX, EVEX: the bytes behind C4 or 62, with R X B vvvv mask at random */
};
#define POOL_MAX 30000u
static struct encoding pool[POOL_MAX];
static unsigned pool_size, first_of[EMUL_OPS_END + 1];
static uint8_t may_run[EMUL_OPS_END];         /* of an operation: 1 if cases may be made */
static unsigned total_weight, weight_of[EMUL_OPS_END];
static unsigned code_mode;                    /* for emul_decode() */

/* Not run: they answer from the machine under this one, they leave the test (system calls), Linux emulates them (UMIP), or they make
 * state that is not compared. */
static const char *const excluded[] = { "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDRAND", "RDSEED", "RDPRU", "SYSCALL", "SYSENTER", "SGDT", "SIDT",
                                        "SLDT", "STR", "SMSW", "VMCALL", "VMMCALL", "XGETBV", "RDPID", "SERIALIZE",
                                        "HRESET", "WBINVD", "INVD", "SVM", "SNP", "VMX" };

/* Extensions that this CPU may lack: it would take another instruction, or #UD. */
static const struct { const char *op; uint32_t leaf; uint8_t reg, bit; } extensions[] = { /* reg: EBX is 1, ECX 2, EDX 3 */
    { "CRC32", 1, 2, 20 }, { "MOVBE", 1, 2, 22 }, { "POPCNT", 1, 2, 23 }, { "LZCNT", 0x80000001, 2, 5 }, { "TZCNT", 7, 1, 3 },
    { "ADCX", 7, 1, 19 }, { "ADOX", 7, 1, 19 }, { "ANDN", 7, 1, 3 }, { "BEXTR", 7, 1, 3 }, { "BLSI", 7, 1, 3 }, { "BLSR", 7, 1, 3 },
    { "BLSMSK", 7, 1, 3 }, { "BZHI", 7, 1, 8 }, { "MULX", 7, 1, 8 }, { "PDEP", 7, 1, 8 }, { "PEXT", 7, 1, 8 }, { "RORX", 7, 1, 8 },
    { "SARX", 7, 1, 8 }, { "SHLX", 7, 1, 8 }, { "SHRX", 7, 1, 8 }, { "VEX", 7, 1, 5 }, { "EVEX", 7, 1, 31 }, { "INVPCID", 7, 1, 10 },
};

static int cpu_has(uint32_t leaf, unsigned reg, unsigned bit)
{
    uint32_t r[4];

    return __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]) && r[reg] >> bit & 1;
}

static void choose_ops(const char *only)
{
    for (unsigned op = 1; op < EMUL_OPS_END; op++) {
        const char *name = emul_op_name(op);

        may_run[op] = emul_exec[op].flags && (!only || !strcmp(only, name));
        for (unsigned i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++)
            if (!strcmp(excluded[i], name))
                may_run[op] = 0;
        for (unsigned i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
            if (!strcmp(extensions[i].op, name) && !cpu_has(extensions[i].leaf, extensions[i].reg, extensions[i].bit))
                may_run[op] = 0;
    }
}

static const uint8_t pp_byte[4] = { 0, 0x66, 0xf3, 0xf2 };

/* The opcode with its escapes, or the VEX or EVEX prefix; returns the count of bytes. */
static unsigned put_opcode(uint8_t *out, const struct encoding *e, uint64_t random)
{
    unsigned n = 0;

    if (e->encoding == EMUL_LEGACY) {
        if (e->map != EMUL_MAP_1)
            out[n++] = 0x0f;
        if (e->map == EMUL_MAP_0F38 || e->map == EMUL_MAP_0F3A)
            out[n++] = e->map == EMUL_MAP_0F38 ? 0x38 : 0x3a;
    } else if (e->encoding == EMUL_ENC_VEX) {
        out[n++] = 0xc4;
        out[n++] = e->vex[0] ^ ((code_mode & 3) == EMUL_MODE64 ? random & 0xe0 : 0);
        out[n++] = e->vex[1] ^ (random >> 8 & 3 ? 0 : random >> 16 & 0x38);
    } else {
        out[n++] = 0x62;
        out[n++] = e->vex[0] ^ ((code_mode & 3) == EMUL_MODE64 ? random & 0xf0 : 0);
        out[n++] = e->vex[1] ^ (random >> 8 & 3 ? 0 : random >> 16 & 0x38);
        out[n++] = e->vex[2] ^ (random >> 10 & 1 ? random >> 24 & 0x87 : 0);
    }
    out[n++] = e->opcode;
    return n;
}

static int decode_encoding(const struct encoding *e, struct emul_insn *insn)
{
    uint8_t bytes[16] = { 0 };
    unsigned n = 0;

    if (e->encoding == EMUL_LEGACY && e->pp)
        bytes[n++] = pp_byte[e->pp];
    n += put_opcode(bytes + n, e, 0);
    bytes[n] = e->modrm;
    return emul_decode(insn, bytes, 15, code_mode) > 0 && insn->encoding == e->encoding && insn->map == e->map && insn->opcode == e->opcode;
}

/* Vector instructions are taken by the family; this tells which of them the library does not refuse. */
static int is_refused(const struct encoding *e)
{
    struct test_case c;
    struct outcome after;
    unsigned n = 0;

    memset(&c, 0, sizeof(c));
    c.mode = code_mode & 3;
    c.before.sel[EMUL_CS] = world_cs(c.mode, 0);
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        if (i != EMUL_CS)
            c.before.sel[i] = 6 << 3 | 7;
    for (unsigned i = 0; i < 16; i++)
        c.before.gpr[i] = c.mode == EMUL_MODE64 ? world_rw_address(0) : i ? 0 : 64;
    c.before.rflags = 2;
    if (e->pp && e->encoding == EMUL_LEGACY)
        c.bytes[n++] = pp_byte[e->pp];
    n += put_opcode(c.bytes + n, e, 0);
    c.bytes[n] = e->modrm;
    memcpy(world.code + 16, c.bytes, 16);
    world_segment(c.before.sel[EMUL_CS], &(struct emul_segment){ 0 });
    c.before.rip = CODE_PAGE * 4096 + 16 + (c.mode == EMUL_MODE64 ? WINDOW : 0);
    if (c.mode == EMUL_MODE32)
        c.before.rip += WINDOW;
    world_emulate(&c, &after);
    memset(world.code + 16, FILLER, 16);
    return after.vector == VECTOR_REFUSED;
}

static void pool_add(const struct encoding *e)
{
    if (pool_size < POOL_MAX && !((e->op == EMUL_SIMD || e->op == EMUL_VEX || e->op == EMUL_EVEX) && is_refused(e)))
        pool[pool_size++] = *e;
}

/* All ModRM bytes of one opcode: one entry, or one for each value of the fields that decide over the operation. */
static void pool_add_modrm(struct encoding e)
{
    struct emul_insn insn, plain;
    uint8_t ops[256] = { 0 };

    for (unsigned modrm = 0; modrm < 256; modrm++) {
        e.modrm = modrm;
        ops[modrm] = decode_encoding(&e, &insn) ? insn.op : EMUL_BAD;
        if (ops[modrm] && e.pp && e.encoding == EMUL_LEGACY) { /* a prefix that is not mandatory comes at random anyway */
            struct encoding none = e;

            none.pp = 0;
            if (decode_encoding(&none, &plain) && plain.op == insn.op && plain.form == insn.form)
                ops[modrm] = EMUL_BAD;
        }
        if (ops[modrm] && !may_run[ops[modrm]])
            ops[modrm] = EMUL_BAD;
        if (ops[0] && !insn.has_modrm) {
            e.op = ops[0];
            e.free = 0;
            pool_add(&e);
            return;
        }
    }
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            unsigned first = half * 0xc0 | reg << 3, rm_free = 1, reg_free = 1;

            for (unsigned i = 0; i < 8; i++) {
                rm_free &= ops[first | i] == ops[first];
                reg_free &= ops[(first & 0xc7) ^ i << 3] == ops[first];
            }
            e.free = (half ? 0 : 0xc0) | (rm_free ? 7 : 0) | (reg_free && rm_free ? 0x38 : 0);
            for (unsigned rm = 0; rm < (rm_free ? 1 : 8); rm++) {
                e.modrm = first | rm;
                e.op = ops[e.modrm];
                if (e.op)
                    pool_add(&e);
            }
            if (reg_free && rm_free)
                break;
        }
    }
}

static void pool_add_vector(void)
{
    for (unsigned n = 0; n < 3 * 256 * 4 * 2; n++) {
        struct encoding e = { .map = EMUL_MAP_0F + n % 3, .opcode = n / 3, .pp = n / 768 % 4 };
        unsigned w = n / 3072;

        for (unsigned l = 0; l < 3; l++) {
            e.encoding = EMUL_ENC_VEX;
            e.vex[0] = 0xe0 | e.map;
            e.vex[1] = w << 7 | 0x78 | l << 2 | e.pp;
            if (l < 2)
                pool_add_modrm(e);
            e.encoding = EMUL_ENC_EVEX;
            e.vex[0] = 0xf0 | e.map;
            e.vex[1] = w << 7 | 0x7c | e.pp;
            e.vex[2] = l << 5 | 8;
            if (may_run[EMUL_EVEX])
                pool_add_modrm(e);
        }
    }
}

static int op_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct encoding)); /* op is its first member; the rest makes the order one of its own */
}

/* ---- Kinds of instructions -------------------------------------------------------------------------------------------------------- */
static uint64_t pick_linear(unsigned size);
static void aim(struct test_case *c, uint64_t linear);
static uint64_t segment_base(const struct test_case *c, unsigned seg);

static uint64_t *gpr(struct test_case *c, unsigned n)
{
    return &c->before.gpr[n];
}

static void set_part(struct test_case *c, unsigned n, unsigned size, uint64_t value)
{
    uint64_t mask = emul_size_mask(size);

    *gpr(c, n) = (*gpr(c, n) & ~mask) | (value & mask);
}

static void set_offset(struct test_case *c, unsigned n, unsigned size, unsigned seg, uint64_t linear)
{
    set_part(c, n, size, linear - segment_base(c, seg));
}

static uint64_t code_offset(struct test_case *c) /* a place to go to, mostly a good one */
{
    if (chance(6))
        return edge_value();
    return WINDOW + CODE_PAGE * 4096 + rnd() % (CODE_BYTES + 0x40) - segment_base(c, EMUL_CS);
}

static unsigned stack_size(const struct test_case *c)
{
    struct emul_segment ss;

    world_segment(c->before.sel[EMUL_SS], &ss);
    return c->mode == EMUL_MODE64 ? 8 : ss.attr & SEG_DB ? 4 : 2;
}

static uint64_t stack_linear(struct test_case *c)
{
    uint64_t rsp = *gpr(c, EMUL_RSP) & emul_size_mask(stack_size(c));

    return c->mode == EMUL_MODE64 ? rsp : (uint32_t)(rsp + segment_base(c, EMUL_SS));
}

static void poke_operand(struct test_case *c, uint64_t linear, unsigned size, uint64_t value)
{
    if (c->insn.mod != 3)
        world_poke(linear, size, value);
    else
        set_part(c, c->insn.rm, size, value);
}

static void prepare_none(struct test_case *c, uint64_t linear)
{
    (void)c;
    (void)linear;
}

static void prepare_div(struct test_case *c, uint64_t linear)
{
    uint64_t divisor = edge_value();

    if (chance(20))
        return;
    poke_operand(c, linear, c->insn.opsize, divisor);
    if (c->insn.opsize == 1)
        set_part(c, EMUL_RAX, 2, (divisor & 0xff) * (rnd() & 0xff) + (rnd() & 0x7f));
    else
        set_part(c, EMUL_RDX, c->insn.opsize, chance(50) ? rnd() % ((divisor & emul_size_mask(c->insn.opsize)) | 1) >> (rnd() & 15) :
                 chance(50) ? 0 : ~0ull);
}

static void prepare_cmpxchg(struct test_case *c, uint64_t linear)
{
    uint64_t value;

    if (chance(50))
        return;
    if (c->insn.mod == 3)
        value = *gpr(c, c->insn.rm);
    else if (!world_peek(linear, c->insn.opsize, &value))
        return;
    set_part(c, EMUL_RAX, c->insn.opsize, value);
    if (c->insn.op == EMUL_CMPXCHG8B && world_peek(linear + c->insn.opsize, c->insn.opsize, &value))
        set_part(c, EMUL_RDX, c->insn.opsize, value);
}

static void prepare_bit(struct test_case *c, uint64_t linear)
{
    unsigned size = c->insn.opsize;
    int64_t bits = (int64_t)(rnd() % 16384) - 8192;

    if (c->insn.mod == 3 || c->insn.imm_size || chance(10))
        return;
    set_part(c, c->insn.reg, size, bits); /* the operand's base then lies that far off the place */
    aim(c, linear - (uint64_t)((bits >> (size == 2 ? 4 : size == 4 ? 5 : 6)) * (int)size));
}

static void prepare_string(struct test_case *c, uint64_t linear)
{
    unsigned size = c->insn.addrsize, seg64 = c->mode == EMUL_MODE64 ? EMUL_DS : EMUL_ES;
    uint64_t count = chance(4) ? rnd() % 6000 : chance(3) ? edge_value() : rnd() % 40;

    (void)linear;
    set_offset(c, EMUL_RSI, size, c->insn.seg, pick_linear(8));
    set_offset(c, EMUL_RDI, size, seg64, pick_linear(8));
    if (chance(15)) /* overlapping */
        set_offset(c, EMUL_RDI, size, seg64, *gpr(c, EMUL_RSI) + segment_base(c, c->insn.seg) + rnd() % 17 - 8);
    if (chance(10))
        set_part(c, chance(50) ? EMUL_RSI : EMUL_RDI, size, chance(50) ? -(rnd() % 40) : rnd() % 40);
    set_part(c, EMUL_RCX, size, count);
    if (c->insn.op == EMUL_CMPS && chance(70)) {
        for (unsigned i = 0; i < 12; i++) {
            world_poke(*gpr(c, EMUL_RSI) + segment_base(c, c->insn.seg) + i, 1, i / 4);
            world_poke(*gpr(c, EMUL_RDI) + segment_base(c, seg64) + i, 1, i / 4);
        }
    }
    if (c->insn.op == EMUL_SCAS && chance(50))
        for (unsigned i = 0; i < 12; i++)
            world_poke(*gpr(c, EMUL_RDI) + segment_base(c, seg64) + i, 1, *gpr(c, EMUL_RAX) >> i % c->insn.opsize * 8);
}

static void prepare_xlat(struct test_case *c, uint64_t linear)
{
    set_offset(c, EMUL_RBX, c->insn.addrsize, c->insn.seg, linear - (*gpr(c, EMUL_RAX) & 0xff));
}

static void prepare_loop(struct test_case *c, uint64_t linear)
{
    (void)linear;
    if (chance(60))
        set_part(c, EMUL_RCX, c->insn.addrsize, rnd() % 3);
}

static void prepare_ret(struct test_case *c, uint64_t linear)
{
    (void)linear;
    if (chance(95))
        world_poke(stack_linear(c), c->insn.opsize, code_offset(c));
}

/* JMP and CALL through a register or memory. */
static void prepare_jump(struct test_case *c, uint64_t linear)
{
    if (c->insn.has_modrm && c->insn.opsize && chance(95))
        poke_operand(c, linear, c->insn.opsize, code_offset(c));
}

static void prepare_frame(struct test_case *c, uint64_t linear) /* ENTER, LEAVE */
{
    unsigned ss = stack_size(c);

    (void)linear;
    if (chance(90))
        set_offset(c, EMUL_RBP, ss, EMUL_SS, pick_linear(8) + (chance(50) ? rnd() % 64 : 0));
}

static void prepare_popf(struct test_case *c, uint64_t linear)
{
    (void)linear;
    world_poke(stack_linear(c), c->insn.opsize, rnd());
}

static void prepare_selector(struct test_case *c, uint64_t linear)
{
    poke_operand(c, linear, 2, world_any_selector(rnd()));
}

static void prepare_pop_selector(struct test_case *c, uint64_t linear)
{
    (void)linear;
    if (c->insn.form == FORM_Sreg)
        world_poke(stack_linear(c), 2, world_any_selector(rnd()));
}

static void prepare_mov(struct test_case *c, uint64_t linear)
{
    if (c->insn.form == FORM_Sw_Ew)
        prepare_selector(c, linear);
}

static uint16_t code_selector(struct test_case *c)
{
    unsigned mode = chance(70) ? c->mode : rnd() % 3;

    uint16_t selector = chance(15) ? world_any_selector(rnd()) : world_cs(mode, rnd() % world_cs_count(mode));

    /* With a 16-bit stack the upper half of RSP is Linux's (the way back from it goes over a stack of its own): not for 64-bit code. */
    return (selector & ~3u) == 0x30 && c->mode != EMUL_MODE64 && stack_size(c) == 2 ? 0x23 : selector;
}

/* A far pointer: to code, or for LDS and its kin to data. */
static void prepare_far(struct test_case *c, uint64_t linear)
{
    int code = c->insn.op == EMUL_CALLF || c->insn.op == EMUL_JMPF;
    uint16_t selector = code ? code_selector(c) : world_any_selector(rnd());
    struct emul_segment segment;

    if (c->insn.mod == 3)
        return; /* the pointer in the instruction: put_tail() */
    world_segment(selector & ~7u ? selector & 0xff : 0, &segment);
    world_poke(linear, c->insn.opsize, chance(95) ? WINDOW + CODE_PAGE * 4096 + rnd() % CODE_BYTES - segment.base : edge_value());
    world_poke(linear + c->insn.opsize, 2, selector);
}

/* RETF and IRET: RIP, CS, RFLAGS, RSP, SS on the stack. */
static void prepare_far_return(struct test_case *c, uint64_t linear)
{
    uint64_t at = stack_linear(c);
    unsigned size = c->insn.opsize;
    uint16_t selector = code_selector(c);
    struct emul_segment segment;

    (void)linear;
    world_segment(selector & ~7u ? selector & 0xff : 0, &segment);
    world_poke(at, size, chance(95) ? WINDOW + CODE_PAGE * 4096 + rnd() % CODE_BYTES - segment.base : edge_value());
    world_poke(at + size, 2, selector);
    world_poke(at + 2 * size, size, rnd());
    world_poke(at + 3 * size, size, pick_linear(8));
    world_poke(at + 4 * size, 2, chance(80) ? world_stack_selector(rnd()) : world_any_selector(rnd()));
}

static void prepare_base(struct test_case *c, uint64_t linear)
{
    (void)linear;
    if (c->insn.mod == 3 && chance(60))
        set_part(c, c->insn.rm, 8, (int64_t)(rnd() << 16) >> 16);
}

/* weight: of 4 an ordinary operation. */
static const struct kind { const char *op; uint8_t weight, stack; void (*prepare)(struct test_case *c, uint64_t linear); } kinds[] = {
    { "MOV", 12, 0, prepare_mov }, { "MOVSEG", 4, 0, prepare_selector }, { "DIV", 6, 0, prepare_div }, { "IDIV", 6, 0, prepare_div },
    { "CMPXCHG", 6, 0, prepare_cmpxchg }, { "CMPXCHG8B", 6, 0, prepare_cmpxchg }, { "BT", 4, 0, prepare_bit }, { "BTS", 4, 0, prepare_bit },
    { "BTR", 4, 0, prepare_bit }, { "BTC", 4, 0, prepare_bit }, { "XLAT", 2, 0, prepare_xlat }, { "MOVS", 8, 0, prepare_string },
    { "CMPS", 8, 0, prepare_string }, { "SCAS", 6, 0, prepare_string }, { "STOS", 6, 0, prepare_string }, { "LODS", 5, 0, prepare_string },
    { "INS", 1, 0, prepare_string }, { "OUTS", 1, 0, prepare_string }, { "IN", 1, 0, prepare_none }, { "OUT", 1, 0, prepare_none },
    { "PUSH", 6, 1, prepare_none }, { "POP", 6, 1, prepare_pop_selector }, { "PUSHA", 3, 1, prepare_none }, { "POPA", 3, 1, prepare_none },
    { "PUSHF", 3, 1, prepare_none }, { "POPF", 4, 1, prepare_popf }, { "ENTER", 4, 1, prepare_frame }, { "LEAVE", 3, 1, prepare_frame },
    { "CALL", 5, 1, prepare_jump }, { "JMP", 5, 0, prepare_jump }, { "RET", 4, 1, prepare_ret }, { "LOOP", 3, 0, prepare_loop },
    { "LOOPE", 3, 0, prepare_loop }, { "LOOPNE", 3, 0, prepare_loop }, { "JCXZ", 3, 0, prepare_loop }, { "JCC", 5, 0, prepare_none },
    { "LDS", 3, 0, prepare_far }, { "LES", 3, 0, prepare_far }, { "LFS", 3, 0, prepare_far }, { "LGS", 3, 0, prepare_far },
    { "LSS", 3, 0, prepare_far }, { "CALLF", 4, 1, prepare_far }, { "JMPF", 4, 0, prepare_far }, { "RETF", 4, 1, prepare_far_return },
    { "IRET", 4, 1, prepare_far_return }, { "LAR", 4, 0, prepare_selector }, { "LSL", 4, 0, prepare_selector },
    { "VERR", 3, 0, prepare_selector }, { "VERW", 3, 0, prepare_selector }, { "ARPL", 3, 0, prepare_selector }, { "LLDT", 1, 0, prepare_selector },
    { "LTR", 1, 0, prepare_selector }, { "FSGSBASE", 2, 0, prepare_base }, { "INT", 2, 1, prepare_none }, { "INT1", 1, 1, prepare_none },
    { "INT3", 1, 1, prepare_none }, { "INTO", 1, 1, prepare_none }, { "HLT", 1, 0, prepare_none }, { "CLI", 1, 0, prepare_none },
    { "STI", 1, 0, prepare_none }, { "MOVCR", 1, 0, prepare_none }, { "MOVDR", 1, 0, prepare_none }, { "LMSW", 1, 0, prepare_none },
    { "CLTS", 1, 0, prepare_none }, { "INVLPG", 1, 0, prepare_none }, { "INVPCID", 1, 0, prepare_none }, { "LGDT", 1, 0, prepare_none },
    { "LIDT", 1, 0, prepare_none }, { "RDMSR", 1, 0, prepare_none }, { "WRMSR", 1, 0, prepare_none }, { "SYSRET", 1, 0, prepare_none },
    { "SYSEXIT", 1, 0, prepare_none }, { "SWAPGS", 1, 0, prepare_none }, { "XSETBV", 1, 0, prepare_none }, { "RDPKRU", 1, 0, prepare_none },
    { "WRPKRU", 1, 0, prepare_none }, { "CLAC", 1, 0, prepare_none }, { "STAC", 1, 0, prepare_none }, { "UD0", 1, 0, prepare_none },
    { "UD1", 1, 0, prepare_none }, { "UD2", 1, 0, prepare_none }, { "NOP", 2, 0, prepare_none }, { "FENCE", 1, 0, prepare_none },
    { "PAUSE", 1, 0, prepare_none }, { "SIMD", 20, 0, prepare_none }, { "VEX", 16, 0, prepare_none }, { "EVEX", 16, 0, prepare_none },
};
static const struct kind ordinary = { NULL, 4, 0, prepare_none };
static const struct kind *kind_of[EMUL_OPS_END];

unsigned gen_pool(unsigned mode, const char *op)
{
    code_mode = mode | (__builtin_cpu_is("amd") ? EMUL_MODE_AMD : 0);
    choose_ops(op);
    pool_size = total_weight = 0;
    for (unsigned n = 0; n < 4 * 256 * 4; n++) {
        struct encoding e = { .map = n / 1024, .opcode = n / 4, .pp = n };

        e.pp &= 3;
        pool_add_modrm(e);
    }
    pool_add_vector();
    qsort(pool, pool_size, sizeof(pool[0]), op_order);
    for (unsigned n = 0; n < EMUL_OPS_END; n++) {
        kind_of[n] = &ordinary;
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (!strcmp(kinds[i].op, emul_op_name(n)))
                kind_of[n] = &kinds[i];
    }
    for (unsigned n = 0, i = 0; n < EMUL_OPS_END; n++) {
        first_of[n] = i;
        while (i < pool_size && pool[i].op == n)
            i++;
        first_of[n + 1] = i;
        weight_of[n] = i > first_of[n] ? kind_of[n]->weight : 0;
        total_weight += weight_of[n];
    }
    return pool_size;
}

/* ---- A case ---------------------------------------------------------------------------------------------------------------------------- */
static uint64_t segment_base(const struct test_case *c, unsigned seg)
{
    struct emul_segment s;

    if (c->mode == EMUL_MODE64)
        return seg == EMUL_FS ? c->before.fs_base : seg == EMUL_GS ? c->before.gs_base : 0;
    world_segment(c->before.sel[seg], &s);
    return s.base;
}

/* Linear addresses: writable pages, seams of two, what faults. `size`: about how many bytes are accessed. */
static uint64_t pick_linear(unsigned size)
{
    static const uint16_t seams[] = { 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 0x1000 / 4096 };
    unsigned n = rnd() % 100;
    uint64_t within = rnd() % 4096;

    if (n < 62)
        return world_rw_address(rnd() % 11) + (chance(50) ? within & ~63ull : within % 4064);
    if (n < 86)
        return WINDOW + seams[rnd() % (sizeof(seams) / sizeof(seams[0]))] * 4096ull - rnd() % (size + 2);
    if (n < 97)
        return WINDOW + rnd() % (20 * 4096);
    if (n < 98)
        return 0xffff800000000000ull - rnd() % 24 + 8;  /* the hole's upper end, and what Linux leaves empty above it */
    return n == 98 ? LINEAR_USER_END + 0x1000 - rnd() % 24 + 8 : edge_value();
}

/* Makes the memory operand lie at `linear`, by a register or by the displacement. */
static void aim(struct test_case *c, uint64_t linear)
{
    struct emul_insn *insn = &c->insn;
    uint64_t mask = emul_size_mask(insn->addrsize);
    uint64_t offset = (linear - segment_base(c, insn->seg)) & mask;
    uint64_t index = insn->index < 16 ? *gpr(c, insn->index) << insn->scale : 0;
    int by_base = insn->base < 16 && insn->base != insn->index;

    if (by_base) {
        set_part(c, insn->base, insn->addrsize, offset - insn->disp - index);
    } else if (insn->base == EMUL_REG_NONE && insn->index < 16 && insn->scale == 0) {
        set_part(c, insn->index, insn->addrsize, offset - insn->disp);
    } else if (insn->disp_size == insn->addrsize || insn->disp_size == 4) {
        unsigned at = c->length - insn->imm_size - insn->imm2_size - insn->disp_size;
        uint64_t base = insn->base == EMUL_REG_RIP ? c->before.rip + c->length : insn->base < 16 ? *gpr(c, insn->base) : 0;

        offset -= base + index;
        memcpy(c->bytes + at, &offset, insn->disp_size);
        emul_decode(insn, c->bytes, 15, code_mode);
    }
}

static void choose_segments(struct test_case *c)
{
    struct emul_segment s;

    c->before.sel[EMUL_CS] = world_cs(c->mode, rnd() % world_cs_count(c->mode));
    c->before.sel[EMUL_SS] = c->mode == EMUL_MODE64 ? 0x2b : world_stack_selector(chance(60) ? 0 : rnd());
    c->before.sel[EMUL_DS] = world_data_selector(chance(50) ? 0 : rnd());
    c->before.sel[EMUL_ES] = world_data_selector(chance(50) ? 2 : rnd());
    c->before.sel[EMUL_FS] = world_data_selector(rnd());
    c->before.sel[EMUL_GS] = world_data_selector(rnd());
    if (c->mode == EMUL_MODE64 && chance(80))
        c->before.sel[EMUL_FS] = c->before.sel[EMUL_GS] = 0;
    world_segment(c->before.sel[EMUL_FS], &s);
    c->before.fs_base = s.base;
    world_segment(c->before.sel[EMUL_GS], &s);
    c->before.gs_base = s.base;
    if (c->mode == EMUL_MODE64 && !c->before.sel[EMUL_FS])
        c->before.fs_base = chance(40) ? WINDOW + rnd() % 4096 : (uint64_t)((int64_t)(rnd() << 16) >> 16);
    if (c->mode == EMUL_MODE64 && !c->before.sel[EMUL_GS])
        c->before.gs_base = chance(40) ? WINDOW - 8 * 4096 : (uint64_t)((int64_t)(edge_value() << 16) >> 16);
}

static void choose_registers(struct test_case *c)
{
    unsigned count = c->mode == EMUL_MODE64 ? 16 : 8;

    memset(c->before.gpr, 0, sizeof(c->before.gpr));
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = chance(20) ? pick_linear(8) : edge_value();

        *gpr(c, i) = c->mode == EMUL_MODE64 ? value : (uint32_t)value;
    }
    c->before.rflags = 0x202 | (rnd() & RFLAGS_STATUS) | (chance(25) ? RFLAGS_DF : 0) | (chance(8) ? RFLAGS_AC : 0);
    if (rnd() % 256 == 0)                              /* rarely: under a hypervisor a single step is slow */
        c->before.rflags |= RFLAGS_TF;
    set_offset(c, EMUL_RSP, stack_size(c), EMUL_SS, pick_linear(8) & (chance(70) ? ~7ull : ~0ull));
    if (chance(4))
        set_part(c, EMUL_RSP, stack_size(c), rnd() % 12);
}

static const uint8_t prefix_bytes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

static unsigned put_prefixes(uint8_t *out, const struct encoding *e)
{
    unsigned n = 0;

    if (chance(15))
        out[n++] = prefix_bytes[rnd() % 6];
    if (chance(15))
        out[n++] = 0x67;
    if (e->encoding != EMUL_LEGACY)
        return n;
    if (e->pp < 2 && chance(20))
        out[n++] = 0x66;
    if (e->pp < 2 && chance(e->op == EMUL_MOVS || e->op == EMUL_STOS || e->op == EMUL_LODS || e->op == EMUL_CMPS || e->op == EMUL_SCAS ? 60 : 4))
        out[n++] = 0xf2 + rnd() % 2;
    if (chance(emul_exec[e->op].flags & X_READ && e->modrm < 0xc0 ? 15 : 1))
        out[n++] = 0xf0;
    if (chance(2))
        for (unsigned more = rnd() % 9; more; more--)
            out[n++] = prefix_bytes[rnd() % 6];
    if (n > 1) {                                       /* in any order */
        unsigned i = rnd() % n;
        uint8_t swap = out[0];

        out[0] = out[i];
        out[i] = swap;
    }
    if (e->pp)
        out[n++] = pp_byte[e->pp];
    if ((code_mode & 3) == EMUL_MODE64 && chance(60))
        out[n++] = 0x40 | (rnd() & 15);
    return n;
}

/* What follows the opcode; of branches and far pointers with targets that mostly exist. */
static void put_tail(struct test_case *c, unsigned n)
{
    struct emul_insn insn;

    for (unsigned i = n; i < sizeof(c->bytes); i += 8) {
        uint64_t value = chance(50) ? edge_value() : rnd();

        memcpy(c->bytes + i, &value, sizeof(c->bytes) - i < 8 ? sizeof(c->bytes) - i : 8);
    }
    if (emul_decode(&insn, c->bytes, 15, code_mode) <= 0)
        return;
    if ((insn.form == FORM_Jz) && chance(85)) {
        int64_t distance = (int64_t)(rnd() % 4096) - 2048;

        memcpy(c->bytes + insn.length - insn.imm_size, &distance, insn.imm_size);
    } else if (insn.form == FORM_Ap) {
        uint16_t selector = code_selector(c);
        struct emul_segment segment;
        uint64_t offset;

        world_segment(selector & ~7u ? selector & 0xff : 0, &segment);
        offset = WINDOW + CODE_PAGE * 4096 + rnd() % CODE_BYTES - segment.base;
        memcpy(c->bytes + insn.length - 2, &selector, 2);
        if (chance(95))
            memcpy(c->bytes + insn.length - 2 - insn.imm_size, &offset, insn.imm_size);
    } else if (insn.op == EMUL_ENTER) {
        c->bytes[insn.length - 1] = chance(60) ? 0 : rnd() & (chance(80) ? 3 : 0xff);
        c->bytes[insn.length - 2] &= chance(90) ? 1 : 0xff;
    }
}

/* Where it stands: mostly in the middle of the code pages, else over their seam, before their end, or before the end of CS. */
static void place(struct test_case *c)
{
    unsigned n = rnd() % 100;
    struct emul_segment cs;
    uint64_t limit;

    world_segment(c->before.sel[EMUL_CS], &cs);
    limit = cs.limit + segment_base(c, EMUL_CS) + 1 - (WINDOW + CODE_PAGE * 4096);
    c->at = 0x200 + rnd() % 0xc00 + (chance(50) ? 0x1000 : 0);
    if (n < 4)
        c->at = 0x1000 - rnd() % (c->length + 1);
    else if (n < 7)
        c->at = CODE_BYTES - rnd() % (c->length + 2);
    else if (n < 12 && c->mode != EMUL_MODE64 && limit < CODE_BYTES)
        c->at = limit - rnd() % (c->length + 2);
    if (c->at >= CODE_BYTES)
        c->at = CODE_BYTES - 1;
    if (c->op == EMUL_BAD)                             /* of invalid bytes the CPU decides how many it fetches */
        c->at = 0x200 + rnd() % 0x100;
    c->room = c->length < CODE_BYTES - c->at ? c->length : CODE_BYTES - c->at;
    if (c->mode != EMUL_MODE64 && limit < CODE_BYTES && c->at + c->room > limit)
        c->supplied = c->at < limit ? limit - c->at : 0;
    else
        c->supplied = c->room;
    c->before.rip = WINDOW + CODE_PAGE * 4096 + c->at - segment_base(c, EMUL_CS);
    if (c->mode != EMUL_MODE64)
        c->before.rip &= 0xffffffff;
}

static const struct encoding *pick_encoding(void)
{
    unsigned n = rnd() % total_weight;

    for (unsigned op = 0; op < EMUL_OPS_END; op++) {
        if (n < weight_of[op])
            return &pool[first_of[op] + rnd() % (first_of[op + 1] - first_of[op])];
        n -= weight_of[op];
    }
    return &pool[0];
}

/* Bytes that are invalid because of LOCK: with another prefix instead they are an instruction. */
static int is_bad_lock(struct test_case *c)
{
    uint8_t bytes[sizeof(c->bytes)];
    struct emul_insn insn;
    unsigned n = 0;

    memcpy(bytes, c->bytes, sizeof(bytes));
    while (n < 15 && bytes[n] != 0xf0)
        n++;
    bytes[n] = 0x3e;
    if (emul_decode(&insn, bytes, 15, code_mode) <= 0 || !may_run[insn.op])
        return 0;
    c->length = insn.length;
    /* Zen 4 executes VERR and VERW with LOCK, against APM3 1.2.5; on AMD LOCK MOV CR0 is MOV CR8 (APM3 MOV CRn). */
    return insn.op != EMUL_VERR && insn.op != EMUL_VERW && insn.op != EMUL_MOVCR;
}

/* Bytes that are no instruction are cases too if the reason is LOCK or the length; what else is invalid, the decoder's test decides. */
static int decode_case(struct test_case *c)
{
    int length = emul_decode(&c->insn, c->bytes, 15, code_mode);

    c->length = 15;
    c->op = EMUL_BAD;
    if (length == EMUL_TOO_LONG)                       /* of UD0 and UD1 AMD fetches no ModRM, so they may be shorter */
        return c->insn.map != EMUL_MAP_0F || (c->insn.opcode != 0xff && c->insn.opcode != 0xb9);
    if (length == EMUL_INVALID)
        return c->insn.encoding == EMUL_LEGACY && (c->insn.prefix & EMUL_PFX_LOCK) && is_bad_lock(c);
    c->length = length;
    c->op = c->insn.op;
    if (!may_run[c->op] || (c->op == EMUL_INT && (c->insn.imm & 0xff) == 0x80))
        return 0;
    /* F2 and F3 are reserved on LOOPE and LOOPNE (SDM 2A 2.1.1): Zen 4 takes the condition from them, F2 not zero, F3 zero. */
    if ((c->op == EMUL_LOOPE || c->op == EMUL_LOOPNE) && (c->insn.prefix & (EMUL_PFX_REP | EMUL_PFX_REPNE)))
        return 0;
    if (c->op == EMUL_WRMSR && c->insn.opcode == 1)       /* WRMSRNS: an extension */
        return 0;
    return 1;
}

int gen_case(struct test_case *c)
{
    const struct encoding *e = pick_encoding();
    unsigned n;
    uint64_t linear;

    c->mode = code_mode & 3;
    choose_segments(c);
    n = put_prefixes(c->bytes, e);
    n += put_opcode(c->bytes + n, e, rnd());
    c->bytes[n] = e->modrm | (e->free & (rnd() & rnd() % 3 ? rnd() : 0x80 | rnd()));
    if (e->modrm < 0xc0 && c->bytes[n] >= 0xc0)
        c->bytes[n] &= 0xbf;
    put_tail(c, e->modrm || e->free ? n + 1 : n);
    if (!decode_case(c))
        return 0;
    choose_registers(c);
    place(c);
    if (c->op == EMUL_BAD)
        return 1;
    linear = pick_linear(c->insn.opsize);
    if ((c->op == EMUL_SIMD || c->op == EMUL_VEX || c->op == EMUL_EVEX) && chance(70))
        linear &= ~63ull;
    if (c->insn.mod != 3 || c->insn.form == FORM_AL_Ob || c->insn.form == FORM_rAX_Ov || c->insn.form == FORM_Ob_AL || c->insn.form == FORM_Ov_rAX)
        aim(c, linear);
    c->vector_state = c->op == EMUL_SIMD || c->op == EMUL_VEX || c->op == EMUL_EVEX;
    kind_of[c->op]->prepare(c, linear);
    if (c->mode != EMUL_MODE64)
        for (unsigned i = 0; i < 16; i++)
            *gpr(c, i) = i < 8 ? (uint32_t)*gpr(c, i) : 0;
    return 1;
}
