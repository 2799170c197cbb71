// SPDX-License-Identifier: GPL-2.0
/*
 * One change of the topology, from what the nodes are to what the host wants
 * them to be.
 *
 *   accepted    it makes sense
 *   evacuating  nodes that leave are marked so, the generation is raised, and
 *               runtimes get a share of the deadline to leave them
 *   resizing    memory comes; nodes that leave are isolated, lose their vCPUs,
 *               are drained, and their memory goes
 *   settling    nodes that arrived get their vCPUs and are shown to runtimes,
 *               which get a share of the deadline to spread
 *
 * A request is a wish, not a command: whatever it is called, every node that
 * the host names is brought to where the host wants it. It is done as a whole
 * or not at all: whatever stops it, what it has done so far is undone.
 */
#include "virtflex.h"

#include <linux/cpumask.h>
#include <linux/topology.h>

/* What a change has done to a node, and what the node was before. */
struct vf_undo {
	u64 target_kib;
	u64 capacity_kib;
	enum vf_node_state state;
	unsigned long pages_in;
	unsigned long pages_out;
};

static const struct vf_wishes *vf_wishes;
static struct vf_undo vf_undo[VIRTFLEX_MAX_NODES];
static DECLARE_BITMAP(vf_cpus_off, VIRTFLEX_MAX_CPUS);
static DECLARE_BITMAP(vf_cpus_on, VIRTFLEX_MAX_CPUS);

static const struct vf_wish *vf_wish_of(const struct vf_node *node)
{
	const struct vf_wish *wish;

	if (node->vnode < 0)
		return NULL;
	wish = &vf_wishes->vnode[node->vnode];
	return wish->named ? wish : NULL;
}

static bool vf_leaves(const struct vf_node *node)
{
	const struct vf_wish *wish = vf_wish_of(node);

	return wish && !wish->online && vf_undo[node->nid].state == VF_NODE_ONLINE;
}

static bool vf_arrives(const struct vf_node *node)
{
	const struct vf_wish *wish = vf_wish_of(node);

	return wish && wish->online && vf_undo[node->nid].state == VF_NODE_OFFLINE;
}

/*
 * Pages that this module should take from the node, or give to it if
 * negative. What the stock balloon driver holds of the node is left out, lest
 * `xl mem-set` makes every later request look like a change of every node.
 */
static long vf_excess(const struct vf_node *node)
{
	u64 stock_kib = vf_node_stock_kib(node);
	s64 kib = (s64)(vf_node_actual_kib(node) + stock_kib) - (s64)node->target_kib;

	return div_s64(kib, VF_KIB_PER_PAGE);
}

static enum vf_code vf_check_wish(unsigned int vnode, const struct vf_wish *wish,
				  unsigned long *seen)
{
	struct vf_node *node = vf_node_of_vnode(vnode);
	unsigned int cpu;

	if (!node) {
		vf_request_why("numa/node/%u: no such node here", vnode);
		return VF_BAD_NODE;
	}
	if (wish->target_kib > wish->capacity_kib) {
		vf_request_why("numa/node/%u/target: more than its capacity", vnode);
		return VF_BAD_NODE;
	}
	for_each_set_bit(cpu, wish->cpus, VIRTFLEX_MAX_CPUS) {
		bool here = cpu < nr_cpu_ids && cpu_possible(cpu);

		if (__test_and_set_bit(cpu, seen) || (here && !test_bit(cpu, node->cpus))) {
			vf_request_why("numa/node/%u/vcpus: CPU %u belongs to another node",
				       vnode, cpu);
			return VF_BAD_NODE;
		}
	}
	if (node->boot && !wish->online) {
		vf_request_why("numa/node/%u/desired: the boot CPU's node stays", vnode);
		return VF_HOME_NODE;
	}
	return VF_OK;
}

/* Whether the wishes fit this guest. Changes nothing. */
static enum vf_code vf_check(void)
{
	DECLARE_BITMAP(seen, VIRTFLEX_MAX_CPUS) = { 0 };
	unsigned int vnode, named = 0;
	enum vf_code code;

	for (vnode = 0; vnode < VIRTFLEX_MAX_NODES; vnode++) {
		if (!vf_wishes->vnode[vnode].named)
			continue;
		named++;
		code = vf_check_wish(vnode, &vf_wishes->vnode[vnode], seen);
		if (code)
			return code;
	}
	if (!named) {
		vf_request_why("numa/node: names no node");
		return VF_BAD_NODE;
	}
	return VF_OK;
}

static void vf_accept(void)
{
	const struct vf_wish *wish;
	struct vf_node *node;

	bitmap_zero(vf_cpus_off, VIRTFLEX_MAX_CPUS);
	bitmap_zero(vf_cpus_on, VIRTFLEX_MAX_CPUS);

	for_each_vf_node(node) {
		vf_node_note_full(node);
		vf_undo[node->nid] = (struct vf_undo) {
			.target_kib = node->target_kib,
			.capacity_kib = node->capacity_kib,
			.state = node->state,
		};
		wish = vf_wish_of(node);
		if (wish) {
			node->capacity_kib = wish->capacity_kib;
			node->target_kib = wish->target_kib;
		}
	}
	vf_request_progress("accepted");
}

