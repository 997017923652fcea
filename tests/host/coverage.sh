#!/usr/bin/env bash
# Lines of emul/ that the host tests reach, all together: the rows of tests/system/tests.list that name emul/, with gcov.
# usage: coverage.sh [-v]   -v: the lines that nothing reached; T=NAME: by this test alone. Exit status 1 if decode*.c are below 98 %.
set -u
cd "$(dirname "$0")/../.."
B=${B:-build}
out=$PWD/$B/coverage
root=$PWD
rm -rf "$out"
mkdir -p "$out"
names=() words=()
row() { :; }
host() {
    local name=$1
    shift
    # shellcheck disable=SC2053 # a glob
    [[ "$*" == *emul/* && $name == ${T:-*} ]] || return 0
    names+=("$name") words+=("$*")
}
hostile_rows() { :; }
# shellcheck source=/dev/null
. tests/system/tests.list

for i in "${!names[@]}"; do
    name=${names[$i]}
    mkdir -p "$out/$name"
    # shellcheck disable=SC2086 # globs and words
    if ! gcc -std=gnu11 -g -O1 --coverage -fprofile-abs-path -I. -Iemul -I"$B/u" ${words[$i]} -o "$out/$name/test" > "$out/$name.log" 2>&1; then
        echo "coverage: $name does not compile ($out/$name.log)"
        continue
    fi
    args=
    [ "$name" != silicon ] || args="-n 200000"
    # shellcheck disable=SC2086 # words
    timeout 600 "$out/$name/test" $args > "$out/$name.log" 2>&1 || echo "coverage: $name failed ($out/$name.log)"
    (cd "$out/$name" && for notes in ./*.gcno; do gcov -t -r -s "$root" "$notes" 2> /dev/null; done) > "$out/$name.gcov"
done

# gcov's lines: "count:line:text"; "-": no code, "#####": never reached.
awk -F: -v verbose="${1:-}" '
    { sub(/^ +/, "", $1); line = $2 + 0 }
    line == 0 { if ($3 == "Source") { file = $4; take = file ~ /(^|\/)emul\/[a-z_]+\.[ch]$/; sub(/.*emul\//, "emul/", file) } next }
    !take || $1 == "-" { next }
    { key = file ":" line; if (!(key in seen)) { seen[key] = 1; lines[file]++; all++; text[key] = $0 } }
    $1 !~ /^[#=]/ && !hit[key]++ { reached[file]++; sum++ }
    END {
        n = 0
        for (file in lines) names[++n] = file
        for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (names[j] < names[i]) { t = names[i]; names[i] = names[j]; names[j] = t }
        for (i = 1; i <= n; i++) printf "%-24s %5d of %5d lines  %5.1f %%\n", names[i], reached[names[i]], lines[names[i]], 100 * reached[names[i]] / lines[names[i]]
        if (verbose == "-v") for (key in seen) if (!hit[key]) { t = text[key]; sub(/^[^:]*:[^:]*:/, "", t); print "  " key ":" t | "sort -t: -k1,1 -k2,2n" }
        close("sort -t: -k1,1 -k2,2n")
        for (file in lines) if (file ~ /decode[a-z_]*\.c$/ && reached[file] < 0.98 * lines[file]) bad = 1
        if (all) printf "coverage: %d of %d lines of emul/, %.1f %%\n", sum, all, 100 * sum / all
        exit bad
    }' "$out"/*.gcov
