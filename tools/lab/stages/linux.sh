#!/bin/bash
# Debian's current kernel, for dom0 and for guests: OUT/vmlinuz (bzImage), OUT/vmlinux (the ELF image in it: unpacking that under
# emulation would cost each guest half a minute), OUT/lib/modules/<release> with every module, OUT/RELEASE, OUT/VERSION.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"

private_apt "$OUT/apt"
package=$(apt-cache "${apt_options[@]}" depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n1)
release=${package#linux-image-}
mkdir "$OUT/deb"
(cd "$OUT/deb" && apt-get "${apt_options[@]}" download "$package")
dpkg-deb -x "$OUT"/deb/*.deb "$OUT/root"
dpkg-deb -f "$OUT"/deb/*.deb Version >"$OUT/VERSION"
echo "$release" >"$OUT/RELEASE"
mv "$OUT/root/boot/vmlinuz-$release" "$OUT/vmlinuz"
# Where the payload is: Documentation/x86/boot.rst, setup_sects (0x1f1), payload_offset (0x248), payload_length (0x24c).
field() {
	od -An -j"$1" -N"$2" -t"u$2" "$OUT/vmlinuz" | tr -d ' '
}
start=$((($(field 0x1f1 1) + 1) * 512 + $(field 0x248 4)))
dd if="$OUT/vmlinuz" bs=1M iflag=skip_bytes,count_bytes skip=$start count="$(field 0x24c 4)" status=none | xz -dc --single-stream >"$OUT/vmlinux"
cmp -n 4 "$OUT/vmlinux" <(printf '\177ELF')
depmod -b "$OUT/root" -F "$OUT/root/boot/System.map-$release" "$release"
mv "$OUT/root/lib" "$OUT/lib"
rm -r "$OUT"/{apt,deb,root}
