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

int exec_descriptor_read(struct exec *x, uint16_t selector, struct exec_descriptor *d, unsigned vector)
{
    d->selector = selector;
    d->high = 0;
    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (!descriptor_find(x, selector, DESCRIPTOR, &d->linear))
        return exec_bad_selector(x, vector, selector);
    return exec_system_read(x, d->linear, DESCRIPTOR, &d->low);
}

int exec_descriptor_high(struct exec *x, struct exec_descriptor *d, unsigned vector)
{
    uint64_t linear;
    int status;

    if (!(x->s->efer & EFER_LMA))
        return EMUL_DONE;
    if (!descriptor_find(x, d->selector, 2 * DESCRIPTOR, &linear))
        return exec_bad_selector(x, vector, d->selector);
    status = exec_system_read(x, linear + DESCRIPTOR, DESCRIPTOR, &d->high);
    if (status)
        return status;
    return d->high & HIGH_TYPE ? exec_bad_selector(x, vector, d->selector) : EMUL_DONE;
}

void exec_descriptor_segment(const struct exec_descriptor *d, struct emul_segment *segment)
{
    uint32_t limit = (d->low & 0xffff) | (d->low >> 32 & 0xf0000);

    *segment = (struct emul_segment){
        .base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000) | d->high << 32,
        .attr = d->low >> 40 & 0xf0ff,
        .selector = d->selector,
    };
    segment->limit = segment->attr & SEG_G ? limit << 12 | 0xfff : limit;
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

int exec_accessed(struct exec *x, struct exec_checked *c)
{
    if (!(c->segment.attr & SEG_S) || (c->segment.attr & SEG_ACCESSED))
        return EMUL_DONE;
    c->segment.attr |= SEG_ACCESSED;
    return exec_descriptor_type(x, &c->from, c->segment.attr & SEG_TYPE);
}

/* ---- Loading ---- */

const uint8_t exec_data_segments[4] = { EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };

void exec_null_segment(struct emul_segment *segment, uint16_t selector, unsigned dpl)
{
    *segment = (struct emul_segment){ .attr = SEG_UNUSABLE | dpl << SEG_DPL, .selector = selector };
}

/* In real mode the limit and the size of addresses stay as they are, which "unreal" mode lives on. */
void exec_real_segment(struct emul_segment *segment, unsigned seg, uint16_t selector, int v86)
{
    segment->selector = selector;
    segment->base = (uint64_t)selector << REAL_SHIFT;
    segment->attr = v86 ? V86_ATTR : (seg == EMUL_CS ? REAL_CODE : REAL_DATA) | (segment->attr & (SEG_DB | SEG_G));
    if (v86)
        segment->limit = V86_LIMIT;
}

void exec_set_segment(struct exec *x, unsigned seg, const struct emul_segment *segment)
{
    x->s->seg[seg] = *segment;
    if (seg == EMUL_CS || seg == EMUL_SS)
        x->ctx->changed |= EMUL_STATE_CS;
    else
        x->ctx->changed |= seg < EMUL_SEGS ? EMUL_STATE_SEGS : EMUL_STATE_SYSTEM;
}

/* SDM 2B MOV: SS; for other stacks (SDM 2A CALL, IRET) with another vector and privilege level. */
int exec_check_stack(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_checked *c)
{
    uint32_t attr;
    int status = exec_descriptor_read(x, selector, &c->from, vector);

    if (status)
        return status;
    exec_descriptor_segment(&c->from, &c->segment);
    attr = c->segment.attr;
    if ((selector & SELECTOR_RPL) != cpl || exec_dpl(&c->segment) != cpl || (attr & (SEG_S | SEG_CODE | SEG_WRITE)) != (SEG_S | SEG_WRITE))
        return exec_bad_selector(x, vector, selector);
    return attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, EMUL_VECTOR_SS, selector);
}

/* DS, ES, FS, GS: data or readable code; unless it is conforming code neither CPL nor RPL may be above its DPL. */
int exec_check_data(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_checked *c)
{
    unsigned dpl, rpl = selector & SELECTOR_RPL;
    uint32_t attr;
    int status = exec_descriptor_read(x, selector, &c->from, vector);

    if (status)
        return status;
    exec_descriptor_segment(&c->from, &c->segment);
    attr = c->segment.attr;
    dpl = exec_dpl(&c->segment);
    if (!(attr & SEG_S) || (attr & (SEG_CODE | SEG_WRITE)) == SEG_CODE)
        return exec_bad_selector(x, vector, selector);
    if ((attr & (SEG_CODE | SEG_DOWN)) != (SEG_CODE | SEG_DOWN) && (rpl > dpl || cpl > dpl))
        return exec_bad_selector(x, vector, selector);
    return attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, EMUL_VECTOR_NP, selector);
}

