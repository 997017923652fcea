/* Per-CPU run queues in order of arrival, one quantum, timers of the vcpus that live on the CPU.
 * Ring 0 always runs with interrupts off; a CPU's queue is changed by others only under its lock. */
#include "kernel/sched.h"
#include "kernel/apic.h"
#include "kernel/log.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

static void queue_push(struct run_queue *q, struct thread *t)
{
    t->state = THREAD_READY;
    t->next = NULL;
    *(q->head ? &q->tail->next : &q->head) = t;
    q->tail = t;
}

/* The next ready thread, or the idle one. */
static struct thread *queue_pop(struct cpu *cpu)
{
    struct thread *t = cpu->queue.head;
    if (!t)
        return &cpu->idle;
    cpu->queue.head = t->next;
    return t;
}

/* Leaves the current thread (already in its new state) for another; returns when it is switched to again. The queue's lock is held on
 * entry and released: whoever makes the leaving thread ready meanwhile only links it, and this CPU alone picks from the queue. */
static void switch_to(struct cpu *cpu, struct thread *to)
{
    struct thread *from = cpu->current;
    u64 now = rdtsc();
    spin_unlock(&cpu->queue.lock);
    from->ran += now - from->since;
    to->since = now;
    to->state = THREAD_RUNNING;
    if (to == from)
        return;
    cpu->current = to;
    cpu->quantum_end = now + time_us_to_tsc(SCHED_QUANTUM_US, features.tsc_khz);
    if (to->vcpu)
        vcpu_switch_in(to->vcpu);
    sched_timer_update();
    thread_switch(from, to);
}

void sched_init(struct cpu *cpu)
{
    cpu->idle.cpu = cpu;
    cpu->idle.state = THREAD_RUNNING;
    cpu->current = &cpu->idle;
}

/* Sleeps in HLT whenever nothing is ready: an idle guest leaves the CPU idle. Frees domains whose last vcpu left from here. */
void sched_idle(void)
{
    struct cpu *cpu = this_cpu();
    for (;;) {
        struct thread *next;
        domain_reap();
        spin_lock(&cpu->queue.lock);
        next = queue_pop(cpu);
        switch_to(cpu, next);
        if (next == &cpu->idle)
            cpu_halt_wait();
    }
}

void sched_start(struct thread *t, struct cpu *cpu)
{
    t->cpu = cpu;
    spin_lock(&cpu->queue.lock);
    t->vcpu->on_cpu = cpu->queue.vcpus;
    cpu->queue.vcpus = t->vcpu;
    queue_push(&cpu->queue, t);
    spin_unlock(&cpu->queue.lock);
    if (cpu != this_cpu())
        apic_ipi(cpu->apic_id, VECTOR_WAKE);
}

void sched_wake(struct thread *t)
{
    struct cpu *cpu = t->cpu;
    bool woken;
    spin_lock(&cpu->queue.lock);
    woken = t->state == THREAD_BLOCKED;
    if (woken)
        queue_push(&cpu->queue, t);
    spin_unlock(&cpu->queue.lock);
    if (cpu != this_cpu())
        apic_ipi(cpu->apic_id, VECTOR_WAKE); /* also makes a running guest exit and look at its events */
    else if (woken)
        sched_timer_update();
}

void sched_yield(void)
{
    struct cpu *cpu = this_cpu();
    spin_lock(&cpu->queue.lock);
    queue_push(&cpu->queue, cpu->current); /* alone it is the next, too */
    switch_to(cpu, queue_pop(cpu));
}

void sched_block(const u32 *events)
{
    struct cpu *cpu = this_cpu();
    spin_lock(&cpu->queue.lock);
    if (READ_ONCE(*events)) {
        spin_unlock(&cpu->queue.lock);
        return;
    }
    cpu->current->state = THREAD_BLOCKED;
    switch_to(cpu, queue_pop(cpu));
}

/* Always to the idle thread: it frees what the dead one stood on. */
void sched_exit(void)
{
    struct cpu *cpu = this_cpu();
    struct vcpu *v = cpu->current->vcpu, **link;
    spin_lock(&cpu->queue.lock);
    for (link = &cpu->queue.vcpus; *link != v; link = &(*link)->on_cpu) /* bound: the vcpus of this CPU */
        ;
    *link = v->on_cpu;
    v->thread.state = THREAD_DEAD;
    v->on_cpu = cpu->dead;
    cpu->dead = v;
    switch_to(cpu, &cpu->idle);
    panic("a dead thread ran on");
}

/* Bound: the vcpus of this CPU. */
void sched_timer_update(void)
{
    struct cpu *cpu = this_cpu();
    u64 next = cpu->current->vcpu ? cpu->quantum_end : ~0ull;
    for (struct vcpu *v = cpu->queue.vcpus; v; v = v->on_cpu)
        next = min_u64(next, v->timer);
    if (next == cpu->timer_at)
        return;
    cpu->timer_at = next;
    apic_timer_set(next);
}

void sched_tick(void)
{
    struct cpu *cpu = this_cpu();
    struct vcpu *v = cpu->current->vcpu;
    u64 now = rdtsc();
    cpu->timer_at = ~0ull;
    for (struct vcpu *w = cpu->queue.vcpus; w; w = w->on_cpu) {
        if (w->timer <= now) {
            w->timer = ABI_TIMER_NEVER;
            vcpu_event(w, ABI_EVENT_TIMER);
        }
    }
    if (v && cpu->quantum_end <= now) {
        cpu->quantum_end = now + time_us_to_tsc(SCHED_QUANTUM_US, features.tsc_khz);
        if (READ_ONCE(cpu->queue.head))
            hazard_set(v, HAZARD_YIELD);
    }
    sched_timer_update();
}
