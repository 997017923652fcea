; Smallest real-mode guest: says that it runs and powers off. Loaded and entered at 8000h, whatever CS it starts with.
    org 0x8000
    bits 16
    jmp     0:start
start:
    xor     ax, ax
    mov     ds, ax
    mov     ss, ax
    mov     sp, 0x7000
    mov     si, text
    cld
.next:
    lodsb
    test    al, al
    jz      .off
    mov     ah, al
    mov     cx, 0xffff
    mov     dx, 0x3fd
.wait:
    in      al, dx
    test    al, 0x20
    loopz   .wait
    mov     al, ah
    mov     dx, 0x3f8
    out     dx, al
    jmp     .next
.off:
    mov     dx, 0x604
    mov     ax, 0x2000 | 5 << 10
    out     dx, ax
    cli
    hlt
    jmp     .off
text: db "hello from 16-bit real mode", 13, 10, "hello16: 0 checks, 0 failed", 13, 10, 0
