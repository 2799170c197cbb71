// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of the host, one at a time, by one kernel thread: when one is
 * there, when it should stop, and what the host is told.
 */
#include "virtflex.h"

#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include <xen/xenbus.h>

/* How long undoing may take. */
#define VF_UNDO_MS 30000

/* How often the host is told how far a request is. */
#define VF_TELL_MS 5000

/* How often numa/request is read though no watch has fired. */
#define VF_IDLE_MS 30000

/* The least time between two looks at what happened. */
#define VF_COUNT_MS 100

/* How often runtimes are counted while they are waited for. */
#define VF_RECOUNT_MS 500

/* What is not looked at while a request is served. */
#define VF_LATER_EVENTS \
	(BIT(VF_EVENT_CPUS) | BIT(VF_EVENT_AVAILABLE) | BIT(VF_EVENT_WELCOME))

static struct task_struct *vf_worker;
static DECLARE_WAIT_QUEUE_HEAD(vf_wait);
static unsigned long vf_events;

/* What is served; all of it the worker's alone. */
static struct vf_wishes vf_wishes;
static bool vf_undoing;
static enum vf_code vf_stop;
static ktime_t vf_deadline, vf_tell_next;

/* The highest id that has its last answer. */
static u64 vf_answered;

/* numa/request has changed since the one that is served was read. */
static bool vf_look_again;

/* What /proc/virtflex/status shows. */
static DEFINE_MUTEX(vf_shown_lock);
static struct {
	u64 id;
	const char *op;
	const char *state;
	const char *code;
	char why[VF_WHY_LEN];
} vf_shown = {
	.op = "-",
	.state = "idle",
};

static const char *vf_code_name(enum vf_code code)
{
	static const char *const names[VF_CODE_COUNT] = {
		[VF_OK] = "done",
		[VF_CANCELLED] = "cancelled",
		[VF_BAD_REQUEST] = "bad-request",
		[VF_BAD_NODE] = "bad-node",
		[VF_UNSUPPORTED] = "unsupported",
		[VF_HOME_NODE] = "home-node",
		[VF_NO_MEMORY] = "no-memory",
		[VF_BUSY] = "busy",
		[VF_DEADLINE] = "deadline",
		[VF_SUPERSEDED] = "superseded",
		[VF_INTERNAL] = "internal",
		[VF_RESTORE] = "restore",
	};

	return names[code];
}

void vf_request_show(struct seq_file *seq)
{
	mutex_lock(&vf_shown_lock);
	seq_printf(seq, "request %llu %s\n", vf_shown.id, vf_shown.op);
	seq_printf(seq, "state %s%s%s\n", vf_shown.state, vf_shown.code ? " " : "",
		   vf_shown.code ?: "");
	seq_printf(seq, "why %s\n", vf_shown.why[0] ? vf_shown.why : "-");
	mutex_unlock(&vf_shown_lock);
}

static void vf_answer(u64 id, const char *op, const char *state, const char *code)
{
	mutex_lock(&vf_shown_lock);
	vf_shown.id = id;
	vf_shown.op = op;
	vf_shown.state = state;
	vf_shown.code = code;
	strscpy(vf_shown.why, vf_wishes.why, sizeof(vf_shown.why));
	mutex_unlock(&vf_shown_lock);

	vf_store_answer(id, state, code);
}

static void vf_answer_finally(u64 id, const char *op, enum vf_code code)
{
	vf_answered = max(vf_answered, id);
	if (code == VF_OK || code == VF_CANCELLED)
		vf_answer(id, op, vf_code_name(code), NULL);
	else
		vf_answer(id, op, "failed", vf_code_name(code));
}

/**
 * vf_request_why() - what went wrong, for people
 * @fmt: as printf()
 */
void vf_request_why(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(vf_wishes.why, VF_WHY_LEN, fmt, args);
	va_end(args);
}

/**
 * vf_request_progress() - tell the host how far the request is
 * @state: state of contract 1, a constant
 */
void vf_request_progress(const char *state)
{
	vf_answer(vf_wishes.request.id, vf_op_name(vf_wishes.request.op), state, NULL);
	vf_tell_next = ktime_add_ms(ktime_get(), VF_TELL_MS);
}

/* Something happened that the worker should look at. Any context. */
void vf_request_event(enum vf_event event)
{
	set_bit(event, &vf_events);
	wake_up(&vf_wait);
}

