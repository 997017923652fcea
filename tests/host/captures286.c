/* Replays captures of an 80286 in real mode: state and memory before and after one instruction, as the processor left them.
 *
 *   gcc -std=gnu11 -O2 -I. -Iemul tests/host/captures286.c emul/[a-z]*.c -o captures286 && ./captures286 [-v] DIRECTORY
 *
 * DIRECTORY (or RUNG_DATA) holds the unpacked files NAME.MOO of the 80286 test set and mask286.txt, which has the flags that are defined
 * by opcode. Without it the test says so and is skipped. Each case ends at a HLT: behind the instruction, or in the handler of the exception. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emul/emul.h"
#include "emul/state.h"

#define RAM        0x110000u
#define STEPS_MAX  64u             /* calls of the library for one case; REP goes on over several */
#define TOUCHED    65536u
#define INSN_286   10u             /* bytes that an 80286 instruction may have; one more is exception 13 */

/* The order of registers in a REGS chunk. */
enum { AX, BX, CX, DX, CS, SS, DS, ES, SP, BP, SI, DI, IP, FLAGS, REGISTERS };
static const char *const register_name[REGISTERS] = { "ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di", "ip", "flags" };

struct byte_at { uint32_t at; uint8_t value; };
struct image { uint16_t reg[REGISTERS]; uint32_t present; unsigned bytes; struct byte_at ram[1024]; };

static struct capture {
    uint32_t index;
    uint8_t bytes[32];
    unsigned length;
    struct image before, after;
    int exception;                 /* vector, or -1 */
} capture;

static uint8_t ram[RAM];
static uint32_t touched[TOUCHED];  /* addresses that the case or the library wrote */
static unsigned touches;
static uint16_t defined_flags;     /* of the file's opcode */
static int verbose;
static unsigned cases, explained, unexplained;

/* ---- Reading ------------------------------------------------------------------------------------------------------------------------- */
static uint32_t le32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void read_registers(const uint8_t *p, struct image *image)
{
    image->present = p[0] | p[1] << 8;
    p += 2;
    for (unsigned i = 0; i < REGISTERS; i++) {
        if (image->present >> i & 1) {
            image->reg[i] = p[0] | p[1] << 8;
            p += 2;
        }
    }
}

static void read_image(const uint8_t *p, const uint8_t *end, struct image *image)
{
    while (p + 8 <= end) {
        uint32_t size = le32(p + 4);

        if (!memcmp(p, "REGS", 4))
            read_registers(p + 8, image);
        if (!memcmp(p, "RAM ", 4)) {
            image->bytes = le32(p + 8) < 1024 ? le32(p + 8) : 1024;
            for (unsigned i = 0; i < image->bytes; i++)
                image->ram[i] = (struct byte_at){ le32(p + 12 + i * 5), p[16 + i * 5] };
        }
        p += 8 + size;
    }
}

static void read_test(const uint8_t *p, const uint8_t *end)
{
    memset(&capture, 0, sizeof(capture));
    capture.exception = -1;
    capture.index = le32(p);
    for (p += 4; p + 8 <= end; p += 8 + le32(p + 4)) {
        uint32_t size = le32(p + 4);

        if (!memcmp(p, "BYTS", 4)) {
            capture.length = le32(p + 8) < sizeof(capture.bytes) ? le32(p + 8) : sizeof(capture.bytes);
            memcpy(capture.bytes, p + 12, capture.length);
        } else if (!memcmp(p, "INIT", 4)) {
            read_image(p + 8, p + 8 + size, &capture.before);
        } else if (!memcmp(p, "FINA", 4)) {
            read_image(p + 8, p + 8 + size, &capture.after);
        } else if (!memcmp(p, "EXCP", 4)) {
            capture.exception = p[8];              /* the address of FLAGS behind it is that of a bus cycle, not always of the word */
        }
    }
    for (unsigned i = 0; i < REGISTERS; i++)
        if (!(capture.after.present >> i & 1))
            capture.after.reg[i] = capture.before.reg[i];
}

