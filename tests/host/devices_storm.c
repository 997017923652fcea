/* Hostile guests: random streams of accesses with a fixed seed, on a sane platform and on one whose device state is random. */
#include "tests/host/devices_test.h"

#define STEPS 400000u

static uint64_t seed;

static uint32_t random32(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 32);
}

/* Mostly ports where something is. */
static uint16_t random_port(void)
{
    const struct bus_row *row = &bus_rows[1 + random32() % (BUS_ROWS - 1)];
    uint32_t r = random32();

    if (r % 64 == 0)
        return (uint16_t)(r >> 16);
    return (uint16_t)(row->first + r / 64 % (row->last - row->first + 1u) - (r >> 28 == 0));
}

static void check(struct bench *b)
{
    assert_true(b->p.out_len <= PLATFORM_OUT && b->p.room <= PLATFORM_OUT);
    assert_int_equal(b->p.input_wanted, platform_input_room(&b->p) != 0);
}

static void step(struct bench *b)
{
    static const uint8_t sizes[8] = { 1, 1, 1, 1, 1, 2, 2, 4 };
    uint32_t r = random32();
    uint8_t bytes[16] = { 0 };

    switch (r % 16) {
    case 0:
        platform_timer(&b->p);
        break;
    case 1:
        b->tsc += random32() >> (random32() & 31);
        break;
    case 2:
        b->tsc += (uint64_t)random32() << (random32() & 15);
        break;
    case 3:
        platform_intack(&b->p);
        break;
    case 4:
        platform_input(&b->p, bytes, r >> 16 & 15);
        break;
    case 5:
        b->p.out_len = 0;
        platform_output_room(&b->p, r >> 16 & 511);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        platform_port_read(&b->p, random_port(), sizes[r >> 8 & 7]);
        break;
    default:
        platform_port_write(&b->p, random_port(), sizes[r >> 8 & 7], random32());
        break;
    }
}

static void random_accesses(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    seed = 1;
    for (unsigned i = 0; i < STEPS; i++) {
        step(b);
        check(b);
        if (i % 64 == 0) { /* after a timer call nothing may be overdue: else the runtime would spin */
            platform_timer(&b->p);
            assert_true(b->p.deadline > b->tsc);
        }
    }
}

/* C knows two values of a bool; those of one struct lie together. */
static void make_bools(bool *first, bool *last)
{
    for (uint8_t *byte = (uint8_t *)first; byte <= (uint8_t *)last; byte++)
        *byte &= 1;
}

static void state_scramble(struct platform *p)
{
    for (uint8_t *byte = (uint8_t *)&p->pic; byte < (uint8_t *)&p->bus; byte++) {
        uint32_t r = random32();

        *byte = r % 3 == 0 ? 0 : r % 3 == 1 ? 1 : (uint8_t)(r >> 16);
    }
    for (unsigned i = 0; i < 2; i++)
        make_bools(&p->pic[i].icw4, &p->pic[i].poll);
    for (unsigned i = 0; i < PIT_CHANNELS; i++)
        make_bools(&p->pit.channel[i].status_latched, &p->pit.channel[i].reload_low);
    make_bools(&p->pit.lazy, &p->pit.lazy);
    make_bools(&p->rtc.nmi_masked, &p->rtc.nmi_masked);
    make_bools(&p->com1.console, &p->com1.fifo);
}

/* As after restoring a broken or forged image: no value of the state may lead out of an array, or a loop, or to a fault. */
static void random_state(void **state)
{
    (void)state;
    seed = 2;
    for (unsigned round = 0; round < 400; round++) {
        struct bench *b = bench_new();

        state_scramble(&b->p);
        for (unsigned i = 0; i < 300; i++)
            step(b);
        assert_true(b->p.out_len <= PLATFORM_OUT);
    }
}

int run_storm_tests(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_accesses), cmocka_unit_test(random_state) };

    return cmocka_run_group_tests_name("storms", tests, NULL, NULL);
}
