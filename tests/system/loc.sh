#!/usr/bin/env bash
# Counts lines of code: neither blank nor comment alone. One line per part: ring0, ring3, emul, devices, tests.
set -eu
cd "$(dirname "$0")/../.."

code_lines() { # files...: strip comments of C and NASM, count what is left
    [ $# -gt 0 ] || { echo 0; return; }
    for f in "$@"; do
        case $f in
        *.asm|*.inc) sed 's/;.*//' "$f" ;;
        *) sed -e ':a' -e 's@/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/@@g' -e '/\/\*/{N;ba' -e '}' -e 's@//.*@@' "$f" ;;
        esac
    done | grep -c '[^[:space:]]' || true
}

files() { find "$@" -maxdepth 1 -name '*.c' -o -maxdepth 1 -name '*.h' -o -maxdepth 1 -name '*.asm' -o -maxdepth 1 -name '*.inc' | sort; }
ring0_depriv="depriv/abi.h depriv/gate.asm depriv/gate.c depriv/gate.h depriv/calls.c depriv/format.c depriv/format.h depriv/string.c depriv/component.c depriv/component.h depriv/component_image.asm depriv/guestaccess.c depriv/guestaccess.h depriv/copier.asm depriv/method0.c depriv/method1.c depriv/method2.asm"
ring3_depriv=$(files depriv depriv/load depriv/setup | grep -vxF -e "$(tr ' ' '\n' <<<"$ring0_depriv")" || true)

# shellcheck disable=SC2046,SC2086
{
    echo "ring0 $(code_lines $(files boot kernel vmx svm) $ring0_depriv)"
    echo "ring3 $(code_lines $ring3_depriv $(files devices emul))"
    echo "emul $(code_lines $(files emul))"
    echo "devices $(code_lines $(files devices))"
}
