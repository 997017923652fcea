#!/bin/bash
# Makes build/linux/vmlinuz (Debian's cloud kernel, as packaged) and build/linux/initrd (busybox and tests/system/init).
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/build/linux
mkdir -p "$out"

# The kernel comes out of its package; nothing is installed on this machine.
fetch_kernel() {
    local package dir=$out/package
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9]\S*\)/\1/p' | head -n 1)
    [ -n "$package" ] || { echo "rung: no linux-image-cloud-amd64 in the package lists; run apt-get update" >&2; return 1; }
    rm -rf "$dir"
    mkdir -p "$dir"
    (cd "$dir" && apt-get download -q "$package" >&2 2>/dev/null) || { echo "rung: cannot download $package" >&2; return 1; }
    dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -x -C "$dir" --wildcards './boot/vmlinuz-*'
    mv "$dir"/boot/vmlinuz-* "$out/vmlinuz"
    echo "$package" > "$out/version"
    rm -rf "$dir"
}

# A reproducible archive: same bytes for the same busybox and init, which the deterministic runs rely on.
make_initrd() {
    local root=$out/root
    rm -rf "$root"
    mkdir -p "$root"/bin "$root"/proc "$root"/sys "$root"/dev "$root"/tmp "$root"/etc
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $("$root/bin/busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    nasm -f elf64 -o "$out/tsc.o" tests/bench/tsc.asm && ld -o "$root/bin/tsc" "$out/tsc.o" && strip "$root/bin/tsc"
    cp tests/system/init "$root/init"
    chmod 755 "$root/init"
    find "$root" -exec touch -h -d @1577836800 {} +
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) | gzip -n -1 > "$out/initrd.new"
    mv "$out/initrd.new" "$out/initrd"
    rm -rf "$root"
}

[ -s "$out/vmlinuz" ] || fetch_kernel
[ -s "$out/initrd" ] && [ "$out/initrd" -nt tests/system/init ] && [ "$out/initrd" -nt tests/system/linux.sh ] || make_initrd
