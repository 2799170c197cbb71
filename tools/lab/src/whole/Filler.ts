/**
 * A domain that never runs and takes a host's free memory, as shell commands for dom0, of a subshell: what has nothing free is full as it is.
 *
 * @since 0.1.0
 */

const create = (free: string, upkeep: number, placement: string) =>
  `memory=$(($(${free}) - ${String(upkeep)}))
[ $memory -gt 0 ] || exit 0
cat >/run/filler.cfg <<CONFIG
name="filler"
type="pvh"
kernel="/run/virtflex-lab/vmlinux"
memory=$memory
maxmem=$memory
vcpus=1
${placement}
CONFIG
xl create -p /run/filler.cfg`;

/**
 * Takes what a pnode of the default host has free, by a vnode: where a domain's CPUs are decides nothing about its memory. 24 MiB are for
 * the domain's own upkeep and what is left over. @since 0.1.0
 */
export const fillPnode = (pnode: number) =>
  create(
    `xl info -n | sed -n '/^numa_info/,$ s/^ *${String(pnode)}: *[0-9]* *\\([0-9]*\\) .*/\\1/p'`,
    24,
    `vnuma=[["pnode=${String(pnode)}","size=$memory","vcpus=0","vdistances=10"]]`,
  );

/** Takes what the host has free. @since 0.1.0 */
export const fillHost = create("xl info free_memory", 64, `cpus="all"`);

/** @since 0.1.0 */
export const empty = "xl destroy filler";
