/* The ACPI fixed registers: PM1a event and control block, PM timer (ACPI 6.4, 4.8.3). The table builder takes its constants here. */
#ifndef DEVICES_ACPIPM_H
#define DEVICES_ACPIPM_H

#include <stdint.h>

struct platform;

#define ACPIPM_EVENT_PORT    0x600u
#define ACPIPM_EVENT_BYTES   4u      /* status, enable */
#define ACPIPM_CONTROL_PORT  0x604u
#define ACPIPM_CONTROL_BYTES 2u
#define ACPIPM_TIMER_PORT    0x608u
#define ACPIPM_TIMER_BYTES   4u
#define ACPIPM_TIMER_BITS    32u     /* FADT flag TMR_VAL_EXT */
#define ACPIPM_TIMER_HZ      3579545u
#define ACPIPM_LAST_PORT     0x60bu
#define ACPIPM_SCI           9u      /* level, active high as the PIC sees it */
#define ACPIPM_SLP_TYP_S5    5u      /* both values of _S5 */
#define ACPIPM_RESET_PORT    0xcf9u  /* RESET_REG, system I/O, one byte */
#define ACPIPM_RESET_VALUE   0x06u

struct acpipm {
    uint64_t seen;      /* timer tick that the status is up to date with */
    uint64_t deadline;  /* TSC of the next SCI, or ABI_TIMER_NEVER */
    uint16_t status, enable, control;
};

void acpipm_init(struct platform *p, uint64_t now);
void acpipm_sync(struct platform *p, uint64_t now);

/* port in ACPIPM_EVENT_PORT..ACPIPM_LAST_PORT, size 1..4 within it */
uint32_t acpipm_read(struct platform *p, uint16_t port, unsigned size);
void acpipm_write(struct platform *p, uint16_t port, unsigned size, uint32_t value);

#endif
