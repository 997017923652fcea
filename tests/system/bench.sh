#!/usr/bin/env bash
# Measures Rung and prints tables; the same as JSON lines in build/bench.jsonl. usage: bench.sh [PART...], or the same in PARTS
#
#   flat     operations of a guest without a system, by the RFC's protocol (tests/bench/bench.asm)
#   ring3    the bare crossing, calls, switches and interrupts as ring 3 sees them (tests/bench/component.c)
#   events   what costs hardware time, per operation, from a counting build (make COUNT=1)
#   methods  those of flat and ring3 by method, guest-memory policy and address-space kind, one of them changed at a time
#   product  some of flat's under each combination of the three
#   rfc      100,000 port writes of Linux user space, in C and in the shell (tests/bench/rfc.c, rfc-init)
#   linux    from the kernel's entry to /init (tests/bench/linux.sh)
#
# HV=svm or vmx picks one vendor, else both; ACCEL=kvm measures on hardware. On the emulators, in their deterministic configurations, the
# TSC counts instructions: each run gives the same figures, and they are called instructions. What the guests print is kept in
# build/bench/raw, a file a run; a part that is not run keeps its last figures, and each says of which commit it is.
# Not there: filling a nested page fault. A domain's RAM is mapped before it starts.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
parts=${*:-${PARTS:-}}
[ -n "$parts" ] || parts=$([ -n "${COUNT:-}" ] && echo events || echo flat ring3 events methods product rfc linux)
user_options=${OPTS:-}
B=build

# ---- One run ------------------------------------------------------------------------------------------------------------
flat="kind=flat mem=16 bits=64 load=100000 entry=100000"

# On every CPU with one address space, unless the options say otherwise: they come last. And nothing that is measured is too long.
plain="aspace=shared depriv.quanta=100000"

boot() { # name of the run, vendor, hypervisor options, modules as for run.sh...: 0 when all domains ended cleanly
    local det=1 name=$1 vendor=$2 options=$3 status=0
    shift 3
    [ "${ACCEL:-}" != kvm ] || det=
    HV=$vendor DET=$det TIMEOUT=${TIMEOUT:-300} WORK=$work/$name LOG=$work/$name.log OPTS="$plain $options" B=$B tests/system/run.sh "$@" \
        </dev/null > "$work/$name.out" 2> "$work/$name.err" || status=1
    # Without nesting run.sh takes the emulator: its TSC without -icount is no measure of anything.
    if grep -q "does not offer nested" "$work/$name.err"; then
        echo "bench: KVM here does not offer nested virtualisation: nothing was measured; leave ACCEL=kvm out" >&2
        exit 1
    fi
    return $status
}

# The same, kept in raw/ and shown as a table. An option that this build's hypervisor refuses is a row that is skipped, with its words.
measure() { # set, vendor, options, modules...
    local set=$1 vendor=$2 options=$3 name=$2.$1
    shift 3
    if boot "$name" "$vendor" "$options" "$@"; then
        { meta Rung "$vendor" "$options"; cat "$work/$name.out"; } > "$raw/$name.out"
        return 0
    fi
    rm -f "$raw/$name.out"
    if grep -q '\[stop\] unknown option' "$work/$name.err"; then
        echo "$vendor: $options: skipped: $(grep -m1 -o 'unknown option.*' "$work/$name.err")"
        return 1
    fi
    cat "$work/$name.err" >&2
    echo "bench: $name failed" >&2
    failed=1
    return 1
}

show() { table "$raw/$1.out"; }

# ---- The parts ------------------------------------------------------------------------------------------------------------
part_flat() {
    measure flat "$1" "$user_options" --module "build/guest/bench.bin domain=bench $flat" && show "$1.flat"
    grep -hE 'domain 1:|per vcpu' "$work/$1.flat.log" 2>/dev/null | sed 's/^rung: \[bench\] /    /' || true
}

component() { echo "build/bench/component.bin domain=$1 role=component"; }

