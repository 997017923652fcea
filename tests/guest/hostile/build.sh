#!/usr/bin/env bash
# Assembles the hostile components: one image for each row of `list`, into build/guest/hostile/. usage: build.sh [NAME...]
# And hypervisors with a hostile setup program, build/guest/setup-ATTACK/rung32.elf for each of setup.c, or under a storm of NMIs,
# build/guest/nmi/rung32.elf (nmi.c).
set -euo pipefail
cd "$(dirname "$0")"
root=../../..
out=$root/build/guest/hostile
mkdir -p "$out"

# The contract's offsets, as the compiler knows them: name, struct, member, and what is added.
offsets() {
    cat <<'END'
I_DOMID abi_info domid
I_CPU abi_info cpu
I_TSC_KHZ abi_info tsc_khz
I_RAM_LOW abi_info ram_low
F_OP abi_frame op
F_PORT abi_frame port
F_WANT abi_frame want
F_STATUS abi_frame status
F_STATE_OUT abi_frame state_out
F_LENGTH abi_frame length
F_VECTOR abi_frame vector
F_INJECT abi_frame inject
F_INJECT_ERR abi_frame inject_error
F_LIFE abi_frame life
F_EVENTS abi_frame events
F_TIMER abi_frame timer
F_CONSOLE_LEN abi_frame console_len
F_CONSOLE abi_frame console
F_TEXT abi_frame text
F_STATE abi_frame state
F_COPY abi_frame copy
S_RIP abi_frame state.rip
S_RSP abi_frame state.rsp
S_RFLAGS abi_frame state.rflags
S_SHADOW abi_frame state.shadow
S_SEGMENTS abi_frame state.seg
S_GDTR abi_frame state.gdtr
S_IDTR abi_frame state.idtr
S_CR0 abi_frame state.cr0
S_CR3 abi_frame state.cr3
S_CR4 abi_frame state.cr4
S_EFER abi_frame state.efer
S_DR6 abi_frame state.dr6
S_DR7 abi_frame state.dr7
S_SYSENTER_CS abi_frame state.sysenter_cs
S_SYSENTER_SP abi_frame state.sysenter_esp
S_STAR abi_frame state.star
S_LSTAR abi_frame state.lstar
S_FMASK abi_frame state.fmask
S_KERNEL_GS abi_frame state.kernel_gs_base
S_DR abi_frame state.dr
SEG_LIMIT abi_segment limit
SEG_ATTR abi_segment attr
SEG_SELECTOR abi_segment selector
TABLE_LIMIT abi_table limit
END
}

# The calls by name, the first number that is none, and for each argument of each the values that are just out of its range.
calls() {
    cat >"$out/calls.c" <<'END'
#include <stdio.h>
#include "depriv/abi.h"
static void bad(uint32_t nr, int argument, uint64_t value)
{
    printf("    dd %u, %d\n    dq 0x%llx\n", nr, argument, (unsigned long long)value);
}
static void call(uint32_t nr, const struct abi_argument *rules)
{
    for (int i = 0; i < ABI_ARGUMENTS; i++) {
        uint64_t m = rules[i].limit;
        if (rules[i].check == ABI_CHECK_NONE)
            continue;
        bad(nr, i, rules[i].check == ABI_CHECK_BITS ? ~m & (m + 1) : m + 1);
        bad(nr, i, 1ull << 32);
        bad(nr, i, 1ull << 63 | 1);
        bad(nr, i, ~0ull);
    }
}
#define NAME(nr, NAME, ...) printf("%%define CALL_" #NAME " %d\n", nr);
#define CALL(nr, NAME, name, n, may, bound, ...) call(nr, (const struct abi_argument[ABI_ARGUMENTS]){ __VA_ARGS__ });
int main(void)
{
    ABI_CALLS(NAME)
    printf("%%define CALLS_END %d\n%%macro bad_arguments 0\n", ABI_CALLS_END);
    ABI_CALLS(CALL)
    puts("%endmacro");
}
END
    gcc -I"$root" -o "$out/calls" "$out/calls.c"
    "$out/calls"
}

