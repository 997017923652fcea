/* Extended page tables: bits of their entries (SDM 3C 28.2.2, tables 28-1 to 28-6). kernel/paging.c builds the tables. */
#include "vmx/ept.h"
#include "vmx/vmcs.h"

u64 ept_entry(bool leaf, bool write)
{
    if (!leaf)
        return EPT_READ | EPT_WRITE | EPT_EXECUTE;
    return EPT_READ | (write ? EPT_WRITE : 0) | EPT_EXECUTE | EPT_WB;
}
