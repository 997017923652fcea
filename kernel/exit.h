/* From the vendor's run loop to the exit table. The hot causes go inline all the way: port I/O and MMIO to the crossing, CPUID to its answer. */
#pragma once

#include "depriv/gate.h"
#include "kernel/gueststate.h"
#include "kernel/policy.h"
#include "kernel/vcpu.h"

/* Guest state that ring 3 may change by the operations that go inline; the exit table has the others. */
#define STATE_MMIO_MAY  (ABI_STATE_ALL & ~(ABI_STATE_SYSENTER | ABI_STATE_SYSCALL))
#define STATE_PORT_MAY  ABI_STATE_ALL

/* The top of the exit path, by the table. v->exit, the operation's part of the frame and the general registers are filled; the vendor advances
 * RIP when told. Never EXIT_PENDING. */
enum exit_action exit_dispatch(struct vcpu *v);

/* The rest of an exit of this kind whose operation in ring 3 did not simply end: status of depriv_call. */
enum exit_action exit_finish(struct vcpu *v, u32 kind, int status);

/* emulate=all: runs v in ring 3, instruction by instruction, until its domain ends. */
void exit_run_emulated(struct vcpu *v);

static inline void exit_count(struct vcpu *v, u32 kind, u32 reason, u64 info)
{
    struct exit_record *r = (struct exit_record *)((char *)v->ring + v->ring_next % sizeof(v->ring));
    __asm__("addq %1, %0" : "+m"(v->ring_next) : "i"(sizeof(*r))); /* in place */
    r->what = EXIT_RECORD(reason, kind);
    r->info = info;
    v->domain->exits[kind]++;
    count_event(COUNT_EXIT);
}

/* IN and OUT: port, size and flags are in the frame, the data in its RAX, and ring 3 owns every port. */
static inline enum exit_action exit_port(struct vcpu *v, enum gate gate)
{
    int status;
    depriv_ask(v, ABI_OP_PORT, 0, STATE_PORT_MAY);
    status = depriv_answer(v, depriv_down(v, gate));
    return likely(status == ABI_OK) ? EXIT_ADVANCE : exit_finish(v, EXIT_PORT, status);
}

/* A gpa that is no RAM of any domain, without a look at this one. */
static inline bool exit_gpa_is_device(u64 gpa) { return gpa >> 30 == ABI_LOW_MAX >> 30; }

/* Access to what is not RAM. give: state_get of STATE_CODE; moved: if nothing but RIP, RSP and flags have changed in it, and legally,
 * makes it the guest's. Then this is the commit point: ring 0 changes nothing behind it. */
static inline void exit_mmio(struct vcpu *v, u64 gpa, u64 flags, enum gate gate, void (*give)(struct vcpu *v, struct abi_state *s, u32 groups),
                             bool (*moved)(struct vcpu *v, const struct abi_state *s))
{
    struct abi_frame *f = v->frame;
    int rc;
    f->gpa = gpa;
    f->flags = (u8)flags;
    depriv_ask(v, ABI_OP_MMIO, STATE_CODE, STATE_MMIO_MAY);
    give(v, &f->state, STATE_CODE);
    rc = depriv_down(v, gate);
    f = v->frame;
    if (likely(!rc && FRAME_PAIR(&f->status) == (u64)ABI_STATE_RIP << 32 && moved(v, &f->state))) {
        count_event(COUNT_CROSSING);
        v->intr = v->retries = 0;
        return;
    }
    exit_finish(v, EXIT_NESTED, depriv_answer(v, rc));
}
