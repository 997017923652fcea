/* Guest state in and out of a VMCS: every rule of VM entry refuses by its name and changes nothing, what is legal comes back as it was
 * given with no more accesses than needed; a VMCS broken in one place is diagnosed by that rule. The VMCS is an array here.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o vmx_state_test \
 *     tests/host/vmx_state_test.c -lcmocka
 */
// sources:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define read_cr2 cpu_read_cr2 /* which needs ring 0 */
#include "kernel/arch.h"
#undef read_cr2
#include "kernel/policy.h"
static inline uint64_t read_cr2(void) { return 0x7777; }

/* In place of vmx/access.h, whose instructions need ring 0. */
#define VMX_ACCESS_H
static uint64_t fields[0x8000];
static unsigned reads, writes, flushes;
static inline uint64_t vmcs_read(uint32_t field) { reads++; return fields[field]; }
static inline void vmcs_copy(uint32_t field, void *to) { uint64_t value = vmcs_read(field); memcpy(to, &value, sizeof(value)); }
static inline void vmcs_write(uint32_t field, uint64_t value) { writes++; fields[field] = value; }
static inline void invvpid(uint64_t type, uint64_t vpid) { (void)type; (void)vpid; flushes++; }

#include "kernel/gueststate.c"
#include "vmx/entrycheck.c"
#include "vmx/state.c"

#define CR4_OFFERED 0x3707ffu /* no VMXE, UMIP, LA57, PKE */

struct cpu_features features = { .physical_bits = 40 };
struct vmx_config vmx_config;
static struct domain domain;
static struct vcpu vcpu = { .domain = &domain };
static uint8_t pages[8192] __attribute__((aligned(4096)));
static uint64_t fixed_bits[16]; /* by MSR_VMX_BASIC + n */

/* Registers of the CPU while the vcpu is loaded. */
static uint64_t cpu_dr[4], cpu_msr[LIVE_MSRS];
void vcpu_debug_save(struct vcpu *v) { memcpy(v->dr, cpu_dr, sizeof(cpu_dr)); }
void vcpu_debug_load(const struct vcpu *v) { memcpy(cpu_dr, v->dr, sizeof(cpu_dr)); }
void vmx_msrs_save(struct vcpu *v) { memcpy(v->msr_live, cpu_msr, sizeof(cpu_msr)); }
void vmx_msrs_load(const struct vcpu *v) { memcpy(cpu_msr, v->msr_live, sizeof(cpu_msr)); }

u64 policy_cr4_guest(void) { return CR4_OFFERED; }
u64 vmx_capability(u32 msr) { return fixed_bits[msr - MSR_VMX_BASIC]; }

#define ATTR_CODE64 0xa09bu
#define ATTR_CODE32 0xc09bu
#define ATTR_DATA   0xc093u

static struct abi_state protected_mode(void)
{
    struct abi_state s = {
        .rip = 0x1000, .rsp = 0x7000, .rflags = 0x202, .cr0 = 0x80000011, .cr3 = 0x1000, .cr4 = 0, .dr6 = 0xffff0ff0, .dr7 = 0x400,
        .gdtr = { .base = 0x1000, .limit = 0x7f }, .idtr = { .base = 0x2000, .limit = 0xfff },
        .sysenter_cs = 0x10, .sysenter_esp = 0x8000, .sysenter_eip = 0x2000, .star = 0x23001000000000, .lstar = 0xffff800000004000, .cstar = 0x5000,
        .fmask = 0x47700, .kernel_gs_base = 0xffff800000006000, .dr = { 1, ~0ull, 3, 0x1000 },
    };
    for (unsigned i = 0; i < ABI_SEGS; i++)
        s.seg[i] = (struct abi_segment){ .selector = 0x10, .limit = 0xffffffff, .attr = ATTR_DATA };
    s.seg[ABI_CS] = (struct abi_segment){ .selector = 8, .limit = 0xffffffff, .attr = ATTR_CODE32 };
    s.seg[ABI_LDTR] = (struct abi_segment){ .attr = ABI_SEG_UNUSABLE };
    s.seg[ABI_TR] = (struct abi_segment){ .selector = 0x40, .limit = 0x67, .attr = 0x8b, .base = 0x3000 };
    return s;
}

