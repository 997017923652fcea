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

/* GDTR or IDTR: limit in bytes, 16 bits of it. */
struct emul_table {
    uint64_t base;
    uint32_t limit;
    uint32_t pad;
};

/* Behind ES CS SS DS FS GS in emul_state.seg. */
enum { EMUL_LDTR = EMUL_SEGS, EMUL_TR, EMUL_SEGMENTS };

/* Groups of the state below, for emul_ctx.have and .changed; the bits of ABI_STATE_*. */
#define EMUL_STATE_RIP      0x0001u /* rip, rsp, rflags, shadow */
#define EMUL_STATE_CS       0x0002u /* cs, ss */
#define EMUL_STATE_SEGS     0x0004u /* ds, es, fs, gs */
#define EMUL_STATE_SYSTEM   0x0008u /* ldtr, tr, gdtr, idtr */
#define EMUL_STATE_CR       0x0010u /* cr0, cr2, cr3, cr4, efer */
#define EMUL_STATE_DR       0x0020u /* dr6, dr7, dr[] */
#define EMUL_STATE_SYSENTER 0x0040u /* sysenter_* */
#define EMUL_STATE_SYSCALL  0x0080u /* star, lstar, cstar, fmask, kernel_gs_base */
#define EMUL_STATE_NEEDED   (EMUL_STATE_RIP | EMUL_STATE_CS | EMUL_STATE_CR) /* must be there from the start */

#define EMUL_SHADOW_STI     0x1u    /* emul_state.shadow: interrupts wait for one instruction */
#define EMUL_SHADOW_MOVSS   0x2u    /* the same, and debug exceptions too (SDM 3A 6.8.3) */

/* The vcpu but for its general registers, as the guest sees it. The layout is that of struct abi_state. */
struct emul_state {
    uint64_t rip, rsp, rflags, shadow;
    struct emul_segment seg[EMUL_SEGMENTS];
    struct emul_table gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, efer;
    uint64_t dr6, dr7;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t dr[4];
};

/* Why guest memory is touched; the callbacks count by it. */
enum emul_cause { EMUL_FOR_FETCH, EMUL_FOR_WALK, EMUL_FOR_OPERAND, EMUL_FOR_STRING, EMUL_FOR_DESCRIPTOR, EMUL_CAUSES };

/* Vector state: emul_ops.vector_*; number is that of the register. */
enum emul_vector { EMUL_VECTOR_MM, EMUL_VECTOR_XMM, EMUL_VECTOR_K, EMUL_VECTOR_KINDS };

/* Everything outside. gpa: guest-physical; size in bytes. Each may be NULL; without a needed one the answer is EMUL_UNHANDLED,
 * and nothing has changed (E20). Guest memory may change at any time: what is read twice may differ. */
struct emul_ops {
    /* Guest RAM. Never crosses a page. 0, or negative: not RAM. Naturally aligned 1, 2, 4, 8 bytes move in one access. */
    int (*phys_read)(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause);
    int (*phys_write)(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause);
    /* Atomic; size 1, 2, 4, 8 or 16 within a page; old and new_value are `size` bytes. 0: done; 1: memory did not hold *old;
     * negative: not RAM. 16 bytes are aligned. */
    int (*phys_cmpxchg)(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause);
    /* Optional: the byte at gpa, directly addressable up to the end of its page; NULL: not RAM. With it the copies above are used for
     * instruction bytes and tables only. `write`: 0, or not. */
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

    /* Fills groups of the state that were not given with the call (see emul_ctx.have). 0, or negative: there are none. */
    int (*state_get)(void *opaque, uint32_t groups);

    int (*cpuid)(void *opaque, uint32_t regs[4]);             /* EAX EBX ECX EDX in and out; 0, or negative: UNHANDLED */
    int (*msr_read)(void *opaque, uint32_t index, uint64_t *value); /* 0; negative: #GP(0); 1: UNHANDLED. Index 10h is RDTSC's */
    int (*msr_write)(void *opaque, uint32_t index, uint64_t value);
    /* A translation is invalid from now on: of one page, or with `all` of every page (MOV CR, INVLPG, INVPCID). Optional. */
    void (*tlb_flush)(void *opaque, uint64_t linear, int all);

