; Ring-3 components that attack ring 0, one attack an image: what a compromised device model or loader could do (ATTACKS K1-K16).
; `list` has a row for each: the defines that pick it, and what the log must say. See README.md.
%include "hostile.inc"

; ---- Exceptions, each by the plainest means (K16) --------------------------------------------------------------------------

x_de:
    xor     ecx, ecx
    div     ecx
    ret
deed x_ud,      ud2
deed x_bp,      int3
deed x_int1,    db 0xf1
deed x_into,    db 0xce                 ; not in 64-bit mode
deed x_gp,      call high_read
x_ss:
    mov     rsp, HIGH_ADDRESS
    push    rax
x_ss_rbp:
    mov     rbp, EDGE_ADDRESS - 4       ; a read that ends beyond the canonical half
    mov     rax, [rbp]
    ret
x_db:
    mov     r12d, FLAG_TF
    call    flags_set
    nop
    ret
x_ac:
    mov     r12d, FLAG_AC
    call    flags_set
    mov     eax, [rsp - 7]
    ret
x_mf:
    call    x87_divide
    fwait
    ret
x_mf_pending:                           ; left for whoever comes next: ring 0 saves and restores it without touching it
x87_divide:
    fninit
    fnstcw  [data_word]
    and     word [data_word], ~4        ; #Z is unmasked
    fldcw   [data_word]
    fld1
    fldz
    fdivp   st1, st0
    ret
x_xm:
    stmxcsr [data_word]
    and     dword [data_word], ~(1 << 9)
    ldmxcsr [data_word]
    mov     eax, 1
    cvtsi2ss xmm0, eax
    xorps   xmm1, xmm1
    divss   xmm0, xmm1
    ret
x_mxcsr:                                ; a reserved bit
    mov     dword [data_word], -1
    ldmxcsr [data_word]
    ret
x_long:                                 ; more than 15 bytes
    times 15 db 0x66
    nop
    ret
deed x_lock,    db 0xf0, 0x90
high_read:
    mov     rax, HIGH_ADDRESS
    mov     rax, [rax]
    ret

; INT n. Every gate has DPL 0: the vectors of interrupts and IPIs as well as those of exceptions, with and without an error code (K9).
int_n:
    int     (N) & 0xff
    ret

; ---- Memory (K2, K17) --------------------------------------------------------------------------------------------------------

%macro reads 2                          ; label, address
%1: mov     rax, %2
    mov     rax, [rax]
    ret
%endmacro
%macro writes 2
%1: mov     rax, %2
    mov     byte [rax], 0xc3
    ret
%endmacro
%macro jumps 2
%1: mov     rax, %2
    jmp     rax
%endmacro
reads  m_kernel_text,  KERNEL_TEXT
writes m_kernel_write, KERNEL_TEXT
jumps  m_kernel_jump,  KERNEL_TEXT
reads  m_pool,         KERNEL_POOL
reads  m_kernel_data,  KERNEL_DATA
writes m_kernel_stack, KERNEL_STACK
writes m_entry_text,   ENTRY_TEXT
jumps  m_entry_jump,   ENTRY_TEXT
reads  m_entry_tss,    ENTRY_TSS
writes m_entry_stack,  ENTRY_STACK
writes m_entry_gdt,    ENTRY_GDT
reads  m_device,       KERNEL_DEVICE
reads  m_null,         0
reads  m_edge,         EDGE_ADDRESS - 8
reads  m_low,          0x200000         ; where the image lies physically
reads  m_guard,        STACK_TOP - STACK_SIZE - 8
writes m_above_stack,  STACK_TOP
reads  m_other_stack,  STACK_TOP + 0x10000 - 8
reads  m_other_frame,  FRAME_BASE + 4096
writes m_info,         INFO_BASE + I_DOMID
writes m_text,         header
writes m_rodata,       wrong_text
reads  m_behind,       data_end
writes m_module,       MODULE_BASE
reads  m_module_read,  MODULE_BASE      ; fine while loading, and gone after it (K14)
reads  m_module_next,  MODULE_BASE + 0x100000000
jumps  m_data_jump,    data_word
jumps  m_guest_jump,   GUEST_BASE + G_IRET
jumps  m_frame_jump,   FRAME_BASE
jumps  m_high_jump,    HIGH_ADDRESS
m_stack_jump:
    jmp     rsp
m_beyond:                               ; behind the domain's RAM: what another may own
    mov     rax, GUEST_BASE
    add     rax, [rbx + I_RAM_LOW]
    mov     rax, [rax]
    ret
m_recurse:
    call    m_recurse
    ret
m_fetch_end:                            ; execution runs off the end of the text
    jmp     text_end

; ---- Privileged and virtualization instructions (K9, K10) --------------------------------------------------------------------

