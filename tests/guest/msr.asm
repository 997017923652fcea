; MSRs: those that a guest owns keep their values, all others are #GP; XSETBV and RDPMC.
%define MODE 64
%define GUEST "msr"
%include "guest.inc"

%define MSR_TSC        0x10
%define MSR_PAT        0x277
%define MSR_VMX_BASIC  0x480
%define MSR_EFER       0xc0000080
%define MSR_TSC_AUX    0xc0000103
%define MSR_VM_HSAVE   0xc0010117
%define EFER_NXE       11
%define EFER_SVME      12

; keeps "name", number, value: the value can be written and read back across other exits; the old one is put back
%macro keeps 3
    mov     ecx, %2
    mov     r12, %3
    mov     rsi, %%name
    call    msr_keeps
    [section .data]
%%name: db %1, 0
    __?SECT?__
%endmacro

main:
    call    check_kept
    call    check_unknown
    call    check_efer
    call    check_pat
    call    check_tsc
    call    check_xsetbv
    ret

; ecx: MSR, r12: value, rsi: its name
msr_keeps:
    push    rsi
    rdmsr
    mov     r13d, eax
    mov     r14d, edx
    mov     eax, r12d
    mov     rdx, r12
    shr     rdx, 32
    wrmsr
    push    rcx
    xor     eax, eax
    cpuid
    out     0x80, al
    pop     rcx
    rdmsr
    shl     rdx, 32
    or      rdx, rax
    mov     [got], rdx
    mov     r15, rdx
    mov     eax, r13d
    mov     edx, r14d
    wrmsr
    pop     rsi
    inc     dword [checks]
    cmp     r15, r12
    je      .good
    call    check_failed
.good:
    ret

check_kept:
    keeps   "SYSENTER_CS", 0x174, 0x1234
    keeps   "SYSENTER_ESP", 0x175, 0xffff800012345678
    keeps   "SYSENTER_EIP", 0x176, 0xffff8000deadbee0
    keeps   "STAR", 0xc0000081, 0x0023001012345678
    keeps   "LSTAR", 0xc0000082, 0xffff800000112233
    keeps   "CSTAR", 0xc0000083, 0xffff800000445566
    keeps   "FMASK", 0xc0000084, 0x47700
    keeps   "FS_BASE", 0xc0000100, 0xffff8000aaaa0000
    keeps   "GS_BASE", 0xc0000101, 0x00007000bbbb0000
    keeps   "KERNEL_GS_BASE", 0xc0000102, 0xffff8000cccc0000
    mov     eax, 0x80000001
    cpuid
    bt      edx, 27
    jnc     .end
    keeps   "TSC_AUX", MSR_TSC_AUX, 0x00000123
    mov     ecx, MSR_TSC_AUX
    mov     eax, 0x456
    xor     edx, edx
    wrmsr
    out     0x80, al
    rdtscp
    check_eq "RDTSCP gives TSC_AUX", rcx, 0x456
.end:
    ret

; unknown "name", number: reading and writing fault
%macro unknown 2
    mov     ecx, %2
    expect_fault {"rdmsr ", %1}, 13, rdmsr
    mov     ecx, %2
    xor     eax, eax
    xor     edx, edx
    expect_fault {"wrmsr ", %1}, 13, wrmsr
%endmacro

check_unknown:
    unknown "0x12345", 0x12345
    unknown "0x40000fff", 0x40000fff
    unknown "0xffffffff", 0xffffffff
    unknown "VMX_BASIC", MSR_VMX_BASIC
    unknown "VM_HSAVE_PA", MSR_VM_HSAVE
    unknown "x2APIC id", 0x802          ; no local APIC is offered
    mov     rax, 0x1111111122222222
    mov     rdx, 0x3333333344444444
    mov     ecx, 0x12345
    expect_fault "a faulting rdmsr", 13, rdmsr
    check_eq "keeps rax", rax, 0x1111111122222222
    check_eq "keeps rdx", rdx, 0x3333333344444444
    mov     ecx, 0x7fff
    expect_fault "rdpmc of no counter", 13, rdpmc
    ret

