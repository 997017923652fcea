#!/usr/bin/env bash
# Runs the benchmark guest and prints its figures as a table; the same as JSON lines in build/bench.jsonl.
#
# HV=svm or vmx picks one vendor, else both; ACCEL=kvm measures on hardware. On the emulators, in their deterministic configurations,
# the TSC counts instructions, and that is what the figures are then called. With COUNT=1 (build/count) also the events of one write.
set -eu
cd "$(dirname "$0")/../.."
B=${B:-build}
json=build/bench.jsonl
work=$B/bench
mkdir -p "$work"
tests/system/install.sh run
tests/guest/build.sh

run() { # vendor, guest: output in $work/vendor-guest.out and .log
    local det=1
    [ "${ACCEL:-}" != kvm ] || det=
    HV=$1 DET=$det TIMEOUT=${TIMEOUT:-300} WORK=$work/$1-$2 LOG=$work/$1-$2.log OPTS="${OPTS:-}" tests/system/run.sh \
        --module "build/guest/$2.bin domain=bench kind=flat mem=16 bits=64 load=100000 entry=100000" \
        </dev/null > "$work/$1-$2.out" 2> "$work/$1-$2.err" || { cat "$work/$1-$2.err" >&2; echo "bench: the run on $1 failed" >&2; return 1; }
}

field() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" <<<"$2"; }

table() { # vendor
    local unit=instructions line name build cpu
    [ "${ACCEL:-}" != kvm ] || unit=cycles
    build=$(sed -n 's/^rung: build \([^,]*\),.*/\1/p' "$work/$1-bench.log")
    cpu=$(sed -n 's/^rung: cpu: \(.*\), [a-z]*, TSC.*/\1/p' "$work/$1-bench.log")
    sed -n "s/^rung: \[bench\] per vcpu/$1: per vcpu/p" "$work/$1-bench.log"
    echo "$1: $unit per operation, less the empty loop ($cpu, ${OPTS:-default options})"
    printf '%-14s %7s %7s %7s %7s %7s %7s %7s | %7s %7s %6s\n' operation n min q1 median q3 max mean KVM Xen goal
    while read -r line; do
        line=${line%$'\r'} name=$(sed 's/.*name=\([a-z_0-9]*\).*/\1/' <<<"$line")
        [ "$name" != empty ] || continue
        printf '%-14s' "$name"
        for f in n min q1 median q3 max mean; do printf ' %7s' "$(field $f "$line")"; done
        # shellcheck disable=SC2046 # three words, or none
        printf ' | %7s %7s %6s\n' $(awk -v n="$name" -v v="$1" '$1 == n && $2 == v { print $3, $4, $5 }' tests/bench/peers.txt)
        {
            printf '{"name":"%s","hv":"%s","unit":"%s"' "$name" "$1" "$unit"
            for f in n min q1 median q3 max mean; do printf ',"%s":%s' $f "$(field $f "$line")"; done
            printf ',"cpu":"%s","options":"%s","build":"%s"}\n' "$cpu" "${OPTS:-}" "$build"
        } >> "$json"
    done < <(grep -a 'BENCH name=' "$work/$1-bench.out")
    echo
}

# Events that cost hardware time, per port write: the run with 10,000 writes less the run without, from a counting build.
events() { # vendor
    run "$1" bench_port
    run "$1" bench_none
    echo "$1: events per port write"
    join <(sed -n 's/^rung: count: //p' "$work/$1-bench_port.log" | sort) <(sed -n 's/^rung: count: //p' "$work/$1-bench_none.log" | sort) |
        awk '{ printf "%-16s %8.2f\n", $1, ($2 - $3) / 10000 }' | tee "$work/$1-events.txt"
    awk -v hv="$1" '{ printf "{\"name\":\"out\",\"hv\":\"%s\",\"event\":\"%s\",\"per_operation\":%s}\n", hv, $1, $2 }' "$work/$1-events.txt" >> "$json"
    echo
}

: > "$json"
for hv in ${HV:-svm vmx}; do
    run "$hv" bench
    table "$hv"
    [ -z "${COUNT:-}" ] || events "$hv"
    [ "${ACCEL:-}" = kvm ] || [ -n "${COUNT:-}" ] || tests/bench/linux.sh "$hv"
done
