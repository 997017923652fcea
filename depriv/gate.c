/* One operation of ring 3, from the filled frame to the commit of what it left.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; called from kernel/exit.c and kernel/vcpu.c. */
#include "depriv/gate.h"
#include "depriv/guestaccess.h"
#include "kernel/console.h"
#include "kernel/gueststate.h"
#include "kernel/log.h"
#include "kernel/plan.h"

/* The rare part of a reply. Every field is read once: ring 3 of another vcpu can change it meanwhile (ATTACKS K3). */
static void reply_rare(struct vcpu *v, u32 notes)
{
    struct abi_frame *f = v->frame;
    char bytes[ABI_CONSOLE_BYTES];
    u32 n = notes & ABI_NOTE_CONSOLE ? READ_ONCE(f->console_len) : 0, life = notes & ABI_NOTE_LIFE ? READ_ONCE(f->life) : ABI_LIFE_RUN;
    if (n > ABI_CONSOLE_BYTES) {
        domain_kill(v->domain, "ring 3: bad reply: console_len %u is more than %u", n, ABI_CONSOLE_BYTES);
        return;
    }
    if (n) {
        memcpy(bytes, f->console, n);
        console_guest(v->domain, bytes, n);
    }
    if (life > ABI_LIFE_PANIC)
        domain_kill(v->domain, "ring 3: bad reply: life %u", life);
    else if (life == ABI_LIFE_PANIC)
        domain_kill(v->domain, "the guest reports its own panic");
    else if (life != ABI_LIFE_RUN)
        domain_end(v->domain, life == ABI_LIFE_REBOOT ? DOMAIN_REBOOT : DOMAIN_POWEROFF);
}

/* Ring 3's guest state waits in the frame for the one point where it takes effect. */
void depriv_take_state(struct vcpu *v, u32 groups)
{
    if (groups & ~v->may)
        domain_kill(v->domain, "ring 3: bad reply: state_out %x, of which it may change %x", groups, v->may);
    else
        v->commit_groups |= (u16)groups;
}

void depriv_take_timer(struct vcpu *v, u64 timer)
{
    v->timer = timer;
    sched_timer_update();
}

/* The commit point: after the exit's handler and the advance of RIP, before anything that depends on the guest's state and before entry.
 * Ring 3's changes win over what ring 0 did before and after the operation (S0-15, S0-16). Until then they are in the frame, of which each
 * field is read once; checked as VM entry would (ATTACKS K3, K4). */
void depriv_commit(struct vcpu *v)
{
    const char *broken = hvm->state_set(v, &v->frame->state, v->commit_groups);
    windows_end(v);
    v->commit_groups = 0;
    if (broken)
        domain_kill(v->domain, "ring 3: bad reply: guest state breaks the rule: %s", broken);
}

void method2_deep(void)
{
    panic("method 2: the supervisor stack is deeper than its copy");
}

/* Not inline: the lost registers would be saved for the others too. */
static __attribute__((noinline)) int gate_asm(struct vcpu *v)
{
    if (v->gate == GATE_COPY)
        __asm__ volatile("call method2_down" : : "b"(v) : LOST_REGISTERS);
    else
        gate_down(v, GATE_ANY);
    return 0;
}

int gate_other(struct vcpu *v)
{
    if (v->gate == GATE_DIRECT)
        return method0_down(v);
    return v->gate == GATE_UNWIND ? method1_down(v) : gate_asm(v);
}

#define LOAD_FACTOR   16u /* loading copies whole images */
#define WINDOW_FACTOR 10u

/* Counts the quanta of its own CPU time that a vcpu spends inside one operation (S1-8, S1-11), a late tick as one. So that many operations,
 * each just under the limit, do not evade it (S1-12), a second count goes on from operation to operation and loses one in WINDOW_FACTOR
 * quanta that the vcpu runs: ring 3 has a tenth of the time for operations that take more than a quantum. Shorter ones count nowhere:
 * they are preempted between as any guest is. Any counter reaching the limit ends the domain. */
void depriv_tick(struct vcpu *v)
{
    u64 ran = v->thread.ran + rdtsc() - v->thread.since, quantum = time_us_to_tsc(SCHED_QUANTUM_US, features.tsc_khz);
    u64 op = v->top_calls + v->ring_next, drained = (ran - v->window_at) / (quantum * WINDOW_FACTOR);
    u32 limit = plan.quanta * (v->domain->booted ? 1 : LOAD_FACTOR);
    if (op != v->tick_op) {
        v->tick_op = op;
        v->tick_at = ran;
        v->op_quanta = 0;
    }
    if (ran - v->tick_at < quantum)
        return;
    v->tick_at = ran;
    v->window_at += drained * quantum * WINDOW_FACTOR;
    v->window_quanta -= (u32)min_u64(v->window_quanta, drained);
    v->window_quanta++;
    if (++v->op_quanta >= limit)
        domain_kill(v->domain, "ring 3: an operation took %u quanta", limit);
    else if (v->window_quanta >= limit && v->domain->emulate != EMULATE_ALL) /* there ring 3 is where the guest runs */
        domain_kill(v->domain, "ring 3: long operations took %u quanta", limit);
}

/* Method 1, second time: the answer is in the frame already. */
int depriv_call(struct vcpu *v, enum abi_op op, u32 give, u32 may)
{
    int rc;
    if (!v->answered) {
        depriv_ask(v, op, give, may);
        if (give)
            hvm->state_get(v, &v->frame->state, give);
    }
    rc = depriv_answer(v, depriv_down(v, gate_of_cpu()));
    if (unlikely(v->windows))
        windows_end(v);
    return rc;
}

/* Bound: an answer that has been got is taken at the next call. */
int depriv_call_top(struct vcpu *v, enum abi_op op, u32 give)
{
    int rc;
    v->top_calls++;
    while ((rc = depriv_call(v, op, give, ABI_STATE_ALL)) == -E_PENDING)
        method1_run(v);
    return rc;
}

int depriv_reply(struct vcpu *v)
{
    u64 reply = FRAME_PAIR(&v->frame->status);
    u32 status = (u32)reply, groups = (u32)(reply >> 32);
    depriv_take_state(v, groups);
    if (status & (ABI_NOTE_CONSOLE | ABI_NOTE_LIFE))
        reply_rare(v, status);
    if (status & ABI_NOTE_TIMER)
        depriv_take_timer(v, READ_ONCE(v->frame->timer));
    v->intr = status & ABI_NOTE_INTR;
    if (v->intr)
        hazard_set(v, HAZARD_INTR);
    if (READ_ONCE(v->hazards) & HAZARD_KILL)
        return -E_KILLED;
    status &= ~(ABI_NOTE_INTR | ABI_NOTE_CONSOLE | ABI_NOTE_LIFE | ABI_NOTE_TIMER);
    return status <= ABI_INTERCEPT ? (int)status : DEPRIV_BAD_STATUS;
}
