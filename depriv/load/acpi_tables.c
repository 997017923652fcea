/* The guest's ACPI tables: RSDP, RSDT, XSDT, FADT, FACS and DSDT in [BOOT_ACPI, 1 MiB). */
#include "depriv/load/acpi_tables.h"

#include "devices/acpipm.h"

/* The build compiles dsdt.asl to an array of bytes named dsdt_aml_code, header and checksum included. */
static const
#include "dsdt.hex"

#define ACPI_OEM_ID        "RUNG  "
#define ACPI_TABLE_ID      "RUNGHVM "
#define ACPI_CREATOR       "RUNG"
#define ACPI_ALIGN         64u    /* the FACS asks for it (ACPI 6.4 5.2.10) */

#define RSDP_CHECKSUM      8u     /* of the first 20 bytes */
#define RSDP_LEGACY_BYTES  20u
#define RSDP_BYTES         36u
#define RSDP_FULL_CHECKSUM 32u
#define HEADER_CHECKSUM    9u
#define FADT_REVISION      5u
#define FADT_BYTES         268u
#define FACS_BYTES         64u

/* FADT 5.2.9: IAPC_BOOT_ARCH and flags. */
#define IAPC_LEGACY        0x0001u /* there are devices on the ISA bus */
#define IAPC_8042          0x0002u
#define IAPC_NO_VGA        0x0004u
#define FADT_WBINVD        0x00000001u
#define FADT_PROC_C1       0x00000004u
#define FADT_NO_PWR_BUTTON 0x00000010u /* no fixed one */
#define FADT_NO_SLP_BUTTON 0x00000020u
#define FADT_NO_FIX_RTC    0x00000040u
#define FADT_TMR_VAL_EXT   0x00000100u
#define FADT_RESET_REG     0x00000400u
#define FADT_LATENCY_NO_C2 101u
#define FADT_LATENCY_NO_C3 1001u
#define CMOS_CENTURY       0x32u

/* Generic address structure of an I/O register (5.2.3.2): space, bit width, bit offset, access size; then the port. */
#define GAS_IO(bytes, access) (1u | (bytes) * 8u << 8 | (uint32_t)(access) << 24)
enum { GAS_BYTE = 1, GAS_WORD = 2, GAS_DWORD = 3 };

struct acpi_header {
    char signature[4];      /* 0x00 */
    uint32_t length;        /* 0x04 */
    uint8_t revision;       /* 0x08 */
    uint8_t checksum;       /* 0x09 */
    char oem_id[6];         /* 0x0a */
    char oem_table_id[8];   /* 0x10 */
    uint32_t oem_revision;  /* 0x18 */
    char creator[4];        /* 0x1c */
    uint32_t creator_revision; /* 0x20 */
};
_Static_assert(sizeof(struct acpi_header) == 36, "acpi_header has holes");

struct acpi_rsdp {
    char signature[8];      /* 0x00 */
    uint8_t checksum;       /* 0x08 */
    char oem_id[6];         /* 0x09 */
    uint8_t revision;       /* 0x0f */
    uint32_t rsdt;          /* 0x10 */
    uint32_t length;        /* 0x14 */
    uint64_t xsdt;          /* 0x18 */
    uint8_t full_checksum;  /* 0x20 */
    uint8_t reserved[3];    /* 0x21 */
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_rsdp) == RSDP_BYTES, "acpi_rsdp");

/* What the FADT says, apart from the addresses of FACS and DSDT: all other fields are 0. SMI_CMD is 0, so the machine
 * is in ACPI mode from the start (5.2.9). */
struct fadt_field {
    uint16_t offset;
    uint8_t bytes;
    uint32_t value;
};

enum { FADT_FACS = 36, FADT_DSDT = 40, FADT_X_DSDT = 140 };

