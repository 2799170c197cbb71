/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the page doesn't tell of CPUs: which share a core, a socket, a last-level
 * cache.  Read from the kernel's sysfs (Documentation/admin-guide/cputopology.rst,
 * Documentation/ABI/testing/sysfs-devices-system-cpu).
 */
#ifndef VIRTFLEX_MACHINE_H
#define VIRTFLEX_MACHINE_H

#include "virtflex/cpus.h"

#define VFRT_SYSFS "/sys"

enum vfrt_group {
	VFRT_GROUP_CORE,
	VFRT_GROUP_SOCKET,
	VFRT_GROUP_LL_CACHE,
};

/* The CPUs that share the group with cpu, itself included.  Where sysfs doesn't
 * say, a CPU is alone: an allowed CPU is never lost for want of a file. */
struct vfrt_cpus vfrt_machine_siblings(const char *sysfs, unsigned cpu, enum vfrt_group group);

/* CPUs that the kernel has online; all where sysfs doesn't say. */
struct vfrt_cpus vfrt_machine_online(const char *sysfs);

/* CPUs of a node that are online; none where sysfs doesn't say. */
struct vfrt_cpus vfrt_machine_node_cpus(const char *sysfs, unsigned node);

#endif
