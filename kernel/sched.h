/* Threads (a vcpu, or a CPU's idle loop), run queues, the quantum. */
#pragma once

#include "kernel/base.h"
#include "kernel/spinlock.h"

struct cpu;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

struct thread {
    u64 rsp;                    /* 0x00 saved while not running: kernel/switch.asm */
    struct thread *next;        /* 0x08 in its CPU's ready list */
    struct cpu *cpu;            /* 0x10 where it runs; changes only while it is not RUNNING */
    struct vcpu *vcpu;          /* 0x18 NULL: idle */
    u32 state;                  /* enum thread_state, under the queue's lock */
    u64 ran;                    /* TSC time it has run */
    u64 since;                  /* TSC at which it was last switched to */
};

struct run_queue {
    struct spinlock lock;
    struct thread *head, *tail; /* ready, in order of arrival */
    struct vcpu *vcpus;         /* all that live on this CPU (vcpu.on_cpu links), for timers */
};

#define SCHED_QUANTUM_US 5000u  /* a thread runs this long before the next ready one gets the CPU */

/* All with interrupts off. */
void sched_init(struct cpu *cpu);                 /* makes the caller this CPU's idle thread */
void sched_idle(void) __attribute__((noreturn));
void sched_start(struct thread *t, struct cpu *cpu); /* make a new thread ready on cpu */
void sched_wake(struct thread *t);                /* BLOCKED to READY; from any CPU; no effect otherwise */
void sched_yield(void);                           /* let the next ready thread of this CPU run, if any */
void sched_exit(void) __attribute__((noreturn));
/* Sleeps unless *events is nonzero; events are set before sched_wake, so none is lost. */
void sched_block(const u32 *events);
void sched_tick(void);                            /* local APIC timer: due vcpu timers, end of quantum */
void sched_timer_update(void);                    /* program the local APIC timer for the next of them */

void thread_switch(struct thread *from, struct thread *to); /* switch.asm */