static struct abi_state mode_64(void)
{
    struct abi_state s = protected_mode();
    s.rip = 0xffff800000001000;
    s.cr0 = 0x80050033;
    s.cr4 = 0x20;
    s.efer = 0xd01;
    s.seg[ABI_CS].attr = ATTR_CODE64;
    s.sysenter_eip = s.seg[ABI_TR].base = s.seg[ABI_FS].base = 0xffff800000003000;
    return s;
}

static struct abi_state vm86_mode(void)
{
    struct abi_state s = protected_mode();
    s.rflags |= RFLAGS_VM;
    for (unsigned i = ABI_ES; i <= ABI_GS; i++)
        s.seg[i] = (struct abi_segment){ .selector = (uint16_t)(i * 0x100), .base = i * 0x1000, .limit = 0xffff, .attr = 0xf3 };
    return s;
}

/* The state of an exit: the cache knows nothing. */
static void after_exit(void)
{
    vcpu.cached = 0;
    reads = writes = flushes = 0;
}

/* As vmx_vcpu_init() ends. */
static void to_reset(void)
{
    struct abi_state s;
    state_reset(&s);
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
}

static void write_ring0_fields(void)
{
    fields[VMCS_PIN] = PIN_INTERRUPT | PIN_NMI;
    fields[VMCS_EPTP] = 0x5000 | EPTP_WB | EPTP_4LEVEL;
    fields[VMCS_EXIT] = EXIT_CTL_HOST64;
    fields[VMCS_LINK] = ~0ull;
    fields[VMCS_GUEST_PAT] = fields[VMCS_HOST_PAT] = 0x0007040600070406;
    fields[VMCS_HOST_EFER] = 0xd00;
    fields[VMCS_HOST_CR0] = 0x80050033;
    fields[VMCS_HOST_CR4] = 0x2020;
    fields[VMCS_HOST_CS] = 8;
    fields[VMCS_HOST_TR] = 0x38;
}

static int reset(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    memset(fields, 0, sizeof(fields));
    memset(pages, 0, sizeof(pages));
    for (unsigned i = 0; i < ARRAY_SIZE(fixed_bits); i++)
        fixed_bits[i] = 0xffffffff00000000;
    fixed_bits[MSR_VMX_CR0_FIXED0 - MSR_VMX_BASIC] = 0x80000021;
    fixed_bits[MSR_VMX_CR4_FIXED0 - MSR_VMX_BASIC] = CR4_VMXE;
    fixed_bits[MSR_VMX_CR4_FIXED1 - MSR_VMX_BASIC] = 0x3727ff;
    vmx_config = (struct vmx_config){ .cr0_fixed = CR0_NE, .cr0_guest = ~(CR0_NE | CR0_NW | CR0_CD), .cr4_fixed = CR4_VMXE | CR4_MCE,
                                      .cr4_guest = CR4_OFFERED & ~(CR4_VMXE | CR4_MCE) };
    vcpu.hvm = pages;
    vcpu.live = false;
    vmx_of(&vcpu)->vpid = 7;
    write_ring0_fields();
    to_reset();
    if (vmx_state_set(&vcpu, &s, ABI_STATE_ALL))
        return 1;
    after_exit();
    return 0;
}

static void same_after(const struct abi_state *given)
{
    struct abi_state got = { 0 };
    assert_null(vmx_state_set(&vcpu, given, ABI_STATE_ALL));
    after_exit();
    vmx_state_get(&vcpu, &got, ABI_STATE_ALL);
    assert_memory_equal(&got, given, sizeof(got));
}

static void test_round_trip(void **state)
{
    struct abi_state s[] = { protected_mode(), vm86_mode(), mode_64() };
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        same_after(&s[i]);
}

