/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways in which a list of places is written. */
#ifndef VFRT_PLACES_INTERNAL_H
#define VFRT_PLACES_INTERNAL_H

#include "virtflex/places.h"

/* As many as libgomp takes. */
#define VFRT_MAX_PLACES 65536

/* A list under construction; each function returns 0, -EINVAL or -ENOMEM. */
struct vfrt_place_list {
	struct vfrt_places places;
	size_t capacity;
};

int vfrt_place_append(struct vfrt_place_list *list, const struct vfrt_cpus *place);

/* -ENOENT where text doesn't begin with a name of places. */
int vfrt_places_named(struct vfrt_place_list *list, const char *text,
		      const struct vfrt_cpus *allowed, const struct virtflex_topology_page *page,
		      const char *sysfs);
int vfrt_places_explicit(struct vfrt_place_list *list, const char *text);
int vfrt_places_cpu_affinity(struct vfrt_place_list *list, const char *text);

#endif
