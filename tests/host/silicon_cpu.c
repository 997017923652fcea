/* Runs test cases on the CPU of this machine: one signal a case, whose handler reads the state after and writes the next state before
 * into the same signal frame.
 *
 * Ring 3. Handler and library run on an alternate stack, in 64-bit code, entered from any segment state: silicon_enter puts FS, RFLAGS
 * and DF right before C code runs, and loads the data segments of the next case behind it. System calls from test code become signals. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>
#include "silicon.h"

/* Read and written by silicon_enter. */
struct data_segments { uint64_t fs_base, gs_base, ds, es, fs, gs; };
struct data_segments silicon_after, silicon_next;
uint64_t silicon_host_fs;
void silicon_enter(int number, siginfo_t *info, void *context);
void silicon_signal(int number, siginfo_t *info, void *context);

#define SEGMENTS(X) X(fs_base, 0) X(gs_base, 8) X(ds, 16) X(es, 24) X(fs, 32) X(gs, 40)
#define CHECK(name, offset) _Static_assert(offsetof(struct data_segments, name) == (offset), "silicon_enter has these offsets");
SEGMENTS(CHECK)

__asm__(".text\n"
        "silicon_enter:\n"
        "    pushq $2\n"
        "    popfq\n"                               /* AC, NT, ID, DF off */
        "    movq %ds, %rax\n    movq %rax, silicon_after+16(%rip)\n"
        "    movq %es, %rax\n    movq %rax, silicon_after+24(%rip)\n"
        "    movq %fs, %rax\n    movq %rax, silicon_after+32(%rip)\n"
        "    movq %gs, %rax\n    movq %rax, silicon_after+40(%rip)\n"
        "    rdfsbase %rax\n     movq %rax, silicon_after(%rip)\n"
        "    rdgsbase %rax\n     movq %rax, silicon_after+8(%rip)\n"
        "    xorl %eax, %eax\n   movl %eax, %fs\n"
        "    movq silicon_host_fs(%rip), %rax\n     wrfsbase %rax\n"
        "    subq $8, %rsp\n"
        "    call silicon_signal\n"
        "    addq $8, %rsp\n"
        "    movq silicon_next+16(%rip), %rax\n     movl %eax, %ds\n"
        "    movq silicon_next+24(%rip), %rax\n     movl %eax, %es\n"
        "    movq silicon_next(%rip), %rcx\n"
        "    movq silicon_next+8(%rip), %rdx\n"
        "    movq silicon_next+32(%rip), %rax\n     movl %eax, %fs\n"
        "    testl $~3, %eax\n   jnz 1f\n           wrfsbase %rcx\n"
        "1:  movq silicon_next+40(%rip), %rax\n     movl %eax, %gs\n"
        "    testl $~3, %eax\n   jnz 2f\n           wrgsbase %rdx\n"
        "2:  ret\n");

static cpu_next *next_case;
static cpu_judge *judge_case;
static struct test_case current;
static int running;
static ucontext_t host_context;
static struct data_segments host_segments;
static uint64_t alarmed_case;
static uint32_t area[8];                           /* offsets of XSAVE's components */
static uint32_t have;                              /* components that exist, as XCR0 */

/* ---- Vector registers, in the XSAVE area of the signal frame (SDM 1 13.4) ------------------------------------------------ */
#define XSTATE_BV 512
#define COMPONENT_AVX 2
#define COMPONENT_K 5
#define COMPONENT_HIGH256 6
#define COMPONENT_HIGH16 7

static void find_components(void)
{
    uint32_t eax, ebx, ecx, edx;

    if (!__get_cpuid_count(0xd, 0, &have, &ebx, &ecx, &edx))
        have = 3;
    for (unsigned i = 2; i < 8; i++) {
        if (have >> i & 1 && __get_cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx))
            area[i] = ebx;
    }
    have &= 0xe7;
}

static void copy_part(void *reg, uint8_t *place, unsigned size, int load)
{
    if (load)
        memcpy(place, reg, size);
    else
        memcpy(reg, place, size);
}

/* load: registers to frame; else frame to registers. */
static void move_vectors(struct vectors *v, uint8_t *fpu, int load)
{
    for (unsigned i = 0; i < 32; i++) {
        if (i < 16)
            copy_part(v->zmm[i], fpu + 160 + i * 16, 16, load);
        if (i < 16 && have >> COMPONENT_AVX & 1)
            copy_part(v->zmm[i] + 16, fpu + area[COMPONENT_AVX] + i * 16, 16, load);
        if (i < 16 && have >> COMPONENT_HIGH256 & 1)
            copy_part(v->zmm[i] + 32, fpu + area[COMPONENT_HIGH256] + i * 32, 32, load);
        if (i >= 16 && have >> COMPONENT_HIGH16 & 1)
            copy_part(v->zmm[i], fpu + area[COMPONENT_HIGH16] + (i - 16) * 64, 64, load);
        if (i < 8)
            copy_part(&v->mm[i], fpu + 32 + i * 16, 8, load);
        if (i < 8 && have >> COMPONENT_K & 1)
            copy_part(&v->k[i], fpu + area[COMPONENT_K] + i * 8, 8, load);
    }
    if (load) {
        *(uint64_t *)(fpu + XSTATE_BV) |= have;
        *(uint16_t *)fpu = 0x37f;                  /* FCW */
        *(uint16_t *)(fpu + 2) = 0;                /* FSW: register 0 is on top */
        *(uint32_t *)(fpu + 24) = 0x1f80;          /* MXCSR */
    }
}

