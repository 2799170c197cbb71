/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of logical CPUs, of the topology page's fixed capacity. */
#ifndef VIRTFLEX_CPUS_H
#define VIRTFLEX_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtflex/topology_page.h"

#define VFRT_CPU_WORDS (VIRTFLEX_MAX_CPUS / 64)

struct vfrt_cpus {
	uint64_t word[VFRT_CPU_WORDS];
};

static inline bool vfrt_cpus_has(const struct vfrt_cpus *set, unsigned cpu)
{
	return cpu < VIRTFLEX_MAX_CPUS && (set->word[cpu / 64] >> (cpu % 64) & 1);
}

/* A CPU beyond the capacity is left out. */
static inline void vfrt_cpus_add(struct vfrt_cpus *set, unsigned cpu)
{
	if (cpu < VIRTFLEX_MAX_CPUS)
		set->word[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static inline void vfrt_cpus_remove(struct vfrt_cpus *set, unsigned cpu)
{
	if (cpu < VIRTFLEX_MAX_CPUS)
		set->word[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
}

struct vfrt_cpus vfrt_cpus_and(const struct vfrt_cpus *a, const struct vfrt_cpus *b);
bool vfrt_cpus_empty(const struct vfrt_cpus *set);
bool vfrt_cpus_equal(const struct vfrt_cpus *a, const struct vfrt_cpus *b);
unsigned vfrt_cpus_count(const struct vfrt_cpus *set);

/* The least member that is >= from; VIRTFLEX_MAX_CPUS where there is none. */
unsigned vfrt_cpus_next(const struct vfrt_cpus *set, unsigned from);

/* Parses the kernel's list format, "0-3,8\n" (Linux: Documentation/admin-guide/
 * cputopology.rst).  CPUs beyond the capacity are left out.  Returns false, with
 * *set empty, on anything else. */
bool vfrt_cpus_parse_list(struct vfrt_cpus *set, const char *text);

/* Parses the kernel's mask format, "f,ffffffff\n", as in proc(5) "Cpus_allowed". */
bool vfrt_cpus_parse_mask(struct vfrt_cpus *set, const char *text);

/* Writes the list format, always terminated; cut with "..." where size is short. */
void vfrt_cpus_format(const struct vfrt_cpus *set, char *buffer, size_t size);

#endif