deed p_cli,     cli
deed p_sti,     sti
deed p_hlt,     hlt
deed p_in,      in al, 0x80
deed p_out,     out 0x80, al
deed p_clts,    clts
deed p_lmsw,    lmsw ax
deed p_invd,    invd
deed p_wbinvd,  wbinvd
deed p_invlpg,  invlpg [rsp]
deed p_swapgs,  swapgs
deed p_rsm,     rsm
deed p_mov_cr0, mov rax, cr0
deed p_cr0,     mov cr0, rax
deed p_cr2,     mov cr2, rax
deed p_cr3,     mov cr3, rax
deed p_cr4,     mov cr4, rax
deed p_cr8,     mov cr8, rax
deed p_mov_dr7, mov rax, dr7
deed p_dr0,     mov dr0, rax
deed p_dr7,     mov dr7, rax
deed p_lgdt,    lgdt [data_word]
deed p_lidt,    lidt [data_word]
deed p_rdfsbase, db 0xf3, 0x48, 0x0f, 0xae, 0xc0
deed p_wrgsbase, db 0xf3, 0x48, 0x0f, 0xae, 0xd8
deed p_vmcall,  db 0x0f, 0x01, 0xc1
deed p_vmlaunch, db 0x0f, 0x01, 0xc2
deed p_vmxoff,  db 0x0f, 0x01, 0xc4
deed p_vmread,  db 0x0f, 0x78, 0xc0
deed p_vmwrite, db 0x0f, 0x79, 0xc0
deed p_vmxon,   db 0xf3, 0x0f, 0xc7, 0x34, 0x24
deed p_vmptrld, db 0x0f, 0xc7, 0x34, 0x24
deed p_invept,  db 0x66, 0x0f, 0x38, 0x80, 0x04, 0x24
deed p_vmrun,   db 0x0f, 0x01, 0xd8
deed p_vmmcall, db 0x0f, 0x01, 0xd9
deed p_vmload,  db 0x0f, 0x01, 0xda
deed p_vmsave,  db 0x0f, 0x01, 0xdb
deed p_stgi,    db 0x0f, 0x01, 0xdc
deed p_clgi,    db 0x0f, 0x01, 0xdd
deed p_skinit,  db 0x0f, 0x01, 0xde
deed p_invlpga, db 0x0f, 0x01, 0xdf
deed p_mwait,   db 0x0f, 0x01, 0xc9
p_monitor:
    lea     rax, [data_word]
    xor     ecx, ecx
    xor     edx, edx
    db 0x0f, 0x01, 0xc8
    ret
p_rdmsr:
    mov     ecx, 0xc0000082
    rdmsr
    ret
p_wrmsr:
    mov     ecx, 0xc0000082
    xor     eax, eax
    xor     edx, edx
    wrmsr
    ret
p_xsetbv:
    xor     ecx, ecx
    mov     eax, 1
    xor     edx, edx
    xsetbv
    ret
p_rdpmc:
    xor     ecx, ecx
    rdpmc
    ret
p_wrpkru:
    xor     ecx, ecx
    xor     edx, edx
    xor     eax, eax
    db 0x0f, 0x01, 0xef
    ret
p_outs:
    mov     dx, 0x3f8
    lea     rsi, [wrong_text]
    outsb
    ret
p_sysret:                               ; the ways down, from below, to ring 0's own addresses
    mov     rcx, KERNEL_TEXT
    mov     r11d, 0x202
    o64 sysret
p_sysexit:
    mov     rdx, KERNEL_TEXT
    mov     rcx, KERNEL_STACK
    o64 sysexit
p_iopl:
    mov     r12d, FLAG_IOPL
    call    flags_set
    cli
    ret
p_other_gate:                           ; the other vendor's call: on VMX, STAR and LSTAR are the guest's (K12)
    mov     edi, [rbx + I_DOMID]
    xor     eax, eax
    test    byte [rbx + I_CPU], 1
    jnz     .syscall
    sysenter
.syscall:
    syscall
    ret

; ---- Selectors, far transfers, IRET (K9) -------------------------------------------------------------------------------------

%macro selector 3                       ; label, register, value
%1: mov     eax, %3
    mov     %2, ax
    ret
%endmacro
selector s_kcode, ds, SEL_KCODE
selector s_kdata, ds, SEL_KDATA
selector s_kdata3, es, SEL_KDATA | 3
selector s_tss,   gs, SEL_TSS
selector s_absent, fs, SEL_UCODE32
selector s_ldt,   fs, 0x07
selector s_far,   gs, 0xfff8            ; beyond the GDT
selector s_ss_null, ss, 0
selector s_ss_kernel, ss, SEL_KDATA
s_ltr:
    mov     eax, SEL_TSS
    ltr     ax
    ret
s_lldt:
    xor     eax, eax
    lldt    ax
    ret
%macro far_return 2                     ; label, selector
%1: push    %2
    lea     rax, [nothing]
    push    rax
    retfq
%endmacro
far_return s_retf_ring0, SEL_KCODE
far_return s_retf_absent, SEL_UCODE32
far_return s_retf_data, SEL_UDATA
far_return s_retf_null, 0
s_call_tss:
    mov     word [data_word + 8], SEL_TSS | 3
    call    far [data_word]
    ret
s_call_ring0:
    mov     word [data_word + 8], SEL_KCODE
    call    far [data_word]
    ret
s_null:                                 ; null selectors zero the bases: ring 0 must find its data without GS
    xor     eax, eax
    mov     ds, eax
    mov     es, eax
    mov     fs, eax
    mov     gs, eax
    jmp     calls_100
s_sweep:                                ; no other selector of the GDT's page is ring 3's: a VM exit sets the limit to FFFFh (SDM 3C 27.5.2)
    mov     ecx, 0xffb
