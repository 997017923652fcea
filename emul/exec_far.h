/* What stack, segment, far transfer, interrupt and task code share. Only emul/exec_*.c include it. */
#ifndef EMUL_EXEC_FAR_H
#define EMUL_EXEC_FAR_H

#include "exec.h"

#define SELECTOR_RPL   0x0003u
#define SELECTOR_TI    0x0004u     /* in the LDT */
#define SELECTOR_INDEX 0xfff8u
#define SELECTOR_CODE  0xfffcu     /* what an error code has of a selector (SDM 3A 6.13) */

/* System descriptors, SDM 3A table 3-2: type, with S clear. */
enum { SYS_TSS16 = 1, SYS_LDT = 2, SYS_CALL16 = 4, SYS_TASK = 5, SYS_INT16 = 6, SYS_TRAP16 = 7, SYS_TSS = 9, SYS_CALL = 0xc,
       SYS_INT = 0xe, SYS_TRAP = 0xf };
#define SYS_BUSY 2u                /* of a TSS: added to its type */
#define SYS_BIG  8u                /* of a TSS and of gates: 32 or 64 bits */

static inline int exec_is_long(const struct exec *x) /* IA-32e mode */
{
    return !!(x->s->efer & EFER_LMA);
}

/* ---- Descriptors: exec_segment.c; faults are `vector` with the selector, #NP and #SS where not present ---- */
struct exec_descriptor {
    uint64_t low, high;            /* high: second half of a system descriptor in IA-32e mode */
    uint64_t linear;
    struct emul_segment segment;   /* what they say, and the selector; of gates only attr and selector mean something */
};
int exec_descriptor_read(struct exec *x, uint16_t selector, unsigned vector, struct exec_descriptor *d);
int exec_descriptor_high(struct exec *x, unsigned vector, struct exec_descriptor *d); /* where there is one (SDM 3A 3.5.2) */
/* Puts another type into the descriptor, atomically. EMUL_RETRY: another vcpu has changed it meanwhile. */
int exec_descriptor_type(struct exec *x, const struct exec_descriptor *d, unsigned type);
int exec_accessed(struct exec *x, struct exec_descriptor *d);  /* sets the accessed bit of code and data */
int exec_bad_selector(struct exec *x, unsigned vector, uint16_t selector);

int exec_check_stack(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_descriptor *d);
int exec_check_data(struct exec *x, uint16_t selector, unsigned cpl, unsigned vector, struct exec_descriptor *d);
/* A descriptor in the GDT of one of `types` (bit n: type n); `absent` is the vector where it is not present. */
int exec_check_system(struct exec *x, uint16_t selector, unsigned types, unsigned vector, unsigned absent, struct exec_descriptor *d);
int exec_check_tss(struct exec *x, uint16_t selector, unsigned busy, unsigned vector, struct exec_descriptor *d); /* busy: 0, SYS_BUSY */

extern const uint8_t exec_data_segments[4];                    /* ES DS FS GS */
void exec_null_segment(struct emul_segment *segment, uint16_t selector, unsigned dpl);
void exec_real_segment(struct emul_segment *segment, unsigned seg, uint16_t selector, int v86); /* in: what the register holds */
void exec_set_segment(struct exec *x, unsigned seg, const struct emul_segment *segment);
int exec_far_pointer(struct exec *x, uint16_t *selector, uint64_t *offset, unsigned *size); /* in memory; size: of the offset */

static inline unsigned exec_dpl(const struct emul_segment *segment)
{
    return segment->attr >> SEG_DPL & 3;
}

static inline int exec_is_null(uint16_t selector)
{
    return !(selector & SELECTOR_CODE);
}

/* Accessible from outer levels, running at theirs. */
static inline int exec_is_conforming(const struct emul_segment *segment)
{
    return (segment->attr & (SEG_S | SEG_CODE | SEG_DOWN)) == (SEG_S | SEG_CODE | SEG_DOWN);
}

