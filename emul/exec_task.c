/* Hardware task switches between 32-bit and 16-bit task states (SDM 3A 7.3). */
#include "exec_far.h"

#define TASK_IMAGE     64u         /* bytes that hold instruction pointer to segments in either format */
enum { TSS_CR3 = 0x1c, TSS_TRAP = 0x64 }; /* of TSS_TRAP bit 0: T */
enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 }; /* L0 to L3, LE: off in a new task (SDM 3A 7.3) */
#define FLAGS_16       0x7fd5ull

/* A format: limit it needs; word size; offsets of instruction pointer, LDT; how many segments, in the order of the encoding.
 * From the instruction pointer on: flags, eight general registers, segments (SDM 3A figures 7-2, 7-10). */
static const struct layout {
    uint8_t limit, size, ip, ldt, segments;
} layout16 = { 0x2b, 2, 0x0e, 0x2a, 4 }, layout32 = { 0x67, 4, 0x20, 0x60, 6 };

struct task {
    const struct layout *layout;
    uint8_t image[TASK_IMAGE];
    uint64_t cr3, ldt, trap;
};

static const struct layout *layout_of(const struct emul_segment *tss)
{
    return tss->attr & SYS_BIG ? &layout32 : &layout16;
}

/* Word n behind the start of the image: 0 instruction pointer, 1 flags, 2 to 9 registers, from 10 segments. */
static uint64_t image_word(const struct task *t, unsigned n)
{
    return exec_reg_read(t->image + n * t->layout->size, t->layout->size);
}

static void image_set(struct task *t, unsigned n, unsigned size, uint64_t value)
{
    emul_store_direct(t->image + n * t->layout->size, size, value);
}

/* Reads what a task state holds; where that is, for a write. */
static struct emul_place read_image(struct exec *x, const struct emul_segment *tss, struct task *t, unsigned access)
{
    struct emul_place place;

    t->layout = layout_of(tss);
    place = exec_system_place(x, tss->base + t->layout->ip, (2 + 8 + t->layout->segments) * t->layout->size, access);
    exec_must(x, emul_load_bytes(x->ctx, &place, t->image, EMUL_FOR_DESCRIPTOR));
    return place;
}

/* What the new task's state says, all of it read before anything is written. */
static void read_task(struct exec *x, const struct emul_segment *tss, struct task *t)
{
    int big = tss->attr & SYS_BIG;

    read_image(x, tss, t, 0);
    t->ldt = exec_system_read(x, tss->base + t->layout->ldt, 2);
    t->cr3 = big ? exec_system_read(x, tss->base + TSS_CR3, 4) : x->s->cr3;
    t->trap = big ? exec_system_read(x, tss->base + TSS_TRAP, 2) : 0;
}

/* The state to store in the old task; what it does not have, such as the upper halves of selectors, stays as it is. */
static struct emul_place save_prepare(struct exec *x, struct task *t, uint64_t flags)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    struct emul_place place;

    exec_raise_if(x, tr->limit < layout_of(tr)->limit, EMUL_VECTOR_TS, tr->selector & SELECTOR_CODE);
    place = read_image(x, tr, t, EMUL_PF_W);
    image_set(t, 0, t->layout->size, x->next_rip);
    image_set(t, 1, t->layout->size, flags);
    for (unsigned i = 0; i < 8; i++)
        image_set(t, 2 + i, t->layout->size, x->gpr[i]);
    for (unsigned i = 0; i < t->layout->segments; i++)
        image_set(t, 10 + i, 2, x->s->seg[i].selector);
    return place;
}

/* ---- The new task ---- */