static const struct fadt_field fadt_fields[] = {
    {  46, 2, ACPIPM_SCI },                                     /* SCI_INT */
    {  56, 4, ACPIPM_EVENT_PORT },                              /* PM1a_EVT_BLK */
    {  64, 4, ACPIPM_CONTROL_PORT },                            /* PM1a_CNT_BLK */
    {  76, 4, ACPIPM_TIMER_PORT },                              /* PM_TMR_BLK */
    {  88, 1, ACPIPM_EVENT_BYTES },                             /* PM1_EVT_LEN */
    {  89, 1, ACPIPM_CONTROL_BYTES },                           /* PM1_CNT_LEN */
    {  91, 1, ACPIPM_TIMER_BYTES },                             /* PM_TMR_LEN */
    {  96, 2, FADT_LATENCY_NO_C2 },                             /* P_LVL2_LAT */
    {  98, 2, FADT_LATENCY_NO_C3 },                             /* P_LVL3_LAT */
    { 108, 1, CMOS_CENTURY },                                   /* CENTURY */
    { 109, 2, IAPC_LEGACY | IAPC_8042 | IAPC_NO_VGA },          /* IAPC_BOOT_ARCH */
    { 112, 4, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BUTTON | FADT_NO_SLP_BUTTON | FADT_NO_FIX_RTC |
              FADT_TMR_VAL_EXT | FADT_RESET_REG },              /* flags */
    { 116, 4, GAS_IO(1, GAS_BYTE) },                            /* RESET_REG */
    { 120, 4, ACPIPM_RESET_PORT },
    { 128, 1, ACPIPM_RESET_VALUE },                             /* RESET_VALUE */
    { 148, 4, GAS_IO(ACPIPM_EVENT_BYTES, GAS_WORD) },           /* X_PM1a_EVT_BLK */
    { 152, 4, ACPIPM_EVENT_PORT },
    { 172, 4, GAS_IO(ACPIPM_CONTROL_BYTES, GAS_WORD) },         /* X_PM1a_CNT_BLK */
    { 176, 4, ACPIPM_CONTROL_PORT },
    { 208, 4, GAS_IO(ACPIPM_TIMER_BYTES, GAS_DWORD) },          /* X_PM_TMR_BLK */
    { 212, 4, ACPIPM_TIMER_PORT },
};

#define ACPI_BYTES         (ACPI_ALIGN * 8 + FADT_BYTES + FACS_BYTES + sizeof(dsdt_aml_code))

/* The tables in the order of their places; the RSDP is first. */
struct acpi_layout {
    uint8_t bytes[ACPI_BYTES]; /* of BOOT_ACPI on */
    uint32_t used;
    uint32_t rsdt, xsdt, fadt, facs, dsdt; /* guest-physical */
};

_Static_assert(ACPI_BYTES < BOOT_MIB - BOOT_ACPI, "the ACPI area is too small");

static uint8_t *table_bytes(struct acpi_layout *a, uint32_t gpa)
{
    return a->bytes + (gpa - BOOT_ACPI);
}

static uint32_t place_table(struct acpi_layout *a, uint32_t bytes)
{
    uint32_t gpa = (uint32_t)BOOT_ACPI + a->used;

    a->used = (a->used + bytes + ACPI_ALIGN - 1) & ~(ACPI_ALIGN - 1);
    return gpa;
}

/* The byte that makes the sum of all bytes 0 modulo 256. */
static uint8_t checksum(const uint8_t *bytes, uint32_t len)
{
    uint8_t sum = 0;

    while (len--)
        sum += *bytes++;
    return (uint8_t)-sum;
}

static void finish_table(uint8_t *table, const char *signature, uint32_t len, uint8_t revision)
{
    struct acpi_header h = { .length = len, .revision = revision, .oem_revision = 1, .creator_revision = 1 };

    __builtin_memcpy(h.signature, signature, sizeof(h.signature));
    __builtin_memcpy(h.oem_id, ACPI_OEM_ID, sizeof(h.oem_id));
    __builtin_memcpy(h.oem_table_id, ACPI_TABLE_ID, sizeof(h.oem_table_id));
    __builtin_memcpy(h.creator, ACPI_CREATOR, sizeof(h.creator));
    __builtin_memcpy(table, &h, sizeof(h));
    table[HEADER_CHECKSUM] = checksum(table, len);
}

