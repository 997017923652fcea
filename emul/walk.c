/* Guest page walk for the formats none, 32-bit, PAE, 4-level and 5-level. */
#include "walk.h"
#include "state.h"

#define WALK_TRIES  16u            /* lost races for an accessed or dirty flag before the guest is entered again */
#define LEVELS_MAX  5

#define PTE_P       0x001ull
#define PTE_RW      0x002ull
#define PTE_US      0x004ull
#define PTE_A       0x020ull
#define PTE_D       0x040ull
#define PTE_PS      0x080ull
#define PTE_NX      (1ull << 63)
#define PTE_KEY     59             /* protection key, bits 59 to 62 */
#define PAE_RSVD    0x7ff0000000000000ull /* bits 52 to 62 of PAE entries, SDM 3A table 4-9 */
#define ADDR_MASK   0x000ffffffffff000ull
#define PSE36_RSVD  (1ull << 21)   /* SDM 3A table 4-4, with bits 13 to 20 as address bits 32 to 39 */

/* One paging format. bits: index bits a level; top: number of levels; large: bit n, level n may map a page. */
struct format {
    uint8_t top, bits, entry, large;
};

static const struct format format32 = { 2, 10, 4, 0 };
static const struct format format32_pse = { 2, 10, 4, 1 << 2 };
static const struct format format_pae = { 2, 9, 8, 1 << 2 }; /* below the four pointers */
static const struct format format_4 = { 4, 9, 8, 1 << 2 | 1 << 3 };
static const struct format format_5 = { 5, 9, 8, 1 << 2 | 1 << 3 };

struct walk {
    const struct emul_ctx *ctx;
    const struct format *format;
    uint64_t linear, rsvd;         /* rsvd: bits that are reserved in every entry */
    uint64_t entry[LEVELS_MAX + 1], at[LEVELS_MAX + 1];
    const volatile void *host[LEVELS_MAX + 1]; /* where an entry is, or NULL */
    uint64_t all, any;             /* AND and OR of the entries */
    unsigned leaf, shift;          /* level of the entry that maps the page, and the page's size */
};

static const struct format *format_of(const struct emul_ctx *ctx)
{
    if (ctx->state->efer & EFER_LMA)
        return ctx->state->cr4 & CR4_LA57 ? &format_5 : &format_4;
    if (ctx->state->cr4 & CR4_PAE)
        return &format_pae;
    return ctx->state->cr4 & CR4_PSE ? &format32_pse : &format32;
}

static uint64_t reserved_bits(const struct emul_ctx *ctx, const struct format *format)
{
    uint64_t rsvd;

    if (format->entry == 4)
        return 0;
    rsvd = ADDR_MASK & ~((1ull << ctx->phys_bits) - 1);
    if (!(ctx->state->efer & EFER_NXE))
        rsvd |= PTE_NX;
    return format == &format_pae ? rsvd | PAE_RSVD : rsvd;
}

static inline uint64_t read_entry(const struct emul_ctx *ctx, const volatile void *p, uint64_t at, unsigned size)
{
    uint64_t entry = 0;

    if (p)
        return size == 8 ? *(const volatile uint64_t *)p : *(const volatile uint32_t *)p;
    if (ctx->ops->phys_read(ctx->opaque, at, &entry, size, EMUL_FOR_WALK) < 0)
        return size == 8 ? ~0ull : 0xffffffffull; /* as an empty bus reads */
    return entry;
}

/* Bits that PS makes reserved in an entry of `level`, which has it set. */
static uint64_t reserved_large(const struct walk *w, unsigned level, unsigned shift)
{
    unsigned wide = w->ctx->phys_bits < 40 ? w->ctx->phys_bits : 40;

    if (w->format->entry == 4)
        return w->format->large ? PSE36_RSVD | (0x1fe000ull & ~((1ull << (wide - 19)) - 1)) : 0;
    if (!(w->format->large >> level & 1) || (level == 3 && !(w->ctx->features & EMUL_HAS_1G)))
        return PTE_PS;
    return (1ull << shift) - 0x2000; /* address bits below the page size; bit 12 is PAT */
}

/* What descend() answers: the P and RSVD bits of the error code, or FOUND. */
enum { FOUND = 0x80 };

