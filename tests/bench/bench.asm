; Times one operation at a time by the RFC's protocol: N times RDTSC around it, median minus that of the empty loop (S3-7).
; variants: bench -DN=100000, bench_short -DN=2000, bench_port -DN=10000 -DONLY, bench_none -DN=0 -DONLY
; Lines "BENCH name=... n=... min= q1= median= q3= max= mean= empty=", in ticks of the guest's TSC; under QEMU with -icount and
; under Bochs these are instructions. N is for the port write, the protocol's operation; the others take OTHERS rounds.
; ONLY: the port write alone; two such runs with different N give the events of one write by subtraction.
%define MODE 64
%define GUEST "bench"
%include "guest.inc"

%define OTHERS   2000
%define NOWHERE  0xd0000000             ; no RAM and no device
%define SAMPLES  0x400000               ; N dwords
%define SORTED   0x800000               ; the same in order
%define COUNTERS 0xc00000               ; 65536 dwords
%define MSR_PAT  0x277

; The operations. Each is expanded in the loop, so that nothing is called between the two stamps.
%macro op_empty 0
%endmacro
%macro op_out 0
    out     0x80, al
%endmacro
%macro op_in 0
    in      al, 0x80
%endmacro
%macro op_out_unclaimed 0
    out     dx, al
%endmacro
%macro op_cpuid 0
    xor     eax, eax
    cpuid
%endmacro
%macro op_rdmsr 0
    mov     ecx, MSR_PAT
    rdmsr
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

; measure operation, count, port for dx
%macro measure 3
    mov     rdi, NOWHERE
    mov     rsi, COUNTERS
    xor     ebp, ebp
%if %2 > 0
%%again:
    rdtsc
    mov     r8d, eax
    mov     edx, %3
    op_%1
    rdtsc
    sub     eax, r8d
    mov     [SAMPLES + rbp * 4], eax
    inc     ebp
    cmp     ebp, %2
    jb      %%again
%endif
    [section .data]
%defstr %%text %1
%%name: db %%text, 0
    __?SECT?__
    mov     rsi, %%name
    mov     r15d, %2
    call    report
%endmacro

main:
    measure empty, OTHERS, 0
    mov     eax, [SORTED + OTHERS / 2 * 4]
    mov     [empty], eax
    measure out, N, 0x80
%ifndef ONLY
    measure in, OTHERS, 0x80
    measure out_unclaimed, OTHERS, 0xd00
    measure cpuid, OTHERS, 0
    measure rdmsr, OTHERS, 0
    measure mmio_write, OTHERS, 0
    measure mmio_read, OTHERS, 0
    measure outsb, OTHERS, 0x80
%endif
    ret

; rsi: name, r15d: how many samples. Sorts them by two passes over 16 bits and prints the line.
report:
    say     "BENCH name="
    call    print
    say     " n="
    mov     eax, r15d
    call    print_dec
    test    r15d, r15d
    jz      .end
    xor     ecx, ecx
    mov     rsi, SAMPLES
    mov     rdi, SORTED
    call    sort_pass
    mov     ecx, 16
    mov     rsi, SORTED
    mov     rdi, SAMPLES
    call    sort_pass
    mov     rsi, SAMPLES
    mov     rdi, SORTED
    mov     ecx, r15d
    rep movsd
    xor     eax, eax
    say     " min="
    call    print_sample
    mov     eax, r15d
    shr     eax, 2
    say     " q1="
    call    print_sample
    mov     eax, r15d
    shr     eax, 1
    say     " median="
    call    print_sample
    lea     eax, [r15 + r15 * 2]
    shr     eax, 2
    say     " q3="
    call    print_sample
    lea     eax, [r15 - 1]
    say     " max="
    call    print_sample
    xor     eax, eax                    ; mean
    xor     ecx, ecx
.sum:
    mov     edx, [SORTED + rcx * 4]
    add     rax, rdx
    inc     ecx
    cmp     ecx, r15d
    jb      .sum
    xor     edx, edx
    div     r15
    say     " mean="
    call    print_net
    mov     eax, [empty]
    say     " empty="
    call    print_dec
.end:
    say     13, 10
    ret

; eax: index of a sample
print_sample:
    mov     eax, [SORTED + rax * 4]
print_net:
    sub     eax, [empty]
    jns     .positive
    xor     eax, eax
.positive:
    jmp     print_dec

; One stable pass of the radix sort: rsi to rdi, r15d dwords, by the 16 bits from bit ecx.
sort_pass:
    push    rdi
    mov     rdi, COUNTERS
    push    rcx
    mov     ecx, 65536
    xor     eax, eax
    rep stosd
    pop     rcx
    pop     rdi
    xor     r8d, r8d
.count:
    mov     eax, [rsi + r8 * 4]
    shr     eax, cl
    movzx   eax, ax
    inc     dword [COUNTERS + rax * 4]
    inc     r8d
    cmp     r8d, r15d
    jb      .count
    xor     eax, eax                    ; counts become first positions
    xor     r8d, r8d
.prefix:
    mov     edx, [COUNTERS + r8 * 4]
    mov     [COUNTERS + r8 * 4], eax
    add     eax, edx
    inc     r8d
    cmp     r8d, 65536
    jb      .prefix
    xor     r8d, r8d
.place:
    mov     edx, [rsi + r8 * 4]
    mov     eax, edx
    shr     eax, cl
    movzx   eax, ax
    mov     r9d, [COUNTERS + rax * 4]
    inc     dword [COUNTERS + rax * 4]
    mov     [rdi + r9 * 4], edx
    inc     r8d
    cmp     r8d, r15d
    jb      .place
    ret

    section .bss
empty: resd 1
    section .text
guest_end
