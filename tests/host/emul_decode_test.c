/* Differential test of the decoder against Zydis 4.0, exhaustive by opcode and ModRM and random, with fixed seeds; then the iced vectors.
 *
 * apt-get install libcmocka-dev libzydis-dev
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover -I . -o emul_decode_test \
 *     tests/host/emul_decode_test.c emul/decode.c emul/decode_vex.c emul/tables.c emul/tables_vex.c -lcmocka -lZydis
 * The iced vectors are read from ../shared/data/iced-decoder.tar.xz, or $ICED_TAR; where there are none that test is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <Zydis/Zydis.h>
#include "emul/decode.h"

#define SHOWN_MAX 20

static ZydisDecoder zydis[EMUL_MODE_SIZES];
static unsigned long compared, explained, unexplained, displacements;

/* Where the two may differ, and why. ours: this decoder finds it valid; first, last: opcodes; isa: Zydis' name of the extension. */
struct difference {
    int ours, isa, encoding, map;
    unsigned first, last;
    const char *reason;
};

#define ANY (-1)
static const struct difference differences[] = {
    { 0, ZYDIS_ISA_SET_KNCE, ANY, ANY, 0, 0xff, "first Xeon Phi (KNC) only: never in a guest of a CPU with VMX and EPT" },
    { 0, ZYDIS_ISA_SET_KNCV, ANY, ANY, 0, 0xff, "as above" },
    { 0, ZYDIS_ISA_SET_KNCJKBR, ANY, ANY, 0, 0xff, "as above" },
    { 0, ZYDIS_ISA_SET_KNC_MISC, ANY, ANY, 0, 0xff, "as above" },
    { 0, ZYDIS_ISA_SET_KNC_PF_HINT, ANY, ANY, 0, 0xff, "as above" },
    { 0, ZYDIS_ISA_SET_KNCSTREAM, ANY, ANY, 0, 0xff, "as above" },
    { 0, ZYDIS_ISA_SET_PADLOCK_ACE, EMUL_LEGACY, EMUL_MAP_0F, 0xa6, 0xa7, "VIA PadLock is in no table here" },
    { 0, ZYDIS_ISA_SET_PADLOCK_PHE, EMUL_LEGACY, EMUL_MAP_0F, 0xa6, 0xa7, "as above" },
    { 0, ZYDIS_ISA_SET_PADLOCK_RNG, EMUL_LEGACY, EMUL_MAP_0F, 0xa6, 0xa7, "as above" },
    { 0, ZYDIS_ISA_SET_PADLOCK_PMM, EMUL_LEGACY, EMUL_MAP_0F, 0xa6, 0xa7, "as above" },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_EVEX, EMUL_MAP_5, 0x2a, 0x7b,
        "EVEX.W of the FP16 conversions is ignored outside 64-bit mode (SDM 2C VCVTSH2SI)" },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_EVEX, EMUL_MAP_0F, 0x2a, 0x2a, "as above; it matters with rounding (VCVTSI2SD)" },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_LEGACY, EMUL_MAP_0F, 0x00, 0x01, "WRMSRNS, LKGS, ERETU, ERETS are newer than Zydis 4.0" },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_LEGACY, EMUL_MAP_0F38, 0xfc, 0xfc, "so are AADD, AAND, AOR, AXOR," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0x50, 0x51, "AVX-VNNI-INT8," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0xd2, 0xd3, "AVX-VNNI-INT16," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0x72, 0x72, "AVX-NE-CONVERT," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0xb0, 0xb5, "AVX-NE-CONVERT, AVX-IFMA," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0xcb, 0xcd, "SHA512," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F38, 0xda, 0xda, "SM3, SM4," },
    { 1, ZYDIS_ISA_SET_INVALID, EMUL_ENC_VEX, EMUL_MAP_0F3A, 0xde, 0xde, "SM3" },
};

static uint64_t random_state;

