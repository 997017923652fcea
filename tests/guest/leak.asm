; Holds SEED's pattern in every register that belongs to a vcpu and checks it over thousands of exits; two of these with
; variants: leak_a -DSEED=0x35, leak_b -DSEED=0x4a
; different seeds share a CPU, so any value that stays behind at a switch is found (ATTACKS K11, K12). Its MSR values are
; hostile on purpose: ring 3's own SYSCALL or SYSENTER must not use them.
%define MODE 64
%define GUEST "leak"
%include "guest.inc"

%ifndef ROUNDS
%define ROUNDS 3000
%endif
%define XCR0_USED 0x2e7                 ; x87, SSE, AVX, AVX-512, PKRU
%define AREA      4096

main:
    call    vectors_init
    call    pit_init
    mov     ebp, ROUNDS
.round:
    mov     eax, ebp
    and     eax, 15
    jnz     .no_sleep
    sti
    hlt                                 ; the other guest runs
    cli
.no_sleep:
    out     0x80, al
    call    check_general
    call    check_msrs
    test    ebp, 7
    jnz     .next
    call    check_vectors
    call    check_debug
.next:
    dec     ebp
    jnz     .round
    ret

; r8-r15, rbx, rsi, rdi over an exit that does not touch them
check_general:
    push    rbp
    mov     rax, SEED * 0x0101010101010101
    mov     rsi, rax
    mov     rdi, rax
    mov     rbp, rax
%assign n 8
%rep 8
    lea     r%+n, [rax + n]
%assign n n + 1
%endrep
    out     0x80, al
    mov     rbx, rsi
    xor     rbx, rax
    mov     rcx, rdi
    xor     rcx, rax
    or      rbx, rcx
    mov     rcx, rbp
    xor     rcx, rax
    or      rbx, rcx
%assign n 8
%rep 8
    sub     r%+n, n
    xor     r%+n, rax
    or      rbx, r%+n
%assign n n + 1
%endrep
    pop     rbp
    check_eq "general registers", rbx, 0
    mov     rax, cr2
    cmp     byte [have_cr2], 0
    je      .set
    mov     rbx, SEED << 20
    check_eq "CR2", rax, rbx
.set:
    mov     byte [have_cr2], 1
    mov     eax, SEED << 20
    mov     cr2, rax
    ret

; The table's first pass writes, the others compare.
check_msrs:
    mov     rsi, msrs
.next:
    mov     ecx, [rsi]
    mov     eax, [rsi + 8]
    mov     edx, [rsi + 12]
    cmp     byte [have_msrs], 0
    jne     .compare
    wrmsr
    jmp     .step
.compare:
    rdmsr
    shl     rdx, 32
    or      rax, rdx
    mov     rbx, [rsi + 8]
    mov     [fault_error], rcx          ; names the MSR in the FAIL line
    check_eq "MSR (in error)", rax, rbx
.step:
    add     rsi, 16
    cmp     rsi, msrs_end
    jb      .next
    mov     byte [have_msrs], 1
    ret

check_debug:
    mov     rbx, SEED << 16 | 0xffff800000000000
    cmp     byte [have_debug], 0
    je      .set
    mov     rax, dr0
    check_eq "DR0", rax, rbx
    mov     rax, dr1
    inc     rbx
    check_eq "DR1", rax, rbx
    mov     rax, dr2
    inc     rbx
    check_eq "DR2", rax, rbx
    mov     rax, dr3
    inc     rbx
    check_eq "DR3", rax, rbx
    ret
.set:
    mov     byte [have_debug], 1
    mov     dr0, rbx
    inc     rbx
    mov     dr1, rbx
    inc     rbx
    mov     dr2, rbx
    inc     rbx
    mov     dr3, rbx
    ret

; Loads every vector component that XCR0 allows from an area filled with the seed (XRSTOR, else FXRSTOR).
vectors_init:
    mov     rax, cr4
    or      eax, 3 << 9                 ; OSFXSR, OSXMMEXCPT
    mov     cr4, rax
    mov     rdi, area
    mov     ecx, AREA
    mov     eax, SEED
    rep stosb
    mov     word [area], 0x37f          ; FCW
    mov     qword [area + 2], 0         ; FSW, FTW, FOP
    mov     qword [area + 8], 0
    mov     qword [area + 16], 0
    mov     dword [area + 24], 0x1f80   ; MXCSR
    mov     byte [area + 4], 0xff       ; all x87 registers in use
    xor     eax, eax
