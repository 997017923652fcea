/* Segment registers: descriptors, what may be loaded where, and the instructions that ask about selectors (SDM 3A 3.4, 3.5, 5). */
#include "exec_far.h"

#define DESCRIPTOR   8u            /* bytes; a system descriptor of IA-32e mode has two of them */
#define TYPE_BYTE    5u            /* offset of P, DPL, S, type */
#define HIGH_TYPE    0x1f0000000000ull /* must be 0 in the second half (SDM 3A 8.2.3) */
#define ACCESS_MASK  0x00ffff00u   /* what LAR shows of a descriptor's upper half, SDM 2A LAR */
#define REAL_SHIFT   4             /* real mode: base = selector * 16 */
#define V86_ATTR     0xf3u         /* DPL 3, writable data, accessed (SDM 3C 26.3.1.2) */
#define V86_LIMIT    0xffffu
#define REAL_DATA    0x93u
#define REAL_CODE    0x9bu

/* ---- Descriptors ---- */

/* Finds `size` bytes of a descriptor within its table: 1, or 0 when the selector is null or beyond the limit. */
static int descriptor_find(const struct exec *x, uint16_t selector, unsigned size, uint64_t *linear)
{
    const struct emul_segment *ldt = &x->s->seg[EMUL_LDTR];
    unsigned at = selector & SELECTOR_INDEX;

    if (exec_is_null(selector))
        return 0;
    if (!(selector & SELECTOR_TI)) {
        *linear = x->s->gdtr.base + at;
        return at + size - 1 <= x->s->gdtr.limit;
    }
    *linear = ldt->base + at;
    return !(ldt->attr & SEG_UNUSABLE) && (ldt->attr & SEG_P) && at + size - 1 <= ldt->limit;
}

int exec_bad_selector(struct exec *x, unsigned vector, uint16_t selector)
{
    return exec_fault(x, vector, selector & SELECTOR_CODE);
}

static void descriptor_unpack(struct exec_descriptor *d, uint16_t selector)
{
    uint32_t limit = (d->low & 0xffff) | (d->low >> 32 & 0xf0000);

    d->segment = (struct emul_segment){
        .base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000) | d->high << 32,
        .attr = d->low >> 40 & 0xf0ff,
        .limit = d->low >> 40 & SEG_G ? limit << 12 | 0xfff : limit,
        .selector = selector,
    };
}

/* The descriptor, if its table has it; *found is 0 where it has not. */
static int descriptor_peek(struct exec *x, uint16_t selector, struct exec_descriptor *d, int *found)
{
    int status;

    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    *found = descriptor_find(x, selector, DESCRIPTOR, &d->linear);
    if (!*found)
        return EMUL_DONE;
    d->high = 0;
    status = exec_system_read(x, d->linear, DESCRIPTOR, &d->low);
    if (!status)
        descriptor_unpack(d, selector);
    return status;
}

int exec_descriptor_read(struct exec *x, uint16_t selector, unsigned vector, struct exec_descriptor *d)
{
    int found, status = descriptor_peek(x, selector, d, &found);

    return status || found ? status : exec_bad_selector(x, vector, selector);
}

int exec_descriptor_high(struct exec *x, unsigned vector, struct exec_descriptor *d)
{
    uint16_t selector = d->segment.selector;
    uint64_t linear;
    int status;

    if (!exec_is_long(x))
        return EMUL_DONE;
    if (!descriptor_find(x, selector, 2 * DESCRIPTOR, &linear))
        return exec_bad_selector(x, vector, selector);
    status = exec_system_read(x, linear + DESCRIPTOR, DESCRIPTOR, &d->high);
    if (status)
        return status;
    descriptor_unpack(d, selector);
    return d->high & HIGH_TYPE ? exec_bad_selector(x, vector, selector) : EMUL_DONE;
}

int exec_descriptor_type(struct exec *x, const struct exec_descriptor *d, unsigned type)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint8_t old = d->low >> 40, with = (old & ~SEG_TYPE) | type;
    struct emul_place place;
    int lost, status = exec_system_place(x, d->linear + TYPE_BYTE, 1, EMUL_PF_W, &place);

    if (status)
        return status;
    if (!ops->phys_cmpxchg)
        return EMUL_UNHANDLED;
    lost = ops->phys_cmpxchg(x->ctx->opaque, place.gpa[0], 1, &old, &with, EMUL_FOR_DESCRIPTOR);
    if (lost < 0)
        return emul_store(x->ctx, &place, with, EMUL_FOR_DESCRIPTOR); /* a table in ROM */
    return lost ? EMUL_RETRY : EMUL_DONE;
}

