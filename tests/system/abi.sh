#!/usr/bin/env bash
# The table of calls in depriv/README.md, made from ABI_CALLS in depriv/abi.h. usage: abi.sh [--check]: says whether it is up to date
set -eu
cd "$(dirname "$0")/../.."
readme=depriv/README.md

table() {
    echo '| call | number | arguments | may | bound |'
    echo '|---|---|---|---|---|'
    gcc -E -P -x c - <<'END' | grep -o '@.*' | sed 's/ *@@ */\n/g; s/" *"//g; s/"//g; s/^@ *//' | sed -E '/^$/d; s/\b(0x[0-9a-f]+|[0-9]+)u\b/\1/g; s/ *\| */ | /g; s/^ *\| *\|? /| /; s/ +/ /g; s/ $//'
#include "depriv/abi.h"
#undef ABI_AT_MOST
#undef ABI_BITS
#undef ABI_VCPU
#undef ABI_ANY
#define ABI_VCPU one of its vcpus
#define ABI_AT_MOST(x) at most x
#define ABI_BITS(x) bits of x
#define ABI_ANY any
#define ROW(nr, NAME, name, n, may, bound, ...) "@@ |" #NAME "|" #nr "|" __VA_ARGS__ "|" may "|" bound "|"
@ ABI_CALLS(ROW)
END
}

new=$(awk -v table="$(table)" '/^<!-- calls:/ { print; print table; skip = 1 } /^<!-- end -->/ { skip = 0 } !skip && !/^<!-- calls:/' $readme)
if [ "${1:-}" = --check ]; then
    [ "$new" = "$(cat $readme)" ]
else
    printf '%s\n' "$new" > $readme
fi
