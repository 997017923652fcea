/* The setup program's entry, and what it has of an environment. Ring 3, interrupts off, on the boot tables, before anything else of Rung. */
#include "depriv/setup/setup.h"
#include "depriv/format.h"

enum { LOW_START = 0x1000, LOW_END = 0x9f000, LOW_PAGE = 0x1000 };
enum { FONT_COLUMNS = 8, FONT_ROWS = 16, TEXT_CELL = 2 }; /* kernel/font.asm; bytes of a letter in text mode */
enum { WIDE_SCREEN = 1920, PIXELS_MAX = 8192 };           /* from here on dots have twice the size; across and down */
#define EDX_GIB_PAGES (1u << 26)

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
    u32 edx = cpuid(CPUID_EXTENDED + 1, 0).edx;
    return pa + bytes >= pa && pa + bytes <= (edx & EDX_GIB_PAGES ? ABI_PLAN_BASE : 4 * GIB) ? (const u8 *)pa : NULL;
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

/* What the information pages say of the machine and of the domain's line. */
static void infos_fill(const struct setup *s)
{
    for (struct abi_domain *c = plan.domain; c < plan.domain + plan.domains; c++) {
        struct abi_info *info = &c->info;
        info->magic = ABI_INFO_MAGIC;
        info->version = ABI_VERSION;
        info->vcpus = c->vcpus;
        info->modules = c->modules;
        info->cpu = (plan.cpu.vmx ? ABI_CALL_BY_SYSENTER : 0) | (c->depriv == 0 ? ABI_CALL_DIRECT : 0);
        info->guestmem = c->guestmem;
        info->ram_low = min_u64(c->mem, ABI_LOW_MAX);
        info->ram_high = c->mem - info->ram_low;
        info->tsc_khz = plan.cpu.tsc_khz;
        info->boot_tsc = s->clock_tsc;
        memcpy(info->clock, s->clock, sizeof(info->clock));
    }
}

enum { BOCHS_SHUTDOWN = 0x8900, ISA_DEBUG_EXIT = 0xf4, KEYBOARD = 0x64, RESET_CONTROL = 0xcf9 }; /* ports */
enum { ISA_SUCCESS = 0x10, ISA_FAILURE = 0x11, KEYBOARD_RESET = 0xfe, RESET_FULL = 0x6, PM1_SLP_EN = 0x2000, PM1_SLP_TYP = 10 };
enum { FAILURE = 1, SUCCESS, ALWAYS };  /* abi_plan.end.when */

static void end_write(u32 n, u32 when, u32 port, u32 value, u32 bytes)
{
    plan.end[n].port = (u16)port;
    plan.end[n].value = (u16)value;
    plan.end[n].bytes = (u8)bytes;
    plan.end[n].when = (u8)when;
}

/* What ring 0 writes to end the machine: [0] ACPI's way, when it is known. */
static void ends_make(const struct setup *s)
{
    static const char word[] = "Shutdown"; /* understood by Bochs */
    if (s->end == END_POWEROFF && s->pm1a_cnt && s->slp_typ_s5 != 0xffff)
        end_write(0, SUCCESS, s->pm1a_cnt, s->slp_typ_s5 << PM1_SLP_TYP | PM1_SLP_EN, 2);
    for (u32 i = 0; i < sizeof(word) - 1 && (s->end == END_BOCHS || s->end == END_POWEROFF); i++)
        end_write(1 + i, s->end == END_BOCHS ? ALWAYS : SUCCESS, BOCHS_SHUTDOWN, word[i], 1);
    if (s->end == END_ISA_DEBUG) {
        end_write(0, SUCCESS, ISA_DEBUG_EXIT, ISA_SUCCESS, 1);
        end_write(1, FAILURE, ISA_DEBUG_EXIT, ISA_FAILURE, 1);
    }
    if (s->end == END_REBOOT) {
        end_write(0, ALWAYS, RESET_CONTROL, RESET_FULL, 1);
        end_write(1, ALWAYS, KEYBOARD, KEYBOARD_RESET, 1);
    }
}

void setup_main(u32 magic, u64 info)
{
    struct setup s = { .line = "" };
    plan.log_port = 1;
    plan.quanta = 100;
    boot_parse(&s, magic, info);
    screen_measure(&s);
    options_first(&s);
    ends_make(&s); /* what follows may stop */
    options_parse(&s);
    cpu_describe();
    find_trampoline();
    acpi_parse(&s);
    ends_make(&s);
    time_measure(&s);
    infos_fill(&s);
    plan.done = ABI_PLAN_DONE;
    leave();
}
