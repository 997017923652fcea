/* System instructions: control and debug registers, descriptor-table registers, MSRs that are part of the state, fast system calls. */
#include <stddef.h>
#include "exec.h"

#define CR0_VALID   (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_MSW     0xfull         /* what LMSW writes: PE MP EM TS */
#define CR3_KEEP    (1ull << 63)   /* with PCIDE: translations stay valid, SDM 3A 4.10.4.1 */
#define CR3_PCID    0xfffull
#define CR4_CET     (1ull << 23)
#define CR4_PAGING  (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP) /* changes that load PAE's pointers again, SDM 3A 4.4.1 */
#define PDPTE_COUNT 4u
#define PDPTE_P     1ull
#define DR6_VALID   0xe00full      /* BT BS BD B3..B0; the rest is fixed, SDM 3B 17.2.3 */
#define DR6_ONES    0xffff0ff0ull
#define DR6_BD      0x2000ull
#define DR7_VALID   0xffff23ffull  /* SDM 3B 17.2.4 */
#define DR7_ONES    0x400ull
#define DR7_GD      0x2000ull
#define MSR_TSC     0x10u
#define MSR_EFER    0xc0000080u
#define MSR_TSC_AUX 0xc0000103u
#define SYSRET_FLAGS 0x3c7fd7ull   /* SDM 2B SYSRET: neither RF nor VM, and nothing reserved */

/* Segments as the fast system calls load them, without a look at a descriptor; add the DPL. */
#define FLAT_CODE64 (SEG_G | SEG_L | SEG_P | SEG_S | SEG_CODE | SEG_WRITE | SEG_ACCESSED)
#define FLAT_CODE32 (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_CODE | SEG_WRITE | SEG_ACCESSED)
#define FLAT_DATA   (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_WRITE | SEG_ACCESSED)
#define RPL         3u
#define SELECTOR    0xfffcu

#define R11 11

static int is_amd(const struct exec *x)
{
    return x->ctx->features & EMUL_IS_AMD;
}

static int is_wide(const struct exec *x)
{
    return x->mode == EMUL_MODE64 && (x->insn->rex & EMUL_REX_W);
}

void exec_flush(struct exec *x, uint64_t linear, int all)
{
    if (x->ctx->cache)
        emul_cache_flush(x->ctx->cache);
    if (x->ctx->ops->tlb_flush)
        x->ctx->ops->tlb_flush(x->ctx->opaque, linear, all);
}

static int field_changed(struct exec *x, uint32_t group)
{
    x->ctx->changed |= group;
    return EMUL_DONE;
}

/* PAE's pointers, which Intel's processors load with CR3 and not at each walk: #GP(0) if one is bad. */
static int load_pointers(struct exec *x, uint64_t cr3)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t rsvd = EMUL_PDPTE_RSVD | ~((1ull << x->ctx->phys_bits) - 1);

    if (is_amd(x))
        return EMUL_DONE;
    if (!ops->phys_read)
        return EMUL_UNHANDLED;
    for (unsigned i = 0; i < PDPTE_COUNT; i++) {
        uint64_t entry, at = (cr3 & 0xffffffe0) + i * sizeof(entry);

        if (ops->phys_read(x->ctx->opaque, at, &entry, sizeof(entry), EMUL_FOR_WALK) < 0)
            entry = ~0ull; /* as an empty bus reads */
        if ((entry & PDPTE_P) && (entry & rsvd))
            return exec_gp0(x);
    }
    return EMUL_DONE;
}

