/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of a process: birth, image, end. */
#ifndef VEDETTE_PROCESS_H
#define VEDETTE_PROCESS_H

#include "filter.h"
#include "path.h"
#include "place.h"

#define PAGE 4096

/* Two threads that end together may both be the last: the first to say so says it for both. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct event_file_key);	/* start time, tgid */
	__type(value, u32);
} exits_told SEC(".maps");

static __always_inline int process__forked(struct task_struct *parent, struct task_struct *child)
{
	struct event_fork record = {};

	if (child->pid != child->tgid || !filter__wants(child))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.child, child);
	task__fill(&record.parent, parent);
	record.cgroup_id = task__cgroup_id(child);
	emit(&record.header, EVENT_FORK, EVENT_CLASS_PROCESS, sizeof(record));
	return place__forked(compat__address(parent), compat__address(child));
}

static __always_inline bool process__already_told(const struct event_task *task, int n_threads)
{
	struct event_file_key key = { .device = task->start_ns, .inode = task->tgid };
	u32 one = 1;

	/* Nobody comes after the last one, but one that has left may have said it already. */
	if (n_threads == 1)
		return bpf_map_lookup_elem(&exits_told, &key);
	return bpf_map_update_elem(&exits_told, &key, &one, BPF_NOEXIST) != 0;
}

