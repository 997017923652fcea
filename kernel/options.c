/* The hypervisor's command line and the modules' lines, by tables: each word has a row, an unknown one stops with its name. */
#include "kernel/options.h"
#include "kernel/log.h"

struct options options = { .log_port = 1, .depriv = 3, .quanta = 100 };
struct domain_config domain_configs[DOMAINS_MAX];
u32 domain_config_count;

enum role { ROLE_IMAGE, ROLE_INITRD, ROLE_MODULE, ROLE_COMPONENT };
#define KIND_NONE ~0u

struct module_words { /* what one module line says */
    struct domain_config config;
    u32 role;
    const char *image_word;     /* the last of the words that only an image may have */
    const char *rest;           /* behind "--", or NULL */
};

/* One word of the form name=value: a number of a base in [low, high], or one of some names, by its place counted from low. */
struct word_row {
    const char *name;
    const char *names;          /* in the order of their enum, a blank between; NULL: a number */
    u64 low, high;
    u32 base;
    u32 offset, bytes;          /* of the field */
};
#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)

static const struct word_row option_words[] = {
    { "log",  "com1 com2", 1, 0, 0, FIELD(options, log_port) },
    { "end",  "poweroff halt reboot isa-debug bochs", END_POWEROFF, 0, 0, FIELD(options, end) },
    { "cpus", NULL, 1, CPUS_MAX_OPTION, 10, FIELD(options, cpus) },
    { "pool", NULL, 4, 256, 10, FIELD(options, pool) },
    { "depriv", NULL, 0, 3, 10, FIELD(options, depriv) },
    { "emulate", "exits forced all", EMULATE_EXITS, 0, 0, FIELD(options, emulate) },
    { "guestmem", "map window copy", ABI_GUESTMEM_MAP, 0, 0, FIELD(options, guestmem) },
    { "depriv.quanta", NULL, 1, 1000000, 10, FIELD(options, quanta) },
};
#define OPTIONS_FIRST 2u /* log and end: they say where a complaint about the others goes, and how it ends */

static const struct word_row module_words[] = {
    { "role",  "image initrd module component", ROLE_IMAGE, 0, 0, FIELD(module_words, role) },
    { "kind",  "linux multiboot pvh flat firmware", ABI_KIND_LINUX, 0, 0, FIELD(module_words, config.kind) },
    { "mem",   NULL, 2, 16384, 10, FIELD(module_words, config.mem) },
    { "vcpus", NULL, 1, ABI_VCPUS_MAX, 10, FIELD(module_words, config.vcpus) },
    { "load",  NULL, 0, 0xffffffff, 16, FIELD(module_words, config.load) },
    { "entry", NULL, 0, 0xffffffff, 16, FIELD(module_words, config.entry) },
    { "bits",  NULL, 16, 64, 10, FIELD(module_words, config.bits) },
    { "cpu",   NULL, 0, CPUS_MAX_OPTION - 1, 10, FIELD(module_words, config.cpu) },
    { "depriv", NULL, 0, 3, 10, FIELD(module_words, config.depriv) },
    { "emulate", "exits forced all", EMULATE_EXITS, 0, 0, FIELD(module_words, config.emulate) },
    { "guestmem", "map window copy", ABI_GUESTMEM_MAP, 0, 0, FIELD(module_words, config.guestmem) },
};

/* Cuts the next word off *at: blanks end it, double quotes group, a backslash takes the next character as it is. NULL at the end. */
static char *next_word(char **at)
{
    char *p = *at, *word, *out;
    bool quoted = false;
    while (*p == ' ' || *p == '\t')
        p++;
    if (!*p)
        return NULL;
    for (word = out = p; *p && (quoted || (*p != ' ' && *p != '\t')); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\\' && p[1])
            *out++ = *++p;
        else
            *out++ = *p;
    }
    *at = *p ? p + 1 : p;
    *out = 0;
    if (quoted)
        stop("%s: a double quote has no partner", word);
    return word;
}

/* What follows "name=", or NULL when the word is another. */
static const char *value_of(const char *word, const char *name)
{
    while (*name && *name == *word) {
        name++;
        word++;
    }
    return !*name && *word == '=' ? word + 1 : NULL;
}

static u32 digit(char c)
{
    return c >= '0' && c <= '9' ? (u32)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (u32)((c | 32) - 'a' + 10) : 99;
}

