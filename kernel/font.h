/* The letters of the framebuffer. */
#ifndef KERNEL_FONT_H
#define KERNEL_FONT_H

#include "kernel/base.h"

#define FONT_FIRST   32u
#define FONT_GLYPHS  95u
#define FONT_COLUMNS 8u
#define FONT_ROWS    8u

extern const u8 font[FONT_GLYPHS][FONT_ROWS]; /* from FONT_FIRST on; the left dot is bit 7 */

#endif
