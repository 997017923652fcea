/* Guest state in its neutral form: groups, reset, and the rules of entry that SDM 3C 26.3.1 and APM2 15.5.1 have in common, or that
 * one of them leaves to the hypervisor. What only VMX checks is in vmx/entrycheck.c. */
#include "kernel/gueststate.h"
#include "kernel/cpu.h"
#include "kernel/policy.h"

#define HIGH_HALF   0xffffffff00000000ull
#define RFLAGS_ZERO (~0x3fffffull | BIT(15) | BIT(5) | BIT(3))
#define EFER_GUEST  (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define TABLE_LIMIT 0xffffu
#define RESET_LIMIT 0xffffu
#define RESET_DATA  0x93u /* present, read/write, accessed */
#define RESET_CODE  0x9bu
#define RESET_LDT   0x82u
#define RESET_TSS   0x8bu /* busy */

const u32 msrs_passed[MSRS_PASSED] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_FS_BASE, MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
};

/* Where each group lies in struct abi_state, from here to the next row. */
static const struct { u16 group, offset; } parts[] = {
    { ABI_STATE_RIP,      0 },
    { ABI_STATE_SEGS,     offsetof(struct abi_state, seg[ABI_ES]) },
    { ABI_STATE_CS,       offsetof(struct abi_state, seg[ABI_CS]) },
    { ABI_STATE_SEGS,     offsetof(struct abi_state, seg[ABI_DS]) },
    { ABI_STATE_SYSTEM,   offsetof(struct abi_state, seg[ABI_LDTR]) },
    { ABI_STATE_CR,       offsetof(struct abi_state, cr0) },
    { ABI_STATE_DR,       offsetof(struct abi_state, dr6) },
    { ABI_STATE_SYSENTER, offsetof(struct abi_state, sysenter_cs) },
    { ABI_STATE_SYSCALL,  offsetof(struct abi_state, star) },
    { ABI_STATE_DR,       offsetof(struct abi_state, dr) },
    { 0,                  sizeof(struct abi_state) },
};

void state_copy(struct abi_state *to, const struct abi_state *from, u32 groups)
{
    for (u32 i = 0; i < ARRAY_SIZE(parts) - 1; i++)
        if (parts[i].group & groups)
            memcpy((u8 *)to + parts[i].offset, (const u8 *)from + parts[i].offset, parts[i + 1].offset - parts[i].offset);
}

/* SDM 3A table 9-1, APM2 14.1.3: CS:RIP = F000:FFF0 at the top of 4 GiB. */
void state_reset(struct abi_state *s)
{
    *s = (struct abi_state){ .rip = 0xfff0, .rflags = RFLAGS_FIXED, .cr0 = CR0_ET | CR0_NW | CR0_CD, .dr6 = 0xffff0ff0, .dr7 = 0x400 };
    for (u32 i = 0; i < ABI_SEGS; i++)
        s->seg[i] = (struct abi_segment){ .limit = RESET_LIMIT, .attr = RESET_DATA };
    s->seg[ABI_CS] = (struct abi_segment){ .base = 0xffff0000, .limit = RESET_LIMIT, .attr = RESET_CODE, .selector = 0xf000 };
    s->seg[ABI_LDTR].attr = RESET_LDT;
    s->seg[ABI_TR].attr = RESET_TSS;
    s->gdtr.limit = s->idtr.limit = RESET_LIMIT;
}

/* The types are 0, 1, 4 to 7 (SDM 3A table 11-10, APM2 7.8.1): 2 and 3 have bit 1 without bit 2. */
bool pat_legal(u64 pat)
{
    const u64 ones = 0x0101010101010101ull;
    return !(pat & 0xf8 * ones) && !((pat >> 1 & ~(pat >> 2)) & ones);
}

const char *rule_broken(const struct rule *rules, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (rules[i].broken)
            return rules[i].text;
    return NULL;
}

/* An address counts as canonical by the guest's own paging mode: a CPU that knows 57 bits would take more. VMRUN and VMLOAD would make
 * one canonical by themselves (APM2 15.5.1), and the guest would go on with another than ring 3 gave. */
