/* The screen: VGA text or a linear framebuffer of 24 or 32 bits a pixel, whichever the boot loader named. A full screen goes on at the
 * top, and each row is cleared when it is entered: a framebuffer is slow to read, so nothing scrolls. */
#include "kernel/screen.h"
#include "kernel/boot.h"
#include "kernel/font.h"
#include "kernel/paging.h"

#define TEXT_CELL    2u
#define TEXT_GREY    0x0700u
#define PIXEL_LIGHT  0xc8u     /* of each colour: their order does not matter */
#define PIXELS_MAX   8192u     /* across and down */
#define BYTES_MAX    (64 * MIB)
#define DOT_TALL     2u        /* a dot is twice as high as wide */
#define WIDE_SCREEN  1920u     /* from here on dots have twice the size */
#define IDENTITY_END (4 * GIB) /* of the boot tables */
#define DEVICE_SPAN  BIT(39)   /* one PML4 slot from DEVICE_BASE on */

static volatile u8 *base;      /* NULL: no screen */
static u32 columns, rows, row, column;
static u32 dot;                /* pixels across; a framebuffer only */

/* Takes the geometry; returns the bytes that lines will be drawn in, or 0 for a screen that cannot be used. */
static u64 screen_measure(void)
{
    u32 w = boot.screen.width, h = boot.screen.height, bytes = boot.screen.text ? TEXT_CELL : boot.screen.bpp / 8;
    u64 size = (u64)boot.screen.pitch * h;
    if (!boot.screen.present || !w || !h || w > PIXELS_MAX || h > PIXELS_MAX || boot.screen.pitch < w * bytes)
        return 0;
    if (size > BYTES_MAX || boot.screen.address > DEVICE_SPAN - size)
        return 0;
    if (!boot.screen.text && boot.screen.bpp != 24 && boot.screen.bpp != 32)
        return 0;
    dot = w >= WIDE_SCREEN ? 2 : 1;
    columns = boot.screen.text ? w : w / (FONT_COLUMNS * dot);
    rows = boot.screen.text ? h : h / (FONT_ROWS * DOT_TALL * dot);
    return columns && rows ? size : 0;
}

void screen_early_init(void)
{
    u64 size = screen_measure();
    if (size && boot.screen.address + size <= IDENTITY_END)
        base = (volatile u8 *)boot.screen.address;
}

void screen_init(void)
{
    u64 size = screen_measure();
    base = NULL; /* the identity map is gone, and a stop in what follows must not use it */
    if (size)
        base = paging_map_device(boot.screen.address, size);
}

static void pixel_put(volatile u8 *p, u8 light)
{
    if (boot.screen.bpp == 32) {
        *(volatile u32 *)p = light * 0x010101u;
        return;
    }
    for (u32 i = 0; i < 3; i++)
        p[i] = light;
}

static void glyph_draw(u32 x, u32 y, u8 c)
{
    const u8 *glyph = font[c >= FONT_FIRST && c < FONT_FIRST + FONT_GLYPHS ? c - FONT_FIRST : '?' - FONT_FIRST];
    for (u32 v = 0; v < FONT_ROWS * DOT_TALL * dot; v++) {
        volatile u8 *p = base + (u64)(y + v) * boot.screen.pitch + (u64)x * (boot.screen.bpp / 8);
        u8 dots = glyph[v / (DOT_TALL * dot)];
        for (u32 h = 0; h < FONT_COLUMNS * dot; h++, p += boot.screen.bpp / 8)
            pixel_put(p, dots & 0x80 >> h / dot ? PIXEL_LIGHT : 0);
    }
}

static void cell_put(u32 at_row, u32 at_column, u8 c)
{
    if (boot.screen.text)
        *(volatile u16 *)(base + at_row * boot.screen.pitch + at_column * TEXT_CELL) = (u16)(TEXT_GREY | c);
    else
        glyph_draw(at_column * FONT_COLUMNS * dot, at_row * FONT_ROWS * DOT_TALL * dot, c);
}

/* Bound: a row has at most PIXELS_MAX / FONT_COLUMNS cells. */
static void screen_put(u8 c)
{
    if (c == '\n' || column == columns) {
        column = 0;
        row = (row + 1) % rows;
    }
    if (c == '\n' || c == '\r')
        return;
    for (u32 i = 0; column == 0 && i < columns; i++)
        cell_put(row, i, ' ');
    cell_put(row, column++, c);
}

void screen_write(const char *bytes, u32 n)
{
    for (u32 i = 0; base && i < n; i++)
        screen_put((u8)bytes[i]);
}
