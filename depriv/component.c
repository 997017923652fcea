/* Maps the ring-3 component into a domain: text and rodata shared by all, data and bss its own, guest RAM, modules.
 * Ring 0, at domain build and end. The image's header is the only part of it that ring 0 reads. */
#include "depriv/component.h"
#include "depriv/guestaccess.h"
#include "kernel/frames.h"
#include "kernel/isolate.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/vcpu.h"

#define IMAGE_MAX  (16 * MIB)

extern const u8 component_image[], component_image_end[]; /* component_image.asm */

/* Offsets of an image's parts, all page aligned and in order; the header is the guest of nobody: built with Rung, or a module of the operator. */
static bool image_valid(const struct abi_image *h, u64 size)
{
    u64 base = ABI_COMPONENT_BASE;
    return size >= sizeof(*h) && h->magic == ABI_IMAGE_MAGIC && h->version == ABI_VERSION && h->text_end > base &&
           h->text_end <= h->rodata_end && h->rodata_end <= h->data_end && h->data_end <= h->bss_end && h->bss_end <= base + IMAGE_MAX &&
           !((h->text_end | h->rodata_end | h->data_end | h->bss_end) & (PAGE_SIZE - 1)) && h->entry >= base && h->entry < h->text_end &&
           h->main < h->text_end && h->data_end - base <= ALIGN_UP(size, PAGE_SIZE);
}

#define TABLE_BITS (PTE_P | PTE_U | PTE_W)

/* With method 0 ring 0 is the user: the pages are supervisor's, since SMEP and SMAP keep it from ring 3's. */
static int map_pages(struct domain *d, u64 *root, u64 va, u64 pa, u64 bytes, u64 page, u64 leaf)
{
    int rc = 0;
    for (u64 at = 0; at < bytes; at += page)
        rc |= paging_map(root, va + at, pa + at, page, leaf | PTE_P | (d->method ? PTE_U : 0), TABLE_BITS);
    return rc ? -E_NOMEM : 0;
}

static int map_run(struct domain *d, u64 va, u64 pa, u64 bytes, u64 leaf)
{
    return map_pages(d, d->user_root, va, pa, bytes, PAGE_SIZE, leaf);
}

/* Mapped for reading its header and its data. */
static int map_image(struct domain *d)
{
    u64 own = d->config->component.end, pa = own ? d->config->component.start : (u64)component_image - KERNEL_IMAGE;
    u64 size = own ? own - pa : (u64)(component_image_end - component_image), text, data;
    const u8 *image = paging_map_physical(pa, min_u64(size, IMAGE_MAX), 0);
    const struct abi_image *h = (const struct abi_image *)image;
    int rc;
    if (!image_valid(h, size)) {
        log_domain(d->name, "refused: component: bad header");
        return -E_INVAL;
    }
    text = h->text_end - ABI_COMPONENT_BASE;
    data = h->rodata_end - ABI_COMPONENT_BASE;
    d->data_pages = (u32)((h->bss_end - h->rodata_end) / PAGE_SIZE);
    d->entry = d->method == 0 ? h->main : h->entry;
    rc = map_run(d, ABI_COMPONENT_BASE, pa, text, 0) | map_run(d, h->text_end, pa + text, h->rodata_end - h->text_end, PTE_NX);
    if (!d->data_pages)
        return rc;
    d->data = pool_alloc(d->data_pages);
    if (rc || !d->data)
        return -E_NOMEM;
    memcpy(d->data, image + data, min_u64(h->data_end - h->rodata_end, size - data));
    return map_run(d, h->rodata_end, pool_phys(d->data), (u64)d->data_pages * PAGE_SIZE, PTE_W | PTE_NX);
}

/* Translations of a PCID stay, but where windows come and go. Other changes flush all (paging_generation). */
static u64 *new_root(const struct domain *d, u64 *cr3, u64 pcid)
{
    u64 *root = paging_new_root(domain_isolated(d) ? entry_root : kernel_root);
    pcid |= d->guestmem == ABI_GUESTMEM_WINDOW ? 0 : CR3_NOFLUSH;
    *cr3 = pool_phys(root) | (features.pcid ? pcid : 0);
    return root;
}

