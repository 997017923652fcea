/* 16550A: registers, FIFOs, the five interrupts and their order, loop mode, back-pressure of the host console. */
#include "tests/host/devices_test.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static struct bench *com1(uint8_t ier, uint8_t fcr)
{
    struct bench *b = bench_new();

    bench_irqs(b);
    out8(b, 0x21, 0x01);
    out8(b, LCR, 0x03);
    out8(b, FCR, fcr);
    out8(b, MCR, 0x0b);
    out8(b, IER, ier);
    return b;
}

static void input(struct bench *b, const char *text)
{
    assert_true(strlen(text) <= platform_input_room(&b->p));
    platform_input(&b->p, (const uint8_t *)text, (unsigned)strlen(text));
}

static void registers(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    assert_int_equal(in8(b, LSR), 0x60);
    assert_int_equal(in8(b, IIR), 0x01);
    assert_int_equal(in8(b, MSR), 0xb0);
    out8(b, LCR, 0x83);
    out8(b, DATA, 0x0c);
    out8(b, IER, 0x34);
    assert_int_equal(in8(b, DATA), 0x0c);
    assert_int_equal(in8(b, IER), 0x34);
    out8(b, LCR, 0x03);
    assert_int_equal(in8(b, LCR), 0x03);
    assert_int_equal(in8(b, IER), 0);
    out8(b, IER, 0xff);
    assert_int_equal(in8(b, IER), 0x0f);
    out8(b, MCR, 0xff);
    assert_int_equal(in8(b, MCR), 0x1f);
    out8(b, SCR, 0xa5);
    assert_int_equal(in8(b, SCR), 0xa5);
    out8(b, FCR, 0x01);
    assert_int_equal(in8(b, IIR) & 0xc0, 0xc0);
    out8(b, FCR, 0x00);
    assert_int_equal(in8(b, IIR) & 0xc0, 0x00);
}

static void transmit(void **state)
{
    struct bench *b = com1(0, 0);

    (void)state;
    for (const char *s = "hello"; *s; s++) {
        out8(b, DATA, (uint8_t)*s);
        assert_int_equal(in8(b, LSR), 0x60);
    }
    assert_int_equal(b->p.out_len, 5);
    assert_memory_equal(b->p.out, "hello", 5);
    out8(b, LCR, 0x02); /* 7 bits */
    out8(b, DATA, 0xff);
    assert_int_equal(b->p.out[5], 0x7f);
}

static void transmit_interrupt(void **state)
{
    struct bench *b = com1(0x02, 0x01);

    (void)state;
    for (unsigned i = 0; i < 3; i++) { /* each time: ends with IIR, comes back with the write */
        assert_int_equal(platform_intack(&b->p), 0x0c);
        out8(b, 0x20, 0x20);
        assert_int_equal(in8(b, IIR), 0xc2);
        assert_int_equal(in8(b, IIR), 0xc1);
        assert_false(b->p.intr);
        out8(b, DATA, 'x');
    }
    assert_int_equal(platform_intack(&b->p), 0x0c);
    out8(b, 0x20, 0x20);
    out8(b, DATA, 'y'); /* not read: the write itself is a new edge */
    assert_int_equal(platform_intack(&b->p), 0x0c);
    in8(b, IIR);
    out8(b, IER, 0);
    out8(b, IER, 2);
    assert_int_equal(in8(b, IIR), 0xc2);
    out8(b, MCR, 0x03); /* OUT2 off: no interrupt on the bus */
    out8(b, DATA, 'z');
    assert_false(b->p.com1.line);
    assert_int_equal(in8(b, IIR), 0xc2);
}

static void receive_trigger_and_timeout(void **state)
{
    static const uint8_t level[4] = { 1, 4, 8, 14 };

    (void)state;
    for (unsigned t = 0; t < 4; t++) {
        struct bench *b = com1(0x01, (uint8_t)(0x01 | t << 6));

        assert_int_equal(platform_input_room(&b->p), 16);
        for (unsigned i = 1; i <= 16; i++) {
            input(b, "r");
            assert_int_equal(in8(b, IIR), i >= level[t] ? 0xc4 : 0xcc);
            assert_int_equal(platform_input_room(&b->p), 16 - i);
        }
        assert_false(b->p.input_wanted);
        assert_int_equal(platform_intack(&b->p), 0x0c);
        for (unsigned i = 15; i; i--) {
            assert_int_equal(in8(b, LSR), 0x61);
            assert_int_equal(in8(b, DATA), 'r');
            assert_int_equal(in8(b, IIR), i >= level[t] ? 0xc4 : 0xcc);
        }
        in8(b, DATA);
        assert_int_equal(in8(b, IIR), 0xc1);
        assert_int_equal(in8(b, LSR), 0x60);
        assert_true(b->p.input_wanted);
    }
}

