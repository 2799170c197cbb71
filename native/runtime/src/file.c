/* SPDX-License-Identifier: Apache-2.0 */
#include "virtflex/file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int vfrt_file_of(struct vfrt_file *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*file = (struct vfrt_file){ fd, st.st_dev, st.st_ino };
	return 0;
}

bool vfrt_file_same(const struct vfrt_file *file, const struct vfrt_file *other)
{
	return file->device == other->device && file->inode == other->inode;
}

bool vfrt_file_is_ours(const struct vfrt_file *file)
{
	struct vfrt_file now;

	return file->fd >= 0 && vfrt_file_of(&now, file->fd) == 0 && vfrt_file_same(file, &now);
}

void vfrt_file_close(struct vfrt_file *file)
{
	if (vfrt_file_is_ours(file))
		close(file->fd);
	*file = VFRT_NO_FILE;
}
