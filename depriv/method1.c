/* Method 1: the call site unwinds, ring 3 runs at the top of the exit path, then the handler runs again and finds the answer (S0-9).
 * Ring 0, interrupts off. A handler that calls depriv_call() does so once, and passes -E_PENDING up as EXIT_PENDING.
 *
 * What Xen's first method has to undo on the way up (S0-11, S0-21) does not exist here: no handler allocates, takes a lock or changes the
 * vcpu before its call. It only copies v->exit into the frame's fields for ring 3, and the second run copies the same again, since nothing
 * writes v->exit in between. The frame's answer is safe from the second run: that does not ask, and so writes none of status, state_in,
 * state. Exits are counted outside the handlers. */
#include "depriv/gate.h"

int method1_call(struct vcpu *v, enum abi_op op, u32 groups)
{
    if (v->answered) {
        v->answered = false;
        return depriv_answer(v, v->answer);
    }
    depriv_ask(v, op, groups);
    return -E_PENDING;
}

/* At the top: the handler's frames are gone, and the supervisor stack below this is ring 3's calls' and interrupts'. */
void method1_run(struct vcpu *v)
{
    v->answer = gate_down(v, gate_of_cpu());
    v->answered = true;
}