.next:
    cmp     ecx, SEL_UDATA
    je      .own
    cmp     ecx, SEL_UCODE
    je      .own
    cmp     ecx, SEL_UDATA64
    je      .own
    lar     eax, ecx
    jz      wrong_result
.own:
    sub     ecx, 8
    jns     .next
    ret
s_user:                                 ; what a program may load, FS and GS with the data segment of ring 3
    mov     eax, SEL_UDATA
    mov     ds, eax
    mov     es, eax
    mov     fs, eax
    mov     gs, eax
    mov     ss, eax
    jmp     calls_100

; iret_to label, CS, RIP, RFLAGS, RSP, SS
%macro iret_to 6
%1: push    %6
    mov     rax, %5
    push    rax
    push    %4
    push    %2
    mov     rax, %3
    push    rax
    iretq
%endmacro
iret_to r_ring0,    SEL_KCODE,   KERNEL_TEXT, 2, KERNEL_STACK, SEL_KDATA
iret_to r_kernel,   SEL_UCODE,   KERNEL_TEXT, 2, STACK_TOP - 64, SEL_UDATA
iret_to r_high,     SEL_UCODE,   HIGH_ADDRESS, 2, STACK_TOP - 64, SEL_UDATA
iret_to r_stack,    SEL_UCODE,   x_de + 0, 0x202, HIGH_ADDRESS, SEL_UDATA ; the fault happens with that RSP
iret_to r_absent,   SEL_UCODE32, nothing, 2, STACK_TOP - 64, SEL_UDATA
iret_to r_ss_null,  SEL_UCODE,   nothing, 2, STACK_TOP - 64, 0
iret_to r_ss_kernel, SEL_UCODE,  nothing, 2, STACK_TOP - 64, SEL_KDATA
iret_to r_vm,       SEL_UCODE,   x_ud, 0x23202, STACK_TOP - 64, SEL_UDATA ; VM and IOPL are not ring 3's to set
iret_to r_cli,      SEL_UCODE,   p_cli, 0x3002, STACK_TOP - 64, SEL_UDATA ; nor IF and IOPL
iret_to r_tf,       SEL_UCODE,   calls_100, 0x10302, STACK_TOP - 64, SEL_UDATA
r_nt:
    mov     r12d, FLAG_NT
    call    flags_set
    iretq

; ---- Guest memory by windows and copies (K14, K15) ---------------------------------------------------------------------------

reads  m_guest,        GUEST_BASE + G_CODE ; not where the policy is another
reads  v_mapped,       WINDOW_BASE + G_CODE ; as long as the operation lasts (K14)
reads  v_next,         WINDOW_BASE + WINDOW_SIZE
writes v_written,      WINDOW_BASE + G_CODE + 0x800
jumps  v_jump,         WINDOW_BASE + G_IRET
v_fault:                                ; with windows mapped
    call    v_all
    ud2
v_foreign:
    call    v_foreign_window
    jmp     v_foreign_copy
v_again:                                ; by itself, in each operation
    call    v_all
    jmp     v_mapped
; call, first argument (window or bytes), gpa, result
%macro memory_call 4
    mov     esi, %2
    mov     r8, %3
    call_ring0 %1
    expect  %4
%endmacro
v_all:                                  ; each window there is, all on one frame
    xor     r12d, r12d
.next:
    memory_call CALL_MAP_WINDOW, r12d, 0x1000, 0
    inc     r12d
    cmp     r12d, WINDOWS
    jb      .next
    ret
v_bounds:                               ; what is not RAM of this domain
    mov     r12d, CALL_MAP_WINDOW
    call    v_bounds_of
    memory_call CALL_MAP_WINDOW, WINDOWS, 0, E_ARG
    ret
v_bounds_of:                            ; r12d: the call; the first argument is 8
    mov     r13d, [rbx + I_RAM_LOW]
%assign k 0
%rep 6
    %if k == 0
    mov     r8, r13
    %elif k == 1
    mov     r8d, 0xa0000
    %elif k == 2
    mov     r8, 0x100000000
    %elif k == 3
    mov     r8, HIGH_ADDRESS
    %elif k == 4
    mov     r8, KERNEL_TEXT - GUEST_BASE
    %else
    mov     r8, FRAME_BASE - GUEST_BASE
    %endif
    mov     esi, 8
    call_ring0 r12d
    expect  E_ARG
%assign k k+1
%endrep
    ret
v_foreign_window:
    memory_call CALL_MAP_WINDOW, 0, 0, E_CALL
    ret
v_foreign_copy:
    memory_call CALL_GUEST_READ, 8, 0, E_CALL
    memory_call CALL_GUEST_WRITE, 8, 0, E_CALL
    memory_call CALL_GUEST_CMPXCHG, 8, 0, E_CALL
    ret
v_copies:
%assign k 0
%rep 3
    %if k == 0
    mov     r12d, CALL_GUEST_READ
    %elif k == 1
    mov     r12d, CALL_GUEST_WRITE
    %else
    mov     r12d, CALL_GUEST_CMPXCHG
    %endif
    call    v_bounds_of
    memory_call r12d, 0, 0, E_ARG
    lea     r14d, [r13 - 1]
    memory_call r12d, 2, r14, E_ARG         ; the second byte is not RAM
    memory_call r12d, 2, 0x9ffff, E_ARG
