/* System instructions: control and debug registers, descriptor-table registers, MSRs that are part of the state, fast system calls. */
#include <stddef.h>
#include "exec_far.h"

#define CR0_VALID   (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_MSW     0xfull         /* what LMSW writes: PE MP EM TS */
#define CR3_KEEP    (1ull << 63)   /* with PCIDE: translations stay valid, SDM 3A 4.10.4.1 */
#define CR3_PCID    0xfffull
#define CR4_CET     (1ull << 23)
#define CR4_PAGING  (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP) /* changes that load PAE's pointers again, SDM 3A 4.4.1 */
#define HIGH_HALF   0xffffffff00000000ull
#define SYSRET_FLAGS 0x3c7fd7ull   /* SDM 2B SYSRET: neither RF nor VM, and nothing reserved */

enum { PDPTE_COUNT = 4, PDPTE_P = 1, R11 = 11 };
/* SDM 3B 17.2.3, 17.2.4: what there is (BT BS BD B3..B0), and what is always set. */
enum { DR6_VALID = 0xe00f, DR6_ONES = 0xffff0ff0, DR6_BD = 0x2000, DR7_VALID = 0xffff23ff, DR7_ONES = 0x400, DR7_GD = 0x2000 };
/* Behind SYSENTER_CS are ESP and EIP, behind EFER are STAR, LSTAR, CSTAR, FMASK, behind FS_BASE are those of GS and KernelGS. */
enum { MSR_TSC = 0x10, MSR_SYSENTER = 0x174, MSR_EFER = 0xc0000080, MSR_FS_BASE = 0xc0000100, MSR_TSC_AUX = 0xc0000103 };

/* Segments as the fast system calls load them, without a look at a descriptor; add the DPL. */
#define FLAT_DATA   (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_WRITE | SEG_ACCESSED)
#define FLAT_CODE32 (FLAT_DATA | SEG_CODE)
#define FLAT_CODE64 ((FLAT_CODE32 & ~SEG_DB) | SEG_L)

static int is_amd(const struct exec *x)
{
    return x->ctx->features & EMUL_IS_AMD;
}

static int is_wide(const struct exec *x)
{
    return x->mode == EMUL_MODE64 && (x->insn->rex & EMUL_REX_W);
}

void exec_flush(struct exec *x, uint64_t linear, enum exec_flush what)
{
    if (x->ctx->cache)
        emul_cache_flush(x->ctx->cache);
    if (x->ctx->ops->tlb_flush && what != FLUSH_CACHE)
        x->ctx->ops->tlb_flush(x->ctx->opaque, linear, what);
}

/* ---- Control registers ---- */

/* PAE's pointers, which Intel's processors load with CR3 and not at each walk, if paging is to go by them: #GP(0) if one is bad. */
static void load_pointers(struct exec *x, const uint64_t cr[5])
{
    const struct emul_ops *ops = x->ctx->ops;
    uint64_t rsvd = EMUL_PDPTE_RSVD | ~((1ull << x->ctx->phys_bits) - 1);

    if (is_amd(x) || !(cr[0] & CR0_PG) || !(cr[4] & CR4_PAE) || (x->s->efer & EFER_LME))
        return;
    exec_end_if(x, !ops->phys_read, EMUL_UNHANDLED);
    for (unsigned i = 0; i < PDPTE_COUNT; i++) {
        uint64_t entry, at = (cr[3] & 0xffffffe0) + i * sizeof(entry);

        if (ops->phys_read(x->ctx->opaque, at, &entry, sizeof(entry), EMUL_FOR_WALK) < 0)
            entry = ~0ull; /* as an empty bus reads */
        exec_gp0_if(x, (entry & PDPTE_P) && (entry & rsvd));
    }
}

/* ---- Registers that are part of the state, and what a write of them must be ---- */

/* What there is to ask beyond masks, by is_bad(). RULE_NONE: there is no such register. */
enum rule { RULE_NONE, RULE_ANY, RULE_CANONICAL, RULE_CR0, RULE_CR3, RULE_CR4, RULE_EFER };

/* reserved: #GP(0) if one of these is set; of the others those ignored do not count, and ones are set. pointers, flushes: a change of
 * these loads PAE's pointers, ends translations. */
