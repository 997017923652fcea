/* Every exit code of APM2 appendix C: its name, its neutral kind, what is read from the VMCB for it. */
#include "svm/svm.h"

/* How far a handler goes while the guest's VMLOAD state is live and GIF = 0. */
enum stay {
    STAY_NEVER,                 /* ring 3, or host interrupts */
    STAY_LENGTH,                /* ring 3 only when the CPU gives no instruction length */
    STAY,                       /* ring 0 alone, and no state group that VMSAVE provides */
};

struct vmexit_row {
    const char *name;
    u8 kind, stay;
    void (*decode)(struct exit_info *e, struct vmcb *c); /* on top of the length */
};

static void decode_msr(struct exit_info *e, struct vmcb *c)
{
    e->flags = c->exit_info1 & 1;
}

static void decode_wbinvd(struct exit_info *e, struct vmcb *c)
{
    (void)c;
    e->flags = 1;
}

static void decode_nested(struct exit_info *e, struct vmcb *c)
{
    e->gpa = c->exit_info2;
    e->access = c->exit_info1 & NPF_WRITE ? HVM_ACCESS_WRITE : c->exit_info1 & NPF_FETCH ? HVM_ACCESS_FETCH : HVM_ACCESS_READ;
    e->access |= c->exit_info1 & NPF_FINAL ? HVM_ACCESS_FINAL : 0;
    if (svm_features.decode && c->fetched <= sizeof(c->insn)) {
        e->insn_bytes = c->fetched;
        memcpy(e->insn, c->insn, sizeof(c->insn));
    }
}

/* DR6 and DR7 are in the VMCB as delivery would leave them, but for DR7.GD, which delivery clears (APM2 13.1.1.4). */
static void decode_debug(struct exit_info *e, struct vmcb *c)
{
    e->vector = VEC_DB;
    e->error_valid = 0;
    c->save.dr7 &= ~DR7_GD;
    c->clean &= ~(u32)CLEAN_DR;
}

static void decode_undefined(struct exit_info *e, struct vmcb *c)
{
    (void)c;
    e->vector = VEC_UD;
    e->error_valid = 0;
}

static void decode_alignment(struct exit_info *e, struct vmcb *c)
{
    e->vector = VEC_AC;
    e->error_valid = ABI_INJECT_ERROR;
    e->error = (u32)c->exit_info1;
}

/* TCG loses the guest's interrupt shadow at VMRUN: after an exit between STI and HLT an interrupt is taken before the HLT, which then
 * sleeps although the interrupt was meant to end it. Such a HLT has no shadow and stands where an exit found one: the run loop does not
 * sleep on it. Where VMRUN keeps the shadow (APM2 15.21.5) this HLT has one, so nothing changes there. */
static void decode_halt(struct exit_info *e, struct vmcb *c)
{
    if (c->own_shadow_rip == c->save.rip && !(c->int_shadow & VMCB_SHADOW))
        e->flags = SVM_HALT_AWAKE;
    c->own_shadow_rip = ~0ull;
}

#define OFF(text) { text, EXIT_UNEXPECTED, STAY_NEVER, NULL } /* not intercepted */
#define BAD(text) { text, EXIT_UNDEFINED, STAY, NULL }        /* CPUID does not offer it, or it is SVM's own */

