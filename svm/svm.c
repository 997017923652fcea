/* SVM: what the CPU must offer, VMCB set-up, the run loop. Ring 0, interrupts off, on the vcpu's supervisor stack.
 *
 * From the first VMLOAD of a guest to the VMLOAD of the host, FS, GS, TR, LDTR, KernelGSBase and the SYSCALL and SYSENTER MSRs are the
 * guest's. In that stretch GIF is 0: an interrupt, NMI or IST vector would find the guest's TR, and ring 3's SYSCALL would jump to an
 * LSTAR that the guest chose. svm_run() begins it, guest_leave() ends it, and every exit that goes further than ring 0's own
 * handlers leaves first. Ring 0 never uses GS. */
#include "svm/svm.h"
#include "depriv/gate.h"
#include "kernel/exit.h"
#include "kernel/frames.h"
#include "kernel/gueststate.h"
#include "kernel/paging.h"
#include "kernel/trap.h"

#define LEAF_SVM        0x8000000au
#define IOPM_PAGES      3u
#define MSRPM_PAGES     2u
#define MSRPM_RANGE     0x2000u   /* MSRs in each range of the map, two bits each: read, write (APM2 15.11) */
#define FMASK_ALL       0x3ffffdu /* every flag but the fixed one: ring 0 starts with IF, DF, TF, NT, RF, AC, IOPL clear (ATTACKS K8) */

struct svm_features svm_features;

/* ---- The machine --------------------------------------------------------------------------------------------------------- */

/* One for all guests: the I/O map, then the MSR map; a set bit intercepts. */
static u8 permissions[(IOPM_PAGES + MSRPM_PAGES) * PAGE_SIZE] __attribute__((aligned(4096)));

static void permissions_init(void)
{
    memset(permissions, 0xff, sizeof(permissions));
    for (u32 i = 0; i < MSRS_PASSED; i++) {
        u32 n = msrs_passed[i] & (MSRPM_RANGE - 1); /* in its range: 0 or C000_0000h, there is none of the third */
        n += msrs_passed[i] >> 31 ? MSRPM_RANGE : 0;
        permissions[IOPM_PAGES * PAGE_SIZE + n / 4] &= (u8)~(3u << n % 4 * 2);
    }
}

static const char *svm_probe(void)
{
    struct cpuid r;
    if (cpuid(0x80000000, 0).eax < LEAF_SVM || !features.svm)
        return "SVM is missing (CPUID.80000001h:ECX[2])";
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return "SVM is disabled by the firmware (VM_CR, MSR C001_0114h, bit 4)";
    r = cpuid(LEAF_SVM, 0);
    if (!(r.edx & BIT(0)))
        return "nested paging is missing (CPUID.8000000Ah:EDX[0])";
    if (r.ebx < 2)
        return "there is no ASID for a guest (CPUID.8000000Ah:EBX)";
    svm_features = (struct svm_features){
        .nrips = r.edx & BIT(3), .clean_mask = r.edx & BIT(5) ? CLEAN_ALL : 0, .flush_asid = r.edx & BIT(6), .decode = r.edx & BIT(7),
        .asids = r.ebx,
    };
    permissions_init();
    return NULL;
}

/* The host's VMLOAD state is a constant of the CPU: taken once, after the MSRs that ring 3 enters by are right. SYSRET takes SS and CS
 * from STAR[63:48] + 8 and + 16, SYSCALL CS from STAR[47:32] (APM2 6.1.1). */
