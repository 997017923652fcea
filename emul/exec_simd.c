/* Vector moves and logic, as compilers use them to copy and to clear: MMX, SSE, VEX and EVEX; all else of the families is refused.
 *
 * Registers are the caller's (emul_ops.vector_read, vector_write). Masked elements are neither read nor written in memory, and do not
 * fault. A vector in memory moves in pieces of 8 bytes. */
#include "exec_far.h"

/* SSE_ALIGN: what #AC asks of all that is wider, too: measured on an AMD EPYC. */
enum { VECTOR_MAX = 64, HALF = 8, SSE_ALIGN = 16 };

/* What becomes of the first source a and the second, b. */
enum simd_kind { NONE, ZERO, MOVE, LOW, HIGH, DOWN, AND, ANDN, OR, XOR };

/* STORE: from ModRM.reg to ModRM.rm; GPR: ModRM.rm is a general register, or memory of its size. */
enum { STORE = 1, ALIGNED = 2, GPR = 4, FROM_MM = 8, TO_MM = 16 };

/* An opcode with memory and with registers. size: bytes that are moved, 0: the whole vector. */
struct simd_cell {
    uint8_t mem, reg, size, flags;
};
#define FULL(kind, flags) { kind, kind, 0, flags }
#define LOGIC(kind)       { FULL(kind, 0), FULL(kind, 0) }

static const struct simd_cell cells[256][4] = { /* map 0F, by opcode and mandatory prefix: none, 66, F3, F2 */
    [0x10] = { FULL(MOVE, 0), FULL(MOVE, 0), { MOVE, LOW, 4, 0 }, { MOVE, LOW, 8, 0 } },
    [0x11] = { FULL(MOVE, STORE), FULL(MOVE, STORE), { MOVE, LOW, 4, STORE }, { MOVE, LOW, 8, STORE } },
    [0x12] = { { LOW, DOWN, HALF, 0 }, { LOW, NONE, HALF, 0 } },
    [0x13] = { { MOVE, NONE, HALF, STORE }, { MOVE, NONE, HALF, STORE } },
    [0x16] = { { HIGH, HIGH, HALF, 0 }, { HIGH, NONE, HALF, 0 } },
    [0x17] = { { DOWN, NONE, HALF, STORE }, { DOWN, NONE, HALF, STORE } },
    [0x28] = { FULL(MOVE, ALIGNED), FULL(MOVE, ALIGNED) },
    [0x29] = { FULL(MOVE, STORE | ALIGNED), FULL(MOVE, STORE | ALIGNED) },
    [0x2b] = { FULL(MOVE, STORE | ALIGNED), FULL(MOVE, STORE | ALIGNED) },
    [0x54] = LOGIC(AND), [0x55] = LOGIC(ANDN), [0x56] = LOGIC(OR), [0x57] = LOGIC(XOR),
    [0x6e] = { FULL(MOVE, GPR), FULL(MOVE, GPR) },
    [0x6f] = { FULL(MOVE, 0), FULL(MOVE, ALIGNED), FULL(MOVE, 0), FULL(MOVE, 0) },
    [0x77] = { FULL(ZERO, 0) }, /* VZEROUPPER; EMMS is the x87's */
    [0x7e] = { FULL(MOVE, GPR | STORE), FULL(MOVE, GPR | STORE), { MOVE, MOVE, HALF, 0 } },
    [0x7f] = { FULL(MOVE, STORE), FULL(MOVE, STORE | ALIGNED), FULL(MOVE, STORE), FULL(MOVE, STORE) },
    [0xd6] = { [1] = { MOVE, MOVE, HALF, STORE }, { NONE, MOVE, HALF, FROM_MM }, { NONE, MOVE, HALF, TO_MM } },
    [0xdb] = LOGIC(AND), [0xdf] = LOGIC(ANDN), [0xeb] = LOGIC(OR), [0xef] = LOGIC(XOR),
    [0xe7] = { FULL(MOVE, STORE), FULL(MOVE, STORE | ALIGNED) },
    [0xf0] = { [3] = FULL(MOVE, 0) },
};
static const struct simd_cell movntdqa = FULL(MOVE, ALIGNED);

union vector {
    uint8_t b[VECTOR_MAX];
    uint64_t q[VECTOR_MAX / 8];
};

struct simd {
    const struct simd_cell *cell;
    unsigned kind, type;           /* enum simd_kind; enum emul_vector of ModRM.reg */
    unsigned width;                /* bytes of a register that the encoding can reach; to read them asks whether their state is on */
    unsigned bytes, size;          /* of the vector; of what is moved */
    unsigned element;              /* of the mask, or all that is moved */
    unsigned count;                /* elements that a mask decides over */
    uint64_t mask;
    int aligned;                   /* in memory, or #GP(0) */
    union vector reg, a, b, out;
};

static int is_mmx(const struct emul_insn *insn)
{
    return insn->encoding == EMUL_LEGACY && !insn->pp && insn->opcode >= 0x60;
}