static uint64_t random_next(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

struct answer {
    int length, isa;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static void ask_zydis(struct answer *z, unsigned mode, const uint8_t *bytes)
{
    ZyanStatus status = ZydisDecoderDecodeFull(&zydis[mode], bytes, EMUL_INSN_MAX, &z->insn, z->operands);

    z->isa = ZYAN_SUCCESS(status) ? (int)z->insn.meta.isa_set : ZYDIS_ISA_SET_INVALID;
    z->length = ZYAN_SUCCESS(status) ? z->insn.length : status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? EMUL_TOO_LONG : EMUL_INVALID;
}

static unsigned register_number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return EMUL_REG_NONE;
    return reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP ? EMUL_REG_RIP : (unsigned)ZydisRegisterGetId(reg);
}

/* Operations whose operand size means nothing; and those whose size is 4 whatever Zydis shows. */
static const uint8_t without_size[EMUL_OPS_END] = {
    [EMUL_X87] = 1, [EMUL_SIMD] = 1, [EMUL_AMD3DNOW] = 1, [EMUL_VEX] = 1, [EMUL_EVEX] = 1, [EMUL_XOP] = 1, [EMUL_SYSCALL] = 1,
    [EMUL_INVLPG] = 1, [EMUL_CLFLUSH] = 1, [EMUL_INVPCID] = 1, [EMUL_MOVDIR] = 1, [EMUL_SHADOW] = 1, [EMUL_VMX] = 1, [EMUL_SGX] = 1,
    [EMUL_TDX] = 1, [EMUL_TSX] = 1, [EMUL_WAITPKG] = 1, [EMUL_NOP] = 1, [EMUL_RDPID] = 1, [EMUL_INS] = 1, [EMUL_OUTS] = 1,
        [EMUL_MOVNTI] = 1,
};

/* Operations that Zydis has no name of its own for, with the name that it gives them. */
static const uint8_t finer[][2] = {
    { EMUL_MOV, EMUL_MOVCR }, { EMUL_MOV, EMUL_MOVDR }, { EMUL_MOV, EMUL_MOVSEG }, { EMUL_IMUL, EMUL_IMUL2 }, { EMUL_IMUL, EMUL_IMUL3 },
    { EMUL_CALL, EMUL_CALLF }, { EMUL_JMP, EMUL_JMPF }, { EMUL_RET, EMUL_RETF }, { EMUL_NOP, EMUL_XCHG }, { EMUL_BEXTR, EMUL_XOP },
    { EMUL_PAUSE, EMUL_XCHG }, /* F3 with REX.B 90 is XCHG of R8: tried on an EPYC, and so in QEMU and Bochs */
};

/* Whether Zydis' mnemonic is the name of another operation here. The rest of its names have no operation of their own. */
static int named_otherwise(const struct emul_insn *insn, ZydisMnemonic mnemonic)
{
    static uint8_t op_of[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    static int ready;
    unsigned op;

    for (op = 1; !ready && op < EMUL_OPS_END; op++) {
        for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
            if (!strcasecmp(emul_op_name(op), ZydisMnemonicGetString(m)))
                op_of[m] = op;
        }
    }
    ready = 1;
    op = op_of[mnemonic];
    if (!op || op == insn->op)
        return 0;
    for (size_t i = 0; i < sizeof(finer) / sizeof(finer[0]); i++) {
        if (finer[i][0] == op && finer[i][1] == insn->op)
            return 0;
    }
    return 1;
}

/* Displacements are compared as read; with EVEX scaled, of which only the operand tells. */
static int disp_differs(const struct emul_insn *insn, const struct answer *z)
{
    const ZydisDecodedInstruction *t = &z->insn;
    int64_t disp = t->raw.disp.value;

    if (insn->disp_size * 8 != t->raw.disp.size)
        return 1;
    for (unsigned i = 0; insn->encoding == EMUL_ENC_EVEX && i < t->operand_count; i++) {
        if (z->operands[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM && z->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return insn->disp_size && insn->disp != z->operands[i].mem.disp.value;
    }
    return insn->disp_size && (uint64_t)(insn->disp ^ disp) << (64 - t->raw.disp.size);
}

/* 0, or the name of the field that differs. Operand sizes are compared where they mean something: not of vectors and x87. */
static const char *different_field(const struct emul_insn *insn, const struct answer *z)
{
    const ZydisDecodedInstruction *t = &z->insn;
    unsigned size;

    if (named_otherwise(insn, t->mnemonic))
        return "op";
    if (insn->addrsize * 8 != t->address_width && insn->op != EMUL_SGX) /* SGX has no operand but Zydis' implicit one */
        return "addrsize";

    if (disp_differs(insn, z))
        return "disp";
    if (insn->op == EMUL_AMD3DNOW)
        return NULL; /* the last byte is an opcode to Zydis, an immediate here */
    if (insn->imm_size * 8 != t->raw.imm[0].size || insn->imm2_size * 8 != t->raw.imm[1].size)
        return "imm_size";
    if (insn->imm_size && (uint64_t)(insn->imm ^ (int64_t)t->raw.imm[0].value.u) << (64 - t->raw.imm[0].size))
        return "imm";
    if (insn->imm2_size && (uint64_t)(insn->imm2 ^ (int64_t)t->raw.imm[1].value.u) << (64 - t->raw.imm[1].size))
        return "imm2";
    size = insn->encoding == EMUL_ENC_VEX ? z->operands[0].size : t->operand_width; /* 16-bit code: Zydis gives VEX a width of 16 */
    if (!without_size[insn->op] && insn->opsize * 8 != size)
        return "opsize";
    for (unsigned i = 0; insn->has_modrm && insn->mod != 3 && i < t->operand_count; i++) {
        const ZydisDecodedOperand *o = &z->operands[i];

        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM)
            continue;
        if (insn->base == EMUL_REG_NONE && o->mem.base == ZYDIS_REGISTER_R13D && insn->mod == 0)
            continue; /* SDM 2A table 2-5: no base, REX.B or not; Zydis forgets it with 32-bit addresses */
        if (insn->base != register_number(o->mem.base) || insn->index != register_number(o->mem.index))
            return "base, index";
        if (insn->index != EMUL_REG_NONE && o->mem.scale != 1 << insn->scale && insn->op < EMUL_X87)
            return "scale";
        if ((insn->op == EMUL_CALL || insn->op == EMUL_JMP) && insn->seg == EMUL_DS)
            continue; /* 3E is NOTRACK to Zydis, and as of old an override too */
        if (insn->op != EMUL_LEA && insn->seg != ZydisRegisterGetId(o->mem.segment))
            return "segment";
    }
    return NULL;
}

static int is_explained(const struct emul_insn *insn, int ours, int isa)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        const struct difference *d = &differences[i];

        if (d->ours == (ours > 0) && d->isa == isa && (d->encoding == ANY || d->encoding == insn->encoding) &&
            (d->map == ANY || d->map == insn->map) && insn->opcode >= d->first && insn->opcode <= d->last)
            return 1;
    }
    return 0;
}

