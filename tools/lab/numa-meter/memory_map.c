// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory_map.h"

void memory_map_init(struct memory_map *map, const struct meter_options *options)
{
	uint64_t sum = 0;

	map->nodes = options->nodes;
	for (unsigned int i = 0; i < options->nodes; i++) {
		map->start[i] = 2 * sum;
		map->size[i] = options->memory[i];
		sum += options->memory[i];
	}
}

unsigned int memory_map_node(const struct memory_map *map, uint64_t address)
{
	unsigned int node = 0;

	while (node < map->nodes && address - map->start[node] >= map->size[node])
		node++;
	return node;
}