%assign k k+1
%endrep
    memory_call CALL_GUEST_CMPXCHG, 3, 0, E_ARG
    memory_call CALL_GUEST_CMPXCHG, 16, 0x2008, E_ARG
    ; what was written is read; the whole of the room, and one byte too many
    mov     rax, 0x1122334455667788
    mov     [rbp + F_COPY], rax
    memory_call CALL_GUEST_WRITE, 8, 0x3001, 0
    memory_call CALL_GUEST_READ, 2048, 0x3000, 0
    mov     rax, 0x1122334455667788
    cmp     [rbp + F_COPY + 1], rax
    jne     wrong_result
    memory_call CALL_GUEST_READ, 2049, 0x3000, E_ARG
    ; compare and exchange of each size: once it is equal, once it is not
%assign k 1
%rep 5
    lea     rdi, [rbp + F_COPY]
    xor     eax, eax
    mov     ecx, 64
    rep stosb
    memory_call CALL_GUEST_WRITE, 16, 0x3000, 0
    mov     byte [rbp + F_COPY + CMPXCHG_NEW + k - 1], 0x77
    memory_call CALL_GUEST_CMPXCHG, k, 0x3000, 0
    cmp     byte [rbp + F_COPY + CMPXCHG_EQUAL], 1
    jne     wrong_result
    memory_call CALL_GUEST_CMPXCHG, k, 0x3000, 0
    cmp     byte [rbp + F_COPY + CMPXCHG_EQUAL], 0
    jne     wrong_result
    memory_call CALL_GUEST_READ, 17, 0x3000, 0
    cmp     byte [rbp + F_COPY + k - 1], 0x77
    jne     wrong_result
    cmp     byte [rbp + F_COPY + k], 0
    jne     wrong_result
%assign k k*2
%endrep
    ret
v_copy_flags:                           ; ring 3's flags do not reach the copier, nor its registers the component
    mov     r12, N
    call    flags_set
    mov     esi, 8
    mov     r8d, 0x3000
    mov     edi, [rbx + I_DOMID]
    call_ring0 CALL_GUEST_READ
    expect  0
    or      rax, rsi
    or      rax, rdi
    or      rax, r8
    or      rax, r9
    jnz     wrong_result
    ret
v_copy_fault:
    memory_call CALL_GUEST_READ, 8, 0x3000, 0
    ud2
e_copy:
    memory_call CALL_GUEST_READ, 2048, 0x3000, 0
    jmp     e_copy
e_window:
    call    v_all
    jmp     e_window

; ---- Calls (K1, K2, K5) ------------------------------------------------------------------------------------------------------

c_unknown:                              ; numbers without a call: a defined error, and the domain lives
    mov     r13d, CALLS_END
.next:
    mov     eax, r13d
    call    ring0
    expect  E_CALL
    lea     r13d, [r13 + r13 + 1]
    cmp     r13d, 0x70000000
    jb      .next
    call_ring0 0xffffffff
    expect  E_CALL
    call_ring0 0x80000000
    expect  E_CALL
    ret
c_high_bits:                            ; the number has 32 bits: what is above them does not count
    mov     rax, 0xffffffff00000002
    xor     esi, esi
    call    ring0
    expect  0
    mov     rax, 0xffffffff00000000 + CALLS_END
    call    ring0
    expect  E_CALL
    ret
c_done_high:
    mov     rax, 0x100000000
    jmp     ring0
%macro refused 2                        ; call, argument
    mov     rsi, %2
    call_ring0 %1
    expect  E_ARG
%endmacro
c_arguments:
    refused CALL_READ, 257
    refused CALL_READ, 0x100000000
    refused CALL_READ, -1
    refused CALL_STATE, 0x100
    refused CALL_STATE, 0x1000000ff
    refused CALL_STATE, -1
    mov     esi, 256
    call_ring0 CALL_READ
    expect  0
    mov     esi, STATE_ALL
    call_ring0 CALL_STATE
    expect  0
    ret
c_ranges:                               ; each argument of each call, just out of its range: an error, and nothing else
    lea     r12, [bad_table]
.next:
    xor     esi, esi
    xor     r8d, r8d
    xor     r9d, r9d
    mov     eax, [r12 + 4]
    test    eax, eax
    cmovz   rsi, [r12 + 8]
    cmp     eax, 1
    cmove   r8, [r12 + 8]
    cmp     eax, 2
    cmove   r9, [r12 + 8]
    call_ring0 [r12]
    expect  E_ARG
    add     r12, 16
    lea     rax, [bad_table_end]
    cmp     r12, rax
    jb      .next
    ret
c_kick:                                 ; its own vcpu is the only one there is: the event comes, once for both
    xor     esi, esi
    call_ring0 CALL_KICK
    expect  0
    xor     esi, esi
    call_ring0 CALL_KICK
    expect  0
    ret
c_kicked:
    cmp     dword [rbp + F_EVENTS], EVENT_KICK
    jne     wrong_result
    note    NOTE_LIFE
    mov     dword [rbp + F_LIFE], LIFE_OFF
    ret
c_kick_other:
    mov     esi, 1
    call_ring0 CALL_KICK
    expect  E_ARG
    ret
