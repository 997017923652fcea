/* Physical memory: a pool that ring 0 maps (kernel data, page tables, pages shared with ring 3), and guest memory, which it never maps. */
#pragma once

#include "kernel/base.h"

/* The pool is mapped at POOL_BASE + physical address, read-write, never executable; nothing else is mapped there. */
#define POOL_BASE 0xffff800000000000ull

static inline void *pool_virt(u64 pa) { return (void *)(POOL_BASE + pa); }
static inline u64 pool_phys(const void *va) { return (u64)va - POOL_BASE; }

/* Page-aligned, zeroed, physically contiguous pool pages; NULL when none is left. pages: 1..512. Locks: takes the pool's. */
void *pool_alloc(unsigned pages);
void pool_free(void *va, unsigned pages);

/* Guest memory: 2 MiB frames, aligned. Returns the physical address, or 0 when none is left. */
u64 guest_frame_alloc(void);
void guest_frame_free(u64 pa);
bool frames_is_guest(u64 pa, u64 size);        /* any part of [pa, pa + size) is a guest frame, free or in use */

/* Where the pool is, and what is free: read only. */
extern u64 pool_start, pool_end, pool_free_pages, guest_frames_free;

/* Boot only: memory of the machine as the boot loader reports it; reserve what is in use, then split the rest. */
void frames_add(u64 start, u64 end);
void frames_reserve(u64 start, u64 end);
void frames_init(u64 pool_bytes);
