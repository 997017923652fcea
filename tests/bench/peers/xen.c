/* First process of a dom0 that serves as peer: builds an HVM domain on Xen, runs Rung's measuring guest in it with the devices in this process
 * (an ioreq server), and prints what the guest prints. The unclaimed port is nobody's: that write ends in the hypervisor. */
#include "guest.h"

#include <poll.h>
#include <sys/mman.h>
#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xen/hvm/ioreq.h>
#include <xen/hvm/save.h>

#define PAGES        (RAM / 4096)
#define XEN_DUMMY    0xe4u         /* instead of DUMMY: guests of Xen reach port 80h themselves */
#define PAGING_MB    4u            /* what Xen may use for this domain's nested tables */
#define SLACK_KB     1024u
#define TSC_NATIVE   2u            /* RDTSC does not exit */
#define CONTEXT_MAX  65536u
#define AR_CODE64    0xa9bu        /* attributes without the gap: G, L, P, S, code */
#define AR_DATA      0xc93u
#define AR_TR        0x8bu
#define AR_LDTR      0x82u
#define TR_LIMIT     0x67u
#define LVT0         0x350u        /* of the local APIC: the 8259's way in */
#define LVT_EXTINT   0x700u

static xc_interface *xc;
static xendevicemodel_handle *dm;
static uint32_t domain;
static shared_iopage_t *requests;

void com1_line(unsigned level)
{
    must(xendevicemodel_set_isa_irq_level(dm, (domid_t)domain, IRQ_COM1, level), "set_isa_irq_level");
}

static void make_domain(void)
{
    struct xen_domctl_createdomain config = {
        .handle = { 1 }, .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, .max_vcpus = 1, .max_evtchn_port = 1023, .max_grant_frames = 1,
        .max_maptrack_frames = 0, .grant_opts = XEN_DOMCTL_GRANT_version(1), .arch = { .emulation_flags = XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI },
    };
    static xen_pfn_t frames[PAGES];
    unsigned mb = PAGING_MB;
    for (unsigned i = 0; i < PAGES; i++)
        frames[i] = i;
    must(xc_domain_create(xc, &domain, &config), "domain_create");
    must(xc_domain_max_vcpus(xc, domain, 1), "max_vcpus");
    must(xc_shadow_control(xc, domain, XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, &mb, 0), "paging memory");
    must(xc_domain_setmaxmem(xc, domain, RAM / 1024 + SLACK_KB), "setmaxmem");
    must(xc_domain_set_tsc_info(xc, domain, TSC_NATIVE, 0, 0, 0), "set_tsc_info");
    must(xc_domain_populate_physmap_exact(xc, domain, PAGES, 0, 0, frames), "populate_physmap");
    ram = xenforeignmemory_map(xenforeignmemory_open(NULL, 0), domain, PROT_READ | PROT_WRITE, PAGES, frames, NULL);
    must(ram ? 0 : -1, "foreign memory");
    fill_ram();
}

static uint8_t *record_find(uint8_t *context, unsigned size, unsigned type)
{
    for (unsigned at = 0; at + sizeof(struct hvm_save_descriptor) <= size; ) {
        struct hvm_save_descriptor *d = (struct hvm_save_descriptor *)(context + at);
        if (d->typecode == type)
            return context + at;
        at += (unsigned)sizeof(*d) + d->length;
    }
    printf("PEER failed: no record %u in the context\n", type);
    end();
}

static unsigned record_put(uint8_t *to, unsigned at, unsigned type, const void *data, unsigned length)
{
    struct hvm_save_descriptor d = { .typecode = (uint16_t)type, .length = length };
    memcpy(to + at, &d, sizeof(d));
    memcpy(to + at + sizeof(d), data, length);
    return at + (unsigned)sizeof(d) + length;
}

static unsigned record_copy(uint8_t *to, unsigned at, const uint8_t *record)
{
    const struct hvm_save_descriptor *d = (const struct hvm_save_descriptor *)record;
    return record_put(to, at, d->typecode, d + 1, d->length);
}

