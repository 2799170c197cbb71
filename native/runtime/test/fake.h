/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that nobody owns: pages, page files, and the sysfs beneath them. */
#ifndef FAKE_H
#define FAKE_H

#include "virtflex/cpus.h"
#include "virtflex/topology_page.h"

/* A valid page of generation 1: CPUs dealt in blocks to nodes, all online. */
struct virtflex_topology_page fake_page(unsigned nodes, unsigned cpus);

/* A directory of this test's own, removed at exit.  The name is static. */
const char *fake_directory(void);

/* Uses the directory of another process, which removes it. */
void fake_adopt(const char *other);

/* Writes <directory>/<name>, making directories on the way; returns its path
 * (static, until the next call). */
const char *fake_file(const char *name, const void *content, size_t size);

/* Maps the file of a page for writing. */
struct virtflex_topology_page *fake_publisher(const char *name,
					      const struct virtflex_topology_page *page);

/* Maps a page that is there already. */
struct virtflex_topology_page *fake_published(const char *name);

/* Publishes change as the next generation, as a publisher has to. */
void fake_publish(struct virtflex_topology_page *published,
		  const struct virtflex_topology_page *change);

/* sysfs of CPUs 0..cpus-1: neighbours share a core, a cache and a socket. */
void fake_sysfs(unsigned cpus, unsigned per_core, unsigned per_cache, unsigned per_socket);

struct vfrt_cpus fake_cpus(const char *list);

#endif
