/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing a topology page in a plain file P, and the directory P.d beside
 * it, as <virtflex/topology_page.h> describes them.
 *
 * A page is created complete and then linked to its name, and a file that is
 * mapped is never truncated, so no reader ever sees a part of one.  A publisher
 * that was killed in mid-write leaves the sequence odd: readers keep what they
 * had until its successor's first publication makes it even.
 */
#ifndef VIRTFLEX_PUBLISHER_H
#define VIRTFLEX_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "virtflex/topology_page.h"

struct virtflex_publisher {
	struct virtflex_topology_page *page;
	int fd;        /* of the page, exclusively locked for as long as it is open */
	int directory; /* P.d */
	bool torn;     /* the predecessor died in mid-write, nothing was published since */
};

/* What is published: the page without identity, sequence and generation. */
#define VIRTFLEX_CONTENT_OFFSET 128u
#define VIRTFLEX_CONTENT_SIZE (sizeof(struct virtflex_topology_page) - VIRTFLEX_CONTENT_OFFSET)

/* Opens the page at path, or makes it.  Returns 0, or a negative errno: -EBUSY
 * when another process publishes it; -EEXIST when the file is there and isn't
 * such a page, which is then left as it is; -EPERM when somebody else could
 * write to it or to its directory. */
int virtflex_publisher_open(struct virtflex_publisher *publisher, const char *path);

/* Writes content, VIRTFLEX_CONTENT_SIZE bytes, and the generation.  Where that
 * is a new one, P.d/generation is rewritten, by rename.  -EINVAL for a
 * generation below the published one, which stays. */
int virtflex_publisher_publish(struct virtflex_publisher *publisher, const void *content,
			       uint64_t generation);

/* The page stays, for readers and for a successor. */
void virtflex_publisher_close(struct virtflex_publisher *publisher);

#endif
