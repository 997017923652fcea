/* Guest state in and out of a VMCB: what ring 0 depends on is refused and changes nothing, all else comes back as it was given.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o svm_state_test \
 *     tests/host/svm_state_test.c svm/state.c svm/exits.c kernel/gueststate.c -lcmocka
 */
// sources: svm/state.c svm/exits.c kernel/gueststate.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kernel/policy.h"
#include "svm/svm.h"

struct abi_cpu features = { .physical_bits = 40 };
struct svm_features svm_features = { .asids = 16 };
static struct vmcb vmcb;
static struct domain domain;
static struct abi_frame frame;
static struct vcpu vcpu = { .domain = &domain, .frame = &frame };

/* Registers of the CPU while the vcpu is loaded. */
static uint64_t cpu_dr[4];
void vcpu_debug_save(struct vcpu *v) { memcpy(v->dr, cpu_dr, sizeof(cpu_dr)); }
void vcpu_debug_load(const struct vcpu *v) { memcpy(cpu_dr, v->dr, sizeof(cpu_dr)); }

u64 policy_cr4_guest(void) { return 0x3f1fff; }

#define ATTR_CODE64 0xa09bu
#define ATTR_CODE32 0xc09bu
#define ATTR_DATA   0xc093u

/* 64-bit mode, CPL 0. */
static struct abi_state long_mode(void)
{
    struct abi_state s = {
        .rip = 0xffff800000001000, .rsp = 0x7000, .rflags = 0x202, .cr0 = 0x80050033, .cr3 = 0x1000, .cr4 = 0x20,
        .efer = 0xd01, .dr6 = 0xffff0ff0, .dr7 = 0x400, .gdtr = { .base = 0x1000, .limit = 0x7f },
        .idtr = { .base = 0x2000, .limit = 0xfff },
        .sysenter_cs = 0x10, .sysenter_esp = 0x8000, .sysenter_eip = 0xffff800000002000, .star = 0x23001000000000, .lstar = 0xffff800000004000, .cstar = 0x5000,
        .fmask = 0x47700, .kernel_gs_base = 0xffff800000006000, .dr = { 1, ~0ull, 3, 0x1000 },
    };
    for (unsigned i = 0; i < ABI_SEGS; i++)
        s.seg[i] = (struct abi_segment){ .selector = 0x10, .limit = 0xffffffff, .attr = ATTR_DATA };
    s.seg[ABI_CS] = (struct abi_segment){ .selector = 8, .limit = 0xffffffff, .attr = ATTR_CODE64 };
    s.seg[ABI_LDTR] = (struct abi_segment){ .attr = ABI_SEG_UNUSABLE };
    s.seg[ABI_TR] = (struct abi_segment){ .selector = 0x40, .limit = 0x67, .attr = 0x8b, .base = 0xffff800000003000 };
    return s;
}

static int reset(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    memset(&vmcb, 0, sizeof(vmcb));
    svm_features = (struct svm_features){ .asids = 16 };
    vcpu.hvm = &vmcb;
    vmcb.clean = CLEAN_ALL;
    vmcb.asid = 1;
    svm_intercept_rows(&vmcb, false);
    vmcb.save.g_pat = 0x0007040600070406;
    return svm_state_set(&vcpu, &s, ABI_STATE_ALL) != NULL;
}

static void test_round_trip(void **state)
{
    struct abi_state in = long_mode(), out;
    (void)state;
    in.shadow = ABI_SHADOW_STI;
    in.seg[ABI_SS].attr = ATTR_DATA | 3 << 5;
    assert_null(svm_state_set(&vcpu, &in, ABI_STATE_ALL));
    memset(&out, 0, sizeof(out));
    svm_state_get(&vcpu, &out, ABI_STATE_ALL);
    assert_memory_equal(&in, &out, sizeof(in));
    assert_int_equal(vmcb.save.cpl, 3);
    assert_true(vmcb.save.efer & EFER_SVME);
    assert_int_equal(vmcb.save.cs.attrib, 0xa9b);
    assert_int_equal(vmcb.save.ldtr.attrib & VMCB_SEG_P, 0);
}

/* One group in, no other group touched; the others' memory in the caller's struct is left alone on the way out. */
static void test_groups(void **state)
{
    (void)state;
    for (u32 g = 1; g <= ABI_STATE_SYSCALL; g <<= 1) {
        struct abi_state before = { 0 }, after = { 0 }, poison;
        reset(NULL);
        svm_state_get(&vcpu, &before, ABI_STATE_ALL);
        memset(&poison, 0xa5, sizeof(poison));
        svm_state_get(&vcpu, &poison, g);
        assert_null(svm_state_set(&vcpu, &poison, g)); /* reads only the group it got */
        svm_state_get(&vcpu, &after, ABI_STATE_ALL);
        assert_memory_equal(&before, &after, sizeof(before));
    }
}

