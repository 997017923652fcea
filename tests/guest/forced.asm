; Forced emulation: UD2 with a signature sends the instruction behind it to the emulator (emulate=forced), on ordinary memory too.
%define MODE 64
%define GUEST "forced"
%include "guest.inc"

%macro kvm 1+
    db 0x0f, 0x0b, "kvm"
    %1
%endmacro
%macro xen 1+
    db 0x0f, 0x0b, "xen"
    %1
%endmacro

main:
    mov     rax, cr4
    or      eax, 0x600              ; OSFXSR, OSXMMEXCPT
    mov     cr4, rax
    call    check_results
    call    check_flow
    call    check_faults
    call    check_system
    ret

check_results:
    mov     rax, 0x1122334455667788
    kvm     add rax, 0x11
    check_eq "add", rax, 0x1122334455667799
    mov     word_x [cell], 5
    xen     lock add qword [cell], 6
    check_eq "lock add to memory", word_x [cell], 11
    mov     rcx, 0x1234
    kvm     xchg [cell], rcx
    check_eq "xchg", rcx, 11
    mov     rsi, source
    mov     rdi, target
    mov     ecx, 13
    cld
    kvm     rep movsb
    check_eq "rep movsb: rcx", rcx, 0
    mov     rax, [target + 5]
    check_eq "rep movsb: bytes", rax, [source + 5]
    stc
    mov     eax, 0xffffffff
    kvm     adc eax, 0
    check   {"adc: carry"}, c
    check_eq "adc", rax, 0
    movdqu  xmm3, [source]
    kvm     movdqu [target + 16], xmm3
    mov     rax, [target + 24]
    check_eq "movdqu", rax, [source + 8]
    ret

check_flow:
    kvm     jmp .there
    mov     eax, 1
    test    eax, eax
    check   {"jmp not taken"}, z
.there:
    mov     rbx, rsp
    mov     rax, 0x77
    kvm     push rax
    kvm     pop rcx
    check_eq "push and pop", rcx, 0x77
    mov     rdx, rsp
    check_eq "stack pointer", rdx, rbx
    kvm     call .function
    check_eq "call", rax, 0x99
    ret
.function:
    mov     eax, 0x99
    kvm     ret

check_faults:
    xor     ecx, ecx
    xor     edx, edx
    mov     word_x [fault_vector], -1
    mov     word_x [fault_resume], .divided
    db 0x0f, 0x0b, "kvm"
.division:
    div     ecx
.divided:
    mov     word_x [fault_resume], 0
    check_eq "#DE", word_x [fault_vector], 0
    check_eq "#DE: RIP is behind the prefix", word_x [fault_rip], .division
    mov     rbx, 0x8000000000000000
    expect_fault "#UD of UD2 itself", 6, ud2
    mov     word_x [fault_vector], -1
    mov     word_x [fault_resume], .moved
    db 0x0f, 0x0b, "kvm"
    mov     al, [rbx]
.moved:
    mov     word_x [fault_resume], 0
    check_eq "#GP", word_x [fault_vector], 13
    ret

check_system:
    kvm     mov rax, cr0
    mov     rbx, cr0
    check_eq "mov from cr0", rax, rbx
    kvm     smsw cx
    and     ebx, 0xffff
    movzx   ecx, cx
    check_eq "smsw", rcx, rbx
    kvm     mov eax, ds
    mov     ebx, ds
    check_eq "mov from ds", rax, rbx
    ret

section .data
align 8
source: db "sixteen bytes and some more"
section .bss
align 16
cell:   resq 1
target: resb 64
guest_end
