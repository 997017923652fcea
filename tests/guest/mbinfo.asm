; Entry of the multiboot 1 guest: header and stack; the rest is mbinfo.c.
    bits 32
    global start
    extern mbinfo_main

%define FLAGS   0x3                     ; page-aligned modules, memory information

    section .text
    align 4
    dd 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
start:
    cli
    mov     esp, stack_top
    push    ebx
    push    eax
    call    mbinfo_main
    hlt

    section .bss
    align 16
    resb 8192
stack_top:
