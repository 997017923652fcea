/* The crossing: down to ring 3 on the vcpu's own user stack and back to the call site. Method three is inline, the others are behind it. */
#ifndef DEPRIV_GATE_H
#define DEPRIV_GATE_H

#include "depriv/abi.h"
#include "kernel/vcpu.h"

/* gate.asm, with a calling convention of its own: rbx = vcpu, and stays; every other register but RSP is lost. */
extern u8 gate_down_sysexit[], gate_down_sysret[], gate_down_any[];

#define LOST_REGISTERS "rax", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory"

/* How a vcpu goes down: methods 0, 1, 2, and method 3 by vendor, or with aspace=isolated by what gate_down_any finds. The vendor's loop has
 * its own as a constant, so that one comparison tells method 3 from the others. */
enum gate { GATE_DIRECT, GATE_UNWIND, GATE_COPY, GATE_SYSEXIT, GATE_SYSRET, GATE_ANY };
static inline enum gate gate_of_cpu(void) { return features.vmx ? GATE_SYSEXIT : GATE_SYSRET; }

/* Returns when ring 3 called DONE, or by gate_abort(). Ring 0, interrupts off, supervisor stack. */
static inline void gate_down(struct vcpu *v, enum gate gate)
{
    if (gate == GATE_SYSEXIT)
        __asm__ volatile("call gate_down_sysexit" : : "b"(v) : LOST_REGISTERS);
    else if (gate == GATE_ANY)
        __asm__ volatile("call gate_down_any" : : "b"(v) : LOST_REGISTERS);
    else
        __asm__ volatile("call gate_down_sysret" : : "b"(v) : LOST_REGISTERS);
}

/* Drops ring 3's context: the domain ends, and the gate_down that is under way returns, with DEPRIV_BAD_STATUS for a reply. From a trap in
 * ring 3, or from a call. */
void gate_abort(struct vcpu *v) __attribute__((noreturn));

#define GATE_SYSCALL_STRIDE 32u
extern u8 gate_sysenter[], gate_sysenter_isolated[];   /* SYSENTER_EIP */
extern u8 gate_syscall_table[], gate_syscall_isolated[]; /* + cpu id * GATE_SYSCALL_STRIDE: LSTAR */
static inline u64 gate_entry(const u8 *shared, const u8 *isolated) { return (u64)(features.isolated ? isolated : shared); }

#define DEPRIV_BAD_STATUS 0xff              /* ring 3's status was none of enum abi_status */

void depriv_commit(struct vcpu *v); /* takes the state that ring 3 left in the frame: vcpu.commit_groups; and ends windows */

/* A reply that says more than ABI_OK. Returns as depriv_call. */
int depriv_reply(struct vcpu *v);

/* Two neighbouring words of the frame in one access: op with state_in, status with state_out. */
#define FRAME_PAIR(first) (*(volatile u64 *)(first))

/* give, may: as depriv_call. */
static inline void depriv_ask(struct vcpu *v, enum abi_op op, u32 give, u32 may)
{
    v->may = (u16)may;
    FRAME_PAIR(&v->frame->op) = op | (u64)give << 32;
    FRAME_PAIR(&v->frame->status) = ABI_OK;
}

static inline int depriv_answer(struct vcpu *v, int rc)
{
    if (unlikely(rc))
        return rc;
    count_event(COUNT_CROSSING);
    v->intr = 0;
    return likely(!FRAME_PAIR(&v->frame->status)) ? ABI_OK : depriv_reply(v);
}

/* Methods 0 to 2 instead of gate_down(): method0.c, method1.c, method2.asm; gate.c picks. */
int gate_other(struct vcpu *v);
int method0_down(struct vcpu *v);
int method1_down(struct vcpu *v);
void method1_run(struct vcpu *v);
void method2_deep(void) __attribute__((noreturn));
u64 method0_entry(void); /* what the component calls instead of ring 0 */
void depriv_take_state(struct vcpu *v, u32 groups); /* of the frame, for the commit */
void depriv_take_timer(struct vcpu *v, u64 timer);

/* 0, or -E_PENDING. */
static inline int depriv_down(struct vcpu *v, enum gate gate)
{
    if (unlikely(v->gate != gate))
        return gate_other(v);
    gate_down(v, gate);
    return 0;
}

/* Runs one operation of ring 3 for v and takes what it left: console bytes, timer, interrupt level, end of the domain. The caller has
 * filled the operation's own fields of the frame. give: guest state that ring 3 is given; may: what it may change, or its domain ends.
 * Returns enum abi_status, -E_KILLED, or, with method 1, -E_PENDING: then the caller returns to the top of the exit path and is called again.
 * Guest state that ring 3 changed takes effect later, at the one commit point: depriv_commit(). */
int depriv_call(struct vcpu *v, enum abi_op op, u32 give, u32 may);
int depriv_call_top(struct vcpu *v, enum abi_op op, u32 give); /* from the top of the exit path itself: never -E_PENDING; ring 3 may change all */

void depriv_tick(struct vcpu *v); /* v is in ring 3, at a tick or of its own will: has it been for too long? */

/* calls.c, from gate.asm: the call has passed the domid comparison. Returns the result for ring 3; a call that must not return aborts. */
long depriv_dispatch(struct vcpu *v, u32 number, u64 a1, u64 a2, u64 a3); /* the call itself */
long depriv_syscall(struct vcpu *v, u32 number, u64 a1, u64 a2, u64 a3);
void depriv_bad_target(struct vcpu *v, u64 target) __attribute__((noreturn));
void depriv_bad_return(struct vcpu *v, u64 rip, u64 rsp) __attribute__((noreturn));

#endif