static void write_fadt(struct acpi_layout *a)
{
    uint8_t *fadt = table_bytes(a, a->fadt);

    for (unsigned i = 0; i < sizeof(fadt_fields) / sizeof(fadt_fields[0]); i++)
        __builtin_memcpy(fadt + fadt_fields[i].offset, &fadt_fields[i].value, fadt_fields[i].bytes);
    __builtin_memcpy(fadt + FADT_FACS, &a->facs, sizeof(a->facs));
    __builtin_memcpy(fadt + FADT_DSDT, &a->dsdt, sizeof(a->dsdt));
    __builtin_memcpy(fadt + FADT_X_DSDT, &a->dsdt, sizeof(a->dsdt));
    finish_table(fadt, "FACP", FADT_BYTES, FADT_REVISION);
}

/* The FACS has no checksum, and its fields after the length may all be 0 but the version (5.2.10). */
static void write_facs(struct acpi_layout *a)
{
    uint8_t *facs = table_bytes(a, a->facs);
    enum { FACS_LENGTH = 4, FACS_VERSION = 32 };

    __builtin_memcpy(facs, "FACS", 4);
    facs[FACS_LENGTH] = FACS_BYTES;
    facs[FACS_VERSION] = 2;
}

static void write_roots(struct acpi_layout *a, uint32_t rsdp)
{
    uint8_t *rsdt = table_bytes(a, a->rsdt), *xsdt = table_bytes(a, a->xsdt), *bytes = table_bytes(a, rsdp);
    uint64_t fadt = a->fadt;
    struct acpi_rsdp r = { .revision = 2, .rsdt = a->rsdt, .length = RSDP_BYTES, .xsdt = a->xsdt };

    __builtin_memcpy(rsdt + sizeof(struct acpi_header), &a->fadt, sizeof(a->fadt));
    finish_table(rsdt, "RSDT", sizeof(struct acpi_header) + sizeof(a->fadt), 1);
    __builtin_memcpy(xsdt + sizeof(struct acpi_header), &fadt, sizeof(fadt));
    finish_table(xsdt, "XSDT", sizeof(struct acpi_header) + sizeof(fadt), 1);

    __builtin_memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
    __builtin_memcpy(r.oem_id, ACPI_OEM_ID, sizeof(r.oem_id));
    __builtin_memcpy(bytes, &r, sizeof(r));
    bytes[RSDP_CHECKSUM] = checksum(bytes, RSDP_LEGACY_BYTES);
    bytes[RSDP_FULL_CHECKSUM] = checksum(bytes, RSDP_BYTES);
}

enum abi_status acpi_build(struct boot *b)
{
    struct acpi_layout a = { .used = 0 };
    uint32_t rsdp;

    if (guestmem_set(b->mem, BOOT_ACPI, 0, BOOT_MIB - BOOT_ACPI, ABI_FOR_LOAD))
        return boot_refuse(b, "ram_low: no RAM for the ACPI tables at 0x%llx", BOOT_ACPI);
    rsdp = place_table(&a, RSDP_BYTES);
    a.rsdt = place_table(&a, sizeof(struct acpi_header) + sizeof(uint32_t));
    a.xsdt = place_table(&a, sizeof(struct acpi_header) + sizeof(uint64_t));
    a.fadt = place_table(&a, FADT_BYTES);
    a.facs = place_table(&a, FACS_BYTES);
    a.dsdt = place_table(&a, sizeof(dsdt_aml_code));
    __builtin_memcpy(table_bytes(&a, a.dsdt), dsdt_aml_code, sizeof(dsdt_aml_code));
    write_fadt(&a);
    write_facs(&a);
    write_roots(&a, rsdp);
    guestmem_write(b->mem, BOOT_ACPI, a.bytes, a.used, ABI_FOR_LOAD);
    b->rsdp = rsdp;
    return ABI_OK;
}
