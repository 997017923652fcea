/* From the vendor's run loop to the exit table; the hot cause, port I/O, goes inline all the way to the crossing. */
#pragma once

#include "depriv/gate.h"
#include "kernel/vcpu.h"

enum exit_action exit_by_table(struct vcpu *v);
enum exit_action exit_pending(struct vcpu *v); /* method 1: ring 3 runs, then the handler again */

/* emulate=all: runs v in ring 3, instruction by instruction, until its domain ends. */
void exit_run_emulated(struct vcpu *v);

/* Ring 3's answer to an operation: injects, ends the domain, or nothing. status: of depriv_call. */
enum exit_action exit_answer(struct vcpu *v, int status);

_Static_assert(offsetof(struct exit_info, flags) - offsetof(struct exit_info, port) == offsetof(struct abi_frame, flags) - offsetof(struct abi_frame, port) &&
               offsetof(struct exit_info, size) - offsetof(struct exit_info, port) == offsetof(struct abi_frame, size) - offsetof(struct abi_frame, port),
               "exit_give_port copies them as one word");

static inline void exit_give_port(struct vcpu *v)
{
    __builtin_memcpy(&v->frame->port, &v->exit.port, sizeof(u32));
}

/* IN and OUT: the data is in the frame's RAX, and ring 3 owns every port. */
static inline enum exit_action exit_port(struct vcpu *v, enum gate gate)
{
    int status;
    exit_give_port(v);
    status = depriv_call_by(v, ABI_OP_PORT, 0, gate);
    return likely(status == ABI_OK) ? EXIT_ADVANCE : exit_answer(v, status);
}

/* The top of the exit path. v->exit and, in the frame, the general registers are filled; the vendor advances RIP when told. */
static inline enum exit_action exit_dispatch(struct vcpu *v, u32 kind, enum gate gate)
{
    enum exit_action action;
    v->domain->exits[kind]++;
    count_event(COUNT_EXIT);
    action = likely(kind == EXIT_PORT) ? exit_port(v, gate) : exit_by_table(v);
    return unlikely(action == EXIT_PENDING) ? exit_pending(v) : action;
}
