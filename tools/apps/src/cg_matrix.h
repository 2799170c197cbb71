/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of the NAS CG benchmark: The NAS Parallel Benchmarks, RNR-94-007,
 * section 2.4.  A = sum over i of w_i x_i x_i' + (rcond - shift) I, where x_i is
 * a sparse random vector and the w_i fall geometrically from 1 to rcond.
 */
#ifndef CG_MATRIX_H
#define CG_MATRIX_H

#include <stddef.h>

struct cg_class {
	char name;
	int order;    /* rows and columns */
	int nonzeros; /* of each random vector */
	double shift;
	double zeta; /* published */
};

/* Compressed rows: of row i, elements first[i] .. first[i + 1] - 1. */
struct cg_matrix {
	int order;
	size_t *first;
	int *column;
	double *value;
};

struct cg_matrix cg_matrix_make(const struct cg_class *class);
void cg_matrix_free(struct cg_matrix *matrix);

#endif
