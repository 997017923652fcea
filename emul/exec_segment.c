/* Segment registers: descriptors, what may be loaded where, and the instructions that ask about selectors (SDM 3A 3.4, 3.5, 5). */
#include "exec_far.h"

/* Bytes of a descriptor, of which a system descriptor of IA-32e mode has two; where P, DPL, S, type are in it; of a real mode base. */
enum { DESCRIPTOR = 8, TYPE_BYTE = 5, REAL_SHIFT = 4 };
#define HIGH_TYPE   0x1f0000000000ull /* must be 0 in the second half (SDM 3A 8.2.3) */
#define ACCESS_MASK 0x00ffff00u    /* what LAR shows of a descriptor's upper half, SDM 2A LAR */
/* Writable data and readable code, accessed; in virtual-8086 mode with DPL 3 (SDM 3C 26.3.1.2). */
enum { REAL_DATA = 0x93, REAL_CODE = 0x9b, V86_ATTR = 0xf3, V86_LIMIT = 0xffff };

/* ---- Descriptors ---- */

int exec_descriptor_read(struct exec *x, uint16_t selector, struct exec_descriptor *d)
{
    const struct emul_segment *ldt = &x->s->seg[EMUL_LDTR];
    int local = selector & SELECTOR_TI;
    uint32_t limit;

    exec_require(x, EMUL_STATE_SYSTEM);
    d->linear = (local ? ldt->base : x->s->gdtr.base) + (selector & SELECTOR_INDEX);
    d->room = (int64_t)(local ? ldt->limit : x->s->gdtr.limit) - (selector & SELECTOR_INDEX);
    if (exec_is_null(selector) || (local && (ldt->attr & (SEG_UNUSABLE | SEG_P)) != SEG_P) || d->room < DESCRIPTOR - 1)
        return 0;
    d->low = exec_system_read(x, d->linear, DESCRIPTOR);
    d->high = 0;
    limit = (d->low & 0xffff) | (d->low >> 32 & 0xf0000);
    d->segment = (struct emul_segment){
        .base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000),
        .attr = d->low >> 40 & 0xf0ff,
        .limit = d->low >> 40 & SEG_G ? limit << 12 | 0xfff : limit,
        .selector = selector,
    };
    return 1;
}

/* The second half of a system descriptor in IA-32e mode (SDM 3A 3.5.2). */
static void descriptor_high(struct exec *x, struct exec_descriptor *d)
{
    if (!exec_is_long(x))
        return;
    d->high = d->room < 2 * DESCRIPTOR - 1 ? HIGH_TYPE : exec_system_read(x, d->linear + DESCRIPTOR, DESCRIPTOR);
    exec_raise_if(x, d->high & HIGH_TYPE, EMUL_VECTOR_GP, d->segment.selector & SELECTOR_CODE);
    d->segment.base |= d->high << 32;
}

void exec_descriptor_type(struct exec *x, struct exec_descriptor *d, unsigned type)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint8_t old = d->low >> 40, with = (old & ~SEG_TYPE) | (type & SEG_TYPE);
    struct emul_place place = exec_system_place(x, d->linear + TYPE_BYTE, 1, EMUL_PF_W);
    int lost;

    exec_end_if(x, !ops->phys_cmpxchg, EMUL_UNHANDLED);
    lost = ops->phys_cmpxchg(x->ctx->opaque, place.gpa[0], 1, &old, &with, EMUL_FOR_DESCRIPTOR);
    if (lost < 0)
        exec_must(x, emul_store(x->ctx, &place, with, EMUL_FOR_DESCRIPTOR)); /* a table in ROM */
    exec_end_if(x, lost > 0, EMUL_RETRY);
    d->segment.attr = (d->segment.attr & ~SEG_TYPE) | (type & SEG_TYPE);
}

void exec_accessed(struct exec *x, struct exec_descriptor *d)
{
    if ((d->segment.attr & (SEG_S | SEG_ACCESSED)) == SEG_S)
        exec_descriptor_type(x, d, d->segment.attr | SEG_ACCESSED);
}

/* ---- What may be loaded ---- */

/* Neither CPL nor RPL may be above its DPL, unless it is conforming code. */
static int is_reachable(const struct emul_segment *segment, unsigned cpl)
{
    unsigned rpl = segment->selector & SELECTOR_RPL, dpl = exec_dpl(segment);

    return exec_is_type(segment, TYPES_CONFORMING) || (rpl <= dpl && cpl <= dpl);
}