int exec_check_tss(struct exec *x, uint16_t selector, unsigned busy, unsigned vector, struct exec_checked *c)
{
    int status;

    if (selector & SELECTOR_TI)
        return exec_bad_selector(x, vector, selector);
    status = exec_descriptor_read(x, selector, &c->from, vector);
    if (status)
        return status;
    exec_descriptor_segment(&c->from, &c->segment);
    if ((c->segment.attr & (SEG_S | SEG_TYPE) & ~SYS_BIG) != (SYS_TSS16 | busy) || ((x->s->efer & EFER_LMA) && !(c->segment.attr & SYS_BIG)))
        return exec_bad_selector(x, vector, selector);
    return c->segment.attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, EMUL_VECTOR_NP, selector);
}

int exec_check_ldt(struct exec *x, uint16_t selector, unsigned vector, unsigned absent, struct exec_checked *c)
{
    int status;

    if (selector & SELECTOR_TI)
        return exec_bad_selector(x, vector, selector);
    status = exec_descriptor_read(x, selector, &c->from, vector);
    if (status)
        return status;
    exec_descriptor_segment(&c->from, &c->segment);
    if ((c->segment.attr & (SEG_S | SEG_TYPE)) != SYS_LDT)
        return exec_bad_selector(x, vector, selector);
    return c->segment.attr & SEG_P ? EMUL_DONE : exec_bad_selector(x, absent, selector);
}

/* SS may be null in 64-bit mode below CPL 3, with RPL = CPL (SDM 2B MOV). */
static int load_null(struct exec *x, unsigned seg, uint16_t selector)
{
    unsigned cpl = emul_cpl(x->s);
    struct emul_segment segment;

    if (seg == EMUL_SS && (x->mode != EMUL_MODE64 || cpl == 3 || (selector & SELECTOR_RPL) != cpl))
        return exec_gp0(x);
    exec_null_segment(&segment, selector, seg == EMUL_SS ? cpl : 0);
    exec_set_segment(x, seg, &segment);
    return EMUL_DONE;
}

