// SPDX-License-Identifier: GPL-2.0
/*
 * virtflex: lets a Xen host change this guest's NUMA topology while it runs,
 * and tells OpenMP runtimes. See docs/kernel-module.md.
 */
#include "virtflex.h"

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>

#include <xen/xen.h>

bool vf_scrub = true;
module_param_named(scrub, vf_scrub, bool, 0644);
MODULE_PARM_DESC(scrub, "Clear memory before Xen gets it (default: yes)");

bool vf_other_pnode;
module_param_named(other_pnode, vf_other_pnode, bool, 0644);
MODULE_PARM_DESC(other_pnode,
		 "Take memory from another physical node rather than none (default: no)");

unsigned int vf_reserve_mib = 32;
module_param_named(reserve_mib, vf_reserve_mib, uint, 0644);
MODULE_PARM_DESC(reserve_mib, "Available memory that a shrink leaves, MiB (default: 32)");

unsigned int vf_ack_percent = 25;
module_param_named(ack_percent, vf_ack_percent, uint, 0644);
MODULE_PARM_DESC(ack_percent,
		 "Share of the deadline to wait for runtimes, percent (default: 25)");

unsigned int vf_drain_mib_s;
module_param_named(drain_mib_s, vf_drain_mib_s, uint, 0644);
MODULE_PARM_DESC(drain_mib_s,
		 "How fast pages may move off a node, MiB a second (default: 0, as fast as they can)");

static struct proc_dir_entry *vf_dir;

static int __init vf_check_machine(void)
{
	if (!xen_domain())
		pr_err("this machine is not a Xen guest\n");
	else if (xen_initial_domain())
		pr_err("this is dom0, whose topology is not virtual\n");
	else if (xen_pv_domain())
		pr_err("this is a PV guest, which has no virtual NUMA; PVH or HVM is needed\n");
	else
		return 0;
	return -ENODEV;
}

static int __init vf_init(void)
{
	int err;

	err = vf_check_machine();
	if (err)
		return err;

	err = vf_nodes_init();
	if (err)
		return err;

	err = vf_topology_init();
	if (err)
		return err;

	vf_dir = proc_mkdir("virtflex", NULL);
	err = vf_dir ? vf_status_init(vf_dir) : -ENOMEM;
	if (err)
		goto err_proc;
	err = vf_drain_init();
	if (err)
		goto err_proc;
	err = vf_vcpu_init();
	if (err)
		goto err_drain;
	err = vf_request_init();
	if (err)
		goto err_vcpu;
	/* Last: who polls it waits within the module, which must not fail to load then. */
	err = vf_runtimes_init(vf_dir);
	if (err)
		goto err_request;
	return 0;

err_request:
	vf_request_exit();
err_vcpu:
	vf_vcpu_exit();
err_drain:
	vf_drain_exit();
err_proc:
	proc_remove(vf_dir);
	vf_topology_exit();
	return err;
}

static void __exit vf_exit(void)
{
	vf_request_exit();
	vf_vcpu_exit();
	vf_drain_exit();
	proc_remove(vf_dir);
	vf_topology_exit();
}

module_init(vf_init);
module_exit(vf_exit);

MODULE_DESCRIPTION("Changes of a running Xen guest's NUMA topology");
MODULE_AUTHOR("The Virtflex authors");
MODULE_LICENSE("GPL");
