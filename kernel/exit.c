/* The exit table: one row per neutral cause of a VM exit, its handler, and the guest state that ring 3 is given.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; called by the vendor's run loop. */
#include "kernel/exit.h"
#include "kernel/log.h"

#define STATE_STRING_MAY (ABI_STATE_RIP | ABI_STATE_CR | ABI_STATE_DR)
#define RETRIES_MAX   1000u /* exits in a row on which ring 3 made no progress (ATTACKS E22) */
#define LENGTH_MAX    15u   /* of an instruction (SDM 2A 2.3.11) */

struct exit_row {
    const char *name;
    enum exit_action (*handle)(struct vcpu *v); /* NULL: nothing is to be done for it */
    u8 op;                      /* where ring 3 handles it: enum abi_op */
    u16 give, may;              /* guest state that ring 3 is given, and what it may change; with `insn`: for its length */
    u8 insn;                    /* INSN() of the instruction whose length the handler needs, or 0 */
    u8 pair;                    /* 1: or, when exit.flags says so, of the next one in the enum */
    u8 vector;                  /* of exit_raise() */
};
#define INSN(name) (ABI_INSN_##name + 1)
static const struct exit_row exit_table[EXIT_KINDS];

/* What an instruction can raise, and which of it has an error code (SDM 3A table 6-1): VM entry takes no other combination. */
#define FAULTS_CODE (BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC) | BIT(VEC_CP))
#define FAULTS      (FAULTS_CODE | BIT(VEC_DE) | BIT(VEC_DB) | BIT(VEC_BP) | BIT(VEC_OF) | BIT(VEC_BR) | BIT(VEC_UD) | BIT(VEC_NM) | \
                     BIT(VEC_MF) | BIT(VEC_XM))
#define INJECT_KNOWN (ABI_INJECT_VALID | ABI_INJECT_ERROR | 0x1fu)

static bool inject_legal(u32 inject)
{
    u32 vector = inject & 0x1f;
    return inject & ABI_INJECT_VALID && !(inject & ~INJECT_KNOWN) && FAULTS >> vector & 1 &&
           !(inject & ABI_INJECT_ERROR) == !(FAULTS_CODE >> vector & 1);
}

static void answer_fault(struct vcpu *v)
{
    u32 inject = READ_ONCE(v->frame->inject);
    if (!inject_legal(inject))
        domain_kill(v->domain, "ring 3: bad reply: inject %x", inject);
    else
        inject_exception(v, inject & 0x1f, inject & ABI_INJECT_ERROR, READ_ONCE(v->frame->inject_error) & 0xffff);
}

/* Ring 3's answer to an operation: injects, ends the domain, or nothing. status: of depriv_call. */
static enum exit_action exit_answer(struct vcpu *v, int status)
{
    switch (status) {
    case ABI_OK:
        v->retries = 0;
        break;
    case ABI_FAULT:
        answer_fault(v);
        break;
    case ABI_RETRY:
        if (++v->retries > RETRIES_MAX)
            domain_kill(v->domain, "no progress: %u exits on an instruction that keeps changing", RETRIES_MAX);
        break;
    case ABI_REFUSE:
        domain_kill_text(v, "ring 3 refuses");
        break;
    case -E_KILLED:
        break;
    case -E_PENDING:
        return EXIT_PENDING;
    default:
        domain_kill(v->domain, "ring 3: bad reply: status %d", status);
        break;
    }
    return EXIT_RESUME;
}

static int row_call(struct vcpu *v, enum abi_op op)
{
    const struct exit_row *row = &exit_table[v->exit.kind];
    return depriv_call(v, op, row->give, row->may);
}

/* Where the CPU does not report the instruction's length (SVM without NRIPS), ring 3 decodes it and checks that it is what was intercepted.
 * ABI_OK: v->exit.length is valid. Else as depriv_call. Not inline: registers would be saved for handlers that need no ring 3. */
static __attribute__((noinline)) int insn_length(struct vcpu *v, const struct exit_row *row)
{
    int status;
    v->frame->want = row->insn - INSN(CPUID) + (v->exit.flags & row->pair);
    status = row_call(v, ABI_OP_LENGTH);
    if (status != ABI_OK)
        return status;
    v->exit.length = READ_ONCE(v->frame->length);
    if (v->exit.length - 1 < LENGTH_MAX)
        return ABI_OK;
    domain_kill(v->domain, "ring 3: bad reply: length %u", v->exit.length);
    return -E_KILLED;
}

/* The vendor has filled what the operation takes of the frame. */
static enum exit_action exit_ring3(struct vcpu *v)
{
    int status = row_call(v, exit_table[v->exit.kind].op);
    return status == ABI_OK && v->exit.kind == EXIT_PORT ? EXIT_ADVANCE : exit_answer(v, status);
}

