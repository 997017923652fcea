/* 8259A: priorities, rotation, masks, poll, end of interrupt, cascade, edge and level, spurious. */
#include "tests/host/devices_test.h"

static struct bench *irqs_only(void)
{
    struct bench *b = bench_new();

    bench_irqs(b);
    out8(b, 0x43, 0x30); /* channel 0 waits for a count: IRQ0 stays low */
    return b;
}

static void raise(struct bench *b, unsigned irq)
{
    pic_line(&b->p, irq, true);
}

static void drop(struct bench *b, unsigned irq)
{
    pic_line(&b->p, irq, false);
}

static uint8_t isr(struct bench *b, uint16_t port)
{
    out8(b, port, 0x0b);
    return in8(b, port);
}

static uint8_t irr(struct bench *b, uint16_t port)
{
    out8(b, port, 0x0a);
    return in8(b, port);
}

static void silent_until_programmed(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    raise(b, 3);
    assert_false(b->p.intr);
    assert_int_equal(platform_intack(&b->p), ABI_VECTOR_NONE);
    out8(b, 0x20, 0x11);
    out8(b, 0x21, 0x20);
    out8(b, 0x21, 0x04);
    drop(b, 3);
    raise(b, 3);
    assert_false(b->p.intr);
    out8(b, 0x21, 0x01);
    assert_true(b->p.intr);
    assert_int_equal(platform_intack(&b->p), 0x23);
}

static void fully_nested(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 5);
    raise(b, 3);
    assert_int_equal(irr(b, 0x20), 0x28);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    assert_int_equal(isr(b, 0x20), 0x08);
    assert_int_equal(irr(b, 0x20), 0x20);
    assert_false(b->p.intr); /* 5 waits for the end of 3 */
    raise(b, 1);
    assert_int_equal(platform_intack(&b->p), 0x09);
    assert_int_equal(isr(b, 0x20), 0x0a);
    out8(b, 0x20, 0x20);
    assert_int_equal(isr(b, 0x20), 0x08);
    out8(b, 0x20, 0x63); /* specific, of 3 */
    assert_int_equal(platform_intack(&b->p), 0x0d);
    out8(b, 0x20, 0x20);
    assert_int_equal(isr(b, 0x20), 0);
    assert_int_equal(platform_intack(&b->p), ABI_VECTOR_NONE);
}

static void masks(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    out8(b, 0x21, 0x08);
    raise(b, 3);
    assert_false(b->p.intr);
    assert_int_equal(in8(b, 0x21), 0x08);
    out8(b, 0x21, 0);
    assert_true(b->p.intr);
    drop(b, 3); /* the input must stay high until the acknowledge */
    assert_false(b->p.intr);
    assert_int_equal(platform_intack(&b->p), ABI_VECTOR_NONE);
}

static void cascade(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 12);
    raise(b, 3);
    assert_int_equal(platform_intack(&b->p), 0x74); /* input 2 is before 3 */
    assert_int_equal(isr(b, 0x20), 0x04);
    assert_int_equal(isr(b, 0xa0), 0x10);
    raise(b, 8);
    assert_false(b->p.intr); /* fully nested: the slave as a whole is in service */
    out8(b, 0xa0, 0x20);
    assert_false(b->p.intr);
    out8(b, 0x20, 0x20);
    assert_int_equal(platform_intack(&b->p), 0x70);
    eoi(b);
    assert_int_equal(platform_intack(&b->p), 0x0b);
}

static void special_fully_nested(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    out8(b, 0x20, 0x11);
    out8(b, 0x21, 0x08);
    out8(b, 0x21, 0x04);
    out8(b, 0x21, 0x11);
    raise(b, 12);
    assert_int_equal(platform_intack(&b->p), 0x74);
    raise(b, 3);
    assert_false(b->p.intr);
    raise(b, 14);
    assert_false(b->p.intr);
    raise(b, 8);
    assert_int_equal(platform_intack(&b->p), 0x70);
}

static void special_mask(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 3);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    raise(b, 6);
    assert_false(b->p.intr);
    out8(b, 0x21, 0x08);
    assert_false(b->p.intr);
    out8(b, 0x20, 0x68);
    assert_int_equal(platform_intack(&b->p), 0x0e);
    out8(b, 0x20, 0x20); /* a masked level is passed over by the non-specific end */
    assert_int_equal(isr(b, 0x20), 0x08);
    out8(b, 0x20, 0x20);
    assert_int_equal(isr(b, 0x20), 0x08);
    out8(b, 0x20, 0x48);
    out8(b, 0x20, 0x20);
    assert_int_equal(isr(b, 0x20), 0);
}

static void rotation(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 3);
    raise(b, 5);
    raise(b, 1);
    out8(b, 0x20, 0xc4); /* set priority: 4 lowest, 5 highest */
    assert_int_equal(platform_intack(&b->p), 0x0d);
    out8(b, 0x20, 0xa0); /* rotate on the end: 5 lowest */
    assert_int_equal(platform_intack(&b->p), 0x09);
    out8(b, 0x20, 0xe1); /* specific: 1 lowest */
    drop(b, 1);
    raise(b, 1);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    out8(b, 0x20, 0x20);
    assert_int_equal(platform_intack(&b->p), 0x09);
}

