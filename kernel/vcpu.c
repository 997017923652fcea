/* The life of a vcpu: its thread, what must be looked at between exit and entry, its switch on and off a physical CPU. */
#include "kernel/vcpu.h"
#include "depriv/component.h"
#include "depriv/gate.h"
#include "kernel/console.h"
#include "kernel/exit.h"
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/trap.h"

#define VCPU_PAGES    ((sizeof(struct vcpu) + PAGE_SIZE - 1) / PAGE_SIZE)
#define KSTACK_PAGES  2u
#define KSTACK_ALL    3u /* method 0: the component's frames are on it too */
#define XCR0_RESET    1u /* x87 (SDM 1 13.3) */
#define PAT_RESET     0x0007040600070406ull
#define MXCSR_RESET   0x1f80u
#define FCW_RESET     0x37fu /* as FNINIT leaves it: what firmware hands over */

_Static_assert(VCPU_PAGES * PAGE_SIZE + KSTACK_PAGES * PAGE_SIZE + ABI_STACK_SIZE + 3 * PAGE_SIZE <= 40 * KIB,
               "memory per vcpu, with its frame page, its VMCS and the page behind that");

void thread_start(void); /* switch.asm */

/* ---- Vector state, debug registers, CR3: what a CPU holds for its loaded vcpu ------------------------------------------ */

static void fpu_save(struct vcpu *v)
{
    count_event(COUNT_XSAVE);
    if (features.xsave) {
        xsetbv0(features.xcr0_all);
        __asm__ volatile("xsave64 (%0)" : : "r"(v->fpu), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(v->fpu) : "memory");
    }
}

static void fpu_load(struct vcpu *v)
{
    if (features.xsave) {
        xsetbv0(features.xcr0_all); /* every component is loaded, also those that this guest has switched off: nothing of another remains */
        __asm__ volatile("xrstor64 (%0)" : : "r"(v->fpu), "a"(~0u), "d"(~0u) : "memory");
        xsetbv0(v->xcr0);
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(v->fpu) : "memory");
    }
}

void vcpu_debug_save(struct vcpu *v)
{
    __asm__ volatile("mov %%db0, %0" : "=r"(v->dr[0]));
    __asm__ volatile("mov %%db1, %0" : "=r"(v->dr[1]));
    __asm__ volatile("mov %%db2, %0" : "=r"(v->dr[2]));
    __asm__ volatile("mov %%db3, %0" : "=r"(v->dr[3]));
    __asm__ volatile("mov %%db6, %0" : "=r"(v->dr6));
}

void vcpu_debug_load(const struct vcpu *v)
{
    __asm__ volatile("mov %0, %%db0" : : "r"(v->dr[0]));
    __asm__ volatile("mov %0, %%db1" : : "r"(v->dr[1]));
    __asm__ volatile("mov %0, %%db2" : : "r"(v->dr[2]));
    __asm__ volatile("mov %0, %%db3" : : "r"(v->dr[3]));
    __asm__ volatile("mov %0, %%db6" : : "r"(v->dr6));
}

void vcpu_unload(struct cpu *cpu)
{
    struct vcpu *v = cpu->loaded;
    if (!v)
        return;
    hvm->vcpu_save(v);
    fpu_save(v);
    vcpu_debug_save(v);
    if (features.rdtscp)
        v->tsc_aux = rdmsr(MSR_TSC_AUX);
    v->live = false;
    cpu->loaded = NULL;
    write_cr3(pool_phys(kernel_root));
}

/* A kernel mapping was taken away since this CPU last looked: everything goes. */
static void flush_if_stale(struct cpu *cpu)
{
    u32 now = READ_ONCE(paging_generation);
    if (cpu->paging_seen == now)
        return;
    cpu->paging_seen = now;
    tlb_flush();
}

u64 vcpu_host_cr3(const struct vcpu *v)
{
    return domain_isolated(v->domain) ? entry_cr3 : v->cr3;
}

void vcpu_switch_in(struct vcpu *v)
{
    struct cpu *cpu = this_cpu();
    struct stack_head *head = (struct stack_head *)((char *)v->stack_top - sizeof(*head));
    flush_if_stale(cpu); /* before the first touch of v's stack, whose slot may have had another owner */
    head->cpu = cpu;
    cpu->tss.rsp[0] = v->saved_rsp;
    if (cpu->loaded == v)
        return;
    vcpu_unload(cpu);
    write_cr3(vcpu_host_cr3(v));
    fpu_load(v);
    vcpu_debug_load(v);
    if (features.rdtscp)
        wrmsr(MSR_TSC_AUX, v->tsc_aux);
    hvm->vcpu_load(v);
    v->live = true;
    cpu->loaded = v;
}

/* ---- Between exit and entry -------------------------------------------------------------------------------------------- */

void vcpu_event(struct vcpu *v, u32 event)
{
    if (__atomic_fetch_or(&v->events, event, __ATOMIC_SEQ_CST) & event)
        return; /* it is on its way: no second wake-up, or IPI, for the asking */
    hazard_set(v, HAZARD_EVENTS);
    sched_wake(&v->thread);
}