/* SDM 2B MOV to control registers, 3A 9.8.5. Paging may go on into long mode only from where it can be reached. */
static int is_bad_cr0(const struct exec *x, uint64_t value)
{
    const struct emul_state *s = x->s;
    uint64_t on = value & ~s->cr0, off = s->cr0 & ~value;
    int tss16 = (s->seg[EMUL_TR].attr & SEG_TYPE & ~2u) == 1;

    if ((value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW || (!(value & CR0_WP) && (s->cr4 & CR4_CET)))
        return 1;
    if (off & CR0_PG)
        return x->mode == EMUL_MODE64 || (s->cr4 & CR4_PCIDE);
    if (!(on & CR0_PG) || !(s->efer & EFER_LME))
        return 0;
    return !(s->cr4 & CR4_PAE) || (s->seg[EMUL_CS].attr & SEG_L) || (tss16 && !is_amd(x));
}

static int write_cr0(struct exec *x, uint64_t value)
{
    struct emul_state *s = x->s;
    uint64_t changed;

    value = (value & CR0_VALID) | CR0_ET;
    changed = value ^ s->cr0;
    if ((changed & CR0_PG) && exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (is_bad_cr0(x, value))
        return exec_gp0(x);
    if ((value & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LME) && (changed & (CR0_PG | CR0_CD | CR0_NW))) {
        int status = load_pointers(x, s->cr3);

        if (status)
            return status;
    }
    s->cr0 = value;
    if (changed & CR0_PG)
        s->efer = (s->efer & ~EFER_LMA) | ((value & CR0_PG) && (s->efer & EFER_LME) ? EFER_LMA : 0);
    if (changed & (CR0_PG | CR0_WP | CR0_PE))
        exec_flush(x, 0, 1);
    return field_changed(x, EMUL_STATE_CR);
}

static int write_cr3(struct exec *x, uint64_t value)
{
    struct emul_state *s = x->s;
    int keep = (s->cr4 & CR4_PCIDE) && (value & CR3_KEEP);
    int status = EMUL_DONE;

    if (s->cr4 & CR4_PCIDE)
        value &= ~CR3_KEEP;
    if (value >> x->ctx->phys_bits)
        return exec_gp0(x);
    if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(s->efer & EFER_LMA))
        status = load_pointers(x, value);
    if (status)
        return status;
    s->cr3 = value;
    if (!keep)
        exec_flush(x, 0, 1);
    else if (x->ctx->cache)
        emul_cache_flush(x->ctx->cache); /* which knows no PCID */
    return field_changed(x, EMUL_STATE_CR);
}

static int write_cr4(struct exec *x, uint64_t value)
{
    struct emul_state *s = x->s;
    uint64_t changed = value ^ s->cr4;
    int long_mode = !!(s->efer & EFER_LMA);
    int status = EMUL_DONE;

    if ((value & ~x->ctx->cr4_valid) || (long_mode && (changed & (CR4_PAE | CR4_LA57))) || ((value & CR4_CET) && !(s->cr0 & CR0_WP)))
        return exec_gp0(x);
    if ((value & changed & CR4_PCIDE) && (!long_mode || (s->cr3 & CR3_PCID)))
        return exec_gp0(x);
    if ((s->cr0 & CR0_PG) && !long_mode && (value & CR4_PAE) && (changed & CR4_PAGING))
        status = load_pointers(x, s->cr3);
    if (status)
        return status;
    s->cr4 = value;
    if (changed)
        exec_flush(x, 0, 1);
    return field_changed(x, EMUL_STATE_CR);
}

/* CR8 is the local APIC's: nothing to ask here. */
int do_movcr(struct exec *x)
{
    struct emul_state *s = x->s;
    uint64_t *const cr[] = { [0] = &s->cr0, [2] = &s->cr2, [3] = &s->cr3, [4] = &s->cr4 };
    unsigned n = x->insn->reg;
    uint64_t value = x->gpr[x->insn->rm] & emul_size_mask(x->opsize);

    if (n >= sizeof(cr) / sizeof(cr[0]) || !cr[n])
        return EMUL_UNHANDLED;
    if (x->insn->form == FORM_Rd_Cd) {
        exec_set_gpr(x, x->insn->rm, x->opsize, *cr[n]);
        return EMUL_DONE;
    }
    switch (n) {
    case 0:
        return value >> 32 ? exec_gp0(x) : write_cr0(x, value);
    case 3:
        return write_cr3(x, value);
    case 4:
        return write_cr4(x, value);
    default:
        s->cr2 = value;
        return field_changed(x, EMUL_STATE_CR);
    }
}

/* SDM 3B 17.2: DR4 and DR5 are DR6 and DR7 unless CR4.DE; DR7.GD makes each access a #DB, which the handler finds with GD off. */
int do_movdr(struct exec *x)
{
    struct emul_state *s = x->s;
    unsigned n = x->insn->reg & 7;
    uint64_t *dr = n < 4 ? &s->dr[n] : n & 1 ? &s->dr7 : &s->dr6;
    uint64_t value = x->gpr[x->insn->rm] & emul_size_mask(x->opsize);

    if ((s->cr4 & CR4_DE) && (n == 4 || n == 5))
        return exec_ud(x);
    if (exec_need(x, EMUL_STATE_DR))
        return EMUL_UNHANDLED;
    if (s->dr7 & DR7_GD) {
        x->result->dr6 = DR6_BD;
        return exec_fault(x, EMUL_VECTOR_DB, 0);
    }
    if (x->insn->form == FORM_Rd_Dd) {
        exec_set_gpr(x, x->insn->rm, x->opsize, *dr);
        return EMUL_DONE;
    }
    if (n >= 4 && value >> 32)
        return exec_gp0(x);
    if (n >= 4)
        value = n & 1 ? (value & DR7_VALID) | DR7_ONES : (value & DR6_VALID) | DR6_ONES;
    *dr = value;
    return field_changed(x, EMUL_STATE_DR);
}

/* PE can be set, not cleared (SDM 2A LMSW). */
int do_lmsw(struct exec *x)
{
    uint64_t value = x->gpr[x->insn->rm];
    int status = x->insn->mod == 3 ? EMUL_DONE : exec_load(x, 0, 2, &value);

    return status ? status : write_cr0(x, (x->s->cr0 & ~(CR0_MSW & ~CR0_PE)) | (value & CR0_MSW));
}

/* CR4.UMIP: not for users (SDM 3A 2.5). */
static int is_private(const struct exec *x)
{
    return (x->s->cr4 & CR4_UMIP) && emul_cpl(x->s);
}

int do_smsw(struct exec *x)
{
    if (is_private(x))
        return exec_gp0(x);
    if (x->insn->mod != 3)
        return exec_store(x, 0, 2, x->s->cr0);
    exec_set_gpr(x, x->insn->rm, x->opsize, x->s->cr0);
    return EMUL_DONE;
}

int do_clts(struct exec *x)
{
    x->s->cr0 &= ~CR0_TS;
    return field_changed(x, EMUL_STATE_CR);
}

/* The operand of SGDT and its like: a limit of two bytes and the base. It is aligned by four (SDM 3A table 6-7), whatever its size. */
#define IMAGE_BYTES 10u

static int table_place(struct exec *x, unsigned access, struct emul_place *place)
{
    unsigned size = x->mode == EMUL_MODE64 ? IMAGE_BYTES : 6;
    uint64_t linear;
    int status = emul_linear(x->ctx, x->mode, x->insn->seg, exec_offset(x), size, access, &linear, x->result);

    if (status)
        return status;
    if ((linear & 3) && x->user && (x->s->cr0 & CR0_AM) && (x->s->rflags & RFLAGS_AC))
        return exec_fault(x, EMUL_VECTOR_AC, 0);
    return emul_translate(x->ctx, x->mode, linear, size, access | x->user, place, x->result);
}

int do_sgdt(struct exec *x)
{
    const struct emul_table *table = x->insn->op == EMUL_SGDT ? &x->s->gdtr : &x->s->idtr;
    uint8_t image[IMAGE_BYTES];
    int status;

    if (is_private(x))
        return exec_gp0(x);
    status = exec_need(x, EMUL_STATE_SYSTEM);
    if (!status)
        status = table_place(x, EMUL_PF_W, &x->place);
    if (!status && !exec_movable(x, &x->place, 1))
        status = EMUL_UNHANDLED;
    if (status)
        return status;
    *(emul_reg16 *)image = table->limit;
    *(emul_reg64 *)(image + 2) = table->base;
    return emul_store_bytes(x->ctx, &x->place, image, EMUL_FOR_OPERAND);
}

int do_lgdt(struct exec *x)
{
    struct emul_table *table = x->insn->op == EMUL_LGDT ? &x->s->gdtr : &x->s->idtr;
    uint8_t image[IMAGE_BYTES] = { 0 };
    uint64_t base;
    int status = exec_need(x, EMUL_STATE_SYSTEM);

    if (!status)
        status = table_place(x, 0, &x->place);
    if (!status)
        status = emul_load_bytes(x->ctx, &x->place, image, EMUL_FOR_OPERAND);
    if (status)
        return status;
    base = *(const emul_reg64 *)(image + 2);
    if (x->opsize == 2)
        base &= 0xffffff; /* SDM 2A LGDT */
    if (!emul_canonical(x->s, base))
        return exec_gp0(x);
    table->base = base;
    table->limit = *(const emul_reg16 *)image;
    return field_changed(x, EMUL_STATE_SYSTEM);
}

/* No check of the segment, nor of the address: a non-canonical one is nobody's translation (SDM 2A INVLPG). */
int do_invlpg(struct exec *x)
{
    uint64_t linear = exec_offset(x);

    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (x->mode != EMUL_MODE64)
        linear = (linear + x->s->seg[x->insn->seg].base) & 0xffffffff;
    else if (x->insn->seg >= EMUL_FS)
        linear += x->s->seg[x->insn->seg].base;
    exec_flush(x, linear, 0);
    return EMUL_DONE;
}

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_LOCAL };

