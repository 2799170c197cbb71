// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that follow the topology, and /proc/virtflex/topology, by which
 * they do: read for text, mmap for the page, poll for POLLPRI on a new
 * generation, write to acknowledge one, ioctl to move memory (reset.c).
 *
 * A process that has the file open is a runtime, once, however many times it
 * has it open. It is one no more when it closes its last, or dies: a child
 * that inherited the file doesn't stand in for a dead parent.
 */
#include "virtflex.h"

#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* 20 digits of a u64, a newline, and one more to see that it is too long. */
#define VF_ACK_MAX 22

struct vf_runtime {
	struct hlist_node link;
	struct pid *pid;
	unsigned int opens;
	u64 acknowledged;
};

/*
 * One open file. @seen: generation that poll() no longer tells of. @polled:
 * whether an epoll instance may hold on to vf_runtimes_wait, so that the
 * module can't go before the file does.
 */
struct vf_file {
	struct vf_runtime *runtime;
	u64 seen;
	atomic_t polled;
};

static DEFINE_HASHTABLE(vf_runtimes, 8);
static DEFINE_MUTEX(vf_runtimes_lock);
static DECLARE_WAIT_QUEUE_HEAD(vf_runtimes_wait);

static struct vf_runtime *vf_runtime_get(struct pid *pid)
{
	struct vf_runtime *runtime;

	hash_for_each_possible(vf_runtimes, runtime, link, (unsigned long)pid) {
		if (runtime->pid == pid) {
			runtime->opens++;
			return runtime;
		}
	}

	runtime = kzalloc(sizeof(*runtime), GFP_KERNEL_ACCOUNT);
	if (!runtime)
		return NULL;

	/* A process that looks only now can't be using an older topology. */
	runtime->acknowledged = vf_topology_generation();
	runtime->pid = get_pid(pid);
	runtime->opens = 1;
	hash_add(vf_runtimes, &runtime->link, (unsigned long)pid);
	return runtime;
}

static void vf_runtime_put(struct vf_runtime *runtime)
{
	if (--runtime->opens)
		return;
	hash_del(&runtime->link);
	put_pid(runtime->pid);
	kfree(runtime);
}

static bool vf_runtime_alive(const struct vf_runtime *runtime)
{
	struct task_struct *task;
	bool alive;

	rcu_read_lock();
	task = pid_task(runtime->pid, PIDTYPE_TGID);
	alive = task && atomic_read(&task->signal->live);
	rcu_read_unlock();
	return alive;
}

/**
 * vf_runtimes_count() - how far the runtimes are
 * @adapted: those that acknowledged the generation that is published
 * @known: all
 */
void vf_runtimes_count(unsigned int *adapted, unsigned int *known)
{
	u64 generation = vf_topology_generation();
	struct vf_runtime *runtime;
	int bucket;

	*adapted = 0;
	*known = 0;

	mutex_lock(&vf_runtimes_lock);
	hash_for_each(vf_runtimes, bucket, runtime, link) {
		if (!vf_runtime_alive(runtime))
			continue;
		++*known;
		if (runtime->acknowledged >= generation)
			++*adapted;
	}
	mutex_unlock(&vf_runtimes_lock);
}

/* Tells those that poll() of a new generation. */
void vf_runtimes_notify(void)
{
	wake_up_all(&vf_runtimes_wait);
}

static struct vf_file *vf_file_of(struct file *file)
{
	return ((struct seq_file *)file->private_data)->private;
}

static int vf_show(struct seq_file *seq, void *unused)
{
	struct vf_file *vf_file = seq->private;

	WRITE_ONCE(vf_file->seen, vf_topology_generation());
	vf_topology_show(seq);
	return 0;
}

static int vf_open(struct inode *inode, struct file *file)
{
	struct vf_file *vf_file;
	int err;

	vf_file = kzalloc(sizeof(*vf_file), GFP_KERNEL_ACCOUNT);
	if (!vf_file)
		return -ENOMEM;
	vf_file->seen = vf_topology_generation();

	err = single_open(file, vf_show, vf_file);
	if (err)
		goto err_free;
	/* single_open() takes it away; runtimes acknowledge by pwrite(), as in a file. */
	file->f_mode |= FMODE_PWRITE;

	mutex_lock(&vf_runtimes_lock);
	vf_file->runtime = vf_runtime_get(task_tgid(current));
	mutex_unlock(&vf_runtimes_lock);
	if (!vf_file->runtime) {
		err = -ENOMEM;
		goto err_release;
	}

	vf_request_event(VF_EVENT_ACK);
	return 0;

err_release:
	single_release(inode, file);
err_free:
	kfree(vf_file);
	return err;
}

static int vf_close(struct inode *inode, struct file *file)
{
	struct vf_file *vf_file = vf_file_of(file);

	mutex_lock(&vf_runtimes_lock);
	vf_runtime_put(vf_file->runtime);
	mutex_unlock(&vf_runtimes_lock);
	vf_request_event(VF_EVENT_ACK);

	if (atomic_read(&vf_file->polled))
		module_put(THIS_MODULE);
	kfree(vf_file);
	return single_release(inode, file);
}

static ssize_t vf_write(struct file *file, const char __user *user, size_t len, loff_t *pos)
{
	struct vf_file *vf_file = vf_file_of(file);
	char text[VF_ACK_MAX];
	u64 generation;
	int err;

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, len))
		return -EFAULT;

	err = vf_parse_generation(text, len, &generation);
	if (err)
		return err;
	if (generation > vf_topology_generation())
		return -EINVAL;

	mutex_lock(&vf_runtimes_lock);
	if (generation > vf_file->runtime->acknowledged)
		vf_file->runtime->acknowledged = generation;
	mutex_unlock(&vf_runtimes_lock);

	if (generation > READ_ONCE(vf_file->seen))
		WRITE_ONCE(vf_file->seen, generation);
	vf_request_event(VF_EVENT_ACK);
	return len;
}

static __poll_t vf_poll(struct file *file, poll_table *table)
{
	struct vf_file *vf_file = vf_file_of(file);
	__poll_t events = EPOLLIN | EPOLLRDNORM;

	if (!atomic_read(&vf_file->polled)) {
		if (!try_module_get(THIS_MODULE))
			return EPOLLERR | EPOLLHUP;
		if (atomic_xchg(&vf_file->polled, 1))
			module_put(THIS_MODULE);
	}

	poll_wait(file, &vf_runtimes_wait, table);
	if (vf_topology_generation() > READ_ONCE(vf_file->seen))
		events |= EPOLLPRI;
	return events;
}

static int vf_mmap(struct file *file, struct vm_area_struct *vma)
{
	return vf_topology_mmap(vma);
}

static long vf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vf_reset_ioctl(cmd, arg);
}

static const struct proc_ops vf_ops = {
	.proc_open = vf_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_write = vf_write,
	.proc_poll = vf_poll,
	.proc_mmap = vf_mmap,
	.proc_ioctl = vf_ioctl,
	.proc_release = vf_close,
};

/*
 * Anybody may write: it is how an unprivileged program acknowledges, and a
 * write says nothing but that.
 */
static const umode_t vf_topology_mode = 0666;

/**
 * vf_runtimes_init() - make the file
 * @dir: /proc/virtflex
 *
 * Return: 0 or -ENOMEM.
 */
int vf_runtimes_init(struct proc_dir_entry *dir)
{
	return proc_create("topology", vf_topology_mode, dir, &vf_ops) ? 0 : -ENOMEM;
}