/* ---- Far transfers: exec_far.c ---- */
#define CODE_INWARD 1u             /* code of a lower DPL will do: a call or interrupt gate leads to it */
#define CODE_GATE   2u             /* through a gate: in IA-32e mode only 64-bit code */

/* Reads and judges a code segment that is to be entered with privilege `level`: faults are `vector`, #NP. RPL becomes level. */
int exec_check_code(struct exec *x, uint16_t selector, unsigned level, unsigned rules, unsigned vector, struct exec_descriptor *d);
/* The stack that the TSS has for privilege `cpl`, or that of the interrupt stack table if ist is not 0 (SDM 3A 6.12.1, 6.14.5). */
int exec_inner_stack(struct exec *x, unsigned cpl, unsigned ist, struct exec_descriptor *ss, struct exec_stack *st);
/* Goes to rip in cs, with another SS unless it is NULL: the last checks, the writes of st, then the state. */
int exec_transfer(struct exec *x, struct exec_descriptor *cs, struct exec_descriptor *ss, uint64_t rip, struct exec_stack *st);
int exec_real_transfer(struct exec *x, uint16_t selector, uint64_t rip, struct exec_stack *st); /* real and virtual-8086 mode */
/* Returns to selector:rip, which st has given; with an outer or (IRET in 64-bit mode) any level, st has RSP and SS `release` bytes on. */
int exec_return(struct exec *x, struct exec_stack *st, uint16_t selector, uint64_t rip, unsigned release, int with_stack);

/* ---- Tasks: exec_task.c. A fault behind the point where the new task is there is that task's: the state has changed then ---- */
int exec_task_switch(struct exec *x, struct exec_descriptor *tss, enum emul_task_reason reason, int has_error, uint32_t error);
int exec_task_gate(struct exec *x, uint64_t gate, enum emul_task_reason reason, int has_error, uint32_t error);
int exec_task_return(struct exec *x);

/* ---- Outside of an instruction: exec_event.c ---- */
void exec_outside(struct exec *x, struct emul_ctx *ctx, struct emul_result *result);
int exec_outside_end(struct exec *x, int status);              /* commits if it is EMUL_DONE */
int exec_external(const struct exec *x, int status);           /* EXT into a fault's error code (SDM 3A 6.13) */

/* ---- RFLAGS ---- */
#define EXEC_FLAGS_ALL    0x3f7fd5ull /* what exists */
#define EXEC_FLAGS_POPPED (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT) /* POPF and IRET load them in any mode */

static inline unsigned exec_iopl(const struct exec *x)
{
    return (x->s->rflags & RFLAGS_IOPL) >> 12;
}

/* PUSHF, POPF and IRET in virtual-8086 mode below IOPL 3: only with 16 bits, and CR4.VME (SDM 3B 20.3.3). */
static inline int exec_v86_denies(const struct exec *x)
{
    return (x->s->rflags & RFLAGS_VM) && exec_iopl(x) < 3 && (!(x->s->cr4 & CR4_VME) || x->opsize != 2);
}

/* FLAGS as a virtual-8086 program below IOPL 3 sees them: VIF in the place of IF, IOPL 3. */
static inline uint64_t exec_v86_flags(uint64_t flags)
{
    return (flags & ~RFLAGS_IF) | RFLAGS_IOPL | (flags & RFLAGS_VIF ? RFLAGS_IF : 0);
}

static inline void exec_load_flags(struct exec *x, uint64_t value, uint64_t mask)
{
    x->flags = (x->flags & ~mask) | (value & mask);
}

/* Loads the flags in mask, and IF or VIF, in virtual-8086 mode. 0 or #GP(0). */
int exec_v86_load_flags(struct exec *x, uint64_t value, uint64_t mask);

/* MOV and POP of SS hold back interrupts and debug exceptions for one instruction, the first of a row of them (SDM 3A 6.8.3). */
static inline void exec_mask_ss(struct exec *x)
{
    x->shadow = EMUL_SHADOW_MOVSS & ~x->s->shadow;
    x->no_step = x->shadow != 0;
}

#endif
