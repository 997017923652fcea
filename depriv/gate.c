/* One operation of ring 3, from the filled frame to the commit of what it left (method three).
 * Ring 0, interrupts off, on the vcpu's supervisor stack; called from kernel/exit.c and kernel/vcpu.c. */
#include "depriv/gate.h"
#include "kernel/console.h"
#include "kernel/log.h"

/* The rare part of a reply. Every field is read once: ring 3 of another vcpu can change it meanwhile (ATTACKS K3). */
static void reply_rare(struct vcpu *v)
{
    struct abi_frame *f = v->frame;
    char bytes[ABI_CONSOLE_BYTES];
    u32 n = READ_ONCE(f->console_len), life = READ_ONCE(f->life);
    f->console_len = 0;
    if (n > ABI_CONSOLE_BYTES) {
        domain_kill(v->domain, "ring 3: bad reply: console_len %u is more than %u", n, ABI_CONSOLE_BYTES);
        return;
    }
    if (n) {
        memcpy(bytes, f->console, n);
        console_guest(v->domain, bytes, n);
    }
    if (life == ABI_LIFE_POWEROFF)
        domain_end(v->domain, DOMAIN_POWEROFF);
    else if (life == ABI_LIFE_REBOOT)
        domain_end(v->domain, DOMAIN_REBOOT);
    else if (life != ABI_LIFE_RUN)
        domain_kill(v->domain, "ring 3: bad reply: life %u", life);
}

static void reply_timer(struct vcpu *v, u64 timer)
{
    if (READ_ONCE(v->events) & ABI_EVENT_TIMER)
        return; /* it has fired and ring 3 does not know yet: the operation that tells it follows before guest entry */
    v->timer = timer;
    sched_timer_update();
}

/* Ring 3's guest state, copied out of the shared page once, then checked as VM entry would check it (ATTACKS K3, K4). */
static void reply_state(struct vcpu *v, u32 groups)
{
    struct abi_state s;
    const char *broken;
    if (groups & ~ABI_STATE_ALL) {
        domain_kill(v->domain, "ring 3: bad reply: state_out %x", groups);
        return;
    }
    memcpy(&s, &v->frame->state, sizeof(s));
    barrier();
    broken = hvm->state_set(v, &s, groups);
    if (broken)
        domain_kill(v->domain, "ring 3: bad reply: guest state breaks the rule: %s", broken);
}

static int reply_commit(struct vcpu *v)
{
    struct abi_frame *f = v->frame;
    u32 groups = READ_ONCE(f->state_out);
    u64 timer = READ_ONCE(f->timer);
    if (unlikely(groups))
        reply_state(v, groups);
    if (unlikely(READ_ONCE(f->console_len) | READ_ONCE(f->life)))
        reply_rare(v);
    if (unlikely(timer != v->timer))
        reply_timer(v, timer);
    v->intr = READ_ONCE(f->intr);
    if (unlikely(v->intr))
        v->hazards |= HAZARD_INTR;
    return unlikely(READ_ONCE(v->hazards) & HAZARD_KILL) ? -E_KILLED : (int)(READ_ONCE(f->status) & 0xff);
}

int depriv_call(struct vcpu *v, enum abi_op op, u32 groups)
{
    struct abi_frame *f = v->frame;
    int rc;
    f->op = op;
    f->state_in = groups;
    f->state_out = 0;
    f->status = ABI_OK;
    if (groups)
        hvm->state_get(v, &f->state, groups);
    count_event(COUNT_CROSSING);
    rc = features.vmx ? gate_down_sysexit(v) : gate_down_sysret(v);
    return unlikely(rc) ? rc : reply_commit(v);
}
