/* The hypervisor's command line and the modules' lines, by tables. An unknown word of the command line stops; those of an image's line are
 * the loader's, in ring 3, which knows them or refuses the image. */
#include "depriv/setup/setup.h"
#include "depriv/words.h"

enum role { ROLE_IMAGE, ROLE_INITRD, ROLE_MODULE, ROLE_COMPONENT };

struct module_words { /* what one module line says */
    struct abi_domain config;
    u32 role;
    const char *image_word;     /* the last of the words that only an image may have */
};

/* One word of the form name=value: a decimal number in [low, high], or one of some names, by its place counted from low. */
struct word_row {
    const char *name;
    const char *names;          /* in the order of their enum, a blank between; NULL: a number */
    u64 low, high;
    u32 offset, bytes;          /* of the field */
};
#define NUMBER_END (1ul << 40) /* more than any limit */
#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)

static const struct word_row option_words[] = {
    { "log", "com1 com2", 1, 0, FIELD(abi_plan, log_port) },
    { "cpus", NULL, 1, ABI_CPUS_MAX, FIELD(abi_plan, cpus) },
    { "pool", NULL, 4, 256, FIELD(abi_plan, pool) },
    { "depriv.quanta", NULL, 1, 1000000, FIELD(abi_plan, quanta) },
    { "aspace", "shared isolated", ABI_ASPACE_SHARED, 0, FIELD(abi_plan, aspace) },
};
#define OPTIONS_FIRST 1u /* log */
static const struct word_row end_word[] = { { "end", "poweroff halt reboot isa-debug bochs", END_POWEROFF, 0, FIELD(setup, end) } };

static const struct word_row role_word[] = { { "role", "image initrd module component", ROLE_IMAGE, 0, FIELD(module_words, role) } };
static const struct word_row image_words[] = { /* of a domain, and, on the command line, of those that do not say */
    { "mem", NULL, 2, 16384, FIELD(module_words, config.mem) },
    { "vcpus", NULL, 1, ABI_VCPUS_MAX, FIELD(module_words, config.vcpus) },
    { "cpu", NULL, 0, ABI_CPUS_MAX - 1, FIELD(module_words, config.cpu) },
    { "depriv", NULL, 0, 3, FIELD(module_words, config.depriv) },
    { "emulate", "exits forced all", EMULATE_EXITS, 0, FIELD(module_words, config.emulate) },
    { "guestmem", "map window copy", ABI_GUESTMEM_MAP, 0, FIELD(module_words, config.guestmem) },
};

static char *next_word(char **at, const char *line)
{
    char *word = word_next(at, line);
    if (!*at)
        stop("%s: a double quote has no partner", word);
    return word;
}

