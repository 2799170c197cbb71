/* SPDX-License-Identifier: Apache-2.0 */
#include "subject.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "../fake.h"

#define SKIPPED 77

static struct virtflex_topology_page page, *published;
static FILE *to_subject, *from_subject;

static unsigned subject_cpus[2];
static bool known;

/* As they were at first: a program that is its own subject gets confined. */
unsigned subject_cpu(unsigned node)
{
	if (!known) {
		struct vfrt_cpus mine = { 0 };

		CHECK(sched_getaffinity(0, sizeof mine, (cpu_set_t *)(void *)&mine) == 0);
		subject_cpus[0] = vfrt_cpus_next(&mine, 0);
		subject_cpus[1] = vfrt_cpus_next(&mine, subject_cpus[0] + 1);
		if (subject_cpus[1] >= VIRTFLEX_MAX_CPUS) {
			fprintf(stderr, "this machine has one CPU only: skipped\n");
			exit(SKIPPED);
		}
		known = true;
	}
	CHECK(node < 2);
	return subject_cpus[node];
}

static void set_node(unsigned node, bool used, enum subject_way way)
{
	uint32_t flags = VIRTFLEX_NODE_PRESENT | VIRTFLEX_NODE_ONLINE;
	uint16_t *cpu_node = &page.cpu_node[subject_cpu(node)];

	*cpu_node = (uint16_t)node;
	if (!used && way == SUBJECT_EVACUATING)
		flags |= VIRTFLEX_NODE_EVACUATING;
	if (!used && way == SUBJECT_NODE_OFFLINE)
		flags &= ~VIRTFLEX_NODE_ONLINE;
	if (!used && way == SUBJECT_CPU_OFFLINE)
		*cpu_node = VIRTFLEX_CPU_OFFLINE;
	page.node[node].flags = flags;
}

uint64_t subject_publish(unsigned nodes, enum subject_way way)
{
	char name[PATH_MAX];
	bool first = !published;

	if (first) {
		page = fake_page(2, subject_cpu(1) + 1);
		for (unsigned cpu = 0; cpu < VIRTFLEX_MAX_CPUS; cpu++)
			page.cpu_node[cpu] = VIRTFLEX_CPU_OFFLINE;
	}
	set_node(0, nodes & 1, way);
	set_node(1, nodes & 2, way);
	if (first) {
		published = fake_publisher("page", &page);
		snprintf(name, sizeof name, "%s/page.d", fake_directory());
		CHECK(mkdir(name, 0700) == 0);
		snprintf(name, sizeof name, "%s/page", fake_directory());
		CHECK(setenv(VIRTFLEX_TOPOLOGY_ENV, name, 1) == 0);
	} else {
		fake_publish(published, &page);
	}
	return published->generation;
}

void subject_again(char *const argv[])
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", argv[0], argv[1], fake_directory(), (char *)NULL);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void subject_resume(const char *directory)
{
	fake_adopt(directory);
	published = fake_published("page");
	page = *published;
	for (unsigned cpu = 0; cpu < page.cpu_count; cpu++)
		if (page.cpu_node[cpu] != VIRTFLEX_CPU_OFFLINE)
			subject_cpus[page.cpu_node[cpu]] = cpu;
	known = true;
}

void subject_start(struct subject *subject, char *const argv[])
{
	int in[2], out[2];

	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	subject->pid = fork();
	CHECK(subject->pid >= 0);
	if (subject->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_subject = fdopen(in[1], "we");
	from_subject = fdopen(out[0], "re");
	CHECK(to_subject && from_subject);
}

void subject_run(struct subject *subject, unsigned rounds)
{
	char line[2048], result[16];
	int used, at;

	fprintf(to_subject, "%u\n", rounds);
	fflush(to_subject);
	CHECK(fgets(line, sizeof line, from_subject));
	CHECK(sscanf(line, "%d %15s%n", &subject->threads, result, &used) == 2);
	CHECK(strcmp(result, "right") == 0);
	CHECK(subject->threads > 0 && subject->threads <= SUBJECT_MAX_THREADS);
	for (int i = 0; i < subject->threads; i++, used += at)
		CHECK(sscanf(line + used, "%ld%n", &subject->tid[i], &at) == 1);
}

void subject_stop(struct subject *subject)
{
	int status;

	fclose(to_subject);
	fclose(from_subject);
	CHECK(waitpid(subject->pid, &status, 0) == subject->pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct vfrt_cpus subject_affinity(const struct subject *subject, long tid)
{
	static const char label[] = "Cpus_allowed_list:\t";
	struct vfrt_cpus cpus = { 0 };
	char name[64], line[4096];
	FILE *status;

	snprintf(name, sizeof name, "/proc/%d/task/%ld/status", (int)subject->pid, tid);
	status = fopen(name, "re");
	while (status && fgets(line, sizeof line, status))
		if (strncmp(line, label, sizeof label - 1) == 0)
			CHECK(vfrt_cpus_parse_list(&cpus, line + sizeof label - 1));
	if (status)
		fclose(status);
	return cpus;
}

int subject_tasks(const struct subject *subject, long *tid, int size)
{
	struct dirent *entry;
	char name[64];
	int count = 0;
	DIR *tasks;

	snprintf(name, sizeof name, "/proc/%d/task", (int)subject->pid);
	tasks = opendir(name);
	CHECK(tasks);
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.' && count < size)
			tid[count++] = atol(entry->d_name);
	closedir(tasks);
	return count;
}

long subject_acknowledged(const struct subject *subject)
{
	char name[PATH_MAX], text[32] = "";
	FILE *file;

	snprintf(name, sizeof name, "%s/page.d/%d", fake_directory(), (int)subject->pid);
	file = fopen(name, "re");
	if (!file)
		return -1;
	if (!fgets(text, sizeof text, file))
		text[0] = '\0';
	fclose(file);
	return atol(text);
}
