// SPDX-License-Identifier: GPL-2.0
/*
 * xenstore: contract 1, the guest's side. Keys are relative to the domain's
 * own directory. What the host wants is read in one transaction, so that a
 * request is never seen with another's targets.
 */
#include "virtflex.h"

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/slab.h>

#include <xen/xenbus.h>

/* How often a transaction is begun anew when somebody else was quicker. */
#define VF_TRIES 16
#define VF_RETRY_MS 5

#define VF_PATH_LEN 48

/* Reads "@dir/@key" and says in @why what is wrong with it, if anything. */
#define VF_READ(t, dir, key, parser, value, why) ({			\
	const char *_dir = (dir), *_key = (key);			\
	char *_why = (why), *_text;					\
	unsigned int _len;						\
	int _err;							\
									\
	_text = xenbus_read(t, _dir, _key, &_len);			\
	_err = PTR_ERR_OR_ZERO(_text);					\
	if (_err) {							\
		snprintf(_why, VF_WHY_LEN, "%s/%s: cannot be read (%d)", \
			 _dir, _key, _err);				\
	} else {							\
		_err = parser(_text, _len, value);			\
		if (_err)						\
			snprintf(_why, VF_WHY_LEN, "%s/%s: malformed",	\
				 _dir, _key);				\
		kfree(_text);						\
	}								\
	_err;								\
})

/**
 * vf_store_request() - what numa/request says now
 * @request: result; if the request is malformed only its id, or 0
 *
 * Return: 0, -ENOENT if there is none, -EINVAL if it is malformed, or an
 * error of xenbus.
 */
