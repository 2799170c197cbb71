/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_move.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define EXTENT_PAGES (VFRT_EXTENT / 4096)

/* A kernel that can't move one page may leave those after it in the same call
 * alone, and not say so.  So each try makes its calls smaller: what stays in the
 * end shared a call with one that can't move. */
static const size_t call_size[] = { VFRT_PIECE_PAGES, 256, 16 };
#define TRIES (sizeof call_size / sizeof *call_size)

/* No status that the kernel gives. */
#define UNTOLD INT_MIN

bool vfrt_pagemap_read(int pagemap, uint64_t *entry, uintptr_t start, uintptr_t end)
{
	ssize_t bytes = (ssize_t)((end - start) / 4096 * 8);

	return pagemap >= 0 && pread(pagemap, entry, (size_t)bytes, (off_t)(start / 4096 * 8)) == bytes;
}

static void list_pages(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		       const struct vfrt_part *part)
{
	size_t size = part->region->page_size, pages = (part->end - part->start) / size;

	piece->present = size == 4096 && vfrt_pagemap_read(mover->pagemap, piece->pagemap,
							   part->start, part->end);
	piece->count = 0;
	for (size_t i = 0; i < pages; i++)
		if (!piece->present || piece->pagemap[i] & VFRT_PRESENT)
			piece->page[piece->count++] = (void *)(part->start + i * size);
}

/* size is that of the page, or of the extent that begins with it. */
static int target(const struct vfrt_mover *mover, const struct vfrt_piece *piece,
		  const struct vfrt_part *part, size_t i, size_t size, unsigned retry)
{
	struct vfrt_place page = {
		.address = (uintptr_t)piece->page[i],
		.size = size,
		.rank = part->rank + i * (part->region->page_size / 4096),
		.now = piece->now[i],
	};

	return vfrt_target(mover->targets, part->region, page, retry);
}

static size_t look(const struct vfrt_mover *mover, struct vfrt_piece *piece)
{
	const struct vfrt_reset_kernel *kernel = mover->kernel;
	size_t absent = 0;
	long rc = kernel->move(kernel->context, piece->count, piece->page, NULL, piece->now);

	for (size_t i = 0; i < piece->count; i++) {
		if (rc < 0)
			piece->now[i] = (int)rc;
		absent += piece->now[i] == -ENOENT;
	}
	return absent;
}

/* Where the pages are now.  NUMA balancing may mark them at any time. */
static void query(const struct vfrt_mover *mover, struct vfrt_piece *piece)
{
	const struct vfrt_reset_kernel *kernel = mover->kernel;
	size_t count = 0;

	if (look(mover, piece) == 0 || !piece->present)
		return;
	for (size_t i = 0; i < piece->count; i++)
		if (piece->now[i] == -ENOENT)
			piece->call_page[count++] = piece->page[i];
	kernel->wake(kernel->context, count, piece->call_page);
	look(mover, piece);
}

static void choose(struct vfrt_piece *piece, size_t i, int node)
{
	piece->index[piece->chosen] = (unsigned)i;
	piece->call_page[piece->chosen] = piece->page[i];
	piece->call_node[piece->chosen] = node;
	piece->chosen++;
}

static void forget(int *status, size_t count)
{
	for (size_t i = 0; i < count; i++)
		status[i] = UNTOLD;
}

/* The module first, where it can, then move_pages for what it leaves to that. */
static long move_by_module(const struct vfrt_mover *mover, size_t count, void **page,
			   const int *node, int *status)
{
	const struct vfrt_reset_kernel *kernel = mover->kernel;
	long rc = kernel->move_small(kernel->context, mover->module, count, page, node, status);

	if (rc < 0) {
		forget(status, count);
		return kernel->move(kernel->context, count, page, node, status);
	}
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && status[to] == -EOPNOTSUPP; to++)
			;
		if (to == from) {
			to++;
			continue;
		}
		forget(status + from, to - from);
		rc = kernel->move(kernel->context, to - from, page + from, node + from,
				  status + from);
	}
	return rc;
}

/* Not where there are THPs: the module would leave all of it to move_pages. */
static bool is_small(const struct vfrt_region *region)
{
	return region->page_size == 4096 && !region->has_thp;
}

static void move_chosen(const struct vfrt_mover *mover, struct vfrt_piece *piece,
			const struct vfrt_region *region, size_t at_once)
{
	const struct vfrt_reset_kernel *kernel = mover->kernel;
	bool by_module = mover->module >= 0 && is_small(region);

	for (size_t from = 0; from < piece->chosen; from += at_once) {
		size_t count = piece->chosen - from < at_once ? piece->chosen - from : at_once;
		int *status = piece->call_status + from;
		long rc;

		forget(status, count);
		if (by_module)
			rc = move_by_module(mover, count, piece->call_page + from,
					    piece->call_node + from, status);
		else
			rc = kernel->move(kernel->context, count, piece->call_page + from,
					  piece->call_node + from, status);
		for (size_t i = 0; i < count; i++) {
			int *error = &piece->error[piece->index[from + i]];

			if (status[i] != UNTOLD)
				*error = status[i] < 0 ? status[i] : 0;
			else if (rc < 0)
				*error = (int)rc;
		}
	}
	query(mover, piece);
}