; Which change of RIP wins (S0-15, S0-16): ring 3's, over the advance that ring 0 makes after the operation, and over the one it made before.
o_move:
    mov     esi, RIP_
    call_ring0 CALL_STATE
    expect  0
    lie64   RIP_, S_RIP, G_CODE + g_good - GUEST
    ret
o_after:
    cmp     dword [ops_done], 1
    je      o_move
o_moved:                                ; the next port says where the guest went on
    cmp     word [rbp + F_PORT], 0x82
    jne     wrong_result
    note    NOTE_LIFE
    mov     dword [rbp + F_LIFE], LIFE_OFF
    ret
o_before:                               ; the event that ends HLT
    note    NOTE_INTR
    jmp     o_move
o_call:                                 ; the same by STATE_SET, with another group in the reply: what the frame holds in the end counts
    mov     esi, RIP_ | CR_
    call_ring0 CALL_STATE
    expect  0
    mov     qword [rbp + S_RIP], 0
    mov     esi, RIP_
    call_ring0 CALL_STATE_SET
    expect  0
    or      dword [rbp + F_STATE_OUT], CR_
    lie64   0, S_RIP, G_CODE + g_good - GUEST
    ret
o_after_call:
    cmp     dword [ops_done], 1
    je      o_call
    jmp     o_moved
c_state_bad:
    mov     esi, STATE_ALL
    call_ring0 CALL_STATE
    lie64   0, S_RFLAGS, -1
    mov     esi, STATE_ALL
    call_ring0 CALL_STATE_SET
    expect  0
    ret
c_timer:                                ; due at once, and again from each event
    rdtsc
    shl     rdx, 32
    lea     rsi, [rax + rdx]
    call_ring0 CALL_SET_TIMER
    expect  0
    ret
c_timer_came:
    cmp     dword [rbp + F_EVENTS], EVENT_TIMER
    jne     wrong_result
    jmp     c_timer
c_shutdown:
    mov     rsi, N
    call_ring0 CALL_SHUTDOWN
    ud2                                 ; it does not come back
c_garbage:                              ; registers that are no arguments hold addresses of ring 0
    mov     rsi, KERNEL_STACK
    mov     r8, rsi
    mov     r9, rsi
    mov     r10, rsi
    mov     r11, rsi
    mov     r12, rsi
    mov     r13, rsi
    mov     r14, rsi
    mov     r15, rsi
    call_ring0 CALL_STATE
    expect  E_ARG
    cmp     r12, r15
    jne     wrong_result
    ret
c_clear:                                ; what a call gives back holds nothing of ring 0 (K17)
    xor     esi, esi
    call_ring0 CALL_READ
    or      rax, rsi
    or      rax, rdi
    or      rax, r8
    or      rax, r9
    or      rax, r10
    test    byte [rbx + I_CPU], 1       ; SYSRET takes the flags from R11
    jz      .not_r11
    or      rax, r11
.not_r11:
    expect  0
    ret
%macro target 3+                        ; label, call, instruction that makes rdi another's domid
%1: mov     edi, [rbx + I_DOMID]
    %3
    mov     eax, %2
    jmp     ring0_as
%endmacro
target d_next,   CALL_LOG,   inc edi
target d_before, CALL_STATE, dec edi
target d_zero,   CALL_READ,  xor edi, edi
target d_high,   CALL_LOG,   bts rdi, 32
target d_sign,   CALL_STATE, not rdi
target d_ones,   CALL_YIELD, or rdi, -1
target d_done,   CALL_DONE,  inc edi
target d_unknown, 99,        inc edi

; A call that would return to RIP r12 with RSP r13. By SYSCALL the CPU gives the RIP, so that only RSP is a lie.
return_to:
    mov     edi, [rbx + I_DOMID]
    mov     eax, CALL_READ
    xor     esi, esi
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    mov     rdx, r12
    mov     rcx, r13
    sysenter
.syscall:
    mov     rdx, r13
    syscall
    ud2
%macro returns 3                        ; label, RIP, RSP
%1: mov     r12, %2
    mov     r13, %3
    jmp     return_to
%endmacro
returns b_rsp_kernel, nothing, KERNEL_STACK
returns b_rsp_high,   nothing, HIGH_ADDRESS
returns b_rsp_edge,   nothing, EDGE_ADDRESS
returns b_rip_kernel, KERNEL_TEXT, KERNEL_STACK
returns b_rip_high,   HIGH_ADDRESS, HIGH_ADDRESS
returns b_rip_edge,   EDGE_ADDRESS, EDGE_ADDRESS
returns b_null,       0, 0
returns b_last,       EDGE_ADDRESS - 1, 0 ; the last user address: it is not mapped

b_rsp_garbage:                          ; RSP means nothing to a crossing
    mov     [saved_rsp], rsp
    mov     edi, [rbx + I_DOMID]
    mov     eax, CALL_READ
    xor     esi, esi
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    lea     rdx, [.back]
    mov     rcx, rsp
    mov     rsp, KERNEL_STACK
    sysenter
.syscall:
    mov     rdx, rsp
    mov     rsp, HIGH_ADDRESS
    syscall
.back:
    expect  0
    ret
