/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which guest of a Xen host a CPU runs, and whether that one is counted.
 *
 * A CPU is in a guest from VMRUN until Xen's STGI behind it. The guest's vCPU is
 * told by the address of its VMCB's field, which Xen 4.17 loads just before
 * (xen/arch/x86/hvm/svm/entry.S). A guest is chosen by a process that says so
 * on each of its vCPUs (plugin.c).
 *
 * Each CPU's state is written by its own thread alone; the list of those chosen
 * is only ever added to.
 */
#ifndef NUMA_METER_GUESTS_H
#define NUMA_METER_GUESTS_H

#include <stdbool.h>
#include <stdint.h>
#include "options.h"

#define GUESTS_MAX_CHOSEN 256

struct guests {
	bool chosen_only; /* false: everything is counted, dom0 too */
	unsigned int count;
	uint64_t chosen[GUESTS_MAX_CHOSEN];
	struct {
		uint64_t next, running; /* vCPUs; 0 is none */
		bool counted;
	} cpu[METER_MAX_VCPUS];
};

void guests_init(struct guests *guests, bool chosen_only);

/* Xen is about to run this vCPU. */
void guests_next(struct guests *guests, unsigned int cpu, uint64_t vcpu);
void guests_enter(struct guests *guests, unsigned int cpu);
void guests_leave(struct guests *guests, unsigned int cpu);

/* The vCPU that runs is one of those to be counted; false if they are too many. */
bool guests_choose(struct guests *guests, unsigned int cpu);

static inline bool guests_counted(const struct guests *guests, unsigned int cpu)
{
	return guests->cpu[cpu].counted;
}

#endif
