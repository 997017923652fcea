/* The exit table: one row per neutral cause of a VM exit, its handler, and the guest state that ring 3 is given.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; called by the vendor's run loop. */
#include "kernel/exit.h"
#include "depriv/gate.h"
#include "kernel/log.h"
#include "kernel/policy.h"
#include "kernel/vcpu.h"

#define STATE_INSN    (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_CR) /* what decoding and addressing take */
#define STATE_MMIO    (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_CR) /* the rest by ABI_CALL_STATE_GET, if the instruction needs it */
#define STATE_NONE    0u
#define RETRIES_MAX   1000u /* exits in a row on which ring 3 made no progress (ATTACKS E22) */

struct exit_row {
    const char *name;
    enum exit_action (*handle)(struct vcpu *v);
    u32 state_in;
};
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

enum exit_action exit_answer(struct vcpu *v, int status)
{
    u32 inject = READ_ONCE(v->frame->inject);
    switch (status) {
    case ABI_OK:
        v->retries = 0;
        return EXIT_RESUME;
    case ABI_FAULT:
        if (!inject_legal(inject))
            domain_kill(v->domain, "ring 3: bad reply: inject %x", inject);
        else
            inject_exception(v, inject & 0x1f, inject & ABI_INJECT_ERROR, READ_ONCE(v->frame->inject_error) & 0xffff);
        return EXIT_RESUME;
    case ABI_RETRY:
        if (++v->retries > RETRIES_MAX)
            domain_kill(v->domain, "no progress: %u exits on an instruction that keeps changing", RETRIES_MAX);
        return EXIT_RESUME;
    case ABI_REFUSE:
        domain_kill_text(v, "");
        return EXIT_RESUME;
    case -E_KILLED:
        return EXIT_RESUME;
    case -E_PENDING:
        return EXIT_PENDING;
    default:
        domain_kill(v->domain, "ring 3: bad reply: status %d", status);
        return EXIT_RESUME;
    }
}

static void give_insn_bytes(struct vcpu *v)
{
    v->frame->insn_bytes = v->exit.insn_bytes;
    if (v->exit.insn_bytes)
        memcpy(v->frame->insn, v->exit.insn, sizeof(v->frame->insn));
}

/* Where the CPU does not report the instruction's length (SVM without NRIPS), ring 3 decodes it and checks that it is what was intercepted.
 * True: v->exit.length is valid, or the answer was something else and *action says what to do. */
static bool insn_length(struct vcpu *v, enum abi_insn want, enum exit_action *action)
{
    int status;
    u32 length;
    if (likely(v->exit.length))
        return true;
    v->frame->want = want;
    give_insn_bytes(v);
    status = depriv_call(v, ABI_OP_LENGTH, STATE_INSN);
    *action = EXIT_RESUME;
    if (status != ABI_OK) {
        *action = exit_answer(v, status);
        return false;
    }
    length = READ_ONCE(v->frame->length);
    if (length < 1 || length > 15) {
        domain_kill(v->domain, "ring 3: bad reply: length %u", length);
        return false;
    }
    v->exit.length = length;
    return true;
}

/* INS or OUTS: ring 3 decodes the instruction and moves its registers itself. */
static enum exit_action exit_string(struct vcpu *v)
{
    exit_give_port(v);
    give_insn_bytes(v);
    return exit_answer(v, depriv_call(v, ABI_OP_STRING, STATE_INSN));
}

static enum exit_action exit_port_again(struct vcpu *v)
{
    return exit_port(v, gate_of_cpu());
}

static enum exit_action exit_cpuid(struct vcpu *v)
{
    enum exit_action action;
    if (!insn_length(v, ABI_INSN_CPUID, &action))
        return action;
    policy_cpuid(v);
    return EXIT_ADVANCE;
}

static enum exit_action exit_msr(struct vcpu *v)
{
    enum exit_action action;
    bool write = v->exit.flags & 1;
    if (!insn_length(v, write ? ABI_INSN_WRMSR : ABI_INSN_RDMSR, &action))
        return action;
    if (policy_msr(v, write))
        return EXIT_ADVANCE;
    inject_exception(v, VEC_GP, true, 0);
    return EXIT_RESUME;
}

