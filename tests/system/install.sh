#!/bin/bash
# Installs the Debian packages that building, running and testing Rung need, if they are missing and this user may.
# usage: install.sh [run|build|test|peers|plots|emul]: the packages of one purpose; without a word all of them
set -u

build="gcc make nasm binutils acpica-tools psf-unifont"
run="qemu-system-x86 ovmf bochs bochs-term bochsbios vgabios grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools cpio
     busybox-static socat"
plots="gnuplot-nox"
peers="libc6-dev procps"
test="libc6-dev libcmocka-dev libzydis-dev libunicorn-dev cppcheck procps frama-c-base why3 z3 clang libclang-rt-14-dev"
emul="libc6-dev libcmocka-dev libzydis-dev libunicorn-dev valgrind clang libclang-rt-14-dev"

case "${1:-all}" in
build) want=$build ;;
run)   want="$build $run" ;;
peers) want="$build $run $peers" ;;
plots) want="$plots" ;;
emul)  want="$build $emul" ;;
test|all) want="$build $run $test" ;;
*) echo "install.sh: '$1' is not one of: build run test peers plots emul" >&2; exit 2 ;;
esac

missing=
for package in $want; do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)
    [ "${status:0:2}" = ii ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "rung: missing packages; as root: apt-get install -y$missing" >&2
        exit 1
    fi
    root=sudo
fi
echo "rung: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -q >&2 || echo "rung: apt-get update failed; trying with the lists as they are" >&2
# shellcheck disable=SC2086 # the list is words
if ! $root apt-get install -y -q --no-install-recommends $missing >&2; then
    echo "rung: could not install:$missing" >&2
    exit 1
fi
