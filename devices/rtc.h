/* The MC146818 real-time clock with 128 bytes of CMOS memory (Motorola MC146818A; century at 32h as PCs have it). */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include <stdbool.h>
#include <stdint.h>

struct platform;
struct platform_config;

#define RTC_HZ     32768u
#define CMOS_BYTES 128u

/* Times are ticks of RTC_HZ since platform_init(). */
struct rtc {
    uint8_t cmos[CMOS_BYTES]; /* the date, too: the guest may write any byte at any time, as in the chip */
    uint64_t second;          /* the tick at which this second began */
    uint64_t divider;         /* the tick at which the divider chain began */
    uint64_t seen;            /* the tick that the flags are up to date with */
    uint64_t deadline;        /* TSC of the next interrupt, or ABI_TIMER_NEVER */
    uint8_t index;
    bool nmi_masked;          /* port 70h bit 7 */
};

void rtc_init(struct platform *p, const struct platform_config *config, uint64_t now);
uint8_t rtc_read(struct platform *p, unsigned a0);
void rtc_write(struct platform *p, unsigned a0, uint8_t value);
void rtc_sync(struct platform *p, uint64_t now);

#endif