# What ring 3 sees: three runs with the same bases in one file. set, vendor, options
ring3_runs() {
    make -s build/bench/component.bin
    measure "$1" "$2" "$3" --module "build/guest/ring3.bin domain=bench $flat" --module "$(component bench)" || return 1
    measure "$1-switch" "$2" "$3" --module "build/guest/ring3_switch.bin domain=bench $flat" --module "$(component bench)" \
        --module "build/guest/partner_yields.bin domain=other $flat" --module "$(component other)" || true
    measure "$1-ticks" "$2" "$3" --module "build/guest/ring3_ticks.bin domain=bench $flat" --module "$(component bench)" \
        --module "build/guest/partner_ticks.bin domain=other $flat" || true
    { cat "$raw/$2.$1.out"; sed 1d "$raw/$2.$1-switch.out"; sed 1d "$raw/$2.$1-ticks.out"; } > "$raw/$2.new"
    rm -f "$raw/$2.$1-switch.out" "$raw/$2.$1-ticks.out"
    mv "$raw/$2.new" "$raw/$2.$1.out"
}

part_ring3() {
    ring3_runs ring3 "$1" "$user_options" && show "$1.ring3"
}

# Of all operations with the defaults, of some with each option that changes what a crossing or an access does; of ring 3's own those that one
# domain has. A run with EVENT_ROUNDS of one operation less a run with none, both from the counting build; nothing is printed in either.
EVENT_ROUNDS=100
events_of="out in out_unclaimed cpuid rdmsr wrmsr mmio_write mmio_read outsb insb rep_outsb_16 rep_outsb_256 rep_outsb_4096 rep_insb_16 rep_insb_256
    rep_insb_4096 irq irq_eoi irq_round timer_spin timer_hlt null call yield" # of stamps within an operation: all of it
part_events() {
    local option
    env -u COUNT -u B make -s COUNT=1 all
    make -s build/bench/component.bin
    B=build/count
    # shellcheck disable=SC2086 # words
    event_table "$1" events "$user_options" $events_of
    for option in depriv=0 depriv=1 depriv=2 guestmem=window guestmem=copy aspace=isolated; do
        [ -z "$user_options" ] || break
        event_table "$1" "events-${option/=/-}" "$option" out in cpuid mmio_write mmio_read outsb insb rep_outsb_256 irq_round
    done
    B=build
}

event_table() { # vendor, set, options, operations...
    local operation vendor=$1 set=$2 options=$3
    shift 3
    for operation in $(for operation in "$@"; do base_of "$operation"; done | sort -u); do
        event_run "$vendor" "$set" "$options" "$operation"
    done
    for operation in "$@"; do
        [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
        event_run "$vendor" "$set" "$options" "$operation" &
    done
    wait
    for operation in "$@"; do
        join <(counts "$vendor.$set-$operation") <(counts "$vendor.$set-$(base_of "$operation")") | awk -v o="$operation" -v n=$EVENT_ROUNDS '{ print o, $1, ($2 - $3) / n }'
    done > "$raw/$vendor.$set"
    echo "$vendor${options:+, $options}: events per operation"
    awk '!($1 in seen) { seen[$1]; row[++n] = $1 } !($2 in have) { have[$2]; column[++m] = $2 } { value[$1, $2] = $3 }
        END { printf "%-14s", ""; for (j = 1; j <= m; j++) printf " %9s", column[j]; print ""
            for (i = 1; i <= n; i++) { printf "%-14s", row[i]
                for (j = 1; j <= m; j++) printf " %9s", value[row[i], column[j]] ? sprintf("%.2f", value[row[i], column[j]]) : "."
                print "" } }' "$raw/$vendor.$set"
    echo
}

base_of() { # what runs without the operation: those of tests/bench/component.c have a guest of their own
    case $1 in
    null|call|yield) echo none-ring3 ;;
    *)               echo none ;;
    esac
}

event_run() { # vendor, set, options, operation
    local source=bench component=()
    [[ $4,$(base_of "$4") != *none-ring3* ]] || source=ring3 component=(--module "$(component bench)")
    nasm -Werror -f bin -I tests/guest/ -DN=$EVENT_ROUNDS -DONLY="${4%-ring3}" -o "$work/event-$4.bin" tests/bench/$source.asm
    boot "$1.$2-$4" "$1" "$3" --module "$work/event-$4.bin domain=bench $flat" "${component[@]}" || echo "bench: no events of $4" >&2
}

counts() { # run: sorted lines "event count"
    sed -n 's/^rung: count: //p' "$work/$1.log" | sort
}

