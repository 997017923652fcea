/* Why a vcpu cannot go on: a state with one rule of VM entry broken is diagnosed by that rule, and every exit that ends a domain has a name.
 *
 * gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o explain_test \
 *     tests/host/explain_test.c depriv/explain.c depriv/format.c -lcmocka
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "depriv/explain.h"

#define BIT(n)      (1ull << (n))
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define CR0_PE      BIT(0)
#define CR0_NW      BIT(29)
#define CR4_PCIDE   BIT(17)
#define CR4_VMXE    BIT(13)
#define EFER_LMA    BIT(10)
#define EFER_SVME   BIT(12)
#define RFLAGS_VM   BIT(17)
#define CR4_OFFERED 0x3707ffu /* no VMXE, UMIP, LA57, PKE */

static const struct explain_cpu vmx = { .vmx = true, .physical_bits = 40, .cr4 = CR4_OFFERED };
static const struct explain_cpu svm = { .vmx = false, .physical_bits = 40, .cr4 = CR4_OFFERED };

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

/* What breaks a rule is told, and by which vendor the state is refused. */
static void named(const char *name, const struct explain_cpu *cpu, const struct abi_state *s, const char *words)
{
    const char *text = explain_state(s, cpu);
    if (!words ? text != NULL : !text || !strstr(text, words))
        fail_msg("%s: answer is \"%s\"", name, text ? text : "legal");
}

static void test_legal(void **state)
{
    struct abi_state s[] = { protected_mode(), vm86_mode(), mode_64() };
    (void)state;
    for (unsigned i = 0; i < COUNT(s); i++) {
        named("legal", &vmx, &s[i], NULL);
        named("legal", &svm, &s[i], NULL);
    }
}

/* ---- One rule each: break(), and the words that the answer must hold ---------------------------------------------------- */

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

static const struct { const char *name; struct abi_state (*make)(void); const char *words; } broken_states[] = {
#define ROW(name, words) { #name, break_##name, words }
    ROW(cr0_high, "CR0: bits 63:32"), ROW(cr0_pg, "CR0.PG"), ROW(cr0_nw, "CR0.NW"), ROW(cr3, "CR3"),
    ROW(cr4_vmxe, "CR4: a bit"), ROW(cr4_high, "CR4: a bit"), ROW(cr4_pcid, "CR4.PCIDE"),
    ROW(efer_svme, "EFER: reserved"), ROW(efer_lma, "EFER.LMA"), ROW(efer_lma2, "EFER.LMA"),
    ROW(long_pae, "CR4.PAE"), ROW(dr7, "DR7"), ROW(dr6, "DR6"),
    ROW(sysenter_cs, "SYSENTER_CS"), ROW(sysenter_esp, "SYSENTER_ESP"),
    ROW(sysenter_eip, "_EIP"), ROW(rip_canonical, "RIP"), ROW(rip_32, "RIP"),
    ROW(rflags_one, "RFLAGS: bit 1"), ROW(rflags_15, "RFLAGS: bit 1"), ROW(rflags_63, "RFLAGS: bit 1"),
    ROW(rflags_vm, "RFLAGS.VM"), ROW(shadow_both, "at most one"), ROW(shadow_high, "at most one"),
    ROW(shadow_if, "needs RFLAGS.IF"), ROW(vm86_cs, "CS, SS in virtual"),
    ROW(vm86_ss, "CS, SS in virtual"),
    ROW(vm86_ds, "DS, ES, FS, GS in virtual"), ROW(vm86_enter, "CS, SS in virtual"),
    ROW(cs_unusable, "CS: must be"), ROW(cs_system, "CS: must be"), ROW(cs_absent, "CS: must be"),
    ROW(cs_reserved, "segments: reserved"), ROW(cs_type, "CS: type"), ROW(cs_limit, "CS: must be"),
    ROW(cs_limit_high, "CS: must be"), ROW(cs_dpl, "CS: DPL"), ROW(cs_conforming, "CS: DPL"),
    ROW(cs_data_dpl, "CS: DPL"), ROW(cs_l_d, "CS: D/B"), ROW(cs_base, "CS, SS: base"),
    ROW(ss_type, "SS: type"), ROW(ss_real, "SS: DPL"), ROW(ss_base, "CS, SS: base"),
    ROW(ds_accessed, "DS, ES, FS, GS: must"),
    ROW(es_execute_only, "DS, ES, FS, GS: must"), ROW(gs_absent, "DS, ES, FS, GS: must"), ROW(ds_base, "DS, ES: base"),
    ROW(fs_base, "FS, GS: base"), ROW(tr_unusable, "TR:"), ROW(tr_ti, "TR:"), ROW(tr_16, "TR:"),
    ROW(tr_free, "TR:"), ROW(tr_base, "TR:"), ROW(ldtr_type, "LDTR:"), ROW(ldtr_ti, "LDTR:"),
    ROW(gdtr, "GDTR, IDTR: base"), ROW(idtr_limit, "GDTR, IDTR: limit"),
};

