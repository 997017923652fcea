/* Loading of a guest image into its memory (ABI_OP_LOAD): checks of what all kinds share, then the kind's own loader. */
#include "depriv/load/load.h"

#include "depriv/load/acpi_tables.h"
#include "depriv/load/boot.h"
#include "depriv/load/flat.h"
#include "depriv/load/linux.h"
#include "depriv/load/lowmem.h"
#include "depriv/load/multiboot.h"

#define RAM_MIN (32 * BOOT_MIB) /* of every kind but flat */

struct kind {
    const char *name;
    enum abi_status (*load)(struct boot *b);
};

static enum abi_status load_unsupported(struct boot *b)
{
    return boot_refuse(b, "kind: images of this kind cannot be loaded yet");
}

static const struct kind kinds[LOAD_KINDS] = {
    [LOAD_KIND_LINUX]     = { "linux", linux_load },
    [LOAD_KIND_MULTIBOOT] = { "multiboot", multiboot_load },
    [LOAD_KIND_PVH]       = { "pvh", load_unsupported },
    [LOAD_KIND_FLAT]      = { "flat", flat_load },
    [LOAD_KIND_FIRMWARE]  = { "firmware", load_unsupported },
};

/* What ring 0 and the person at the console have set: after this, sizes add up without overflow and strings end. */
static enum abi_status check_info(struct boot *b)
{
    const struct load_words *words = &b->loader->words;
    const struct guestmem *m = b->mem;

    if (m->ram_low < BOOT_MIB || m->ram_low > ABI_LOW_MAX || m->ram_low % BOOT_PAGE)
        return boot_refuse(b, "ram_low 0x%lx is not whole pages from 0x%llx to 0x%llx", m->ram_low, BOOT_MIB, ABI_LOW_MAX);
    if (m->ram_high > UINT64_MAX / 2 || m->ram_high % BOOT_PAGE)
        return boot_refuse(b, "ram_high 0x%lx is not whole pages", m->ram_high);
    if (!words->modules || words->modules > ABI_MODULES_MAX)
        return boot_refuse(b, "modules: %u are given, not 1 to %u", words->modules, ABI_MODULES_MAX);
    for (unsigned i = 0; i < words->modules; i++) {
        if (words->module[i].size > ABI_MODULE_STRIDE)
            return boot_refuse(b, "module %u: size 0x%lx is more than 0x%llx", i, words->module[i].size, ABI_MODULE_STRIDE);
    }
    if (!b->size)
        return boot_refuse(b, "module 0: size is 0");
    if (words->kind != LOAD_KIND_FLAT && m->ram_low < RAM_MIN)
        return boot_refuse(b, "mem: at least %llu MiB are needed", RAM_MIN / BOOT_MIB);
    return ABI_OK;
}

static enum abi_status load_kind(struct boot *b, const struct kind *kind)
{
    enum abi_status status = check_info(b);

    if (!status)
        status = lowmem_build(b);
    if (!status)
        status = acpi_build(b);
    return status ? status : kind->load(b);
}

enum abi_status image_load(struct loader *l)
{
    struct boot b = { .loader = l, .mem = l->mem, .kind = "load", .image = l->words.module[0].bytes, .size = l->words.module[0].size };
    enum abi_status status;

    l->frame->text[0] = '\0';
    if (l->words.kind >= LOAD_KINDS) {
        status = boot_refuse(&b, "kind %u is unknown", l->words.kind);
    } else {
        b.kind = kinds[l->words.kind].name;
        status = load_kind(&b, &kinds[l->words.kind]);
    }
    if (!status)
        l->frame->text[0] = '\0'; /* a first choice that failed may have left its reason */
    l->frame->status = status;
    return status;
}
