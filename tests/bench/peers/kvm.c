/* First process of a Linux that serves as peer: runs Rung's measuring guest on KVM, over the raw API, and prints what the guest prints.
 *
 * Two runs: the devices in this process (KVM_EXIT_IO, KVM_EXIT_MMIO), then the port and the MMIO word that are written given to ioeventfds,
 * so that the write ends in the kernel. PIC and PIT are KVM's own; COM1 is here, as much of it as the guest touches. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAM         (16u << 20)
#define LOAD        0x100000u
#define TABLES      0x1000u       /* page tables: 4 GiB as they are, in pages of 2 MiB */
#define TSS_ADDRESS 0xfffbd000u   /* three pages that Intel's CPUs without unrestricted guest need */
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

static uint8_t *ram;
static int vm, vcpu;
static struct kvm_run *run;
static char console[1 << 20];
static unsigned console_used;

static void end(void)
{
    fflush(stdout);
    usleep(100000);
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

static void make_tables(void)
{
    uint64_t *pml4 = (uint64_t *)(ram + TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512;
    pml4[0] = (TABLES + 0x1000) | 3;
    for (uint64_t i = 0; i < 4; i++)
        pdpt[i] = (TABLES + 0x2000 + i * 0x1000) | 3;
    for (uint64_t i = 0; i < 2048; i++)
        pd[i] = i << 21 | 0x83;
}

static void load(const char *path)
{
    int fd = open(path, O_RDONLY);
    must(fd, path);
    must(read(fd, ram + LOAD, RAM - LOAD), path);
    close(fd);
}

static void make_vm(int kvm)
{
    struct kvm_userspace_memory_region region = { .memory_size = RAM };
    struct kvm_pit_config pit = { 0 };
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    must(vm, "KVM_CREATE_VM");
    ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
    must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    must(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    region.userspace_addr = (uintptr_t)ram;
    must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    make_tables();
    load("/bench.bin");
}

static void set_cpuid(int kvm)
{
    enum { ENTRIES = 128 };
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + ENTRIES * sizeof(c->entries[0]));
    c->nent = ENTRIES;
    must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), "KVM_GET_SUPPORTED_CPUID");
    must(ioctl(vcpu, KVM_SET_CPUID2, c), "KVM_SET_CPUID2");
    free(c);
}

static void make_vcpu(int kvm)
{
    struct kvm_segment code = { .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
    struct kvm_segment data = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
    struct kvm_regs regs = { .rip = LOAD, .rflags = 2 };
    struct kvm_sregs s;
    long size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    must(vcpu, "KVM_CREATE_VCPU");
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    set_cpuid(kvm);
    must(ioctl(vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
    s.cr0 = 0x80000031;                 /* PG, NE, ET, PE */
    s.cr4 = 0x20;                       /* PAE */
    s.cr3 = TABLES;
    s.efer = 0x500;                     /* LMA, LME */
    s.cs = code;
    s.ds = s.es = s.ss = s.fs = s.gs = data;
    must(ioctl(vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
    must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void give_to_kernel(void)
{
    struct kvm_ioeventfd port = { .addr = DUMMY, .len = 1, .fd = eventfd(0, 0), .flags = KVM_IOEVENTFD_FLAG_PIO };
    struct kvm_ioeventfd word = { .addr = NOWHERE, .len = 4, .fd = eventfd(0, 0) };
    must(ioctl(vm, KVM_IOEVENTFD, &port), "KVM_IOEVENTFD, port");
    must(ioctl(vm, KVM_IOEVENTFD, &word), "KVM_IOEVENTFD, MMIO");
}

static void com1_line(unsigned level)
{
    struct kvm_irq_level line = { .irq = IRQ_COM1, .level = level };
    must(ioctl(vm, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
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

static int serve_port(void)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
        unsigned value = 0;
        if (run->io.direction == KVM_EXIT_IO_IN) {
            memset(data, run->io.port == COM1_LSR ? LSR_EMPTY : 0xff, run->io.size);
            continue;
        }
        memcpy(&value, data, run->io.size);
        if (!write_port(run->io.port, value))
            return 0;
    }
    return 1;
}

static void serve(void)
{
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, 0) && errno != EINTR)
            must(-1, "KVM_RUN");
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            if (!serve_port())
                return;
            break;
        case KVM_EXIT_MMIO:
            if (!run->mmio.is_write)
                memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
            break;
        case KVM_EXIT_INTR:
            break;
        default:
            printf("PEER failed: exit %u\n", run->exit_reason);
            end();
        }
    }
}

static void measure(int kvm, const char *device, int in_kernel)
{
    make_vm(kvm);
    make_vcpu(kvm);
    if (in_kernel)
        give_to_kernel();
    console_used = 0;
    serve();
    printf("PEER device=%s\n%.*sPEER end\n", device, (int)console_used, console);
    fflush(stdout);
    close(vcpu);
    close(vm);
}

int main(void)
{
    int kvm, tty;
    mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    tty = open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(tty, fd);
    module("/irqbypass.ko");
    module("/kvm.ko");
    module("/kvm-amd.ko");
    module("/kvm-intel.ko");
    kvm = open("/dev/kvm", O_RDWR);
    must(kvm, "/dev/kvm");
    measure(kvm, "process", 0);
    measure(kvm, "kernel", 1);
    end();
}