b_rsp_done:
    mov     rsp, KERNEL_STACK
    mov     edi, [rbx + I_DOMID]
    xor     eax, eax
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    sysenter
.syscall:
    syscall
b_rsp_fault:                            ; an exception with ring 0's address in RSP
    mov     rsp, KERNEL_STACK
    ud2
b_rsp_interrupt:                        ; interrupts, likewise
    mov     [saved_rsp], rsp
    mov     rsp, KERNEL_STACK
    call_free_loop
    mov     rsp, [saved_rsp]
    ret

; ---- Flags and debug windows (K6, K8) ----------------------------------------------------------------------------------------

flags_set:                              ; r12d: flags to add
    pushfq
    or      [rsp], r12d
    popfq
    ret
flags_normal:
    push    2
    popfq
    ret
; Calls with every flag set at the instruction itself; then DONE in the same way. FLAGS is -DN.
f_calls:
    mov     r13d, 50
.next:
    mov     edi, [rbx + I_DOMID]
    mov     eax, CALL_READ
    xor     esi, esi
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    lea     rdx, [.back]
    mov     rcx, rsp
    push    (N) & 0x3fffff
    popfq
    sysenter
.syscall:
    mov     rdx, rsp
    push    (N) & 0x3fffff
    popfq
    syscall
.back:
    push    2
    popfq
    expect  0
    dec     r13d
    jnz     .next
    ret
f_done:
    mov     edi, [rbx + I_DOMID]
    xor     eax, eax
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    push    (N) & 0x3fffff
    popfq
    sysenter
.syscall:
    push    (N) & 0x3fffff
    popfq
    syscall
f_wrong_domid:                          ; the comparison's other outcome
    mov     edi, 77
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    push    (N) & 0x3fffff
    popfq
    sysenter
.syscall:
    push    (N) & 0x3fffff
    popfq
    syscall
f_fault:                                ; a fault with all but TF set
    push    FLAGS_ALL & ~FLAG_TF
    popfq
    ud2
f_int:
    push    FLAGS_ALL & ~FLAG_TF
    popfq
    int     0x80
f_interrupts:                           ; interrupts with all but TF set
    push    FLAGS_ALL & ~FLAG_TF
    popfq
    call_free_loop
    jmp     flags_normal
; A single step that MOV SS holds back until the crossing has happened (K6).
f_mov_ss:
    mov     edi, [rbx + I_DOMID]
    mov     eax, CALL_READ
    xor     esi, esi
    mov     r8d, ss
    test    byte [rbx + I_CPU], 1
    jz      .syscall
    lea     rdx, [.back]
    mov     rcx, rsp
    push    2 | FLAG_TF
    popfq
    mov     ss, r8d
    sysenter
.syscall:
    mov     rdx, rsp
    push    2 | FLAG_TF
    popfq
    mov     ss, r8d
    syscall
.back:
    push    2
    popfq
    ret
f_mov_ss_int:
    mov     eax, ss
    push    2 | FLAG_TF
    popfq
    mov     ss, eax
    int     3

; ---- Guest state that breaks a rule of VM entry (K4) -------------------------------------------------------------------------

%macro state64 4
%1: lie64   %2, %3, %4
    ret
%endmacro
%macro state32 4
%1: lie32   %2, %3, %4
    ret
%endmacro
state64 g_cr0_high,   CR_, S_CR0, 0x100000010
state64 g_cr0_paging, CR_, S_CR0, 0x80000010    ; PG without PE
state64 g_cr0_cache,  CR_, S_CR0, 0x20000010    ; NW without CD
state64 g_cr0_ones,   CR_, S_CR0, -1
state64 g_cr3_high,   CR_, S_CR3, 1 << 60
state64 g_cr4_high,   CR_, S_CR4, 1 << 32
state64 g_cr4_vmxe,   CR_, S_CR4, 1 << 13
state64 g_cr4_bit,    CR_, S_CR4, 1 << 31
state64 g_cr4_pcid,   CR_, S_CR4, 1 << 17
state64 g_cr4_ones,   CR_, S_CR4, -1
state64 g_efer_svme,  CR_, S_EFER, 1 << 12
state64 g_efer_bit,   CR_, S_EFER, 1 << 20
state64 g_efer_ones,  CR_, S_EFER, -1
state64 g_efer_lma,   CR_, S_EFER, 0x400        ; LMA alone
state64 g_lme_paging, CR_, S_EFER, 0x100        ; LONG: LME and PG without LMA
state64 g_long_pae,   CR_, S_CR4, 0             ; LONG: without PAE
g_pae:                                          ; PAE paging whose PDPTEs nobody has loaded
    lie64   CR_, S_CR0, 0x80000011
    lie64   CR_, S_CR4, 0x20
    lie64   CR_, S_CR3, 0xfffff000
    ret
g_cr3_beyond:                                   ; paging with tables where there is no RAM
    lie64   CR_, S_CR0, 0x80000011
    lie64   CR_, S_CR3, 0xfffff000
    ret
