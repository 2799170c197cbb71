/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_maps.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtflex/topology_page.h"

uint64_t vfrt_nodes_parse(const char *text)
{
	uint64_t nodes = 0;

	while (isdigit((unsigned char)*text)) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < VIRTFLEX_MAX_NODES; first++)
			nodes |= UINT64_C(1) << first;
		if (*end != ',')
			break;
		text = end + 1;
	}
	return nodes;
}

static bool is_word(const char *word, size_t length, const char *name)
{
	return length == strlen(name) && strncmp(word, name, length) == 0;
}

/* "interleave:0-3", "bind=static:1", "prefer:0", "prefer (many):0-1", "default" */
static void parse_policy(struct vfrt_region *region, const char *word)
{
	size_t length = strcspn(word, ":= \n");
	const char *nodes;

	region->policy = VFRT_POLICY_DEFAULT;
	if (is_word(word, length, "interleave"))
		region->policy = VFRT_POLICY_INTERLEAVE;
	else if (is_word(word, length, "bind"))
		region->policy = VFRT_POLICY_BIND;
	else if (is_word(word, length, "prefer"))
		region->policy = strncmp(word + length, " (many)", 7) == 0
					 ? VFRT_POLICY_PREFERRED_MANY
					 : VFRT_POLICY_PREFERRED;
	else
		return;
	if (region->policy == VFRT_POLICY_PREFERRED_MANY)
		length += strlen(" (many)");
	nodes = word + length + strcspn(word + length, ": \n");
	region->policy_nodes = *nodes == ':' ? vfrt_nodes_parse(nodes + 1) : 0;
	/* Nothing that we know: leave it to the kernel's default. */
	if (!region->policy_nodes)
		region->policy = VFRT_POLICY_DEFAULT;
}

/* N<node>=<pages> */
static void parse_count(struct vfrt_region *region, const char *word)
{
	char *end;
	unsigned long node = strtoul(word + 1, &end, 10);

	if (*end != '=' || node >= VIRTFLEX_MAX_NODES)
		return;
	region->nodes |= UINT64_C(1) << node;
	region->pages += strtoul(end + 1, NULL, 10);
}

bool vfrt_region_parse(struct vfrt_region *region, const char *line)
{
	static const char page_size[] = "kernelpagesize_kB=";
	char *end;

	memset(region, 0, sizeof *region);
	errno = 0;
	region->start = strtoul(line, &end, 16);
	if (end == line || *end != ' ' || errno)
		return false;
	region->page_size = 4096;
	parse_policy(region, end + 1);
	for (const char *word = end; *word; word += strcspn(word, " \n")) {
		word += strspn(word, " \n");
		if (word[0] == 'N' && isdigit((unsigned char)word[1]))
			parse_count(region, word);
		else if (strncmp(word, page_size, sizeof page_size - 1) == 0)
			region->page_size = 1024 * strtoul(word + sizeof page_size - 1, NULL, 10);
		else if (strcspn(word, " \n") == 5 && strncmp(word, "stack", 5) == 0)
			region->stack = true;
	}
	return region->page_size >= 4096;
}

static FILE *open_proc(const char *proc, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", proc, name);
	return fopen(path, "re");
}

static struct vfrt_region *append(struct vfrt_regions *regions, size_t *capacity)
{
	if (regions->count == *capacity) {
		size_t larger = *capacity ? 2 * *capacity : 256;
		void *moved = realloc(regions->region, larger * sizeof *regions->region);

		if (!moved)
			return NULL;
		regions->region = moved;
		*capacity = larger;
	}
	return &regions->region[regions->count++];
}

/* Start, end and huge pages; there are no other lines that begin so. */
static int read_smaps(struct vfrt_regions *regions, FILE *file)
{
	struct vfrt_region *region = NULL;
	size_t capacity = 0, size = 0;
	char *line = NULL;
	int rc = 0;

	while (getline(&line, &size, file) > 0) {
		char *end;
		uintptr_t start = strtoul(line, &end, 16);

		if (end != line && *end == '-') {
			region = append(regions, &capacity);
			if (!region) {
				rc = -ENOMEM;
				break;
			}
			memset(region, 0, sizeof *region);
			region->start = start;
			region->end = strtoul(end + 1, NULL, 16);
		} else if (region && (strncmp(line, "AnonHugePages:", 14) == 0 ||
				      strncmp(line, "ShmemPmdMapped:", 15) == 0)) {
			region->has_thp |= strtoul(strchr(line, ':') + 1, NULL, 10) > 0;
		}
	}
	free(line);
	return rc;
}

/* Both files are ascending.  Keeps those with pages. */
static void read_numa_maps(struct vfrt_regions *regions, FILE *file)
{
	size_t kept = 0, next = 0, size = 0;
	char *line = NULL;

	while (getline(&line, &size, file) > 0) {
		struct vfrt_region found;

		if (!vfrt_region_parse(&found, line) || found.pages == 0)
			continue;
		while (next < regions->count && regions->region[next].start < found.start)
			next++;
		if (next == regions->count || regions->region[next].start != found.start)
			continue;
		found.end = regions->region[next].end;
		found.has_thp = regions->region[next].has_thp;
		next++;
		memcpy(&regions->region[kept++], &found, sizeof found);
	}
	free(line);
	regions->count = kept;
}

int vfrt_regions_read(struct vfrt_regions *regions, const char *proc)
{
	FILE *numa_maps, *smaps;
	int rc;

	*regions = (struct vfrt_regions){ 0 };
	numa_maps = open_proc(proc, "numa_maps");
	if (!numa_maps)
		return -errno;
	smaps = open_proc(proc, "smaps");
	if (!smaps) {
		rc = -errno;
		fclose(numa_maps);
		return rc;
	}
	rc = read_smaps(regions, smaps);
	if (rc == 0)
		read_numa_maps(regions, numa_maps);
	else
		vfrt_regions_free(regions);
	fclose(smaps);
	fclose(numa_maps);
	return rc;
}

void vfrt_regions_free(struct vfrt_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++)
		free(regions->region[i].arrays.first);
	free(regions->region);
	*regions = (struct vfrt_regions){ 0 };
}

bool vfrt_regions_hold(const struct vfrt_regions *regions, const struct vfrt_region *region)
{
	for (size_t i = 0; i < regions->count; i++) {
		const struct vfrt_region *now = &regions->region[i];

		if (now->start <= region->start && now->end >= region->end)
			return now->policy == region->policy &&
			       now->policy_nodes == region->policy_nodes &&
			       now->page_size == region->page_size;
	}
	return false;
}
