/* SPDX-License-Identifier: Apache-2.0 */
#include "hwloc_topology.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <hwloc.h>
#include <hwloc/distances.h>
#include <hwloc/export.h>

namespace virtflex {
namespace {

void check(int rc, const char *call)
{
	if (rc < 0)
		throw hwloc_error(std::string(call) + ": " + strerror(errno ? errno : EINVAL));
}

struct destroy {
	void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using topology_ptr = std::unique_ptr<hwloc_topology, destroy>;

topology_ptr create()
{
	hwloc_topology_t topology;

	errno = 0;
	check(hwloc_topology_init(&topology), "hwloc_topology_init");
	return topology_ptr(topology);
}

std::vector<hwloc_obj_t> nodes_of(hwloc_topology_t topology)
{
	std::vector<hwloc_obj_t> nodes;
	hwloc_obj_t node = nullptr;

	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)))
		nodes.push_back(node);
	std::sort(nodes.begin(), nodes.end(),
		  [](hwloc_obj_t a, hwloc_obj_t b) { return a->os_index < b->os_index; });
	return nodes;
}

/* The first matrix of latencies between all nodes; others cover a part of them. */
std::vector<uint64_t> distances_of(hwloc_topology_t topology,
				   const std::vector<hwloc_obj_t> &nodes)
{
	hwloc_distances_s *matrices[16];
	unsigned int count = 16;
	std::vector<uint64_t> values;

	check(hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, matrices,
					  HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0),
	      "hwloc_distances_get_by_type");
	count = std::min(count, 16u);
	for (unsigned int m = 0; m < count && values.empty(); m++) {
		const hwloc_distances_s *matrix = matrices[m];

		if (matrix->nbobjs != nodes.size())
			continue;
		values.resize(nodes.size() * nodes.size());
		for (unsigned int i = 0; i < matrix->nbobjs; i++)
			for (unsigned int j = 0; j < matrix->nbobjs; j++) {
				auto at = [&](unsigned int k) {
					return std::find(nodes.begin(), nodes.end(),
							 matrix->objs[k]) - nodes.begin();
				};
				values[at(i) * nodes.size() + at(j)] =
					matrix->values[i * matrix->nbobjs + j];
			}
	}
	for (unsigned int m = 0; m < count; m++)
		hwloc_distances_release(topology, matrices[m]);
	return values;
}

numa load(topology_ptr topology)
{
	numa numa;

	/* The whole machine, not what a cgroup leaves of it. */
	check(hwloc_topology_set_flags(topology.get(), HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED),
	      "hwloc_topology_set_flags");
	check(hwloc_topology_load(topology.get()), "hwloc_topology_load");

	std::vector<hwloc_obj_t> nodes = nodes_of(topology.get());
	for (hwloc_obj_t object : nodes) {
		node node = { object->os_index, {}, object->attr->numanode.local_memory };
		unsigned int cpu;

		hwloc_bitmap_foreach_begin(cpu, object->cpuset)
			node.cpus.push_back(cpu);
		hwloc_bitmap_foreach_end();
		numa.nodes.push_back(std::move(node));
	}
	numa.distances = distances_of(topology.get(), nodes);
	return numa;
}

void add_distances(hwloc_topology_t topology, const std::vector<uint64_t> &distances)
{
	std::vector<hwloc_obj_t> nodes = nodes_of(topology);

	if (distances.size() != nodes.size() * nodes.size())
		throw hwloc_error("distances: not one for each pair of nodes");
	std::vector<hwloc_uint64_t> values(distances.begin(), distances.end());
	hwloc_distances_add_handle_t handle = hwloc_distances_add_create(
		topology, "NUMALatency",
		HWLOC_DISTANCES_KIND_FROM_USER | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
	if (!handle)
		throw hwloc_error(std::string("hwloc_distances_add_create: ") + strerror(errno));
	/* Both free the handle when they fail. */
	check(hwloc_distances_add_values(topology, handle, nodes.size(), nodes.data(),
					 values.data(), 0),
	      "hwloc_distances_add_values");
	check(hwloc_distances_add_commit(topology, handle, 0), "hwloc_distances_add_commit");
}

}

numa read_machine()
{
	return load(create());
}

numa read_xml(const std::string &path)
{
	topology_ptr topology = create();

	check(hwloc_topology_set_xml(topology.get(), path.c_str()), "hwloc_topology_set_xml");
	return load(std::move(topology));
}

numa read_synthetic(const std::string &description)
{
	topology_ptr topology = create();

	check(hwloc_topology_set_synthetic(topology.get(), description.c_str()),
	      "hwloc_topology_set_synthetic");
	return load(std::move(topology));
}

std::string write_xml(const std::string &xml, const std::vector<uint64_t> &distances)
{
	topology_ptr topology = create();
	char *buffer = nullptr;
	int length = 0;

	check(hwloc_topology_set_xmlbuffer(topology.get(), xml.c_str(), xml.size() + 1),
	      "hwloc_topology_set_xmlbuffer");
	check(hwloc_topology_load(topology.get()), "hwloc_topology_load");
	if (!distances.empty())
		add_distances(topology.get(), distances);
	check(hwloc_topology_export_xmlbuffer(topology.get(), &buffer, &length, 0),
	      "hwloc_topology_export_xmlbuffer");

	/* The length counts the terminating zero. */
	std::string text(buffer, length > 0 ? length - 1 : 0);
	hwloc_free_xmlbuffer(topology.get(), buffer);
	return text;
}

}
