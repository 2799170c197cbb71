/* SPDX-License-Identifier: GPL-2.0 */
/* glibc includes this one too. */
#include <asm-generic/errno.h>
