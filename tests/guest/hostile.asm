; A ring-3 component that attacks ring 0: loaded with role=component, it does what the domain's command line names.
;
; "NAME": at once, in its first operation (loading). "late NAME": in the first operation after the guest has run, so that the
; guest's values are in the registers that an exit leaves. An evil that returns is reported by a line "survived NAME RESULT", and
; the domain powers off. What must hold is that no other domain and not the hypervisor suffers (ATTACKS K1-K16).

    bits 64
    org 0x400000                        ; ABI_COMPONENT_BASE

%define VERSION      1
%define GUEST_BASE   0x0000100000000000
%define KERNEL       0xffffffff80210000 ; inside the kernel's text
%define CALL_DONE    0
%define CALL_LOG     1
%define CALL_CONSOLE_READ 2
%define CALL_STATE_GET    3
%define CALL_YIELD   4

; struct abi_info
%define I_DOMID      8
%define I_CPU        20                 ; bit 0: calls by SYSENTER
%define I_CMDLINE    92
%define I_STRINGS    232

; struct abi_frame
%define F_OP         0x80
%define F_STATUS     0xc0
%define F_STATE_OUT  0xc4
%define F_INJECT     0xd0
%define F_INTR       0xd8
%define F_LIFE       0xdc
%define F_TIMER      0xe0
%define F_CONSOLE_LEN 0xe8
%define F_STATE      0xf0
%define F_TEXT       0x340
%define OP_LOAD      1
%define STATE_ALL    0x7f

; struct abi_state, in the frame
%define S_RIP        (F_STATE + 0x000)
%define S_RSP        (F_STATE + 0x008)
%define S_RFLAGS     (F_STATE + 0x010)
%define S_SHADOW     (F_STATE + 0x018)
%define S_SEG(n)     (F_STATE + 0x020 + (n) * 24) ; base 8, limit 4, attr 4, selector 2
%define S_GDTR       (F_STATE + 0x0e0)
%define S_IDTR       (F_STATE + 0x0f0)
%define S_CR0        (F_STATE + 0x100)
%define S_CR3        (F_STATE + 0x110)
%define S_CR4        (F_STATE + 0x118)
%define S_EFER       (F_STATE + 0x120)
%define S_DR6        (F_STATE + 0x128)
%define S_DR7        (F_STATE + 0x130)
%define S_SE_ESP     (F_STATE + 0x140)
%define S_SE_EIP     (F_STATE + 0x148)
%define CS_          1
%define SS_          2
%define DS_          3
%define FS_          4
%define LDTR_        6
%define TR_          7
%define BASE         0
%define LIMIT        8
%define ATTR         12
%define NOT_CANONICAL 0x8000000000000000

; The image's header. Text and data have pages of their own.
header:
    dq 0x3352474e5552
    dd VERSION, 0
    dq entry, text_end, rodata_end, data_end, data_end

; call_ring0 number: rdi must hold the domid; keeps rbx, rbp, r12-r15
%macro call_ring0 1
    mov     eax, %1
    call    ring0
%endmacro
ring0:
    test    byte [r14 + I_CPU], 1
    jz      .syscall
    lea     rdx, [rel .back]
    mov     rcx, rsp
    sysenter
.syscall:
    mov     rdx, rsp
    syscall
.back:
    ret

entry:
    mov     r15, rdi                    ; frame
    mov     r14, rsi                    ; info
    mov     ebx, [r14 + I_CMDLINE]
    lea     rbx, [r14 + I_STRINGS + rbx]
    xor     ebp, ebp                    ; late?
    cmp     dword [rbx], 'late'
    jne     .early
    inc     ebp
    add     rbx, 5
.early:
    cmp     dword [r15 + F_OP], OP_LOAD
    jne     .later
    call    good_load
    test    ebp, ebp
    jz      evil
    jmp     done
.later:
    mov     dword [r15 + F_STATUS], 0
    mov     dword [r15 + F_STATE_OUT], 0
    test    ebp, ebp
    jz      power_off
    cmp     byte [did_it], 0
    jne     power_off
    mov     byte [did_it], 1
    call    good_load
    jmp     evil