/* The pages from i on that are one whole extent, all on one node. */
static bool may_be_thp(const struct vfrt_piece *piece, size_t i)
{
	if ((uintptr_t)piece->page[i] % VFRT_EXTENT || piece->count - i < EXTENT_PAGES ||
	    piece->now[i] < 0)
		return false;
	for (size_t k = 1; k < EXTENT_PAGES; k++)
		if ((uintptr_t)piece->page[i + k] != (uintptr_t)piece->page[i] + k * 4096 ||
		    piece->now[i + k] != piece->now[i])
			return false;
	return true;
}

static void set_extent_target(struct vfrt_piece *piece, size_t i, int node)
{
	for (size_t k = 0; k < EXTENT_PAGES; k++)
		piece->target[i + k] = node;
}

/* Asks for the first page of each extent that may be a THP: if it is one, all
 * of it moves, by one page of the call. */
static void move_thps(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		      const struct vfrt_part *part, unsigned retry)
{
	piece->chosen = 0;
	for (size_t i = 0; i < piece->count; i++) {
		int node;

		if (!may_be_thp(piece, i))
			continue;
		node = target(mover, piece, part, i, VFRT_EXTENT, retry);
		if (node >= 0 && node != piece->now[i])
			choose(piece, i, node);
		/* Whole, where it belongs: were it small pages, they could be no
		 * better together. */
		set_extent_target(piece, i, node);
		i += EXTENT_PAGES - 1;
	}
	if (piece->chosen > 0)
		move_chosen(mover, piece, part->region, piece->chosen);
	/* Those of which only the first page moved aren't THPs. */
	for (size_t k = 0; k < piece->chosen; k++) {
		size_t i = piece->index[k];

		for (size_t j = i; j < i + EXTENT_PAGES; j++) {
			if (piece->now[i] != piece->now[i + 1])
				piece->target[j] = UNTOLD;
			else
				piece->error[j] = piece->error[i];
		}
	}
}

/* Node after node: the kernel begins a batch wherever the node changes. */
static void move_rest(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		      const struct vfrt_part *part, unsigned retry)
{
	uint64_t targets = 0;

	piece->chosen = 0;
	for (size_t i = 0; i < piece->count; i++) {
		if (piece->now[i] < 0)
			continue;
		if (piece->target[i] == UNTOLD)
			piece->target[i] = target(mover, piece, part, i, part->region->page_size,
						  retry);
		if (piece->target[i] >= 0 && piece->target[i] != piece->now[i])
			targets |= UINT64_C(1) << piece->target[i];
	}
	for (; targets; targets &= targets - 1) {
		int node = __builtin_ctzll(targets);

		for (size_t i = 0; i < piece->count; i++)
			if (piece->now[i] >= 0 && piece->target[i] == node && piece->now[i] != node)
				choose(piece, i, node);
	}
	if (piece->chosen > 0)
		move_chosen(mover, piece, part->region, call_size[retry]);
}

static bool settled(const struct vfrt_piece *piece, size_t i)
{
	return piece->now[i] < 0 || piece->now[i] == piece->target[i];
}

static enum vfrt_reset_reason reason(int wanted, int now, int error)
{
	if (wanted == VFRT_NO_TARGET)
		return VFRT_RESET_POLICY;
	if (now == -ENOENT || now == -EFAULT || error == -ENOENT || error == -EFAULT)
		return VFRT_RESET_GONE;
	switch (error) {
	case -EACCES:
		return VFRT_RESET_SHARED;
	case -ENOMEM:
		return VFRT_RESET_NO_MEMORY;
	case 0:
	case -EBUSY:
	case -EAGAIN:
		return VFRT_RESET_BUSY;
	default:
		return VFRT_RESET_REFUSED;
	}
}

static void account(const struct vfrt_piece *piece, const struct vfrt_region *region,
		    struct vfrt_reset_result *result)
{
	uint64_t size = region->page_size / 4096;

	for (size_t i = 0; i < piece->count; i++) {
		if (piece->first[i] == -ENOENT || piece->first[i] == -EFAULT)
			continue;
		if (piece->first[i] < 0)
			result->left[VFRT_RESET_REFUSED] += size;
		else if (piece->now[i] >= 0 && piece->now[i] != piece->first[i])
			result->moved += size;
		else if (piece->now[i] != piece->target[i])
			result->left[reason(piece->target[i], piece->now[i], piece->error[i])] +=
				size;
	}
}

void vfrt_move_piece(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		     const struct vfrt_part *part, struct vfrt_reset_result *result)
{
	bool unsettled = true;

	list_pages(mover, piece, part);
	if (piece->count == 0)
		return;
	query(mover, piece);
	for (size_t i = 0; i < piece->count; i++) {
		piece->first[i] = piece->now[i];
		piece->error[i] = 0;
	}
	for (unsigned retry = 0; retry < TRIES && unsettled; retry++) {
		for (size_t i = 0; i < piece->count; i++)
			if (!settled(piece, i) || retry == 0)
				piece->target[i] = UNTOLD;
		if (part->region->has_thp)
			move_thps(mover, piece, part, retry);
		move_rest(mover, piece, part, retry);
		unsettled = false;
		for (size_t i = 0; i < piece->count; i++)
			unsettled |= !settled(piece, i) && piece->target[i] != VFRT_NO_TARGET;
	}
	account(piece, part->region, result);
}
