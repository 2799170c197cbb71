/* SPDX-License-Identifier: Apache-2.0 */
#include "libxenctrl.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>

extern "C" {
#include <xenctrl.h>
}

namespace {

const uint64_t page_bytes = 4096;
/* Xen's MAX_NUMNODES. */
const size_t most_nodes = 64;

/* Domains asked for in one hypercall. */
const unsigned int batch = 256;

/* Its structures change with every version: the name says which one. */
const char control_library[] = "libxenctrl.so.4.17";
const char log_library[] = "libxentoollog.so.1";
const int version_built_for = 4 << 16 | 17;

/* Null where the library has no such function. */
template <typename F> void find_if_there(void *library, F &function, const char *symbol)
{
	function = reinterpret_cast<F>(dlsym(library, symbol));
}

template <typename F> void find(void *library, F &function, const char *symbol)
{
	find_if_there(library, function, symbol);
	if (!function)
		throw XenFailure("ENOLIB", dlerror());
}

/* struct xen_domctl_rehome_memory of xen/patches, which the headers of stock Xen are without. */
struct Rehome {
	uint32_t pnode, limit;
	uint64_t first_gfn, nr_gfns;
	uint64_t moved, resident, busy, unmovable;
};
static_assert(sizeof(Rehome) == 56);

void *open_library(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		throw XenFailure("ENOLIB", std::string(name) + " cannot be opened: " + dlerror());
	return library;
}

struct Xen {
	decltype(&xc_interface_open) interface_open;
	decltype(&xc_interface_close) interface_close;
	decltype(&xc_version) version;
	decltype(&xc_numainfo) numainfo;
	decltype(&xc_cputopoinfo) cputopoinfo;
	decltype(&xc_domain_getinfolist) domain_getinfolist;
	decltype(&xc_vcpu_getinfo) vcpu_getinfo;
	decltype(&xc_vcpu_getaffinity) vcpu_getaffinity;
	decltype(&xc_vcpu_setaffinity) vcpu_setaffinity;
	decltype(&xc_domain_setmaxmem) domain_setmaxmem;
	decltype(&xc_domain_getvnuma) domain_getvnuma;
	decltype(&xc_domain_claim_pages) domain_claim_pages;
	/* Null in a library without the patches. */
	int (*domain_rehome_memory)(xc_interface *, uint32_t domain, Rehome *);
	int (*domain_set_vnode_pnode)(xc_interface *, uint32_t domain, uint32_t vnode, uint32_t pnode);
	int (*domain_node_pages)(xc_interface *, uint32_t domain, uint32_t nodes, uint64_t *pages);
	decltype(&xc_cpumap_alloc) cpumap_alloc;
	decltype(&xc_get_max_cpus) get_max_cpus;
	decltype(&xtl_logger_destroy) destroy_logger;
	xentoollog_logger *logger;
	xc_interface *handle;

	Xen()
	{
		void *log = open_library(log_library);
		void *control = open_library(control_library);

		decltype(&xtl_createlogger_stdiostream) create_logger;
		find(log, create_logger, "xtl_createlogger_stdiostream");
		find(log, destroy_logger, "xtl_logger_destroy");
		find(control, interface_open, "xc_interface_open");
		find(control, interface_close, "xc_interface_close");
		find(control, version, "xc_version");
		find(control, numainfo, "xc_numainfo");
		find(control, cputopoinfo, "xc_cputopoinfo");
		find(control, domain_getinfolist, "xc_domain_getinfolist");
		find(control, vcpu_getinfo, "xc_vcpu_getinfo");
		find(control, vcpu_getaffinity, "xc_vcpu_getaffinity");
		find(control, vcpu_setaffinity, "xc_vcpu_setaffinity");
		find(control, domain_setmaxmem, "xc_domain_setmaxmem");
		find(control, domain_getvnuma, "xc_domain_getvnuma");
		find(control, domain_claim_pages, "xc_domain_claim_pages");
		find_if_there(control, domain_rehome_memory, "xc_domain_rehome_memory");
		find_if_there(control, domain_set_vnode_pnode, "xc_domain_set_vnode_pnode");
		find_if_there(control, domain_node_pages, "xc_domain_node_pages");
		find(control, cpumap_alloc, "xc_cpumap_alloc");
		find(control, get_max_cpus, "xc_get_max_cpus");

		/* What fails is told by errno; the library need not tell it too. */
		logger = reinterpret_cast<xentoollog_logger *>(
			create_logger(stderr, XTL_CRITICAL, 0));

		handle = interface_open(logger, logger, 0);
		if (!handle) {
			int error = errno;

			destroy_logger(logger);
			throw XenFailure("ENOXEN", strerror(error));
		}
		int running = version(handle, XENVER_version, nullptr);

		if (running != version_built_for) {
			interface_close(handle);
			destroy_logger(logger);
			throw XenFailure("EVERSION", "Xen " + std::to_string(running >> 16) + "." +
							     std::to_string(running & 0xffff) +
							     " runs here, " + control_library +
							     " is of another version");
		}
	}

