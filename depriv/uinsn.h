/* Ring 3: the operations that need the instruction library. */
#ifndef DEPRIV_UINSN_H
#define DEPRIV_UINSN_H

#include "depriv/abi.h"
#include "depriv/guestmem.h"
#include "depriv/runtime.h"
#include "devices/platform.h"

/* ABI_OP_MMIO, and each other operation on an instruction; the answer is left in the frame. */
void insn_mmio(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem);
void insn_operation(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem);

#endif
