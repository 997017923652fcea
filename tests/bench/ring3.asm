; The guest of tests/bench/component.c, whose ports measure the crossing and the calls from inside ring 3; its partners on the same CPU.
; variants: ring3, ring3_switch -DSWITCH, ring3_ticks -DTICKS, partner_yields -DPARTNER=1, partner_ticks -DPARTNER=2
; ring3 runs alone, ring3_switch beside partner_yields, ring3_ticks beside partner_ticks.
%define MODE 64
%define GUEST "ring3"
%include "guest.inc"
%include "../bench/measure.inc"

%define ROUNDS      2000
%define SLOW        50
%define PORT_NULL   0xb00               ; tests/bench/component.c
%define PORT_STAMPS 0xb01
%define PORT_CALL   0xb02
%define PORT_YIELD  0xb03
%define PORT_YIELDS 0xb04
%define PORT_TICK   0xb05
%define PORT_OFF    0xb06
%define PIT_TICK    1193                ; 1 ms
%define TICK_COUNT  200

%macro op_null 0
    in      al, dx
%endmacro
%macro value 0                          ; the port's answer is the sample
    in      eax, dx
    xor     r8d, r8d
    mov     r9d, eax
%endmacro
%macro op_stamps 0
    value
%endmacro
%macro op_call 0
    value
%endmacro
%macro op_yield 0
    value
%endmacro
%macro op_switch_twice 0
    value
%endmacro
%macro op_ring3_tick 0
    value
%endmacro
%macro op_ring3_off 0
    value
%endmacro

main:
%ifndef PARTNER
    measure empty, ROUNDS, 0, 0, 0
    measure stamps, ROUNDS, PORT_STAMPS, 0, 0, 1, stamped
%ifdef SWITCH
    measure switch_twice, ROUNDS, PORT_YIELD, 0, 0, 1, stamped
%elifdef TICKS
    measure ring3_tick, SLOW, PORT_TICK, 0, 0, 1, stamped
    measure ring3_off, SLOW, PORT_OFF, 0, 0, 1, stamped
%else
    measure null, ROUNDS, PORT_NULL, 0, 0
    measure call, ROUNDS, PORT_CALL, 0, 0, 1, stamped
    measure yield, ROUNDS, PORT_YIELD, 0, 0, 1, stamped
%endif
    ret
%elif PARTNER == 1
    mov     ebp, 100
    mov     edx, PORT_YIELDS
.again:
    in      eax, dx
    dec     ebp
    jnz     .again
    ret
%else
    pic_start
    irq_gate IRQ_PIT, on_tick
    out_byte 0x43, 0x34                 ; channel 0, low and high byte, mode 2
    out_byte 0x40, PIT_TICK & 0xff
    out_byte 0x40, PIT_TICK >> 8
    out_byte PIC1 + 1, ~(1 << IRQ_PIT) & 0xff
    mov     ebp, TICK_COUNT
.again:
    sti
    hlt
    cli
    dec     ebp
    jnz     .again
    ret
on_tick:
    out_byte PIC1, PIC_EOI
    iretq
%endif

measure_code
guest_end
