; Debug registers and single-stepping, over ordinary instructions and over those that exit.
%define MODE 64
%define GUEST "debug"
%include "guest.inc"

%define STEPS 16
%define TF    0x100
%define RF    0x10000
%define DR6_BS 14

main:
    mov     qword [hooks + 8], trapped
    call    check_registers
    call    check_breakpoint
    call    check_watchpoint
    call    check_steps
    call    check_string
    ret

; Vector 1: records RIP and DR6; clears DR6, and sets RF so that an instruction breakpoint does not hit again.
trapped:
    mov     eax, [count]
    cmp     eax, STEPS
    jae     .full
    mov     rbx, [rbp + 16]
    mov     [rips + rax * 8], rbx
    mov     rcx, dr6
    mov     [dr6s + rax * 8], rcx
.full:
    inc     dword [count]
    xor     eax, eax
    mov     dr6, rax
    or      qword [rbp + 32], RF
    ret

check_registers:
    mov     eax, 0x11111000
    mov     dr0, rax
    inc     eax
    mov     dr1, rax
    inc     eax
    mov     dr2, rax
    mov     rax, 0xffff800000001000
    mov     dr3, rax
    out     0x80, al
    xor     eax, eax
    cpuid
    mov     rax, dr0
    check_eq "DR0", rax, 0x11111000
    mov     rax, dr1
    check_eq "DR1", rax, 0x11111001
    mov     rax, dr2
    check_eq "DR2", rax, 0x11111002
    mov     rax, dr3
    mov     rbx, 0xffff800000001000
    check_eq "DR3", rax, rbx
    xor     eax, eax
    mov     dr7, rax
    mov     rax, dr7
    check_eq "DR7: bit 10 is one", rax, 0x400
    xor     eax, eax
    mov     dr6, rax
    out     0x80, al
    mov     rax, dr6
    and     eax, 0xe00f
    check_eq "DR6 cleared", rax, 0
    ret

check_breakpoint:
    mov     dword [count], 0
    mov     rax, .here
    mov     dr0, rax
    mov     eax, 1                      ; L0, execute
    mov     dr7, rax
    nop
.here:
    nop
    xor     eax, eax
    mov     dr7, rax
    mov     eax, [count]
    check_eq "instruction breakpoint hits once", rax, 1
    check_eq "its RIP is the instruction", word_x [rips], .here
    mov     rax, [dr6s]
    and     eax, 0xf
    check_eq "its DR6", rax, 1
    ret

check_watchpoint:
    mov     dword [count], 0
    mov     rax, watched
    mov     dr1, rax
    mov     eax, 1 << 2 | 1 << 20       ; L1, write, one byte
    mov     dr7, rax
    mov     byte [watched], 1
.after:
    mov     al, [watched]
    xor     eax, eax
    mov     dr7, rax
    mov     eax, [count]
    check_eq "write watchpoint hits once", rax, 1
    check_eq "its RIP is behind the instruction", word_x [rips], .after
    mov     rax, [dr6s]
    and     eax, 0xf
    check_eq "its DR6", rax, 2
    ret

; TF takes effect after the instruction that follows POPFQ.
check_steps:
    mov     dword [count], 0
    xor     eax, eax
    pushfq
    or      qword [rsp], TF
    popfq
    nop
.s0:
    nop
.s1:
    out     0x80, al
.s2:
    in      al, 0x80
.s3:
    xor     eax, eax
.s4:
    cpuid
.s5:
    mov     ecx, 0x277                  ; PAT: an MSR that exits
.s6:
    rdmsr
.s7:
    wrmsr
.s8:
    pushfq
.s9:
    and     qword [rsp], ~TF
.s10:
    popfq
.s11:
    mov     eax, [count]
    check_eq "12 steps", rax, 12
%assign n 0
%rep 12
    check_eq "RIP of a step", word_x [rips + n * 8], .s%+n
    bt      word_x [dr6s + n * 8], DR6_BS
    check   "DR6.BS of a step", c
%assign n n + 1
%endrep
    ret

; One trap an iteration (SDM 3B 17.3.1.4); RIP stays on the instruction until the last.
check_string:
    mov     dword [count], 0
    mov     dx, 0x80
    mov     rsi, watched
    mov     ecx, 3
    pushfq
    or      qword [rsp], TF
    popfq
    nop
.string:
    rep outsb
.next:
    pushfq
    and     qword [rsp], ~TF
    popfq
.end:
    mov     eax, [count]
    check_eq "steps of rep outsb", rax, 7
    check_eq "first: behind NOP", word_x [rips], .string
    check_eq "iteration 1 of 3", word_x [rips + 8], .string
    check_eq "iteration 2 of 3", word_x [rips + 16], .string
    check_eq "iteration 3 of 3", word_x [rips + 24], .next
    ret

    section .bss
    alignb 8
rips:    resq STEPS
dr6s:    resq STEPS
count:   resd 1
watched: resb 16
    section .text
guest_end
