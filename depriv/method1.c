/* Method 1: the call site unwinds, ring 3 runs at the top of the exit path, then the handler runs again and finds the answer (S0-9).
 * Ring 0, interrupts off. A handler that calls depriv_call() does so once, and passes -E_PENDING up as EXIT_PENDING.
 *
 * What Xen's first method has to undo on the way up (S0-11, S0-21) does not exist here: no handler allocates, takes a lock or changes the
 * vcpu before its call. It only copies v->exit into the frame's fields for ring 3, and the second run copies the same again, since nothing
 * writes v->exit in between; the reply's fields stay. Exits are counted outside the handlers. */
#include "depriv/gate.h"

int method1_down(struct vcpu *v)
{
    bool answered = v->answered;
    v->answered = false;
    return answered ? 0 : -E_PENDING;
}

/* At the top: the handler's frames are gone, and the supervisor stack below this is ring 3's calls' and interrupts'. */
void method1_run(struct vcpu *v)
{
    gate_down(v, GATE_ANY);
    v->answered = true;
}
