/* The calls that ring 3 makes during an operation: checked arguments, one bounded piece of work each.
 * Ring 0, interrupts off, on the vcpu's supervisor stack below the crossing's frame; the target was compared in gate.asm. */
#include "depriv/gate.h"
#include "kernel/console.h"
#include "kernel/log.h"

void depriv_bad_target(struct vcpu *v, u64 target)
{
    domain_kill(v->domain, "ring 3: call names domain %lu, which is not its own", target);
    gate_abort(v, -E_KILLED);
}

void depriv_bad_return(struct vcpu *v, u64 rip, u64 rsp)
{
    domain_kill(v->domain, "ring 3: call would return to %lx with stack %lx, not user addresses", rip, rsp);
    gate_abort(v, -E_KILLED);
}

static long call_log(struct vcpu *v)
{
    char text[ABI_TEXT_BYTES];
    memcpy(text, v->frame->text, sizeof(text));
    text[sizeof(text) - 1] = 0;
    log_domain(v->domain->name, "%s", text);
    return 0;
}

static long call_console_read(struct vcpu *v, u64 max)
{
    u8 bytes[ABI_CONSOLE_BYTES];
    u32 n;
    if (max > ABI_CONSOLE_BYTES)
        return -ABI_E_ARG;
    n = console_input(v->domain, bytes, (u32)max);
    memcpy(v->frame->console, bytes, n);
    return (long)n;
}

static long call_state_get(struct vcpu *v, u64 groups)
{
    if (groups & ~(u64)ABI_STATE_ALL)
        return -ABI_E_ARG;
    hvm->state_get(v, &v->frame->state, (u32)groups);
    v->frame->state_in |= (u32)groups;
    return 0;
}

long depriv_syscall(struct vcpu *v, u32 number, u64 a1, u64 a2, u64 a3)
{
    (void)a2;
    (void)a3;
    switch (number) {
    case ABI_CALL_LOG:
        return call_log(v);
    case ABI_CALL_CONSOLE_READ:
        return call_console_read(v, a1);
    case ABI_CALL_STATE_GET:
        return call_state_get(v, a1);
    case ABI_CALL_YIELD:
        sched_yield();
        return 0;
    default:
        return -ABI_E_CALL;
    }
}
