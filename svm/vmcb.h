/* The virtual machine control block as hardware lays it out, and its exit codes (APM2 appendices B and C). */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "kernel/base.h"

enum { TLB_FLUSH_NONE, TLB_FLUSH_ALL, TLB_FLUSH_ASID = 3 /* CPUID 8000_000Ah:EDX[6] FlushByAsid */ };
enum { V_IRQ = BIT(8), V_IGN_TPR = BIT(20), V_INTR_MASKING = BIT(24) };
enum { NPF_WRITE = BIT(1), NPF_FETCH = BIT(4) }; /* EXITINFO1, 15.25.6 */
#define NPF_FINAL BIT(32) /* not of a walk of the guest's tables */
#define NPF_FLAGS(info) (((info) >> 1 & ABI_MMIO_WRITE) | ((info) >> 25 & ABI_MMIO_FINAL))
#define VMCB_SHADOW           BIT(0) /* at 0x068 */
#define VMCB_NP_ENABLE        BIT(0) /* at 0x090 */

/* Clean bits (APM2 15.15.3): set means unchanged since this CPU last ran the VMCB. INTERCEPTS: with the TSC offset; TPR: all of
 * int_control; NP: with G_PAT; CR: CR0, CR3, CR4, EFER; DT: GDTR, IDTR; SEG: CS, SS, DS, ES, CPL. */
enum {
    CLEAN_INTERCEPTS = BIT(0), CLEAN_TPR = BIT(3), CLEAN_NP = BIT(4), CLEAN_CR = BIT(5), CLEAN_DR = BIT(6), CLEAN_DT = BIT(7),
    CLEAN_SEG = BIT(8), CLEAN_CR2 = BIT(9), CLEAN_ALL = 0x3ff,
};

/* EXITINFO1 of VMEXIT_IOIO (APM2 15.10.2); bits 4-6 are the size in bytes as it stands. */
enum { IOIO_IN = BIT(0), IOIO_STRING = BIT(2), IOIO_REP = BIT(3), IOIO_SIZE_SHIFT = 4, IOIO_PORT_SHIFT = 16 };

/* Exit codes that have a row; exits.c names the others. */
enum vmexit {
    VMEXIT_EXCP = 0x40, VMEXIT_INTR = 0x60, VMEXIT_NMI, VMEXIT_INIT = 0x63, VMEXIT_VINTR, VMEXIT_RDPMC = 0x6f, VMEXIT_CPUID = 0x72,
    VMEXIT_RSM, VMEXIT_INVD = 0x76, VMEXIT_HLT = 0x78, VMEXIT_INVLPGA = 0x7a, VMEXIT_IOIO, VMEXIT_MSR, VMEXIT_FERR_FREEZE = 0x7e,
    VMEXIT_SHUTDOWN, VMEXIT_VMRUN, VMEXIT_VMMCALL, VMEXIT_VMLOAD, VMEXIT_VMSAVE, VMEXIT_STGI, VMEXIT_CLGI, VMEXIT_SKINIT,
    VMEXIT_WBINVD = 0x89, VMEXIT_MONITOR, VMEXIT_MWAIT, VMEXIT_MWAIT_ARMED, VMEXIT_XSETBV, VMEXIT_RDPRU, VMEXIT_MCOMMIT = 0xa3,
    VMEXIT_NPF = 0x400,
};
#define VMEXIT_INTERCEPTS     (VMEXIT_EXCP + 4 * 32) /* codes from VMEXIT_EXCP to here are exits that a bit asks for */
#define VMEXIT_INVALID        0xffffffffu /* in the low half: not every CPU sign-extends it */

/* attrib: type, S, DPL, P at bits 0-7, then AVL, L, D, G at 8-11 (APM2 15.5.1, "Segment State in the VMCB"). */
enum { VMCB_SEG_DPL = 3 << 5, VMCB_SEG_P = BIT(7), VMCB_SEG_L = BIT(9), VMCB_SEG_D = BIT(10) };
struct vmcb_segment {
    u16 selector;
    u16 attrib;
    u32 limit;
    u64 base;
};

