; RAM: its size as CMOS says, fresh memory is zero, every megabyte keeps what is written, and what lies behind it is not RAM.
%define MODE 64
%define GUEST "mem"
%include "guest.inc"

%define MIB        0x100000
%define OWN_END    0x200000
%define TABLES_MAX 32                   ; pages that the loader may have used for tables

main:
    call    find_size
    say     "mem: "
    mov     rax, r15
    shr     rax, 20
    call    print_dec
    say     " MiB", 13, 10
    call    check_zero
    call    check_pattern
    mov     rax, [r15]
    check_eq "behind the end", rax, -1
    ret

; CMOS index in al: its byte, zero-extended
cmos:
    out     0x70, al
    in      al, 0x71
    movzx   eax, al
    ret

; r15: bytes of RAM from address 0. CMOS 34h, 35h: above 16 MiB in 64 KiB units; 30h, 31h: above 1 MiB in KiB.
find_size:
    mov     al, 0x35
    call    cmos
    mov     r15d, eax
    shl     r15, 8
    mov     al, 0x34
    call    cmos
    or      r15, rax
    shl     r15, 16
    add     r15, 16 * MIB
    cmp     r15, 16 * MIB
    jne     .end
    mov     al, 0x31
    call    cmos
    mov     r15d, eax
    shl     r15, 8
    mov     al, 0x30
    call    cmos
    or      r15, rax
    shl     r15, 10
    add     r15, MIB
.end:
    ret

; Counts the pages above the guest's image that are not zero: the loader's tables and nothing more.
check_zero:
    mov     rdi, OWN_END
    xor     ebx, ebx
.page:
    mov     rdx, rdi
    xor     eax, eax
    mov     ecx, 512
    repe scasq
    je      .zero
    inc     ebx
.zero:
    lea     rdi, [rdx + 4096]
    cmp     rdi, r15
    jb      .page
    mov     [got], rbx
    cmp     ebx, TABLES_MAX
    check   "fresh memory is zero", be
    ret

; One quadword at the end of each megabyte, written first and read afterwards. The last is left out: loaders like it.
check_pattern:
    lea     rdi, [r15 - MIB - 8]
.write:
    mov     rax, [rdi]
    test    rax, rax
    jnz     .skip
    mov     [rdi], rdi
.skip:
    sub     rdi, MIB
    cmp     rdi, OWN_END
    ja      .write
    lea     rdi, [r15 - MIB - 8]
    xor     ebx, ebx
.read:
    cmp     [rdi], rdi
    jne     .next
    inc     ebx
.next:
    sub     rdi, MIB
    cmp     rdi, OWN_END
    ja      .read
    mov     rax, r15
    shr     rax, 20
    sub     eax, 4                      ; image, last, and two for tables in the way
    mov     [got], rbx
    cmp     ebx, eax
    check   "every megabyte keeps its value", ge
    ret
guest_end
