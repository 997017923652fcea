/* Method 0, the control: no deprivileging. The component's code, mapped for ring 0 in this domain's table alone, is a function call away.
 * Ring 0, interrupts off, on the vcpu's supervisor stack. What the other methods cost is measured against this one. A fault or a spin of the
 * component is ring 0's here: invariants 1, 2 and 5 do not hold for such a domain, and the boot log says so. */
#include "depriv/gate.h"

int method0_down(struct vcpu *v)
{
    void (*component_main)(u64 frame, u64 info) = (void (*)(u64, u64))v->user.entry;
    component_main(v->user.frame, v->user.info);
    return 0;
}

/* A call of the component: it can name no other domain, since the target is whose stack this is. */
static long method0_call(u32 number, u64 a1, u64 a2, u64 a3)
{
    return depriv_dispatch(stack_head()->vcpu, number, a1, a2, a3);
}

u64 method0_entry(void)
{
    return (u64)method0_call;
}