static u64 number(const char *word, const char *digits, const struct word_row *row)
{
    u64 v = 0;
    if (row->base == 16 && digits[0] == '0' && (digits[1] | 32) == 'x')
        digits += 2;
    for (const char *d = digits; *d && v < BIT(40); d++) {
        if (digit(*d) >= row->base)
            stop("%s: not a number of base %u", word, row->base);
        v = v * row->base + digit(*d);
    }
    if (!*digits || v < row->low || v > row->high)
        stop(row->base == 16 ? "%s: a number from %lx to %lx is needed" : "%s: a number from %lu to %lu is needed", word, row->low, row->high);
    return v;
}

static u64 chosen(const char *word, const char *value, const struct word_row *row)
{
    u64 v = row->low;
    size_t n;
    for (const char *name = row->names; *name; name += n + (name[n] == ' '), v++) {
        for (n = 0; name[n] && name[n] != ' '; n++)
            ;
        if (n == strlen(value) && !memcmp(name, value, n))
            return v;
    }
    stop("%s: one of %s is needed", word, row->names);
}

/* Stores the word's value if a row of the table knows it. */
static const struct word_row *word_take(const char *word, const struct word_row *rows, u32 count, void *to)
{
    for (const struct word_row *row = rows; row < rows + count; row++) {
        const char *value = value_of(word, row->name);
        u64 v;
        if (!value)
            continue;
        v = row->names ? chosen(word, value, row) : number(word, value, row);
        memcpy((char *)to + row->offset, &v, row->bytes);
        return row;
    }
    return NULL;
}

/* The next word of a line. Some put the file's name before the words, as Linux's boot loaders do: it is passed over. (Multiboot 1 does it
 * always, and boot/mbi.c takes it away.) */
static char *line_word(char **at, const char *line)
{
    bool first = *at == line;
    char *word = next_word(at);
    return word && first && word[0] == '/' ? next_word(at) : word;
}

/* Takes the words that the first `rows` rows know, and unless all of them are asked for leaves the others alone. */
static void options_words(u32 rows)
{
    static char line[BOOT_LINE_MAX];
    char *at = line, *word;
    str_copy(line, boot.line, sizeof(line));
    while ((word = line_word(&at, line)) != NULL) {
        if (str_equal(word, "quiet"))
            options.quiet = true;
        else if (!word_take(word, option_words, rows, &options) && rows == ARRAY_SIZE(option_words))
            stop("unknown option %s: log= end= cpus= pool= depriv= depriv.quanta= emulate= guestmem= and quiet are known", word);
    }
}

static struct domain_config *find_config(const char *name)
{
    for (u32 i = 0; i < domain_config_count; i++)
        if (str_equal(domain_configs[i].name, name))
            return &domain_configs[i];
    return NULL;
}

static void module_name(struct domain_config *c, const char *word, const char *name)
{
    if (!*name || strlen(name) >= DOMAIN_NAME)
        stop("%s: a name of 1 to %u characters is needed", word, DOMAIN_NAME - 1);
    for (const char *n = name; *n; n++)
        if (*n <= ' ' || *n > '~')
            stop("%s: a name of letters, digits and punctuation is needed", word);
    str_copy(c->name, name, DOMAIN_NAME);
}

static void module_word(struct module_words *m, const char *word)
{
    const struct word_row *row = word_take(word, module_words, ARRAY_SIZE(module_words), m);
    const char *name = value_of(word, "domain");
    if (name)
        module_name(&m->config, word, name);
    else if (!row)
        stop("unknown module option %s: domain= role= kind= mem= vcpus= load= entry= bits= cpu= depriv= emulate= guestmem= and -- are known", word);
    else if (row->offset != offsetof(struct module_words, role))
        m->image_word = word;
}

/* Cuts the words of a line, up to "--" or its end. */
static void module_line(char *line, struct module_words *m)
{
    char *at = line, *word;
    *m = (struct module_words){
        .config = { .kind = KIND_NONE, .mem = 256, .vcpus = 1, .load = 0x100000, .entry = ~0ul, .bits = 64, .cpu = ~0u,
        .depriv = options.depriv, .emulate = options.emulate, .guestmem = options.guestmem } };
    while ((word = line_word(&at, line)) != NULL && !str_equal(word, "--"))
        module_word(m, word);
    if (!word)
        return;
    while (*at == ' ')
        at++;
    m->rest = at;
}