static void test_reset_state(void **state)
{
    struct abi_state s;
    (void)state;
    to_reset();
    after_exit();
    vmx_state_get(&vcpu, &s, ABI_STATE_ALL);
    assert_int_equal(s.seg[ABI_CS].base + s.rip, 0xfffffff0);
    assert_int_equal(s.cr0, 0x60000010);
    assert_int_equal(fields[VMCS_GUEST_CR0], CR0_ET | CR0_NE); /* CD and NW are the shadow's */
    assert_int_equal(fields[VMCS_ENTRY], 0);
    assert_null(vmx_rule_broken(&s, ABI_STATE_ALL));
}

static void test_owned_bits(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    s.cr0 = (s.cr0 | CR0_CD) & ~CR0_NE;
    s.cr4 |= CR4_PGE;
    same_after(&s);
    assert_int_equal(fields[VMCS_GUEST_CR0] & (CR0_CD | CR0_NE), CR0_NE);
    assert_int_equal(fields[VMCS_GUEST_CR4] & (CR4_VMXE | CR4_MCE | CR4_PGE), CR4_VMXE | CR4_MCE | CR4_PGE);
}

static void test_entry_control_follows_lma(void **state)
{
    struct abi_state s = protected_mode();
    (void)state;
    assert_int_equal(fields[VMCS_ENTRY], ENTRY_CTL_IA32E);
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
    assert_int_equal(fields[VMCS_ENTRY], 0);
}

static void test_rip_alone_is_cheap(void **state)
{
    struct abi_state s = { 0 };
    (void)state;
    vmx_state_get(&vcpu, &s, ABI_STATE_RIP);
    reads = 0;
    s.rip += 2;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_int_equal(reads, 0);
    assert_int_equal(writes, 1);
    assert_int_equal(fields[VMCS_GUEST_RIP], s.rip);
    s.rsp -= 8; /* what was seen does not count any more: the whole way */
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_true(reads > 0);
    assert_int_equal(writes, 2);
    assert_int_equal(fields[VMCS_GUEST_RSP], s.rsp);
    vmx_state_get(&vcpu, &s, ABI_STATE_RIP);
    s.rflags ^= RFLAGS_FREE;
    reads = writes = 0;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_int_equal(reads, 0);
    assert_int_equal(writes, 2); /* RIP is not compared */
    assert_int_equal(fields[VMCS_GUEST_RFLAGS], s.rflags);
}

/* The short way refuses nothing itself and takes nothing that the rules would refuse. */
static void test_moved_is_legal(void **state)
{
    const struct abi_state given = mode_64();
    struct abi_state s;
    (void)state;
#define REFUSED(statement) do { after_exit(); vmx_state_get(&vcpu, &s, ABI_STATE_RIP); statement; writes = 0; \
        assert_non_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP)); assert_int_equal(writes, 0); } while (0)
#define TAKEN(statement) do { after_exit(); vmx_state_get(&vcpu, &s, ABI_STATE_RIP); statement; \
        assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP)); after_exit(); struct abi_state got; vmx_state_get(&vcpu, &got, ABI_STATE_RIP); \
        assert_memory_equal(&got, &s, offsetof(struct abi_state, seg)); assert_null(vmx_state_set(&vcpu, &given, ABI_STATE_RIP)); } while (0)
    REFUSED(s.rip ^= BIT(47));
    REFUSED(s.rip ^= BIT(63));
    REFUSED(s.rflags |= RFLAGS_VM);
    REFUSED(s.rflags |= BIT(15));
    REFUSED(s.rflags &= ~(u64)RFLAGS_FIXED);
    REFUSED(s.rflags |= BIT(32));
    REFUSED(s.shadow = 4);
    TAKEN(s.rip = 0);
    TAKEN(s.rip ^= BIT(32));
    TAKEN(s.rflags ^= BIT(9) | BIT(18));
    TAKEN(s.shadow = ABI_SHADOW_STI);
    TAKEN(s.rsp = 1; s.rflags ^= RFLAGS_FREE; s.rip++);
#undef REFUSED
#undef TAKEN
}

static void test_paging_change_flushes(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
    assert_int_equal(writes + flushes, 0);
    s.cr3 = 0x9000;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_CR));
    assert_int_equal(flushes, 1);
}

/* Loaded, the registers of the CPU count, not what the vcpu kept when it was loaded last. */
static void test_live_registers(void **state)
{
    struct abi_state s = { 0 };
    (void)state;
    cpu_dr[1] = 0x1234;
    cpu_msr[LIVE_LSTAR] = 0x5678;
    vmx_state_get(&vcpu, &s, ABI_STATE_DR | ABI_STATE_SYSCALL);
    assert_int_equal(s.dr[1], ~0ull);
    assert_int_equal(s.lstar, 0xffff800000004000);
    after_exit();
    vmx_state_get(&vcpu, &s, ABI_STATE_CR); /* CR2 of this CPU is none of ours */
    assert_int_equal(s.cr2, 0);
    vcpu.live = true;
    vmx_state_get(&vcpu, &s, ABI_STATE_DR | ABI_STATE_SYSCALL | ABI_STATE_CR);
    assert_int_equal(s.cr2, 0x7777);
    assert_int_equal(s.dr[1], 0x1234);
    assert_int_equal(s.lstar, 0x5678);
    s.dr[2] = s.cstar = 0x9abc;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_DR | ABI_STATE_SYSCALL));
    assert_int_equal(cpu_dr[2], 0x9abc);
    assert_int_equal(cpu_msr[LIVE_CSTAR], 0x9abc);
    assert_int_equal(cpu_msr[LIVE_LSTAR], 0x5678);
    vcpu.live = false;
}

static void test_stale_shadow(void **state)
{
    struct abi_state s = { 0 };
    (void)state;
    fields[VMCS_INTERRUPTIBILITY] = ABI_SHADOW_STI;
    vmx_state_get(&vcpu, &s, ABI_STATE_RIP);
    assert_int_equal(s.shadow, ABI_SHADOW_STI);
    vcpu.cached = VMX_ADVANCED;
    vmx_state_get(&vcpu, &s, ABI_STATE_RIP);
    assert_int_equal(s.shadow, 0);
    assert_int_equal(fields[VMCS_INTERRUPTIBILITY], 0);
}

static void test_shadow_with_step(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    s.shadow = ABI_SHADOW_MOVSS;
    s.rflags |= RFLAGS_TF;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_int_equal(fields[VMCS_PENDING_DEBUG], DEBUG_BS);
    assert_null(state_rule_broken());
}

static void test_pae(void **state)
{
    struct abi_state s = protected_mode();
    (void)state;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
    s.cr4 |= CR4_PAE;
    assert_non_null(vmx_state_set(&vcpu, &s, ABI_STATE_CR));
    fields[VMCS_GUEST_CR4] |= CR4_PAE; /* the guest did it itself */
    after_exit();
    s.cr2 = 0x1234;
    s.efer |= EFER_NXE;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_CR));
    s.cr3 = 0x20;
    assert_non_null(vmx_state_set(&vcpu, &s, ABI_STATE_CR));
}

/* ---- One rule each: break(), and the words that the answer must hold ---------------------------------------------------- */

#define RIP  ABI_STATE_RIP
#define CS   ABI_STATE_CS
#define SEGS ABI_STATE_SEGS
#define SYS  ABI_STATE_SYSTEM
#define CR   ABI_STATE_CR

