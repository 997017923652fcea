; Start of the other CPUs: from the STARTUP IPI in real mode straight to long mode on the boot tables, then to C on a stack of its own.
; The first part is copied to a page below 1 MiB (kernel/smp.c); it holds no address of its own, CS is its page.

%define EFER_LME_NXE (1 << 8 | 1 << 11)

extern boot_pml4, boot_gdt, smp_ap_main, smp_ap_cr3, smp_ap_stack
global ap_trampoline, ap_trampoline_end

section .rodata
bits 16
ap_trampoline:
    cli
    cld
    o32 lgdt [cs:.gdtr - ap_trampoline]
    mov     eax, 1 << 5             ; CR4.PAE
    mov     cr4, eax
    mov     eax, boot_pml4
    mov     cr3, eax
    mov     ecx, 0xc0000080         ; EFER
    xor     edx, edx
    mov     eax, EFER_LME_NXE
    wrmsr
    mov     eax, 1 << 31 | 1        ; CR0.PG and PE together: long mode at once (SDM 3A 9.8.5, APM2 14.6)
    mov     cr0, eax
    jmp     dword 0x08:ap_long
.gdtr:
    dw  15
    dd  boot_gdt
ap_trampoline_end:

section .boot progbits alloc exec write
bits 64
ap_long:                            ; cpu_init() loads the segment registers
    mov     rax, ap_high
    jmp     rax

section .text
ap_high:
    mov     rax, [smp_ap_cr3]
    mov     cr3, rax
    mov     rsp, [smp_ap_stack]
    mov     rdi, [rsp]              ; stack_head.cpu
    xor     ebp, ebp
    call    smp_ap_main
    int3
