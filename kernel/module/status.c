// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/virtflex/status: for people and for tests. One fact a line, a name
 * and its values; sizes in KiB.
 */
#include "virtflex.h"

#include <linux/proc_fs.h>

static int vf_status_show(struct seq_file *seq, void *unused)
{
	unsigned int adapted, known;
	struct vf_node *node;

	vf_request_show(seq);
	vf_time_show(seq);

	vf_runtimes_count(&adapted, &known);
	seq_printf(seq, "generation %llu\n", vf_topology_generation());
	seq_printf(seq, "runtimes %u/%u\n", adapted, known);

	for_each_vf_node(node) {
		const struct vf_balloon *balloon = &node->balloon;

		seq_printf(seq,
			   "node %d vnode %d %s actual %llu target %llu capacity %llu stock %llu supers %lu smalls %lu in_hand %lu moved %llu unmovable %llu\n",
			   node->nid, node->vnode, vf_node_state_name(node->state),
			   vf_node_actual_kib(node), node->target_kib, node->capacity_kib,
			   vf_node_stock_kib(node), balloon->nr_supers, balloon->nr_smalls,
			   balloon->nr_taken * (VF_SUPER_PAGES * VF_KIB_PER_PAGE) +
			   balloon->nr_kept * VF_KIB_PER_PAGE,
			   node->moved_kib, node->unmovable_kib);
	}

	seq_printf(seq, "hypercalls out %llu in %llu\n",
		   vf_balloon_stats.calls_out, vf_balloon_stats.calls_in);
	seq_printf(seq, "extents_2m out %llu in %llu\n",
		   vf_balloon_stats.supers_out, vf_balloon_stats.supers_in);
	seq_printf(seq, "extents_4k out %llu in %llu\n",
		   vf_balloon_stats.smalls_out, vf_balloon_stats.smalls_in);
	seq_printf(seq, "mended %llu\n", vf_balloon_stats.mended);
	return 0;
}

/**
 * vf_status_init() - make the file
 * @dir: /proc/virtflex
 *
 * Return: 0 or -ENOMEM.
 */
int vf_status_init(struct proc_dir_entry *dir)
{
	return proc_create_single("status", 0444, dir, vf_status_show) ? 0 : -ENOMEM;
}
