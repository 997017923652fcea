/* Why VMRUN refused (APM2 15.5.1, "Canonicalization and Consistency Checks"): the first rule that the VMCB breaks, by its name. */
#include "kernel/gueststate.h"
#include "svm/svm.h"

/* EVENTINJ (APM2 15.20): types 1 and 5 to 7 are reserved; an exception is a vector below 32, and not 2. */
static bool event_legal(u64 e)
{
    u32 type = e & HVM_EVENT_TYPE, vector = e & HVM_EVENT_VECTOR;
    if (type == HVM_EVENT_EXCEPTION)
        return vector != VEC_NMI && vector <= 31;
    return type == HVM_EVENT_EXTERNAL || type == HVM_EVENT_NMI || type == HVM_EVENT_SOFT_INT;
}

/* What ring 0 alone writes and no guest changes is not looked at. The control area comes first: some CPUs leave host values in the save
 * area of a VMCB that they refused. */
const char *svm_entry_broken(struct vcpu *v)
{
    const struct vmcb *c = vcpu_vmcb(v);
    struct abi_state s;
    const char *text;
    if (c->event_inj & ABI_INJECT_VALID && !event_legal(c->event_inj))
        return "EVENTINJ names an event that does not exist";
    if (!pat_legal(c->save.g_pat))
        return "G_PAT has a reserved memory type";
    svm_state_get(v, &s, ABI_STATE_ALL);
    text = guest_rule_broken(&s, ABI_STATE_ALL);
    return text ? text : "none that is known by name";
}