static enum exit_action exit_cpuid(struct vcpu *v)
{
    policy_cpuid(v);
    return EXIT_ADVANCE;
}

static enum exit_action exit_raise(struct vcpu *v)
{
    u8 vector = exit_table[v->exit.kind].vector;
    inject_exception(v, vector, FAULTS_CODE >> vector & 1, 0);
    return EXIT_RESUME;
}

static enum exit_action exit_msr(struct vcpu *v)
{
    bool done = v->exit.kind == EXIT_MSR ? policy_msr(v, v->exit.flags & 1) : policy_xsetbv(v);
    return done ? EXIT_ADVANCE : exit_raise(v);
}

static enum exit_action exit_hlt(struct vcpu *v)
{
    hazard_set(v, HAZARD_HALT | (v->intr ? HAZARD_INTR : 0));
    return EXIT_ADVANCE;
}

static enum exit_action exit_window(struct vcpu *v)
{
    hvm->intr_window(v, false);
    if (v->intr)
        hazard_set(v, HAZARD_INTR);
    return EXIT_RESUME;
}

/* RAM is mapped from the start, so a fault on it is a translation that was stale: enter again. Everything else is a device's, or nobody's. */
static enum exit_action exit_nested(struct vcpu *v)
{
    return !v->answered && domain_frame_at(v->domain, v->exit.gpa) ? exit_answer(v, ABI_RETRY) : exit_ring3(v);
}

static enum exit_action exit_exception(struct vcpu *v)
{
    if (v->exit.vector == VEC_UD) /* intercepted with emulate=forced alone */
        return exit_ring3(v);
    inject_exception(v, v->exit.vector, v->exit.error_valid, v->exit.error);
    return EXIT_RESUME;
}

/* Ring 0 has the numbers; ring 3 names the rule of VM entry that is broken, or the exit that should not have come. Nothing but the text is
 * taken of its reply. */
static enum exit_action exit_fatal(struct vcpu *v)
{
    const char *name = exit_table[v->exit.kind].name;
    v->frame->want = v->exit.reason;
    v->frame->gpa = v->exit.gpa;
    depriv_ask(v, ABI_OP_EXPLAIN, ABI_STATE_ALL, 0);
    hvm->state_get(v, &v->frame->state, ABI_STATE_ALL);
    while (depriv_down(v, gate_of_cpu()))
        method1_run(v);
    if ((READ_ONCE(v->frame->status) & ABI_STATUS_MASK) == ABI_REFUSE)
        domain_kill_text(v, name);
    else
        domain_kill(v->domain, "%s (reason %x)", name, v->exit.reason);
    return EXIT_RESUME;
}

#define ALL ABI_STATE_ALL
static const struct exit_row exit_table[EXIT_KINDS] = {
    [EXIT_PORT]       = { "port I/O",              exit_ring3,     ABI_OP_PORT,   0,          STATE_PORT_MAY,   0, 0, 0 },
    [EXIT_STRING]     = { "string I/O",            exit_ring3,     ABI_OP_STRING, STATE_CODE, STATE_STRING_MAY, 0, 0, 0 },
    [EXIT_CPUID]      = { "CPUID",                 exit_cpuid,     0,             STATE_CODE, 0, INSN(CPUID), 0, 0 },
    [EXIT_INTERRUPT]  = { "host interrupt",        NULL,           0,             0, 0, 0, 0, 0 },
    [EXIT_WINDOW]     = { "interrupt window",      exit_window,    0,             0, 0, 0, 0, 0 },
    [EXIT_HLT]        = { "HLT",                   exit_hlt,       0,             STATE_CODE, 0, INSN(HLT), 0, 0 },
    [EXIT_MSR]        = { "RDMSR or WRMSR",        exit_msr,       0,             STATE_CODE, 0, INSN(RDMSR), 1, VEC_GP },
    [EXIT_NESTED]     = { "nested page fault",     exit_nested,    ABI_OP_MMIO,   STATE_CODE, STATE_MMIO_MAY, 0, 0, 0 },
    [EXIT_XSETBV]     = { "XSETBV",                exit_msr,       0,             STATE_CODE, 0, INSN(XSETBV), 0, VEC_GP },
    /* Guest memory is WB and coherent: nothing that the guest could see is to be done. INVD drops no data (SDM 2A INVD). */
    [EXIT_INVD]       = { "INVD or WBINVD",        NULL,           0,             STATE_CODE, 0, INSN(INVD), 1, 0 },
    [EXIT_EXCEPTION]  = { "exception",             exit_exception, ABI_OP_FORCED, ALL, ALL, 0, 0, 0 },
    [EXIT_UNDEFINED]  = { "undefined instruction", exit_raise,     0,             0, 0, 0, 0, VEC_UD },
    [EXIT_PRIVILEGED] = { "refused instruction",   exit_raise,     0,             0, 0, 0, 0, VEC_GP },
    [EXIT_CALL]       = { "hypervisor call",       exit_raise,     0,             0, 0, 0, 0, VEC_UD },
    [EXIT_RETRY]      = { "retry",                 NULL,           0,             0, 0, 0, 0, 0 },
    /* The CPU has checked the selector's descriptor and leaves the switch to us (SDM 3C 25.4.2). */
    [EXIT_TASK]       = { "task switch",           exit_ring3,     ABI_OP_TASK,   ALL, ALL, 0, 0, 0 },
    [EXIT_TRIPLE]     = { "triple fault",          exit_fatal,     0,             0, 0, 0, 0, 0 },
    [EXIT_NMI]        = { "host NMI",              NULL,           0,             0, 0, 0, 0, 0 },
    [EXIT_FAILED]     = { "VM entry failed",       exit_fatal,     0,             0, 0, 0, 0, 0 },
    [EXIT_UNEXPECTED] = { "unexpected exit",       exit_fatal,     0,             0, 0, 0, 0, 0 },
};