static const struct simd_cell *find_cell(const struct emul_insn *insn)
{
    const struct simd_cell *cell = 0;

    if (insn->map == EMUL_MAP_0F)
        cell = &cells[insn->opcode][insn->pp];
    else if (insn->map == EMUL_MAP_0F38 && insn->opcode == 0x2a && insn->pp == 1)
        cell = &movntdqa;
    if (cell && cell->mem == ZERO && insn->encoding == EMUL_LEGACY)
        return 0;
    return cell && (insn->mod == 3 ? cell->reg : cell->mem) ? cell : 0;
}

/* A register that the CPU does not have, or of which the state is off: #UD. */
static void read_vector(struct exec *x, unsigned type, unsigned number, void *data, unsigned size)
{
    int mm = type == EMUL_VECTOR_MM;

    exec_raise_if(x, x->ctx->ops->vector_read(x->ctx->opaque, type, mm ? number & 7 : number, data, mm ? HALF : size) < 0, EMUL_VECTOR_UD, 0);
}

/* Bytes of an element of EVEX's masks, by W (and the prefix of VMOVDQU8 and 16). */
static unsigned element_size(const struct emul_insn *insn)
{
    return (insn->opcode >= 0x60 && insn->pp == EMUL_PP_F2 ? 1u : 4u) << !!(insn->rex & EMUL_REX_W);
}

/* Sizes; then whether the registers are there for the guest, SDM 2A table 2-21 and on: #UD first, then #NM, all before the operand in
 * memory. Reads ModRM.reg and EVEX's mask. */
static void begin(struct exec *x, struct simd *v)
{
    static const uint8_t width[] = { [EMUL_LEGACY] = 16, [EMUL_ENC_VEX] = 32, [EMUL_ENC_EVEX] = 64 };
    const struct emul_insn *insn = x->insn;
    const struct emul_state *s = x->s;
    unsigned gpr = x->mode == EMUL_MODE64 && (insn->rex & EMUL_REX_W) ? 8 : 4, flags = v->cell->flags;
    int legacy = insn->encoding == EMUL_LEGACY, mm = is_mmx(insn) || (flags & TO_MM);

    v->kind = insn->mod == 3 ? v->cell->reg : v->cell->mem;
    v->type = mm ? EMUL_VECTOR_MM : EMUL_VECTOR_XMM;
    v->width = mm ? HALF : width[insn->encoding];
    v->bytes = mm ? HALF : v->cell->size || (flags & GPR) ? 16 : 16u << insn->vl;
    v->size = flags & GPR ? gpr : v->cell->size ? v->cell->size : v->bytes;
    v->element = v->size;
    v->aligned = (flags & ALIGNED) || (legacy && !mm && v->kind >= AND); /* SDM 2A table 2-18 on */
    v->count = v->mask = 1;
    exec_raise_if(x, legacy ? (s->cr0 & CR0_EM) || (!is_mmx(insn) && !(s->cr4 & CR4_OSFXSR)) : !emul_protected(s) || !(s->cr4 & CR4_OSXSAVE),
                  EMUL_VECTOR_UD, 0);
    exec_end_if(x, !x->ctx->ops->vector_read || !x->ctx->ops->vector_write, EMUL_UNHANDLED);
    read_vector(x, v->type, insn->reg, &v->reg, v->width);
    exec_raise_if(x, s->cr0 & CR0_TS, EMUL_VECTOR_NM, 0);
    if (!insn->mask)
        return;
    read_vector(x, EMUL_VECTOR_K, insn->mask, &v->mask, sizeof(v->mask));
    v->element = element_size(insn);
    v->count = v->size / v->element;
    v->mask &= ~0ull >> (64 - v->count);
    if (v->mask != ~0ull >> (64 - v->count))
        return;
    v->element = v->size; /* all of them: as without a mask */
    v->count = v->mask = 1;
}

/* The operand in memory: elements, of which those in the mask are moved. What lies between the first and the last of them is translated;
 * it is in the same pages as they are, so nothing else can fault. Each is then translated by itself; should another vcpu have changed the
 * page tables meanwhile, the fault comes behind some of them, and all is done again. No element: no access, no check (SDM 2A 2.7.4). */
static void access_vector(struct exec *x, const struct simd *v, union vector *data, unsigned access)
{
    unsigned size = v->element * v->count, align = v->element > SSE_ALIGN ? SSE_ALIGN : v->element, first, span; /* align: of #AC */
    uint64_t offset, linear;

    if (!v->mask)
        return;
    first = __builtin_ctzll(v->mask) * v->element;
    span = (64 - __builtin_clzll(v->mask)) * v->element - first;
    offset = (exec_offset(x) + first) & emul_size_mask(x->insn->addrsize);
    if (v->aligned) {
        exec_must(x, emul_linear(x->ctx, x->mode, x->insn->seg, offset, span, access, &linear, x->result));
        exec_gp0_if(x, (linear - first) & (size - 1));
    }
    x->place = exec_place(x, offset, span, align - 1, access);
    for (unsigned at = first; at < first + span; at += v->element) { /* at most 64 */
        if (!(v->mask >> at / v->element & 1))
            continue;
        if (v->count > 1)
            x->place = exec_place(x, offset + at - first, v->element, align - 1, access);
        exec_must(x, emul_move(x->ctx, &x->place, data->b + at, access & EMUL_PF_W ? EMUL_MOVE_WRITE : 0, EMUL_FOR_OPERAND));
    }
}

