/* Every exit code of APM2 appendix C: its neutral kind and what is read from the VMCB for it. */
#include "kernel/exit.h"
#include "svm/svm.h"

/* How far a handler goes while the guest's VMLOAD state is live and GIF = 0. */
enum stay {
    STAY_NEVER = 1,             /* ring 3, or host interrupts */
    STAY_LENGTH,                /* ring 3 only when the CPU gives no instruction length */
    STAY,                       /* ring 0 alone, and no state group that VMSAVE provides */
};

static void decode_msr(struct vcpu *v, struct vmcb *c)
{
    v->exit.flags = c->exit_info1 & 1;
}

static void decode_port(struct vcpu *v, struct vmcb *c)
{
    svm_decode_port(v, c);
    v->exit.kind = c->exit_info1 & IOIO_STRING ? EXIT_STRING : EXIT_PORT;
}

static void decode_nested(struct vcpu *v, struct vmcb *c)
{
    v->frame->gpa = v->exit.gpa = c->exit_info2;
    v->frame->flags = (u8)NPF_FLAGS(c->exit_info1 & NPF_FETCH ? c->exit_info1 & ~NPF_FINAL : c->exit_info1);
    svm_insn_give(v, c);
}

/* DR6 and DR7 are in the VMCB as delivery of #DB would leave them, but for DR7.GD, which it clears (APM2 13.1.1.4). */
static void decode_exception(struct vcpu *v, struct vmcb *c)
{
    v->exit.vector = (u32)c->exit_code - VMEXIT_EXCP;
    v->exit.error_valid = v->exit.vector == VEC_AC ? ABI_INJECT_ERROR : 0;
    v->exit.error = (u32)c->exit_info1;
    if (v->exit.vector == VEC_DB) {
        c->save.dr7 &= ~DR7_GD;
        c->clean &= ~(u32)CLEAN_DR;
    }
}

/* TCG loses the guest's interrupt shadow at VMRUN: after an exit between STI and HLT an interrupt is taken before the HLT, which then
 * sleeps although the interrupt was meant to end it. Such a HLT has no shadow and stands where an exit found one: the run loop does not
 * sleep on it. Where VMRUN keeps the shadow (APM2 15.21.5) this HLT has one, so nothing changes there. */
static void decode_halt(struct vcpu *v, struct vmcb *c)
{
    if (c->own_shadow_rip == c->save.rip && !(c->int_shadow & VMCB_SHADOW))
        v->exit.flags = SVM_HALT_AWAKE;
    c->own_shadow_rip = ~0ull;
}

struct vmexit_row {
    u8 kind, stay;
    void (*decode)(struct vcpu *v, struct vmcb *c); /* on top of the length */
};

/* By exit code; stay 0: no row. Each is intercepted. #DB and #AC can follow each other for ever inside one delivery, with no interrupt
 * between (ATTACKS E22). */
