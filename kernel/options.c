/* The hypervisor's command line and the modules' lines, by tables: each word has a row, an unknown one stops with its name. */
#include "kernel/options.h"
#include "kernel/log.h"

struct options options = { .log_port = 1, .depriv = 3, .quanta = 100 };
struct domain_config domain_configs[DOMAINS_MAX];
u32 domain_config_count;

enum role { ROLE_IMAGE, ROLE_INITRD, ROLE_MODULE, ROLE_COMPONENT };

struct module_words { /* what one module line says */
    struct domain_config config;
    u32 role;
    bool has_kind;
    char image_word[48];        /* the last of the words that only an image may have */
    const char *rest;           /* behind "--", or NULL */
};

struct choice { const char *name; u32 value; };
static const struct choice log_choices[] = { { "com1", 1 }, { "com2", 2 }, { NULL, 0 } };
static const struct choice end_choices[] = {
    { "poweroff", END_POWEROFF }, { "halt", END_HALT }, { "reboot", END_REBOOT }, { "isa-debug", END_ISA_DEBUG }, { "bochs", END_BOCHS }, { NULL, 0 } };
static const struct choice role_choices[] = {
    { "image", ROLE_IMAGE }, { "initrd", ROLE_INITRD }, { "module", ROLE_MODULE }, { "component", ROLE_COMPONENT }, { NULL, 0 } };
static const struct choice kind_choices[] = {
    { "linux", ABI_KIND_LINUX }, { "multiboot", ABI_KIND_MULTIBOOT }, { "pvh", ABI_KIND_PVH }, { "flat", ABI_KIND_FLAT },
    { "firmware", ABI_KIND_FIRMWARE }, { NULL, 0 } };

/* One word of the form name=value: a number in [low, high], or one of the choices. bytes: size of the field at offset. */
struct word_row {
    const char *name;
    const struct choice *choices;
    u64 low, high;
    u32 base;
    u32 offset, bytes;
};

static const struct word_row option_words[] = {
    { "log",  log_choices, 0, 0, 0, offsetof(struct options, log_port), 4 },
    { "end",  end_choices, 0, 0, 0, offsetof(struct options, end), sizeof(options.end) },
    { "cpus", NULL, 1, CPUS_MAX_OPTION, 10, offsetof(struct options, cpus), 4 },
    { "pool", NULL, 4, 256, 10, offsetof(struct options, pool), 8 },
    { "depriv", NULL, 0, 3, 10, offsetof(struct options, depriv), 4 },
    { "depriv.quanta", NULL, 1, 1000000, 10, offsetof(struct options, quanta), 4 },
};

#define OPTIONS_FIRST 2u /* log and end: they say where a complaint about the others goes, and how it ends */