const char *exit_name(u32 kind)
{
    return kind < EXIT_KINDS ? exit_table[kind].name : "?";
}

static enum exit_action by_table(struct vcpu *v)
{
    const struct exit_row *row = &exit_table[v->exit.kind];
    int status = unlikely(row->insn && !v->exit.length) ? insn_length(v, row) : ABI_OK;
    if (unlikely(status != ABI_OK))
        return exit_answer(v, status);
    if (!row->handle)
        return row->insn ? EXIT_ADVANCE : EXIT_RESUME;
    return row->handle(v);
}

/* Bound: a handler asks once, or once for the length and once more. */
enum exit_action exit_dispatch(struct vcpu *v)
{
    enum exit_action action;
    while ((action = by_table(v)) == EXIT_PENDING)
        method1_run(v);
    return action;
}

enum exit_action exit_finish(struct vcpu *v, u32 kind, int status)
{
    if (status != -E_PENDING)
        return exit_answer(v, status);
    v->exit.kind = kind;
    method1_run(v);
    return exit_dispatch(v);
}

/* ---- emulate=all ------------------------------------------------------------------------------------------------------- */

/* The exit that the CPU would have made, by the class of the instruction; 0 (EXIT_PORT, which ring 3 does itself): it would have made none. */
static const struct { u8 kind, flags; } intercept_exit[ABI_INSNS] = {
    [ABI_INSN_CPUID] = { EXIT_CPUID, 0 }, [ABI_INSN_RDMSR] = { EXIT_MSR, 0 }, [ABI_INSN_WRMSR] = { EXIT_MSR, 1 }, [ABI_INSN_HLT] = { EXIT_HLT, 0 },
    [ABI_INSN_XSETBV] = { EXIT_XSETBV, 0 }, [ABI_INSN_VMMCALL] = { EXIT_CALL, 0 }, [ABI_INSN_MONITOR] = { EXIT_UNDEFINED, 0 },
    [ABI_INSN_MWAIT] = { EXIT_UNDEFINED, 0 }, [ABI_INSN_RDPMC] = { EXIT_PRIVILEGED, 0 },
};

/* An instruction that ring 0 decides about, where the CPU would have left the guest. */
static void intercept(struct vcpu *v)
{
    u32 class = READ_ONCE(v->frame->want), length = READ_ONCE(v->frame->length);
    struct abi_state s;
    if (class >= ABI_INSNS || !intercept_exit[class].kind || length < 1 || length > 15) {
        domain_kill(v->domain, "ring 3: bad reply: intercept of class %u, length %u", class, length);
        return;
    }
    v->exit.kind = intercept_exit[class].kind;
    v->exit.flags = intercept_exit[class].flags;
    v->exit.length = length;
    exit_count(v, v->exit.kind, class, 0);
    if (exit_dispatch(v) != EXIT_ADVANCE)
        return;
    hvm->state_get(v, &s, ABI_STATE_RIP);
    s.rip += length;
    s.shadow = 0;
    hvm->state_set(v, &s, ABI_STATE_RIP);
}

/* Bound: ring 3 executes RUN_MAX instructions a turn, interruptible throughout; vcpu_ready() commits the state that it left. */
void exit_run_emulated(struct vcpu *v)
{
    while (vcpu_ready(v)) {
        int status;
        v->frame->inject = v->event;
        v->frame->inject_error = v->event_error;
        v->event = 0;
        v->frame->gpa = v->tsc_offset;
        v->frame->insn_bytes = 0;
        status = depriv_call_top(v, ABI_OP_RUN, ABI_STATE_ALL);
        if (status != ABI_INTERCEPT)
            exit_answer(v, status);
        else if (vcpu_ready(v))
            intercept(v);
    }
}
