#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The package on clean installations of Debian 12: one that builds it and has no
# more than its Build-Depends, one where DKMS builds the module when it is
# installed, for the kernel of linux-headers-amd64. Needs root, mmdebstrap and
# a Debian mirror, and some minutes, so no other test runs it.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tree=$here/../..

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/sources"
OUT=$work/sources bash "$tree/tools/lab/stages/sources.sh" >/dev/null

# clean ROOT PACKAGES: a Debian 12 with these and what they depend on
clean() {
	mmdebstrap --quiet --variant=minbase --include="$2" --aptopt='APT::Install-Recommends "false"' \
		--aptopt='APT::Sandbox::User "root"' bookworm "$1" - <"$work/sources/debian.list"
}

clean "$work/build" dpkg-dev,build-essential,debhelper,dh-dkms
mkdir -p "$work/build/src/kernel" "$work/build/src/native"
cp -r "$here" "$work/build/src/kernel/module"
cp -r "$tree/native/abi" "$work/build/src/native/abi"
chroot "$work/build" /src/kernel/module/package.sh /out

depends=$(dpkg-deb -f "$work"/build/out/virtflex-dkms_*.deb Depends Recommends | sed 's/^[^:]*: //; s/ *([^)]*)//g; s/ *|[^,]*//g' | paste -sd,)
clean "$work/install" "$depends"
cp "$work"/build/out/virtflex-dkms_*.deb "$work/install/virtflex.deb"
mount -t proc proc "$work/install/proc"
trap 'umount "$work/install/proc"; rm -rf "$work"' EXIT
chroot "$work/install" dpkg -i virtflex.deb

fail() {
	echo "package.sh: $1" >&2
	exit 1
}
chroot "$work/install" dkms status virtflex | tee "$work/status"
grep -q ': installed$' "$work/status" || fail 'DKMS has not installed the module'
ko=$(find "$work/install/lib/modules" -name 'virtflex.ko*')
modinfo "$ko"
grep -q 'kmod load virtflex' "$work"/install/lib/udev/rules.d/*virtflex.rules || fail 'no udev rule'

# Every option is in the documentation.
for option in $(modinfo -F parm "$ko" | cut -d : -f 1); do
	grep -q "^| \`$option\` |" "$tree/docs/kernel-module.md" || fail "option $option is not documented"
done

chroot "$work/install" dpkg -r virtflex-dkms
[ -z "$(find "$work/install/lib/modules" -name 'virtflex.ko*')" ] || fail 'removed, and the module is still there'
echo 'package.sh: built, installed, removed'
