/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "scratch.h"

static struct virtflex_runtimes runtimes;

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", scratch, name);
}

static void make(const char *name, const char *text)
{
	char path[128];
	int fd;

	path_of(path, sizeof path, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool exists(const char *name)
{
	char path[128];

	path_of(path, sizeof path, name);
	return access(path, F_OK) == 0;
}

/* A process that has registered, with this text in its file. */
static pid_t start(const char *text)
{
	int ready[2];
	char byte;
	pid_t pid;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
		char name[32], path[128];
		int fd;

		snprintf(name, sizeof name, "%d", (int)getpid());
		path_of(path, sizeof path, name);
		fd = open(path, O_CREAT | O_RDWR, 0600);
		if (fcntl(fd, F_SETLK, &lock) < 0 || write(fd, text, strlen(text)) < 0 ||
		    write(ready[1], "", 1) < 0)
			_exit(1);
		pause();
	}
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static uint64_t generation_of(pid_t pid)
{
	for (size_t i = 0; i < runtimes.count; i++)
		if (runtimes.runtime[i].pid == pid)
			return runtimes.runtime[i].generation;
	return UINT64_MAX;
}

static void outlive_grace(void)
{
	struct timespec grace = { .tv_sec = VIRTFLEX_UNLOCKED_GRACE_MS / 1000,
				  .tv_nsec = 100000000 };

	nanosleep(&grace, NULL);
}

static void lists_the_living(void)
{
	static const struct {
		const char *text;
		uint64_t generation;
	} cases[] = {
		{ "", 0 },
		{ "12\n", 12 },
		{ "18446744073709551615\n", UINT64_MAX },
		{ "18446744073709551616\n", 0 },
		{ "12", 0 },
		{ "-1\n", 0 },
		{ " 1\n", 0 },
		{ "12\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", 12 },
		{ "99999999999999999999999999999999999999\n", 0 },
	};
	enum { COUNT = sizeof cases / sizeof *cases };
	pid_t pids[COUNT];

	for (int i = 0; i < COUNT; i++)
		pids[i] = start(cases[i].text);
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(runtimes.count == COUNT);
	CHECK(!runtimes.pending);
	for (int i = 0; i < COUNT; i++)
		CHECK(generation_of(pids[i]) == cases[i].generation);
	/* Looking hasn't released their locks. */
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(runtimes.count == COUNT);

	for (int i = 0; i < COUNT; i++)
		end(pids[i]);
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(runtimes.count == 0);
	CHECK(runtimes.pending);
	outlive_grace();
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(!runtimes.pending);
	for (int i = 0; i < COUNT; i++) {
		char name[32];

		snprintf(name, sizeof name, "%d", (int)pids[i]);
		CHECK(!exists(name));
	}
}

static void knows_the_publication(void)
{
	static const struct {
		const char *text;
		uint64_t generation, ns;
	} cases[] = {
		{ "7\n1234\n", 7, 1234 },
		{ "7\n", 0, 0 },
		{ "", 0, 0 },
		{ "7\nx\n", 0, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make("generation", cases[i].text);
		CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
		CHECK(runtimes.published.generation == cases[i].generation);
		CHECK(runtimes.published.ns == cases[i].ns);
	}
}

static void leaves_the_rest(void)
{
	static const char *const others[] = { "generation", "generation.new", "0", "007", "-3", "12x",
					      "4294967297000" };
	char path[128];

	make("31337", "5\n");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		make(others[i], "1\n");
	path_of(path, sizeof path, "40001");
	CHECK(symlink("generation", path) == 0);
	path_of(path, sizeof path, "40002");
	CHECK(mkfifo(path, 0600) == 0);
	path_of(path, sizeof path, "40003");
	CHECK(mkdir(path, 0700) == 0);

	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(runtimes.count == 0 && runtimes.pending);
	CHECK(exists("31337"));
	outlive_grace();
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	CHECK(runtimes.count == 0 && !runtimes.pending);
	CHECK(!exists("31337"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		CHECK(exists(others[i]));
	CHECK(exists("40002") && exists("40003"));
}

static void is_bounded(void)
{
	char name[32];
	int left = 0;

	for (int i = 1; i <= VIRTFLEX_MAX_RUNTIMES + 100; i++) {
		snprintf(name, sizeof name, "%d", 1000000 + i);
		make(name, "");
	}
	outlive_grace();
	/* The first scan leaves those beyond its limit to the second. */
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	for (int i = 1; i <= VIRTFLEX_MAX_RUNTIMES + 100; i++) {
		snprintf(name, sizeof name, "%d", 1000000 + i);
		left += exists(name);
	}
	/* What the test before has left counts too. */
	CHECK(left >= 100 && left <= 103);
	CHECK(virtflex_registry_scan(&runtimes, scratch) == 0);
	for (int i = 1; i <= VIRTFLEX_MAX_RUNTIMES + 100; i++) {
		snprintf(name, sizeof name, "%d", 1000000 + i);
		CHECK(!exists(name));
	}
}

int main(void)
{
	scratch_make();
	CHECK(virtflex_registry_scan(&runtimes, "/nowhere") == -ENOENT);
	lists_the_living();
	knows_the_publication();
	leaves_the_rest();
	is_bounded();
	return 0;
}
