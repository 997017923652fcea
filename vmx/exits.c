/* VM exits: one row per exit reason (SDM 3D appendix C), and what turns the VMCS fields of an exit into neutral data.
 * Ring 0, interrupts off, on the vcpu's supervisor stack; a field is read only where the exit gives it a meaning. */
#include "kernel/log.h"
#include "kernel/trap.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

#define ROW_QUAL     1u /* the qualification is defined (27.2.1) */
#define ROW_LENGTH   2u /* the instruction length is defined (27.2.5), and used */
#define ROW_DELIVERY 4u /* can happen while an event is delivered (27.2.4) */

struct exit_row {
    const char *name;
    u8 kind;
    u8 flags;           /* ROW_* */
    u8 write;           /* exit_info.flags */
    void (*decode)(struct vcpu *v, u64 qualification);
};

/* Table 27-5: size - 1, direction, string, REP, operand, port. Bits 3 to 5 are ABI_PORT_IN, _STRING, _REP in their order. */
#define PORT_STRING BIT(4) /* table 27-5 */

static void decode_port(struct vcpu *v, u64 q)
{
    v->exit.kind = unlikely(q & PORT_STRING) ? EXIT_STRING : EXIT_PORT;
    v->exit.port = (u16)(q >> 16);
    v->exit.size = (u8)((q & 7) + 1);
    v->exit.flags = (u8)(q >> 3 & (ABI_PORT_IN | ABI_PORT_STRING | ABI_PORT_REP));
}

/* A debug exception that exits has changed neither DR6 nor DR7 (27.1); its delivery would have (SDM 3B 17.2.3, 17.2.4). Delivery also
 * ends a shadow of STI or MOV SS, which VM entry would hold against RFLAGS.TF (26.3.1.5). */
static void debug_registers(u64 q)
{
    u64 dr6, dr7 = vmcs_read(VMCS_GUEST_DR7);
    __asm__ volatile("mov %%db6, %0" : "=r"(dr6));
    dr6 = (dr6 & ~(u64)DEBUG_BREAKPOINTS) | (q & (DEBUG_BREAKPOINTS | DEBUG_BD | DEBUG_BS));
    __asm__ volatile("mov %0, %%db6" : : "r"(dr6));
    if (dr7 & DR7_GD)
        vmcs_write(VMCS_GUEST_DR7, dr7 & ~DR7_GD);
    vmcs_write(VMCS_INTERRUPTIBILITY, vmcs_read(VMCS_INTERRUPTIBILITY) & ~(u64)(ABI_SHADOW_STI | ABI_SHADOW_MOVSS));
}

/* INT1 exits before it is executed, and is a trap: the handler's frame names the next instruction. */
static void step_over_int1(struct vcpu *v)
{
    v->exit.length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_RIP) + v->exit.length);
}

/* Exception or NMI. NMI and machine check are the host's: they go through its own IDT, whose IRET ends the blocking of NMIs. */
static void decode_exception(struct vcpu *v, u64 q)
{
    u32 event = (u32)vmcs_read(VMCS_EXIT_EVENT);
    v->exit.vector = event & EVENT_VECTOR;
    v->exit.error_valid = event & ABI_INJECT_ERROR;
    v->exit.error = v->exit.error_valid ? (u32)vmcs_read(VMCS_EXIT_ERROR) : 0;
    v->exit.kind = EXIT_EXCEPTION;
    switch (v->exit.vector) {
    case VEC_NMI:
        v->exit.kind = EXIT_NMI;
        __asm__ volatile("int %0" : : "i"(VEC_NMI) : "memory");
        break;
    case VEC_MC:
        v->exit.kind = EXIT_NMI;
        __asm__ volatile("int %0" : : "i"(VEC_MC) : "memory");
        break;
    case VEC_DB:
        if ((event & HVM_EVENT_TYPE) == HVM_EVENT_PRIV_SOFT)
            step_over_int1(v);
        debug_registers(q);
        break;
    default:
        break;
    }
}

