; Exceptions as the guest's own: faults with the right error code and RIP, software interrupts, and #UD for every instruction
; variants: except, except_strict -DSTRICT
; of a virtualisation extension that this virtual CPU does not have. STRICT adds what QEMU's TCG itself gets wrong.
%define MODE 64
%define GUEST "except"
%include "guest.inc"

%define UNMAPPED 0x4000000000
%define SOFT     0x2a                   ; a gate of the table that nothing else uses

main:
    call    check_faults
    call    check_traps
    call    check_descriptors
    call    check_vmx
    call    check_svm
    call    check_double
    ret

check_faults:
    xor     ecx, ecx
    xor     edx, edx
    mov     eax, 1
    expect_fault "#DE", 0, {div ecx}
    expect_fault "#UD", 6, ud2
    mov     rbx, UNMAPPED + 0x123
    expect_fault "#PF read", 14, {mov al, [rbx]}
    check_eq "#PF read: error", word_x [fault_error], 0
    mov     rax, cr2
    check_eq "#PF read: CR2", rax, rbx
    expect_fault "#PF write", 14, {mov [rbx + 1], al}
    check_eq "#PF write: error", word_x [fault_error], 2
    mov     rax, cr2
    dec     rax
    check_eq "#PF write: CR2", rax, rbx
    mov     rbx, 0x8000000000000000
    expect_fault "#GP non-canonical", 13, {mov al, [rbx]}
    check_eq "#GP: error", word_x [fault_error], 0
%ifdef STRICT
    push    rbp
    mov     rbp, 0x8000000000000000
    expect_fault "#SS non-canonical", 12, {mov al, [rbp + 0]}
    pop     rbp
    expect_fault "#GP for INT beyond the IDT", 13, {int 0x80}
    check_eq "#GP beyond the IDT: error", word_x [fault_error], 0x80 * 8 + 2
%endif
    ret

; Traps leave RIP behind the instruction.
%macro expect_trap 3+
    mov     word_x [fault_vector], -1
    mov     word_x [fault_resume], %%after
    %3
%%after:
    mov     word_x [fault_resume], 0
    cmp     word_x [fault_vector], %2
    check   {%1}, e
    cmp     word_x [fault_rip], %%after
    check   {%1, " (rip)"}, e
%endmacro

check_traps:
    expect_trap "INT3", 3, int3
    expect_trap "INT 3 in two bytes", 3, {db 0xcd, 3}
    expect_trap "INT n", SOFT, {int SOFT}
%ifdef STRICT
    expect_trap "ICEBP", 1, {db 0xf1}
%endif
    mov     qword [hooks + SOFT * 8], count_soft
    mov     dword [soft], 0
    mov     ecx, 100
.again:
    int     SOFT
    loop    .again
    mov     eax, [soft]
    check_eq "100 software interrupts", rax, 100
    mov     qword [hooks + SOFT * 8], 0
    ret

count_soft:
    inc     dword [soft]
    out     0x80, al
    ret

check_descriptors:
    mov     eax, SEL_ABSENT
    expect_fault "#NP", 11, {mov ds, eax}
    check_eq "#NP: error", word_x [fault_error], SEL_ABSENT
    mov     eax, 0x1238
    expect_fault "#GP beyond the GDT", 13, {mov es, eax}
    check_eq "#GP: error is the selector", word_x [fault_error], 0x1238
    mov     eax, SEL_DATA
    expect_fault "#GP for LTR of a data segment", 13, {ltr ax}
    mov     eax, SEL_ABSENT
    expect_fault "#NP for SS is #SS", 12, {mov ss, eax}
    sgdt    [scratch]
    check_eq "SGDT: base", word_x [scratch + 2], gdt
    sidt    [scratch]
    check_eq "SIDT: base", word_x [scratch + 2], idt
    ret

check_vmx:
    expect_fault "VMCALL", 6, vmcall
    expect_fault "VMLAUNCH", 6, vmlaunch
    expect_fault "VMRESUME", 6, vmresume
    expect_fault "VMXOFF", 6, vmxoff
    expect_fault "VMXON", 6, {vmxon [scratch]}
    expect_fault "VMCLEAR", 6, {vmclear [scratch]}
    expect_fault "VMPTRLD", 6, {vmptrld [scratch]}
    expect_fault "VMPTRST", 6, {vmptrst [scratch]}
    expect_fault "VMREAD", 6, {vmread rax, rbx}
    expect_fault "VMWRITE", 6, {vmwrite rax, rbx}
    xor     eax, eax
    expect_fault "INVEPT", 6, {invept rax, [scratch]}
    expect_fault "INVVPID", 6, {invvpid rax, [scratch]}
    expect_fault "VMFUNC", 6, vmfunc
    expect_fault "GETSEC", 6, getsec
    ret

check_svm:
    mov     rax, scratch
    expect_fault "VMRUN", 6, {db 0x0f, 0x01, 0xd8}
    expect_fault "VMMCALL", 6, {db 0x0f, 0x01, 0xd9}
    expect_fault "VMLOAD", 6, {db 0x0f, 0x01, 0xda}
    expect_fault "VMSAVE", 6, {db 0x0f, 0x01, 0xdb}
    expect_fault "STGI", 6, {db 0x0f, 0x01, 0xdc}
    expect_fault "CLGI", 6, {db 0x0f, 0x01, 0xdd}
    expect_fault "SKINIT", 6, {db 0x0f, 0x01, 0xde}
    expect_fault "INVLPGA", 6, {db 0x0f, 0x01, 0xdf}
    expect_fault "RSM", 6, rsm
    mov     eax, 1
    xor     ecx, ecx
    cpuid
    bt      ecx, 3
    jc      .monitor
    mov     eax, scratch
    xor     ecx, ecx
    xor     edx, edx
    expect_fault "MONITOR", 6, monitor
    expect_fault "MWAIT", 6, mwait
.monitor:
    xor     ecx, ecx
    expect_fault "XGETBV without OSXSAVE", 6, xgetbv
    ret

; A page fault whose gate is not present is a double fault, error code 0 (SDM 3A 6.15 table 6-5).
check_double:
    and     byte [idt + 14 * 16 + 5], 0x7f
    mov     rbx, UNMAPPED
    mov     word_x [fault_vector], -1
    mov     word_x [fault_error], -1
    mov     word_x [fault_resume], .after
    mov     al, [rbx]
.after:
    mov     word_x [fault_resume], 0
    or      byte [idt + 14 * 16 + 5], 0x80
    check_eq "#DF", word_x [fault_vector], 8
    check_eq "#DF: error", word_x [fault_error], 0
    ret

    section .bss
    alignb 4096
scratch: resb 4096
soft:    resd 1
    section .text
guest_end
