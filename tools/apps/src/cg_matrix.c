/* SPDX-License-Identifier: Apache-2.0 */
#include "cg_matrix.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nas_random.h"
#include "program.h"

#define RCOND 0.1

struct sparse_vector {
	int length;
	int *index;
	double *value;
};

static int find(const struct sparse_vector *vector, int index)
{
	for (int i = 0; i < vector->length; i++)
		if (vector->index[i] == index)
			return i;
	return -1;
}

static void append(struct sparse_vector *vector, int index, double value)
{
	vector->index[vector->length] = index;
	vector->value[vector->length++] = value;
}

/* nonzeros random elements at random positions, and 0.5 at position row. */
static void random_vector(struct sparse_vector *vector, const struct cg_class *class, int row,
			  uint64_t *state)
{
	int power = 1, at;

	while (power < class->order)
		power *= 2;
	vector->length = 0;
	while (vector->length < class->nonzeros) {
		double value = nas_random(state);
		int index = (int)(power * nas_random(state));

		if (index < class->order && find(vector, index) < 0)
			append(vector, index, value);
	}
	at = find(vector, row);
	if (at >= 0)
		vector->value[at] = 0.5;
	else
		append(vector, row, 0.5);
}

/* One summand of an element. */
struct term {
	int column;
	double value;
};

/* Stable, so that the sum doesn't depend on the sort. */
static void sort_row(struct term *term, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct term moved = term[i];
		size_t j = i;

		for (; j > 0 && term[j - 1].column > moved.column; j--)
			term[j] = term[j - 1];
		term[j] = moved;
	}
}

/* Adds up the terms of each column of a row, in place; returns how many columns it has. */
static size_t merge_row(struct term *term, size_t count)
{
	size_t merged = 0;

	sort_row(term, count);
	for (size_t i = 0; i < count; i++) {
		if (merged > 0 && term[merged - 1].column == term[i].column)
			term[merged - 1].value += term[i].value;
		else
			term[merged++] = term[i];
	}
	return merged;
}

/* Compressed rows.  Each is written by the thread that multiplies it later: so it lies where
 * that thread runs. */
static struct cg_matrix add_up(int order, const size_t *start, struct term *term)
{
	struct cg_matrix matrix = { .order = order };

	matrix.first = program_memory((size_t)order + 1, sizeof *matrix.first);
	matrix.column = program_memory(start[order], sizeof *matrix.column);
	matrix.value = program_memory(start[order], sizeof *matrix.value);
	matrix.first[0] = 0;
#pragma omp parallel for
	for (int row = 0; row < order; row++)
		matrix.first[row + 1] = merge_row(term + start[row], start[row + 1] - start[row]);
	for (int row = 0; row < order; row++)
		matrix.first[row + 1] += matrix.first[row];
#pragma omp parallel for
	for (int row = 0; row < order; row++) {
		const struct term *from = term + start[row];

		for (size_t i = matrix.first[row]; i < matrix.first[row + 1]; i++, from++) {
			matrix.column[i] = from->column;
			matrix.value[i] = from->value;
		}
	}
	return matrix;
}

struct cg_matrix cg_matrix_make(const struct cg_class *class)
{
	size_t order = (size_t)class->order, width = (size_t)class->nonzeros + 1;
	int *indices = program_memory(order * width, sizeof *indices);
	double *values = program_memory(order * width, sizeof *values);
	struct sparse_vector *vector = program_memory(order, sizeof *vector);
	size_t *start = program_memory(order + 1, sizeof *start);
	size_t *filled = program_memory(order, sizeof *filled);
	double weight = 1, ratio = pow(RCOND, 1.0 / class->order);
	uint64_t state = NAS_RANDOM_SEED;
	struct cg_matrix matrix;
	struct term *term;

	/* The benchmark draws one number before the matrix. */
	nas_random(&state);
	memset(start, 0, (order + 1) * sizeof *start);
	for (size_t i = 0; i < order; i++) {
		vector[i].index = indices + i * width;
		vector[i].value = values + i * width;
		random_vector(&vector[i], class, (int)i, &state);
		for (int k = 0; k < vector[i].length; k++)
			start[vector[i].index[k] + 1] += (size_t)vector[i].length;
	}
	for (size_t i = 0; i < order; i++) {
		start[i + 1] += start[i];
		filled[i] = start[i];
	}
	term = program_memory(start[order], sizeof *term);
	for (size_t i = 0; i < order; i++, weight *= ratio) {
		const struct sparse_vector *x = &vector[i];

		for (int j = 0; j < x->length; j++)
			for (int k = 0; k < x->length; k++) {
				double value = x->value[k] * (x->value[j] * weight);

				if (x->index[j] == (int)i && x->index[k] == (int)i)
					value += RCOND - class->shift;
				term[filled[x->index[j]]++] = (struct term){ x->index[k], value };
			}
	}
	matrix = add_up(class->order, start, term);
	free(term);
	free(filled);
	free(start);
	free(vector);
	free(values);
	free(indices);
	return matrix;
}

void cg_matrix_free(struct cg_matrix *matrix)
{
	free(matrix->first);
	free(matrix->column);
	free(matrix->value);
}
