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

/* The kernel's page once more, for a program that has closed the descriptor of the
 * mapping. */
static int open_again(const struct vfrt_mapping *mapping, const char *path)
{
	struct vfrt_file file = VFRT_NO_FILE;
	int rc;

	file.fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file.fd < 0)
		return -errno;
	rc = vfrt_file_of(&file, file.fd);
	if (rc == 0 && !vfrt_file_same(&file, &mapping->file))
		rc = -ESTALE;
	if (rc == 0)
		return file.fd;
	close(file.fd);
	return rc;
}

static int open_listed(const char *path)
{
	char own[PATH_MAX];
	int length = snprintf(own, sizeof own, "%s.d/%d", path, (int)getpid());

	if (length < 0 || (size_t)length >= sizeof own)
		return -ENAMETOOLONG;
	return open_locked(own);
}

int vfrt_register(struct vfrt_file *registration, const struct vfrt_mapping *mapping,
		  const char *path)
{
	int fd;

	*registration = VFRT_NO_FILE;
	if (mapping->publisher == VFRT_PUBLISHER_FILE)
		fd = open_listed(path);
	else if (vfrt_file_is_ours(&mapping->file))
		fd = mapping->file.fd;
	else
		fd = open_again(mapping, path);
	return fd < 0 ? fd : vfrt_file_of(registration, fd);
}

int vfrt_kernel_page(const struct vfrt_file *registration, const struct vfrt_mapping *mapping)
{
	bool ours = mapping->publisher == VFRT_PUBLISHER_KERNEL && vfrt_file_is_ours(registration);

	return ours ? registration->fd : -1;
}

int vfrt_answer(const struct vfrt_file *registration, uint64_t generation)
{
	char text[24];
	int length;

	if (!vfrt_file_is_ours(registration))
		return -EBADF;
	length = snprintf(text, sizeof text, "%" PRIu64 "\n", generation);
	/* At offset 0: a later generation is never shorter. */
	if (pwrite(registration->fd, text, (size_t)length, 0) != length)
		return -errno;
	return 0;
}

void vfrt_unregister(struct vfrt_file *registration, const struct vfrt_mapping *mapping)
{
	bool of_mapping = registration->fd == mapping->file.fd &&
			  vfrt_file_same(registration, &mapping->file);

	if (!of_mapping)
		vfrt_file_close(registration);
	*registration = VFRT_NO_FILE;
}
