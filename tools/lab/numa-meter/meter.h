/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is counted, for each vCPU: accesses and cache misses, loads and stores
 * apart, by the node of the memory that served them.
 *
 * A vCPU's counters are written by its own thread alone and read by the
 * control thread with relaxed loads; a reset remembers the values and
 * subtracts them, so that no writer is ever waited for.
 */
#ifndef NUMA_METER_METER_H
#define NUMA_METER_METER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "cache.h"
#include "guests.h"
#include "memory_map.h"
#include "options.h"

enum { METER_LOAD, METER_STORE, METER_KINDS };

/* The last slot of each is memory that belongs to no node. */
struct counts {
	uint64_t accesses[METER_KINDS][METER_MAX_NODES + 1];
	uint64_t misses[METER_KINDS][METER_MAX_NODES + 1];
	uint64_t io;         /* device memory */
	uint64_t unresolved; /* QEMU had no address to give */
};

/* A small virtually tagged filter in front: most accesses end here. */
#define FILTER_LINES 512
struct filter_entry {
	uint64_t line;
	uint32_t node;
	uint32_t epoch;
};

struct meter_vcpu {
	struct counts now, base;
	struct cache cache;
	struct filter_entry filter[FILTER_LINES];
} __attribute__((aligned(128)));

struct meter {
	struct meter_options options;
	struct memory_map map;
	struct guests guests;
	unsigned int line_shift, sample_bits;
	volatile bool on;
	volatile uint32_t epoch; /* raised to empty the filters */
	struct meter_vcpu vcpu[METER_MAX_VCPUS];
};

/* False when there is no memory for it. */
bool meter_init(struct meter *meter, const struct meter_options *options);
void meter_free(struct meter *meter);

/* Whether the line of a virtual address is in the sample. */
bool meter_sampled(const struct meter *meter, uint64_t virtual_address);

/* Counts an access that the filter knows; false if it doesn't. */
bool meter_filtered(struct meter *meter, unsigned int vcpu, unsigned int kind,
		    uint64_t virtual_address);

/* Counts an access that was resolved to a physical address. */
void meter_count(struct meter *meter, unsigned int vcpu, unsigned int kind,
		 uint64_t virtual_address, uint64_t physical_address);

void meter_count_io(struct meter *meter, unsigned int vcpu);
void meter_count_unresolved(struct meter *meter, unsigned int vcpu);

/* Everything since the last reset, as one line of JSON. */
void meter_print(struct meter *meter, FILE *out);
void meter_reset(struct meter *meter);

#endif