/* One field of a legal state made illegal: the rule's text must hold `text`, and not a byte of the VMCB may change. */
static void refused(struct abi_state s, u32 groups, const char *text)
{
    struct vmcb before = vmcb;
    const char *rule = svm_state_set(&vcpu, &s, groups);
    if (!rule || !strstr(rule, text)) {
        printf("expected a rule with \"%s\", got %s\n", text, rule ? rule : "none");
        fail();
    }
    assert_memory_equal(&before, &vmcb, sizeof(vmcb));
}

#define BROKEN(group, text, ...) do { struct abi_state s = long_mode(); __VA_ARGS__; refused(s, ABI_STATE_##group, text); } while (0)

/* What ring 0 would load itself, and what the guest is not offered; VMRUN looks at the rest. */
static void test_refused(void **state)
{
    (void)state;
    BROKEN(ALL, "EFER: a bit", s.efer |= EFER_SVME);
    BROKEN(CR, "EFER: a bit", s.efer |= BIT(1));
    BROKEN(ALL, "CR4, EFER: a bit", s.cr4 |= CR4_VMXE);
    BROKEN(CR, "CR4, EFER: a bit", s.cr4 |= BIT(40));
    BROKEN(DR, "DR6", s.dr6 |= BIT(32));
    BROKEN(ALL, "LSTAR", s.lstar = BIT(47));
    BROKEN(SYSCALL, "CSTAR", s.cstar = BIT(63));
    BROKEN(ALL, "KERNEL_GS_BASE", s.kernel_gs_base = BIT(47));
    BROKEN(ALL, "FMASK", s.fmask = BIT(32));
}

/* EFER.SVME is set whatever ring 3 says, and of the shadow word no bit but the shadow. */
static void test_host_bits(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    s.efer = 0;
    s.shadow = ~0ull;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_CR | ABI_STATE_RIP));
    assert_int_equal(vmcb.save.efer, EFER_SVME);
    assert_int_equal(vmcb.int_shadow, VMCB_SHADOW);
}

/* Loaded, DR0 to DR3 are in the registers of the CPU. */
static void test_live_debug(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    cpu_dr[1] = 0x1234;
    vcpu.live = true;
    svm_state_get(&vcpu, &s, ABI_STATE_DR);
    assert_int_equal(s.dr[1], 0x1234);
    s.dr[2] = 0x9abc;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_DR));
    assert_int_equal(cpu_dr[2], 0x9abc);
    assert_int_equal(vmcb.save.star, s.star);
    vcpu.live = false;
}

static void test_cpl(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    s.seg[ABI_SS].attr = ATTR_DATA | 3 << 5;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_ALL));
    assert_int_equal(vmcb.save.cpl, 3);
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_RIP)); /* no new SS: the CPL stays */
    assert_int_equal(vmcb.save.cpl, 3);
    vmcb.save.ss.attrib = 0xc93; /* as SYSRET may leave it */
    svm_state_get(&vcpu, &s, ABI_STATE_CS);
    assert_int_equal(s.seg[ABI_SS].attr, ATTR_DATA | 3 << 5);
    s.cr0 &= ~(CR0_PE | CR0_PG); /* real mode: 0 whatever SS says */
    s.efer = 0;
    s.rip = 0x1000;
    s.seg[ABI_CS].attr = 0x9b;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_ALL));
    assert_int_equal(vmcb.save.cpl, 0);
    s.cr0 |= CR0_PE; /* virtual-8086 mode: 3 */
    s.rflags |= RFLAGS_VM;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_CR | ABI_STATE_RIP));
    assert_int_equal(vmcb.save.cpl, 3);
}

static void test_clean_and_flush(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    vmcb.clean = CLEAN_ALL;
    vmcb.tlb_control = 0;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_DR));
    assert_int_equal(vmcb.clean, CLEAN_ALL & ~CLEAN_DR);
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_SYSTEM));
    assert_int_equal(vmcb.clean, CLEAN_ALL & ~(CLEAN_DR | CLEAN_DT));
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_CR)); /* the same values: no flush */
    assert_int_equal(vmcb.tlb_control, 0);
    assert_int_equal(vmcb.clean & (CLEAN_CR | CLEAN_CR2), 0);
    s.cr3 = 0x2000;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_CR));
    assert_int_equal(vmcb.tlb_control, TLB_FLUSH_ALL);
    svm_features.flush_asid = true;
    s.cr3 = 0x3000;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_CR));
    assert_int_equal(vmcb.tlb_control, TLB_FLUSH_ASID);
}

