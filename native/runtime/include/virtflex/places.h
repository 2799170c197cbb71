/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenMP places (OpenMP 5.1, 6.5 OMP_PLACES; libgomp's GOMP_CPU_AFFINITY), built
 * from the user's text on the CPUs that are allowed now.
 */
#ifndef VIRTFLEX_PLACES_H
#define VIRTFLEX_PLACES_H

#include "virtflex/cpus.h"

enum vfrt_places_syntax {
	VFRT_PLACES_OMP,	       /* OMP_PLACES */
	VFRT_PLACES_GOMP_CPU_AFFINITY, /* "0 3 1-2 4-15:2": one place a CPU */
};

/* place[0..count-1], each a non-empty subset of the allowed CPUs. */
struct vfrt_places {
	unsigned count;
	struct vfrt_cpus *place;
};

/*
 * Builds the places of text, each cut to the allowed CPUs, those left empty
 * dropped.  Names are threads, cores, sockets, ll_caches, numa_domains, each
 * with an optional count, "cores(4)"; anything else is an explicit list.  Where
 * the list names no allowed CPU at all, the one place is all of them: a thread
 * has to run somewhere.
 *
 * page tells numa_domains, sysfs the rest.  allowed isn't empty.
 * Returns 0; -EINVAL for a text that isn't one of places; -ENOMEM.  On error
 * *places is left as it was.
 */
int vfrt_places_build(struct vfrt_places *places, enum vfrt_places_syntax syntax, const char *text,
		      const struct vfrt_cpus *allowed, const struct virtflex_topology_page *page,
		      const char *sysfs);

void vfrt_places_free(struct vfrt_places *places);

#endif
