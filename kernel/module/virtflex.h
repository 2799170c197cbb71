/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtflex: a Xen guest's NUMA topology, changed while it runs.
 *
 * One kernel thread (request.c) does all the work, so nothing below is locked
 * against itself. What other contexts reach is said where it is declared:
 * readers of /proc, the out-of-memory notifier, xenbus' watch thread and CPU
 * hotplug callbacks.
 */
#ifndef VIRTFLEX_H
#define VIRTFLEX_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include <virtflex/topology_page.h>

#include "arith.h"
#include "parse.h"

struct proc_dir_entry;
struct vm_area_struct;

/*
 * Options, main.c
 */
extern bool vf_scrub;
extern bool vf_other_pnode;
extern unsigned int vf_reserve_mib;
extern unsigned int vf_drain_mib_s;
extern unsigned int vf_ack_percent;

/*
 * How a request ended. From VF_BAD_REQUEST on, the <code> of contract 1's
 * "<id> failed <code>"; but for VF_RESTORE everything is as it was before.
 */
enum vf_code {
	VF_OK,
	VF_CANCELLED,
	VF_BAD_REQUEST,		/* numa/request is malformed */
	VF_BAD_NODE,		/* a key below numa/node is missing or malformed */
	VF_UNSUPPORTED,		/* another version of the contract */
	VF_HOME_NODE,		/* the boot CPU's node was to leave */
	VF_NO_MEMORY,		/* the host gave less than the target */
	VF_BUSY,		/* a leaving node's memory is in use */
	VF_DEADLINE,		/* the time is over */
	VF_SUPERSEDED,		/* another request came before it had ended */
	VF_INTERNAL,		/* something that should not happen; @why says what */
	VF_RESTORE,		/* it failed, and not everything is as before */
	VF_CODE_COUNT
};

/*
 * Nodes, node.c
 */
enum vf_node_state {
	VF_NODE_ONLINE,
	VF_NODE_EVACUATING,
	VF_NODE_OFFLINE,
};

/*
 * What the balloon holds of a node. Pages are on exactly one list, and the
 * lists never mix orders. @lock guards @taken and the drain's bitmap, which
 * the out-of-memory notifier empties; the rest is the worker's alone.
 */
struct vf_balloon {
	spinlock_t lock;		/* guards @taken and @kept, see above */
	struct list_head taken;		/* superpages ours, memory still behind */
	struct list_head supers;	/* superpages that Xen holds */
	struct list_head smalls;	/* 4 KiB pages that Xen holds */
	unsigned long nr_taken;
	unsigned long nr_supers;
	unsigned long nr_smalls;
	/* drain.c: single free pages kept from everybody, one bit a page */
	unsigned long *kept;
	unsigned long kept_start;
	unsigned long kept_pages;
	unsigned long nr_kept;
};

/**
 * struct vf_node - a node of the guest
 * @nid: Linux' number
 * @vnode: Xen's number, or -1 for a node that Xen doesn't know of
 * @present: the guest was built with it
 * @boot: it holds the boot CPU
 * @state: what it is now
 * @base_pages: managed pages when nothing is ballooned out
 * @capacity_kib: size when full: the host's word, or Linux' until there is one
 * @target_kib: what the host wants it to have
 * @moved_kib: what has moved to other nodes in this drain, or in the last
 * @unmovable_kib: at the end of the last drain, what couldn't go
 * @cpus: CPUs that belong to it, online or not
 * @balloon: what is out
 */
struct vf_node {
	int nid;
	int vnode;
	bool present;
	bool boot;
	enum vf_node_state state;
	unsigned long base_pages;
	u64 capacity_kib;
	u64 target_kib;
	u64 moved_kib;
	u64 unmovable_kib;
	DECLARE_BITMAP(cpus, VIRTFLEX_MAX_CPUS);
	struct vf_balloon balloon;
};

extern struct vf_node vf_nodes[VIRTFLEX_MAX_NODES];

#define for_each_vf_node(node)	\
	for (node = vf_node_next(NULL); node; node = vf_node_next(node))

int vf_nodes_init(void);
struct vf_node *vf_node_next(const struct vf_node *node);
struct vf_node *vf_node_of_vnode(unsigned int vnode);
struct vf_node *vf_node_of_cpu(unsigned int cpu);
unsigned long vf_node_managed(const struct vf_node *node);
void vf_node_note_full(struct vf_node *node);
u64 vf_node_actual_kib(const struct vf_node *node);
u64 vf_node_stock_kib(const struct vf_node *node);
const char *vf_node_state_name(enum vf_node_state state);

/*
 * Memory that Xen holds, balloon.c
 */
struct vf_balloon_stats {
	u64 calls_out, calls_in;	/* hypercalls */
	u64 supers_out, supers_in;	/* 2 MiB extents in one piece */
	u64 smalls_out, smalls_in;	/* 4 KiB extents */
	u64 mended;			/* extents that Xen released in part */
};

extern struct vf_balloon_stats vf_balloon_stats;

