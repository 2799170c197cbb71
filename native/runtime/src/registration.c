/* SPDX-License-Identifier: Apache-2.0 */
#include "registration.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 8

/* <page>.d/<pid>, held by a POSIX record lock on byte 0. */
static int open_locked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	for (int i = 0; i < OPEN_TRIES; i++) {
		int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat st;
		int rc;

		if (fd < 0)
			return -errno;
		if (fcntl(fd, F_SETLK, &lock) < 0 || fstat(fd, &st) < 0) {
			rc = -errno;
			close(fd);
			return rc;
		}
		/* The publisher took it for a dead process's before we had the
		 * lock: make another. */
		if (st.st_nlink == 0) {
			close(fd);
			continue;
		}
		/* What a dead process of this number answered isn't ours. */
		if (ftruncate(fd, 0) < 0) {
			rc = -errno;
			close(fd);
			return rc;
		}
		return fd;
	}
	return -EAGAIN;
}

int vfrt_register(struct vfrt_registration *registration, const struct vfrt_mapping *mapping,
		  const char *path)
{
	char own[PATH_MAX];
	struct stat st;
	int fd = mapping->fd;

	*registration = VFRT_UNREGISTERED;
	if (mapping->publisher == VFRT_PUBLISHER_FILE) {
		int length = snprintf(own, sizeof own, "%s.d/%d", path, (int)getpid());

		if (length < 0 || (size_t)length >= sizeof own)
			return -ENAMETOOLONG;
		fd = open_locked(own);
		if (fd < 0)
			return fd;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	registration->fd = fd;
	registration->device = st.st_dev;
	registration->inode = st.st_ino;
	return 0;
}

static bool still_ours(const struct vfrt_registration *registration)
{
	struct stat st;

	return fstat(registration->fd, &st) == 0 && st.st_dev == registration->device &&
	       st.st_ino == registration->inode;
}

int vfrt_kernel_page(const struct vfrt_registration *registration,
		     const struct vfrt_mapping *mapping)
{
	bool ours = mapping->publisher == VFRT_PUBLISHER_KERNEL && registration->fd >= 0 &&
		    still_ours(registration);

	return ours ? registration->fd : -1;
}

int vfrt_answer(const struct vfrt_registration *registration, uint64_t generation)
{
	char text[24];
	int length;

	if (registration->fd < 0 || !still_ours(registration))
		return -EBADF;
	length = snprintf(text, sizeof text, "%" PRIu64 "\n", generation);
	/* At offset 0: a later generation is never shorter. */
	if (pwrite(registration->fd, text, (size_t)length, 0) != length)
		return -errno;
	return 0;
}

void vfrt_unregister(struct vfrt_registration *registration, const struct vfrt_mapping *mapping)
{
	if (registration->fd >= 0 && registration->fd != mapping->fd && still_ours(registration))
		close(registration->fd);
	*registration = VFRT_UNREGISTERED;
}