/* Until they are loaded, the segments hold selectors only; CPL is that of CS (SDM 3A 7.3 step 12). */
static void enter_task(struct exec *x, struct task *t, struct exec_descriptor *tss, int nested)
{
    struct emul_state *s = x->s;
    int is_v86 = t->layout->size == 4 && (image_word(t, 1) & RFLAGS_VM);
    unsigned cpl = is_v86 ? 3 : image_word(t, 10 + EMUL_CS) & SELECTOR_RPL;

    s->rip = image_word(t, 0);
    s->rflags = (image_word(t, 1) & (t->layout->size == 4 ? EXEC_FLAGS_ALL : FLAGS_16)) | RFLAGS_1 | (nested ? RFLAGS_NT : 0);
    s->shadow = 0;
    for (unsigned i = 0; i < 8; i++)
        x->gpr[i] = image_word(t, 2 + i);
    s->rsp = x->gpr[EMUL_RSP];
    for (unsigned i = 0; i < EMUL_SEGS; i++) {
        exec_null_segment(&s->seg[i], i < t->layout->segments ? image_word(t, 10 + i) : 0, cpl);
        if (is_v86)
            exec_real_segment(&s->seg[i], i, s->seg[i].selector, 1);
    }
    if (!is_v86)
        s->seg[EMUL_CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_WRITE | SEG_ACCESSED | cpl << SEG_DPL;
    tss->segment.attr |= SYS_BUSY;
    s->seg[EMUL_TR] = tss->segment;
    exec_null_segment(&s->seg[EMUL_LDTR], t->ldt, 0);
    s->cr0 |= CR0_TS;
    s->dr7 &= ~(uint64_t)DR7_LOCAL;
    if (s->cr0 & CR0_PG) {
        s->cr3 = t->cr3;
        exec_flush(x, 0, 1);
        emul_look(x->ctx);
    }
    x->ctx->changed |= EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS | EMUL_STATE_SYSTEM | EMUL_STATE_CR | EMUL_STATE_DR;
}

/* SDM 3A table 7-1, in the new task's context. Virtual-8086 mode has but an LDT to load. */
static void load_segments(struct exec *x)
{
    static const uint8_t order[] = { EMUL_LDTR, EMUL_CS, EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
    unsigned cpl = x->s->seg[EMUL_CS].selector & SELECTOR_RPL;
    struct exec_descriptor d;

    for (unsigned i = 0; i < (x->s->rflags & RFLAGS_VM ? 1 : sizeof(order)); i++) {
        unsigned seg = order[i];
        uint16_t selector = x->s->seg[seg].selector;

        if (seg == EMUL_CS)
            exec_check_code(x, selector, cpl, 0, EMUL_VECTOR_TS, &d);
        else if (exec_is_null(selector) && seg != EMUL_SS)
            continue;
        else if (seg == EMUL_LDTR)
            exec_check_system(x, selector, 1 << SYS_LDT, EMUL_VECTOR_TS, EMUL_VECTOR_TS, &d);
        else
            exec_check_segment(x, seg, selector, cpl, EMUL_VECTOR_TS, &d);
        exec_accessed(x, &d);
        exec_set_segment(x, seg, &d.segment);
    }
}

/* Behind the switch: the error code, the limit of CS, the trap (SDM 2A INT, 3A 7.3). */
static void start_task(struct exec *x, const struct task *t)
{
    struct emul_state *s = x->s;
    struct exec_stack st;

    load_segments(x);
    emul_look(x->ctx);
    x->next_rip = s->rip;
    x->flags = s->rflags;
    x->step = 0;
    if (x->event->has_error) {
        exec_stack_begin(x, &st);
        exec_push(x, &st, t->layout->size, x->event->error);
        exec_stack_commit(x, &st);
        s->rsp = x->gpr[EMUL_RSP];
    }
    exec_gp0_if(x, s->rip > s->seg[EMUL_CS].limit);
    if (t->trap & 1) {
        x->result->dr6 = DR6_BT;
        exec_raise(x, EMUL_VECTOR_DB, 0);
    }
}

/* ---- The switch ---- */

/* The types of descriptors change first: a race lost for the second of them leaves nothing that would stop another try. */
void exec_task_switch(struct exec *x, uint16_t selector, enum emul_task_reason reason)
{
    int is_return = reason == EMUL_TASK_IRET, nested = reason == EMUL_TASK_CALL || reason == EMUL_TASK_GATE;
    struct exec_descriptor tss, leaving;
    struct emul_place save, back;
    struct task old, new;
    uint16_t link;

    exec_check_tss(x, selector, is_return ? SYS_BUSY : 0, is_return ? EMUL_VECTOR_TS : EMUL_VECTOR_GP, &tss);
    exec_raise_if(x, tss.segment.limit < layout_of(&tss.segment)->limit, EMUL_VECTOR_TS, selector & SELECTOR_CODE);
    exec_require(x, EMUL_STATE_SYSTEM | EMUL_STATE_SEGS | EMUL_STATE_DR);
    link = x->s->seg[EMUL_TR].selector;
    read_task(x, &tss.segment, &new);
    save = save_prepare(x, &old, x->flags & ~(is_return ? RFLAGS_NT : 0));
    if (nested)
        back = exec_system_place(x, tss.segment.base, 2, EMUL_PF_W);
    else
        exec_descriptor_read(x, link, EMUL_VECTOR_TS, &leaving);
    if (!is_return)
        exec_system_place(x, tss.linear, 8, EMUL_PF_W);
    if (!nested)
        exec_descriptor_type(x, &leaving, leaving.segment.attr & SEG_TYPE & ~SYS_BUSY);
    if (!is_return)
        exec_descriptor_type(x, &tss, (tss.segment.attr & SEG_TYPE) | SYS_BUSY);
    exec_must(x, emul_store_bytes(x->ctx, &save, old.image, EMUL_FOR_DESCRIPTOR));
    if (nested)
        exec_must(x, emul_store(x->ctx, &back, link, EMUL_FOR_DESCRIPTOR));
    enter_task(x, &new, &tss, nested);
    start_task(x, &new);
}

static void switch_event(struct exec *x)
{
    exec_task_switch(x, x->event->target, x->event->reason);
}

int emul_task_switch(struct emul_ctx *ctx, uint16_t selector, enum emul_task_reason reason, int has_error, uint32_t error,
                     struct emul_result *result)
{
    const struct exec_event what = { .error = error, .target = selector, .reason = reason, .has_error = !!has_error,
                                     .external = reason == EMUL_TASK_GATE };

    return exec_outside(ctx, result, &what, switch_event);
}
