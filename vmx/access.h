/* VMREAD, VMWRITE and the translation-invalidating instructions, counted. */
#ifndef VMX_ACCESS_H
#define VMX_ACCESS_H

#include "kernel/arch.h"

/* On the current VMCS. A failure means a field that this CPU lacks: probe() has made sure of those in use. */
static inline u64 vmcs_read(u32 field)
{
    u64 value;
    count_event(COUNT_VMREAD);
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((u64)field) : "cc");
    return value;
}

/* The same into memory: 8 bytes, whatever the field's width. */
static inline void vmcs_copy(u32 field, void *to)
{
    count_event(COUNT_VMREAD);
    __asm__ volatile("vmread %1, %0" : "=m"(*(struct { u64 bytes; } __attribute__((packed)) *)to) : "r"((u64)field) : "cc");
}

static inline void vmcs_write(u32 field, u64 value)
{
    count_event(COUNT_VMWRITE);
    __asm__ volatile("vmwrite %1, %0" : : "r"((u64)field), "r"(value) : "cc", "memory");
}

/* pa points at the physical address of the region. True: CF or ZF was set (SDM 3C 30.2). */
static inline bool vmx_on(const u64 *pa)
{
    bool failed;
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(*pa) : "memory");
    return failed;
}

static inline void vmcs_clear(const u64 *pa) { __asm__ volatile("vmclear %0" : : "m"(*pa) : "cc", "memory"); }
static inline void vmcs_load(const u64 *pa) { __asm__ volatile("vmptrld %0" : : "m"(*pa) : "cc", "memory"); }

static inline void invvpid(u64 type, u64 vpid)
{
    struct { u64 vpid, address; } d = { vpid, 0 };
    __asm__ volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

static inline void invept_all(u64 type)
{
    struct { u64 eptp, zero; } d = { 0, 0 };
    __asm__ volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

#endif