/* With all 15 bytes common instructions take a short way; with fewer all take the general one. The answer is the same to the byte. */
static void compare_ways(const struct emul_insn *insn, int answer, const uint8_t *bytes, unsigned mode)
{
    struct emul_insn general;
    unsigned avail = answer > 0 ? (unsigned)answer : EMUL_INSN_MAX - 1;
    int again = emul_decode(&general, bytes, avail, mode);

    if (answer == EMUL_TOO_LONG || (answer == EMUL_INVALID && insn->length > avail)) {
        assert_int_equal(again, EMUL_NEED_MORE);
        return;
    }
    if (again == answer && (answer > 0 ? !memcmp(&general, insn, sizeof(general)) : general.length == insn->length))
        return;
    printf("two ways: mode %x, %02x %02x %02x %02x\n", mode, bytes[0], bytes[1], bytes[2], bytes[3]);
    fail();
}

/* Both decoders on the same 15 bytes. */
static void compare(unsigned mode, const uint8_t *bytes)
{
    static struct answer z;
    struct emul_insn insn;
    int ours = emul_decode(&insn, bytes, EMUL_INSN_MAX, mode | EMUL_MODE_AMD);
    const char *field = "validity";

    compare_ways(&insn, ours, bytes, mode | EMUL_MODE_AMD);
    ours = emul_decode(&insn, bytes, EMUL_INSN_MAX, mode);
    compare_ways(&insn, ours, bytes, mode);
    ask_zydis(&z, mode, bytes);
    compared++;
    if (ours < 0 && z.length < 0)
        return;
    if (ours == z.length) {
        field = different_field(&insn, &z);
        if (!field)
            return;
    } else if (is_explained(&insn, ours, z.isa)) {
        explained++;
        return;
    }
    if (unexplained++ >= SHOWN_MAX)
        return;
    printf("%s: mode %u ours %d zydis %d isa %d enc %u map %u opcode %02x pp %u size %u %s:", field, mode, ours, z.length, z.isa,
           insn.encoding, insn.map, insn.opcode, insn.pp, insn.opsize, emul_op_name(insn.op));
    for (unsigned i = 0; i < EMUL_INSN_MAX; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

static void fill_tail(uint8_t *bytes, unsigned from)
{
    uint64_t word = random_next();

    for (unsigned i = from; i < EMUL_INSN_MAX; i++)
        bytes[i] = word >> (i & 7) * 8;
}

static void report(const char *what)
{
    printf("%s: %lu compared, %lu differ as explained, %lu unexplained\n", what, compared, explained, unexplained);
    assert_int_equal(unexplained, 0);
}

static void test_legacy_exhaustive(void **state)
{
    static const uint8_t prefixes[][3] = { { 0 }, { 1, 0x66 }, { 1, 0x67 }, { 1, 0xf2 }, { 1, 0xf3 }, { 1, 0xf0 }, { 2, 0x66, 0xf2 },
        { 2, 0xf3, 0x66 }, { 1, 0x48 }, { 1, 0x41 }, { 1, 0x44 }, { 2, 0x66, 0x4f }, { 2, 0xf3, 0x48 }, { 2, 0xf2, 0xf0 }, { 1, 0x2e } };
    static const uint8_t escapes[][3] = { { 0 }, { 1, 0x0f }, { 2, 0x0f, 0x38 }, { 2, 0x0f, 0x3a } };

    (void)state;
    random_state = 1;
    for (unsigned n = 0; n < EMUL_MODE_SIZES * 15 * 4 * 0x10000u; n++) {
        unsigned rest = n >> 16;
        const uint8_t *prefix = prefixes[rest % 15];
        const uint8_t *escape = escapes[rest / 15 % 4];
        uint8_t bytes[EMUL_INSN_MAX];
        unsigned at = 0;

        for (unsigned i = 0; i < prefix[0]; i++)
            bytes[at++] = prefix[1 + i];
        for (unsigned i = 0; i < escape[0]; i++)
            bytes[at++] = escape[1 + i];
        bytes[at++] = n >> 8;
        bytes[at++] = n;
        fill_tail(bytes, at);
        compare(rest / 60, bytes);
    }
    report("legacy");
}

/* All of W, L, pp, vvvv (unused or not), map, opcode; a few of ModRM by chance. */
static void test_vex_exhaustive(void **state)
{
    (void)state;
    random_state = 2;
    for (unsigned n = 0; n < 1u << 20; n++) {
        for (unsigned k = 0; k < 6; k++) {
            uint64_t word = random_next();
            unsigned mode = k % 3;
            uint8_t bytes[EMUL_INSN_MAX] = { word & 0x700 ? 0xc4 : 0x8f };
            unsigned map = (n >> 8 & 3) ? n >> 8 & 3 : 1;

            bytes[1] = (bytes[0] == 0x8f ? 8 + word % 3 : map) | (k < 3 ? 0xe0 : word >> 16 & 0xe0);
            bytes[2] = (n >> 10 & 1) << 7 | (n >> 11 & 1) << 2 | (n >> 12 & 3) | (n >> 14 & 1 ? 0x78 : word >> 24 & 0x78);
            bytes[3] = n;
            fill_tail(bytes, 4);
            if (mode != EMUL_MODE64)
                bytes[1] |= bytes[0] == 0xc4 ? 0xc0 : 0;
            compare(mode, bytes);
        }
    }
    report("VEX, XOP");
}

static void test_evex_random(void **state)
{
    (void)state;
    random_state = 3;
    for (unsigned n = 0; n < 6u << 20; n++) {
        static const uint8_t maps[8] = { 1, 2, 3, 1, 2, 3, 5, 6 };
        uint64_t word = random_next();
        unsigned mode = n % 3;
        uint8_t bytes[EMUL_INSN_MAX] = { 0x62 };

        bytes[1] = (word & 0x10000 ? 0xf0 : word >> 8 & 0xf0) | maps[word & 7];
        bytes[2] = 0x04 | (word >> 24 & 0x83) | (word & 0x100000 ? 0x78 : word >> 24 & 0x78);
        bytes[3] = word & 0x200000 ? (word >> 32 & 0x68) | 8 : word >> 32;
        bytes[4] = word >> 40;
        if (!(word & 0xf00)) {
            bytes[1] = word >> 48;
            bytes[2] = word >> 56;
        }
        fill_tail(bytes, 5);
        if (mode != EMUL_MODE64)
            bytes[1] |= 0xc0;
        compare(mode, bytes);
    }
    report("EVEX");
}

/* Bytes that are biased towards prefixes and escapes, so that long and odd instructions come up. */
static void test_random(void **state)
{
    static const uint8_t often[16] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x48, 0x41, 0x4f, 0x0f, 0xc4, 0xc5, 0x62, 0x8f, 0x26 };

    (void)state;
    random_state = 4;
    for (unsigned n = 0; n < 6u << 20; n++) {
        uint64_t word = random_next();
        uint8_t bytes[EMUL_INSN_MAX];
        unsigned count = word & 0x80000000 ? word >> 60 : word >> 62;

        fill_tail(bytes, 0);
        for (unsigned i = 0; i < count; i++)
            bytes[i] = often[word >> (4 * (i & 7)) & 15];
        compare(n % 3, bytes);
    }
    report("random");
}

/* E11: cut anywhere, an instruction asks for more, and never answers from bytes that it was not given. */
static void test_cut(void **state)
{
    (void)state;
    random_state = 5;
    for (unsigned n = 0; n < 1u << 20; n++) {
        struct emul_insn insn;
        uint8_t bytes[EMUL_INSN_MAX];
        int length;

        fill_tail(bytes, 0);
        if (n & 1)
            bytes[0] = 0x0f;
        length = emul_decode(&insn, bytes, EMUL_INSN_MAX, n % 3);
        for (int cut = 0; cut < length; cut++) {
            uint8_t *exact = malloc(cut + !cut); /* ASan sees a byte too many */

            memcpy(exact, bytes, cut);
            assert_int_equal(emul_decode(&insn, exact, cut, n % 3), EMUL_NEED_MORE);
            free(exact);
        }
        if (length > 0)
            assert_int_equal(emul_decode(&insn, bytes, length, n % 3), length);
    }
}

struct known {
    unsigned mode;
    int answer;
    const char *hex;
};

static unsigned parse_hex(const char *text, uint8_t *bytes, unsigned max)
{
    unsigned digits = 0;

    for (; *text && *text != ',' && digits < 2 * max; text++) {
        if (isxdigit((unsigned char)*text)) {
            unsigned value = isdigit((unsigned char)*text) ? *text - '0' : (*text | 32) - 'a' + 10;

            bytes[digits / 2] = digits & 1 ? bytes[digits / 2] << 4 | value : value;
            digits++;
        }
    }
    return digits / 2;
}

static void test_limits(void **state)
{
    static const struct known cases[] = {
        { EMUL_MODE64, 15, "66666666666666666666666666 01c0" }, { EMUL_MODE64, EMUL_TOO_LONG, "6666666666666666666666666666 01c0" },
        { EMUL_MODE64, EMUL_TOO_LONG, "66666666666666666666666666666666" }, { EMUL_MODE64, EMUL_NEED_MORE, "666666" },
        { EMUL_MODE64, EMUL_NEED_MORE, "" }, { EMUL_MODE32, 5, "b8 01020304" }, { EMUL_MODE16, 3, "b8 0102" },
        { EMUL_MODE64, 10, "48b8 0102030405060708" }, { EMUL_MODE64 | EMUL_MODE_AMD, 4, "66e9 0102" }, { EMUL_MODE64, 6, "66e9 01020304" },
        { EMUL_MODE16, 2, "c400" }, { EMUL_MODE64, EMUL_INVALID, "f0 89c0" }, { EMUL_MODE64, EMUL_INVALID, "f0 8900" },
        { EMUL_MODE64, 3, "f0 0100" }, { EMUL_MODE64, EMUL_INVALID, "66 c5f877" }, { EMUL_MODE64, 3, "c5f877" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct emul_insn insn;
        uint8_t bytes[32];
        unsigned count = parse_hex(cases[i].hex, bytes, sizeof(bytes));

        assert_int_equal(emul_decode(&insn, bytes, count, cases[i].mode), cases[i].answer);
    }
}

/* Lines that are not for this decoder: other decoder options, VIA's extensions, and PTWRITE with 66, which Zydis finds valid. */
static const char *const iced_skipped[] = { "decopt=", ", X", "Montmul", "Ccs_", "Via_undoc", "Ptwrite" };

/* Vectors give the displacement scaled and in the address size: those of memory operands as field 8, the others in an operand
 * m;segment;base;index;scale;displacement;size. With RIP it is the sum, which is skipped. */
static int iced_displacement(const struct emul_insn *insn, const char *line, int memory)
{
    unsigned shift = 64 - insn->addrsize * 8;

    if (insn->base == EMUL_REG_RIP || !insn->has_modrm || insn->mod == 3)
        return 1;
    if (!memory)
        line = strstr(line, "=m;");
    for (unsigned field = 0; line && field < (memory ? 8 : 5); field++)
        line = strchr(line + 1, memory ? ',' : ';');
    if (!line)
        return 1;
    displacements++;
    return (strtoull(line + 1, NULL, 0) ^ (uint64_t)insn->disp) << shift == 0;
}

static int iced_line(unsigned mode, const char *line, int memory)
{
    struct emul_insn insn;
    uint8_t bytes[32];
    unsigned count = parse_hex(line, bytes, sizeof(bytes));
    int valid = !strstr(line, "INVALID");
    int answer = emul_decode(&insn, bytes, count, mode);

    for (size_t i = 0; i < sizeof(iced_skipped) / sizeof(iced_skipped[0]); i++) {
        if (strstr(line, iced_skipped[i]))
            return 0;
    }
    compared++;
    if (answer > 0 && !iced_displacement(&insn, line, memory))
        return 1;
    return valid ? answer != (int)count : answer > 0;
}

static void iced_file(const char *tar, const char *name, unsigned mode)
{
    char command[512], line[1024];
    FILE *in;

    snprintf(command, sizeof(command), "tar -xJOf %s iced-decoder/%s", tar, name);
    in = popen(command, "r");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in)) {
        if (!isxdigit((unsigned char)line[0]) || !iced_line(mode, line, name[0] == 'M'))
            continue;
        if (unexplained++ < SHOWN_MAX)
            printf("%s: %s", name, line);
    }
    pclose(in);
}

