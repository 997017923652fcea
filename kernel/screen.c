/* The screen: VGA text at B8000h, or nothing where the boot loader left a graphics mode. */
#include "kernel/screen.h"
#include "kernel/boot.h"
#include "kernel/paging.h"

#define TEXT_COLUMNS 80u
#define TEXT_ROWS    25u
#define TEXT_GREY    0x0700u

static volatile u16 *text;
static u32 row, column;

void screen_init(void)
{
    if (boot.screen.present && boot.screen.text)
        text = paging_map_device(boot.screen.address, TEXT_COLUMNS * TEXT_ROWS * 2);
}

static void text_scroll(void)
{
    for (u32 i = 0; i < TEXT_COLUMNS * (TEXT_ROWS - 1); i++)
        text[i] = text[i + TEXT_COLUMNS];
    for (u32 i = 0; i < TEXT_COLUMNS; i++)
        text[TEXT_COLUMNS * (TEXT_ROWS - 1) + i] = TEXT_GREY | ' ';
}

static void text_put(char c)
{
    if (c == '\r')
        return;
    if (c == '\n' || column == TEXT_COLUMNS) {
        column = 0;
        row++;
    }
    if (row == TEXT_ROWS) {
        text_scroll();
        row--;
    }
    if (c != '\n')
        text[row * TEXT_COLUMNS + column++] = (u16)(TEXT_GREY | (u8)c);
}

void screen_write(const char *bytes, u32 n)
{
    for (u32 i = 0; text && i < n; i++)
        text_put(bytes[i]);
}
