/* VM exits: one row per exit reason (SDM 3D appendix C), and what turns the VMCS fields of an exit into neutral data.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; a field is read only where the exit gives it a meaning. */
#include "kernel/exit.h"
#include "kernel/gueststate.h"
#include "kernel/trap.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

#define ROW_WRITE  1u /* exit_info.flags */
#define ROW_LENGTH 2u /* the instruction length is defined (27.2.5), and used */

/* An event whose delivery the exit cut short is delivered again, unless what the exit leads to takes its place (27.2.4). */
static void redeliver(struct vcpu *v)
{
    u32 event = (u32)vmcs_read(VMCS_IDT_EVENT);
    if (!(event & ABI_INJECT_VALID))
        return;
    v->event = event & HVM_EVENT_FIELDS; /* bit 12 says nothing about it */
    v->event_error = event & ABI_INJECT_ERROR ? (u32)vmcs_read(VMCS_IDT_ERROR) : 0;
    v->event_length = (event & HVM_EVENT_TYPE) >= HVM_EVENT_SOFT_INT ? (u32)vmcs_read(VMCS_EXIT_LENGTH) : 0;
}

/* A debug exception that exits has changed neither DR6 nor DR7 (27.1); its delivery would have (SDM 3B 17.2.3, 17.2.4). Delivery also
 * ends a shadow of STI or MOV SS, which VM entry would hold against RFLAGS.TF (26.3.1.5). */
static u64 decode_debug(void)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION), dr6, dr7 = vmcs_read(VMCS_GUEST_DR7);
    __asm__ volatile("mov %%db6, %0" : "=r"(dr6));
    dr6 = (dr6 & ~(u64)DEBUG_BREAKPOINTS) | (q & (DEBUG_BREAKPOINTS | DEBUG_BD | DEBUG_BS));
    __asm__ volatile("mov %0, %%db6" : : "r"(dr6));
    if (dr7 & DR7_GD)
        vmcs_write(VMCS_GUEST_DR7, dr7 & ~DR7_GD);
    vmcs_write(VMCS_INTERRUPTIBILITY, vmcs_read(VMCS_INTERRUPTIBILITY) & ~(u64)(ABI_SHADOW_STI | ABI_SHADOW_MOVSS));
    return q;
}

/* Exception or NMI. NMI and machine check are the host's: they go through its own IDT, whose IRET ends the blocking of NMIs. INT1 exits
 * before it is executed, and is a trap: the handler's frame names the next instruction. */
static u64 decode_exception(struct vcpu *v)
{
    u32 event = (u32)vmcs_read(VMCS_EXIT_EVENT), vector = event & HVM_EVENT_VECTOR;
    redeliver(v);
    v->exit.vector = vector;
    v->exit.error_valid = event & ABI_INJECT_ERROR;
    v->exit.error = v->exit.error_valid ? (u32)vmcs_read(VMCS_EXIT_ERROR) : 0;
    v->exit.kind = vector == VEC_NMI || vector == VEC_MC ? EXIT_NMI : EXIT_EXCEPTION;
    if (vector == VEC_NMI)
        __asm__ volatile("int %0" : : "i"(VEC_NMI) : "memory");
    else if (vector == VEC_MC)
        __asm__ volatile("int %0" : : "i"(VEC_MC) : "memory");
    if (vector == VEC_DB && (event & HVM_EVENT_TYPE) == HVM_EVENT_PRIV_SOFT)
        vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_RIP) + vmcs_read(VMCS_EXIT_LENGTH));
    return vector == VEC_DB ? decode_debug() : event;
}

/* The APIC has been acknowledged by the exit (24.7.1), and the vector's handler runs as if the interrupt had come in ring 0. */
static u64 decode_interrupt(struct vcpu *v)
{
    u32 vector = (u32)vmcs_read(VMCS_EXIT_EVENT) & HVM_EVENT_VECTOR;
    (void)v;
    interrupt_handle(vector);
    return vector;
}

_Static_assert(QUAL_MMIO(QUAL_WRITE) == ABI_MMIO_WRITE && QUAL_MMIO(QUAL_FINAL) == ABI_MMIO_FINAL, "table 27-7");
static u64 decode_nested(struct vcpu *v)
{
    u64 q;
    redeliver(v);
    q = vmcs_read(VMCS_QUALIFICATION);
    v->frame->flags = (u8)QUAL_MMIO(q & QUAL_FETCH ? q & ~QUAL_FINAL : q);
    return v->frame->gpa = v->exit.gpa = vmcs_read(VMCS_GUEST_PHYSICAL);
}

/* Table 27-2. The event that a task gate delivered is the new task's now; only what an instruction asked for returns behind it (25.4.2). */
static u64 decode_task(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    redeliver(v);
    v->frame->gpa = (q & 0xffff) | (q >> 30 & 3) << ABI_TASK_REASON | (v->event & ABI_INJECT_ERROR ? ABI_TASK_ERROR : 0);
    v->frame->inject_error = v->event_error;
    v->frame->length = v->event && (v->event & HVM_EVENT_TYPE) < HVM_EVENT_SOFT_INT ? 0 : (u32)vmcs_read(VMCS_EXIT_LENGTH);
    v->event = 0;
    return q;
}