struct reg_row {
    uint16_t offset;
    uint8_t group, rule;
    uint64_t reserved, ignored, ones, pointers, flushes;
};
#define REG(field, in, what, ...) \
    { .offset = offsetof(struct emul_state, field), .group = EMUL_STATE_##in, .rule = RULE_##what, ##__VA_ARGS__ }
static const struct reg_row sysenter[3] = { REG(sysenter_cs, SYSENTER, ANY, .ignored = HIGH_HALF), REG(sysenter_esp, SYSENTER, CANONICAL),
                                            REG(sysenter_eip, SYSENTER, CANONICAL) };
static const struct reg_row syscall[5] = { REG(efer, CR, EFER, .ignored = EFER_LMA, .flushes = EFER_NXE), REG(star, SYSCALL, ANY),
                                           REG(lstar, SYSCALL, CANONICAL), REG(cstar, SYSCALL, CANONICAL),
                                           REG(fmask, SYSCALL, ANY, .reserved = HIGH_HALF) };
static const struct reg_row bases[3] = { REG(seg[EMUL_FS].base, SEGS, CANONICAL), REG(seg[EMUL_GS].base, SEGS, CANONICAL),
                                         REG(kernel_gs_base, SYSCALL, CANONICAL) };
static const struct reg_row control[16] = { /* CR8 is the local APIC's: nothing to ask here */
    [0] = REG(cr0, CR, CR0, .reserved = HIGH_HALF, .ignored = ~CR0_VALID, .ones = CR0_ET, .pointers = CR0_PG | CR0_CD | CR0_NW,
              .flushes = CR0_PG | CR0_WP | CR0_PE),
    [2] = REG(cr2, CR, ANY), REG(cr3, CR, CR3, .pointers = ~0ull, .flushes = ~0ull),
    REG(cr4, CR, CR4, .pointers = CR4_PAGING, .flushes = ~0ull),
};
static const struct reg_row debug[8] = {
    REG(dr[0], DR, ANY), REG(dr[1], DR, ANY), REG(dr[2], DR, ANY), REG(dr[3], DR, ANY),
    [6] = REG(dr6, DR, ANY, .reserved = HIGH_HALF, .ignored = ~(uint64_t)DR6_VALID, .ones = DR6_ONES),
    [7] = REG(dr7, DR, ANY, .reserved = HIGH_HALF, .ignored = ~(uint64_t)DR7_VALID, .ones = DR7_ONES),
};

/* msrs[] has three runs of indices. */
static const struct reg_row *find_msr(uint32_t index)
{
    if (index - MSR_SYSENTER < 3)
        return &sysenter[index - MSR_SYSENTER];
    if (index - MSR_EFER < 5)
        return &syscall[index - MSR_EFER];
    return index - MSR_FS_BASE < 3 ? &bases[index - MSR_FS_BASE] : 0;
}

static uint64_t *reg_at(const struct exec *x, const struct reg_row *row)
{
    return (uint64_t *)((uint8_t *)x->s + row->offset);
}

/* SDM 2B MOV to control registers, 3A 9.8.5: paging may go on into long mode only from where it can be reached; LME does not change
 * while it is on. */
static int is_bad(const struct exec *x, unsigned rule, uint64_t value, uint64_t changed)
{
    const struct emul_state *s = x->s;
    int long_mode = exec_is_long(x), tss16 = (s->seg[EMUL_TR].attr & SEG_TYPE & ~SYS_BUSY) == SYS_TSS16;

    switch (rule) {
    case RULE_CANONICAL:
        return !emul_canonical(s, value);
    case RULE_CR0:
        return (value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW ||
               (!(value & CR0_WP) && (s->cr4 & CR4_CET)) ||
               ((changed & ~value & CR0_PG) && (x->mode == EMUL_MODE64 || (s->cr4 & CR4_PCIDE))) ||
               ((changed & value & CR0_PG) && (s->efer & EFER_LME) &&
                (!(s->cr4 & CR4_PAE) || (s->seg[EMUL_CS].attr & SEG_L) || (tss16 && !is_amd(x))));
    case RULE_CR3:
        return value >> x->ctx->phys_bits != 0;
    case RULE_CR4:
        return (value & ~x->ctx->cr4_valid) || (changed & (long_mode ? CR4_PAE | CR4_LA57 : 0)) ||
               ((value & CR4_CET) && !(s->cr0 & CR0_WP)) || ((value & changed & CR4_PCIDE) && (!long_mode || (s->cr3 & CR3_PCID)));
    case RULE_EFER:
        return (value & ~x->ctx->efer_valid) || ((changed & EFER_LME) && (s->cr0 & CR0_PG));
    default:
        return 0;
    }
}

static void write_reg(struct exec *x, const struct reg_row *row, uint64_t value)
{
    struct emul_state *s = x->s;
    uint64_t cr[5] = { s->cr0, 0, 0, s->cr3, s->cr4 }, *reg = reg_at(x, row), changed;
    uint64_t keep = row->rule == RULE_CR3 && (s->cr4 & CR4_PCIDE) ? value & CR3_KEEP : 0;

    exec_require(x, row->group);
    exec_gp0_if(x, value & row->reserved);
    value = (value & ~(row->ignored | keep)) | row->ones;
    changed = row->rule == RULE_CR3 ? ~0ull : value ^ *reg; /* which counts whatever it held */
    if (row->rule == RULE_CR0 && (changed & CR0_PG))
        exec_require(x, EMUL_STATE_SYSTEM);
    exec_gp0_if(x, is_bad(x, row->rule, value, changed));
    if (changed & row->pointers) {
        cr[row - control] = value;
        load_pointers(x, cr);
    }
    *reg = value;
    if (row->group == EMUL_STATE_CR) /* LMA is the processor's */
        s->efer = (s->efer & ~EFER_LMA) | ((s->cr0 & CR0_PG) && (s->efer & EFER_LME) ? EFER_LMA : 0);
    if (changed & row->flushes)
        exec_flush(x, 0, keep ? FLUSH_CACHE : FLUSH_ALL); /* the cache knows no PCID */
    x->ctx->changed |= row->group;
}

/* From or to ModRM.rm; its group is there. */
static void move_reg(struct exec *x, const struct reg_row *row, int write)
{
    exec_end_if(x, !row->rule, EMUL_UNHANDLED);
    if (write)
        write_reg(x, row, x->gpr[x->insn->rm] & emul_size_mask(x->opsize));
    else
        exec_set_gpr(x, x->insn->rm, x->opsize, *reg_at(x, row));
}

/* MOV CR and MOV DR. SDM 3B 17.2: DR4 and DR5 are DR6 and DR7, or with CR4.DE nothing; DR7.GD makes each access a #DB, which the handler
 * finds with GD off. */
void do_movcr(struct exec *x)
{
    unsigned n = x->insn->reg, is_debug = x->insn->op == EMUL_MOVDR;

    exec_raise_if(x, is_debug && (x->s->cr4 & CR4_DE) && (n == 4 || n == 5), EMUL_VECTOR_UD, 0);
    if (is_debug && (x->s->dr7 & DR7_GD)) {
        x->result->dr6 = DR6_BD;
        exec_raise(x, EMUL_VECTOR_DB, 0);
    }
    move_reg(x, !is_debug ? &control[n] : n < 4 ? &debug[n] : &debug[n | 2], x->insn->form == FORM_Cd_Rd || x->insn->form == FORM_Dd_Rd);
}

/* ModRM.reg: bit 0 GS, bit 1 write. Four bytes unless REX.W: 66 does not count. */
void do_fsgsbase(struct exec *x)
{
    unsigned which = x->insn->modrm >> 3 & 3;

    exec_raise_if(x, !(x->s->cr4 & CR4_FSGSBASE), EMUL_VECTOR_UD, 0);
    x->opsize = is_wide(x) ? 8 : 4;
    move_reg(x, &bases[which & 1], which & 2);
}

/* dst, to CR0 or the MSR in ECX. */
static void write_from_dst(struct exec *x)
{
    write_reg(x, x->insn->op == EMUL_WRMSR ? find_msr(x->gpr[EMUL_RCX]) : &control[0], x->dst);
}

/* PE can be set, not cleared (SDM 2A LMSW). Without it there is nothing to check. */
int do_lmsw(struct exec *x)
{
    struct emul_state *s = x->s;
    uint64_t value = x->gpr[x->insn->rm];
    int status = x->insn->mod == 3 ? EMUL_DONE : exec_load(x, 0, 2, &value);

    if (status)
        return status;
    x->dst = (s->cr0 & ~(CR0_MSW & ~CR0_PE)) | (value & CR0_MSW);
    if ((x->dst ^ s->cr0) & CR0_PE)
        return exec_guard(x, 0, write_from_dst);
    s->cr0 = x->dst;
    x->ctx->changed |= EMUL_STATE_CR;
    return EMUL_DONE;
}

int do_clts(struct exec *x)
{
    x->s->cr0 &= ~CR0_TS;
    x->ctx->changed |= EMUL_STATE_CR;
    return EMUL_DONE;
}

/* SGDT SIDT LGDT LIDT: a limit of two bytes and the base, aligned by four (SDM 3A table 6-7), whatever the size. */
void do_lgdt(struct exec *x)
{
    unsigned op = x->insn->op, store = op == EMUL_SGDT || op == EMUL_SIDT;
    struct emul_table *table = op == EMUL_SGDT || op == EMUL_LGDT ? &x->s->gdtr : &x->s->idtr;
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) image = { store ? table->limit : 0, store ? table->base : 0 };
    struct emul_place place;

    exec_gp0_if(x, store && exec_is_private(x));
    place = exec_place(x, exec_offset(x), x->mode == EMUL_MODE64 ? 10 : 6, 3, store ? EMUL_PF_W : 0);
    exec_must(x, emul_move(x->ctx, &place, &image, store ? EMUL_MOVE_WRITE : 0, EMUL_FOR_OPERAND));
    if (store)
        return;
    image.base &= x->opsize == 2 ? 0xffffff : ~0ull; /* SDM 2A LGDT */
    exec_gp0_if(x, !emul_canonical(x->s, image.base));
    table->base = image.base;
    table->limit = image.limit;
    x->ctx->changed |= EMUL_STATE_SYSTEM;
}

/* No check of the segment, nor of the address: a non-canonical one is nobody's translation (SDM 2A INVLPG). */
int do_invlpg(struct exec *x)
{
    uint64_t linear = exec_offset(x);

    if (exec_need(x, EMUL_STATE_SEGS))
        return EMUL_UNHANDLED;
    if (x->mode != EMUL_MODE64 || x->insn->seg >= EMUL_FS)
        linear += x->s->seg[x->insn->seg].base;
    exec_flush(x, x->mode == EMUL_MODE64 ? linear : (uint32_t)linear, FLUSH_PAGE);
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
    exec_flush(x, linear, type != INVPCID_ADDRESS || pcid != current ? FLUSH_ALL : FLUSH_PAGE);
}

/* ---- MSRs, time stamps, CPUID ---- */

static int read_msr(struct exec *x, uint32_t index, uint64_t *value)
{
    const struct emul_ops *ops = x->ctx->ops;
    int answer = ops->msr_read ? ops->msr_read(x->ctx->opaque, index, value) : 1;

    return answer < 0 ? exec_fault(x, EMUL_VECTOR_GP, 0) : answer ? EMUL_UNHANDLED : EMUL_DONE;
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

    x->dst = x->gpr[EMUL_RDX] << 32 | (uint32_t)x->gpr[EMUL_RAX];
    if (find_msr(index))
        return exec_guard(x, 0, write_from_dst);
    if (!ops->msr_write)
        return EMUL_UNHANDLED;
    return ops->msr_write(x->ctx->opaque, index, x->dst) < 0 ? exec_fault(x, EMUL_VECTOR_GP, 0) : EMUL_DONE;
}

/* RDTSC and RDTSCP. */
void do_rdtsc(struct exec *x)
{
    uint64_t tsc, aux;

    exec_gp0_if(x, (x->s->cr4 & CR4_TSD) && emul_cpl(x->s));
    exec_must(x, read_msr(x, MSR_TSC, &tsc));
    if (x->insn->op == EMUL_RDTSCP) {
        exec_must(x, read_msr(x, MSR_TSC_AUX, &aux));
        x->gpr[EMUL_RCX] = (uint32_t)aux;
    }
    set_edx_eax(x, tsc);
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

/* Execution goes on at rip in flat segments for CPL `level`: with wide in 64-bit code, else in the low 4 GiB. SYSCALL and SYSRET trap for
 * TF as they leave it, not as they found it: a kernel that masks TF is not interrupted on the user's stack, and a debugger sees the
 * first user instruction (E10). */
static void enter_flat(struct exec *x, unsigned cs, unsigned ss, unsigned level, int wide, uint64_t rip)
{
    struct emul_segment flat = { .limit = ~0u, .attr = (wide ? FLAT_CODE64 : FLAT_CODE32) | level << SEG_DPL, .selector = cs | level };

    x->s->seg[EMUL_CS] = flat;
    flat.attr = FLAT_DATA | level << SEG_DPL;
    flat.selector = ss | level;
    exec_set_segment(x, EMUL_SS, &flat);
    x->next_rip = wide ? rip : (uint32_t)rip;
    x->step = !!(x->flags & RFLAGS_TF);
}

/* Intel: in 64-bit mode only (SDM 2B SYSCALL); AMD: in all of protected mode (APM3 SYSCALL). */
void do_syscall(struct exec *x)
{
    const struct emul_state *s = x->s;
    unsigned selector = s->star >> 32 & SELECTOR_CODE, long_mode = exec_is_long(x);

    exec_raise_if(x, !(s->efer & EFER_SCE) || !emul_protected(s) || (x->mode != EMUL_MODE64 && !is_amd(x)), EMUL_VECTOR_UD, 0);
    x->gpr[EMUL_RCX] = x->next_rip;
    if (long_mode) {
        x->gpr[R11] = x->flags;
        x->flags = (x->flags & ~s->fmask) | RFLAGS_1;
    } else {
        x->flags &= ~RFLAGS_IF;
    }
    enter_flat(x, selector, selector + 8, 0, long_mode, !long_mode ? s->star : x->mode == EMUL_MODE64 ? s->lstar : s->cstar);
}

/* SDM 2B, APM3 SYSRET. AMD checks the target only when it is fetched, and leaves SS but for its selector (and the CPL). */
void do_sysret(struct exec *x)
{
    struct emul_state *s = x->s;
    struct emul_segment ss = s->seg[EMUL_SS];
    unsigned selector = s->star >> 48, wide = is_wide(x);

    exec_raise_if(x, !(s->efer & EFER_SCE) || (x->mode != EMUL_MODE64 && !is_amd(x)), EMUL_VECTOR_UD, 0);
    exec_gp0_if(x, !emul_protected(s) || emul_cpl(s) || (wide && !is_amd(x) && !emul_canonical(s, x->gpr[EMUL_RCX])));
    x->flags = x->mode == EMUL_MODE64 ? (x->gpr[R11] & SYSRET_FLAGS) | RFLAGS_1 : x->flags | RFLAGS_IF;
    enter_flat(x, wide ? selector + 16 : selector, selector + 8, 3, wide, x->gpr[EMUL_RCX]);
    if (is_amd(x)) {
        ss.selector = selector + 8;
        ss.attr |= 3u << SEG_DPL;
        s->seg[EMUL_SS] = ss;
    }
}

/* SYSENTER, from virtual-8086 mode too, and SYSEXIT (SDM 2B); AMD: not in long mode (APM3). */
void do_sysenter(struct exec *x)
{
    const struct emul_state *s = x->s;
    int leave = x->insn->op == EMUL_SYSEXIT, wide = leave ? is_wide(x) : exec_is_long(x);
    uint64_t rip = leave ? x->gpr[EMUL_RDX] : s->sysenter_eip, rsp = leave ? x->gpr[EMUL_RCX] : s->sysenter_esp;
    unsigned selector = (s->sysenter_cs & SELECTOR_CODE) + (!leave ? 0 : wide ? 32 : 16);

    exec_raise_if(x, exec_is_long(x) && is_amd(x), EMUL_VECTOR_UD, 0);
    exec_gp0_if(x, !(s->cr0 & CR0_PE) || !(s->sysenter_cs & SELECTOR_CODE));
    exec_gp0_if(x, leave && wide && !(emul_canonical(s, rip) && emul_canonical(s, rsp)));
    x->flags &= leave ? ~0ull : ~(RFLAGS_VM | RFLAGS_IF);
    x->gpr[EMUL_RSP] = wide ? rsp : (uint32_t)rsp;
    enter_flat(x, selector, selector + 8, leave ? 3 : 0, wide, rip);
}

void do_swapgs(struct exec *x)
{
    struct emul_state *s = x->s;
    uint64_t base = s->kernel_gs_base;

    s->kernel_gs_base = s->seg[EMUL_GS].base;
    s->seg[EMUL_GS].base = base;
    x->ctx->changed |= EMUL_STATE_SEGS | EMUL_STATE_SYSCALL;
}

/* ---- What has a bit of CR4 ---- */

void do_rdpkru(struct exec *x)
{
    int write = x->insn->op == EMUL_WRPKRU;

    exec_raise_if(x, !(x->s->cr4 & CR4_PKE), EMUL_VECTOR_UD, 0);
    exec_gp0_if(x, (uint32_t)x->gpr[EMUL_RCX] || (write && (uint32_t)x->gpr[EMUL_RDX]));
    if (!write) {
        set_edx_eax(x, x->ctx->pkru);
        return;
    }
    x->ctx->pkru = x->gpr[EMUL_RAX];
    exec_flush(x, 0, FLUSH_CACHE);
}

/* Undefined for users (SDM 2A CLAC), not forbidden. */
void do_clac(struct exec *x)
{
    exec_raise_if(x, emul_cpl(x->s), EMUL_VECTOR_UD, 0);
    exec_set_flag(x, RFLAGS_AC, x->insn->op == EMUL_STAC);
}

/* XGETBV and XSETBV, which are refused where there is an XCR0: it is not in the state. And what no guest is offered. */
void do_ud(struct exec *x)
{
    int is_xcr0 = x->insn->op == EMUL_XGETBV || x->insn->op == EMUL_XSETBV;

    exec_raise_if(x, !is_xcr0 || !(x->s->cr4 & CR4_OSXSAVE), EMUL_VECTOR_UD, 0);
    exec_end(x, EMUL_UNHANDLED);
}
