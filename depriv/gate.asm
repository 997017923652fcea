; The crossing between ring 0 and ring 3 (method three): down, back, call, abort.
; Ring 0, interrupts off, on the vcpu's supervisor stack, which a call leaves exactly as gate_down found it:
;
;     saved_rsp -> [return address of gate_down]     (rising addresses)
;
; gate_down keeps RBX, the vcpu. The C side declares every other register lost (gate.h), so that the compiler saves what it needs and no more.
;
; An interrupt in ring 3 pushes its frame below saved_rsp, since RSP0 = saved_rsp.

%include "offsets.inc"
%include "kernel/isolate.inc"
bits 64
default abs
section .entry progbits alloc exec nowrite align=32 ; what ring 3's table has of ring 0 with aspace=isolated: kernel/isolate.c
extern cpus, features, depriv_syscall, depriv_bad_target, depriv_bad_return
global gate_down_sysexit, gate_down_sysret, gate_down_any, gate_abort
global gate_sysenter, gate_syscall_table, gate_sysenter_isolated, gate_syscall_isolated

%define USER_TOP_SHIFT 47           ; user addresses are below 1 << 47: anything above is refused, canonical or not

; rbx: vcpu. RSP0 is set here because from here on this vcpu cannot move until it is back. %1, %2: where ring 3's RIP and RSP go.
%macro GATE_SAVE 2
    mov     [rbx + VCPU_SAVED_RSP], rsp
    mov     rax, [rbx + VCPU_CPU]
    mov     [rax + CPU_RSP0], rsp
    mov     %1, [rbx + VCPU_USER_ENTRY]
    mov     %2, [rbx + VCPU_USER_STACK]
    mov     rsi, [rbx + VCPU_USER_INFO]
    mov     rdi, [rbx + VCPU_USER_FRAME]
%endmacro

; Every register that is not an argument is cleared: ring 3 sees nothing of ring 0 (ATTACKS K17).
%macro CLEAR 1-*
%rep %0
    xor     %1, %1
%rotate 1
%endrep
%endmacro

; gate_down_sysexit(rbx = vcpu): ring 3 starts at user_entry with rdi = frame, rsi = info.
gate_down_sysexit:
    GATE_SAVE rdx, rcx
    CLEAR   eax, ebx, ebp, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
    sti                             ; takes effect after SYSEXIT: no interrupt between
    o64 sysexit

; The same for SVM, where SYSENTER does not exist in long mode (APM3 SYSENTER).
gate_down_sysret:
    GATE_SAVE rcx, rdx
    mov     r11d, 0x202             ; RFLAGS: IF
    CLEAR   eax, ebx, ebp, r8d, r9d, r10d, r12d, r13d, r14d, r15d
    mov     rsp, rdx                ; NMI and #MC come on IST stacks; interrupts are off
    xor     edx, edx
    o64 sysret

; gate_down_any(rbx = vcpu): either of them, or with aspace=isolated the same on ring 3's own table.
gate_down_any:
    cmp     qword [entry_cr3], 0
    jne     .isolated
    cmp     byte [features + FEATURES_VMX], 0
    je      gate_down_sysret
    jmp     gate_down_sysexit
.isolated:
    GATE_SAVE rdx, rcx
    mov     r11, rbx
    CLEAR   eax, ebx, ebp, r8d, r9d, r10d, r12d, r13d, r14d, r15d
; To ring 3: rdx = RIP, rcx = RSP, r11 = vcpu, the other registers as ring 3 shall see them.
gate_leave:
    mov     r11, [r11 + VCPU_CR3]
    cmp     byte [features + FEATURES_VMX], 0
    je      .sysret
    TABLE_USER r11
    xor     r11d, r11d
    sti
    o64 sysexit
.sysret:
    xchg    rcx, rdx
    mov     rsp, rdx
    TABLE_USER r11
    mov     r11d, 0x202
    xor     edx, edx
    o64 sysret