/* Table 27-3. Only MOV to CR0 or CR4 exits, where it changes a bit that the host owns (25.1.3): NE, NW, CD; MCE and what CPUID does not
 * offer. The new value of those bits goes to the read shadow and the instruction is executed again: this time it does not exit, and the
 * CPU itself makes every other check and change, the load of the PDPTEs among them, for which guest memory is read. */
static u64 decode_control(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    u32 cr = q & 0xf, gpr = q >> 8 & 0xf;
    u64 value = gpr == ABI_RSP ? vmcs_read(VMCS_GUEST_RSP) : v->frame->gpr[gpr];
    bool broken = cr == 0 ? (value & (CR0_NW | CR0_CD)) == CR0_NW : value & ~vmx_config.cr4_guest & ~CR4_MCE;
    v->exit.kind = broken ? EXIT_PRIVILEGED : EXIT_RETRY;
    if (!broken)
        vmx_own_set(vmx_of(v), cr, value);
    return q;
}

/* For Bochs 2.7 alone: it misses a host interrupt while the guest has IF = 0, which by the manual exits whatever IF is (25.2). So after
 * at most TIMER_US of guest time ring 0 looks itself. Hardware pays one exit in that time; the hot path nothing, since the CPU saves and
 * loads the count. */
static u64 decode_timer(struct vcpu *v)
{
    (void)v;
    vmcs_write(VMCS_TIMER, vmx_config.timer);
    irq_poll();
    return 0;
}

/* What ring 3 needs besides the state to name the rule that was broken. */
static u64 decode_failed(struct vcpu *v)
{
    v->frame->inject = (u32)vmcs_read(VMCS_ENTRY_EVENT);
    return v->exit.gpa = vmcs_read(v->exit.reason == REASON_VMFAIL ? VMCS_INSTRUCTION_ERROR : VMCS_QUALIFICATION);
}

/* By basic exit reason; kind 0: it cannot occur with the controls in use (I/O instructions do not come this way). */
static const struct exit_row {
    u8 kind, flags;     /* flags: ROW_* */
    u64 (*decode)(struct vcpu *v); /* returns what the exit record shows */
} exit_rows[] = {
    [0]  = { EXIT_EXCEPTION,  0,                        decode_exception }, /* or NMI */
    [1]  = { EXIT_INTERRUPT,  0,                        decode_interrupt },
    [2]  = { EXIT_TRIPLE,     0,                        NULL },
    [7]  = { EXIT_WINDOW,     0,                        NULL },
    [9]  = { EXIT_TASK,       0,                        decode_task },
    [10] = { EXIT_CPUID,      ROW_LENGTH,               NULL },
    [11] = { EXIT_UNDEFINED,  0,                        NULL },             /* GETSEC */
    [12] = { EXIT_HLT,        ROW_LENGTH,               NULL },
    [13] = { EXIT_INVD,       ROW_LENGTH,               NULL },
    [15] = { EXIT_PRIVILEGED, 0,                        NULL },             /* RDPMC */
    [18] = { EXIT_CALL,       ROW_LENGTH,               NULL },             /* VMCALL */
    [19 ... 27] = { EXIT_UNDEFINED, 0,                  NULL },             /* VMCLEAR to VMXON */
    [28] = { EXIT_RETRY,      0,                        decode_control },
    [31] = { EXIT_MSR,        ROW_LENGTH,               NULL },             /* RDMSR */
    [32] = { EXIT_MSR,        ROW_LENGTH | ROW_WRITE,   NULL },             /* WRMSR */
    [33 ... 34] = { EXIT_FAILED, 0,                     decode_failed },    /* guest state, MSR loading */
    [REASON_VMFAIL] = { EXIT_FAILED, 0,                 decode_failed },
    [36] = { EXIT_UNDEFINED,  0,                        NULL },             /* MWAIT */
    [39] = { EXIT_UNDEFINED,  0,                        NULL },             /* MONITOR */
    [41] = { EXIT_FAILED,     0,                        decode_failed },    /* machine check during entry */
    [48] = { EXIT_NESTED,     0,                        decode_nested },    /* EPT violation; most do not come this way */
    [50] = { EXIT_UNDEFINED,  0,                        NULL },             /* INVEPT */
    [52] = { EXIT_RETRY,      0,                        decode_timer },
    [53] = { EXIT_UNDEFINED,  0,                        NULL },             /* INVVPID */
    [54] = { EXIT_INVD,       ROW_LENGTH | ROW_WRITE,   NULL },             /* WBINVD */
    [55] = { EXIT_XSETBV,     ROW_LENGTH,               NULL },
    [59] = { EXIT_UNDEFINED,  0,                        NULL },             /* VMFUNC */
};

void vmx_decode(struct vcpu *v, u32 reason)
{
    static const struct exit_row none = { EXIT_UNEXPECTED, 0, NULL };
    struct exit_info *e = &v->exit;
    u32 n = reason & REASON_BASIC;
    u64 info;
    const struct exit_row *row = likely(n < ARRAY_SIZE(exit_rows) && exit_rows[n].kind) ? &exit_rows[n] : &none;
    e->reason = reason;
    e->kind = row->kind;
    e->flags = row->flags & ROW_WRITE;
    if (row->flags & ROW_LENGTH)
        e->length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    info = row->decode ? row->decode(v) : 0;
    exit_count(v, e->kind, reason, info);
}