    /* size bytes of a vector register: MMX 8; XMM, YMM, ZMM 16, 32, 64 (a write of fewer than 64 bytes leaves the rest); opmask 8.
     * 0, or negative: this CPU has no such register, or its state is off. */
    int (*vector_read)(void *opaque, unsigned kind, unsigned number, void *data, unsigned size);
    int (*vector_write)(void *opaque, unsigned kind, unsigned number, const void *data, unsigned size);
};

#define EMUL_HAS_1G    0x1u /* CPUID 80000001h EDX.26: 1 GiB pages */
#define EMUL_IS_AMD    0x2u /* 66 on near branches, SYSENTER and SYSCALL by mode, null selectors in SYSRET (APM3) */

/* Work that is kept from one call to the next, for whoever has many; all bytes 0: empty. Decoded instructions are compared with the
 * bytes that they came from, so they are always right while features stay. Translations are right until the guest would have to invalidate them: the
 * library drops them on MOV CR and INVLPG, the caller (emul_cache_flush) on whatever else it does to the vcpu. */
#define EMUL_CACHE_PAGES 16u
#define EMUL_CACHE_INSNS 64u
struct emul_cache {
    struct { uint64_t tag, gpa; uint8_t *host; uint64_t pad; } page[2][EMUL_CACHE_PAGES]; /* reads and fetches, writes */
};
struct emul_known {
    struct emul_insn insn;
    uint64_t low, high, mask_low, mask_high; /* it is the same if these bits of the 16 bytes are */
    uint64_t mode;                     /* enum emul_mode, plus 1 */
    uint64_t pad[4];                   /* to a size that is quick to multiply by */
};
struct emul_decoded {
    struct emul_known entry[EMUL_CACHE_INSNS];
};
void emul_cache_flush(struct emul_cache *cache);

/* Walks of 4-level tables, each with the entries that it read and where: one whose entries still hold the same, under the same control
 * registers, is repeated by comparing them. Always right, as long as the pointers of phys_map stay what they are. */
#define EMUL_WALKS 4u
struct emul_walk {
    uint64_t tag, gpa;
    struct { const volatile uint64_t *at; uint64_t entry; } level[4];
    uint64_t pad[6];                   /* to a size that is quick to multiply by */
};
struct emul_walks {
    struct emul_walk walk[2][EMUL_WALKS]; /* data, fetches */
};

#define EMUL_EXEC_WORDS 28u

/* The vcpu. gpr[] and state are changed by what is emulated, and state as far as `changed` says. Between calls RSP is state->rsp;
 * gpr[4] is scratch. */
struct emul_ctx {
    uint64_t *gpr;                     /* 16, in the order of the encoding */
    struct emul_state *state;
    uint32_t have, changed;            /* EMUL_STATE_*: groups that are valid, groups that the library has changed */
    uint32_t pkru;
    uint8_t phys_bits;                 /* MAXPHYADDR of the guest, 32 to 52 */
    uint8_t features;                  /* EMUL_HAS_*, EMUL_IS_* */
    uint8_t byte_count;                /* instruction bytes that the CPU supplied, 0: none */
    uint8_t exit_known;                /* 1: the access at exit_gpa was translated and permitted by the CPU */
    uint8_t exit_write;                /* with EMUL_MAY_MEMORY: 1, the exit was a write; only with exit_known */
    uint64_t exit_gpa;                 /* the guest-physical address of an access that left the guest */
    uint64_t cr4_valid, efer_valid;    /* bits that the guest may set; others are #GP(0) */
    const uint8_t *bytes;
    const struct emul_ops *ops;
    void *opaque;                      /* first argument of each callback */
    struct emul_cache *cache;          /* or NULL */
    struct emul_decoded *decoded;      /* or NULL */
    struct emul_walks *walks;          /* or NULL: used without a cache */
    /* RAM that is always directly addressable: gpa is at ram + gpa, if it is in [ram_start, ram_start + ram_size), whole pages, and is
     * counted in touched[cause]. For other RAM phys_map is asked. */
    uint8_t *ram;
    uint64_t ram_start, ram_size;
    uint64_t *touched;                 /* [EMUL_CAUSES]; with ram_size or walks */
    const struct emul_port_exit *port_exit; /* the library's own: of emul_string_io() */
    /* The library's own, zero at first: what the state says to every instruction (EMUL_FACT_*), what of the state that and the walks are
     * of, and its work (struct exec). */
    uint32_t facts;
    struct { uint64_t cr3, cr4, efer, cs, ss, exit; } seen;
    uint64_t exec[EMUL_EXEC_WORDS];
};

