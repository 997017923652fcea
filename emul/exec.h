/* The executor's inside: one instruction under way, its operands, and the table that says who runs it. Only emul/ includes it.
 *
 * The contract of a handler (emul_exec[].run): the instruction is decoded and of an allowed class; with X_OPERANDS the operands of its
 * form are in dst, src and src2, zero-extended, and its memory operand (if any) is resolved for the access that X_WRITE and X_READ
 * say. The handler computes into x->dst, x->src and x->flags, which are committed behind it, and answers EMUL_DONE; or it answers a
 * fault, EMUL_RETRY or EMUL_UNHANDLED and has changed nothing. With LOCK a handler may run several times. Handlers that change more
 * than that (segments, control registers, several registers) do all that can fail first. gpr[4] is RSP while a handler runs, and is
 * committed with the rest; on a fault its changes are dropped.
 *
 * Off the hot paths handlers raise (X_RAISES): they are void, and what cannot be done ends them where it is found, in whatever
 * function, as it ends the instruction in a CPU. Else the contract is the same: all that can raise comes before the first effect. */
#ifndef EMUL_EXEC_H
#define EMUL_EXEC_H

#include <stddef.h>
#include "access.h"
#include "emul.h"
#include "exec_rows.h"
#include "state.h"
#include "tables.h"

struct exec {
    struct emul_ctx *ctx;
    struct emul_state *s;          /* ctx->state */
    struct emul_result *result;
    const struct emul_insn *insn;
    uint64_t *gpr;                 /* ctx->gpr */
    uint64_t next_rip;             /* where execution goes on; already cut to the mode; a branch sets it with exec_branch() */
    uint64_t flags;                /* RFLAGS after the instruction */
    uint64_t dst, src, src2;
    uint8_t mode, opsize;          /* of insn */
    uint8_t src_size;              /* bytes of the source */
    union {
        struct {
            uint8_t shadow;        /* EMUL_SHADOW_* that hold behind the instruction */
            uint8_t step;          /* a single-step trap is due behind it */
            uint8_t stay;          /* REP with iterations left: RIP does not move */
            uint8_t pad;
        };
        uint32_t special;          /* any of them; RFLAGS.TF is where step is */
    };
    uint8_t *dst_reg, *src_reg;    /* register operands, where they are (AH and its like one byte up) */
    struct emul_place place;       /* the memory operand */
    const struct exec_event *event; /* while raising code runs: what it is for */
    int status;                    /* what raising code ended with */
    void *back[5];                 /* where exec_end() goes */
};

/* The instruction of a context. What does not change from one to the next, exec_begin() sets. */
static inline struct exec *exec_of(struct emul_ctx *ctx)
{
    _Static_assert(sizeof(struct exec) <= sizeof(ctx->exec), "its place");
    return (struct exec *)ctx->exec;
}

static inline struct emul_ctx *exec_ctx(const struct exec *x) /* x->ctx, where nothing has to be read for it */
{
    return (struct emul_ctx *)((char *)x - offsetof(struct emul_ctx, exec));
}

static inline void exec_begin(struct emul_ctx *ctx)
{
    struct exec *x = exec_of(ctx);

    x->ctx = ctx;
    x->s = ctx->state;
    x->gpr = ctx->gpr;
    x->gpr[EMUL_RSP] = ctx->state->rsp;
}

/* Flags of a row. */
#define X_OPERANDS 0x01u           /* fetch the operands of the form */
#define X_READ     0x02u           /* the destination is read */
#define X_WRITE    0x04u           /* the destination is written */
#define X_SWAP     0x08u           /* the source register is written too (XCHG, XADD) */
#define X_PRIV     0x10u           /* #GP(0) unless CPL is 0 */
#define X_MEMORY   0x20u           /* accesses memory without a ModRM operand: stack, strings, tables */
#define X_ADDRESS  0x40u           /* its ModRM operand is an address only: LEA, NOP, INVLPG */
#define X_PROTECTED 0x80u          /* #UD in real and virtual-8086 mode (SDM 2A LAR) */
#define X_RUN      0x100u          /* who handles it: run(), */
#define X_RAISES   0x200u          /* or raise(), by exec_guard() */

struct exec_row {
    union {
        int (*run)(struct exec *x);
        void (*raise)(struct exec *x);
        void (*compute)(struct exec *x); /* with X_OPERANDS; NULL: a move */
    };
    uint16_t flags;                /* X_*; 0: refused by name */
    uint16_t may;                  /* EMUL_MAY_*, but for EMUL_MAY_MEMORY, which follows from operands and flags */
    uint32_t needs;                /* with X_RAISES: EMUL_STATE_* that it looks at or changes */
};
extern const struct exec_row emul_exec[EMUL_OPS_END];

