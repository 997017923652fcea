#!/usr/bin/env bash
# Boots Rung with its guests under QEMU (SVM) or Bochs (VMX): what `make run` does, and what the tests call.
#
# Environment, as `make help` lists it: HV ACCEL DET KIND GUEST INITRD CMDLINE MODULES MEM VCPUS OPTS TIMEOUT FIRMWARE B. Besides:
# CPUS (of the machine), MEMORY (of the machine, MiB), CPU (QEMU's -cpu or Bochs's model), WORK (scratch, default build/run), LOG
# (default $WORK.log).
# usage: run.sh [--iso-only] [--gdb] [--module 'FILE WORDS...']...     --module: one line of the boot module list, instead of KIND and so on
#
# COM1 is the guests' console: this terminal, or stdin and stdout. COM2 carries the hypervisor's log, which goes to $LOG and then to
# stderr. Exit status: 0 if every domain shut down by itself, 124 after TIMEOUT seconds, 2 for a wrong request, else 1.
set -u
cd "$(dirname "$0")/../.."

B=${B:-build}
HV=${HV:-svm}
DET=${DET:-}
CPUS=${CPUS:-1}
WORK=${WORK:-$B/run}
LOG=${LOG:-$WORK.log}
FIRMWARE=${FIRMWARE:-}
modules=()
iso_only= gdb= default_guest=

say() { echo "rung: $*" >&2; }
refuse() { say "$*"; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
    --iso-only) iso_only=1 ;;
    --gdb)      gdb=1 ;;
    --module)   modules+=("${2:?}"); shift ;;
    *)          refuse "run.sh: '$1' is not one of: --iso-only --gdb --module" ;;
    esac
    shift
done

# ---- What runs it ------------------------------------------------------------------------------------------------------
# A /dev/kvm that opens says nothing: the CPU it gives must offer the extension again.
kvm_nests() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo &&
        grep -qE '^(Y|1)' /sys/module/kvm_intel/parameters/nested /sys/module/kvm_amd/parameters/nested 2>/dev/null
}

choose_accelerator() {
    case $HV in
    svm) ACCEL=${ACCEL:-tcg} ;;
    vmx) ACCEL=${ACCEL:-bochs} ;;
    *)   refuse "HV=$HV is not one of: svm vmx" ;;
    esac
    if [ "$ACCEL" = kvm ]; then
        if ! kvm_nests; then
            ACCEL=$([ "$HV" = svm ] && echo tcg || echo bochs)
            say "KVM here does not offer nested virtualisation; using $ACCEL"
        elif grep -qw vmx /proc/cpuinfo; then
            HV=vmx
        else
            HV=svm
        fi
    fi
    case $HV-$ACCEL in
    svm-tcg|vmx-bochs|svm-kvm|vmx-kvm) ;;
    *-tcg|*-bochs) refuse "ACCEL=$ACCEL cannot run HV=$HV: QEMU's TCG has SVM only, Bochs is used for VMX" ;;
    *) refuse "ACCEL=$ACCEL is not one of: tcg bochs kvm" ;;
    esac
    case $FIRMWARE in
    ""|bios) ;;
    ovmf) [ "$ACCEL" != bochs ] || refuse "FIRMWARE=ovmf runs under QEMU: HV=svm" ;;
    *) refuse "FIRMWARE=$FIRMWARE is not one of: bios ovmf" ;;
    esac
    [ -z "$DET" ] || [ "$ACCEL" != kvm ] || refuse "DET=1 needs an emulator: leave ACCEL=kvm out"
}

# ---- What runs in it ---------------------------------------------------------------------------------------------------
file_or_refuse() { [ -r "$2" ] || refuse "$1=$2: no such file"; }

