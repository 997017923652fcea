#!/usr/bin/env bash
# Measures KVM with the guest that measures Rung, on the same emulated machines, and shows both: what `make bench-peers` runs.
#
# Debian's cloud kernel boots with mitigations off, and peers/kvm.c is its first process: SVM under QEMU's TCG with -icount, VMX under
# Bochs. The TSC counts instructions there, so each run gives the same figures. HV=svm or vmx picks one. Figures go to build/bench/raw
# and into build/bench.jsonl beside Rung's.
set -eu
cd "$(dirname "$0")/../../.."
. tests/bench/lib.sh
tests/system/install.sh peers
tests/guest/build.sh
tests/bench/kernel.sh cloud irqbypass kvm kvm-amd kvm-intel
kernel=build/bench/kernel-cloud
line="console=ttyS0 quiet mitigations=off nokaslr random.trust_cpu=on"

make_initrd() { # one archive, not compressed: GRUB unpacks modules
    local tree=$work/peer.root
    rm -rf "$tree"
    mkdir -p "$tree/dev"
    gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -Werror -static -s -o "$tree/init" tests/bench/peers/kvm.c
    cp build/guest/bench_short.bin "$tree/bench.bin"
    cp $kernel/*.ko "$tree/"
    find "$tree" -exec touch -h -d @1577836800 {} +
    (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) > "$work/peer.initrd"
    rm -rf "$tree"
}

wait_for_end() { # file, process: until the second run's end is printed, or the machine has ended by itself
    while kill -0 "$2" 2>/dev/null; do
        [ "$(grep -ac '^PEER end' "$1")" -lt 2 ] && ! grep -aqE '^PEER failed|Kernel panic' "$1" || break
        sleep 0.5
    done
    sleep 1
    # shellcheck disable=SC2046 # the children of timeout
    kill -KILL $(pgrep -P "$2") "$2" 2>/dev/null || true
    wait "$2" 2>/dev/null || true
}

run_svm() { # output. TCG's `max` has features that KVM then offers to the guest and saves at each exit: an EPYC is closer to what runs SVM
    timeout 600 qemu-system-x86_64 -machine q35 -accel tcg -cpu "${CPU:-EPYC,+svm}" -icount shift=0,sleep=off -rtc base=2020-01-01,clock=vm -seed 1 -nic none \
        -m 512 -display none -monitor none -serial stdio -no-reboot -kernel $kernel/vmlinuz -initrd "$work/peer.initrd" -append "$line" \
        < /dev/null > "$1" 2> "$1.err" &
    wait_for_end "$1" $!
}

run_vmx() { # output. Bochs's Skylake states 3.5 GHz in CPUID, where its TSC counts 50 million a second: Linux is told
    local tree=$work/peer.iso.d
    mkdir -p "$tree/boot/grub"
    cp $kernel/vmlinuz "$work/peer.initrd" "$tree/boot/"
    printf 'set timeout=0\nset gfxpayload=text\nmenuentry l {\n linux /boot/vmlinuz %s tsc_early_khz=50000\n initrd /boot/peer.initrd\n}\n' "$line" > "$tree/boot/grub/grub.cfg"
    grub-mkrescue -d /usr/lib/grub/i386-pc -o "$work/peer.iso" "$tree" > "$work/peer.mk" 2>&1
    rm -rf "$tree"
    bochs_machine "$work/peer.iso" "$1" 512 > "$work/peer.rc"
    printf 'c\nq\n' > "$work/bochs.rc"
    : > "$1"
    TERM=xterm timeout -s KILL 900 bochs-bin -q -f "$work/peer.rc" -rc "$work/bochs.rc" < /dev/null > "$1.err" 2>&1 &
    wait_for_end "$1" $!
}

keep() { # vendor, output, device as kvm.c calls it, options as the tables call them
    { meta "KVM $(sed 's/linux-image-//' $kernel/version)" "$1" "$4"
      sed -n "/^PEER device=$3/,/^PEER end/p" "$2"; } > "$raw/$1.kvm-$3.out"
    table "$raw/$1.kvm-$3.out"
}

make_initrd
for hv in ${HV:-svm vmx}; do
    out=$work/$hv.peer.out
    "run_$hv" "$out"
    sed -i 's/\r//g' "$out"
    [ "$(grep -c '^PEER end' "$out")" = 2 ] || { tail -n 5 "$out" >&2; echo "bench-peers: KVM on $hv failed ($out)" >&2; exit 1; }
    keep "$hv" "$out" process "device in a process"
    keep "$hv" "$out" kernel "device in the kernel: ioeventfd"
done
collect