state64 g_rip_high,   RIP_, S_RIP, HIGH_ADDRESS
state64 g_rip_edge,   RIP_, S_RIP, EDGE_ADDRESS ; LONG
state64 g_rip_last,   RIP_, S_RIP, EDGE_ADDRESS - 2 ; LONG: late, the advance over OUT leaves the canonical half
state64 g_rip_32,     RIP_, S_RIP, 0x100001000
state64 g_rsp_high,   RIP_, S_RSP, HIGH_ADDRESS
state64 g_rflags_0,   RIP_, S_RFLAGS, 0
state64 g_rflags_3,   RIP_, S_RFLAGS, 0x0a
state64 g_rflags_high, RIP_, S_RFLAGS, 0x8000000000000002
state64 g_rflags_ones, RIP_, S_RFLAGS, -1
state64 g_vm86,       RIP_, S_RFLAGS, 0x20002   ; LONG, or in real mode
state64 g_tf,         RIP_, S_RFLAGS, 0x102     ; legal: a single step in the guest
state64 g_shadow_bit, RIP_, S_SHADOW, 4
state64 g_shadow_two, RIP_, S_SHADOW, 3
state64 g_shadow_sti, RIP_, S_SHADOW, 1         ; IF is 0
state64 g_shadow_ones, RIP_, S_SHADOW, -1
state32 g_cs_unusable, CS_, S_SEG(CS) + SEG_ATTR, 0x10000
state32 g_cs_bit,     CS_, S_SEG(CS) + SEG_ATTR, 0x79b
state32 g_cs_high,    CS_, S_SEG(CS) + SEG_ATTR, 0x8000009b
state32 g_cs_long_db, CS_, S_SEG(CS) + SEG_ATTR, 0xe09b ; LONG: L and D
state32 g_cs_system,  CS_, S_SEG(CS) + SEG_ATTR, 0x82
state32 g_cs_dpl,     CS_, S_SEG(CS) + SEG_ATTR, 0xfb
state32 g_cs_limit,   CS_, S_SEG(CS) + SEG_LIMIT, 0xfff00000
state64 g_cs_base,    CS_, S_SEG(CS), 1 << 32
state32 g_ss_dpl,     CS_, S_SEG(SS) + SEG_ATTR, 0xf3
state32 g_ss_type,    CS_, S_SEG(SS) + SEG_ATTR, 0x9b
state64 g_ds_base,    SEGS_, S_SEG(DS), 1 << 32
state32 g_ds_type,    SEGS_, S_SEG(DS) + SEG_ATTR, 0x88
state64 g_fs_base,    SEGS_, S_SEG(FS), HIGH_ADDRESS
state64 g_gs_base,    SEGS_, S_SEG(GS), EDGE_ADDRESS
state32 g_tr_unusable, SYSTEM_, S_SEG(TR) + SEG_ATTR, 0x10000
state32 g_tr_type,    SYSTEM_, S_SEG(TR) + SEG_ATTR, 0x93
state32 g_tr_free,    SYSTEM_, S_SEG(TR) + SEG_ATTR, 0x89
state32 g_tr_ti,      SYSTEM_, S_SEG(TR) + SEG_SELECTOR, 4
state64 g_tr_base,    SYSTEM_, S_SEG(TR), HIGH_ADDRESS
state32 g_ldtr_type,  SYSTEM_, S_SEG(LDTR) + SEG_ATTR, 0x93
state64 g_ldtr_base,  SYSTEM_, S_SEG(LDTR), HIGH_ADDRESS
state64 g_gdtr_base,  SYSTEM_, S_GDTR, HIGH_ADDRESS
state64 g_idtr_base,  SYSTEM_, S_IDTR, EDGE_ADDRESS
state32 g_gdtr_limit, SYSTEM_, S_GDTR + TABLE_LIMIT, 0x10000
state32 g_idtr_limit, SYSTEM_, S_IDTR + TABLE_LIMIT, -1
state64 g_dr6_high,   DR_, S_DR6, 1 << 32
state64 g_dr7_high,   DR_, S_DR7, 1 << 32
state64 g_dr7_ones,   DR_, S_DR7, -1
state64 g_dr7_gd,     DR_, S_DR7, 0xffff27ff    ; legal: every breakpoint on, GD set; ring 3 and ring 0 must not feel them
state64 g_se_cs,      SYSENTER_, S_SYSENTER_CS, -1
state64 g_se_esp,     SYSENTER_, S_SYSENTER_SP, HIGH_ADDRESS
state64 g_se_eip,     SYSENTER_, S_SYSENTER_SP + 8, EDGE_ADDRESS
state64 g_star_ones,  SYSCALL_, S_STAR, -1      ; legal: the CPU stores it
state64 g_lstar,      SYSCALL_, S_LSTAR, HIGH_ADDRESS
state64 g_cstar,      SYSCALL_, S_LSTAR + 8, EDGE_ADDRESS
state64 g_fmask,      SYSCALL_, S_FMASK, 1 << 32
state64 g_kernel_gs,  SYSCALL_, S_KERNEL_GS, HIGH_ADDRESS
state64 g_dr_ones,    DR_, S_DR, -1             ; legal: no address is checked, and ring 0 must not feel a breakpoint
state32 g_out_bit,    0, F_STATE_OUT, 0x100
state32 g_out_high,   0, F_STATE_OUT, 0x800000ff
g_zero:                                         ; nothing set at all
    lea     rdi, [rbp + F_STATE]
    xor     eax, eax
    jmp     g_fill
g_ones:
    lea     rdi, [rbp + F_STATE]
    or      eax, -1