/* ---- The library ------------------------------------------------------------------------------------------------------------------------- */
static void touch(uint32_t at)
{
    if (touches < TOUCHED)
        touched[touches++] = at;
}

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(data, ram + gpa, size);
    return 0;
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    (void)opaque, (void)cause;
    if (gpa + size > RAM)
        return -1;
    memcpy(ram + gpa, data, size);
    for (unsigned i = 0; i < size; i++)
        touch(gpa + i);
    return 0;
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    if (gpa + size > RAM || memcmp(ram + gpa, old, size))
        return gpa + size > RAM ? -1 : 1;
    return phys_write(opaque, gpa, new_value, size, cause);
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned size) /* nothing answers on the capturing board */
{
    (void)opaque, (void)port;
    return size == 1 ? 0xff : 0xffff;
}

static void port_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    (void)opaque, (void)port, (void)size, (void)value;
}

static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque, (void)gpa, (void)size;
    return ~0ull;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)opaque, (void)gpa, (void)size, (void)value;
}

static const struct emul_ops ops = { .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg, .port_in = port_in,
                                     .port_out = port_out, .mmio_read = mmio_read, .mmio_write = mmio_write };
static const uint8_t gpr_of[REGISTERS] = { [AX] = EMUL_RAX, [BX] = EMUL_RBX, [CX] = EMUL_RCX, [DX] = EMUL_RDX, [BP] = EMUL_RBP, [SI] = EMUL_RSI,
                                           [DI] = EMUL_RDI };
static const uint8_t seg_of[REGISTERS] = { [CS] = EMUL_CS, [SS] = EMUL_SS, [DS] = EMUL_DS, [ES] = EMUL_ES };
#define IS_GPR(i) ((i) <= DX || (i) == BP || (i) == SI || (i) == DI)
#define IS_SEG(i) ((i) >= CS && (i) <= ES)

static void load_state(struct emul_state *s, uint64_t gpr[16])
{
    const uint16_t *reg = capture.before.reg;

    memset(s, 0, sizeof(*s));
    memset(gpr, 0, 16 * sizeof(gpr[0]));
    for (unsigned i = 0; i < EMUL_SEGS; i++)
        s->seg[i] = (struct emul_segment){ .limit = 0xffff, .attr = 0x93 };
    for (unsigned i = 0; i < REGISTERS; i++) {
        if (IS_GPR(i))
            gpr[gpr_of[i]] = reg[i];
        else if (IS_SEG(i))
            s->seg[seg_of[i]] = (struct emul_segment){ .base = reg[i] * 16u, .limit = 0xffff, .attr = i == CS ? 0x9b : 0x93, .selector = reg[i] };
    }
    s->rsp = reg[SP];
    s->rip = reg[IP];
    s->rflags = (reg[FLAGS] & 0x0fff) | RFLAGS_1;
    s->idtr.limit = 0x3ff;
    s->cr0 = CR0_ET;
    touches = 0;
    for (unsigned i = 0; i < capture.before.bytes; i++) {
        ram[capture.before.ram[i].at % RAM] = capture.before.ram[i].value;
        touch(capture.before.ram[i].at % RAM);
    }
}

/* Runs to the HLT. 1: the library refused something on the way, *what says it. */
static int run(struct emul_state *s, uint64_t gpr[16], int *vector, char *what, unsigned size)
{
    struct emul_result result;
    struct emul_ctx ctx = { .gpr = gpr, .state = s, .have = ~0u, .phys_bits = 32, .ops = &ops, .cr4_valid = ~0ull, .efer_valid = ~0ull };

    *vector = -1;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        int status = emul_execute(&ctx, EMUL_MAY_ANY, &result);

        emul_describe(&result, what, size);
        if (status == EMUL_FAULT) {
            if (*vector >= 0)
                return 1;
            *vector = result.vector;
            status = emul_deliver(&ctx, *vector, EMUL_EVENT_FAULT, 0, 0, &result);
        }
        if (status != EMUL_DONE)
            return 1;
        if (result.halted)
            return 0;
    }
    return 1;
}