static int svm_cpu_enable(struct cpu *cpu)
{
    void *host_vmcb = pool_alloc(1);
    u64 entry = gate_entry(gate_syscall_table, gate_syscall_isolated) + cpu->id * GATE_SYSCALL_STRIDE;
    cpu->hvm_page = pool_alloc(1);
    if (!host_vmcb || !cpu->hvm_page)
        return -E_NOMEM;
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
        return -E_NODEV;
    wrmsr(MSR_STAR, (u64)(SEL_UCODE32 | 3) << 48 | (u64)SEL_KCODE << 32);
    wrmsr(MSR_LSTAR, entry);
    wrmsr(MSR_CSTAR, entry); /* compatibility mode has no code segment here */
    wrmsr(MSR_FMASK, FMASK_ALL);
    wrmsr(MSR_SYSENTER_CS, 0); /* likewise: #GP */
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | EFER_SCE);
    wrmsr(MSR_VM_HSAVE_PA, pool_phys(cpu->hvm_page));
    cpu->hvm_page2 = pool_phys(host_vmcb);
    __asm__ volatile("vmsave" : : "a"(cpu->hvm_page2) : "memory");
    return 0;
}

/* ---- vcpu ---------------------------------------------------------------------------------------------------------------- */

/* Task switches, CR, DR and CR8 accesses are not intercepted: with nested paging the CPU does them on the VMCB's own copies, and
 * V_INTR_MASKING gives the guest a TPR of its own (APM2 15.21.1). Guest CR0.CD makes this guest's accesses uncached (15.25.10), slow and
 * coherent. */
static void controls_init(struct vcpu *v, struct vmcb *c)
{
    struct domain *d = v->domain;
    svm_intercept_rows(c, d->emulate == EMULATE_FORCED);
    c->iopm_base = (u64)permissions - KERNEL_IMAGE;
    c->msrpm_base = c->iopm_base + IOPM_PAGES * PAGE_SIZE;
    /* An ASID per vcpu if there are enough: translations are tagged with it alone, and two vcpus have two CR3s. Else they share. */
    c->asid = 1 + ((d->asid - 1) * ABI_VCPUS_MAX + v->index) % (svm_features.asids - 1);
    c->int_control = V_INTR_MASKING;
    c->nested_control = VMCB_NP_ENABLE;
    c->nested_cr3 = pool_phys(d->nested_root);
    c->own_shadow_rip = ~0ull;
}

static bool asids_shared(void) { return svm_features.asids <= DOMAINS_MAX * ABI_VCPUS_MAX; }

static void svm_vcpu_init(struct vcpu *v)
{
    static const struct abi_state zero;
    v->vmcb_pa = pool_phys(v->hvm);
    controls_init(v, v->hvm);
    svm_state_set(v, &zero, ABI_STATE_ALL);
}

static void svm_sync(struct vcpu *v)
{
    struct vmcb *c = vcpu_vmcb(v);
    c->tsc_offset = v->tsc_offset;
    c->save.g_pat = v->pat;
    c->clean &= ~(u32)(CLEAN_INTERCEPTS | CLEAN_NP);
}

/* The TLB of this CPU may hold what the vcpu has since invalidated on another, or what the ASID's former owner left (APM2 15.16). */
static void svm_vcpu_load(struct vcpu *v)
{
    struct vmcb *c = vcpu_vmcb(v);
    struct cpu *cpu = this_cpu();
    v->host_vmcb_pa = cpu->hvm_page2;
    if (asids_shared() || c->own_cpu != cpu->id + 1)
        c->tlb_control = svm_features.flush_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
    c->own_cpu = cpu->id + 1;
    svm_sync(v);
    c->clean = 0; /* this CPU may have an older copy (APM2 15.15.1) */
}

/* XSETBV is intercepted and v->xcr0 up to date, but TCG ignores that intercept: XCR0 is read back before the next vcpu's replaces it. */
static void svm_vcpu_save(struct vcpu *v)
{
    u32 low, high;
    if (features.xsave) {
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        v->xcr0 = ((u64)high << 32 | low) & features.xcr0_all;
    }
}

/* ---- Events -------------------------------------------------------------------------------------------------------------- */

static bool svm_intr_ready(struct vcpu *v)
{
    const struct vmcb *c = vcpu_vmcb(v);
    return c->save.rflags & RFLAGS_IF && !(c->int_shadow & VMCB_SHADOW) && !v->event;
}

