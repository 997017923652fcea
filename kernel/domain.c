/* Building and ending domains: memory, nested table, information page, component, vcpus; the report at the end. */
#include "kernel/domain.h"
#include "depriv/component.h"
#include "depriv/format.h"
#include "depriv/gate.h"
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/policy.h"
#include "kernel/paging.h"
#include "kernel/plan.h"
#include "kernel/vcpu.h"

#define DOMAIN_PAGES ((sizeof(struct domain) + PAGE_SIZE - 1) / PAGE_SIZE)

struct domain *domains[DOMAINS_MAX + 1];
static u32 domains_alive = 1; /* and one for the boot CPU while it builds them */
static bool all_clean = true;

static const char *const end_name[] = {
    [DOMAIN_RUNS] = "running", [DOMAIN_POWEROFF] = "powered off", [DOMAIN_REBOOT] = "rebooted", [DOMAIN_KILLED] = "killed",
};

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

static u64 frames_pages(const struct domain *d)
{
    return (d->frame_count * sizeof(u64) + PAGE_SIZE - 1) / PAGE_SIZE;
}

static int memory_alloc(struct domain *d, u64 mem)
{
    d->ram_low = min_u64(mem, ABI_LOW_MAX);
    d->ram_high = mem - d->ram_low;
    d->frame_count = (u32)(mem / PAGE_2M);
    d->frames = pool_alloc((unsigned)frames_pages(d));
    if (!d->frames)
        return -E_NOMEM;
    for (u32 i = 0; i < d->frame_count; i++) {
        d->frames[i] = frames_alloc(&guest_frames, 1);
        if (!d->frames[i]) {
            log_domain(d->name, "refused: too little memory: mem=%lu MiB, %lu MiB are free", mem / MIB, (guest_frames.left + i) * 2);
            return -E_NOMEM;
        }
    }
    return 0;
}

static void memory_free(struct domain *d)
{
    for (u32 i = 0; d->frames && i < d->frame_count; i++)
        if (d->frames[i])
            frames_free(&guest_frames, d->frames[i], 1);
    pool_free(d->frames, (unsigned)frames_pages(d));
}

/* 2 MiB pages, but for the first one, which has the hole below 1 MiB. */
static int nested_build(struct domain *d)
{
    int rc = 0;
    for (u64 gpa = 0; gpa < PAGE_2M; gpa += PAGE_SIZE)
        if (gpa < ABI_HOLE_START || gpa >= ABI_HOLE_END)
            rc |= paging_map(d->nested_root, gpa, d->frames[0] + gpa, PAGE_SIZE, hvm->nested_page, hvm->nested_table);
    for (u32 i = 1; i < d->frame_count; i++)
        rc |= paging_map(d->nested_root, domain_frame_gpa(d, i), d->frames[i], PAGE_2M, hvm->nested_page, hvm->nested_table);
    return rc ? -E_NOMEM : 0;
}

/* ---- Build ----------------------------------------------------------------------------------------------------------------- */

static void domain_free(struct domain *d)
{
    for (u32 i = 0; i < d->vcpus; i++)
        vcpu_free(d->vcpu[i]);
    component_unmap(d);
    if (d->nested_root) {
        paging_free(d->nested_root, 0, LOWER_HALF);
        pool_free(d->nested_root, 1);
    }
    memory_free(d);
    pool_free(d->info, 1);
    pool_free(d, DOMAIN_PAGES);
}

static struct domain *domain_new(const struct abi_domain *c)
{
    struct domain *d = pool_alloc(DOMAIN_PAGES);
    if (!d)
        return NULL;
    d->id = d->asid = (u32)(c - plan.domain) + 1;
    memcpy(d->name, c->name, sizeof(d->name));
    d->vcpus = c->vcpus;
    d->method = c->depriv;
    d->emulate = c->emulate;
    d->guestmem = c->guestmem;
    d->config = c;
    domains[d->id] = d;
    return d;
}

static int domain_build(struct domain *d, const struct abi_domain *c)
{
    int rc = memory_alloc(d, c->mem);
    d->nested_root = pool_alloc(1);
    d->info = pool_alloc(1);
    if (rc || !d->nested_root || !d->info)
        return -E_NOMEM;
    *d->info = c->info;
    d->info->domid = d->id;
    d->info->call = d->method == 0 ? method0_entry() : 0;
    d->info->cr4 = policy_cr4_guest();
    d->info->xcr0 = features.xcr0_all;
    rc = nested_build(d);
    if (!rc)
        rc = component_map(d);
    for (u32 i = 0; !rc && i < d->vcpus; i++)
        rc = vcpu_create(d, i);
    return rc;
}

static void domain_refuse(const struct abi_domain *c, struct domain *d, int rc)
{
    log_domain(c->name, "refused: %s", rc == -E_NOMEM ? "too little memory (hypervisor's pool: option pool=MiB)" : "see above");
    if (d) {
        console_forget(d);
        domain_free(d);
    }
    all_clean = false;
}

static void domain_audit(const struct domain *d)
{
    paging_audit(d->user_root, (d->method ? PTE_U : 0) | (d->guestmem == ABI_GUESTMEM_MAP ? AUDIT_GUEST : 0));
    if (d->copier_root)
        paging_audit(d->copier_root, PTE_U | AUDIT_GUEST);
    if (domain_isolated(d) && d->copier_root)
        paging_audit(d->copier_root, AUDIT_ENTRY);
    if (domain_isolated(d))
        log_domain(d->name, "audit: ring 3's table has %lu pages of the kernel, all of its trampoline", paging_audit(d->user_root, AUDIT_ENTRY));
}