/* Behind the registers: what JMP and CALL find in the place of CS, a gate or a TSS. */
enum { FOR_TRANSFER = EMUL_SEGMENTS };

/* For privilege `level`. A code segment's RPL counts unless a gate leads there. */
static int is_loadable(const struct exec *x, unsigned seg, const struct emul_segment *segment, unsigned level, unsigned rules)
{
    static const uint32_t types[] = { TYPES_READABLE, TYPES_CODE, TYPES_WRITABLE, TYPES_READABLE, TYPES_READABLE, TYPES_READABLE, TYPES_LDT,
                                      TYPES_TSS, TYPES_FAR };
    unsigned rpl = segment->selector & SELECTOR_RPL, dpl = exec_dpl(segment), is_long = exec_is_long(x);
    uint32_t known = exec_types(x, types[seg]) & ~(seg == FOR_TRANSFER ? is_long << SYS_TSS : 0);

    if (!exec_is_type(segment, known << (seg == EMUL_TR && (rules & CHECK_TASK) ? SYS_BUSY : 0)))
        return 0;
    if (seg == EMUL_SS)
        return rpl == level && dpl == level;
    if (seg != EMUL_CS)
        return seg == EMUL_LDTR || seg == EMUL_TR || is_reachable(segment, level);
    if (is_long && (segment->attr & SEG_L ? segment->attr & SEG_DB : rules & CHECK_GATE))
        return 0;
    if ((rules & CHECK_INWARD) || exec_is_type(segment, TYPES_CONFORMING))
        return dpl <= level;
    return dpl == level && (rpl <= level || (rules & CHECK_GATE));
}

void exec_check_segment(struct exec *x, unsigned seg, uint16_t selector, unsigned level, unsigned rules, struct exec_descriptor *d)
{
    unsigned vector = rules & CHECK_TASK ? EMUL_VECTOR_TS : EMUL_VECTOR_GP, code = selector & SELECTOR_CODE;
    unsigned absent = seg == EMUL_SS ? EMUL_VECTOR_SS : seg == EMUL_LDTR && (rules & CHECK_TASK) ? EMUL_VECTOR_TS : EMUL_VECTOR_NP;
    int is_outer = (rules & CHECK_WIDE) && level < 3 && (selector & SELECTOR_RPL) == level;

    if (!emul_protected(x->s) && !(rules & (CHECK_GATE | CHECK_TASK))) {
        d->segment = x->s->seg[seg];
        exec_real_segment(&d->segment, seg, selector, !!(x->s->rflags & RFLAGS_VM));
        return;
    }
    if (exec_is_null(selector) && (seg == EMUL_SS ? is_outer : seg != EMUL_CS && seg != EMUL_TR)) {
        exec_null_segment(&d->segment, selector, seg == EMUL_SS ? level : 0);
        return;
    }
    exec_raise_if(x, (seg >= EMUL_SEGS && (selector & SELECTOR_TI)) || !exec_descriptor_read(x, selector, d), vector, code);
    if ((rules & CHECK_SYSTEM) && !(d->segment.attr & SEG_S))
        seg = FOR_TRANSFER;
    exec_raise_if(x, !is_loadable(x, seg, &d->segment, level, rules), vector, code);
    if (seg == FOR_TRANSFER)
        descriptor_high(x, d);
    exec_raise_if(x, !(d->segment.attr & SEG_P), absent, code);
    if (seg == EMUL_CS)
        d->segment.selector = (selector & ~SELECTOR_RPL) | (exec_is_type(&d->segment, TYPES_CONFORMING) ? level : exec_dpl(&d->segment));
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
    x->ctx->changed |= seg == EMUL_CS || seg == EMUL_SS ? EMUL_STATE_CS : seg < EMUL_SEGS ? EMUL_STATE_SEGS : EMUL_STATE_SYSTEM;
}

void exec_load_segment(struct exec *x, unsigned seg, uint16_t selector, unsigned level, unsigned rules)
{
    struct exec_descriptor d;

    exec_check_segment(x, seg, selector, level, rules, &d);
    exec_accessed(x, &d);
    exec_set_segment(x, seg, &d.segment);
}

/* MOV and POP of SS hold back interrupts and debug exceptions for one instruction, the first of a row of them (SDM 3A 6.8.3). */
void exec_move_segment(struct exec *x, unsigned seg, uint16_t selector)
{
    exec_require(x, EMUL_STATE_SEGS);
    exec_load_segment(x, seg, selector, emul_cpl(x->s), x->mode == EMUL_MODE64 ? CHECK_WIDE : 0);
    if (seg == EMUL_SS && x->insn->op != EMUL_LSS) {
        x->shadow = EMUL_SHADOW_MOVSS & ~x->s->shadow;
        x->step &= !x->shadow;
    }
}

