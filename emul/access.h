/* Memory operands: segment checks, translation, and moving bytes from and to RAM or devices, all checks before any effect. */
#ifndef EMUL_ACCESS_H
#define EMUL_ACCESS_H

#include "emul.h"
#include "walk.h"

/* A resolved operand of 1 to 8 bytes, in one page or on the seam of two. */
struct emul_place {
    uint64_t gpa[2];
    unsigned size[2];    /* bytes in each page; size[1] is 0 if there is but one */
};

/* seg:offset to a linear address with the checks for `size` bytes (SDM 3A 5.3, 5.4; 3.3.7.1 canonical). access: EMUL_PF_W,
 * EMUL_PF_FETCH. EMUL_DONE, or EMUL_FAULT with #GP(0) or #SS(0). */
int emul_linear(const struct emul_ctx *ctx, unsigned mode, unsigned seg, uint64_t offset, uint64_t size, unsigned access,
                uint64_t *linear, struct emul_result *result);

/* The whole way of an operand of 1, 2, 4 or 8 bytes: segment, alignment (#AC), page walk of each page. Answers of emul_walk(). */
int emul_resolve(const struct emul_ctx *ctx, unsigned seg, uint64_t offset, unsigned size, unsigned access, struct emul_place *place,
                 struct emul_result *result);

/* Move a resolved operand; 0, or EMUL_UNHANDLED when a callback is missing. Bytes outside RAM go to the device callbacks. */
int emul_load(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t *value, unsigned cause);
int emul_store(const struct emul_ctx *ctx, const struct emul_place *place, uint64_t value, unsigned cause);

/* Fetches at CS:RIP and decodes into result->insn and ->bytes. EMUL_DONE; EMUL_FAULT: the fetch faults; EMUL_RETRY: the bytes are
 * no valid instruction (entered again, the guest takes its #UD or #GP from the CPU). */
int emul_fetch(const struct emul_ctx *ctx, struct emul_result *result);

/* Access bits of the current privilege. */
unsigned emul_user(const struct emul_ctx *ctx);

#endif
