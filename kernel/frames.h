/* Physical memory: a pool that ring 0 maps (kernel data, page tables, pages shared with ring 3), and guest memory, which it never maps. */
#pragma once

#include "kernel/base.h"

/* The pool is mapped at POOL_BASE + physical address, read-write, never executable; nothing else is mapped there. */
#ifndef POOL_BASE /* a host test has it elsewhere */
#define POOL_BASE 0xffff800000000000ull
#endif

static inline void *pool_virt(u64 pa) { return (void *)(POOL_BASE + pa); }
static inline u64 pool_phys(const void *va) { return (u64)va - POOL_BASE; }

/* Frames of one size. base and what is left of them: for all to read. */
struct frame_map {
    u64 *free;                  /* bit n: the frame at base + n * size is free */
    u64 base, size, count, left;
    u64 hint;                   /* nothing is free before it */
};
extern struct frame_map guest_frames;          /* guest memory, 2 MiB each */
extern struct frame_map pool_pages;            /* by pool_alloc() and pool_free() */
u64 frames_alloc(struct frame_map *m, u64 frames); /* physical address of a run of frames, 0 when there is none */
void frames_free(struct frame_map *m, u64 pa, u64 frames);

/* Page-aligned, zeroed, physically contiguous pool pages; NULL when none is left. pages: 1..512. */
void *pool_alloc(unsigned pages);
void pool_free(void *va, unsigned pages);

bool frames_is_guest(u64 pa, u64 size);        /* any part of [pa, pa + size) is a guest frame, free or in use */

#define FRAMES_END BIT(40)                     /* guest frames below are used */
#define POOL_MAX   (256 * MIB)
void frames_init(void);                        /* boot: the plan's */
