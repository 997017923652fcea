/* Benchmark of the decoder: the code of a program, swept, against Zydis' minimal decode in the same run; and one instruction, to count.
 *
 * gcc -std=gnu11 -O2 -I . -o bench_decode tests/host/bench_decode.c emul/decode*.c emul/tables*.c -lZydis
 * ./bench_decode /bin/bash          nanoseconds an instruction of both, by round and at best, and the ratio
 * valgrind --tool=callgrind --toggle-collect=emul_decode ./bench_decode one: the summary divided by ROUNDS_ONE is one decode
 */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <Zydis/Zydis.h>
#include "emul/decode.h"

#define ROUNDS_ONE 1000u
#define ROUNDS     15u

struct text {
    uint8_t *bytes;
    size_t size;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_decode: %s\n", what);
    exit(2);
}

/* The section .text of an ELF64 file. */
static struct text text_of(const char *path)
{
    FILE *in = fopen(path, "rb");
    uint8_t *file;
    long size;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *section;

    if (!in || fseek(in, 0, SEEK_END) || (size = ftell(in)) < (long)sizeof(*header) || fseek(in, 0, SEEK_SET))
        die("no such file");
    file = malloc(size);
    if (!file || fread(file, 1, size, in) != (size_t)size)
        die("cannot read it");
    fclose(in);
    header = (const Elf64_Ehdr *)file;
    section = (const Elf64_Shdr *)(file + header->e_shoff);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64)
        die("no ELF64");
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (!strcmp((char *)file + section[header->e_shstrndx].sh_offset + section[i].sh_name, ".text"))
            return (struct text){ file + section[i].sh_offset, section[i].sh_size };
    }
    die("it has no .text");
    return (struct text){ 0 };
}

/* Both sweeps skip a byte where there is no instruction; the sum of lengths must agree. Result: instructions found. */
static unsigned long sweep_ours(const struct text *text, unsigned long *sum)
{
    unsigned long count = 0;
    struct emul_insn insn;

    for (size_t at = 0; at < text->size; count++) {
        size_t left = text->size - at;
        int length = emul_decode(&insn, text->bytes + at, left < EMUL_INSN_MAX ? left : EMUL_INSN_MAX, EMUL_MODE64);

        *sum += length > 0 ? length : 0;
        at += length > 0 ? length : 1;
    }
    return count;
}

static unsigned long sweep_zydis(const ZydisDecoder *zydis, const struct text *text, unsigned long *sum)
{
    unsigned long count = 0;
    ZydisDecodedInstruction insn;

    for (size_t at = 0; at < text->size; count++) {
        size_t left = text->size - at;
        ZyanStatus status = ZydisDecoderDecodeInstruction(zydis, NULL, text->bytes + at, left < EMUL_INSN_MAX ? left : EMUL_INSN_MAX,
                                                          &insn);

        *sum += ZYAN_SUCCESS(status) ? insn.length : 0;
        at += ZYAN_SUCCESS(status) ? insn.length : 1;
    }
    return count;
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void decode_one(void)
{
    static const uint8_t load[EMUL_INSN_MAX] = { 0x8b, 0x43, 0x08 }; /* mov eax, [rbx + 8] */
    struct emul_insn insn;

    for (unsigned i = 0; i < ROUNDS_ONE; i++) {
        if (emul_decode(&insn, load, sizeof(load), EMUL_MODE64) != 3)
            die("wrong length");
    }
}

int main(int argc, char **argv)
{
    double best[2] = { 1e9, 1e9 };
    ZydisDecoder zydis;
    struct text text;

    if (argc > 1 && !strcmp(argv[1], "one")) {
        decode_one();
        return 0;
    }
    text = text_of(argc > 1 ? argv[1] : "/bin/bash");
    ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned long sum[2] = { 0 }, count[2];
        double start = now_ns(), middle, end;

        count[0] = sweep_ours(&text, &sum[0]);
        middle = now_ns();
        count[1] = sweep_zydis(&zydis, &text, &sum[1]);
        end = now_ns();
        if (count[0] != count[1] || sum[0] != sum[1])
            printf("note: %lu and %lu instructions, %lu and %lu bytes\n", count[0], count[1], sum[0], sum[1]);
        if ((middle - start) / count[0] < best[0])
            best[0] = (middle - start) / count[0];
        if ((end - middle) / count[1] < best[1])
            best[1] = (end - middle) / count[1];
    }
    printf("decode: %.1f ns an instruction, Zydis minimal %.1f ns, ratio %.2f (best of %u interleaved rounds)\n", best[0], best[1],
           best[0] / best[1], ROUNDS);
    return best[0] > best[1];
}
