/* System instructions: control and debug registers, descriptor-table registers, MSRs that are part of the state, fast system calls. */
#include <stddef.h>
#include "exec_far.h"

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
#define MSR_FS_BASE 0xc0000100u    /* that of GS is the next */
#define MSR_TSC_AUX 0xc0000103u
#define SYSRET_FLAGS 0x3c7fd7ull   /* SDM 2B SYSRET: neither RF nor VM, and nothing reserved */

/* Segments as the fast system calls load them, without a look at a descriptor; add the DPL. */
#define FLAT_DATA   (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_WRITE | SEG_ACCESSED)
#define FLAT_CODE32 (FLAT_DATA | SEG_CODE)
#define FLAT_CODE64 ((FLAT_CODE32 & ~SEG_DB) | SEG_L)
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

/* ---- Control registers ---- */

/* PAE's pointers, which Intel's processors load with CR3 and not at each walk, if paging is to go by them: #GP(0) if one is bad. */
static int load_pointers(struct exec *x, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t rsvd = EMUL_PDPTE_RSVD | ~((1ull << x->ctx->phys_bits) - 1);

    if (is_amd(x) || !(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (x->s->efer & EFER_LME))
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
    int status = EMUL_DONE;

    value = (value & CR0_VALID) | CR0_ET;
    changed = value ^ s->cr0;
    if ((changed & CR0_PG) && exec_need(x, EMUL_STATE_SYSTEM))
        return EMUL_UNHANDLED;
    if (is_bad_cr0(x, value))
        return exec_gp0(x);
    if (changed & (CR0_PG | CR0_CD | CR0_NW))
        status = load_pointers(x, value, s->cr3, s->cr4);
    if (status)
        return status;
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
    uint64_t keep = s->cr4 & CR4_PCIDE ? value & CR3_KEEP : 0;
    int status;

    value &= ~keep;
    if (value >> x->ctx->phys_bits)
        return exec_gp0(x);
    status = load_pointers(x, s->cr0, value, s->cr4);
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

    if ((value & ~x->ctx->cr4_valid) || (long_mode && (changed & (CR4_PAE | CR4_LA57))) || ((value & CR4_CET) && !(s->cr0 & CR0_WP)) ||
        ((value & changed & CR4_PCIDE) && (!long_mode || (s->cr3 & CR3_PCID))))
        return exec_gp0(x);
    if (changed & CR4_PAGING)
        status = load_pointers(x, s->cr0, s->cr3, value);
    if (status)
        return status;
    s->cr4 = value;
    if (changed)
        exec_flush(x, 0, 1);
    return field_changed(x, EMUL_STATE_CR);
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

/* ---- Registers that are part of the state, and what a write of them must be ---- */

enum rule { RULE_NONE, RULE_ANY, RULE_CANONICAL, RULE_32, RULE_LOW32, RULE_DR6, RULE_DR7, RULE_CR0, RULE_CR3, RULE_CR4, RULE_EFER };
struct reg_row {
    uint32_t index;                /* of an MSR */
    uint16_t offset;
    uint8_t group, rule;           /* RULE_NONE: there is no such register */
};
#define REG(index, field, group, rule) { index, offsetof(struct emul_state, field), EMUL_STATE_##group, RULE_##rule }
static const struct reg_row msrs[] = {
    REG(0x174, sysenter_cs, SYSENTER, LOW32), REG(0x175, sysenter_esp, SYSENTER, CANONICAL), REG(0x176, sysenter_eip, SYSENTER, CANONICAL),
    REG(0xc0000080, efer, CR, EFER), REG(0xc0000081, star, SYSCALL, ANY), REG(0xc0000082, lstar, SYSCALL, CANONICAL),
    REG(0xc0000083, cstar, SYSCALL, CANONICAL), REG(0xc0000084, fmask, SYSCALL, 32), REG(MSR_FS_BASE, seg[EMUL_FS].base, SEGS, CANONICAL),
    REG(MSR_FS_BASE + 1, seg[EMUL_GS].base, SEGS, CANONICAL), REG(0xc0000102, kernel_gs_base, SYSCALL, CANONICAL),
};
static const struct reg_row control[16] = { /* CR8 is the local APIC's: nothing to ask here */
    [0] = REG(0, cr0, CR, CR0), [2] = REG(0, cr2, CR, ANY), [3] = REG(0, cr3, CR, CR3), [4] = REG(0, cr4, CR, CR4),
};
static const struct reg_row debug[8] = { /* DR4 and DR5 are DR6 and DR7, SDM 3B 17.2.2 */
    REG(0, dr[0], DR, ANY), REG(0, dr[1], DR, ANY), REG(0, dr[2], DR, ANY), REG(0, dr[3], DR, ANY),
    REG(0, dr6, DR, DR6), REG(0, dr7, DR, DR7), REG(0, dr6, DR, DR6), REG(0, dr7, DR, DR7),
};

/* msrs[] has three runs of indices. */
static const struct reg_row *find_msr(uint32_t index)
{
    static const struct { uint32_t first, count, row; } runs[] = { { 0x174, 3, 0 }, { 0xc0000080, 5, 3 }, { MSR_FS_BASE, 3, 8 } };

    for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        if (index - runs[i].first < runs[i].count)
            return &msrs[runs[i].row + (index - runs[i].first)];
    }
    return 0;
}

static uint64_t *reg_at(const struct exec *x, const struct reg_row *row)
{
    return (uint64_t *)((uint8_t *)x->s + row->offset);
}

static int write_reg(struct exec *x, const struct reg_row *row, uint64_t value)
{
    static const uint16_t narrow = 1 << RULE_32 | 1 << RULE_DR6 | 1 << RULE_DR7 | 1 << RULE_CR0; /* the upper half must be 0 */

    if (exec_need(x, row->group))
        return EMUL_UNHANDLED;
    if ((row->rule == RULE_CANONICAL && !emul_canonical(x->s, value)) || ((narrow >> row->rule & 1) && value >> 32))
        return exec_gp0(x);
    switch (row->rule) {
    case RULE_CR0:
        return write_cr0(x, value);
    case RULE_CR3:
        return write_cr3(x, value);
    case RULE_CR4:
        return write_cr4(x, value);
    case RULE_EFER:
        return write_efer(x, value);
    case RULE_DR6:
        value = (value & DR6_VALID) | DR6_ONES;
        break;
    case RULE_DR7:
        value = (value & DR7_VALID) | DR7_ONES;
        break;
    case RULE_LOW32:
        value = (uint32_t)value;
        break;
    default:
        break;
    }
    *reg_at(x, row) = value;
    return field_changed(x, row->group);
}

/* From or to ModRM.rm; its group is there. */
static int move_reg(struct exec *x, const struct reg_row *row, int write)
{
    if (write)
        return write_reg(x, row, x->gpr[x->insn->rm] & emul_size_mask(x->opsize));
    exec_set_gpr(x, x->insn->rm, x->opsize, *reg_at(x, row));
    return EMUL_DONE;
}

int do_movcr(struct exec *x)
{
    const struct reg_row *row = &control[x->insn->reg];

    return row->rule ? move_reg(x, row, x->insn->form == FORM_Cd_Rd) : EMUL_UNHANDLED;
}

/* SDM 3B 17.2: with CR4.DE there are no DR4 and DR5; DR7.GD makes each access a #DB, which the handler finds with GD off. */
void do_movdr(struct exec *x)
{
    unsigned n = x->insn->reg & 7;

    exec_ud_if(x, (x->s->cr4 & CR4_DE) && (n == 4 || n == 5));
    if (x->s->dr7 & DR7_GD) {
        x->result->dr6 = DR6_BD;
        exec_raise(x, EMUL_VECTOR_DB, 0);
    }
    exec_must(x, move_reg(x, &debug[n], x->insn->form == FORM_Dd_Rd));
}

/* ModRM.reg: bit 0 GS, bit 1 write. Four bytes unless REX.W: 66 does not count. */
void do_fsgsbase(struct exec *x)
{
    unsigned which = x->insn->modrm >> 3 & 3;

    exec_ud_if(x, !(x->s->cr4 & CR4_FSGSBASE));
    x->opsize = is_wide(x) ? 8 : 4;
    exec_must(x, move_reg(x, find_msr(MSR_FS_BASE + (which & 1)), which & 2));
}

/* PE can be set, not cleared (SDM 2A LMSW). */
int do_lmsw(struct exec *x)
{
    uint64_t value = x->gpr[x->insn->rm];
    int status = x->insn->mod == 3 ? EMUL_DONE : exec_load(x, 0, 2, &value);

    return status ? status : write_cr0(x, (x->s->cr0 & ~(CR0_MSW & ~CR0_PE)) | (value & CR0_MSW));
}

int do_clts(struct exec *x)
{
    x->s->cr0 &= ~CR0_TS;
    return field_changed(x, EMUL_STATE_CR);
}

/* The operand of SGDT and its like: a limit of two bytes and the base. It is aligned by four (SDM 3A table 6-7), whatever its size. */
#define IMAGE_BYTES 10u
#define IMAGE_ALIGN 3u

static struct emul_place table_place(struct exec *x, unsigned access)
{
    return exec_place(x, exec_offset(x), x->mode == EMUL_MODE64 ? IMAGE_BYTES : 6, IMAGE_ALIGN, access);
}

void do_sgdt(struct exec *x)
{
    const struct emul_table *table = x->insn->op == EMUL_SGDT ? &x->s->gdtr : &x->s->idtr;
    uint8_t image[IMAGE_BYTES];
    struct emul_place place;

    exec_gp0_if(x, exec_is_private(x));
    place = table_place(x, EMUL_PF_W);
    if (!exec_movable(x, &place, 1))
        exec_end(x, EMUL_UNHANDLED);
    *(emul_reg16 *)image = table->limit;
    *(emul_reg64 *)(image + 2) = table->base;
    exec_must(x, emul_store_bytes(x->ctx, &place, image, EMUL_FOR_OPERAND));
}

void do_lgdt(struct exec *x)
{
    struct emul_table *table = x->insn->op == EMUL_LGDT ? &x->s->gdtr : &x->s->idtr;
    struct emul_place place = table_place(x, 0);
    uint8_t image[IMAGE_BYTES] = { 0 };
    uint64_t base;

    exec_must(x, emul_load_bytes(x->ctx, &place, image, EMUL_FOR_OPERAND));
    base = *(const emul_reg64 *)(image + 2) & (x->opsize == 2 ? 0xffffff : ~0ull); /* SDM 2A LGDT */
    exec_gp0_if(x, !emul_canonical(x->s, base));
    table->base = base;
    table->limit = *(const emul_reg16 *)image;
    field_changed(x, EMUL_STATE_SYSTEM);
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

void do_invpcid(struct exec *x)
{
    const struct emul_state *s = x->s;
    uint64_t type = x->gpr[x->insn->reg] & emul_size_mask(x->mode == EMUL_MODE64 ? 8 : 4);
    uint64_t current = s->cr4 & CR4_PCIDE ? s->cr3 & CR3_PCID : 0;
    uint64_t pcid = exec_get(x, 0, 8), linear = exec_get(x, 8, 8);

    exec_gp0_if(x, type > INVPCID_ALL_LOCAL || (pcid & ~CR3_PCID) || (type <= INVPCID_CONTEXT && pcid && !(s->cr4 & CR4_PCIDE)) ||
                   (type == INVPCID_ADDRESS && !emul_canonical(s, linear)));
    exec_flush(x, linear, type != INVPCID_ADDRESS || pcid != current);
}

/* ---- MSRs, time stamps, CPUID ---- */

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
    const struct reg_row *row = find_msr(index);
    uint64_t value;
    int status = row ? exec_need(x, row->group) : read_msr(x, index, &value);

    if (!status)
        set_edx_eax(x, row ? *reg_at(x, row) : value);
    return status;
}

int do_wrmsr(struct exec *x)
{
    const struct emul_ops *ops = x->ctx->ops;
    uint32_t index = x->gpr[EMUL_RCX];
    uint64_t value = x->gpr[EMUL_RDX] << 32 | (uint32_t)x->gpr[EMUL_RAX];
    const struct reg_row *row = find_msr(index);

    if (row)
        return write_reg(x, row, value);
    if (!ops->msr_write)
        return EMUL_UNHANDLED;
    return ops->msr_write(x->ctx->opaque, index, value) < 0 ? exec_gp0(x) : EMUL_DONE;
}

/* RDTSC and RDTSCP. */
int do_rdtsc(struct exec *x)
{
    uint64_t tsc, aux = x->gpr[EMUL_RCX];
    int status;

    if ((x->s->cr4 & CR4_TSD) && emul_cpl(x->s))
        return exec_gp0(x);
    status = read_msr(x, MSR_TSC, &tsc);
    if (!status && x->insn->op == EMUL_RDTSCP)
        status = read_msr(x, MSR_TSC_AUX, &aux);
    if (status)
        return status;
    set_edx_eax(x, tsc);
    x->gpr[EMUL_RCX] = x->insn->op == EMUL_RDTSCP ? (uint32_t)aux : aux;
    return EMUL_DONE;
}

void do_rdpid(struct exec *x)
{
    uint64_t aux;

    exec_must(x, read_msr(x, MSR_TSC_AUX, &aux));
    x->gpr[x->insn->rm] = (uint32_t)aux;
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

/* ---- Fast system calls ---- */

static struct emul_segment flat_segment(unsigned selector, uint32_t attr, unsigned dpl)
{
    return (struct emul_segment){ .limit = ~0u, .attr = attr | dpl << SEG_DPL, .selector = selector };
}

/* Execution goes on at rip in flat segments: with wide in 64-bit code, else in the low 4 GiB. */
static void enter_flat(struct exec *x, unsigned cs, unsigned ss, unsigned dpl, int wide, uint64_t rip)
{
    x->s->seg[EMUL_CS] = flat_segment(cs, wide ? FLAT_CODE64 : FLAT_CODE32, dpl);
    x->s->seg[EMUL_SS] = flat_segment(ss, FLAT_DATA, dpl);
    x->ctx->changed |= EMUL_STATE_CS;
    x->next_rip = wide ? rip : (uint32_t)rip;
}

/* SYSCALL and SYSRET trap for TF as they leave it, not as they found it: a kernel that masks TF is not interrupted on the user's
 * stack, and a debugger sees the first user instruction (E10). Only for what cannot fail any more. */
static void step_as_left(struct exec *x)
{
    x->step = !!(x->flags & RFLAGS_TF);
}

/* Intel: in 64-bit mode only (SDM 2B SYSCALL); AMD: in all of protected mode (APM3 SYSCALL). */
void do_syscall(struct exec *x)
{
    const struct emul_state *s = x->s;
    int long_mode = !!(s->efer & EFER_LMA);
    unsigned selector = s->star >> 32 & SELECTOR;

    exec_ud_if(x, !(s->efer & EFER_SCE) || !emul_protected(s) || (x->mode != EMUL_MODE64 && !is_amd(x)));
    x->gpr[EMUL_RCX] = x->next_rip;
    if (long_mode) {
        x->gpr[R11] = x->flags;
        x->flags = (x->flags & ~s->fmask) | RFLAGS_1;
    } else {
        x->flags &= ~RFLAGS_IF;
    }
    enter_flat(x, selector, selector + 8, 0, long_mode, !long_mode ? s->star : x->mode == EMUL_MODE64 ? s->lstar : s->cstar);
    step_as_left(x);
}

/* SDM 2B, APM3 SYSRET. AMD checks the target only when it is fetched, and leaves SS but for its selector (and the CPL). */
void do_sysret(struct exec *x)
{
    struct emul_state *s = x->s;
    struct emul_segment ss = s->seg[EMUL_SS];
    int wide = is_wide(x);
    unsigned selector = s->star >> 48;

    exec_ud_if(x, !(s->efer & EFER_SCE) || (x->mode != EMUL_MODE64 && !is_amd(x)));
    exec_gp0_if(x, !emul_protected(s) || emul_cpl(s) || (wide && !is_amd(x) && !emul_canonical(s, x->gpr[EMUL_RCX])));
    enter_flat(x, (wide ? selector + 16 : selector) | RPL, (selector + 8) | RPL, 3, wide, x->gpr[EMUL_RCX]);
    if (is_amd(x)) {
        ss.selector = selector + 8;
        ss.attr |= 3u << SEG_DPL;
        s->seg[EMUL_SS] = ss;
    }
    x->flags = x->mode == EMUL_MODE64 ? (x->gpr[R11] & SYSRET_FLAGS) | RFLAGS_1 : x->flags | RFLAGS_IF;
    step_as_left(x);
}

/* SDM 2B SYSENTER, from virtual-8086 mode too; AMD: not in long mode (APM3 SYSENTER). */
void do_sysenter(struct exec *x)
{
    const struct emul_state *s = x->s;
    int long_mode = !!(s->efer & EFER_LMA);
    unsigned selector = s->sysenter_cs & SELECTOR;

    exec_ud_if(x, long_mode && is_amd(x));
    exec_gp0_if(x, !(s->cr0 & CR0_PE) || !selector);
    x->flags &= ~(RFLAGS_VM | RFLAGS_IF);
    x->gpr[EMUL_RSP] = long_mode ? s->sysenter_esp : (uint32_t)s->sysenter_esp;
    enter_flat(x, selector, selector + 8, 0, long_mode, s->sysenter_eip);
}

void do_sysexit(struct exec *x)
{
    const struct emul_state *s = x->s;
    uint64_t rip = x->gpr[EMUL_RDX], rsp = x->gpr[EMUL_RCX];
    int wide = is_wide(x);
    unsigned selector = ((uint16_t)s->sysenter_cs + (wide ? 32 : 16)) | RPL;

    exec_ud_if(x, (s->efer & EFER_LMA) && is_amd(x));
    exec_gp0_if(x, !(s->cr0 & CR0_PE) || !(s->sysenter_cs & SELECTOR) || (wide && !(emul_canonical(s, rip) && emul_canonical(s, rsp))));
    x->gpr[EMUL_RSP] = wide ? rsp : (uint32_t)rsp;
    enter_flat(x, selector, selector + 8, 3, wide, rip);
}

void do_swapgs(struct exec *x)
{
    struct emul_state *s = x->s;
    uint64_t base = s->kernel_gs_base;

    s->kernel_gs_base = s->seg[EMUL_GS].base;
    s->seg[EMUL_GS].base = base;
    field_changed(x, EMUL_STATE_SEGS | EMUL_STATE_SYSCALL);
}

/* ---- What has a bit of CR4 ---- */

/* XSETBV too. XCR0 is not in the state: what is left after the checks is refused. */
void do_xgetbv(struct exec *x)
{
    exec_ud_if(x, !(x->s->cr4 & CR4_OSXSAVE));
    exec_end(x, EMUL_UNHANDLED);
}

void do_rdpkru(struct exec *x)
{
    int write = x->insn->op == EMUL_WRPKRU;

    exec_ud_if(x, !(x->s->cr4 & CR4_PKE));
    exec_gp0_if(x, (uint32_t)x->gpr[EMUL_RCX] || (write && (uint32_t)x->gpr[EMUL_RDX]));
    if (!write)
        set_edx_eax(x, x->ctx->pkru);
    else
        x->ctx->pkru = x->gpr[EMUL_RAX];
    if (write && x->ctx->cache)
        emul_cache_flush(x->ctx->cache);
}

/* Undefined for users (SDM 2A CLAC), not forbidden. */
void do_clac(struct exec *x)
{
    exec_ud_if(x, emul_cpl(x->s));
    exec_set_flag(x, RFLAGS_AC, x->insn->op == EMUL_STAC);
}

void do_ud(struct exec *x)
{
    exec_ud_if(x, 1);
}
