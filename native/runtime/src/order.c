/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/order.h"

/* More threads than places: threads/places consecutive ones a place, then the
 * remaining ones one by one, as libgomp does. */
static unsigned crowded(unsigned thread, unsigned threads, unsigned places, unsigned primary)
{
	unsigned each = threads / places;
	unsigned filled = each * places;
	unsigned step = thread < filled ? thread / each : thread - filled;

	return (primary + step) % places;
}

/* places/threads places a subpartition, the first ones one more.  A thread
 * takes the first place of its own; the primary stays where it is in its own. */
static unsigned spread(unsigned thread, unsigned threads, unsigned places, unsigned primary)
{
	unsigned size = places / threads;
	unsigned larger = places % threads;
	unsigned boundary = larger * (size + 1);
	unsigned mine = primary < boundary ? primary / (size + 1)
					   : larger + (primary - boundary) / size;
	unsigned part = (mine + thread) % threads;

	if (thread == 0)
		return primary;
	return part < larger ? part * (size + 1) : boundary + (part - larger) * size;
}

unsigned vfrt_place_of(enum vfrt_bind bind, unsigned thread, unsigned threads, unsigned places,
		       unsigned primary)
{
	switch (bind) {
	case VFRT_BIND_SPREAD:
		if (threads <= places)
			return spread(thread, threads, places, primary);
		return crowded(thread, threads, places, primary);
	case VFRT_BIND_CLOSE:
		if (threads <= places)
			return (primary + thread) % places;
		return crowded(thread, threads, places, primary);
	case VFRT_BIND_PRIMARY:
	case VFRT_BIND_FALSE:
		break;
	}
	return primary;
}