int exec_accessed(struct exec *x, struct exec_descriptor *d)
{
    if (!(d->segment.attr & SEG_S) || (d->segment.attr & SEG_ACCESSED))
        return EMUL_DONE;
    d->segment.attr |= SEG_ACCESSED;
    return exec_descriptor_type(x, d, d->segment.attr & SEG_TYPE);
}

/* ---- What may be loaded ---- */

static int is_readable(const struct emul_segment *segment)
{
    return (segment->attr & SEG_S) && (segment->attr & (SEG_CODE | SEG_WRITE)) != SEG_CODE;
}

static int is_writable(const struct emul_segment *segment)
{
    return (segment->attr & (SEG_S | SEG_CODE | SEG_WRITE)) == (SEG_S | SEG_WRITE);
}

/* SDM 2B MOV: SS; for other stacks (SDM 2A CALL, IRET) with another vector and privilege level. */
int exec_check_stack(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_descriptor *d)
{
    int status = exec_descriptor_read(x, selector, vector, d);

    if (status)
        return status;
    if ((selector & SELECTOR_RPL) != cpl || exec_dpl(&d->segment) != cpl || !is_writable(&d->segment))
        return exec_bad_selector(x, vector, selector);
    return d->segment.attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, EMUL_VECTOR_SS, selector);
}

/* Neither CPL nor RPL may be above its DPL, unless it is conforming code. */
static int is_reachable(const struct emul_segment *segment, unsigned cpl)
{
    unsigned rpl = segment->selector & SELECTOR_RPL, dpl = exec_dpl(segment);

    return exec_is_conforming(segment) || (rpl <= dpl && cpl <= dpl);
}

int exec_check_data(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_descriptor *d)
{
    int status = exec_descriptor_read(x, selector, vector, d);

    if (status)
        return status;
    if (!is_readable(&d->segment) || !is_reachable(&d->segment, cpl))
        return exec_bad_selector(x, vector, selector);
    return d->segment.attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, EMUL_VECTOR_NP, selector);
}

int exec_check_system(struct exec *x, uint16_t selector, unsigned types, unsigned vector, unsigned absent, struct exec_descriptor *d)
{
    int status = EMUL_DONE;

    if (!(selector & SELECTOR_TI))
        status = exec_descriptor_read(x, selector, vector, d);
    if (status)
        return status;
    if ((selector & SELECTOR_TI) || (d->segment.attr & SEG_S) || !(types >> (d->segment.attr & SEG_TYPE) & 1))
        return exec_bad_selector(x, vector, selector);
    return d->segment.attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, absent, selector);
}

int exec_check_tss(struct exec *x, uint16_t selector, unsigned busy, unsigned vector, struct exec_descriptor *d)
{
    unsigned types = 1 << SYS_TSS | (exec_is_long(x) ? 0 : 1 << SYS_TSS16);

    return exec_check_system(x, selector, types << busy, vector, EMUL_VECTOR_NP, d);
}

/* ---- Loading ---- */

const uint8_t exec_data_segments[4] = { EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };

void exec_null_segment(struct emul_segment *segment, uint16_t selector, unsigned dpl)
{
    *segment = (struct emul_segment){ .attr = SEG_UNUSABLE | dpl << SEG_DPL, .selector = selector };
}

/* In real mode the limit and the size of addresses stay as they are, which "unreal" mode lives on; but a null selector that protected
 * mode has left behind has none. */
void exec_real_segment(struct emul_segment *segment, unsigned seg, uint16_t selector, int v86)
{
    if (v86 || (segment->attr & SEG_UNUSABLE))
        segment->limit = V86_LIMIT;
    segment->selector = selector;
    segment->base = (uint64_t)selector << REAL_SHIFT;
    segment->attr = v86 ? V86_ATTR : (seg == EMUL_CS ? REAL_CODE : REAL_DATA) | (segment->attr & (SEG_DB | SEG_G));
}