make_offsets() {
    {
        echo '#include "depriv/abi.h"'
        echo 'void offsets(void) {'
        while read -r name struct member; do
            echo "__asm__(\"==> %define $name %c0\" : : \"i\"(__builtin_offsetof(struct $struct, $member)));"
        done < <(offsets)
        echo '__asm__("==> %%define SEG_BYTES %c0\n==> %%define STATE_BYTES %c1" : : "i"(sizeof(struct abi_segment)), "i"(sizeof(struct abi_state))); }'
    } | sed 's/==> %define/==> %%define/' | gcc -ffreestanding -I"$root" -S -o - -x c - | sed -n 's/.*==> //p' >"$out/abi.new"
    calls >>"$out/abi.new"
    cmp -s "$out/abi.new" "$out/abi.inc" || mv "$out/abi.new" "$out/abi.inc"
}

symbol() { nm "$root/${B:-build}/rung.elf" | sed -n "s/^\([0-9a-f]*\) . $1\$/0x\1/p"; }

make_offsets
image="KERNEL_TEXT=$(symbol trap_handle),KERNEL_DATA=$(symbol cpus),ENTRY_TEXT=$(symbol entry_text)"
while read -r name _ _ defines _; do
    case $name in '#'* | '') continue ;; esac
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    file=$out/$name.bin
    case $defines in *=m_kernel_*|*=m_entry_*) defines=$defines,$image && rm -f "$file" ;; esac
    [ "$file" -nt hostile.asm ] && [ "$file" -nt hostile.inc ] && [ "$file" -nt list ] && [ "$file" -nt "$out/abi.inc" ] &&
        continue
    # shellcheck disable=SC2086 # the words are words
    nasm -Werror -f bin -I ./ -I "$out/" $(printf -- '-D%s ' ${defines//,/ }) -o "$file.new" hostile.asm
    mv "$file.new" "$file"
done <list

# As the Makefile links the kernel, but for what the words for ld say.
variant_link() { # directory, words and objects for ld
    local dir=$1 objects=() o
    shift
    while read -r o; do # an old build's are there too
        o=${o#"$root/build/k/"}
        [ ! -e "$root/${o%.o}" ] || objects+=("$root/build/k/$o")
    done < <(find "$root/build/k" -name '*.o')
    ld -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T "$root/linker.ld" -o "$dir/rung.elf" "${objects[@]}" \
        "$root/build/component.bin.o" "$root/build/font.psf.o" "$@"
    objcopy -O elf32-i386 "$dir/rung.elf" "$dir/rung32.elf"
}
variant_gcc="gcc -std=gnu11 -O2 -Wall -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -I$root"

setup_build() { # attack
    local dir=$root/build/guest/setup-$1
    [ "$dir/rung32.elf" -nt "$root/build/rung.elf" ] && [ "$dir/rung32.elf" -nt setup.c ] && return
    mkdir -p "$dir"
    $variant_gcc -DATTACK="$1" -Wno-unused-function -c -o "$dir/hostile.o" setup.c
    ld -r -o "$dir/setup.o" "$dir/hostile.o"
    variant_link "$dir" "$dir/setup.o"
}

nmi_build() {
    local dir=$root/build/guest/nmi
    [ "$dir/rung32.elf" -nt "$root/build/rung.elf" ] && [ "$dir/rung32.elf" -nt nmi.c ] && return
    mkdir -p "$dir"
    $variant_gcc -Wextra -Werror -mcmodel=kernel -fno-jump-tables -c -o "$dir/nmi.o" nmi.c
    variant_link "$dir" --wrap=apic_eoi --wrap=trap_handle "$root/build/setup.o" "$dir/nmi.o"
}
[ $# -gt 0 ] || nmi_build
[ $# -gt 0 ] || for attack in $(sed -n 's/^static void \([a-z_]*\)(void).*/\1/p' setup.c); do setup_build "$attack"; done
