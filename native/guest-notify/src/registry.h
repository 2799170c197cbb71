/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes whose runtimes follow a plain file's page: the files of P.d,
 * each held by a POSIX record lock of a living process.
 */
#ifndef VIRTFLEX_REGISTRY_H
#define VIRTFLEX_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Files beyond this many aren't looked at: whoever fills the directory costs
 * the publisher a bounded time. */
#define VIRTFLEX_MAX_RUNTIMES 4096

/* A file without a lock is left alone for this long: the process that has just
 * made it is about to lock it. */
#define VIRTFLEX_UNLOCKED_GRACE_MS 1000

struct virtflex_runtime {
	pid_t pid;
	uint64_t generation; /* last acknowledged; 0: none */
};

struct virtflex_runtimes {
	size_t count;
	bool pending; /* a file was left for its grace: look again after it */
	struct {      /* as P.d/generation says; 0: it says nothing */
		uint64_t generation;
		uint64_t ns; /* CLOCK_MONOTONIC */
	} published;
	struct virtflex_runtime runtime[VIRTFLEX_MAX_RUNTIMES];
};

/* Lists who lives and unlinks the files of who doesn't.  Returns 0 or the
 * negative errno of opening the directory. */
int virtflex_registry_scan(struct virtflex_runtimes *runtimes, const char *directory);

#endif