/* An operation that no instruction asked for has one answer. Another would let ring 3 go on as if it had given it. */
static bool answered(struct vcpu *v, int rc)
{
    if (rc > ABI_OK)
        domain_kill(v->domain, "ring 3: bad reply: status %d", rc);
    return rc == ABI_OK;
}

static void take_events(struct vcpu *v)
{
    hazard_clear(v, HAZARD_EVENTS);
    v->frame->events = __atomic_exchange_n(&v->events, 0, __ATOMIC_SEQ_CST);
    v->frame->console_room = (u32)min_u64(console_room(), ABI_CONSOLE_BYTES);
    v->frame->tsc = rdtsc();
    answered(v, depriv_call_top(v, ABI_OP_EVENT, 0));
}

/* Ring 3's interrupt controller asks. If the guest can take it now: acknowledge, and inject the vector that ring 3 names. Else exit when it can. */
static void take_interrupt(struct vcpu *v)
{
    u32 vector;
    hazard_clear(v, HAZARD_INTR);
    if (!v->intr || v->event)
        return;
    if (v->domain->emulate == EMULATE_ALL) { /* ring 3 delivers it itself */
        hazard_clear(v, HAZARD_HALT);
        return;
    }
    if (!hvm->intr_ready(v)) {
        if (!(v->hazards & HAZARD_HALT))
            hvm->intr_window(v, true);
        return;
    }
    if (!answered(v, depriv_call_top(v, ABI_OP_INTACK, 0)))
        return;
    vector = READ_ONCE(v->frame->vector);
    hazard_clear(v, HAZARD_HALT | HAZARD_INTR);
    if (vector < 256)
        v->event = ABI_INJECT_VALID | HVM_EVENT_EXTERNAL | vector;
    else if (vector != ABI_VECTOR_NONE)
        domain_kill(v->domain, "ring 3: bad reply: vector %x", vector);
    if (v->intr && v->event)
        hvm->intr_window(v, true);
}

/* The guest is in HLT: sleep until an event; an interrupt that it can take ends it (SDM 2A HLT). */
static void wait_halted(struct vcpu *v)
{
    struct abi_state s;
    if (v->event) {
        hazard_clear(v, HAZARD_HALT);
        return;
    }
    hvm->state_get(v, &s, ABI_STATE_RIP);
    if (!(s.rflags & RFLAGS_IF)) {
        domain_kill(v->domain, "halted with interrupts off: nothing can wake it");
        return;
    }
    console_idle(v->domain);
    sched_block(&v->events);
}

/* Bound: each turn handles one cause; a turn without progress sleeps. */
bool vcpu_ready(struct vcpu *v)
{
    for (;;) {
        u32 h = READ_ONCE(v->hazards);
        if (h & HAZARD_KILL)
            return false;
        if (v->commit_groups || h & HAZARD_MAPPED) { /* first: the others look at the state */
            depriv_commit(v);
        } else if (h & HAZARD_YIELD) {
            hazard_clear(v, HAZARD_YIELD);
            sched_yield();
        } else if (h & HAZARD_EVENTS) {
            take_events(v);
        } else if (h & HAZARD_INTR) {
            take_interrupt(v);
        } else if (h & HAZARD_HALT) {
            wait_halted(v);
        } else {
            return true;
        }
    }
}

/* Table 6-5: a contributory exception or page fault during one of its kind is #DF; one during #DF is a triple fault. */
static bool contributory(u32 vector)
{
    return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP) || vector == VEC_CP;
}

void inject_exception(struct vcpu *v, u32 vector, bool has_error, u32 error)
{
    u32 first = v->event & 0xff;
    bool exception = v->event && (v->event & HVM_EVENT_TYPE) == HVM_EVENT_EXCEPTION;
    if (exception && first == VEC_DF) {
        domain_kill(v->domain, "triple fault: %s while #DF was delivered", trap_name(vector));
        return;
    }
    if (exception && ((contributory(first) && contributory(vector)) || (first == VEC_PF && (contributory(vector) || vector == VEC_PF)))) {
        vector = VEC_DF;
        has_error = true;
        error = 0;
    }
    v->event = ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | (has_error ? ABI_INJECT_ERROR : 0) | vector;
    v->event_error = error;
    v->event_length = 0;
}

/* ---- Records ------------------------------------------------------------------------------------------------------------- */

void vcpu_print_ring(const struct vcpu *v)
{
    u64 end = v->ring_next / sizeof(struct exit_record), n = min_u64(end, 16);
    for (u64 i = 1; i <= n; i++) {
        const struct exit_record *r = &v->ring[(end - i) % VCPU_RING];
        log_domain(v->domain->name, "  exit -%lu: %s, reason %lx, info %lx", i, exit_name(r->what & 0xff), r->what >> 8, r->info);
    }
}

