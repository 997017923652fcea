/* Stack instructions, near transfers, the interrupt flag, BOUND and HLT. */
#include "exec_far.h"

#define LEVEL_MAX 31u              /* of ENTER's nesting: five bits of the immediate */

/* Of raising handlers. Into the slot go the low `store` bytes of value. */
static uint64_t stack_pop(struct exec *x)
{
    struct exec_stack st;
    uint64_t value;

    exec_stack_begin(x, &st);
    value = exec_pop(x, &st, x->opsize);
    x->gpr[EMUL_RSP] = st.rsp;
    return value;
}

static void stack_push(struct exec *x, unsigned store, uint64_t value)
{
    struct exec_stack st;

    exec_stack_begin(x, &st);
    exec_stack_skip(&st, (uint64_t)store - x->opsize);
    exec_push(x, &st, store, value);
    exec_stack_commit(x, &st);
}

static void stack_move(struct exec *x, uint64_t rsp)
{
    exec_set_gpr(x, EMUL_RSP, exec_stack_width(x), rsp);
}

/* Of the rest, where memory is not had by pointer: from src and to it. */
static void push_far(struct exec *x)
{
    stack_push(x, x->opsize, x->src);
}

static void pop_far(struct exec *x)
{
    x->src = stack_pop(x);
}

/* Is the stack flat, and how wide? A flat one of 16 bits is nobody's. */
static inline uint64_t stack_cut(const struct exec *x, uint64_t rsp)
{
    return exec_ctx(x)->facts & 8 << EMUL_FACT_STACK ? rsp : (uint32_t)rsp;
}

static inline __attribute__((always_inline)) int push_quick(struct exec *x, uint64_t value)
{
    uint64_t rsp = stack_cut(x, x->gpr[EMUL_RSP] - x->opsize);
    void *p = exec_reach(x, EMUL_SS, rsp, x->opsize, EMUL_PF_W, EMUL_FOR_OPERAND);

    if (EMUL_UNLIKELY(!p)) {
        x->src = value;
        return exec_guard_kept(x, 0, push_far);
    }
    emul_store_direct(p, x->opsize, value);
    x->gpr[EMUL_RSP] = rsp;
    return EMUL_DONE;
}

static inline __attribute__((always_inline)) int pop_quick(struct exec *x, uint64_t *value)
{
    uint64_t rsp = stack_cut(x, x->gpr[EMUL_RSP]);
    const void *p = exec_reach(x, EMUL_SS, rsp, x->opsize, 0, EMUL_FOR_OPERAND);

    if (EMUL_UNLIKELY(!p)) {
        int status = exec_guard_kept(x, 0, pop_far);

        *value = x->src;
        return status;
    }
    *value = emul_load_direct(p, x->opsize);
    x->gpr[EMUL_RSP] = stack_cut(x, rsp + x->opsize);
    return EMUL_DONE;
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
    stack_push(x, store, x->s->seg[opcode_seg(x)].selector);
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
    return status ? status : push_quick(x, value);
}

int do_push(struct exec *x)
{
    if (EMUL_UNLIKELY(x->insn->form != FORM_Zq))
        return push_other(x);
    return push_quick(x, x->gpr[exec_opcode_reg(x->insn)]);
}

/* Of what is no register of the opcode byte. rSP has moved when the register is written or the address of the destination is computed
 * (SDM 2B POP), in the width of the old stack segment. */
static void pop_other(struct exec *x)
{
    uint64_t value = stack_pop(x);

    if (x->insn->form == FORM_Sreg)
        exec_move_segment(x, opcode_seg(x), value);
    else if (x->insn->mod == 3)
        exec_set_gpr(x, x->insn->rm, x->opsize, value);
    else
        exec_must(x, exec_store(x, 0, x->opsize, value));
}

int do_pop(struct exec *x)
{
    uint64_t value;
    int status;

    if (EMUL_UNLIKELY(x->insn->form != FORM_Zq))
        return exec_guard(x, 0, pop_other);
    status = pop_quick(x, &value);
    if (EMUL_LIKELY(!status))
        exec_set_gpr(x, exec_opcode_reg(x->insn), x->opsize, value);
    return status;
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
    uint64_t value[8];

    for (unsigned i = 8; i--;) {
        if (i != EMUL_RSP)
            value[i] = stack_pop(x);
        else
            stack_move(x, x->gpr[EMUL_RSP] + x->opsize); /* skipped */
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i != EMUL_RSP)
            exec_set_gpr(x, i, x->opsize, value[i]);
    }
}

void do_pushf(struct exec *x)
{
    exec_gp0_if(x, exec_v86_denies(x));
    stack_push(x, x->opsize, exec_seen_flags(x) & ~RFLAGS_VM);
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
    exec_gp0_if(x, exec_v86_denies(x));
    exec_pop_flags(x, stack_pop(x), 0);
}

/* The display of nesting levels is copied in the order of the accesses, since the frames may overlap; all of it, and the new top
 * of the stack, is translated before (SDM 2A ENTER), since a frame may lie in the page tables. At most LEVEL_MAX levels. */
void do_enter(struct exec *x)
{
    unsigned level = x->insn->imm2 & LEVEL_MAX, size = x->opsize;
    uint64_t frame, rbp = x->gpr[EMUL_RBP];
    struct emul_place from;
    struct exec_stack st;

    exec_stack_begin(x, &st);
    exec_push(x, &st, size, rbp);
    frame = st.rsp;
    for (unsigned i = 1; i < level; i++) {
        from = exec_stack_place(x, &st, rbp - i * size, size, 0);
        exec_push(x, &st, size, 0);
        st.push[i].from = from;
    }
    if (level)
        exec_push(x, &st, size, frame);
    exec_stack_skip(&st, -(uint64_t)(uint16_t)x->insn->imm);
    exec_stack_place(x, &st, st.rsp, size, EMUL_PF_W);
    exec_stack_commit(x, &st);
    exec_set_gpr(x, EMUL_RBP, size, frame);
}

void do_leave(struct exec *x)
{
    stack_move(x, x->gpr[EMUL_RBP]);
    exec_set_gpr(x, EMUL_RBP, x->opsize, stack_pop(x));
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

    return status ? status : push_quick(x, back);
}

int do_ret(struct exec *x)
{
    uint64_t target;
    int status = pop_quick(x, &target);

    if (!status)
        status = exec_branch(x, target);
    if (!status)
        stack_move(x, x->gpr[EMUL_RSP] + (uint16_t)x->insn->imm);
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
