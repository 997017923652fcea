; Ends in the way that HOW names, after a line that says so. What the hypervisor reports is the test's business.
; variants: end_triple -DHOW=1, end_i8042 -DHOW=2, end_cf9 -DHOW=3, end_port92 -DHOW=4, end_hlt -DHOW=5, end_spin -DHOW=6, end_panic -DHOW=7
%define MODE 64
%define GUEST "ends"
%include "guest.inc"

%define END_TRIPLE  1
%define END_I8042   2
%define END_CF9     3
%define END_PORT92  4
%define END_HLT     5
%define END_SPIN    6
%define END_PANIC   7

main:
    say     "ends: begins", 13, 10
    call    console_wait_empty
%if HOW == END_TRIPLE
    mov     word [idt_pointer], 0
    lidt    [idt_pointer]
    ud2
%elif HOW == END_I8042
    mov     al, 0xfe                    ; pulse the reset line
    out     0x64, al
%elif HOW == END_CF9
    mov     dx, 0xcf9
    mov     al, 6
    out     dx, al
%elif HOW == END_PORT92
    mov     al, 1
    out     0x92, al
%elif HOW == END_HLT
    cli
    hlt
%elif HOW == END_PANIC
    mov     dx, 0x505                   ; pvpanic: PANICKED
    in      al, dx
    out     dx, al
%elif HOW == END_SPIN
    jmp     $
%else
%error "HOW is not known"
%endif
    mov     ecx, 1000000
.wait:
    loop    .wait
    say     "ends: FAIL still here", 13, 10
    ret
guest_end