void vf_balloon_init(struct vf_balloon *balloon);
unsigned long vf_balloon_pages(const struct vf_node *node);
void vf_balloon_take(struct vf_node *node, struct page *head);
void vf_balloon_untake(struct vf_node *node);
unsigned long vf_balloon_out(struct vf_node *node, unsigned long pages);
unsigned long vf_balloon_in(struct vf_node *node, unsigned long pages);
unsigned long vf_balloon_hand_over(struct vf_node *node);

/*
 * Memory that leaves a node, drain.c
 */
int vf_drain_init(void);
void vf_drain_exit(void);
enum vf_code vf_drain_begin(struct vf_node *node, bool isolate);
enum vf_code vf_drain(struct vf_node *node, unsigned long pages, unsigned long enough);
struct page *vf_drain_page(struct vf_node *node);
void vf_drain_end(struct vf_node *node);

/*
 * vCPUs, vcpu.c
 */
int vf_vcpu_init(void);
void vf_vcpu_exit(void);
enum vf_code vf_vcpus_offline(const unsigned long *cpus);
enum vf_code vf_vcpus_online(const unsigned long *cpus);
void vf_vcpus_follow(void);

/*
 * The topology page, topology.c; vf_topology_publish() is the worker's
 */
int vf_topology_init(void);
void vf_topology_exit(void);
void vf_topology_publish(bool raise);
u64 vf_topology_generation(void);
int vf_topology_mmap(struct vm_area_struct *vma);
void vf_topology_show(struct seq_file *seq);

/*
 * Programs that have the page open, runtimes.c; all callable from anywhere
 */
int vf_runtimes_init(struct proc_dir_entry *dir);
void vf_runtimes_notify(void);
void vf_runtimes_count(unsigned int *adapted, unsigned int *known);

/*
 * Placement reset, reset.c; callable from any process
 */
long vf_reset_ioctl(unsigned int cmd, unsigned long arg);

/*
 * xenstore, store.c
 */
struct vf_wish {
	bool named;
	bool online;
	u64 capacity_kib;
	u64 target_kib;
	DECLARE_BITMAP(cpus, VIRTFLEX_MAX_CPUS);
};

#define VF_WHY_LEN 96

/* What the host wants, read in one transaction. */
struct vf_wishes {
	struct vf_request request;
	struct vf_wish vnode[VIRTFLEX_MAX_NODES];
	char why[VF_WHY_LEN];
};

int vf_store_request(struct vf_request *request);
int vf_store_wishes(struct vf_wishes *wishes, enum vf_code *code);
u64 vf_store_last_answer(void);
int vf_store_availability(unsigned int cpu, bool *online);
void vf_store_hello(bool here);
void vf_store_tell(void);
void vf_store_answer(u64 id, const char *state, const char *code);

/*
 * From what the nodes are to what the host wants them to be, change.c
 */
enum vf_code vf_change(const struct vf_wishes *wishes);
bool vf_change_give_back(void);

/*
 * Requests, request.c; all but vf_request_event() and vf_request_show() are
 * the worker's
 */
enum vf_event {
	VF_EVENT_REQUEST,	/* numa/request changed */
	VF_EVENT_CPUS,		/* a CPU went on or off */
	VF_EVENT_AVAILABLE,	/* the host wrote cpu/<n>/availability */
	VF_EVENT_ACK,		/* a runtime acknowledged, came or went */
	VF_EVENT_OOM,		/* the out-of-memory notifier took pages back */
	VF_EVENT_WELCOME,	/* the host made, or wrote, control/feature-virtflex */
};

int vf_request_init(void);
void vf_request_exit(void);
void vf_request_event(enum vf_event event);
enum vf_code vf_request_stop(void);
enum vf_code vf_request_wait_for_runtimes(void);
void vf_request_progress(const char *state);
void vf_request_undoing(bool undoing);
__printf(1, 2) void vf_request_why(const char *fmt, ...);
void vf_request_show(struct seq_file *seq);

/*
 * When a request came to its turns, times.c
 */
enum vf_time {
	VF_TIME_TAKEN_UP,
	VF_TIME_PUBLISHED,	/* the generation was raised */
	VF_TIME_ADAPTED,	/* the last runtime acknowledged it */
	VF_TIME_RESIZING,	/* memory begins to come or go */
	VF_TIME_ISOLATED,	/* nothing new lands on nodes that leave */
	VF_TIME_VCPUS_OFF,
	VF_TIME_PAGES_LEFT,	/* the last node that leaves was drained */
	VF_TIME_MEMORY_OUT,	/* Xen has all that it was to have */
	VF_TIME_MEMORY_IN,	/* Xen has given all that it was to give */
	VF_TIME_VCPUS_ON,
	VF_TIME_ENDED,
	VF_TIME_COUNT
};

void vf_time_note(enum vf_time time);
void vf_time_show(struct seq_file *seq);

/*
 * /proc/virtflex/status, status.c
 */
int vf_status_init(struct proc_dir_entry *dir);

#endif