%assign n 0
%rep 8
    mov     [area + 32 + n * 16 + 10], eax
    mov     [area + 32 + n * 16 + 12], eax
%assign n n + 1
%endrep
    mov     eax, 1
    cpuid
    bt      ecx, 26
    jnc     .fx
    mov     rax, cr4
    bts     rax, 18
    mov     cr4, rax
    mov     eax, 0xd
    xor     ecx, ecx
    cpuid
    and     eax, XCR0_USED
    mov     [xcr0], eax
    xor     ecx, ecx
    xor     edx, edx
    xsetbv
    mov     rdi, area + 512             ; header
    mov     ecx, 64
    xor     eax, eax
    rep stosb
    mov     eax, [xcr0]
    mov     [area + 512], eax
    mov     eax, 0xd
    xor     ecx, ecx
    cpuid
    mov     [size], ebx
    cmp     ebx, AREA
    check   "XSAVE area fits", be
    mov     eax, [xcr0]
    xor     edx, edx
    xrstor64 [area]
    say     "leak: XCR0 "
    mov     eax, [xcr0]
    call    print_hex
    say     13, 10
    jmp     .reference
.fx:
    mov     dword [size], 512
    fxrstor64 [area]
.reference:
    mov     rdi, area
    call    vectors_save
    mov     rsi, area                   ; the gaps between components are never written
    mov     rdi, copy
    mov     ecx, AREA
    rep movsb
    ret

vectors_save:                           ; rdi: where to
    cmp     dword [xcr0], 0
    je      .fx
    mov     eax, [xcr0]
    xor     edx, edx
    xsave64 [rdi]
    ret
.fx:
    fxsave64 [rdi]
    ret

check_vectors:
    mov     rdi, copy
    call    vectors_save
    mov     rsi, area + 24
    mov     rdi, copy + 24
    mov     ecx, 416 - 24               ; MXCSR, ST, XMM; the rest of the 512 bytes is software's
    repe cmpsb
    mov     [got], rsi
    check   "x87 and SSE registers", e
    mov     ecx, [size]
    sub     ecx, 512
    jz      .end
    mov     rsi, area + 512
    mov     rdi, copy + 512
    repe cmpsb
    mov     [got], rsi
    check   "AVX and later registers", e
.end:
    ret

; 1000 Hz, so that HLT ends
pit_init:
    mov     qword [hooks + 0x20 * 8], on_tick
    mov     al, 0x11
    out     0x20, al
    mov     al, 0x20
    out     0x21, al
    mov     al, 4
    out     0x21, al
    mov     al, 1
    out     0x21, al
    mov     al, 0xfe
    out     0x21, al
    mov     al, 0x34
    out     0x43, al
    mov     al, 0xa9
    out     0x40, al
    mov     al, 4
    out     0x40, al
    ret

on_tick:
    mov     al, 0x20
    out     0x20, al
    ret

    section .data
    align 16
msrs:
    dq 0x174, SEED << 2                         ; SYSENTER_CS
    dq 0x175, 0xffff800000000000 + (SEED << 12)   ; SYSENTER_ESP
    dq 0x176, 0xffff800000000000 + (SEED << 13)
    dq 0xc0000081, SEED << 48 | SEED << 32      ; STAR
    dq 0xc0000082, 0xffff800000000000 + (SEED << 14)
    dq 0xc0000083, 0xffff800000000000 + (SEED << 15)
    dq 0xc0000084, SEED                         ; FMASK
    dq 0xc0000100, SEED << 24                   ; FS_BASE
    dq 0xc0000101, SEED << 25
    dq 0xc0000102, 0xffff800000000000 + (SEED << 16)
    dq 0x277, 0x0007040600070400 | (SEED & 1) * 6
msrs_end:

    section .bss
    alignb 64
area: resb AREA
copy: resb AREA
xcr0: resd 1
size: resd 1
have_msrs:  resb 1
have_debug: resb 1
have_cr2:   resb 1
    section .text
guest_end
