/* libFuzzer target: the decoder stays within its bytes, within 15 of them, and agrees with itself on input cut anywhere or padded.
 *
 * clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I . -o fuzz_decode \
 *     tests/host/fuzz_decode.c emul/decode*.c emul/tables*.c
 * ./fuzz_decode -max_len=20 -max_total_time=60
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "emul/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        __builtin_trap();
}

/* The same instruction in a buffer of its own size: ASan sees a byte too many. */
static int decode_exact(struct emul_insn *insn, const uint8_t *data, unsigned size, unsigned mode)
{
    uint8_t *exact = malloc(size + !size);
    int answer;

    check(exact != NULL);
    memcpy(exact, data, size);
    answer = emul_decode(insn, exact, size, mode);
    free(exact);
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emul_insn insn, again;
    uint8_t padded[EMUL_INSN_MAX + 1] = { 0 };
    unsigned mode = size ? data[0] % 3 | (data[0] & 0x80 ? EMUL_MODE_AMD : 0) : 0;
    int length;

    if (!size)
        return 0;
    data++;
    size--;
    length = decode_exact(&insn, data, size, mode);
    check(length <= (int)(size < EMUL_INSN_MAX ? size : EMUL_INSN_MAX) && length >= EMUL_TOO_LONG && length);
    check(length != EMUL_NEED_MORE || size < EMUL_INSN_MAX);
    check(length != EMUL_TOO_LONG || size >= EMUL_INSN_MAX);
    memcpy(padded, data, size < sizeof(padded) ? size : sizeof(padded));
    if (length != EMUL_NEED_MORE) /* all there is to see is there: more bytes change nothing */
        check(emul_decode(&again, padded, sizeof(padded), mode) == length);
    if (length <= 0)
        return 0;
    check(!memcmp(&again, &insn, sizeof(insn)));
    check(insn.length == length && insn.op != EMUL_BAD && insn.op < EMUL_OPS_END && insn.seg < EMUL_SEGS);
    check(insn.reg < 32 && insn.rm < 32 && insn.map < EMUL_MAPS && (insn.base < EMUL_GPRS || insn.base >= EMUL_REG_RIP));
    check(insn.index < 32 || insn.index == EMUL_REG_NONE);
    check(emul_op_name(insn.op)[0] != '?');
    for (int cut = 0; cut < length; cut++)
        check(decode_exact(&again, data, cut, mode) == EMUL_NEED_MORE);
    return 0;
}