part_methods() {
    local option set rows=
    for option in "" depriv=0 depriv=1 depriv=2 guestmem=window guestmem=copy aspace=isolated; do
        set=methods${option:+-${option/=/-}}
        measure "$set" "$1" "$(xargs <<<"$user_options $option")" --module "build/guest/bench_methods.bin domain=bench $flat" || continue
        json_lines "$raw/$1.$set.out" > "$work/$1.$set.rows"
        # Method 0 has no other component than the built-in one, and nothing to cross.
        if [ "$option" != depriv=0 ] && ring3_runs "ring3-$set" "$1" "$(xargs <<<"$user_options $option")"; then
            json_lines "$raw/$1.ring3-$set.out" >> "$work/$1.$set.rows"
        fi
        rows="$rows $work/$1.$set.rows"
    done
    # The defaults are parts flat's and ring3's, with all their writes.
    rm -f "$raw/$1.methods.out" "$raw/$1.ring3-methods.out"
    echo "$1: methods and policies ($(machine "$1"))"
    # shellcheck disable=SC2086 # words
    awk -f tests/bench/matrix.awk $rows
}

# A domain with depriv=0 has one address space and its memory mapped: there is nothing to combine.
part_product() {
    local depriv guestmem aspace options set rows=
    for depriv in 3 2 1; do for guestmem in map window copy; do for aspace in shared isolated; do
        options="depriv=$depriv guestmem=$guestmem aspace=$aspace"
        set=product-$depriv-$guestmem-$aspace
        measure "$set" "$1" "$(xargs <<<"$user_options $options")" --module "build/guest/bench_short.bin domain=bench $flat" || continue
        json_lines "$raw/$1.$set.out" > "$work/$1.$set.rows"
        rows="$rows $work/$1.$set.rows"
    done; done; done
    echo "$1: methods with policies and address spaces ($(machine "$1"))"
    # shellcheck disable=SC2086 # words
    awk -v across="out in cpuid mmio_write mmio_read outsb insb irq irq_round timer_hlt" -f tests/bench/matrix.awk $rows
}

part_rfc() {
    local option
    local kernel=build/bench/kernel-generic/vmlinuz TIMEOUT=${TIMEOUT:-1200}
    tests/system/linux.sh
    make_rfc
    # The tests' kernel is built without /dev/port, which the shell's loop writes to.
    tests/bench/kernel.sh generic || { kernel=build/linux/vmlinuz; echo "$1: without the shell's loop, which needs linux-image-amd64"; }
    for option in "" depriv=0; do
        measure "rfc${option:+-${option/=/-}}" "$1" "$(xargs <<<"$user_options $option")" --module "$kernel domain=linux kind=linux mem=256 -- $(rfc_line "$1")" \
            --module "$work/rfc.initrd domain=linux role=initrd" && show "$1.rfc${option:+-${option/=/-}}"
    done
    return 0
}
# The shell's loop: 100,000 writes in two runs; a tenth of that on Bochs, which takes some minutes for that already.
rfc_line() { echo "console=ttyS0 acpi=off pci=off noapic nolapic quiet rdinit=/rfc-init rfc.writes=$([ "$1" = svm ] && echo 50000 || echo 5000)"; }

make_rfc() { # the tests' initrd, and behind it an archive with what is measured
    local tree=$work/rfc
    mkdir -p "$tree/bin"
    gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie -fcf-protection=none \
        -fno-asynchronous-unwind-tables -Wl,--build-id=none -s -o "$tree/bin/rfc" tests/bench/rfc.c
    cp tests/bench/rfc-init "$tree/rfc-init"
    chmod 755 "$tree/rfc-init"
    find "$tree" -exec touch -h -d @1577836800 {} +
    # Not compressed: GRUB unpacks modules, and of several archives the first alone.
    { zcat build/linux/initrd; (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet); } > "$work/rfc.initrd"
}

part_linux() {
    [ "${ACCEL:-}" = kvm ] || B=$B tests/bench/linux.sh "$1" "$raw/$1.linux.json"
}

# ------------------------------------------------------------------------------------------------------------------------------
for hv in ${HV:-svm vmx}; do
    case $hv in svm|vmx) ;; *) echo "bench: HV=$hv is not one of: svm vmx" >&2; exit 2 ;; esac
done
for part in $parts; do
    declare -F "part_$part" > /dev/null || { echo "bench: no part '$part': flat ring3 events methods product rfc linux" >&2; exit 2; }
done
tests/system/install.sh run
tests/guest/build.sh
failed=0
for hv in ${HV:-svm vmx}; do
    for part in $parts; do
        "part_$part" "$hv"
    done
done
collect
exit $failed
