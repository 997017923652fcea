; Interrupts through the 8259 pair: PIT ticks with STI and HLT, RTC periodic interrupts, UART interrupts and loopback.
; variants: irq, irq_strict -DSTRICT
%define MODE 32
%define GUEST "irq"
%include "guest.inc"

%define PIC1     0x20
%define PIC2     0xa0
%define PIT_HZ   1193182
%define TICK     (PIT_HZ / 1000)
%define VEC_PIT  0x20
%define VEC_COM1 0x24
%define VEC_RTC  0x28

main:
    mov     dword [hooks + VEC_PIT * 4], on_pit
    mov     dword [hooks + VEC_COM1 * 4], on_com1
    mov     dword [hooks + VEC_RTC * 4], on_rtc
    call    pic_init
    call    check_periodic
    call    check_one_shot
    call    check_masked
    call    check_shadow
    call    check_pit_counts
    call    check_rtc
    call    check_uart
    ret

; out_byte port, value
%macro out_byte 2
    mov     al, %2
    mov     dx, %1
    out     dx, al
%endmacro

pic_init:
    out_byte PIC1, 0x11
    out_byte PIC2, 0x11
    out_byte PIC1 + 1, VEC_PIT
    out_byte PIC2 + 1, VEC_RTC
    out_byte PIC1 + 1, 4
    out_byte PIC2 + 1, 2
    out_byte PIC1 + 1, 1
    out_byte PIC2 + 1, 1
    out_byte PIC2 + 1, 0xff
    out_byte PIC1 + 1, 0xff
    in      al, PIC1 + 1
    movzx   eax, al
    check_eq "IMR reads back", eax, 0xff
    ret

on_pit:
    inc     dword [ticks]
    out_byte PIC1, 0x20
    ret

on_com1:
    inc     dword [com1s]
    mov     dx, COM1 + 2
    in      al, dx
    mov     [iir], al
    out_byte COM1 + 1, 0                ; no more interrupts
    out_byte PIC1, 0x20
    ret

on_rtc:
    inc     dword [rtcs]
    mov     al, 0x0c
    out     0x70, al
    in      al, 0x71
    or      [rtc_causes], al
    out_byte PIC2, 0x20
    out_byte PIC1, 0x20
    ret

; eax: mode byte for channel 0, ecx: count
pit_start:
    out     0x43, al
    mov     al, cl
    out     0x40, al
    mov     al, ch
    out     0x40, al
    ret

check_periodic:
    mov     dword [ticks], 0
    mov     eax, 0x34                   ; channel 0, low and high byte, mode 2
    mov     ecx, TICK
    call    pit_start
    out_byte PIC1 + 1, 0xfe
.wait:
    sti
    hlt
    cli
    cmp     dword [ticks], 25
    jb      .wait
    out_byte PIC1 + 1, 0xff
    mov     eax, [ticks]
    mov     [got], eax
    cmp     eax, 25                     ; a late host can leave a second request between HLT and CLI
    check   "25 ticks, each wakes HLT", ae
    ret

; Mode 0 gives one interrupt. HLT behind STI must not miss one that is pending already: else this waits for ever.
check_one_shot:
    mov     dword [ticks], 0
    mov     ebx, 10
.again:
    mov     eax, 0x30
    mov     ecx, TICK
    call    pit_start
    out_byte PIC1 + 1, 0xfe
    call    wait_irr
    sti
    hlt
    cli
    dec     ebx
    jnz     .again
    out_byte PIC1 + 1, 0xff
    mov     eax, [ticks]
    check_eq "10 one-shots, pending before STI and HLT", eax, 10
    ret

; Waits until the PIC has request 0; bounded.
wait_irr:
    mov     ecx, 1000000
.poll:
    out_byte PIC1, 0x0a                 ; OCW3: read IRR
    in      al, PIC1
    test    al, 1
    loopz   .poll
    test    al, 1
    check   "IRR bit 0", nz
    ret

; With IF clear, or masked, nothing is delivered; the request stays.
check_masked:
    mov     dword [ticks], 0
    mov     eax, 0x30
    mov     ecx, TICK
    call    pit_start
    call    wait_irr
    sti
    nop
    nop
    out_byte 0x80, 0
    cli
    mov     eax, [ticks]
    check_eq "masked: no interrupt", eax, 0
    out_byte PIC1 + 1, 0xfe
    nop
    out_byte 0x80, 0
    mov     eax, [ticks]
    check_eq "IF clear: no interrupt", eax, 0
    sti
    nop
    nop
    cli
    mov     eax, [ticks]
    check_eq "then exactly one", eax, 1
    out_byte PIC1, 0x0b                 ; OCW3: read ISR
    in      al, PIC1
    movzx   eax, al
    check_eq "ISR is empty after EOI", eax, 0
    out_byte PIC1 + 1, 0xff
    ret

