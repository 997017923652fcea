/* A domain: guest memory, nested table, ring-3 address space, console, vcpus. */
#pragma once

#include "depriv/abi.h"
#include "kernel/base.h"
#include "kernel/spinlock.h"

#define DOMAINS_MAX ABI_DOMAINS_MAX
#define DOMAIN_NAME ABI_NAME_BYTES

enum domain_end { DOMAIN_RUNS, DOMAIN_POWEROFF, DOMAIN_REBOOT, DOMAIN_KILLED };

struct console_ring { u8 bytes[4096]; u32 head, tail; };

struct domain {
    u32 id;                     /* 1..DOMAINS_MAX */
    char name[DOMAIN_NAME];
    u32 end;                    /* enum domain_end; set once */
    u32 vcpus;
    struct vcpu *vcpu[ABI_VCPUS_MAX];
    u64 ram_low, ram_high;      /* bytes */
    u64 *frames;                /* physical address of each 2 MiB guest frame, pool pages */
    u32 frame_count;

    u64 *nested_root;           /* EPT or NPT PML4, pool */
    u64 *user_root;             /* ring-3 page table, pool */
    u64 cr3;                    /* its physical address, with PCID and CR3_NOFLUSH where the CPU has them */
    u32 guestmem;               /* enum abi_guestmem */
    u64 *windows;               /* guestmem=window: the page directory of all vcpus' windows */
    u64 *copier_root;           /* guestmem=copy: the table that the copier runs on, and its CR3 */
    u64 copier_cr3;
    struct abi_info *info;      /* supervisor alias of the info page */
    void *data;                 /* pool: the component's data and bss */
    u32 data_pages;
    u64 entry;                  /* of its component, in ring 3 */
    u32 method;                 /* depriv=0..3: how an operation reaches its component */
    u32 emulate;                /* enum abi_emulate */
    u32 asid;                   /* ASID or VPID tag base, = id */

    const struct abi_domain *config; /* in the plan */
    struct console_ring input;  /* bytes for CONSOLE_READ, under console.c's lock */
    char line[256];             /* of its console, not yet out; console.c */
    u32 line_length;
    u64 log_since;              /* TSC: ring 3's lines are counted from here */
    u32 log_lines, log_left_out;
    char kill_reason[ABI_TEXT_BYTES];
    u64 exits[32];              /* by neutral cause, enum exit_kind */
    u32 vcpus_left;             /* whose threads have not left their stacks for ever */
    u64 booted;                 /* TSC when its vcpu 0 was first entered */
};

extern struct domain *domains[DOMAINS_MAX + 1]; /* by id; NULL: none */

/* Where its frame i is for the guest: RAM goes on at 4 GiB. */
static inline u64 domain_frame_gpa(const struct domain *d, u32 i)
{
    u64 gpa = i * PAGE_2M;
    return gpa < d->ram_low ? gpa : gpa - d->ram_low + ABI_HIGH_BASE;
}

/* Physical address of the frame that gpa lies in, 0: it is not RAM. */
static inline u64 domain_frame_at(const struct domain *d, u64 gpa)
{
    u64 offset = gpa < ABI_HIGH_BASE ? gpa : gpa - ABI_HIGH_BASE + d->ram_low;
    bool ram = gpa < ABI_HIGH_BASE ? gpa < d->ram_low && (gpa < ABI_HOLE_START || gpa >= ABI_HOLE_END) : gpa - ABI_HIGH_BASE < d->ram_high;
    return ram ? d->frames[offset / PAGE_2M] : 0;
}

/* Builds a domain and makes its vcpus ready. A bad configuration or too little memory is one line naming it and an error; nothing is left behind. */
int domain_create(const struct abi_domain *config);
/* Ring 3 did wrong, or the guest asked for what cannot be given: the domain ends at its next safe point. First reason wins. */
void domain_kill(struct domain *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void domain_kill_text(struct vcpu *v, const char *what); /* with the reason that ring 3 left in the frame's text */
void domain_end(struct domain *d, enum domain_end how);
void domain_reap(void);         /* idle threads: frees what domains that have ended still hold */
void domains_built(void);       /* boot: all configured domains were tried; the machine ends when none runs */