/* The APIC has been acknowledged by the exit (24.7.1), and the vector's handler runs as if the interrupt had come in ring 0. */
static void decode_interrupt(struct vcpu *v, u64 q)
{
    (void)q;
    v->exit.vector = (u32)vmcs_read(VMCS_EXIT_EVENT) & EVENT_VECTOR;
    interrupt_handle(v->exit.vector);
}

/* Table 27-7: bits 0 to 2 are HVM_ACCESS_READ, _WRITE, _FETCH. */
static void decode_nested(struct vcpu *v, u64 q)
{
    v->exit.gpa = vmcs_read(VMCS_GUEST_PHYSICAL);
    v->exit.access = ((u32)q & (HVM_ACCESS_READ | HVM_ACCESS_WRITE | HVM_ACCESS_FETCH)) | (q & BIT(8) ? HVM_ACCESS_FINAL : 0); /* table 27-7 */
}

/* Table 27-2. The event that a task gate delivered is the new task's now; only what an instruction asked for returns behind it (25.4.2). */
static void decode_task(struct vcpu *v, u64 q)
{
    u32 event = v->event, type = event & HVM_EVENT_TYPE;
    v->exit.value = (q & 0xffff) | (q >> 30 & 3) << ABI_TASK_REASON | (event & ABI_INJECT_ERROR ? ABI_TASK_ERROR : 0);
    v->exit.error = v->event_error;
    if (event && type < HVM_EVENT_SOFT_INT)
        v->exit.length = 0;
    v->event = 0;
}

static u64 gpr_read(struct vcpu *v, u32 n)
{
    return n == ABI_RSP ? vmcs_read(VMCS_GUEST_RSP) : v->frame->gpr[n];
}

/* Table 27-3. Only MOV to CR0 or CR4 exits, where it changes a bit that the host owns (25.1.3): NE, NW, CD; MCE and what CPUID does not
 * offer. The new value of those bits goes to the read shadow and the instruction is executed again: this time it does not exit, and the
 * CPU itself makes every other check and change, the load of the PDPTEs among them, for which guest memory is read. */
static void decode_control(struct vcpu *v, u64 q)
{
    u32 cr = q & 0xf;
    u64 value = gpr_read(v, q >> 8 & 0xf);
    bool broken = cr == 0 ? (value & (CR0_NW | CR0_CD)) == CR0_NW : value & vmx_config.cr4_mask & ~CR4_MCE;
    v->exit.cr = cr;
    v->exit.gpr = q >> 8 & 0xf;
    v->exit.value = value;
    v->exit.kind = broken ? EXIT_PRIVILEGED : EXIT_RETRY;
    if (!broken)
        vmcs_write(cr == 0 ? VMCS_CR0_SHADOW : VMCS_CR4_SHADOW, value);
}

/* For Bochs 2.7 alone: it misses a host interrupt while the guest has IF = 0, which by the manual exits whatever IF is (25.2). So after
 * at most TIMER_US of guest time ring 0 looks itself. Hardware pays one exit in that time; the hot path nothing, since the CPU saves and
 * loads the count. */
static void decode_timer(struct vcpu *v, u64 q)
{
    (void)v;
    (void)q;
    vmcs_write(VMCS_TIMER, vmx_config.timer);
    irq_poll();
}

static void decode_failed(struct vcpu *v, u64 q)
{
    (void)q;
    v->exit.text = entry_failure(v, v->exit.reason);
}

#define UNEXPECTED(what) { what, EXIT_UNEXPECTED, 0, 0, NULL }
#define UNDEFINED(what)  { what, EXIT_UNDEFINED, 0, 0, NULL }

static const struct exit_row exit_rows[] = {
    [0]  = { "exception or NMI",    EXIT_EXCEPTION,  ROW_QUAL | ROW_DELIVERY, 0, decode_exception },
    [1]  = { "external interrupt",  EXIT_INTERRUPT,  0, 0, decode_interrupt },
    [2]  = { "triple fault",        EXIT_TRIPLE,     0, 0, NULL },
    [3]  = UNEXPECTED("INIT"),
    [4]  = UNEXPECTED("start-up IPI"),
    [5]  = UNEXPECTED("I/O SMI"),
    [6]  = UNEXPECTED("other SMI"),
    [7]  = { "interrupt window",    EXIT_WINDOW,     0, 0, NULL },
    [8]  = UNEXPECTED("NMI window"),
    [9]  = { "task switch",         EXIT_TASK,       ROW_QUAL | ROW_LENGTH | ROW_DELIVERY, 0, decode_task },
    [10] = { "CPUID",               EXIT_CPUID,      ROW_LENGTH, 0, NULL },
    [11] = UNDEFINED("GETSEC"),
    [12] = { "HLT",                 EXIT_HLT,        ROW_LENGTH, 0, NULL },
    [13] = { "INVD",                EXIT_INVD,       ROW_LENGTH, 0, NULL },
    [14] = UNEXPECTED("INVLPG"),
    [15] = { "RDPMC",               EXIT_PRIVILEGED, 0, 0, NULL },
    [16] = UNEXPECTED("RDTSC"),
    [17] = UNEXPECTED("RSM"),
    [18] = { "VMCALL",              EXIT_CALL,       ROW_LENGTH, 0, NULL },
    [19] = UNDEFINED("VMCLEAR"),
    [20] = UNDEFINED("VMLAUNCH"),
    [21] = UNDEFINED("VMPTRLD"),
    [22] = UNDEFINED("VMPTRST"),
    [23] = UNDEFINED("VMREAD"),
    [24] = UNDEFINED("VMRESUME"),
    [25] = UNDEFINED("VMWRITE"),
    [26] = UNDEFINED("VMXOFF"),
    [27] = UNDEFINED("VMXON"),
    [28] = { "control register",    EXIT_RETRY,      ROW_QUAL, 1, decode_control },
    [29] = UNEXPECTED("MOV DR"),
    [30] = { "I/O instruction",     EXIT_PORT,       ROW_QUAL | ROW_LENGTH, 0, decode_port },
    [31] = { "RDMSR",               EXIT_MSR,        ROW_LENGTH, 0, NULL },
    [32] = { "WRMSR",               EXIT_MSR,        ROW_LENGTH, 1, NULL },
    [33] = { "entry: guest state",  EXIT_FAILED,     0, 0, decode_failed },
    [34] = { "entry: MSR loading",  EXIT_FAILED,     0, 0, decode_failed },
    [36] = UNDEFINED("MWAIT"),
    [37] = UNEXPECTED("monitor trap flag"),
    [39] = UNDEFINED("MONITOR"),
    [40] = UNEXPECTED("PAUSE"),
    [41] = { "entry: machine check", EXIT_FAILED,    0, 0, decode_failed },
    [43] = UNEXPECTED("TPR below threshold"),
    [44] = UNEXPECTED("APIC access"),
    [45] = UNEXPECTED("virtualized EOI"),
    [46] = UNEXPECTED("access to GDTR or IDTR"),
    [47] = UNEXPECTED("access to LDTR or TR"),
    [48] = { "EPT violation",       EXIT_NESTED,     ROW_QUAL | ROW_DELIVERY, 0, decode_nested },
    [49] = UNEXPECTED("EPT misconfiguration"),
    [50] = UNDEFINED("INVEPT"),
    [51] = UNEXPECTED("RDTSCP"),
    [52] = { "preemption timer",    EXIT_RETRY,      0, 0, decode_timer },
    [53] = UNDEFINED("INVVPID"),
    [54] = { "WBINVD",              EXIT_INVD,       ROW_LENGTH, 1, NULL },
    [55] = { "XSETBV",              EXIT_XSETBV,     ROW_LENGTH, 0, NULL },
    [56] = UNEXPECTED("APIC write"),
    [57] = UNEXPECTED("RDRAND"),
    [58] = UNEXPECTED("INVPCID"),
    [59] = UNDEFINED("VMFUNC"),
    [60] = UNEXPECTED("ENCLS"),
    [61] = UNEXPECTED("RDSEED"),
    [62] = UNEXPECTED("page-modification log full"),
    [63] = UNEXPECTED("XSAVES"),
    [64] = UNEXPECTED("XRSTORS"),
    [65] = UNEXPECTED("PCONFIG"),
    [66] = UNEXPECTED("SPP event"),
    [67] = UNEXPECTED("UMWAIT"),
    [68] = UNEXPECTED("TPAUSE"),
    [69] = UNEXPECTED("LOADIWKEY"),
    [70] = UNEXPECTED("ENCLV"),
    [72] = UNEXPECTED("ENQCMD"),
    [73] = UNEXPECTED("ENQCMDS"),
    [74] = UNEXPECTED("bus lock"),
    [75] = UNEXPECTED("notify window"),
};

