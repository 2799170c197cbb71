/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many threads move memory side by side: as many as are faster together.
 *
 * Linux 6.1 tells every CPU that runs a thread of the process of each small page
 * that moves, by an interrupt, and waits for it.  Threads that sleep meanwhile cost
 * nothing; threads that move pages, too, hold each other up, by how much depends on
 * what an interrupt costs: in a virtual machine one alone may be the fastest.
 *
 * Found out in rounds: one thread first, then twice as many each time, while that is
 * faster by a tenth at least.  A round ends when enough pages have moved, and says
 * something if nearly all of the threads that may move were moving nearly always.
 */
#ifndef VFRT_RESET_PACE_H
#define VFRT_RESET_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Of a round, for each thread that may move. */
#define VFRT_PACE_PAGES 4096

struct vfrt_pace {
	unsigned width; /* threads that may move a piece at once; at least 1 */
	bool settled;	/* more would not be faster */
	unsigned moving;
	/* Of this round. */
	uint64_t start, pages;
	uint64_t busy; /* ns of all threads that moved, until `last` */
	uint64_t last;
	/* Of the round before, with half as many: pages a second; 0: there was none. */
	uint64_t rate;
};

bool vfrt_pace_may_begin(const struct vfrt_pace *pace);
void vfrt_pace_begin(struct vfrt_pace *pace, uint64_t now);

/* Of a piece, of which so many pages have moved. */
void vfrt_pace_end(struct vfrt_pace *pace, uint64_t pages, uint64_t now);

#endif
