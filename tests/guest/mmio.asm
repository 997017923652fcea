; Memory that is nowhere: reads give ones and writes are dropped, by every instruction form a driver may use.
; variants: mmio, mmio_modify -DMODIFY
; MODIFY: also arithmetic and exchanges on such memory.
%define MODE 64
%define GUEST "mmio"
%include "guest.inc"

%define NOWHERE 0xd0000000              ; above any RAM below 4 GiB (ABI_LOW_MAX)
%define LOW     0x60000000              ; likewise, in a small guest; a 32-bit displacement reaches it
%define ONES    0xffffffffffffffff
%define PATTERN 0x1122334455667788

main:
    mov     rbx, NOWHERE
    call    check_reads
    call    check_writes
    call    check_string
    call    check_hole
    call    check_edge
%ifdef MODIFY
    call    check_modify
%endif
    ret

check_reads:
    mov     rax, PATTERN
    mov     al, [rbx]
    check_eq "mov al", rax, 0x11223344556677ff
    mov     rax, PATTERN
    mov     ah, [rbx + 1]
    check_eq "mov ah", rax, 0x112233445566ff88
    mov     rax, PATTERN
    mov     ax, [rbx + 2]
    check_eq "mov ax", rax, 0x112233445566ffff
    mov     eax, [rbx + 4]
    check_eq "mov eax", rax, 0xffffffff
    mov     rax, [rbx + 8]
    check_eq "mov rax", rax, ONES
    mov     r15, [rbx + 8]
    check_eq "mov r15", r15, ONES
    movzx   eax, byte [rbx]
    check_eq "movzx byte", rax, 0xff
    movzx   rax, word [rbx]
    check_eq "movzx word", rax, 0xffff
    movsx   rax, byte [rbx]
    check_eq "movsx byte", rax, ONES
    movsxd  rax, dword [rbx]
    check_eq "movsxd", rax, ONES
    mov     rax, [rel start + LOW - ORIGIN]
    check_eq "rip-relative", rax, ONES
    mov     ecx, 4
    mov     eax, [rbx + rcx * 8 + 0x123]
    check_eq "scaled index, misaligned", rax, 0xffffffff
    mov     eax, [abs LOW]
    check_eq "absolute", rax, 0xffffffff
    mov     rax, [qword NOWHERE]
    check_eq "moffs", rax, ONES
    mov     rax, [rbx + 0xffc]
    check_eq "across a page", rax, ONES
    mov     eax, [ebx]
    check_eq "32-bit address", rax, 0xffffffff
    ret

%ifdef MODIFY
check_modify:
    mov     eax, 1
    add     eax, [rbx]
    check   "add: carry", c
    check_eq "add", rax, 0
    mov     eax, 0x12345678
    and     eax, [rbx]
    check_eq "and", rax, 0x12345678
    mov     eax, 0x12345678
    xor     eax, [rbx]
    check_eq "xor", rax, 0xedcba987
    or      rax, [rbx]
    check_eq "or", rax, ONES
    mov     eax, 5
    sub     eax, [rbx]
    check_eq "sub", rax, 6
    cmp     dword [rbx], -1
    check   "cmp imm8", e
    cmp     byte [rbx], 0x7f
    check   "cmp byte", ne
    test    dword [rbx], 0x80000000
    check   "test", s
    bt      dword [rbx], 31
    check   "bt", c
    inc     dword [rbx]
    check   "inc: zero", z
    neg     byte [rbx]
    lock or byte [rbx], 1
    lock add dword [rbx], 1
    check   "lock add: carry", c
    not     qword [rbx]
    shl     word [rbx], 1
    check   "shl: carry", c
    mov     rax, PATTERN
    xchg    rax, [rbx]
    check_eq "xchg", rax, ONES
    mov     eax, 7
    lock xadd [rbx], eax
    check_eq "xadd", rax, 0xffffffff
    mov     eax, 0xffffffff
    mov     ecx, 1
    lock cmpxchg [rbx], ecx
    check   "cmpxchg, equal", e
    xor     eax, eax
    lock cmpxchg [rbx], ecx
    check   "cmpxchg, not equal", ne
    check_eq "cmpxchg: eax", rax, 0xffffffff
    mov     eax, 3
    imul    eax, [rbx]
    check_eq "imul", rax, 0xfffffffd
    setc    [rbx]
    mov     rdi, NOWHERE
    mov     ecx, 10
    mov     al, 0xff
    repe scasb
    check_eq "repe scasb", rcx, 0
    mov     rsi, buffer
    mov     rdi, NOWHERE
    mov     qword [buffer], -1
    cmpsq
    check   "cmpsq", e
    mov     r12, rsp
    push    qword [rbx]
    pop     rax
    check_eq "push", rax, ONES
    push    rax
    pop     qword [rbx]
    mov     rax, rsp
    check_eq "rsp after pop to memory", rax, r12
    ret