/* ---- Judging -------------------------------------------------------------------------------------------------------------------------------- */
/* Why a case differs; its count is printed. What the library stopped at is in `stop`. */
static struct { const char *why; unsigned count; } reasons[] = {
    { "LOCK where later processors refuse it (SDM 3B 22.15)", 0 },
    { "an instruction of more than 10 bytes", 0 },
    { "a string instruction that faults at offset FFFF: rSI, rDI and rCX are stepped on already on the 80286", 0 },
    { "FS and GS in MOV: exception 6 before the 80386", 0 },
    { "a word at the end of the stack segment: exception 12 since the 80386 (SDM 3B 22.18)", 0 },
    { "refused by name: WAIT, x87, an operand that is locked over two pages", 0 },
};
enum { WHY_LOCK, WHY_LENGTH, WHY_STRING, WHY_SEGMENT, WHY_STACK, WHY_REFUSED };

static int reason_of(int vector, int stopped, const struct emul_insn *insn, int length)
{
    unsigned n = 0;

    while (n < capture.length && ((capture.bytes[n] & 0xfc) == 0xf0 || (capture.bytes[n] & 0xe7) == 0x26))
        n++;
    if (memchr(capture.bytes, 0xf0, n) && length == EMUL_INVALID)
        return WHY_LOCK;
    if (length > (int)INSN_286 || (length <= 0 && capture.length > INSN_286))
        return WHY_LENGTH;
    if (length <= 0)
        return -1;
    if (vector == EMUL_VECTOR_GP && vector == capture.exception && !stopped &&
        (insn->op == EMUL_INS || insn->op == EMUL_OUTS || insn->op == EMUL_MOVS || insn->op == EMUL_LODS || insn->op == EMUL_STOS ||
         insn->op == EMUL_SCAS || insn->op == EMUL_CMPS))
        return WHY_STRING;
    if ((insn->opcode == 0x8c || insn->opcode == 0x8e) && (insn->reg == EMUL_FS || insn->reg == EMUL_GS) && capture.exception == EMUL_VECTOR_UD)
        return WHY_SEGMENT;
    if (vector == EMUL_VECTOR_SS && capture.exception == EMUL_VECTOR_GP)
        return WHY_STACK;
    return stopped && (insn->op == EMUL_X87 || insn->op == EMUL_WAIT || insn->op == EMUL_XCHG) ? WHY_REFUSED : -1;
}

static int explain(int vector, int stopped)
{
    struct emul_insn insn;
    int length = emul_decode(&insn, capture.bytes, capture.length, EMUL_MODE16);
    int reason = reason_of(vector, stopped, &insn, length);

    if (reason >= 0)
        reasons[reason].count++;
    return reason >= 0;
}

static int compare(const struct emul_state *s, const uint64_t gpr[16], char *text, unsigned size)
{
    int bad = 0;
    unsigned at = 0;

    text[0] = 0;
    for (unsigned i = 0; i < REGISTERS; i++) {
        uint16_t is = IS_GPR(i) ? gpr[gpr_of[i]] : IS_SEG(i) ? s->seg[seg_of[i]].selector : i == SP ? s->rsp : i == IP ? s->rip : s->rflags;
        uint16_t mask = i == FLAGS ? defined_flags & 0x0fff : 0xffff;

        if (((is ^ capture.after.reg[i]) & mask) && at < size) {
            at += snprintf(text + at, size - at, " %s %x not %x", register_name[i], is, capture.after.reg[i]);
            bad = 1;
        }
    }
    return bad;
}

/* Memory: what the case lists as after, and what the library wrote beyond that. FLAGS that an exception pushed: the defined ones. */
static int compare_memory(char *text, unsigned size)
{
    static uint8_t want[RAM];
    unsigned at = strlen(text), bad = 0;

    for (unsigned i = 0; i < touches; i++)
        want[touched[i]] = 0;
    for (unsigned i = 0; i < capture.before.bytes; i++)
        want[capture.before.ram[i].at % RAM] = capture.before.ram[i].value;
    for (unsigned i = 0; i < capture.after.bytes; i++) {
        want[capture.after.ram[i].at % RAM] = capture.after.ram[i].value;
        touch(capture.after.ram[i].at % RAM);
    }
    for (unsigned i = 0; i < touches; i++) {
        uint32_t where = touched[i], flags_at = capture.after.reg[SS] * 16u + (uint16_t)(capture.after.reg[SP] + 4);
        uint8_t mask = 0xff;

        if (capture.exception >= 0 && where - flags_at < 2)
            mask = (defined_flags & 0x0fff) >> (where - flags_at) * 8;
        if (((ram[where] ^ want[where]) & mask) && at < size) {
            at += snprintf(text + at, size - at, " [%x] %02x not %02x", where, ram[where], want[where]);
            bad = 1;
            want[where] = ram[where];
        }
    }
    return bad;
}