#define BREAK(name, base, statement) static struct abi_state break_##name(void) { struct abi_state s = base(); statement; return s; }
BREAK(cr0_high, mode_64, s.cr0 |= BIT(32))
BREAK(cr0_pg, protected_mode, s.cr0 &= ~CR0_PE)
BREAK(cr0_nw, mode_64, s.cr0 |= CR0_NW)
BREAK(cr3, mode_64, s.cr3 = BIT(40))
BREAK(cr4_vmxe, mode_64, s.cr4 |= CR4_VMXE)
BREAK(cr4_high, mode_64, s.cr4 |= BIT(40))
BREAK(cr4_pcid, protected_mode, s.cr4 |= CR4_PCIDE)
BREAK(efer_svme, mode_64, s.efer |= EFER_SVME)
BREAK(efer_lma, mode_64, s.rip = 0x1000; s.efer &= ~EFER_LMA)
BREAK(efer_lma2, protected_mode, s.efer |= EFER_LMA)
BREAK(long_pae, mode_64, s.cr4 = 0)
BREAK(dr7, mode_64, s.dr7 |= BIT(32))
BREAK(dr6, mode_64, s.dr6 |= BIT(63))
BREAK(sysenter_cs, mode_64, s.sysenter_cs = BIT(32))
BREAK(sysenter_esp, mode_64, s.sysenter_esp = BIT(47))
BREAK(sysenter_eip, mode_64, s.sysenter_eip = BIT(63))
BREAK(lstar, mode_64, s.lstar = BIT(47))
BREAK(cstar, mode_64, s.cstar = BIT(63))
BREAK(kernel_gs, mode_64, s.kernel_gs_base = BIT(47))
BREAK(fmask, mode_64, s.fmask = BIT(32))
BREAK(rip_canonical, mode_64, s.rip = BIT(47))
BREAK(rip_32, protected_mode, s.rip = BIT(32))
BREAK(rflags_one, mode_64, s.rflags = 0x200)
BREAK(rflags_15, mode_64, s.rflags |= BIT(15))
BREAK(rflags_63, mode_64, s.rflags |= BIT(63))
BREAK(rflags_vm, mode_64, s.rflags |= RFLAGS_VM)
BREAK(shadow_both, mode_64, s.shadow = 3)
BREAK(shadow_high, mode_64, s.shadow = BIT(33))
BREAK(shadow_if, mode_64, s.rflags = 2; s.shadow = ABI_SHADOW_STI)
BREAK(vm86_cs, vm86_mode, s.seg[ABI_CS].base++)
BREAK(vm86_ss, vm86_mode, s.seg[ABI_SS].limit = 0xfffff)
BREAK(vm86_ds, vm86_mode, s.seg[ABI_DS].attr = 0x93)
BREAK(vm86_enter, protected_mode, s.rflags |= RFLAGS_VM)
BREAK(cs_unusable, mode_64, s.seg[ABI_CS].attr |= ABI_SEG_UNUSABLE)
BREAK(cs_system, mode_64, s.seg[ABI_CS].attr &= ~0x10u)
BREAK(cs_absent, mode_64, s.seg[ABI_CS].attr &= ~0x80u)
BREAK(cs_reserved, mode_64, s.seg[ABI_CS].attr |= 0x20000)
BREAK(cs_type, mode_64, s.seg[ABI_CS].attr &= ~1u)
BREAK(cs_limit, protected_mode, s.seg[ABI_CS].limit = 0xfffff000)
BREAK(cs_limit_high, protected_mode, s.seg[ABI_CS].attr &= ~0x8000u)
BREAK(cs_dpl, mode_64, s.seg[ABI_CS].attr |= 0x60)
BREAK(cs_conforming, protected_mode, s.seg[ABI_CS].attr = 0xc0ff)
BREAK(cs_data_dpl, protected_mode, s.seg[ABI_CS].attr = 0xc0f3)
BREAK(cs_l_d, mode_64, s.seg[ABI_CS].attr |= 0x4000)
BREAK(cs_base, mode_64, s.seg[ABI_CS].base = BIT(32))
BREAK(ss_type, mode_64, s.seg[ABI_SS].attr = 0xc09b)
BREAK(ss_real, protected_mode, s.cr0 = 0x10; s.seg[ABI_CS].attr |= 0x60; s.seg[ABI_SS].attr |= 0x60)
BREAK(ss_base, mode_64, s.seg[ABI_SS].base = BIT(32))
BREAK(ds_accessed, mode_64, s.seg[ABI_DS].attr &= ~1u)
BREAK(es_execute_only, mode_64, s.seg[ABI_ES].attr = 0xc099)
BREAK(gs_absent, mode_64, s.seg[ABI_GS].attr &= ~0x80u)
BREAK(ds_base, mode_64, s.seg[ABI_DS].base = BIT(32))
BREAK(fs_base, mode_64, s.seg[ABI_FS].base = BIT(47))
BREAK(tr_unusable, mode_64, s.seg[ABI_TR].attr |= ABI_SEG_UNUSABLE)
BREAK(tr_ti, mode_64, s.seg[ABI_TR].selector |= 4)
BREAK(tr_16, mode_64, s.seg[ABI_TR].attr = 0x83)
BREAK(tr_free, protected_mode, s.seg[ABI_TR].attr = 0x89)
BREAK(tr_base, mode_64, s.seg[ABI_TR].base = BIT(62))
BREAK(ldtr_type, mode_64, s.seg[ABI_LDTR].attr = 0x83)
BREAK(ldtr_ti, mode_64, s.seg[ABI_LDTR].attr = 0x82; s.seg[ABI_LDTR].selector = 4)
BREAK(gdtr, mode_64, s.gdtr.base = BIT(47))
BREAK(idtr_limit, mode_64, s.idtr.limit = 0x10000)

