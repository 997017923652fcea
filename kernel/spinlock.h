/* A ticket-free test-and-set lock. Ring 0 runs with interrupts off, so a lock is never taken from an interrupt that found it held here. */
#pragma once

#include "kernel/arch.h"

struct spinlock { u32 held; };

static inline void spin_lock(struct spinlock *l)
{
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
        while (READ_ONCE(l->held))
            cpu_relax();
}

static inline void spin_unlock(struct spinlock *l) { __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE); }
