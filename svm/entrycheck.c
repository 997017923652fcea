/* Why VMRUN refused (APM2 15.5.1, "Canonicalization and Consistency Checks"): the first rule that the VMCB breaks, by its name. */
#include "kernel/gueststate.h"
#include "svm/svm.h"

#define IOPM_BYTES  (3 * PAGE_SIZE)
#define MSRPM_BYTES (2 * PAGE_SIZE)

/* EVENTINJ (APM2 15.20): types 1 and 5 to 7 are reserved; an exception is a vector below 32, and not 2. */
static bool event_legal(u64 e)
{
    u32 type = e & HVM_EVENT_TYPE, vector = e & HVM_EVENT_VECTOR;
    if (type == HVM_EVENT_EXCEPTION)
        return vector != VEC_NMI && vector <= 31;
    return type == HVM_EVENT_EXTERNAL || type == HVM_EVENT_NMI || type == HVM_EVENT_SOFT_INT;
}

/* The rules on the control area come first: some CPUs leave host values in the save area of a VMCB that they refused. */
const char *svm_entry_broken(struct vcpu *v)
{
    const struct vmcb *c = vcpu_vmcb(v);
    u64 end = BIT(features.physical_bits);
    const struct rule control[] = {
        { !svm_intercepted(c, VMEXIT_VMRUN), "the VMRUN intercept is clear" },
        { !c->asid, "ASID is 0" },
        { c->asid >= svm_features.asids, "ASID is more than CPUID.8000000Ah:EBX allows" },
        { svm_intercepted(c, VMEXIT_IOIO) && c->iopm_base + IOPM_BYTES > end, "I/O permission map: end above the physical address width" },
        { svm_intercepted(c, VMEXIT_MSR) && c->msrpm_base + MSRPM_BYTES > end, "MSR permission map: end above the physical address width" },
        { c->nested_cr3 >= end, "nested CR3 has a bit above the physical address width" },
        { c->event_inj & ABI_INJECT_VALID && !event_legal(c->event_inj), "EVENTINJ names an event that does not exist" },
        { !(c->save.efer & EFER_SVME), "EFER.SVME is clear" },
        { !pat_legal(c->save.g_pat), "G_PAT has a reserved memory type" },
    };
    const char *text = rule_broken(control, ARRAY_SIZE(control));
    struct abi_state s;
    if (text)
        return text;
    svm_state_get(v, &s, ABI_STATE_ALL);
    text = guest_rule_broken(&s, ABI_STATE_ALL);
    return text ? text : "none that is known by name";
}
