#!/usr/bin/env bash
# Builds and runs the fuzzers, FUZZ_TIME seconds each, on corpora that stay in build/fuzz. usage: fuzz.sh [NAME...]
# With FUZZ_RUNS=n instead (make test): n inputs from nothing and a fixed seed, the same each time.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build}
time=${FUZZ_TIME:-60}
out=$B/fuzz
mkdir -p "$out"
command -v clang > /dev/null || { echo "fuzz: needs clang and libclang-rt-14-dev"; exit 1; }

# Name, longest input, sources. What a target needs besides is in its head.
list="decode  17   emul/decode.c emul/decode_vex.c emul/tables.c emul/tables_vex.c
      walk    128  emul/walk.c
      exec    512  emul/[a-z]*.c
      devices 4096 devices/[a-z]*.c
      load    8192 tests/host/load_bench.c depriv/load/[a-z]*.c depriv/words.c depriv/format.c depriv/guestmem.c"
for name in "$@"; do
    grep -qE "^ *$name " <<<"$list" || { echo "fuzz: no fuzzer '$name': $(awk '{ printf "%s ", $1 }' <<<"$list")"; exit 2; }
done
[[ $time =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: FUZZ_TIME=$time is not a number of seconds"; exit 2; }
failed=0
while read -r name length sources; do
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    [ "$name" != load ] || make -s "$B/u/dsdt.hex" || exit 1
    # shellcheck disable=SC2086 # globs
    if ! clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -Iemul -I"$B/u" \
        "tests/host/fuzz_$name.c" $sources -o "$out/fuzz_$name" 2> "$out/$name.log"; then
        echo "FAIL fuzz_$name: does not compile ($out/$name.log)"
        failed=1
        continue
    fi
    mkdir -p "$out/$name"
    how=("-max_total_time=$time" "$out/$name")
    [ -z "${FUZZ_RUNS:-}" ] || how=("-runs=$FUZZ_RUNS" -seed=1)
    if "$out/fuzz_$name" "${how[@]}" -max_len="$length" -artifact_prefix="$out/$name-" >> "$out/$name.log" 2>&1; then
        echo "ok fuzz_$name: $(grep -o 'Done .*' "$out/$name.log" | tail -1), $(grep -o 'cov: [0-9]*' "$out/$name.log" | tail -1)"
    else
        echo "FAIL fuzz_$name: $(grep -m1 -E 'ERROR|runtime error' "$out/$name.log") ($out/$name.log)"
        failed=1
    fi
done <<< "$list"
exit $failed
