/* VMX: what the CPU must offer, VMXON, the VMCS of a vcpu, its load and save, the run loop (SDM 3C 23 to 27, 31).
 * Ring 0, interrupts off. */
#include "vmx/vmx.h"
#include "depriv/gate.h"
#include "kernel/exit.h"
#include "kernel/frames.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/policy.h"
#include "kernel/time.h"
#include "vmx/access.h"
#include "vmx/ept.h"
#include "vmx/vmcs.h"

#define VMX_PAGES  2u                      /* VMCS; struct vmx_vcpu */
#define GDT_WINDOW (KSTACK_BASE + BIT(38)) /* one GDT page every 64 KiB */
#define GDT_STRIDE 0x10000ull
#define GDT_ACCESSED BIT(40)
#define TIMER_US   1000u

struct vmx_config vmx_config;
static u8 msr_bitmap[PAGE_SIZE] __attribute__((aligned(4096))); /* one for all: bit set: exit (24.6.9) */

/* ---- What the CPU must offer --------------------------------------------------------------------------------------------- */

u64 vmx_capability(u32 msr)
{
    bool control = msr >= MSR_VMX_PIN && msr <= MSR_VMX_ENTRY;
    return rdmsr(control && rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE ? msr + MSR_VMX_TRUE : msr);
}

/* Bits of the high half of a control's capability MSR (they may be 1), or any bits of the others; in order, since reading the later ones
 * needs the earlier. */
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
    { MSR_VMX_EXIT,  32, EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER,
      "saving and loading of EFER on exit (IA32_VMX_EXIT_CTLS, MSR 483h, bits 52, 53)" },
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

/* want: has to be 1; may: 1 if the CPU allows. A bit that must be 1 comes in by the low half of the capability. */
static u32 control(u32 msr, u64 want, u64 may)
{
    u64 cap = vmx_capability(msr);
    return (u32)((want | may | (u32)cap) & cap >> 32);
}

static void config_init(void)
{
    struct vmx_config *c = &vmx_config;
    u64 ept = rdmsr(MSR_VMX_EPT_VPID);
    u64 vpid = ept & BIT(32) && ept & BIT(42) ? PROC2_VPID : 0; /* INVVPID, of all contexts */
    c->revision = rdmsr(MSR_VMX_BASIC) & VMX_REVISION;
    c->pin = control(MSR_VMX_PIN, PIN_INTERRUPT | PIN_NMI, PIN_VIRTUAL_NMI | PIN_TIMER);
    c->timer = (u32)(time_us_to_tsc(TIMER_US, features.tsc_khz) >> (rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER));
    c->proc = control(MSR_VMX_PROC, PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_TPR_SHADOW | PROC_IO | PROC_MSR_BITMAP |
                      PROC_MONITOR | PROC_SECONDARY, 0);
    c->proc2 = control(MSR_VMX_PROC2, PROC2_EPT | PROC2_UNRESTRICTED, vpid | PROC2_WBINVD | (features.rdtscp ? PROC2_RDTSCP : 0) |
                       (features.invpcid ? PROC2_INVPCID : 0));
    c->exit = control(MSR_VMX_EXIT, EXIT_CTL_SAVE_DEBUG | EXIT_CTL_HOST64 | EXIT_CTL_ACK | EXIT_CTL_LOAD_PAT | EXIT_CTL_SAVE_EFER |
                      EXIT_CTL_LOAD_EFER, c->pin & PIN_TIMER ? EXIT_CTL_SAVE_TIMER : 0);
    c->entry = control(MSR_VMX_ENTRY, ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER, 0);
    c->eptp = ept_pointer(ept);
    c->vpid_single = ept & VPID_CAP_SINGLE;
    /* PE and PG are the guest's: unrestricted guest (23.8). Its CD and NW are storage: VM entry leaves the CPU's alone (26.3.2.1). */
    c->cr0_fixed = rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
    c->cr0_mask = c->cr0_fixed | CR0_NE | CR0_NW | CR0_CD;
    c->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_MCE; /* a machine check is the host's, whatever the guest says */
    c->cr4_mask = c->cr4_fixed | ~policy_cr4_guest();
}