static enum exit_action exit_hlt(struct vcpu *v)
{
    enum exit_action action;
    if (!insn_length(v, ABI_INSN_HLT, &action))
        return action;
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

static bool gpa_is_ram(const struct domain *d, u64 gpa)
{
    if (gpa >= ABI_HOLE_START && gpa < ABI_HOLE_END)
        return false;
    return gpa < d->ram_low || (gpa >= ABI_HIGH_BASE && gpa - ABI_HIGH_BASE < d->ram_high);
}

/* RAM is mapped from the start, so a fault on it is a translation that was stale: enter again. Everything else is a device's, or nobody's. */
static enum exit_action exit_nested(struct vcpu *v)
{
    if (gpa_is_ram(v->domain, v->exit.gpa))
        return exit_answer(v, ABI_RETRY);
    v->frame->gpa = v->exit.gpa;
    v->frame->flags = v->exit.flags;
    give_insn_bytes(v);
    return exit_answer(v, depriv_call(v, ABI_OP_MMIO, STATE_MMIO));
}

static enum exit_action exit_xsetbv(struct vcpu *v)
{
    enum exit_action action;
    if (!insn_length(v, ABI_INSN_XSETBV, &action))
        return action;
    if (policy_xsetbv(v))
        return EXIT_ADVANCE;
    inject_exception(v, VEC_GP, true, 0);
    return EXIT_RESUME;
}

/* Guest memory is always WB and coherent: INVD and WBINVD have nothing to do that the guest could see. INVD drops no data (SDM 2A INVD). */
static enum exit_action exit_invd(struct vcpu *v)
{
    enum exit_action action;
    return insn_length(v, v->exit.flags & 1 ? ABI_INSN_WBINVD : ABI_INSN_INVD, &action) ? EXIT_ADVANCE : action;
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

static enum exit_action exit_undefined(struct vcpu *v)
{
    inject_exception(v, VEC_UD, false, 0);
    return EXIT_RESUME;
}

static enum exit_action exit_privileged(struct vcpu *v)
{
    inject_exception(v, VEC_GP, true, 0);
    return EXIT_RESUME;
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
    /*                   name                         handler          state that ring 3 is given at most */
    [EXIT_PORT]       = { "port I/O",                 exit_port_again, STATE_NONE },
    [EXIT_STRING]     = { "string I/O",               exit_string,     STATE_INSN },
    [EXIT_CPUID]      = { "CPUID",                    exit_cpuid,      STATE_INSN },
    [EXIT_INTERRUPT]  = { "host interrupt",           exit_again,      STATE_NONE },
    [EXIT_WINDOW]     = { "interrupt window",         exit_window,     STATE_NONE },
    [EXIT_HLT]        = { "HLT",                      exit_hlt,        STATE_INSN },
    [EXIT_MSR]        = { "RDMSR or WRMSR",           exit_msr,        STATE_INSN },
    [EXIT_NESTED]     = { "nested page fault",        exit_nested,     STATE_MMIO },
    [EXIT_XSETBV]     = { "XSETBV",                   exit_xsetbv,     STATE_INSN },
    [EXIT_INVD]       = { "INVD or WBINVD",           exit_invd,       STATE_INSN },
    [EXIT_EXCEPTION]  = { "exception",                exit_exception,  ABI_STATE_ALL },
    [EXIT_UNDEFINED]  = { "undefined instruction",    exit_undefined,  STATE_NONE },
    [EXIT_PRIVILEGED] = { "refused instruction",      exit_privileged, STATE_NONE },
    [EXIT_CALL]       = { "hypervisor call",          exit_undefined,  STATE_NONE },
    [EXIT_RETRY]      = { "retry",                    exit_again,      STATE_NONE },
    [EXIT_TASK]       = { "task switch",              exit_task,       ABI_STATE_ALL },
    [EXIT_TRIPLE]     = { "triple fault",             exit_fatal,      STATE_NONE },
    [EXIT_NMI]        = { "host NMI",                 exit_again,      STATE_NONE },
    [EXIT_FAILED]     = { "VM entry failed",          exit_fatal,      STATE_NONE },
    [EXIT_UNEXPECTED] = { "unexpected exit",          exit_fatal,      STATE_NONE },
};

const char *exit_name(u32 kind)
{
    return kind < EXIT_KINDS ? exit_table[kind].name : "?";
}

enum exit_action exit_by_table(struct vcpu *v)
{
    return exit_table[v->exit.kind].handle(v);
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
