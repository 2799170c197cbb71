/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Closed grammars of what comes from outside: values of xenstore keys that the
 * host writes, and what a program writes to /proc/virtflex/topology.
 *
 * Every parser takes a buffer and its length (a xenstore value may hold any
 * byte, NUL among them), reads the whole of it or refuses, and changes its
 * output only when it succeeds.
 */
#ifndef VF_PARSE_H
#define VF_PARSE_H

#include <linux/types.h>

#include <virtflex/topology_page.h>

#define VF_CPU_LONGS BITS_TO_LONGS(VIRTFLEX_MAX_CPUS)

/* The longest a request may take. */
#define VF_MAX_DEADLINE_MS 0x7fffffffU

enum vf_op {
	VF_OP_EXPAND,
	VF_OP_SHRINK,
	VF_OP_REHOME,
	VF_OP_RESIZE,
	VF_OP_CANCEL,
	VF_OP_COUNT
};

/* numa/request: "<id> <op> <deadline-ms>" */
struct vf_request {
	u64 id;
	enum vf_op op;
	u32 deadline_ms;
};

const char *vf_op_name(enum vf_op op);

int vf_parse_u64(const char *s, size_t len, u64 *value);
int vf_parse_kib(const char *s, size_t len, u64 *kib);
int vf_parse_node(const char *s, size_t len, unsigned int *node);
int vf_parse_availability(const char *s, size_t len, bool *online);
int vf_parse_cpus(const char *s, size_t len, unsigned long *cpus);
int vf_parse_id(const char *s, size_t len, u64 *id);
int vf_parse_request(const char *s, size_t len, struct vf_request *request);
int vf_parse_state(const char *s, size_t len, u64 *id, bool *finished);
int vf_parse_generation(const char *s, size_t len, u64 *generation);

#endif