enum emul_status {
    EMUL_DONE,      /* ctx has the state after; of a REP that ran into its bound, after some iterations: RIP is unchanged */
    EMUL_FAULT,     /* raise vector: a fault, of which nothing was done (of a REP: iterations before it were) */
    EMUL_RETRY,     /* enter the guest again: the instruction is not, or no longer, what caused the exit (E3) */
    EMUL_UNHANDLED, /* emul_describe() says what it is */
};

/* What may run: the classes of instructions that can cause an exit (the validate rule, E3). An instruction may be in several. */
#define EMUL_MAY_MEMORY 0x001u /* any that accesses memory, but for its own fetch */
#define EMUL_MAY_PORT   0x002u /* IN OUT INS OUTS */
#define EMUL_MAY_CR     0x004u /* MOV CR, LMSW, SMSW, CLTS */
#define EMUL_MAY_DR     0x008u
#define EMUL_MAY_TABLE  0x010u /* LGDT LIDT SGDT SIDT LLDT SLDT LTR STR */
#define EMUL_MAY_MSR    0x020u /* RDMSR WRMSR RDTSC RDTSCP RDPMC XSETBV */
#define EMUL_MAY_INT    0x040u /* INT INT3 INTO INT1 IRET */
#define EMUL_MAY_FAR    0x080u /* CALL, JMP, RET far: those that can switch tasks, with EMUL_MAY_INT */
#define EMUL_MAY_INVLPG 0x100u
#define EMUL_MAY_CPUID  0x200u
#define EMUL_MAY_ANY    0xffffffffu

/* The classes that emul_length() is asked for; the order of enum abi_insn. */
enum emul_class { EMUL_CLASS_CPUID, EMUL_CLASS_RDMSR, EMUL_CLASS_WRMSR, EMUL_CLASS_HLT, EMUL_CLASS_XSETBV, EMUL_CLASS_INVD,
                  EMUL_CLASS_WBINVD, EMUL_CLASS_RDTSC, EMUL_CLASS_RDTSCP, EMUL_CLASS_RDPMC, EMUL_CLASS_PAUSE, EMUL_CLASS_VMMCALL,
                  EMUL_CLASS_MONITOR, EMUL_CLASS_MWAIT, EMUL_CLASS_MOVCR, EMUL_CLASS_LMSW, EMUL_CLASS_CLTS, EMUL_CLASS_INT,
                  EMUL_CLASSES, EMUL_CLASS_NONE = 0xff };

#define EMUL_VECTOR_DE 0u
#define EMUL_VECTOR_DB 1u
#define EMUL_VECTOR_BP 3u
#define EMUL_VECTOR_OF 4u
#define EMUL_VECTOR_BR 5u
#define EMUL_VECTOR_UD 6u
#define EMUL_VECTOR_NM 7u
#define EMUL_VECTOR_DF 8u
#define EMUL_VECTOR_TS 10u
#define EMUL_VECTOR_NP 11u
#define EMUL_VECTOR_SS 12u
#define EMUL_VECTOR_GP 13u
#define EMUL_VECTOR_PF 14u
#define EMUL_VECTOR_MF 16u
#define EMUL_VECTOR_AC 17u
#define EMUL_VECTOR_XM 19u

