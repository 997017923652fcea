/* Guest state in and out of a VMCS: what ring 0 depends on is refused and changes nothing, all else comes back as it was given with no more
 * accesses than needed, and never touches a bit that is the host's. The VMCS is an array here.
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
#include "vmx/state.c"

#define CR4_OFFERED 0x3707ffu /* no VMXE, UMIP, LA57, PKE */

struct abi_cpu features = { .physical_bits = 40 };
struct vmx_config vmx_config;
static struct domain domain;
static struct vcpu vcpu = { .domain = &domain };
static uint8_t pages[8192] __attribute__((aligned(4096)));

/* Registers of the CPU while the vcpu is loaded. */
static uint64_t cpu_dr[4], cpu_msr[LIVE_MSRS];
void vcpu_debug_save(struct vcpu *v) { memcpy(v->dr, cpu_dr, sizeof(cpu_dr)); }
void vcpu_debug_load(const struct vcpu *v) { memcpy(cpu_dr, v->dr, sizeof(cpu_dr)); }
void vmx_msrs_save(struct vcpu *v) { memcpy(v->msr_live, cpu_msr, sizeof(cpu_msr)); }
void vmx_msrs_load(const struct vcpu *v) { memcpy(cpu_msr, v->msr_live, sizeof(cpu_msr)); }

u64 policy_cr4_guest(void) { return CR4_OFFERED; }

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
static void to_zero(void)
{
    static const struct abi_state zero;
    assert_null(vmx_state_set(&vcpu, &zero, ABI_STATE_ALL));
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
    vmx_config = (struct vmx_config){ .cr0_fixed = CR0_NE, .cr0_guest = ~(CR0_NE | CR0_NW | CR0_CD), .cr4_fixed = CR4_VMXE | CR4_MCE,
                                      .cr4_guest = CR4_OFFERED & ~(CR4_VMXE | CR4_MCE) };
    vcpu.hvm = pages;
    vcpu.live = false;
    vmx_of(&vcpu)->vpid = 7;
    write_ring0_fields();
    to_zero();
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
    assert_int_equal(writes, 4);
    assert_int_equal(fields[VMCS_GUEST_RSP], s.rsp);
    vmx_state_get(&vcpu, &s, ABI_STATE_RIP);
    s.rflags ^= RFLAGS_FREE;
    reads = writes = 0;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_int_equal(reads, 0);
    assert_int_equal(writes, 2); /* RIP is not compared */
    assert_int_equal(fields[VMCS_GUEST_RFLAGS], s.rflags);
}

/* The short way takes what cannot have become illegal, and leaves the rest to the long one, which takes it too. */
static void test_moved_is_legal(void **state)
{
    const struct abi_state given = mode_64();
    struct abi_state s, got;
    (void)state;
#define TAKEN(shorts, statement) do { after_exit(); vmx_state_get(&vcpu, &s, ABI_STATE_RIP); statement; assert_int_equal(vmx_moved(&vcpu, &s), shorts); \
        assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_RIP)); after_exit(); vmx_state_get(&vcpu, &got, ABI_STATE_RIP); \
        assert_memory_equal(&got, &s, offsetof(struct abi_state, seg)); assert_null(vmx_state_set(&vcpu, &given, ABI_STATE_RIP)); } while (0)
    TAKEN(false, s.rip ^= BIT(47));
    TAKEN(false, s.rip ^= BIT(63));
    TAKEN(false, s.rflags |= RFLAGS_VM);
    TAKEN(false, s.rflags &= ~(u64)RFLAGS_FIXED);
    TAKEN(false, s.rip = 0);
    TAKEN(false, s.rip ^= BIT(32));
    TAKEN(false, s.rflags ^= BIT(9) | BIT(18));
    TAKEN(false, s.shadow = ABI_SHADOW_STI);
    TAKEN(true, s.rsp = 1; s.rflags ^= RFLAGS_FREE; s.rip++);
#undef TAKEN
}