/* ---- Signal frames ---------------------------------------------------------------------------------------------------------- */
static const uint8_t greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
                                     REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static void frame_load(const struct regs *r, ucontext_t *context)
{
    greg_t *g = context->uc_mcontext.gregs;

    for (unsigned i = 0; i < 16; i++)
        g[greg_of[i]] = r->gpr[i];
    g[REG_RIP] = r->rip;
    g[REG_EFL] = r->rflags;
    g[REG_CSGSFS] = (uint64_t)r->sel[EMUL_CS] | (uint64_t)r->sel[EMUL_SS] << 48;
    silicon_next = (struct data_segments){ r->fs_base, r->gs_base, r->sel[EMUL_DS], r->sel[EMUL_ES], r->sel[EMUL_FS], r->sel[EMUL_GS] };
}

static void frame_store(const ucontext_t *context, struct regs *r)
{
    const greg_t *g = context->uc_mcontext.gregs;

    for (unsigned i = 0; i < 16; i++)
        r->gpr[i] = g[greg_of[i]];
    if (current.mode != EMUL_MODE64)
        r->gpr[EMUL_RSP] = (uint32_t)r->gpr[EMUL_RSP]; /* with a 16-bit stack IRET leaves Linux's own upper half in RSP */
    r->rip = g[REG_RIP];
    r->rflags = g[REG_EFL];
    r->sel[EMUL_CS] = g[REG_CSGSFS];
    r->sel[EMUL_SS] = (uint64_t)g[REG_CSGSFS] >> 48;
    r->sel[EMUL_DS] = silicon_after.ds;
    r->sel[EMUL_ES] = silicon_after.es;
    r->sel[EMUL_FS] = silicon_after.fs;
    r->sel[EMUL_GS] = silicon_after.gs;
    r->fs_base = silicon_after.fs_base;
    r->gs_base = silicon_after.gs_base;
}

#define VECTORS_WITH_ERROR 0x00027d00u             /* SDM 3A table 6-1 */

static void outcome_of(int number, const ucontext_t *context, struct outcome *o)
{
    const greg_t *g = context->uc_mcontext.gregs;

    memset(o, 0, sizeof(*o));
    frame_store(context, &o->regs);
    o->vector = number == SIGALRM ? VECTOR_HANG : number == SIGSYS ? VECTOR_SYSCALL : (uint32_t)g[REG_TRAPNO];
    if (o->vector < 32 && VECTORS_WITH_ERROR >> o->vector & 1)
        o->error = g[REG_ERR];
    if (o->vector == EMUL_VECTOR_PF)
        o->cr2 = g[REG_CR2];
}

static void finish(ucontext_t *context)
{
    void *fpregs = context->uc_mcontext.fpregs;

    context->uc_mcontext = host_context.uc_mcontext;
    context->uc_mcontext.fpregs = fpregs;
    silicon_next = host_segments;
    running = 0;
}

/* A second alarm in the same case: it hangs. Alarms anywhere else mean nothing. */
static int is_idle_alarm(int number)
{
    if (number != SIGALRM)
        return 0;
    if (running && alarmed_case == current.number)
        return 0;
    alarmed_case = running ? current.number : ~0ull;
    silicon_next = silicon_after;
    return 1;
}

void silicon_signal(int number, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    struct outcome after;

    (void)info;
    if (is_idle_alarm(number))
        return;
    if (running) {
        outcome_of(number, context, &after);
        if (current.vector_state)
            move_vectors(&world.vectors, (uint8_t *)context->uc_mcontext.fpregs, 0);
        judge_case(&current, &after);
    } else {
        host_context = *context;
        host_segments = silicon_after;
        running = 1;
    }
    if (!next_case(&current)) {
        finish(context);
        return;
    }
    frame_load(&current.before, context);
    if (current.vector_state)
        move_vectors(&world.vectors, (uint8_t *)context->uc_mcontext.fpregs, 1);
}

/* ---- Starting ---------------------------------------------------------------------------------------------------------------- */
/* Code below 4 GiB is test code (of which the kernel sees the offset in its segment): no system call from there. */
static void refuse_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    if ((uintptr_t)refuse_system_calls >> 32 == 0) {
        fprintf(stderr, "silicon: must be a position-independent executable\n");
        exit(2);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        exit(2);
    }
}

void cpu_run(cpu_next *next, cpu_judge *judge)
{
    static const int numbers[] = { SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGSYS, SIGALRM };
    struct sigaction action = { .sa_sigaction = silicon_enter, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    struct itimerval second = { { 1, 0 }, { 1, 0 } }, off = { { 0, 0 }, { 0, 0 } };
    stack_t stack = { .ss_size = 1 << 20 };

    next_case = next;
    judge_case = judge;
    find_components();
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    sigfillset(&action.sa_mask);
    __asm__ volatile("rdfsbase %0" : "=r"(silicon_host_fs));
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
    refuse_system_calls();
    alarmed_case = ~0ull;
    setitimer(ITIMER_REAL, &second, NULL);
    __asm__ volatile("int3" ::: "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                     "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"); /* vector registers come back as the last case left them */
    setitimer(ITIMER_REAL, &off, NULL);
}
