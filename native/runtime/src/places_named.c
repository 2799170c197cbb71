/* SPDX-License-Identifier: Apache-2.0 */
/* Places by name: threads, cores, sockets, ll_caches, numa_domains. */
#include "places.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "virtflex/machine.h"

enum name {
	THREADS,
	CORES,
	SOCKETS,
	LL_CACHES,
	NUMA_DOMAINS,
	NAMES,
};

static const char *const names[NAMES] = {
	[THREADS] = "threads",	   [CORES] = "cores",		    [SOCKETS] = "sockets",
	[LL_CACHES] = "ll_caches", [NUMA_DOMAINS] = "numa_domains",
};

static const char *skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* "", or "(n)" */
static int parse_count(const char *text, unsigned long *count)
{
	char *end;

	*count = ULONG_MAX;
	text = skip_space(text);
	if (!*text)
		return 0;
	if (*text != '(')
		return -EINVAL;
	text = skip_space(text + 1);
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*count = strtoul(text, &end, 10);
	if (errno || *count == 0)
		return -EINVAL;
	text = skip_space(end);
	if (*text != ')' || *skip_space(text + 1))
		return -EINVAL;
	return 0;
}

/* Ascending by lowest CPU; the threads of a core stand together, as in libgomp. */
static int grouped(struct vfrt_place_list *list, enum name name, unsigned long count,
		   struct vfrt_cpus left, const char *sysfs)
{
	enum vfrt_group group = name == SOCKETS	    ? VFRT_GROUP_SOCKET
				: name == LL_CACHES ? VFRT_GROUP_LL_CACHE
						    : VFRT_GROUP_CORE;
	unsigned first;

	while ((first = vfrt_cpus_next(&left, 0)) < VIRTFLEX_MAX_CPUS) {
		struct vfrt_cpus siblings = vfrt_machine_siblings(sysfs, first, group);
		struct vfrt_cpus place = vfrt_cpus_and(&siblings, &left);
		int rc = 0;

		for (unsigned cpu = first; cpu < VIRTFLEX_MAX_CPUS;
		     cpu = vfrt_cpus_next(&place, cpu + 1)) {
			struct vfrt_cpus alone = { 0 };

			vfrt_cpus_remove(&left, cpu);
			vfrt_cpus_add(&alone, cpu);
			if (name == THREADS && list->places.count < count)
				rc = vfrt_place_append(list, &alone);
			if (rc < 0)
				return rc;
		}
		if (name != THREADS)
			rc = vfrt_place_append(list, &place);
		if (rc < 0 || list->places.count == count)
			return rc;
	}
	return 0;
}

/* Ascending by node; of the page, which is newer than the kernel's own tables. */
static int numa_domains(struct vfrt_place_list *list, unsigned long count,
			const struct vfrt_cpus *allowed, const struct virtflex_topology_page *page)
{
	for (unsigned node = 0; node < page->node_count && list->places.count < count; node++) {
		struct vfrt_cpus place = { 0 };
		int rc;

		for (unsigned cpu = 0; cpu < page->cpu_count; cpu++)
			if (page->cpu_node[cpu] == node && vfrt_cpus_has(allowed, cpu))
				vfrt_cpus_add(&place, cpu);
		if (vfrt_cpus_empty(&place))
			continue;
		rc = vfrt_place_append(list, &place);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int vfrt_places_named(struct vfrt_place_list *list, const char *text,
		      const struct vfrt_cpus *allowed, const struct virtflex_topology_page *page,
		      const char *sysfs)
{
	text = skip_space(text);
	for (enum name name = 0; name < NAMES; name++) {
		size_t length = strlen(names[name]);
		unsigned long count;
		int rc;

		if (strncasecmp(text, names[name], length) != 0)
			continue;
		rc = parse_count(text + length, &count);
		if (rc < 0)
			return rc;
		if (name == NUMA_DOMAINS)
			return numa_domains(list, count, allowed, page);
		return grouped(list, name, count, *allowed, sysfs);
	}
	return -ENOENT;
}
