/* The whole contract between ring 0 and the ring-3 component: address layout, frame page, operations, calls.
 *
 * This is the only header that both rings include. Nothing in it depends on the vendor, and nothing in it is
 * a pointer that the other side follows: data moves in registers, in the frame page, and in the guest's own
 * pages. Bump ABI_VERSION when a field moves; a call number is never reused (S4-15).
 */
#ifndef DEPRIV_ABI_H
#define DEPRIV_ABI_H

#include <stdint.h>

#define ABI_VERSION        3u
#define ABI_PAGE           4096u

/* ---- Ring-3 address space (lower half; all domains alike, each with its own page table) -------------------- */
#define ABI_COMPONENT_BASE 0x0000000000400000ull /* text and rodata (RX/R, shared), data and bss (RW, per domain) */
#define ABI_INFO_BASE      0x0000000010000000ull /* struct abi_info, read-only, one page */
#define ABI_FRAME_BASE     0x0000000011000000ull /* vcpu n: + n * ABI_PAGE, struct abi_frame, read-write */
#define ABI_STACK_BASE     0x0000000020000000ull /* vcpu n: stack ends at + (n + 1) * ABI_STACK_STRIDE */
#define ABI_STACK_STRIDE   0x0000000000010000ull /* the rest of the stride is guard */
#define ABI_STACK_SIZE     0x0000000000003000ull /* 12 KiB mapped below the end of each stride */
#define ABI_GUEST_BASE     0x0000100000000000ull /* guestmem=map: guest-physical address g is here + g, where g is RAM */
#define ABI_MODULE_BASE    0x0000200000000000ull /* module n: + n * ABI_MODULE_STRIDE, read-only, during ABI_OP_LOAD only */
#define ABI_MODULE_STRIDE  0x0000000100000000ull
#define ABI_WINDOW_BASE    0x0000300000000000ull /* guestmem=window: vcpu n, window w: + (n * ABI_WINDOWS + w) * ABI_WINDOW_SIZE */
#define ABI_WINDOW_SIZE    0x0000000000200000ull
#define ABI_WINDOWS        (ABI_WINDOW_LAST + 1) /* of one vcpu */
#define ABI_WINDOW_LAST    31u
#define ABI_MODULES_MAX    8u                    /* of one domain: the image, its initrd and others */
#define ABI_VCPUS_MAX      16u                   /* of one domain */

/* ---- General registers, in the order of the instruction encoding -------------------------------------------- */
enum { ABI_RAX, ABI_RCX, ABI_RDX, ABI_RBX, ABI_RSP, ABI_RBP, ABI_RSI, ABI_RDI,
       ABI_R8, ABI_R9, ABI_R10, ABI_R11, ABI_R12, ABI_R13, ABI_R14, ABI_R15, ABI_GPRS };

/* ---- Guest state other than general registers, by group ------------------------------------------------------ */
#define ABI_STATE_RIP      0x0001u /* rip, rsp, rflags, shadow */
#define ABI_STATE_CS       0x0002u /* cs, ss */
#define ABI_STATE_SEGS     0x0004u /* ds, es, fs, gs */
#define ABI_STATE_SYSTEM   0x0008u /* ldtr, tr, gdtr, idtr */
#define ABI_STATE_CR       0x0010u /* cr0, cr2, cr3, cr4, efer */
#define ABI_STATE_DR       0x0020u /* dr0-dr3 in dr[], dr6, dr7 */
#define ABI_STATE_SYSENTER 0x0040u /* SYSENTER_CS, _ESP, _EIP */
#define ABI_STATE_SYSCALL  0x0080u /* STAR, LSTAR, CSTAR, FMASK, KERNEL_GS_BASE */
#define ABI_STATE_ALL      0x00ffu

/* attr: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable (SDM 3C 24.4.1). limit is in bytes. */
struct abi_segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attr;
    uint16_t selector;
    uint16_t pad[3];
};
#define ABI_SEG_UNUSABLE   0x10000u

enum { ABI_ES, ABI_CS, ABI_SS, ABI_DS, ABI_FS, ABI_GS, ABI_LDTR, ABI_TR, ABI_SEGS }; /* order of the encoding */

