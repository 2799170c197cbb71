/* SPDX-License-Identifier: Apache-2.0 */
/* Run under sanitizers: every path, once with what hwloc takes and once without. */
#include "hwloc_topology.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

using namespace virtflex;

#define EXPECT(condition)                                                                  \
	do {                                                                               \
		if (!(condition)) {                                                        \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			std::exit(1);                                                      \
		}                                                                          \
	} while (0)

template <typename F> static bool refused(F call)
{
	try {
		call();
	} catch (const hwloc_error &) {
		return true;
	}
	return false;
}

static const char skeleton[] =
	"<topology version=\"2.0\">"
	"<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
	" allowed_cpuset=\"0x3\" nodeset=\"0x3\" complete_nodeset=\"0x3\" allowed_nodeset=\"0x3\" gp_index=\"1\">"
	"<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
	" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"2\" local_memory=\"4096\"/>"
	"<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0x0\" complete_cpuset=\"0x0\""
	" nodeset=\"0x2\" complete_nodeset=\"0x2\" gp_index=\"3\" local_memory=\"8192\"/>"
	"<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\""
	" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"4\"/>"
	"<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\""
	" nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"5\"/>"
	"</object></topology>";

int main()
{
	numa machine = read_machine();
	EXPECT(!machine.nodes.empty());

	numa synthetic = read_synthetic("node:4 core:8 pu:2");
	EXPECT(synthetic.nodes.size() == 4);
	EXPECT(synthetic.nodes[3].cpus.size() == 16);
	EXPECT(synthetic.nodes[3].cpus.front() == 48);
	EXPECT(refused([] { read_synthetic("node:-1"); }));
	EXPECT(refused([] { read_xml("/nonexistent.xml"); }));
	EXPECT(refused([] { write_xml("<topology>", {}); }));
	EXPECT(refused([] { write_xml(skeleton, { 10 }); }));

	std::string xml = write_xml(skeleton, { 10, 21, 17, 10 });
	char path[] = "hwloc_topology_test.xml";
	std::ofstream(path) << xml;
	numa read = read_xml(path);
	std::remove(path);
	EXPECT(read.nodes.size() == 2);
	EXPECT(read.nodes[0].cpus == std::vector<unsigned int>({ 0, 1 }));
	EXPECT(read.nodes[1].memory_bytes == 8192);
	EXPECT(read.distances == std::vector<uint64_t>({ 10, 21, 17, 10 }));
	return 0;
}