static const struct exit_row unknown_row = UNEXPECTED("reason without a name");

/* An event whose delivery the exit cut short is delivered again, unless what the exit leads to takes its place (27.2.4). */
static void redeliver(struct vcpu *v)
{
    u32 event = (u32)vmcs_read(VMCS_IDT_EVENT);
    if (!(event & ABI_INJECT_VALID))
        return;
    v->event = event & EVENT_FIELDS;
    v->event_error = event & ABI_INJECT_ERROR ? (u32)vmcs_read(VMCS_IDT_ERROR) : 0;
    v->event_length = (event & HVM_EVENT_TYPE) >= HVM_EVENT_SOFT_INT ? (u32)vmcs_read(VMCS_EXIT_LENGTH) : 0;
}

static void decode_row(struct vcpu *v, u32 reason)
{
    u32 n = reason & REASON_BASIC;
    const struct exit_row *row = n < ARRAY_SIZE(exit_rows) && exit_rows[n].name ? &exit_rows[n] : &unknown_row;
    struct exit_info *e = &v->exit;
    u64 q = row->flags & ROW_QUAL ? vmcs_read(VMCS_QUALIFICATION) : 0;
    e->kind = row->kind;
    e->flags = row->write;
    e->text = row->kind == EXIT_UNEXPECTED ? row->name : NULL;
    e->gpa = 0;
    if (row->flags & ROW_LENGTH)
        e->length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    if (row->flags & ROW_DELIVERY)
        redeliver(v);
    if (row->decode)
        row->decode(v, q);
    vcpu_record(v, reason, e->kind, e->kind == EXIT_NESTED ? e->gpa : q);
}

void vmx_decode(struct vcpu *v)
{
    u32 reason = (u32)vmcs_read(VMCS_EXIT_REASON);
    v->exit.reason = reason;
    if (unlikely(reason != REASON_IO)) {
        decode_row(v, reason);
        return;
    }
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    v->exit.length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    decode_port(v, q);
    vcpu_record(v, reason, v->exit.kind, q);
}

#define ATTR_L BIT(13)

/* RIP + length. Outside 64-bit mode EIP wraps at 4 GiB; only a carry into bit 32 makes the mode worth a read. */
static u64 next_rip(u64 rip, u32 length)
{
    u64 next = rip + length;
    if (unlikely((rip ^ next) >> 32) && !(vmcs_read(VMCS_SEG(VMCS_GUEST_ATTR, ABI_CS)) & ATTR_L && vmcs_read(VMCS_GUEST_EFER) & EFER_LMA))
        next = (u32)next;
    return next;
}

/* The instruction is done: RIP moves on, its shadow is over, and with RFLAGS.TF a single step is due (SDM 3B 17.3.1.4), which VM entry
 * delivers from the pending debug exceptions. Three accesses where TF is 0. */
void vmx_advance(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    vmcs_write(VMCS_GUEST_RIP, next_rip(vmcs_read(VMCS_GUEST_RIP), v->exit.length));
    x->valid &= ~ABI_STATE_RIP;
    x->shadow_stale = true;
    if (unlikely(x->window))
        vmx_shadow_settle(x);
    if (unlikely(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF)) {
        vmx_shadow_settle(x);
        vmcs_write(VMCS_PENDING_DEBUG, DEBUG_BS);
    }
}