struct abi_table { uint64_t base; uint32_t limit; uint32_t pad; };

#define ABI_SHADOW_STI     0x1u
#define ABI_SHADOW_MOVSS   0x2u

struct abi_state {
    uint64_t rip, rsp, rflags, shadow;     /* rsp lives here, not in gpr[] */
    struct abi_segment seg[ABI_SEGS];
    struct abi_table gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, efer;     /* as the guest reads them */
    uint64_t dr6, dr7;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t dr[4];
};

/* ---- Operations: what ring 0 asks of ring 3 ------------------------------------------------------------------ */
enum abi_op {
    ABI_OP_NULL,    /* return at once: the bare crossing, for measurement */
    ABI_OP_LOAD,    /* parse the image, write guest memory, set the boot state of vcpu 0 in state/state_out */
    ABI_OP_PORT,    /* one IN or OUT, not string: port, size, flags; the data is the low bytes of gpr[RAX]; ring 0 advances RIP */
    ABI_OP_STRING,  /* INS or OUTS, REP or not: ring 3 decodes and moves RIP, RCX, RSI, RDI itself (all state groups but DR given) */
    ABI_OP_LENGTH,  /* decode the instruction at CS:RIP, check that it is of class `want`, answer its length in `length` */
    ABI_OP_MMIO,    /* access at gpa that is not RAM, flags: emulate the instruction (RIP, CS and CR given, others by STATE_GET) */
    ABI_OP_EVENT,   /* a timer expired, console input or room: see `events` */
    ABI_OP_INTACK,  /* the vcpu accepts an external interrupt now: answer the vector in `vector`, or ABI_VECTOR_NONE */
    ABI_OP_FORCED,  /* #UD in a domain with emulate=forced: a forced-emulation prefix, or the guest's own (all state groups given) */
    ABI_OP_TASK,    /* task switch: gpa and length say which (all state groups given) */
    ABI_OP_RUN,     /* emulate=all: execute instructions until something is due; gpa is the TSC offset, inject an event to deliver first */
    ABI_OP_EXPLAIN, /* the vcpu cannot go on; want, gpa: the vendor's exit reason and its second number (explain.c). The text of ABI_REFUSE
                     * is printed, and the domain ends in any case (all state groups given) */
    ABI_OP_CPUID,   /* a leaf that abi_frame.cpuid does not answer: registers in gpr[] (RIP, CS and CR given) */
    ABI_OP_MSR,     /* RDMSR or WRMSR, flags, of an MSR that the CPU does not hold for the guest: likewise; ABI_FAULT: #GP */
    ABI_OPS
};

/* abi_frame.flags for ABI_OP_PORT and ABI_OP_STRING */
#define ABI_PORT_IN        0x01u
#define ABI_PORT_STRING    0x02u
#define ABI_PORT_REP       0x04u

/* for ABI_OP_MSR */
#define ABI_MSR_WRITE      0x01u

/* for ABI_OP_MMIO */
#define ABI_MMIO_WRITE     0x01u
#define ABI_MMIO_FINAL     0x80u /* gpa is where the instruction's own operand lies, and the guest's page tables allow the access */

/* abi_frame.gpa for ABI_OP_TASK: the selector; then (SDM 3C 27.2.1) 0 CALL, 1 IRET, 2 JMP, 3 a task gate in the IDT */
#define ABI_TASK_REASON    16
#define ABI_TASK_ERROR     0x40000u /* inject_error is pushed on the new task's stack */

/* abi_frame.want for ABI_OP_LENGTH: the instruction classes that intercepts without a next RIP can be caused by */
enum abi_insn { ABI_INSN_CPUID, ABI_INSN_RDMSR, ABI_INSN_WRMSR, ABI_INSN_HLT, ABI_INSN_XSETBV, ABI_INSN_INVD, ABI_INSN_WBINVD,
                ABI_INSN_RDTSC, ABI_INSN_RDTSCP, ABI_INSN_RDPMC, ABI_INSN_PAUSE, ABI_INSN_VMMCALL, ABI_INSN_MONITOR, ABI_INSN_MWAIT,
                ABI_INSN_MOVCR, ABI_INSN_LMSW, ABI_INSN_CLTS, ABI_INSN_INT, ABI_INSNS };