power_off:
    mov     dword [r15 + F_STATUS], 0
    mov     dword [r15 + F_LIFE], 1
done:
    mov     edi, [r14 + I_DOMID]
    call_ring0 CALL_DONE
    ud2

; rbx: the name. Finds it in one of the two tables.
evil:
    mov     rsi, rbx
    xor     eax, eax
    mov     [name], rax
    mov     ecx, 8
    lea     rdi, [rel name]
.copy:
    lodsb
    test    al, al
    jz      .named
    stosb
    loop    .copy
.named:
    mov     rax, [name]
    lea     rsi, [rel lies]
.lie:
    cmp     qword [rsi], 0
    je      .no_lie
    cmp     [rsi], rax
    je      tell_lie
    add     rsi, 24
    jmp     .lie
.no_lie:
    lea     rsi, [rel evils]
.deed:
    cmp     qword [rsi], 0
    je      .unknown
    cmp     [rsi], rax
    je      .do
    add     rsi, 16
    jmp     .deed
.do:
    call    [rsi + 8]
    jmp     survived
.unknown:
    lea     rsi, [rel text_unknown]
    call    log_text
    ud2

; rsi: row of lies. Corrupts one field of a reply that was good, and replies.
tell_lie:
    mov     ecx, [rsi + 8]
    mov     eax, [rsi + 12]
    mov     rdx, [rsi + 16]
    cmp     eax, 8
    je      .quad
    mov     [r15 + rcx], edx
    jmp     .sent
.quad:
    mov     [r15 + rcx], rdx
.sent:
    jmp     done

; rax: what the deed gave. Logs "survived NAME RESULT" and ends the domain in order.
survived:
    mov     r12, rax
    lea     rsi, [rel text_survived]
    lea     rdi, [r15 + F_TEXT]
    mov     ecx, 9
    rep movsb
    lea     rsi, [rel name]
.name:
    lodsb
    test    al, al
    jz      .number
    stosb
    jmp     .name
.number:
    mov     al, ' '
    stosb
    test    r12, r12
    jns     .positive
    mov     al, '-'
    stosb
    neg     r12
.positive:
    mov     rax, r12
    mov     ecx, 60
.digit:
    mov     rax, r12
    shr     rax, cl
    and     eax, 15
    cmp     al, 10
    jb      .low
    add     al, 'a' - '0' - 10
.low:
    add     al, '0'
    stosb
    sub     ecx, 4
    jns     .digit
    xor     eax, eax
    stosb
    call    log_frame
    jmp     power_off

log_text:                               ; rsi: text of at most 64 bytes
    lea     rdi, [r15 + F_TEXT]
    mov     ecx, 64
    rep movsb
log_frame:
    mov     edi, [r14 + I_DOMID]
    call_ring0 CALL_LOG
    ret

; What a loader would do: a guest of two instructions in real mode, and a state that every entry check accepts.
good_load:
    mov     rdi, GUEST_BASE + 0x8000
    mov     dword [rdi], 0xfceb80e6     ; out 0x80, al; jmp $-2
    lea     rdi, [r15 + F_STATE]
    xor     eax, eax
    mov     ecx, 0x150 / 8
    rep stosq
    lea     rdi, [r15 + S_SEG(0)]
    mov     ecx, 6
.data:
    mov     dword [rdi + LIMIT], 0xffff
    mov     dword [rdi + ATTR], 0x93
    add     rdi, 24
    loop    .data
    mov     dword [r15 + S_SEG(CS_) + BASE], 0x8000
    mov     dword [r15 + S_SEG(CS_) + ATTR], 0x9b
    mov     word [r15 + S_SEG(CS_) + 16], 0x800
    mov     dword [r15 + S_SEG(LDTR_) + ATTR], 0x10000
    mov     dword [r15 + S_SEG(TR_) + LIMIT], 0xffff
    mov     dword [r15 + S_SEG(TR_) + ATTR], 0x8b
    mov     dword [r15 + S_GDTR + 8], 0xffff
    mov     dword [r15 + S_IDTR + 8], 0x3ff
    mov     dword [r15 + S_RFLAGS], 2
    mov     dword [r15 + S_RSP], 0x7000
    mov     dword [r15 + S_CR0], 0x10
    mov     dword [r15 + S_DR6], 0xffff0ff0
    mov     dword [r15 + S_DR7], 0x400
    mov     dword [r15 + F_STATUS], 0
    mov     dword [r15 + F_STATE_OUT], STATE_ALL
    ret

