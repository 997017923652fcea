; Ring 3: the component's header, its entry for every operation, and the one call instruction.
; Entered by ring 0 with rdi = frame page, rsi = information page, RSP = end of this vcpu's user stack, all else zero.

bits 64
default rel
extern component_main, text_end, rodata_end, data_end, bss_end
global component_entry, abi_call3

%define ABI_VERSION          3
%define INFO_DOMID           8      ; offsets in struct abi_info, checked in umain.c
%define INFO_CPU             20
%define INFO_CALL            3784
%define ABI_CALL_BY_SYSENTER 1
%define ABI_CALL_DIRECT      4

section .header
    dq  0x3352474e5552              ; ABI_IMAGE_MAGIC
    dd  ABI_VERSION, component_main
    dq  component_entry
    dq  text_end, rodata_end, data_end, bss_end

section .text
; Runs one operation; the reply is in the frame page. DONE does not come back: the next operation enters here anew.
component_entry:
    mov     rbx, rsi
    call    component_main
    mov     edi, [rbx + INFO_DOMID]
    xor     eax, eax                ; ABI_CALL_DONE
    test    byte [rbx + INFO_CPU], ABI_CALL_BY_SYSENTER
    jz      .syscall
    sysenter
.syscall:
    syscall

; long abi_call3(const struct abi_info *rdi, uint32_t esi: number, uint64_t rdx, rcx, r8: arguments)
; Ring 0 returns to .back with rbx, rbp, r12-r15 kept.
abi_call3:
    mov     r10, rdi
    mov     eax, esi
    mov     edi, [r10 + INFO_DOMID]
    mov     rsi, rdx
    mov     r9, r8
    mov     r8, rcx
    test    byte [r10 + INFO_CPU], ABI_CALL_DIRECT
    jnz     .direct
    test    byte [r10 + INFO_CPU], ABI_CALL_BY_SYSENTER
    jz      .syscall
    lea     rdx, [.back]
    mov     rcx, rsp
    sysenter
.syscall:
    mov     rdx, rsp
    syscall
.back:
    ret
.direct:                            ; rsi is the first argument, as in C; the others' places differ
    mov     rdx, r8
    mov     rcx, r9
    mov     edi, eax
    jmp     [r10 + INFO_CALL]
