// SPDX-License-Identifier: GPL-2.0
/*
 * The nodes of the guest: who they are in Linux and in Xen, and what they have.
 *
 * libxl builds the guest's SRAT with vnode v as proximity domain v, and Linux
 * numbers its nodes in the order in which it meets proximity domains; so the
 * numbers are equal in practice, and pxm_to_node() is right in any case.
 */
#include "virtflex.h"

#include <linux/cpumask.h>
#include <linux/mmzone.h>
#include <linux/topology.h>

#include <acpi/acpi_numa.h>

struct vf_node vf_nodes[VIRTFLEX_MAX_NODES];

/**
 * vf_nodes_init() - learn the nodes
 *
 * To be called when nothing is ballooned out by this module: what Linux
 * manages now is what "full" means, until more has come.
 *
 * Return: 0 or -E2BIG if there are more nodes or CPUs than the page can hold.
 */
int vf_nodes_init(void)
{
	unsigned int cpu, vnode;
	struct vf_node *node;
	int nid;

	if (nr_node_ids > VIRTFLEX_MAX_NODES || nr_cpu_ids > VIRTFLEX_MAX_CPUS) {
		pr_err("%u nodes and %u CPUs are more than the topology page holds (%u, %u)\n",
		       nr_node_ids, nr_cpu_ids, VIRTFLEX_MAX_NODES, VIRTFLEX_MAX_CPUS);
		return -E2BIG;
	}

	for (nid = 0; nid < VIRTFLEX_MAX_NODES; nid++) {
		node = &vf_nodes[nid];
		node->nid = nid;
		node->vnode = -1;
		node->present = nid < nr_node_ids && node_online(nid);
		vf_balloon_init(&node->balloon);
	}

	for_each_vf_node(node) {
		node->base_pages = vf_node_managed(node);
		node->capacity_kib = (u64)node_present_pages(node->nid) * VF_KIB_PER_PAGE;
		node->target_kib = node->capacity_kib;
	}

	for (vnode = 0; vnode < VIRTFLEX_MAX_NODES; vnode++) {
		nid = pxm_to_node(vnode);
		if (nid >= 0 && nid < VIRTFLEX_MAX_NODES && vf_nodes[nid].present)
			vf_nodes[nid].vnode = vnode;
	}

	for_each_possible_cpu(cpu) {
		nid = cpu_to_node(cpu);
		if (nid >= 0 && nid < VIRTFLEX_MAX_NODES)
			__set_bit(cpu, vf_nodes[nid].cpus);
	}

	nid = cpu_to_node(0);
	if (nid >= 0 && nid < VIRTFLEX_MAX_NODES)
		vf_nodes[nid].boot = true;

	return 0;
}

/* The first node that is present behind @node, or of all; NULL at the end. */
struct vf_node *vf_node_next(const struct vf_node *node)
{
	int nid = node ? node->nid + 1 : 0;

	for (; nid < VIRTFLEX_MAX_NODES; nid++)
		if (vf_nodes[nid].present)
			return &vf_nodes[nid];
	return NULL;
}

struct vf_node *vf_node_of_vnode(unsigned int vnode)
{
	struct vf_node *node;

	for_each_vf_node(node) {
		if (node->vnode == vnode)
			return node;
	}
	return NULL;
}

struct vf_node *vf_node_of_cpu(unsigned int cpu)
{
	struct vf_node *node;

	for_each_vf_node(node) {
		if (test_bit(cpu, node->cpus))
			return node;
	}
	return NULL;
}

/* Pages of @node that Linux' allocator manages, free or not. */
unsigned long vf_node_managed(const struct vf_node *node)
{
	const struct zone *zones = NODE_DATA(node->nid)->node_zones;
	unsigned long pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		pages += zone_managed_pages((struct zone *)&zones[z]);
	return pages;
}

/*
 * What was missing when the module was loaded, the stock balloon driver's or a
 * block that was offline, may have come since.
 */
void vf_node_note_full(struct vf_node *node)
{
	node->base_pages = max(node->base_pages,
			       vf_node_managed(node) + vf_balloon_pages(node));
}

u64 vf_node_actual_kib(const struct vf_node *node)
{
	return vf_actual_kib(node->capacity_kib, node->base_pages, vf_node_managed(node));
}

/**
 * vf_node_stock_kib() - what the stock balloon driver holds of a node
 * @node: the node
 *
 * What is missing but not ours. It is for the host to have it back, by raising
 * memory/target.
 */
u64 vf_node_stock_kib(const struct vf_node *node)
{
	unsigned long missing = node->base_pages - min(node->base_pages, vf_node_managed(node));
	unsigned long ours = vf_balloon_pages(node);

	return missing > ours ? (u64)(missing - ours) * VF_KIB_PER_PAGE : 0;
}

const char *vf_node_state_name(enum vf_node_state state)
{
	static const char *const names[] = {
		[VF_NODE_ONLINE] = "online",
		[VF_NODE_EVACUATING] = "evacuating",
		[VF_NODE_OFFLINE] = "offline",
	};

	return names[state];
}
