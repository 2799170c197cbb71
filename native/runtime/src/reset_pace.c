/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_pace.h"

bool vfrt_pace_may_begin(const struct vfrt_pace *pace)
{
	return (pace->settled ? pace->moving : pace->begun) < pace->width;
}

void vfrt_pace_begin(struct vfrt_pace *pace, uint64_t now)
{
	pace->moving++;
	if (pace->moving > pace->most)
		pace->most = pace->moving;
	if (pace->begun++ == 0)
		pace->start = now;
}

static void end_round(struct vfrt_pace *pace, uint64_t now)
{
	uint64_t rate = pace->pages * UINT64_C(1000000000) / (now - pace->start + 1);
	bool faster = rate > pace->rate + pace->rate / 10;

	/* Fewer threads than might have moved say nothing. */
	if (pace->most == pace->width) {
		pace->width = faster ? 2 * pace->width : pace->width / 2;
		pace->settled = !faster;
		pace->rate = rate;
	}
	pace->begun = pace->ended = pace->most = 0;
	pace->pages = 0;
}

void vfrt_pace_end(struct vfrt_pace *pace, uint64_t pages, uint64_t now)
{
	pace->moving--;
	if (pace->settled)
		return;
	/* It is as if it had not begun. */
	if (pages < VFRT_PACE_PAGES) {
		pace->begun--;
		pace->most = 0;
		return;
	}
	pace->ended++;
	pace->pages += pages;
	if (pace->ended == pace->width)
		end_round(pace, now);
}