g_fill:
    mov     ecx, STATE_BYTES / 4
    rep stosd
    or      dword [rbp + F_STATE_OUT], STATE_ALL
    ret
g_noise:                                        ; a new pattern each time, every group
    rdtsc
    mov     ecx, STATE_BYTES / 4
    lea     rdi, [rbp + F_STATE]
.next:
    imul    eax, eax, 1664525
    add     eax, 1013904223
    stosd
    loop    .next
    or      dword [rbp + F_STATE_OUT], STATE_ALL
    ret
g_none:                                         ; no state: the guest starts as a CPU after reset, where no RAM is
    mov     dword [rbp + F_STATE_OUT], 0
    ret

; ---- The rest of the reply (K4, K15) -----------------------------------------------------------------------------------------

%macro reply 3
%1: reply32 %2, %3
    ret
%endmacro
reply q_status,       F_STATUS, (N) & 0xffffffff
q_life:
    note    NOTE_LIFE
    reply32 F_LIFE, (N) & 0xffffffff
    ret
q_console:
    note    NOTE_CONSOLE
    reply32 F_CONSOLE_LEN, (N) & 0xffffffff
    ret
reply q_length,       F_LENGTH, (N) & 0xffffffff
reply q_status_off,   F_STATUS, 77
q_inject:                                       ; a fault of the guest's that does not exist
    or      dword [rbp + F_STATUS], STATUS_FAULT
    reply32 F_INJECT, (N) & 0xffffffff
    reply32 F_INJECT_ERR, -1
    ret
q_vector:                                       ; the interrupt line never goes down
    note    NOTE_INTR
    reply32 F_VECTOR, (N) & 0xffffffff
    ret
q_intr:
    note    NOTE_INTR
    ret
q_intr_fault:
    or      dword [rbp + F_STATUS], NOTE_INTR | ((N) & 0xff)
    ret
q_timer:
    mov     rax, N
    mov     [rbp + F_TIMER], rax
    note    NOTE_TIMER
    ret
q_timer_now:
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    mov     [rbp + F_TIMER], rax
    note    NOTE_TIMER
    ret
q_text:                                         ; a reason without an end, of bytes that would be lines and colours of their own
    or      dword [rbp + F_STATUS], STATUS_REFUSE
text_forge:
    lea     rsi, [forged]
    lea     rdi, [rbp + F_TEXT]
    mov     edx, TEXT_BYTES / FORGED_BYTES
.next:
    mov     ecx, FORGED_BYTES
    lea     rsi, [forged]
    rep movsb
    dec     edx
    jnz     .next
    ret
forged: db 13, 10, "rung: [panic] forged", 27, "[2J", 13, 10, 0xff, 0x80, "%s%n"
FORGED_BYTES equ 64
    times FORGED_BYTES - ($ - forged) db 7
l_forge:
    call    text_forge
    call_ring0 CALL_LOG
    expect  0
    ret
l_flood:
    mov     r13d, 40
.next:
    mov     byte [rbp + F_TEXT], '.'
    mov     byte [rbp + F_TEXT + 1], 0
    call_ring0 CALL_LOG
    dec     r13d
    jnz     .next
    ret
q_console_flood:                                ; as much as a reply holds, whatever console_room said
    lea     rdi, [rbp + F_CONSOLE]
    mov     ecx, 256
    mov     al, 'x'
    rep stosb
    mov     dword [rbp + F_CONSOLE_LEN], 256
    note    NOTE_CONSOLE
    ret
l_yield:
    mov     r13d, 1000
.next:
    call_ring0 CALL_YIELD
    expect  0
    dec     r13d
    jnz     .next
    ret
calls_100:
    mov     r13d, 100
.next:
    xor     esi, esi
    call_ring0 CALL_READ
    expect  0
    dec     r13d
    jnz     .next
    ret
w_frame:                                        ; every byte of the page that ring 0 reads after the operation
    mov     rdi, rbp
    mov     ecx, 4096
    mov     al, (N) & 0xff
    rep stosb
    ret

; ---- Without an end: only the neighbour can be expected to finish (K13) --------------------------------------------------------

e_spin:
    jmp     e_spin
e_spin_flags:
    push    FLAGS_ALL & ~FLAG_TF
    popfq
    jmp     e_spin
e_calls:
    call_ring0 CALL_READ
    jmp     e_calls
e_long:                                 ; operations of 50 quanta each, one after the other
    imul    rcx, [rbx + I_TSC_KHZ], 250
    jmp     spin_tsc
e_short:                                ; of less than one, likewise: 400 of them are none of ring 0's business
    imul    rcx, [rbx + I_TSC_KHZ], 2
spin_tsc:                               ; rcx: ticks of the TSC
    rdtsc
    shl     rdx, 32
    lea     r8, [rax + rdx]
    add     r8, rcx
.next:
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    cmp     rax, r8
    jb      .next
    ret
e_log:
    mov     byte [rbp + F_TEXT], '.'
    mov     byte [rbp + F_TEXT + 1], 0
    call_ring0 CALL_LOG
    jmp     e_log
e_yield:
    call_ring0 CALL_YIELD
    jmp     e_yield
e_unknown:
    call_ring0 0x1234
    jmp     e_unknown

image_end
