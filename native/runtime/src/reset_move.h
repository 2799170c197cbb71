/* SPDX-License-Identifier: Apache-2.0 */
/* Moving the pages of a piece of a mapping. */
#ifndef VFRT_RESET_MOVE_H
#define VFRT_RESET_MOVE_H

#include "reset_target.h"

#define VFRT_PIECE ((uintptr_t)16 << 20) /* bytes of address space */
#define VFRT_PIECE_PAGES (VFRT_PIECE / 4096)

struct vfrt_mover {
	const struct vfrt_reset_kernel *kernel;
	const struct vfrt_targets *targets;
	int pagemap; /* descriptor of /proc/self/pagemap, or -1 */
	int module;  /* descriptor of the module's page, or -1 */
};

/* What a thread needs for one piece. */
struct vfrt_piece {
	size_t count;
	bool present; /* for sure: else some of them may never have been touched */
	uint64_t pagemap[VFRT_PIECE_PAGES];
	/* Of each page that is present. */
	void *page[VFRT_PIECE_PAGES];
	int first[VFRT_PIECE_PAGES]; /* node that it was found on, or -errno */
	int now[VFRT_PIECE_PAGES];
	int target[VFRT_PIECE_PAGES];
	int error[VFRT_PIECE_PAGES]; /* why it couldn't be moved; 0: not known */
	/* A subset, for one system call. */
	size_t chosen;
	unsigned index[VFRT_PIECE_PAGES];
	void *call_page[VFRT_PIECE_PAGES];
	int call_node[VFRT_PIECE_PAGES];
	int call_status[VFRT_PIECE_PAGES];
};

/* Which pages of 4 KiB are present: entries of pagemap. */
#define VFRT_PRESENT (UINT64_C(1) << 63)
bool vfrt_pagemap_read(int pagemap, uint64_t *entry, uintptr_t start, uintptr_t end);

/* Part of a region, at most VFRT_PIECE or one page. */
struct vfrt_part {
	const struct vfrt_region *region;
	uintptr_t start, end;
	uint64_t rank; /* of its first page */
};

/* Moves what there is of the part, and adds to *result.  A bounded number of
 * system calls. */
void vfrt_move_piece(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		     const struct vfrt_part *part, struct vfrt_reset_result *result);

#endif