	~Xen()
	{
		interface_close(handle);
		destroy_logger(logger);
	}

	Xen(const Xen &) = delete;
	Xen &operator=(const Xen &) = delete;
};

/* Opened when first needed. What is open at the end of the process stays so: its threads may use it. */
std::mutex mutex;
const Xen *opened;

const Xen &xen()
{
	if (!opened)
		opened = new Xen;
	return *opened;
}

void check(int rc, const char *operation)
{
	if (rc >= 0)
		return;
	const char *name = strerrorname_np(errno);

	throw XenFailure(name ? name : "EIO", std::string(operation) + ": " + strerror(errno));
}

using CpuMap = std::unique_ptr<uint8_t, decltype(&free)>;

CpuMap new_map()
{
	CpuMap map(xen().cpumap_alloc(xen().handle), free);

	if (!map)
		throw XenFailure("ENOMEM", "no memory for a CPU map");
	return map;
}

std::vector<uint32_t> cpus_in(const CpuMap &map)
{
	int cpus = xen().get_max_cpus(xen().handle);
	std::vector<uint32_t> found;

	for (int cpu = 0; cpu < cpus; cpu++)
		if (map.get()[cpu / 8] & 1 << cpu % 8)
			found.push_back(cpu);
	return found;
}

XenDomain::Vcpu vcpu_of(uint32_t domain, uint32_t vcpu, bool online)
{
	CpuMap hard = new_map(), soft = new_map();

	check(xen().vcpu_getaffinity(xen().handle, domain, vcpu, hard.get(), soft.get(),
				     XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT),
	      "vcpu_getaffinity");
	return { vcpu, online, cpus_in(hard), cpus_in(soft) };
}

xc_domaininfo_t living(uint32_t domain)
{
	xc_domaininfo_t info;
	int got = xen().domain_getinfolist(xen().handle, domain, 1, &info);

	check(got, "domain_getinfolist");
	if (got != 1 || info.domain != domain || info.flags & XEN_DOMINF_dying)
		throw XenFailure("ESRCH", "domain_getinfolist: no domain " + std::to_string(domain));
	return info;
}

struct Vnuma {
	uint32_t vnodes; /* 0 without virtual NUMA */
	std::vector<xen_vmemrange_t> ranges;
	std::vector<unsigned int> distances, node_of_vcpu;
};

/* Xen 4.17 frees the topology of a domain that begins to die, and may crash if it is asked for it then (xen/patches, 0014): it is asked
 * of the living only, which leaves the moment between two hypercalls. */
Vnuma vnuma_of(uint32_t domain)
{
	uint32_t vnodes = 1, ranges = 1, vcpus = 1;
	Vnuma vnuma = {};

	for (;;) {
		uint32_t asked[] = { vnodes, ranges, vcpus };

		living(domain);
		vnuma.ranges.resize(ranges);
		vnuma.distances.resize(static_cast<size_t>(vnodes) * vnodes);
		vnuma.node_of_vcpu.resize(vcpus);
		if (xen().domain_getvnuma(xen().handle, domain, &vnodes, &ranges, &vcpus,
					  vnuma.ranges.data(), vnuma.distances.data(),
					  vnuma.node_of_vcpu.data()) == 0)
			break;
		/* Without virtual NUMA it is EOPNOTSUPP; too small is ENOBUFS. */
		if (errno != ENOBUFS || (vnodes <= asked[0] && ranges <= asked[1] && vcpus <= asked[2]))
			return {};
	}
	vnuma.vnodes = vnodes;
	vnuma.ranges.resize(ranges);
	vnuma.distances.resize(static_cast<size_t>(vnodes) * vnodes);
	vnuma.node_of_vcpu.resize(vcpus);
	return vnuma;
}

void add_vnuma(XenDomain &domain)
{
	Vnuma vnuma = vnuma_of(domain.id);

	domain.vnodes.resize(vnuma.vnodes);
	for (const xen_vmemrange_t &range : vnuma.ranges)
		if (range.nid < vnuma.vnodes)
			domain.vnodes[range.nid].size_bytes += range.end - range.start;
	for (uint32_t vcpu = 0; vcpu < vnuma.node_of_vcpu.size(); vcpu++)
		if (vnuma.node_of_vcpu[vcpu] < vnuma.vnodes)
			domain.vnodes[vnuma.node_of_vcpu[vcpu]].vcpus.push_back(vcpu);
	domain.distances.assign(vnuma.distances.begin(), vnuma.distances.end());
}

XenDomain describe(const xc_domaininfo_t &info)
{
	XenDomain domain = {};

	domain.id = info.domain;
	domain.paused = info.flags & XEN_DOMINF_paused;
	domain.dying = info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown);
	domain.held_bytes = info.tot_pages * page_bytes;
	domain.limit_bytes = info.max_pages * page_bytes;
	domain.claimed_bytes = info.outstanding_pages * page_bytes;
	for (uint32_t vcpu = 0; vcpu <= info.max_vcpu_id; vcpu++) {
		xc_vcpuinfo_t state;

		if (xen().vcpu_getinfo(xen().handle, info.domain, vcpu, &state) == 0)
			domain.vcpus.push_back(vcpu_of(info.domain, vcpu, state.online));
	}
	if (!(info.flags & XEN_DOMINF_dying))
		add_vnuma(domain);
	return domain;
}

