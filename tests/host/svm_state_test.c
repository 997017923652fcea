/* Guest state in and out of a VMCB: every rule refuses by its name and changes nothing, what is legal comes back as it was given.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o svm_state_test \
 *     tests/host/svm_state_test.c svm/state.c svm/entrycheck.c svm/exits.c kernel/gueststate.c -lcmocka
 */
// sources: svm/state.c svm/entrycheck.c svm/exits.c kernel/gueststate.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kernel/policy.h"
#include "svm/svm.h"

struct cpu_features features = { .physical_bits = 40 };
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
    assert_string_equal(svm_entry_broken(&vcpu), "none that is known by name");
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

static void test_control_rules(void **state)
{
    (void)state;
    BROKEN(ALL, "EFER: reserved bits and SVME", s.efer |= EFER_SVME);
    BROKEN(ALL, "EFER: reserved", s.efer |= BIT(1));
    BROKEN(ALL, "EFER.LMA", s.efer &= ~EFER_LMA);
    BROKEN(ALL, "EFER.LMA", s.efer &= ~EFER_LME);
    BROKEN(ALL, "CR0.NW", s.cr0 |= CR0_NW);
    BROKEN(ALL, "CR0: bits 63:32", s.cr0 |= BIT(32));
    BROKEN(ALL, "CR0.PG", s.cr0 &= ~CR0_PE);
    BROKEN(ALL, "CR3", s.cr3 |= BIT(40));
    BROKEN(ALL, "CR4: a bit", s.cr4 |= CR4_VMXE);
    BROKEN(ALL, "CR4: a bit", s.cr4 |= BIT(40));
    BROKEN(ALL, "CR4.PAE", s.cr4 &= ~CR4_PAE);
    BROKEN(ALL, "CR4.PCIDE", s.cr4 |= CR4_PCIDE; s.cr0 &= ~CR0_PG; s.efer &= ~EFER_LMA);
    BROKEN(ALL, "DR6", s.dr6 |= BIT(32));
    BROKEN(ALL, "DR7", s.dr7 |= BIT(63));
    BROKEN(ALL, "CS: D/B must be 0", s.seg[ABI_CS].attr |= BIT(14));
    BROKEN(CS, "CS: D/B must be 0", s.seg[ABI_CS].attr |= BIT(14)); /* against the CR0 and EFER that are there */
    BROKEN(CR, "EFER.LMA", s.cr0 &= ~CR0_PG);
}