struct emul_result {
    uint32_t status;                   /* enum emul_status */
    uint32_t iterations;               /* elements moved by a string instruction */
    union {
        struct {
            uint8_t step;              /* with EMUL_DONE: RFLAGS.TF was set, a single-step #DB is due behind the instruction */
            uint8_t halted;            /* with EMUL_DONE: it was HLT */
            uint8_t class;             /* of emul_length(): enum emul_class of what is there */
            uint8_t have;              /* bytes fetched, of which insn->length count */
        };
        uint32_t marks;                /* all four */
    };
    uint8_t vector;                    /* with EMUL_FAULT */
    uint8_t has_error;
    uint8_t pad[2];
    uint32_t error;
    uint32_t pad1;
    uint64_t cr2;                      /* with #PF */
    uint64_t dr6;                      /* with #DB: bits to set in DR6 */
    const struct emul_insn *insn;      /* decoded: here or in ctx->decoded; valid until the next call */
    uint8_t bytes[16];                 /* as fetched */
    struct emul_insn store;
};

/* What an I/O exit said of an INS or OUTS: another instruction by now is answered with EMUL_RETRY. */
struct emul_port_exit {
    uint16_t port;
    uint8_t size;                      /* 1, 2, 4 */
    uint8_t in;                        /* 1: INS */
    uint8_t rep;
};

#define EMUL_REP_MAX 4096u             /* elements that one call moves at most; emul_execute() is then called again */

/* Executes the instruction at CS:RIP, if it is of a class in `may` (EMUL_MAY_*); else EMUL_RETRY. A complete instruction, one of its
 * faults, or iterations of a REP. SDM 2, all of it but what README.md lists as refused. */
int emul_execute(struct emul_ctx *ctx, uint32_t may, struct emul_result *result);

/* The same, for who runs many: between this call and the one before, the caller has changed nothing of ctx and its state but RIP, RFLAGS and
 * general registers other than RSP. */
int emul_execute_next(struct emul_ctx *ctx, uint32_t may, struct emul_result *result);

/* The length of the instruction at CS:RIP if it is of class `want`, in result->insn->length; RIP stays. Answers EMUL_DONE,
 * EMUL_FAULT (#PF, #GP of the fetch), or EMUL_RETRY: of another class, or invalid. */
int emul_length(struct emul_ctx *ctx, unsigned want, struct emul_result *result);

unsigned emul_class(const struct emul_insn *insn); /* enum emul_class */

/* At least `count` (up to 15) bytes at CS:RIP into result->bytes, undecoded. EMUL_DONE, or the fault of the fetch. */
int emul_fetch_bytes(struct emul_ctx *ctx, unsigned count, struct emul_result *result);

/* INS or OUTS (SDM 2A INS, 2B OUTS) that left the guest with `want`. */
int emul_string_io(struct emul_ctx *ctx, const struct emul_port_exit *want, struct emul_result *result);

/* How emul_deliver() is to treat an event: what caused it (SDM 3A 6.12). */
enum emul_event { EMUL_EVENT_FAULT, EMUL_EVENT_INTERRUPT, EMUL_EVENT_SOFTWARE, EMUL_EVENT_TRAP };

/* Delivers vector through the IDT as the CPU would: gates, privilege change, task gates; real mode through the vector table.
 * EMUL_EVENT_SOFTWARE: INT n and its kin, checked against the gate's DPL; RIP is then already behind the instruction.
 * EMUL_FAULT: delivery itself faults with result's vector; nothing has changed. */
int emul_deliver(struct emul_ctx *ctx, unsigned vector, enum emul_event event, int has_error, uint32_t error, struct emul_result *result);

/* A hardware task switch to `selector` (SDM 3A 7.3), as the CPU reported it by an exit; RIP is already behind an instruction that asked
 * for it. EMUL_FAULT with EMUL_STATE_RIP in ctx->changed is a fault of the new task (bad segments; #DB of its T flag): state and gpr are
 * the new task's. So it is with emul_execute() and emul_deliver() that switch tasks; their other faults change nothing. */
enum emul_task_reason { EMUL_TASK_CALL, EMUL_TASK_IRET, EMUL_TASK_JUMP, EMUL_TASK_GATE };
int emul_task_switch(struct emul_ctx *ctx, uint16_t selector, enum emul_task_reason reason, int has_error, uint32_t error,
                     struct emul_result *result);

/* "XADD (f0 0f c1 03)" into text, cut to `size` with a final NUL. */
void emul_describe(const struct emul_result *result, char *text, unsigned size);

#endif
