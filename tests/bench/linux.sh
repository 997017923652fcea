#!/usr/bin/env bash
# Instructions from the Linux kernel's entry to /init, in Rung and alone on the same emulator, both deterministic, as a ratio; and the exits by
# cause on the way. usage: linux.sh svm|vmx FILE: the figures go to FILE as a JSON line.
# The TSC counts instructions on both. The entry's TSC comes from a second run with tests/bench/entry.asm laid over the kernel's entry points.
set -eu
cd "$(dirname "$0")/../.."
hv=$1 json=$2
B=${B:-build}
work=$B/bench/linux-$hv
# Bochs's Skylake claims 3.5 GHz in CPUID 15h, and Linux alone believes it and waits 70 times too long; its Haswell has no such leaf.
[ "$hv" = svm ] || export CPU=${CPU:-corei7_haswell_4770}
line="console=ttyS0 acpi=off pci=off noapic nolapic quiet rung.test=boot" # quiet: Bochs sends at 115200 baud and the kernel waits, Rung's UART does not make it wait
mkdir -p "$work"
tests/system/linux.sh
nasm -f bin -o "$work/entry.bin" tests/bench/entry.asm

# The kernel with its entries replaced: the protected-mode part begins behind setup_sects + 1 sectors.
cp build/linux/vmlinuz "$work/vmlinuz-entry"
sectors=$(od -An -tu1 -j 497 -N 1 build/linux/vmlinuz | tr -d ' ')
dd if="$work/entry.bin" of="$work/vmlinuz-entry" bs=512 seek=$((sectors + 1)) conv=notrunc status=none

in_rung() { # kernel, name
    HV=$hv DET=1 TIMEOUT=300 WORK=$work/$2 LOG=$work/$2.log tests/system/run.sh --module "$1 domain=linux kind=linux mem=256 -- $line" \
        --module "build/linux/initrd domain=linux role=initrd" </dev/null > "$work/$2.out" 2> "$work/$2.err" || true
}

alone_svm() { # kernel, name
    : > "$work/$2.out"
    timeout 300 qemu-system-x86_64 -machine q35 -accel tcg -cpu max -icount shift=0,sleep=off -rtc base=2020-01-01,clock=vm -seed 1 -nic none \
        -m 256 -display none -monitor none -serial stdio -no-reboot -kernel "$1" -initrd build/linux/initrd -append "$line panic=-1" \
        </dev/null > "$work/$2.out" 2> "$work/$2.err" &
    wait_for_line "$work/$2.out" $!
}

# Alone on Bochs: GRUB's linux command from an ISO; the machine and its clock are those of tests/system/run.sh.
alone_vmx() {
    local tree=$work/$2.iso.d
    mkdir -p "$tree/boot/grub"
    cp "$1" "$tree/boot/vmlinuz"
    cp build/linux/initrd "$tree/boot/initrd"
    printf 'set timeout=0\nset gfxpayload=text\nmenuentry l {\n linux /boot/vmlinuz %s\n initrd /boot/initrd\n}\n' "$line" > "$tree/boot/grub/grub.cfg"
    grub-mkrescue -d /usr/lib/grub/i386-pc -o "$work/$2.iso" "$tree" > "$work/$2.mk" 2>&1
    rm -rf "$tree"
    sed -e "s#path=[^,]*#path=$work/$2.iso#; s#^com1:.*#com1: enabled=1, mode=file, dev=$work/$2.out#; /^com2/d; s#^log:.*#log: $work/$2.bochs#" \
        -e 's/^memory: .*/memory: guest=256, host=256/' "$work/rung-entry/bochsrc" > "$work/$2.rc"
    printf 'c\nq\n' > "$work/bochs.rc"
    : > "$work/$2.out"
    TERM=xterm timeout -s KILL 300 bochs-bin -q -f "$work/$2.rc" -rc "$work/bochs.rc" </dev/null > "$work/$2.err" 2>&1 &
    wait_for_line "$work/$2.out" $!
}

wait_for_line() { # file, process: until the TSC is printed, or the machine ends
    while kill -0 "$2" 2>/dev/null; do
        grep -aqE 'RUNG-INIT arithmetic' "$1" 2>/dev/null && break
        sleep 0.5
    done
    sleep 0.5
    # shellcheck disable=SC2046 # the children of timeout
    kill -KILL $(pgrep -P "$2") "$2" 2>/dev/null || true
    wait "$2" 2>/dev/null || true
}

entry_tsc() { local hex; hex=$(tr -d '\r' < "$1" | grep -aoE '[0-9a-f]{16}' | tail -n 1); echo $((16#$hex)); }
init_tsc() { sed -n 's/.*RUNG-INIT tsc \([0-9]*\).*/\1/p' "$1" | tail -n 1; }

in_rung "$work/vmlinuz-entry" rung-entry
in_rung build/linux/vmlinuz rung-init
"alone_$hv" "$work/vmlinuz-entry" alone-entry
"alone_$hv" build/linux/vmlinuz alone-init
rung=$(($(init_tsc "$work/rung-init.out") - $(entry_tsc "$work/rung-entry.out")))
alone=$(($(init_tsc "$work/alone-init.out") - $(entry_tsc "$work/alone-entry.out")))
ratio=$(awk -v a=$rung -v b=$alone 'BEGIN { printf "%.3f", a / b }')
echo "$hv: Linux, kernel entry to /init: $rung instructions in Rung, $alone alone, ratio $ratio"
sed -n 's/^rung: \[linux\] exits: /    exits until power off: /p' "$work/rung-init.log"
printf '{"name":"linux_to_init","system":"Rung","vendor":"%s","unit":"instructions","rung":%s,"alone":%s,"ratio":%s,"commit":"%s"}\n' "$hv" "$rung" "$alone" "$ratio" "$(git describe --always --dirty)" > "$json"
