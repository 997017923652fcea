; Entry of host exceptions and interrupts: one stub per vector, one common frame (struct trap_frame).
; Ring 0, on the supervisor stack of the vcpu (from ring 3: below saved_rsp), the idle stack, or an IST stack. Interrupts off.

%include "offsets.inc"
bits 64
section .text
extern trap_handle

%define HAS_ERROR(v) (v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30)

%assign v 0
%rep 256
trap_%[v]:
%if HAS_ERROR(v) == 0
    push    0                       ; no error code
%endif
    push    v
    jmp     trap_common
%assign v v+1
%endrep

; In: RFLAGS as ring 3 left them but for TF, NT, RF, VM, IF, which the gate cleared. AC would switch SMAP off and DF turn
; string instructions round: both are made canonical first (ATTACKS K8).
trap_common:
    push    rax
    push    rcx
    push    rdx
    push    rbx
    push    rbp
    push    rsi
    push    rdi
    push    r8
    push    r9
    push    r10
    push    r11
    push    r12
    push    r13
    push    r14
    push    r15
    push    2
    popfq
    mov     rdi, rsp
    mov     rbp, rsp
    and     rsp, -16
    call    trap_handle
    mov     rsp, rbp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rdi
    pop     rsi
    pop     rbp
    pop     rbx
    pop     rdx
    pop     rcx
    pop     rax
    add     rsp, 16                 ; vector, error
    iretq

section .rodata
align 8
global trap_stubs
trap_stubs:
%assign v 0
%rep 256
    dq      trap_%[v]
%assign v v+1
%endrep