static unsigned shown;

static void run_case(const char *file)
{
    struct emul_state s;
    uint64_t gpr[16];
    char what[96], text[512];
    int vector, stopped, bad;

    load_state(&s, gpr);
    stopped = run(&s, gpr, &vector, what, sizeof(what));
    cases++;
    bad = stopped;
    if (!stopped) {
        bad = compare(&s, gpr, text, sizeof(text));
        bad |= compare_memory(text, sizeof(text));
    } else {
        snprintf(text, sizeof(text), " stopped at %s", what);
    }
    for (unsigned i = 0; i < touches; i++)
        ram[touched[i]] = 0;
    if (!bad)
        return;
    if (explain(vector, stopped)) {
        explained++;
        return;
    }
    unexplained++;
    if (shown++ < 3 || verbose) {
        printf("%s %u:", file, capture.index);
        for (unsigned i = 0; i < capture.length; i++)
            printf(" %02x", capture.bytes[i]);
        printf("; exception %d, library %d;%s\n", capture.exception, vector, text);
    }
}

static int run_file(const char *directory, const char *name)
{
    char path[1024];
    long size;
    uint8_t *data;
    FILE *in;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END) || (size = ftell(in)) < 8 || fseek(in, 0, SEEK_SET))
        return 1;
    data = malloc(size);
    if (!data || fread(data, 1, size, in) != (size_t)size)
        return 1;
    fclose(in);
    shown = 0;
    for (long at = 0; at + 8 <= size; at += 8 + le32(data + at + 4)) {
        if (memcmp(data + at, "TEST", 4) || at + 8 + (long)le32(data + at + 4) > size)
            continue;
        read_test(data + at + 8, data + at + 8 + le32(data + at + 4));
        run_case(name);
    }
    free(data);
    return 0;
}

/* The line "OPCODE MASK" of mask286.txt; all flags if there is none. */
static void find_mask(const char *directory, const char *name)
{
    char path[1024], line[64], opcode[32];
    unsigned mask, length = strlen(name) - 4;
    FILE *in;

    defined_flags = 0xffff;
    snprintf(path, sizeof(path), "%s/mask286.txt", directory);
    in = fopen(path, "r");
    while (in && fgets(line, sizeof(line), in))
        if (sscanf(line, "%31s %u", opcode, &mask) == 2 && strlen(opcode) == length && !strncmp(opcode, name, length))
            defined_flags = mask;
    if (in)
        fclose(in);
    /* Shifts and rotates by more than one leave OF undefined (SDM 2B RCL, SAL). */
    if (!strncmp(name, "C0.", 3) || !strncmp(name, "C1.", 3) || !strncmp(name, "D2.", 3) || !strncmp(name, "D3.", 3))
        defined_flags &= ~RFLAGS_OF;
}

int main(int argc, char **argv)
{
    const char *directory = getenv("RUNG_DATA");
    struct dirent **names;
    int count, files = 0;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-v"))
            verbose = 1;
        else
            directory = argv[i];
    }
    count = directory ? scandir(directory, &names, NULL, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]->d_name);

        if (length > 4 && !strcmp(names[i]->d_name + length - 4, ".MOO")) {
            find_mask(directory, names[i]->d_name);
            files += !run_file(directory, names[i]->d_name);
        }
    }
    if (!files) {
        printf("captures286: no captures (RUNG_DATA names no directory with .MOO files): skipped\n");
        return 0;
    }
    for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        printf("  %u: %s\n", reasons[i].count, reasons[i].why);
    printf("captures286: %u cases of %d files, %u explained, %u unexplained\n", cases, files, explained, unexplained);
    return unexplained != 0;
}
