/* The words of a line from the boot loader: ring 0 takes those that are its own, the loader in ring 3 the others. */
#ifndef DEPRIV_WORDS_H
#define DEPRIV_WORDS_H

/* Cuts the next word off *at, which begins as `line`: blanks end it, double quotes group, a backslash takes the next character as it is.
 * NULL at the end. A quote without a partner leaves NULL in *at. A first word that begins with '/' is passed over: some boot loaders put the
 * file's name there. */
char *word_next(char **at, const char *line);

/* What follows "name=", or NULL when the word is another. */
const char *word_value(const char *word, const char *name);

#endif