struct vmcb_save {                      /* offset in the VMCB is 0x400 more */
    struct vmcb_segment es, cs, ss, ds; /* 0x000 */
    struct vmcb_segment fs, gs;         /* 0x040 VMLOAD, VMSAVE */
    struct vmcb_segment gdtr;           /* 0x060 */
    struct vmcb_segment ldtr;           /* 0x070 VMLOAD, VMSAVE */
    struct vmcb_segment idtr;           /* 0x080 */
    struct vmcb_segment tr;             /* 0x090 VMLOAD, VMSAVE */
    u8 reserved0[0x2b];
    u8 cpl;                             /* 0x0cb */
    u32 reserved1;
    u64 efer;                           /* 0x0d0 */
    u8 reserved2[0x70];
    u64 cr4, cr3, cr0, dr7, dr6;        /* 0x148 */
    u64 rflags, rip;                    /* 0x170 */
    u8 reserved3[0x58];
    u64 rsp;                            /* 0x1d8 */
    u64 s_cet, ssp, isst_addr;          /* 0x1e0 */
    u64 rax;                            /* 0x1f8 */
    u64 star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip; /* 0x200 VMLOAD, VMSAVE */
    u64 cr2;                            /* 0x240 */
    u8 reserved4[0x20];
    u64 g_pat;                          /* 0x268 */
    u64 dbgctl;                         /* 0x270 */
};

struct vmcb {
    u32 intercept_cr, intercept_dr;     /* 0x000 reads, writes << 16 */
    u32 intercepts[4];                  /* 0x008 exceptions, then what exits: bit n of word w is exit code VMEXIT_EXCP + 32 * w + n */
    u8 reserved0[0x28];
    u64 iopm_base, msrpm_base;          /* 0x040 */
    u64 tsc_offset;                     /* 0x050 */
    u32 asid;                           /* 0x058 */
    u32 tlb_control;                    /* 0x05c */
    u64 int_control;                    /* 0x060 V_TPR, V_IRQ ... */
    u64 int_shadow;                     /* 0x068 */
    u64 exit_code, exit_info1, exit_info2, exit_int_info; /* 0x070 */
    u64 nested_control;                 /* 0x090 */
    u8 reserved1[0x10];
    u64 event_inj;                      /* 0x0a8 */
    u64 nested_cr3;                     /* 0x0b0 */
    u64 virt_ext;                       /* 0x0b8 LBR, VMLOAD virtualization */
    u32 clean, reserved2;               /* 0x0c0 */
    u64 next_rip;                       /* 0x0c8 */
    u8 fetched;                         /* 0x0d0 bytes valid in insn */
    u8 insn[15];                        /* 0x0d1 */
    u8 reserved3[0x300];
    /* 0x3e0-0x3ff is the hypervisor's own (APM2 table B-1): no CPU reads it. */
    u64 own_shadow_rip;                 /* 0x3e0 where the last exit found an interrupt shadow */
    u32 own_cpu;                        /* 0x3e8 the CPU it ran on last, + 1 */
    u8 reserved4[0x14];
    struct vmcb_save save;              /* 0x400 */
};

_Static_assert(sizeof(struct vmcb_segment) == 16, "VMCB segment");
_Static_assert(offsetof(struct vmcb_save, cpl) == 0x0cb && offsetof(struct vmcb_save, efer) == 0x0d0, "VMCB CPL, EFER");
_Static_assert(offsetof(struct vmcb_save, cr4) == 0x148 && offsetof(struct vmcb_save, rip) == 0x178, "VMCB CR4, RIP");
_Static_assert(offsetof(struct vmcb_save, rsp) == 0x1d8 && offsetof(struct vmcb_save, rax) == 0x1f8, "VMCB RSP, RAX");
_Static_assert(offsetof(struct vmcb_save, star) == 0x200 && offsetof(struct vmcb_save, kernel_gs_base) == 0x220, "VMCB STAR");
_Static_assert(offsetof(struct vmcb_save, cr2) == 0x240 && offsetof(struct vmcb_save, g_pat) == 0x268, "VMCB CR2, G_PAT");
_Static_assert(offsetof(struct vmcb, iopm_base) == 0x040 && offsetof(struct vmcb, exit_code) == 0x070, "VMCB IOPM, EXITCODE");
_Static_assert(offsetof(struct vmcb, event_inj) == 0x0a8 && offsetof(struct vmcb, insn) == 0x0d1, "VMCB EVENTINJ, instruction bytes");
_Static_assert(offsetof(struct vmcb, own_shadow_rip) == 0x3e0 && offsetof(struct vmcb, save) == 0x400, "VMCB host area, save area");
_Static_assert(sizeof(struct vmcb) <= PAGE_SIZE, "VMCB is one page");

#endif
