// SPDX-License-Identifier: GPL-2.0
/*
 * The topology page: contract 2, as <virtflex/topology_page.h> lays it out.
 *
 * The generation is raised when, and only when, something has changed that a
 * runtime should follow: which nodes are in use and which CPUs they have. A
 * node that is being left and one that has been left are the same to it, so a
 * shrink raises it once, at its beginning, and an expansion once, at its end.
 */
#include "virtflex.h"

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/topology.h>
#include <linux/unistd.h>
#include <linux/vmalloc.h>

static struct virtflex_topology_page *vf_page;
static struct virtflex_topology_page *vf_next;
static DEFINE_MUTEX(vf_page_lock);

static bool vf_usable(const struct virtflex_topology_page *page, u16 nid)
{
	return nid < VIRTFLEX_MAX_NODES &&
	       (page->node[nid].flags & VIRTFLEX_NODE_ONLINE) &&
	       !(page->node[nid].flags & VIRTFLEX_NODE_EVACUATING);
}

/* Whether the two pages differ in what a runtime follows. */
static bool vf_differs(const struct virtflex_topology_page *a,
		       const struct virtflex_topology_page *b)
{
	unsigned int i;

	for (i = 0; i < VIRTFLEX_MAX_NODES; i++)
		if (vf_usable(a, i) != vf_usable(b, i))
			return true;

	for (i = 0; i < VIRTFLEX_MAX_CPUS; i++) {
		bool in_a = vf_usable(a, a->cpu_node[i]);
		bool in_b = vf_usable(b, b->cpu_node[i]);

		if (in_a != in_b || (in_a && a->cpu_node[i] != b->cpu_node[i]))
			return true;
	}
	return false;
}

static u32 vf_flags(const struct vf_node *node)
{
	switch (node->state) {
	case VF_NODE_ONLINE:
		return VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	case VF_NODE_EVACUATING:
		return VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE | VIRTFLEX_NODE_EVACUATING;
	case VF_NODE_OFFLINE:
		break;
	}
	return VIRTFLEX_NODE_PRESENT;
}

/* 0 where the kernel that the module is built for has no migrate_next_touch(). */
#ifndef __NR_migrate_next_touch
#define __NR_migrate_next_touch 0
#endif

/* All but identity, sequence and generation. */
static void vf_fill(struct virtflex_topology_page *page)
{
	struct vf_node *node, *other;
	unsigned int cpu;

	page->node_count = nr_node_ids;
	page->cpu_count = nr_cpu_ids;
	page->reset_call = __NR_migrate_next_touch;

	for_each_vf_node(node) {
		page->node[node->nid].flags = vf_flags(node);
		page->node[node->nid].memory_kib = vf_node_actual_kib(node);
		for_each_vf_node(other)
			page->distance[node->nid][other->nid] =
				node_distance(node->nid, other->nid);
	}

	memset(page->cpu_node, 0xff, sizeof(page->cpu_node));
	cpus_read_lock();
	for_each_online_cpu(cpu)
		page->cpu_node[cpu] = cpu_to_node(cpu);
	cpus_read_unlock();
}

/**
 * vf_topology_publish() - bring the page up to date
 * @raise: raise the generation even if all that changed is not in the page
 */
void vf_topology_publish(bool raise)
{
	const size_t body = offsetof(struct virtflex_topology_page, node_count);
	bool raised;

	mutex_lock(&vf_page_lock);
	vf_fill(vf_next);
	raised = raise || vf_differs(vf_page, vf_next);

	WRITE_ONCE(vf_page->sequence, vf_page->sequence + 1);
	smp_wmb(); /* the odd sequence before any field */
	memcpy((u8 *)vf_page + body, (u8 *)vf_next + body, sizeof(*vf_page) - body);
	if (raised)
		WRITE_ONCE(vf_page->generation, vf_page->generation + 1);
	smp_wmb(); /* every field before the even sequence */
	WRITE_ONCE(vf_page->sequence, vf_page->sequence + 1);
	mutex_unlock(&vf_page_lock);

	if (raised)
		vf_runtimes_notify();
}

u64 vf_topology_generation(void)
{
	return READ_ONCE(vf_page->generation);
}

/* Maps the page read-only; -EACCES for anything else. */
int vf_topology_mmap(struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vma->vm_flags &= ~VM_MAYWRITE;
	return remap_vmalloc_range(vma, vf_page, vma->vm_pgoff);
}

void vf_topology_show(struct seq_file *seq)
{
	unsigned int from, to, cpu;
	struct vf_node *node;

	mutex_lock(&vf_page_lock);
	seq_printf(seq, "generation %llu\n", vf_page->generation);
	seq_printf(seq, "reset_call %u\n", vf_page->reset_call);
	for_each_vf_node(node) {
		const char *comma = "";

		from = node->nid;
		seq_printf(seq, "node %u %s memory_kib %llu cpus ", from,
			   vf_node_state_name(node->state), vf_page->node[from].memory_kib);
		for (cpu = 0; cpu < vf_page->cpu_count; cpu++) {
			if (vf_page->cpu_node[cpu] != from)
				continue;
			seq_printf(seq, "%s%u", comma, cpu);
			comma = ",";
		}
		if (!*comma)
			seq_puts(seq, "-");
		seq_puts(seq, " distances");
		for (to = 0; to < vf_page->node_count; to++)
			seq_printf(seq, " %u", vf_page->distance[from][to]);
		seq_putc(seq, '\n');
	}
	mutex_unlock(&vf_page_lock);
}

static int vf_cpu_changed(unsigned int cpu)
{
	vf_request_event(VF_EVENT_CPUS);
	return 0;
}

/* The first is called once a CPU runs, the second once one is dead. */
static enum cpuhp_state vf_hp_online, vf_hp_dead;

/**
 * vf_topology_init() - make the page, generation 1
 *
 * Return: 0 or a negative error.
 */
int vf_topology_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(*vf_page) > VIRTFLEX_PAGE_SIZE);
	BUILD_BUG_ON(offsetof(struct virtflex_topology_page, generation) != 64);
	BUILD_BUG_ON(offsetof(struct virtflex_topology_page, node_count) != 128);

	vf_page = vmalloc_user(VIRTFLEX_PAGE_SIZE);
	vf_next = vzalloc(VIRTFLEX_PAGE_SIZE);
	if (!vf_page || !vf_next) {
		err = -ENOMEM;
		goto err_free;
	}

	vf_page->magic = VIRTFLEX_PAGE_MAGIC;
	vf_page->abi = VIRTFLEX_PAGE_ABI;
	vf_page->page_size = VIRTFLEX_PAGE_SIZE;
	vf_topology_publish(true);

	err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "virtflex:online",
					vf_cpu_changed, NULL);
	if (err < 0)
		goto err_free;
	vf_hp_online = err;

	err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "virtflex:dead",
					NULL, vf_cpu_changed);
	if (err < 0)
		goto err_online;
	vf_hp_dead = err;

	return 0;

err_online:
	cpuhp_remove_state_nocalls(vf_hp_online);
err_free:
	vfree(vf_next);
	vfree(vf_page);
	return err;
}

/* Programs that have the page mapped keep it, as it was last. */
void vf_topology_exit(void)
{
	cpuhp_remove_state_nocalls(vf_hp_dead);
	cpuhp_remove_state_nocalls(vf_hp_online);
	vfree(vf_next);
	vfree(vf_page);
}