void exec_set_segment(struct exec *x, unsigned seg, const struct emul_segment *segment)
{
    x->s->seg[seg] = *segment;
    if (seg == EMUL_CS || seg == EMUL_SS)
        x->ctx->changed |= EMUL_STATE_CS;
    else
        x->ctx->changed |= seg < EMUL_SEGS ? EMUL_STATE_SEGS : EMUL_STATE_SYSTEM;
}

int exec_load_segment(struct exec *x, unsigned seg, uint16_t selector)
{
    unsigned cpl = emul_cpl(x->s);
    struct exec_descriptor d;
    int status = EMUL_DONE;

    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (!emul_protected(x->s)) {
        d.segment = x->s->seg[seg];
        exec_real_segment(&d.segment, seg, selector, !!(x->s->rflags & RFLAGS_VM));
    } else if (exec_is_null(selector)) { /* SS: in 64-bit mode below CPL 3, with RPL = CPL (SDM 2B MOV) */
        if (seg == EMUL_SS && (x->mode != EMUL_MODE64 || cpl == 3 || (selector & SELECTOR_RPL) != cpl))
            return exec_gp0(x);
        exec_null_segment(&d.segment, selector, seg == EMUL_SS ? cpl : 0);
    } else {
        status = seg == EMUL_SS ? exec_check_stack(x, selector, cpl, EMUL_VECTOR_GP, &d)
                                : exec_check_data(x, selector, cpl, EMUL_VECTOR_GP, &d);
        if (!status)
            status = exec_accessed(x, &d);
    }
    if (!status)
        exec_set_segment(x, seg, &d.segment);
    return status;
}

/* ---- Instructions ---- */

/* A selector in r/m16. */
static int selector_operand(struct exec *x, uint64_t *selector)
{
    if (x->insn->mod != 3)
        return exec_load(x, 0, 2, selector);
    *selector = (uint16_t)x->gpr[x->insn->rm];
    return EMUL_DONE;
}

/* The other way: two bytes in memory; in a register the operand size, zero-extended (SDM 2B MOV, SLDT). */
static int selector_result(struct exec *x, uint16_t selector)
{
    if (x->insn->mod != 3)
        return exec_store(x, 0, 2, selector);
    exec_set_gpr(x, x->insn->rm, x->opsize, selector);
    return EMUL_DONE;
}

int do_movseg(struct exec *x)
{
    unsigned seg = x->insn->reg & 7;
    uint64_t selector;
    int status;

    if (x->insn->form == FORM_Ev_Sw)
        return exec_need(x, EMUL_STATE_SEGS) ? EMUL_UNHANDLED : selector_result(x, x->s->seg[seg].selector);
    status = selector_operand(x, &selector);
    if (!status)
        status = exec_load_segment(x, seg, selector);
    if (!status && seg == EMUL_SS)
        exec_mask_ss(x);
    return status;
}

/* AMD's far pointers have no 64-bit offset (APM3 LDS, JMP Far). */
int exec_far_pointer(struct exec *x, uint16_t *selector, uint64_t *offset, unsigned *size)
{
    uint64_t word;
    int status;

    *size = x->opsize == 8 && (x->ctx->features & EMUL_IS_AMD) ? 4 : x->opsize;
    status = exec_load(x, 0, *size, offset);
    if (!status)
        status = exec_load(x, *size, 2, &word);
    if (!status)
        *selector = word;
    return status;
}

/* LDS C5, LES C4; LSS, LFS, LGS 0F B2, B4, B5. */
int do_load_far(struct exec *x)
{
    unsigned size, seg = x->insn->op == EMUL_LES ? EMUL_ES : x->insn->op == EMUL_LDS ? EMUL_DS : x->insn->opcode & 7;
    uint64_t offset;
    uint16_t selector;
    int status = exec_far_pointer(x, &selector, &offset, &size);

    if (!status)
        status = exec_load_segment(x, seg, selector);
    if (!status)
        exec_set_gpr(x, x->insn->reg, size, offset);
    return status;
}

static void set_zf(struct exec *x, int set)
{
    x->flags = (x->flags & ~RFLAGS_ZF) | (set ? RFLAGS_ZF : 0);
}