static void test_iced(void **state)
{
    static const struct { const char *name; unsigned mode; } files[] = {
        { "DecoderTest16.txt", EMUL_MODE16 }, { "DecoderTest32.txt", EMUL_MODE32 }, { "DecoderTest64.a10a3762f.txt", EMUL_MODE64 },
        { "DecoderTestMisc16.txt", EMUL_MODE16 }, { "DecoderTestMisc32.txt", EMUL_MODE32 }, { "DecoderTestMisc64.txt", EMUL_MODE64 },
        { "MemoryTest16.txt", EMUL_MODE16 }, { "MemoryTest32.txt", EMUL_MODE32 }, { "MemoryTest64.txt", EMUL_MODE64 },
    };
    const char *tar = getenv("ICED_TAR") ? getenv("ICED_TAR") : "../shared/data/iced-decoder.tar.xz";
    FILE *there = fopen(tar, "r");

    (void)state;
    if (!there) {
        printf("no %s\n", tar);
        skip();
    }
    fclose(there);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        iced_file(tar, files[i].name, files[i].mode);
    printf("iced: %lu displacements\n", displacements);
    report("iced");
}

static int setup(void **state)
{
    (void)state;
    compared = explained = unexplained = 0;
    ZydisDecoderInit(&zydis[EMUL_MODE16], ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&zydis[EMUL_MODE32], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&zydis[EMUL_MODE64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (unsigned mode = 0; mode < EMUL_MODE_SIZES; mode++) /* the bounds instructions are no-operations on most CPUs and here */
        ZydisDecoderEnableMode(&zydis[mode], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_limits, setup), cmocka_unit_test_setup(test_cut, setup),
        cmocka_unit_test_setup(test_legacy_exhaustive, setup), cmocka_unit_test_setup(test_vex_exhaustive, setup),
        cmocka_unit_test_setup(test_evex_random, setup), cmocka_unit_test_setup(test_random, setup),
        cmocka_unit_test_setup(test_iced, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