static inline int exec_fault(struct exec *x, unsigned vector, uint32_t error)
{
    return emul_fault(x->result, vector, error);
}

/* Makes groups of the state valid that the caller of the library may have left out; 0 or EMUL_UNHANDLED. */
static inline int exec_need(struct exec *x, uint32_t groups)
{
    return emul_need(x->ctx, groups);
}

/* The register in the opcode byte. */
static inline unsigned exec_opcode_reg(const struct emul_insn *insn)
{
    return (insn->opcode & 7) | (insn->rex & EMUL_REX_B ? 8 : 0);
}

/* A register where it lies. size 1 without REX: 4 to 7 are AH CH DH BH. */
static inline uint8_t *exec_reg(const struct exec *x, unsigned reg, unsigned size)
{
    if (EMUL_UNLIKELY(size == 1) && !(x->insn->prefix & EMUL_PFX_REX) && (reg & ~3u) == 4)
        return (uint8_t *)&x->gpr[reg - 4] + 1;
    return (uint8_t *)&x->gpr[reg & (EMUL_GPRS - 1)];
}

static inline uint64_t exec_reg_read(const uint8_t *reg, unsigned size)
{
    if (EMUL_LIKELY(size == 4))
        return *(const emul_reg32 *)reg;
    if (size == 8)
        return *(const emul_reg64 *)reg;
    return size == 1 ? *reg : *(const emul_reg16 *)reg;
}

/* SDM 1 3.4.1.1: 4 bytes clear the upper half, 1 and 2 keep the rest. */
static inline void exec_reg_write(uint8_t *reg, unsigned size, uint64_t value)
{
    if (EMUL_LIKELY(size == 4))
        *(emul_reg64 *)reg = (uint32_t)value;
    else if (size == 8)
        *(emul_reg64 *)reg = value;
    else if (size == 1)
        *reg = (uint8_t)value;
    else
        *(emul_reg16 *)reg = (uint16_t)value;
}

/* Writes the low `size` bytes of general register n (no high bytes). */
static inline void exec_set_gpr(struct exec *x, unsigned n, unsigned size, uint64_t value)
{
    exec_reg_write((uint8_t *)&x->gpr[n], size, value);
}

static inline int64_t exec_signed(uint64_t value, unsigned size) /* sign-extended from size bytes */
{
    return (int64_t)(value << (64 - size * 8)) >> (64 - size * 8);
}

static inline void exec_set_flag(struct exec *x, uint64_t flag, uint64_t on)
{
    x->flags = on ? x->flags | flag : x->flags & ~flag;
}

/* Effective address of the ModRM operand, in its address size. */
static inline uint64_t exec_offset(const struct exec *x)
{
    const struct emul_insn *insn = x->insn;
    uint64_t offset = insn->disp;

    if (EMUL_LIKELY(insn->base < EMUL_GPRS))
        offset += x->gpr[insn->base];
    else if (insn->base == EMUL_REG_RIP)
        offset += x->next_rip;
    if (EMUL_UNLIKELY(insn->index < EMUL_GPRS))
        offset += x->gpr[insn->index] << insn->scale;
    if (EMUL_LIKELY(insn->addrsize == 4))
        return (uint32_t)offset;
    if (EMUL_LIKELY(insn->addrsize == 8))
        return offset;
    return (uint16_t)offset;
}

/* Is it the access that an exit reported (exec_resolve_at()), one that a device takes at once: 64-bit code, aligned to its size? */
static inline int exec_exit_piece(const struct exec *x, uint64_t offset, unsigned size, unsigned access)
{
    const struct emul_ctx *ctx = exec_ctx(x);

    return (ctx->facts & EMUL_FACT_EXIT) && !((offset ^ ctx->exit_gpa) & PAGE_MASK) && !(offset & (size - 1)) &&
           ctx->exit_write == access / EMUL_PF_W && x->insn->seg < EMUL_FS;
}

/* Where `size` bytes at `offset` of a segment are, for an access of the instruction's own; access: 0 or EMUL_PF_W. */
int exec_resolve_at(struct exec *x, unsigned seg, uint64_t offset, unsigned size, unsigned access, struct emul_place *place);

/* The memory operand of ModRM: `size` bytes at `skip` bytes behind its start. */
int exec_resolve(struct exec *x, uint64_t skip, unsigned size, unsigned access, struct emul_place *place);

/* The bytes themselves, if they are data in one page of ctx's RAM that can be read and written behind a flat segment, without alignment
 * checks, and not those of an exit: the common case. NULL: exec_resolve_at() finds out. */
