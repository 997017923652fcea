; Counts loops for WINDOW ticks of the TSC and prints the count: several of these on one CPU show how evenly it is shared.
%define MODE 64
%define GUEST "spin"
%include "guest.inc"

%ifndef WINDOW
%define WINDOW 300000000
%endif

main:
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    lea     r12, [rax + WINDOW]
    xor     ebx, ebx
.loop:
    inc     rbx
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    cmp     rax, r12
    jb      .loop
    say     "spin: count "
    mov     rax, rbx
    call    print_dec
    say     13, 10
    ret
guest_end