static void test_rules(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(broken_states); i++) {
        struct abi_state s = broken_states[i].make();
        named(broken_states[i].name, &vmx, &s, broken_states[i].words);
        assert_non_null(strstr(explain_exit(&s, &vmx, BIT(31) | 33, 0, 0), broken_states[i].words));
    }
}

/* Rules of both vendors; the others are legal for SVM. */
static void test_svm(void **state)
{
    static const char *const both[] = { "cr0_high", "cr0_pg", "cr0_nw", "cr3", "cr4_vmxe", "cr4_pcid", "efer_svme", "efer_lma", "long_pae", "dr7", "cs_l_d" };
    unsigned found = 0;
    (void)state;
    for (unsigned i = 0; i < COUNT(broken_states); i++) {
        struct abi_state s = broken_states[i].make();
        for (unsigned j = 0; j < COUNT(both); j++)
            if (!strcmp(both[j], broken_states[i].name)) {
                assert_non_null(strstr(explain_exit(&s, &svm, 0xffffffff, 0, 0), broken_states[i].words));
                found++;
            }
        if (!strncmp(broken_states[i].name, "vm86_cs", 7) || !strncmp(broken_states[i].name, "tr_t", 4))
            named(broken_states[i].name, &svm, &s, NULL);
    }
    assert_int_equal(found, COUNT(both));
}

/* 57-bit addresses are canonical only with CR4.LA57. */
static void test_la57(void **state)
{
    struct explain_cpu wide = vmx;
    struct abi_state s = mode_64();
    (void)state;
    wide.cr4 |= BIT(12);
    s.rip = BIT(47);
    named("48 bits", &wide, &s, "RIP");
    s.cr4 |= BIT(12);
    named("57 bits", &wide, &s, NULL);
    s.rip = BIT(56);
    named("58 bits", &wide, &s, "RIP");
}

#define EVENT(type, vector) (ABI_INJECT_VALID | (type) << 8 | (vector))
#define VMFAIL 35u
static const struct { uint32_t reason; uint64_t detail; uint32_t event; const char *words; } entries[] = {
    { VMFAIL, 7, EVENT(1, 0), "type or vector" },
    { VMFAIL, 7, EVENT(2, 3), "type or vector" },
    { VMFAIL, 7, EVENT(3, 32), "type or vector" },
    { VMFAIL, 7, EVENT(3, 13), "error code" },
    { VMFAIL, 7, EVENT(3, 6) | ABI_INJECT_ERROR, "error code" },
    { VMFAIL, 7, 0, "bad controls" },
    { VMFAIL, 8, 0, "bad host state" },
    { VMFAIL, 5, EVENT(1, 0), "VMRESUME" },
    { VMFAIL, 1000, 0, "without a name" },
    { BIT(31) | 33, 0, 0, "PDPTE" },
    { BIT(31) | 34, 1, 0, "MSRs" },
    { BIT(31) | 41, 0, 0, "machine check" },
    { 2, 0, 0, "#DF" },
    { 49, 0, 0, "EPT misconfiguration" },
    { 1000, 0, 0, "without a name" },
};

static void test_entries(void **state)
{
    struct abi_state s = mode_64();
    (void)state;
    for (unsigned i = 0; i < COUNT(entries); i++) {
        const char *text = explain_exit(&s, &vmx, entries[i].reason, entries[i].detail, entries[i].event);
        if (!strstr(text, entries[i].words))
            fail_msg("%x, %lx: answer is \"%s\"", entries[i].reason, (unsigned long)entries[i].detail, text);
    }
    s.rflags = 2;
    assert_non_null(strstr(explain_exit(&s, &vmx, BIT(31) | 33, 0, EVENT(0, 0x30)), "external interrupt"));
}

/* No code of APM2 appendix C that SVM does not handle is without a name. */
static void test_codes(void **state)
{
    static const uint8_t handled[] = { 0x60, 0x61, 0x63, 0x64, 0x6e, 0x6f, 0x72, 0x73, 0x76, 0x78, 0x7a, 0x7b, 0x7c, 0x7e, 0x80, 0x81, 0x82, 0x83, 0x84,
                                       0x85, 0x86, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0xa3 };
    struct abi_state s = mode_64();
    (void)state;
    for (uint32_t code = 0; code < 0x500; code++) {
        bool known = !strstr(explain_exit(&s, &svm, code, 0, 0), "without a name");
        bool skip = code < 0x100 && memchr(handled, (int)code, sizeof(handled));
        if (!skip && known != (code <= 0xa6 || (code >= 0x401 && code <= 0x403)))
            fail_msg("code %x", code);
    }
    assert_string_equal(explain_exit(&s, &svm, 0xffffffff, 0, 0), "none that is known by name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal), cmocka_unit_test(test_rules), cmocka_unit_test(test_svm), cmocka_unit_test(test_la57),
        cmocka_unit_test(test_entries), cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