int do_invpcid(struct exec *x)
{
    const struct emul_state *s = x->s;
    uint64_t type = x->gpr[x->insn->reg] & emul_size_mask(x->mode == EMUL_MODE64 ? 8 : 4);
    uint64_t current = s->cr4 & CR4_PCIDE ? s->cr3 & CR3_PCID : 0;
    uint64_t pcid, linear;
    int status = exec_load(x, 0, 8, &pcid);

    if (!status)
        status = exec_load(x, 8, 8, &linear);
    if (status)
        return status;
    if (type > INVPCID_ALL_LOCAL || (pcid & ~CR3_PCID) || (type <= INVPCID_CONTEXT && pcid && !(s->cr4 & CR4_PCIDE)) ||
        (type == INVPCID_ADDRESS && !emul_canonical(s, linear)))
        return exec_gp0(x);
    exec_flush(x, linear, type != INVPCID_ADDRESS || pcid != current);
    return EMUL_DONE;
}

/* MSRs that are part of the state; what a write of them must be. */
enum msr_rule { MSR_ANY, MSR_CANONICAL, MSR_32, MSR_LOW32 };
struct msr_row {
    uint32_t index;
    uint16_t offset;
    uint8_t group, rule;
};
#define MSR(index, field, group, rule) { index, offsetof(struct emul_state, field), EMUL_STATE_##group, MSR_##rule }
static const struct msr_row msrs[] = {
    MSR(0x174, sysenter_cs, SYSENTER, LOW32), MSR(0x175, sysenter_esp, SYSENTER, CANONICAL), MSR(0x176, sysenter_eip, SYSENTER, CANONICAL),
    MSR(0xc0000080, efer, CR, ANY), MSR(0xc0000081, star, SYSCALL, ANY), MSR(0xc0000082, lstar, SYSCALL, CANONICAL),
    MSR(0xc0000083, cstar, SYSCALL, CANONICAL), MSR(0xc0000084, fmask, SYSCALL, 32), MSR(0xc0000100, seg[EMUL_FS].base, SEGS, CANONICAL),
    MSR(0xc0000101, seg[EMUL_GS].base, SEGS, CANONICAL), MSR(0xc0000102, kernel_gs_base, SYSCALL, CANONICAL),
};

