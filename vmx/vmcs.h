/* The VMCS by the manual's names: field encodings (SDM 3D appendix B), controls (3C 24.6 to 24.8), capability MSRs
 * (3D appendix A). Exit reasons are rows of exits.c. */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "kernel/base.h"

/* Fields of the eight segments follow one another by 2, in the order of enum ABI_ES... */
#define VMCS_SEG(first, n) ((first) + 2 * (n))

enum vmcs_field {
    /* 16 bits: control, guest, host */
    VMCS_VPID               = 0x0000,
    VMCS_GUEST_SELECTOR     = 0x0800, /* VMCS_SEG */
    VMCS_HOST_ES            = 0x0c00, VMCS_HOST_CS            = 0x0c02, VMCS_HOST_SS            = 0x0c04,
    VMCS_HOST_DS            = 0x0c06, VMCS_HOST_FS            = 0x0c08, VMCS_HOST_GS            = 0x0c0a,
    VMCS_HOST_TR            = 0x0c0c,
    /* 64 bits: control, exit, guest, host */
    VMCS_MSR_BITMAP         = 0x2004, VMCS_TSC_OFFSET         = 0x2010, VMCS_VIRTUAL_APIC       = 0x2012,
    VMCS_EPTP               = 0x201a,
    VMCS_GUEST_PHYSICAL     = 0x2400,
    VMCS_LINK               = 0x2800, VMCS_GUEST_DEBUGCTL     = 0x2802, VMCS_GUEST_PAT          = 0x2804,
    VMCS_GUEST_EFER         = 0x2806,
    VMCS_HOST_PAT           = 0x2c00, VMCS_HOST_EFER          = 0x2c02,
    /* 32 bits: control, exit, guest, host */
    VMCS_PIN                = 0x4000, VMCS_PROC               = 0x4002, VMCS_EXCEPTIONS         = 0x4004,
    VMCS_PF_MASK            = 0x4006, VMCS_PF_MATCH           = 0x4008, VMCS_CR3_TARGETS        = 0x400a,
    VMCS_EXIT               = 0x400c, VMCS_EXIT_STORE_COUNT   = 0x400e, VMCS_EXIT_LOAD_COUNT    = 0x4010,
    VMCS_ENTRY              = 0x4012, VMCS_ENTRY_LOAD_COUNT   = 0x4014, VMCS_ENTRY_EVENT        = 0x4016,
    VMCS_ENTRY_ERROR        = 0x4018, VMCS_ENTRY_LENGTH       = 0x401a, VMCS_TPR_THRESHOLD      = 0x401c,
    VMCS_PROC2              = 0x401e,
    VMCS_INSTRUCTION_ERROR  = 0x4400, VMCS_EXIT_REASON        = 0x4402, VMCS_EXIT_EVENT         = 0x4404,
    VMCS_EXIT_ERROR         = 0x4406, VMCS_IDT_EVENT          = 0x4408, VMCS_IDT_ERROR          = 0x440a,
    VMCS_EXIT_LENGTH        = 0x440c,
    VMCS_GUEST_LIMIT        = 0x4800, /* VMCS_SEG */
    VMCS_GUEST_GDTR_LIMIT   = 0x4810, VMCS_GUEST_IDTR_LIMIT   = 0x4812,
    VMCS_GUEST_ATTR         = 0x4814, /* VMCS_SEG */
    VMCS_INTERRUPTIBILITY   = 0x4824, VMCS_ACTIVITY           = 0x4826, VMCS_GUEST_SYSENTER_CS  = 0x482a,
    VMCS_TIMER              = 0x482e, /* VMX-preemption timer */
    VMCS_HOST_SYSENTER_CS   = 0x4c00,
    /* natural width: control, exit, guest, host */
    VMCS_CR0_MASK           = 0x6000, VMCS_CR4_MASK           = 0x6002, VMCS_CR0_SHADOW         = 0x6004,
    VMCS_CR4_SHADOW         = 0x6006,
    VMCS_QUALIFICATION      = 0x6400,
    VMCS_GUEST_CR0          = 0x6800, VMCS_GUEST_CR3          = 0x6802, VMCS_GUEST_CR4          = 0x6804,
    VMCS_GUEST_BASE         = 0x6806, /* VMCS_SEG */
    VMCS_GUEST_GDTR_BASE    = 0x6816, VMCS_GUEST_IDTR_BASE    = 0x6818, VMCS_GUEST_DR7          = 0x681a,
    VMCS_GUEST_RSP          = 0x681c, VMCS_GUEST_RIP          = 0x681e, VMCS_GUEST_RFLAGS       = 0x6820,
    VMCS_PENDING_DEBUG      = 0x6822, VMCS_GUEST_SYSENTER_ESP = 0x6824, VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0           = 0x6c00, VMCS_HOST_CR3           = 0x6c02, VMCS_HOST_CR4           = 0x6c04,
    VMCS_HOST_FS_BASE       = 0x6c06, VMCS_HOST_GS_BASE       = 0x6c08, VMCS_HOST_TR_BASE       = 0x6c0a,
    VMCS_HOST_GDTR_BASE     = 0x6c0c, VMCS_HOST_IDTR_BASE     = 0x6c0e, VMCS_HOST_SYSENTER_ESP  = 0x6c10,
    VMCS_HOST_SYSENTER_EIP  = 0x6c12, VMCS_HOST_RIP           = 0x6c16, /* between them HOST_RSP, which enter.asm writes */
};

