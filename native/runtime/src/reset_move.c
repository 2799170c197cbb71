/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_move.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define PRESENT (UINT64_C(1) << 63) /* of an entry of pagemap */
#define EXTENT_PAGES (VFRT_EXTENT / 4096)

/* A kernel that can't move one page may leave those after it in the same call
 * alone, and not say so.  So each try makes its calls smaller: what stays in the
 * end shared a call with one that can't move. */
static const size_t call_size[] = { VFRT_PIECE_PAGES, 256, 16 };
#define TRIES (sizeof call_size / sizeof *call_size)

/* No status that the kernel gives. */
#define UNTOLD INT_MIN

static void list_pages(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		       const struct vfrt_region *region, uintptr_t start, uintptr_t end)
{
	size_t pages = (end - start) / region->page_size;
	bool present = region->page_size == 4096 && mover->pagemap >= 0 &&
		     pread(mover->pagemap, piece->pagemap, pages * 8, (off_t)(start / 4096 * 8)) ==
			     (ssize_t)(pages * 8);

	piece->present = present;
	piece->count = 0;
	for (size_t i = 0; i < pages; i++)
		if (!present || piece->pagemap[i] & PRESENT)
			piece->page[piece->count++] = (void *)(start + i * region->page_size);
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

static void move_chosen(const struct vfrt_mover *mover, struct vfrt_piece *piece, size_t at_once)
{
	const struct vfrt_reset_kernel *kernel = mover->kernel;

	for (size_t from = 0; from < piece->chosen; from += at_once) {
		size_t count = piece->chosen - from < at_once ? piece->chosen - from : at_once;
		int *status = piece->call_status + from;
		long rc;

		for (size_t i = 0; i < count; i++)
			status[i] = UNTOLD;
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

static void set_extent_target(struct vfrt_piece *piece, size_t i, int target)
{
	for (size_t k = 0; k < EXTENT_PAGES; k++)
		piece->target[i + k] = target;
}

/* Asks for the first page of each extent that may be a THP: if it is one, all
 * of it moves, by one page of the call. */
static void move_thps(const struct vfrt_mover *mover, struct vfrt_piece *piece,
		      const struct vfrt_region *region, unsigned retry)
{
	piece->chosen = 0;
	for (size_t i = 0; i < piece->count; i++) {
		int target;

		if (!may_be_thp(piece, i))
			continue;
		target = vfrt_target(mover->targets, region, (uintptr_t)piece->page[i], VFRT_EXTENT,
				     piece->now[i], retry);
		if (target >= 0 && target != piece->now[i])
			choose(piece, i, target);
		/* Whole, where it belongs: were it small pages, they could be no
		 * better together. */
		set_extent_target(piece, i, target);
		i += EXTENT_PAGES - 1;
	}
	if (piece->chosen > 0)
		move_chosen(mover, piece, piece->chosen);
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
		      const struct vfrt_region *region, unsigned retry)
{
	uint64_t targets = 0;

	piece->chosen = 0;
	for (size_t i = 0; i < piece->count; i++) {
		if (piece->now[i] < 0)
			continue;
		if (piece->target[i] == UNTOLD)
			piece->target[i] = vfrt_target(mover->targets, region,
						       (uintptr_t)piece->page[i],
						       region->page_size, piece->now[i], retry);
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
		move_chosen(mover, piece, call_size[retry]);
}

static bool settled(const struct vfrt_piece *piece, size_t i)
{
	return piece->now[i] < 0 || piece->now[i] == piece->target[i];
}

static enum vfrt_reset_reason reason(int target, int now, int error)
{
	if (target == VFRT_NO_TARGET)
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
		     const struct vfrt_region *region, uintptr_t start, uintptr_t end,
		     struct vfrt_reset_result *result)
{
	bool unsettled = true;

	list_pages(mover, piece, region, start, end);
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
		if (region->has_thp)
			move_thps(mover, piece, region, retry);
		move_rest(mover, piece, region, retry);
		unsettled = false;
		for (size_t i = 0; i < piece->count; i++)
			unsettled |= !settled(piece, i) && piece->target[i] != VFRT_NO_TARGET;
	}
	account(piece, region, result);
}
