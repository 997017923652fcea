; VM entry and VM exit: general registers between the CPU and the vcpu's frame page, nothing else.
; Ring 0, interrupts off, on the vcpu's supervisor stack; called from vmx_run() alone.
;
;     HOST_RSP -> frame page | rbp [return address]     (rising addresses)
;
; Every register but RSP and RBP is lost: the caller says so to the compiler, which saves what it needs and no more (vmx.h).

%include "offsets.inc"
bits 64
default rel
section .text
global vmx_enter_guest, vmx_exit_entry

%define VMCS_HOST_RSP 0x6c14
%define GPR(n)        n * 8         ; abi_frame.gpr[n], the numbers of the instruction encoding

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
    mov     rcx, [rax + GPR(1)]
    mov     rdx, [rax + GPR(2)]
    mov     rbx, [rax + GPR(3)]
    mov     rbp, [rax + GPR(5)]
    mov     rsi, [rax + GPR(6)]
    mov     rdi, [rax + GPR(7)]
    mov     r8,  [rax + GPR(8)]
    mov     r9,  [rax + GPR(9)]
    mov     r10, [rax + GPR(10)]
    mov     r11, [rax + GPR(11)]
    mov     r12, [rax + GPR(12)]
    mov     r13, [rax + GPR(13)]
    mov     r14, [rax + GPR(14)]
    mov     r15, [rax + GPR(15)]
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
    mov     [rax + GPR(1)], rcx
    mov     [rax + GPR(2)], rdx
    mov     [rax + GPR(3)], rbx
    mov     [rax + GPR(5)], rbp
    mov     [rax + GPR(6)], rsi
    mov     [rax + GPR(7)], rdi
    mov     [rax + GPR(8)], r8
    mov     [rax + GPR(9)], r9
    mov     [rax + GPR(10)], r10
    mov     [rax + GPR(11)], r11
    mov     [rax + GPR(12)], r12
    mov     [rax + GPR(13)], r13
    mov     [rax + GPR(14)], r14
    mov     [rax + GPR(15)], r15
    pop     qword [rax + GPR(0)]
    xor     eax, eax
vmx_enter_guest.back:
    add     rsp, 8                  ; frame page
    xor     ecx, ecx                ; no value of the guest's stays in a register that C code does not set itself
    xor     edx, edx
    xor     esi, esi
    xor     edi, edi
    xor     r8d, r8d
    xor     r9d, r9d
    xor     r10d, r10d
    xor     r11d, r11d
    pop     rbp
    ret
