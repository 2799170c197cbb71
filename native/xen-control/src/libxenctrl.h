/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxenctrl, opened at run time, and the few questions and orders for the
 * hypervisor that Virtflex has. Each is one or few hypercalls, none of which
 * waits for a guest.
 *
 * No Node-API here. Calls are serialised: any thread may make them.
 */
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

/* code: ENOLIB, ENOXEN, EVERSION, or the name of an errno. */
struct XenFailure : std::runtime_error {
	XenFailure(std::string code, const std::string &message)
		: std::runtime_error(message), code(std::move(code))
	{
	}
	const std::string code;
};

struct XenHost {
	struct Node {
		uint32_t id;
		uint64_t size_bytes;
		uint64_t free_bytes;
	};
	struct Cpu {
		uint32_t id;
		uint32_t node;
	};
	std::vector<Node> nodes;
	std::vector<Cpu> cpus;
	std::vector<uint32_t> distances; /* row by row, as nodes are listed */
};

struct XenDomain {
	struct Vcpu {
		uint32_t id;
		bool online;
		std::vector<uint32_t> affinity; /* hard */
		std::vector<uint32_t> soft_affinity;
	};
	struct Vnode {
		uint64_t size_bytes;
		std::vector<uint32_t> vcpus;
	};
	uint32_t id;
	bool paused;
	bool dying;
	uint64_t held_bytes;
	uint64_t limit_bytes;
	uint64_t claimed_bytes; /* kept for it, not held yet */
	std::vector<Vcpu> vcpus;
	std::vector<Vnode> vnodes; /* none without virtual NUMA */
	std::vector<uint32_t> distances;
};

/* Ends the connection; who asks next opens another. */
void xen_close();
XenHost xen_host();
/* All domains but dom0, or the one that is asked for, if it is. */
std::vector<XenDomain> xen_domains();
std::vector<XenDomain> xen_domain(uint32_t domain);
/* By node; none where library or hypervisor are without the patches, or can't tell of this domain. Walks all its memory. */
std::vector<uint64_t> xen_resident_bytes(uint32_t domain);
void xen_pin(uint32_t domain, uint32_t vcpu, const std::vector<uint32_t> &cpus);
void xen_set_limit(uint32_t domain, uint64_t bytes);
/*
 * Moves memory of a vnode to a node while the guest runs, from the first page that is not below
 * `next` on, until about `pages` are moved. EOPNOTSUPP where the library or the hypervisor is
 * without Virtflex's patches, or can't move this domain's memory; nothing is moved then. What fails
 * later has moved a part.
 */
struct XenMove {
	uint64_t next; /* go on from here; nothing is left if it is UINT64_MAX */
	uint64_t moved_pages;
	uint64_t skipped_pages; /* mapped by somebody, or not plain memory: they stay */
};
XenMove xen_move(uint32_t domain, uint32_t vnode, uint32_t node, uint64_t next, uint32_t pages);
/* Has what the vnode gets from now on come from the node. EOPNOTSUPP as above. */
void xen_set_vnode_node(uint32_t domain, uint32_t vnode, uint32_t node);
/* Keeps so much for the domain beside what it holds, instead of what was kept. */
void xen_claim(uint32_t domain, uint64_t bytes);
