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
static struct vfrt_mapping file = { .publisher = VFRT_PUBLISHER_FILE, .file = { .fd = -1 } };

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

/* The kernel's page is answered by the descriptor that it was mapped with: here a
 * plain file's.  The program closes that one, and gets its number for another. */
static void kernel_page(void)
{
	struct vfrt_mapping kernel = { .publisher = VFRT_PUBLISHER_KERNEL };
	struct vfrt_file registration;
	char page[PATH_MAX], precious[PATH_MAX], text[16] = "";
	int fd;

	strcpy(page, fake_file("kernel", "", 0));
	strcpy(precious, fake_file("precious", "precious", 8));
	CHECK(vfrt_file_of(&kernel.file, open(page, O_RDWR | O_CLOEXEC)) == 0);
	CHECK(vfrt_register(&registration, &kernel, page) == 0);
	CHECK(registration.fd == kernel.file.fd);
	CHECK(vfrt_kernel_page(&registration, &kernel) == registration.fd);

	close(kernel.file.fd);
	fd = open(precious, O_RDWR | O_CLOEXEC);
	CHECK(fd == kernel.file.fd);
	CHECK(vfrt_answer(&registration, 7) == -EBADF);
	CHECK(vfrt_kernel_page(&registration, &kernel) == -1);
	vfrt_unregister(&registration, &kernel);
	CHECK(vfrt_register(&registration, &kernel, precious) == -ESTALE);
	CHECK(vfrt_register(&registration, &kernel, page) == 0 && registration.fd != fd);
	CHECK(vfrt_answer(&registration, 7) == 0);
	CHECK(pread(fd, text, sizeof text, 0) == 8 && strcmp(text, "precious") == 0);

	vfrt_unregister(&registration, &kernel);
	vfrt_file_close(&kernel.file);
	CHECK(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

int main(void)
{
	struct vfrt_file registration;
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

	kernel_page();
	return 0;
}