; ---- Deeds ---------------------------------------------------------------------------------------------------------------

d_de:       xor     ecx, ecx
            div     ecx
            ret
d_ud:       ud2
d_bp:       int3
            ret
d_int80:    int     0x80
            ret
d_int2:     int     2                   ; the NMI's own vector
            ret
d_int8:     int     8
            ret
d_int14:    int     14                  ; an error code that is not there
            ret
d_int32:    int     0x20                ; an interrupt's vector
            ret
d_icebp:    db 0xf1
            ret
d_tf:       pushfq
            or      dword [rsp], 0x100
            popfq
            nop
            ret
d_ac:       pushfq
            or      dword [rsp], 0x40000
            popfq
            mov     eax, [rsp + 1]
            ret
d_ss:       mov     rsp, NOT_CANONICAL
            push    rax
            ret
d_gp:       mov     rax, NOT_CANONICAL
            mov     rax, [rax]
            ret
d_kread:    mov     rax, KERNEL
            mov     rax, [rax]
            ret
d_kwrite:   mov     rax, KERNEL
            mov     [rax], rax
            ret
d_kjump:    mov     rax, KERNEL
            jmp     rax
d_pool:     mov     rax, 0xffff800000000000
            mov     rax, [rax]
            ret
d_null:     xor     eax, eax
            mov     rax, [rax]
            ret
d_beyond:   mov     rax, GUEST_BASE + 0x40000000 ; behind this domain's RAM
            mov     rax, [rax]
            ret
d_textw:    mov     byte [rel entry], 0xc3
            ret
d_exec:     lea     rax, [rel name]     ; data is not code
            mov     byte [rax], 0xc3
            jmp     rax
d_stackx:   push    0xc3
            jmp     rsp
d_guestx:   mov     rax, GUEST_BASE + 0x8000
            jmp     rax
d_infow:    mov     dword [r14 + I_DOMID], 2
            ret
d_guard:    sub     rsp, 0x8000
            push    rax
            ret
d_recurse:  push    rax
            jmp     d_recurse
d_rsp:      mov     rsp, KERNEL         ; a fault with ring 0's own addresses in RSP
            ud2
d_cli:      cli
            ret
d_sti:      sti
            ret
d_hlt:      hlt
            ret
d_in:       in      al, 0x80
            ret
d_out:      out     0x80, al
            ret
d_outs:     mov     dx, 0x3f8
            lea     rsi, [rel name]
            outsb
            ret
d_rdmsr:    mov     ecx, 0xc0000082
            rdmsr
            ret
d_wrmsr:    mov     ecx, 0xc0000082
            xor     eax, eax
            xor     edx, edx
            wrmsr
            ret
d_movcr0:   mov     rax, cr0
            ret
d_movcr3:   mov     cr3, rax
            ret
d_movdr:    mov     dr7, rax
            ret
d_lgdt:     lgdt    [rel name]
            ret
d_lidt:     lidt    [rel name]
            ret
d_ltr:      mov     eax, 0x38
            ltr     ax
            ret
d_lldt:     xor     eax, eax
            lldt    ax
            ret
d_invlpg:   invlpg  [rsp]
            ret
d_clts:     clts
            ret
d_lmsw:     mov     eax, 1
            lmsw    ax
            ret
d_swapgs:   swapgs
            ret
d_wbinvd:   wbinvd
            ret
d_xsetbv:   xor     ecx, ecx
            mov     eax, 1
            xor     edx, edx
            xsetbv
            ret