static enum vf_code vf_evacuate(void)
{
	struct vf_node *node;
	bool any = false;

	for_each_vf_node(node) {
		if (!vf_leaves(node))
			continue;
		WRITE_ONCE(node->state, VF_NODE_EVACUATING);
		any = true;
	}
	if (!any)
		return VF_OK;

	vf_topology_publish(false);
	vf_time_note(VF_TIME_PUBLISHED);
	vf_request_progress("evacuating");
	return vf_request_wait_for_runtimes();
}

static enum vf_code vf_grow_node(struct vf_node *node)
{
	unsigned long pages, ours, come;
	long excess = vf_excess(node);
	enum vf_code stop;

	if (excess >= 0)
		return VF_OK;

	pages = -excess;
	ours = vf_balloon_pages(node);
	come = vf_balloon_in(node, min(pages, ours));
	vf_undo[node->nid].pages_in += come;
	vf_time_note(VF_TIME_MEMORY_IN);
	if (come + VF_TOLERANCE_PAGES >= pages)
		return VF_OK;

	stop = vf_request_stop();
	if (stop)
		return stop;
	vf_request_why("node %d: the host gave %lu of %lu KiB", node->nid,
		       come * VF_KIB_PER_PAGE, pages * VF_KIB_PER_PAGE);
	return VF_NO_MEMORY;
}

static enum vf_code vf_isolate(void)
{
	DECLARE_BITMAP(cpus, VIRTFLEX_MAX_CPUS) = { 0 };
	enum vf_code code;
	struct vf_node *node;

	for_each_vf_node(node) {
		if (!vf_leaves(node))
			continue;
		code = vf_drain_begin(node, true);
		if (code)
			return code;
		vf_time_note(VF_TIME_ISOLATED);
		bitmap_or(cpus, cpus, node->cpus, VIRTFLEX_MAX_CPUS);
	}

	bitmap_and(vf_cpus_off, cpus, cpumask_bits(cpu_online_mask), nr_cpu_ids);
	if (bitmap_empty(vf_cpus_off, nr_cpu_ids))
		return VF_OK;
	code = vf_vcpus_offline(vf_cpus_off);
	vf_time_note(VF_TIME_VCPUS_OFF);
	return code;
}

static enum vf_code vf_shrink_node(struct vf_node *node)
{
	unsigned long pages, enough, gone;
	long excess = vf_excess(node);
	enum vf_code code;

	if (excess <= 0) {
		vf_drain_end(node);
		return VF_OK;
	}

	if (!vf_leaves(node)) {
		code = vf_drain_begin(node, node->state == VF_NODE_OFFLINE);
		if (code)
			return code;
	}

	pages = excess;
	enough = pages - min(pages, VF_TOLERANCE_PAGES);
	code = vf_drain(node, pages, enough);
	if (code)
		return code;
	vf_time_note(VF_TIME_PAGES_LEFT);

	gone = vf_balloon_out(node, pages);
	vf_time_note(VF_TIME_MEMORY_OUT);
	vf_undo[node->nid].pages_out += gone;
	vf_drain_end(node);
	if (gone >= enough)
		return VF_OK;

	code = vf_request_stop();
	if (code)
		return code;
	vf_request_why("node %d: Xen took %lu of %lu KiB", node->nid,
		       gone * VF_KIB_PER_PAGE, pages * VF_KIB_PER_PAGE);
	return VF_INTERNAL;
}

static enum vf_code vf_resize(void)
{
	enum vf_code code;
	struct vf_node *node;

	vf_request_progress("resizing");
	vf_time_note(VF_TIME_RESIZING);

	for_each_vf_node(node) {
		if (!vf_wish_of(node) || vf_leaves(node))
			continue;
		code = vf_grow_node(node);
		if (code)
			return code;
	}

	code = vf_isolate();
	if (code)
		return code;

	for_each_vf_node(node) {
		if (!vf_wish_of(node))
			continue;
		code = vf_shrink_node(node);
		if (code)
			return code;
	}
	return vf_request_stop();
}

static enum vf_code vf_settle(void)
{
	u64 before = vf_topology_generation();
	enum vf_code code = VF_OK;
	struct vf_node *node;
	bool raised;

	for_each_vf_node(node) {
		if (vf_leaves(node))
			WRITE_ONCE(node->state, VF_NODE_OFFLINE);
		if (vf_arrives(node)) {
			WRITE_ONCE(node->state, VF_NODE_ONLINE);
			bitmap_or(vf_cpus_on, vf_cpus_on, node->cpus, VIRTFLEX_MAX_CPUS);
		}
	}