static __always_inline int process__exited(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	struct event_exit record = {};

	if (BPF_CORE_READ(signal, live.counter) != 0 || !filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	if (process__already_told(&record.task, BPF_CORE_READ(signal, nr_threads)))
		return 0;
	/* What wait(2) will report, see wait_task_zombie(). */
	record.status = BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT ?
				BPF_CORE_READ(signal, group_exit_code) :
				BPF_CORE_READ(task, group_leader, exit_code);
	record.duration_ns = record.header.time_ns - record.task.start_ns;
	emit(&record.header, EVENT_EXIT, EVENT_CLASS_PROCESS, sizeof(record));
	return 0;
}

/* The image's file: what it is and where its path leads. */
static __always_inline void process__fill_file(struct scratch *s, u32 slot, struct event_image *image,
					       struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	image->inode = BPF_CORE_READ(inode, i_ino);
	image->device = BPF_CORE_READ(sb, s_dev);
	image->size = BPF_CORE_READ(inode, i_size);
	image->changed_ns = compat__inode_changed_ns(inode);
	if (BPF_CORE_READ(inode, i_nlink) == 0 || !BPF_CORE_READ(dentry, d_hash.pprev))
		image->flags |= EVENT_IMAGE_DELETED;
	if (BPF_CORE_READ(sb, s_magic) == TMPFS_MAGIC && BPF_CORE_READ(sb, s_flags) & SB_KERNMOUNT)
		image->flags |= EVENT_IMAGE_MEMFD;
	if (!(BPF_CORE_READ(mnt, mnt_flags) & MNT_READONLY) && !(BPF_CORE_READ(sb, s_flags) & SB_RDONLY))
		image->flags |= EVENT_IMAGE_WRITABLE_MOUNT;
	image->executable_len = path__fill(s, slot, mnt, dentry);
	if (s->walk_truncated || !image->executable_len)
		image->flags |= EVENT_IMAGE_TRUNCATED;
}

/* A kernel thread has no file; its name, which only the kernel can give, stands in brackets. */
static __always_inline void process__fill_kthread(struct scratch *s, struct event_image *image,
						  struct task_struct *task)
{
	long len;

	image->flags |= EVENT_IMAGE_KERNEL_THREAD;
	len = bpf_probe_read_kernel_str(s->name + 8, sizeof(task->comm), &task->comm);
	if (len < 1 || len > 16)
		return;
	image->executable_len = scratch__append(s, "[", 1, 1);
	image->executable_len += scratch__append(s, s->name + 8, len - 1, 16);
	image->executable_len += scratch__append(s, "]", 1, 1);
}

/* What every image record has, whether it was just executed or found running. */
static __always_inline struct event_image *process__image(struct scratch *s, u32 slot, struct task_struct *task)
{
	struct event_image *image = (void *)s->record;
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	__builtin_memset(image, 0, sizeof(*image));
	s->used = sizeof(*image);
	image->header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&image->task, task);
	task__fill(&image->parent, BPF_CORE_READ(task, real_parent));
	task__fill_rights(image, task);
	task__fill_places(image, task);
	task__fill_stdio(image, task);

	if (exe)
		process__fill_file(s, slot, image, exe);
	else if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		process__fill_kthread(s, image, task);
	image->cwd_len = path__fill(s, slot, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
	if (s->walk_truncated)
		image->flags |= EVENT_IMAGE_TRUNCATED;
	return image;
}

/* Control group and terminal, which stand after the script in the record. */
static __always_inline void process__fill_group(struct scratch *s, u32 slot, struct event_image *image,
						struct task_struct *task)
{
	struct cgroup *cgroup = task__cgroup(task, config.report_hierarchy, false);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	long len;

	image->cgroup_len = path__fill_kernfs(s, slot, BPF_CORE_READ(cgroup, kn));
	if (s->walk_truncated)
		image->flags |= EVENT_IMAGE_TRUNCATED;
	if (!tty)
		return;
	len = bpf_probe_read_kernel_str(s->name, EVENT_TTY_MAX, &tty->name);
	if (len > 1)
		image->tty_len = scratch__append(s, s->name, len - 1, EVENT_TTY_MAX);
}

/* The arguments from the new image's memory, where exec has just put them. */
static __always_inline void process__fill_args(struct scratch *s, struct event_image *image, struct mm_struct *mm)
{
	u64 start = BPF_CORE_READ(mm, arg_start), end = BPF_CORE_READ(mm, arg_end);
	u64 used = *(volatile u32 *)&s->used;
	u64 len;

	image->args_bytes = end - start;
	len = end - start > EVENT_ARGS_MAX ? EVENT_ARGS_MAX : end - start;
	if (end - start > EVENT_ARGS_MAX)
		image->flags |= EVENT_IMAGE_TRUNCATED;
	scratch__opaque(len);
	scratch__opaque(used);
	if (len > EVENT_ARGS_MAX || used > SCRATCH_RECORD - EVENT_ARGS_MAX)
		return;
	if (bpf_probe_read_user(&s->record[used], len, (void *)start)) {
		image->flags |= EVENT_IMAGE_TRUNCATED;
		/* A page was swapped out: what stands before it can still be had. */
		len = PAGE - (start & (PAGE - 1));
		scratch__opaque(len);
		if (len > PAGE || bpf_probe_read_user(&s->record[used], len, (void *)start))
			return;
	}
	image->args_len = len;
	s->used = used + len;
}

static __always_inline void process__send(struct scratch *s, struct event_image *image)
{
	u64 size = *(volatile u32 *)&s->used;

	scratch__opaque(size);
	if (size > SCRATCH_RECORD)
		return emit__lost(EVENT_CLASS_PROCESS);
	emit(&image->header, EVENT_IMAGE, EVENT_CLASS_PROCESS, size);
}

static __always_inline int process__executed(struct task_struct *task, struct linux_binprm *bprm)
{
	const char *filename = bprm->filename;
	struct event_image *image;
	struct scratch *s;
	u32 slot;
	long len;

	if (!filter__wants(task))
		return 0;
	if (emit__unread()) {
		emit__pass(EVENT_CLASS_PROCESS);
		return 0;
	}
	s = scratch__claim(&slot);
	if (!s) {
		emit__lost(EVENT_CLASS_PROCESS);
		return 0;
	}
	image = process__image(s, slot, task);
	image->flags |= EVENT_IMAGE_EXECUTED;
	image->args_count = bprm->argc;
	/* The loader of a #! line has put the interpreter in place of the script. */
	if (bprm->interp != filename) {
		len = bpf_probe_read_kernel_str(s->path, EVENT_PATH_MAX, filename);
		if (len > 1)
			image->script_len = scratch__append(s, s->path, len - 1, EVENT_PATH_MAX);
	}
	process__fill_group(s, slot, image, task);
	process__fill_args(s, image, BPF_CORE_READ(task, mm));
	process__send(s, image);
	scratch__release(s);
	return 0;
}

/* One living process, written to the iterator's reader in place of a ring. */
static __always_inline int process__found(struct seq_file *seq, struct task_struct *task)
{
	struct event_image *image;
	struct scratch *s;
	u64 size;
	u32 slot;

	if (!task || task->pid != task->tgid || !filter__wants(task))
		return 0;
	s = scratch__claim(&slot);
	if (!s)
		return 0;
	image = process__image(s, slot, task);
	process__fill_group(s, slot, image, task);
	size = *(volatile u32 *)&s->used;
	scratch__opaque(size);
	if (size <= SCRATCH_RECORD) {
		image->header.size = size;
		image->header.kind = EVENT_IMAGE;
		bpf_seq_write(seq, s->record, size);
	}
	scratch__release(s);
	return 0;
}

#endif