%endif

check_writes:
    mov     rax, PATTERN
    mov     [rbx], al
    mov     [rbx + 1], ah
    mov     [rbx + 2], ax
    mov     [rbx + 4], eax
    mov     [rbx + 8], rax
    mov     byte [rbx], 1
    mov     word [rbx], 1
    mov     dword [rbx], 1
    mov     qword [rbx], -1
    mov     [rbx + 0xffd], rax
    mov     [qword NOWHERE], al
    check_eq "rax is kept", rax, PATTERN
    mov     rax, [rbx]
    check_eq "nothing was stored", rax, ONES
    ret

check_string:
    mov     rsi, NOWHERE + 0xff8
    mov     rdi, buffer
    mov     ecx, 4
    rep movsd                           ; across a page of nothing
    check_eq "rep movsd from nowhere: rsi", rsi, NOWHERE + 0x1008
    mov     rax, [buffer + 8]
    check_eq "rep movsd from nowhere: data", rax, ONES
    mov     rsi, buffer
    mov     rdi, NOWHERE
    mov     ecx, 16
    rep movsb
    check_eq "rep movsb to nowhere: rdi", rdi, NOWHERE + 16
    check_eq "rep movsb to nowhere: rcx", rcx, 0
    mov     rdi, NOWHERE
    mov     ecx, 3
    xor     eax, eax
    std
    rep stosq
    cld
    check_eq "rep stosq backwards: rdi", rdi, NOWHERE - 24
    mov     rsi, NOWHERE
    lodsw
    check_eq "lodsw", rsi, NOWHERE + 2
    ret

; [a0000, c0000) is not RAM.
check_hole:
    mov     eax, [0xa0000]
    check_eq "a0000", rax, 0xffffffff
    mov     dword [0xb8000], 0x07410741
    mov     eax, [0xb8000]
    check_eq "b8000", rax, 0xffffffff
    mov     dword [0x9ff00], 0x12345678
    mov     eax, [0x9ff00]
    check_eq "9ff00 is RAM", rax, 0x12345678
    ret

; An access half in RAM and half behind its end: the RAM half is read and written, the other is ones and dropped.
check_edge:
    mov     al, 0x34                    ; CMOS: RAM above 16 MiB in 64 KiB units
    out     0x70, al
    in      al, 0x71
    movzx   ecx, al
    mov     al, 0x35
    out     0x70, al
    in      al, 0x71
    mov     ch, al
    test    ecx, ecx
    jz      .small
    shl     rcx, 16
    add     rcx, 0x1000000
    mov     rdi, rcx
    mov     eax, 0x55667788
    mov     [rdi - 4], eax
    mov     rax, [rdi - 4]
    mov     rdx, 0xffffffff55667788
    check_eq "read across the end of RAM", rax, rdx
    mov     rax, PATTERN
    mov     [rdi - 4], rax
    mov     eax, [rdi - 4]
    check_eq "write across the end of RAM", rax, 0x55667788
.small:
    ret

    section .bss
    alignb 16
buffer: resb 64
    section .text
guest_end
