// SPDX-License-Identifier: GPL-2.0
/*
 * When the last request came to each of its turns, by CLOCK_REALTIME, which other
 * domains of the host can compare with theirs.
 */
#include "virtflex.h"

#include <linux/timekeeping.h>

static u64 vf_times[VF_TIME_COUNT];

static const char *const vf_time_names[VF_TIME_COUNT] = {
	[VF_TIME_TAKEN_UP] = "taken-up",
	[VF_TIME_PUBLISHED] = "published",
	[VF_TIME_ADAPTED] = "adapted",
	[VF_TIME_RESIZING] = "resizing",
	[VF_TIME_ISOLATED] = "isolated",
	[VF_TIME_VCPUS_OFF] = "vcpus-off",
	[VF_TIME_PAGES_LEFT] = "pages-left",
	[VF_TIME_MEMORY_OUT] = "memory-out",
	[VF_TIME_MEMORY_IN] = "memory-in",
	[VF_TIME_VCPUS_ON] = "vcpus-on",
	[VF_TIME_ENDED] = "ended",
};

/**
 * vf_time_note() - the request has come to a turn
 * @time: which; the last time counts, and the first of all forgets the others
 */
void vf_time_note(enum vf_time time)
{
	if (time == VF_TIME_TAKEN_UP)
		memset(vf_times, 0, sizeof(vf_times));
	WRITE_ONCE(vf_times[time], ktime_get_real_ns());
}

/* One line a turn: "time NAME NANOSECONDS". */
void vf_time_show(struct seq_file *seq)
{
	enum vf_time time;

	for (time = 0; time < VF_TIME_COUNT; time++) {
		u64 ns = READ_ONCE(vf_times[time]);

		if (ns)
			seq_printf(seq, "time %s %llu\n", vf_time_names[time], ns);
	}
}
