; A static Linux program that prints the TSC in decimal: what time it is, in instructions, on the deterministic configurations.
bits 64
default rel
%define SYS_WRITE 1
%define SYS_EXIT  60
section .text
global _start
_start:
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    lea     rsi, [end]
    mov     ecx, 10
.digit:
    xor     edx, edx
    div     rcx
    add     dl, '0'
    dec     rsi
    mov     [rsi], dl
    test    rax, rax
    jnz     .digit
    lea     rdx, [end + 1]
    sub     rdx, rsi
    mov     edi, 1
    mov     eax, SYS_WRITE
    syscall
    xor     edi, edi
    mov     eax, SYS_EXIT
    syscall
section .data
    times 20 db 0
end: db 10