static const struct msr_row *find_msr(uint32_t index)
{
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        if (msrs[i].index == index)
            return &msrs[i];
    }
    return 0;
}

static int read_msr(struct exec *x, uint32_t index, uint64_t *value)
{
    const struct emul_ops *ops = x->ctx->ops;
    int answer = ops->msr_read ? ops->msr_read(x->ctx->opaque, index, value) : 1;

    return answer < 0 ? exec_gp0(x) : answer ? EMUL_UNHANDLED : EMUL_DONE;
}

static void set_edx_eax(struct exec *x, uint64_t value)
{
    x->gpr[EMUL_RAX] = (uint32_t)value;
    x->gpr[EMUL_RDX] = value >> 32;
}

int do_rdmsr(struct exec *x)
{
    uint32_t index = x->gpr[EMUL_RCX];
    const struct msr_row *row = find_msr(index);
    uint64_t value;
    int status = row ? exec_need(x, row->group) : read_msr(x, index, &value);

    if (status)
        return status;
    if (row)
        value = *(const uint64_t *)((const uint8_t *)x->s + row->offset);
    set_edx_eax(x, value);
    return EMUL_DONE;
}

/* SDM 3A 9.8.5: LME does not change while paging is on; LMA is the processor's. */
static int write_efer(struct exec *x, uint64_t value)
{
    struct emul_state *s = x->s;
    uint64_t changed = value ^ s->efer;

    if ((value & ~(x->ctx->efer_valid | EFER_LMA)) || ((changed & EFER_LME) && (s->cr0 & CR0_PG)))
        return exec_gp0(x);
    s->efer = (value & ~EFER_LMA) | (s->efer & EFER_LMA);
    if (changed & EFER_NXE)
        exec_flush(x, 0, 1);
    return field_changed(x, EMUL_STATE_CR);
}

