; The switch of supervisor stacks, and what its idle thread sleeps in. Everything a thread needs afterwards is on its stack or in its struct.
; Ring 0, interrupts off, on the stack of the thread that leaves.

%include "offsets.inc"
%include "kernel/gprs.inc"
bits 64
section .text
global thread_switch, thread_start, cpu_halt_wait, cpu_halt_hlt

; rdi: from, rsi: to. Saves what the C ABI says a callee keeps; flags and everything else are dead at a call.
thread_switch:
    PUSHES  rbx, rbp, r12, r13, r14, r15
    mov     [rdi + THREAD_RSP], rsp
    mov     rsp, [rsi + THREAD_RSP]
    POPS    r15, r14, r13, r12, rbp, rbx
    ret

; First code of a new thread: vcpu_create() left rbx = function, r12 = argument on its stack.
thread_start:
    mov     rdi, r12
    xor     ebp, ebp
    call    rbx
    int3                            ; the function does not return

; Interrupts are off before and after. STI holds them back for one instruction, so that none comes unseen before HLT; an NMI there ends that,
; and its handler goes on behind HLT.
cpu_halt_wait:
    sti
cpu_halt_hlt:
    hlt
    cli
    ret
