/* The instruction library: what it is told, what it asks back through callbacks, what it answers. It keeps no state.
 *
 * Runs in ring 3 on the vcpu that trapped (or, with depriv=0, in ring 0), and on the host under tests. Nothing in it depends
 * on the rest of the tree. All functions are bounded; none recurses.
 */
#ifndef EMUL_EMUL_H
#define EMUL_EMUL_H

#include <stdint.h>
#include "decode.h"

/* attr: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable (SDM 3C 24.4.1); limit in bytes. The layout
 * is that of struct abi_segment. */
struct emul_segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attr;
    uint16_t selector;
    uint16_t pad[3];
};

/* Why guest memory is touched; the callbacks count by it. */
enum emul_cause { EMUL_FOR_FETCH, EMUL_FOR_WALK, EMUL_FOR_OPERAND, EMUL_FOR_STRING, EMUL_CAUSES };

/* Everything outside. gpa: guest-physical; size in bytes. Optional ones may be NULL; without a needed one the answer is
 * EMUL_UNHANDLED (E20). Guest memory may change at any time: what is read twice may differ. */
struct emul_ops {
    /* Guest RAM. Never crosses a page. 0, or negative: not RAM. Naturally aligned 1, 2, 4, 8 bytes move in one access. */
    int (*phys_read)(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause);
    int (*phys_write)(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause);
    /* Atomic, size 4 or 8, aligned. 0: done; 1: memory did not hold `old`; negative: not RAM. */
    int (*phys_cmpxchg)(void *opaque, uint64_t gpa, unsigned size, uint64_t old, uint64_t new_value);
    /* Optional: the byte at gpa, directly addressable up to the end of its page; NULL: not RAM, or not writable though asked. */
    void *(*phys_map)(void *opaque, uint64_t gpa, int write, unsigned cause);

    uint32_t (*port_in)(void *opaque, uint16_t port, unsigned size);
    void (*port_out)(void *opaque, uint16_t port, unsigned size, uint32_t value);
    /* Optional: `count` elements from or to guest memory, which others may change meanwhile: read each byte once. Result: how
     * many elements were taken, at least 1. */
    unsigned (*port_read_many)(void *opaque, uint16_t port, unsigned size, void *data, unsigned count);
    unsigned (*port_write_many)(void *opaque, uint16_t port, unsigned size, const void *data, unsigned count);

    /* Physical addresses that are not RAM. size: 1, 2, 4, 8, within size-aligned pieces of the access. */
    uint64_t (*mmio_read)(void *opaque, uint64_t gpa, unsigned size);
    void (*mmio_write)(void *opaque, uint64_t gpa, unsigned size, uint64_t value);
};

#define EMUL_HAS_1G    0x1u /* CPUID 80000001h EDX.26: 1 GiB pages */
#define EMUL_IS_AMD    0x2u /* 66 on near branches */

/* The vcpu, as the guest sees it. gpr[], rip, rsp and rflags are changed by what is emulated, all else is read only. */
struct emul_ctx {
    uint64_t *gpr;                     /* 16, in the order of the encoding; gpr[4] is not used */
    uint64_t rip, rsp, rflags;
    const struct emul_segment *seg;    /* ES CS SS DS FS GS */
    uint64_t cr0, cr3, cr4, efer;
    uint32_t pkru;
    uint8_t phys_bits;                 /* MAXPHYADDR of the guest, 32 to 52 */
    uint8_t features;                  /* EMUL_HAS_*, EMUL_IS_* */
    uint8_t byte_count;                /* instruction bytes that the CPU supplied, 0: none */
    const uint8_t *bytes;
    const struct emul_ops *ops;
    void *opaque;                      /* first argument of each callback */
};

enum emul_status {
    EMUL_DONE,      /* ctx has the state after; of a REP that ran into its bound, after some iterations: RIP is unchanged */
    EMUL_FAULT,     /* raise vector: a fault, of which nothing was done (of a REP: iterations before it were) */
    EMUL_RETRY,     /* enter the guest again: the instruction is not, or no longer, what caused the exit (E3) */
    EMUL_UNHANDLED, /* emul_describe() says what it is */
};

/* The classes that emul_length() is asked for; the order of enum abi_insn. */
enum emul_class { EMUL_CLASS_CPUID, EMUL_CLASS_RDMSR, EMUL_CLASS_WRMSR, EMUL_CLASS_HLT, EMUL_CLASS_XSETBV, EMUL_CLASS_INVD,
                  EMUL_CLASS_WBINVD, EMUL_CLASS_RDTSC, EMUL_CLASS_RDTSCP, EMUL_CLASS_RDPMC, EMUL_CLASS_PAUSE, EMUL_CLASS_VMMCALL,
                  EMUL_CLASS_MONITOR, EMUL_CLASS_MWAIT, EMUL_CLASS_MOVCR, EMUL_CLASS_LMSW, EMUL_CLASS_CLTS, EMUL_CLASS_INT,
                  EMUL_CLASSES, EMUL_CLASS_NONE = 0xff };

#define EMUL_VECTOR_UD 6u
#define EMUL_VECTOR_SS 12u
#define EMUL_VECTOR_GP 13u
#define EMUL_VECTOR_PF 14u
#define EMUL_VECTOR_AC 17u

struct emul_result {
    uint32_t status;                   /* enum emul_status */
    uint8_t vector;                    /* with EMUL_FAULT; all of these push an error code but #UD */
    uint8_t has_error;
    uint8_t step;                      /* with EMUL_DONE: RFLAGS.TF was set, a single-step #DB is due behind the instruction */
    uint8_t class;                     /* of emul_length(): enum emul_class of what is there */
    uint32_t error;
    uint32_t iterations;               /* elements moved by a string instruction */
    uint64_t cr2;                      /* with #PF */
    uint8_t bytes[16];                 /* as fetched; insn.length of them count */
    struct emul_insn insn;
};

/* What an I/O exit said of an INS or OUTS: another instruction by now is answered with EMUL_RETRY. */
struct emul_port_exit {
    uint16_t port;
    uint8_t size;                      /* 1, 2, 4 */
    uint8_t in;                        /* 1: INS */
    uint8_t rep;
};

#define EMUL_STRING_MAX 4096u          /* elements that one call of emul_string_io() moves at most */
#define EMUL_MMIO_MAX   1024u          /* the same of emul_mmio() */

/* The length of the instruction at CS:RIP if it is of class `want`, in result->insn.length; RIP stays. Answers EMUL_DONE,
 * EMUL_FAULT (#PF, #GP of the fetch), or EMUL_RETRY: of another class, or invalid. */
int emul_length(struct emul_ctx *ctx, unsigned want, struct emul_result *result);

/* INS or OUTS (SDM 2A INS, 2B OUTS). Privilege and the I/O bitmap were checked by the CPU before it left the guest with `want`. */
int emul_string_io(struct emul_ctx *ctx, const struct emul_port_exit *want, struct emul_result *result);

/* An access to the page of `gpa`, which is not RAM: MOV, MOVZX, MOVSX, MOVSXD, STOS, LODS, MOVS, with REP too. */
int emul_mmio(struct emul_ctx *ctx, uint64_t gpa, struct emul_result *result);

/* "XADD (f0 0f c1 03)" into text, cut to `size` with a final NUL. */
void emul_describe(const struct emul_result *result, char *text, unsigned size);

#endif
