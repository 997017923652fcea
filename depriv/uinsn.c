/* Ring 3: between the frame page and the instruction library, which knows neither the frame nor the devices.
 * Runs on the user stack of the vcpu that trapped; called from umain.c. */
#include "depriv/uinsn.h"
#include "depriv/format.h"
#include "emul/emul.h"

#define SAME(type, member) (offsetof(struct emul_##type, member) == offsetof(struct abi_##type, member))
_Static_assert(sizeof(struct emul_state) == sizeof(struct abi_state) && sizeof(struct emul_segment) == sizeof(struct abi_segment) &&
               SAME(segment, attr) && SAME(segment, selector) && SAME(state, seg) && SAME(state, idtr) && SAME(state, efer) &&
               SAME(state, sysenter_eip) && SAME(state, kernel_gs_base) && SAME(state, dr), "one layout");
_Static_assert(EMUL_STATE_RIP == ABI_STATE_RIP && EMUL_STATE_CR == ABI_STATE_CR && EMUL_STATE_SYSCALL == ABI_STATE_SYSCALL, "one set of groups");
_Static_assert((int)EMUL_FOR_FETCH == (int)ABI_FOR_FETCH && (int)EMUL_FOR_WALK == (int)ABI_FOR_WALK && (int)EMUL_FOR_OPERAND == (int)ABI_FOR_OPERAND &&
               (int)EMUL_FOR_STRING == (int)ABI_FOR_STRING && (int)EMUL_FOR_DESCRIPTOR == (int)ABI_FOR_DESCRIPTOR, "one order of causes");
_Static_assert(ABI_MMIO_WRITE == 1, "exit_write");
_Static_assert((int)EMUL_CLASS_CPUID == (int)ABI_INSN_CPUID && (int)EMUL_CLASS_INT == (int)ABI_INSN_INT && (int)EMUL_CLASSES == (int)ABI_INSNS,
               "one order of classes");

#define INJECT(v)     (ABI_INJECT_VALID | (v))
#define DR6_BS        0x4000u
#define EFER_VALID    0xd01u /* SCE, LME, LMA, NXE */
#define RFLAGS_IF     0x200u
#define RFLAGS_RF     0x10000u
#define MSR_TSC       0x10u
#define MSR_TSC_AUX   0xc0000103u

/* What a callback needs; lives on the user stack for one operation. */
struct operation {
    struct emul_ctx ctx;
    struct emul_result result;
    struct abi_frame *frame;
    const struct abi_info *info;
    struct platform *platform;
    struct guestmem *mem;
};

/* ---- Callbacks of the library ------------------------------------------------------------------------------------------- */

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    return guestmem_read(((struct operation *)opaque)->mem, gpa, data, size, cause);
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    return guestmem_write(((struct operation *)opaque)->mem, gpa, data, size, cause);
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, const void *old, const void *new_value, unsigned cause)
{
    return guestmem_cmpxchg(((struct operation *)opaque)->mem, gpa, size, old, new_value, cause);
}

static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    (void)write;
    return guestmem_page(((struct operation *)opaque)->mem, gpa, cause);
}

static void *phys_window(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    (void)write;
    return guestmem_window(((struct operation *)opaque)->mem, gpa, ABI_PAGE - gpa % ABI_PAGE, cause);
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned size)
{
    return platform_port_read(((struct operation *)opaque)->platform, port, size);
}

static void port_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    platform_port_write(((struct operation *)opaque)->platform, port, size, value);
}

/* Elements of OUTS until the console's buffer is full: ring 0 takes it then, and the instruction goes on. Each byte of guest memory is
 * read once. */
static unsigned port_write_many(void *opaque, uint16_t port, unsigned size, const void *data, unsigned count)
{
    struct platform *platform = ((struct operation *)opaque)->platform;
    const volatile uint8_t *at = data;
    for (unsigned n = 0; n < count; n++) {
        uint32_t value = *at++;
        for (unsigned i = 1; i < size; i++)
            value |= (uint32_t)*at++ << i * 8;
        platform_port_write(platform, port, size, value);
        if (platform->out_len == platform->room)
            return n + 1;
    }
    return count;
}

static unsigned port_read_many(void *opaque, uint16_t port, unsigned size, void *data, unsigned count)
{
    struct platform *platform = ((struct operation *)opaque)->platform;
    volatile uint8_t *at = data;
    for (unsigned n = 0; n < count; n++) {
        uint32_t value = platform_port_read(platform, port, size);
        for (unsigned i = 0; i < size; i++)
            *at++ = (uint8_t)(value >> i * 8);
    }
    return count;
}