; STI; CLI leaves no instruction boundary for an interrupt between them, POPF has no such shadow.
check_shadow:
    mov     dword [ticks], 0
    mov     eax, 0x30
    mov     ecx, TICK
    call    pit_start
    out_byte PIC1 + 1, 0xfe
    call    wait_irr
%ifdef STRICT
    sti
    cli
    mov     eax, [ticks]
    check_eq "STI shadow", eax, 0
%endif
    pushfd
    or      dword [esp], 0x200
    popfd
    nop
    cli
    mov     eax, [ticks]
    check_eq "taken at POPF", eax, 1
    out_byte PIC1 + 1, 0xff
    ret

check_pit_counts:
    in      al, 0x61
    and     al, 0xfc
    or      al, 1                       ; gate 2 on, speaker off
    out     0x61, al
    out_byte 0x43, 0xb0                 ; channel 2, mode 0
    out_byte 0x42, 0xff
    out_byte 0x42, 0xff
    out_byte 0x43, 0x80                 ; latch
    in      al, 0x42
    mov     bl, al
    in      al, 0x42
    mov     bh, al
    mov     ecx, 10000
.spin:
    out_byte 0x80, 0
    out_byte 0x43, 0x80
    in      al, 0x42
    mov     ah, al
    in      al, 0x42
    xchg    al, ah
    cmp     ax, bx
    loope   .spin
    movzx   eax, ax
    mov     [got], eax
    cmp     ax, bx
    check   "channel 2 counts down", b
    in      al, 0x61
    test    al, 0x20
    check   "OUT2 is low before the end", z
    out_byte 0x43, 0xb0
    out_byte 0x42, 0x20
    out_byte 0x42, 0
    mov     ecx, 1000000
.out2:
    in      al, 0x61
    test    al, 0x20
    loopz   .out2
    check   "OUT2 is high at the end", nz
    ret

rtc_read:                               ; al: index; eax: byte
    out     0x70, al
    in      al, 0x71
    movzx   eax, al
    ret

check_rtc:
    mov     al, 0x0d
    call    rtc_read
    and     eax, 0x80
    check_eq "RTC battery", eax, 0x80
    mov     al, 0x0b
    call    rtc_read
    mov     ebx, eax
    mov     al, 0x32
    call    rtc_read
    mov     [got], eax
    cmp     eax, 0x20                   ; BCD, as firmware leaves it
    check   "century", e
    mov     al, 8
    call    rtc_read
    mov     [got], eax
    dec     eax
    cmp     eax, 0x12
    check   "month", b
    mov     al, 0x0a                    ; 1024 Hz
    out     0x70, al
    out_byte 0x71, 0x26
    mov     al, 0x0c
    call    rtc_read
    mov     al, 0x0b
    out     0x70, al
    mov     al, bl
    or      al, 0x40                    ; PIE
    out     0x71, al
    mov     dword [rtcs], 0
    mov     byte [rtc_causes], 0
    out_byte PIC2 + 1, 0xfe
    out_byte PIC1 + 1, 0xfb
.wait:
    sti
    hlt
    cli
    cmp     dword [rtcs], 10
    jb      .wait
    out_byte PIC1 + 1, 0xff
    out_byte PIC2 + 1, 0xff
    mov     al, 0x0b
    out     0x70, al
    mov     al, bl
    out     0x71, al
    mov     al, 0x0c
    call    rtc_read
    mov     al, [rtc_causes]
    and     eax, 0xc0
    check_eq "register C: IRQF and PF", eax, 0xc0
    ret

check_uart:
    call    console_wait_empty
    out_byte COM1 + 7, 0x5a
    in      al, dx
    movzx   eax, al
    check_eq "scratch", eax, 0x5a
    out_byte COM1 + 4, 0x0b             ; DTR, RTS, OUT2
    mov     dword [com1s], 0
    out_byte PIC1 + 1, 0xef
    sti
    out_byte COM1 + 1, 2                ; transmitter empty
    mov     ecx, 100000
.wait:
    cmp     dword [com1s], 0
    loope   .wait
    cli
    out_byte PIC1 + 1, 0xff
    mov     eax, [com1s]
    check_eq "transmitter interrupt", eax, 1
    mov     al, [iir]
    and     eax, 0xf
    check_eq "IIR", eax, 2
    out_byte COM1 + 4, 0x1b             ; loop
    out_byte COM1, 0xa5
    mov     ecx, 100000
.loop:
    mov     dx, COM1 + 5
    in      al, dx
    test    al, 1
    loopz   .loop
    mov     dx, COM1
    in      al, dx
    movzx   eax, al
    check_eq "loopback data", eax, 0xa5
    mov     dx, COM1 + 6
    in      al, dx
    and     eax, 0xf0
    check_eq "loopback: DTR, RTS, OUT2 come back", eax, 0xb0
    out_byte COM1 + 4, 3
    ret

    section .bss
ticks:      resd 1
com1s:      resd 1
rtcs:       resd 1
iir:        resb 1
rtc_causes: resb 1
    section .text
guest_end