	bitmap_andnot(vf_cpus_on, vf_cpus_on, cpumask_bits(cpu_online_mask), nr_cpu_ids);
	if (!bitmap_empty(vf_cpus_on, nr_cpu_ids)) {
		code = vf_vcpus_online(vf_cpus_on);
		vf_time_note(VF_TIME_VCPUS_ON);
	}
	if (code)
		return code;

	/* A rehomed node looks as before; runtimes should place anew all the same. */
	vf_topology_publish(vf_wishes->request.op == VF_OP_REHOME);
	raised = vf_topology_generation() != before;
	if (raised)
		vf_time_note(VF_TIME_PUBLISHED);
	vf_request_progress("settling");
	return raised ? vf_request_wait_for_runtimes() : vf_request_stop();
}

/* Gives back what the change took. Returns whether all of it has come. */
static bool vf_undo_out(struct vf_node *node)
{
	const struct vf_undo *undo = &vf_undo[node->nid];
	unsigned long come;

	vf_drain_end(node);
	node->target_kib = undo->target_kib;
	node->capacity_kib = undo->capacity_kib;
	WRITE_ONCE(node->state, undo->state);

	come = vf_balloon_in(node, undo->pages_out);
	if (come < undo->pages_out && !vf_request_stop())
		vf_request_why("node %d: the host gave back %lu of %lu KiB", node->nid,
			       come * VF_KIB_PER_PAGE, undo->pages_out * VF_KIB_PER_PAGE);
	return come == undo->pages_out;
}

/*
 * Takes back what the change gave, or as much of it as can be had. Returns
 * whether all of it has gone.
 */
static bool vf_undo_in(struct vf_node *node)
{
	const struct vf_undo *undo = &vf_undo[node->nid];
	unsigned long gone = 0;

	if (!undo->pages_in)
		return true;
	if (!vf_drain_begin(node, undo->state == VF_NODE_OFFLINE)) {
		vf_drain(node, undo->pages_in, undo->pages_in);
		gone = vf_balloon_out(node, undo->pages_in);
	}
	vf_drain_end(node);
	return gone >= undo->pages_in;
}

/* Undoes what the change has done. Returns whether everything is as before. */
static bool vf_roll_back(void)
{
	struct vf_node *node;
	bool restored = true;

	vf_request_undoing(true);

	bitmap_and(vf_cpus_on, vf_cpus_on, cpumask_bits(cpu_online_mask), nr_cpu_ids);
	if (!bitmap_empty(vf_cpus_on, nr_cpu_ids))
		restored &= !vf_vcpus_offline(vf_cpus_on);

	for_each_vf_node(node)
		restored &= vf_undo_out(node);
	if (!bitmap_empty(vf_cpus_off, nr_cpu_ids))
		restored &= !vf_vcpus_online(vf_cpus_off);
	vf_topology_publish(false);

	for_each_vf_node(node)
		restored &= vf_undo_in(node);
	vf_topology_publish(false);

	vf_request_undoing(false);
	return restored;
}

/**
 * vf_change() - do what the host wants, or nothing
 * @wishes: what it wants
 *
 * Return: VF_OK, or why not; all is as before then, but for VF_RESTORE.
 */
enum vf_code vf_change(const struct vf_wishes *wishes)
{
	enum vf_code code;

	vf_wishes = wishes;
	code = vf_check();
	if (code)
		return code;

	vf_accept();
	code = vf_evacuate();
	if (!code)
		code = vf_resize();
	if (!code)
		code = vf_settle();
	if (code && !vf_roll_back())
		code = VF_RESTORE;
	return code;
}

/**
 * vf_change_give_back() - everything back, for a module that goes
 *
 * What Xen has no memory for is left to the stock balloon driver.
 *
 * Return: whether there was anything to give.
 */
bool vf_change_give_back(void)
{
	DECLARE_BITMAP(cpus, VIRTFLEX_MAX_CPUS) = { 0 };
	unsigned long pages = 0;
	struct vf_node *node;
	bool any = false;

	vf_request_undoing(true);
	for_each_vf_node(node) {
		vf_drain_end(node);
		any |= vf_balloon_pages(node) || node->state != VF_NODE_ONLINE;
		vf_balloon_in(node, vf_balloon_pages(node));
		pages += vf_balloon_hand_over(node);
		if (node->state != VF_NODE_ONLINE)
			bitmap_or(cpus, cpus, node->cpus, VIRTFLEX_MAX_CPUS);
		node->target_kib = node->capacity_kib;
		WRITE_ONCE(node->state, VF_NODE_ONLINE);
	}
	if (!bitmap_empty(cpus, nr_cpu_ids))
		vf_vcpus_online(cpus);
	vf_topology_publish(false);
	vf_request_undoing(false);

	if (pages)
		pr_warn("Xen has no memory for %lu KiB; it is left to the stock balloon driver\n",
			pages * VF_KIB_PER_PAGE);
	return any;
}