/* The pointer that PAE has on top: no rights, no accessed flag (SDM 3A table 4-8). On FOUND, *table is the page directory. */
static unsigned descend_pae(const struct walk *w, uint64_t *table)
{
    uint64_t at = (w->ctx->state->cr3 & 0xffffffe0) + (w->linear >> 30 & 3) * 8;
    uint64_t entry = read_entry(w->ctx, emul_pointer(w->ctx, at, 0, EMUL_FOR_WALK), at, 8);

    if (!(entry & PTE_P))
        return 0;
    *table = entry & ADDR_MASK;
    return entry & (w->rsvd | EMUL_PDPTE_RSVD | PTE_NX) ? EMUL_PF_P | EMUL_PF_RSVD : FOUND;
}

/* Down to the entry that maps the page; the flags of all entries are joined in w->all and w->any. */
static unsigned descend(struct walk *w)
{
    const struct format *f = w->format;
    unsigned shift = 12 + f->bits * (f->top - 1);
    uint64_t index_mask = (1ull << f->bits) - 1;
    uint64_t table = w->ctx->state->cr3 & (f->entry == 4 ? 0xfffff000ull : ADDR_MASK);

    w->all = ~0ull;
    w->any = 0;
    if (f == &format_pae) {
        unsigned found = descend_pae(w, &table);

        if (found != FOUND)
            return found;
    }
    for (unsigned level = f->top; level; level--, shift -= f->bits) {
        uint64_t at = table + (w->linear >> shift & index_mask) * f->entry;
        const volatile void *p = emul_pointer(w->ctx, at, 0, EMUL_FOR_WALK);
        uint64_t entry = read_entry(w->ctx, p, at, f->entry);

        w->at[level] = at;
        w->host[level] = p;
        w->entry[level] = entry;
        w->leaf = level;
        w->all &= entry;
        w->any |= entry;
        if (!(entry & PTE_P))
            return 0;
        if (entry & w->rsvd)
            return EMUL_PF_P | EMUL_PF_RSVD;
        if (level == 1)
            break;
        if (entry & PTE_PS) {
            if (entry & reserved_large(w, level, shift))
                return EMUL_PF_P | EMUL_PF_RSVD;
            if (f->large >> level & 1)
                break;
        }
        table = entry & ADDR_MASK;
    }
    w->shift = shift;
    return FOUND;
}

/* SDM 3A 4.6.2: the protection key forbids the access. */
static int key_denies(const struct walk *w, unsigned access)
{
    const struct emul_ctx *ctx = w->ctx;
    unsigned bits = ctx->pkru >> (w->entry[w->leaf] >> PTE_KEY & 0xf) * 2;

    if (!(ctx->state->cr4 & CR4_PKE) || !(ctx->state->efer & EFER_LMA) || !(w->all & PTE_US) || (access & EMUL_PF_FETCH))
        return 0;
    return (bits & 1) || ((bits & 2) && (access & EMUL_PF_W) && ((access & EMUL_PF_U) || (ctx->state->cr0 & CR0_WP)));
}

/* SDM 3A 4.6.1 */
static int rights_deny(const struct walk *w, unsigned access)
{
    const struct emul_ctx *ctx = w->ctx;

    if ((access & EMUL_PF_W) && !(w->all & PTE_RW) && ((access & EMUL_PF_U) || (ctx->state->cr0 & CR0_WP)))
        return 1;
    if ((access & EMUL_PF_FETCH) && (w->any & PTE_NX))
        return 1;
    if (!(w->all & PTE_US))
        return access & EMUL_PF_U;
    if (access & EMUL_PF_U)
        return 0;
    if (access & EMUL_PF_FETCH)
        return !!(ctx->state->cr4 & CR4_SMEP);
    return (ctx->state->cr4 & CR4_SMAP) && ((access & EMUL_IMPLICIT) || !(ctx->state->rflags & RFLAGS_AC));
}