/* No device of this profile decodes memory: reads are all ones, writes are dropped, as on a bus where nobody answers. */
static uint64_t mmio_read(void *opaque, uint64_t gpa, unsigned size)
{
    (void)opaque;
    (void)gpa;
    (void)size;
    return ~0ull;
}

static void mmio_write(void *opaque, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)opaque;
    (void)gpa;
    (void)size;
    (void)value;
}

/* The rest of the state, for the few instructions that need it. */
static int state_get(void *opaque, uint32_t groups)
{
    return abi_state_get(((struct operation *)opaque)->info, groups) < 0 ? -1 : 0;
}

/* The time-stamp counter, by the offset that came with ABI_OP_RUN; every other MSR is ring 0's, by ABI_INTERCEPT. */
static int msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    uint32_t a, c, d;
    if (index != MSR_TSC && index != MSR_TSC_AUX)
        return 1;
    if (index == MSR_TSC_AUX) { /* the guest's: no exit switches it */
        __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
        *value = c;
        return 0;
    }
    __asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
    *value = ((uint64_t)d << 32 | a) + ((struct operation *)opaque)->frame->gpa;
    return 0;
}

/* uvector.asm */
long vector_move(unsigned kind, unsigned number, void *data, unsigned size, unsigned write);

static int vector_read(void *opaque, unsigned kind, unsigned number, void *data, unsigned size)
{
    (void)opaque;
    return vector_move(kind, number, data, size, 0) ? 0 : -1;
}

static int vector_write(void *opaque, unsigned kind, unsigned number, const void *data, unsigned size)
{
    (void)opaque;
    return vector_move(kind, number, (void *)(uintptr_t)data, size, 1) ? 0 : -1;
}

#define OPS .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg, .port_in = port_in, .port_out = port_out, \
    .port_read_many = port_read_many, .port_write_many = port_write_many, .mmio_read = mmio_read, .mmio_write = mmio_write, \
    .state_get = state_get, .vector_read = vector_read, .vector_write = vector_write

/* By policy, since a copy has no address; with every instruction emulated (emulate=all) the time-stamp counter too. */
static const struct emul_ops ops[][2] = {
    [ABI_GUESTMEM_MAP]    = { { OPS, .phys_map = phys_map }, { OPS, .phys_map = phys_map, .msr_read = msr_read } },
    [ABI_GUESTMEM_WINDOW] = { { OPS, .phys_map = phys_window }, { OPS, .phys_map = phys_window, .msr_read = msr_read } },
    [ABI_GUESTMEM_COPY]   = { { OPS }, { OPS, .msr_read = msr_read } },
};

/* ---- The context ---------------------------------------------------------------------------------------------------------- */

/* Kept from one operation to the next; a domain has one vcpu. */
static struct emul_decoded decoded;
static struct emul_cache cache;
static struct emul_walks walks;

/* MAXPHYADDR and 1 GiB pages of the guest are the CPU's (guestcpu.c passes them). CPUID may exit or be slow: asked once. */
static void cpu_limits(struct emul_ctx *c)
{
    uint32_t a = 0x80000001, b, cx = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
    c->features = d >> 26 & 1 ? EMUL_HAS_1G : 0;
    a = 0;
    cx = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
    c->features |= b == 0x68747541 ? EMUL_IS_AMD : 0; /* "Auth" */
    a = 0x80000008;
    cx = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
    c->phys_bits = (uint8_t)((a & 0xff) > 52 ? 52 : (a & 0xff) < 36 ? 36 : a & 0xff);
}

/* What stays from one operation to the next; a domain has one vcpu. */
static struct operation operation;

static __attribute__((noinline)) void prepare(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem)
{
    bool mapped = mem->policy == ABI_GUESTMEM_MAP;
    operation = (struct operation){ .frame = f, .info = info, .platform = platform, .mem = mem, .ctx = {
        .gpr = f->gpr, .state = (struct emul_state *)&f->state, .cr4_valid = info->cr4, .efer_valid = EFER_VALID, .bytes = f->insn,
        .ops = &ops[mem->policy][0], .opaque = &operation, .decoded = &decoded,
        .walks = mapped ? &walks : NULL, .touched = mem->count, .ram = mem->base, .ram_start = ABI_HOLE_END, /* most of it */
        .ram_size = mapped && mem->ram_low > ABI_HOLE_END ? mem->ram_low - ABI_HOLE_END : 0 } };
    cpu_limits(&operation.ctx);
}

