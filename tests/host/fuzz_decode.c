/* libFuzzer target: the decoder stays within its bytes, within 15 of them, and agrees with itself on cut and padded input.
 *
 * clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I . -o fuzz_decode \
 *     tests/host/fuzz_decode.c emul/decode.c emul/decode_vex.c emul/tables.c emul/tables_vex.c
 * ./fuzz_decode -max_len=17 -max_total_time=60
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "emul/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emul_insn insn, again;
    unsigned mode = size ? data[0] % 3 | (data[0] & 0x80 ? EMUL_MODE_AMD : 0) : 0;
    int length;

    if (!size)
        return 0;
    data++;
    size--;
    length = emul_decode(&insn, data, size, mode);
    check(length <= (int)(size < EMUL_INSN_MAX ? size : EMUL_INSN_MAX));
    check(length != EMUL_NEED_MORE || size < EMUL_INSN_MAX);
    check(length != EMUL_TOO_LONG || size >= EMUL_INSN_MAX);
    if (length <= 0)
        return 0;
    check(insn.length == length && insn.op != EMUL_BAD && insn.op < EMUL_OPS_END && insn.seg < EMUL_SEGS);
    check(insn.reg < 32 && insn.rm < 32 && (insn.base < EMUL_GPRS || insn.base >= EMUL_REG_RIP));
    check(emul_decode(&again, data, length, mode) == length && !memcmp(&again, &insn, sizeof(insn)));
    check(emul_decode(&again, data, length - 1, mode) == EMUL_NEED_MORE);
    return 0;
}
