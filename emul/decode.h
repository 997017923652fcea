/* Decoder: bytes in, struct emul_insn out; covers every x86 encoding up to EVEX and XOP, touches nothing but its arguments.
 *
 * Freestanding and without state. The bytes may stop anywhere: the answer is then EMUL_NEED_MORE, and the caller
 * fetches on (which may fault) and decodes again. Validity is that of the encoding for a CPU that has every
 * extension in the tables; what depends on CPL, control registers or CPUID is for whoever executes.
 */
#ifndef EMUL_DECODE_H
#define EMUL_DECODE_H

#include <stdint.h>
#include "exec_rows.h"

#define EMUL_INSN_MAX 15u /* bytes, SDM 2A 2.3.11; one more is #GP */

/* Code size of the segment (CS.D, CS.L); EMUL_MODE_AMD may be added: 66 shrinks near branches in 64-bit mode (APM3 1.2.2). */
enum emul_mode { EMUL_MODE16, EMUL_MODE32, EMUL_MODE64, EMUL_MODE_SIZES, EMUL_MODE_AMD = 0x10 };

/* What emul_decode() answers when it is not a length. */
enum { EMUL_NEED_MORE = -1, EMUL_INVALID = -2, EMUL_TOO_LONG = -3 };

/* Operations: all that are not vector or x87 by mnemonic, those on general registers with VEX too; first those with a row in the executor,
 * then those that are only decoded. The rest by family: SIMD (MMX and SSE), VEX and EVEX, which have rows, X87 (the instruction is opcode
 * and modrm), AMD3DNOW (imm), XOP. */
#define EMUL_OPS(X) \
    X(BAD) EXEC_ROWS(X, X, X, X) \
    X(FRED) X(HRESET) X(KEYLOCKER) X(MONITOR) X(MOVDIR) X(MWAIT) X(PTWRITE) X(RAOINT) X(RDPMC) X(RDPRU) X(RDRAND) X(RDSEED) X(SHADOW) \
    X(TSX) X(UINTR) X(VMCALL) X(VMMCALL) X(WAIT) X(WAITPKG) X(XSAVE) X(X87) X(AMD3DNOW) X(XOP)
#define EMUL_OP_ENUM(name, ...) EMUL_##name,
enum emul_op { EMUL_OPS(EMUL_OP_ENUM) EMUL_OPS_END };

enum emul_map { EMUL_MAP_1, EMUL_MAP_0F, EMUL_MAP_0F38, EMUL_MAP_0F3A, EMUL_MAP_4, EMUL_MAP_5, EMUL_MAP_6, EMUL_MAP_7,
                EMUL_MAP_XOP8, EMUL_MAP_XOP9, EMUL_MAP_XOPA, EMUL_MAPS };
enum emul_encoding { EMUL_LEGACY, EMUL_ENC_VEX, EMUL_ENC_EVEX, EMUL_ENC_XOP };

/* What tells apart the instructions of a family: encoding, map, pp, opcode; beyond them count only rex & EMUL_REX_W (element or register
 * size), vl, mod, and ModRM.reg of groups (71 to 73, AE, VEX 0F38 49, EVEX 0F38 C6 and C7, XOP 9 and A). A mandatory prefix is in pp, not
 * an operand size: F3 and F2 outrank 66 (SDM 2A 2.1.2). */
enum { EMUL_PP_NONE, EMUL_PP_66, EMUL_PP_F3, EMUL_PP_F2 };

/* General registers and segments in the order of the encoding. */
enum { EMUL_RAX, EMUL_RCX, EMUL_RDX, EMUL_RBX, EMUL_RSP, EMUL_RBP, EMUL_RSI, EMUL_RDI, EMUL_GPRS = 16,
       EMUL_REG_RIP = 0xfe, EMUL_REG_NONE = 0xff };
enum { EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS, EMUL_SEGS, EMUL_SEG_NONE = 0xff };