/* abi_frame.events, and the kinds of event that ring 0 delivers by ABI_OP_EVENT */
#define ABI_EVENT_TIMER    0x1u /* frame.timer has passed */
#define ABI_EVENT_INPUT    0x2u /* console input is waiting: ABI_CALL_CONSOLE_READ */
#define ABI_EVENT_ROOM     0x4u /* console_room went from 0 to more */
#define ABI_EVENT_KICK     0x8u /* ABI_CALL_KICK */

/* abi_frame.status, ring 3's answer */
enum abi_status {
    ABI_OK,         /* done */
    ABI_FAULT,      /* done: inject the exception in inject, inject_error; RIP is not advanced */
    ABI_RETRY,      /* the instruction is no longer what caused the exit: enter the guest again (validate rule) */
    ABI_REFUSE,     /* the image or the instruction is refused; text says why; the domain ends */
    ABI_INTERCEPT,  /* of ABI_OP_RUN: the instruction at CS:RIP, of class `want` and `length` bytes, is ring 0's to decide */
};

/* In abi_frame.status over the enum: what else of the reply ring 0 shall look at. Without a note it is not read. */
#define ABI_STATUS_MASK    0xffu
#define ABI_NOTE_INTR      0x100u /* the interrupt controller's output: asks for this vcpu (a level; without the note it does not) */
#define ABI_NOTE_CONSOLE   0x200u /* console, console_len */
#define ABI_NOTE_LIFE      0x400u /* life */
#define ABI_NOTE_TIMER     0x800u /* timer has changed */

#define ABI_VECTOR_NONE    0xffffffffu
#define ABI_INJECT_VALID   0x80000000u /* in inject: | ABI_INJECT_ERROR if inject_error counts | vector */
#define ABI_INJECT_ERROR   0x00000800u
#define ABI_TIMER_NEVER    0xffffffffffffffffull

/* abi_frame.life. PANIC: the guest has said of itself that it cannot go on. */
enum abi_life { ABI_LIFE_RUN, ABI_LIFE_POWEROFF, ABI_LIFE_REBOOT, ABI_LIFE_PANIC };

/* How ring 3 reaches guest memory. With ABI_GUESTMEM_WINDOW by ABI_CALL_MAP_WINDOW, with ABI_GUESTMEM_COPY by ABI_CALL_GUEST_*. */
enum abi_guestmem { ABI_GUESTMEM_MAP, ABI_GUESTMEM_WINDOW, ABI_GUESTMEM_COPY };

/* Why ring 3 touches it: index of abi_frame.touches. */
enum abi_cause {
    ABI_FOR_FETCH,      /* instruction bytes */
    ABI_FOR_WALK,       /* guest page tables */
    ABI_FOR_OPERAND,    /* memory operand of an emulated instruction */
    ABI_FOR_STRING,     /* INS, OUTS: string I/O */
    ABI_FOR_DESCRIPTOR, /* GDT, LDT, IDT, TSS */
    ABI_FOR_DMA,        /* device access */
    ABI_FOR_LOAD,       /* loading of the image */
    ABI_CAUSES
};

#define ABI_CONSOLE_BYTES  256u
#define ABI_TEXT_BYTES     256u
#define ABI_COPY_BYTES     2048u
#define ABI_CMPXCHG_OLD    0u    /* ABI_CALL_GUEST_CMPXCHG: in abi_frame.copy, what is expected, */
#define ABI_CMPXCHG_NEW    16u   /* what takes its place, */
#define ABI_CMPXCHG_EQUAL  32u   /* and the answer: 1 if it did */

/* abi_frame.cpuid: what ring 0 answers without asking, whatever the subleaf; bit n of cpuid_known: entry n counts. */
struct abi_cpuid { uint32_t eax, ebx, ecx, edx; };
#define ABI_CPUID_ENTRIES  32u
#define ABI_CPUID_LEAVES   0x8000000fu /* leaves that have an entry: no other bit set; the highest bit counts as 16 */

