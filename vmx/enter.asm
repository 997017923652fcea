; VM entry and VM exit: general registers between the CPU and the vcpu's frame page, nothing else.
; Ring 0, interrupts off, on the vcpu's supervisor stack; called from vmx_run() alone.
;
;     HOST_RSP -> vcpu | [return address]     (rising addresses)
;
; Every register but RSP and RBX is lost: the caller says so to the compiler, which saves what it needs and no more (vmx.h).

%include "offsets.inc"
%include "kernel/gprs.inc"
bits 64
default rel
section .text
global vmx_enter_guest, vmx_exit_entry

%define VMCS_HOST_RSP 0x6c14

%macro GUEST_LOAD 0
    GPRS_LOAD rax
    mov     rdx, [rax + GPR(2)]
    mov     rax, [rax + GPR(0)]
%endmacro

; rbx = vcpu, kept; CF: the entry failed. The stack is as deep on every entry of a vcpu, so that HOST_RSP is written once, where the vcpu
; is launched on this CPU; the comparison makes that no assumption: from another depth VMLAUNCH fails (SDM 3C 30.4, error 4).
vmx_enter_guest:
    push    rbx
    mov     rax, [rbx + VCPU_FRAME]
    cmp     rsp, [rbx + VCPU_HOST_RSP]
    jne     .launch
    GUEST_LOAD
    vmresume
.failed:
    pop     rbx
    stc
    ret

.launch:
    mov     [rbx + VCPU_HOST_RSP], rsp
    mov     ecx, VMCS_HOST_RSP
    vmwrite rcx, rsp
    GUEST_LOAD
    vmlaunch
    jmp     .failed

; VM exit: every register but RSP is the guest's. RFLAGS is 2 (27.5.3).
align 16
vmx_exit_entry:
    push    rax
    mov     rax, [rsp + 8]
    mov     rax, [rax + VCPU_FRAME]
    GPRS_STORE
    pop     qword [rax + GPR(0)]
    pop     rbx
    GPRS_CLEAR ecx, edx, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d ; CF = 0
    ret
