/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/order.h"

#include <string.h>

#include "check.h"

static const char *order(enum vfrt_bind bind, unsigned threads, unsigned places, unsigned primary)
{
	static char text[256];
	size_t used = 0;

	for (unsigned i = 0; i < threads; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%u", i ? " " : "",
					 vfrt_place_of(bind, i, threads, places, primary));
	return text;
}

#define ORDER(bind, threads, places, primary, expected) \
	CHECK(strcmp(order(VFRT_BIND_##bind, threads, places, primary), expected) == 0)

/* Every place gets its share, whatever the sizes. */
static void shares(enum vfrt_bind bind)
{
	for (unsigned places = 1; places <= 24; places++)
		for (unsigned threads = 1; threads <= 60; threads++)
			for (unsigned primary = 0; primary < places; primary++) {
				unsigned load[24] = { 0 };

				for (unsigned i = 0; i < threads; i++) {
					unsigned place =
						vfrt_place_of(bind, i, threads, places, primary);

					CHECK(place < places);
					load[place]++;
				}
				CHECK(vfrt_place_of(bind, 0, threads, places, primary) == primary);
				for (unsigned i = 0; i < places; i++) {
					CHECK(load[i] >= threads / places);
					CHECK(load[i] <= (threads + places - 1) / places);
				}
			}
}

int main(void)
{
	/* Worked by hand from gomp_team_start of libgomp 12. */
	ORDER(PRIMARY, 4, 8, 2, "2 2 2 2");
	ORDER(FALSE, 2, 8, 0, "0 0");
	ORDER(CLOSE, 4, 8, 0, "0 1 2 3");
	ORDER(CLOSE, 4, 8, 6, "6 7 0 1");
	ORDER(CLOSE, 8, 4, 0, "0 0 1 1 2 2 3 3");
	ORDER(CLOSE, 7, 3, 0, "0 0 1 1 2 2 0");
	ORDER(SPREAD, 4, 8, 0, "0 2 4 6");
	ORDER(SPREAD, 3, 8, 0, "0 3 6");
	ORDER(SPREAD, 3, 8, 4, "4 6 0");
	ORDER(SPREAD, 4, 4, 2, "2 3 0 1");
	ORDER(SPREAD, 5, 4, 0, "0 1 2 3 0");
	shares(VFRT_BIND_CLOSE);
	shares(VFRT_BIND_SPREAD);
	return 0;
}