/* One page per vcpu, seen by ring 3 at ABI_FRAME_BASE + n * ABI_PAGE and by ring 0 at a supervisor alias.
 * gpr[] is the vcpu's register file: the exit stub stores into it, the entry stub loads from it (rsp excepted).
 * Ring 0 reads every other field once, after the operation, and checks it. */
struct abi_frame {
    uint64_t gpr[ABI_GPRS];     /* 0x000 */

    /* ring 0 -> ring 3 */
    uint32_t op;                /* 0x080 enum abi_op */
    uint32_t state_in;          /* 0x084 groups valid in state */
    uint16_t port;              /* 0x088 */
    uint8_t  size;              /* 0x08a bytes: 1, 2, 4 */
    uint8_t  flags;             /* 0x08b ABI_PORT_*, ABI_MSR_*, ABI_MMIO_* */
    uint32_t want;              /* 0x08c enum abi_insn */
    uint64_t gpa;               /* 0x090 ABI_OP_MMIO */
    uint32_t events;            /* 0x098 ABI_EVENT_* */
    uint32_t insn_bytes;        /* 0x09c bytes valid in insn (decode assist), 0 if the CPU gave none */
    uint8_t  insn[16];          /* 0x0a0 */
    uint32_t console_room;      /* 0x0b0 bytes that ring 0 will take in console[] now, at most ABI_CONSOLE_BYTES */
    uint32_t pad0;              /* 0x0b4 */
    uint64_t tsc;               /* 0x0b8 host TSC at dispatch of ABI_OP_EVENT (others: 0, read RDTSC if needed) */

    /* ring 3 -> ring 0 */
    uint32_t status;            /* 0x0c0 enum abi_status, ABI_NOTE_* */
    uint32_t state_out;         /* 0x0c4 groups that ring 3 changed in state */
    uint32_t length;            /* 0x0c8 ABI_OP_LENGTH */
    uint32_t vector;            /* 0x0cc ABI_OP_INTACK */
    uint32_t inject;            /* 0x0d0 with ABI_FAULT */
    uint32_t inject_error;      /* 0x0d4 */
    uint32_t console_len;       /* 0x0d8 bytes in console[] */
    uint32_t life;              /* 0x0dc enum abi_life */
    uint64_t timer;             /* 0x0e0 host TSC of the next ABI_EVENT_TIMER, or ABI_TIMER_NEVER (persists) */
    uint64_t pad1;              /* 0x0e8 */

    struct abi_state state;     /* 0x0f0 */
    char     console[ABI_CONSOLE_BYTES];
    char     text[ABI_TEXT_BYTES]; /* reason of ABI_REFUSE, message of ABI_CALL_LOG; NUL ended */
    struct abi_cpuid cpuid[ABI_CPUID_ENTRIES];
    uint64_t cpuid_known;
    uint64_t touches[ABI_CAUSES];  /* of guest memory, kept by ring 3; ring 0 prints them when the domain ends */
    uint8_t  copy[ABI_COPY_BYTES]; /* ABI_CALL_GUEST_*: the bytes */
};

/* ---- Domain information, read-only for ring 3 ------------------------------------------------------------------ */
#define ABI_INFO_MAGIC     0x676e7552u /* "Rung" */
#define ABI_CALL_BY_SYSENTER 0x1u      /* abi_info.cpu: else SYSCALL */
#define ABI_CALL_DIRECT      0x4u      /* the component runs in ring 0 (depriv=0): abi_info.call is a function */

/* What abi_info.clock holds, and from which registers: BCD or binary, 12 or 24 hours, as register B says. */
enum { ABI_CLOCK_SECOND, ABI_CLOCK_MINUTE, ABI_CLOCK_HOUR, ABI_CLOCK_DAY, ABI_CLOCK_MONTH, ABI_CLOCK_YEAR, ABI_CLOCK_CENTURY, ABI_CLOCK_B,
       ABI_CLOCK_BYTES };
#define ABI_CLOCK_REGISTERS { 0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x32, 0x0b } /* 32h: where PC firmware keeps the century */

#define ABI_STRINGS_BYTES  3584u