static void test_paging_change_flushes(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_ALL));
    assert_int_equal(flushes, 0);
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
}

/* What ring 0 would load itself is refused, and then nothing is written. */
static void test_refused(void **state)
{
    const struct abi_state given = mode_64();
    struct abi_state s;
    (void)state;
#define REFUSED(group, words, statement) do { s = given; statement; writes = 0; const char *why = vmx_state_set(&vcpu, &s, ABI_STATE_##group); \
        if (!why || !strstr(why, words)) fail_msg("%s: %s", #statement, why ? why : "taken"); assert_int_equal(writes, 0); } while (0)
    REFUSED(SYSCALL, "LSTAR", s.lstar = BIT(47));
    REFUSED(ALL, "CSTAR", s.cstar = BIT(63));
    REFUSED(SYSCALL, "KERNEL_GS", s.kernel_gs_base = BIT(47));
    REFUSED(ALL, "FMASK", s.fmask = BIT(32));
    REFUSED(DR, "DR6", s.dr6 |= BIT(63));
    REFUSED(CR, "CR4", s.cr4 |= CR4_VMXE);
    REFUSED(CR, "CR4", s.cr4 |= BIT(40));
    REFUSED(CR, "EFER", s.efer |= EFER_SVME);
    REFUSED(ALL, "EFER", s.efer |= BIT(1));
#undef REFUSED
    s = given;
    s.lstar = s.dr6 = ~0ull >> 1; /* in no group that is set */
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_CR | ABI_STATE_RIP));
    features.cr4 |= CR4_LA57; /* WRMSR goes by what the CPU has */
    s.lstar = BIT(47);
    assert_null(vmx_state_set(&vcpu, &s, ABI_STATE_SYSCALL));
    features.cr4 &= ~CR4_LA57;
}

/* Whatever ring 3 hands back, bits that are the host's stay: of CR0 and CR4, of the interruptibility field, in the entry controls. */
static void test_random(void **state)
{
    unsigned taken = 0;
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        struct abi_state s = i & 1 ? mode_64() : protected_mode();
        u32 groups = (u32)rand() & ABI_STATE_ALL;
        unsigned flips = (unsigned)rand() % 8;
        assert_int_equal(reset(NULL), 0);
        while (flips--)
            ((uint8_t *)&s)[(unsigned)rand() % sizeof(s)] ^= (uint8_t)(1u << ((unsigned)rand() & 7));
        if (vmx_state_set(&vcpu, &s, groups)) {
            assert_int_equal(writes, 0);
            continue;
        }
        taken++;
        assert_int_equal(fields[VMCS_GUEST_CR0] & ~vmx_config.cr0_guest, vmx_config.cr0_fixed);
        assert_int_equal(fields[VMCS_GUEST_CR4] & ~vmx_config.cr4_guest, vmx_config.cr4_fixed);
        assert_int_equal(fields[VMCS_INTERRUPTIBILITY] & ~(uint64_t)(ABI_SHADOW_STI | ABI_SHADOW_MOVSS), 0);
        assert_int_equal(fields[VMCS_ENTRY] & ~(uint64_t)ENTRY_CTL_IA32E, vmx_config.entry);
        assert_int_equal(!(fields[VMCS_ENTRY] & ENTRY_CTL_IA32E), !(fields[VMCS_GUEST_EFER] & EFER_LMA));
        assert_true(canonical(vcpu.msr_live[LIVE_LSTAR], false) && vcpu.msr_live[LIVE_FMASK] >> 32 == 0 && vcpu.dr6 >> 32 == 0);
    }
    assert_true(taken > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, reset)
    const struct CMUnitTest tests[] = {
        TEST(round_trip), TEST(owned_bits), TEST(entry_control_follows_lma), TEST(rip_alone_is_cheap), TEST(moved_is_legal),
        TEST(paging_change_flushes), TEST(live_registers), TEST(stale_shadow), TEST(shadow_with_step), TEST(refused), TEST(random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
