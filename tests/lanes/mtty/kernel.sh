#!/usr/bin/env bash
# kernel.sh CACHE: a Debian kernel and its sample driver mtty, in CACHE/kernel-VERSION: vmlinuz, modules/*.ko and modules/order (in the
# order they load). Prints that folder. Debian's packages are never installed (packages.sh); mtty is GPL-2.0-only, so it is built here from
# Debian's source of the same version and kept in no repository.
# A kernel that the cache has already is taken as it is, without the network; LANE_UPDATE=1 looks for a newer one.
# Exit status 3: the packages cannot be had.
set -euo pipefail
cache=$1
. "$(dirname "$0")/packages.sh"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

newest() { find "$cache" -maxdepth 1 -name 'kernel-*' ! -name '*.part' | sort -V | tail -1; }
if [ -n "$(newest)" ] && [ "${LANE_UPDATE:-}" != 1 ]; then
    newest
    exit
fi

packages_update
abi=$(apt-cache pkgnames "linux-headers-$series." | sed -n "s/^linux-headers-\(.*\)-amd64$/\1/p" | grep -v -e rt -e cloud | sort -V | tail -1)
[ -n "$abi" ] || unavailable "$release-security has no kernel $series"
version=$(packages_version "linux-headers-$abi-amd64")
made=$cache/kernel-$version
if [ -d "$made" ]; then
    echo "$made"
    exit
fi

echo "kernel.sh: fetching Debian's kernel $version (about 280 MB)" >&2
part=$made.part
rm -rf "$part"
mkdir -p "$part/modules"
trap 'rm -rf "$part"' EXIT
packages_unpack "$part/root" "linux-headers-$abi-amd64=$version" "linux-headers-$abi-common=$version" "linux-kbuild-$abi=$version" \
    "linux-image-$abi-amd64-unsigned=$version" "linux-source-$series=$version"

echo "kernel.sh: building mtty.ko" >&2
mkdir "$part/mtty"
tar -xf "$part"/root/usr/src/linux-source-$series.tar.xz -C "$part/mtty" --strip-components=3 "linux-source-$series/samples/vfio-mdev/mtty.c"
echo 'obj-m := mtty.o' >"$part/mtty/Makefile"
headers=$part/root/usr/src/linux-headers-$abi-amd64
# Debian's headers name their common part by the absolute path it would be installed at.
sed -i "s#/usr/src/linux-headers-$abi-common#$part/root/usr/src/linux-headers-$abi-common#g; s#/usr/lib/linux-kbuild#$part/root/usr/lib/linux-kbuild#g" \
    "$headers"/Makefile "$headers"/.kernelvariables 2>/dev/null || true
make -s -C "$headers" M="$part/mtty" CC=gcc CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2

tree=$part/root
[ -d "$tree/lib/modules/$abi-amd64" ] || tree=$part/root/usr
mkdir -p "$tree/lib/modules/$abi-amd64/extra"
cp "$part/mtty/mtty.ko" "$tree/lib/modules/$abi-amd64/extra/"
depmod -b "$tree" "$abi-amd64"
for module in virtio_pci virtio_net 9pnet_virtio 9p vfio vfio_iommu_type1 mtty; do
    modprobe -d "$tree" -S "$abi-amd64" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "$file")
    case $name in
        *.ko.xz) name=${name%.xz}; xz -dc "$file" >"$part/modules/$name" ;;
        *) cp "$file" "$part/modules/$name" ;;
    esac
    echo "$name"
done >"$part/modules/order"
cp "$part/root/boot/vmlinuz-$abi-amd64" "$part/vmlinuz"
rm -rf "$part/root" "$part/mtty"
mv "$part" "$made"
echo "$made"
