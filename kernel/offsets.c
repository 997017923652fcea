/* Offsets and sizes that assembly uses, taken from C: compiled to assembly and turned into build/offsets.inc. */
#include "depriv/gate.h"
#include "kernel/isolate.h"
#include "kernel/trap.h"

#define DEFINE(name, value) __asm__ volatile("\n==> %%define " #name " %c0" : : "i"((u64)(value)))

void offsets(void);
void offsets(void)
{
    DEFINE(THREAD_RSP, offsetof(struct thread, rsp));
    DEFINE(VCPU_FRAME, offsetof(struct vcpu, frame));
    DEFINE(VCPU_SAVED_RSP, offsetof(struct vcpu, saved_rsp));
    DEFINE(VCPU_USER_FRAME, offsetof(struct vcpu, user.frame));
    DEFINE(VCPU_USER_STACK, offsetof(struct vcpu, user.stack));
    DEFINE(VCPU_USER_ENTRY, offsetof(struct vcpu, user.entry));
    DEFINE(VCPU_USER_INFO, offsetof(struct vcpu, user.info));
    DEFINE(VCPU_STACK_TOP, offsetof(struct vcpu, stack_top));
    DEFINE(VCPU_COPY, offsetof(struct vcpu, stack_copy));
    DEFINE(VCPU_COPY_SIZE, sizeof(((struct vcpu *)0)->stack_copy));
    DEFINE(VCPU_COPY_RSP, offsetof(struct vcpu, stack_copy_rsp));
    DEFINE(FEATURES_VMX, offsetof(struct abi_cpu, vmx));
    DEFINE(VCPU_DOMID, offsetof(struct vcpu, domid));
    DEFINE(VCPU_CPU, offsetof(struct vcpu, thread.cpu));
    DEFINE(VCPU_VMCB_PA, offsetof(struct vcpu, vmcb_pa));
    DEFINE(VCPU_HOST_VMCB_PA, offsetof(struct vcpu, host_vmcb_pa));
    DEFINE(FRAME_STATUS, offsetof(struct abi_frame, status));
    DEFINE(DEPRIV_BAD_STATUS, DEPRIV_BAD_STATUS);
    DEFINE(VCPU_HVM, offsetof(struct vcpu, hvm));
    DEFINE(VCPU_HOST_RSP, offsetof(struct vcpu, host_rsp));
    DEFINE(INFO_DOMID, ABI_INFO_BASE + offsetof(struct abi_info, domid));
    DEFINE(INFO_CPU, ABI_INFO_BASE + offsetof(struct abi_info, cpu));
    DEFINE(ABI_CALL_BY_SYSENTER, ABI_CALL_BY_SYSENTER);
    DEFINE(CMPXCHG_NEW, ABI_CMPXCHG_NEW);
    DEFINE(CMPXCHG_EQUAL, ABI_CMPXCHG_EQUAL);
    DEFINE(CPU_SIZE, sizeof(struct cpu));
    DEFINE(CPU_LOADED, offsetof(struct cpu, loaded));
    DEFINE(CPU_RSP0, offsetof(struct cpu, tss) + offsetof(struct tss, rsp));
    DEFINE(CPUS_MAX, CPUS_MAX);
    DEFINE(TRAP_STUB, TRAP_STUB);
    DEFINE(TRAP_FRAME, sizeof(struct trap_frame));
    DEFINE(GATE_SYSCALL_STRIDE, GATE_SYSCALL_STRIDE);
    DEFINE(VCPU_CR3, offsetof(struct vcpu, cr3));
    DEFINE(ENTRY_SHIFT, ENTRY_SHIFT);
    DEFINE(ENTRY_SLOT_SHIFT, ENTRY_SLOT_SHIFT);
    DEFINE(COUNT_CR3, COUNT_CR3);
    DEFINE(ABI_PLAN_AREA, ABI_PLAN_AREA);
    DEFINE(STACK_HEAD, sizeof(struct stack_head));
}