int do_wrmsr(struct exec *x)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint32_t index = x->gpr[EMUL_RCX];
    uint64_t value = x->gpr[EMUL_RDX] << 32 | (uint32_t)x->gpr[EMUL_RAX];
    const struct msr_row *row = find_msr(index);

    if (!row && !ops->msr_write)
        return EMUL_UNHANDLED;
    if (!row)
        return ops->msr_write(x->ctx->opaque, index, value) < 0 ? exec_gp0(x) : EMUL_DONE;
    if (index == MSR_EFER)
        return write_efer(x, value);
    if (exec_need(x, row->group))
        return EMUL_UNHANDLED;
    if ((row->rule == MSR_CANONICAL && !emul_canonical(x->s, value)) || (row->rule == MSR_32 && value >> 32))
        return exec_gp0(x);
    *(uint64_t *)((uint8_t *)x->s + row->offset) = row->rule == MSR_LOW32 ? (uint32_t)value : value;
    return field_changed(x, row->group);
}

int do_rdtsc(struct exec *x)
{
    uint64_t tsc, aux = 0;
    int status;

    if ((x->s->cr4 & CR4_TSD) && emul_cpl(x->s))
        return exec_gp0(x);
    status = read_msr(x, MSR_TSC, &tsc);
    if (!status && x->insn->op == EMUL_RDTSCP)
        status = read_msr(x, MSR_TSC_AUX, &aux);
    if (status)
        return status;
    set_edx_eax(x, tsc);
    if (x->insn->op == EMUL_RDTSCP)
        x->gpr[EMUL_RCX] = (uint32_t)aux;
    return EMUL_DONE;
}

int do_rdpid(struct exec *x)
{
    uint64_t aux;
    int status = read_msr(x, MSR_TSC_AUX, &aux);

    if (!status)
        x->gpr[x->insn->rm] = (uint32_t)aux;
    return status;
}

int do_cpuid(struct exec *x)
{
    uint32_t regs[4] = { x->gpr[EMUL_RAX], x->gpr[EMUL_RBX], x->gpr[EMUL_RCX], x->gpr[EMUL_RDX] };

    if (!x->ctx->ops->cpuid || x->ctx->ops->cpuid(x->ctx->opaque, regs) < 0)
        return EMUL_UNHANDLED;
    x->gpr[EMUL_RAX] = regs[0];
    x->gpr[EMUL_RBX] = regs[1];
    x->gpr[EMUL_RCX] = regs[2];
    x->gpr[EMUL_RDX] = regs[3];
    return EMUL_DONE;
}

static struct emul_segment flat_segment(unsigned selector, uint32_t attr, unsigned dpl)
{
    return (struct emul_segment){ .limit = ~0u, .attr = attr | dpl << SEG_DPL, .selector = selector };
}

