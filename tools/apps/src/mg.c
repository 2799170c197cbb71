/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAS MG, written from its specification (The NAS Parallel Benchmarks,
 * RNR-94-007, section 2.5): V-cycles of a multigrid solver for the Poisson
 * equation on a periodic cube, by 27-point stencils.
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "nas_random.h"
#include "program.h"

#define CYCLES 4
#define CHARGES 10
#define TOLERANCE 1e-8 /* relative */
#define MOST_LEVELS 9

struct mg_class {
	char name;
	int levels; /* the finest grid has 2^levels points a side */
	double norm;
};

static const struct mg_class classes[] = {
	{ 'S', 5, 0.5307707005734e-04 },
	{ 'W', 7, 0.6467329375339e-05 },
	{ 'A', 8, 0.2433365309069e-05 },
};

static const struct mg_class *class = &classes[0];

static bool take_class(const char *value)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (value[0] == classes[i].name && value[1] == '\0') {
			class = &classes[i];
			return true;
		}
	return false;
}

/* By the number of coordinates in which a neighbour differs. */
static const double residual_stencil[4] = { -8.0 / 3, 0, 1.0 / 6, 1.0 / 12 };
static const double smoother[4] = { -3.0 / 8, 1.0 / 32, -1.0 / 64, 0 };
static const double restriction[4] = { 1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 16 };

/* A periodic cube of side^3 points; side is a power of 2. */
struct grid {
	size_t side;
	double *point;
};

static size_t at(size_t side, size_t z, size_t y, size_t x)
{
	size_t mask = side - 1;

	return ((z & mask) * side + (y & mask)) * side + (x & mask);
}

/* The sum of a point and its 26 neighbours, weighted. */
static double stencil(const struct grid *grid, const double weight[4], size_t z, size_t y, size_t x)
{
	double sum[4] = { 0 };

	for (size_t k = 0; k < 3; k++)
		for (size_t j = 0; j < 3; j++)
			for (size_t i = 0; i < 3; i++)
				sum[(k != 1) + (j != 1) + (i != 1)] +=
					grid->point[at(grid->side, z + k - 1, y + j - 1, x + i - 1)];
	return weight[0] * sum[0] + weight[1] * sum[1] + weight[2] * sum[2] + weight[3] * sum[3];
}

static void clear(struct grid *grid)
{
#pragma omp parallel for
	for (size_t i = 0; i < grid->side * grid->side * grid->side; i++)
		grid->point[i] = 0;
}

/* r = v - A u */
static void residual(struct grid *r, const struct grid *v, const struct grid *u)
{
	size_t side = r->side;

#pragma omp parallel for
	for (size_t z = 0; z < side; z++)
		for (size_t y = 0; y < side; y++)
			for (size_t x = 0; x < side; x++)
				r->point[at(side, z, y, x)] =
					v->point[at(side, z, y, x)] -
					stencil(u, residual_stencil, z, y, x);
}

/* u += S r */
static void smooth(struct grid *u, const struct grid *r)
{
	size_t side = u->side;

#pragma omp parallel for
	for (size_t z = 0; z < side; z++)
		for (size_t y = 0; y < side; y++)
			for (size_t x = 0; x < side; x++)
				u->point[at(side, z, y, x)] += stencil(r, smoother, z, y, x);
}

/* Point i of the coarse grid lies on point 2 i + 1 of the fine one. */
static void restrict_to(struct grid *coarse, const struct grid *fine)
{
	size_t side = coarse->side;

#pragma omp parallel for
	for (size_t z = 0; z < side; z++)
		for (size_t y = 0; y < side; y++)
			for (size_t x = 0; x < side; x++)
				coarse->point[at(side, z, y, x)] = stencil(
					fine, restriction, 2 * z + 1, 2 * y + 1, 2 * x + 1);
}

/* fine += the coarse grid, interpolated */
static void interpolate(struct grid *fine, const struct grid *coarse)
{
	size_t side = fine->side;

#pragma omp parallel for
	for (size_t z = 0; z < side; z++)
		for (size_t y = 0; y < side; y++)
			for (size_t x = 0; x < side; x++) {
				double sum = 0;

				/* An even coordinate lies between two coarse points, an odd one on one. */
				for (size_t k = z / 2 - !(z & 1); k != z / 2 + 1; k++)
					for (size_t j = y / 2 - !(y & 1); j != y / 2 + 1; j++)
						for (size_t i = x / 2 - !(x & 1); i != x / 2 + 1;
						     i++)
							sum += coarse->point[at(coarse->side, k, j,
										i)];
				fine->point[at(side, z, y, x)] +=
					sum / (double)(1 << (3 - (z & 1) - (y & 1) - (x & 1)));
			}
}

