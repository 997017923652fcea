#!/usr/bin/env bash
# Draws build/bench.jsonl and the samples in build/bench/raw: build/plots/*.svg. What was not measured is left out, and said.
#   methods.svg guestmem.svg  operations by option    methods-added.svg  what a method adds to depriv=0
#   peers.svg  Rung beside KVM and Xen    histogram.svg  how one operation (OP=) spreads
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
tests/system/install.sh plots
out=build/plots
mkdir -p "$out"
[ -s "$json" ] || { echo "plots: no $json: run make bench" >&2; exit 1; }

# The median of an operation: one line of the JSON file, whose fields stats.awk writes.
median() { # operation, vendor, system as a prefix, options
    awk -v n="\"name\":\"$1\"" -v v="\"vendor\":\"$2\"" -v s="\"system\":\"$3" -v o="\"options\":\"$4\"" \
        'index($0, n) && index($0, v) && index($0, s) && index($0, o) { sub(/.*"median":/, ""); sub(/,.*/, ""); print; exit }' "$json"
}

# Bars: a group for each operation, a bar for each column. The data's first line names the columns.
bars() { # name, title, logarithmic or not, columns
    gnuplot <<END
set terminal svg size 1000,520 font "sans-serif,13" background "#ffffff"
set output "$out/$1.svg"
set title "$2"
set style data histogram
set style histogram clustered gap 2
set style fill solid 0.9 border -1
set boxwidth 0.95
set ylabel "instructions, median less the empty loop"
set grid ytics lc rgb "#dddddd"
set key outside top center horizontal
set xtics nomirror noenhanced rotate by -30
set ytics nomirror
set rmargin 9
$3
plot for [i=2:$(($4 + 1))] "$work/plot.$1" using i:xtic(1) title columnheader(i) noenhanced
END
    echo "$out/$1.svg"
}

by_option() { # name, title, then options; an empty one is the default and called so
    local name=$1 title=$2 default=$3 vendor operation option columns=0 header= column line any=
    shift 3
    header=operation
    for option in "$@"; do header="$header ${option:-$default}"; columns=$((columns + 1)); done
    echo "$header" > "$work/plot.$name"
    for vendor in svm vmx; do
        for operation in out mmio_write outsb rep_outsb_16 irq_round; do
            line=
            for option in "$@"; do
                column=$(median $operation $vendor Rung "$option")
                [ -z "$column" ] || [ -z "$option" ] || any=1
                line="$line ${column:-?}"
            done
            echo "$operation-$vendor$line"
        done
    done >> "$work/plot.$name"
    [ "$(awk 'NR > 1 { for (i = 2; i <= NF; i++) if ($i != "?") n[i] } END { c = 0; for (i in n) c++; print c }' "$work/plot.$name")" -gt 1 ] ||
        { echo "plots: no $name.svg: nothing but the default was measured"; return 0; }
    bars "$name" "$title" "set logscale y; set datafile missing \"?\"" $columns
}

# The same less what the operation costs with depriv=0, the control in ring 0.
added() { # name, title, word of the default, options
    local name=$1 title=$2 default=$3 vendor operation option line control figure columns=0
    shift 3
    line=operation
    for option in "$@"; do line="$line ${option:-$default}"; columns=$((columns + 1)); done
    echo "$line" > "$work/plot.$name"
    for vendor in svm vmx; do
        for operation in out cpuid mmio_write outsb irq irq_round; do
            control=$(median $operation $vendor Rung depriv=0)
            [ -n "$control" ] || continue
            line=
            for option in "$@"; do
                figure=$(median $operation $vendor Rung "$option")
                line="$line $([ -n "$figure" ] && echo $((figure - control)) || echo "?")"
            done
            echo "$operation-$vendor$line"
        done
    done >> "$work/plot.$name"
    [ "$(wc -l < "$work/plot.$name")" -gt 1 ] || { echo "plots: no $name.svg: depriv=0 was not measured"; return 0; }
    bars "$name" "$title" "set datafile missing \"?\"" $columns
}

peers() {
    local operation vendor
    {
        echo "operation Rung KVM Xen"
        for vendor in svm vmx; do
            for operation in out cpuid rdmsr mmio_write mmio_read outsb rep_outsb_256 irq_round; do
                # Xen's and, where it was not measured here, KVM's figures are those of peers.txt.
                awk -v o=$operation -v v=$vendor -v rung="$(median $operation $vendor Rung "")" -v kvm="$(median $operation $vendor KVM "device in a process")" \
                    '$1 == o && $2 == v { print o "-" v, rung == "" ? "?" : rung, kvm == "" ? $3 : kvm, $4 == "-" ? "?" : $4 }' tests/bench/peers.txt
            done
        done
    } > "$work/plot.peers"
    bars peers "One operation, device in ring 3 (Rung), in a process (KVM), in dom0 (Xen)" 'set logscale y; set datafile missing "?"' 3
}

histogram() { # operation
    local file list= title
    for file in "$raw"/*.out; do
        awk -v mode=samples -v only="$1" -v dir="$raw" -f tests/bench/stats.awk "$file" > "$work/plot.samples"
        [ -s "$work/plot.samples" ] || continue
        title=$(basename "$file" .out)
        case $title in *kvm-kernel|*depriv*|*guestmem*|*aspace*|*product*) continue ;; esac
        mv "$work/plot.samples" "$work/plot.$title"
        list="$list${list:+, }'$work/plot.$title' using 1:2 with impulses lw 2 title '$title'"
    done
    [ -n "$list" ] || { echo "plots: no histogram: $1 was not measured"; return 0; }
    gnuplot <<END
set terminal svg size 1000,520 font "sans-serif,13" background "#ffffff"
set output "$out/histogram.svg"
set title "Samples of $1" noenhanced
set xlabel "instructions"
set ylabel "samples"
set logscale xy
set yrange [0.5:*]
set grid lc rgb "#dddddd"
set key outside top center horizontal noenhanced
plot $list
END
    echo "$out/histogram.svg"
}

by_option methods "Cost by method" depriv=3 depriv=0 "" depriv=1 depriv=2
added methods-added "What a method adds to depriv=0" depriv=3 "" depriv=1 depriv=2
by_option guestmem "Cost by guest-memory policy" guestmem=map "" guestmem=window guestmem=copy
peers
histogram "${OP:-timer_hlt}"