static const struct { const char *name; struct abi_state (*make)(void); u32 groups; const char *words; } broken_states[] = {
#define ROW(name, groups, words) { #name, break_##name, groups, words }
    ROW(cr0_high, CR, "CR0: bits 63:32"), ROW(cr0_pg, ABI_STATE_ALL, "CR0.PG"), ROW(cr0_nw, CR, "CR0.NW"), ROW(cr3, CR, "CR3"),
    ROW(cr4_vmxe, CR, "CR4: a bit"), ROW(cr4_high, CR, "CR4: a bit"), ROW(cr4_pcid, ABI_STATE_ALL, "CR4.PCIDE"),
    ROW(efer_svme, CR, "EFER: reserved"), ROW(efer_lma, ABI_STATE_ALL, "EFER.LMA"), ROW(efer_lma2, ABI_STATE_ALL, "EFER.LMA"),
    ROW(long_pae, CR, "CR4.PAE"), ROW(dr7, ABI_STATE_DR, "DR7"), ROW(dr6, ABI_STATE_DR, "DR6"),
    ROW(sysenter_cs, ABI_STATE_SYSENTER, "SYSENTER_CS"), ROW(sysenter_esp, ABI_STATE_SYSENTER, "SYSENTER_ESP"),
    ROW(lstar, ABI_STATE_SYSCALL, "LSTAR"), ROW(cstar, ABI_STATE_SYSCALL, "CSTAR"), ROW(kernel_gs, ABI_STATE_SYSCALL, "KERNEL_GS"),
    ROW(fmask, ABI_STATE_ALL, "FMASK"),
    ROW(sysenter_eip, ABI_STATE_SYSENTER, "_EIP"), ROW(rip_canonical, RIP, "RIP"), ROW(rip_32, ABI_STATE_ALL, "RIP"),
    ROW(rflags_one, RIP, "RFLAGS: bit 1"), ROW(rflags_15, RIP, "RFLAGS: bit 1"), ROW(rflags_63, RIP, "RFLAGS: bit 1"),
    ROW(rflags_vm, RIP, "RFLAGS.VM"), ROW(shadow_both, RIP, "at most one"), ROW(shadow_high, RIP, "at most one"),
    ROW(shadow_if, RIP, "needs RFLAGS.IF"), ROW(vm86_cs, ABI_STATE_ALL, "CS, SS in virtual"),
    ROW(vm86_ss, ABI_STATE_ALL, "CS, SS in virtual"),
    ROW(vm86_ds, ABI_STATE_ALL, "DS, ES, FS, GS in virtual"), ROW(vm86_enter, ABI_STATE_ALL, "CS, SS in virtual"),
    ROW(cs_unusable, CS, "CS: must be"), ROW(cs_system, CS, "CS: must be"), ROW(cs_absent, CS, "CS: must be"),
    ROW(cs_reserved, CS, "segments: reserved"), ROW(cs_type, CS, "CS: type"), ROW(cs_limit, ABI_STATE_ALL, "CS: must be"),
    ROW(cs_limit_high, ABI_STATE_ALL, "CS: must be"), ROW(cs_dpl, CS, "CS: DPL"), ROW(cs_conforming, ABI_STATE_ALL, "CS: DPL"),
    ROW(cs_data_dpl, ABI_STATE_ALL, "CS: DPL"), ROW(cs_l_d, CS, "CS: D/B"), ROW(cs_base, CS, "CS, SS: base"),
    ROW(ss_type, CS, "SS: type"), ROW(ss_real, ABI_STATE_ALL, "SS: DPL"), ROW(ss_base, CS, "CS, SS: base"),
    ROW(ds_accessed, SEGS, "DS, ES, FS, GS: must"),
    ROW(es_execute_only, SEGS, "DS, ES, FS, GS: must"), ROW(gs_absent, SEGS, "DS, ES, FS, GS: must"), ROW(ds_base, SEGS, "DS, ES: base"),
    ROW(fs_base, SEGS, "FS, GS: base"), ROW(tr_unusable, SYS, "TR:"), ROW(tr_ti, SYS, "TR:"), ROW(tr_16, SYS, "TR:"),
    ROW(tr_free, ABI_STATE_ALL, "TR:"), ROW(tr_base, SYS, "TR:"), ROW(ldtr_type, SYS, "LDTR:"), ROW(ldtr_ti, SYS, "LDTR:"),
    ROW(gdtr, SYS, "GDTR, IDTR: base"), ROW(idtr_limit, SYS, "GDTR, IDTR: limit"),
};