static const struct vmexit_row rows[VMEXIT_TABLE_END] = {
    [0x00 ... 0x0f] = OFF("CR read"),
    [0x10 ... 0x1f] = OFF("CR write"),
    [0x20 ... 0x2f] = OFF("DR read"),
    [0x30 ... 0x3f] = OFF("DR write"),
    [VMEXIT_EXCP] = OFF("#DE"),
    [VMEXIT_EXCP + 2 ... VMEXIT_EXCP + 5] = OFF("exception"),
    [VMEXIT_EXCP + 7 ... VMEXIT_EXCP + 16] = OFF("exception"),
    [VMEXIT_EXCP + 19 ... VMEXIT_EXCP + 31] = OFF("exception"),
    [VMEXIT_EXCP + VEC_DB]     = { "#DB",         EXIT_EXCEPTION,  STAY,        decode_debug },
    [VMEXIT_EXCP + VEC_UD]     = { "#UD",         EXIT_EXCEPTION,  STAY,        decode_undefined },
    [VMEXIT_EXCP + VEC_AC]     = { "#AC",         EXIT_EXCEPTION,  STAY,        decode_alignment },
    [VMEXIT_EXCP + VEC_MC]     = { "#MC",         EXIT_NMI,        STAY_NEVER,  NULL },
    [VMEXIT_INTR]              = { "INTR",        EXIT_INTERRUPT,  STAY_NEVER,  NULL },
    [VMEXIT_NMI]               = { "NMI",         EXIT_NMI,        STAY_NEVER,  NULL },
    [VMEXIT_SMI]               = OFF("SMI"),
    [VMEXIT_INIT]              = { "INIT",        EXIT_INTERRUPT,  STAY_NEVER,  NULL }, /* held until STGI, then the host's */
    [VMEXIT_VINTR]             = { "VINTR",       EXIT_WINDOW,     STAY,        NULL },
    [VMEXIT_CR0_SEL_WRITE]     = OFF("CR0 selective write"),
    [VMEXIT_IDTR_READ]         = OFF("IDTR read"),
    [VMEXIT_GDTR_READ]         = OFF("GDTR read"),
    [VMEXIT_LDTR_READ]         = OFF("LDTR read"),
    [VMEXIT_TR_READ]           = OFF("TR read"),
    [VMEXIT_IDTR_WRITE]        = OFF("IDTR write"),
    [VMEXIT_GDTR_WRITE]        = OFF("GDTR write"),
    [VMEXIT_LDTR_WRITE]        = OFF("LDTR write"),
    [VMEXIT_TR_WRITE]          = OFF("TR write"),
    [VMEXIT_RDTSC]             = OFF("RDTSC"),
    [VMEXIT_RDPMC]             = { "RDPMC",       EXIT_PRIVILEGED, STAY,        NULL },
    [VMEXIT_PUSHF]             = OFF("PUSHF"),
    [VMEXIT_POPF]              = OFF("POPF"),
    [VMEXIT_CPUID]             = { "CPUID",       EXIT_CPUID,      STAY_LENGTH, NULL },
    [VMEXIT_RSM]               = BAD("RSM"),
    [VMEXIT_IRET]              = OFF("IRET"),
    [VMEXIT_SWINT]             = OFF("INTn"),
    [VMEXIT_INVD]              = { "INVD",        EXIT_INVD,       STAY_LENGTH, NULL },
    [VMEXIT_PAUSE]             = OFF("PAUSE"),
    [VMEXIT_HLT]               = { "HLT",         EXIT_HLT,        STAY_LENGTH, decode_halt },
    [VMEXIT_INVLPG]            = OFF("INVLPG"),
    [VMEXIT_INVLPGA]           = BAD("INVLPGA"),
    [VMEXIT_IOIO]              = { "IOIO",        EXIT_PORT,       STAY_NEVER,  svm_decode_port },
    [VMEXIT_MSR]               = { "MSR",         EXIT_MSR,        STAY_LENGTH, decode_msr },
    [VMEXIT_TASK_SWITCH]       = OFF("task switch"), /* the CPU does it by itself */
    [VMEXIT_FERR_FREEZE]       = { "FERR freeze", EXIT_RETRY,      STAY,        NULL }, /* waits for an interrupt that no PIC here sends */
    [VMEXIT_SHUTDOWN]          = { "shutdown",    EXIT_TRIPLE,     STAY_NEVER,  NULL },
    [VMEXIT_VMRUN]             = BAD("VMRUN"),
    [VMEXIT_VMMCALL]           = { "VMMCALL",     EXIT_CALL,       STAY_NEVER,  NULL },
    [VMEXIT_VMLOAD]            = BAD("VMLOAD"),
    [VMEXIT_VMSAVE]            = BAD("VMSAVE"),
    [VMEXIT_STGI]              = BAD("STGI"),
    [VMEXIT_CLGI]              = BAD("CLGI"),
    [VMEXIT_SKINIT]            = BAD("SKINIT"),
    [VMEXIT_RDTSCP]            = OFF("RDTSCP"),
    [VMEXIT_ICEBP]             = OFF("ICEBP"),
    [VMEXIT_WBINVD]            = { "WBINVD",      EXIT_INVD,       STAY_LENGTH, decode_wbinvd },
    [VMEXIT_MONITOR]           = BAD("MONITOR"),
    [VMEXIT_MWAIT]             = BAD("MWAIT"),
    [VMEXIT_MWAIT_CONDITIONAL] = BAD("MWAIT, armed"),
    [VMEXIT_XSETBV]            = { "XSETBV",      EXIT_XSETBV,     STAY_LENGTH, NULL },
    [VMEXIT_RDPRU]             = BAD("RDPRU"),
    [VMEXIT_EFER_WRITE_TRAP]   = OFF("EFER write trap"),
    [VMEXIT_CR_WRITE_TRAP ... VMEXIT_CR_WRITE_TRAP + 15] = OFF("CR write trap"),
    [VMEXIT_INVLPGB]           = OFF("INVLPGB"),
    [VMEXIT_INVLPGB_ILLEGAL]   = OFF("INVLPGB, illegal"),
    [VMEXIT_INVPCID]           = OFF("INVPCID"),
    [VMEXIT_MCOMMIT]           = BAD("MCOMMIT"),
    [VMEXIT_TLBSYNC]           = OFF("TLBSYNC"),
    [VMEXIT_BUSLOCK]           = OFF("bus lock"),
    [VMEXIT_IDLE_HLT]          = OFF("idle HLT"),
};

