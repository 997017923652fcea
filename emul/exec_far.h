/* What stack, segment, far transfer, interrupt and task code share, all of it below exec_guard(). Only emul/exec_*.c include it. */
#ifndef EMUL_EXEC_FAR_H
#define EMUL_EXEC_FAR_H

#include "exec.h"

/* Of a selector; SELECTOR_TI: it is in the LDT; SELECTOR_CODE: what an error code has of it (SDM 3A 6.13). */
enum { SELECTOR_RPL = 0x0003, SELECTOR_TI = 0x0004, SELECTOR_INDEX = 0xfff8, SELECTOR_CODE = 0xfffc };

/* System descriptors, SDM 3A table 3-2: type, with S clear. */
enum { SYS_TSS16 = 1, SYS_LDT = 2, SYS_CALL16 = 4, SYS_TASK = 5, SYS_INT16 = 6, SYS_TRAP16 = 7, SYS_TSS = 9, SYS_CALL = 0xc,
       SYS_INT = 0xe, SYS_TRAP = 0xf };
/* In the types: of an interrupt gate, it leaves IF alone; of a TSS, it is busy; of a TSS and of gates, 32 or 64 bits. */
enum { SYS_IS_TRAP = 1, SYS_BUSY = 2, SYS_BIG = 8 };

static inline int exec_is_long(const struct exec *x) /* IA-32e mode */
{
    return !!(x->s->efer & EFER_LMA);
}

/* Bytes of the stack pointer that count: SDM 1 6.2.3. */
static inline unsigned exec_stack_width(const struct exec *x)
{
    return x->mode == EMUL_MODE64 ? 8 : x->s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2;
}

/* Ends it where it cannot go on. */
static inline void exec_end_if(struct exec *x, uint64_t bad, int status)
{
    if (bad)
        exec_end(x, status);
}

/* ---- Memory: exec_stack.c ---- */
uint64_t exec_read(struct exec *x, struct emul_place place, unsigned cause); /* up to 8 bytes */
struct emul_place exec_translate(struct exec *x, unsigned mode, uint64_t linear, unsigned size, unsigned access);

/* `size` bytes at `offset` of the operand's segment, where the address bits in `align` must be 0 if alignment is checked; it
 * ends where they could not be written. */
struct emul_place exec_place(struct exec *x, uint64_t offset, unsigned size, unsigned align, unsigned access);

/* Accesses at a linear address, for descriptor tables and task state: supervisor, implicit (SDM 3A 4.6.1). */
struct emul_place exec_system_place(struct exec *x, uint64_t linear, unsigned size, unsigned access); /* 1 to 64 bytes */
uint64_t exec_system_read(struct exec *x, uint64_t linear, unsigned size);
/* `size` bytes of the TSS, `at` bytes behind where its I/O bitmap begins. */
uint64_t exec_tss_bits(struct exec *x, uint64_t at, unsigned size);

/* Stack accesses that take effect together: each push is checked and translated at once, in order; nothing is written before
 * exec_stack_commit(). At most EXEC_PUSHES of them. */
#define EXEC_PUSHES 35u            /* a call gate with 31 parameters; more than ENTER pushes */
struct exec_write {                /* of value, or of what is at `from` by then, if that has a size */
    struct emul_place place, from;
    uint64_t value;
};
struct exec_stack {
    const struct emul_segment *ss;
    uint64_t rsp;
    unsigned size;                 /* of the stack pointer: 2, 4, 8 */
    unsigned access;               /* EMUL_PF_U, or 0: privilege of the accesses */
    uint32_t error;                /* of #SS */
    unsigned count;
    struct exec_write push[EXEC_PUSHES];
};
void exec_stack_begin(struct exec *x, struct exec_stack *st);  /* the current stack */
void exec_push(struct exec *x, struct exec_stack *st, unsigned size, uint64_t value);
uint64_t exec_pop(struct exec *x, struct exec_stack *st, unsigned size);
struct emul_place exec_stack_place(struct exec *x, const struct exec_stack *st, uint64_t rsp, unsigned size, unsigned access);
void exec_stack_skip(struct exec_stack *st, uint64_t bytes);   /* rSP moves up, in its width */
void exec_stack_commit(struct exec *x, struct exec_stack *st); /* writes; sets gpr[4] */

