; Entry from the boot loader: multiboot2 (GRUB, BIOS and UEFI) or multiboot 1 (QEMU -kernel), to long mode and boot_main().
; 32-bit protected mode, paging off, interrupts off, eax = magic, ebx = physical address of the boot information.

%define KERNEL_IMAGE    0xffffffff80000000
%define MB1_MAGIC       0x1badb002
%define MB1_FLAGS       0x3         ; modules on page boundaries, memory map
%define MB2_MAGIC       0xe85250d6
%define PAGE_WRITE      0x3         ; present, writable
%define PAGE_READ_USER  0x5         ; present, ring 3's
%define PAGE_USER       0x7
%define PAGE_LARGE      0x87        ; as the tables above it say
%define COM1            0x3f8
%define STACK_SIZE      0x4000      ; KSTACK_STRIDE; struct stack_head is the top 64 bytes
%define STACK_HEAD_SIZE 64

%include "offsets.inc"

extern boot_main
global _start, boot_stack, boot_pml4, boot_gdt, plan

section .boot.header progbits alloc exec write align=8
mb1_header:
    dd  MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

align 8
mb2_header:
    dd  MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
align 8                             ; framebuffer, optional, no wish as to its size: without this tag GRUB passes none under UEFI
    dw  5, 1
    dd  20
    dd  0, 0, 0
align 8                             ; modules on page boundaries
    dw  6, 0
    dd  8
align 8
    dw  0, 0
    dd  8
mb2_end:

section .boot progbits alloc exec write align=4096
bits 32
_start:
    cld
    mov     esp, boot_stack_32
    push    ebx
    push    eax
    call    check_long_mode
    mov     eax, 1 << 5             ; PAE, and no SMEP or SMAP that the firmware may have left: ring 3 can read what is below
    mov     cr4, eax
    mov     eax, boot_pml4
    mov     cr3, eax
    mov     ecx, 0xc0000080         ; EFER.LME
    rdmsr
    or      eax, 1 << 8
    wrmsr
    pop     edi                     ; magic, boot information: arguments of boot_main, 32 bits each
    pop     esi
    mov     eax, cr0
    or      eax, 1 << 31 | 1
    mov     cr0, eax
    lgdt    [boot_gdtr]
    jmp     0x08:.long

bits 64                             ; of the segment registers, cpu_init() loads what long mode looks at
.long:
    mov     rsp, boot_stack + STACK_SIZE - STACK_HEAD_SIZE
    xor     ebp, ebp
    mov     rax, boot_main
    call    rax
    int3

bits 32
; Long mode, or one line on COM1 and the screen and an end.
check_long_mode:
    mov     eax, 0x80000000
    cpuid
    cmp     eax, 0x80000001
    jb      .none
    mov     eax, 0x80000001
    cpuid
    test    edx, 1 << 29
    jz      .none
    ret
.none:
    mov     esi, no_long_mode
    mov     edi, 0xb8000
.next:
    lodsb
    test    al, al
    jz      .stop
    mov     ah, 0x07
    mov     [edi], ax
    add     edi, 2
    mov     ah, al
    mov     dx, COM1 + 5
    mov     ecx, 100000             ; bounded: the port may be absent
.wait:
    in      al, dx
    test    al, 0x20
    loopz   .wait
    mov     dx, COM1
    mov     al, ah
    out     dx, al
    jmp     .next
.stop:
    cli
    hlt
    jmp     .stop

no_long_mode: db "rung: this CPU lacks long mode (CPUID.80000001h:EDX[29]), which Rung needs", 13, 10, 0

align 8
boot_gdt:
    dq  0, 0x00209b0000000000       ; accessed: it lies where the boot tables do not write
boot_gdtr:
    dw  $ - boot_gdt - 1
    dd  boot_gdt

; Tables: at its own address, for ring 3 read-only, all memory that they reach; the same at POOL_BASE (PML4 slot 256) for ring 0; its first 1 GiB
; at KERNEL_IMAGE (slot 511, PDPT 510); the plan and the stack of the setup program at ABI_PLAN_BASE (slot 1).
align 4096
boot_pml4:
    dq  boot_pdpt + PAGE_READ_USER, boot_pdpt_plan + PAGE_USER
    times 254 dq 0
    dq  boot_pdpt + PAGE_WRITE
    times 254 dq 0
    dq  boot_pdpt_image + PAGE_WRITE
boot_pdpt:
    dq  boot_pd + PAGE_USER, boot_pd + 0x1000 + PAGE_USER, boot_pd + 0x2000 + PAGE_USER, boot_pd + 0x3000 + PAGE_USER
%assign page 4 << 30
%rep 508                            ; where the CPU has no pages of 1 GiB, nothing looks there
    dq  page + PAGE_LARGE
%assign page page + (1 << 30)
%endrep
boot_pdpt_image:
    times 510 dq 0
    dq  boot_pd + PAGE_WRITE
    dq  0
boot_pd:
%assign page 0
%rep 4 * 512
    dq  page + PAGE_LARGE
%assign page page + 0x200000
%endrep
boot_pdpt_plan:
    dq  boot_pd_plan + PAGE_USER
    times 511 dq 0
boot_pd_plan:
    dq  boot_pt_plan + PAGE_USER
    times 511 dq 0
boot_pt_plan:
%assign page 0
%rep ABI_PLAN_AREA / 4096
    dq  plan - KERNEL_IMAGE + page + PAGE_USER
%assign page page + 0x1000
%endrep
    times 512 - ABI_PLAN_AREA / 4096 dq 0
    times 32 dq 0
boot_stack_32:

section .bss.stack nobits alloc write align=16384
boot_stack:
    resb STACK_SIZE

section .bss.plan nobits alloc write align=4096
plan:
    resb ABI_PLAN_AREA