/* ---- Answers ---------------------------------------------------------------------------------------------------------------- */

static void refuse(struct operation *op)
{
    struct abi_frame *f = op->frame;
    f->status = ABI_REFUSE;
    text_format(f->text, sizeof(f->text), "cannot emulate ");
    emul_describe(&op->result, f->text + 15, sizeof(f->text) - 15);
}

static void raise(struct operation *op, unsigned vector, bool has_error, uint32_t error)
{
    struct abi_frame *f = op->frame;
    f->status = ABI_FAULT;
    f->inject = INJECT(vector) | (has_error ? ABI_INJECT_ERROR : 0);
    f->inject_error = error;
}

/* What a fault leaves in CR2 or DR6 before it is delivered (SDM 3A 6.15). */
static void fault_registers(struct operation *op)
{
    struct emul_ctx *c = &op->ctx;
    if (op->result.vector == EMUL_VECTOR_PF) {
        c->state->cr2 = op->result.cr2;
        c->changed |= EMUL_STATE_CR;
    } else if (op->result.vector == EMUL_VECTOR_DB && (c->have & EMUL_STATE_DR || !state_get(op, ABI_STATE_DR))) {
        c->state->dr6 |= op->result.dr6;
        c->changed |= EMUL_STATE_DR;
    }
}

/* Behind an instruction that ran with TF set: #DB with DR6.BS (SDM 3B 17.3.1.4). */
static void single_step(struct operation *op)
{
    op->result.vector = EMUL_VECTOR_DB;
    op->result.dr6 = DR6_BS;
    fault_registers(op);
    raise(op, EMUL_VECTOR_DB, false, 0);
}

static void answer(struct operation *op)
{
    struct emul_result *r = &op->result;
    switch (r->status) {
    case EMUL_DONE:
        op->frame->status = ABI_OK;
        if (r->step)
            single_step(op);
        break;
    case EMUL_FAULT:
        fault_registers(op);
        raise(op, r->vector, r->has_error, r->error);
        break;
    case EMUL_RETRY:
        op->frame->status = ABI_RETRY;
        break;
    case EMUL_UNHANDLED:
    default:
        refuse(op);
        break;
    }
    op->frame->state_out = op->ctx.changed;
}

/* ---- Operations --------------------------------------------------------------------------------------------------------------- */

static void op_length(struct operation *op)
{
    struct abi_frame *f = op->frame;
    emul_length(&op->ctx, f->want, &op->result);
    if (op->result.status == EMUL_RETRY && f->want == ABI_INSN_WBINVD && op->result.class == EMUL_CLASS_INVD)
        op->result.status = EMUL_DONE; /* QEMU's TCG reports INVD with the exit code of WBINVD; both do nothing here */
    f->length = op->result.insn->length;
}

static void op_string(struct operation *op)
{
    const struct abi_frame *f = op->frame;
    struct emul_port_exit want = { f->port, f->size, !!(f->flags & ABI_PORT_IN), !!(f->flags & ABI_PORT_REP) };
    emul_string_io(&op->ctx, &want, &op->result);
}

static const uint8_t forced_prefix[2][5] = { { 0x0f, 0x0b, 'k', 'v', 'm' }, { 0x0f, 0x0b, 'x', 'e', 'n' } };

/* UD2 with a signature: the instruction behind it runs in the emulator, whatever it is. Any other #UD is the guest's own. */
static void op_forced(struct operation *op)
{
    struct emul_ctx *c = &op->ctx;
    uint64_t rip = c->state->rip;
    c->byte_count = 0;
    if (emul_fetch_bytes(c, sizeof(forced_prefix[0]), &op->result) ||
        (__builtin_memcmp(op->result.bytes, forced_prefix[0], 5) && __builtin_memcmp(op->result.bytes, forced_prefix[1], 5))) {
        op->result.status = EMUL_FAULT;
        op->result.vector = EMUL_VECTOR_UD;
        op->result.has_error = 0;
        return;
    }
    c->state->rip += sizeof(forced_prefix[0]);
    emul_execute(c, EMUL_MAY_ANY, &op->result);
    if (op->result.status == EMUL_FAULT && op->result.vector == EMUL_VECTOR_UD)
        c->state->rip = rip;
    else
        c->changed |= EMUL_STATE_RIP; /* a fault is at the instruction, not at its prefix */
}

