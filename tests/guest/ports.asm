; Port I/O: unclaimed ports, the debug ports, and string I/O with every prefix that matters.
%define MODE 64
%define GUEST "ports"
%include "guest.inc"

%define NOWHERE 0xd00                   ; no device of the hvm profile
%define POST    0x80

main:
    call    check_unclaimed
    call    check_registers
    call    check_outs
    call    check_ins
    call    check_counts
    say     13, 10
    ret

check_unclaimed:
    mov     dx, NOWHERE
    xor     eax, eax
    in      al, dx
    check_eq "byte from nowhere", rax, 0xff
    xor     eax, eax
    in      ax, dx
    check_eq "word from nowhere", rax, 0xffff
    mov     rax, 0x1234567800000000     ; a 32-bit IN clears the upper half
    in      eax, dx
    check_eq "dword from nowhere", rax, 0xffffffff
    mov     dx, 0xffff
    mov     rax, 0x1111111111111111
    in      al, dx
    check_eq "only AL changes", rax, 0x11111111111111ff
    mov     rax, 0x1111111111111111
    mov     dx, NOWHERE
    in      ax, dx
    check_eq "only AX changes", rax, 0x111111111111ffff
    mov     dx, 0xfffe
    xor     eax, eax
    in      eax, dx                     ; would wrap past port ffffh
    xor     eax, eax
    out     dx, eax
    mov     dx, NOWHERE
    out     dx, al
    out     dx, ax
    out     dx, eax
    in      al, POST
    mov     dx, 0xe9
    in      al, dx
    movzx   eax, al
    check_eq "port e9h reads e9h", rax, 0xe9
    mov     al, '!'
    out     dx, al
    mov     al, 10
    out     dx, al
    ret

; An OUT keeps every register and the flags.
check_registers:
    mov     rax, 0xfeedface12345678
    mov     rbx, 3
    mov     rcx, 4
    mov     rdx, 0xffffffffffff0080
    mov     rsi, 6
    mov     rdi, 7
    mov     r8, 8
    mov     r15, 15
    stc
    out     dx, al
    check   "CF is kept", c
    out     POST, ax
    out     POST, eax
    check_eq "rax", rax, 0xfeedface12345678
    add     rbx, rcx
    add     rbx, rsi
    add     rbx, rdi
    add     rbx, r8
    add     rbx, r15
    check_eq "others", rbx, 43
    check_eq "rdx", rdx, 0xffffffffffff0080
    ret

check_outs:
    call    console_wait_empty
    mov     dx, COM1
    mov     rsi, message
    mov     ecx, message_end - message
    rep outsb
    check_eq "rep outsb: rsi", rsi, message_end
    check_eq "rep outsb: rcx", rcx, 0
    call    console_wait_empty
    mov     rsi, message_end - 3        ; backwards: "cba"
    mov     ecx, 3
    std
    rep outsb
    cld
    check_eq "backwards: rsi", rsi, message_end - 6
    call    console_wait_empty
    mov     ecx, 0xc0000100             ; FS base
    mov     rax, message - 0x100
    xor     edx, edx
    wrmsr
    mov     dx, COM1
    mov     esi, 0x100
    mov     ecx, message_end - message
    fs rep outsb
    check_eq "fs: rsi", rsi, 0x100 + message_end - message
    call    console_wait_empty
    mov     rsi, 0xabcdef0000000000 + message
    mov     ecx, 5
    db 0x67                             ; ESI and ECX count; the upper half is cleared
    rep outsb
    check_eq "a32: rsi", rsi, message + 5
    mov     dx, POST
    mov     rsi, page_edge - 1          ; each element crosses a page
    outsw
    check_eq "outsw: rsi", rsi, page_edge + 1
    mov     rsi, page_edge - 3
    mov     ecx, 5
    rep outsd
    check_eq "rep outsd: rsi", rsi, page_edge + 17
    mov     rsi, 0x8000000000000000
    expect_fault "outsb from a non-canonical address", 13, outsb
    check_eq "rsi is kept", rsi, 0x8000000000000000
    mov     rsi, 0x4000000000
    expect_fault "outsb from an unmapped address", 14, outsb
    mov     rax, cr2
    check_eq "its CR2", rax, 0x4000000000
    ret

check_ins:
    mov     dx, NOWHERE
    mov     rdi, page_edge - 5
    mov     ecx, 10
    rep insb
    check_eq "rep insb: rdi", rdi, page_edge + 5
    mov     rax, [page_edge - 4]
    check_eq "rep insb: data", rax, -1
    movzx   eax, byte [page_edge - 6]
    check_eq "rep insb: before", rax, 0
    movzx   eax, byte [page_edge + 5]
    check_eq "rep insb: after", rax, 0
    mov     rdi, page_edge + 0x7ff
    insd
    check_eq "insd: rdi", rdi, page_edge + 0x803
    mov     rax, [page_edge + 0x7ff]
    check_eq "insd: data", rax, 0xffffffff
    mov     dx, 0xe9
    mov     rdi, page_edge + 0x900
    mov     ecx, 2
    rep insb
    movzx   eax, word [page_edge + 0x900]
    check_eq "insb from e9h", rax, 0xe9e9
    mov     dx, NOWHERE
    mov     rdi, 0x4000000000
    expect_fault "insb to an unmapped address", 14, insb
    check_eq "its error code: a write", word_x [fault_error], 2
    ; rep insw over the end of mapped memory is the emulator's own business: see tests/host
    ret

check_counts:
    mov     dx, NOWHERE
    mov     rdi, 0x4000000000
    xor     ecx, ecx
    expect_quiet "rep insb, count 0", rep insb
    check_eq "count 0: rdi", rdi, 0x4000000000
    mov     rsi, 0x200000
    mov     dx, POST
    mov     ecx, 20000                  ; more than one batch of any emulator
    rep outsb
    check_eq "rep outsb 20000: rsi", rsi, 0x200000 + 20000
    check_eq "rep outsb 20000: rcx", rcx, 0
    ret

    section .data
message: db "ports: outs abc"
message_end:
    section .bss
    alignb 4096
    resb 4096
page_edge: resb 4096
    section .text
guest_end
