/* VMX: what the CPU must offer, VMXON, the VMCS of a vcpu, its load and save, the run loop (SDM 3C 23 to 27, 31).
 * Ring 0, interrupts off. */
#include "vmx/vmx.h"
#include "depriv/gate.h"
#include "kernel/exit.h"
#include "kernel/frames.h"
#include "kernel/gueststate.h"
#include "kernel/isolate.h"
#include "kernel/paging.h"
#include "kernel/policy.h"
#include "kernel/time.h"
#include "vmx/access.h"
#include "vmx/vmcs.h"

#define TIMER_US   1000u

struct vmx_config vmx_config;
static u8 msr_bitmap[PAGE_SIZE] __attribute__((aligned(4096))); /* one for all: bit set: exit (24.6.9) */

/* ---- What the CPU must offer --------------------------------------------------------------------------------------------- */

u64 vmx_capability(u32 msr)
{
    bool control = msr >= MSR_VMX_PIN && msr <= MSR_VMX_ENTRY;
    return rdmsr(control && rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE ? msr + MSR_VMX_TRUE : msr);
}

/* Bits of the high half of a control's capability MSR (they may be 1, and will be), or any bits of the others; in order, since reading
 * the later ones needs the earlier. */
static const struct required_row { u32 msr; u32 shift; u64 bits; const char *text; } required[] = {
    { MSR_VMX_PIN,   32, PIN_INTERRUPT, "external-interrupt exiting (IA32_VMX_PINBASED_CTLS, MSR 481h, bit 32)" },
    { MSR_VMX_PIN,   32, PIN_NMI, "NMI exiting (IA32_VMX_PINBASED_CTLS, MSR 481h, bit 35)" },
    { MSR_VMX_PROC,  32, PROC_SECONDARY, "secondary controls (IA32_VMX_PROCBASED_CTLS, MSR 482h, bit 63)" },
    { MSR_VMX_PROC,  32, PROC_TSC_OFFSET, "TSC offsetting (IA32_VMX_PROCBASED_CTLS, MSR 482h, bit 35)" },
    { MSR_VMX_PROC,  32, PROC_TPR_SHADOW, "TPR shadow (IA32_VMX_PROCBASED_CTLS, MSR 482h, bit 53)" },
    { MSR_VMX_PROC,  32, PROC_MSR_BITMAP, "MSR bitmaps (IA32_VMX_PROCBASED_CTLS, MSR 482h, bit 60)" },
    { MSR_VMX_PROC,  32, PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_IO | PROC_MONITOR,
      "HLT, MWAIT, RDPMC, I/O, MONITOR exiting (IA32_VMX_PROCBASED_CTLS, MSR 482h, bits 39, 42, 43, 56, 61)" },
    { MSR_VMX_PROC2, 32, PROC2_EPT, "EPT (IA32_VMX_PROCBASED_CTLS2, MSR 48Bh, bit 33)" },
    { MSR_VMX_PROC2, 32, PROC2_UNRESTRICTED, "unrestricted guest (IA32_VMX_PROCBASED_CTLS2, MSR 48Bh, bit 39)" },
    { MSR_VMX_EPT_VPID, 0, BIT(6), "EPT with a walk of 4 levels (IA32_VMX_EPT_VPID_CAP, MSR 48Ch, bit 6)" },
    { MSR_VMX_EPT_VPID, 0, BIT(14), "EPT in write-back memory (IA32_VMX_EPT_VPID_CAP, MSR 48Ch, bit 14)" },
    { MSR_VMX_EPT_VPID, 0, BIT(16), "EPT with 2 MiB pages (IA32_VMX_EPT_VPID_CAP, MSR 48Ch, bit 16)" },
    { MSR_VMX_EPT_VPID, 0, BIT(20) | BIT(26), "INVEPT of all contexts (IA32_VMX_EPT_VPID_CAP, MSR 48Ch, bits 20, 26)" },
    { MSR_VMX_EXIT,  32, EXIT_CTL_HOST64, "64-bit host (IA32_VMX_EXIT_CTLS, MSR 483h, bit 41)" },
    { MSR_VMX_EXIT,  32, EXIT_CTL_ACK, "acknowledge interrupt on exit (IA32_VMX_EXIT_CTLS, MSR 483h, bit 47)" },
    { MSR_VMX_EXIT,  32, EXIT_CTL_LOAD_PAT, "loading of PAT on exit (IA32_VMX_EXIT_CTLS, MSR 483h, bit 51)" },
    { MSR_VMX_EXIT,  32, EXIT_CTL_SAVE_EFER, "saving of EFER on exit (IA32_VMX_EXIT_CTLS, MSR 483h, bit 52)" },
    { MSR_VMX_EXIT,  32, EXIT_CTL_LOAD_EFER, "loading of EFER on exit (IA32_VMX_EXIT_CTLS, MSR 483h, bit 53)" },
    { MSR_VMX_ENTRY, 32, ENTRY_CTL_LOAD_PAT, "loading of PAT on entry (IA32_VMX_ENTRY_CTLS, MSR 484h, bit 46)" },
    { MSR_VMX_ENTRY, 32, ENTRY_CTL_LOAD_EFER, "loading of EFER on entry (IA32_VMX_ENTRY_CTLS, MSR 484h, bit 47)" },
    { MSR_VMX_MISC,  0, BIT(5), "storing of EFER.LMA in the entry controls (IA32_VMX_MISC, MSR 485h, bit 5)" },
};