describe_guest() {
    local kind=${KIND:-linux} mem=${MEM:-} name=${KIND:-linux} words
    case $kind in
    linux)
        if [ -z "${GUEST:-}" ]; then
            [ -n "${INITRD:-}${CMDLINE:-}${MODULES:-}${MEM:-}${VCPUS:-}" ] || default_guest=1
            tests/system/linux.sh || exit 1
            GUEST=$B/linux/vmlinuz
            [ "$B" = build ] || GUEST=build/linux/vmlinuz
            INITRD=${INITRD:-build/linux/initrd}
            CMDLINE=${CMDLINE:-$linux_default ${EXTRA:-}} # make exports a variable that nobody set as an empty one
        fi
        mem=${mem:-256} ;;
    multiboot|pvh|firmware) mem=${mem:-64} ;;
    flat) mem=${mem:-16} ;;
    *) refuse "KIND=$kind is not one of: linux multiboot pvh flat firmware" ;;
    esac
    [ -n "${GUEST:-}" ] || refuse "KIND=$kind needs GUEST=file"
    file_or_refuse GUEST "$GUEST"
    words="domain=$name kind=$kind mem=$mem vcpus=${VCPUS:-1}"
    if [ "$kind" = flat ]; then # BITS LOAD ENTRY: a flat image says nothing of itself
        local bits=${BITS:-64} load=${LOAD:-}
        [ -n "$load" ] || load=$([ "$bits" = 16 ] && echo 8000 || echo 100000)
        words="$words bits=$bits load=$load entry=${ENTRY:-$load}"
    fi
    modules=("$GUEST $words -- ${CMDLINE:-}")
    if [ -n "${INITRD:-}" ]; then
        file_or_refuse INITRD "$INITRD"
        modules+=("$INITRD domain=$name role=initrd")
    fi
    local module
    for module in ${MODULES:-}; do
        file_or_refuse MODULES "$module"
        modules+=("$module domain=$name role=module -- ${module##*/}")
    done
}
linux_default="console=ttyS0 pci=off noapic nolapic"

# The machine: RAM of all guests, their files, and room for the hypervisor and its boot loader.
size_machine() {
    local line total=160 mem
    for line in "${modules[@]}"; do
        mem=$(sed -n 's/.* mem=\([0-9]*\).*/\1/p' <<<"${line%% -- *}")
        case " ${line%% -- *} " in *" kind="*) total=$((total + ${mem:-256})) ;; esac
        total=$((total + $(stat -L -c %s "${line%% *}" 2>/dev/null || echo 0) * 2 / 1048576))
    done
    MEMORY=${MEMORY:-$((total < 512 ? 512 : total))}
    [ "$ACCEL" != bochs ] || [ "$MEMORY" -le 2048 ] || refuse "Bochs has at most 2048 MiB; these guests need $MEMORY (MEM)"
}

options() { # of the hypervisor
    local end=isa-debug
    [ "$ACCEL" != bochs ] || end=bochs
    echo "log=com2 end=$end ${OPTS:-}"
}

# ---- The boot medium ---------------------------------------------------------------------------------------------------
quote_words() { # each word in single quotes for GRUB's script; a quote inside becomes '\''
    local word
    set -f
    for word in $1; do printf " '%s'" "${word//\'/\'\\\'\'}"; done
    set +f
}

