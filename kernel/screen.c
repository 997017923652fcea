/* The screen: VGA text or a linear framebuffer of 24 or 32 bits a pixel, whichever the boot loader named. A full screen goes on at the
 * top, and each row is cleared when it is entered: a framebuffer is slow to read, so nothing scrolls. */
#include "kernel/screen.h"
#include "kernel/boot.h"
#include "kernel/paging.h"

enum { FONT_FIRST = 32, FONT_GLYPHS = 95, FONT_COLUMNS = 8, FONT_ROWS = 16 };
enum { TEXT_CELL = 2, TEXT_GREY = 0x0700 };
enum { PIXEL_LIGHT = 0xc8 };   /* of each colour: their order does not matter */
enum { WIDE_SCREEN = 1920, PIXELS_MAX = 8192 }; /* from here on dots have twice the size; across and down */
#define BYTES_MAX    (64 * MIB)
#define IDENTITY_END (4 * GIB) /* of the boot tables */

extern const u8 font[FONT_GLYPHS][FONT_ROWS]; /* font.asm; the left dot is bit 7 */

static u8 *base;               /* NULL: no screen */
static u32 dot;                /* pixels of a font's dot across and down; 0: text */
static u32 cell, line;         /* bytes from one letter to the next, and from one row of letters to the next */
static u32 columns, rows, row, column;

/* Takes the geometry; returns the screen's bytes, or 0 if it cannot be used. */
static u64 screen_measure(void)
{
    u32 w = boot.screen.width, h = boot.screen.height, bytes = boot.screen.text ? TEXT_CELL : boot.screen.bpp / 8;
    u64 size = (u64)boot.screen.pitch * h;
    if (!boot.screen.present || !w || !h || w > PIXELS_MAX || h > PIXELS_MAX || boot.screen.pitch < w * bytes)
        return 0;
    if (size > BYTES_MAX || boot.screen.address > DEVICE_BYTES - size)
        return 0;
    if (!boot.screen.text && boot.screen.bpp != 24 && boot.screen.bpp != 32)
        return 0;
    dot = boot.screen.text ? 0 : w >= WIDE_SCREEN ? 2 : 1;
    columns = dot ? w / (FONT_COLUMNS * dot) : w;
    rows = dot ? h / (FONT_ROWS * dot) : h;
    cell = dot ? bytes * FONT_COLUMNS * dot : bytes;
    line = dot ? boot.screen.pitch * FONT_ROWS * dot : boot.screen.pitch;
    return columns && rows ? size : 0;
}

void screen_init(bool mapped)
{
    u64 size = screen_measure();
    base = NULL; /* a stop in what follows must not use an old mapping */
    if (size && mapped)
        base = paging_map_device(boot.screen.address, size);
    else if (size && boot.screen.address + size <= IDENTITY_END)
        base = (u8 *)boot.screen.address;
}

/* Only what is lit is written: the row was cleared. */
static void glyph_draw(volatile u8 *at, u8 c)
{
    const u8 *glyph = font[c >= FONT_FIRST && c < FONT_FIRST + FONT_GLYPHS ? c - FONT_FIRST : '?' - FONT_FIRST];
    for (u32 y = 0; y < FONT_ROWS * dot; y++, at += boot.screen.pitch)
        for (u32 x = 0; x < cell; x++)
            if (glyph[y / dot] & 0x80 >> x * FONT_COLUMNS / cell)
                at[x] = PIXEL_LIGHT;
}

static void screen_put(u8 c)
{
    u8 *at;
    if (c == '\n' || column == columns) {
        column = 0;
        row = (row + 1) % rows;
    }
    if (c == '\n' || c == '\r')
        return;
    if (column == 0)
        memset(base + (u64)row * line, 0, line);
    at = base + (u64)row * line + column++ * cell;
    if (dot)
        glyph_draw(at, c);
    else
        *(volatile u16 *)at = (u16)(TEXT_GREY | c);
}

void screen_write(const char *bytes, u32 n)
{
    for (u32 i = 0; base && i < n; i++)
        screen_put((u8)bytes[i]);
}
