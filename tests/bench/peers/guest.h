/* What the first processes of the peers share: the measuring guest's memory and devices, modules of the kernel, the end of the machine. */
#ifndef PEERS_GUEST_H
#define PEERS_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define RAM         (16u << 20)
#define LOAD        0x100000u
#define TABLES      0x1000u       /* page tables: 4 GiB as they are, in pages of 2 MiB */
#define CR0_START   0x80000031u   /* PG, NE, ET, PE */
#define CR4_START   0x20u         /* PAE */
#define EFER_START  0x500u        /* LMA, LME */
#define COM1        0x3f8u
#define COM1_IER    (COM1 + 1)
#define COM1_LSR    (COM1 + 5)
#define LSR_EMPTY   0x60
#define IER_THRE    2u
#define IRQ_COM1    4u
#define PM1A_CNT    0x604u
#define SLEEP       0x2000u
#define DUMMY       0x80u         /* the port and the word that bench.asm writes */
#define NOWHERE     0xd0000000u
#define BOCHS_END   0x8900        /* the word Shutdown ends Bochs */
#define SETTLE      5             /* seconds: 50 KB at 115200 baud */

static uint8_t *ram;
static char console[1 << 20];
static unsigned console_used;

void com1_line(unsigned level);   /* the process's own: the interrupt request of COM1 */

__attribute__((noreturn)) static void end(void)
{
    fflush(stdout);
    tcdrain(1);   /* else what Linux still holds is lost, */
    sleep(SETTLE); /* and what Xen holds */
    if (!iopl(3))
        for (const char *c = "Shutdown"; *c; c++)
            outb(*c, BOCHS_END);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static void must(long result, const char *what)
{
    if (result >= 0)
        return;
    printf("PEER failed: %s: %s\n", what, strerror(errno));
    end();
}

static void module(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    if (syscall(SYS_finit_module, fd, "", 0) && errno != EOPNOTSUPP)
        printf("PEER %s: %s\n", path, strerror(errno));
    close(fd);
}

static void begin(void)
{
    int tty;
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    tty = open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(tty, fd);
}

static void fill_ram(void)
{
    uint64_t *pml4 = (uint64_t *)(ram + TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512;
    int fd = open("/bench.bin", O_RDONLY);
    pml4[0] = (TABLES + 0x1000) | 3;
    for (uint64_t i = 0; i < 4; i++)
        pdpt[i] = (TABLES + 0x2000 + i * 0x1000) | 3;
    for (uint64_t i = 0; i < 2048; i++)
        pd[i] = i << 21 | 0x83;
    must(fd, "/bench.bin");
    must(read(fd, ram + LOAD, RAM - LOAD), "/bench.bin");
    close(fd);
}

static unsigned read_port(unsigned port)
{
    return port == COM1_LSR ? LSR_EMPTY : 0xffffffff;
}

/* False when the guest powers off. */
static int write_port(unsigned port, unsigned value)
{
    switch (port) {
    case COM1:
        if (console_used < sizeof(console))
            console[console_used++] = (char)value;
        return 1;
    case COM1_IER:
        com1_line(value & IER_THRE ? 1 : 0);
        return 1;
    case PM1A_CNT:
        return !(value & SLEEP);
    default:
        return 1;
    }
}

static void report(const char *device)
{
    printf("PEER device=%s\n%.*sPEER end\n", device, (int)console_used, console);
    fflush(stdout);
    console_used = 0;
}

#endif
