/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_BITMAP_H
#define SHIM_BITMAP_H

#include <linux/types.h>
#include <string.h>

static inline bool test_bit(unsigned int bit, const unsigned long *map)
{
	return map[bit / BITS_PER_LONG] >> (bit % BITS_PER_LONG) & 1;
}

static inline void bitmap_set(unsigned long *map, unsigned int start, unsigned int n)
{
	for (; n--; start++)
		map[start / BITS_PER_LONG] |= 1UL << (start % BITS_PER_LONG);
}

static inline void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned int bits)
{
	memcpy(to, from, BITS_TO_LONGS(bits) * sizeof(long));
}

#endif
