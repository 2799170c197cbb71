/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_KERNEL_H
#define SHIM_KERNEL_H

#include <linux/minmax.h>
#include <linux/types.h>

#define U64_MAX UINT64_MAX
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#endif
