/* Reads the firmware's ACPI tables (ACPI 6.4, 5.2), every length and checksum checked: MADT for CPUs and I/O APICs, FADT and \_S5 for power off. */
#include "depriv/setup/setup.h"

struct header { char signature[4]; u32 length; u8 revision, checksum; char rest[26]; };
_Static_assert(sizeof(struct header) == 36, "ACPI 6.4 table 5.4");
enum { TABLE_MAX = MIB, BIOS_START = 0xe0000, BIOS_BYTES = 0x20000, RSDP1_BYTES = 20, RSDP2_BYTES = 36 };

static bool sums_to_zero(const u8 *bytes, u32 n)
{
    u8 sum = 0;
    for (u32 i = 0; i < n; i++)
        sum = (u8)(sum + bytes[i]);
    return sum == 0;
}

static u64 field(const u8 *at, u32 bytes)
{
    u64 v = 0;
    memcpy(&v, at, bytes);
    return v;
}

/* A whole table, its length and checksum checked; NULL when it is not one. */
static const struct header *table(u64 pa)
{
    const struct header *h = (const void *)physical(pa, sizeof(*h));
    if (!h || h->length < sizeof(*h) || h->length > TABLE_MAX)
        return NULL;
    h = (const void *)physical(pa, h->length);
    return h && sums_to_zero((const u8 *)h, h->length) ? h : NULL;
}

static bool is(const struct header *h, const char *signature)
{
    return memcmp(h->signature, signature, 4) == 0;
}

/* ---- MADT (5.2.12) ----------------------------------------------------------------------------------------------------------- */

enum { MADT_LAPIC, MADT_IOAPIC, MADT_OVERRIDE, MADT_LAPIC_ADDRESS = 5, MADT_X2APIC = 9 };
#define LAPIC_ENABLED 1u
#define LAPIC_DEFAULT 0xfee00000u

static void add_cpu(u32 apic_id, u32 flags)
{
    bool known = false;
    for (u32 i = 0; i < plan.cpu_count; i++) /* a CPU may be listed as local APIC and as x2APIC */
        known |= plan.cpu_apic_id[i] == apic_id;
    if (flags & LAPIC_ENABLED && !known && plan.cpu_count < ABI_CPUS_MAX)
        plan.cpu_apic_id[plan.cpu_count++] = apic_id;
}

static void madt_entry(const u8 *e, u32 length)
{
    u32 type = e[0];
    if (type == MADT_LAPIC && length >= 8) {
        add_cpu(e[3], (u32)field(e + 4, 4));
    } else if (type == MADT_X2APIC && length >= 16) {
        add_cpu((u32)field(e + 4, 4), (u32)field(e + 8, 4));
    } else if (type == MADT_LAPIC_ADDRESS && length >= 12) {
        plan.lapic = field(e + 4, 8);
    } else if (type == MADT_IOAPIC && length >= 12 && plan.ioapics < ARRAY_SIZE(plan.ioapic)) {
        plan.ioapic[plan.ioapics].address = (u32)field(e + 4, 4);
        plan.ioapic[plan.ioapics++].gsi = (u32)field(e + 8, 4);
    } else if (type == MADT_OVERRIDE && length >= 10 && e[3] < ARRAY_SIZE(plan.irq)) {
        plan.irq[e[3]].gsi = (u32)field(e + 4, 4);
        plan.irq[e[3]].flags = (u32)field(e + 8, 2);
    }
}

static void madt_parse(const struct header *h)
{
    const u8 *bytes = (const u8 *)h;
    if (h->length < 44)
        return;
    plan.lapic = field(bytes + 36, 4);
    for (u32 at = 44; at + 2 <= h->length && bytes[at + 1] >= 2 && bytes[at + 1] <= h->length - at; at += bytes[at + 1])
        madt_entry(bytes + at, bytes[at + 1]);
}

/* ---- FADT (5.2.9) and the \_S5 package in the DSDT ---------------------------------------------------------------------------- */