static void load_flat(struct exec *x, unsigned cs, unsigned ss, unsigned dpl, int wide)
{
    x->s->seg[EMUL_CS] = flat_segment(cs, wide ? FLAT_CODE64 : FLAT_CODE32, dpl);
    x->s->seg[EMUL_SS] = flat_segment(ss, FLAT_DATA, dpl);
    x->ctx->changed |= EMUL_STATE_CS;
}

/* SYSCALL and SYSRET trap for TF as they leave it, not as they found it: a kernel that masks TF is not interrupted on the user's
 * stack, and a debugger sees the first user instruction (E10). Only for what cannot fail any more. */
static int step_as_left(struct exec *x)
{
    x->s->rflags = (x->s->rflags & ~RFLAGS_TF) | (x->flags & RFLAGS_TF);
    return EMUL_DONE;
}

/* Intel: in 64-bit mode only (SDM 2B SYSCALL); AMD: in all of protected mode (APM3 SYSCALL). */
int do_syscall(struct exec *x)
{
    struct emul_state *s = x->s;
    int long_mode = !!(s->efer & EFER_LMA);
    unsigned selector;

    if (!(s->efer & EFER_SCE) || !emul_protected(s) || (x->mode != EMUL_MODE64 && !is_amd(x)))
        return exec_ud(x);
    if (exec_need(x, EMUL_STATE_SYSCALL))
        return EMUL_UNHANDLED;
    selector = s->star >> 32 & SELECTOR;
    x->gpr[EMUL_RCX] = x->next_rip;
    if (long_mode) {
        x->gpr[R11] = x->flags;
        x->flags = (x->flags & ~s->fmask) | RFLAGS_1;
        x->next_rip = x->mode == EMUL_MODE64 ? s->lstar : s->cstar;
    } else {
        x->flags &= ~RFLAGS_IF;
        x->next_rip = (uint32_t)s->star;
    }
    load_flat(x, selector, selector + 8, 0, long_mode);
    return step_as_left(x);
}

/* SDM 2B, APM3 SYSRET. AMD checks the target only when it is fetched, and leaves SS but for its selector (and the CPL). */
int do_sysret(struct exec *x)
{
    struct emul_state *s = x->s;
    struct emul_segment ss = s->seg[EMUL_SS];
    int wide = is_wide(x);
    uint64_t target = wide ? x->gpr[EMUL_RCX] : (uint32_t)x->gpr[EMUL_RCX];
    unsigned selector;

    if (!(s->efer & EFER_SCE) || (x->mode != EMUL_MODE64 && !is_amd(x)))
        return exec_ud(x);
    if (!emul_protected(s) || emul_cpl(s) || (wide && !is_amd(x) && !emul_canonical(s, target)))
        return exec_gp0(x);
    if (exec_need(x, EMUL_STATE_SYSCALL))
        return EMUL_UNHANDLED;
    selector = (uint16_t)(s->star >> 48);
    load_flat(x, (wide ? selector + 16 : selector) | RPL, (selector + 8) | RPL, 3, wide);
    if (is_amd(x)) {
        ss.selector = selector + 8;
        ss.attr |= 3u << SEG_DPL;
        s->seg[EMUL_SS] = ss;
    }
    x->flags = x->mode == EMUL_MODE64 ? (x->gpr[R11] & SYSRET_FLAGS) | RFLAGS_1 : x->flags | RFLAGS_IF;
    x->next_rip = target;
    return step_as_left(x);
}

/* SDM 2B SYSENTER, from virtual-8086 mode too; AMD: not in long mode (APM3 SYSENTER). */
int do_sysenter(struct exec *x)
{
    const struct emul_state *s = x->s;
    int long_mode = !!(s->efer & EFER_LMA);
    unsigned selector;

    if (long_mode && is_amd(x))
        return exec_ud(x);
    if (exec_need(x, EMUL_STATE_SYSENTER))
        return EMUL_UNHANDLED;
    selector = s->sysenter_cs & SELECTOR;
    if (!(s->cr0 & CR0_PE) || !selector)
        return exec_gp0(x);
    x->flags &= ~(RFLAGS_VM | RFLAGS_IF);
    x->gpr[EMUL_RSP] = long_mode ? s->sysenter_esp : (uint32_t)s->sysenter_esp;
    x->next_rip = long_mode ? s->sysenter_eip : (uint32_t)s->sysenter_eip;
    load_flat(x, selector, selector + 8, 0, long_mode);
    return EMUL_DONE;
}