d_monitor:  mov     eax, 0x400000
            xor     ecx, ecx
            xor     edx, edx
            monitor
            ret
d_rdpmc:    xor     ecx, ecx
            rdpmc
            ret
d_vmcall:   vmcall
            ret
d_vmmcall:  db 0x0f, 0x01, 0xd9
            ret
d_vmrun:    lea     rax, [rel name]
            db 0x0f, 0x01, 0xd8
            ret
d_vmload:   lea     rax, [rel name]
            db 0x0f, 0x01, 0xda
            ret
d_clgi:     db 0x0f, 0x01, 0xdd
            ret
d_vmxoff:   vmxoff
            ret
d_vmread:   vmread  rax, rbx
            ret
d_sysret:   mov     rcx, KERNEL
            mov     r11d, 0x202
            o64 sysret
d_sysexit:  mov     rdx, KERNEL
            mov     rcx, rsp
            o64 sysexit
d_other:    mov     edi, [r14 + I_DOMID] ; the other vendor's call instruction: on VMX, LSTAR is the guest's
            xor     eax, eax
            test    byte [r14 + I_CPU], 1
            jnz     .syscall
            sysenter
            ret
.syscall:
            syscall
            ret
d_farcall:  push    0x08                ; ring 0's code selector
            lea     rax, [rel d_ud]
            push    rax
            retfq
d_iret:     mov     rax, rsp            ; into ring 0 by IRET
            push    0x10
            push    rax
            push    0x02
            push    0x08
            lea     rax, [rel d_ud]
            push    rax
            iretq
d_iretnc:   mov     rcx, rsp            ; to a non-canonical RIP, from ring 3 to ring 3
            mov     eax, ss
            push    rax
            push    rcx
            pushfq
            mov     eax, cs
            push    rax
            mov     rax, NOT_CANONICAL
            push    rax
            iretq
d_iopl:     pushfq
            or      dword [rsp], 0x3000
            popfq
            cli
            ret
d_gs0:      xor     eax, eax            ; a null GS, then calls: ring 0 must not rely on it
            mov     gs, eax
            mov     fs, eax
            mov     ds, eax
            mov     es, eax
            jmp     many_calls
d_gskern:   mov     eax, 0x10           ; ring 0's data selector
            mov     ds, eax
            ret
d_ssnull:   xor     eax, eax
            mov     ss, eax
            ret
d_nt:       mov     r12d, 0x4000
            jmp     flag_calls
d_df:       mov     r12d, 0x400
            jmp     flag_calls
d_acflag:   mov     r12d, 0x40000
            jmp     flag_calls
d_tfcall:   mov     r12d, 0x100
            jmp     flag_calls
d_flags:    mov     r12d, 0x244fd5      ; all that POPF in ring 3 can set: ID, AC, NT, OF, DF, TF, arithmetic
flag_calls:
            mov     r13d, 100
.next:      mov     edi, [r14 + I_DOMID]
            mov     esi, 1
            mov     eax, CALL_CONSOLE_READ
            test    byte [r14 + I_CPU], 1
            jz      .syscall
            lea     rdx, [rel .back]
            mov     rcx, rsp
            push    r12
            popfq
            sysenter
.syscall:   mov     rdx, rsp
            push    r12
            popfq
            syscall
.back:      push    2
            popfq
            cld
            dec     r13d
            jnz     .next
            ret
many_calls: mov     r13d, 100
.next:      mov     edi, [r14 + I_DOMID]
            xor     esi, esi
            call_ring0 CALL_CONSOLE_READ
            dec     r13d
            jnz     .next
            ret
d_call:     mov     edi, [r14 + I_DOMID] ; numbers that do not exist
            call_ring0 0xffffffff
            mov     r12, rax
            mov     edi, [r14 + I_DOMID]
            call_ring0 5000
            and     rax, r12
            ret
d_callhi:   mov     edi, [r14 + I_DOMID] ; a number that exists, under bits above 32
            mov     rax, 0x100000001
            jmp     ring0
