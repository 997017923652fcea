#!/usr/bin/env bash
# Proves with Frama-C that the decoder stays within its bytes and tables (tests/host/decode_proof.c). Exit status 1 if not.
# About a minute on 2 cores; sources that were proved are not proved again. Without Frama-C it says so. Logs: build/proof/.
set -u
cd "$(dirname "$0")/../.."
out=${B:-build}/proof
mkdir -p "$out"

for tool in frama-c why3 z3; do
    command -v $tool >/dev/null && continue
    echo "check: note: no $tool, so the decoder is not proved (apt-get install frama-c-base why3 z3)"
    exit 0
done
sum=$(cat emul/decode*.[ch] emul/exec_rows.h emul/tables*.[ch] tests/host/decode_proof.c "$0" | sha256sum)
[ "$(cat "$out/sum" 2>/dev/null)" != "$sum" ] || exit 0

prove() { # log, options...
    local log=$out/$1.log
    shift
    timeout 1200 frama-c -c11 -machdep gcc_x86_64 -cpp-extra-args=-I. "$@" tests/host/decode_proof.c > "$log" 2>&1
}

eva() { # function of decode_proof.c, options...: no alarm and no property of unknown status
    local name=$1
    shift
    prove "$name" -eva -eva-slevel 4 -main "$name" "$@" && grep -q '^  0 alarms generated' "$out/$name.log" &&
        ! grep -qE '\[eva:alarm\]|got status (unknown|invalid)' "$out/$name.log" && return 0
    echo "check: $name: not proved ($out/$name.log)"
    return 1
}

wp() { # every goal proved
    export WHY3CONFIG=$out/why3.conf
    why3 config detect > "$out/why3.log" 2>&1
    prove wp -wp -wp-rte -wp-fct decode_any,take_prefixes,copy_body -wp-prover z3 -wp-timeout 60 &&
        grep -qE '^\[wp\] Proved goals: +([1-9][0-9]*) / \1$' "$out/wp.log" && return 0
    echo "check: the length core is not proved ($out/wp.log)"
    return 1
}

eva prove_legacy -eva-ilevel 32 &
legacy=$!
bad=0
eva prove_vector -eva-ilevel 400 || bad=1
eva prove_plain -eva-ilevel 32 -eva-use-spec decode_any || bad=1
wp || bad=1
wait $legacy || bad=1
[ $bad != 0 ] || echo "$sum" > "$out/sum"
exit $bad
