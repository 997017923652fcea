#!/usr/bin/env bash
# Measures the emulator on the host: instructions per emulated instruction by callgrind, beside Xen's published figures, and nanoseconds.
# Prints a table; the same as JSON lines in build/bench.jsonl.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build}
out=$B/bench-emul
command -v valgrind > /dev/null || { echo "bench-emul: needs valgrind (apt-get install valgrind)"; exit 1; }
rm -rf "$out"
mkdir -p "$out"
# The library as the component has it (COMMON in the Makefile), but for the alignment of stacks: the callbacks are the host's.
for source in emul/[a-z]*.c; do
    gcc -std=gnu11 -O2 -g -ffreestanding -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
        -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common -I. -c "$source" -o "$out/$(basename "$source" .c).o" || exit 1
done
gcc -std=gnu11 -O2 -g -no-pie -I. -Iemul tests/host/bench_emul.c "$out"/*.o -o "$out/bench" || exit 1
"$out/bench" > "$out/rows" || { cat "$out/rows"; exit 1; }
valgrind --tool=callgrind --collect-atstart=no --callgrind-out-file="$out/callgrind" "$out/bench" > "$out/valgrind.log" 2>&1 || { cat "$out/valgrind.log"; exit 1; }
for dump in "$out"/callgrind.*; do
    sed -n 's/^desc: Trigger: Client Request: /count|/p' "$dump" | tr '\n' '|'
    sed -n 's/^totals: //p' "$dump"
done >> "$out/rows"

commit=$(git describe --always --dirty 2> /dev/null || echo unversioned)
grep -v '"part":"emul"' "$B/bench.jsonl" > "$out/bench.jsonl" 2> /dev/null
awk -F'|' -v commit="$commit" -v json="$out/bench.jsonl" '
    $1 == "row"     { order[++n] = $2; xen[$2] = $3 / 100; per[$2] = $4 }
    $1 == "refused" { refused[$2] = 1 }
    $1 == "ns"      { ns[$2, $3] = $4 }
    $1 == "count"   { count[$2, $3] = $4 }
    $1 == "counted" { rounds = $2 }
    $1 == "looped"  { looped = $2 }
    function figure(name, config,    overhead) {
        if (!((name, config) in count))
            return "-"
        if (name == "loop")
            return sprintf("%.1f", count[name, config] / looped)
        overhead = count["nothing", "none"] / rounds
        return sprintf(per[name] > 1 ? "%.2f" : "%.0f", (count[name, config] / rounds - overhead) / per[name])
    }
    function line(name, config, value, unit) {
        if (value != "-" && value != "")
            printf "{\"name\":\"emul %s, %s\",\"vendor\":\"host\",\"part\":\"emul\",\"unit\":\"%s\",\"median\":%s,\"commit\":\"%s\"}\n", name, config, unit, value, commit >> json
    }
    END {
        printf "%-22s %8s %8s %8s %8s %8s %8s   %s\n", "instructions of one", "flat", "kept", "exit", "all", "Xen", "limit", "ns flat / kept / exit / all"
        for (i = 1; i <= n + 1; i++) {
            name = i > n ? "loop" : order[i]
            if (refused[name]) {
                printf "%-22s refused\n", name
                continue
            }
            for (c = 1; c <= 4; c++) {
                config = c == 1 ? "flat" : c == 2 ? "kept" : c == 3 ? "exit" : "all"
                value[c] = figure(name, config)
                line(name, config, value[c], "instructions")
                line(name, config, ns[name, config], "ns")
            }
            limit = name == "rep movsb, bulk hook" ? 0.3 : xen[name] / 3
            for (c = 1; c <= 4 && i <= n; c++)
                if (value[c] + 0 > limit) {
                    bad[c]++
                    value[c] = value[c] "!"
                }
            shown = (i > n) ? "" : sprintf((per[name] > 1) ? "%.2f" : "%.0f", limit)
            printf "%-22s %8s %8s %8s %8s %8s %8s   %s / %s / %s / %s\n", name, value[1], value[2], value[3], value[4], xen[name], shown,
                   ns[name, "flat"], ns[name, "kept"], ns[name, "exit"], ns[name, "all"]
        }
        printf "!: over the limit, a third of what Xen takes (flat): %d, %d, %d and %d of %d rows; the loop may take 20 ns (all)\n", bad[1], bad[2], bad[3], bad[4], n
    }' "$out/rows"
# The decoder alone against Zydis' minimal mode, over the code of bash.
if gcc -std=gnu11 -O2 -I. tests/host/bench_decode.c emul/decode*.c emul/tables*.c -lZydis -o "$out/bench_decode" 2> "$out/decode.log"; then
    "$out/bench_decode" /bin/bash | tail -1 | tee "$out/decode"
    sed -nE "s/^decode: ([0-9.]+) ns.* minimal ([0-9.]+) ns.* ratio ([0-9.]+) .*/{\"name\":\"emul decode of bash, of Zydis' minimal time\",\"vendor\":\"host\",\"part\":\"emul\",\"unit\":\"ratio\",\"median\":\3,\"commit\":\"$commit\"}/p" \
        "$out/decode" >> "$out/bench.jsonl"
fi
[ ! -s "$out/bench.jsonl" ] || cp "$out/bench.jsonl" "$B/bench.jsonl"