static void test_guest_rules(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(broken_states); i++) {
        struct abi_state s = broken_states[i].make(), before = { 0 }, after = { 0 };
        const char *rule;
        vmx_state_get(&vcpu, &before, ABI_STATE_ALL);
        writes = 0;
        rule = vmx_state_set(&vcpu, &s, broken_states[i].groups);
        if (!rule || !strstr(rule, broken_states[i].words))
            fail_msg("%s: answer is \"%s\"", broken_states[i].name, rule ? rule : "taken");
        after_exit();
        vmx_state_get(&vcpu, &after, ABI_STATE_ALL);
        assert_memory_equal(&before, &after, sizeof(before));
    }
}

/* VMCS fields broken behind our back. */
static const struct { u32 reason; uint32_t field; uint64_t value; const char *words; } broken_fields[] = {
    { 0, VMCS_PIN, BIT(32), "a bit that this CPU fixes" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | 0x100, "type or vector" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | HVM_EVENT_NMI | 3, "type or vector" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | 32, "type or vector" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | VEC_GP, "error code" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | ABI_INJECT_ERROR | HVM_EVENT_EXCEPTION | VEC_UD, "error code" },
    { 0, VMCS_ENTRY_EVENT, ABI_INJECT_VALID | HVM_EVENT_SOFT_INT | 0x80, "instruction length" },
    { 0, VMCS_HOST_CR0, 0x80000001, "host CR0" },
    { 0, VMCS_HOST_CR3, BIT(41), "host CR0, CR3" },
    { 0, VMCS_HOST_CR4, 0x20, "host CR0, CR3, CR4" },
    { 33, VMCS_GUEST_CR0, 0x80000011, "VMX fixes" },
    { 33, VMCS_ENTRY, 0, "EFER.LMA" },
    { 33, VMCS_GUEST_PAT, 0x0300, "PAT" },
    { 33, VMCS_PENDING_DEBUG, DEBUG_BS, "pending debug" },
    { 33, VMCS_GUEST_RFLAGS, 0x202 | BIT(5), "RFLAGS" },
    { 33, VMCS_SEG(VMCS_GUEST_ATTR, ABI_FS), 0, "DS, ES, FS, GS:" },
    { 34, VMCS_LINK, ~0ull, "MSRs" },
};

