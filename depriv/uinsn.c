/* Ring 3: between the frame page and the instruction library, which knows neither the frame nor the devices.
 * Runs on the user stack of the vcpu that trapped; called from umain.c. */
#include "depriv/uinsn.h"
#include "depriv/format.h"
#include "emul/emul.h"

_Static_assert(sizeof(struct emul_segment) == sizeof(struct abi_segment) &&
               offsetof(struct emul_segment, attr) == offsetof(struct abi_segment, attr) &&
               offsetof(struct emul_segment, selector) == offsetof(struct abi_segment, selector), "one layout");
_Static_assert((int)EMUL_CLASS_CPUID == (int)ABI_INSN_CPUID && (int)EMUL_CLASS_INT == (int)ABI_INSN_INT && (int)EMUL_CLASSES == (int)ABI_INSNS,
               "one order of classes");

#define INJECT(v)     (ABI_INJECT_VALID | (v))
#define DR6_BS        0x4000u
#define VECTOR_DB     1u

/* What a callback needs; lives on the user stack for one operation. */
struct operation { struct platform *platform; struct guestmem *mem; };

static const uint8_t cause_of[EMUL_CAUSES] = {
    [EMUL_FOR_FETCH] = GUESTMEM_FETCH, [EMUL_FOR_WALK] = GUESTMEM_WALK, [EMUL_FOR_OPERAND] = GUESTMEM_OPERAND, [EMUL_FOR_STRING] = GUESTMEM_STRING,
};

static int phys_read(void *opaque, uint64_t gpa, void *data, unsigned size, unsigned cause)
{
    return guestmem_read(((struct operation *)opaque)->mem, gpa, data, size, cause_of[cause]);
}

static int phys_write(void *opaque, uint64_t gpa, const void *data, unsigned size, unsigned cause)
{
    return guestmem_write(((struct operation *)opaque)->mem, gpa, data, size, cause_of[cause]);
}

static int phys_cmpxchg(void *opaque, uint64_t gpa, unsigned size, uint64_t old, uint64_t new_value)
{
    void *p = guestmem_map(((struct operation *)opaque)->mem, gpa, size, GUESTMEM_WALK);
    uint32_t old32 = (uint32_t)old;
    if (!p)
        return -1;
    if (size == 4)
        return !__atomic_compare_exchange_n((uint32_t *)p, &old32, (uint32_t)new_value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return !__atomic_compare_exchange_n((uint64_t *)p, &old, new_value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *phys_map(void *opaque, uint64_t gpa, int write, unsigned cause)
{
    (void)write;
    return guestmem_map(((struct operation *)opaque)->mem, gpa, ABI_PAGE - gpa % ABI_PAGE, cause_of[cause]);
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned size)
{
    return platform_port_read(((struct operation *)opaque)->platform, port, size);
}

static void port_out(void *opaque, uint16_t port, unsigned size, uint32_t value)
{
    platform_port_write(((struct operation *)opaque)->platform, port, size, value);
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

static const struct emul_ops ops = {
    .phys_read = phys_read, .phys_write = phys_write, .phys_cmpxchg = phys_cmpxchg, .phys_map = phys_map, .port_in = port_in, .port_out = port_out,
    .mmio_read = mmio_read, .mmio_write = mmio_write,
};

/* MAXPHYADDR and 1 GiB pages of the guest are the CPU's (kernel/cpuid.c passes them). CPUID may exit or be slow: asked once. */
static void cpu_limits(struct emul_ctx *c)
{
    static uint8_t phys_bits, features;
    if (!phys_bits) {
        uint32_t a = 0x80000001, b, cx = 0, d;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
        features = d >> 26 & 1 ? EMUL_HAS_1G : 0;
        a = 0;
        cx = 0;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
        features |= b == 0x68747541 ? EMUL_IS_AMD : 0; /* "Auth" */
        a = 0x80000008;
        cx = 0;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(d));
        phys_bits = (uint8_t)((a & 0xff) > 52 ? 52 : (a & 0xff) < 36 ? 36 : a & 0xff);
    }
    c->phys_bits = phys_bits;
    c->features = features;
}

static void answer(struct abi_frame *f, struct emul_ctx *c, const struct emul_result *r)
{
    switch (r->status) {
    case EMUL_DONE:
        f->status = ABI_OK;
        break;
    case EMUL_FAULT:
        f->status = ABI_FAULT;
        f->inject = INJECT(r->vector) | (r->has_error ? ABI_INJECT_ERROR : 0);
        f->inject_error = r->error;
        if (r->vector == EMUL_VECTOR_PF) {
            f->state.cr2 = r->cr2;
            f->state_out |= ABI_STATE_CR;
        }
        break;
    case EMUL_RETRY:
        f->status = ABI_RETRY;
        return;
    case EMUL_UNHANDLED:
    default:
        f->status = ABI_REFUSE;
        text_format(f->text, sizeof(f->text), "cannot emulate ");
        emul_describe(r, f->text + 15, sizeof(f->text) - 15);
        return;
    }
    if (c->rip != f->state.rip || c->rflags != f->state.rflags || c->rsp != f->state.rsp) {
        f->state.rip = c->rip;
        f->state.rsp = c->rsp;
        f->state.rflags = c->rflags;
        f->state.shadow = 0;
        f->state_out |= ABI_STATE_RIP;
    }
}

/* Behind an instruction that ran with TF set: #DB with DR6.BS (SDM 3B 17.3.1.4). */
static void single_step(struct abi_frame *f, const struct abi_info *info)
{
    if (abi_call(info, ABI_CALL_STATE_GET, ABI_STATE_DR) < 0)
        return;
    f->state.dr6 |= DR6_BS;
    f->state_out |= ABI_STATE_DR;
    f->status = ABI_FAULT;
    f->inject = INJECT(VECTOR_DB);
    f->inject_error = 0;
}

void insn_operation(struct abi_frame *f, const struct abi_info *info, struct platform *platform, struct guestmem *mem)
{
    struct operation op = { platform, mem };
    struct emul_result r;
    struct emul_port_exit want;
    struct emul_ctx c = {
        .gpr = f->gpr, .rip = f->state.rip, .rsp = f->state.rsp, .rflags = f->state.rflags, .seg = (const struct emul_segment *)f->state.seg,
        .cr0 = f->state.cr0, .cr3 = f->state.cr3, .cr4 = f->state.cr4, .efer = f->state.efer, .ops = &ops, .opaque = &op,
        .byte_count = (uint8_t)(f->insn_bytes <= 15 ? f->insn_bytes : 0), .bytes = f->insn,
    };
    cpu_limits(&c);
    if (f->op == ABI_OP_LENGTH) {
        emul_length(&c, f->want, &r);
        if (r.status == EMUL_RETRY && f->want == ABI_INSN_WBINVD && r.class == EMUL_CLASS_INVD)
            r.status = EMUL_DONE; /* QEMU's TCG reports INVD with the exit code of WBINVD; both do nothing here */
        f->length = r.insn.length;
    } else if (f->op == ABI_OP_STRING) {
        want = (struct emul_port_exit){ f->port, f->size, !!(f->flags & ABI_PORT_IN), !!(f->flags & ABI_PORT_REP) };
        emul_string_io(&c, &want, &r);
    } else {
        emul_mmio(&c, f->gpa, &r);
    }
    answer(f, &c, &r);
    if (r.status == EMUL_DONE && r.step)
        single_step(f, info);
}
