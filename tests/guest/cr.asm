; Control registers: bits that the host may own read back as written, illegal combinations fault, CR2 and CR8 are the guest's.
; variants: cr, cr_strict -DSTRICT
; STRICT adds the faults that the CPU itself raises and QEMU's TCG does not.
%define MODE 64
%define GUEST "cr"
%include "guest.inc"

%define CR0_MP 1
%define CR0_TS 3
%define CR0_NE 5
%define CR0_WP 16
%define CR0_NW 29
%define CR0_CD 30
%define CR4_VMXE 13

main:
    mov     rax, cr0
    mov     [cr0_start], rax
    mov     rax, cr4
    mov     [cr4_start], rax
    call    check_cr0
    call    check_lmsw
%ifdef STRICT
    call    check_cr0_illegal
%endif
    call    check_cr4
    call    check_others
    ret

; toggles "name", cr, bit: the bit can be changed and reads back, before and after an exit
%macro toggles 3
    mov     rax, %2
    mov     r13, rax
    btc     rax, %3
    mov     r12, rax
    expect_quiet %1, {mov %2, rax}
    xor     eax, eax
    cpuid
    mov     rax, %2
    mov     r14, rax
    mov     %2, r13
    check_eq {%1, " reads back"}, r14, r12
%endmacro

check_cr0:
    toggles "CR0.TS", cr0, CR0_TS
    toggles "CR0.MP", cr0, CR0_MP
    toggles "CR0.NE", cr0, CR0_NE
    toggles "CR0.WP", cr0, CR0_WP
    toggles "CR0.CD", cr0, CR0_CD
    mov     rax, [cr0_start]
    bts     rax, CR0_TS
    btr     rax, 2                      ; EM
    mov     cr0, rax
    expect_fault "FNINIT with TS", 7, fninit
    clts
    expect_quiet "FNINIT after CLTS", fninit
    mov     rax, cr0
    bt      rax, CR0_TS
    check   "CLTS", nc
    mov     rax, [cr0_start]
    mov     cr0, rax
    ret

check_lmsw:
    smsw    rax
    mov     rbx, cr0
    and     eax, 0xffff
    and     ebx, 0xffff
    check_eq "SMSW", rax, rbx
    or      eax, 1 << CR0_TS
    lmsw    ax
    mov     rax, cr0
    bt      rax, CR0_TS
    check   "LMSW sets TS", c
    mov     word [scratch], 1
    lmsw    [scratch]
    mov     rax, cr0
    bt      rax, CR0_TS
    check   "LMSW from memory clears TS", nc
    xor     eax, eax
    lmsw    ax
    mov     rax, cr0
    bt      rax, 0
    check   "LMSW does not clear PE", c
    bt      rax, 31
    check   "LMSW does not touch PG", c
    mov     rax, [cr0_start]
    mov     cr0, rax
    ret

%ifdef STRICT
check_cr0_illegal:
    mov     rax, [cr0_start]
    btr     rax, 31
    expect_fault "CR0.PG cleared in 64-bit mode", 13, {mov cr0, rax}
    mov     rax, [cr0_start]
    btr     rax, 0
    expect_fault "CR0.PE cleared while paging", 13, {mov cr0, rax}
    mov     rax, [cr0_start]
    bts     rax, CR0_NW
    btr     rax, CR0_CD
    expect_fault "CR0.NW without CD", 13, {mov cr0, rax}
    mov     rax, [cr0_start]
    bts     rax, 32
    expect_fault "CR0 bit 32", 13, {mov cr0, rax}
    ret
%endif

check_cr4:
    toggles "CR4.PGE", cr4, 7
    toggles "CR4.DE", cr4, 3
    toggles "CR4.PSE", cr4, 4
    toggles "CR4.MCE", cr4, 6
    toggles "CR4.TSD", cr4, 2
    toggles "CR4.OSFXSR", cr4, 9
    toggles "CR4.OSXMMEXCPT", cr4, 10
%ifdef STRICT
    mov     rax, [cr4_start]
    bts     rax, CR4_VMXE
    expect_fault "CR4.VMXE", 13, {mov cr4, rax}
    mov     rax, [cr4_start]
    btr     rax, 5
    expect_fault "CR4.PAE cleared in 64-bit mode", 13, {mov cr4, rax}
    mov     rax, [cr4_start]
    bts     rax, 31
    expect_fault "CR4 bit 31", 13, {mov cr4, rax}
    mov     rax, [cr4_start]
    bts     rax, 40
    expect_fault "CR4 bit 40", 13, {mov cr4, rax}
%endif
    mov     rax, cr4
    check_eq "CR4 unchanged", rax, [cr4_start]
    ret

check_others:
    mov     rax, 0xffff800012345678
    mov     cr2, rax
    out     0x80, al
    xor     eax, eax
    cpuid
    mov     rax, cr2
    mov     rbx, 0xffff800012345678
    check_eq "CR2 across exits", rax, rbx
    mov     eax, 5
    mov     cr8, rax
    out     0x80, al
    mov     rax, cr8
    check_eq "CR8", rax, 5
    xor     eax, eax
    mov     cr8, rax
    mov     rax, cr3
    mov     cr3, rax
    mov     rbx, cr3
    check_eq "CR3", rbx, rax
    expect_fault "CR1", 6, {db 0x0f, 0x20, 0xc8}
    expect_fault "CR5", 6, {db 0x0f, 0x22, 0xe8}
    expect_quiet "WBINVD", wbinvd
    expect_quiet "INVD", invd
    expect_quiet "INVLPG", {invlpg [0]}
    ret

    section .bss
cr0_start: resq 1
cr4_start: resq 1
scratch:   resq 1
    section .text
guest_end
