/* The calls that ring 3 makes during an operation: checked arguments, one bounded piece of work each.
 * Ring 0, interrupts off, on the vcpu's supervisor stack below the crossing's frame; the target was compared in gate.asm. */
#include "depriv/gate.h"
#include "depriv/guestaccess.h"
#include "kernel/console.h"
#include "kernel/log.h"

void depriv_bad_target(struct vcpu *v, u64 target)
{
    domain_kill(v->domain, "ring 3: call names domain %lu, which is not its own", target);
    gate_abort(v);
}

void depriv_bad_return(struct vcpu *v, u64 rip, u64 rsp)
{
    domain_kill(v->domain, "ring 3: call would return to %lx with stack %lx, not user addresses", rip, rsp);
    gate_abort(v);
}

/* A handler's arguments are as its row in abi.h says, checked. */
#pragma GCC diagnostic ignored "-Wunused-parameter" /* they share one signature */
#define CALL_PROTOTYPE(nr, NAME, name, ...) static long call_##name(struct vcpu *v, const u64 *a);
ABI_CALLS(CALL_PROTOTYPE)

static long call_done(struct vcpu *v, const u64 *a)
{
    return -ABI_E_CALL; /* the gate has taken it */
}

#define LOG_LINES 100u /* of a domain's ring 3 in a second: the log port is everybody's (ATTACKS K15) */

static bool log_line_free(struct domain *d)
{
    u64 now = rdtsc();
    if (now - d->log_since > features.tsc_khz * 1000) {
        if (d->log_left_out)
            log_domain(d->name, "%u lines of ring 3 left out", d->log_left_out);
        d->log_since = now;
        d->log_lines = d->log_left_out = 0;
    }
    if (d->log_lines < LOG_LINES)
        return ++d->log_lines;
    d->log_left_out++;
    return false;
}

static long call_log(struct vcpu *v, const u64 *a)
{
    char text[ABI_TEXT_BYTES];
    if (!log_line_free(v->domain))
        return -ABI_E_LIMIT;
    memcpy(text, v->frame->text, sizeof(text));
    text[sizeof(text) - 1] = 0;
    log_domain(v->domain->name, "%s", text);
    return 0;
}

static long call_console_read(struct vcpu *v, const u64 *a)
{
    u8 bytes[ABI_CONSOLE_BYTES];
    u32 n = console_input(v->domain, bytes, (u32)a[0]);
    memcpy(v->frame->console, bytes, n);
    return (long)n;
}

static long call_state_get(struct vcpu *v, const u64 *a)
{
    hvm->state_get(v, &v->frame->state, (u32)a[0]);
    v->frame->state_in |= (u32)a[0];
    return 0;
}

static long call_yield(struct vcpu *v, const u64 *a)
{
    depriv_tick(v); /* those who yield to each other see no tick */
    sched_yield();
    return 0;
}

static long call_kick(struct vcpu *v, const u64 *a)
{
    vcpu_event(v->domain->vcpu[a[0] & (ABI_VCPUS_MAX - 1)], ABI_EVENT_KICK); /* masked: it indexes, also behind a mispredicted check */
    return 0;
}

static long call_state_set(struct vcpu *v, const u64 *a)
{
    depriv_take_state(v, (u32)a[0]);
    return 0;
}

static long call_set_timer(struct vcpu *v, const u64 *a)
{
    depriv_take_timer(v, a[0]);
    return 0;
}

static long call_shutdown(struct vcpu *v, const u64 *a)
{
    domain_end(v->domain, a[0] ? DOMAIN_REBOOT : DOMAIN_POWEROFF);
    return 0;
}

static long call_map_window(struct vcpu *v, const u64 *a)
{
    return window_map(v, a[0] & (ABI_WINDOWS - 1), a[1]); /* masked likewise */
}

static long call_guest_read(struct vcpu *v, const u64 *a)
{
    return guest_copy(v, copier_move, a[1], a[0], true);
}

static long call_guest_write(struct vcpu *v, const u64 *a)
{
    return guest_copy(v, copier_move, a[1], a[0], false);
}

static long call_guest_cmpxchg(struct vcpu *v, const u64 *a)
{
    bool odd = a[0] & (a[0] - 1) || (a[0] == 16 && a[1] & 15); /* CMPXCHG16B faults (SDM 2A CMPXCHG8B) */
    return odd ? -ABI_E_ARG : guest_copy(v, copier_cmpxchg, a[1], a[0], false);
}

static bool argument_fits(const struct vcpu *v, const struct abi_argument *rule, u64 a)
{
    u64 limit = rule->check == ABI_CHECK_VCPU ? v->domain->vcpus - 1 : rule->limit;
    return rule->check == ABI_CHECK_NONE || (rule->check == ABI_CHECK_BITS ? !(a & ~limit) : a <= limit);
}

/* The number selects a branch and indexes nothing; built without jump tables, so no branch here is indirect (Spectre variants 1 and 2). */
#define CALL_CASE(nr, NAME, name, n, may, bound, ...) \
    case nr: { \
        static const struct abi_argument rules[ABI_ARGUMENTS] = { __VA_ARGS__ }; \
        for (u32 i = 0; i < ABI_ARGUMENTS; i++) \
            if (!argument_fits(v, &rules[i], a[i])) \
                return -ABI_E_ARG; \
        return call_##name(v, a); \
    }

long depriv_dispatch(struct vcpu *v, u32 number, u64 a1, u64 a2, u64 a3)
{
    const u64 a[ABI_ARGUMENTS] = { a1, a2, a3 };
    switch (number) {
        ABI_CALLS(CALL_CASE)
    default:
        return -ABI_E_CALL;
    }
}

/* A domain that has ended meanwhile does not go back to ring 3. */
long depriv_syscall(struct vcpu *v, u32 number, u64 a1, u64 a2, u64 a3)
{
    long result = depriv_dispatch(v, number, a1, a2, a3);
    if (READ_ONCE(v->hazards) & HAZARD_KILL)
        gate_abort(v);
    return result;
}