d_domid:    mov     edi, [r14 + I_DOMID]
            inc     edi
            call_ring0 CALL_LOG
            ret
d_domid0:   xor     edi, edi
            call_ring0 CALL_STATE_GET
            ret
d_domidhi:  mov     edi, [r14 + I_DOMID]
            bts     rdi, 32
            call_ring0 CALL_LOG
            ret
d_getbad:   mov     edi, [r14 + I_DOMID]
            mov     rsi, 0xffffffffffffffff
            call_ring0 CALL_STATE_GET
            ret
d_readbig:  mov     edi, [r14 + I_DOMID]
            mov     rsi, 0x100000000
            call_ring0 CALL_CONSOLE_READ
            ret
d_logbig:   lea     rdi, [r15 + F_TEXT] ; no end, and bytes that a terminal would obey
            mov     ecx, 256
            mov     al, 0x1b
            rep stosb
            jmp     log_frame
d_logflood: mov     r13d, 200
.next:      lea     rsi, [rel text_survived]
            call    log_text
            dec     r13d
            jnz     .next
            ret
d_yield:    mov     r13d, 10000
.next:      mov     edi, [r14 + I_DOMID]
            call_ring0 CALL_YIELD
            dec     r13d
            jnz     .next
            ret
d_retnc:    mov     rcx, NOT_CANONICAL  ; where the call would return to
            mov     rdx, rcx
            jmp     odd_return
d_retk:     mov     rcx, KERNEL
            mov     rdx, rcx
            jmp     odd_return
d_ret47:    mov     rcx, 0x800000000000
            mov     rdx, rcx
odd_return: mov     edi, [r14 + I_DOMID]
            xor     esi, esi
            mov     eax, CALL_CONSOLE_READ
            test    byte [r14 + I_CPU], 1
            jz      .syscall
            sysenter
.syscall:   syscall
            ret
d_retrsp0:  mov     edi, [r14 + I_DOMID]
            xor     esi, esi
            lea     rbx, [rel .back]
            mov     eax, CALL_CONSOLE_READ
            xor     ecx, ecx
            lea     rdx, [rel .back]
            test    byte [r14 + I_CPU], 1
            jnz     .sysenter
            xor     edx, edx
            syscall
.back:      push    rax
            ret
.sysenter:  sysenter
d_loop:     jmp     d_loop
d_frame:    mov     rdi, r15            ; the whole frame page as junk, then DONE
            mov     ecx, 512
            mov     rax, 0xa5a5a5a5a5a5a5a5
            rep stosq
            jmp     done
d_frame1:   mov     rdi, r15
            mov     ecx, 512
            mov     rax, -1
            rep stosq
            jmp     done

; ---- Tables --------------------------------------------------------------------------------------------------------------
    align 4096
text_end:

; Two columns: a name of up to 8 letters, and its deed d_NAME.
%macro deed 1-*
%rep %0
%defstr %%name %1
    dq %%name
    dq d_%1
%rotate 1
%endrep
%endmacro
    align 8
evils:
    deed de, ud, bp, int80, int2, int8, int14, int32, icebp, tf, ac, ss, gp
    deed kread, kwrite, kjump, pool, null, beyond, textw, exec, stackx, guestx, infow, guard, recurse, rsp
    deed cli, sti, hlt, in, out, outs, rdmsr, wrmsr, movcr0, movcr3, movdr, lgdt, lidt, ltr, lldt, invlpg, clts, lmsw, swapgs
    deed wbinvd, xsetbv, monitor, rdpmc, vmcall, vmmcall, vmrun, vmload, clgi, vmxoff, vmread, sysret, sysexit, other
    deed farcall, iret, iretnc, iopl, gs0, gskern, ssnull, nt, df, acflag, tfcall, flags
    deed call, callhi, domid, domid0, domidhi, getbad, readbig, logbig, logflood, yield
    deed retnc, retk, ret47, retrsp0, loop, frame, frame1
    dq 0

; lie name, field, bytes, value
%macro lie 4
    dq %1
    dd %2, %3
    dq %4