static void automatic_end(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    out8(b, 0x20, 0x11);
    out8(b, 0x21, 0x08);
    out8(b, 0x21, 0x04);
    out8(b, 0x21, 0x03);
    raise(b, 3);
    raise(b, 4);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    assert_int_equal(isr(b, 0x20), 0);
    assert_int_equal(platform_intack(&b->p), 0x0c);
    out8(b, 0x20, 0x80); /* rotate in automatic mode */
    drop(b, 3);
    raise(b, 3);
    drop(b, 4);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    drop(b, 3);
    raise(b, 3);
    raise(b, 4);
    assert_int_equal(platform_intack(&b->p), 0x0c);
    assert_int_equal(platform_intack(&b->p), 0x0b);
}

static void poll(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    out8(b, 0x20, 0x0c);
    assert_int_equal(in8(b, 0x20), 0);
    assert_int_equal(isr(b, 0x20), 0);
    raise(b, 10);
    raise(b, 6);
    out8(b, 0x20, 0x0c);
    assert_int_equal(in8(b, 0x20), 0x82);
    out8(b, 0xa0, 0x0c);
    assert_int_equal(in8(b, 0xa1), 0x82); /* a read of either port */
    assert_int_equal(isr(b, 0xa0), 0x04);
    assert_false(b->p.intr);
    eoi(b);
    assert_int_equal(platform_intack(&b->p), 0x0e);
}

static void level_triggered(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    out8(b, 0x4d0, 0xff);
    out8(b, 0x4d1, 0xff);
    assert_int_equal(in8(b, 0x4d0), 0xf8);
    assert_int_equal(in8(b, 0x4d1), 0xde);
    raise(b, 11);
    assert_int_equal(platform_intack(&b->p), 0x73);
    eoi(b);
    assert_int_equal(platform_intack(&b->p), 0x73); /* still asserted */
    drop(b, 11);
    eoi(b);
    assert_false(b->p.intr);
    out8(b, 0x4d0, 0);
    raise(b, 3);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    out8(b, 0x20, 0x20);
    assert_false(b->p.intr); /* an edge asks once */
    out8(b, 0x20, 0x19);     /* LTIM: every input */
    out8(b, 0x21, 0x08);
    out8(b, 0x21, 0x04);
    out8(b, 0x21, 0x01);
    assert_int_equal(platform_intack(&b->p), 0x0b);
    out8(b, 0x20, 0x20);
    assert_true(b->p.intr);
}

static void spurious(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    assert_int_equal(pic_acknowledge(&b->p), 0x0f);
    assert_int_equal(isr(b, 0x20), 0);
    b->p.pic[0].irr |= 4; /* the slave withdrew between the two INTA cycles */
    assert_int_equal(pic_acknowledge(&b->p), 0x77);
    assert_int_equal(isr(b, 0xa0), 0);
    assert_int_equal(isr(b, 0x20), 0x04);
}

static void level_change_and_polled_slave(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 4);
    raise(b, 5);
    raise(b, 4); /* no change */
    drop(b, 5);
    assert_int_equal(irr(b, 0x20), 0x10);
    assert_int_equal(b->p.pic[0].line & 0x30, 0x10);
    assert_int_equal(platform_intack(&b->p), 0x0c);
    out8(b, 0x20, 0x20);
    assert_false(b->p.intr);
    out8(b, 0x4d0, 0x10); /* the line is high: as a level it asks at once */
    assert_true(b->p.intr);
    drop(b, 4);
    raise(b, 9);
    out8(b, 0xa0, 0x0c);
    assert_int_equal(in8(b, 0xa0), 0x81);
    assert_false(b->p.intr); /* taken by the poll */
    out8(b, 0xa0, 0x61);
    assert_int_equal(isr(b, 0xa0), 0);
}

static void first_word_resets(void **state)
{
    struct bench *b = irqs_only();

    (void)state;
    raise(b, 3);
    out8(b, 0x20, 0xc2);
    out8(b, 0x21, 0xff);
    bench_irqs(b);
    assert_int_equal(in8(b, 0x21), 0);
    assert_int_equal(irr(b, 0x20), 0); /* edge sense: needs a new edge */
    assert_false(b->p.intr);
    drop(b, 3);
    raise(b, 3);
    raise(b, 1);
    assert_int_equal(platform_intack(&b->p), 0x09);
    out8(b, 0x20, 0x12); /* single, no ICW4 */
    out8(b, 0x21, 0x47);
    out8(b, 0x21, 0x55);
    assert_int_equal(in8(b, 0x21), 0x55);
    out8(b, 0x21, 0);
    raise(b, 7);
    assert_int_equal(platform_intack(&b->p), 0x47);
}

int run_pic_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_until_programmed), cmocka_unit_test(fully_nested), cmocka_unit_test(masks),
        cmocka_unit_test(cascade), cmocka_unit_test(special_fully_nested), cmocka_unit_test(special_mask),
        cmocka_unit_test(rotation), cmocka_unit_test(automatic_end), cmocka_unit_test(poll),
        cmocka_unit_test(level_triggered), cmocka_unit_test(spurious), cmocka_unit_test(level_change_and_polled_slave),
        cmocka_unit_test(first_word_resets),
    };

    return cmocka_run_group_tests_name("8259A", tests, NULL, NULL);
}
