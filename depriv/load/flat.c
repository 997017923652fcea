/* Image kind `flat`: raw bytes at `load`, entered at `entry` in 16-, 32- or 64-bit mode. */
#include "depriv/load/flat.h"

#include "depriv/load/state.h"

#define REAL_CODE_END 0x100000ull /* the last byte that a real-mode CS:IP without A20 tricks can name, plus 1 */

static enum abi_status find_mode(struct boot *b, enum state_mode *mode)
{
    static const struct { uint32_t bits; enum state_mode mode; } modes[] = {
        { 16, STATE_REAL }, { 32, STATE_PROTECTED }, { 64, STATE_LONG },
    };
    uint32_t bits = b->loader->words.bits;

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (modes[i].bits == bits) {
            *mode = modes[i].mode;
            return ABI_OK;
        }
    }
    return boot_refuse(b, "bits is %u, not 16, 32 or 64", bits);
}

static enum abi_status check_entry(struct boot *b, enum state_mode mode)
{
    const struct load_words *words = &b->loader->words;

    if (words->entry < words->load || words->entry - words->load >= b->size)
        return boot_refuse(b, "entry 0x%lx is outside the image, 0x%lx bytes at 0x%lx", words->entry, b->size, words->load);
    if (mode == STATE_REAL && words->entry >= REAL_CODE_END)
        return boot_refuse(b, "entry 0x%lx is out of reach in real mode", words->entry);
    return ABI_OK;
}

enum abi_status flat_load(struct boot *b)
{
    const struct load_words *words = &b->loader->words;
    enum state_mode mode = STATE_REAL;
    uint64_t line;
    enum abi_status status = find_mode(b, &mode);

    if (!status && words->modules > 1)
        status = boot_refuse(b, "modules: the image is the only one, %u are given", words->modules);
    if (!status)
        status = boot_claim(b, words->load, b->size, "load");
    if (!status)
        status = check_entry(b, mode);
    if (status)
        return status;
    guestmem_write(b->mem, words->load, b->image, b->size, ABI_FOR_LOAD);

    status = state_enter(b, mode, words->entry);
    if (status || mode == STATE_REAL)
        return status;
    status = boot_place_string(b, "command line", words->module[0].line, &line);
    b->loader->frame->gpr[ABI_RSI] = line;
    return status;
}
