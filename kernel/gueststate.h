/* Guest state in its neutral form, for both vendors: its groups, its value after reset, the rules that every CPU has for it. */
#pragma once

#include "depriv/abi.h"
#include "kernel/arch.h"

/* Bits of abi_segment.attr. */
enum { ATTR_TYPE = 0xf, ATTR_S = BIT(4), ATTR_P = BIT(7), ATTR_L = BIT(13), ATTR_DB = BIT(14), ATTR_G = BIT(15), ATTR_KNOWN = 0x1f0ff };
#define ATTR_DPL(attr) ((attr) >> 5 & 3)

/* What decoding and address translation take; the rest of an operation's state by ABI_CALL_STATE_GET, if it is needed. */
#define STATE_CODE (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_CR)

/* What the rules about any group read besides that group. */
#define GUEST_RULE_INPUTS (ABI_STATE_RIP | ABI_STATE_CS | ABI_STATE_SEGS | ABI_STATE_SYSTEM | ABI_STATE_CR)

/* One rule: whether it is broken now, and its name. The functions below return the name of the first that is broken, or NULL. */
struct rule {
    bool broken;
    const char *text;
};
const char *rule_broken(const struct rule *rules, u32 n);
const char *guest_rule_broken(const struct abi_state *s, u32 groups);        /* rules that a change of these groups can break */

/* MSRs that the guest reads and writes without an exit: those that VM entry, VMLOAD or the load of a vcpu switches. */
#define MSRS_PASSED 10u
extern const u32 msrs_passed[MSRS_PASSED];

bool pat_legal(u64 pat);
void state_copy(struct abi_state *to, const struct abi_state *from, u32 groups); /* what is in none of them stays */
void state_reset(struct abi_state *s);                                       /* a CPU after reset */

static inline bool segment_usable(const struct abi_segment *g) { return !(g->attr & ABI_SEG_UNUSABLE); }

/* CS is a 64-bit code segment of IA-32e mode. */
static inline bool state_code64(const struct abi_state *s) { return s->efer & EFER_LMA && s->seg[ABI_CS].attr & ATTR_L; }

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