; r12: value; writes EFER
%macro efer_write 0
    mov     ecx, MSR_EFER
    mov     eax, r12d
    mov     rdx, r12
    shr     rdx, 32
%endmacro

check_efer:
    mov     ecx, MSR_EFER
    rdmsr
    shl     rdx, 32
    or      rax, rdx
    mov     r13, rax
    and     eax, 0x1500
    check_eq "LME and LMA without SVME", rax, 0x500
    mov     r12, r13
    bts     r12, EFER_SVME
    efer_write
    expect_fault "EFER.SVME", 13, wrmsr
    mov     r12, r13
    bts     r12, 1
    efer_write
    expect_fault "EFER reserved bit 1", 13, wrmsr
    mov     r12, r13
    bts     r12, 40
    efer_write
    expect_fault "EFER reserved bit 40", 13, wrmsr
    mov     r12, r13
    btr     r12, 8
    efer_write
    expect_fault "EFER.LME while paging", 13, wrmsr
    mov     r12, r13
    btc     r12, 0
    efer_write
    wrmsr
    rdmsr
    xor     eax, r13d
    check_eq "EFER.SCE toggles", rax, 1
    mov     r12, r13
    btc     r12, EFER_NXE
    efer_write
    wrmsr
    rdmsr
    xor     eax, r13d
    check_eq "EFER.NXE toggles", rax, 1 << EFER_NXE
    mov     r12, r13
    efer_write
    wrmsr
    ret

check_pat:
    keeps   "PAT", MSR_PAT, 0x0007040600070407
    mov     ecx, MSR_PAT
    mov     eax, 0x02020202             ; type 2 is reserved (SDM 3A 11.12.2)
    mov     edx, eax
    expect_fault "PAT type 2", 13, wrmsr
    mov     ecx, MSR_PAT
    mov     eax, 0x06060606
    mov     edx, 0x08060606
    expect_fault "PAT type 8", 13, wrmsr
    ret

check_tsc:
    rdtsc
    mov     r12d, edx
    shl     r12, 32
    or      r12, rax
    mov     ecx, MSR_TSC
    rdmsr
    shl     rdx, 32
    or      rdx, rax
    mov     r13, rdx
    rdtsc
    shl     rdx, 32
    or      rdx, rax
    mov     [got], r13
    cmp     r12, r13
    check   "the MSR is not before RDTSC", be
    cmp     r13, rdx
    check   "the MSR is not after RDTSC", be
    mov     eax, 1
    xor     edx, edx
    mov     ecx, MSR_TSC
    expect_quiet "TSC can be written", wrmsr
    rdtsc
    mov     [got], rdx
    cmp     edx, 1
    check   "a written TSC counts from there", b
    ret

; xsetbv_value "name", xcr, value: #GP
%macro xsetbv_faults 3
    mov     ecx, %2
    mov     eax, %3 & 0xffffffff
    mov     edx, %3 >> 32
    expect_fault %1, 13, xsetbv
%endmacro

check_xsetbv:
    xor     ecx, ecx
    xor     edx, edx
    mov     eax, 1
    expect_fault "XSETBV without OSXSAVE", 6, xsetbv
    mov     eax, 1
    cpuid
    bt      ecx, 26
    jnc     .end
    mov     rax, cr4
    bts     rax, 18
    mov     cr4, rax
    xor     ecx, ecx
    xgetbv
    mov     r12d, eax
    xsetbv_faults "XCR0 without x87", 0, 0
    xsetbv_faults "XCR0 AVX without SSE", 0, 5
    xsetbv_faults "XCR0 reserved bit 62", 0, 1 | 1 << 62
    xsetbv_faults "XCR0 bit 63", 0, 1 | 1 << 63
    xsetbv_faults "XCR1", 1, 1
    xor     ecx, ecx
    xor     edx, edx
    mov     eax, 3
    expect_quiet "XCR0 = x87 and SSE", xsetbv
    out     0x80, al
    xor     ecx, ecx
    xgetbv
    check_eq "XCR0 is kept", rax, 3
    xor     ecx, ecx
    xor     edx, edx
    mov     eax, r12d
    xsetbv
.end:
    ret
guest_end
