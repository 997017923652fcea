; The copier: moves bytes between guest memory and the frame page where the component is not to have guest memory mapped (guestmem=copy).
; Ring 3, interrupts on, on the domain's copier table (component.c); started by guestaccess.c like a component, ended by ABI_CALL_DONE.
; It has no stack: RSP says how many bytes. RDI: to, RSI: from; everything else is zero. Aligned 1, 2, 4 and 8 bytes are one access.

%include "offsets.inc"
bits 64
default abs
section .component align=4096 noexec nowrite
global copier_start, copier_move, copier_cmpxchg

align 4096
copier_start:
copier_move:
    mov     ecx, esp
    cmp     ecx, 8
    je      .8
    cmp     ecx, 4
    je      .4
    cmp     ecx, 2
    je      .2
    rep movsb
    jmp     copier_done
.8: movsq
    jmp     copier_done
.4: movsd
    jmp     copier_done
.2: movsw
    jmp     copier_done

; RDI: guest memory, RSI: frame.copy with old and new value, which also takes the answer. RSP is 1, 2, 4, 8, or 16 and RDI aligned to it.
copier_cmpxchg:
    mov     r8, rsi
    mov     rax, [r8]
    mov     rdx, [r8 + 8]
    mov     rbx, [r8 + CMPXCHG_NEW]
    mov     rcx, [r8 + CMPXCHG_NEW + 8]
    cmp     esp, 8
    ja      .16
    je      .8
    cmp     esp, 2
    ja      .4
    je      .2
    lock cmpxchg [rdi], bl
    jmp     .answer
.2: lock cmpxchg [rdi], bx
    jmp     .answer
.4: lock cmpxchg [rdi], ebx
    jmp     .answer
.8: lock cmpxchg [rdi], rbx
    jmp     .answer
.16:
    lock cmpxchg16b [rdi]
.answer:
    sete    [r8 + CMPXCHG_EQUAL]

copier_done:
    mov     edi, [INFO_DOMID]
    xor     eax, eax                ; ABI_CALL_DONE
    test    byte [INFO_CPU], ABI_CALL_BY_SYSENTER
    jz      .syscall
    sysenter
.syscall:
    syscall
align 4096, db 0
