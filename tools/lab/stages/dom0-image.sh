#!/bin/bash
# OUT/dom0.img: dom0's root disk (ext4, sparse). OUT/dom0.cpio: the initramfs that mounts it.
set -euo pipefail
. "$(dirname "$0")/modules.sh"
here=$(dirname "$0")/../dom0
release=$(cat "$LINUX/RELEASE")

root=$OUT/root
mkdir "$root"
tar -xf "$DOM0_ROOT/root.tar" -C "$root"
copy_modules "$LINUX" "$release" "$root" $MODULES
cp -P "$XEN_LIBS"/lib/* "$root/usr/lib/x86_64-linux-gnu/"
install -m 755 "$AGENT/agent" "$AGENT/relay" "$root/usr/local/bin/"
install -m 755 "$NODE/node" "$root/usr/local/bin/node"
install -m 755 "$here/init" "$root/usr/local/sbin/lab-init"
install -m 755 "$here/virtflex" "$root/usr/local/bin/virtflex"
for command in poweroff reboot; do
	ln -sf /bin/busybox "$root/usr/sbin/$command"
done
mkdir -p "$root"/lab/{kernel,guest,payload,logs,repo} "$root/var/log/xen" "$root/var/lib/xen"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
truncate -s 2G "$OUT/dom0.img"
mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 -d "$root" "$OUT/dom0.img"

initrd=$OUT/initrd
mkdir -p "$initrd"/{bin,dev,proc,sys,root,modules}
install -m 755 "$root/bin/busybox" "$initrd/bin/busybox"
install -m 755 "$here/initrd-init" "$initrd/init"
modules_closure "$LINUX" "$release" virtio_pci virtio_blk ext4 | while read -r file; do
	cp "$file" "$initrd/modules/"
	basename "$file" >>"$initrd/modules/order"
done
(cd "$initrd" && find . | cpio -o -H newc --quiet) >"$OUT/dom0.cpio"
rm -r "$root" "$initrd"