static void receive_without_fifo(void **state)
{
    struct bench *b = com1(0x01, 0);

    (void)state;
    assert_int_equal(platform_input_room(&b->p), 1);
    platform_input(&b->p, (const uint8_t *)"ab", 2);
    assert_int_equal(platform_input_room(&b->p), 0);
    assert_int_equal(in8(b, IIR), 0x04);
    assert_int_equal(in8(b, DATA), 'a');
    assert_int_equal(in8(b, LSR), 0x60);
}

static void priorities(void **state)
{
    struct bench *b = com1(0x0f, 0x01);

    (void)state;
    out8(b, MCR, 0x1b);                 /* loop: CTS, DSR, DCD follow RTS, DTR, OUT2 */
    out8(b, MCR, 0x1c);                 /* OUT1 on: RI rises, no delta; DTR and RTS drop */
    out8(b, DATA, 'q');
    out8(b, LCR, 0x43);                 /* break */
    in8(b, DATA);                       /* now the break is at the head */
    assert_int_equal(in8(b, IIR), 0xc6);
    assert_int_equal(in8(b, LSR), 0xf9);
    assert_int_equal(in8(b, LSR), 0x61);
    assert_int_equal(in8(b, IIR), 0xc4); /* trigger level 1 */
    assert_int_equal(in8(b, DATA), 0);
    assert_int_equal(in8(b, IIR), 0xc2);
    assert_int_equal(in8(b, IIR), 0xc0);
    assert_int_equal(in8(b, MSR), 0xc3);
    assert_int_equal(in8(b, IIR), 0xc1);
    out8(b, MCR, 0x18);
    assert_int_equal(in8(b, MSR), 0x84); /* RI fell */
}

static void loopback(void **state)
{
    struct bench *b = com1(0x00, 0x01);

    (void)state;
    out8(b, MCR, 0x10);
    assert_int_equal(platform_input_room(&b->p), 0);
    assert_false(b->p.input_wanted);
    for (unsigned i = 0; i < 17; i++)
        out8(b, DATA, (uint8_t)i);
    assert_int_equal(in8(b, LSR), 0x63); /* the 17th is lost */
    assert_int_equal(in8(b, LSR), 0x61);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in8(b, DATA), i);
    out8(b, FCR, 0);
    out8(b, LCR, 0);
    out8(b, DATA, 0xff);
    out8(b, DATA, 0xfe); /* without FIFO the older byte is overwritten; 5 bits */
    assert_int_equal(in8(b, LSR), 0x63);
    assert_int_equal(in8(b, DATA), 0x1e);
    assert_int_equal(b->p.out_len, 0);
    out8(b, MCR, 0x00);
    assert_true(b->p.input_wanted);
}

static void back_pressure(void **state)
{
    struct bench *b = com1(0x02, 0x01);
    uint8_t seen[64];
    unsigned n = 0, sent = 0;

    (void)state;
    platform_output_room(&b->p, 4);
    in8(b, IIR);
    for (unsigned i = 0; i < 16; i++) /* a driver fills the whole FIFO after one THRE */
        out8(b, DATA, (uint8_t)('a' + sent++));
    assert_int_equal(b->p.out_len, 4);
    assert_int_equal(in8(b, LSR), 0);
    assert_int_equal(in8(b, IIR), 0xc1);
    for (unsigned turn = 0; turn < 4; turn++) {
        memcpy(seen + n, b->p.out, b->p.out_len);
        n += b->p.out_len;
        b->p.out_len = 0;
        assert_int_equal(in8(b, LSR), 0);
        platform_output_room(&b->p, turn == 3 ? 0 : 4);
    }
    assert_int_equal(n, 16);
    assert_memory_equal(seen, "abcdefghijklmnop", 16);
    assert_int_equal(in8(b, LSR), 0);
    platform_output_room(&b->p, 1);
    assert_int_equal(in8(b, LSR), 0x60);
    assert_int_equal(in8(b, IIR), 0xc2);
    platform_output_room(&b->p, 100000);
    for (unsigned i = 0; i < 1000; i++)
        out8(b, DATA, 'x');
    assert_int_equal(b->p.out_len, ABI_CONSOLE_BYTES);
    assert_int_equal(b->p.com1.tx_count, 16);
    out8(b, FCR, 0x05); /* the bytes in the transmitter go, not those that left it */
    b->p.out_len = 0;
    platform_output_room(&b->p, 256);
    assert_int_equal(b->p.out_len, 0);
    assert_int_equal(in8(b, LSR), 0x60);
}

static void fifo_reset(void **state)
{
    struct bench *b = com1(0x00, 0x01);

    (void)state;
    input(b, "abc");
    out8(b, FCR, 0x02); /* not enabled: a switch to non-FIFO mode, which empties */
    assert_int_equal(in8(b, LSR), 0x60);
    out8(b, FCR, 0x01);
    input(b, "abc");
    out8(b, FCR, 0x41);
    assert_int_equal(in8(b, DATA), 'a');
    out8(b, FCR, 0x43);
    assert_int_equal(in8(b, LSR), 0x60);
}