/* With guestmem=copy: the copier's page, what it reads and writes, and nothing of the component's. */
static int map_copier(struct domain *d)
{
    d->copier_root = new_root(d, &d->copier_cr3, d->id + DOMAINS_MAX);
    if (!d->copier_root)
        return -E_NOMEM;
    return map_pages(d, d->copier_root, ABI_COMPONENT_BASE, (u64)copier_start - KERNEL_IMAGE, PAGE_SIZE, PAGE_SIZE, 0) |
           map_pages(d, d->copier_root, ABI_INFO_BASE, pool_phys(d->info), PAGE_SIZE, PAGE_SIZE, PTE_NX);
}

static int map_guest(struct domain *d)
{
    u64 *root = d->guestmem == ABI_GUESTMEM_COPY ? d->copier_root : d->user_root;
    int rc = 0;
    if (d->guestmem == ABI_GUESTMEM_WINDOW) {
        d->windows = paging_entry(root, ABI_WINDOW_BASE, 1, TABLE_BITS);
        return d->windows ? 0 : -E_NOMEM;
    }
    for (u32 i = 0; i < d->frame_count; i++)
        rc |= map_pages(d, root, ABI_GUEST_BASE + domain_frame_gpa(d, i), d->frames[i], PAGE_2M, PAGE_2M, PTE_W | PTE_NX);
    return rc;
}

int component_map(struct domain *d)
{
    const struct abi_domain *c = d->config;
    int rc;
    d->user_root = new_root(d, &d->cr3, d->id);
    if (!d->user_root)
        return -E_NOMEM;
    rc = map_image(d);
    if (!rc && d->guestmem == ABI_GUESTMEM_COPY)
        rc = map_copier(d);
    if (rc)
        return rc;
    rc = map_run(d, ABI_INFO_BASE, pool_phys(d->info), PAGE_SIZE, PTE_NX) | map_guest(d);
    for (u32 i = 0; i < c->modules; i++)
        rc |= map_run(d, ABI_MODULE_BASE + i * ABI_MODULE_STRIDE, c->range[i].start, c->range[i].end - c->range[i].start, PTE_NX);
    return rc ? -E_NOMEM : 0;
}

int component_map_vcpu(struct vcpu *v)
{
    struct domain *d = v->domain;
    int rc;
    v->user.frame = ABI_FRAME_BASE + v->index * PAGE_SIZE;
    v->user.stack = ABI_STACK_BASE + (v->index + 1) * ABI_STACK_STRIDE;
    v->user.entry = d->entry;
    v->user.info = ABI_INFO_BASE;
    rc = map_run(d, v->user.frame, pool_phys(v->frame), PAGE_SIZE, PTE_W | PTE_NX);
    if (d->copier_root)
        rc |= map_pages(d, d->copier_root, v->user.frame, pool_phys(v->frame), PAGE_SIZE, PAGE_SIZE, PTE_W | PTE_NX);
    if (d->method == 0)
        return rc; /* on the supervisor stack */
    v->user_stack_pages = pool_alloc(ABI_STACK_SIZE / PAGE_SIZE);
    if (rc || !v->user_stack_pages)
        return -E_NOMEM;
    return map_run(d, v->user.stack - ABI_STACK_SIZE, pool_phys(v->user_stack_pages), ABI_STACK_SIZE, PTE_W | PTE_NX);
}

/* Other vcpus of the domain have not run yet. */
void component_end_load(struct domain *d)
{
    paging_free(d->user_root, ABI_MODULE_BASE, ABI_MODULE_BASE + ABI_MODULES_MAX * ABI_MODULE_STRIDE);
    tlb_flush();
}

void component_unmap(struct domain *d)
{
    u64 *roots[] = { d->user_root, d->copier_root };
    for (u32 i = 0; i < ARRAY_SIZE(roots); i++) {
        if (!roots[i])
            continue;
        paging_free(roots[i], 0, LOWER_HALF);
        pool_free(roots[i], 1);
    }
    pool_free(d->data, d->data_pages);
    __atomic_add_fetch(&paging_generation, 1, __ATOMIC_SEQ_CST); /* the next domain may get the same PCID */
}
