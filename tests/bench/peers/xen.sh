#!/usr/bin/env bash
# Fetches Debian's Xen and the libraries that its dom0 process is linked with: build/bench/xen/{xen.elf,version,usr}. Nothing is installed.
set -eu
cd "$(dirname "$0")/../../.."
out=$PWD/build/bench/xen
hypervisor=xen-hypervisor-4.17-amd64
[ ! -s "$out/xen.elf" ] || exit 0
rm -rf "$out"
mkdir -p "$out"
(cd "$out" && apt-get download -q $hypervisor libxen-dev > /dev/null 2>&1) || { echo "rung: cannot download $hypervisor" >&2; exit 1; }
for package in "$out"/*.deb; do dpkg-deb -x "$package" "$out"; done
dpkg-deb -f "$out"/xen-hypervisor*.deb Version > "$out/version"
zcat "$out"/boot/xen-*.gz > "$out/xen.new"
rm -rf "$out"/*.deb "$out/boot"
mv "$out/xen.new" "$out/xen.elf"
