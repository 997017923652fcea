; Walks through the CPU's modes from real mode: interrupts, HLT and string I/O there, protected, unreal, PAE paging, long,
; compatibility and back. Each step prints a word; "modes: N checks, M failed" ends it.
    org 0x8000
    bits 16

%define COM1    0x3f8
%define SEL_C32 0x08
%define SEL_D   0x10
%define SEL_C64 0x18
%define SEL_C16 0x20
%define SEL_D16 0x28
%define TABLES  0x10000                 ; PML4, PDPT, four page directories: 2 MiB pages

    jmp     0:start

; say16 "text": real mode, or any mode whose code is 16 bits wide
%macro say 1+
    jmp     %%over
%%text: db %1, 0
%%over:
%if __?BITS?__ == 16
    mov     si, %%text
%else
    mov     esi, %%text
%endif
    call    print%+__?BITS?__
%endmacro

; is cc, "what": counts a check
%macro is 2
    j%+1    %%good
    inc     word [failures]
    say     "modes: FAIL ", %2, 13, 10
%%good:
    inc     word [checks]
%endmacro

%macro define_print 1
print%1:
%%next:
    lodsb
    test    al, al
    jz      %%end
    mov     ah, al
    mov     dx, COM1 + 5
    mov     cx, 0xffff
%%wait:
    in      al, dx
    test    al, 0x20
    jnz     %%ready
    dec     cx
    jnz     %%wait
%%ready:
    mov     dx, COM1
    mov     al, ah
    out     dx, al
    jmp     %%next
%%end:
    ret
%endmacro

define_print 16
    bits 32
define_print 32
    bits 64
define_print 64
    bits 16

start:
    cli
    cld
    xor     ax, ax
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     sp, 0x7000
    call    check_real
    call    check_real_interrupts
    call    check_string
    call    check_unreal
    jmp     to_protected
back:
    say     "real again", 13, 10
    call    check_real_interrupts
    jmp     done

check_real:
    smsw    ax
    test    al, 1
    is      z, "PE is clear"
    mov     ax, 0xffff                  ; FFFF:8010 is 108000h: A20 is on, or this is 008000h
    mov     es, ax
    mov     bx, [0x8000]
    mov     word [es:0x8010], 0x55aa
    cmp     bx, [0x8000]
    is      e, "A20 is on"
    xor     ax, ax
    mov     es, ax
    say     "real", 13, 10
    ret

; INT through the vector table, a timer interrupt that ends HLT, and a fault.
check_real_interrupts:
    mov     word [0x60 * 4], on_int
    mov     word [0x60 * 4 + 2], 0
    mov     word [8 * 4], on_tick
    mov     word [8 * 4 + 2], 0
    mov     word [6 * 4], on_undefined
    mov     word [6 * 4 + 2], 0
    mov     word [0x3fc], 0
    mov     word [seen], 0
    int     0x60
    cmp     word [seen], 0x60
    is      e, "INT 60h"
    mov     word [seen], 0
    ud2
    cmp     word [seen], 6
    is      e, "#UD through the vector table"
    mov     al, 0x11
    out     0x20, al
    mov     al, 8
    out     0x21, al
    mov     al, 4
    out     0x21, al
    mov     al, 1
    out     0x21, al
    mov     al, 0xfe
    out     0x21, al
    mov     al, 0x34
    out     0x43, al
    mov     al, 0xa9
    out     0x40, al
    mov     al, 4
    out     0x40, al
    mov     word [seen], 0
.wait:
    sti
    hlt
    cli
    cmp     word [seen], 5
    jb      .wait
    mov     al, 0xff
    out     0x21, al
    cmp     word [seen], 5              ; a late host can leave one more request between HLT and CLI
    is      ae, "5 ticks in real mode"
    ret

on_int:
    mov     word [seen], 0x60
    iret
on_tick:
    inc     word [seen]
    mov     al, 0x20
    out     0x20, al
    iret
on_undefined:
    push    bp
    mov     bp, sp
    add     word [bp + 2], 2            ; over UD2
    pop     bp
    mov     word [seen], 6
    iret

check_string:
    mov     dx, 0x80
    mov     si, 0xfffe                  ; SI wraps inside the segment
    mov     cx, 4
    rep outsb
    cmp     si, 2
    is      e, "outsb wraps SI"
    mov     ax, 0x1000
    mov     es, ax
    mov     di, 0x10
    mov     dx, 0xd00
    mov     cx, 4
    rep insw
    cmp     di, 0x18
    is      e, "insw moves DI"
    cmp     word [es:0x16], 0xffff
    is      e, "insw stores ones"
    mov     esi, 0x10010
    xor     ax, ax
    mov     es, ax
    ret

