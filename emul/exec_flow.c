/* Stack instructions, near transfers, the interrupt flag, BOUND and HLT. */
#include "exec_far.h"

#define LEVEL_MAX 31u              /* of ENTER's nesting: five bits of the immediate */

/* Bytes of the stack pointer that count: SDM 1 6.2.3. */
static inline unsigned stack_width(const struct exec *x)
{
    if (x->mode == EMUL_MODE64)
        return 8;
    return x->s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2;
}

/* The short way is that of exec_resolve(). */
static inline int stack_place(struct exec *x, uint64_t offset, unsigned size, unsigned access, struct emul_place *place)
{
    if (x->plain && (offset & PAGE_MASK) <= PAGE_SIZE - size && emul_canonical48(offset)) {
        place->size[0] = size;
        place->size[1] = 0;
        place->host = 0;
        return emul_walk_with(x->ctx, offset, x->context, access | x->user, &place->gpa[0], x->result);
    }
    return emul_resolve(x->ctx, x->mode, EMUL_SS, offset & emul_size_mask(stack_width(x)), size, access, place, x->result);
}

static inline int stack_read(struct exec *x, uint64_t offset, unsigned size, uint64_t *value)
{
    struct emul_place place;
    int status = stack_place(x, offset, size, 0, &place);

    return status ? status : emul_load(x->ctx, &place, value, EMUL_FOR_OPERAND);
}

static inline void stack_move(struct exec *x, uint64_t rsp)
{
    exec_set_gpr(x, EMUL_RSP, stack_width(x), rsp);
}

/* The low `store` bytes of value into a slot of `size` bytes. */
static inline int push(struct exec *x, unsigned size, unsigned store, uint64_t value)
{
    uint64_t rsp = x->gpr[EMUL_RSP] - size;
    struct emul_place place;
    int status = stack_place(x, rsp, store, EMUL_PF_W, &place);

    if (!status)
        status = emul_store(x->ctx, &place, value, EMUL_FOR_OPERAND);
    if (!status)
        stack_move(x, rsp);
    return status;
}

/* The register in the opcode byte. */
static inline unsigned opcode_reg(const struct exec *x)
{
    return (x->insn->opcode & 7) | (x->insn->rex & EMUL_REX_B ? 8 : 0);
}

/* 06 0E 16 1E, 0F A0, 0F A8: bits 3 to 5 of the opcode. */
static inline unsigned opcode_seg(const struct exec *x)
{
    return x->insn->opcode >> 3 & (x->insn->map == EMUL_MAP_1 ? 3 : 7);
}

static int push_segment(struct exec *x)
{
    unsigned store = x->opsize;

    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (store == 4 && !(x->ctx->features & EMUL_IS_AMD))
        store = 2; /* SDM 2B PUSH: the upper half of the slot stays as it was */
    return push(x, x->opsize, store, x->s->seg[opcode_seg(x)].selector);
}

int do_push(struct exec *x)
{
    uint64_t value;
    int status;

    switch (x->insn->form) {
    case FORM_Zq:
        return push(x, x->opsize, x->opsize, x->gpr[opcode_reg(x)]);
    case FORM_Eq:
        if (x->insn->mod == 3)
            return push(x, x->opsize, x->opsize, x->gpr[x->insn->rm]);
        status = exec_load(x, 0, x->opsize, &value);
        return status ? status : push(x, x->opsize, x->opsize, value);
    case FORM_Sreg:
        return push_segment(x);
    default: /* FORM_Iz, FORM_Ibs */
        return push(x, x->opsize, x->opsize, x->insn->imm);
    }
}

/* rSP has moved when the register is written or the address of the destination computed (SDM 2B POP). */
int do_pop(struct exec *x)
{
    unsigned reg = x->insn->form == FORM_Zq ? opcode_reg(x) : x->insn->rm;
    uint64_t value, rsp = x->gpr[EMUL_RSP];
    int status = stack_read(x, rsp, x->opsize, &value);

    if (status)
        return status;
    if (x->insn->form == FORM_Sreg) {
        stack_move(x, rsp + x->opsize); /* in the width of the old stack segment */
        if (opcode_seg(x) == EMUL_SS)
            exec_mask_ss(x);
        return exec_load_segment(x, opcode_seg(x), value);
    }
    stack_move(x, rsp + x->opsize);
    if (x->insn->mod != 3)
        return exec_store(x, 0, x->opsize, value);
    exec_set_gpr(x, reg, x->opsize, value);
    return EMUL_DONE;
}

/* SDM 2B PUSHA: #GP outside protected mode where the stack would wrap in the middle. */
int do_pusha(struct exec *x)
{
    uint64_t rsp = x->gpr[EMUL_RSP] & emul_size_mask(stack_width(x));
    struct exec_stack st;
    int status;

    if (!emul_protected(x->s) && (rsp & 1) && rsp >= 7 && rsp <= 15)
        return exec_gp0(x);
    exec_stack_begin(x, &st);
    status = exec_push(x, &st, x->opsize, x->gpr, 8);
    return status ? status : exec_stack_commit(x, &st);
}

int do_popa(struct exec *x)
{
    uint64_t value[8], rsp = x->gpr[EMUL_RSP];

    for (unsigned i = 0; i < 8; i++) {
        int status = i == 7 - EMUL_RSP ? EMUL_DONE : stack_read(x, rsp + i * x->opsize, x->opsize, &value[i]);

        if (status)
            return status;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i != 7 - EMUL_RSP)
            exec_set_gpr(x, 7 - i, x->opsize, value[i]);
    }
    stack_move(x, rsp + 8 * x->opsize);
    return EMUL_DONE;
}

int exec_v86_load_flags(struct exec *x, uint64_t value, uint64_t mask)
{
    if (exec_iopl(x) == 3) {
        mask |= RFLAGS_IF;
    } else {
        if ((value & RFLAGS_TF) || ((value & RFLAGS_IF) && (x->flags & RFLAGS_VIP)))
            return exec_gp0(x);
        x->flags = (x->flags & ~RFLAGS_VIF) | (value & RFLAGS_IF ? RFLAGS_VIF : 0);
    }
    exec_load_flags(x, value, mask);
    return EMUL_DONE;
}

int do_pushf(struct exec *x)
{
    uint64_t flags = x->s->rflags & ~(RFLAGS_RF | RFLAGS_VM);

    if (exec_v86_denies(x))
        return exec_gp0(x);
    if ((x->s->rflags & RFLAGS_VM) && (x->s->rflags & RFLAGS_IOPL) != RFLAGS_IOPL)
        flags = exec_v86_flags(flags);
    return push(x, x->opsize, x->opsize, flags);
}

/* SDM 2B POPF, table 4-21: what loads in which mode. RF is cleared, VM, VIF and VIP stay. */
int do_popf(struct exec *x)
{
    uint64_t mask = EXEC_FLAGS_POPPED | (x->opsize > 2 ? RFLAGS_AC | RFLAGS_ID : 0);
    unsigned cpl = emul_cpl(x->s);
    uint64_t value, rsp = x->gpr[EMUL_RSP];
    int status;

    if (exec_v86_denies(x))
        return exec_gp0(x);
    status = stack_read(x, rsp, x->opsize, &value);
    if (status)
        return status;
    if (x->s->rflags & RFLAGS_VM) {
        status = exec_v86_load_flags(x, value, mask);
        if (status)
            return status;
    } else {
        if (cpl <= exec_iopl(x))
            mask |= RFLAGS_IF;
        if (!cpl)
            mask |= RFLAGS_IOPL;
        exec_load_flags(x, value, mask);
    }
    stack_move(x, rsp + x->opsize);
    return EMUL_DONE;
}

/* The display of nesting levels is copied in the order of the accesses, since the frames may overlap; all of it, and the new top
 * of the stack, is translated before (SDM 2A ENTER). At most LEVEL_MAX levels. */
int do_enter(struct exec *x)
{
    unsigned level = x->insn->imm2 & LEVEL_MAX;
    uint64_t frame, rbp = x->gpr[EMUL_RBP];
    struct emul_place from[LEVEL_MAX], top;
    struct exec_stack st;
    int status;

    exec_stack_begin(x, &st);
    status = exec_push(x, &st, x->opsize, &rbp, 1);
    frame = st.rsp;
    for (unsigned i = 1; i < level && !status; i++) {
        status = stack_place(x, rbp - i * x->opsize, x->opsize, 0, &from[i]);
        if (!status)
            status = exec_push(x, &st, x->opsize, &rbp, 1); /* its value comes later */
    }
    if (level && !status)
        status = exec_push(x, &st, x->opsize, &frame, 1);
    if (!status)
        status = stack_place(x, st.rsp - (uint16_t)x->insn->imm, x->opsize, EMUL_PF_W, &top);
    for (unsigned i = 0; i < st.count && !status; i++) {
        if (!exec_storable(x, &st.push[i].place) || (i && i < level && !exec_loadable(x, &from[i])))
            status = EMUL_UNHANDLED;
    }
    if (status)
        return status;
    for (unsigned i = 0; i < st.count && !status; i++) {
        if (i && i < level)
            status = emul_load(x->ctx, &from[i], &st.push[i].value, EMUL_FOR_OPERAND);
        if (!status)
            status = emul_store(x->ctx, &st.push[i].place, st.push[i].value, EMUL_FOR_OPERAND);
    }
    if (status)
        return status;
    exec_set_gpr(x, EMUL_RBP, x->opsize, frame);
    stack_move(x, st.rsp - (uint16_t)x->insn->imm);
    return EMUL_DONE;
}

int do_leave(struct exec *x)
{
    uint64_t value, rbp = x->gpr[EMUL_RBP];
    int status = stack_read(x, rbp, x->opsize, &value);

    if (status)
        return status;
    stack_move(x, rbp + x->opsize);
    exec_set_gpr(x, EMUL_RBP, x->opsize, value);
    return EMUL_DONE;
}

/* The target of a near CALL or JMP: relative, register or memory. */
static inline int near_target(struct exec *x, uint64_t *target)
{
    if (x->insn->form != FORM_En) {
        *target = x->next_rip + x->insn->imm;
        return EMUL_DONE;
    }
    if (x->insn->mod != 3)
        return exec_load(x, 0, x->opsize, target);
    *target = x->gpr[x->insn->rm];
    return EMUL_DONE;
}

int do_call(struct exec *x)
{
    uint64_t target, back = x->next_rip;
    int status = near_target(x, &target);

    if (!status)
        status = exec_branch(x, target);
    return status ? status : push(x, x->opsize, x->opsize, back);
}

int do_jmp(struct exec *x)
{
    uint64_t target;
    int status = near_target(x, &target);

    return status ? status : exec_branch(x, target);
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

int do_jcxz(struct exec *x)
{
    if (x->gpr[EMUL_RCX] & emul_size_mask(x->insn->addrsize))
        return EMUL_DONE;
    return exec_branch(x, x->next_rip + x->insn->imm);
}

int do_loop(struct exec *x)
{
    uint64_t count = (x->gpr[EMUL_RCX] - 1) & emul_size_mask(x->insn->addrsize);
    uint64_t zero = x->flags & RFLAGS_ZF;
    int taken = count && (x->insn->op == EMUL_LOOP || !zero == (x->insn->op == EMUL_LOOPNE));
    int status = taken ? exec_branch(x, x->next_rip + x->insn->imm) : EMUL_DONE;

    if (!status)
        exec_set_gpr(x, EMUL_RCX, x->insn->addrsize, count);
    return status;
}

/* Which flag CLI and STI change: IF, VIF where CR4 virtualises it (SDM 3B 20.3.3, 20.4), or none: #GP. */
static uint64_t interrupt_flag(const struct exec *x)
{
    unsigned cpl = emul_cpl(x->s);

    if (cpl <= exec_iopl(x))
        return RFLAGS_IF;
    return cpl == 3 && (x->s->cr4 & (x->s->rflags & RFLAGS_VM ? CR4_VME : CR4_PVI)) ? RFLAGS_VIF : 0;
}

int do_cli(struct exec *x)
{
    uint64_t flag = interrupt_flag(x);

    if (!flag)
        return exec_gp0(x);
    x->flags &= ~flag;
    return EMUL_DONE;
}

int do_sti(struct exec *x)
{
    uint64_t flag = interrupt_flag(x);

    if (!flag || (flag == RFLAGS_VIF && (x->flags & RFLAGS_VIP)))
        return exec_gp0(x);
    if (flag == RFLAGS_IF && !(x->flags & RFLAGS_IF))
        x->shadow = EMUL_SHADOW_STI;
    x->flags |= flag;
    return EMUL_DONE;
}

static int64_t signed_of(uint64_t value, unsigned size)
{
    return (int64_t)(value << (64 - size * 8)) >> (64 - size * 8);
}

int do_bound(struct exec *x)
{
    int64_t index = signed_of(x->gpr[x->insn->reg], x->opsize);
    uint64_t lower, upper;
    int status = exec_load(x, 0, x->opsize, &lower);

    if (!status)
        status = exec_load(x, x->opsize, x->opsize, &upper);
    if (status)
        return status;
    if (index < signed_of(lower, x->opsize) || index > signed_of(upper, x->opsize))
        return exec_fault(x, EMUL_VECTOR_BR, 0);
    return EMUL_DONE;
}

int do_hlt(struct exec *x)
{
    x->result->halted = 1;
    return EMUL_DONE;
}