/* gpa: the selector, the reason in bits 16 and 17, ABI_TASK_ERROR; length: of the instruction that caused it, or 0. */
static void op_task(struct operation *op)
{
    struct abi_frame *f = op->frame;
    unsigned reason = f->gpa >> ABI_TASK_REASON & 3;
    f->state.rip += f->length;
    op->result.status = emul_task_switch(&op->ctx, (uint16_t)f->gpa, reason, !!(f->gpa & ABI_TASK_ERROR), f->inject_error, &op->result);
    if (op->result.status && !(op->ctx.changed & EMUL_STATE_RIP)) /* else it is a fault of the new task, at its first instruction */
        f->state.rip -= f->length;
    op->result.step = 0;
}

#define CR0_PG   (1ull << 31)
#define CR4_PAE  (1ull << 5)
#define EFER_LMA (1ull << 10)
static bool pae_paging(const struct emul_state *s) { return s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LMA); }

/* On VMX the PDPTEs are loaded by the guest's own MOV to CR and by nothing that ring 0 could do: it does not read guest memory (SDM 3C
 * 26.3.2.4). So what can change CR0, CR3 or CR4 here may not turn PAE paging on or move its tables. */
static __attribute__((noinline)) void run_and_answer(struct operation *op, void (*run)(struct operation *op))
{
    const struct emul_state *s = op->ctx.state;
    bool pae = pae_paging(s);
    uint64_t cr3 = s->cr3;
    run(op);
    answer(op);
    if (!(op->info->cpu & ABI_CALL_BY_SYSENTER) || !pae_paging(s) || (pae && s->cr3 == cr3))
        return;
    op->frame->status = ABI_REFUSE;
    text_format(op->frame->text, sizeof(op->frame->text), "PAE paging cannot be turned on from outside: ring 0 does not read the PDPTEs");
}

/* ---- Every instruction (emulate=all) ------------------------------------------------------------------------------------------ */

#define RUN_MAX 8192u /* instructions and elements of strings before ring 0 is asked whether anything is due */

/* SDM 3A table 6-5 */
static bool contributory(unsigned vector)
{
    return vector == EMUL_VECTOR_DE || (vector >= EMUL_VECTOR_TS && vector <= EMUL_VECTOR_GP);
}

static bool double_fault(unsigned first, unsigned second)
{
    if (first == EMUL_VECTOR_PF)
        return contributory(second) || second == EMUL_VECTOR_PF;
    return contributory(first) && contributory(second);
}

/* Delivers an event; a fault on the way is delivered instead, #DF for a bad pair; one during #DF ends the domain. 0: done. */
static int deliver(struct operation *op, unsigned vector, enum emul_event event, bool has_error, uint32_t error)
{
    struct emul_result *r = &op->result;
    bool first = event != EMUL_EVENT_FAULT; /* an interrupt or trap makes no pair with a fault of its delivery */
    for (unsigned tries = 0; tries < 4; tries++) {
        int status = emul_deliver(&op->ctx, vector, event, has_error, error, r);
        if (status != EMUL_FAULT) {
            r->status = (uint32_t)status;
            return status;
        }
        fault_registers(op);
        if (vector == EMUL_VECTOR_DF && !first)
            break;
        if (!first && double_fault(vector, r->vector)) {
            vector = EMUL_VECTOR_DF;
            has_error = true;
            error = 0;
        } else {
            vector = r->vector;
            has_error = r->has_error;
            error = r->error;
        }
        first = false;
        event = EMUL_EVENT_FAULT;
    }
    op->frame->status = ABI_REFUSE;
    text_format(op->frame->text, sizeof(op->frame->text), "triple fault");
    return -1;
}

/* What ring 0 decides: its answer is as if the CPU had left the guest with it. */
static bool intercepted(struct operation *op, unsigned class)
{
    if (class == EMUL_CLASS_NONE)
        return false;
    op->frame->status = ABI_INTERCEPT;
    op->frame->want = class;
    op->frame->length = op->result.insn->length;
    return true;
}

