/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PROGRAM ARGUMENTS...: the init of a virtual machine for one test of a kernel that
 * has no console but its own log: runs PROGRAM, writes each line that it prints to the
 * log behind "init: ", so that every other line is the kernel's, then its status, and
 * ends the machine.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONSOLE_LEVEL 8	/* of syslog(2) */
#define ALL_LEVELS 8

static int log_fd;

static void say(const char *line)
{
	char text[512];
	int bytes = snprintf(text, sizeof text, "<4>init: %s", line);

	if (write(log_fd, text, bytes < (int)sizeof text ? (size_t)bytes : sizeof text - 1) < 0)
		_exit(1);
}

static void set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		say(file);
	close(fd);
}

static int run(char **argv)
{
	char line[256];
	int out[2], status;
	FILE *lines;

	if (pipe(out))
		return -1;
	if (fork() == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(out[0]);
		close(out[1]);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	lines = fdopen(out[0], "r");
	while (fgets(line, sizeof line, lines))
		say(line);
	wait(&status);
	return status;
}

int main(int argc, char **argv)
{
	char line[64];

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (argc < 2 || log_fd < 0)
		return 1;
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	set("/proc/sys/vm/nr_hugepages", "64");
	set("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise");
	klogctl(CONSOLE_LEVEL, NULL, ALL_LEVELS);

	say("begin\n");
	snprintf(line, sizeof line, "end, status %d\n", run(argv + 1));
	say(line);
	return reboot(RB_POWER_OFF);
}