void vcpu_print_state(struct vcpu *v)
{
    static const char *const name[ABI_SEGS] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };
    const u64 *g = v->frame->gpr;
    const char *d = v->domain->name;
    const struct abi_state *s = &v->frame->state;
    log_domain(d, "  rip %016lx rsp %016lx rflags %lx", s->rip, s->rsp, s->rflags);
    log_domain(d, "  rax %016lx rcx %016lx rdx %016lx rbx %016lx", g[ABI_RAX], g[ABI_RCX], g[ABI_RDX], g[ABI_RBX]);
    log_domain(d, "  rbp %016lx rsi %016lx rdi %016lx r8  %016lx", g[ABI_RBP], g[ABI_RSI], g[ABI_RDI], g[ABI_R8]);
    log_domain(d, "  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", g[ABI_R9], g[ABI_R10], g[ABI_R11], g[ABI_R12]);
    log_domain(d, "  cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", s->cr0, s->cr2, s->cr3, s->cr4, s->efer);
    for (u32 i = 0; i < ABI_SEGS; i++)
        log_domain(d, "  %s %x base %lx limit %x attr %x", name[i], s->seg[i].selector, s->seg[i].base, s->seg[i].limit, s->seg[i].attr);
}

/* ---- Life ---------------------------------------------------------------------------------------------------------------- */

/* First code of the vcpu's thread: ring 3 loads the image and names the boot state, then the guest runs until its domain ends. */
static void vcpu_main(struct vcpu *v)
{
    struct domain *d = v->domain;
    int rc = v->index == 0 ? depriv_call_top(v, ABI_OP_LOAD, ABI_STATE_ALL) : ABI_OK;
    if (rc == ABI_REFUSE)
        domain_kill_text(v, "refused");
    answered(v, rc);
    component_end_load(d);
    d->booted = rdtsc();
    if (d->emulate == EMULATE_ALL)
        exit_run_emulated(v);
    else if (vcpu_ready(v))
        hvm->run(v);
    hvm->state_get(v, &v->frame->state, ABI_STATE_ALL); /* for the report, which another CPU may print */
    vcpu_unload(this_cpu());
    sched_exit();
}

static void reset_state(struct vcpu *v)
{
    *(u16 *)v->fpu = FCW_RESET;
    *(u32 *)(v->fpu + 24) = MXCSR_RESET;
    v->xcr0 = XCR0_RESET;
    v->pat = PAT_RESET;
    v->dr6 = 0xffff0ff0;
    v->timer = ABI_TIMER_NEVER;
    v->frame->timer = ABI_TIMER_NEVER;
    v->tsc_offset = -rdtsc();
}

/* What thread_switch pops: r15 r14 r13, r12 = argument, rbp, rbx = function, return address; and alignment for thread_start. */
static void first_frame(struct vcpu *v)
{
    struct stack_head *head = (struct stack_head *)((char *)v->stack_top - sizeof(*head));
    const u64 frame[] = { 0, 0, 0, (u64)v, 0, (u64)vcpu_main, (u64)thread_start, 0, 0 };
    head->vcpu = v;
    memcpy((char *)head - sizeof(frame), frame, sizeof(frame));
    v->thread.rsp = (u64)head - sizeof(frame);
    v->thread.vcpu = v;
}

static unsigned stack_pages(const struct domain *d)
{
    return d->method == 0 ? KSTACK_ALL : KSTACK_PAGES;
}

int vcpu_create(struct domain *d, u32 index)
{
    struct vcpu *v = d->vcpu[index] = pool_alloc(VCPU_PAGES);
    if (!v)
        return -E_NOMEM;
    v->domain = d;
    v->domid = d->id;
    v->cr3 = d->cr3;
    v->index = index;
    v->gate = d->method != 3 ? d->method : features.isolated ? GATE_ANY : gate_of_cpu();
    v->stack_top = kstack_alloc(KSTACK_VCPU(d->id, index), stack_pages(d));
    v->frame = pool_alloc(1);
    v->hvm = pool_alloc(hvm->vcpu_pages);
    if (!v->stack_top || !v->frame || !v->hvm || component_map_vcpu(v))
        return -E_NOMEM;
    hvm->vcpu_init(v);
    reset_state(v);
    first_frame(v);
    return 0;
}

void vcpu_print_memory(const struct vcpu *v)
{
    u64 page = PAGE_SIZE / KIB, kernel = stack_pages(v->domain) * page, user = v->user_stack_pages ? ABI_STACK_SIZE / KIB : 0;
    u64 state = (u64)hvm->vcpu_pages * page, self = VCPU_PAGES * page;
    log_domain(v->domain->name, "per vcpu: %lu KiB: supervisor stack %lu, user stack %lu, frame %lu, %s state %lu, struct vcpu %lu",
               kernel + user + page + state + self, kernel, user, page, hvm->name, state, self);
}

void vcpu_free(struct vcpu *v)
{
    if (!v)
        return;
    pool_free(v->hvm, hvm->vcpu_pages);
    pool_free(v->user_stack_pages, ABI_STACK_SIZE / PAGE_SIZE);
    pool_free(v->frame, 1);
    kstack_free(KSTACK_VCPU(v->domain->id, v->index), stack_pages(v->domain));
    pool_free(v, VCPU_PAGES);
}