/* From `first` on, until `count` domains or the last are found. */
std::vector<XenDomain> domains_from(uint32_t first, size_t count)
{
	std::vector<XenDomain> found;

	while (found.size() < count) {
		xc_domaininfo_t info[batch];
		int got = xen().domain_getinfolist(xen().handle, first,
						   count < batch ? count : batch, info);

		check(got, "domain_getinfolist");
		for (int i = 0; i < got; i++) {
			first = info[i].domain + 1;
			/* It may have died since: then there is nothing to say of it. */
			try {
				found.push_back(describe(info[i]));
			} catch (const XenFailure &failure) {
				if (failure.code != "ESRCH")
					throw;
			}
		}
		if (got == 0)
			break;
	}
	return found;
}

} // namespace

void xen_close()
{
	std::lock_guard<std::mutex> lock(mutex);

	delete opened;
	opened = nullptr;
}

XenHost xen_host()
{
	std::lock_guard<std::mutex> lock(mutex);
	unsigned int nodes = 0, cpus = 0;
	XenHost host;

	check(xen().numainfo(xen().handle, &nodes, nullptr, nullptr), "numainfo");
	std::vector<xc_meminfo_t> memory(nodes);
	std::vector<uint32_t> distance(static_cast<size_t>(nodes) * nodes);
	check(xen().numainfo(xen().handle, &nodes, memory.data(), distance.data()), "numainfo");

	for (uint32_t node = 0; node < nodes && node < memory.size(); node++)
		if (memory[node].memsize != XEN_INVALID_MEM_SZ)
			host.nodes.push_back({ node, memory[node].memsize, memory[node].memfree });
	for (const XenHost::Node &from : host.nodes)
		for (const XenHost::Node &to : host.nodes)
			host.distances.push_back(distance[from.id * memory.size() + to.id]);

	check(xen().cputopoinfo(xen().handle, &cpus, nullptr), "cputopoinfo");
	std::vector<xc_cputopo_t> topology(cpus);
	check(xen().cputopoinfo(xen().handle, &cpus, topology.data()), "cputopoinfo");
	for (uint32_t cpu = 0; cpu < cpus && cpu < topology.size(); cpu++)
		if (topology[cpu].node != XEN_INVALID_NODE_ID)
			host.cpus.push_back({ cpu, topology[cpu].node });
	return host;
}

std::vector<XenDomain> xen_domains()
{
	std::lock_guard<std::mutex> lock(mutex);

	return domains_from(1, SIZE_MAX);
}

std::vector<XenDomain> xen_domain(uint32_t domain)
{
	std::lock_guard<std::mutex> lock(mutex);
	std::vector<XenDomain> found = domains_from(domain, 1);

	/* The hypervisor answers the next one that there is. */
	if (!found.empty() && found[0].id != domain)
		found.clear();
	return found;
}