make_iso() { # file, hypervisor options, words for grub-mkrescue
    local iso=$1 tree=$WORK/iso n=0 line
    rm -rf "$tree"
    mkdir -p "$tree/boot/grub"
    ln "$B/rung.elf" "$tree/boot/rung.elf" 2>/dev/null || cp "$B/rung.elf" "$tree/boot/rung.elf"
    {
        echo "set timeout=0"
        echo "insmod all_video"
        echo 'if [ "$grub_platform" = pc ]; then set gfxpayload=text; fi' # Bochs's terminal display has text modes only
        echo "menuentry Rung {"
        echo "    multiboot2 /boot/rung.elf$(quote_words "$2")"
        for line in "${modules[@]}"; do
            ln -L "${line%% *}" "$tree/boot/$n" 2>/dev/null || cp "${line%% *}" "$tree/boot/$n"
            echo "    module2 /boot/$n$(quote_words "${line#* }")"
            n=$((n + 1))
        done
        echo "}"
    } > "$tree/boot/grub/grub.cfg"
    shift 2
    grub-mkrescue "$@" -o "$iso" "$tree" > "$WORK/mkrescue.log" 2>&1 || { cat "$WORK/mkrescue.log" >&2; exit 1; }
    rm -rf "$tree"
}

# The default guest with the menu of boot/grub.cfg.
make_default_iso() { # file
    local tree=$WORK/iso
    rm -rf "$tree"
    mkdir -p "$tree/boot/grub"
    cp boot/grub.cfg "$tree/boot/grub/grub.cfg"
    cp -L "$B/rung.elf" build/linux/vmlinuz build/linux/initrd "$tree/boot/"
    grub-mkrescue -o "$1" "$tree" > "$WORK/mkrescue.log" 2>&1 || { cat "$WORK/mkrescue.log" >&2; exit 1; }
    rm -rf "$tree"
}

# QEMU -initrd takes "file words,file words": a comma in the words is doubled.
qemu_modules() {
    local line list=
    for line in "${modules[@]}"; do list="$list,${line//,/,,}"; done
    echo "${list#,}"
}

# ---- QEMU --------------------------------------------------------------------------------------------------------------
run_qemu() {
    local args=(-m "$MEMORY" -smp "$CPUS" -nic none -display none -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=4")
    local kernel=1
    case $ACCEL in
    tcg) args+=(-machine q35 -accel tcg -cpu "${CPU:-max}") ;;
    kvm) args+=(-machine q35 -accel kvm -cpu "${CPU:-host}") ;;
    esac
    [ -z "$DET" ] || args+=(-icount "shift=0,sleep=off" -rtc "base=2020-01-01,clock=vm" -seed 1)
    [ -z "$gdb" ] || { args+=(-s -S); say "gdb: target remote :1234, symbols in $B/rung.elf"; }
    if [ "$FIRMWARE" = ovmf ]; then
        args+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
               -drive "if=pflash,unit=1,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd")
    fi
    [ -z "$FIRMWARE" ] || kernel=
    if [ -n "$kernel" ]; then
        args+=(-kernel "$B/rung32.elf" -append "$(options)" -initrd "$(qemu_modules)")
    else
        make_iso "$WORK/run.iso" "$(options)"
        args+=(-cdrom "$WORK/run.iso")
    fi
    if [ -n "$interactive" ]; then
        args+=(-chardev "stdio,id=com1,mux=on,signal=off" -serial chardev:com1 -mon chardev=com1)
    else
        args+=(-serial stdio -monitor none)
    fi
    args+=(-serial "file:$LOG")
    if [ -n "${TIMEOUT:-}" ]; then
        timeout --foreground -k 5 "$TIMEOUT" qemu-system-x86_64 "${args[@]}"
    else
        qemu-system-x86_64 "${args[@]}"
    fi
    case $? in
    33)      return 0 ;;
    124|137) return 124 ;;
    *)       return 1 ;;
    esac
}

# ---- Bochs -------------------------------------------------------------------------------------------------------------
bochs_config() { # com1's mode. Emulated time is deterministic, and runs ahead while the guest idles; for a person it keeps pace
    local clock="sync=none, time0=1577836800"
    [ -z "$interactive" ] || [ -n "$DET" ] || clock="sync=slowdown, time0=utc"
    cat <<END
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, parallel=0, serial=1, iodebug=0
config_interface: textconfig
display_library: term
cpu: model=${CPU:-corei7_skylake_x}, count=$CPUS:1:1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=$MEMORY, host=$MEMORY
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$WORK/run.iso, status=inserted
boot: cdrom
clock: $clock
com1: enabled=1, $1
com2: enabled=1, mode=file, dev=$LOG
pci: enabled=1, chipset=i440fx
port_e9_hack: enabled=0
magic_break: enabled=1
panic: action=fatal
error: action=report
log: $WORK/bochs.log
END
}