/* struct emul_insn.prefix */
#define EMUL_PFX_LOCK  0x01u
#define EMUL_PFX_REPNE 0x02u /* F2; of F2 and F3 only the last one counts, SDM 2A 2.1.1 */
#define EMUL_PFX_REP   0x04u /* F3 */
#define EMUL_PFX_66    0x08u
#define EMUL_PFX_67    0x10u
#define EMUL_PFX_REX   0x20u
#define EMUL_PFX_REPEAT (EMUL_PFX_REPNE | EMUL_PFX_REP)

/* rex: as in the REX prefix, for VEX, EVEX and XOP with the bits put the right way up */
#define EMUL_REX_W 0x8u
#define EMUL_REX_R 0x4u
#define EMUL_REX_X 0x2u
#define EMUL_REX_B 0x1u

/* ModRM and what it says, one group of fields in struct emul_insn. */
struct emul_modrm {
    uint8_t has_modrm;
    uint8_t modrm;               /* raw, 0 if there is none */
    uint8_t mod, reg, rm;        /* reg and rm extended by REX.R and REX.B; mod is 3 without ModRM, but 0 with a direct offset */
    uint8_t base, index;         /* general register, EMUL_REG_RIP, EMUL_REG_NONE; index of VSIB: vector register 0-31 */
    uint8_t disp_size;           /* bytes in the instruction */
};

/* Groups of eight bytes, each with a name as a whole, by which the decoder presets them. */
struct emul_insn {
    union {
        struct {
            uint8_t op;          /* enum emul_op */
            uint8_t form;        /* operand form, enum emul_form in tables.h */
            uint8_t length;      /* bytes; with EMUL_INVALID: bytes looked at */
            uint8_t mode;        /* EMUL_MODE16, 32 or 64 */
            uint8_t map, opcode; /* enum emul_map */
            uint8_t encoding;    /* enum emul_encoding */
            uint8_t prefix;      /* EMUL_PFX_* */
        };
        uint64_t opcode_group;
    };
    union {
        struct { uint8_t has_modrm, modrm, mod, reg, rm, base, index, disp_size; }; /* as there */
        struct emul_modrm modrm_group;
    };
    union {
        struct {
            uint8_t seg;         /* segment of the memory operand, or of rSI in string instructions: override or default */
            uint8_t addrsize;    /* bytes: 2, 4, 8 */
            uint8_t opsize;      /* bytes: 1, 2, 4, 8; of vector instructions meaningless */
            uint8_t rex;         /* EMUL_REX_* that apply */
            uint8_t scale;       /* shift: 0 to 3 */
            uint8_t imm_size, imm2_size; /* bytes in the instruction */
            uint8_t pp;          /* EMUL_PP_*: mandatory prefix, also of legacy encodings */
        };
        uint64_t size_group;
    };
    union {
        struct {
            uint8_t vvvv;        /* VEX, EVEX, XOP: register 0-31, put the right way up */
            uint8_t vl;          /* VEX.L, EVEX.L'L */
            uint8_t mask;        /* EVEX.aaa */
            uint8_t zero;        /* EVEX.z */
            uint8_t bcast;       /* EVEX.b */
            uint8_t pad[3];
        };
        uint64_t vector_group;
    };

    int64_t disp;        /* sign-extended; MOV with a direct offset: the offset, zero-extended; EVEX: scaled (disp8*N) */
    int64_t imm;         /* sign-extended from imm_size: operation and operand size say how much of it counts */
    int64_t imm2;        /* second immediate: ENTER's level, a far pointer's selector, EXTRQ and INSERTQ's index */
};

/* Decodes the instruction that starts at bytes[0], of which `avail` bytes may be looked at (more than 15 are ignored).
 * mode: enum emul_mode. Result: its length, 1 to 15; EMUL_NEED_MORE: it goes on behind bytes[avail - 1]; EMUL_INVALID:
 * #UD; EMUL_TOO_LONG: more than 15 bytes, #GP(0). *insn is complete only with a length. Bounded by 15 bytes. */
int emul_decode(struct emul_insn *insn, const uint8_t *bytes, unsigned avail, unsigned mode);

const char *emul_op_name(unsigned op); /* the mnemonic, "?" if out of range */

#endif
