/* Guest memory for a ring 3 that does not have it mapped: windows for one operation, and copies by the copier. Ring 0 itself maps none. */
#ifndef DEPRIV_GUESTACCESS_H
#define DEPRIV_GUESTACCESS_H

#include "kernel/vcpu.h"

/* copier.asm: two entries of one page, which runs in ring 3 on a table of its own. */
extern const u8 copier_start[], copier_move[], copier_cmpxchg[];

/* The calls, with the limits of their rows in abi.h. 0, -ABI_E_ARG: that is not RAM, or -ABI_E_CALL: not with this domain's guestmem=. */
long window_map(struct vcpu *v, u64 window, u64 gpa);
long guest_copy(struct vcpu *v, const u8 *entry, u64 gpa, u64 bytes, bool read);

void windows_end(struct vcpu *v); /* the operation has ended: none of its windows stays mapped */

#endif