; void gate_abort(struct vcpu *rdi)
gate_abort:
    mov     rbx, rdi
    mov     rsp, [rbx + VCPU_SAVED_RSP]
    mov     rax, [rbx + VCPU_FRAME]
    mov     dword [rax + FRAME_STATUS], DEPRIV_BAD_STATUS
    ret

; SYSENTER: RSP = address of saved_rsp (SYSENTER_ESP is a constant of the vcpu), IF = 0, every other flag as ring 3 left it.
; rdx = return RIP, rcx = return RSP, rdi = target domid, eax = call number, rsi r8 r9 = arguments. Isolated, RSP's target is not mapped yet.
align 16
gate_sysenter_isolated:
    TABLE_KERNEL r11
align 16
gate_sysenter:
    lea     r11, [rsp - VCPU_SAVED_RSP]
    mov     rsp, [rsp]
    push    2
    popfq                           ; TF, AC, NT, DF, IOPL: canonical before anything else (ATTACKS K8)
    cmp     rdi, [r11 + VCPU_DOMID] ; invariant 4: the one comparison, before any dispatch (S4-6)
    jne     gate_refuse
    test    eax, eax
    jnz     .call
    mov     rbx, r11
    ret                             ; DONE: gate_down returns 0

.call:
    call    gate_call
    jmp     gate_leave

; SYSCALL: RSP is still ring 3's, and GS is not to be trusted, so each CPU has its own entry that knows which vcpu it has loaded.
; FMASK has cleared every flag that matters. rcx = return RIP, r11 = flags, rdx = return RSP; else as SYSENTER.
%assign n 0
align GATE_SYSCALL_STRIDE
gate_syscall_table:
%rep CPUS_MAX
align GATE_SYSCALL_STRIDE
    mov     r11, [cpus + n * CPU_SIZE + CPU_LOADED]
    jmp     gate_syscall
%assign n n+1
%endrep

%assign n 0
align GATE_SYSCALL_STRIDE
gate_syscall_isolated:
%rep CPUS_MAX
align GATE_SYSCALL_STRIDE
    TABLE_KERNEL r11
    jmp     gate_syscall_table + n * GATE_SYSCALL_STRIDE
%assign n n+1
%endrep

align 16
gate_syscall:
    mov     rsp, [r11 + VCPU_SAVED_RSP]
    cmp     rdi, [r11 + VCPU_DOMID] ; invariant 4, as above
    jne     gate_refuse
    test    eax, eax
    jnz     .call
    mov     rbx, r11
    ret

.call:
    xchg    rcx, rdx
    call    gate_call
    jmp     gate_leave

gate_refuse:
    mov     rsi, rdi
    mov     rdi, r11
    call    depriv_bad_target
    int3

; In: rdx = return RIP, rcx = return RSP, r11 = vcpu. Out: these, rax = result, the others that a call may change cleared. A return address
; that is not a user address would fault in ring 0 (SYSRET and SYSEXIT check after the privilege changed on some CPUs): it ends the domain
; instead (ATTACKS K5).
gate_call:
    mov     r10, rdx
    or      r10, rcx
    shr     r10, USER_TOP_SHIFT
    jnz     .bad
    push    rbp
    mov     rbp, rsp
    push    rdx
    push    rcx
    push    r11
    and     rsp, -16                ; the C ABI's alignment
    mov     rdi, r11
    mov     rdx, rsi
    mov     esi, eax
    mov     rcx, r8
    mov     r8, r9
    call    depriv_syscall
    mov     rdx, [rbp - 8]
    mov     rcx, [rbp - 16]
    mov     r11, [rbp - 24]
    leave
    CLEAR   edi, esi, r8d, r9d, r10d
    ret
.bad:
    mov     rdi, r11
    mov     rsi, rdx
    mov     rdx, rcx
    call    depriv_bad_return
    int3
