/* Counts of the events that cost hardware time (VMREAD, WRMSR, CR3 writes ...), kept only in a build with COUNT=1. */
#pragma once

#include "kernel/base.h"

enum count { COUNT_VMREAD, COUNT_VMWRITE, COUNT_WRMSR, COUNT_CR3, COUNT_IRET, COUNT_XSAVE, COUNT_EXIT, COUNT_CROSSING, COUNT_VMLOAD, COUNT_INVLPG, COUNTS };
extern u64 counts[COUNTS]; /* all CPUs; approximate under SMP, exact on the one-CPU configurations that measure */

static inline void count_event(enum count c)
{
#ifdef RUNG_COUNT
    counts[c]++;
#else
    (void)c;
#endif
}
