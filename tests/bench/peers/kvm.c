/* First process of a Linux that serves as peer: runs Rung's measuring guest on KVM, over the raw API, and prints what the guest prints.
 *
 * Two runs: the devices in this process (KVM_EXIT_IO, KVM_EXIT_MMIO), then the port and the MMIO word that are written given to ioeventfds,
 * so that the write ends in the kernel. PIC and PIT are KVM's own; COM1 is here, as much of it as the guest touches. */
#include "guest.h"

#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define TSS_ADDRESS 0xfffbd000u   /* three pages that Intel's CPUs without unrestricted guest need */

static int vm, vcpu;
static struct kvm_run *run;

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
    fill_ram();
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
    s.cr0 = CR0_START;
    s.cr4 = CR4_START;
    s.cr3 = TABLES;
    s.efer = EFER_START;
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

void com1_line(unsigned level)
{
    struct kvm_irq_level line = { .irq = IRQ_COM1, .level = level };
    must(ioctl(vm, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
}

static int serve_port(void)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
        unsigned value = read_port(run->io.port);
        if (run->io.direction == KVM_EXIT_IO_IN) {
            memcpy(data, &value, run->io.size);
            continue;
        }
        value = 0;
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
    serve();
    report(device);
    close(vcpu);
    close(vm);
}

int main(void)
{
    int kvm;
    begin();
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
