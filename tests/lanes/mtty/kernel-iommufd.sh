#!/usr/bin/env bash
# kernel-iommufd.sh CACHE: as kernel.sh, a kernel that Debian does not build: with iommufd, device cdevs and iommufd's mock of an IOMMU
# (iommufd.config), mtty built in, in CACHE/iommufd-VERSION-CONFIG. From Debian's source of that version, which is not kept.
# One that the cache has for this configuration is taken as it is, without the network; LANE_UPDATE=1 looks for a newer one.
# Exit status 3: the packages cannot be had.
set -euo pipefail
cache=$1
config=$(cd "$(dirname "$0")" && pwd)/iommufd.config
. "$(dirname "$0")/packages.sh"
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
of=$(sha256sum <"$config" | cut -c 1-8)

newest() { find "$cache" -maxdepth 1 -name "iommufd-*-$of" | sort -V | tail -1; }
if [ -n "$(newest)" ] && [ "${LANE_UPDATE:-}" != 1 ]; then
    newest
    exit
fi

packages_update
version=$(packages_version "linux-source-$series")
[ -n "$version" ] || unavailable "$release-security has no source of kernel $series"
made=$cache/iommufd-$version-$of
if [ -d "$made" ]; then
    echo "$made"
    exit
fi

echo "kernel-iommufd.sh: fetching Debian's source of kernel $version (about 150 MB)" >&2
part=$made.part
rm -rf "$part"
mkdir -p "$part/modules"
trap 'rm -rf "$part"' EXIT
packages_unpack "$part/root" "linux-source-$series=$version"
mkdir "$part/source"
tar -xf "$part/root/usr/src/linux-source-$series.tar.xz" -C "$part/source" --strip-components=1
rm -rf "$part/root"

make -s -C "$part/source" KCONFIG_ALLCONFIG="$config" allnoconfig >&2
lost=$(grep '^CONFIG_' "$config" | grep -vxFf "$part/source/.config" || true)
[ -z "$lost" ] || { echo "kernel-iommufd.sh: this source does not keep $lost" >&2; exit 1; }
echo "kernel-iommufd.sh: building it, which takes minutes" >&2
nice -n 10 make -s -j"$(nproc)" -C "$part/source" bzImage >&2
cp "$part/source/arch/x86/boot/bzImage" "$part/vmlinuz"
: >"$part/modules/order" # all of it is built in
rm -rf "$part/source"
mv "$part" "$made"
echo "$made"