/* Whether the host no longer wants the request that is served. */
static enum vf_code vf_overruled(void)
{
	u64 id = vf_wishes.request.id;
	struct vf_request now;

	if (!test_and_clear_bit(VF_EVENT_REQUEST, &vf_events))
		return VF_OK;

	vf_look_again = true;
	if (vf_store_request(&now))
		return VF_OK;
	if (now.id == id && now.op == VF_OP_CANCEL)
		return VF_CANCELLED;
	return now.id > id ? VF_SUPERSEDED : VF_OK;
}

/**
 * vf_request_stop() - whether the work on a request should end here
 *
 * To be asked between any two steps that take long.
 *
 * Return: VF_OK to go on, else why not, the same from then on.
 */
enum vf_code vf_request_stop(void)
{
	ktime_t now = ktime_get();

	if (vf_stop)
		return vf_stop;

	if (vf_undoing) {
		if (ktime_after(now, vf_deadline)) {
			vf_request_why("undoing it takes more than %d s", VF_UNDO_MS / 1000);
			vf_stop = VF_DEADLINE;
		}
		return vf_stop;
	}

	if (kthread_should_stop()) {
		vf_request_why("the module is being removed");
		vf_stop = VF_INTERNAL;
	} else if (test_and_clear_bit(VF_EVENT_OOM, &vf_events)) {
		vf_request_why("the other nodes ran out of memory");
		vf_stop = VF_BUSY;
	} else if (ktime_after(now, vf_deadline)) {
		vf_stop = VF_DEADLINE;
	} else {
		vf_stop = vf_overruled();
		if (!vf_stop && ktime_after(now, vf_tell_next)) {
			vf_store_tell();
			vf_tell_next = ktime_add_ms(ktime_get(), VF_TELL_MS);
		}
	}
	return vf_stop;
}

/**
 * vf_request_undoing() - between these, nothing stops the work but its own limit
 * @undoing: beginning or end
 */
void vf_request_undoing(bool undoing)
{
	vf_undoing = undoing;
	vf_stop = VF_OK;
	vf_deadline = ktime_add_ms(ktime_get(), VF_UNDO_MS);
}

/**
 * vf_request_wait_for_runtimes() - let runtimes adapt
 *
 * Until every one has acknowledged, or their share of the deadline is over:
 * a program that never looks can't hold a topology change up.
 *
 * Return: VF_OK, or what vf_request_stop() said.
 */
enum vf_code vf_request_wait_for_runtimes(void)
{
	u64 share = (u64)vf_wishes.request.deadline_ms * min(READ_ONCE(vf_ack_percent), 100U);
	ktime_t until = ktime_add_ms(ktime_get(), div_u64(share, 100));
	unsigned int adapted, known;
	s64 left_ms;

	for (;;) {
		clear_bit(VF_EVENT_ACK, &vf_events);
		vf_runtimes_count(&adapted, &known);
		left_ms = ktime_ms_delta(until, ktime_get());
		if (adapted == known)
			vf_time_note(VF_TIME_ADAPTED);
		/* First: a worker that wakes late may find both times over. */
		if (vf_request_stop() || adapted == known || left_ms <= 0)
			return vf_stop;

		/*
		 * No event tells of a process that dies with its file inherited.
		 * CPUs that come or go, and the host's welcome, are looked at when this
		 * is over.
		 */
		wait_event_idle_timeout(vf_wait,
					(READ_ONCE(vf_events) & ~VF_LATER_EVENTS) ||
					kthread_should_stop(),
					msecs_to_jiffies(min_t(s64, left_ms, VF_RECOUNT_MS)) + 1);
	}
}

static void vf_serve(void)
{
	const struct vf_request *request = &vf_wishes.request;
	ktime_t start = ktime_get();
	enum vf_code code;

	vf_time_note(VF_TIME_TAKEN_UP);
	vf_stop = VF_OK;
	vf_deadline = ktime_add_ms(start, request->deadline_ms);
	clear_bit(VF_EVENT_OOM, &vf_events);

	code = vf_change(&vf_wishes);
	if (code && kthread_should_stop() && vf_change_give_back()) {
		/* Not as before, and nobody is there to be asked for that. */
		vf_store_hello(false);
		code = VF_RESTORE;
	}
	vf_time_note(VF_TIME_ENDED);

	pr_info("request %llu %s: %s after %lld ms%s%s\n", request->id, vf_op_name(request->op),
		vf_code_name(code), ktime_ms_delta(ktime_get(), start),
		vf_wishes.why[0] ? ", " : "", vf_wishes.why);
	vf_answer_finally(request->id, vf_op_name(request->op), code);
}

