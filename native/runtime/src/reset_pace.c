/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_pace.h"

bool vfrt_pace_may_begin(const struct vfrt_pace *pace)
{
	return pace->moving < pace->width;
}

static void begin_round(struct vfrt_pace *pace, uint64_t now)
{
	pace->start = pace->last = now;
	pace->busy = pace->pages = 0;
}

static void pass_time(struct vfrt_pace *pace, uint64_t now)
{
	pace->busy += pace->moving * (now - pace->last);
	pace->last = now;
}

void vfrt_pace_begin(struct vfrt_pace *pace, uint64_t now)
{
	if (pace->moving == 0 && pace->pages == 0)
		begin_round(pace, now);
	pass_time(pace, now);
	pace->moving++;
}

static void end_round(struct vfrt_pace *pace, uint64_t now)
{
	uint64_t took = now - pace->start + 1;
	uint64_t rate = pace->pages * UINT64_C(1000000000) / took;

	if (pace->busy >= took / 5 * 4 * pace->width) {
		pace->settled = pace->rate > 0 && rate <= pace->rate + pace->rate / 10;
		pace->width = pace->settled ? pace->width / 2 : 2 * pace->width;
		pace->rate = rate;
	}
	begin_round(pace, now);
}

void vfrt_pace_end(struct vfrt_pace *pace, uint64_t pages, uint64_t now)
{
	pass_time(pace, now);
	pace->moving--;
	pace->pages += pages;
	if (!pace->settled && pace->pages >= (uint64_t)VFRT_PACE_PAGES * pace->width)
		end_round(pace, now);
}
