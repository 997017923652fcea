#!/usr/bin/env bash
# Assembles the test guests into build/guest/. Where a source has variants, a line "; variants: NAME WORDS, ..." in it names them.
set -eu
cd "$(dirname "$0")"
out=../../build/guest
mkdir -p "$out"

assemble() { # output name, source, words for nasm
    local name=$1 source=$2
    shift 2
    local file=$out/$name.bin
    [ "$file" -nt "$source" ] && [ "$file" -nt guest.inc ] && [ "$file" -nt ../bench/measure.inc ] && [ "$file" -nt build.sh ] && return
    nasm -Werror -f bin -I ./ "$@" -o "$file.new" "$source"
    mv "$file.new" "$file"
}

for source in *.asm ../bench/*.asm; do
    name=${source##*/}
    name=${name%.asm}
    case $name in mbinfo) continue ;; esac
    variants=$(sed -n 's/^; variants: //p' "$source" | tr '\n' ' ')
    if [ -z "$variants" ]; then
        assemble "$name" "$source"
        continue
    fi
    while read -r variant words; do
        # shellcheck disable=SC2086 # the words are words
        [ -z "$variant" ] || assemble "$variant" "$source" $words
    done <<<"$(tr ',' '\n' <<<"$variants")"
done

# The multiboot guest: one source in C, as ELF32, and the same in an ELF64 container.
if [ ! "$out/mbinfo64.elf" -nt mbinfo.c ] || [ ! "$out/mbinfo64.elf" -nt mbinfo.asm ]; then
    nasm -Werror -f elf32 -o "$out/mbinfo.o" mbinfo.asm
    gcc -m32 -std=gnu11 -O2 -ffreestanding -fno-pic -fno-stack-protector -mgeneral-regs-only -fno-asynchronous-unwind-tables \
        -fcf-protection=none -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror -I../.. -c -o "$out/mbinfo_c.o" mbinfo.c
    ld -m elf_i386 -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -N -Ttext 0x100000 -e start \
        -o "$out/mbinfo32.elf" "$out/mbinfo.o" "$out/mbinfo_c.o"
    objcopy -I elf32-i386 -O elf64-x86-64 "$out/mbinfo32.elf" "$out/mbinfo64.elf"
fi