# The debugger runs the machine until the hypervisor stops it with XCHG BX,BX (success: q, status 0) or Bochs ends (status 1).
# It reads commands from its own input, so COM1 is a file when nobody types, and else a pseudo-terminal that socat joins to stdin.
run_bochs() {
    local com1=$WORK/com1 bridge= feed= status
    printf 'c\nq\n' > "$WORK/bochs.rc"
    make_iso "$WORK/run.iso" "$(options)" -d /usr/lib/grub/i386-pc
    rm -f "$com1"
    if [ -n "$has_input" ]; then
        local ours=STDIO
        [ -z "$interactive" ] || ours=STDIO,raw,echo=0,escape=0x01
        socat "PTY,link=$com1,raw,echo=0,wait-slave" "$ours,ignoreeof" <&3 >&4 &
        bridge=$!
        local try
        for try in 1 2 3 4 5 6 7 8 9 10; do [ -e "$com1" ] && break; sleep 0.1; done
        bochs_config "mode=term, dev=$com1" > "$WORK/bochsrc"
        # Ctrl-A ends the bridge, and with it the run.
        [ -z "$interactive" ] || TIMEOUT=${TIMEOUT:-86400}
    else
        : > "$com1"
        tail -q -n +1 -s 0.2 -f "$com1" &
        feed=$!
        bochs_config "mode=file, dev=$com1" > "$WORK/bochsrc"
    fi
    TERM=xterm timeout -s KILL "${TIMEOUT:-86400}" bochs-bin -q -f "$WORK/bochsrc" -rc "$WORK/bochs.rc" \
        </dev/null >"$WORK/bochs.out" 2>&1 &
    local bochs=$!
    trap 'kill -KILL -- $(pgrep -P $bochs) $bochs 2>/dev/null; kill $bridge $feed 2>/dev/null; exit 1' INT TERM HUP
    if [ -n "$interactive" ]; then
        wait -n "$bochs" "$bridge"
        # shellcheck disable=SC2046 # the children of timeout
        kill -0 "$bridge" 2>/dev/null || kill -KILL $(pgrep -P "$bochs") 2>/dev/null
    fi
    wait "$bochs" 2>/dev/null
    status=$?
    sleep 0.3
    [ -z "$bridge$feed" ] || { kill $bridge $feed; wait $bridge $feed; } 2>/dev/null
    trap - INT TERM HUP
    case $status in
    0)   return 0 ;;
    137) return 124 ;;
    *)   return 1 ;;
    esac
}

# ------------------------------------------------------------------------------------------------------------------------
tests/system/install.sh run || exit 1
mkdir -p "$WORK" "$(dirname "$LOG")"
choose_accelerator
[ ${#modules[@]} -gt 0 ] || describe_guest
[ -r "$B/rung.elf" ] || refuse "$B/rung.elf is not built: run make"

if [ -n "$iso_only" ]; then
    if [ -n "$default_guest" ] && [ -z "${OPTS:-}" ]; then
        make_default_iso "$B/rung.iso"
    else
        make_iso "$B/rung.iso" "end=poweroff ${OPTS:-}"
    fi
    say "$B/rung.iso: boots from CD and USB, BIOS and UEFI"
    exit 0
fi

size_machine
interactive= has_input=
if [ -t 0 ] && [ -t 1 ]; then
    interactive=1 has_input=1
    say "the guest's console is this terminal; leave with 'poweroff' in the guest, or Ctrl-A$([ "$ACCEL" = bochs ] || echo ' X'); log: $LOG"
else
    TIMEOUT=${TIMEOUT:-120}
    [ /dev/stdin -ef /dev/null ] || has_input=1
fi
rm -f "$LOG"
exec 3<&0 4>&1
case $ACCEL in
bochs) run_bochs ;;
*)     run_qemu ;;
esac
status=$?
[ ! -s "$LOG" ] || cat "$LOG" >&2
if [ $status = 124 ]; then say "no end within ${TIMEOUT:-} s"; fi
exit $status
