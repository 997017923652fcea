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

json_lines() { awk -v mode=json -v dir="$raw" -f tests/bench/stats.awk "$1"; }

# All that is in raw/, anew.
collect() {
    local file
    for file in "$raw"/*.out; do
        [ ! -e "$file" ] || json_lines "$file"
    done > "$json"
    cat "$raw"/*.json >> "$json" 2>/dev/null || true
}

# A machine like tests/system/run.sh's, for something other than Rung.
bochs_machine() { # iso, file for COM1, MiB
    cat <<END
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, serial=1, iodebug=0
config_interface: textconfig
display_library: term
cpu: model=${CPU:-corei7_skylake_x}, count=1:1:1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=$3, host=$3
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$1, status=inserted
boot: cdrom
clock: sync=none, time0=1577836800
com1: enabled=1, mode=file, dev=$2
pci: enabled=1, chipset=i440fx
panic: action=fatal
error: action=ignore
log: $2.bochs
END
}
