#!/usr/bin/env bash
# kernel.sh CACHE: a Debian kernel and its sample driver mtty, in CACHE/kernel-VERSION: vmlinuz, modules/*.ko and modules/order (in the
# order they load). Prints that folder. The packages come through an apt configuration of their own and are only unpacked, never
# installed; mtty is GPL-2.0-only, so it is built here from Debian's source of the same version and kept in no repository.
# A kernel that the cache has already is taken as it is, without the network; LANE_UPDATE=1 looks for a newer one.
# Exit status 3: the packages cannot be had.
set -euo pipefail
cache=$1
series=6.12 release=bookworm # of bookworm-security, built with bookworm's compiler; mtty can migrate since 6.8
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

newest() { find "$cache" -maxdepth 1 -name 'kernel-*' ! -name '*.part' | sort -V | tail -1; }
if [ -n "$(newest)" ] && [ "${LANE_UPDATE:-}" != 1 ]; then
    newest
    exit
fi

apt=$cache/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"
cat >"$apt/sources.list" <<SOURCES
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security $release-security main
SOURCES
cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
CONF
export APT_CONFIG=$apt/apt.conf
unavailable() { echo "kernel.sh: $*" >&2; exit 3; }
apt-get update -qq >&2 || unavailable "the package lists of $release-security cannot be fetched"

abi=$(apt-cache pkgnames "linux-headers-$series." | sed -n "s/^linux-headers-\(.*\)-amd64$/\1/p" | grep -v -e rt -e cloud | sort -V | tail -1)
[ -n "$abi" ] || unavailable "$release-security has no kernel $series"
version=$(apt-cache show "linux-headers-$abi-amd64" | sed -n 's/^Version: //p' | sort -V | tail -1)
made=$cache/kernel-$version
if [ -d "$made" ]; then
    echo "$made"
    exit
fi

echo "kernel.sh: fetching Debian's kernel $version (about 280 MB)" >&2
part=$made.part
rm -rf "$part"
mkdir -p "$part/debs" "$part/root" "$part/modules"
trap 'rm -rf "$part"' EXIT
(cd "$part/debs" && apt-get download -qq "linux-headers-$abi-amd64=$version" "linux-headers-$abi-common=$version" "linux-kbuild-$abi=$version" \
    "linux-image-$abi-amd64-unsigned=$version" "linux-source-$series=$version" >&2) || unavailable "the packages of kernel $version cannot be fetched"
for deb in "$part"/debs/*.deb; do dpkg-deb -x "$deb" "$part/root"; done

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
rm -rf "$part/debs" "$part/root" "$part/mtty"
mv "$part" "$made"
echo "$made"
