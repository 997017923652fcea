/* A virtual CPU: a kernel thread with one supervisor stack, one ring-3 stack and one frame page. */
#pragma once

#include "depriv/abi.h"
#include "kernel/cpu.h"
#include "kernel/domain.h"
#include "kernel/hvm.h"

#define VCPU_RING 64u /* a power of two */

struct exit_record { u64 what, info; }; /* EXIT_RECORD(); info: the vendor's qualification, the gpa, or the leaf */
#define EXIT_RECORD(reason, kind) ((u64)(reason) << 8 | (kind)) /* reason is the vendor's */

/* vcpu.hazards: anything that must be looked at before the next guest entry; 0 on the hot path. */
#define HAZARD_KILL    BIT(0)   /* the domain ends */
#define HAZARD_EVENTS  BIT(1)   /* vcpu.events is nonzero */
#define HAZARD_INTR    BIT(2)   /* ring 3's interrupt controller asks: acknowledge and inject when possible */
#define HAZARD_WINDOW  BIT(3)   /* VMX: an interrupt window exit is armed, so that an advance cannot leave the shadow for later */
#define HAZARD_YIELD   BIT(4)   /* quantum used up */
#define HAZARD_HALT    BIT(5)   /* the guest executed HLT */
#define HAZARD_MAPPED  BIT(6)   /* vcpu.windows: until the operation ends */

struct vcpu {
    /* Known to assembly (offsets.c). */
    struct abi_frame *frame;    /* supervisor alias of the frame page */
    u64 saved_rsp;              /* supervisor RSP while ring 3 runs; SYSENTER_ESP points here */
    struct { u64 frame, stack, entry, info; } user; /* what ring 3 is entered with: RDI, RSP, RIP, RSI */
    u64 domid;                  /* the one value that every call's first argument is compared with */
    u64 vmcb_pa, host_vmcb_pa;  /* SVM: for VMRUN, VMLOAD, VMSAVE */
    u64 host_rsp;               /* VMX: HOST_RSP as the VMCS holds it; 0: VMLAUNCH, not VMRESUME */

    struct domain *domain;
    u32 index;
    u32 gate;                   /* enum gate */
    /* What must be looked at before the next guest entry: read as one word by vcpu_due(). */
    u32 event __attribute__((aligned(8))); /* to inject: ABI_INJECT_VALID | HVM_EVENT_* | vector, 0 none */
    u16 hazards;                /* hazard_set(), hazard_clear() */
    u16 commit_groups;          /* ABI_STATE_* that ring 3 changed in the frame, until depriv_commit() */
    u32 cached;                 /* VMX: which guest state ring 0 has a copy of (vmx.h) */
    u32 events;                 /* ABI_EVENT_*, atomic */
    u32 intr;                   /* level that ring 3 reported last */
    u32 windows;                /* guestmem=window: those that the operation has mapped */
    u16 may;                    /* ABI_STATE_* that ring 3 may change by the operation */
    u64 cr3;                    /* of ring 3's table: the domain's, or for the length of a copy the copier's */
    u64 timer;                  /* TSC of ABI_EVENT_TIMER, or ABI_TIMER_NEVER */
    struct vcpu *on_cpu;        /* next in run_queue.vcpus */
    struct thread thread;
    void *stack_top;
    void *user_stack_pages;

    struct exit_info exit;
    u32 event_error;
    u32 event_length;           /* instruction length for software events */
    u64 tsc_offset;             /* guest TSC = host TSC + this */
    u64 pat;
    u64 xcr0;                   /* the guest's, live while the vcpu is loaded */
    bool live;                  /* loaded: dr[], dr6, tsc_aux and msr_live[] are in the registers of its CPU */
    u64 dr[4];                  /* the guest's DR0-DR3 */
    u64 dr6;                    /* likewise, VMX (SVM keeps it in the VMCB) */
    u64 tsc_aux;                /* likewise, where the CPU has RDTSCP */
    u64 msr_live[8];            /* vendor: guest values of MSRs that no entry or exit switches */
    void *hvm;                  /* VMCS or VMCB, pool */
    struct exit_record ring[VCPU_RING];
    u64 ring_next;              /* bytes written to the ring */
    u32 retries;                /* exits in a row without progress */
    bool answered;              /* method 1: ring 3 has run, the answer is in the frame */
    u64 top_calls;              /* operations that no exit led to; ring_next counts the others */
    u64 tick_op, tick_at;       /* depriv_tick(): the operation that the last counted tick saw, and how long the thread had run */
    u64 window_at;
    u32 op_quanta, window_quanta;
    u64 stack_copy_rsp;         /* method 2: where the copy begins */
    u64 stack_copy[96];         /* method 2: the supervisor stack while ring 3 runs */
    u8 fpu[3072] __attribute__((aligned(64))); /* XSAVE area of the guest while not loaded */
};

/* Atomic throughout: other CPUs set KILL and EVENTS, and a plain OR here could take theirs away again. */
static inline void hazard_set(struct vcpu *v, u32 hazards) { __atomic_or_fetch(&v->hazards, (u16)hazards, __ATOMIC_SEQ_CST); }
static inline void hazard_clear(struct vcpu *v, u32 hazards) { __atomic_and_fetch(&v->hazards, (u16)~hazards, __ATOMIC_SEQ_CST); }

/* Between guest entries: an event, hazards or a commit. vcpu_ready() deals with the last two. False: the vcpu is to end. */
_Static_assert(offsetof(struct vcpu, commit_groups) == offsetof(struct vcpu, event) + 6, "vcpu_due reads them as one");
static inline bool vcpu_due(const struct vcpu *v) { return *(const volatile u64 *)&v->event; }
bool vcpu_ready(struct vcpu *v);

int vcpu_create(struct domain *d, u32 index); /* d->vcpu[index]; -E_NOMEM: the pool is empty, vcpu_free() frees what there is of it */
void vcpu_free(struct vcpu *v);
void vcpu_event(struct vcpu *v, u32 event);   /* any CPU: deliver ABI_EVENT_* and wake */
void vcpu_switch_in(struct vcpu *v);          /* scheduler: make v the loaded vcpu of this CPU */
void vcpu_debug_save(struct vcpu *v);         /* DR0-DR3, DR6: from the registers of this CPU, where v is live, and to them */
void vcpu_debug_load(const struct vcpu *v);
u64 vcpu_host_cr3(const struct vcpu *v);      /* what ring 0 runs on for it, and ring 3 with aspace=shared */
void vcpu_unload(struct cpu *cpu);            /* save what cpu->loaded left in the registers */
void vcpu_print_ring(const struct vcpu *v);   /* its last exits, newest first */
void vcpu_print_memory(const struct vcpu *v); /* what it takes */
void vcpu_print_state(struct vcpu *v);        /* guest registers */

/* Adds an event to inject. A contributory pair becomes #DF, a fault in #DF ends the domain as a triple fault (SDM 3A 6.15 table 6-5). */
void inject_exception(struct vcpu *v, u32 vector, bool has_error, u32 error);
