# Sourced. in_buildroot DIR COMMAND...: runs the command in $BUILDROOT/root with DIR as /work, in a mount namespace of its own,
# so that nothing stays mounted whatever ends it.
in_buildroot() {
	local dir=$1 namespace=(--mount)
	shift
	[ "$(id -u)" = 0 ] || namespace+=(--user --map-auto --map-root-user)
	mkdir -p "$CCACHE"
	unshare "${namespace[@]}" bash -euc '
		root=$1 dir=$2 ccache=$3; shift 3
		mount --bind "$dir" "$root/work"
		mount --bind "$ccache" "$root/ccache"
		mount -t tmpfs tmpfs "$root/tmp"
		cd "$root"
		exec chroot "$root" env -i -C /work HOME=/root TERM=dumb LC_ALL=C PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin \
			CCACHE_DIR=/ccache CCACHE_MAXSIZE=2G XEN_BUILD_DATE="$(date -u)" WGET=/bin/false GIT=/bin/false \
			setpriv --pdeathsig KILL "$@"
	' in-buildroot "$BUILDROOT/root" "$dir" "$CCACHE" "$@"
}

# patched_xen DIR PATCH...: Debian's Xen source as DIR/xen with the patches applied, none with fuzz.
patched_xen() {
	local dir=$1
	shift
	cp -a "$XEN_SOURCE/xen" "$dir/xen"
	mkdir -p "$dir/patches"
	: >"$dir/patches/series"
	local patch
	for patch; do
		cp "$patch" "$dir/patches/"
		basename "$patch" >>"$dir/patches/series"
	done
	[ $# -eq 0 ] || (cd "$dir/xen" && QUILT_PC=.pc-virtflex QUILT_PATCHES="$dir/patches" quilt --quiltrc - push -a --fuzz=0)
}
