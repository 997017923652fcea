/* Ring 3: what the runtime offers to the parts of the component. */
#ifndef DEPRIV_RUNTIME_H
#define DEPRIV_RUNTIME_H

#include "depriv/abi.h"

/* ustart.asm: one call to ring 0; result as abi.h says. */
long abi_call(const struct abi_info *info, uint32_t number, uint64_t argument);

/* ustart.asm enters here for every operation; the reply is left in the frame. */
void component_main(struct abi_frame *f, const struct abi_info *info);

#endif