/* Pin-based controls, 24.6.1. */
enum { PIN_INTERRUPT = BIT(0), PIN_NMI = BIT(3), PIN_VIRTUAL_NMI = BIT(5), PIN_TIMER = BIT(6) };
/* Primary processor-based controls, 24.6.2. IO: unconditional. */
enum {
    PROC_WINDOW = BIT(2), PROC_TSC_OFFSET = BIT(3), PROC_HLT = BIT(7), PROC_MWAIT = BIT(10), PROC_RDPMC = BIT(11), PROC_CR3_LOAD = BIT(15),
    PROC_CR3_STORE = BIT(16), PROC_TPR_SHADOW = BIT(21), PROC_IO = BIT(24), PROC_MSR_BITMAP = BIT(28), PROC_MONITOR = BIT(29),
    PROC_SECONDARY = BIT(31),
};
/* Secondary processor-based controls. */
enum {
    PROC2_EPT = BIT(1), PROC2_RDTSCP = BIT(3), PROC2_VPID = BIT(5), PROC2_WBINVD = BIT(6), PROC2_UNRESTRICTED = BIT(7),
    PROC2_INVPCID = BIT(12),
};
/* VM-exit controls, 24.7.1, and VM-entry controls, 24.8.1. */
enum {
    EXIT_CTL_SAVE_DEBUG = BIT(2), EXIT_CTL_HOST64 = BIT(9), EXIT_CTL_ACK = BIT(15), EXIT_CTL_LOAD_PAT = BIT(19),
    EXIT_CTL_SAVE_EFER = BIT(20), EXIT_CTL_LOAD_EFER = BIT(21), EXIT_CTL_SAVE_TIMER = BIT(22),
};
enum { ENTRY_CTL_LOAD_DEBUG = BIT(2), ENTRY_CTL_IA32E = BIT(9), ENTRY_CTL_LOAD_PAT = BIT(14), ENTRY_CTL_LOAD_EFER = BIT(15) };

/* Exit qualifications: of I/O, table 27-5, string instruction; of an EPT violation, table 27-7. */
#define QUAL_STRING       BIT(4)
#define QUAL_WRITE        BIT(1)
#define QUAL_FETCH        BIT(2)
#define QUAL_FINAL        BIT(8)
#define QUAL_MMIO(q)      ((q) >> 1 & (ABI_MMIO_WRITE | ABI_MMIO_FINAL)) /* asserted in exits.c */

/* Pending debug exceptions and the qualification of a #DB exit, tables 24-4 and 27-1: laid out as DR6. */
enum { DEBUG_BREAKPOINTS = 0xf, DEBUG_BD = BIT(13), DEBUG_BS = BIT(14) };

/* EPT entries and pointer, 24.6.11, 28.2.2. WB with IPAT 0: the guest's PAT decides within WB. */
enum { EPT_READ = BIT(0), EPT_WRITE = BIT(1), EPT_EXECUTE = BIT(2), EPT_WB = 6 << 3 };
enum { EPTP_WB = 6, EPTP_4LEVEL = 3 << 3, EPTP_DIRTY = BIT(6) };
enum { VPID_SINGLE = 1, VPID_ALL, EPT_ALL = 2 }; /* types of INVVPID and INVEPT, 30.3 */

/* Capability MSRs, appendix A. */
enum {
    MSR_VMX_BASIC = 0x480, MSR_VMX_PIN, MSR_VMX_PROC, MSR_VMX_EXIT, MSR_VMX_ENTRY, MSR_VMX_MISC, MSR_VMX_CR0_FIXED0,
    MSR_VMX_CR4_FIXED0 = 0x488, MSR_VMX_PROC2 = 0x48b, MSR_VMX_EPT_VPID,
    MSR_VMX_TRUE = 0xc, /* 48Dh-490h: PIN to ENTRY without the default-1 bits, if BASIC[55] */
};
#define VMX_BASIC_TRUE    BIT(55)
#define VMX_REVISION      0x7fffffffu
#define VMX_MISC_TIMER    0x1fu   /* the timer counts at the TSC's rate shifted right by this */
#define EPT_CAP_DIRTY     BIT(21)
#define VPID_CAP_SINGLE   BIT(41)
#define FEATURE_LOCK      BIT(0)
#define FEATURE_VMXON     BIT(2)

/* Basic exit reasons that code names; exits.c has them all. */
enum { REASON_CPUID = 10, REASON_IO = 30, REASON_EPT = 48, REASON_BASIC = 0xffff };
#define REASON_VMFAIL 35u /* no CPU gives it: there was no entry, and no exit */

#endif
