/* Guest page walk: linear to guest-physical, with the exact page fault (SDM 3A 4.3 to 4.7). */
#ifndef EMUL_WALK_H
#define EMUL_WALK_H

#include "emul.h"

/* Bits of the page-fault error code, SDM 3A 4.7; W, U and FETCH also say what an access is. */
#define EMUL_PF_P      0x01u
#define EMUL_PF_W      0x02u
#define EMUL_PF_U      0x04u
#define EMUL_PF_RSVD   0x08u
#define EMUL_PF_FETCH  0x10u
#define EMUL_PF_PK     0x20u
#define EMUL_IMPLICIT  0x100u /* supervisor access that is not the instruction's own (descriptor tables): SMAP despite AC */

/* Translates `linear` for an access (EMUL_PF_W, _U, _FETCH, EMUL_IMPLICIT). EMUL_DONE: *gpa; accessed and dirty flags are set.
 * EMUL_FAULT: #PF in result. EMUL_RETRY: other vcpus kept changing the tables. EMUL_UNHANDLED: a callback is missing.
 * A table outside RAM reads as all ones. At most 5 levels, WALK_TRIES times. */
int emul_walk(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result);

#endif
