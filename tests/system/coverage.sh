#!/usr/bin/env bash
# Prints how many lines of the decoder its host test reaches, and fails below 98 %. Sources that were measured are not measured again.
set -u
cd "$(dirname "$0")/../.."
out=$(realpath -m "${B:-build}")/coverage
least=98
mkdir -p "$out"
sources=(tests/host/emul_decode_test.c emul/decode*.c emul/tables*.c)

sum=$(cat emul/decode*.[ch] emul/tables*.[ch] "${sources[@]}" "$0" | sha256sum)
[ "$(cat "$out/sum" 2>/dev/null)" != "$sum" ] || exit 0
rm -f "$out"/*.gc??
if ! gcc -std=gnu11 -O1 --coverage -I. "${sources[@]}" -lcmocka -lZydis -dumpdir "$out/" -o "$out/test" > "$out/log" 2>&1; then
    grep -q 'cmocka.h\|Zydis.h' "$out/log" || { echo "check: coverage: does not compile ($out/log)"; exit 1; }
    echo "check: note: no cmocka or Zydis, so the decoder's coverage is not measured (apt-get install libcmocka-dev libzydis-dev)"
    exit 0
fi
"$out/test" > "$out/log" 2>&1 || { echo "check: coverage: the test fails ($out/log)"; exit 1; }
(cd "$out" && gcov decode.gcda decode_vex.gcda) 2>/dev/null | awk -v least=$least '
    /^File/ { name = $2; gsub("\047", "", name) }
    /^Lines executed/ && name ~ /^emul\/decode/ { split($2, part, /[:%]/); n += $4; hit += $4 * part[2] / 100; name = "" }
    END { share = n ? hit / n * 100 : 0
          printf "check: coverage of emul/decode*: %d lines, %.1f %% reached by emul_decode_test\n", n, share; exit share < least }' || exit 1
echo "$sum" > "$out/sum"
