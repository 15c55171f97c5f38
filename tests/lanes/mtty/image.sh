#!/usr/bin/env bash
# image.sh KERNEL FILE: an initramfs with busybox, the kernel's modules, our init and the C libraries that the programs and OpenSSL need.
set -euo pipefail
kernel=$1 file=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/bin "$root"/lib64 "$root"/etc "$root"/usr/lib/x86_64-linux-gnu
ln -s usr/lib "$root/lib"
cp "$(command -v busybox)" "$root/bin/busybox"
cp -r "$kernel/modules" "$root/modules"
cp "$here/init" "$root/init"
echo 'root:x:0:0:root:/tmp:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
libraries=(libc.so.6 libm.so.6 libgcc_s.so.1 libssl.so.3 libcrypto.so.3)
for library in "${libraries[@]}"; do
    found=$(/sbin/ldconfig -p | sed -n "s#.*$library (.*x86-64.*) => ##p" | head -1)
    [ -n "$found" ] || { echo "image.sh: this machine has no $library" >&2; exit 1; }
    cp -L "$found" "$root/usr/lib/x86_64-linux-gnu/"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$file.part"
mv "$file.part" "$file"