static void test_entry_failures(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(broken_fields); i++) {
        const char *rule;
        assert_int_equal(reset(NULL), 0);
        fields[VMCS_INSTRUCTION_ERROR] = 7;
        if (broken_fields[i].field == VMCS_PENDING_DEBUG)
            fields[VMCS_INTERRUPTIBILITY] = ABI_SHADOW_STI;
        fields[broken_fields[i].field] = broken_fields[i].value;
        rule = entry_failure(&vcpu, broken_fields[i].reason ? broken_fields[i].reason | (u32)REASON_ENTRY_FAILED : REASON_VMFAIL);
        if (!strstr(rule, broken_fields[i].words))
            fail_msg("field %x: answer is \"%s\", wanted \"%s\"", broken_fields[i].field, rule, broken_fields[i].words);
    }
}

static void test_entry_blocked(void **state)
{
    (void)state;
    fields[VMCS_ENTRY_EVENT] = ABI_INJECT_VALID | HVM_EVENT_EXTERNAL | 0x30;
    fields[VMCS_GUEST_RFLAGS] = 2;
    assert_non_null(strstr(entry_failure(&vcpu, (u32)REASON_ENTRY_FAILED | 33), "external interrupt"));
}

static void test_entry_pdpte(void **state)
{
    struct abi_state s = protected_mode();
    (void)state;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
    after_exit();
    fields[VMCS_GUEST_CR4] |= CR4_PAE;
    fields[VMCS_GUEST_PDPTE3] = 3;
    assert_non_null(strstr(entry_failure(&vcpu, (u32)REASON_ENTRY_FAILED | 33), "PDPTE"));
}

static void test_instruction_errors(void **state)
{
    (void)state;
    fields[VMCS_INSTRUCTION_ERROR] = 5;
    assert_non_null(strstr(entry_failure(&vcpu, REASON_VMFAIL), "VMRESUME"));
    fields[VMCS_INSTRUCTION_ERROR] = 7;
    assert_non_null(strstr(entry_failure(&vcpu, REASON_VMFAIL), "bad controls"));
    fields[VMCS_INSTRUCTION_ERROR] = 1000;
    assert_non_null(strstr(entry_failure(&vcpu, REASON_VMFAIL), "without a name"));
}

/* Random states: one that is refused changes nothing, one that is taken breaks no rule when it is read back. */
static void test_random(void **state)
{
    unsigned taken = 0;
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        struct abi_state s = i & 1 ? mode_64() : protected_mode(), got;
        u32 groups = (u32)rand() & ABI_STATE_ALL;
        unsigned flips = (unsigned)rand() % 4;
        assert_int_equal(reset(NULL), 0);
        while (flips--)
            ((uint8_t *)&s)[(unsigned)rand() % sizeof(s)] ^= (uint8_t)(1u << ((unsigned)rand() & 7));
        if (vmx_state_set(&vcpu, &s, groups)) {
            assert_int_equal(writes, 0);
            continue;
        }
        taken++;
        after_exit();
        vmx_state_get(&vcpu, &got, ABI_STATE_ALL);
        assert_null(vmx_rule_broken(&got, ABI_STATE_ALL));
        assert_null(state_rule_broken());
    }
    assert_true(taken > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, reset)
    const struct CMUnitTest tests[] = {
        TEST(round_trip), TEST(reset_state), TEST(owned_bits), TEST(entry_control_follows_lma), TEST(rip_alone_is_cheap), TEST(moved_is_legal),
        TEST(paging_change_flushes), TEST(live_registers), TEST(stale_shadow), TEST(shadow_with_step), TEST(pae), TEST(guest_rules), TEST(entry_failures),
        TEST(entry_blocked), TEST(entry_pdpte), TEST(instruction_errors), TEST(random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
