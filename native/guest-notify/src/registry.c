/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pid in decimal, else 0: no other name is a registration. */
static pid_t pid_of(const char *name)
{
	char *end;
	long pid;

	if (name[0] < '1' || name[0] > '9')
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return errno || *end || pid > INT_MAX ? 0 : (pid_t)pid;
}

/* Lines of one decimal each; returns how many of them there are. */
static int read_decimals(int fd, uint64_t *values, int count)
{
	char text[64];
	ssize_t length = pread(fd, text, sizeof text - 1, 0);
	const char *at = text;

	text[length > 0 ? length : 0] = '\0';
	for (int i = 0; i < count; i++) {
		char *end;

		if (*at < '0' || *at > '9')
			return i;
		errno = 0;
		values[i] = strtoull(at, &end, 10);
		if (errno || *end != '\n')
			return i;
		at = end + 1;
	}
	return count;
}

static bool is_young(const struct stat *st)
{
	struct timespec now;
	int64_t age_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (int64_t)(now.tv_sec - st->st_ctim.tv_sec) * 1000 +
		 (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
	/* Below 0 the clock was set back: an age that nobody knows is no grace. */
	return age_ms >= 0 && age_ms < VIRTFLEX_UNLOCKED_GRACE_MS;
}

enum holder { LIVING, DEAD, STARTING, NO_RUNTIME };

static enum holder look(int fd, struct virtflex_runtime *runtime)
{
	struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fcntl(fd, F_GETLK, &held) < 0)
		return NO_RUNTIME;
	if (held.l_type == F_UNLCK)
		return is_young(&st) ? STARTING : DEAD;
	/* Our namespace's number, where it has one for the process. */
	if (held.l_pid > 0)
		runtime->pid = held.l_pid;
	/* Anything but a generation acknowledges nothing. */
	if (read_decimals(fd, &runtime->generation, 1) < 1)
		runtime->generation = 0;
	return LIVING;
}

/* Under a lock, so that a new process of that number can't have taken it
 * meanwhile; one for reading, as fd is. */
static void bury(int directory, const char *name, int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fcntl(fd, F_SETLK, &lock) == 0)
		unlinkat(directory, name, 0);
}

static void read_published(struct virtflex_runtimes *runtimes, int directory)
{
	int fd = openat(directory, "generation", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t values[2];

	if (fd < 0)
		return;
	if (read_decimals(fd, values, 2) == 2) {
		runtimes->published.generation = values[0];
		runtimes->published.ns = values[1];
	}
	close(fd);
}

int virtflex_registry_scan(struct virtflex_runtimes *runtimes, const char *directory)
{
	struct dirent *entry;
	unsigned seen = 0;
	DIR *dir = opendir(directory);

	*runtimes = (struct virtflex_runtimes){ 0 };
	if (!dir)
		return -errno;
	read_published(runtimes, dirfd(dir));
	while (seen < VIRTFLEX_MAX_RUNTIMES && (entry = readdir(dir))) {
		struct virtflex_runtime runtime = { .pid = pid_of(entry->d_name) };
		int fd;

		if (runtime.pid == 0)
			continue;
		seen++;
		/* Closing a file that was open for writing is an event of the
		 * directory, and would be the reason for another scan. */
		fd = openat(dirfd(dir), entry->d_name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			continue;
		switch (look(fd, &runtime)) {
		case LIVING:
			runtimes->runtime[runtimes->count++] = runtime;
			break;
		case STARTING:
			runtimes->pending = true;
			break;
		case DEAD:
			bury(dirfd(dir), entry->d_name, fd);
			break;
		case NO_RUNTIME:
			break;
		}
		close(fd);
	}
	closedir(dir);
	return 0;
}
