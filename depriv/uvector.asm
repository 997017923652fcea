; Ring 3: moves one vector register of the guest, which is live in the CPU while ring 3 runs, to memory or back.
;
; long vector_move(unsigned edi: kind, unsigned esi: number, void *rdx: data, unsigned ecx: bytes, unsigned r8d: write)
; kind: enum emul_vector (MMX, XMM and wider, opmask). Result: 1, or 0 when this CPU has no such register or its state is off.

bits 64
default rel
global vector_move

%define KIND_MM     0
%define KIND_XMM    1
%define OSXSAVE     27              ; CPUID.1:ECX, follows CR4.OSXSAVE
%define XCR0_YMM    0x06
%define XCR0_ZMM    0xe6

section .text

; A table of entries of 16 bytes: reads of registers 0 to count - 1, then writes.
%macro MOVES 4                      ; name, count, mnemonic, register
align 16
%1:
%assign n 0
%rep %2
align 16
    %3 [rdx], %4 %+ n
    ret
%assign n n+1
%endrep
%assign n 0
%rep %2
align 16
    %3 %4 %+ n, [rdx]
    ret
%assign n n+1
%endrep
%endmacro

MOVES moves_mm,  8,  movq,    mm
MOVES moves_xmm, 16, movups,  xmm
MOVES moves_ymm, 16, vmovups, ymm
MOVES moves_zmm, 32, vmovups, zmm
MOVES moves_k,   8,  kmovq,   k

vector_move:
    push    rbx
    mov     r9, rdx                 ; CPUID takes RDX
    mov     r10d, ecx
    lea     r11, [moves_mm]
    mov     ebx, 8                  ; registers of the table
    xor     ecx, ecx                ; XCR0 bits that it needs
    cmp     edi, KIND_MM
    je      .check
    cmp     edi, KIND_XMM
    jne     .opmask
    lea     r11, [moves_xmm]
    mov     ebx, 16
    cmp     r10d, 16
    jbe     .check
    lea     r11, [moves_ymm]
    mov     ecx, XCR0_YMM
    cmp     r10d, 32
    jbe     .check
    lea     r11, [moves_zmm]
    mov     ebx, 32
    mov     ecx, XCR0_ZMM
    jmp     .check
.opmask:
    lea     r11, [moves_k]
    mov     ecx, XCR0_ZMM
.check:
    cmp     esi, ebx
    jae     .none
    test    ecx, ecx
    jz      .go
    mov     edi, ecx
    push    rbx
    mov     eax, 1
    xor     ecx, ecx
    cpuid
    pop     rbx
    bt      ecx, OSXSAVE
    jnc     .none
    xor     ecx, ecx
    xgetbv
    and     eax, edi
    cmp     eax, edi
    jne     .none
.go:
    test    r8d, r8d
    jz      .read
    add     esi, ebx                ; the second half
.read:
    shl     esi, 4
    add     r11, rsi
    mov     rdx, r9
    call    r11
    mov     eax, 1
    pop     rbx
    ret
.none:
    xor     eax, eax
    pop     rbx
    ret
