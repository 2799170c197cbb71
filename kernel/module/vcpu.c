// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs of nodes that come and go.
 *
 * drivers/xen/cpu_hotplug.c makes a CPU present or takes it away when the host
 * writes cpu/<n>/availability. It does so in xenbus' watch thread, and neither
 * add_cpu() nor remove_cpu() is safe against a CPU that disappears meanwhile.
 * So this module switches CPUs in that thread too: in the callback of a watch
 * that is registered behind the stock driver's. Events are delivered in order,
 * hence whatever the host wrote before has been seen to when it is called.
 */
#include "virtflex.h"

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>

#include <xen/xenbus.h>

/* The work of vf_vcpus_switch(), for its watch's callback. */
static const unsigned long *vf_switch_cpus;
static bool vf_switch_on;
static int vf_switch_err;
static DECLARE_COMPLETION(vf_switched);

/* The host lets us use the CPU, and the stock driver has made it present. */
static bool vf_available(unsigned int cpu)
{
	bool online;

	return cpu_present(cpu) && get_cpu_device(cpu) &&
	       !vf_store_availability(cpu, &online) && online;
}

static int vf_cpu_on(unsigned int cpu)
{
	if (!cpu_possible(cpu) || cpu_online(cpu) || !vf_available(cpu))
		return 0;
	return add_cpu(cpu);
}

static int vf_cpu_off(unsigned int cpu)
{
	if (!cpu_online(cpu) || !get_cpu_device(cpu))
		return 0;
	return remove_cpu(cpu);
}

static void vf_switch(struct xenbus_watch *watch, const char *path, const char *token)
{
	unsigned int cpu;
	int err;

	for_each_set_bit(cpu, vf_switch_cpus, nr_cpu_ids) {
		err = vf_switch_on ? vf_cpu_on(cpu) : vf_cpu_off(cpu);
		if (err && !vf_switch_err)
			vf_switch_err = err;
	}
	complete(&vf_switched);
}

static enum vf_code vf_vcpus_switch(const unsigned long *cpus, bool on)
{
	struct xenbus_watch watch = {
		.node = "cpu",
		.callback = vf_switch,
	};

	vf_switch_cpus = cpus;
	vf_switch_on = on;
	vf_switch_err = 0;
	reinit_completion(&vf_switched);

	/* A watch fires once when it is registered. */
	if (register_xenbus_watch(&watch)) {
		vf_request_why("cpu: cannot be watched");
		return VF_INTERNAL;
	}
	wait_for_completion(&vf_switched);
	unregister_xenbus_watch(&watch);

	if (!vf_switch_err)
		return VF_OK;
	vf_request_why("a vCPU does not go %s (%d)", on ? "online" : "offline", vf_switch_err);
	return VF_INTERNAL;
}

/**
 * vf_vcpus_offline() - take CPUs out of use
 * @cpus: which; those that are off already stay so
 *
 * Return: VF_OK or VF_INTERNAL.
 */
enum vf_code vf_vcpus_offline(const unsigned long *cpus)
{
	return vf_vcpus_switch(cpus, false);
}

/**
 * vf_vcpus_online() - put CPUs to use
 * @cpus: which; those that the host has not made available are left out, and
 *        come by themselves when it does
 *
 * Return: VF_OK or VF_INTERNAL.
 */
enum vf_code vf_vcpus_online(const unsigned long *cpus)
{
	return vf_vcpus_switch(cpus, true);
}

/* CPUs whose availability the host has written. */
static DECLARE_BITMAP(vf_written, VIRTFLEX_MAX_CPUS);

/*
 * The host has written below "cpu". The stock driver's watch of the same key may
 * fire later than this one: so the worker sees to it, by a watch that is newer.
 */
static void vf_cpu_event(struct xenbus_watch *watch, const char *path, const char *token)
{
	const char *cpu_path = strstr(path, "cpu/");
	unsigned int cpu;

	if (!cpu_path || sscanf(cpu_path, "cpu/%u/availability", &cpu) != 1 ||
	    cpu >= nr_cpu_ids)
		return;

	set_bit(cpu, vf_written);
	vf_request_event(VF_EVENT_AVAILABLE);
}

/**
 * vf_vcpus_follow() - put CPUs to use that the host has made available
 *
 * Those of nodes that are in use; the others come with their node.
 */
void vf_vcpus_follow(void)
{
	DECLARE_BITMAP(cpus, VIRTFLEX_MAX_CPUS) = { 0 };
	struct vf_node *node;
	unsigned int cpu;

	for_each_set_bit(cpu, vf_written, nr_cpu_ids) {
		clear_bit(cpu, vf_written);
		node = vf_node_of_cpu(cpu);
		if (node && node->state == VF_NODE_ONLINE)
			__set_bit(cpu, cpus);
	}
	if (!bitmap_empty(cpus, nr_cpu_ids))
		vf_vcpus_online(cpus);
}

static struct xenbus_watch vf_cpu_watch = {
	.node = "cpu",
	.callback = vf_cpu_event,
};

int vf_vcpu_init(void)
{
	return register_xenbus_watch(&vf_cpu_watch);
}

void vf_vcpu_exit(void)
{
	unregister_xenbus_watch(&vf_cpu_watch);
}
