/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open file, told by its identity: a program may close descriptors that it
 * doesn't know (closefrom), and get the number again for a file of its own.
 */
#ifndef VIRTFLEX_FILE_H
#define VIRTFLEX_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct vfrt_file {
	int fd; /* -1: none */
	dev_t device;
	ino_t inode;
};

#define VFRT_NO_FILE ((struct vfrt_file){ .fd = -1 })

/* What fd is open on, now.  Returns 0, or a negative errno of fstat. */
int vfrt_file_of(struct vfrt_file *file, int fd);

bool vfrt_file_same(const struct vfrt_file *file, const struct vfrt_file *other);

/* Whether the descriptor is still open on it. */
bool vfrt_file_is_ours(const struct vfrt_file *file);

/* Closes the descriptor if that is still ours. */
void vfrt_file_close(struct vfrt_file *file);

#endif
