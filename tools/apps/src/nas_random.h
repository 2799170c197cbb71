/* SPDX-License-Identifier: Apache-2.0 */
/* The generator of the NAS Parallel Benchmarks (RNR-94-007, section 2.3). */
#ifndef NAS_RANDOM_H
#define NAS_RANDOM_H

#include <stdint.h>

#define NAS_RANDOM_SEED UINT64_C(314159265)

/* x <- 5^13 x mod 2^46; returns x as a fraction of 2^46, in (0, 1). */
double nas_random(uint64_t *x);

#endif