const char *guest_rule_broken(const struct abi_state *s, u32 groups)
{
    const struct abi_segment *seg = s->seg, *cs = &seg[ABI_CS], *ss = &seg[ABI_SS], *ds = &seg[ABI_DS], *es = &seg[ABI_ES];
    bool code = groups & ABI_STATE_CS, data = groups & ABI_STATE_SEGS, system = groups & ABI_STATE_SYSTEM, cr = groups & ABI_STATE_CR;
    bool rip = groups & ABI_STATE_RIP, sysenter = groups & ABI_STATE_SYSENTER, syscall = groups & ABI_STATE_SYSCALL;
    const struct abi_segment *fs = &seg[ABI_FS], *gs = &seg[ABI_GS], *ldtr = &seg[ABI_LDTR], *tr = &seg[ABI_TR];
    u32 attributes = cs->attr | ss->attr | ds->attr | es->attr | fs->attr | gs->attr | ldtr->attr | tr->attr;
    bool lma = s->efer & EFER_LMA, paging = s->cr0 & CR0_PG, wide = s->cr4 & CR4_LA57;
    const struct rule rules[] = {
        { cr && s->cr0 & HIGH_HALF, "CR0: bits 63:32 must be 0" },
        { cr && paging && !(s->cr0 & CR0_PE), "CR0.PG needs CR0.PE" },
        { cr && s->cr0 & CR0_NW && !(s->cr0 & CR0_CD), "CR0.NW needs CR0.CD" },
        { cr && s->cr3 >> features.physical_bits, "CR3: bits beyond the physical-address width must be 0" },
        { cr && s->cr4 & ~policy_cr4_guest(), "CR4: a bit that the guest's CPUID does not offer" },
        { cr && s->cr4 & CR4_PCIDE && !lma, "CR4.PCIDE needs IA-32e mode" },
        { cr && s->efer & ~EFER_GUEST, "EFER: reserved bits and SVME must be 0" },
        { cr && lma != (s->efer & EFER_LME && paging), "EFER.LMA must be EFER.LME and CR0.PG" },
        { cr && lma && !(s->cr4 & CR4_PAE), "IA-32e mode needs CR4.PAE" },
        { (rip || cr) && s->rflags & RFLAGS_VM && (lma || !(s->cr0 & CR0_PE)), "RFLAGS.VM needs protected mode outside IA-32e mode" },
        { (rip || code || cr) && s->rip >> 32 && !(state_code64(s) && canonical(s->rip, wide)),
          "RIP must be canonical in 64-bit mode, below 4 GiB otherwise" },
        { rip && (s->rflags & RFLAGS_ZERO || !(s->rflags & RFLAGS_FIXED)), "RFLAGS: bit 1 must be 1, reserved bits 0" },
        { rip && s->shadow > ABI_SHADOW_MOVSS, /* both at once is the next value */
          "interruptibility: at most one of blocking by STI and by MOV SS, nothing else" },
        { groups & ABI_STATE_DR && (s->dr6 | s->dr7) & HIGH_HALF, "DR6, DR7: bits 63:32 must be 0" },
        { sysenter && s->sysenter_cs & HIGH_HALF, "SYSENTER_CS: bits 63:32 must be 0" },
        { sysenter && !(canonical(s->sysenter_esp, wide) && canonical(s->sysenter_eip, wide)), "SYSENTER_ESP, _EIP must be canonical" },
        { syscall && s->fmask & HIGH_HALF, "FMASK: bits 63:32 must be 0" },
        { syscall && !(canonical(s->lstar, wide) && canonical(s->cstar, wide) && canonical(s->kernel_gs_base, wide)),
          "LSTAR, CSTAR, KERNEL_GS_BASE must be canonical" },
        { (code || data || system) && attributes & ~(u32)ATTR_KNOWN, "segments: reserved attribute bits must be 0" },
        { code && !(segment_usable(cs) && cs->attr & ATTR_P), "CS: must be usable and present" },
        { code && (cs->base >> 32 || (segment_usable(ss) && ss->base >> 32)), "CS, SS: base must be below 4 GiB" },
        { (code || cr) && lma && cs->attr & ATTR_L && cs->attr & ATTR_DB, "CS: D/B must be 0 where L is 1 in IA-32e mode" },
        { data && ((segment_usable(ds) && ds->base >> 32) || (segment_usable(es) && es->base >> 32)), "DS, ES: base must be below 4 GiB" },
        { data && !(canonical(fs->base, wide) && canonical(gs->base, wide)), "FS, GS: base must be canonical" },
        { system && !(canonical(tr->base, wide) && (!segment_usable(ldtr) || canonical(ldtr->base, wide))),
          "LDTR, TR: base must be canonical" },
        { system && !(canonical(s->gdtr.base, wide) && canonical(s->idtr.base, wide)), "GDTR, IDTR: base must be canonical" },
        { system && (s->gdtr.limit > TABLE_LIMIT || s->idtr.limit > TABLE_LIMIT), "GDTR, IDTR: limit must be below 64 KiB" },
    };
    return rule_broken(rules, ARRAY_SIZE(rules));
}
