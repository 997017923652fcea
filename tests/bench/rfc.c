/* The RFC's measurement from Linux's user space (S3-7, S3-8): port writes by OUT after ioperm, each between two RDTSC. Static, without a C library.
 * Prints what the measuring guests print (measure.inc); the samples are in the order of time, equal neighbours counted together. */
#define SYS_WRITE  1
#define SYS_IOPERM 173
#define SYS_EXIT   60
#define PORT       0x80
#define WRITES     100000u
#define LINE_END   200u /* bytes of the buffer that one value may still need */

static unsigned samples[WRITES];
static char text[1 << 16];
static unsigned used;

static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void flush(void)
{
    unsigned done = 0;
    while (done < used) {
        long n = call(SYS_WRITE, 1, (long)(text + done), (long)(used - done));
        if (n <= 0)
            call(SYS_EXIT, 1, 0, 0);
        done += (unsigned)n;
    }
    used = 0;
}

static void put(const char *s)
{
    while (*s)
        text[used++] = *s++;
    if (used > sizeof(text) - LINE_END)
        flush();
}

static void put_number(unsigned long n)
{
    char digits[24], *d = digits + sizeof(digits) - 1;
    *d = 0;
    do {
        *--d = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    put(d);
}

static inline unsigned long stamp(void)
{
    unsigned a, d;
    __asm__ volatile("rdtsc" : "=a"(a), "=d"(d) : : "memory");
    return (unsigned long)d << 32 | a;
}

static void report(const char *name)
{
    put("BENCH name=");
    put(name);
    put(" n=");
    put_number(WRITES);
    put(" bytes=1 samples=");
    for (unsigned i = 0, from; i < WRITES; ) {
        for (from = i; i < WRITES && samples[i] == samples[from]; i++)
            ;
        put_number(samples[from]);
        put(":");
        put_number(i - from);
        put(" ");
    }
    put("\n");
    flush();
}

/* Time of the whole loop for one write, as the RFC took it. */
static void report_rate(const char *name, unsigned long ticks)
{
    put("BENCH name=");
    put(name);
    put(" n=1 bytes=1 samples=");
    put_number(ticks / WRITES);
    put(":1 \n");
    flush();
}

void _start(void)
{
    unsigned long before, begin;
    if (call(SYS_IOPERM, PORT, 1, 1))
        call(SYS_EXIT, 1, 0, 0);
    for (unsigned i = 0; i < WRITES; i++) {
        before = stamp();
        samples[i] = (unsigned)(stamp() - before);
    }
    report("linux_empty");
    for (unsigned i = 0; i < WRITES; i++) {
        before = stamp();
        __asm__ volatile("outb %b0, %w1" : : "a"(0), "Nd"(PORT));
        samples[i] = (unsigned)(stamp() - before);
    }
    report("linux_out");
    begin = stamp();
    for (unsigned i = 0; i < WRITES; i++)
        __asm__ volatile("" : : : "memory");
    report_rate("linux_loop_empty", stamp() - begin);
    begin = stamp();
    for (unsigned i = 0; i < WRITES; i++)
        __asm__ volatile("outb %b0, %w1" : : "a"(0), "Nd"(PORT));
    report_rate("linux_loop", stamp() - begin);
    call(SYS_EXIT, 0, 0, 0);
}