/* A virtual interrupt that is never delivered: VINTR is intercepted, so it exits when the guest could take it (APM2 15.21.4). */
static void svm_intr_window(struct vcpu *v, bool on)
{
    struct vmcb *c = vcpu_vmcb(v);
    c->int_control = on ? c->int_control | V_IRQ | V_IGN_TPR : c->int_control & ~(V_IRQ | V_IGN_TPR);
    c->clean &= ~(u32)CLEAN_TPR;
}

/* EVENTINJ and EXITINTINFO are as v->event, with the error code in the high half (APM2 15.20), but INT1, INT3 and INTO are exceptions.
 * INT n is never asked for: see below. */
static void event_inject(struct vcpu *v, struct vmcb *c)
{
    u32 event = v->event, type = event & HVM_EVENT_TYPE;
    if (type == HVM_EVENT_PRIV_SOFT || type == HVM_EVENT_SOFT_EXC)
        event = (event & ~HVM_EVENT_TYPE) | HVM_EVENT_EXCEPTION;
    c->event_inj = event | (event & ABI_INJECT_ERROR ? (u64)v->event_error << 32 : 0);
    v->event = 0;
}

/* The exit came while an event was delivered: it goes back. INT n, INT3 and INTO need not, RIP still points to them: they are run again. */
static void event_interrupted(struct vcpu *v, u64 info)
{
    u32 type = info & HVM_EVENT_TYPE, vector = info & HVM_EVENT_VECTOR;
    if (type == HVM_EVENT_SOFT_INT || (type == HVM_EVENT_EXCEPTION && (vector == VEC_BP || vector == VEC_OF)))
        return;
    v->event = (u32)info & HVM_EVENT_FIELDS;
    v->event_error = (u32)(info >> 32);
    v->event_length = 0;
}

/* Past an instruction that was done for the guest, as the CPU leaves it: no shadow, RF clear, a trap if it was single-stepped. */
static inline void svm_advance(struct vcpu *v, struct vmcb *c)
{
    struct vmcb_save *g = &c->save;
    u64 rip = g->rip + v->exit.length;
    if (unlikely((u32)rip < v->exit.length) && !(g->efer & EFER_LMA && g->cs.attrib & VMCB_SEG_L))
        rip = (u32)rip; /* EIP wraps */
    g->rip = rip;
    c->int_shadow &= ~VMCB_SHADOW;
    if (likely(!(g->rflags & (RFLAGS_RF | RFLAGS_TF))))
        return;
    g->rflags &= ~RFLAGS_RF;
    if (g->rflags & RFLAGS_TF) {
        g->dr6 |= DR6_BS;
        c->clean &= ~(u32)CLEAN_DR;
        inject_exception(v, VEC_DB, false, 0);
    }
}

/* ---- Run ----------------------------------------------------------------------------------------------------------------- */

/* With STGI an NMI that waited is taken, by the host's IDT with the host's TR; interrupts wait on, IF is 0. */
static void guest_leave(const struct vcpu *v)
{
    count_event(COUNT_VMLOAD);
    __asm__ volatile("vmsave" : : "a"(v->vmcb_pa) : "memory");
    __asm__ volatile("vmload\n\tstgi" : : "a"(v->host_vmcb_pa) : "memory");
}

static bool entry_due(struct vcpu *v)
{
    if (!vcpu_ready(v))
        return false;
    if (v->event)
        event_inject(v, vcpu_vmcb(v));
    return true;
}

static inline void port_exit(struct vcpu *v, struct vmcb *c)
{
    svm_decode_port(v, c);
    exit_count(v, EXIT_PORT, VMEXIT_IOIO, c->exit_info1);
    guest_leave(v);
    if (likely(exit_port(v, GATE_SYSRET) == EXIT_ADVANCE))
        svm_advance(v, vcpu_vmcb(v));
}

