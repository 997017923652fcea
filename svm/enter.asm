; One guest entry and the exit that ends it: the general registers go between the frame page and the CPU, RAX by way of the VMCB.
; Ring 0, on the vcpu's supervisor stack, GIF = 0, IF = 0; called by the run loop alone. VMRUN switches RSP, RIP, RFLAGS and RAX itself;
; the guest's FS, GS, TR, LDTR, KernelGSBase, STAR, LSTAR and SYSENTER MSRs are live before and after (APM2 15.5): no GS-relative access,
; no interrupt and no IST vector may happen here, and none can while GIF = 0.

%include "offsets.inc"
%include "kernel/gprs.inc"
bits 64
section .text
global svm_enter_guest

%define VMCB_RAX 0x5f8

; rbx = vcpu, kept; every other register but RSP is lost: the caller says so to the compiler, which saves what it needs and no more (svm.h).
; Stack during the guest: vcpu, return address (rising).
svm_enter_guest:
    push    rbx
    sti                             ; with V_INTR_MASKING the host's IF lets physical interrupts end the guest's run (APM2 15.21.1); GIF = 0
                                    ; keeps them from being taken here. TCG takes STI's shadow into the guest if VMRUN is next
    mov     rdx, [rbx + VCPU_FRAME]
    mov     rcx, [rbx + VCPU_HVM]
    mov     rax, [rdx + GPR(0)]
    mov     [rcx + VMCB_RAX], rax
    mov     rax, [rbx + VCPU_VMCB_PA]
    GPRS_LOAD rdx
    mov     rdx, [rdx + GPR(2)]
    vmrun
    cli

    mov     rax, [rsp]              ; VMRUN gave RAX and RSP back
    mov     rax, [rax + VCPU_FRAME]
    GPRS_STORE
    pop     rbx
    mov     rcx, [rbx + VCPU_HVM]
    mov     rcx, [rcx + VMCB_RAX]
    mov     [rax + GPR(0)], rcx
    GPRS_CLEAR ecx, edx, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
    ret
