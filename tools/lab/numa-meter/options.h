/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The meter's options, as QEMU hands them over: name=value each. */
#ifndef NUMA_METER_OPTIONS_H
#define NUMA_METER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METER_MAX_NODES 8
#define METER_MAX_VCPUS 64

struct meter_options {
	/* memory=SIZE:SIZE...  the memory backends, in node order */
	unsigned int nodes;
	uint64_t memory[METER_MAX_NODES];
	/* cpus=NODE:NODE...  the node of each vCPU */
	unsigned int vcpus;
	unsigned int cpu_node[METER_MAX_VCPUS];
	/* socket=PATH  where commands are taken */
	const char *socket;
	/* cache=SIZE ways=N line=SIZE  the cache model of each vCPU */
	uint64_t cache_size;
	unsigned int cache_ways;
	unsigned int line_size;
	/* sample=K  one line of K, by the hash of its address; 1 is all */
	unsigned int sample;
	/* code=user|all|LO-HI  the instructions looked at, by virtual address */
	uint64_t code_low, code_high;
	/* guest=all|chosen  of a Xen host's guests: all and dom0, or those that are chosen */
	bool chosen_only;
	/* start=on|off  whether it counts from the start */
	bool start;
};

/*
 * Fills *options from argv. False: error holds one line that names the
 * argument and the rule. The strings of argv must outlive the options.
 */
bool meter_options_parse(struct meter_options *options, int argc, char **argv,
			 char *error, size_t error_size);

#endif
