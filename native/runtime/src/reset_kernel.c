/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel that we run on.  Raw system calls: libnuma isn't everywhere. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "virtflex/machine.h"
#include "virtflex/reset.h"
#include "virtflex/reset_ioctl.h"

#define MPOL_MF_MOVE 2 /* <linux/mempolicy.h> */
#define WAKE_AT_ONCE 512 /* of IOV_MAX */

static long move(void *context, size_t count, void **page, const int *node, int *status)
{
	long rc = syscall(SYS_move_pages, 0, count, page, node, status, MPOL_MF_MOVE);

	(void)context;
	return rc < 0 ? -errno : rc;
}

/* Reads a byte of each page by a system call: what is unmapped meanwhile is an
 * error then, and no signal. */
static void wake(void *context, size_t count, void **page)
{
	struct iovec remote[WAKE_AT_ONCE];
	char byte[WAKE_AT_ONCE];
	struct iovec local = { byte, sizeof byte };

	(void)context;
	for (size_t done = 0; done < count;) {
		size_t n = 0;
		ssize_t got;

		for (; n < WAKE_AT_ONCE && done + n < count; n++)
			remote[n] = (struct iovec){ page[done + n], 1 };
		got = process_vm_readv(getpid(), &local, 1, remote, n, 0);
		/* The first that can't be read ends the call. */
		done += got > 0 ? (size_t)got : 1;
	}
}

static long next_touch(void *context, uint32_t call, uint64_t nodes, struct vfrt_next_touch *done)
{
	long rc = syscall((long)call, 0, VIRTFLEX_MAX_NODES + 1, &nodes, done, 0);

	(void)context;
	return rc < 0 ? -errno : rc;
}

static long move_small(void *context, int module, size_t count, void **page, const int *node,
		       int *status)
{
	struct virtflex_move request = {
		.count = count,
		.page = (uintptr_t)page,
		.node = (uintptr_t)node,
		.status = (uintptr_t)status,
	};

	(void)context;
	return ioctl(module, VIRTFLEX_IOC_MOVE, &request) < 0 ? -errno : 0;
}

static uint64_t now(void *context)
{
	struct timespec time;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

const struct vfrt_reset_kernel vfrt_reset_kernel = {
	.proc = "/proc/self",
	.sysfs = VFRT_SYSFS,
	.move = move,
	.wake = wake,
	.next_touch = next_touch,
	.move_small = move_small,
	.now = now,
};
