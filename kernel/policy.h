/* What CPU the guest sees: CPUID, MSRs and XCR0, each a table with a reason per row. */
#pragma once

#include "kernel/base.h"

struct vcpu;

void policy_init(void);                      /* boot CPU, with the plan */
void policy_cpuid(struct vcpu *v);           /* CPUID with the leaf in the frame's EAX, ECX; result to the frame */
bool policy_msr(struct vcpu *v, bool write); /* RDMSR, WRMSR by the frame's ECX, EDX:EAX; false: #GP(0) */
bool policy_xsetbv(struct vcpu *v);          /* XSETBV by the frame's ECX, EDX:EAX; false: #GP(0) */
u64 policy_cr4_guest(void);                  /* CR4 bits that the guest may set: those whose feature CPUID offers it */