static u64 number(const char *word, const char *digits, const struct word_row *row)
{
    u64 v = 0;
    for (const char *d = digits; *d && v < NUMBER_END; d++) {
        if (*d < '0' || *d > '9')
            stop("%s: not a decimal number", word);
        v = v * 10 + (u64)(*d - '0');
    }
    if (!*digits || v < row->low || v > row->high)
        stop("%s: a number from %lu to %lu is needed", word, row->low, row->high);
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
static bool word_take(const char *word, const struct word_row *rows, u32 count, void *to)
{
    for (const struct word_row *row = rows; row < rows + count; row++) {
        const char *value = word_value(word, row->name);
        u64 v;
        if (!value)
            continue;
        v = row->names ? chosen(word, value, row) : number(word, value, row);
        memcpy((char *)to + row->offset, &v, row->bytes);
        return true;
    }
    return false;
}

/* Takes the words that the first `rows` rows know, and with `defaults` all: those that are left must be of an image. */
static void options_words(struct setup *s, u32 rows, struct module_words *defaults)
{
    char line[SETUP_LINE_MAX], *at = line, *word;
    str_copy(line, s->line, sizeof(line));
    while ((word = next_word(&at, line)) != NULL) {
        if (str_equal(word, "quiet"))
            plan.quiet = true;
        else if (!word_take(word, option_words, rows, &plan) && !word_take(word, end_word, 1, s) && defaults &&
                 !word_take(word, image_words, ARRAY_SIZE(image_words), defaults))
            stop("unknown option %s: log= end= cpus= pool= depriv.quanta= aspace= quiet, and mem= vcpus= cpu= depriv= emulate= guestmem= are known", word);
    }
}

void options_first(struct setup *s)
{
    options_words(s, OPTIONS_FIRST, NULL);
}

static struct abi_domain *find_domain(const char *name)
{
    for (u32 i = 0; i < plan.domains; i++)
        if (str_equal(plan.domain[i].name, name))
            return &plan.domain[i];
    return NULL;
}

static void module_name(struct abi_domain *c, const char *word, const char *name)
{
    if (!*name || strlen(name) >= ABI_NAME_BYTES)
        stop("%s: a name of 1 to %u characters is needed", word, ABI_NAME_BYTES - 1);
    for (const char *n = name; *n; n++)
        if (*n <= ' ' || *n > '~')
            stop("%s: a name of letters, digits and punctuation is needed", word);
    str_copy(c->name, name, ABI_NAME_BYTES);
}

/* Cuts the words of a line, up to "--" or its end. */
static void module_line(char *line, struct module_words *m)
{
    char *at = line, *word;
    while ((word = next_word(&at, line)) != NULL && !str_equal(word, "--")) {
        const char *name = word_value(word, "domain");
        if (name)
            module_name(&m->config, word, name);
        else if (!word_take(word, role_word, ARRAY_SIZE(role_word), m))
            m->image_word = word;
        word_take(word, image_words, ARRAY_SIZE(image_words), m);
    }
}

/* The domain's loader gets the lines as they are. */
static void add_module(struct abi_domain *c, const struct setup_module *b)
{
    u32 n = c->modules, used = n ? c->info.module[n - 1].line + (u32)strlen(c->info.strings + c->info.module[n - 1].line) + 1 : 0;
    if (n == ABI_MODULES_MAX)
        stop("domain=%s: more than %u modules", c->name, ABI_MODULES_MAX);
    c->modules++;
    c->range[n] = (struct abi_range){ b->start, b->end };
    c->too_long |= used + strlen(b->line) >= sizeof(c->info.strings);
    c->info.module[n] = (struct abi_module){ .size = b->end - b->start, .line = c->too_long ? 0 : used };
    if (!c->too_long)
        str_copy(c->info.strings + used, b->line, sizeof(c->info.strings) - used);
}

static void add_image(const struct module_words *m, const struct setup_module *b)
{
    struct abi_domain *c = &plan.domain[plan.domains];
    if (find_domain(m->config.name))
        stop("domain=%s: two images have this name", m->config.name);
    if (plan.domains == ABI_DOMAINS_MAX)
        stop("domain=%s: more than %u domains", m->config.name, ABI_DOMAINS_MAX);
    if (m->config.vcpus != 1)
        stop("vcpus=%u: guests with several vcpus are not supported yet, use vcpus=1", m->config.vcpus);
    if (m->config.depriv == 0 && m->config.guestmem != ABI_GUESTMEM_MAP)
        stop("domain=%s: depriv=0 has guestmem=map", m->config.name);
    plan.domains++;
    *c = m->config;
    c->mem = ALIGN_UP(c->mem * MIB, PAGE_2M);
    add_module(c, b);
}

static void attach(const struct module_words *m, const struct setup_module *b)
{
    struct abi_domain *c = find_domain(m->config.name);
    if (!c)
        stop("domain=%s: no module with role=image has this name", m->config.name);
    if (m->image_word)
        stop("%s: domain %s has it in the line of a module without role=image, where it has no meaning", m->image_word, c->name);
    if (m->role != ROLE_COMPONENT) {
        add_module(c, b);
        return;
    }
    if (c->component.end)
        stop("domain=%s: two modules with role=component", c->name);
    if (c->depriv == 0)
        stop("domain=%s: depriv=0 would run its own component in ring 0", c->name);
    c->component = (struct abi_range){ b->start, b->end };
}

/* Images first, so that what belongs to them may come in any order. */
static void modules_pass(const struct setup *s, const struct module_words *defaults, bool images)
{
    for (u32 i = 0; i < s->modules; i++) {
        char line[SETUP_LINE_MAX];
        struct module_words m = *defaults;
        str_copy(line, s->module[i].line, sizeof(line));
        module_line(line, &m);
        if (!m.config.name[0])
            stop("module %u: domain=NAME is missing in its line: %s", i, s->module[i].line);
        if ((m.role == ROLE_IMAGE) == images)
            (images ? add_image : attach)(&m, &s->module[i]);
    }
}

void options_parse(struct setup *s)
{
    struct module_words defaults = { .config = { .mem = 256, .vcpus = 1, .cpu = ~0u, .depriv = 3 } };
    options_words(s, ARRAY_SIZE(option_words), &defaults);
    modules_pass(s, &defaults, true);
    modules_pass(s, &defaults, false);
    if (!plan.domains)
        stop("no domain: give GRUB a module2 line such as: module2 /vmlinuz domain=linux kind=linux mem=256 -- console=ttyS0");
}
