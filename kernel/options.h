/* The hypervisor's options and the domains' configurations, from the command line and the module lines. */
#pragma once

#include "kernel/boot.h"
#include "kernel/domain.h"

enum aspace { ASPACE_DEFAULT, ASPACE_SHARED, ASPACE_ISOLATED };
enum end_action { END_POWEROFF, END_HALT, END_REBOOT, END_ISA_DEBUG, END_BOCHS };

struct options {
    u32 log_port;                    /* 1 or 2: COM port of the log */
    u32 cpus;                        /* at most this many are used; 0: all */
    u64 pool;                        /* bytes, 0: by size of memory */
    enum end_action end;             /* when the last domain is gone */
    u32 quanta;                      /* depriv.quanta: of an operation of ring 3 */
    u32 aspace;                      /* enum aspace */
    bool quiet;                      /* errors and domain ends only */
};
extern struct options options;

struct domain_config {
    char name[DOMAIN_NAME];
    u64 mem;                         /* bytes, multiple of 2 MiB, up to 16 GiB */
    u32 vcpus;
    u32 depriv;                      /* 3: ring 3, two stacks; 2, 1: see depriv/; 0: the component in ring 0 */
    u32 emulate;                     /* enum domain_emulate */
    u32 guestmem;                    /* enum abi_guestmem */
    u32 cpu;                         /* CPU to start on, ~0: the next in turn */
    u32 modules;                     /* [0] the image, then others as they came */
    struct module_range module[ABI_MODULES_MAX];
    u64 component_pa, component_size;
};

/* Parses boot.line and every module line into options and domain_configs[]; stops with the option's name on an unknown or malformed one. */
void options_parse(void);
extern struct domain_config domain_configs[DOMAINS_MAX];
extern u32 domain_config_count;