/* XCR0 is the guest's while ring 3 runs. */
static bool get_xcr0(struct operation *op)
{
    struct emul_ctx *c = &op->ctx;
    uint32_t a, d;
    if (op->result.insn->op != EMUL_XGETBV || (uint32_t)c->gpr[ABI_RCX])
        return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    c->gpr[ABI_RAX] = a;
    c->gpr[ABI_RDX] = d;
    c->state->rip += op->result.insn->length;
    return true;
}

/* One instruction or one event. False: ring 0 is to look at the reply. */
static bool run_one(struct operation *op)
{
    struct emul_ctx *c = &op->ctx;
    struct emul_result *r = &op->result;
    if (op->platform->intr && (c->state->rflags & RFLAGS_IF) && !c->state->shadow) {
        uint32_t vector = platform_intack(op->platform);
        return vector > 0xff || !deliver(op, vector, EMUL_EVENT_INTERRUPT, false, 0);
    }
    switch (emul_execute_next(c, EMUL_MAY_ANY, r)) {
    case EMUL_DONE:
        if (r->halted) {
            c->state->rip -= r->insn->length; /* ring 0 passes it */
            return !intercepted(op, EMUL_CLASS_HLT);
        }
        if (!r->step)
            return true;
        r->vector = EMUL_VECTOR_DB;
        r->dr6 = DR6_BS;
        fault_registers(op);
        return !deliver(op, EMUL_VECTOR_DB, EMUL_EVENT_TRAP, false, 0);
    case EMUL_FAULT:
        fault_registers(op);
        if (r->vector != EMUL_VECTOR_DB)
            c->state->rflags |= RFLAGS_RF; /* pushed, so that a breakpoint on it does not trap again (SDM 3B 17.3.1.1) */
        return !deliver(op, r->vector, EMUL_EVENT_FAULT, r->has_error, r->error);
    case EMUL_RETRY:
        return true;
    default:
        if (get_xcr0(op))
            return true;
        if (!intercepted(op, emul_class(r->insn)))
            refuse(op);
        return false;
    }
}

static void op_run(struct operation *op)
{
    struct abi_frame *f = op->frame;
    struct platform *platform = op->platform;
    uint32_t event = f->inject;
    uint64_t deadline;
    op->ctx.ops = &ops[op->mem->policy][1];
    op->ctx.cache = &cache;
    op->ctx.facts = 0;
    emul_cache_flush(&cache);
    f->status = ABI_OK;
    f->inject = 0;
    deadline = platform->deadline;
    if (!(event & ABI_INJECT_VALID) || !deliver(op, event & 0xff, EMUL_EVENT_FAULT, !!(event & ABI_INJECT_ERROR), f->inject_error)) {
        for (unsigned n = 0; n < RUN_MAX && run_one(op); n += 1 + op->result.iterations) {
            if (platform->life || platform->out_len || platform->deadline != deadline)
                break;
        }
    }
    f->state_out = op->ctx.changed;
}

static inline struct operation *begin(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem)
{
    struct operation *op = &operation;
    if (__builtin_expect(!op->frame, 0))
        prepare(f, info, platform, mem);
    guestmem_begin(mem);
    op->ctx.have = f->state_in;
    op->ctx.changed = 0;
    op->ctx.byte_count = f->insn_bytes;
    return op;
}

void insn_mmio(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem)
{
    struct operation *op = begin(f, info, platform, mem);
    unsigned flags = f->flags;
    op->ctx.exit_gpa = f->gpa;
    op->ctx.exit_known = flags / ABI_MMIO_FINAL & 1;
    op->ctx.exit_write = flags & ABI_MMIO_WRITE;
    if (__builtin_expect(emul_execute(&op->ctx, EMUL_MAY_MEMORY, &op->result) || op->result.step, 0))
        answer(op);
    else
        f->state_out = op->ctx.changed; /* status is ABI_OK */
}

void insn_operation(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem)
{
    struct operation *op = begin(f, info, platform, mem);
    op->ctx.exit_known = 0;
    switch (f->op) {
    case ABI_OP_LENGTH:
        op_length(op);
        break;
    case ABI_OP_STRING:
        op_string(op);
        break;
    case ABI_OP_FORCED:
        run_and_answer(op, op_forced);
        return;
    case ABI_OP_TASK:
        run_and_answer(op, op_task);
        return;
    case ABI_OP_RUN:
        op_run(op);
        return;
    default:
        op->frame->status = ABI_REFUSE;
        return;
    }
    answer(op);
}