; Big segments kept over the return to real mode: 32-bit addresses then work there.
check_unreal:
    lgdt    [gdt_pointer]
    mov     eax, cr0
    or      al, 1
    mov     cr0, eax
    mov     bx, SEL_D
    mov     es, bx
    and     al, 0xfe
    mov     cr0, eax
    mov     ebx, 0x108010
    mov     dword [es:ebx], 0x12345678
    cmp     dword [es:ebx], 0x12345678
    is      e, "unreal mode"
    xor     ax, ax
    mov     es, ax
    ret

to_protected:
    lgdt    [gdt_pointer]
    mov     eax, cr0
    or      al, 1
    mov     cr0, eax
    jmp     SEL_C32:.in32
    bits 32
.in32:
    mov     eax, SEL_D
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     esp, 0x7000
    say     "protected", 13, 10
    mov     edi, TABLES
    xor     eax, eax
    mov     ecx, 6 * 1024
    rep stosd
    mov     dword [TABLES], TABLES + 0x1003
    xor     ecx, ecx
.pdpt:
    mov     eax, ecx
    shl     eax, 12
    add     eax, TABLES + 0x2001
    mov     [TABLES + 0x1000 + ecx * 8], eax
    inc     ecx
    cmp     ecx, 4
    jb      .pdpt
    xor     ecx, ecx
.pd:
    mov     eax, ecx
    shl     eax, 21
    or      eax, 0x83
    mov     [TABLES + 0x2000 + ecx * 8], eax
    inc     ecx
    cmp     ecx, 2048
    jb      .pd

    mov     eax, cr4                    ; PAE paging: the CPU loads the four PDPTEs
    or      eax, 0x20
    mov     cr4, eax
    mov     eax, TABLES + 0x1000
    mov     cr3, eax
    mov     eax, cr0
    or      eax, 0x80000000
    mov     cr0, eax
    jmp     .pae
.pae:
    mov     ebx, 0x7000
    mov     dword [ebx], 0x600d
    xor     eax, eax
    cpuid                               ; across an exit
    mov     dx, 0x80
    out     dx, al
    mov     ebx, 0x7000
    cmp     dword [ebx], 0x600d
    is      e, "PAE paging"
    say     "pae", 13, 10
    mov     eax, cr0
    and     eax, 0x7fffffff
    mov     cr0, eax
    jmp     .unpaged
.unpaged:
    mov     eax, TABLES
    mov     cr3, eax
    mov     ecx, 0xc0000080
    rdmsr
    or      eax, 0x100
    wrmsr
    mov     eax, cr0
    or      eax, 0x80000000
    mov     cr0, eax
    mov     ecx, 0xc0000080
    rdmsr
    test    eax, 0x400
    is      nz, "EFER.LMA"
    say     "compatibility", 13, 10
    jmp     SEL_C64:.in64
    bits 64
.in64:
    mov     rax, 0x100000000
    shr     rax, 32
    cmp     eax, 1
    is      e, "64-bit registers"
    xor     eax, eax
    cpuid
    say     "long", 13, 10
    push    qword SEL_C32
    mov     eax, .back32
    push    rax
    retfq
    bits 32
.back32:
    mov     eax, cr0
    and     eax, 0x7fffffff
    mov     cr0, eax
    jmp     .flat
.flat:
    mov     ecx, 0xc0000080
    rdmsr
    test    eax, 0x400
    is      z, "EFER.LMA is clear again"
    and     eax, ~0x100
    wrmsr
    mov     eax, cr4
    and     eax, ~0x20
    mov     cr4, eax
    jmp     SEL_C16:.in16
    bits 16
.in16:
    mov     ax, SEL_D16
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     eax, cr0
    and     al, 0xfe
    mov     cr0, eax
    jmp     0:.real
.real:
    xor     ax, ax
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     sp, 0x7000
    jmp     back

done:
    say     "modes: "
    mov     ax, [checks]
    call    print_number
    say     " checks, "
    mov     ax, [failures]
    call    print_number
    say     " failed", 13, 10
    mov     dx, 0x604
    mov     ax, 0x2000 | 5 << 10
    out     dx, ax
    cli
    hlt

print_number:                           ; ax below 100
    mov     bl, 10
    div     bl
    add     ax, '00'
    mov     [digits], ax
    mov     si, digits
    call    print16
    ret

    align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00009b000000ffff, 0x000093000000ffff
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
seen:     dw 0
checks:   dw 0
failures: dw 0
digits:   db 0, 0, 0