/* On each CPU; unlocked firmware leaves the choice to us (SDM 3C 23.7). */
static bool feature_control(void)
{
    u64 now = rdmsr(MSR_FEATURE_CONTROL);
    if (!(now & FEATURE_LOCK)) {
        now |= FEATURE_LOCK | FEATURE_VMXON;
        wrmsr(MSR_FEATURE_CONTROL, now);
    }
    return now & FEATURE_VMXON;
}

/* What is required of a control, and of what `may` be 1 as much as the CPU allows. Bits that must be 1 are the capability's low half. */
static u32 control(u32 msr, u64 may)
{
    u64 cap = vmx_capability(msr), want = may | (u32)cap;
    for (u32 i = 0; i < ARRAY_SIZE(required); i++)
        want |= required[i].msr == msr ? required[i].bits : 0;
    return (u32)(want & cap >> 32);
}

static void config_init(void)
{
    struct vmx_config *c = &vmx_config;
    u64 ept = rdmsr(MSR_VMX_EPT_VPID);
    u64 vpid = ept & BIT(32) && ept & BIT(42) ? PROC2_VPID : 0; /* INVVPID, of all contexts */
    c->revision = rdmsr(MSR_VMX_BASIC) & VMX_REVISION;
    c->pin = control(MSR_VMX_PIN, PIN_VIRTUAL_NMI | PIN_TIMER);
    c->timer = (u32)(time_us_to_tsc(TIMER_US, features.tsc_khz) >> (rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER));
    c->proc = control(MSR_VMX_PROC, 0);
    c->proc2 = control(MSR_VMX_PROC2, vpid | PROC2_WBINVD | (features.rdtscp ? PROC2_RDTSCP : 0) | (features.invpcid ? PROC2_INVPCID : 0));
    c->exit = control(MSR_VMX_EXIT, EXIT_CTL_SAVE_DEBUG | (c->pin & PIN_TIMER ? EXIT_CTL_SAVE_TIMER : 0));
    c->entry = control(MSR_VMX_ENTRY, ENTRY_CTL_LOAD_DEBUG);
    c->eptp = EPTP_WB | EPTP_4LEVEL | (ept & EPT_CAP_DIRTY ? EPTP_DIRTY : 0);
    c->vpid_single = ept & VPID_CAP_SINGLE;
    /* PE and PG are the guest's: unrestricted guest (23.8). Its CD and NW are storage: VM entry leaves the CPU's alone (26.3.2.1). */
    c->cr0_fixed = rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
    c->cr0_guest = ~(c->cr0_fixed | CR0_NE | CR0_NW | CR0_CD);
    c->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_MCE; /* a machine check is the host's, whatever the guest says */
    c->cr4_guest = policy_cr4_guest() & ~c->cr4_fixed;
}