std::vector<uint64_t> xen_resident_bytes(uint32_t domain)
{
	std::lock_guard<std::mutex> lock(mutex);
	std::vector<uint64_t> bytes(most_nodes);

	if (!xen().domain_node_pages ||
	    xen().domain_node_pages(xen().handle, domain, bytes.size(), bytes.data()) != 0)
		return {};
	for (uint64_t &each : bytes)
		each *= page_bytes;
	return bytes;
}

void xen_pin(uint32_t domain, uint32_t vcpu, const std::vector<uint32_t> &cpus)
{
	std::lock_guard<std::mutex> lock(mutex);
	CpuMap hard = new_map();
	uint32_t max = xen().get_max_cpus(xen().handle);

	for (uint32_t cpu : cpus)
		if (cpu < max)
			hard.get()[cpu / 8] |= 1 << cpu % 8;
	check(xen().vcpu_setaffinity(xen().handle, domain, vcpu, hard.get(), nullptr,
				     XEN_VCPUAFFINITY_HARD),
	      "vcpu_setaffinity");
}

void xen_set_limit(uint32_t domain, uint64_t bytes)
{
	std::lock_guard<std::mutex> lock(mutex);

	check(xen().domain_setmaxmem(xen().handle, domain, bytes / 1024), "domain_setmaxmem");
}

void xen_claim(uint32_t domain, uint64_t bytes)
{
	std::lock_guard<std::mutex> lock(mutex);

	xc_domaininfo_t info = living(domain);

	/* One claim a domain: the old one goes first. */
	check(xen().domain_claim_pages(xen().handle, domain, 0), "domain_claim_pages");
	if (bytes == 0)
		return;

	/* Xen claims nothing above the limit, which rises only later: for the claim alone
	 * it is raised. What the domain takes in that moment is what is kept for it. */
	uint64_t pages = info.tot_pages + bytes / page_bytes;
	bool raise = pages > info.max_pages;

	if (raise)
		check(xen().domain_setmaxmem(xen().handle, domain, pages * page_bytes / 1024),
		      "domain_setmaxmem");
	int claimed = xen().domain_claim_pages(xen().handle, domain, pages);
	int error = errno;

	if (raise)
		check(xen().domain_setmaxmem(xen().handle, domain,
					     info.max_pages * page_bytes / 1024),
		      "domain_setmaxmem");
	errno = error;
	check(claimed, "domain_claim_pages");

	/* Xen 4.17 drops a claim when the domain begins to die (domain_kill), and takes one
	 * of a domain that dies, which then nobody drops: the host would lack it for ever. */
	try {
		living(domain);
	} catch (const XenFailure &) {
		xen().domain_claim_pages(xen().handle, domain, 0);
		throw;
	}
}

XenMove xen_move(uint32_t domain, uint32_t vnode, uint32_t node, uint64_t next, uint32_t pages)
{
	std::lock_guard<std::mutex> lock(mutex);

	if (!xen().domain_rehome_memory)
		throw XenFailure("EOPNOTSUPP", std::string(control_library) + " cannot move memory");

	/* The first range of the vnode that is not done. */
	Rehome rehome = { node, pages, UINT64_MAX, 0, 0, 0, 0, 0 };

	for (const xen_vmemrange_t &range : vnuma_of(domain).ranges) {
		uint64_t first = std::max(range.start / page_bytes, next);
		uint64_t end = range.end / page_bytes;

		if (range.nid == vnode && first < end && first < rehome.first_gfn) {
			rehome.first_gfn = first;
			rehome.nr_gfns = end - first;
		}
	}
	if (rehome.nr_gfns == 0)
		return { UINT64_MAX, 0, 0 };
	check(xen().domain_rehome_memory(xen().handle, domain, &rehome), "domain_rehome_memory");
	return { rehome.first_gfn, rehome.moved, rehome.busy + rehome.unmovable };
}

void xen_set_vnode_node(uint32_t domain, uint32_t vnode, uint32_t node)
{
	std::lock_guard<std::mutex> lock(mutex);

	if (!xen().domain_set_vnode_pnode)
		throw XenFailure("EOPNOTSUPP",
				 std::string(control_library) + " cannot change a vnode's node");
	check(xen().domain_set_vnode_pnode(xen().handle, domain, vnode, node),
	      "domain_set_vnode_pnode");
}