int vf_store_request(struct vf_request *request)
{
	unsigned int len;
	char *text;
	int err;

	text = xenbus_read(XBT_NIL, "numa", "request", &len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (!len) {
		kfree(text);
		return -ENOENT;
	}

	if (vf_parse_request(text, len, request)) {
		if (vf_parse_id(text, len, &request->id))
			request->id = 0;
		err = -EINVAL;
	} else {
		err = 0;
	}
	kfree(text);
	return err;
}

static enum vf_code vf_read_wish(struct xenbus_transaction t, const char *name,
				 struct vf_wishes *wishes)
{
	unsigned int vnode;
	char dir[VF_PATH_LEN];
	struct vf_wish *wish;

	if (vf_parse_node(name, strlen(name), &vnode)) {
		snprintf(wishes->why, VF_WHY_LEN, "numa/node: '%.20s' is no node", name);
		return VF_BAD_NODE;
	}

	wish = &wishes->vnode[vnode];
	snprintf(dir, sizeof(dir), "numa/node/%u", vnode);
	if (VF_READ(t, dir, "capacity", vf_parse_kib, &wish->capacity_kib, wishes->why) ||
	    VF_READ(t, dir, "target", vf_parse_kib, &wish->target_kib, wishes->why) ||
	    VF_READ(t, dir, "vcpus", vf_parse_cpus, wish->cpus, wishes->why) ||
	    VF_READ(t, dir, "desired", vf_parse_availability, &wish->online, wishes->why))
		return VF_BAD_NODE;

	wish->named = true;
	return VF_OK;
}

static enum vf_code vf_read_wishes(struct xenbus_transaction t, struct vf_wishes *wishes)
{
	enum vf_code code = VF_OK;
	unsigned int n, i;
	char **names;
	u64 version;

	if (VF_READ(t, "numa", "version", vf_parse_u64, &version, wishes->why))
		return VF_UNSUPPORTED;
	if (version != 1) {
		snprintf(wishes->why, VF_WHY_LEN, "numa/version: %llu, not 1", version);
		return VF_UNSUPPORTED;
	}
	if (VF_READ(t, "numa", "request", vf_parse_request, &wishes->request, wishes->why))
		return VF_BAD_REQUEST;

	names = xenbus_directory(t, "numa", "node", &n);
	if (IS_ERR(names)) {
		snprintf(wishes->why, VF_WHY_LEN, "numa/node: cannot be read (%ld)",
			 PTR_ERR(names));
		return VF_BAD_NODE;
	}
	for (i = 0; i < n && !code; i++)
		code = vf_read_wish(t, names[i], wishes);
	kfree(names);
	return code;
}

/**
 * vf_store_wishes() - everything that the host wants
 * @wishes: result; its @why says what is wrong if anything is
 * @code: VF_OK, VF_BAD_REQUEST, VF_BAD_NODE or VF_UNSUPPORTED
 *
 * Return: 0, or an error of xenbus.
 */
int vf_store_wishes(struct vf_wishes *wishes, enum vf_code *code)
{
	struct xenbus_transaction t;
	int tries, err;

	for (tries = 0; tries < VF_TRIES; tries++) {
		memset(wishes, 0, sizeof(*wishes));
		err = xenbus_transaction_start(&t);
		if (err)
			break;
		*code = vf_read_wishes(t, wishes);
		err = xenbus_transaction_end(t, 0);
		if (err != -EAGAIN)
			break;
		msleep(VF_RETRY_MS);
	}
	return err;
}

/**
 * vf_store_last_answer() - the last request that this guest has finished
 *
 * Return: its id, or 0 if there is none.
 */
u64 vf_store_last_answer(void)
{
	bool finished = false;
	unsigned int len;
	u64 id = 0;
	char *text;

	text = xenbus_read(XBT_NIL, "numa/status", "state", &len);
	if (IS_ERR(text))
		return 0;
	if (vf_parse_state(text, len, &id, &finished) || !finished)
		id = 0;
	kfree(text);
	return id;
}

/**
 * vf_store_availability() - cpu/<n>/availability
 * @cpu: which
 * @online: result
 *
 * Return: 0, -EINVAL or an error of xenbus.
 */
int vf_store_availability(unsigned int cpu, bool *online)
{
	char dir[VF_PATH_LEN], why[VF_WHY_LEN];

	snprintf(dir, sizeof(dir), "cpu/%u", cpu);
	return VF_READ(XBT_NIL, dir, "availability", vf_parse_availability, online, why);
}

/* What the host has been told, so that only news are written. */
static struct {
	bool node[VIRTFLEX_MAX_NODES];
	u64 actual_kib[VIRTFLEX_MAX_NODES];
	enum vf_node_state state[VIRTFLEX_MAX_NODES];
	u64 generation;
	unsigned int adapted, known;
	bool runtimes;
} vf_told;

static int vf_tell_node(const struct vf_node *node)
{
	u64 actual_kib = vf_node_actual_kib(node);
	char key[VF_PATH_LEN];
	int err;

	if (vf_told.node[node->nid] && vf_told.actual_kib[node->nid] == actual_kib &&
	    vf_told.state[node->nid] == node->state)
		return 0;

	snprintf(key, sizeof(key), "node/%d", node->vnode);
	err = xenbus_printf(XBT_NIL, "numa/status", key, "%llu %s", actual_kib,
			    vf_node_state_name(node->state));
	vf_told.node[node->nid] = !err;
	vf_told.actual_kib[node->nid] = actual_kib;
	vf_told.state[node->nid] = node->state;
	return err;
}

static int vf_tell_runtimes(void)
{
	u64 generation = vf_topology_generation();
	unsigned int adapted, known;
	int err;

	if (vf_told.generation != generation) {
		err = xenbus_printf(XBT_NIL, "numa/status", "generation", "%llu", generation);
		if (err)
			return err;
		vf_told.generation = generation;
	}

	vf_runtimes_count(&adapted, &known);
	if (vf_told.runtimes && vf_told.adapted == adapted && vf_told.known == known)
		return 0;
	err = xenbus_printf(XBT_NIL, "numa/status", "runtimes", "%u/%u", adapted, known);
	vf_told.runtimes = !err;
	vf_told.adapted = adapted;
	vf_told.known = known;
	return err;
}

/**
 * vf_store_tell() - tell the host how things are
 *
 * Only what has changed is written, and not in a transaction: each write is a
 * round trip to another domain, and the values don't depend on each other.
 *
 * A host that has made no numa/status that we may write is told nothing; that
 * is its business, and /proc/virtflex/status says the same.
 */
void vf_store_tell(void)
{
	struct vf_node *node;
	int err = 0;

	for_each_vf_node(node) {
		err = node->vnode < 0 ? 0 : vf_tell_node(node);
		if (err)
			break;
	}
	if (!err)
		err = vf_tell_runtimes();
	if (err)
		pr_info_once("numa/status cannot be written (%d)\n", err);
}

/**
 * vf_store_answer() - tell the host how far a request is
 * @id: request that is answered
 * @state: its state
 * @code: why it failed, or NULL
 *
 * The state is written last: a host that reads it first sees the rest at
 * least as new.
 */
void vf_store_answer(u64 id, const char *state, const char *code)
{
	vf_store_tell();
	xenbus_printf(XBT_NIL, "numa/status", "state", "%llu %s%s%s", id, state,
		      code ? " " : "", code ?: "");
}

/**
 * vf_store_hello() - tell the host whether this guest understands it
 * @here: true at the beginning and whenever the host asks, false at the end
 *
 * Nothing is written that is there already: a watch of the key would fire.
 */
void vf_store_hello(bool here)
{
	const char *said = here ? "1" : "0";
	char *now;
	int err;

	now = xenbus_read(XBT_NIL, "control", "feature-virtflex", NULL);
	if (!IS_ERR(now)) {
		bool same = !strcmp(now, said);

		kfree(now);
		if (same)
			return;
	}

	err = xenbus_write(XBT_NIL, "control", "feature-virtflex", said);
	if (err)
		pr_debug("control/feature-virtflex cannot be written (%d)\n", err);
}
