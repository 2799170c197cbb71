/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAS CG, written from its specification (The NAS Parallel Benchmarks,
 * RNR-94-007, section 2.4): the smallest eigenvalue of a sparse matrix by
 * inverse power iteration, each step of it 25 iterations of conjugate gradient.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cg_matrix.h"
#include "program.h"

#define POWER_STEPS 15
#define CG_STEPS 25
#define TOLERANCE 1e-10

static const struct cg_class classes[] = {
	{ 'S', 1400, 7, 10, 8.5971775078648 },
	{ 'W', 7000, 8, 12, 10.362595087124 },
	{ 'A', 14000, 11, 20, 17.130235054029 },
};

static const struct cg_class *class = &classes[0];

static bool take_class(const char *value)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (value[0] == classes[i].name && value[1] == '\0') {
			class = &classes[i];
			return true;
		}
	return false;
}

/* Vectors of the matrix's order. */
struct cg_vectors {
	double *x, *z, *p, *q, *r;
};

/* q = A p; returns p q. */
static double multiply(const struct cg_matrix *a, const double *p, double *q)
{
	double product = 0;

#pragma omp parallel for reduction(+ : product)
	for (int row = 0; row < a->order; row++) {
		double sum = 0;

		for (size_t i = a->first[row]; i < a->first[row + 1]; i++)
			sum += a->value[i] * p[a->column[i]];
		q[row] = sum;
		product += p[row] * sum;
	}
	return product;
}

/* z such that A z is about x. */
static void solve(const struct cg_matrix *a, const struct cg_vectors *v)
{
	int order = a->order;
	double rho = 0;

#pragma omp parallel for reduction(+ : rho)
	for (int i = 0; i < order; i++) {
		v->z[i] = 0;
		v->r[i] = v->p[i] = v->x[i];
		rho += v->r[i] * v->r[i];
	}
	for (int step = 0; step < CG_STEPS; step++) {
		double alpha = rho / multiply(a, v->p, v->q);
		double beta, next = 0;

#pragma omp parallel for reduction(+ : next)
		for (int i = 0; i < order; i++) {
			v->z[i] += alpha * v->p[i];
			v->r[i] -= alpha * v->q[i];
			next += v->r[i] * v->r[i];
		}
		beta = next / rho;
		rho = next;
#pragma omp parallel for
		for (int i = 0; i < order; i++)
			v->p[i] = v->r[i] + beta * v->p[i];
	}
}

static double power_iteration(const struct cg_matrix *a, const struct cg_vectors *v)
{
	double zeta = 0;

#pragma omp parallel for
	for (int i = 0; i < a->order; i++)
		v->x[i] = 1;
	for (int step = 0; step < POWER_STEPS; step++) {
		double scale, xz = 0, zz = 0;

		solve(a, v);
#pragma omp parallel for reduction(+ : xz, zz)
		for (int i = 0; i < a->order; i++) {
			xz += v->x[i] * v->z[i];
			zz += v->z[i] * v->z[i];
		}
		zeta = class->shift + 1 / xz;
		scale = 1 / sqrt(zz);
#pragma omp parallel for
		for (int i = 0; i < a->order; i++)
			v->x[i] = scale * v->z[i];
	}
	return zeta;
}

int main(int argc, char **argv)
{
	static const struct program_option own = { "--class", "S|W|A", "size (default S)",
						   take_class };
	struct program_run run = program_options(argc, argv, "NAS CG.", &own);
	struct cg_matrix a = cg_matrix_make(class);
	size_t order = (size_t)a.order;
	struct cg_vectors v = {
		.x = program_memory(order, sizeof(double)),
		.z = program_memory(order, sizeof(double)),
		.p = program_memory(order, sizeof(double)),
		.q = program_memory(order, sizeof(double)),
		.r = program_memory(order, sizeof(double)),
	};
	bool all_verified = true;

	while (program_goes_on(&run)) {
		double begun = program_now();
		double zeta = power_iteration(&a, &v);
		double seconds = program_now() - begun;
		bool verified = fabs(zeta - class->zeta) <= TOLERANCE;

		printf("repetition=%lu zeta=%.13f verified=%s threads=%d seconds=%.6f\n", run.done,
		       zeta, verified ? "yes" : "no", program_threads(), seconds);
		fflush(stdout);
		all_verified &= verified;
	}
	free(v.x);
	free(v.z);
	free(v.p);
	free(v.q);
	free(v.r);
	cg_matrix_free(&a);
	return all_verified ? 0 : 1;
}