int do_sysexit(struct exec *x)
{
    const struct emul_state *s = x->s;
    uint64_t rip = x->gpr[EMUL_RDX], rsp = x->gpr[EMUL_RCX];
    int wide = is_wide(x);
    unsigned selector;

    if ((s->efer & EFER_LMA) && is_amd(x))
        return exec_ud(x);
    if (exec_need(x, EMUL_STATE_SYSENTER))
        return EMUL_UNHANDLED;
    if (!(s->cr0 & CR0_PE) || !(s->sysenter_cs & SELECTOR) || (wide && !(emul_canonical(s, rip) && emul_canonical(s, rsp))))
        return exec_gp0(x);
    selector = ((uint16_t)s->sysenter_cs + (wide ? 32 : 16)) | RPL;
    x->gpr[EMUL_RSP] = wide ? rsp : (uint32_t)rsp;
    x->next_rip = wide ? rip : (uint32_t)rip;
    load_flat(x, selector, selector + 8, 3, wide);
    return EMUL_DONE;
}

int do_swapgs(struct exec *x)
{
    struct emul_state *s = x->s;
    uint64_t base;

    if (exec_need(x, EMUL_STATE_SEGS | EMUL_STATE_SYSCALL))
        return EMUL_UNHANDLED;
    base = s->kernel_gs_base;
    s->kernel_gs_base = s->seg[EMUL_GS].base;
    s->seg[EMUL_GS].base = base;
    return field_changed(x, EMUL_STATE_SEGS | EMUL_STATE_SYSCALL);
}

/* ModRM.reg: bit 0 GS, bit 1 write. Four bytes unless REX.W: 66 does not count. */
int do_fsgsbase(struct exec *x)
{
    unsigned which = x->insn->modrm >> 3 & 3, size = is_wide(x) ? 8 : 4;
    uint64_t *base = &x->s->seg[which & 1 ? EMUL_GS : EMUL_FS].base;
    uint64_t value = x->gpr[x->insn->rm] & emul_size_mask(size);

    if (!(x->s->cr4 & CR4_FSGSBASE))
        return exec_ud(x);
    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (!(which & 2)) {
        exec_set_gpr(x, x->insn->rm, size, *base);
        return EMUL_DONE;
    }
    if (!emul_canonical(x->s, value))
        return exec_gp0(x);
    *base = value;
    return field_changed(x, EMUL_STATE_SEGS);
}

/* XSETBV too. XCR0 is not in the state: what is left after the checks is refused. */
int do_xgetbv(struct exec *x)
{
    return x->s->cr4 & CR4_OSXSAVE ? EMUL_UNHANDLED : exec_ud(x);
}

int do_rdpkru(struct exec *x)
{
    int write = x->insn->op == EMUL_WRPKRU;

    if (!(x->s->cr4 & CR4_PKE))
        return exec_ud(x);
    if ((uint32_t)x->gpr[EMUL_RCX] || (write && (uint32_t)x->gpr[EMUL_RDX]))
        return exec_gp0(x);
    if (!write) {
        set_edx_eax(x, x->ctx->pkru);
        return EMUL_DONE;
    }
    x->ctx->pkru = x->gpr[EMUL_RAX];
    if (x->ctx->cache)
        emul_cache_flush(x->ctx->cache);
    return EMUL_DONE;
}

/* Undefined for users (SDM 2A CLAC), not forbidden. */
int do_clac(struct exec *x)
{
    if (emul_cpl(x->s))
        return exec_ud(x);
    x->flags = x->insn->op == EMUL_STAC ? x->flags | RFLAGS_AC : x->flags & ~RFLAGS_AC;
    return EMUL_DONE;
}

int do_ud(struct exec *x)
{
    return exec_ud(x);
}
