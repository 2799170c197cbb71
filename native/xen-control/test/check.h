/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);         \
			exit(1);                                                               \
		}                                                                              \
	} while (0)
