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

int depriv_reply(struct vcpu *v)
{
    struct abi_frame *f = v->frame;
    u64 status = FRAME_PAIR(&f->status), timer = READ_ONCE(f->timer);
    u32 groups = (u32)(status >> 32);
    if (groups)
        reply_state(v, groups);
    if (FRAME_PAIR(&f->console_len))
        reply_rare(v);
    if (timer != v->timer)
        reply_timer(v, timer);
    if (v->intr)
        v->hazards |= HAZARD_INTR;
    if (READ_ONCE(v->hazards) & HAZARD_KILL)
        return -E_KILLED;
    return (u32)status <= ABI_REFUSE ? (int)(u32)status : DEPRIV_BAD_STATUS;
}