/* ---- Instructions ---- */

/* A selector goes to two bytes in memory, or `size` of a register. */
static void selector_result(struct exec *x, uint64_t value, unsigned size)
{
    if (x->insn->mod != 3)
        exec_must(x, exec_store(x, 0, 2, value));
    else
        exec_set_gpr(x, x->insn->rm, size, value);
}

void do_movseg(struct exec *x)
{
    unsigned seg = x->insn->reg & 7;

    if (x->insn->form == FORM_Ev_Sw)
        selector_result(x, x->s->seg[seg].selector, x->opsize);
    else
        exec_move_segment(x, seg, exec_get_rm(x, 2));
}

/* AMD's far pointers have no 64-bit offset (APM3 LDS, JMP Far). */
unsigned exec_far_pointer(struct exec *x, uint16_t *selector, uint64_t *offset)
{
    unsigned size = x->opsize == 8 && (x->ctx->features & EMUL_IS_AMD) ? 4 : x->opsize;

    *offset = exec_get(x, 0, size);
    *selector = exec_get(x, size, 2);
    return size;
}

/* LDS C5, LES C4; LSS, LFS, LGS 0F B2, B4, B5. */
void do_load_far(struct exec *x)
{
    unsigned size, seg = x->insn->op == EMUL_LES ? EMUL_ES : x->insn->op == EMUL_LDS ? EMUL_DS : x->insn->opcode & 7;
    uint64_t offset;
    uint16_t selector;

    size = exec_far_pointer(x, &selector, &offset);
    exec_move_segment(x, seg, selector);
    exec_set_gpr(x, x->insn->reg, size, offset);
}

/* It writes only when it changes something. */
void do_arpl(struct exec *x)
{
    unsigned rpl = x->gpr[x->insn->reg] & SELECTOR_RPL;
    uint16_t selector = exec_get_rm(x, 2);
    int below = (selector & SELECTOR_RPL) < rpl;

    exec_set_flag(x, RFLAGS_ZF, below);
    if (below)
        selector_result(x, (selector & ~SELECTOR_RPL) | rpl, 2);
}

/* LAR LSL VERR VERW: what is not there, not theirs to see, or of a type without an answer only clears ZF. */
void do_lar(struct exec *x)
{
    unsigned op = x->insn->op;
    uint32_t types = op == EMUL_VERR ? TYPES_READABLE : op == EMUL_VERW ? TYPES_WRITABLE : op == EMUL_LAR ? TYPES_LAR : TYPES_LSL;
    struct exec_descriptor d;
    int visible = exec_descriptor_read(x, exec_get_rm(x, 2), &d) && is_reachable(&d.segment, emul_cpl(x->s)) &&
                  exec_is_type(&d.segment, exec_types(x, types));

    exec_set_flag(x, RFLAGS_ZF, visible);
    if (visible && types & TYPES_SYSTEM)
        exec_set_gpr(x, x->insn->reg, x->opsize, op == EMUL_LAR ? d.low >> 32 & ACCESS_MASK : d.segment.limit);
}

/* LLDT, and LTR, which marks its TSS busy. */
void do_lldt(struct exec *x)
{
    unsigned seg = x->insn->op == EMUL_LTR ? EMUL_TR : EMUL_LDTR;
    struct exec_descriptor d;

    exec_check_segment(x, seg, exec_get_rm(x, 2), 0, 0, &d);
    if (!(d.segment.attr & SEG_UNUSABLE))
        descriptor_high(x, &d);
    exec_raise_if(x, !emul_canonical(x->s, d.segment.base), EMUL_VECTOR_GP, d.segment.selector & SELECTOR_CODE);
    if (seg == EMUL_TR)
        exec_descriptor_type(x, &d, d.segment.attr | SYS_BUSY);
    exec_set_segment(x, seg, &d.segment);
}

/* SLDT and STR; SMSW, which shows more of CR0 in a register. */
void do_sldt(struct exec *x)
{
    exec_gp0_if(x, exec_is_private(x));
    selector_result(x, x->insn->op == EMUL_SMSW ? x->s->cr0 : x->s->seg[x->insn->op == EMUL_STR ? EMUL_TR : EMUL_LDTR].selector, x->opsize);
}