/* ---- Descriptors: exec_segment.c ---- */
struct exec_descriptor {
    uint64_t low, high;            /* high: second half of a system descriptor in IA-32e mode */
    uint64_t linear;
    int64_t room;                  /* what is behind its first byte, up to the limit of its table */
    struct emul_segment segment;   /* what they say, and the selector; of gates only attr and selector mean something */
};
int exec_descriptor_read(struct exec *x, uint16_t selector, struct exec_descriptor *d); /* 0: its table has none */
/* Puts another type into the descriptor, atomically. Ends with EMUL_RETRY when another vcpu has changed it meanwhile. */
void exec_descriptor_type(struct exec *x, struct exec_descriptor *d, unsigned type);
void exec_accessed(struct exec *x, struct exec_descriptor *d); /* sets the accessed bit of code and data */

/* The way to a segment: CHECK_INWARD, code of a lower DPL will do, a call or interrupt gate leads to it; CHECK_GATE, through a gate, which
 * in IA-32e mode leads to 64-bit code only; CHECK_TASK, by a task state, whose faults are #TS, or of TR, back to a task; CHECK_WIDE, into
 * 64-bit code, whose SS may be null; CHECK_SYSTEM, by JMP or CALL, and to call gates, task gates and TSSs too. Without a gate or a task
 * any selector will do in real and virtual-8086 mode. */
enum { CHECK_INWARD = 1, CHECK_GATE = 2, CHECK_TASK = 4, CHECK_WIDE = 8, CHECK_SYSTEM = 16 };
/* Reads and judges what is to be loaded into `seg` for privilege `level` (SDM 2B MOV, 2A CALL, IRET, LLDT, LTR); RPL of CS becomes the
 * level that it is to have. */
void exec_check_segment(struct exec *x, unsigned seg, uint16_t selector, unsigned level, unsigned rules, struct exec_descriptor *d);
void exec_load_segment(struct exec *x, unsigned seg, uint16_t selector, unsigned level, unsigned rules);
void exec_move_segment(struct exec *x, unsigned seg, uint16_t selector); /* MOV, POP, LDS ...: any mode (SDM 2A MOV) */
extern const uint8_t exec_data_segments[4];                    /* ES DS FS GS */
void exec_null_segment(struct emul_segment *segment, uint16_t selector, unsigned dpl);
void exec_real_segment(struct emul_segment *segment, unsigned seg, uint16_t selector, int v86); /* in: what the register holds */
void exec_set_segment(struct exec *x, unsigned seg, const struct emul_segment *segment);
unsigned exec_far_pointer(struct exec *x, uint16_t *selector, uint64_t *offset); /* in memory; returns the offset's size */

/* Sets of descriptor types: bit n is type n of system descriptors, bit 16 + n of code and data. Conforming: code that outer levels may run,
 * at theirs. */
enum { TYPES_SYSTEM = 0x0000ffff, TYPES_SEGMENT = 0xffff0000, TYPES_READABLE = 0xccff0000, TYPES_WRITABLE = 0x00cc0000,
       TYPES_CODE = 0xff000000, TYPES_CONFORMING = 0xf0000000 };
/* Of those of the system: 16- and 32-bit TSSs that are free, LDTs, gates; what LAR and LSL answer for (SDM 2A); what is left of them in
 * IA-32e mode. */
enum { TYPES_TSS = 1 << SYS_TSS16 | 1 << SYS_TSS, TYPES_LDT = 1 << SYS_LDT, TYPES_LAR = 0xffff1a3e, TYPES_LSL = 0xffff0a0e,
       TYPES_FAR = TYPES_TSS | 1 << SYS_CALL16 | 1 << SYS_TASK | 1 << SYS_CALL,
       TYPES_IDT = 1 << SYS_TASK | 1 << SYS_INT16 | 1 << SYS_TRAP16 | 1 << SYS_INT | 1 << SYS_TRAP, TYPES_LONG = 0xffffda04 };