static const struct word_row module_words[] = {
    { "role",  role_choices, 0, 0, 0, offsetof(struct module_words, role), 4 },
    { "kind",  kind_choices, 0, 0, 0, offsetof(struct module_words, config.kind), 4 },
    { "mem",   NULL, 2, 16384, 10, offsetof(struct module_words, config.mem), 8 },
    { "vcpus", NULL, 1, ABI_VCPUS_MAX, 10, offsetof(struct module_words, config.vcpus), 4 },
    { "load",  NULL, 0, 0xffffffff, 16, offsetof(struct module_words, config.load), 8 },
    { "entry", NULL, 0, 0xffffffff, 16, offsetof(struct module_words, config.entry), 8 },
    { "bits",  NULL, 16, 64, 10, offsetof(struct module_words, config.bits), 4 },
    { "cpu",   NULL, 0, CPUS_MAX_OPTION - 1, 10, offsetof(struct module_words, config.cpu), 4 },
    { "depriv", NULL, 0, 3, 10, offsetof(struct module_words, config.depriv), 4 },
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

static bool starts(const char *word, const char *name)
{
    size_t n = strlen(name);
    return !memcmp(word, name, n < strlen(word) ? n : strlen(word) + 1) && word[n] == '=';
}

static u64 number(const char *word, const char *digits, const struct word_row *row)
{
    u64 v = 0;
    const char *d = digits, *first;
    if (row->base == 16 && d[0] == '0' && (d[1] == 'x' || d[1] == 'X'))
        d += 2;
    first = d;
    for (; *d && v < BIT(40); d++) {
        u32 digit = *d >= '0' && *d <= '9' ? (u32)(*d - '0') : (*d | 32) >= 'a' && (*d | 32) <= 'f' ? (u32)((*d | 32) - 'a' + 10) : 99;
        if (digit >= row->base)
            stop("%s: not a number of base %u", word, row->base);
        v = v * row->base + digit;
    }
    if (d == first || v < row->low || v > row->high)
        stop(row->base == 16 ? "%s: a number from %lx to %lx is needed" : "%s: a number from %lu to %lu is needed", word, row->low, row->high);
    return v;
}

static u64 chosen(const char *word, const char *value, const struct choice *choices)
{
    char names[128] = "";
    size_t n = 0;
    for (const struct choice *c = choices; c->name; c++) {
        if (str_equal(value, c->name))
            return c->value;
        n += str_copy(names + n, " ", sizeof(names) - n);
        n += str_copy(names + n, c->name, sizeof(names) - n);
    }
    stop("%s: one of%s is needed", word, names);
}

/* Stores the word's value if a row of the table knows it. */
static const struct word_row *word_take(const char *word, const struct word_row *rows, u32 count, void *to)
{
    for (u32 i = 0; i < count; i++) {
        const char *value = word + strlen(rows[i].name) + 1;
        u64 v;
        if (!starts(word, rows[i].name))
            continue;
        v = rows[i].choices ? chosen(word, value, rows[i].choices) : number(word, value, &rows[i]);
        memcpy((char *)to + rows[i].offset, &v, rows[i].bytes);
        return &rows[i];
    }
    return NULL;
}

/* Some put the file's name before the words, as Linux's boot loaders do; multiboot 1 does it always, and boot/mbi.c takes it away. */
static bool is_path(const char *word)
{
    return word[0] == '/';
}

/* Takes the words that the first `rows` rows know, and unless all of them are asked for leaves the others alone. */
static void options_words(u32 rows)
{
    static char line[BOOT_LINE_MAX];
    char *at = line, *word;
    str_copy(line, boot.line, sizeof(line));
    for (bool first = true; (word = next_word(&at)) != NULL; first = false) {
        if (first && is_path(word))
            continue;
        if (str_equal(word, "quiet"))
            options.quiet = true;
        else if (!word_take(word, option_words, rows, &options) && rows == ARRAY_SIZE(option_words))
            stop("unknown option %s: log= end= cpus= pool= depriv= depriv.quanta= and quiet are known", word);
    }
}

static struct domain_config *find_config(const char *name)
{
    for (u32 i = 0; i < domain_config_count; i++)
        if (str_equal(domain_configs[i].name, name))
            return &domain_configs[i];
    return NULL;
}

static void module_name(struct domain_config *c, const char *word)
{
    const char *name = word + strlen("domain=");
    if (!*name || strlen(name) >= DOMAIN_NAME)
        stop("%s: a name of 1 to %u characters is needed", word, DOMAIN_NAME - 1);
    for (const char *n = name; *n; n++)
        if (*n <= ' ' || *n > '~')
            stop("%s: a name of letters, digits and punctuation is needed", word);
    str_copy(c->name, name, DOMAIN_NAME);
}

static void module_word(struct module_words *m, const char *word)
{
    const struct word_row *row;
    if (starts(word, "domain")) {
        module_name(&m->config, word);
        return;
    }
    row = word_take(word, module_words, ARRAY_SIZE(module_words), m);
    if (!row)
        stop("unknown module option %s: domain= role= kind= mem= vcpus= load= entry= bits= cpu= depriv= and -- are known", word);
    m->has_kind |= row->offset == offsetof(struct module_words, config.kind);
    if (row->offset != offsetof(struct module_words, role))
        str_copy(m->image_word, word, sizeof(m->image_word));
}

/* Cuts the words of a line, up to "--" or its end. */
static void module_line(char *line, struct module_words *m)
{
    char *at = line, *word;
    *m = (struct module_words){ .config = { .mem = 256, .vcpus = 1, .load = 0x100000, .entry = ~0ul, .bits = 64, .cpu = ~0u, .depriv = options.depriv } };
    for (bool first = true; (word = next_word(&at)) != NULL; first = false) {
        if (str_equal(word, "--")) {
            while (*at == ' ')
                at++;
            m->rest = at;
            return;
        }
        if (!first || !is_path(word))
            module_word(m, word);
    }
}

static void add_image(const struct module_words *m, const struct boot_module *b)
{
    struct domain_config *c;
    if (find_config(m->config.name))
        stop("domain=%s: two images have this name", m->config.name);
    if (!m->has_kind)
        stop("domain=%s: kind= is missing: linux multiboot pvh flat firmware", m->config.name);
    if (domain_config_count == DOMAINS_MAX)
        stop("domain=%s: more than %u domains", m->config.name, DOMAINS_MAX);
    if (m->config.vcpus != 1)
        stop("vcpus=%u: guests with several vcpus are not supported yet, use vcpus=1", m->config.vcpus);
    if (m->config.bits != 16 && m->config.bits != 32 && m->config.bits != 64)
        stop("bits=%u: 16, 32 or 64 is needed", m->config.bits);
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
    if (!c)
        stop("domain=%s: no module with role=image has this name", m->config.name);
    if (m->image_word[0])
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
    if (m->role == ROLE_INITRD) { /* the initrd is module 1 */
        memmove(&c->module[2], &c->module[1], (c->modules - 1) * sizeof(r));
        c->module[1] = r;
        c->has_initrd = true;
    } else {
        c->module[c->modules] = r;
    }
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