/* Four bitmaps of 1 KiB: reads of MSRs 0.., reads of C0000000h.., writes of each. */
static void bitmap_init(void)
{
    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    for (u32 i = 0; i < MSRS_PASSED; i++) {
        u32 at = (msrs_passed[i] >> 31) * 1024 + (msrs_passed[i] & 0x1fff) / 8;
        u8 keep = (u8)~BIT(msrs_passed[i] % 8);
        msr_bitmap[at] &= keep;
        msr_bitmap[at + 2048] &= keep;
    }
}

static const char *vmx_probe(void)
{
    if (!features.vmx)
        return "VMX (CPUID.1h:ECX[5])";
    if (!feature_control())
        return "VMX is disabled by the firmware (IA32_FEATURE_CONTROL, MSR 3Ah, locked with bit 2 clear)";
    for (u32 i = 0; i < ARRAY_SIZE(required); i++) {
        const struct required_row *r = &required[i];
        if ((vmx_capability(r->msr) >> r->shift & r->bits) != r->bits)
            return r->text;
    }
    if ((u32)vmx_capability(MSR_VMX_PROC) & (PROC_CR3_LOAD | PROC_CR3_STORE))
        return "MOV CR3 without exits (IA32_VMX_TRUE_PROCBASED_CTLS, MSR 48Eh, bits 15, 16)";
    config_init();
    bitmap_init();
    return NULL;
}

/* ---- Each CPU ------------------------------------------------------------------------------------------------------------ */

/* EFER.SCE stays 0 in the host: LSTAR is the guest's while ring 3 runs, and its SYSCALL must be #UD (ATTACKS K12). */
static int vmx_cpu_enable(struct cpu *cpu)
{
    u64 pa;
    if (!feature_control())
        return -E_NODEV;
    cpu->hvm_page = pool_alloc(1);
    if (!cpu->hvm_page)
        return -E_NOMEM;
    *(u32 *)cpu->hvm_page = vmx_config.revision;
    pa = pool_phys(cpu->hvm_page);
    write_cr4(read_cr4() | CR4_VMXE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
    return vmx_on(&pa) ? -E_NODEV : 0;
}

/* Counts the vcpus built so far. A new one may reuse the nested table's page or the VPID of one that has ended: each CPU drops everything
 * (SDM 3C 28.3.3) before it loads a vcpu for the first time since; cpu.hvm_page2 is the count that it has seen. Nested tables do not
 * change while their domain lives. */
static u64 generation = 1;

static void flush_stale(struct cpu *cpu)
{
    u64 now = READ_ONCE(generation);
    if (cpu->hvm_page2 == now)
        return;
    cpu->hvm_page2 = now;
    invept_all(EPT_ALL);
    if (vmx_config.proc2 & PROC2_VPID)
        invvpid(VPID_ALL, 0);
}

/* ---- The VMCS of a vcpu -------------------------------------------------------------------------------------------------- */

/* Fields that are 0 for every vcpu. FS and GS of the host are null with base 0: ring 0 does not use them, and ring 3 sees nothing of the
 * guest's. */
static const u16 zero_fields[] = {
    VMCS_PF_MASK, VMCS_PF_MATCH, VMCS_CR3_TARGETS, VMCS_EXIT_STORE_COUNT, VMCS_EXIT_LOAD_COUNT, VMCS_ENTRY_LOAD_COUNT, VMCS_ENTRY_EVENT,
    VMCS_TPR_THRESHOLD, VMCS_HOST_DS, VMCS_HOST_ES, VMCS_HOST_FS, VMCS_HOST_GS, VMCS_HOST_FS_BASE, VMCS_HOST_GS_BASE, VMCS_GUEST_DEBUGCTL,
    VMCS_INTERRUPTIBILITY, VMCS_ACTIVITY, VMCS_PENDING_DEBUG,
};

static void write_controls(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    const struct vmx_config *c = &vmx_config;
    vmcs_write(VMCS_PIN, c->pin);
    vmcs_write(VMCS_PROC, c->proc);
    vmcs_write(VMCS_PROC2, c->proc2);
    vmcs_write(VMCS_EXIT, c->exit);
    vmcs_write(VMCS_ENTRY, c->entry);
    vmcs_write(VMCS_EXCEPTIONS, BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC) | /* #DB, #AC: their delivery can loop for ever (ATTACKS E22) */
               (v->domain->emulate == EMULATE_FORCED ? BIT(VEC_UD) : 0));
    vmcs_write(VMCS_MSR_BITMAP, (u64)msr_bitmap - KERNEL_IMAGE);
    vmcs_write(VMCS_VIRTUAL_APIC, pool_phys(x->virtual_apic));
    vmcs_write(VMCS_EPTP, pool_phys(v->domain->nested_root) | c->eptp);
    vmcs_write(VMCS_LINK, ~0ull);
    vmcs_write(VMCS_CR0_MASK, ~c->cr0_guest);
    vmcs_write(VMCS_CR4_MASK, ~c->cr4_guest);
    if (x->vpid)
        vmcs_write(VMCS_VPID, x->vpid);
    if (c->pin & PIN_TIMER)
        vmcs_write(VMCS_TIMER, c->timer);
    x->proc = c->proc;
}

