/* Stack instructions, near transfers, the interrupt flag, BOUND and HLT. */
#include "exec_far.h"

#define LEVEL_MAX 31u              /* of ENTER's nesting: five bits of the immediate */

/* Bytes at an offset of the stack, which is cut to its width. */
static inline int stack_read(struct exec *x, uint64_t offset, unsigned size, uint64_t *value)
{
    uint64_t at = x->mode == EMUL_MODE64 ? offset : offset & emul_size_mask(exec_stack_width(x));
    const void *p = exec_reach(x, EMUL_SS, at, size, 0, EMUL_FOR_OPERAND);
    struct emul_place place;
    int status;

    if (p) {
        *value = emul_load_direct(p, size);
        return EMUL_DONE;
    }
    status = exec_resolve_at(x, EMUL_SS, at, size, 0, &place);
    return status ? status : emul_load(x->ctx, &place, value, EMUL_FOR_OPERAND);
}

static uint64_t stack_get(struct exec *x, uint64_t offset) /* of raising handlers */
{
    uint64_t value;

    exec_must(x, stack_read(x, offset, x->opsize, &value));
    return value;
}

static inline void stack_move(struct exec *x, uint64_t rsp)
{
    exec_set_gpr(x, EMUL_RSP, exec_stack_width(x), rsp);
}

static __attribute__((noinline)) int push_far(struct exec *x, unsigned size, unsigned store, uint64_t value)
{
    uint64_t rsp = x->gpr[EMUL_RSP] - size;
    struct emul_place place;
    int status = exec_resolve_at(x, EMUL_SS, rsp & emul_size_mask(exec_stack_width(x)), store, EMUL_PF_W, &place);

    if (!status)
        status = emul_store(x->ctx, &place, value, EMUL_FOR_OPERAND);
    if (!status)
        stack_move(x, rsp);
    return status;
}

/* Is the stack flat, and how wide? A flat one of 16 bits is nobody's. */
static inline uint64_t stack_cut(const struct exec *x, uint64_t rsp)
{
    return exec_ctx(x)->facts & 8 << EMUL_FACT_STACK ? rsp : (uint32_t)rsp;
}

/* The low `store` bytes of value into a slot of `size` bytes. */
static inline __attribute__((always_inline)) int push_quick(struct exec *x, unsigned size, unsigned store, uint64_t value)
{
    uint64_t rsp = stack_cut(x, x->gpr[EMUL_RSP] - size);
    void *p = exec_reach(x, EMUL_SS, rsp, store, EMUL_PF_W, EMUL_FOR_OPERAND);

    if (EMUL_UNLIKELY(!p))
        return push_far(x, size, store, value);
    emul_store_direct(p, store, value);
    x->gpr[EMUL_RSP] = rsp;
    return EMUL_DONE;
}

static __attribute__((noinline)) int push(struct exec *x, unsigned size, unsigned store, uint64_t value)
{
    return push_quick(x, size, store, value);
}

/* 06 0E 16 1E, 0F A0, 0F A8: bits 3 to 5 of the opcode. */
static inline unsigned opcode_seg(const struct exec *x)
{
    return x->insn->opcode >> 3 & (x->insn->map == EMUL_MAP_1 ? 3 : 7);
}

static void push_segment(struct exec *x)
{
    unsigned store = x->opsize == 4 && !(x->ctx->features & EMUL_IS_AMD) ? 2 : x->opsize; /* SDM 2B PUSH: the rest of the slot stays */

    exec_require(x, EMUL_STATE_SEGS);
    exec_must(x, push(x, x->opsize, store, x->s->seg[opcode_seg(x)].selector));
}

/* Of what is no register of the opcode byte. */
static __attribute__((noinline)) int push_other(struct exec *x)
{
    uint64_t value = x->insn->imm; /* FORM_Iz, FORM_Ibs */
    int status = EMUL_DONE;

    if (x->insn->form == FORM_Sreg)
        return exec_guard(x, 0, push_segment);
    if (x->insn->form == FORM_Eq && x->insn->mod == 3)
        value = x->gpr[x->insn->rm];
    else if (x->insn->form == FORM_Eq)
        status = exec_load(x, 0, x->opsize, &value);
    return status ? status : push(x, x->opsize, x->opsize, value);
}

int do_push(struct exec *x)
{
    if (EMUL_UNLIKELY(x->insn->form != FORM_Zq))
        return push_other(x);
    return push_quick(x, x->opsize, x->opsize, x->gpr[exec_opcode_reg(x->insn)]);
}

/* The selector is in src; rSP has moved, in the width of the old stack segment. */
static void load_popped(struct exec *x)
{
    exec_move_segment(x, opcode_seg(x), x->src);
}