static const struct vmexit_row rows[] = {
    [VMEXIT_EXCP + VEC_DB]     = { EXIT_EXCEPTION,  STAY,        decode_exception },
    [VMEXIT_EXCP + VEC_UD]     = { EXIT_EXCEPTION,  STAY_NEVER,  decode_exception }, /* with emulate=forced */
    [VMEXIT_EXCP + VEC_AC]     = { EXIT_EXCEPTION,  STAY,        decode_exception },
    [VMEXIT_EXCP + VEC_MC]     = { EXIT_NMI,        STAY_NEVER,  NULL },
    [VMEXIT_INTR]              = { EXIT_INTERRUPT,  STAY_NEVER,  NULL },
    [VMEXIT_NMI]               = { EXIT_NMI,        STAY_NEVER,  NULL },
    [VMEXIT_INIT]              = { EXIT_INTERRUPT,  STAY_NEVER,  NULL }, /* held until STGI, then the host's */
    [VMEXIT_VINTR]             = { EXIT_WINDOW,     STAY,        NULL },
    [VMEXIT_RDPMC]             = { EXIT_PRIVILEGED, STAY,        NULL },
    [VMEXIT_CPUID]             = { EXIT_CPUID,      STAY_LENGTH, NULL },
    [VMEXIT_RSM]               = { EXIT_UNDEFINED,  STAY,        NULL },
    [VMEXIT_INVD]              = { EXIT_INVD,       STAY_LENGTH, NULL },
    [VMEXIT_HLT]               = { EXIT_HLT,        STAY_LENGTH, decode_halt },
    [VMEXIT_INVLPGA]           = { EXIT_UNDEFINED,  STAY,        NULL },
    [VMEXIT_IOIO]              = { EXIT_PORT,       STAY_NEVER,  decode_port }, /* where svm.c does not */
    [VMEXIT_MSR]               = { EXIT_MSR,        STAY_LENGTH, decode_msr },
    [VMEXIT_FERR_FREEZE]       = { EXIT_RETRY,      STAY,        NULL }, /* waits for an interrupt that no PIC here sends */
    [VMEXIT_SHUTDOWN]          = { EXIT_TRIPLE,     STAY_NEVER,  NULL },
    [VMEXIT_VMRUN]             = { EXIT_UNDEFINED,  STAY,        NULL },
    [VMEXIT_VMMCALL]           = { EXIT_CALL,       STAY_NEVER,  NULL },
    [VMEXIT_VMLOAD ... VMEXIT_SKINIT] = { EXIT_UNDEFINED, STAY,  NULL }, /* VMSAVE, STGI, CLGI between them */
    [VMEXIT_WBINVD]            = { EXIT_INVD,       STAY_LENGTH, NULL },
    [VMEXIT_MONITOR ... VMEXIT_MWAIT_ARMED] = { EXIT_UNDEFINED, STAY, NULL },
    [VMEXIT_XSETBV]            = { EXIT_XSETBV,     STAY_LENGTH, NULL },
    [VMEXIT_RDPRU]             = { EXIT_UNDEFINED,  STAY,        NULL },
    [VMEXIT_MCOMMIT]           = { EXIT_UNDEFINED,  STAY,        NULL },
};

/* TCG reports INVD as WBINVD, which ring 3's decoder then refuses as another instruction. WBINVD may as well run (it is slow, not wrong),
 * so it is intercepted only where nobody decodes it: with next RIP, which TCG does not have. */
void svm_intercept_rows(struct vmcb *c, bool forced)
{
    for (u32 code = VMEXIT_EXCP; code < VMEXIT_INTERCEPTS && code < ARRAY_SIZE(rows); code++)
        if (rows[code].stay && (code != VMEXIT_WBINVD || svm_features.nrips) && (code != VMEXIT_EXCP + VEC_UD || forced))
            c->intercepts[(code - VMEXIT_EXCP) / 32] |= 1u << code % 32;
}

static const struct vmexit_row *row_find(u32 code)
{
    static const struct vmexit_row none = { EXIT_UNEXPECTED, STAY_NEVER, NULL };
    static const struct vmexit_row nested = { EXIT_NESTED, STAY_NEVER, decode_nested }, failed = { EXIT_FAILED, STAY_NEVER, NULL };
    if (likely(code < ARRAY_SIZE(rows) && rows[code].stay))
        return &rows[code];
    return code == VMEXIT_NPF ? &nested : code == VMEXIT_INVALID ? &failed : &none;
}

bool svm_exit_decode(struct vcpu *v)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct exit_info *e = &v->exit;
    const struct vmexit_row *row = row_find((u32)c->exit_code);
    e->reason = (u32)c->exit_code;
    e->kind = row->kind;
    e->flags = e->reason == VMEXIT_WBINVD;
    v->frame->insn_bytes = 0;
    e->length = svm_features.nrips ? (u32)(c->next_rip - c->save.rip) : 0; /* not written at all without the CPUID bit */
    if (unlikely(c->int_shadow & VMCB_SHADOW))
        c->own_shadow_rip = c->save.rip;
    if (row->decode)
        row->decode(v, c);
    if (unlikely(e->length > SVM_LENGTH_MAX))
        e->length = 0;
    exit_count(v, e->kind, e->reason, e->kind == EXIT_NESTED ? c->exit_info2 : c->exit_info1);
    return row->stay == STAY || (row->stay == STAY_LENGTH && e->length);
}
