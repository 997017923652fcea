/* Guest state in its neutral form, for both vendors: its groups, and what of it ring 0 must look at. */
#pragma once

#include "depriv/abi.h"
#include "kernel/arch.h"

#define ATTR_L BIT(13) /* of abi_segment.attr */

/* What decoding and address translation take; the rest of an operation's state by ABI_CALL_STATE_GET, if it is needed. */
#define STATE_CODE (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_CR)

/* NULL, or what ring 0 cannot take of these groups: see gueststate.c. */
const char *state_refused(const struct abi_state *s, u32 groups);

/* MSRs that the guest reads and writes without an exit: those that VM entry, VMLOAD or the load of a vcpu switches. */
#define MSRS_PASSED 10u
extern const u32 msrs_passed[MSRS_PASSED];

bool pat_legal(u64 pat);

/* Bit n: segment n is in one of these groups. */
static inline u32 state_segments(u32 groups)
{
    u32 data = BIT(ABI_DS) | BIT(ABI_ES) | BIT(ABI_FS) | BIT(ABI_GS);
    return (groups & ABI_STATE_CS ? BIT(ABI_CS) | BIT(ABI_SS) : 0) | (groups & ABI_STATE_SEGS ? data : 0) |
           (groups & ABI_STATE_SYSTEM ? BIT(ABI_LDTR) | BIT(ABI_TR) : 0);
}

/* wide: 57 bits count, otherwise 48. */
static inline bool canonical(u64 address, bool wide)
{
    u32 unused = wide ? 64 - 57 : 64 - 48;
    return (u64)((long)(address << unused) >> unused) == address;
}
