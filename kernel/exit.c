/* The exit table: one row per neutral cause of a VM exit, its handler, and the guest state that ring 3 is given.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; called by the vendor's run loop. */
#include "kernel/exit.h"
#include "depriv/gate.h"
#include "kernel/log.h"
#include "kernel/policy.h"
#include "kernel/vcpu.h"

#define STATE_INSN    (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_CR) /* what decoding and addressing take */
#define STATE_MMIO    (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_CR) /* the rest by ABI_CALL_STATE_GET, if the instruction needs it */
#define RETRIES_MAX   1000u /* exits in a row on which ring 3 made no progress (ATTACKS E22) */
#define LENGTH_MAX    15u   /* of an instruction (SDM 2A 2.3.11) */

struct exit_row {
    const char *name;
    enum exit_action (*handle)(struct vcpu *v);
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

enum exit_action exit_answer(struct vcpu *v, int status)
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
        domain_kill_text(v, "");
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

static void give_insn_bytes(struct vcpu *v)
{
    v->frame->insn_bytes = v->exit.insn_bytes;
    if (v->exit.insn_bytes)
        memcpy(v->frame->insn, v->exit.insn, sizeof(v->frame->insn));
}

/* Where the CPU does not report the instruction's length (SVM without NRIPS), ring 3 decodes it and checks that it is what was intercepted.
 * ABI_OK: v->exit.length is valid. Else as depriv_call. */
static int insn_length(struct vcpu *v, enum abi_insn want)
{
    int status;
    if (likely(v->exit.length))
        return ABI_OK;
    v->frame->want = want;
    give_insn_bytes(v);
    status = depriv_call(v, ABI_OP_LENGTH, STATE_INSN);
    if (status != ABI_OK)
        return status;
    v->exit.length = READ_ONCE(v->frame->length);
    if (v->exit.length - 1 < LENGTH_MAX)
        return ABI_OK;
    domain_kill(v->domain, "ring 3: bad reply: length %u", v->exit.length);
    return -E_KILLED;
}

static enum exit_action exit_port_again(struct vcpu *v)
{
    return exit_port(v, gate_of_cpu());
}

/* INS or OUTS: ring 3 decodes the instruction and moves its registers itself. */
static enum exit_action exit_string(struct vcpu *v)
{
    exit_give_port(v);
    give_insn_bytes(v);
    return exit_answer(v, depriv_call(v, ABI_OP_STRING, STATE_INSN));
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
    return policy_msr(v, v->exit.flags & 1) ? EXIT_ADVANCE : exit_raise(v);
}

static enum exit_action exit_xsetbv(struct vcpu *v)
{
    return policy_xsetbv(v) ? EXIT_ADVANCE : exit_raise(v);
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
    if (domain_frame_at(v->domain, v->exit.gpa))
        return exit_answer(v, ABI_RETRY);
    v->frame->gpa = v->exit.gpa;
    v->frame->flags = v->exit.flags;
    give_insn_bytes(v);
    return exit_answer(v, depriv_call(v, ABI_OP_MMIO, STATE_MMIO));
}

static enum exit_action exit_exception(struct vcpu *v)
{
    if (v->exit.vector == VEC_UD) /* intercepted with emulate=forced alone */
        return exit_answer(v, depriv_call(v, ABI_OP_FORCED, ABI_STATE_ALL));
    inject_exception(v, v->exit.vector, v->exit.error_valid, v->exit.error);
    return EXIT_RESUME;
}

/* The CPU has checked the selector's descriptor and leaves the switch to us (SDM 3C 25.4.2). */
static enum exit_action exit_task(struct vcpu *v)
{
    v->frame->gpa = v->exit.gpa;
    v->frame->length = v->exit.length;
    v->frame->inject_error = v->exit.error;
    return exit_answer(v, depriv_call(v, ABI_OP_TASK, ABI_STATE_ALL));
}

/* Guest memory is always WB and coherent: INVD and WBINVD have nothing to do that the guest could see. INVD drops no data (SDM 2A INVD). */
static enum exit_action exit_done(struct vcpu *v)
{
    (void)v;
    return EXIT_ADVANCE;
}

static enum exit_action exit_again(struct vcpu *v)
{
    (void)v;
    return EXIT_RESUME;
}

static enum exit_action exit_fatal(struct vcpu *v)
{
    const struct exit_row *row = &exit_table[v->exit.kind];
    domain_kill(v->domain, "%s (reason %x)%s%s", row->name, v->exit.reason, v->exit.text ? ": " : "", v->exit.text ? v->exit.text : "");
    return EXIT_RESUME;
}

static const struct exit_row exit_table[EXIT_KINDS] = {
    [EXIT_PORT]       = { "port I/O",                 exit_port_again, 0, 0, 0 },
    [EXIT_STRING]     = { "string I/O",               exit_string,     0, 0, 0 },
    [EXIT_CPUID]      = { "CPUID",                    exit_cpuid,      INSN(CPUID), 0, 0 },
    [EXIT_INTERRUPT]  = { "host interrupt",           exit_again,      0, 0, 0 },
    [EXIT_WINDOW]     = { "interrupt window",         exit_window,     0, 0, 0 },
    [EXIT_HLT]        = { "HLT",                      exit_hlt,        INSN(HLT), 0, 0 },
    [EXIT_MSR]        = { "RDMSR or WRMSR",           exit_msr,        INSN(RDMSR), 1, VEC_GP },
    [EXIT_NESTED]     = { "nested page fault",        exit_nested,     0, 0, 0 },
    [EXIT_XSETBV]     = { "XSETBV",                   exit_xsetbv,     INSN(XSETBV), 0, VEC_GP },
    [EXIT_INVD]       = { "INVD or WBINVD",           exit_done,       INSN(INVD), 1, 0 },
    [EXIT_EXCEPTION]  = { "exception",                exit_exception,  0, 0, 0 },
    [EXIT_UNDEFINED]  = { "undefined instruction",    exit_raise,      0, 0, VEC_UD },
    [EXIT_PRIVILEGED] = { "refused instruction",      exit_raise,      0, 0, VEC_GP },
    [EXIT_CALL]       = { "hypervisor call",          exit_raise,      0, 0, VEC_UD },
    [EXIT_RETRY]      = { "retry",                    exit_again,      0, 0, 0 },
    [EXIT_TASK]       = { "task switch",              exit_task,       0, 0, 0 },
    [EXIT_TRIPLE]     = { "triple fault",             exit_fatal,      0, 0, 0 },
    [EXIT_NMI]        = { "host NMI",                 exit_again,      0, 0, 0 },
    [EXIT_FAILED]     = { "VM entry failed",          exit_fatal,      0, 0, 0 },
    [EXIT_UNEXPECTED] = { "unexpected exit",          exit_fatal,      0, 0, 0 },
};

const char *exit_name(u32 kind)
{
    return kind < EXIT_KINDS ? exit_table[kind].name : "?";
}

enum exit_action exit_by_table(struct vcpu *v)
{
    const struct exit_row *row = &exit_table[v->exit.kind];
    int status = row->insn ? insn_length(v, row->insn - INSN(CPUID) + (v->exit.flags & row->pair)) : ABI_OK;
    return likely(status == ABI_OK) ? row->handle(v) : exit_answer(v, status);
}

/* Bound: a handler asks once. */
enum exit_action exit_pending(struct vcpu *v)
{
    enum exit_action action;
    do {
        method1_run(v);
        action = exit_by_table(v);
    } while (action == EXIT_PENDING);
    return action;
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
    vcpu_record(v, class, v->exit.kind, 0);
    v->domain->exits[v->exit.kind]++;
    if (exit_by_table(v) != EXIT_ADVANCE)
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
