/* One-instruction wrappers for what C cannot say, and the architectural numbers they take. */
#pragma once

#include "kernel/base.h"
#include "kernel/count.h"

static inline u8 in8(u16 port)   { u8 v;  __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void out8(u16 port, u8 v)   { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void out16(u16 port, u16 v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }

static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return (u64)d << 32 | a; }
static inline u64 rdmsr(u32 msr) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr)); return (u64)d << 32 | a; }
static inline void wrmsr(u32 msr, u64 v)
{
    count_event(COUNT_WRMSR);
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u64 read_cr0(void) { u64 v; __asm__ volatile("mov %%cr0, %0" : "=r"(v)); return v; }
static inline u64 read_cr2(void) { u64 v; __asm__ volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline u64 read_cr4(void) { u64 v; __asm__ volatile("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr0(u64 v) { __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
static inline void write_cr2(u64 v) { __asm__ volatile("mov %0, %%cr2" : : "r"(v) : "memory"); }
static inline void write_cr3(u64 v) { count_event(COUNT_CR3); __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(u64 v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
static inline void invlpg(const void *p) { count_event(COUNT_INVLPG); __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory"); }
static inline void xsetbv0(u64 v) { __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)v), "d"((u32)(v >> 32))); }

static inline void irq_disable(void) { __asm__ volatile("cli" ::: "memory"); }
static inline __attribute__((noreturn)) void cpu_halt(void) { for (;;) __asm__ volatile("cli; hlt"); }
static inline void cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }
void cpu_halt_wait(void); /* sleep until an interrupt: kernel/switch.asm */
extern const char cpu_halt_hlt[];
static inline void irq_poll(void) { __asm__ volatile("sti; nop; cli" ::: "memory"); }      /* take what is pending */

struct cpuid { u32 eax, ebx, ecx, edx; };
static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* Control registers, EFER, RFLAGS (SDM 3A 2.5, 2.2.1, 2.3). */
enum { CR0_PE = BIT(0), CR0_MP = BIT(1), CR0_EM = BIT(2), CR0_TS = BIT(3), CR0_ET = BIT(4), CR0_NE = BIT(5), CR0_WP = BIT(16),
       CR0_AM = BIT(18), CR0_NW = BIT(29), CR0_CD = BIT(30) };
#define CR0_PG BIT(31) /* not an int: ~CR0_PG must have the upper half set */
#define CR3_NOFLUSH BIT(63) /* with CR4.PCIDE: keep this PCID's translations (SDM 3A 4.10.4.1) */
enum { CR4_VME = BIT(0), CR4_PVI = BIT(1), CR4_TSD = BIT(2), CR4_DE = BIT(3), CR4_PSE = BIT(4), CR4_PAE = BIT(5), CR4_MCE = BIT(6),
       CR4_PGE = BIT(7), CR4_PCE = BIT(8), CR4_OSFXSR = BIT(9), CR4_OSXMMEXCPT = BIT(10), CR4_UMIP = BIT(11), CR4_LA57 = BIT(12),
       CR4_VMXE = BIT(13), CR4_FSGSBASE = BIT(16), CR4_PCIDE = BIT(17), CR4_OSXSAVE = BIT(18), CR4_SMEP = BIT(20), CR4_SMAP = BIT(21),
       CR4_PKE = BIT(22) };
/* Every translation of this CPU, those of global pages and of every PCID too (SDM 3A 4.10.4.1, APM2 5.5.3). */
static inline void tlb_flush(void) { write_cr4(read_cr4() ^ CR4_PGE); write_cr4(read_cr4() ^ CR4_PGE); }
enum { DR6_BS = BIT(14), DR7_GD = BIT(13) };
enum { EFER_SCE = BIT(0), EFER_LME = BIT(8), EFER_LMA = BIT(10), EFER_NXE = BIT(11), EFER_SVME = BIT(12) };
#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) /* what a guest may have */
enum { RFLAGS_FIXED = BIT(1), RFLAGS_TF = BIT(8), RFLAGS_IF = BIT(9), RFLAGS_RF = BIT(16), RFLAGS_VM = BIT(17) };
#define RFLAGS_FREE 0x10cd5ul /* CF PF AF ZF SF DF OF RF: what an instruction leaves; legal with every other state */

/* MSRs (SDM 4, APM2 appendix A). */
enum { MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_FEATURE_CONTROL = 0x3a, MSR_ARCH_CAPABILITIES = 0x10a, MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175,
       MSR_SYSENTER_EIP = 0x176, MSR_DEBUGCTL = 0x1d9, MSR_PAT = 0x277, MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081,
       MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083, MSR_FMASK = 0xc0000084, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101,
       MSR_KERNEL_GS_BASE = 0xc0000102, MSR_TSC_AUX = 0xc0000103 };

/* Exception vectors (SDM 3A 6.3.1). */
enum { VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10, VEC_NP, VEC_SS, VEC_GP, VEC_PF,
       VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM, VEC_VE, VEC_CP };
