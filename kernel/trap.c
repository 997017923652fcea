/* Host exceptions and interrupts: what ring 3 did ends its domain, what ring 0 did stops the machine. */
#include "kernel/trap.h"
#include "depriv/gate.h"
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/vcpu.h"

#define IDT_INTERRUPT 0x8e00ull /* present, DPL 0, 64-bit interrupt gate: no vector can be raised by INT n from ring 3 (SDM 3A 6.14.1) */

#define DR6_CLEAR     0xffff0ff0ul /* SDM 3B 17.2.3 */

extern const u8 trap_stubs[256][TRAP_STUB], trap_stubs_isolated[256][TRAP_STUB];
extern u8 entry_text[], entry_text_end[]; /* linker.ld */
static struct { u64 low, high; } idt[256] ENTRY_DATA __attribute__((aligned(4096)));

static const char *const names[] = {
    [VEC_DE] = "#DE divide error", [VEC_DB] = "#DB debug", [VEC_NMI] = "NMI", [VEC_BP] = "#BP breakpoint", [VEC_OF] = "#OF overflow",
    [VEC_BR] = "#BR bound range", [VEC_UD] = "#UD invalid opcode", [VEC_NM] = "#NM no FPU", [VEC_DF] = "#DF double fault",
    [VEC_TS] = "#TS invalid TSS", [VEC_NP] = "#NP segment not present", [VEC_SS] = "#SS stack fault", [VEC_GP] = "#GP general protection",
    [VEC_PF] = "#PF page fault", [VEC_MF] = "#MF x87 error", [VEC_AC] = "#AC alignment", [VEC_MC] = "#MC machine check",
    [VEC_XM] = "#XM SIMD error", [VEC_VE] = "#VE virtualization", [VEC_CP] = "#CP control protection",
};

const char *trap_name(u64 vector)
{
    return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "exception";
}

static const u8 idt_ist[256] = { /* 0: the stack of the moment, or RSP0; trap.asm knows which have one */
    [VEC_NMI] = TRAP_IST_NMI + 1, [VEC_DF] = TRAP_IST_DF + 1, [VEC_MC] = TRAP_IST_MC + 1, [VEC_DB] = TRAP_IST_DB + 1,
};

void idt_init(void)
{
    for (u32 v = 0; v < 256; v++) {
        u64 to = (u64)(features.isolated ? trap_stubs_isolated : trap_stubs)[v];
        idt[v].low = (to & 0xffff) | (u64)SEL_KCODE << 16 | (u64)idt_ist[v] << 32 | IDT_INTERRUPT << 32 | (to >> 16 & 0xffff) << 48;
        idt[v].high = to >> 32;
    }
}

void idt_load(void)
{
    struct { u16 limit; u64 base; } __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void interrupt_handle(u32 vector)
{
    switch (vector) {
    case VECTOR_TIMER:
        sched_tick();
        break;
    case VECTOR_SERIAL:
        console_interrupt();
        break;
    case VECTOR_WAKE:
        sched_timer_update(); /* another CPU made a thread ready here */
        break;
    case VECTOR_STOP:
        cpu_halt();
    case VECTOR_SPURIOUS: /* no EOI: SDM 3A 10.9 */
        return;
    default: /* nothing else is routed; a stray one must not block its priority class */
        break;
    }
    apic_eoi();
}

static void trap_print(const struct trap_frame *f)
{
    log_line("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_line("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_line("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
    log_line("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
    log_line("  rip %016lx cs %lx rflags %lx vector %lu error %lx", f->rip, f->cs, f->rflags, f->vector, f->error);
}

/* The exception was raised by ring 3, or by a return to it: the domain ends, its vcpu unwinds through its call site (invariant 5). */
static void trap_ring3(struct trap_frame *f)
{
    struct vcpu *v = this_cpu()->current->vcpu;
    if (f->vector == VEC_PF)
        domain_kill(v->domain, "ring 3: %s at %lx, error %lx, address %lx", trap_name(VEC_PF), f->rip, f->error, read_cr2());
    else
        domain_kill(v->domain, "ring 3: %s at %lx, error %lx", trap_name(f->vector), f->rip, f->error);
    trap_print(f);
    write_cr2(0);
    __asm__ volatile("mov %0, %%db6" : : "r"(DR6_CLEAR)); /* on VMX it is the guest's next */
    gate_abort(v);
}

/* An interrupt in ring 3 was handled there and then; what it left to do is done before ring 3 goes on (S0-13). */
static void ring3_resume(struct vcpu *v)
{
    if (READ_ONCE(v->hazards) & HAZARD_YIELD) {
        hazard_clear(v, HAZARD_YIELD);
        sched_yield();
    }
    if (READ_ONCE(v->hazards) & HAZARD_KILL)
        gate_abort(v);
}

/* TF survives SYSENTER, so a single step can arrive on the entry's first instruction: it is ring 3's doing, and dropped (ATTACKS K6). */
static bool trap_step_into_entry(struct trap_frame *f)
{
    if (f->vector != VEC_DB || f->rip < (u64)entry_text || f->rip >= (u64)entry_text_end)
        return false;
    f->rflags &= ~RFLAGS_TF;
    __asm__ volatile("mov %0, %%dr6" : : "r"(DR6_CLEAR));
    return true;
}

void trap_handle(struct trap_frame *f)
{
    count_event(COUNT_IRET);
    if (f->cs & 3 && !this_cpu()->current) /* no thread yet: the setup program */
        boot_planned(f);
    if (f->vector >= 32) {
        interrupt_handle((u32)f->vector);
        if (f->cs & 3 && f->vector == VECTOR_TIMER)
            depriv_tick(this_cpu()->current->vcpu);
        if (f->cs & 3)
            ring3_resume(this_cpu()->current->vcpu);
        return;
    }
    if (f->vector == VEC_NMI) { /* nobody sends one; a line in the log could find the console's lock held by what it interrupted */
        if (f->rip == (u64)cpu_halt_hlt)
            f->rip++; /* STI's shadow is over: an interrupt may come before HLT, and what it wakes must not wait for the next one */
        return;
    }
    if (trap_step_into_entry(f))
        return;
    if (f->cs & 3 && f->vector != VEC_MC && f->vector != VEC_DF)
        trap_ring3(f);
    log_line("%s in ring 0 on CPU %u, cr2 %lx", trap_name(f->vector), this_cpu()->id, read_cr2());
    trap_print(f);
    panic("%s in ring 0 at %lx", trap_name(f->vector), f->rip);
}
