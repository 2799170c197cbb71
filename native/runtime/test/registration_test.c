/* SPDX-License-Identifier: Apache-2.0 */
#include "registration.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"

static char page_path[PATH_MAX], own_path[PATH_MAX + 32];
static struct vfrt_mapping file = { .publisher = VFRT_PUBLISHER_FILE, .fd = -1 };

static bool content_is(const char *expected)
{
	char text[64] = "";
	int fd = open(own_path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	/* Closing any descriptor of it drops this process's lock: in a child. */
	CHECK(fd >= 0);
	got = read(fd, text, sizeof text - 1);
	close(fd);
	return got >= 0 && strcmp(text, expected) == 0;
}

/* As a publisher would, from another process. */
static int in_child(int (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(test());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int locked(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = open(own_path, O_RDWR);

	return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int says_9(void)
{
	return content_is("9\n");
}

static int says_10(void)
{
	return content_is("10\n");
}

int main(void)
{
	struct vfrt_registration registration;
	char name[64];
	int fd;

	snprintf(page_path, sizeof page_path, "%s/page", fake_directory());
	snprintf(own_path, sizeof own_path, "%s.d/%d", page_path, (int)getpid());

	CHECK(vfrt_register(&registration, &file, page_path) == -ENOENT);
	CHECK(vfrt_answer(&registration, 1) == -EBADF);

	/* A dead process of our number has left its answer. */
	snprintf(name, sizeof name, "page.d/%d", (int)getpid());
	fake_file(name, "123456789\n", 10);
	CHECK(vfrt_register(&registration, &file, page_path) == 0);
	CHECK(in_child(locked));
	CHECK(vfrt_answer(&registration, 9) == 0);
	CHECK(in_child(says_9));
	CHECK(vfrt_answer(&registration, 10) == 0);
	CHECK(in_child(says_10));

	/* The program closes our descriptor and gets its number for another file. */
	close(registration.fd);
	fd = open(fake_file("precious", "precious", 8), O_RDWR);
	CHECK(fd == registration.fd);
	CHECK(vfrt_answer(&registration, 11) == -EBADF);
	vfrt_unregister(&registration, &file);
	CHECK(registration.fd == -1 && fcntl(fd, F_GETFD) >= 0);
	close(fd);

	/* A link where our file should be isn't followed. */
	CHECK(unlink(own_path) == 0 && symlink("/dev/null", own_path) == 0);
	CHECK(vfrt_register(&registration, &file, page_path) == -ELOOP);
	CHECK(unlink(own_path) == 0);

	CHECK(vfrt_register(&registration, &file, page_path) == 0);
	vfrt_unregister(&registration, &file);
	CHECK(!in_child(locked));
	return 0;
}
