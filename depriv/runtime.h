/* Ring 3: what the runtime offers to the parts of the component. */
#ifndef DEPRIV_RUNTIME_H
#define DEPRIV_RUNTIME_H

#include "depriv/abi.h"

/* ustart.asm: one call to ring 0; result as abi.h says. */
long abi_call3(const struct abi_info *info, uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3);

/* abi_log(info), abi_console_read(info, a1), ...: one stub for each row of ABI_CALLS, with as many arguments as it says. */
#define ABI_PARAMETERS_0
#define ABI_PARAMETERS_1 , uint64_t a1
#define ABI_PARAMETERS_2 ABI_PARAMETERS_1, uint64_t a2
#define ABI_PARAMETERS_3 ABI_PARAMETERS_2, uint64_t a3
#define ABI_VALUES_0 0, 0, 0
#define ABI_VALUES_1 a1, 0, 0
#define ABI_VALUES_2 a1, a2, 0
#define ABI_VALUES_3 a1, a2, a3
#define ABI_STUB(nr, NAME, name, n, ...) \
    static inline long abi_##name(const struct abi_info *info ABI_PARAMETERS_##n) { return abi_call3(info, nr, ABI_VALUES_##n); }
ABI_CALLS(ABI_STUB)

/* A call of one argument by its number. */
static inline long abi_call(const struct abi_info *info, uint32_t number, uint64_t argument)
{
    return abi_call3(info, number, argument, 0, 0);
}

/* ustart.asm enters here for every operation; the reply is left in the frame. */
void component_main(struct abi_frame *f, const struct abi_info *info);

#endif
