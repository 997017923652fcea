/* The words of a line from the boot loader, in both rings. */
#include "depriv/words.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

char *word_next(char **at, const char *line)
{
    char *p = *at, *word, *out;
    bool quoted = false, first = p == line;
    while (is_blank(*p))
        p++;
    if (!*p)
        return NULL;
    for (word = out = p; *p && (quoted || !is_blank(*p)); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\\' && p[1])
            *out++ = *++p;
        else
            *out++ = *p;
    }
    *at = quoted ? NULL : *p ? p + 1 : p;
    *out = 0;
    return first && word[0] == '/' && *at ? word_next(at, line) : word;
}

const char *word_value(const char *word, const char *name)
{
    while (*name && *name == *word) {
        name++;
        word++;
    }
    return !*name && *word == '=' ? word + 1 : NULL;
}
