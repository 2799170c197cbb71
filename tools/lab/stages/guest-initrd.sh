#!/bin/bash
# OUT/initrd: a guest's whole root file system as an initramfs.
set -euo pipefail
. "$(dirname "$0")/modules.sh"
here=$(dirname "$0")/../guest
release=$(cat "$LINUX/RELEASE")

root=$OUT/root
mkdir "$root"
tar -xf "$GUEST_ROOT/root.tar" -C "$root" --exclude='./usr/share/*' --exclude='*perl*' --exclude='*/gconv' --exclude='./usr/include' \
	--exclude='*.a' --exclude='./var/*'
copy_modules "$LINUX" "$release" "$root" $MODULES
install -m 755 "$AGENT/agent" "$root/usr/bin/agent"
install -m 755 "$here/init" "$root/init"
mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc,var/log}
# Every command that no Debian package brought, poweroff for Xen's shutdown request among them.
"$root/bin/busybox" --list-full | while read -r applet; do
	name=${applet##*/}
	[ "$name" != busybox ] || continue
	for dir in bin sbin usr/bin usr/sbin; do
		[ ! -e "$root/$dir/$name" ] && [ ! -L "$root/$dir/$name" ] || continue 2
	done
	mkdir -p "$root/${applet%/*}"
	ln -s /bin/busybox "$root/$applet"
done
mkdir -p "$root/etc/modprobe.d"
# Debian's kernel lets no process of a guest make hypercalls; tests of what Xen refuses have to.
echo 'options xen-privcmd unrestricted=1' >"$root/etc/modprobe.d/lab.conf"
echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
ldconfig -r "$root"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$OUT/initrd"
rm -r "$root"
