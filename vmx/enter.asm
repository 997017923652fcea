; VM entry and VM exit: general registers between the CPU and the vcpu's frame page, nothing else.
; Ring 0, interrupts off, on the vcpu's supervisor stack; called from vmx_run() alone.
;
;     HOST_RSP -> frame page | rbp [return address]     (rising addresses)
;
; Every register but RSP and RBP is lost: the caller says so to the compiler, which saves what it needs and no more (vmx.h).

%include "offsets.inc"
%include "kernel/gprs.inc"
bits 64
default rel
section .text
global vmx_enter_guest, vmx_exit_entry

%define VMCS_HOST_RSP 0x6c14

; eax = result, rdi = vcpu, rsi = &host_rsp: rsi holds HOST_RSP as the VMCS has it. The stack is as deep on every entry of a vcpu,
; so the field is written once; the comparison is what makes that no assumption.
vmx_enter_guest:
    push    rbp
    mov     rax, [rdi + VCPU_FRAME]
    push    rax
    cmp     rsp, [rsi]
    jne     .set_rsp
.rsp_set:
    cmp     qword [rdi + VCPU_LAUNCHED], 0 ; no MOV below changes ZF
    GPRS_LOAD rax
    mov     rdx, [rax + GPR(2)]
    mov     rax, [rax + GPR(0)]
    je      .launch
    vmresume
    jmp     .failed
.launch:
    vmlaunch
.failed:
    mov     eax, 2                  ; CF or ZF says how (SDM 3C 30.2)
    jc      .back
    mov     eax, 1
    jmp     .back

.set_rsp:
    mov     [rsi], rsp
    mov     ecx, VMCS_HOST_RSP
    vmwrite rcx, rsp
    jmp     .rsp_set

; VM exit: every register but RSP is the guest's. RFLAGS is 2 (27.5.3).
align 16
vmx_exit_entry:
    push    rax
    mov     rax, [rsp + 8]
    GPRS_STORE
    pop     qword [rax + GPR(0)]
    xor     eax, eax
vmx_enter_guest.back:
    add     rsp, 8                  ; frame page
    GPRS_CLEAR ecx, edx, esi, edi, r8d, r9d, r10d, r11d
    pop     rbp
    ret
