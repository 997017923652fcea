# Shared by the measuring scripts: where figures go, what is said of their origin, the table and the JSON lines.
# Sourced, with the tree's root as working directory.
work=build/bench
raw=$work/raw
json=build/bench.jsonl
mkdir -p "$raw"

machine() { # vendor: what the figures are of
    case ${ACCEL:-}-$1 in
    kvm-*) sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1 ;;
    *-svm) echo "QEMU $(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p') TCG, icount" ;;
    *-vmx) echo "Bochs $(dpkg-query -W -f '${Version}' bochs | sed 's/[+-].*//'), ${CPU:-corei7_skylake_x}" ;;
    esac
}

meta() { # system, vendor, options: the first line of a raw file; blanks in values are ~
    local unit=instructions
    [ "${ACCEL:-}" != kvm ] || unit=cycles
    printf "%s\n" META "system=$1" "vendor=$2" "unit=$unit" "commit=$(git describe --always --dirty 2>/dev/null || echo unversioned)" \
        "cpu=$(machine "$2")" "options=$(xargs <<<"$3")" | tr " " "~" | paste -sd " "
}

table() { awk -v mode=table -v dir="$raw" -v peers=tests/bench/peers.txt -f tests/bench/stats.awk "$1"; }

# All that is in raw/, anew.
collect() {
    local file
    for file in "$raw"/*.out; do
        [ ! -e "$file" ] || awk -v mode=json -v dir="$raw" -f tests/bench/stats.awk "$file"
    done > "$json"
    cat "$raw"/*.json >> "$json" 2>/dev/null || true
}
