/* Hardware task switches between 32-bit and 16-bit task states (SDM 3A 7.3). */
#include "exec_far.h"

enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 }; /* L0 to L3, LE: off in a new task (SDM 3A 7.3) */
#define FLAGS_16       0x7fd5ull

/* What a task state has from the instruction pointer on (SDM 3A figures 7-2, 7-10): flags, eight general registers, segments in the
 * order of the encoding. */
enum { TASK_IP, TASK_FLAGS, TASK_GPRS, TASK_SEGS = 10, TASK_WORDS = 16 };
/* A format: limit it needs; word size; offsets of instruction pointer, LDT; how many words; offsets of CR3 and, in bit 0, T, or 0. */
static const struct layout {
    uint8_t limit, size, ip, ldt, words, cr3, trap;
} layout16 = { 0x2b, 2, 0x0e, 0x2a, TASK_SEGS + 4, 0, 0 }, layout32 = { 0x67, 4, 0x20, 0x60, TASK_WORDS, 0x1c, 0x64 };

struct task {
    const struct layout *layout;
    uint64_t word[TASK_WORDS], cr3, ldt, trap;
};

static const struct layout *layout_of(struct exec *x, const struct emul_segment *tss)
{
    const struct layout *layout = tss->attr & SYS_BIG ? &layout32 : &layout16;

    exec_raise_if(x, tss->limit < layout->limit, EMUL_VECTOR_TS, tss->selector & SELECTOR_CODE);
    return layout;
}

/* What the new task's state says, all of it read before anything is written. */
static void read_task(struct exec *x, const struct emul_segment *tss, struct task *t)
{
    const struct layout *l = t->layout;

    for (unsigned i = 0; i < TASK_WORDS; i++)
        t->word[i] = i < l->words ? exec_system_read(x, tss->base + l->ip + i * l->size, l->size) : 0;
    t->ldt = exec_system_read(x, tss->base + l->ldt, 2);
    t->cr3 = l->cr3 ? exec_system_read(x, tss->base + l->cr3, 4) : x->s->cr3;
    t->trap = l->trap ? exec_system_read(x, tss->base + l->trap, 2) : 0;
}

/* A write to a task state, with the others of st: exec_stack_commit() makes them. */
static void write_later(struct exec *x, struct exec_stack *st, uint64_t linear, unsigned size, uint64_t value)
{
    st->push[st->count++] = (struct exec_write){ .place = exec_system_place(x, linear, size, EMUL_PF_W), .value = value };
}

/* The state to store in the old task; what it does not have, such as the upper halves of selectors, stays as it is. */
static void save_task(struct exec *x, struct exec_stack *st, uint64_t flags)
{
    const struct emul_segment *tr = &x->s->seg[EMUL_TR];
    const struct layout *l = layout_of(x, tr);

    for (unsigned i = 0; i < l->words; i++) {
        uint64_t value = i == TASK_IP ? x->next_rip : i == TASK_FLAGS ? flags : i < TASK_SEGS ? x->gpr[i - TASK_GPRS] :
                         x->s->seg[i - TASK_SEGS].selector;

        write_later(x, st, tr->base + l->ip + i * l->size, i < TASK_SEGS ? l->size : 2, value);
    }
}

/* ---- The new task ---- */

/* Until they are loaded, the segments hold selectors only; CPL is that of CS (SDM 3A 7.3 step 12). */
static void enter_task(struct exec *x, const struct task *t, const struct emul_segment *tss, int nested)
{
    struct emul_state *s = x->s;
    int is_v86 = t->layout->size == 4 && (t->word[TASK_FLAGS] & RFLAGS_VM);
    unsigned cpl = is_v86 ? 3 : t->word[TASK_SEGS + EMUL_CS] & SELECTOR_RPL;

    s->rip = x->next_rip = t->word[TASK_IP];
    s->rflags = x->flags = (t->word[TASK_FLAGS] & (t->layout->size == 4 ? EXEC_FLAGS_ALL : FLAGS_16)) | RFLAGS_1 | (nested ? RFLAGS_NT : 0);
    s->shadow = x->step = 0;
    for (unsigned i = 0; i < 8; i++)
        x->gpr[i] = t->word[TASK_GPRS + i];
    s->rsp = x->gpr[EMUL_RSP];
    for (unsigned i = 0; i < EMUL_SEGS; i++) {
        exec_null_segment(&s->seg[i], t->word[TASK_SEGS + i], cpl);
        if (is_v86)
            exec_real_segment(&s->seg[i], i, s->seg[i].selector, 1);
    }
    if (!is_v86)
        s->seg[EMUL_CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_WRITE | SEG_ACCESSED | cpl << SEG_DPL;
    s->seg[EMUL_TR] = *tss;
    exec_null_segment(&s->seg[EMUL_LDTR], t->ldt, 0);
    s->cr0 |= CR0_TS;
    s->dr7 &= ~(uint64_t)DR7_LOCAL;
    if (s->cr0 & CR0_PG) {
        s->cr3 = t->cr3;
        exec_flush(x, 0, FLUSH_ALL);
        emul_look(x->ctx);
    }
    x->ctx->changed |= EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_SEGS | EMUL_STATE_SYSTEM | EMUL_STATE_CR | EMUL_STATE_DR;
}

/* Behind the switch: segments, SDM 3A table 7-1, of which virtual-8086 mode has but an LDT to load; the error code, the limit of CS, the
 * trap (SDM 2A INT, 3A 7.3). */
static void start_task(struct exec *x, const struct task *t, struct exec_stack *st)
{
    static const uint8_t order[] = { EMUL_LDTR, EMUL_CS, EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
    struct emul_state *s = x->s;
    unsigned cpl = s->seg[EMUL_CS].selector & SELECTOR_RPL;

    for (unsigned i = 0; i < (s->rflags & RFLAGS_VM ? 1 : sizeof(order)); i++)
        exec_load_segment(x, order[i], s->seg[order[i]].selector, cpl, CHECK_TASK);
    emul_look(x->ctx);
    if (x->event->has_error) {
        exec_stack_begin(x, st);
        exec_push(x, st, t->layout->size, x->event->error);
        exec_stack_commit(x, st);
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
    struct exec_stack st;
    struct task new;
    uint16_t link;

    exec_check_segment(x, EMUL_TR, selector, 0, is_return ? CHECK_TASK : CHECK_GATE, &tss);
    new.layout = layout_of(x, &tss.segment);
    exec_require(x, EMUL_STATE_SYSTEM | EMUL_STATE_SEGS | EMUL_STATE_DR);
    link = x->s->seg[EMUL_TR].selector;
    read_task(x, &tss.segment, &new);
    exec_stack_begin(x, &st);
    save_task(x, &st, x->flags & ~(is_return ? RFLAGS_NT : 0));
    if (nested)
        write_later(x, &st, tss.segment.base, 2, link);
    else
        exec_raise_if(x, !exec_descriptor_read(x, link, &leaving), EMUL_VECTOR_TS, link & SELECTOR_CODE);
    if (!is_return)
        exec_system_place(x, tss.linear, 8, EMUL_PF_W);
    if (!nested)
        exec_descriptor_type(x, &leaving, leaving.segment.attr & ~SYS_BUSY);
    if (!is_return)
        exec_descriptor_type(x, &tss, tss.segment.attr | SYS_BUSY);
    exec_stack_commit(x, &st);
    enter_task(x, &new, &tss.segment, nested);
    start_task(x, &new, &st);
}
