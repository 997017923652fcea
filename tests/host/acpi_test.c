/* The firmware's ACPI tables: right ones are read whole; a wrong signature, length, checksum or address costs its table
 * alone. Each table lies in memory of exactly its size, so that a read beyond it is seen.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -DSETUP_HOST -o acpi_test \
 *     tests/host/acpi_test.c depriv/setup/acpi.c -lcmocka
 */
// sources: -DSETUP_HOST depriv/setup/acpi.c
#include "tests/host/boot_stub.h"

#define PIECES_MAX 16u
enum { RSDT = 0x1000, XSDT = 0x2000, MADT = 0x3000, FADT = 0x4000, DSDT = 0x5000, XDSDT = 0x6000, OTHER = 0x7000, BIOS = 0xe0000 };
#define BIOS_BYTES 0x20000u

static struct { u64 pa; u8 *bytes; u32 size; } pieces[PIECES_MAX];
static u32 piece_count;
static struct setup boot;
#define rsdp boot.rsdp
static u8 table[4096];         /* under construction */
static u32 size;

/* Memory that is not there cannot be mapped; a length that the piece has not is a piece that the caller must not touch. */
const u8 *physical(u64 pa, u64 bytes)
{
    for (u32 i = 0; i < piece_count; i++)
        if (pieces[i].pa == pa)
            return bytes <= pieces[i].size ? pieces[i].bytes : NULL;
    return NULL;
}

static u8 *piece_add(u64 pa, const void *bytes, u32 n)
{
    assert_true(piece_count < PIECES_MAX);
    pieces[piece_count].pa = pa;
    pieces[piece_count].size = n;
    pieces[piece_count].bytes = malloc(n);
    memcpy(pieces[piece_count].bytes, bytes, n);
    return pieces[piece_count++].bytes;
}

static u8 *piece_at(u64 pa, u32 *n)
{
    for (u32 i = 0; i < piece_count; i++) {
        if (pieces[i].pa == pa) {
            *n = pieces[i].size;
            return pieces[i].bytes;
        }
    }
    fail();
    return NULL;
}

static void put(u8 *at, u64 v, u32 n) { memcpy(at, &v, n); }

static void make_sum(u8 *bytes, u32 n, u32 at)
{
    u8 sum = 0;

    bytes[at] = 0;
    for (u32 i = 0; i < n; i++)
        sum = (u8)(sum + bytes[i]);
    bytes[at] = (u8)-sum;
}

static void begin(const char *signature, u32 fixed)
{
    memset(table, 0, sizeof(table));
    memcpy(table, signature, 4);
    size = fixed;
}

static void add(const u8 *bytes, u32 n)
{
    memcpy(table + size, bytes, n);
    size += n;
}

static void finish(u64 pa)
{
    put(table + 4, size, 4);
    make_sum(table, size, 9);
    piece_add(pa, table, size);
}

static void make_rsdp(void)
{
    memset(rsdp, 0, sizeof(rsdp));
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put(rsdp + 16, RSDT, 4);
    put(rsdp + 20, 36, 4);
    put(rsdp + 24, XSDT, 8);
    make_sum(rsdp, 20, 8);
    make_sum(rsdp, 36, 32);
}

static void make_madt(void)
{
    static const u8 entries[] = {
        0, 8, 0, 4, 1, 0, 0, 0,                                       /* CPU 4 */
        0, 8, 1, 5, 0, 0, 0, 0,                                       /* not enabled */
        9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,              /* x2APIC 256 */
        9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,              /* CPU 4 again */
        1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0,
        2, 10, 0, 0, 2, 0, 0, 0, 0x0d, 0,                             /* IRQ 0 is GSI 2 */
        2, 10, 0, 16, 3, 0, 0, 0, 0, 0,                               /* no such ISA IRQ */
        127, 4, 0, 0,                                                 /* unknown */
    };

    begin("APIC", 44);
    put(table + 36, 0xfee01000, 4);
    add(entries, sizeof(entries));
    finish(MADT);
}

static void make_dsdt(u64 pa, u8 slp_typ)
{
    const u8 aml[] = { 8, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, slp_typ, 0, 0, 0, 0, 0 };

    begin("DSDT", 36);
    add(aml, sizeof(aml));
    finish(pa);
}

