/* Extended page tables: bits of their entries and of their pointer, and when translations are dropped (SDM 3C 28.2.2, 28.3.3).
 * kernel/paging.c builds the tables; they do not change while their domain lives. */
#include "vmx/ept.h"
#include "kernel/cpu.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"

/* Counts the domains built so far. A new one may reuse the table's page or the VPIDs of one that has ended: each CPU drops everything
 * before it runs a vcpu for the first time since. */
static u64 generation = 1;

u64 ept_entry(bool leaf, bool write)
{
    if (!leaf)
        return EPT_READ | EPT_WRITE | EPT_EXECUTE;
    return EPT_READ | (write ? EPT_WRITE : 0) | EPT_EXECUTE | EPT_WB;
}

u64 ept_pointer(u64 capability)
{
    return EPTP_WB | EPTP_4LEVEL | (capability & EPT_CAP_DIRTY ? EPTP_DIRTY : 0);
}

void ept_reused(void)
{
    __atomic_add_fetch(&generation, 1, __ATOMIC_SEQ_CST);
}

void ept_flush_stale(struct cpu *cpu, bool vpid)
{
    u64 now = READ_ONCE(generation);
    if (cpu->hvm_page2 == now)
        return;
    cpu->hvm_page2 = now;
    invept_all(EPT_ALL);
    if (vpid)
        invvpid(VPID_ALL, 0);
}
