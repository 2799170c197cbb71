/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which node serves an address. QEMU 7.2 gives plugins no guest-physical
 * address: qemu_plugin_hwaddr_phys_addr() (plugins/api.c) adds the RAM block's
 * offset, the offset in the block, and the address of the block's region in
 * the machine's RAM container. The blocks of the memory backends follow one
 * another from 0 and the regions do so too, so backend i begins at twice the
 * sum of the sizes before it; the hole below 4 GiB plays no part.
 */
#ifndef NUMA_METER_MEMORY_MAP_H
#define NUMA_METER_MEMORY_MAP_H

#include <stdint.h>
#include "options.h"

struct memory_map {
	unsigned int nodes;
	uint64_t start[METER_MAX_NODES];
	uint64_t size[METER_MAX_NODES];
};

void memory_map_init(struct memory_map *map, const struct meter_options *options);

/* The node, or map->nodes for memory that belongs to none. */
unsigned int memory_map_node(const struct memory_map *map, uint64_t address);

#endif