/* Looks at numa/request. @asked: a watch has fired, the host wants an answer. */
static void vf_look(bool asked)
{
	struct vf_request now;
	enum vf_code code;
	int err;

	err = vf_store_request(&now);
	if (err && err != -EINVAL)
		return;
	if (err && !now.id && asked) {
		vf_request_why("numa/request: malformed");
		vf_answer_finally(0, "-", VF_BAD_REQUEST);
	}
	if (now.id <= vf_answered)
		return;

	if (!err && now.op == VF_OP_CANCEL) {
		vf_wishes.why[0] = '\0';
		vf_answer_finally(now.id, vf_op_name(now.op), VF_CANCELLED);
		return;
	}

	if (vf_store_wishes(&vf_wishes, &code))
		return;
	if (code) {
		pr_info("request %llu: %s, %s\n", now.id, vf_code_name(code), vf_wishes.why);
		vf_answer_finally(now.id, "-", code);
	} else if (vf_wishes.request.id > vf_answered && vf_wishes.request.op != VF_OP_CANCEL) {
		vf_serve();
	} else {
		vf_look_again = true;
	}
}

static int vf_work(void *unused)
{
	bool asked;

	vf_answered = vf_store_last_answer();

	while (!kthread_should_stop()) {
		if (test_and_clear_bit(VF_EVENT_AVAILABLE, &vf_events))
			vf_vcpus_follow();
		if (test_and_clear_bit(VF_EVENT_CPUS, &vf_events))
			vf_topology_publish(false);
		clear_bit(VF_EVENT_ACK, &vf_events);
		clear_bit(VF_EVENT_OOM, &vf_events);
		if (test_and_clear_bit(VF_EVENT_WELCOME, &vf_events))
			vf_store_hello(true);
		vf_store_tell();

		asked = test_and_clear_bit(VF_EVENT_REQUEST, &vf_events) || vf_look_again;
		vf_look_again = false;
		vf_look(asked);

		if (vf_look_again)
			continue;
		/* A program that opens and closes the page all day costs this much. */
		schedule_timeout_idle(msecs_to_jiffies(VF_COUNT_MS));
		wait_event_idle_timeout(vf_wait, READ_ONCE(vf_events) || kthread_should_stop(),
					msecs_to_jiffies(VF_IDLE_MS));
	}

	vf_change_give_back();
	vf_store_tell();
	vf_store_hello(false);
	return 0;
}

static void vf_request_changed(struct xenbus_watch *watch, const char *path, const char *token)
{
	vf_request_event(VF_EVENT_REQUEST);
}

static struct xenbus_watch vf_request_watch = {
	.node = "numa/request",
	.callback = vf_request_changed,
};

/*
 * Fires at once, and again when the host adopts a domain whose module was there
 * before it.
 */
static void vf_welcomed(struct xenbus_watch *watch, const char *path, const char *token)
{
	vf_request_event(VF_EVENT_WELCOME);
}

static struct xenbus_watch vf_welcome_watch = {
	.node = "control/feature-virtflex",
	.callback = vf_welcomed,
};

/**
 * vf_request_init() - begin to serve requests
 *
 * Return: 0 or a negative error.
 */
int vf_request_init(void)
{
	int err;

	err = register_xenbus_watch(&vf_request_watch);
	if (err) {
		pr_err("xenstore refuses a watch of numa/request (%d)\n", err);
		return err;
	}
	err = register_xenbus_watch(&vf_welcome_watch);
	if (err) {
		pr_err("xenstore refuses a watch of control/feature-virtflex (%d)\n", err);
		goto err_request;
	}

	vf_worker = kthread_run(vf_work, NULL, "virtflex");
	if (!IS_ERR(vf_worker))
		return 0;
	err = PTR_ERR(vf_worker);

	unregister_xenbus_watch(&vf_welcome_watch);
err_request:
	unregister_xenbus_watch(&vf_request_watch);
	return err;
}

/* Ends the request that is served, undoes it, and gives everything back. */
void vf_request_exit(void)
{
	unregister_xenbus_watch(&vf_request_watch);
	unregister_xenbus_watch(&vf_welcome_watch);
	kthread_stop(vf_worker);
}