/* False: not the plain case, which is an operand of an instruction without a shadow, and no event cut short. */
static inline bool mmio_exit(struct vcpu *v, struct vmcb *c)
{
    if (unlikely(c->exit_int_info & ABI_INJECT_VALID || c->exit_info1 & NPF_FETCH || c->int_shadow || !exit_gpa_is_device(c->exit_info2)))
        return false;
    svm_insn_give(v, c);
    exit_count(v, EXIT_NESTED, VMEXIT_NPF, c->exit_info2);
    guest_leave(v);
    exit_mmio(v, c->exit_info2, NPF_FLAGS(c->exit_info1), GATE_SYSRET, svm_code_get, svm_moved);
    return true;
}

/* True: the guest's VMLOAD state is still in the CPU. */
static __attribute__((noinline)) bool other_exit(struct vcpu *v, struct vmcb *c)
{
    bool stay;
    if (c->exit_int_info & ABI_INJECT_VALID)
        event_interrupted(v, c->exit_int_info);
    stay = svm_exit_decode(v);
    if (!stay) {
        guest_leave(v);
        if (v->exit.kind == EXIT_INTERRUPT) /* what was the host's and waited for GIF */
            irq_poll();
        else if (v->exit.reason == VMEXIT_EXCP + VEC_MC)
            __asm__ volatile("int $18" ::: "memory");
    }
    if (exit_dispatch(v) == EXIT_ADVANCE)
        svm_advance(v, c);
    if (unlikely(v->exit.kind == EXIT_HLT) && v->exit.flags & SVM_HALT_AWAKE)
        hazard_clear(v, HAZARD_HALT);
    if (!stay || !vcpu_due(v))
        return stay;
    guest_leave(v);
    return false;
}

/* One guest entry and its exit. True: the guest's VMLOAD state is in the CPU and GIF is 0, as before. An exit that ring 0 handles alone
 * keeps it, where nothing is due, and saves two VMLOADs and a VMSAVE. It is never so where the vcpu could be switched out. */
static inline bool enter_and_exit(struct vcpu *v)
{
    struct vmcb *c;
    svm_enter(v);
    c = vcpu_vmcb(v);
    c->event_inj = 0;
    c->tlb_control = TLB_FLUSH_NONE;
    c->clean = svm_features.clean_mask;
    if (likely((u32)c->exit_code == VMEXIT_IOIO && !(c->exit_info1 & IOIO_STRING) && !c->int_shadow)) {
        port_exit(v, c);
        return false;
    }
    return (u32)c->exit_code != VMEXIT_NPF || !mmio_exit(v, c) ? other_exit(v, c) : false;
}

static void svm_run(struct vcpu *v)
{
    while (likely(!vcpu_due(v)) || entry_due(v)) {
        count_event(COUNT_VMLOAD);
        __asm__ volatile("clgi\n\tvmload" : : "a"(v->vmcb_pa) : "memory");
        while (enter_and_exit(v))
            continue;
    }
}

const struct hvm_ops svm_ops = {
    .name = "svm", .probe = svm_probe, .cpu_enable = svm_cpu_enable, .vcpu_pages = 1, .vcpu_init = svm_vcpu_init,
    .vcpu_load = svm_vcpu_load, .vcpu_save = svm_vcpu_save, .run = svm_run, .state_get = svm_state_get, .state_set = svm_state_set,
    .intr_ready = svm_intr_ready, .intr_window = svm_intr_window, .sync = svm_sync,
    /* Every nested access counts as a user access; no NX: the guest executes its RAM. PWT and PCD clear select PA0 of the host's PAT,
     * write-back, and leave the type to the guest's own tables and G_PAT (APM2 15.25.5, 15.25.8). */
    .nested_table = PTE_P | PTE_W | PTE_U, .nested_page = PTE_P | PTE_W | PTE_U,
};