/* Accessed flags on the way, dirty on the page if written (SDM 3A 4.8). 0, 1: an entry changed meanwhile, negative: no callback. */
static int mark_used(const struct walk *w, unsigned access)
{
    uint64_t dirty = access & EMUL_PF_W ? PTE_D : 0;

    if ((w->all & PTE_A) && (w->entry[w->leaf] & dirty) == dirty)
        return 0;
    if (!w->ctx->ops->phys_cmpxchg)
        return -1;
    for (unsigned level = w->format->top; level >= w->leaf; level--) {
        uint64_t entry = w->entry[level];
        uint64_t want = entry | PTE_A | (level == w->leaf ? dirty : 0);

        if (entry != want && w->ctx->ops->phys_cmpxchg(w->ctx->opaque, w->at[level], w->format->entry, &entry, &want, EMUL_FOR_WALK) == 1)
            return 1;
    }
    return 0;
}

static uint64_t page_address(const struct walk *w)
{
    uint64_t entry = w->entry[w->leaf];
    uint64_t offset = (1ull << w->shift) - 1;
    uint64_t frame = entry & ADDR_MASK & ~offset;

    if (w->format->entry == 4 && w->leaf == 2)
        frame |= (entry >> 13 & 0xff) << 32;
    return frame | (w->linear & offset);
}

static int page_fault(const struct walk *w, unsigned access, unsigned error, struct emul_result *result)
{
    const struct emul_ctx *ctx = w->ctx;
    int shows_fetch = (ctx->state->cr4 & CR4_SMEP) || ((ctx->state->cr4 & CR4_PAE) && (ctx->state->efer & EFER_NXE));

    error |= access & (EMUL_PF_W | EMUL_PF_U);
    if ((access & EMUL_PF_FETCH) && shows_fetch)
        error |= EMUL_PF_FETCH;
    result->cr2 = w->linear;
    return emul_fault(result, EMUL_VECTOR_PF, error);
}

void emul_cache_flush(struct emul_cache *cache)
{
    for (unsigned i = 0; i < EMUL_CACHE_PAGES; i++)
        cache->page[0][i].tag = cache->page[1][i].tag = 0;
}

/* Is it all of 4 GiB? */
static int is_flat(const struct emul_segment *s)
{
    return !s->base && s->limit == 0xffffffff;
}

/* Outside of 64-bit code: data that may be read and written? */
static int is_plain(const struct emul_segment *s)
{
    return is_flat(s) && (s->attr & (SEG_UNUSABLE | SEG_CODE | SEG_DOWN | SEG_WRITE)) == SEG_WRITE;
}

static uint32_t facts_of(const struct emul_ctx *ctx)
{
    const struct emul_state *s = ctx->state;
    uint32_t attr = s->seg[EMUL_CS].attr, facts = EMUL_FACT_KNOWN | (s->rflags & EMUL_FACT_FLAGS);
    unsigned mode = attr & SEG_DB ? EMUL_MODE32 : EMUL_MODE16;

    if ((s->efer & EFER_LMA) && (attr & SEG_L))
        mode = EMUL_MODE64;
    facts |= mode << EMUL_FACT_MODE | (mode == EMUL_MODE64 ? 8 : s->seg[EMUL_SS].attr & SEG_DB ? 4 : 2) << EMUL_FACT_STACK;
    facts |= (s->cr0 & CR0_PG ? EMUL_FACT_PAGING : 0) | (s->rflags & RFLAGS_AC ? EMUL_FACT_AC : 0) | (emul_cpl(s) == 3 ? EMUL_FACT_USER : 0);
    if (!ctx->byte_count && (mode == EMUL_MODE64 || (is_flat(&s->seg[EMUL_CS]) && !(s->rip >> 32))))
        facts |= EMUL_FACT_CODE;
    if (ctx->exit_known && mode == EMUL_MODE64 && !(s->rflags & RFLAGS_AC))
        facts |= EMUL_FACT_EXIT;
    for (unsigned seg = EMUL_ES; seg < EMUL_FS && !ctx->exit_known && !(s->rflags & RFLAGS_AC); seg++) {
        if (mode == EMUL_MODE64 || (is_plain(&s->seg[seg]) && (seg == EMUL_SS ? s->seg[seg].attr & SEG_DB : ctx->have & EMUL_STATE_SEGS)))
            facts |= 1u << (EMUL_FACT_FLAT + seg);
    }
    return facts;
}