static void make_fadt(u32 bytes, u64 x_dsdt)
{
    begin("FACP", bytes);
    put(table + 40, DSDT, 4);
    put(table + 64, 0x604, 4);
    if (bytes >= 148)
        put(table + 140, x_dsdt, 8);
    finish(FADT);
}

static void make_root(const char *signature, u64 pa, u32 entry)
{
    static const u64 list[] = { OTHER, 0, 0x99000, FADT, MADT };

    begin(signature, 36);
    for (u32 i = 0; i < ARRAY_SIZE(list); i++, size += entry)
        put(table + size, list[i], entry);
    finish(pa);
}

static void make_none(void)
{
    while (piece_count)
        free(pieces[--piece_count].bytes);
}

static void make_all(void)
{
    make_none();
    make_rsdp();
    make_madt();
    make_dsdt(DSDT, 5);
    make_fadt(116, 0);
    make_root("RSDT", RSDT, 4);
    make_root("XSDT", XSDT, 8);
    begin("HPET", 40);
    finish(OTHER);
}

static void parse(bool has_rsdp)
{
    memset(&plan, 0, sizeof(plan));
    boot.has_rsdp = has_rsdp;
    boot.pm1a_cnt = 0;
    acpi_parse(&boot);
}

static void expect_madt(bool found)
{
    assert_int_equal(plan.cpu_count, found ? 2 : 1);
    assert_int_equal(plan.ioapics, found);
    assert_int_equal(plan.lapic, found ? 0xfee01000 : 0xfee00000);
    assert_int_equal(plan.no_madt, !found);
}

static void test_good(void **state)
{
    (void)state;
    make_all();
    parse(true);
    expect_madt(true);
    assert_int_equal(plan.cpu_apic_id[0], 4);
    assert_int_equal(plan.cpu_apic_id[1], 256);
    assert_int_equal(plan.ioapic[0].address, 0xfec00000);
    assert_int_equal(plan.ioapic[0].gsi, 24);
        assert_int_equal(plan.irq[0].gsi, 2);
    assert_int_equal(plan.irq[0].flags, 0x0d);
    assert_int_equal(plan.irq[1].gsi, 1);
    assert_int_equal(plan.irq[15].gsi, 15);
    assert_int_equal(boot.pm1a_cnt, 0x604);
    assert_int_equal(boot.slp_typ_s5, 5);
}

/* Which of the two root tables is taken; both lead to the MADT unless one is damaged. */
static void test_rsdp(void **state)
{
    u32 n;

    (void)state;
    make_all();
    piece_at(RSDT, &n)[10] ^= 1; /* must not be needed */
    parse(true);
    expect_madt(true);
    make_all();
    piece_at(XSDT, &n)[10] ^= 1;
    parse(true);
    expect_madt(false);
    make_all();
    piece_at(XSDT, &n)[10] ^= 1;
    rsdp[15] = 0; /* ACPI 1.0 */
    make_sum(rsdp, 20, 8);
    parse(true);
    expect_madt(true);
    make_all();
    piece_at(XSDT, &n)[10] ^= 1;
    rsdp[33] ^= 1; /* the extended checksum is wrong: what it covers does not count */
    parse(true);
    expect_madt(true);
    make_all();
    rsdp[9] ^= 1; /* the checksum is wrong, and the BIOS area is not there */
    parse(true);
    expect_madt(false);
    make_all();
    rsdp[0] = 'r';
    make_sum(rsdp, 20, 8);
    parse(true);
    expect_madt(false);
    make_all();
    parse(false);
    expect_madt(false);
}

static void test_search(void **state)
{
    static u8 area[BIOS_BYTES];
    static const struct { u32 at; bool found; } rows[] = {
        { 0, true }, { 16, true }, { BIOS_BYTES - 48, true }, { 8, false }, { BIOS_BYTES - 16, false }, { BIOS_BYTES - 32, false } };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        make_all();
        memset(area, 0, sizeof(area));
        memcpy(area + 256, "RSD PTR not one", 15);
        memcpy(area + rows[i].at, rsdp, BIOS_BYTES - rows[i].at < 36 ? BIOS_BYTES - rows[i].at : 36);
        piece_add(BIOS, area, sizeof(area));
        parse(false);
        expect_madt(rows[i].found);
    }
}