/* The second source: memory, which may be one element for all of them (EVEX.b, read if any is wanted), a general register, a vector
 * register; ModRM.reg of a store. */
static void load_source(struct exec *x, struct simd *v)
{
    const struct emul_insn *insn = x->insn;
    unsigned flags = v->cell->flags, type = flags & FROM_MM ? EMUL_VECTOR_MM : flags & TO_MM ? EMUL_VECTOR_XMM : v->type;

    if (flags & STORE) {
        v->b = v->reg;
    } else if (insn->mod != 3 && insn->bcast) {
        const struct simd one = { .element = element_size(insn), .count = 1, .mask = !!v->mask, .aligned = v->aligned };

        access_vector(x, &one, &v->b, 0);
        for (unsigned i = one.element; i < v->bytes; i++)
            v->b.b[i] = v->b.b[i - one.element];
    } else if (insn->mod != 3) {
        access_vector(x, v, &v->b, 0);
    } else if (flags & GPR) {
        v->b.q[0] = x->gpr[insn->rm & (EMUL_GPRS - 1)];
    } else {
        read_vector(x, type, insn->rm, &v->b, v->width);
    }
}

static void combine(struct simd *v)
{
    unsigned to = v->kind == HIGH ? HALF : 0, from = v->kind == DOWN ? HALF : 0;

    if (v->kind != MOVE)
        v->out = v->a;
    for (unsigned i = 0; i < v->size; i++) {
        uint8_t a = v->a.b[i], b = v->b.b[from + i];

        v->out.b[to + i] = v->kind == AND ? a & b : v->kind == ANDN ? ~a & b : v->kind == OR ? a | b : v->kind == XOR ? a ^ b : b;
    }
}

/* VEX and EVEX clear what is above the vector, as far as the CPU has registers (SDM 1 14.3); SSE keeps it. */
static void write_vector(struct exec *x, struct simd *v, unsigned number)
{
    int (*const write)(void *, unsigned, unsigned, const void *, unsigned) = x->ctx->ops->vector_write;
    int legacy = x->insn->encoding == EMUL_LEGACY;

    for (unsigned i = v->bytes; i < VECTOR_MAX; i++)
        v->out.b[i] = 0;
    if (v->type == EMUL_VECTOR_MM)
        number &= 7;
    if (write(x->ctx->opaque, v->type, number, &v->out, legacy ? v->bytes : VECTOR_MAX) < 0 &&
        (legacy || write(x->ctx->opaque, v->type, number, &v->out, v->width) < 0))
        exec_end(x, EMUL_UNHANDLED);
}

/* To vector register n. What the first source and the masked elements, as they were or zero, are taken from is read last. */
static void to_vector(struct exec *x, struct simd *v, unsigned n)
{
    const struct emul_insn *insn = x->insn;

    if (v->cell->flags & STORE)
        read_vector(x, v->type, n, &v->reg, v->width);
    v->a = v->reg;
    if (insn->encoding != EMUL_LEGACY && v->kind != MOVE)
        read_vector(x, v->type, insn->vvvv, &v->a, v->width);
    combine(v);
    for (unsigned i = 0; insn->mask && i < v->element * v->count; i++) {
        if (!(v->mask >> i / v->element & 1))
            v->out.b[i] = insn->zero ? 0 : v->reg.b[i];
    }
    write_vector(x, v, n);
}

/* VZEROUPPER and VZEROALL (L is 1) */
static void zero_registers(struct exec *x, struct simd *v)
{
    for (unsigned i = 0; i < (x->mode == EMUL_MODE64 ? 16 : 8); i++) {
        if (!x->insn->vl)
            read_vector(x, v->type, i, &v->out, v->bytes);
        write_vector(x, v, i);
    }
}

void do_simd(struct exec *x)
{
    const struct emul_insn *insn = x->insn;
    struct simd v = { .cell = find_cell(insn) };
    int store;

    if (!v.cell) { /* refused by name, but VEX and EVEX do not exist outside protected mode (SDM 2A 2.3.9) */
        exec_raise_if(x, insn->encoding != EMUL_LEGACY && !emul_protected(x->s), EMUL_VECTOR_UD, 0);
        exec_end(x, EMUL_UNHANDLED);
    }
    begin(x, &v);
    if (v.kind == ZERO) {
        zero_registers(x, &v);
        return;
    }
    load_source(x, &v);
    store = v.cell->flags & STORE;
    if (!store || (insn->mod == 3 && !(v.cell->flags & GPR))) {
        to_vector(x, &v, store ? insn->rm : insn->reg);
        return;
    }
    combine(&v);
    if (insn->mod != 3)
        access_vector(x, &v, &v.out, EMUL_PF_W);
    else
        exec_set_gpr(x, insn->rm & (EMUL_GPRS - 1), v.size, v.out.q[0]);
}