static void test_exits(void **state)
{
    (void)state;
    vmcb.exit_code = VMEXIT_IOIO;
    vmcb.exit_info1 = 0x3fd << 16 | 1 << 4 | 1;
    vmcb.exit_info2 = vmcb.save.rip + 2;
    vmcb.next_rip = 0x1234; /* stale */
    assert_false(svm_exit_decode(&vcpu));
    assert_int_equal(vcpu.exit.kind, EXIT_PORT);
    assert_int_equal(frame.port, 0x3fd);
    assert_int_equal(frame.size, 1);
    assert_int_equal(frame.flags, ABI_PORT_IN);
    assert_int_equal(vcpu.exit.length, 2);
    vmcb.exit_code = VMEXIT_CPUID;
    assert_false(svm_exit_decode(&vcpu)); /* without next RIP ring 3 decodes */
    assert_int_equal(vcpu.exit.length, 0);
    svm_features.nrips = true;
    assert_false(svm_exit_decode(&vcpu)); /* not a length */
    assert_int_equal(vcpu.exit.length, 0);
    vmcb.next_rip = vmcb.save.rip + 2;
    assert_true(svm_exit_decode(&vcpu));
    assert_int_equal(vcpu.exit.length, 2);
    vmcb.exit_code = 0xffffffff; /* as some CPUs leave it */
    assert_false(svm_exit_decode(&vcpu));
    assert_int_equal(vcpu.exit.kind, EXIT_FAILED);
    vmcb.exit_code = ~0ull;
    svm_exit_decode(&vcpu);
    assert_int_equal(vcpu.exit.kind, EXIT_FAILED);
}

/* The short way takes what the rules take, and leaves the rest to them. */
static void test_moved(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    s.rip += 5;
    s.rsp = 1;
    s.rflags ^= RFLAGS_FREE;
    assert_true(svm_moved(&vcpu, &s));
    assert_int_equal(vmcb.save.rip, s.rip);
    assert_int_equal(vmcb.save.rsp, 1);
    assert_int_equal(vmcb.save.rflags, s.rflags);
#define LEFT(statement) do { struct abi_state t = s; statement; assert_false(svm_moved(&vcpu, &t)); } while (0)
    LEFT(t.rip ^= BIT(32));
    LEFT(t.rip ^= BIT(47));
    LEFT(t.rflags |= RFLAGS_VM);
    LEFT(t.rflags ^= RFLAGS_TF);
    LEFT(t.rflags |= BIT(40));
    LEFT(t.shadow = ABI_SHADOW_STI);
    vmcb.int_shadow = VMCB_SHADOW;
    assert_false(svm_moved(&vcpu, &s));
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_RIP));
    assert_int_equal(vmcb.int_shadow, 0);
}

/* No number is without a row, and nothing unexpected goes on silently. */
static void test_every_code(void **state)
{
    (void)state;
    for (u32 code = 0; code < 0x500; code++) {
        vmcb.exit_code = code;
        svm_exit_decode(&vcpu);
        assert_true(vcpu.exit.kind < EXIT_KINDS);
        if (code > VMEXIT_MCOMMIT && code != VMEXIT_NPF)
            assert_int_equal(vcpu.exit.kind, EXIT_UNEXPECTED);
    }
}

/* The bits that APM2 appendix B gives to what ring 0 handles, and no other; WBINVD only where its length is known. */
static void test_intercepts(void **state)
{
    (void)state;
    assert_int_equal(vmcb.intercept_cr | vmcb.intercept_dr, 0);
    assert_int_equal(vmcb.intercepts[0], BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC));
    assert_int_equal(vmcb.intercepts[1], 0xdd4c801b);
    assert_int_equal(vmcb.intercepts[2], 0x7c7f);
    assert_int_equal(vmcb.intercepts[3], 0x8);
    svm_features.nrips = true;
    svm_intercept_rows(&vmcb, false);
    assert_int_equal(vmcb.intercepts[2], 0x7e7f);
}

/* A HLT whose shadow the CPU lost, and the two that are as they should be. */
static void test_halt(void **state)
{
    (void)state;
    vmcb.own_shadow_rip = ~0ull;
    vmcb.exit_code = VMEXIT_INTR;
    vmcb.int_shadow = VMCB_SHADOW;
    svm_exit_decode(&vcpu);
    vmcb.exit_code = VMEXIT_HLT;
    vmcb.int_shadow = 0;
    svm_exit_decode(&vcpu);
    assert_int_equal(vcpu.exit.flags, SVM_HALT_AWAKE);
    svm_exit_decode(&vcpu); /* once */
    assert_int_equal(vcpu.exit.flags, 0);
    vmcb.int_shadow = VMCB_SHADOW;
    svm_exit_decode(&vcpu); /* STI; HLT on a CPU that keeps the shadow */
    assert_int_equal(vcpu.exit.flags, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, reset)
    const struct CMUnitTest tests[] = {
        TEST(round_trip), TEST(moved), TEST(groups), TEST(refused), TEST(host_bits), TEST(cpl), TEST(live_debug),
        TEST(clean_and_flush), TEST(exits), TEST(every_code), TEST(halt), TEST(intercepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