/* What every exit loads. */
static void write_host(struct vcpu *v)
{
    vmcs_write(VMCS_HOST_CS, SEL_KCODE);
    vmcs_write(VMCS_HOST_SS, SEL_KDATA);
    vmcs_write(VMCS_HOST_TR, SEL_TSS);
    vmcs_write(VMCS_HOST_CR0, read_cr0());
    vmcs_write(VMCS_HOST_CR3, vcpu_host_cr3(v) & ~CR3_NOFLUSH);
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmcs_write(VMCS_HOST_SYSENTER_CS, SEL_KCODE);
    vmcs_write(VMCS_HOST_SYSENTER_ESP, (u64)&v->saved_rsp);
    vmcs_write(VMCS_HOST_SYSENTER_EIP, gate_entry(gate_sysenter, gate_sysenter_isolated));
    vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

static void write_host_cpu(struct cpu *cpu)
{
    struct { u16 limit; u64 base; } __attribute__((packed)) idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    vmcs_write(VMCS_HOST_TR_BASE, entry_tss(cpu));
    vmcs_write(VMCS_HOST_GDTR_BASE, entry_page(cpu->id, ENTRY_GDT));
    vmcs_write(VMCS_HOST_IDTR_BASE, idtr.base);
}

static void vmx_vcpu_init(struct vcpu *v)
{
    struct vcpu *loaded = this_cpu()->loaded;
    static const struct abi_state zero;
    u64 pa = pool_phys(v->hvm);
    __atomic_add_fetch(&generation, 1, __ATOMIC_SEQ_CST);
    if (vmx_config.proc2 & PROC2_VPID)
        vmx_of(v)->vpid = (v->domain->id - 1) * ABI_VCPUS_MAX + v->index + 1;
    *(u32 *)v->hvm = vmx_config.revision;
    vmcs_clear(&pa);
    vmcs_load(&pa);
    for (u32 i = 0; i < ARRAY_SIZE(zero_fields); i++)
        vmcs_write(zero_fields[i], 0);
    write_controls(v);
    write_host(v);
    vmx_state_set(v, &zero, ABI_STATE_ALL);
    vmcs_clear(&pa);
    if (loaded) {
        pa = pool_phys(loaded->hvm);
        vmcs_load(&pa);
    }
}

static void vmx_sync(struct vcpu *v)
{
    vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
    vmcs_write(VMCS_GUEST_PAT, v->pat);
}

static const u32 live_msrs[LIVE_MSRS] = { MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE };

void vmx_msrs_save(struct vcpu *v)
{
    for (u32 i = 0; i < LIVE_MSRS; i++)
        v->msr_live[i] = rdmsr(live_msrs[i]);
}

void vmx_msrs_load(const struct vcpu *v)
{
    for (u32 i = 0; i < LIVE_MSRS; i++)
        wrmsr(live_msrs[i], v->msr_live[i]);
}

/* The SYSENTER MSRs are those that each exit loads; but ring 3 may come before the first exit on this CPU. */
static void vmx_vcpu_load(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct cpu *cpu = this_cpu();
    u64 pa = pool_phys(v->hvm);
    vmcs_load(&pa);
    flush_stale(cpu);
    if (x->last_cpu != cpu) {
        x->last_cpu = cpu;
        write_host_cpu(cpu);
        if (x->vpid) /* it ran elsewhere since: what it invalidated there is still here */
            invvpid(vmx_config.vpid_single ? VPID_SINGLE : VPID_ALL, x->vpid);
    }
    wrmsr(MSR_SYSENTER_CS, SEL_KCODE);
    wrmsr(MSR_SYSENTER_ESP, (u64)&v->saved_rsp);
    wrmsr(MSR_SYSENTER_EIP, gate_entry(gate_sysenter, gate_sysenter_isolated));
    vmx_msrs_load(v);
    write_cr2(v->msr_live[LIVE_CR2]);
    vmx_sync(v);
    v->host_rsp = 0;
}

static void vmx_vcpu_save(struct vcpu *v)
{
    u64 pa = pool_phys(v->hvm);
    vmx_msrs_save(v);
    v->msr_live[LIVE_CR2] = read_cr2();
    vmcs_clear(&pa);
}

/* ---- Run ----------------------------------------------------------------------------------------------------------------- */

/* An exception carries no error code in real mode (26.2.1.3). */
static void inject(struct vcpu *v)
{
    u32 event = v->event;
    if (event & ABI_INJECT_ERROR && !(vmcs_read(VMCS_GUEST_CR0) & CR0_PE))
        event &= ~ABI_INJECT_ERROR;
    if (event & ABI_INJECT_ERROR)
        vmcs_write(VMCS_ENTRY_ERROR, v->event_error);
    if ((event & HVM_EVENT_TYPE) >= HVM_EVENT_SOFT_INT)
        vmcs_write(VMCS_ENTRY_LENGTH, v->event_length);
    vmcs_write(VMCS_ENTRY_EVENT, event);
    v->event = 0;
}

static bool entry_due(struct vcpu *v)
{
    if (!vcpu_ready(v))
        return false;
    if (v->hazards & HAZARD_WINDOW)
        vmx_shadow_settle(v);
    if (v->event)
        inject(v);
    return true;
}

/* The instruction is done: RIP moves on, its shadow is over, and with RFLAGS.TF a single step is due (SDM 3B 17.3.1.4), which VM entry
 * delivers from the pending debug exceptions. Three accesses where TF is 0. */
static inline void advance(struct vcpu *v, u32 length)
{
    u64 rip = vmcs_read(VMCS_GUEST_RIP), next = rip + length;
    if (unlikely((u32)next < length) && !(vmcs_read(VMCS_SEG(VMCS_GUEST_ATTR, ABI_CS)) & ATTR_L && vmcs_read(VMCS_GUEST_EFER) & EFER_LMA))
        next = (u32)next; /* EIP wraps */
    vmcs_write(VMCS_GUEST_RIP, next);
    v->cached = VMX_ADVANCED;
    if (unlikely(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF)) {
        vmx_shadow_settle(v);
        vmcs_write(VMCS_PENDING_DEBUG, DEBUG_BS);
    }
}

/* Table 27-5: size - 1, direction, string, REP, operand, port. Bits 3 to 5 are ABI_PORT_IN, _STRING, _REP in their order. */
static inline void port_exit(struct vcpu *v)
{
    struct abi_frame *f = v->frame;
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    v->exit.length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    f->port = (u16)(q >> 16);
    f->size = (u8)((q & 7) + 1);
    f->flags = (u8)(q >> 3 & (ABI_PORT_IN | ABI_PORT_STRING | ABI_PORT_REP));
    v->exit.kind = q & QUAL_STRING ? EXIT_STRING : EXIT_PORT;
    exit_count(v, v->exit.kind, REASON_IO, q);
    if (unlikely(q & QUAL_STRING))
        exit_dispatch(v);
    else if (likely(exit_port(v, GATE_SYSEXIT) == EXIT_ADVANCE))
        advance(v, v->exit.length);
}

static inline void cpuid_exit(struct vcpu *v)
{
    u32 length = (u32)vmcs_read(VMCS_EXIT_LENGTH);
    exit_count(v, EXIT_CPUID, REASON_CPUID, v->frame->gpr[ABI_RAX]);
    policy_cpuid(v);
    advance(v, length);
}

/* False: not the plain case, which is an operand of an instruction, and no event cut short. */
static inline bool mmio_exit(struct vcpu *v)
{
    u64 q, gpa;
    if (unlikely(vmcs_read(VMCS_IDT_EVENT) & ABI_INJECT_VALID))
        return false;
    q = vmcs_read(VMCS_QUALIFICATION);
    gpa = vmcs_read(VMCS_GUEST_PHYSICAL);
    if (unlikely(q & QUAL_FETCH || !exit_gpa_is_device(gpa)))
        return false;
    exit_count(v, EXIT_NESTED, REASON_EPT, gpa);
    exit_mmio(v, gpa, QUAL_MMIO(q), GATE_SYSEXIT, vmx_code_get, vmx_moved);
    return true;
}

static __attribute__((noinline)) void other_exit(struct vcpu *v, u32 reason)
{
    vmx_decode(v, reason);
    if (exit_dispatch(v) == EXIT_ADVANCE)
        advance(v, v->exit.length);
}

static void vmx_run(struct vcpu *v)
{
    while (likely(!vcpu_due(v)) || entry_due(v)) {
        u64 reason = likely(!vmx_enter(v)) ? vmcs_read(VMCS_EXIT_REASON) : REASON_VMFAIL;
        v->cached = 0;
        if (likely(reason == REASON_IO))
            port_exit(v);
        else if (reason == REASON_CPUID)
            cpuid_exit(v);
        else if (reason != REASON_EPT || !mmio_exit(v))
            other_exit(v, (u32)reason);
    }
}

static bool vmx_intr_ready(struct vcpu *v)
{
    if (v->event || !(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF))
        return false;
    vmx_shadow_settle(v);
    return !(vmcs_read(VMCS_INTERRUPTIBILITY) & (ABI_SHADOW_STI | ABI_SHADOW_MOVSS));
}

static void vmx_intr_window(struct vcpu *v, bool on)
{
    struct vmx_vcpu *x = vmx_of(v);
    u32 proc = on ? x->proc | (u32)PROC_WINDOW : x->proc & ~(u32)PROC_WINDOW;
    if (on)
        vmx_shadow_settle(v);
    if (proc == x->proc)
        return;
    if (on)
        hazard_set(v, HAZARD_WINDOW);
    else
        hazard_clear(v, HAZARD_WINDOW);
    x->proc = proc;
    vmcs_write(VMCS_PROC, proc);
}

const struct hvm_ops vmx_ops = {
    .name = "vmx", .probe = vmx_probe, .cpu_enable = vmx_cpu_enable, .vcpu_pages = 2, .vcpu_init = vmx_vcpu_init,
    .vcpu_load = vmx_vcpu_load, .vcpu_save = vmx_vcpu_save, .run = vmx_run, .state_get = vmx_state_get, .state_set = vmx_state_set,
    .intr_ready = vmx_intr_ready, .intr_window = vmx_intr_window, .sync = vmx_sync,
    .nested_table = EPT_READ | EPT_WRITE | EPT_EXECUTE, .nested_page = EPT_READ | EPT_WRITE | EPT_EXECUTE | EPT_WB,
};