/* The vcpu as KVM's and Rung's begin; and the local APIC lets the 8259 through, as a PC's firmware leaves it. */
static void set_context(void)
{
    static uint8_t old[CONTEXT_MAX], new[CONTEXT_MAX];
    struct hvm_hw_cpu cpu = {
        .rip = LOAD, .rflags = 2, .cr0 = CR0_START, .cr3 = TABLES, .cr4 = CR4_START, .msr_efer = EFER_START, .dr6 = 0xffff0ff0, .dr7 = 0x400,
        .cs_sel = 8, .ds_sel = 16, .es_sel = 16, .ss_sel = 16, .fs_sel = 16, .gs_sel = 16,
        .cs_limit = ~0u, .ds_limit = ~0u, .es_limit = ~0u, .ss_limit = ~0u, .fs_limit = ~0u, .gs_limit = ~0u, .tr_limit = TR_LIMIT,
        .cs_arbytes = AR_CODE64, .ds_arbytes = AR_DATA, .es_arbytes = AR_DATA, .ss_arbytes = AR_DATA, .fs_arbytes = AR_DATA, .gs_arbytes = AR_DATA,
        .tr_arbytes = AR_TR, .ldtr_arbytes = AR_LDTR,
    };
    uint32_t lvt = LVT_EXTINT;
    uint8_t *apic;
    unsigned used;
    int size = xc_domain_hvm_getcontext(xc, domain, old, sizeof(old));
    must(size, "hvm_getcontext");
    used = record_copy(new, 0, record_find(old, (unsigned)size, HVM_SAVE_CODE(HEADER)));
    used = record_put(new, used, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu));
    used = record_copy(new, used, record_find(old, (unsigned)size, HVM_SAVE_CODE(LAPIC)));
    apic = record_find(old, (unsigned)size, HVM_SAVE_CODE(LAPIC_REGS));
    memcpy(apic + sizeof(struct hvm_save_descriptor) + LVT0, &lvt, sizeof(lvt));
    used = record_copy(new, used, apic);
    used = record_put(new, used, HVM_SAVE_CODE(END), "", 0);
    must(xc_domain_hvm_setcontext(xc, domain, new, used), "hvm_setcontext");
}

static void give_ports(ioservid_t id)
{
    static const struct { int mmio; uint64_t first, last; } range[] = {
        { 0, XEN_DUMMY, XEN_DUMMY }, { 0, COM1, COM1 + 7 }, { 0, PM1A_CNT, PM1A_CNT + 1 }, { 1, NOWHERE, NOWHERE + 0xfff },
    };
    for (unsigned i = 0; i < sizeof(range) / sizeof(range[0]); i++)
        must(xendevicemodel_map_io_range_to_ioreq_server(dm, (domid_t)domain, id, range[i].mmio, range[i].first, range[i].last), "ioreq range");
}

static void make_server(void)
{
    ioservid_t id;
    void *page = NULL;
    must(xendevicemodel_create_ioreq_server(dm, (domid_t)domain, HVM_IOREQSRV_BUFIOREQ_OFF, &id), "create_ioreq_server");
    give_ports(id);
    if (!xenforeignmemory_map_resource(xenforeignmemory_open(NULL, 0), (domid_t)domain, XENMEM_resource_ioreq_server, id,
                                       XENMEM_resource_ioreq_server_frame_ioreq(0), 1, &page, PROT_READ | PROT_WRITE, 0))
        must(-1, "ioreq page");
    requests = page;
    must(xendevicemodel_set_ioreq_server_state(dm, (domid_t)domain, id, 1), "ioreq server state");
}

/* One element of a port request; data_is_ptr: its data is in guest memory, count times. */
static int serve_port(struct ioreq *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        uint64_t at = r->data + (uint64_t)i * r->size;
        uint8_t *data = r->data_is_ptr ? ram + at % RAM : (uint8_t *)&r->data;
        unsigned value = read_port((unsigned)r->addr);
        if (r->dir == IOREQ_READ) {
            memcpy(data, &value, r->size);
            continue;
        }
        value = 0;
        memcpy(&value, data, r->size);
        if (!write_port((unsigned)r->addr, value))
            return 0;
    }
    return 1;
}

static int serve_request(struct ioreq *r)
{
    if (r->type == IOREQ_TYPE_PIO)
        return serve_port(r);
    if (r->type == IOREQ_TYPE_COPY && r->dir == IOREQ_READ && !r->data_is_ptr)
        r->data = ~0ull;
    return 1;
}

static void serve(void)
{
    struct ioreq *r = &requests->vcpu_ioreq[0];
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    int local = xenevtchn_bind_interdomain(events, domain, r->vp_eport);
    struct pollfd wait = { .fd = xenevtchn_fd(events), .events = POLLIN };
    must(local, "event channel");
    must(xc_domain_unpause(xc, domain), "unpause");
    for (;;) {
        int port, more = 1;
        poll(&wait, 1, -1);
        port = xenevtchn_pending(events);
        xenevtchn_unmask(events, (evtchn_port_t)port);
        if (r->state != STATE_IOREQ_READY)
            continue;
        __sync_synchronize();
        r->state = STATE_IOREQ_INPROCESS;
        more = serve_request(r);
        __sync_synchronize();
        r->state = STATE_IORESP_READY;
        __sync_synchronize();
        if (!more)
            return;
        xenevtchn_notify(events, (evtchn_port_t)local);
    }
}

int main(void)
{
    begin();
    module("/xen-privcmd.ko");
    module("/xen-evtchn.ko");
    xc = xc_interface_open(NULL, NULL, 0);
    dm = xendevicemodel_open(NULL, 0);
    must(xc && dm ? 0 : -1, "Xen's interfaces");
    make_domain();
    make_server();
    set_context();
    serve();
    report("process");
    xc_domain_destroy(xc, domain);
    end();
}