static void modem_lines(void **state)
{
    static const uint8_t lines[4] = { 0x20, 0x10, 0x40, 0x80 }; /* DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD */
    struct bench *b = bench_new();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        out8(b, MCR, (uint8_t)(0x10 | 1u << i));
        assert_int_equal(in8(b, MSR) & 0xf0, lines[i]);
    }
    out8(b, MCR, 0x10);
    in8(b, MSR);
    out8(b, MCR, 0x13);
    assert_int_equal(in8(b, MSR), 0x33);
    assert_int_equal(in8(b, MSR), 0x30);
    out8(b, MCR, 0x18);
    assert_int_equal(in8(b, MSR), 0x8b);
    out8(b, IER, 0x04);
    assert_int_equal(in8(b, IIR), 0x01); /* deltas with their interrupt off */
    out8(b, MCR, 0x10);
    assert_int_equal(in8(b, IIR), 0x01);
}

static void errors_follow_their_byte(void **state)
{
    struct bench *b = com1(0x00, 0x01);

    (void)state;
    out8(b, MCR, 0x10);
    for (unsigned i = 0; i < 2; i++) {
        out8(b, DATA, 'a');
        out8(b, LCR, 0x43);
        out8(b, LCR, 0x03);
    }
    assert_int_equal(in8(b, LSR), 0xe1); /* in the FIFO, not at its head */
    in8(b, DATA);
    in8(b, DATA); /* the break goes with its byte: LSR was not read */
    assert_int_equal(in8(b, LSR), 0xf9);
    assert_int_equal(in8(b, LSR), 0xe1);
    in8(b, DATA);
    assert_int_equal(in8(b, LSR), 0xf9);
    assert_int_equal(in8(b, LSR), 0x61);
    in8(b, DATA);
    out8(b, FCR, 0);
    out8(b, DATA, 'a');
    out8(b, LCR, 0x43); /* a break on top of an overrun: both stay */
    assert_int_equal(in8(b, LSR), 0x7b);
}

static void transmitter_kept(void **state)
{
    struct bench *b = com1(0x02, 0x01);

    (void)state;
    in8(b, IIR);
    platform_output_room(&b->p, 0);
    assert_int_equal(in8(b, LSR), 0);
    out8(b, DATA, 'k');
    input(b, "r");
    out8(b, FCR, 0x81); /* neither FIFO is reset by a new trigger level */
    assert_int_equal(b->p.com1.tx_count, 1);
    assert_int_equal(platform_input_room(&b->p), 15);
    platform_output_room(&b->p, 8);
    assert_int_equal(b->p.out_len, 1);
    in8(b, IIR);
    platform_output_room(&b->p, 8); /* it was empty already: no second interrupt */
    assert_int_equal(in8(b, IIR), 0xc1);
    out8(b, IER, 0x00);
    out8(b, FCR, 0x00);
    out8(b, IER, 0x01);
    input(b, "r");
    assert_int_equal(in8(b, IIR), 0x04);
}

static void reset_state(void **state)
{
    struct bench *b = bench_new();

    (void)state;
    out8(b, IER, 0x03);
    assert_int_equal(in8(b, IIR), 0x02);
    input(b, "r");
    assert_int_equal(in8(b, IIR), 0x04);
}

static void second_port(void **state)
{
    struct bench *b = bench_new();
    struct uart com2;

    (void)state;
    bench_irqs(b);
    out8(b, 0x21, 0x01);
    memset(&com2, 0, sizeof(com2));
    uart_init(&b->p, &com2, 3, false);
    uart_write(&b->p, &com2, 4, 0x08);
    uart_write(&b->p, &com2, 1, 0x02);
    uart_write(&b->p, &com2, 0, 'x');
    assert_int_equal(platform_intack(&b->p), 0x0b);
    assert_int_equal(b->p.out_len, 0);
    assert_int_equal(uart_read(&b->p, &com2, 5), 0x60);
}

int run_uart_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers), cmocka_unit_test(transmit), cmocka_unit_test(transmit_interrupt),
        cmocka_unit_test(receive_trigger_and_timeout), cmocka_unit_test(receive_without_fifo), cmocka_unit_test(priorities),
        cmocka_unit_test(loopback), cmocka_unit_test(back_pressure), cmocka_unit_test(fifo_reset), cmocka_unit_test(modem_lines),
        cmocka_unit_test(errors_follow_their_byte), cmocka_unit_test(transmitter_kept), cmocka_unit_test(reset_state),
        cmocka_unit_test(second_port),
    };

    return cmocka_run_group_tests_name("16550A", tests, NULL, NULL);
}