static inline __attribute__((always_inline)) void *exec_reach(const struct exec *x, unsigned seg, uint64_t offset, unsigned size,
                                                              unsigned access, unsigned cause)
{
    const struct emul_ctx *ctx = exec_ctx(x);
    uint32_t facts = ctx->facts;

    if (EMUL_UNLIKELY(!(facts >> seg & 1u << EMUL_FACT_FLAT)) || EMUL_UNLIKELY((offset & PAGE_MASK) + size > PAGE_SIZE))
        return 0;
    return emul_window(ctx, facts, offset, access, cause);
}

int exec_load(struct exec *x, uint64_t skip, unsigned size, uint64_t *value);
int exec_store(struct exec *x, uint64_t skip, unsigned size, uint64_t value);

/* The destination register stays as it is, its upper half too, though the operation writes it. */
static inline void exec_keep_register(struct exec *x)
{
    x->opsize = 8;
    x->dst = *(emul_reg64 *)x->dst_reg;
}

/* What flags (X_READ, X_WRITE) say: loads dst from x->place, runs, stores it back; atomically under LOCK. */
int exec_modify(struct exec *x, void (*compute)(struct exec *x), unsigned flags);

/* Near branch to `target`: cut to the operand size, checked against CS (SDM 2A CALL, JMP). 0 or #GP(0). */
int exec_branch(struct exec *x, uint64_t target);

int exec_condition(uint64_t flags, unsigned code);             /* SDM 1 appendix B: low four bits of the opcode */

/* I/O permission of opsize bytes at port: IOPL and the bitmap of the TSS (SDM 1 18.5). 0 or #GP(0). */
int exec_port_allowed(struct exec *x, unsigned port);

/* Are the callbacks there to store to a resolved place, or to load, so that it can be asked before anything is read? */
int exec_movable(const struct exec *x, const struct emul_place *place, int write);

/* #AC: alignment is checked for user accesses, if CR0 and RFLAGS ask for it (SDM 3A 6.15). mask: address bits that should be 0. */
static inline int exec_misaligned(const struct exec *x, uint64_t linear, unsigned mask, unsigned user)
{
    return (x->s->rflags & RFLAGS_AC) && (linear & mask) && (x->s->cr0 & CR0_AM) && user;
}

/* ---- Raising: exec_stack.c ---- */

/* What raising code is for, if it is no instruction: an event to deliver, a task to switch to. */
struct exec_event {
    uint32_t error;                /* pushed if has_error */
    uint16_t target;               /* vector, or selector of the task */
    uint8_t kind;                  /* enum emul_event */
    uint8_t reason;                /* enum emul_task_reason */
    uint8_t has_error;
    uint8_t external;              /* EXT goes into the error codes of its faults (SDM 3A 6.13) */
};

/* Runs what raises, for `event` or, if that is NULL, for an instruction. EMUL_DONE, or what exec_end() was given. It drops the context's
 * facts, by which everything accesses memory; behind what keeps them, because it changes nothing that they are of, more may be done. */
int exec_guard(struct exec *x, const struct exec_event *event, void (*body)(struct exec *x));
int exec_guard_kept(struct exec *x, const struct exec_event *event, void (*body)(struct exec *x));
int exec_raising(struct exec *x);                              /* the row of an instruction, with X_RAISES */

/* The rest is for what runs below exec_guard(). */
void exec_end(struct exec *x, int status) __attribute__((noreturn));
void exec_raise(struct exec *x, unsigned vector, uint32_t error) __attribute__((noreturn));

static inline void exec_must(struct exec *x, int status)
{
    if (status)
        exec_end(x, status);
}

static inline void exec_raise_if(struct exec *x, uint64_t bad, unsigned vector, uint32_t error)
{
    if (bad)
        exec_raise(x, vector, error);
}

static inline void exec_gp0_if(struct exec *x, uint64_t bad)
{
    exec_raise_if(x, bad, EMUL_VECTOR_GP, 0);
}

void exec_require(struct exec *x, uint32_t groups);            /* exec_need() */
uint64_t exec_get(struct exec *x, uint64_t skip, unsigned size); /* exec_load() */
uint64_t exec_get_rm(struct exec *x, unsigned size);           /* memory or register of ModRM.rm */

/* Handlers: do_NAME(). */
#define EXEC_VOID(op, handler, ...) void do_##handler(struct exec *x);
#define EXEC_NONE(op)
#define EXEC_STATUS(op, handler, ...) int do_##handler(struct exec *x);
EXEC_ROWS(EXEC_NONE, EXEC_VOID, EXEC_STATUS, EXEC_VOID)

#endif
