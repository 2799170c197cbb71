// SPDX-License-Identifier: GPL-2.0-or-later
#include "cache.h"

#include <stdlib.h>

bool cache_init(struct cache *cache, uint64_t size, unsigned int ways, unsigned int line_size)
{
	cache->ways = ways;
	cache->sets = size / line_size / ways;
	cache->tags = calloc(cache->sets * ways, sizeof(*cache->tags));
	return cache->tags;
}

void cache_free(struct cache *cache)
{
	free(cache->tags);
	cache->tags = NULL;
}

bool cache_miss(struct cache *cache, uint64_t line)
{
	uint64_t *set = cache->tags + (line_hash(line) >> 20) % cache->sets * cache->ways;
	const uint64_t tag = line + 1;
	unsigned int way = 0;
	bool miss;

	while (way < cache->ways && set[way] != tag)
		way++;
	miss = way == cache->ways;
	for (way -= miss; way; way--)
		set[way] = set[way - 1];
	set[0] = tag;
	return miss;
}