struct abi_module {
    uint64_t size;              /* bytes; at ABI_MODULE_BASE + n * ABI_MODULE_STRIDE */
    uint32_t line;              /* offset of the boot loader's line in abi_info.strings */
    uint32_t pad;
};

struct abi_info {
    uint32_t magic, version;
    uint32_t domid, vcpus;
    uint32_t modules;           /* 0: the image. None: their lines do not fit in strings */
    uint32_t cpu;               /* ABI_CALL_* */
    uint64_t tsc_khz;           /* host and guest TSC frequency */
    uint64_t boot_tsc;          /* host TSC at which clock was read */
    uint8_t  clock[ABI_CLOCK_BYTES]; /* the machine's MC146818 at boot_tsc, as ABI_CLOCK_REGISTERS has its registers; UTC */
    uint64_t ram_low;           /* bytes of RAM from gpa 0; [0xa0000, 0xc0000) is not RAM */
    uint64_t ram_high;          /* bytes of RAM from gpa 4 GiB */
    uint32_t guestmem;          /* enum abi_guestmem */
    uint32_t pad;
    struct abi_module module[ABI_MODULES_MAX];
    char     strings[ABI_STRINGS_BYTES]; /* NUL ended each */
    uint64_t call;              /* with ABI_CALL_DIRECT: long call(uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3) */
    uint64_t cr4;               /* CR4 bits that the guest may set */
    uint64_t xcr0;              /* XCR0 bits, which the vcpu switch saves */
};

#define ABI_HOLE_START     0xa0000ull
#define ABI_HOLE_END       0xc0000ull
#define ABI_LOW_MAX        0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define ABI_HIGH_BASE      0x100000000ull

/* ---- Setup: once, at boot, ring 3 reads what the boot loader and the firmware left and makes a plan of it -------------------
 * The setup program (depriv/setup) runs on the boot tables: all physical memory read-only at its own address, and the plan with its stack
 * behind it at ABI_PLAN_BASE, the only memory that it can write. It has the I/O ports (IOPL 3, for the 8254 and the CMOS clock) and makes no
 * call: an exception ends it. Ring 0 checks the plan before it uses anything of it (kernel/plan.c). */
#define ABI_PLAN_BASE      0x0000008000000000ull
#define ABI_PLAN_AREA      0x0000000000020000ull /* bytes of plan and stack */
#define ABI_COMS           2u
#define ABI_EARLY_BYTES    16u                   /* a FIFO */
#define ABI_PLAN_DONE      0x6e616c50u           /* in abi_plan.done */
#define ABI_RANGES_MAX     128u
#define ABI_CPUS_MAX       64u
#define ABI_DOMAINS_MAX    16u
#define ABI_NAME_BYTES     32u                   /* of a domain, with the NUL */

enum abi_aspace { ABI_ASPACE_DEFAULT, ABI_ASPACE_SHARED, ABI_ASPACE_ISOLATED };

/* Which instructions ring 3 emulates: those of exits; behind a forced-emulation prefix too; every one. */
enum abi_emulate { EMULATE_EXITS, EMULATE_FORCED, EMULATE_ALL };

struct abi_range { uint64_t start, end; }; /* physical */

struct abi_domain {
    char     name[ABI_NAME_BYTES];
    uint64_t mem;               /* bytes, a multiple of 2 MiB, up to 16 GiB */
    uint32_t vcpus, depriv, emulate, guestmem; /* depriv: 3: ring 3, two stacks; 2, 1, 0: see depriv/README.md */
    uint32_t cpu;               /* to start on, ~0: the next in turn */
    uint32_t modules;           /* [0] the image, then others as they came */
    struct abi_range range[ABI_MODULES_MAX];
    struct abi_range component; /* end 0: the built-in one */
    struct abi_info info;       /* ring 0 adds the rest: domid, call, cr4, xcr0 */
};

/* The CPU's features, by CPUID (depriv/setup/cpu.c). */
struct abi_cpu {
    uint8_t  vmx, svm, pcid, x2apic, tsc_deadline, xsave, pge, rdtscp, invpcid, arch_capabilities, ignored;
    uint8_t  isolated;          /* ring 0's: aspace=isolated, by option or because this CPU needs it */
    char     brand[49];
    uint64_t cr4;               /* bits of CR4 that it has beyond those that every CPU has */
    uint64_t xcr0_all;          /* state components that XCR0 allows, 0 without XSAVE */
    uint64_t tsc_khz;           /* measured */
};
#define ABI_XCR0 0x2e7u         /* x87, SSE, AVX, AVX-512, PKRU: what the guests are offered (no MPX, no AMX) */