/* A root of the wrong signature, checksum or length leads nowhere. */
static void test_root(void **state)
{
    static const u32 lengths[] = { 0, 35, 1024 * 1024 + 1, 0xffffffff, 100000 };
    u32 n;
    u8 *x;

    (void)state;
    make_all();
    x = piece_at(XSDT, &n);
    x[0] = 'Y';
    make_sum(x, n, 9);
    parse(true);
    expect_madt(false);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        make_all();
        put(piece_at(XSDT, &n) + 4, lengths[i], 4);
        parse(true);
        expect_madt(false);
    }
    make_all();
    x = piece_at(XSDT, &n);
    for (u32 k = 36; k < n; k++) { /* its last entry, the MADT, cut off at each byte */
        put(x + 4, k, 4);
        make_sum(x, k, 9);
            parse(true);
        expect_madt(false);
    }
}

static void test_madt(void **state)
{
    static const u32 lengths[] = { 0, 8, 35, 1024 * 1024 + 1, 0xffffffff };
    u32 n;
    u8 *m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        make_all();
        put(piece_at(MADT, &n) + 4, lengths[i], 4);
        parse(true);
        expect_madt(false);
        assert_int_equal(boot.pm1a_cnt, 0x604); /* the others count */
    }
    make_all();
    m = piece_at(MADT, &n);
    m[n - 1] ^= 1;
    parse(true);
    expect_madt(false);
    for (u32 k = 36; k <= n; k++) { /* cut at each byte */
        make_none();
        make_rsdp();
        make_root("XSDT", XSDT, 8);
        make_madt();
        m = piece_at(MADT, &n);
        memcpy(table, m, n);
        piece_count--;
        free(m);
        size = k;
        finish(MADT);
        parse(true);
        assert_int_equal(plan.ioapics, k >= 44 + 60);
        assert_int_equal(plan.irq[0].gsi, k >= 44 + 70 ? 2 : 0);
        assert_int_equal(plan.cpu_count, k >= 44 + 32 ? 2 : 1);
    }
}

/* An entry of every type at every length: none may be read beyond its end, and none may stop the walk from ending. */
static void test_madt_entries(void **state)
{
    (void)state;
    for (u32 type = 0; type < 256; type++) {
        for (u32 length = 0; length < 20; length++) {
            u8 entry[20] = { (u8)type, (u8)length, [4] = 1 };

            make_none();
            make_rsdp();
            make_root("XSDT", XSDT, 8);
            begin("APIC", 44);
            put(table + 36, 0xfee00000, 4);
            add(entry, length < 2 ? 2 : length);
            finish(MADT);
            parse(true);
            assert_int_equal(plan.ioapics, type == 1 && length >= 12);
            assert_int_equal(plan.cpu_count, 1);
            assert_int_equal(plan.irq[0].gsi, type == 2 && length >= 10);
        }
    }
}

static void test_madt_limits(void **state)
{
    (void)state;
    make_none();
    make_rsdp();
    make_root("XSDT", XSDT, 8);
    begin("APIC", 44);
    for (u32 i = 0; i < 100; i++) {
        const u8 cpu[8] = { 0, 8, (u8)i, (u8)i, 1 }, ioapic[12] = { 1, 12, (u8)i, 0, 0, 0, 0xc0, 0xfe, (u8)i };

        add(cpu, sizeof(cpu));
        add(ioapic, sizeof(ioapic));
    }
    finish(MADT);
    parse(true);
    assert_int_equal(plan.cpu_count, ABI_CPUS_MAX);
    assert_int_equal(plan.ioapics, ARRAY_SIZE(plan.ioapic));
    assert_int_equal(plan.cpu_apic_id[ABI_CPUS_MAX - 1], ABI_CPUS_MAX - 1);
}

static void run_fadt(u32 bytes, u64 x_dsdt)
{
    make_none();
    make_rsdp();
    make_root("XSDT", XSDT, 8);
    make_dsdt(DSDT, 5);
    make_dsdt(XDSDT, 6);
    make_fadt(bytes, x_dsdt);
    parse(true);
}

