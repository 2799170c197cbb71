/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA nodes, their CPUs and distances, from and to hwloc. What is read is
 * returned as it is found; whether it makes sense is the caller's to judge.
 */
#ifndef VIRTFLEX_HWLOC_TOPOLOGY_H
#define VIRTFLEX_HWLOC_TOPOLOGY_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace virtflex {

struct node {
	unsigned int os_index;
	std::vector<unsigned int> cpus;
	uint64_t memory_bytes;
};

struct numa {
	/* By os_index. */
	std::vector<node> nodes;
	/* Row by row, from the row's node to the column's; empty: hwloc knows none. */
	std::vector<uint64_t> distances;
};

/* hwloc refused: which call, and why. */
struct hwloc_error : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* All throw hwloc_error. */
numa read_machine();
numa read_xml(const std::string &path);
numa read_synthetic(const std::string &description);

/*
 * Completes a topology in hwloc's XML with distances between its NUMA nodes, by
 * os_index and row by row (or none), and returns it as hwloc writes it.
 */
std::string write_xml(const std::string &xml, const std::vector<uint64_t> &distances);

}

#endif