/* rSP has moved when the register is written or the address of the destination computed (SDM 2B POP). */
static __attribute__((noinline)) int pop_other(struct exec *x)
{
    uint64_t value, rsp = x->gpr[EMUL_RSP];
    int status = stack_read(x, rsp, x->opsize, &value);

    if (status)
        return status;
    stack_move(x, rsp + x->opsize);
    if (x->insn->form == FORM_Sreg) {
        x->src = value;
        return exec_guard(x, 0, load_popped);
    }
    if (x->insn->form != FORM_Zq && x->insn->mod != 3)
        return exec_store(x, 0, x->opsize, value);
    exec_set_gpr(x, x->insn->form == FORM_Zq ? exec_opcode_reg(x->insn) : x->insn->rm, x->opsize, value);
    return EMUL_DONE;
}

int do_pop(struct exec *x)
{
    uint64_t rsp = stack_cut(x, x->gpr[EMUL_RSP]);
    const void *p = EMUL_LIKELY(x->insn->form == FORM_Zq) ? exec_reach(x, EMUL_SS, rsp, x->opsize, 0, EMUL_FOR_OPERAND) : 0;

    if (EMUL_UNLIKELY(!p))
        return pop_other(x);
    x->gpr[EMUL_RSP] = stack_cut(x, rsp + x->opsize);
    exec_set_gpr(x, exec_opcode_reg(x->insn), x->opsize, emul_load_direct(p, x->opsize));
    return EMUL_DONE;
}

/* SDM 2B PUSHA: #GP outside protected mode where the stack would wrap in the middle. */
void do_pusha(struct exec *x)
{
    uint64_t rsp = x->gpr[EMUL_RSP] & emul_size_mask(exec_stack_width(x));
    struct exec_stack st;

    exec_gp0_if(x, !emul_protected(x->s) && (rsp & 1) && rsp >= 7 && rsp <= 15);
    exec_stack_begin(x, &st);
    for (unsigned i = 0; i < 8; i++)
        exec_push(x, &st, x->opsize, x->gpr[i]);
    exec_stack_commit(x, &st);
}

void do_popa(struct exec *x)
{
    uint64_t rsp = x->gpr[EMUL_RSP], value[8];

    for (unsigned i = 8; i--;)
        value[i] = i == EMUL_RSP ? rsp : stack_get(x, rsp + (7 - i) * x->opsize); /* that of RSP is skipped */
    for (unsigned i = 0; i < 8; i++)
        exec_set_gpr(x, i, i == EMUL_RSP ? 8 : x->opsize, value[i]);
    stack_move(x, rsp + 8 * x->opsize);
}

void do_pushf(struct exec *x)
{
    exec_gp0_if(x, exec_v86_denies(x));
    exec_must(x, push(x, x->opsize, x->opsize, exec_seen_flags(x) & ~RFLAGS_VM));
}

/* SDM 2B POPF, table 4-21; IRET: what loads in which mode, by the privilege of before. */
void exec_pop_flags(struct exec *x, uint64_t value, uint64_t mask)
{
    unsigned cpl = emul_cpl(x->s);

    mask |= EXEC_FLAGS_POPPED | (x->opsize > 2 ? RFLAGS_AC | RFLAGS_ID : 0);
    if (!(x->s->rflags & RFLAGS_VM)) {
        mask |= (cpl <= exec_iopl(x) ? RFLAGS_IF : 0) | (cpl ? 0 : RFLAGS_IOPL);
    } else if (exec_iopl(x) == 3) {
        mask |= RFLAGS_IF;
    } else {
        exec_gp0_if(x, (value & RFLAGS_TF) || ((value & RFLAGS_IF) && (x->flags & RFLAGS_VIP)));
        exec_set_flag(x, RFLAGS_VIF, value & RFLAGS_IF);
    }
    x->flags = (x->flags & ~mask) | (value & mask);
}

/* RF is cleared, VM, VIF and VIP stay. */
void do_popf(struct exec *x)
{
    uint64_t rsp = x->gpr[EMUL_RSP];

    exec_gp0_if(x, exec_v86_denies(x));
    exec_pop_flags(x, stack_get(x, rsp), 0);
    stack_move(x, rsp + x->opsize);
}

/* The display of nesting levels is copied in the order of the accesses, since the frames may overlap; all of it, and the new top
 * of the stack, is translated before (SDM 2A ENTER), since a frame may lie in the page tables. At most LEVEL_MAX levels. */