int exec_load_segment(struct exec *x, unsigned seg, uint16_t selector)
{
    struct exec_checked c;
    int status;

    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (!emul_protected(x->s)) {
        c.segment = x->s->seg[seg];
        exec_real_segment(&c.segment, seg, selector, !!(x->s->rflags & RFLAGS_VM));
        exec_set_segment(x, seg, &c.segment);
        return EMUL_DONE;
    }
    if (exec_is_null(selector))
        return load_null(x, seg, selector);
    status = (seg == EMUL_SS ? exec_check_stack : exec_check_data)(x, selector, emul_cpl(x->s), EMUL_VECTOR_GP, &c);
    if (!status)
        status = exec_accessed(x, &c);
    if (!status)
        exec_set_segment(x, seg, &c.segment);
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

/* LDS LES LFS LGS LSS. AMD's far pointers have no 64-bit offset (APM3 LDS). */
int do_load_far(struct exec *x)
{
    unsigned seg = x->insn->op == EMUL_LES ? EMUL_ES : x->insn->op == EMUL_LDS ? EMUL_DS : x->insn->opcode & 7; /* B2 B4 B5 */
    unsigned size = x->opsize == 8 && (x->ctx->features & EMUL_IS_AMD) ? 4 : x->opsize;
    uint64_t offset, selector;
    int status = exec_load(x, 0, size, &offset);

    if (!status)
        status = exec_load(x, size, 2, &selector);
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

int do_arpl(struct exec *x)
{
    unsigned rpl = x->gpr[x->insn->reg] & SELECTOR_RPL;
    uint64_t selector = x->gpr[x->insn->rm];
    int lower, status = EMUL_DONE;

    if (x->insn->mod != 3) {
        status = exec_resolve(x, 0, 2, EMUL_PF_W, &x->place);
        if (!status)
            status = emul_load(x->ctx, &x->place, &selector, EMUL_FOR_OPERAND);
    }
    if (status)
        return status;
    lower = (selector & SELECTOR_RPL) < rpl;
    set_zf(x, lower);
    selector = (selector & ~(uint64_t)SELECTOR_RPL) | rpl;
    if (!lower)
        return EMUL_DONE;
    if (x->insn->mod != 3)
        return emul_store(x->ctx, &x->place, selector, EMUL_FOR_OPERAND);
    exec_set_gpr(x, x->insn->rm, 2, selector);
    return EMUL_DONE;
}

/* The segment that r/m16 names, for LAR and its kin: *visible is 0 where they only clear ZF. */
static int look_up(struct exec *x, struct exec_descriptor *d, struct emul_segment *segment, int *visible)
{
    unsigned dpl, cpl = emul_cpl(x->s);
    uint64_t selector;
    int status = selector_operand(x, &selector);

    *visible = 0;
    if (status)
        return status;
    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (!descriptor_find(x, selector, DESCRIPTOR, &d->linear))
        return EMUL_DONE;
    d->selector = selector;
    d->high = 0;
    status = exec_system_read(x, d->linear, DESCRIPTOR, &d->low);
    if (status)
        return status;
    exec_descriptor_segment(d, segment);
    dpl = exec_dpl(segment);
    *visible = (segment->attr & (SEG_S | SEG_CODE | SEG_DOWN)) == (SEG_S | SEG_CODE | SEG_DOWN) ||
               (cpl <= dpl && (selector & SELECTOR_RPL) <= dpl);
    return EMUL_DONE;
}

/* LAR, LSL: bit maps of the system types that they know, and of those in IA-32e mode (SDM 2A LAR, LSL). */
int do_lar(struct exec *x)
{
    int is_lar = x->insn->op == EMUL_LAR, visible;
    uint32_t known = x->s->efer & EFER_LMA ? (is_lar ? 0x1a04 : 0x0a04) : is_lar ? 0x1a3e : 0x0a0e;
    struct exec_descriptor d;
    struct emul_segment segment;
    int status = look_up(x, &d, &segment, &visible);

    if (status)
        return status;
    visible = visible && ((segment.attr & SEG_S) || known >> (segment.attr & SEG_TYPE) & 1);
    set_zf(x, visible);
    if (visible)
        exec_set_gpr(x, x->insn->reg, x->opsize, is_lar ? d.low >> 32 & ACCESS_MASK : segment.limit);
    return EMUL_DONE;
}

int do_verr(struct exec *x)
{
    struct exec_descriptor d;
    struct emul_segment segment;
    int visible, status = look_up(x, &d, &segment, &visible);

    if (status)
        return status;
    if (visible && x->insn->op == EMUL_VERR)
        visible = (segment.attr & SEG_S) && (segment.attr & (SEG_CODE | SEG_WRITE)) != SEG_CODE;
    else if (visible)
        visible = (segment.attr & (SEG_S | SEG_CODE | SEG_WRITE)) == (SEG_S | SEG_WRITE);
    set_zf(x, visible);
    return EMUL_DONE;
}

/* LDTR or TR from a descriptor that has been found good, with its second half in IA-32e mode. */
static int load_system(struct exec *x, unsigned seg, struct exec_checked *c)
{
    uint32_t busy = seg == EMUL_TR ? SYS_BUSY : 0;
    int status = exec_descriptor_high(x, &c->from, EMUL_VECTOR_GP);

    if (status)
        return status;
    exec_descriptor_segment(&c->from, &c->segment);
    if ((x->s->efer & EFER_LMA) && !emul_canonical(x->s, c->segment.base))
        return exec_bad_selector(x, EMUL_VECTOR_GP, c->from.selector);
    c->segment.attr |= busy;
    if (busy)
        status = exec_descriptor_type(x, &c->from, c->segment.attr & SEG_TYPE);
    if (!status)
        exec_set_segment(x, seg, &c->segment);
    return status;
}

int do_lldt(struct exec *x)
{
    struct exec_checked c;
    uint64_t selector;
    int status = selector_operand(x, &selector);

    if (status)
        return status;
    if (exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (exec_is_null(selector)) {
        exec_null_segment(&c.segment, selector, 0);
        exec_set_segment(x, EMUL_LDTR, &c.segment);
        return EMUL_DONE;
    }
    status = exec_check_ldt(x, selector, EMUL_VECTOR_GP, EMUL_VECTOR_NP, &c);
    return status ? status : load_system(x, EMUL_LDTR, &c);
}

int do_ltr(struct exec *x)
{
    struct exec_checked c;
    uint64_t selector;
    int status = selector_operand(x, &selector);

    if (!status)
        status = exec_check_tss(x, selector, 0, EMUL_VECTOR_GP, &c);
    return status ? status : load_system(x, EMUL_TR, &c);
}

/* SLDT and STR. User-mode instruction prevention: SDM 3A 2.5. */
static int show_system(struct exec *x, unsigned seg)
{
    if ((x->s->cr4 & CR4_UMIP) && emul_cpl(x->s))
        return exec_gp0(x);
    return exec_need(x, EMUL_STATE_SYSTEM) ? EMUL_UNHANDLED : selector_result(x, x->s->seg[seg].selector);
}

int do_sldt(struct exec *x)
{
    return show_system(x, EMUL_LDTR);
}

int do_str(struct exec *x)
{
    return show_system(x, EMUL_TR);
}
