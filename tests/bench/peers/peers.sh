#!/usr/bin/env bash
# Measures KVM and Xen with the guest that measures Rung, on the same emulated machines: what `make bench-peers` runs.
#
# KVM: Debian's cloud kernel, and kvm.c is its first process. Xen: Debian's, dom0 is the generic kernel with xen.c as first process. Both with
# mitigations off; SVM under QEMU's TCG with -icount, VMX under Bochs. The TSC counts instructions there, so each run gives the same
# figures. HV=svm or vmx picks one, PEERS="kvm xen" one peer. Figures go to build/bench/raw and into build/bench.jsonl beside Rung's.
set -eu
cd "$(dirname "$0")/../../.."
. tests/bench/lib.sh
export HV=${HV:-svm vmx}
quiet="quiet mitigations=off nokaslr"
warnings="-std=gnu11 -O2 -Wall -Wextra -Wshadow -Werror"
qemu="-machine q35 -accel tcg -icount shift=0,sleep=off -rtc base=2020-01-01,clock=vm -seed 1 -nic none -display none -monitor none -serial stdio -no-reboot"

# ---- First processes and their archives: not compressed, since GRUB unpacks modules --------------------------------------------------
make_initrd() { # name, guest, modules
    local tree=$work/$1.root
    shift
    cp "build/guest/$1.bin" "$tree/bench.bin"
    shift
    [ $# = 0 ] || cp "$@" "$tree/"
    find "$tree" -exec touch -h -d @1577836800 {} +
    (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) > "${tree%.root}.initrd"
}

prepare_kvm() {
    kernel=build/bench/kernel-cloud
    tests/bench/kernel.sh cloud irqbypass kvm kvm-amd kvm-intel
    rm -rf "$work/kvm.root"
    mkdir -p "$work/kvm.root/dev"
    # shellcheck disable=SC2086 # words
    gcc $warnings -static -s -o "$work/kvm.root/init" tests/bench/peers/kvm.c
    make_initrd kvm bench_short $kernel/*.ko
    label="KVM $(sed 's/linux-image-//' $kernel/version)"
    runs="process kernel"
}

prepare_xen() {
    local files=build/bench/xen
    kernel=build/bench/kernel-generic
    tests/bench/kernel.sh generic xen-privcmd xen-evtchn
    tests/bench/peers/xen.sh
    rm -rf "$work/xen.root"
    mkdir -p "$work/xen.root/dev"
    # shellcheck disable=SC2086 # words
    gcc $warnings -I$files/usr/include -static -s -o "$work/xen.root/init" tests/bench/peers/xen.c -L$files/usr/lib/x86_64-linux-gnu \
        -lxenctrl -lxendevicemodel -lxenforeignmemory -lxenevtchn -lxengnttab -lxencall -lxentoollog -lxentoolcore
    make_initrd xen bench_xen $kernel/*.ko
    label="Xen $(sed 's/+.*//' $files/version)"
    runs=process
}
xen_line="dom0_mem=384M,max:384M dom0_max_vcpus=1 com1=115200,8n1 console=com1 spec-ctrl=no xpti=0 noreboot=1"

# ---- The machines ------------------------------------------------------------------------------------------------------------------
wait_for_end() { # file, process, ends that must be printed: or the machine has ended by itself
    while kill -0 "$2" 2>/dev/null; do
        [ "$(grep -ac '^PEER end' "$1")" -lt "$3" ] && ! grep -aqE '^PEER failed|Kernel panic' "$1" || break
        sleep 0.5
    done
    sleep 1
    # shellcheck disable=SC2046 # the children of timeout
    kill -KILL $(pgrep -P "$2") "$2" 2>/dev/null || true
    wait "$2" 2>/dev/null || true
}

# TCG's `max` has features that KVM and Xen would offer to the guest and save at each switch: an EPYC is closer to what runs SVM. Xen without
# SMAP and MONITOR, where TCG errs.
# shellcheck disable=SC2086 # words
kvm_svm() { # output
    timeout "${TIMEOUT:-900}" qemu-system-x86_64 $qemu -cpu EPYC,+svm -m 512 -kernel $kernel/vmlinuz -initrd "$work/kvm.initrd" \
        -append "console=ttyS0 $quiet" < /dev/null > "$1" 2> "$1.err" &
    wait_for_end "$1" $! 2
}
# shellcheck disable=SC2086
xen_svm() { # output
    timeout "${TIMEOUT:-900}" qemu-system-x86_64 $qemu -cpu EPYC,+svm,-smap,-monitor -m 1024 -kernel build/bench/xen/xen.elf -append "$xen_line" \
        -initrd "$kernel/vmlinuz console=hvc0 $quiet,$work/xen.initrd" < /dev/null > "$1" 2> "$1.err" &
    wait_for_end "$1" $! 1
}

# Bochs's Skylake states 3.5 GHz in CPUID, where its TSC counts 50 million a second: Linux is told.
bochs() { # output, ends, MiB, GRUB's lines; the tree of the medium is there
    local tree=$work/peer.iso.d
    mkdir -p "$tree/boot/grub"
    printf 'set timeout=0\nset gfxpayload=text\nmenuentry l {\n%s\n}\n' "$4" > "$tree/boot/grub/grub.cfg"
    grub-mkrescue -d /usr/lib/grub/i386-pc -o "$work/peer.iso" "$tree" > "$work/peer.mk" 2>&1
    rm -rf "$tree"
    bochs_machine "$work/peer.iso" "$1" "$3" > "$work/peer.rc"
    printf 'c\nq\n' > "$work/bochs.rc"
    : > "$1"
    TERM=xterm timeout -s KILL "${TIMEOUT:-1800}" bochs-bin -q -f "$work/peer.rc" -rc "$work/bochs.rc" < /dev/null > "$1.err" 2>&1 &
    wait_for_end "$1" $! "$2"
}

medium() { # files for the medium
    rm -rf "$work/peer.iso.d"
    mkdir -p "$work/peer.iso.d/boot"
    cp "$@" "$work/peer.iso.d/boot/"
}

kvm_vmx() { # output
    medium $kernel/vmlinuz "$work/kvm.initrd"
    bochs "$1" 2 512 "linux /boot/vmlinuz console=ttyS0 $quiet tsc_early_khz=50000
initrd /boot/kvm.initrd"
}

xen_vmx() { # output
    medium $kernel/vmlinuz "$work/xen.initrd" build/bench/xen/xen.elf
    bochs "$1" 1 1024 "multiboot /boot/xen.elf $xen_line apicv=0
module /boot/vmlinuz console=hvc0 $quiet
module /boot/xen.initrd"
}

# ---- ---------------------------------------------------------------------------------------------------------------------------------
keep() { # vendor, output, run as the first process calls it
    local what="device in a process"
    [ "$3" = process ] || what="device in the kernel: ioeventfd"
    [ "$peer" = kvm ] || what="device in dom0, HVM"
    { meta "$label" "$1" "$what"
      sed -n "/^PEER device=$3/,/^PEER end/p" "$2"; } > "$raw/$1.$peer-$3.out"
    table "$raw/$1.$peer-$3.out"
}

for peer in ${PEERS:-kvm xen}; do
    declare -F "prepare_$peer" > /dev/null || { echo "bench-peers: PEERS=$peer is not one of: kvm xen" >&2; exit 2; }
done
tests/system/install.sh peers
tests/guest/build.sh
for peer in ${PEERS:-kvm xen}; do
    "prepare_$peer"
    for hv in $HV; do
        out=$work/$hv.$peer.out
        "${peer}_$hv" "$out"
        sed -i 's/\r//g' "$out"
        grep -q '^PEER end' "$out" || { tail -n 5 "$out" >&2; echo "bench-peers: $peer on $hv failed ($out)" >&2; exit 1; }
        for run in $runs; do keep "$hv" "$out" "$run"; done
    done
done
collect
