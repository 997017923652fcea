#!/usr/bin/env bash
# Runs the tests: the unit tests of tests/host on this machine, then the system tests of tests/system/tests.list, JOBS at a time.
#
# usage: test.sh [PATTERN]     PATTERN is a name or a glob: svm-linux, 'vmx-*', 'host-*'
# Prints "ok NAME" or "FAIL NAME: why (file)" for each and "N passed, N failed" at the end; exit status 1 if any failed.
# What a test printed is in build/test/NAME.out (guests) and build/test/NAME.log (hypervisor).
set -u
cd "$(dirname "$0")/../.."
export B=${B:-build}
JOBS=${JOBS:-2}
pattern=${1:-*}
out=$B/test
mkdir -p "$out"
rm -f "$out"/*.result
# The caller's choices are for make run; each test says its own.
unset HV ACCEL DET KIND GUEST INITRD CMDLINE MODULES MEM VCPUS OPTS TIMEOUT FIRMWARE MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

linux_line="console=ttyS0 pci=off noapic nolapic"

# ---- Module shorthands: words of a row to --module arguments -----------------------------------------------------------
#   flat:NAME[:MIB] flat32:NAME flat16:NAME    build/guest/NAME.bin in a domain NAME; an = in front of the domain's name renames: flat:a=hello64
#   linux:TEST[:MIB]                           Debian's kernel with rung.test=TEST
#   multiboot:NAME                             build/guest/NAME.elf with two modules
#   evil:NAME                                  a domain with the hostile component of that row of tests/guest/hostile/list
#   line:FILE|WORDS                            the line itself, with | for blanks
#   make:[VARIABLE=WORDS]                      `make run` itself, as a user calls it, with | for blanks
module_args() {
    local word kind rest name image mem bits load
    args=(tests/system/run.sh)
    for word in $1; do
        kind=${word%%:*} rest=${word#*:}
        name=${rest%%[=:]*} image=${rest#*=} mem=
        [[ $image != *:* ]] || mem=${image##*:}
        image=${image%%:*}
        case $kind in
        flat*)
            bits=${kind#flat} bits=${bits:-64} load=100000
            [ "$bits" != 16 ] || load=8000
            args+=(--module "$B/guest/$image.bin domain=$name kind=flat mem=${mem:-16} bits=$bits load=$load entry=$load") ;;
        linux)
            args+=(--module "build/linux/vmlinuz domain=linux kind=linux mem=${mem:-256} -- $linux_line rung.test=$image"
                   --module "build/linux/initrd domain=linux role=initrd") ;;
        multiboot)
            args+=(--module "$B/guest/$image.elf domain=$name kind=multiboot mem=${mem:-32} -- one 'two three'"
                   --module "$B/guest/hello16.bin domain=$name role=module -- first module"
                   --module "$B/guest/hello64.bin domain=$name role=module -- second") ;;
        evil)
            bits= # its name says how its component gets at the guest's memory
            case $name in *_window) bits=guestmem=window ;; *_copy) bits=guestmem=copy ;; esac
            args+=(--module "$B/guest/hello64.bin domain=$name kind=flat mem=2 bits=64 load=100000 entry=100000 $bits"
                   --module "$B/guest/hostile/$image.bin domain=$name role=component") ;;
        line)
            args+=(--module "${rest//|/ }") ;;
        make)
            [ "${args[0]}" = make ] || args=(make --no-print-directory run)
            [ -z "$rest" ] || args+=("${rest//|/ }") ;;
        *)  echo "tests.list: no such module: $word" >&2; exit 2 ;;
        esac
    done
}

# ---- Judging -----------------------------------------------------------------------------------------------------------
# What a row expects, one a line: out:REGEX and log:REGEX must be found, !out: and !log: must not, call:FUNCTION must return 0.
judge() { # name, status got, status wanted, modules, expectations
    local name=$1 line file what word guest
    case " $3 " in
    *" $2 "*|*" any "*) ;;
    *) echo "exit status $2 instead of $3"; return 1 ;;
    esac
    [ "$2" != 124 ] || [ "$3" = 124 ] || { echo "no end in time"; return 1; }
    line=$(grep -a -m1 -E '^rung: (\[panic\]|.* in ring 0 )' "$out/$name.log") && { echo "ring 0: $line"; return 1; }
    line=$(grep -a -m1 -E '(^|[ :])FAIL' "$out/$name.out") && { echo "${line%%$'\r'}"; return 1; }
    for word in $4; do # a flat guest ends with its count of checks
        [ "$3" = 0 ] || break
        case $word in
        flat*:spin*|flat*:end_*|flat*:*=spin*|flat*:*=end_*|*:bench*) continue ;;
        flat*) ;;
        *) continue ;;
        esac
        guest=${word#*:} guest=${guest#*=} guest=${guest%%:*} guest=${guest%_strict} guest=${guest%_modify} guest=${guest%_[ab]}
        grep -aqE "(^|\] )$guest: [0-9]+ checks, 0+ failed" "$out/$name.out" || { echo "guest $guest did not finish"; return 1; }
    done
    while read -r line; do
        [ -n "$line" ] || continue
        what=${line%%:*} line=${line#*:}
        file=$out/$name.${what#!}
        case $what in
        out|log)     grep -aqE -- "$line" "$file" || { echo "$what lacks: $line"; return 1; } ;;
        "!out"|"!log") ! grep -aqE -- "$line" "$file" || { echo "${what#!} has: $line"; return 1; } ;;
        call)        $line "$name" || return 1 ;;
        *)           echo "tests.list: no such expectation: $what"; return 1 ;;
        esac
    done <<<"$5"
    return 0
}

# Four spinning guests on one CPU: the fullest count is at most a quarter above the leanest.
check_share() {
    grep -aoE 'spin: count [0-9]+' "$out/$1.out" | awk '
        { n++; if (!min || $3 < min) min = $3; if ($3 > max) max = $3 }
        END { if (n != 4 || max > min * 1.25) { printf "share: %d counts, %d to %d\n", n, min, max; exit 1 } }'
}

# The same run once more gives the same bytes: guests and hypervisor, the exit counts among them.
check_same() {
    local again=$1.again
    launch "$again" || true
    sed -i 's/\r//g' "$out/$again.out"
    cmp -s "$out/$1.out" "$out/$again.out" && cmp -s "$out/$1.log" "$out/$again.log" && return 0
    echo "two runs differ: $(diff "$out/$1.log" "$out/$again.log" | head -n 3 | tr '\n' ' ')"
    return 1
}

# ---- Ways to run a row, other than at once with no input ------------------------------------------------------------------
# Waits for a line of the guest, then types into its console.
wait_for() { # file, regex, seconds
    local i
    for ((i = 0; i < $3 * 5; i++)); do
        grep -aqE "$2" "$1" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}

drive_paste() { # 64 KiB in one go; none may be lost
    local file=$out/$1.paste
    (seq -w 1 9362; echo END) > "$file"
    wait_for "$out/$1.out" 'RUNG-INIT ready' 100 && sleep 1 && cat "$file"
    echo "out:RUNG-INIT paste $(wc -c < "$file") $(sha256sum < "$file" | cut -d' ' -f1)" > "$out/$1.more"
}

drive_run() { # the guest that make run takes when it is told nothing
    wait_for "$out/$1.out" 'rung:.*# ' 100 && sleep 1 && printf 'poweroff -f\n'
}

drive_shell() {
    wait_for "$out/$1.out" 'rung:.*# ' 100 && sleep 1 && printf 'echo $((6 * 7)) is the answer\n'
    wait_for "$out/$1.out" '42 is the answer' 20 && printf 'cat\n' && sleep 1 && printf '\003' && sleep 1 && printf 'poweroff -f\n'
}

launch() { # name; the row is in env_, with | for blanks within a word, modules_, driver_
    local args env=()
    module_args "$modules_"
    read -ra env <<<"$env_"
    env=("${env[@]//|/ }")
    if [ -n "$driver_" ]; then
        local fifo=$out/$1.fifo keep
        rm -f "$fifo" "$out/$1.out"
        mkfifo "$fifo"
        (exec 7>"$fifo"; "$driver_" "${1%.again}" >&7; sleep 300 & keep=$!; echo $keep > "$out/$1.keep"; wait) 2>/dev/null &
        env "${env[@]}" WORK="$out/$1" LOG="$out/$1.log" "${args[@]}" < "$fifo" > "$out/$1.out" 2> "$out/$1.err"
        local status=$?
        [ ! -s "$out/$1.keep" ] || kill "$(cat "$out/$1.keep")" 2>/dev/null
        rm -f "$fifo" "$out/$1.keep"
        return $status
    fi
    env "${env[@]}" WORK="$out/$1" LOG="$out/$1.log" "${args[@]}" </dev/null > "$out/$1.out" 2> "$out/$1.err"
}

run_row() { # index
    local name=${names[$1]} env_=${envs[$1]} modules_=${modules[$1]} driver_=${drivers[$1]} why status start=$SECONDS
    rm -f "$out/$name.out" "$out/$name.log" "$out/$name.more"
    launch "$name"
    status=$?
    sed -i 's/\r//g' "$out/$name.out"
    [ -e "$out/$name.log" ] || cp "$out/$name.err" "$out/$name.log"
    if why=$(judge "$name" $status "${statuses[$1]}" "$modules_" "${expects[$1]}"$'\n'"$(cat "$out/$name.more" 2>/dev/null)"); then
        echo "ok $name ($((SECONDS - start)) s)" | tee "$out/$name.result"
        rm -rf "${out:?}/$name" "${out:?}/$name.again"
    else
        echo "FAIL $name: $why ($out/$name.out, $out/$name.log)" | tee "$out/$name.result"
    fi
}

# ---- Host tests: the sources that a row names, or a fuzzer of tests/host/fuzz.sh and how many inputs -----------------------
run_host() { # name, sources and words for gcc
    local name=host-$1 exe=$out/host-$1.exe log=$out/host-$1.out line words
    shift
    read -ra words <<<"$*"
    if [ "${words[0]}" = fuzz ]; then # NAME RUNS
        line=$(FUZZ_RUNS=${words[2]} tests/host/fuzz.sh "${words[1]}" 2>&1)
        [[ $line == ok\ * ]] && line="ok $name" || line="FAIL $name: ${line#FAIL }"
        echo "$line" | tee "$out/$name.result"
        return
    fi
    # shellcheck disable=SC2086,SC2048 # globs and words
    if ! gcc -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -I. -I"$B/u" $* -o "$exe" > "$log" 2>&1; then
        echo "FAIL $name: does not compile ($log)" | tee "$out/$name.result"
    elif ! timeout 300 "$exe" > "$log" 2>&1; then
        echo "FAIL $name: $(grep -m1 -E 'ERROR|runtime error|FAILED|error:' "$log" || echo "exit status") ($log)" | tee "$out/$name.result"
    else
        echo "ok $name" | tee "$out/$name.result"
    fi
}

# ---- The list --------------------------------------------------------------------------------------------------------------
names=() envs=() statuses=() modules=() expects=() drivers=()

# row CONFIG,... NAME STATUS MODULES [EXPECTATION...]: one test for each configuration, CONFIG-NAME.
declare -A config_env=(
    [svm]="HV=svm" [vmx]="HV=vmx" [svmdet]="HV=svm DET=1" [svmbios]="HV=svm FIRMWARE=bios" [svmovmf]="HV=svm FIRMWARE=ovmf"
    [svmsmp]="HV=svm CPUS=4" [vmxsmp]="HV=vmx CPUS=2" [vmxold]="HV=vmx CPU=corei7_haswell_4770")
row() {
    local configs=${1//,/ } name=$2 status=$3 mods=$4 config expect= word env
    shift 4
    local more= driver=
    for word in "$@"; do
        case $word in
        env:*)   more="$more ${word#env:}" ;;
        drive:*) driver=${word#drive:} ;;
        *)       expect="$expect$word"$'\n' ;;
        esac
    done
    for config in $configs; do
        # shellcheck disable=SC2053 # a glob
        [[ $config-$name == $pattern ]] || continue
        env=${config_env[$config]:?tests.list: no such configuration: $config}
        [[ $more == *TIMEOUT=* ]] || env="$env TIMEOUT=60"
        names+=("$config-$name") statuses+=("$status") modules+=("$mods") expects+=("$expect") drivers+=("$driver")
        envs+=("$env$more")
    done
}
# The hostile components: as many rows of their list in one boot as there are domains, and one good neighbour that must not notice.
# hostile_rows CONFIGS PREFIX CLASSES [TOKEN...]: those of some classes (a pattern), under these configurations, with more tokens for each row.
# Those that would never end by themselves go into one boot, and ring 0 ends them.
hostile_batch() { # for hostile_rows
    local config
    for config in ${configs//,/ }; do
        local -n expect=$config
        row "$config" "$prefix-$n" any "$batch flat:good=hello64" "$hello" "$neighbour" "${expect[@]}" "$@"
    done
}
hostile_rows() {
    [ ! -e "$out/hostile-build.result" ] || return 0
    local configs=$1 prefix=$2 classes=$3
    shift 3
    local name class ends defines regex n=0 batch= long= neighbour='log:\[good\] ended: powered off' hello='out:\[good\] hello from 64-bit mode'
    local -a vmx=() svm=() ended=()
    while read -r name class ends defines regex; do
        case $name in '#'*|'') continue ;; esac
        [[ $class =~ ^(${classes:-.*})$ ]] || continue
        if [ "$ends" = long ]; then
            long="$long evil:$name" ended+=("log:^rung: \\[$name\\] $regex")
            continue
        fi
        batch="$batch evil:$name"
        vmx+=("log:^rung: \\[$name\\] ${regex%% // *}") svm+=("log:^rung: \\[$name\\] ${regex##* // }")
        [ ${#vmx[@]} -ge 15 ] || continue
        n=$((n + 1))
        hostile_batch "$@"
        batch= vmx=() svm=()
    done < tests/guest/hostile/list
    [ -z "$batch" ] || { n=$((n + 1)); hostile_batch "$@"; }
    [ -z "$long" ] || row "$configs" "$prefix-forever" any "$long flat:good=hello64" "$hello" "$neighbour" "${ended[@]}" env:TIMEOUT=200 "$@"
}
host_names=() host_words=()
host() {
    # shellcheck disable=SC2053
    [[ host-$1 == $pattern ]] || return 0
    host_names+=("$1")
    shift
    host_words+=("$*")
}

tests/system/install.sh test || exit 1
tests/guest/build.sh || exit 1
if ! tests/guest/hostile/build.sh > "$out/hostile-build.out" 2>&1; then
    echo "FAIL hostile-build: $(grep -m1 error "$out/hostile-build.out") ($out/hostile-build.out)" | tee "$out/hostile-build.result"
fi
tests/system/linux.sh || exit 1
# shellcheck source=/dev/null
. tests/system/tests.list
[ $((${#names[@]} + ${#host_names[@]})) -gt 0 ] || { echo "no test has the name $pattern; names:"; pattern='*'; . tests/system/tests.list
    printf '    %s\n' "${host_names[@]/#/host-}" "${names[@]}"; exit 2; }

slots() { while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done; }
for i in "${!host_names[@]}"; do
    slots
    run_host "${host_names[$i]}" "${host_words[$i]}" &
done
for i in "${!names[@]}"; do
    slots
    run_row "$i" &
done
wait

passed=$(cat "$out"/*.result | grep -c '^ok ')
failed=$(cat "$out"/*.result | grep -c '^FAIL ')
[ "$failed" = 0 ] || { echo; cat "$out"/*.result | grep '^FAIL '; }
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