void domain_create(const struct abi_domain *c)
{
    static u32 turn;
    struct domain *d = domain_new(c);
    u64 before = pool_pages.left;
    int rc = d ? domain_build(d, c) : -E_NOMEM;
    if (rc) {
        domain_refuse(c, d, rc);
        return;
    }
    domain_audit(d);
    if (d->method == 0)
        log_domain(d->name, "depriv=0, the control: ring 0 runs its component and maps its memory; invariants 1, 2 and 5 do not hold for it");
    d->vcpus_left = d->vcpus;
    __atomic_add_fetch(&domains_alive, 1, __ATOMIC_SEQ_CST);
    log_domain(d->name, "domain %u: %lu MiB, %u vcpu, %lu pool pages", d->id, c->mem / MIB, d->vcpus, before - pool_pages.left);
    vcpu_print_memory(d->vcpu[0]);
    for (u32 i = 0; i < d->vcpus; i++)
        sched_start(&d->vcpu[i]->thread, &cpus[c->cpu < cpus_online ? c->cpu : turn++ % cpus_online]);
}

/* ---- End ------------------------------------------------------------------------------------------------------------------- */

void domain_end(struct domain *d, enum domain_end how)
{
    u32 runs = DOMAIN_RUNS;
    __atomic_compare_exchange_n(&d->end, &runs, how, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < d->vcpus; i++) {
        hazard_set(d->vcpu[i], HAZARD_KILL);
        __atomic_or_fetch(&d->vcpu[i]->events, ABI_EVENT_INPUT, __ATOMIC_SEQ_CST); /* so that it does not go to sleep */
        sched_wake(&d->vcpu[i]->thread);
    }
}

void domain_kill(struct domain *d, const char *format, ...)
{
    u32 runs = DOMAIN_RUNS;
    va_list args;
    if (!__atomic_compare_exchange_n(&d->end, &runs, DOMAIN_KILLED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    va_start(args, format);
    text_vformat(d->kill_reason, sizeof(d->kill_reason), format, args);
    va_end(args);
    log_domain(d->name, "killed: %s", d->kill_reason);
    domain_end(d, DOMAIN_KILLED);
}

/* Copied before it is looked at: the page is shared, and another vcpu's ring 3 can change it meanwhile. */
void domain_kill_text(struct vcpu *v, const char *what)
{
    char text[ABI_TEXT_BYTES];
    memcpy(text, v->frame->text, sizeof(text));
    text[sizeof(text) - 1] = 0;
    domain_kill(v->domain, "%s: %s", what, text);
}

/* Ring 3 counts: the numbers are printed and nothing else. */
static void report_touches(const struct domain *d)
{
    u64 n[ABI_CAUSES] = { 0 };
    for (u32 i = 0; i < d->vcpus; i++)
        for (u32 cause = 0; cause < ABI_CAUSES; cause++)
            n[cause] += d->vcpu[i]->frame->touches[cause];
    log_domain(d->name, "guest memory: fetch %lu, walk %lu, operand %lu, string %lu, descriptor %lu, DMA %lu, load %lu", n[ABI_FOR_FETCH],
               n[ABI_FOR_WALK], n[ABI_FOR_OPERAND], n[ABI_FOR_STRING], n[ABI_FOR_DESCRIPTOR], n[ABI_FOR_DMA], n[ABI_FOR_LOAD]);
}

static void report(struct domain *d)
{
    u64 total = 0;
    console_idle(d);
    if (d->end == DOMAIN_KILLED) {
        vcpu_print_state(d->vcpu[0]);
        vcpu_print_ring(d->vcpu[0]);
    }
    for (u32 k = 0; k < EXIT_KINDS; k++) {
        total += d->exits[k];
        if (d->exits[k])
            log_domain(d->name, "exits: %s %lu", exit_name(k), d->exits[k]);
    }
    if (d->log_left_out)
        log_domain(d->name, "%u lines of ring 3 left out", d->log_left_out);
    log_domain(d->name, "exits: total %lu", total);
    report_touches(d);
    log_domain(d->name, "ended: %s%s%s", end_name[d->end], d->end == DOMAIN_KILLED ? ": " : "", d->kill_reason);
}

static void count_report(void)
{
#ifdef RUNG_COUNT
    static const char *const name[COUNTS] = { "vmread", "vmwrite", "wrmsr", "cr3", "iret", "xsave", "exit", "crossing", "vmload", "invlpg" };
    for (u32 i = 0; i < COUNTS; i++)
        log_line("count: %s %lu", name[i], counts[i]);
#endif
}

void domain_count_down(void)
{
    if (__atomic_sub_fetch(&domains_alive, 1, __ATOMIC_SEQ_CST))
        return;
    count_report();
    log_line("all domains ended, %s", all_clean ? "cleanly" : "not cleanly");
    machine_end(all_clean);
}

/* The idle thread: nobody stands on a dead vcpu's stack any more. With its last one a domain goes, with the last domain the machine. */
void domain_reap(void)
{
    struct cpu *cpu = this_cpu();
    while (cpu->dead) {
        struct domain *d = cpu->dead->domain;
        cpu->dead = cpu->dead->on_cpu;
        if (__atomic_sub_fetch(&d->vcpus_left, 1, __ATOMIC_SEQ_CST))
            continue;
        report(d);
        console_forget(d);
        if (d->end == DOMAIN_KILLED)
            all_clean = false;
        domain_free(d);
        domain_count_down();
    }
}