static const struct vmexit_row high_rows[VMEXIT_HIGH_END - VMEXIT_NPF] = {
    { "NPF", EXIT_NESTED, STAY_NEVER, decode_nested }, OFF("AVIC incomplete IPI"), OFF("AVIC no acceleration"), OFF("VMGEXIT"),
};

static const struct vmexit_row *row_find(u32 code)
{
    static const struct vmexit_row failed = { "invalid", EXIT_FAILED, STAY_NEVER, NULL }, unknown = OFF("unknown exit code");
    if (likely(code < VMEXIT_TABLE_END && rows[code].name))
        return &rows[code];
    if (code >= VMEXIT_NPF && code < VMEXIT_HIGH_END)
        return &high_rows[code - VMEXIT_NPF];
    return code == VMEXIT_INVALID ? &failed : &unknown;
}

bool svm_exit_decode(struct vcpu *v)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct exit_info *e = &v->exit;
    const struct vmexit_row *row = row_find((u32)c->exit_code);
    e->reason = (u32)c->exit_code;
    e->kind = row->kind;
    e->flags = 0;
    e->insn_bytes = 0;
    e->text = NULL;
    e->length = svm_features.nrips ? (u32)(c->next_rip - c->save.rip) : 0; /* not written at all without the CPUID bit */
    if (unlikely(c->int_shadow & VMCB_SHADOW))
        c->own_shadow_rip = c->save.rip;
    if (row->decode)
        row->decode(e, c);
    if (e->kind == EXIT_PORT && e->flags & ABI_PORT_STRING)
        e->kind = EXIT_STRING;
    if (unlikely(e->length > SVM_LENGTH_MAX))
        e->length = 0;
    if (unlikely(row->kind == EXIT_UNEXPECTED))
        e->text = row->name;
    else if (unlikely(row->kind == EXIT_FAILED))
        e->text = svm_entry_broken(c);
    return row->stay == STAY || (row->stay == STAY_LENGTH && e->length);
}
