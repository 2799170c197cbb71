#!/bin/bash
# OUT/lib: Xen's libraries (libxenlight, libxenctrl, …) with our patches, to lie over those of Debian's packages in dom0.
# OUT/include: their headers, for programs that call what the patches add.
set -euo pipefail
. "$(dirname "$0")/in-buildroot.sh"

mapfile -t patches <<<"$PATCHES"
[ -n "$PATCHES" ] || patches=()
mkdir "$OUT/tmp" "$OUT/lib"
patched_xen "$OUT/tmp" "${patches[@]}"
in_buildroot "$OUT/tmp/xen" bash -euc '
	cp /usr/share/misc/config.{sub,guess} .
	autoconf -f
	(cd tools && autoconf -f && autoheader)
	(cd docs && autoconf -f)
	./configure --prefix=/usr --libdir=/usr/lib/x86_64-linux-gnu --sysconfdir=/etc --localstatedir=/var \
		--with-libexec-libdir-suffix=/x86_64-linux-gnu --with-libexec-leaf-dir=xen-4.17 \
		--with-system-qemu=/usr/libexec/xen-qemu-system-i386 --with-system-seabios=/usr/share/seabios/bios-256k.bin \
		--disable-stubdom --disable-docs --disable-ocamltools --disable-golang --disable-qemu-traditional \
		--disable-rombios --disable-pvshim --disable-ipxe --disable-xsmpolicy
	make -j"$1" -C tools/include
	make -j"$1" -C tools/libs
	# Links to where the tree is seen from in here.
	cp -rL tools/include headers
' libs "$JOBS"
find "$OUT/tmp/xen/tools/libs" -name 'lib*.so.*' -not -name '*.d' -exec cp -P {} "$OUT/lib/" \;
mv "$OUT/tmp/xen/headers" "$OUT/include"
ls -l "$OUT/lib"
rm -r "$OUT/tmp"
