/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of memory in which something was left that may be able to move later. */
#ifndef VFRT_RESET_REST_H
#define VFRT_RESET_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfrt_rest {
	size_t count;
	uintptr_t *piece; /* where each begins, a multiple of VFRT_PIECE */
};

/* The piece that address is in; forgotten where there is no memory to note it. */
void vfrt_rest_add(struct vfrt_rest *rest, uintptr_t address);

/* When all are there, before any is looked for. */
void vfrt_rest_sort(struct vfrt_rest *rest);

/* Whether one of them has a part of these addresses. */
bool vfrt_rest_meets(const struct vfrt_rest *rest, uintptr_t start, uintptr_t end);

void vfrt_rest_free(struct vfrt_rest *rest);

#endif
