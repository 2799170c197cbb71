/* SPDX-License-Identifier: Apache-2.0 */
#include "nas_random.h"

#include <math.h>

#define MULTIPLIER UINT64_C(1220703125)
#define MODULUS_BITS 46

double nas_random(uint64_t *x)
{
	*x = *x * MULTIPLIER & ((UINT64_C(1) << MODULUS_BITS) - 1);
	return ldexp((double)*x, -MODULUS_BITS);
}
