; Runs a flat guest on the bare machine, without Rung: the control that tells a fault of the emulator below from one of Rung.
; A multiboot 1 image whose one module is the guest; its command line ends in 16, 32 or 64. The entry states are the loader's.
%define SHIM_BASE   0x2000000           ; clear of what guests use
%define FLAT_LOAD   0x100000
%define REAL_LOAD   0x8000
%define TABLES      0x1f00000           ; page tables for the first 4 GiB, 2 MiB pages: 6 pages
    bits 32
    org SHIM_BASE

header:
    dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    dd header, header, 0, 0, start      ; addresses instead of an ELF header

start:
    cli
    cld
    mov     esp, stack_top
    mov     esi, [ebx + 16]             ; command line
.end:
    lodsb
    test    al, al
    jnz     .end
    movzx   ebp, word [esi - 3]         ; its last two characters
    mov     edx, [ebx + 24]             ; module list
    mov     esi, [edx]
    mov     ecx, [edx + 4]
    sub     ecx, esi
    mov     edi, FLAT_LOAD
    cmp     bp, '16'
    jne     .copy
    mov     edi, REAL_LOAD
.copy:
    rep movsb
    lgdt    [gdt_pointer]
    cmp     bp, '16'
    je      enter_real
    cmp     bp, '64'
    je      enter_long
    jmp     0x08:.flat
.flat:
    mov     eax, 0x10
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     eax, FLAT_LOAD
    jmp     eax

enter_real:
    lidt    [real_idt]
    mov     edi, 0x600                  ; the last steps must lie below 64 KiB
    mov     esi, real_code
    mov     ecx, real_code_end - real_code
    rep movsb
    jmp     0x20:0x600
real_code:
    bits 16
    mov     ax, 0x28
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     eax, cr0
    and     al, 0xfe
    mov     cr0, eax
    jmp     0:REAL_LOAD
real_code_end:
    bits 32

enter_long:
    mov     edi, TABLES
    xor     eax, eax
    mov     ecx, 6 * 1024
    rep stosd
    mov     dword [TABLES], TABLES + 0x1007
    xor     ecx, ecx
.pdpt:
    mov     eax, ecx
    shl     eax, 12
    add     eax, TABLES + 0x2007
    mov     [TABLES + 0x1000 + ecx * 8], eax
    inc     ecx
    cmp     ecx, 4
    jb      .pdpt
    xor     ecx, ecx
.pd:
    mov     eax, ecx
    shl     eax, 21
    or      eax, 0x87
    mov     [TABLES + 0x2000 + ecx * 8], eax
    inc     ecx
    cmp     ecx, 2048
    jb      .pd
    mov     eax, TABLES
    mov     cr3, eax
    mov     eax, 0x20
    mov     cr4, eax
    mov     ecx, 0xc0000080
    rdmsr
    or      eax, 0x100
    wrmsr
    mov     eax, 0x80000011
    mov     cr0, eax
    jmp     0x18:.in64
.in64:
    bits 64
    mov     eax, FLAT_LOAD
    jmp     rax

    align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00009b000000ffff, 0x000093000000ffff
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
real_idt:
    dw 0x3ff
    dd 0
    times 512 db 0
stack_top:
