/* Guest memory for a ring 3 that does not have it mapped: windows for one operation, and copies by the copier.
 * Ring 0, interrupts off, in a call of ring 3 or at the end of its operation.
 *
 * Neither gives ring 0 guest memory (invariant 2). A window is a user page in the component's table. A copy is made in ring 3, by
 * copier.asm, on a table of the domain's that has its RAM, the frame pages and the copier's page: a crossing more, and two writes of CR3. */
#include "depriv/guestaccess.h"
#include "depriv/gate.h"
#include "kernel/isolate.h"
#include "kernel/paging.h"

/* Flushed also where nothing was mapped: this CPU may remember what the window was when the vcpu was here last. A table that is not loaded
 * is flushed whenever it is. */
static void window_set(struct vcpu *v, u64 window, u64 entry)
{
    window += v->index * ABI_WINDOWS;
    v->domain->windows[window] = entry;
    if (!domain_isolated(v->domain))
        invlpg((void *)(ABI_WINDOW_BASE + window * ABI_WINDOW_SIZE));
}

long window_map(struct vcpu *v, u64 window, u64 gpa)
{
    u64 frame = domain_frame_at(v->domain, gpa);
    if (!v->domain->windows)
        return -ABI_E_CALL;
    if (!frame)
        return -ABI_E_ARG;
    window_set(v, window, frame | PTE_P | PTE_W | PTE_U | PTE_PS | PTE_NX);
    v->windows |= BIT(window);
    hazard_set(v, HAZARD_MAPPED);
    return 0;
}

/* Bound: ABI_WINDOWS. */
void windows_end(struct vcpu *v)
{
    for (; v->windows; v->windows &= v->windows - 1)
        window_set(v, (u32)__builtin_ctz(v->windows), 0);
    hazard_clear(v, HAZARD_MAPPED);
}

static void copier_switch(struct vcpu *v, u64 cr3)
{
    v->cr3 = cr3;
    if (!domain_isolated(v->domain))
        write_cr3(cr3);
}

/* The crossing within a crossing: the copier starts in place of the component, which waits in its call. Preempted, the vcpu goes on here;
 * when its domain ends meanwhile, so does the call. */
static void copier_run(struct vcpu *v, u64 entry, u64 to, u64 from, u64 bytes)
{
    __typeof__(v->user) component = v->user;
    u64 rsp = v->saved_rsp;
    v->user = (__typeof__(v->user)){ .frame = to, .stack = bytes, .entry = entry, .info = from };
    copier_switch(v, v->domain->copier_cr3);
    gate_down(v, GATE_ANY);
    copier_switch(v, v->domain->cr3);
    v->user = component;
    v->saved_rsp = this_cpu()->tss.rsp[0] = rsp;
}

/* bytes is at most ABI_COPY_BYTES, less than there are between one piece of RAM and the next: its ends say what lies between. */
long guest_copy(struct vcpu *v, const u8 *entry, u64 gpa, u64 bytes, bool read)
{
    u64 frame = v->user.frame + offsetof(struct abi_frame, copy), guest = ABI_GUEST_BASE + gpa;
    if (!v->domain->copier_root)
        return -ABI_E_CALL;
    if (!bytes || !domain_frame_at(v->domain, gpa) || !domain_frame_at(v->domain, gpa + bytes - 1))
        return -ABI_E_ARG;
    copier_run(v, ABI_COMPONENT_BASE + (u64)(entry - copier_start), read ? frame : guest, read ? guest : frame, bytes);
    return 0;
}