struct abi_plan {
    uint32_t done;              /* ABI_PLAN_DONE when all of it holds */
    char     text[320];         /* else why the machine stops */
    char     loader[64];
    uint8_t  com[ABI_COMS];     /* COM1, COM2: present, and initialised with the FIFO on */
    uint8_t  early[ABI_EARLY_BYTES]; /* what COM1 received before, */
    uint32_t early_count;       /* so many bytes */
    uint32_t log_port;          /* 1 or 2: COM port of the log */
    struct { uint16_t port, value; uint8_t bytes, when; } end[16]; /* what ends the machine, in order: when: bit 0 with failure, 1 with success */
    uint32_t cpus;              /* at most this many are used; 0: all */
    uint32_t quanta;            /* depriv.quanta: of an operation of ring 3 */
    uint32_t aspace;            /* enum abi_aspace */
    uint32_t quiet;             /* errors and domain ends only */
    uint64_t memory;            /* bytes that there are */
    struct abi_range pool;      /* ring 0's data, all page tables, what is shared with ring 3 */
    uint32_t ranges;
    struct abi_range range[ABI_RANGES_MAX]; /* the guests' */
    uint64_t trampoline;        /* a page below 640 KiB to start CPUs from, 0: none */
    struct { uint64_t address; uint32_t pitch, rows, columns, line, cell, dot; } screen; /* see kernel/screen.c; rows 0: none */
    uint64_t lapic;             /* physical address */
    uint32_t cpu_count;
    uint32_t cpu_apic_id[ABI_CPUS_MAX];     /* enabled CPUs of the MADT, the boot CPU anywhere among them */
    uint32_t no_madt;           /* cpu_count is a guess */
    uint32_t ioapics;
    struct { uint32_t address, gsi; } ioapic[4];
    struct { uint32_t gsi, mode; } irq[16]; /* where each ISA IRQ arrives, bits of its redirection entry */
    struct abi_cpu cpu;
    uint32_t domains;
    struct abi_domain domain[ABI_DOMAINS_MAX];
};

/* ---- Calls: ring 3 to ring 0 ------------------------------------------------------------------------------------
 * eax: number. rdi: target domid (S4-6). Arguments: rsi, r8, r9. Result: rax, >= 0 or -ABI_E_*.
 * SYSENTER: rdx = return RIP, rcx = return RSP. SYSCALL: the CPU gives rcx = RIP; rdx = return RSP.
 * rcx, rdx, r11 and the argument registers are lost; rbx, rbp, r12-r15 are kept; flags are undefined. */
#define ABI_CALLS(X) \
    /* number, NAME, name, how many arguments, may do, bound, arguments */ \
    X(0, DONE, done, 0, "end the operation; ring 0 reads the reply from the frame page", "one reply") \
    X(1, LOG, log, 0, "print frame.text with the domain's name", "256 bytes, 100 lines a second") \
    X(2, CONSOLE_READ, console_read, 1, "move console input to frame.console; result: bytes", "256 bytes", ABI_AT_MOST(ABI_CONSOLE_BYTES)) \
    X(3, STATE_GET, state_get, 1, "add groups of guest state to frame.state and state_in", "one state", ABI_BITS(ABI_STATE_ALL)) \
    X(4, YIELD, yield, 0, "let another vcpu of this CPU run", "one switch") \
    X(5, KICK, kick, 1, "give a vcpu ABI_EVENT_KICK: it leaves its guest, or wakes", "one IPI until it is taken", ABI_VCPU) \
    X(6, STATE_SET, state_set, 1, "take groups of guest state from frame.state, as it is when the operation ends", "one state", ABI_BITS(ABI_STATE_ALL)) \
    X(7, SET_TIMER, set_timer, 1, "get ABI_EVENT_TIMER when the host's TSC is there", "one timer a vcpu", ABI_ANY) \
    X(8, SHUTDOWN, shutdown, 1, "end the domain, as rebooted or not", "one domain", ABI_AT_MOST(1)) \
    X(9, MAP_WINDOW, map_window, 2, "window, gpa: map the 2 MiB around gpa until the operation ends", "one entry, one INVLPG", \
      ABI_AT_MOST(ABI_WINDOW_LAST), ABI_ANY) \
    X(10, GUEST_READ, guest_read, 2, "bytes, gpa: guest memory to frame.copy", "2 KiB", ABI_AT_MOST(ABI_COPY_BYTES), ABI_ANY) \
    X(11, GUEST_WRITE, guest_write, 2, "bytes, gpa: frame.copy to guest memory", "2 KiB", ABI_AT_MOST(ABI_COPY_BYTES), ABI_ANY) \
    X(12, GUEST_CMPXCHG, guest_cmpxchg, 2, "bytes, gpa: LOCK CMPXCHG of 1 to 16 bytes", "16 bytes", ABI_AT_MOST(16), ABI_ANY)

