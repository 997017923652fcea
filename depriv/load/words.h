/* What the boot loader's lines say to the loader: kind and place of the image, its command line, which module is the initrd. */
#ifndef DEPRIV_LOAD_WORDS_H
#define DEPRIV_LOAD_WORDS_H

#include "depriv/load/load.h"

/* Fills loader->words from the modules' lines, whose words ring 0 has cut and checked as far as they are its own. ABI_OK, or ABI_REFUSE with
 * the word at fault in frame->text. */
enum abi_status words_read(struct loader *l);

#endif
