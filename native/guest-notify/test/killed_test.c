/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishers are killed while they write, at points that nobody chose.  Then a
 * reader finds a page of one generation or an odd sequence, never a mixture,
 * and the successor's first publication repairs it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "scratch.h"
#include "virtflex/page.h"

#define TORN_WANTED 50
#define ROUNDS_AT_MOST 5000

/* Most of the time in the write itself, rather than in telling of a generation. */
static _Noreturn void write_for_ever(void)
{
	struct virtflex_publisher publisher;
	uint32_t stamp;

	if (virtflex_publisher_open(&publisher, page_path) != 0)
		_exit(1);
	stamp = publisher.page->reset_call;
	for (uint64_t generation = publisher.page->generation + 1;; generation++)
		for (int i = 0; i < 1000; i++)
			if (publish(&publisher, generation, ++stamp) != 0)
				_exit(1);
}

int main(void)
{
	struct virtflex_publisher publisher;
	struct vfrt_mapping mapping;
	unsigned torn = 0, whole = 0;

	scratch_make();
	CHECK(virtflex_publisher_open(&publisher, page_path) == 0);
	CHECK(publish(&publisher, 1, 1) == 0);
	virtflex_publisher_close(&publisher);
	CHECK(vfrt_map(&mapping, page_path) == 0);
	srand(1);

	for (int round = 0; round < ROUNDS_AT_MOST && (torn < TORN_WANTED || whole == 0); round++) {
		uint64_t before = vfrt_page_generation(mapping.page);
		struct virtflex_topology_page copy;
		pid_t pid = fork();
		int rc, status;

		if (pid == 0)
			write_for_ever();
		CHECK(pid > 0);
		/* Meanwhile, a reader of a page that changes under it. */
		do {
			rc = vfrt_copy(&copy, mapping.page);
			CHECK(rc == -EAGAIN || (rc == 0 && of_one_stamp(&copy)));
			CHECK(waitpid(pid, &status, WNOHANG) == 0);
		} while (vfrt_page_generation(mapping.page) == before);
		usleep((useconds_t)(rand() % 1000));
		CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status));

		rc = vfrt_copy(&copy, mapping.page);
		CHECK(rc == -EAGAIN || (rc == 0 && of_one_stamp(&copy)));
		if (rc == 0)
			whole++;
		else
			torn++;

		CHECK(virtflex_publisher_open(&publisher, page_path) == 0);
		CHECK(publisher.torn == (rc != 0));
		CHECK(publish(&publisher, publisher.page->generation + 1, (uint32_t)round) == 0);
		CHECK(!publisher.torn);
		virtflex_publisher_close(&publisher);
		CHECK(vfrt_copy(&copy, mapping.page) == 0 && of_one_stamp(&copy));
		CHECK(copy.reset_call == (uint32_t)round && copy.generation > before);
	}
	/* Else the kills missed what they were for. */
	CHECK(torn >= TORN_WANTED);
	CHECK(whole > 0);
	printf("%u pages left torn, %u whole\n", torn, whole);
	vfrt_unmap(&mapping);
	return 0;
}