/* This is all there is to a call but for its handler, call_NAME() in calls.c: the dispatcher with its checks of arguments (calls.c), ring 3's
 * stubs (runtime.h) and the table in README.md (make abi) are made from the row. What an argument may be: */
enum abi_check { ABI_CHECK_NONE, ABI_CHECK_AT_MOST, ABI_CHECK_BITS, ABI_CHECK_VCPU };
struct abi_argument { uint32_t check; uint64_t limit; };
#define ABI_AT_MOST(n)  { ABI_CHECK_AT_MOST, (n) }
#define ABI_BITS(mask)  { ABI_CHECK_BITS, (mask) }
#define ABI_VCPU        { ABI_CHECK_VCPU, ABI_VCPUS_MAX - 1 } /* one of this domain */
#define ABI_ANY         { ABI_CHECK_NONE, 0 }
#define ABI_ARGUMENTS   3

#define ABI_CALL_ENUM(nr, NAME, ...) ABI_CALL_##NAME = (nr),
enum abi_call { ABI_CALLS(ABI_CALL_ENUM) ABI_CALLS_END };

#define ABI_E_CALL   1 /* unknown call number */
#define ABI_E_ARG    2 /* argument out of range */
#define ABI_E_LIMIT  3 /* too often */

/* ---- The component image: this header is at ABI_COMPONENT_BASE ------------------------------------------------- */
#define ABI_IMAGE_MAGIC 0x3352474e5552ull /* "RUNGR3" */
struct abi_image {
    uint64_t magic;
    uint32_t version;
    uint32_t main;              /* address of component_main(), for depriv=0; 0: it has none */
    uint64_t entry;             /* rdi = frame, rsi = info; never returns: ABI_CALL_DONE, then it is entered anew */
    uint64_t text_end;          /* page aligned: [base, text_end) is RX */
    uint64_t rodata_end;        /* page aligned: [text_end, rodata_end) is R */
    uint64_t data_end;          /* page aligned: [rodata_end, data_end) is RW, copied from the image per domain */
    uint64_t bss_end;           /* page aligned: [data_end, bss_end) is RW, zero */
};

_Static_assert(sizeof(struct abi_state) == 32 + 24 * ABI_SEGS + 32 + 40 + 16 + 24 + 40 + 32, "abi_state has holes");
_Static_assert(__builtin_offsetof(struct abi_frame, op) == 0x80, "abi_frame.op");
_Static_assert(__builtin_offsetof(struct abi_frame, status) == 0xc0 && __builtin_offsetof(struct abi_frame, state_out) == 0xc4, "read as one");
_Static_assert(__builtin_offsetof(struct abi_frame, state) == 0xf0, "abi_frame.state");
_Static_assert(sizeof(struct abi_frame) <= ABI_PAGE, "abi_frame is one page");
_Static_assert(sizeof(struct abi_info) <= ABI_PAGE, "abi_info is one page");
_Static_assert(sizeof(struct abi_plan) + 0x4000 <= ABI_PLAN_AREA, "no room for the stack of the setup program");

#endif
