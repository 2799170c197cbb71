/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vCPU's cache: physically tagged, set associative, least recently used
 * out first. Sets are picked by a hash of the line, as last-level caches do.
 * Not modelled: coherence (another vCPU's store does not take the line away),
 * write-backs, prefetch.
 */
#ifndef NUMA_METER_CACHE_H
#define NUMA_METER_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct cache {
	uint64_t sets;
	unsigned int ways;
	uint64_t *tags; /* sets x ways, most recently used first; 0 is empty */
};

/* Spreads a line number over 64 bits (Knuth's multiplicative hash). */
static inline uint64_t line_hash(uint64_t line)
{
	return line * 0x9e3779b97f4a7c15ull;
}

/* False when there is no memory for it. */
bool cache_init(struct cache *cache, uint64_t size, unsigned int ways, unsigned int line_size);
void cache_free(struct cache *cache);

/* Touches a line; true when it was not there. */
bool cache_miss(struct cache *cache, uint64_t line);

#endif