enum { FADT_DSDT = 40, FADT_PM1A_CNT = 64, FADT_X_DSDT = 140 }; /* offsets */
enum { AML_PACKAGE = 0x12, AML_BYTE = 0x0a, SLP_TYP_MASK = 7 };

/* \_S5_ is Package () { SLP_TYPa, ... }; the first element is a byte constant, Zero or One. A short look, not an AML interpreter. */
static void s5_find(struct setup *s, const struct header *dsdt)
{
    const u8 *b = (const u8 *)dsdt;
    for (u32 i = sizeof(*dsdt); i + 12 < dsdt->length; i++) {
        u32 at = i + 4;
        if (memcmp(b + i, "_S5_", 4) || b[at] != AML_PACKAGE)
            continue;
        at += 1 + (b[at + 1] >> 6) + 1 + 1; /* package length bytes, element count */
        if (at + 1 < dsdt->length)
            s->slp_typ_s5 = (b[at] == AML_BYTE ? b[at + 1] : b[at]) & SLP_TYP_MASK;
        return;
    }
}

static void fadt_parse(struct setup *s, const struct header *h)
{
    const u8 *bytes = (const u8 *)h;
    const struct header *dsdt;
    u64 x_dsdt = h->length >= FADT_X_DSDT + 8 ? field(bytes + FADT_X_DSDT, 8) : 0;
    if (h->length < FADT_PM1A_CNT + 4)
        return;
    s->pm1a_cnt = (u16)field(bytes + FADT_PM1A_CNT, 4);
    dsdt = table(x_dsdt ? x_dsdt : field(bytes + FADT_DSDT, 4));
    if (dsdt && is(dsdt, "DSDT"))
        s5_find(s, dsdt);
}

/* ---- RSDP, RSDT, XSDT --------------------------------------------------------------------------------------------------------- */

static bool is_rsdp(const u8 *bytes)
{
    return !memcmp(bytes, "RSD PTR ", 8) && sums_to_zero(bytes, RSDP1_BYTES);
}

static const u8 *rsdp_search(void)
{
    const u8 *area = physical(BIOS_START, BIOS_BYTES);
    for (u32 at = 0; area && at + RSDP2_BYTES <= BIOS_BYTES; at += 16)
        if (is_rsdp(area + at))
            return area + at;
    return NULL;
}

static void root_parse(struct setup *s, const struct header *root, u32 entry)
{
    for (u32 at = sizeof(*root); at + entry <= root->length; at += entry) {
        const struct header *h = table(field((const u8 *)root + at, entry));
        if (h && is(h, "APIC"))
            madt_parse(h);
        else if (h && is(h, "FACP"))
            fadt_parse(s, h);
    }
}

/* The RSDP is the boot loader's, or searched for in the BIOS area (also when that is none). */
void acpi_parse(struct setup *s)
{
    const struct header *root = NULL;
    const u8 *rsdp = s->has_rsdp && is_rsdp(s->rsdp) ? s->rsdp : rsdp_search();
    bool xsdt;
    s->slp_typ_s5 = 0xffff;
    plan.lapic = LAPIC_DEFAULT;
    for (u32 i = 0; i < ARRAY_SIZE(plan.irq); i++)
        plan.irq[i].gsi = i;
    xsdt = rsdp && rsdp[15] >= 2 && field(rsdp + 24, 8) && sums_to_zero(rsdp, RSDP2_BYTES);
    if (rsdp)
        root = table(xsdt ? field(rsdp + 24, 8) : field(rsdp + 16, 4));
    if (root && is(root, xsdt ? "XSDT" : "RSDT"))
        root_parse(s, root, xsdt ? 8 : 4);
    if (!plan.cpu_count) {
        plan.no_madt = 1;
        plan.cpu_count = 1;
        plan.cpu_apic_id[0] = cpuid(1, 0).ebx >> 24;
    }
}
