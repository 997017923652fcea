/* The screen: VGA text or a linear framebuffer of 24 or 32 bits a pixel, whichever the boot loader named. A full screen goes on at the
 * top, and each row is cleared when it is entered: a framebuffer is slow to read, so nothing scrolls. */
#include "kernel/screen.h"
#include "kernel/frames.h"
#include "kernel/paging.h"
#include "kernel/plan.h"

enum { FONT_FIRST = 32, FONT_GLYPHS = 95, FONT_COLUMNS = 8, FONT_ROWS = 16 };
enum { TEXT_GREY = 0x0700, CELL_MIN = 2 };
enum { PIXEL_LIGHT = 0xc8 };   /* of each colour: their order does not matter */
#define BYTES_MAX    (64 * MIB)
#define BOOT_REACH   (4 * GIB) /* of the boot tables, on every CPU */

extern const u8 font[FONT_GLYPHS][FONT_ROWS]; /* font.asm; the left dot is bit 7 */

static u8 *base;               /* NULL: no screen */
static u32 row, column;

/* dot: pixels of a font's dot across and down, 0: text. cell, line: bytes from one letter to the next, and from one row of letters to the
 * next. False: letters would lie outside of it. */
static bool screen_sound(void)
{
    u64 size = (u64)plan.screen.rows * plan.screen.line;
    return size && size <= BYTES_MAX && plan.screen.address <= DEVICE_BYTES - size && plan.screen.columns && plan.screen.cell >= CELL_MIN &&
           (u64)plan.screen.columns * plan.screen.cell <= plan.screen.pitch && plan.screen.dot <= FONT_COLUMNS &&
           plan.screen.line == (u64)plan.screen.pitch * (plan.screen.dot ? FONT_ROWS * plan.screen.dot : 1);
}

void screen_init(bool mapped)
{
    u64 size = (u64)plan.screen.rows * plan.screen.line;
    base = NULL; /* a stop in what follows must not use an old mapping */
    if (screen_sound() && mapped)
        base = paging_map_physical(plan.screen.address, size, PTE_DEVICE);
    else if (screen_sound() && plan.screen.address + size <= BOOT_REACH)
        base = pool_virt(plan.screen.address);
}

/* Only what is lit is written: the row was cleared. */
static void glyph_draw(volatile u8 *at, u8 c)
{
    const u8 *glyph = font[c >= FONT_FIRST && c < FONT_FIRST + FONT_GLYPHS ? c - FONT_FIRST : '?' - FONT_FIRST];
    for (u32 y = 0; y < FONT_ROWS * plan.screen.dot; y++, at += plan.screen.pitch)
        for (u32 x = 0; x < plan.screen.cell; x++)
            if (glyph[y / plan.screen.dot] & 0x80 >> x * FONT_COLUMNS / plan.screen.cell)
                at[x] = PIXEL_LIGHT;
}

static void screen_put(u8 c)
{
    u8 *at;
    if (c == '\n' || column == plan.screen.columns) {
        column = 0;
        row = (row + 1) % plan.screen.rows;
    }
    if (c == '\n' || c == '\r')
        return;
    if (column == 0)
        memset(base + (u64)row * plan.screen.line, 0, plan.screen.line);
    at = base + (u64)row * plan.screen.line + column++ * plan.screen.cell;
    if (plan.screen.dot)
        glyph_draw(at, c);
    else
        *(volatile u16 *)at = (u16)(TEXT_GREY | c);
}

void screen_write(const char *bytes, u32 n)
{
    for (u32 i = 0; base && i < n; i++)
        screen_put((u8)bytes[i]);
}