static void test_address_rules(void **state)
{
    (void)state;
    BROKEN(ALL, "RIP", s.rip = 0x800000000000);
    BROKEN(RIP, "RIP", s.rip = 0x800000000000);
    BROKEN(CS, "RIP", s.seg[ABI_CS].attr = ATTR_CODE32); /* the RIP that is there is above 4 GiB */
    BROKEN(ALL, "RFLAGS: bit 1", s.rflags = 0);
    BROKEN(ALL, "RFLAGS: bit 1", s.rflags |= BIT(15));
    BROKEN(ALL, "RFLAGS: bit 1", s.rflags |= BIT(63));
    BROKEN(ALL, "RFLAGS.VM", s.rflags |= RFLAGS_VM);
    BROKEN(ALL, "interruptibility", s.shadow = 4);
    BROKEN(ALL, "CS: must be usable", s.seg[ABI_CS].attr |= ABI_SEG_UNUSABLE);
    BROKEN(ALL, "CS, SS: base", s.seg[ABI_SS].base = BIT(32));
    BROKEN(ALL, "DS, ES: base", s.seg[ABI_ES].base = BIT(32));
    BROKEN(ALL, "FS, GS: base", s.seg[ABI_GS].base = BIT(47));
    BROKEN(ALL, "LDTR, TR: base", s.seg[ABI_TR].base = BIT(63));
    BROKEN(ALL, "GDTR, IDTR: base", s.idtr.base = BIT(47));
    BROKEN(ALL, "GDTR, IDTR: limit", s.gdtr.limit = 0x10000);
    BROKEN(ALL, "SYSENTER_ESP", s.sysenter_eip = BIT(47));
    BROKEN(ALL, "LSTAR", s.lstar = BIT(47));
    BROKEN(SYSCALL, "LSTAR", s.cstar = BIT(63));
    BROKEN(ALL, "KERNEL_GS_BASE", s.kernel_gs_base = BIT(47));
    BROKEN(ALL, "FMASK", s.fmask = BIT(32));
    BROKEN(ALL, "segments: reserved", s.seg[ABI_DS].attr |= BIT(8));
    BROKEN(ALL, "segments: reserved", s.seg[ABI_DS].attr |= BIT(31));
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

/* 57-bit addresses are canonical only with CR4.LA57. */
static void test_la57(void **state)
{
    struct abi_state s = long_mode();
    (void)state;
    s.rip = 0x800000000000;
    s.cr4 |= CR4_LA57;
    assert_null(svm_state_set(&vcpu, &s, ABI_STATE_ALL));
    s.rip = BIT(56);
    refused(s, ABI_STATE_RIP, "RIP");
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

#define ENTRY(text, ...) do { reset(NULL); __VA_ARGS__; assert_non_null(strstr(svm_entry_broken(&vcpu), text)); } while (0)

/* Why VMRUN refused, from the VMCB alone. */
static void test_entry_rules(void **state)
{
    (void)state;
    ENTRY("none that is known", (void)0);
    ENTRY("EVENTINJ", vmcb.event_inj = ABI_INJECT_VALID | 0x100);
    ENTRY("EVENTINJ", vmcb.event_inj = ABI_INJECT_VALID | 0x500);
    ENTRY("EVENTINJ", vmcb.event_inj = ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | 2);
    ENTRY("EVENTINJ", vmcb.event_inj = ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | 32);
    ENTRY("none that is known", vmcb.event_inj = ABI_INJECT_VALID | HVM_EVENT_EXCEPTION | ABI_INJECT_ERROR | 14);
    ENTRY("none that is known", vmcb.event_inj = 0x500);
    ENTRY("CR0.NW", vmcb.save.cr0 |= CR0_NW);
    ENTRY("CR3", vmcb.save.cr3 |= BIT(51));
    ENTRY("CR4: a bit", vmcb.save.cr4 |= BIT(32));
    ENTRY("CR4: a bit", vmcb.save.cr4 |= CR4_VMXE);
    ENTRY("DR7", vmcb.save.dr7 |= BIT(32));
    ENTRY("CS: D/B must be 0", vmcb.save.cs.attrib |= VMCB_SEG_D);
    for (u32 type = 0; type < 256; type++)
        ENTRY(type > 7 || type == 2 || type == 3 ? "G_PAT" : "none that is known", vmcb.save.g_pat = (u64)type << 56);
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
    assert_non_null(vcpu.exit.text);
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
        if (code <= 0xa3 || (code >= 0x400 && code <= 0x403)) {
            if (vcpu.exit.kind == EXIT_UNEXPECTED)
                assert_string_not_equal(vcpu.exit.text, "unknown exit code");
        } else if (code > VMEXIT_LAST) {
            assert_string_equal(vcpu.exit.text, "unknown exit code");
        }
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_trip, reset), cmocka_unit_test_setup(test_moved, reset), cmocka_unit_test_setup(test_groups, reset),
        cmocka_unit_test_setup(test_control_rules, reset), cmocka_unit_test_setup(test_address_rules, reset),
        cmocka_unit_test_setup(test_la57, reset), cmocka_unit_test_setup(test_cpl, reset), cmocka_unit_test_setup(test_live_debug, reset),
        cmocka_unit_test_setup(test_clean_and_flush, reset), cmocka_unit_test_setup(test_entry_rules, reset),
        cmocka_unit_test_setup(test_exits, reset), cmocka_unit_test_setup(test_every_code, reset), cmocka_unit_test_setup(test_halt, reset),
        cmocka_unit_test_setup(test_intercepts, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
