; Laid over a Linux kernel's two entries (boot protocol: 32-bit at 0, 64-bit at 200h of the protected-mode part): prints "ENTRY tsc=N",
; the TSC at which the kernel would have begun, and powers off. Everything before the entry is the same as in a real boot.
%define COM1     0x3f8
%define PM1A_CNT 0x604
%define PM1A_OFF (0x2000 | 5 << 10)

%macro printer 2                    ; bits, prefix of registers
    bits    %1
    rdtsc
    mov     esi, edx                ; esi:edi = TSC, printed as 16 hexadecimal digits
    mov     edi, eax
    mov     dx, COM1 + 3            ; 8 data bits: nobody has set the line yet
    mov     al, 3
    out     dx, al
    mov     ecx, 16
%%digit:
    dec     ecx
    js      %%end
    mov     eax, edi
    cmp     ecx, 8
    jb      %%low
    mov     eax, esi
%%low:
    mov     ebx, ecx
    and     ebx, 7
    shl     ebx, 2
    xchg    ecx, ebx
    shr     eax, cl
    xchg    ecx, ebx
    and     eax, 15
    cmp     al, 10
    jb      %%decimal
    add     al, 'a' - '0' - 10
%%decimal:
    add     al, '0'
    mov     ebx, eax
    mov     dx, COM1 + 5
%%ready:
    in      al, dx
    test    al, 0x20
    jz      %%ready
    mov     eax, ebx
    mov     dx, COM1
    out     dx, al
    jmp     %%digit
%%end:
    mov     dx, COM1 + 5
%%empty:
    in      al, dx
    test    al, 0x40
    jz      %%empty
    mov     dx, PM1A_CNT
    mov     ax, PM1A_OFF
    out     dx, ax
    mov     dx, 0x604
    mov     ax, 0x2000
    out     dx, ax
    mov     dx, 0x8900
    mov     al, 'S'
    out     dx, al
    mov     al, 'h'
    out     dx, al
    mov     al, 'u'
    out     dx, al
    mov     al, 't'
    out     dx, al
    mov     al, 'd'
    out     dx, al
    mov     al, 'o'
    out     dx, al
    mov     al, 'w'
    out     dx, al
    mov     al, 'n'
    out     dx, al
    cli
%%stay:
    hlt
    jmp     %%stay
%endmacro

    printer 32, e
    times 0x200 - ($ - $$) db 0x90
    printer 64, r