/* What the levels keep: the solution and the residual of each. */
struct hierarchy {
	struct grid u[MOST_LEVELS], r[MOST_LEVELS], scratch[MOST_LEVELS];
	struct grid v;
};

static void cycle(struct hierarchy *h, int levels)
{
	for (int k = levels; k > 1; k--)
		restrict_to(&h->r[k - 1], &h->r[k]);
	clear(&h->u[1]);
	smooth(&h->u[1], &h->r[1]);
	for (int k = 2; k < levels; k++) {
		clear(&h->u[k]);
		interpolate(&h->u[k], &h->u[k - 1]);
		residual(&h->scratch[k], &h->r[k], &h->u[k]);
		smooth(&h->u[k], &h->scratch[k]);
	}
	interpolate(&h->u[levels], &h->u[levels - 1]);
	residual(&h->r[levels], &h->v, &h->u[levels]);
	smooth(&h->u[levels], &h->r[levels]);
}

struct charge {
	double value;
	size_t place;
};

/* Keeps the largest, by sign * value, in falling order. */
static void keep(struct charge kept[CHARGES], double sign, double value, size_t place)
{
	int i = CHARGES - 1;

	if (sign * value <= sign * kept[i].value)
		return;
	for (; i > 0 && sign * value > sign * kept[i - 1].value; i--)
		kept[i] = kept[i - 1];
	kept[i] = (struct charge){ value, place };
}

/* +1 at the ten largest of side^3 random numbers, -1 at the ten smallest. */
static void charge(struct grid *v)
{
	struct charge largest[CHARGES], smallest[CHARGES];
	uint64_t x = NAS_RANDOM_SEED;

	clear(v);
	for (int i = 0; i < CHARGES; i++) {
		largest[i].value = 0;
		smallest[i].value = 1;
	}
	for (size_t i = 0; i < v->side * v->side * v->side; i++) {
		double value = nas_random(&x);

		keep(largest, 1, value, i);
		keep(smallest, -1, value, i);
	}
	for (int i = 0; i < CHARGES; i++) {
		v->point[largest[i].place] = 1;
		v->point[smallest[i].place] = -1;
	}
}

static double norm_of(const struct grid *grid)
{
	size_t points = grid->side * grid->side * grid->side;
	double sum = 0;

#pragma omp parallel for reduction(+ : sum)
	for (size_t i = 0; i < points; i++)
		sum += grid->point[i] * grid->point[i];
	return sqrt(sum / (double)points);
}

static struct grid make_grid(int level)
{
	size_t side = (size_t)1 << level;
	struct grid grid = { side, program_memory(side * side * side, sizeof(double)) };

	clear(&grid);
	return grid;
}

int main(int argc, char **argv)
{
	static const struct program_option own = { "--class", "S|W|A", "size (default S)",
						   take_class };
	struct program_run run = program_options(argc, argv, "NAS MG.", &own);
	int levels = class->levels;
	struct hierarchy h = { .v = make_grid(levels) };
	bool all_verified = true;

	for (int k = 1; k <= levels; k++) {
		h.u[k] = make_grid(k);
		h.r[k] = make_grid(k);
		h.scratch[k] = make_grid(k);
	}
	charge(&h.v);
	while (program_goes_on(&run)) {
		double begun = program_now(), norm, seconds;
		bool verified;

		clear(&h.u[levels]);
		residual(&h.r[levels], &h.v, &h.u[levels]);
		for (int i = 0; i < CYCLES; i++) {
			cycle(&h, levels);
			residual(&h.r[levels], &h.v, &h.u[levels]);
		}
		norm = norm_of(&h.r[levels]);
		seconds = program_now() - begun;
		verified = fabs(norm - class->norm) <= TOLERANCE * class->norm;
		printf("repetition=%lu norm=%.13e verified=%s threads=%d seconds=%.6f\n", run.done,
		       norm, verified ? "yes" : "no", program_threads(), seconds);
		fflush(stdout);
		all_verified &= verified;
	}
	for (int k = 1; k <= levels; k++) {
		free(h.u[k].point);
		free(h.r[k].point);
		free(h.scratch[k].point);
	}
	free(h.v.point);
	return all_verified ? 0 : 1;
}