/* It writes only when it changes something. */
int do_arpl(struct exec *x)
{
    unsigned rpl = x->gpr[x->insn->reg] & SELECTOR_RPL;
    uint64_t selector;
    int status = selector_operand(x, &selector);

    if (status)
        return status;
    set_zf(x, (selector & SELECTOR_RPL) < rpl);
    if ((selector & SELECTOR_RPL) >= rpl)
        return EMUL_DONE;
    selector = (selector & ~(uint64_t)SELECTOR_RPL) | rpl;
    if (x->insn->mod != 3)
        return exec_store(x, 0, 2, selector);
    exec_set_gpr(x, x->insn->rm, 2, selector);
    return EMUL_DONE;
}

/* Is the segment of a kind that LAR, LSL, VERR or VERW has an answer for? Of system types: bit maps, also of IA-32e mode. */
static int is_answered(const struct exec *x, const struct emul_segment *segment)
{
    unsigned system = segment->attr & SEG_S ? 0 : 1u << (segment->attr & SEG_TYPE);

    switch (x->insn->op) {
    case EMUL_LAR:
        return !system || (system & (exec_is_long(x) ? 0x1a04 : 0x1a3e));
    case EMUL_LSL:
        return !system || (system & (exec_is_long(x) ? 0x0a04 : 0x0a0e));
    case EMUL_VERR:
        return is_readable(segment);
    default: /* VERW */
        return is_writable(segment);
    }
}

/* LAR LSL VERR VERW: what is not there or not theirs to see only clears ZF. */
int do_lar(struct exec *x)
{
    struct exec_descriptor d;
    uint64_t selector;
    int visible, status = selector_operand(x, &selector);

    if (!status)
        status = descriptor_peek(x, selector, &d, &visible);
    if (status)
        return status;
    visible = visible && is_reachable(&d.segment, emul_cpl(x->s)) && is_answered(x, &d.segment);
    set_zf(x, visible);
    if (visible && x->insn->op == EMUL_LAR)
        exec_set_gpr(x, x->insn->reg, x->opsize, d.low >> 32 & ACCESS_MASK);
    else if (visible && x->insn->op == EMUL_LSL)
        exec_set_gpr(x, x->insn->reg, x->opsize, d.segment.limit);
    return EMUL_DONE;
}

/* LLDT, and LTR, which marks its TSS busy. */
int do_lldt(struct exec *x)
{
    int is_ltr = x->insn->op == EMUL_LTR;
    struct exec_descriptor d;
    uint64_t selector;
    int status = selector_operand(x, &selector);

    if (status)
        return status;
    if (!is_ltr && exec_is_null(selector)) {
        if (exec_need(x, EMUL_STATE_SYSTEM))
            return EMUL_UNHANDLED;
        exec_null_segment(&d.segment, selector, 0);
        exec_set_segment(x, EMUL_LDTR, &d.segment);
        return EMUL_DONE;
    }
    status = is_ltr ? exec_check_tss(x, selector, 0, EMUL_VECTOR_GP, &d)
                    : exec_check_system(x, selector, 1 << SYS_LDT, EMUL_VECTOR_GP, EMUL_VECTOR_NP, &d);
    if (!status)
        status = exec_descriptor_high(x, EMUL_VECTOR_GP, &d);
    if (status)
        return status;
    if (exec_is_long(x) && !emul_canonical(x->s, d.segment.base))
        return exec_bad_selector(x, EMUL_VECTOR_GP, selector);
    if (is_ltr) {
        d.segment.attr |= SYS_BUSY;
        status = exec_descriptor_type(x, &d, d.segment.attr & SEG_TYPE);
    }
    if (!status)
        exec_set_segment(x, is_ltr ? EMUL_TR : EMUL_LDTR, &d.segment);
    return status;
}

/* SLDT and STR. User-mode instruction prevention: SDM 3A 2.5. */
int do_sldt(struct exec *x)
{
    if ((x->s->cr4 & CR4_UMIP) && emul_cpl(x->s))
        return exec_gp0(x);
    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    return selector_result(x, x->s->seg[x->insn->op == EMUL_STR ? EMUL_TR : EMUL_LDTR].selector);
}
