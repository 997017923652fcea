; Method 2: the supervisor stack is copied aside, ring 3 runs from the top of an empty one, the copy is put back (S0-12).
; Ring 0, interrupts off, on the vcpu's supervisor stack; called from gate.c with the convention of gate_down.
;
;     RSP -> [return address] ... the callers, up to the thread's first ... | stack_head     (rising addresses)
;            `---------------- copied to vcpu.stack_copy -----------------'

%include "offsets.inc"
bits 64
default abs
section .text
extern gate_down_any, method2_deep
global method2_down

; method2_down(rbx = vcpu): as gate_down. Bound of the copies: VCPU_COPY_SIZE bytes.
method2_down:
    mov     rdx, [rbx + VCPU_STACK_TOP]
    sub     rdx, STACK_HEAD
    mov     rcx, rdx
    sub     rcx, rsp
    cmp     rcx, VCPU_COPY_SIZE
    ja      .deep
    mov     [rbx + VCPU_COPY_RSP], rsp
    mov     rsi, rsp
    lea     rdi, [rbx + VCPU_COPY]
    shr     ecx, 3
    rep movsq
    mov     rsp, rdx
    call    gate_down_any
    mov     rcx, rsp                ; the top again
    mov     rsp, [rbx + VCPU_COPY_RSP] ; below what is written now: an NMI has a stack of its own
    sub     rcx, rsp
    mov     rdi, rsp
    lea     rsi, [rbx + VCPU_COPY]
    shr     ecx, 3
    rep movsq
    ret

.deep:
    call    method2_deep
    int3
