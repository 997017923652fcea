#!/usr/bin/env bash
# Fetches a Debian kernel and some of its modules from its package: build/bench/kernel-FLAVOUR/{vmlinuz,version,*.ko}. Nothing is installed.
# usage: kernel.sh cloud|generic [MODULE...]     cloud: what the tests boot; generic: with /dev/port, and as Xen's dom0
set -eu
cd "$(dirname "$0")/../.."
flavour=$1
shift
out=$PWD/build/bench/kernel-$flavour
case $flavour in
cloud)   meta=linux-image-cloud-amd64 ;;
generic) meta=linux-image-amd64 ;;
*) echo "kernel.sh: '$flavour' is not one of: cloud generic" >&2; exit 2 ;;
esac

have_all() {
    local module
    [ -s "$out/vmlinuz" ] || return 1
    for module in "$@"; do [ -e "$out/$module.ko" ] || return 1; done
}
have_all "$@" && exit 0

package=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9]\S*\)/\1/p' | head -n 1)
[ -n "$package" ] || { echo "rung: no $meta in the package lists; run apt-get update" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out/package"
(cd "$out/package" && apt-get download -q "$package" > /dev/null 2>&1) || { echo "rung: cannot download $package" >&2; exit 1; }
names=(--wildcards './boot/vmlinuz-*')
for module in "$@"; do names+=("*/$module.ko"); done
dpkg-deb --fsys-tarfile "$out"/package/*.deb | tar -x -C "$out/package" "${names[@]}"
mv "$out"/package/boot/vmlinuz-* "$out/vmlinuz"
find "$out/package" -name '*.ko' -exec mv {} "$out/" \;
echo "$package" > "$out/version"
rm -rf "$out/package"
