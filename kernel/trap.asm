; Entry of host exceptions and interrupts: one stub per vector, one common frame (struct trap_frame).
; Ring 0, on the supervisor stack of the vcpu (from ring 3: below saved_rsp), the idle stack, or an IST stack. Interrupts off.

%include "offsets.inc"
%include "kernel/gprs.inc"
%include "kernel/isolate.inc"
bits 64
default abs
extern cpus, trap_handle
global trap_stubs, trap_stubs_isolated

%define HAS_ERROR(v) (v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30)

%define HAS_IST(v)   (v == 1 || v == 2 || v == 8 || v == 18)

%macro STUBS 2 ; where the vectors with an IST go, and the others
%assign v 0
%rep 256
align TRAP_STUB
%if HAS_ERROR(v) == 0
    push    0                       ; no error code
%endif
    push    v
%if HAS_IST(v)
    jmp     %1
%else
    jmp     %2
%endif
%assign v v+1
%endrep
%endmacro

section .text
align TRAP_STUB
trap_stubs:
    STUBS   trap_common, trap_common

; In: RFLAGS as ring 3 left them but for TF, NT, RF, VM, IF, which the gate cleared. AC would switch SMAP off and DF turn
; string instructions round: both are made canonical first (ATTACKS K8).
trap_common:
    PUSHES  rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push    2
    popfq
    mov     rdi, rsp
    mov     rbp, rsp
    and     rsp, -16
    call    trap_handle
    mov     rsp, rbp
    POPS    r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    add     rsp, 16                 ; vector, error
    iretq

; The same with aspace=isolated, on ring 3's table (kernel/isolate.c).
section .entry progbits alloc exec nowrite align=32
align TRAP_STUB
trap_stubs_isolated:
    STUBS   trap_switch, trap_any

trap_any:
    test    byte [rsp + 24], 3
    jz      trap_common             ; ring 0, on a stack and a table of its own

; From ring 3, or with an IST from anywhere: CR3 is anyone's, and RSP is in slot n of this CPU's entry stacks. What lies there is the top of
; a trap_frame. It goes to the stack that cpu.tss has in place n, and comes back: an interrupt in ring 3 can have switched vcpus meanwhile,
; whose frames were in the slot then. A thread stays on its CPU.
%define MOVED 11                    ; words: RBX, RDX, RCX, RAX, vector, error, and what the CPU pushes
trap_switch:
    PUSHES  rax, rcx, rdx, rbx
    mov     rbx, cr3
    TABLE_KERNEL rax
    mov     eax, esp                ; the low half of ENTRY_BASE is 0
    mov     ecx, esp
    shr     eax, ENTRY_SHIFT
    shr     ecx, ENTRY_SLOT_SHIFT
    imul    eax, eax, CPU_SIZE
    and     ecx, 7
    mov     rax, [cpus + rax + rcx * 8 + CPU_RSP0]
    and     rax, -16
    xchg    rax, rsp
%assign n MOVED
%rep MOVED
%assign n n-1
    push    qword [rax + n * 8]
%endrep
    PUSHES  rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    push    2
    popfq
    mov     rbp, rax
    mov     rdi, rsp
    call    trap_handle
    lea     rsi, [rsp + TRAP_FRAME - MOVED * 8]
    mov     rdi, rbp
    mov     ecx, MOVED
    rep movsq
    POPS    r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi
    mov     rax, rbp
    pop     rbp
    mov     rsp, rax
    TABLE_SET rbx
    POPS    rbx, rdx, rcx, rax
    add     rsp, 16
    iretq
