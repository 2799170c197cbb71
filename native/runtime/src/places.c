/* SPDX-License-Identifier: Apache-2.0 */
#include "places.h"

#include <errno.h>
#include <stdlib.h>

int vfrt_place_append(struct vfrt_place_list *list, const struct vfrt_cpus *place)
{
	struct vfrt_places *places = &list->places;

	if (places->count == VFRT_MAX_PLACES)
		return -EINVAL;
	if (places->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		struct vfrt_cpus *grown = realloc(places->place, capacity * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		places->place = grown;
		list->capacity = capacity;
	}
	places->place[places->count++] = *place;
	return 0;
}

static void cut_to(struct vfrt_places *places, const struct vfrt_cpus *allowed)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < places->count; i++) {
		struct vfrt_cpus cut = vfrt_cpus_and(&places->place[i], allowed);

		if (!vfrt_cpus_empty(&cut))
			places->place[kept++] = cut;
	}
	places->count = kept;
}

int vfrt_places_build(struct vfrt_places *places, enum vfrt_places_syntax syntax, const char *text,
		      const struct vfrt_cpus *allowed, const struct virtflex_topology_page *page,
		      const char *sysfs)
{
	struct vfrt_place_list list = { 0 };
	int rc;

	if (syntax == VFRT_PLACES_GOMP_CPU_AFFINITY) {
		rc = vfrt_places_cpu_affinity(&list, text);
	} else {
		rc = vfrt_places_named(&list, text, allowed, page, sysfs);
		if (rc == -ENOENT)
			rc = vfrt_places_explicit(&list, text);
	}
	if (rc == 0) {
		cut_to(&list.places, allowed);
		if (list.places.count == 0)
			rc = vfrt_place_append(&list, allowed);
	}
	if (rc == 0)
		*places = list.places;
	else
		vfrt_places_free(&list.places);
	return rc;
}

void vfrt_places_free(struct vfrt_places *places)
{
	free(places->place);
	*places = (struct vfrt_places){ 0 };
}