void emul_look(struct emul_ctx *ctx)
{
    const struct emul_state *s = ctx->state;

    for (unsigned i = 0; ctx->walks && i < 2 * EMUL_WALKS; i++)
        ctx->walks->walk[i / EMUL_WALKS][i % EMUL_WALKS].tag = 0;
    ctx->facts = facts_of(ctx);
    ctx->seen.cr3 = s->cr3;
    ctx->seen.cr4 = s->cr4;
    ctx->seen.efer = s->efer;
    ctx->seen.cs = emul_seen_segment(s, EMUL_CS);
    ctx->seen.ss = emul_seen_segment(s, EMUL_SS);
    ctx->seen.exit = emul_mode_of(ctx->facts) == EMUL_MODE64 ? emul_seen_exit(ctx) : EMUL_SEEN_NONE;
}

/* A walk of 4 levels that depends on nothing but its entries and what emul_look() sees is kept; of a large page the last entry counts for the
 * levels below. Flags set on the way make it another one. */
static void keep_walk(const struct walk *w, uint64_t tag, uint64_t page)
{
    struct emul_walk *kept = emul_walk_slot(w->ctx, tag, tag & PAGE_MASK);

    if (w->format != &format_4 || (w->ctx->state->cr4 & CR4_PKE) || ((tag & EMUL_PF_W) && !(w->all & PTE_RW)))
        return;
    kept->tag = tag;
    kept->gpa = page;
    for (unsigned i = 0; i < 4; i++) {
        unsigned level = 4 - i > w->leaf ? 4 - i : w->leaf;

        kept->level[i].at = w->host[level];
        kept->level[i].entry = w->entry[level];
        if (!w->host[level])
            kept->tag = 0;
    }
}

/* To where *gpa says, with the flags on the way set. Paging is on, and nothing known of it. */
static int walk_tables(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result)
{
    struct walk w = { .ctx = ctx, .linear = linear, .shift = 12, .format = format_of(ctx) };
    uint64_t tag = (linear & ~(uint64_t)PAGE_MASK) | access, page;
    unsigned kind = access & EMUL_PF_W ? 1 : 0, slot = linear / PAGE_SIZE % EMUL_CACHE_PAGES;
    int lost = 1;

    if (!ctx->ops->phys_read)
        return EMUL_UNHANDLED;
    w.rsvd = reserved_bits(ctx, w.format);
    for (unsigned tries = 0; lost && tries < WALK_TRIES; tries++) {
        unsigned found = descend(&w);

        if (found != FOUND)
            return page_fault(&w, access, found, result);
        if (key_denies(&w, access))
            return page_fault(&w, access, EMUL_PF_P | EMUL_PF_PK, result);
        if (rights_deny(&w, access))
            return page_fault(&w, access, EMUL_PF_P, result);
        lost = mark_used(&w, access);
        if (lost < 0)
            return EMUL_UNHANDLED;
    }
    if (lost)
        return EMUL_RETRY;
    *gpa = page_address(&w);
    page = *gpa & ~(uint64_t)PAGE_MASK;
    if (ctx->walks)
        keep_walk(&w, tag, page);
    if (ctx->cache) {
        ctx->cache->page[kind][slot].tag = tag;
        ctx->cache->page[kind][slot].gpa = page;
        ctx->cache->page[kind][slot].host = page - ctx->ram_start < ctx->ram_size ? ctx->ram + page : 0;
    }
    return EMUL_DONE;
}

int emul_walk(const struct emul_ctx *ctx, uint64_t linear, unsigned access, uint64_t *gpa, struct emul_result *result)
{
    unsigned rights = access | (ctx->facts & (EMUL_FACT_PAGING | EMUL_FACT_AC)), kind = rights & EMUL_PF_W ? 1 : 0;
    unsigned slot = linear / PAGE_SIZE % EMUL_CACHE_PAGES;

    *gpa = linear;
    if (!(rights & EMUL_FACT_PAGING) || (!ctx->cache && ctx->walks && emul_walk_again(ctx, linear, rights, gpa)))
        return EMUL_DONE;
    if (!ctx->cache || ctx->cache->page[kind][slot].tag != ((linear & ~(uint64_t)PAGE_MASK) | rights))
        return walk_tables(ctx, linear, rights, gpa, result);
    *gpa = ctx->cache->page[kind][slot].gpa | (linear & PAGE_MASK);
    return EMUL_DONE;
}
