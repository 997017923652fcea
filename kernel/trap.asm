; Entry of host exceptions and interrupts: one stub per vector, one common frame (struct trap_frame).
; Ring 0, on the supervisor stack of the vcpu (from ring 3: below saved_rsp), the idle stack, or an IST stack. Interrupts off.

%include "offsets.inc"
%include "kernel/gprs.inc"
bits 64
section .text
extern trap_handle
global trap_stubs

%define HAS_ERROR(v) (v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30)

align TRAP_STUB
trap_stubs:
%assign v 0
%rep 256
align TRAP_STUB
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
    PUSHES  rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push    2
    popfq
    mov     rdi, rsp
    mov     rbp, rsp
    and     rsp, -16
    call    trap_handle
    mov     rsp, rbp
    POPS    r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    add     rsp, 16                 ; vector, error
    iretq
