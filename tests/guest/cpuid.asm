; CPUID: what the virtual CPU offers, that nothing it cannot do is offered, and that the exit keeps every other register.
%define MODE 64
%define GUEST "cpuid"
%include "guest.inc"

%define PATTERN 0x5aa5c33c12345678

; print_leaf leaf, subleaf: one line with the four registers
%macro print_leaf 2
    mov     eax, %1
    mov     ecx, %2
    call    print_leaf_line
%endmacro

main:
    print_leaf 0, 0
    print_leaf 1, 0
    print_leaf 7, 0
    print_leaf 0xd, 0
    print_leaf 0x40000000, 0
    print_leaf 0x80000000, 0
    print_leaf 0x80000001, 0
    print_leaf 0x80000008, 0
    call    check_features
    call    check_registers
    call    check_prefixes
    call    check_osxsave
    call    check_range
    ret

print_leaf_line:
    mov     r12d, eax
    cpuid
    mov     r13, rax
    mov     r14, rdx
    say     "cpuid "
    mov     eax, r12d
    call    print_hex
    say     ": "
    mov     rax, r13
    call    print_hex
    say     " "
    mov     rax, rbx
    call    print_hex
    say     " "
    mov     rax, rcx
    call    print_hex
    say     " "
    mov     rax, r14
    call    print_hex
    say     13, 10
    ret

check_features:
    mov     eax, 1
    cpuid
    bt      ecx, 5
    check   "VMX is not offered", nc
    bt      ecx, 6
    check   "SMX is not offered", nc
    bt      ecx, 15
    check   "PDCM is not offered", nc
    bt      edx, 0
    check   "FPU", c
    bt      edx, 4
    check   "TSC", c
    bt      edx, 6
    check   "PAE", c
    mov     eax, 0x80000001
    cpuid
    bt      ecx, 2
    check   "SVM is not offered", nc
    bt      edx, 29
    check   "long mode", c
    mov     eax, 7
    xor     ecx, ecx
    cpuid
    bt      ebx, 2
    check   "SGX is not offered", nc
    ret

; Every register that CPUID does not write, and the upper halves of those that it does.
check_registers:
    push    rbp
    mov     rax, PATTERN
    mov     rbx, rax
    mov     rdx, rax
    mov     rsi, rax
    mov     rdi, rax
    mov     rbp, rax
    lea     r8, [rax + 8]
    lea     r9, [rax + 9]
    lea     r10, [rax + 10]
    lea     r11, [rax + 11]
    lea     r12, [rax + 12]
    lea     r13, [rax + 13]
    lea     r14, [rax + 14]
    lea     r15, [rax + 15]
    mov     [saved_rsp], rsp
    mov     rcx, 0xffffffff00000000
    mov     rax, 0xffffffff00000000
    stc
    std
    cpuid
    pushfq
    cld
    pop     qword [saved_flags]
    shr     rax, 32
    shr     rcx, 32
    or      rax, rcx
    shr     rbx, 32
    or      rax, rbx
    shr     rdx, 32
    or      rax, rdx
    check_eq "upper halves are cleared", rax, 0
    mov     rax, PATTERN
    check_eq "rsi", rsi, rax
    check_eq "rdi", rdi, rax
    check_eq "rbp", rbp, rax
    mov     rbx, rsp
    check_eq "rsp", rbx, [saved_rsp]
%assign n 8
%rep 8
    sub     r%+n, n
    check_eq "r8 to r15", r%+n, rax
%assign n n + 1
%endrep
    mov     rax, [saved_flags]
    and     eax, 0x401
    check_eq "CF and DF are kept", rax, 0x401
    pop     rbp
    ret

; Redundant prefixes are part of the instruction's length.
check_prefixes:
    mov     r12d, 1
    xor     eax, eax
    db 0x66, 0x0f, 0xa2
    inc     r12d
    xor     eax, eax
    db 0xf3, 0x2e, 0x66, 0x0f, 0xa2
    inc     r12d
    xor     eax, eax
    db 0x67, 0x48, 0x0f, 0xa2
    inc     r12d
    xor     eax, eax
    times 13 db 0x66
    db 0x0f, 0xa2
    inc     r12d
    check_eq "CPUID with prefixes", r12, 5
    ret

check_osxsave:
    mov     eax, 1
    cpuid
    bt      ecx, 26
    jnc     .none
    bt      ecx, 27
    check   "OSXSAVE follows CR4: 0", nc
    mov     rax, cr4
    bts     rax, 18
    mov     cr4, rax
    mov     eax, 1
    cpuid
    bt      ecx, 27
    check   "OSXSAVE follows CR4: 1", c
    mov     eax, 0xd
    xor     ecx, ecx
    cpuid
    mov     r12d, ebx
    xor     ecx, ecx
    xgetbv
    mov     r13d, eax
    mov     eax, 1                      ; XCR0 = x87 alone: the area is 576 bytes
    xor     edx, edx
    xor     ecx, ecx
    xsetbv
    mov     eax, 0xd
    xor     ecx, ecx
    cpuid
    check_eq "leaf 0Dh EBX follows XCR0", rbx, 576
    mov     eax, r13d
    xor     edx, edx
    xor     ecx, ecx
    xsetbv
    mov     rax, cr4
    btr     rax, 18
    mov     cr4, rax
.none:
    ret

; Leaves past the maximum give something defined and do not fault.
check_range:
    expect_quiet "leaf ffffffffh", mov eax, 0xffffffff
    mov     eax, 0xffffffff
    xor     ecx, ecx
    cpuid
    mov     eax, 0x8fffffff
    cpuid
    mov     eax, 0x4fffffff
    cpuid
    mov     eax, 0x20000000
    mov     ecx, 0xffffffff
    cpuid
    ret

    section .bss
saved_rsp:   resq 1
saved_flags: resq 1
    section .text
guest_end
