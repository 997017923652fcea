; The measured guest: what traps, one operation at a time. The same image runs on KVM (tests/bench/peers/).
; variants: bench -DN=100000, bench_methods -DN=2000, bench_short -DN=2000 -DSHORT, bench_xen -DN=2000 -DSHORT -DDUMMY=0xe4 -DNO_TIMER
; N is for the port write, the RFC's operation; the others take fewer rounds, with -DSHORT a tenth. With -DONLY=OPERATION that one alone, N times.
%define MODE 64
%define GUEST "bench"
%include "guest.inc"
%include "../bench/measure.inc"

%ifdef SHORT
%define TENTH 10
%else
%define TENTH 1
%endif
%define ROUNDS    2000 / TENTH
%define SLOW      500 / TENTH           ; what takes tens of thousands of instructions
%define LONG      50 / TENTH            ; and millions
%define TIMES     200 / TENTH           ; and half a millisecond of waiting
%define NOWHERE   0xd0000000            ; no RAM and no device
%ifndef DUMMY
%define DUMMY     0x80                  ; a device with one byte
%endif
%define UNCLAIMED 0xd00
%define MSR_PAT   0x277
%define PAT_HALF  0x00070406            ; PAT after reset is this twice
%define PIT_LATE  200                   ; ticks of the 8254: 168 us

%macro op_out 0
    out     DUMMY, al
%endmacro
%macro op_in 0
    in      al, DUMMY
%endmacro
%macro op_out_unclaimed 0
    out     dx, al
%endmacro
%macro op_cpuid 0
    xor     eax, eax
    cpuid
%endmacro
%macro op_rdmsr 0
    rdmsr
%endmacro
%macro op_wrmsr 0
    mov     eax, edx
    wrmsr
%endmacro
%macro op_mmio_write 0
    mov     [rdi], eax
%endmacro
%macro op_mmio_read 0
    mov     eax, [rdi]
%endmacro
%macro op_outsb 0
    outsb
%endmacro
%macro op_insb 0
    insb
%endmacro
%macro op_rep_outsb_16 0
    rep outsb
%endmacro
%macro op_rep_outsb_256 0
    rep outsb
%endmacro
%macro op_rep_outsb_4096 0
    rep outsb
%endmacro
%macro op_rep_insb_16 0
    rep insb
%endmacro
%macro op_rep_insb_256 0
    rep insb
%endmacro
%macro op_rep_insb_4096 0
    rep insb
%endmacro

; Interrupt enable register of COM1, dx: the transmitter is empty, so that asking for its interrupt raises it at once.
%define THRE 2
%macro op_irq 0                         ; from the cause to the handler's first instruction
    mov     al, THRE
    out     dx, al
    irq_wait
%endmacro
%macro op_irq_eoi 0                     ; the end of interrupt alone, in the handler
    op_irq
    mov     r8d, r10d
    mov     r9d, r12d
%endmacro
%macro op_irq_round 0                   ; cause, handler with two port writes, IRET
    op_irq
%endmacro
%macro irq_wait 0
    sti
%%wait:
    test    r11d, r11d
    jz      %%wait
%endmacro

; How late a timer's interrupt is, from its moment to the handler's first instruction, the way down of the write that starts it included.
; Waits for PIT_LATE ticks and for twice that: the first wait twice, less the second, is free of the ticks' length. What the 8254 adds is in it:
; it takes the count at the next edge of its clock (231164, mode 0), so up to 838 ns. Waits of different
; lengths before each start spread the edges, to which the handler would else be bound. The cost of HLT is the difference of the means.
%macro op_timer_spin 0
    timer_twice irq_wait
%endmacro
%macro op_timer_hlt 0
    timer_twice irq_halt
%endmacro
%macro timer_twice 1
    timer_once PIT_LATE, %1
    mov     r10d, r9d
    sub     r10d, r8d
    xor     r11d, r11d
    timer_once PIT_LATE * 2, %1
    sub     r9d, r8d
    mov     r8d, r9d
    lea     r9d, [r10 * 2]
%endmacro
%macro timer_once 2
    cli
    imul    ecx, ebp, 29
    and     ecx, 1023
    inc     ecx
%%spread:
    dec     ecx
    jnz     %%spread
    out_byte 0x43, 0x30                 ; channel 0, low and high byte, mode 0
    out_byte 0x40, (%1) & 0xff
    rdtsc
    mov     r8d, eax
    mov     al, (%1) >> 8
    out     0x40, al
    %2
%endmacro
%macro irq_halt 0                       ; STI holds interrupts off until HLT has begun
%%wait:
    sti
    hlt
    cli
    test    r11d, r11d
    jz      %%wait
    sti
%endmacro

main:
    pic_start
    irq_gate IRQ_PIT, on_timer
    irq_gate IRQ_COM1, on_com1
    out_byte COM1 + 4, 0x0b             ; DTR, RTS, and OUT2, which lets the interrupt out
    measure empty, ROUNDS, 0, 0, 0
    measure out, N, DUMMY, 0, 0
    measure in, ROUNDS, DUMMY, 0, 0
    measure out_unclaimed, ROUNDS, UNCLAIMED, 0, 0
    measure cpuid, ROUNDS, 0, 0, 0
    measure rdmsr, ROUNDS, 0, MSR_PAT, 0
    measure wrmsr, ROUNDS, PAT_HALF, MSR_PAT, 0
    measure mmio_write, ROUNDS, 0, 0, NOWHERE, 4
    measure mmio_read, ROUNDS, 0, 0, NOWHERE, 4
    measure outsb, ROUNDS, DUMMY, 0, 0
    measure insb, ROUNDS, DUMMY, 0, BUFFER
    measure rep_outsb_16, ROUNDS, DUMMY, 16, 0, 16
    measure rep_outsb_256, SLOW, DUMMY, 256, 0, 256
    measure rep_outsb_4096, LONG, DUMMY, 4096, 0, 4096
    measure rep_insb_16, ROUNDS, DUMMY, 16, BUFFER, 16
    measure rep_insb_256, SLOW, DUMMY, 256, BUFFER, 256
    measure rep_insb_4096, LONG, DUMMY, 4096, BUFFER, 4096
    out_byte PIC1 + 1, ~(1 << IRQ_COM1) & 0xff
    sti
    measure irq, ROUNDS, COM1 + 1, 0, 0, 1, stamped
    measure irq_eoi, ROUNDS, COM1 + 1, 0, 0, 1, stamped
    measure irq_round, ROUNDS, COM1 + 1, 0, 0
%ifndef NO_TIMER
    cli
    out_byte PIC1 + 1, ~(1 << IRQ_PIT) & 0xff
    sti
    measure timer_spin, TIMES, 0, 0, 0, 1, stamped
    measure timer_hlt, TIMES, 0, 0, 0, 1, stamped
%endif
    cli
    out_byte PIC1 + 1, 0xff
    ret

; Both handlers change eax, edx and r9 to r12, which no loop keeps.
on_com1:
    rdtsc
    mov     r9d, eax
    out_byte COM1 + 1, 0
    rdtsc
    mov     r10d, eax
    mov     al, PIC_EOI
    out     PIC1, al
    rdtsc
    mov     r12d, eax
    mov     r11d, 1
    iretq

on_timer:
    rdtsc
    mov     r9d, eax
    mov     al, PIC_EOI
    out     PIC1, al
    mov     r11d, 1
    iretq

measure_code
guest_end
