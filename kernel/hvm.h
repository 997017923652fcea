/* What the two vendors have in common: one exit as neutral data, one set of operations. Nothing outside vmx/ and svm/ names a VMCS field or a VMCB offset. */
#pragma once

#include "depriv/abi.h"
#include "kernel/base.h"

struct vcpu;
struct cpu;

/* Neutral causes of an exit; each vendor maps every hardware reason to one of them in a table. kernel/exit.c has a row for each. */
enum exit_kind {
    EXIT_PORT,          /* IN, OUT */
    EXIT_STRING,        /* INS, OUTS: ring 3 decodes and moves RIP */
    EXIT_CPUID,
    EXIT_INTERRUPT,     /* host interrupt: already handled by the vendor's loop */
    EXIT_WINDOW,        /* the guest can take an interrupt now */
    EXIT_HLT,
    EXIT_MSR,           /* write: 0 RDMSR, 1 WRMSR; number and value in gpr */
    EXIT_NESTED,        /* gpa not mapped, or access refused */
    EXIT_XSETBV,
    EXIT_INVD,          /* INVD and WBINVD: nothing to do, memory types are WB */
    EXIT_EXCEPTION,     /* intercepted: vector, error; state such as DR6 already made as delivery would */
    EXIT_UNDEFINED,     /* an instruction that this virtual CPU does not have: #UD */
    EXIT_PRIVILEGED,    /* one that it refuses: #GP(0) */
    EXIT_CALL,          /* VMCALL, VMMCALL */
    EXIT_RETRY,         /* nothing to do but enter again */
    EXIT_TASK,          /* task switch */
    EXIT_TRIPLE,        /* triple fault, shutdown */
    EXIT_NMI,           /* host NMI, handled */
    EXIT_FAILED,        /* VM entry failed */
    EXIT_UNEXPECTED,    /* cannot happen with the controls in use */
    EXIT_KINDS
};

/* What an operation of ring 3 takes of an exit is in the frame: for EXIT_PORT, EXIT_STRING, EXIT_NESTED, EXIT_TASK. */
struct exit_info {
    u32 kind;
    u32 reason;         /* the hardware's number */
    u32 length;         /* of the instruction, 0: the CPU does not say (SVM without NRIPS); ring 3 decodes */
    u32 flags;          /* 1 = write */
    u64 gpa;            /* EXIT_NESTED; of an entry that failed the vendor's second number */
    u32 vector;         /* EXIT_EXCEPTION */
    u32 error;          /* likewise; with ABI_INJECT_ERROR in error_valid */
    u32 error_valid;
};

/* What an exit handler tells the vendor's loop. */
enum exit_action { EXIT_RESUME, EXIT_ADVANCE, EXIT_PENDING }; /* PENDING never reaches the loop: see exit_dispatch() */

/* vcpu.event type bits, over ABI_INJECT_VALID, ABI_INJECT_ERROR and the vector: as in the VMX interruption-information field (SDM 3C 24.8.3). */
#define HVM_EVENT_VECTOR    0xffu
#define HVM_EVENT_TYPE      0x700u
#define HVM_EVENT_FIELDS    (ABI_INJECT_VALID | ABI_INJECT_ERROR | HVM_EVENT_TYPE | HVM_EVENT_VECTOR)
#define HVM_EVENT_EXTERNAL  0x000u
#define HVM_EVENT_NMI       0x200u
#define HVM_EVENT_EXCEPTION 0x300u
#define HVM_EVENT_SOFT_INT  0x400u
#define HVM_EVENT_PRIV_SOFT 0x500u
#define HVM_EVENT_SOFT_EXC  0x600u

/* At most 16 members (design rule); chosen once at boot. All run with interrupts off. */
struct hvm_ops {
    const char *name;                              /* "vmx" or "svm" */
    const char *(*probe)(void);                    /* NULL, or the missing feature with its CPUID bit or MSR */
    int (*cpu_enable)(struct cpu *cpu);            /* each CPU, once: VMXON, or EFER.SVME and VM_HSAVE_PA */
    u32 vcpu_pages;                                /* pool pages at v->hvm, the VMCS or VMCB first */
    void (*vcpu_init)(struct vcpu *v);             /* VMCS/VMCB, the state all zero; on any CPU */
    void (*vcpu_load)(struct vcpu *v);             /* on this CPU from now on: VMPTRLD, live MSRs */
    void (*vcpu_save)(struct vcpu *v);             /* off this CPU: VMCLEAR, live MSRs; must leave it loadable anywhere */
    void (*run)(struct vcpu *v);                   /* enters the guest until vcpu_ready() says no */
    void (*state_get)(struct vcpu *v, struct abi_state *s, u32 groups);
    const char *(*state_set)(struct vcpu *v, const struct abi_state *s, u32 groups); /* NULL, or what it refuses (state_refused); then nothing is set */
    bool (*intr_ready)(struct vcpu *v);            /* RFLAGS.IF, no shadow, no event pending: an external interrupt can be injected */
    void (*intr_window)(struct vcpu *v, bool on);  /* exit with EXIT_WINDOW as soon as intr_ready */
    void (*sync)(struct vcpu *v);                  /* v->tsc_offset, v->pat changed */
    u64 nested_table, nested_page;                 /* bits of an EPT or NPT entry: of a table, of guest RAM (WB, user, writable, executable) */
};

extern const struct hvm_ops vmx_ops, svm_ops;
extern const struct hvm_ops *hvm;

const char *exit_name(u32 kind);