static inline int exec_is_type(const struct emul_segment *segment, uint32_t types)
{
    return types >> (segment->attr & (SEG_S | SEG_TYPE)) & 1;
}

static inline uint32_t exec_types(const struct exec *x, uint32_t types) /* those that there are */
{
    return exec_is_long(x) ? types & TYPES_LONG : types;
}

static inline unsigned exec_dpl(const struct emul_segment *segment)
{
    return segment->attr >> SEG_DPL & 3;
}

static inline int exec_is_null(uint16_t selector)
{
    return !(selector & SELECTOR_CODE);
}

/* ---- Far transfers: exec_far.c ---- */
/* What they stack, in this order; outside of virtual-8086 mode from SS and rSP at most. */
enum { FRAME_DATA, FRAME_STACK = 4, FRAME_FLAGS = 6, FRAME_RETURN, FRAME_END = 9 };
void exec_push_frame(struct exec *x, struct exec_stack *st, unsigned size, unsigned from, unsigned to);
/* Through a call, interrupt or trap gate, with its change of stacks: SDM 3A 5.8.3, 6.12.1; in IA-32e mode 5.8.3.1, 6.14. frame: what is
 * stacked where the stack stays: FRAME_END for JMP, FRAME_RETURN for CALL, FRAME_FLAGS for events, with their error code. */
void exec_through_gate(struct exec *x, const struct exec_descriptor *gate, unsigned frame);
/* Goes to rip in cs, with another SS unless it is NULL: the last checks, the writes of st unless that is NULL, then the state. */
void exec_transfer(struct exec *x, struct exec_descriptor *cs, struct exec_descriptor *ss, uint64_t rip, struct exec_stack *st);

/* ---- Tasks: exec_task.c. A fault behind the point where the new task is there is that task's: the state has changed then ---- */
void exec_task_switch(struct exec *x, uint16_t selector, enum emul_task_reason reason); /* with x->event's error code */

/* exec_system.c: no translation of the page or of any page is valid any more; FLUSH_CACHE: but for those that the CPU itself has. */
enum exec_flush { FLUSH_PAGE, FLUSH_ALL, FLUSH_CACHE };
void exec_flush(struct exec *x, uint64_t linear, enum exec_flush what);

/* ---- RFLAGS ---- */
#define EXEC_FLAGS_ALL    0x3f7fd5ull /* what exists */
#define EXEC_FLAGS_POPPED (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT) /* POPF and IRET load them in any mode */

static inline unsigned exec_iopl(const struct exec *x)
{
    return (x->s->rflags & RFLAGS_IOPL) >> 12;
}

/* CR4.UMIP: not for users (SDM 3A 2.5). */
static inline int exec_is_private(const struct exec *x)
{
    return (x->s->cr4 & CR4_UMIP) && emul_cpl(x->s);
}

/* PUSHF, POPF and IRET in virtual-8086 mode below IOPL 3: only with 16 bits, and CR4.VME (SDM 3B 20.3.3). */
static inline int exec_v86_denies(const struct exec *x)
{
    return (x->s->rflags & RFLAGS_VM) && exec_iopl(x) < 3 && (!(x->s->cr4 & CR4_VME) || x->opsize != 2);
}

/* FLAGS as the program sees them: in virtual-8086 mode below IOPL 3 with VIF in the place of IF, and IOPL 3. */
static inline uint64_t exec_seen_flags(const struct exec *x)
{
    if (!(x->s->rflags & RFLAGS_VM) || exec_iopl(x) == 3)
        return x->flags;
    return (x->flags & ~RFLAGS_IF) | RFLAGS_IOPL | (x->flags & RFLAGS_VIF ? RFLAGS_IF : 0);
}

/* Loads the flags that POPF loads, and those in mask. In virtual-8086 mode it may raise #GP(0). */
void exec_pop_flags(struct exec *x, uint64_t value, uint64_t mask);

#endif