static void test_fadt(void **state)
{
    (void)state;
    for (u32 bytes = 36; bytes < 160; bytes++) {
        make_none();
        make_rsdp();
        make_root("XSDT", XSDT, 8);
        make_dsdt(DSDT, 5);
        begin("FACP", bytes);
        if (bytes >= 44)
            put(table + 40, DSDT, 4);
        if (bytes >= 68)
            put(table + 64, 0x604, 4);
        finish(FADT);
        parse(true);
        assert_int_equal(boot.pm1a_cnt, bytes >= 68 ? 0x604 : 0);
        assert_int_equal(boot.slp_typ_s5, bytes >= 68 ? 5 : 0xffff);
    }
    run_fadt(148, XDSDT);
    assert_int_equal(boot.slp_typ_s5, 6);
    run_fadt(148, 0);
    assert_int_equal(boot.slp_typ_s5, 5);
    run_fadt(148, 0xffffffffffffffffull); /* nothing there */
    assert_int_equal(boot.slp_typ_s5, 0xffff);
    run_fadt(148, MADT);
    assert_int_equal(boot.slp_typ_s5, 0xffff);
    run_fadt(148, XSDT); /* a table, not a DSDT */
    assert_int_equal(boot.slp_typ_s5, 0xffff);
}

static void run_dsdt(const u8 *aml, u32 n)
{
    make_none();
    make_rsdp();
    make_root("XSDT", XSDT, 8);
    make_fadt(116, 0);
    begin("DSDT", 36);
    add(aml, n);
    finish(DSDT);
    parse(true);
}

static void test_s5(void **state)
{
    static const u8 one[] = { '_', 'S', '5', '_', 0x12, 6, 4, 0x01, 0, 0, 0, 0, 0, 0 };
    static const u8 wide[] = { '_', 'S', '5', '_', 0x12, 0x46, 0, 4, 0x0a, 7, 0, 0, 0, 0 };
    static const u8 second[] = { '_', 'S', '5', '_', 'x', '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 3, 0, 0, 0, 0, 0 };
    static const u8 large[] = { '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 0xfe, 0, 0, 0, 0, 0 };
    static const u8 longest[] = { '_', 'S', '5', '_', 0x12, 0xff, 1, 2, 3, 4, 0x0a, 2, 0, 0, 0, 0 };

    (void)state;
    run_dsdt(one, sizeof(one));
    assert_int_equal(boot.slp_typ_s5, 1);
    run_dsdt(wide, sizeof(wide));
    assert_int_equal(boot.slp_typ_s5, 7);
    run_dsdt(second, sizeof(second));
    assert_int_equal(boot.slp_typ_s5, 3);
    run_dsdt(large, sizeof(large));
    assert_int_equal(boot.slp_typ_s5, 6); /* three bits: the rest would reach SLP_EN and beyond */
    for (u32 n = 0; n < sizeof(longest); n++) /* cut off at each byte */
        run_dsdt(longest, n);
    run_dsdt(longest, sizeof(longest));
    assert_int_equal(boot.slp_typ_s5, 2);
}

/* Random damage, with the checksums made right again: never a read beyond a table. */
static void test_damage(void **state)
{
    static const u64 tables[] = { XSDT, MADT, FADT, DSDT };
    u32 seed = 1;

    (void)state;
    for (unsigned round = 0; round < 50000; round++) {
        u32 n;
        u8 *t;

        make_all();
        for (unsigned i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            t = piece_at(tables[seed >> 30], &n);
            t[8 + (seed >> 8) % (n - 8)] = (u8)(seed >> 20);
            make_sum(t, n, 9);
        }
        parse(true);
        assert_in_range(plan.cpu_count, 1, ABI_CPUS_MAX);
        assert_in_range(plan.ioapics, 0, ARRAY_SIZE(plan.ioapic));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_rsdp), cmocka_unit_test(test_search), cmocka_unit_test(test_root),
        cmocka_unit_test(test_madt), cmocka_unit_test(test_madt_entries), cmocka_unit_test(test_madt_limits), cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_s5), cmocka_unit_test(test_damage),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    make_none();
    return failed;
}
