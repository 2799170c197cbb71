/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit lists of places.  The grammar is OpenMP 5.1's:
 *	list       = interval { "," interval }
 *	interval   = place [ ":" length [ ":" stride ] ] | "!" place
 *	place      = "{" resource { "," resource } "}" | number
 *	resource   = number [ ":" length [ ":" stride ] ] | "!" number
 * with libgomp's limits, so that a text means the same before a change and after.
 */
#include "places.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct interval {
	unsigned long length;
	long stride;
};

static void skip_space(const char **text)
{
	while (isspace((unsigned char)**text))
		++*text;
}

/* Takes c and the space about it. */
static bool take(const char **text, char c)
{
	skip_space(text);
	if (**text != c)
		return false;
	++*text;
	skip_space(text);
	return true;
}

static int take_number(const char **text, unsigned long limit, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	*number = strtoul(*text, &end, 10);
	if (errno || *number >= limit)
		return -EINVAL;
	*text = end;
	return 0;
}

/* [ ":" length [ ":" stride ] ] */
static int take_interval(const char **text, struct interval *interval)
{
	char *end;

	*interval = (struct interval){ .length = 1, .stride = 1 };
	if (!take(text, ':'))
		return 0;
	if (take_number(text, VFRT_MAX_PLACES, &interval->length) < 0 || interval->length == 0)
		return -EINVAL;
	if (!take(text, ':'))
		return 0;
	errno = 0;
	interval->stride = strtol(*text, &end, 10);
	if (errno || end == *text || labs(interval->stride) >= VFRT_MAX_PLACES)
		return -EINVAL;
	*text = end;
	return 0;
}

static int add_cpus(struct vfrt_cpus *place, unsigned long first, struct interval interval)
{
	long cpu = (long)first;

	for (unsigned long i = 0; i < interval.length; i++, cpu += interval.stride) {
		if (cpu < 0 || cpu >= VIRTFLEX_MAX_CPUS)
			return -EINVAL;
		vfrt_cpus_add(place, (unsigned)cpu);
	}
	return 0;
}

/* Exclusions come last, wherever they stand. */
static int take_resources(const char **text, struct vfrt_cpus *place)
{
	struct vfrt_cpus without = { 0 };

	do {
		bool exclude = take(text, '!');
		struct interval interval;
		unsigned long number;

		skip_space(text);
		if (take_number(text, VIRTFLEX_MAX_CPUS, &number) < 0 ||
		    take_interval(text, &interval) < 0)
			return -EINVAL;
		if (exclude && interval.length != 1)
			return -EINVAL;
		if (add_cpus(exclude ? &without : place, number, interval) < 0)
			return -EINVAL;
	} while (take(text, ','));

	for (unsigned cpu = vfrt_cpus_next(&without, 0); cpu < VIRTFLEX_MAX_CPUS;
	     cpu = vfrt_cpus_next(&without, cpu + 1)) {
		if (!vfrt_cpus_has(place, cpu))
			return -EINVAL;
		vfrt_cpus_remove(place, cpu);
	}
	return take(text, '}') ? 0 : -EINVAL;
}

static int take_place(const char **text, struct vfrt_cpus *place)
{
	unsigned long number;

	*place = (struct vfrt_cpus){ 0 };
	if (take(text, '{'))
		return take_resources(text, place);
	if (take_number(text, VIRTFLEX_MAX_CPUS, &number) < 0)
		return -EINVAL;
	vfrt_cpus_add(place, (unsigned)number);
	return 0;
}

static int shift(struct vfrt_cpus *place, long stride)
{
	struct vfrt_cpus shifted = { 0 };

	for (unsigned cpu = vfrt_cpus_next(place, 0); cpu < VIRTFLEX_MAX_CPUS;
	     cpu = vfrt_cpus_next(place, cpu + 1)) {
		long target = (long)cpu + stride;

		if (target < 0 || target >= VIRTFLEX_MAX_CPUS)
			return -EINVAL;
		vfrt_cpus_add(&shifted, (unsigned)target);
	}
	*place = shifted;
	return 0;
}

static int append_interval(struct vfrt_place_list *list, struct vfrt_cpus place,
			   struct interval interval)
{
	for (unsigned long i = 0; i < interval.length; i++) {
		int rc = i ? shift(&place, interval.stride) : 0;

		if (rc == 0)
			rc = vfrt_place_append(list, &place);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int remove_place(struct vfrt_place_list *list, const struct vfrt_cpus *place)
{
	struct vfrt_places *places = &list->places;

	for (unsigned i = 0; i < places->count; i++) {
		if (!vfrt_cpus_equal(&places->place[i], place))
			continue;
		places->count--;
		memmove(&places->place[i], &places->place[i + 1],
			(places->count - i) * sizeof *place);
		return 0;
	}
	return -EINVAL;
}

int vfrt_places_explicit(struct vfrt_place_list *list, const char *text)
{
	do {
		bool exclude = take(&text, '!');
		struct interval interval;
		struct vfrt_cpus place;
		int rc;

		skip_space(&text);
		if (take_place(&text, &place) < 0 || take_interval(&text, &interval) < 0)
			return -EINVAL;
		if (exclude && interval.length != 1)
			return -EINVAL;
		rc = exclude ? remove_place(list, &place) : append_interval(list, place, interval);
		if (rc < 0)
			return rc;
	} while (take(&text, ','));

	skip_space(&text);
	return *text || list->places.count == 0 ? -EINVAL : 0;
}

/* GOMP_CPU_AFFINITY: numbers and ranges with a stride, by comma or space. */
int vfrt_places_cpu_affinity(struct vfrt_place_list *list, const char *text)
{
	do {
		unsigned long first, last, stride = 1;

		skip_space(&text);
		if (take_number(&text, VFRT_MAX_PLACES, &first) < 0)
			return -EINVAL;
		last = first;
		if (*text == '-') {
			text++;
			if (take_number(&text, VFRT_MAX_PLACES, &last) < 0 || last < first)
				return -EINVAL;
			if (*text == ':') {
				text++;
				if (take_number(&text, VFRT_MAX_PLACES, &stride) < 0 || stride == 0)
					return -EINVAL;
			}
		}
		for (; first <= last && first < VIRTFLEX_MAX_CPUS; first += stride) {
			struct vfrt_cpus place = { 0 };
			int rc;

			vfrt_cpus_add(&place, (unsigned)first);
			rc = vfrt_place_append(list, &place);
			if (rc < 0)
				return rc;
		}
		skip_space(&text);
		if (*text == ',')
			text++;
	} while (*text);
	return 0;
}