void do_enter(struct exec *x)
{
    unsigned level = x->insn->imm2 & LEVEL_MAX, size = x->opsize;
    uint64_t frame, rest, rbp = x->gpr[EMUL_RBP];
    struct emul_place from[LEVEL_MAX + 1];
    struct exec_stack st;

    exec_stack_begin(x, &st);
    exec_push(x, &st, size, rbp);
    frame = st.rsp;
    for (unsigned i = 1; i <= level; i++) { /* the last is the new frame itself */
        from[i] = i < level ? exec_stack_place(x, &st, rbp - i * size, size, 0) : (struct emul_place){ 0 };
        exec_push(x, &st, size, frame);
    }
    rest = st.rsp - (uint16_t)x->insn->imm;
    exec_stack_place(x, &st, rest, size, EMUL_PF_W);
    for (unsigned i = 0; i < st.count; i++)
        exec_end_if(x, !exec_movable(x, &st.push[i].place, 1) || (i && !exec_movable(x, &from[i], 0)), EMUL_UNHANDLED);
    for (unsigned i = 0; i < st.count; i++) {
        uint64_t value = i && i < level ? exec_read(x, &from[i], EMUL_FOR_OPERAND) : st.push[i].value;

        exec_must(x, emul_store(x->ctx, &st.push[i].place, value, EMUL_FOR_OPERAND));
    }
    exec_set_gpr(x, EMUL_RBP, size, frame);
    stack_move(x, rest);
}

void do_leave(struct exec *x)
{
    uint64_t rsp = x->gpr[EMUL_RBP], value = stack_get(x, rsp);

    stack_move(x, rsp + x->opsize);
    exec_set_gpr(x, EMUL_RBP, x->opsize, value);
}

/* Near: relative, register or memory. */
int do_jmp(struct exec *x)
{
    uint64_t target = x->next_rip + x->insn->imm;
    int status = EMUL_DONE;

    if (x->insn->form == FORM_En && x->insn->mod != 3)
        status = exec_load(x, 0, x->opsize, &target);
    else if (x->insn->form == FORM_En)
        target = x->gpr[x->insn->rm];
    return status ? status : exec_branch(x, target);
}

int do_call(struct exec *x)
{
    uint64_t back = x->next_rip;
    int status = do_jmp(x);

    return status ? status : push(x, x->opsize, x->opsize, back);
}

int do_ret(struct exec *x)
{
    uint64_t target, rsp = x->gpr[EMUL_RSP];
    int status = stack_read(x, rsp, x->opsize, &target);

    if (!status)
        status = exec_branch(x, target);
    if (!status)
        stack_move(x, rsp + x->opsize + (uint16_t)x->insn->imm);
    return status;
}

int do_jcc(struct exec *x)
{
    if (!exec_condition(x->flags, x->insn->opcode))
        return EMUL_DONE;
    return exec_branch(x, x->next_rip + x->insn->imm);
}

/* JCXZ, LOOP, LOOPE, LOOPNE */
int do_loop(struct exec *x)
{
    unsigned op = x->insn->op;
    uint64_t count = (x->gpr[EMUL_RCX] - (op != EMUL_JCXZ)) & emul_size_mask(x->insn->addrsize);
    int taken = op == EMUL_JCXZ ? !count : count && (op == EMUL_LOOP || !(x->flags & RFLAGS_ZF) == (op == EMUL_LOOPNE));
    int status = taken ? exec_branch(x, x->next_rip + x->insn->imm) : EMUL_DONE;

    if (!status && op != EMUL_JCXZ)
        exec_set_gpr(x, EMUL_RCX, x->insn->addrsize, count);
    return status;
}

/* CLI and STI change IF, VIF where CR4 virtualises it (SDM 3B 20.3.3, 20.4), or nothing: #GP. */
void do_cli(struct exec *x)
{
    unsigned cpl = emul_cpl(x->s), set = x->insn->op == EMUL_STI;

    if (cpl > exec_iopl(x)) {
        exec_gp0_if(x, cpl < 3 || !(x->s->cr4 & (x->s->rflags & RFLAGS_VM ? CR4_VME : CR4_PVI)) || (set && (x->flags & RFLAGS_VIP)));
        exec_set_flag(x, RFLAGS_VIF, set);
        return;
    }
    if (set && !(x->flags & RFLAGS_IF))
        x->shadow = EMUL_SHADOW_STI;
    exec_set_flag(x, RFLAGS_IF, set);
}

void do_bound(struct exec *x)
{
    int64_t index = exec_signed(x->gpr[x->insn->reg], x->opsize);
    int64_t lower = exec_signed(exec_get(x, 0, x->opsize), x->opsize);
    int64_t upper = exec_signed(exec_get(x, x->opsize, x->opsize), x->opsize);

    if (index < lower || index > upper)
        exec_raise(x, EMUL_VECTOR_BR, 0);
}

int do_hlt(struct exec *x)
{
    x->result->halted = 1;
    return EMUL_DONE;
}
