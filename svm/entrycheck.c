/* The rules that VMRUN checks (APM2 15.5.1, "Canonicalization and Consistency Checks"), each with its name: for a failed entry, and for
 * state that ring 3 hands back before it reaches the VMCB. */
#include "kernel/policy.h"
#include "svm/svm.h"

#define HIGH_HALF   0xffffffff00000000ull
#define EFER_GUEST  (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME)
#define IOPM_BYTES  (3 * PAGE_SIZE)
#define MSRPM_BYTES (2 * PAGE_SIZE)

static u64 physical_end(void) { return 1ull << features.physical_bits; }

bool svm_address_canonical(const struct vmcb_save *g, u64 address)
{
    u32 unused = g->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;
    return (u64)((long)(address << unused) >> unused) == address;
}

static bool long_paging(const struct vmcb_save *g) { return g->efer & EFER_LME && g->cr0 & CR0_PG; }

static bool efer_no_svme(const struct vmcb_save *g)  { return !(g->efer & EFER_SVME); }
static bool efer_reserved(const struct vmcb_save *g) { return g->efer & ~EFER_GUEST; }
static bool efer_lma(const struct vmcb_save *g)      { return !!(g->efer & EFER_LMA) != long_paging(g); }
static bool cr0_cache(const struct vmcb_save *g)     { return !(g->cr0 & CR0_CD) && g->cr0 & CR0_NW; }
static bool cr0_high(const struct vmcb_save *g)      { return g->cr0 & HIGH_HALF; }
static bool cr0_paging(const struct vmcb_save *g)    { return g->cr0 & CR0_PG && !(g->cr0 & CR0_PE); }
static bool cr3_reserved(const struct vmcb_save *g)  { return g->cr3 & ~(physical_end() - 1); }
static bool cr4_high(const struct vmcb_save *g)      { return g->cr4 & HIGH_HALF; }
static bool cr4_pcid(const struct vmcb_save *g)      { return g->cr4 & CR4_PCIDE && !(g->efer & EFER_LMA); }
static bool long_pae(const struct vmcb_save *g)      { return long_paging(g) && !(g->cr4 & CR4_PAE); }
static bool dr6_high(const struct vmcb_save *g)      { return g->dr6 & HIGH_HALF; }
static bool dr7_high(const struct vmcb_save *g)      { return g->dr7 & HIGH_HALF; }
static bool cs_mode(const struct vmcb_save *g)
{
    return long_paging(g) && g->cr4 & CR4_PAE && g->cs.attrib & VMCB_SEG_L && g->cs.attrib & VMCB_SEG_D;
}
/* The types are 0, 1, 4 to 7 (APM2 7.8.1): 2 and 3 have bit 1 without bit 2. */
static bool pat_reserved(const struct vmcb_save *g)
{
    const u64 ones = 0x0101010101010101ull;
    return g->g_pat & 0xf8 * ones || (g->g_pat >> 1 & ~(g->g_pat >> 2)) & ones;
}

static const struct save_rule { bool (*broken)(const struct vmcb_save *g); const char *text; } save_rules[] = {
    { efer_no_svme,  "EFER.SVME is clear" },
    { cr0_cache,     "CR0.CD is clear and CR0.NW set" },
    { cr0_high,      "CR0[63:32] are not zero" },
    { cr0_paging,    "CR0.PG is set and CR0.PE clear" },
    { cr3_reserved,  "CR3 has a bit above the physical address width" },
    { cr4_high,      "CR4[63:32] are not zero" },
    { cr4_pcid,      "CR4.PCIDE is set outside long mode" },
    { dr6_high,      "DR6[63:32] are not zero" },
    { dr7_high,      "DR7[63:32] are not zero" },
    { efer_reserved, "EFER has a reserved bit set" },
    { long_pae,      "EFER.LME and CR0.PG are set and CR4.PAE clear" },
    { efer_lma,      "EFER.LMA is not EFER.LME and CR0.PG" },
    { cs_mode,       "CS.L and CS.D are both set in long mode" },
    { pat_reserved,  "G_PAT has a reserved memory type" },
};

/* EVENTINJ (APM2 15.20): types 1 and 5 to 7 are reserved; an exception is a vector below 32, and not 2. */
static bool event_illegal(u64 e)
{
    u64 vector = e & 0xff;
    switch (e & EVENT_TYPE) {
    case EVENT_INTR:
    case EVENT_NMI:
    case EVENT_SOFT:
        return false;
    case EVENT_EXCEPTION:
        return vector == VEC_NMI || vector > 31;
    default:
        return true;
    }
}

const char *svm_save_broken(const struct vmcb_save *g)
{
    for (u32 i = 0; i < ARRAY_SIZE(save_rules); i++)
        if (save_rules[i].broken(g))
            return save_rules[i].text;
    return NULL;
}

/* The rules on the control area come first: some CPUs leave host values in the save area of a VMCB that they refused. */
const char *svm_entry_broken(const struct vmcb *c)
{
    const char *text;
    if (!(c->intercept_misc2 & INTERCEPT_VMRUN))
        return "the VMRUN intercept is clear";
    if (!c->asid)
        return "ASID is 0";
    if (c->asid >= svm_features.asids)
        return "ASID is more than CPUID.8000000Ah:EBX allows";
    if (c->intercept_misc1 & INTERCEPT_IOIO && c->iopm_base + IOPM_BYTES > physical_end())
        return "the I/O permission map ends above the physical address width";
    if (c->intercept_misc1 & INTERCEPT_MSR && c->msrpm_base + MSRPM_BYTES > physical_end())
        return "the MSR permission map ends above the physical address width";
    if (c->nested_cr3 & ~(physical_end() - 1))
        return "nested CR3 has a bit above the physical address width";
    if (c->event_inj & EVENT_VALID && event_illegal(c->event_inj))
        return "EVENTINJ names an event that does not exist";
    text = svm_save_broken(&c->save);
    if (!text && c->save.cr4 & ~policy_cr4_guest())
        text = "CR4 has a bit set that this CPU may not have";
    return text ? text : "none that is known by name";
}