/* MSRs that the guest may read and write without an exit: those that the VMCS or vcpu_load switches. Four bitmaps of 1 KiB: reads of
 * MSRs 0.., reads of C0000000h.., writes of each. */
static void bitmap_init(void)
{
    static const u32 pass[] = { MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_SYSENTER_CS,
                                MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    for (u32 i = 0; i < ARRAY_SIZE(pass); i++) {
        u32 at = (pass[i] >> 31) * 1024 + (pass[i] & 0x1fff) / 8;
        u8 keep = (u8)~BIT(pass[i] % 8);
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

/* A VM exit sets the GDT's limit to FFFFh (27.5.2), and ring 3 may load any selector: what lies behind the GDT would be descriptors, and
 * struct cpu holds values that ring 3 chooses (its timer). So exits load a copy of the GDT, alone in a read-only page, with nothing
 * mapped behind it. Its accessed bits are set, so that the CPU has nothing to write. */
static int gdt_window(struct cpu *cpu)
{
    u64 *copy = pool_alloc(1);
    if (!copy)
        return -E_NOMEM;
    memcpy(copy, cpu->gdt, sizeof(cpu->gdt));
    for (u32 i = SEL_KCODE / 8; i < SEL_TSS / 8; i++)
        copy[i] |= copy[i] ? GDT_ACCESSED : 0;
    return paging_map(kernel_root, GDT_WINDOW + cpu->id * GDT_STRIDE, pool_phys(copy), PAGE_SIZE, PTE_P | PTE_NX, PTE_P | PTE_W);
}

/* EFER.SCE stays 0 in the host: LSTAR is the guest's while ring 3 runs, and its SYSCALL must be #UD (ATTACKS K12). */
static int vmx_cpu_enable(struct cpu *cpu)
{
    u64 pa;
    if (!feature_control())
        return -E_NODEV;
    cpu->hvm_page = pool_alloc(1);
    if (!cpu->hvm_page || gdt_window(cpu))
        return -E_NOMEM;
    *(u32 *)cpu->hvm_page = vmx_config.revision;
    pa = pool_phys(cpu->hvm_page);
    write_cr4(read_cr4() | CR4_VMXE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
    return vmx_on(&pa) ? -E_NODEV : 0;
}

static int vmx_domain_init(struct domain *d)
{
    (void)d;
    ept_reused();
    return 0;
}

static void vmx_domain_free(struct domain *d)
{
    (void)d;
}

/* ---- The VMCS of a vcpu -------------------------------------------------------------------------------------------------- */

/* Makes the VMCS of a vcpu that is not loaded current for a while; vmcs_return() undoes it. False: it is loaded on another CPU. */
static bool vmcs_borrow(struct vcpu *v)
{
    u64 pa = pool_phys(v->hvm);
    if (v->live)
        return false;
    vmcs_load(&pa);
    return true;
}

static void vmcs_return(struct vcpu *v)
{
    struct vcpu *loaded = this_cpu()->loaded;
    u64 pa = pool_phys(v->hvm);
    vmcs_clear(&pa);
    if (loaded) {
        pa = pool_phys(loaded->hvm);
        vmcs_load(&pa);
    }
}

static void write_controls(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    const struct vmx_config *c = &vmx_config;
    vmcs_write(VMCS_PIN, c->pin);
    vmcs_write(VMCS_PROC, c->proc);
    vmcs_write(VMCS_PROC2, c->proc2);
    vmcs_write(VMCS_EXIT, c->exit);
    vmcs_write(VMCS_ENTRY, c->entry);
    vmcs_write(VMCS_EXCEPTIONS, BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC) | (v->domain->emulate == EMULATE_FORCED ? BIT(VEC_UD) : 0)); /* #DB, #AC: their delivery can loop for ever (ATTACKS E22) */
    vmcs_write(VMCS_PF_MASK, 0);
    vmcs_write(VMCS_PF_MATCH, 0);
    vmcs_write(VMCS_CR3_TARGETS, 0);
    vmcs_write(VMCS_EXIT_STORE_COUNT, 0);
    vmcs_write(VMCS_EXIT_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_EVENT, 0);
    vmcs_write(VMCS_TPR_THRESHOLD, 0);
    vmcs_write(VMCS_MSR_BITMAP, (u64)msr_bitmap - KERNEL_IMAGE);
    vmcs_write(VMCS_VIRTUAL_APIC, pool_phys(x->virtual_apic));
    vmcs_write(VMCS_EPTP, pool_phys(v->domain->nested_root) | c->eptp);
    vmcs_write(VMCS_CR0_MASK, c->cr0_mask);
    vmcs_write(VMCS_CR4_MASK, c->cr4_mask);
    if (x->vpid)
        vmcs_write(VMCS_VPID, x->vpid);
    x->proc = c->proc;
}

/* What every exit loads. FS and GS are null with base 0: ring 0 does not use them, and ring 3 sees nothing of the guest's. */
static void write_host(struct vcpu *v)
{
    vmcs_write(VMCS_HOST_CS, SEL_KCODE);
    vmcs_write(VMCS_HOST_SS, SEL_KDATA);
    vmcs_write(VMCS_HOST_DS, 0);
    vmcs_write(VMCS_HOST_ES, 0);
    vmcs_write(VMCS_HOST_FS, 0);
    vmcs_write(VMCS_HOST_GS, 0);
    vmcs_write(VMCS_HOST_TR, SEL_TSS);
    vmcs_write(VMCS_HOST_FS_BASE, 0);
    vmcs_write(VMCS_HOST_GS_BASE, 0);
    vmcs_write(VMCS_HOST_CR0, read_cr0());
    vmcs_write(VMCS_HOST_CR3, v->domain->cr3);
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmcs_write(VMCS_HOST_SYSENTER_CS, SEL_KCODE);
    vmcs_write(VMCS_HOST_SYSENTER_ESP, (u64)&v->saved_rsp);
    vmcs_write(VMCS_HOST_SYSENTER_EIP, (u64)gate_sysenter);
    vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

static void write_host_cpu(struct cpu *cpu)
{
    struct { u16 limit; u64 base; } __attribute__((packed)) idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    vmcs_write(VMCS_HOST_TR_BASE, (u64)&cpu->tss);
    vmcs_write(VMCS_HOST_GDTR_BASE, GDT_WINDOW + cpu->id * GDT_STRIDE);
    vmcs_write(VMCS_HOST_IDTR_BASE, idtr.base);
}

static int vmx_vcpu_init(struct vcpu *v)
{
    u64 pa;
    v->hvm = pool_alloc(VMX_PAGES);
    if (!v->hvm)
        return -E_NOMEM;
    if (vmx_config.proc2 & PROC2_VPID)
        vmx_of(v)->vpid = (v->domain->id - 1) * ABI_VCPUS_MAX + v->index + 1;
    *(u32 *)v->hvm = vmx_config.revision;
    pa = pool_phys(v->hvm);
    vmcs_clear(&pa);
    vmcs_borrow(v);
    write_controls(v);
    write_host(v);
    vmcs_write(VMCS_LINK, ~0ull);
    vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
    vmcs_write(VMCS_INTERRUPTIBILITY, 0);
    vmcs_write(VMCS_ACTIVITY, 0);
    vmcs_write(VMCS_PENDING_DEBUG, 0);
    if (vmx_config.pin & PIN_TIMER)
        vmcs_write(VMCS_TIMER, vmx_config.timer);
    vmx_reset_state(v);
    vmcs_return(v);
    return VMX_PAGES;
}

static void vmx_vcpu_free(struct vcpu *v)
{
    pool_free(v->hvm, VMX_PAGES);
}

static void vmx_sync(struct vcpu *v)
{
    vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
    vmcs_write(VMCS_GUEST_PAT, v->pat);
}

static const u32 live_msrs[LIVE_MSRS] = {
    [LIVE_STAR] = MSR_STAR, [LIVE_LSTAR] = MSR_LSTAR, [LIVE_CSTAR] = MSR_CSTAR, [LIVE_FMASK] = MSR_FMASK,
    [LIVE_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE, [LIVE_TSC_AUX] = MSR_TSC_AUX,
};

void vmx_msrs_save(struct vcpu *v)
{
    for (u32 i = 0; i < LIVE_MSRS; i++)
        if (i != LIVE_TSC_AUX || features.rdtscp)
            v->msr_live[i] = rdmsr(live_msrs[i]);
}

void vmx_msrs_load(const struct vcpu *v)
{
    for (u32 i = 0; i < LIVE_MSRS; i++)
        if (i != LIVE_TSC_AUX || features.rdtscp)
            wrmsr(live_msrs[i], v->msr_live[i]);
}

/* The SYSENTER MSRs are those that each exit loads; but ring 3 may come before the first exit on this CPU. */
static void vmx_vcpu_load(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct cpu *cpu = this_cpu();
    u64 pa = pool_phys(v->hvm);
    vmcs_load(&pa);
    ept_flush_stale(cpu, x->vpid != 0);
    if (x->last_cpu != cpu) {
        x->last_cpu = cpu;
        write_host_cpu(cpu);
        if (x->vpid) /* it ran elsewhere since: what it invalidated there is still here */
            invvpid(vmx_config.vpid_single ? VPID_SINGLE : VPID_ALL, x->vpid);
    }
    wrmsr(MSR_SYSENTER_CS, SEL_KCODE);
    wrmsr(MSR_SYSENTER_ESP, (u64)&v->saved_rsp);
    wrmsr(MSR_SYSENTER_EIP, (u64)gate_sysenter);
    vmx_msrs_load(v);
    write_cr2(v->msr_live[LIVE_CR2]);
    vmx_sync(v);
    v->launched = 0;
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

static void entry_refused(struct vcpu *v)
{
    v->exit.kind = EXIT_FAILED;
    v->exit.reason = 0;
    v->exit.text = entry_failure(v, 0);
    vcpu_record(v, 0, EXIT_FAILED, vmcs_read(VMCS_INSTRUCTION_ERROR));
}

static void vmx_run(struct vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    while (vcpu_ready(v)) {
        if (unlikely(v->event))
            inject(v);
        if (likely(!vmx_enter(v, &x->host_rsp))) {
            v->launched = 1;
            x->valid = 0;
            x->shadow_stale = false;
            vmx_decode(v);
        } else {
            entry_refused(v);
        }
        if (exit_dispatch(v, v->exit.kind, GATE_SYSEXIT) == EXIT_ADVANCE)
            vmx_advance(v);
    }
}

static bool vmx_intr_ready(struct vcpu *v)
{
    if (v->event || !(vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF))
        return false;
    vmx_shadow_settle(vmx_of(v));
    return !(vmcs_read(VMCS_INTERRUPTIBILITY) & (ABI_SHADOW_STI | ABI_SHADOW_MOVSS));
}

static void vmx_intr_window(struct vcpu *v, bool on)
{
    struct vmx_vcpu *x = vmx_of(v);
    u32 proc = on ? x->proc | (u32)PROC_WINDOW : x->proc & ~(u32)PROC_WINDOW;
    if (on)
        vmx_shadow_settle(x);
    x->window = on;
    if (proc == x->proc)
        return;
    x->proc = proc;
    vmcs_write(VMCS_PROC, proc);
}

/* A report may ask for the state of a vcpu that is not loaded here; all other operations are on the loaded one. */
static void state_get(struct vcpu *v, struct abi_state *s, u32 groups)
{
    if (likely(this_cpu()->loaded == v)) {
        vmx_state_get(v, s, groups);
    } else if (vmcs_borrow(v)) {
        vmx_state_get(v, s, groups);
        vmcs_return(v);
    } else {
        memset(s, 0, sizeof(*s));
    }
}

const struct hvm_ops vmx_ops = {
    .name = "vmx",
    .probe = vmx_probe,
    .cpu_enable = vmx_cpu_enable,
    .domain_init = vmx_domain_init,
    .domain_free = vmx_domain_free,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_free = vmx_vcpu_free,
    .vcpu_load = vmx_vcpu_load,
    .vcpu_save = vmx_vcpu_save,
    .run = vmx_run,
    .state_get = state_get,
    .state_set = vmx_state_set,
    .intr_ready = vmx_intr_ready,
    .intr_window = vmx_intr_window,
    .sync = vmx_sync,
    .nested_entry = ept_entry,
};