%endmacro
lies:
    lie "cr0pg",   S_CR0, 8, 0x80000010 ; paging without protection
    lie "cr0nw",   S_CR0, 8, 0x20000010 ; NW without CD
    lie "cr0hi",   S_CR0, 8, 1 << 40
    lie "cr3hi",   S_CR3, 8, 0xfff0000000000000
    lie "cr4vmxe", S_CR4, 8, 1 << 13
    lie "cr4res",  S_CR4, 8, 1 << 31
    lie "cr4hi",   S_CR4, 8, 1 << 40
    lie "cr4pcid", S_CR4, 8, 1 << 17    ; only in long mode
    lie "efersvm", S_EFER, 8, 1 << 12
    lie "eferres", S_EFER, 8, 1 << 20
    lie "eferlma", S_EFER, 8, 1 << 10   ; without paging
    lie "ripnc",   S_RIP, 8, NOT_CANONICAL
    lie "riphi",   S_RIP, 8, 1 << 32
    lie "rfl0",    S_RFLAGS, 8, 0
    lie "rflres",  S_RFLAGS, 8, 0x8002
    lie "rflvm",   S_RFLAGS, 8, 0x20002 ; virtual-8086 in real mode
    lie "rflhi",   S_RFLAGS, 8, (1 << 40) | 2
    lie "shadow",  S_SHADOW, 8, 3       ; both kinds at once
    lie "shadowff", S_SHADOW, 8, -1
    lie "cs0",     S_SEG(CS_) + ATTR, 4, 0
    lie "csdata",  S_SEG(CS_) + ATTR, 4, 0x90
    lie "csff",    S_SEG(CS_) + ATTR, 4, -1
    lie "cslim",   S_SEG(CS_) + LIMIT, 4, 0xfffffffe
    lie "csnc",    S_SEG(CS_) + BASE, 8, NOT_CANONICAL
    lie "ss0",     S_SEG(SS_) + ATTR, 4, 0
    lie "ssdpl",   S_SEG(SS_) + ATTR, 4, 0xf3
    lie "dsff",    S_SEG(DS_) + ATTR, 4, -1
    lie "fsnc",    S_SEG(FS_) + BASE, 8, NOT_CANONICAL
    lie "tr0",     S_SEG(TR_) + ATTR, 4, 0
    lie "trunus",  S_SEG(TR_) + ATTR, 4, 0x10000
    lie "trnc",    S_SEG(TR_) + BASE, 8, NOT_CANONICAL
    lie "ldtff",   S_SEG(LDTR_) + ATTR, 4, 0xffff
    lie "gdtnc",   S_GDTR, 8, NOT_CANONICAL
    lie "idtlim",  S_IDTR + 8, 4, -1
    lie "dr7hi",   S_DR7, 8, 1 << 40
    lie "dr6hi",   S_DR6, 8, 1 << 40
    lie "dr7gd",   S_DR7, 8, 0x24ff     ; legal: the guest's own affair
    lie "seespnc", S_SE_ESP, 8, NOT_CANONICAL
    lie "seeipnc", S_SE_EIP, 8, NOT_CANONICAL
    lie "status",  F_STATUS, 4, 99
    lie "status1", F_STATUS, 4, 1       ; a fault without one to inject
    lie "retry",   F_STATUS, 4, 2       ; for ever
    lie "refuse",  F_STATUS, 4, 3       ; without a text
    lie "stout",   F_STATE_OUT, 4, -1
    lie "intr",    F_INTR, 4, -1        ; legal: any level but 0 is 1; no vector comes with it
    lie "life",    F_LIFE, 4, 77
    lie "timer0",  F_TIMER, 8, 0        ; always due
    lie "conlen",  F_CONSOLE_LEN, 4, -1
    lie "conlen1", F_CONSOLE_LEN, 4, 257
    dq 0

text_survived: db "survived ", 0
               times 64 db 0
text_unknown:  db "hostile: there is no such evil", 0
               times 64 db 0
    align 4096
rodata_end:

name:   dq 0, 0
did_it: db 0
    align 4096
data_end:
