/* Entry bits of nested page tables: the format of an ordinary long-mode table (APM2 15.25.5). */
#include "kernel/paging.h"
#include "svm/svm.h"

/* Every nested access counts as a user access, so U is needed at each level; no NX: the guest executes its RAM. PWT and PCD clear select
 * PA0 of the host's PAT, write-back, and leave the type to the guest's own tables and G_PAT (APM2 15.25.8). */
u64 svm_nested_entry(bool leaf, bool write)
{
    (void)leaf;
    return PTE_P | PTE_U | (write ? PTE_W : 0);
}
