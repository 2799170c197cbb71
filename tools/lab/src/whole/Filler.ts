/**
 * A domain that never runs and takes a host's free memory, as shell commands for dom0.
 *
 * @since 0.1.0
 */

const create = (free: string, upkeep: number, cpus: string) =>
  `memory=$(($(${free}) - ${String(upkeep)}))
printf 'name="filler"\\ntype="pvh"\\nkernel="/run/virtflex-lab/vmlinux"\\nmemory=%d\\nmaxmem=%d\\nvcpus=1\\ncpus="${cpus}"\\n' $memory $memory >/run/filler.cfg
xl create -p /run/filler.cfg >/run/filler.log 2>&1`;

/** Takes what a pnode of the default host has free; 24 MiB are for the domain's own upkeep and what is left over. @since 0.1.0 */
export const fillPnode = (pnode: number) =>
  create(
    `xl info -n | sed -n '/^numa_info/,$ s/^ *${String(pnode)}: *[0-9]* *\\([0-9]*\\) .*/\\1/p'`,
    24,
    `${String(2 * pnode)}-${String(2 * pnode + 1)}`,
  );

/** Takes what the host has free. @since 0.1.0 */
export const fillHost = create("xl info free_memory", 64, "all");

/** @since 0.1.0 */
export const empty = "xl destroy filler";
