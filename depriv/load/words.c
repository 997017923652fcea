/* What the boot loader's lines say to the loader: kind and place of the image, its command line, which module is the initrd. */
#include "depriv/load/words.h"

#include "depriv/format.h"
#include "depriv/words.h"

#define LINE_MAX 2048u
#define ADDRESS_MAX 0xffffffffull

static const char *const kind_names[LOAD_KINDS] = { "linux", "multiboot", "pvh", "flat", "firmware" };

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static enum abi_status refuse(struct loader *l, const char *word, const char *why)
{
    text_format(l->frame->text, ABI_TEXT_BYTES, "load: %s: %s", word, why);
    return ABI_REFUSE;
}

/* Up to 32 bits; hexadecimal with or without 0x. */
static bool number(const char *digits, unsigned base, uint64_t *value)
{
    if (base == 16 && digits[0] == '0' && (digits[1] | 0x20) == 'x')
        digits += 2;
    *value = 0;
    if (!*digits)
        return false;
    for (; *digits; digits++) {
        char c = *digits | 0x20;
        unsigned digit = *digits >= '0' && *digits <= '9' ? (unsigned)(*digits - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
        *value = *value * base + digit;
        if (digit >= base || *value > ADDRESS_MAX)
            return false;
    }
    return true;
}

static enum abi_status read_kind(struct loader *l, const char *word, const char *value)
{
    for (l->words.kind = 0; l->words.kind < LOAD_KINDS; l->words.kind++)
        if (equal(value, kind_names[l->words.kind]))
            return ABI_OK;
    return refuse(l, word, "one of linux multiboot pvh flat firmware is needed");
}

static enum abi_status read_address(struct loader *l, const char *word, const char *value, uint64_t *address)
{
    return number(value, 16, address) ? ABI_OK : refuse(l, word, "a hexadecimal number up to ffffffff is needed");
}

static enum abi_status read_bits(struct loader *l, const char *word, const char *value)
{
    uint64_t bits = 0;

    if (!number(value, 10, &bits) || (bits != 16 && bits != 32 && bits != 64))
        return refuse(l, word, "16, 32 or 64 is needed");
    l->words.bits = (uint32_t)bits;
    return ABI_OK;
}

/* One word of the image's line. */
static enum abi_status read_image_word(struct loader *l, const char *word)
{
    static const char *const others[] = { "role", "mem", "vcpus", "cpu", "depriv", "emulate", "guestmem" }; /* ring 0 has taken them */
    const char *value;

    if ((value = word_value(word, "domain"))) {
        text_format(l->words.domain, sizeof(l->words.domain), "%s", value);
        return ABI_OK;
    }
    if ((value = word_value(word, "kind")))
        return read_kind(l, word, value);
    if ((value = word_value(word, "load")))
        return read_address(l, word, value, &l->words.load);
    if ((value = word_value(word, "entry")))
        return read_address(l, word, value, &l->words.entry);
    if ((value = word_value(word, "bits")))
        return read_bits(l, word, value);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (word_value(word, others[i]))
            return ABI_OK;
    return refuse(l, word, "unknown: kind= load= entry= bits= domain= role= mem= vcpus= cpu= depriv= emulate= guestmem= and -- are known");
}

/* Cuts module n's line; *initrd: it says role=initrd. */
static enum abi_status read_line(struct loader *l, unsigned n, struct load_module *m, bool *initrd)
{
    static char words[LINE_MAX];
    const char *text = l->info->strings + l->info->module[n].line, *value;
    char *at = words, *word;
    enum abi_status status = ABI_OK;

    *initrd = false;
    text_format(words, sizeof(words), "%s", text);
    while ((word = word_next(&at, words)) && at && !equal(word, "--")) {
        if ((value = word_value(word, "role")))
            *initrd = equal(value, "initrd");
        if (n == 0 && (status = read_image_word(l, word)))
            return status;
    }
    if (!at)
        return refuse(l, word, "a double quote has no partner");
    m->line = word ? text + (at - words) : "";
    while (*m->line == ' ')
        m->line++;
    return ABI_OK;
}

/* Module n is put behind those before it; the initrd behind the image. */
static enum abi_status add_module(struct loader *l, unsigned n)
{
    struct load_words *w = &l->words;
    struct load_module m = { (const uint8_t *)(ABI_MODULE_BASE + n * ABI_MODULE_STRIDE), l->info->module[n].size, "" };
    bool initrd;
    enum abi_status status = read_line(l, n, &m, &initrd);
    unsigned at = w->modules++;

    if (status)
        return status;
    if (initrd && w->has_initrd)
        return refuse(l, "role=initrd", "two modules have it");
    for (; initrd && at > 1; at--)
        w->module[at] = w->module[at - 1];
    w->module[at] = m;
    w->has_initrd |= initrd;
    return ABI_OK;
}

enum abi_status words_read(struct loader *l)
{
    const struct abi_info *info = l->info;
    enum abi_status status = ABI_OK;

    l->words = (struct load_words){ .kind = LOAD_KINDS, .load = 0x100000, .entry = ~0ull, .bits = 64 };
    if (info->strings[sizeof(info->strings) - 1])
        return refuse(l, "strings", "they do not end");
    if (!info->modules || info->modules > ABI_MODULES_MAX)
        return refuse(l, "modules", "too many or none, or their lines are longer than 3583 bytes in all"); /* the setup program says none then */;
    for (unsigned i = 0; !status && i < info->modules; i++)
        status = info->module[i].line < sizeof(info->strings) ? add_module(l, i) : refuse(l, "strings", "a line is outside");
    if (!status && l->words.kind == LOAD_KINDS)
        status = refuse(l, "kind=", "missing: linux multiboot pvh flat firmware");
    if (l->words.entry == ~0ull)
        l->words.entry = l->words.load;
    return status;
}
