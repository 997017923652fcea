/* The setup program's entry, and what it has of an environment. Ring 3, interrupts off, on the boot tables, before anything else of Rung. */
#include "depriv/setup/setup.h"
#include "depriv/format.h"

enum { LOW_START = 0x1000, LOW_END = 0x9f000, LOW_PAGE = 0x1000 };
enum { FONT_COLUMNS = 8, FONT_ROWS = 16, TEXT_CELL = 2 }; /* kernel/font.asm; bytes of a letter in text mode */
enum { WIDE_SCREEN = 1920, PIXELS_MAX = 8192 };           /* from here on dots have twice the size; across and down */
enum { CPUID_EXTENDED = 0x80000001, EDX_GIB_PAGES = 1 << 26 };

void setup_main(u32 magic, u64 info) __attribute__((noreturn));

/* Ring 0 looks at the plan when an exception has ended the program. */
static void __attribute__((noreturn)) leave(void)
{
    __builtin_trap();
}

void stop(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vformat(plan.text, sizeof(plan.text), format, args);
    va_end(args);
    leave();
}

bool str_equal(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && !memcmp(a, b, strlen(a));
}

void str_copy(char *to, const char *from, size_t size)
{
    size_t n = min_u64(strlen(from), size - 1);
    memcpy(to, from, n);
    to[n] = 0;
}

/* The boot tables have 2 MiB pages up to 4 GiB, and above pages of 1 GiB, which not every CPU knows. */
const u8 *physical(u64 pa, u64 bytes)
{
    u32 a = CPUID_EXTENDED, b, c, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return pa + bytes >= pa && pa + bytes <= (d & EDX_GIB_PAGES ? ABI_PLAN_BASE : 4 * GIB) ? (const u8 *)pa : NULL;
}

/* The last usable page below 640 KiB: what the boot loader left is mostly at the other end. */
static void find_trampoline(void)
{
    for (u32 i = 0; i < plan.ranges; i++) {
        u64 end = min_u64(plan.range[i].end, LOW_END) & ~(LOW_PAGE - 1ul);
        if (end > LOW_START && end - LOW_PAGE >= max_u64(plan.range[i].start, LOW_START))
            plan.trampoline = max_u64(plan.trampoline, end - LOW_PAGE);
    }
}

static void screen_measure(const struct setup *s)
{
    u32 w = s->screen.width, h = s->screen.height, bytes = s->screen.text ? TEXT_CELL : s->screen.bpp / 8;
    u32 dot = s->screen.text ? 0 : w >= WIDE_SCREEN ? 2 : 1;
    if (!s->screen.present || !w || !h || w > PIXELS_MAX || h > PIXELS_MAX || s->screen.pitch < w * bytes)
        return;
    if (!s->screen.text && s->screen.bpp != 24 && s->screen.bpp != 32)
        return;
    plan.screen.address = s->screen.address;
    plan.screen.pitch = s->screen.pitch;
    plan.screen.dot = dot;
    plan.screen.columns = dot ? w / (FONT_COLUMNS * dot) : w;
    plan.screen.rows = dot ? h / (FONT_ROWS * dot) : h;
    plan.screen.cell = dot ? bytes * FONT_COLUMNS * dot : bytes;
    plan.screen.line = dot ? s->screen.pitch * FONT_ROWS * dot : s->screen.pitch;
}

void setup_main(u32 magic, u64 info)
{
    struct setup s = { .line = "" };
    plan.log_port = 1;
    plan.quanta = 100;
    boot_parse(&s, magic, info);
    screen_measure(&s);
    options_first(&s);
    options_parse(&s);
    find_trampoline();
    acpi_parse(&s);
    time_measure();
    plan.done = ABI_PLAN_DONE;
    leave();
}
