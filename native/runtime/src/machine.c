/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A CPU list is at most every second CPU of a machine beyond our capacity. */
#define SYSFS_TEXT 16384

/* Plain read(2), not stdio: this runs on the first parallel region after a
 * change, and wants neither a buffer from malloc nor a lock. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (used < size - 1) {
		got = read(fd, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	text[used] = '\0';
	return used > 0;
}

static bool read_list(const char *path, struct vfrt_cpus *set)
{
	char text[SYSFS_TEXT];

	return read_text(path, text, sizeof text) && vfrt_cpus_parse_list(set, text);
}

/* The cache of the highest level; of several, the last index, as libgomp does. */
static bool last_level_cache(const char *sysfs, unsigned cpu, struct vfrt_cpus *set)
{
	char path[PATH_MAX], text[32];
	unsigned long highest = 0;
	int index = -1;

	for (int i = 0;; i++) {
		unsigned long level;

		snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%u/cache/index%d/level",
			 sysfs, cpu, i);
		if (!read_text(path, text, sizeof text))
			break;
		level = strtoul(text, NULL, 10);
		if (level >= highest) {
			highest = level;
			index = i;
		}
	}
	if (index < 0)
		return false;
	snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%u/cache/index%d/shared_cpu_list",
		 sysfs, cpu, index);
	return read_list(path, set);
}

static bool topology_siblings(const char *sysfs, unsigned cpu, const char *what,
			      struct vfrt_cpus *set)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%u/topology/%s_siblings_list", sysfs,
		 cpu, what);
	return read_list(path, set);
}

struct vfrt_cpus vfrt_machine_siblings(const char *sysfs, unsigned cpu, enum vfrt_group group)
{
	struct vfrt_cpus set = { 0 };
	bool known = false;

	switch (group) {
	case VFRT_GROUP_CORE:
		known = topology_siblings(sysfs, cpu, "thread", &set);
		break;
	case VFRT_GROUP_SOCKET:
		known = topology_siblings(sysfs, cpu, "core", &set);
		break;
	case VFRT_GROUP_LL_CACHE:
		known = last_level_cache(sysfs, cpu, &set);
		break;
	}
	if (!known)
		set = (struct vfrt_cpus){ 0 };
	vfrt_cpus_add(&set, cpu);
	return set;
}

struct vfrt_cpus vfrt_machine_online(const char *sysfs)
{
	char path[PATH_MAX];
	struct vfrt_cpus set;

	snprintf(path, sizeof path, "%s/devices/system/cpu/online", sysfs);
	if (!read_list(path, &set) || vfrt_cpus_empty(&set))
		memset(&set, 0xff, sizeof set);
	return set;
}

struct vfrt_cpus vfrt_machine_node_cpus(const char *sysfs, unsigned node)
{
	char path[PATH_MAX];
	struct vfrt_cpus set;

	snprintf(path, sizeof path, "%s/devices/system/node/node%u/cpulist", sysfs, node);
	if (!read_list(path, &set))
		set = (struct vfrt_cpus){ 0 };
	return set;
}
