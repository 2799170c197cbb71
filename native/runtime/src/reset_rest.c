/* SPDX-License-Identifier: Apache-2.0 */
#include "reset_rest.h"

#include <stdlib.h>

#include "reset_move.h"

static uintptr_t piece_of(uintptr_t address)
{
	return address / VFRT_PIECE * VFRT_PIECE;
}

void vfrt_rest_add(struct vfrt_rest *rest, uintptr_t address)
{
	if (!(rest->count & (rest->count - 1))) {
		size_t larger = rest->count ? 2 * rest->count : 1;
		void *moved = realloc(rest->piece, larger * sizeof *rest->piece);

		if (!moved)
			return;
		rest->piece = moved;
	}
	rest->piece[rest->count++] = piece_of(address);
}

static int compare(const void *a, const void *b)
{
	uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;

	return (left > right) - (left < right);
}

void vfrt_rest_sort(struct vfrt_rest *rest)
{
	if (rest->count > 0)
		qsort(rest->piece, rest->count, sizeof *rest->piece, compare);
}

bool vfrt_rest_meets(const struct vfrt_rest *rest, uintptr_t start, uintptr_t end)
{
	size_t low = 0, high = rest->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rest->piece[middle] < piece_of(start))
			low = middle + 1;
		else
			high = middle;
	}
	return low < rest->count && rest->piece[low] < end;
}

void vfrt_rest_free(struct vfrt_rest *rest)
{
	free(rest->piece);
	*rest = (struct vfrt_rest){ 0 };
}
