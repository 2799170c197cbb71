# Sourced. copy_modules TREE RELEASE TARGET MODULE...: the named kernel modules of TREE/lib/modules/RELEASE and what they need, to TARGET.
modules_closure() {
	local tree=$1 release=$2 module
	shift 2
	for module; do
		modprobe -d "$tree" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++'
}

# As a tree that modprobe knows, below TARGET/lib/modules.
copy_modules() {
	local tree=$1 release=$2 target=$3 file
	shift 3
	mkdir -p "$target/lib/modules/$release"
	modules_closure "$tree" "$release" "$@" | while read -r file; do
		install -D -m 644 "$file" "$target/lib/modules/$release/${file#*"/lib/modules/$release/"}"
	done
	cp "$tree/lib/modules/$release/"modules.{builtin,builtin.modinfo,order} "$target/lib/modules/$release/"
	depmod -b "$target" "$release"
}