static void add_image(const struct module_words *m, const struct boot_module *b)
{
    struct domain_config *c;
    if (find_config(m->config.name))
        stop("domain=%s: two images have this name", m->config.name);
    if (m->config.kind == KIND_NONE)
        stop("domain=%s: kind= is missing: linux multiboot pvh flat firmware", m->config.name);
    if (domain_config_count == DOMAINS_MAX)
        stop("domain=%s: more than %u domains", m->config.name, DOMAINS_MAX);
    if (m->config.vcpus != 1)
        stop("vcpus=%u: guests with several vcpus are not supported yet, use vcpus=1", m->config.vcpus);
    if (m->config.bits != 16 && m->config.bits != 32 && m->config.bits != 64)
        stop("bits=%u: 16, 32 or 64 is needed", m->config.bits);
    if (m->config.depriv == 0 && m->config.guestmem != ABI_GUESTMEM_MAP)
        stop("domain=%s: depriv=0 has guestmem=map", m->config.name);
    if (m->config.kind != ABI_KIND_FLAT && m->config.mem < 32)
        stop("mem=%lu: domain %s needs at least 32 MiB", m->config.mem, m->config.name);
    c = &domain_configs[domain_config_count++];
    *c = m->config;
    c->mem = ALIGN_UP(c->mem * MIB, PAGE_2M);
    c->entry = c->entry == ~0ul ? c->load : c->entry;
    c->modules = 1;
    c->module[0] = (struct module_range){ b->start, b->end - b->start, NULL };
    if (m->rest)
        str_copy(c->cmdline, m->rest, sizeof(c->cmdline));
}

static void attach(const struct module_words *m, const struct boot_module *b, const char *rest)
{
    struct domain_config *c = find_config(m->config.name);
    struct module_range r = { b->start, b->end - b->start, rest };
    u32 at;
    if (!c)
        stop("domain=%s: no module with role=image has this name", m->config.name);
    if (m->image_word)
        stop("%s: domain %s has it in the line of a module without role=image, where it has no meaning", m->image_word, c->name);
    if (m->role == ROLE_COMPONENT && c->component_size)
        stop("domain=%s: two modules with role=component", c->name);
    if (m->role == ROLE_COMPONENT && c->depriv == 0)
        stop("domain=%s: depriv=0 would run its own component in ring 0", c->name);
    if (m->role == ROLE_COMPONENT) {
        c->component_pa = r.start;
        c->component_size = r.size;
        return;
    }
    if (c->modules == ABI_MODULES_MAX)
        stop("domain=%s: more than %u modules", c->name, ABI_MODULES_MAX);
    if (m->role == ROLE_INITRD && c->has_initrd)
        stop("domain=%s: two modules with role=initrd", c->name);
    at = m->role == ROLE_INITRD ? 1 : c->modules; /* the initrd is module 1 */
    memmove(&c->module[at + 1], &c->module[at], (c->modules - at) * sizeof(r));
    c->module[at] = r;
    c->has_initrd |= m->role == ROLE_INITRD;
    c->modules++;
}

/* Images first, so that what belongs to them may come in any order. */
void options_parse(void)
{
    static char line[BOOT_LINE_MAX];
    static struct module_words m;
    options_words(OPTIONS_FIRST);
    options_words(ARRAY_SIZE(option_words));
    options.pool *= MIB;
    for (u32 pass = 0; pass < 2; pass++) {
        for (u32 i = 0; i < boot.modules; i++) {
            struct boot_module *b = &boot.module[i];
            str_copy(line, b->line, sizeof(line));
            module_line(line, &m);
            if (!m.config.name[0])
                stop("module %u: domain=NAME is missing in its line: %s", i, b->line);
            if (pass == 0 && m.role == ROLE_IMAGE)
                add_image(&m, b);
            else if (pass == 1 && m.role != ROLE_IMAGE)
                attach(&m, b, m.rest ? b->line + (m.rest - line) : NULL);
        }
    }
    if (!domain_config_count)
        stop("no domain: give GRUB a module2 line such as: module2 /vmlinuz domain=linux kind=linux mem=256 -- console=ttyS0");
}
