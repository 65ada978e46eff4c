/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be said of a task: who it is, where it belongs, and what it may do. */
#ifndef VEDETTE_TASK_H
#define VEDETTE_TASK_H

#include "emit.h"

#define CGROUP_LEVELS 32

/* Whether what compat__current() leads to may be loaded. */
#ifdef HAVE_LOOP
#define TASK_LOADS 1
#else
#define TASK_LOADS 0
#endif

/* Reads members; `traced`, a constant: of compat__current(), which only programs that trace are given. */
#define task__read(traced, ptr, ...) ((traced) ? compat__read(ptr, __VA_ARGS__) : BPF_CORE_READ(ptr, __VA_ARGS__))

static __always_inline void task__fill_of(struct event_task *dst, struct task_struct *task, const bool traced)
{
	dst->start_ns = task__read(traced, task, group_leader, start_boottime);
	dst->tgid = task__read(traced, task, tgid);
	dst->image = task__read(traced, task, self_exec_id);
}

/* The identity that lasts: the thread-group leader's, whichever thread is asked. */
static __always_inline void task__fill(struct event_task *dst, struct task_struct *task)
{
	task__fill_of(dst, task, false);
}

/* The current process's, for programs that trace. */
static __always_inline void task__fill_current(struct event_task *dst)
{
	task__fill_of(dst, compat__current(), true);
}

static __always_inline struct task_struct *task__current(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline struct cgroup *task__subsys_cgroup(struct css_set *css_set, u32 id, const bool traced)
{
	struct cgroup_subsys_state *css = NULL;
	void *at = (void *)css_set + bpf_core_field_offset(struct css_set, subsys) + id * sizeof(void *);

	if (TASK_LOADS && traced)
		css = *(struct cgroup_subsys_state **)at;
	else
		bpf_probe_read_kernel(&css, sizeof(css), at);
	return css ? task__read(traced, css, cgroup) : NULL;
}

/* The task's control group in a hierarchy; v2's where that one is not compiled in. */
static __always_inline struct cgroup *task__cgroup(struct task_struct *task, u32 hierarchy, const bool traced)
{
	struct css_set *css_set = task__read(traced, task, cgroups);

	if (!css_set)
		return NULL;
	if (hierarchy == EVENT_HIERARCHY_PIDS &&
	    bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return task__subsys_cgroup(css_set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id), traced);
	if (hierarchy == EVENT_HIERARCHY_MEMORY &&
	    bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return task__subsys_cgroup(css_set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id), traced);
	return task__read(traced, css_set, dfl_cgrp);
}

static __always_inline u64 task__cgroup_id_of(struct task_struct *task, const bool traced)
{
	struct cgroup *cgroup = task__cgroup(task, config.report_hierarchy, traced);

	return task__read(traced, cgroup, kn, id);
}

/* The id user space sees as the inode of the group's directory. */
static __always_inline u64 task__cgroup_id(struct task_struct *task)
{
	return task__cgroup_id_of(task, false);
}

/* Whether it is the group with this id, or one below it. */
static __always_inline bool task__group_is_below(struct cgroup *cgroup, u64 id, const bool traced)
{
	struct cgroup_subsys_state *css;

	for (int i = 0; i < CGROUP_LEVELS && cgroup; i++) {
		if (task__read(traced, cgroup, kn, id) == id)
			return true;
		/* `self` is the group's own css; its parent is the parent group's. */
		css = task__read(traced, cgroup, self.parent);
		if (!css)
			return false;
		cgroup = task__read(traced, css, cgroup);
	}
	return false;
}

/* Whether the task is in the group with this id, or in one below it. */
static __always_inline bool task__is_below(struct task_struct *task, u32 hierarchy, u64 id, const bool traced)
{
	return task__group_is_below(task__cgroup(task, hierarchy, traced), id, traced);
}

static __always_inline void task__fill_rights(struct event_image *dst, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	dst->uid = BPF_CORE_READ(cred, uid.val);
	dst->euid = BPF_CORE_READ(cred, euid.val);
	dst->egid = BPF_CORE_READ(cred, egid.val);
	/* kernel_cap_t was two words until 6.3 (f122a08b197d0): the same bytes on little-endian. */
	bpf_core_read(&dst->capabilities, sizeof(dst->capabilities), &cred->cap_effective);
	dst->user_ns = BPF_CORE_READ(cred, user_ns, ns.inum);
	dst->loginuid = bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : (u32)-1;
}

static __always_inline void task__fill_places(struct event_image *dst, struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid;
	struct pid *sid;

	dst->mnt_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	dst->net_ns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	/* The innermost number's namespace is the one the task lives in. */
	upid = (void *)((u64)pid + bpf_core_field_offset(struct pid, numbers) +
			BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid));
	dst->pid_ns = BPF_CORE_READ(upid, ns, ns.inum);
	sid = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]);
	upid = (void *)((u64)sid + bpf_core_field_offset(struct pid, numbers));
	dst->session = BPF_CORE_READ(upid, nr);
	dst->cgroup_id = task__cgroup_id(task);
}

static __always_inline u8 task__stdio_kind(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u32 rdev = BPF_CORE_READ(inode, i_rdev);
	u32 major = rdev >> 20;

	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFBLK:
		return EVENT_STDIO_FILE;
	case S_IFIFO:
		return EVENT_STDIO_PIPE;
	case S_IFSOCK:
		return EVENT_STDIO_SOCKET;
	case S_IFCHR:
		/* Documentation/admin-guide/devices.txt: memory devices, then the terminals. */
		if (rdev == (1 << 20 | 3))
			return EVENT_STDIO_NULL;
		if (major == 4 || major == 5 || (major >= 136 && major <= 143) || major == 204 || major == 229)
			return EVENT_STDIO_TTY;
	}
	return EVENT_STDIO_OTHER;
}

/* The open file behind one of the task's descriptors, or NULL. */
static __always_inline struct file *task__file(struct task_struct *task, u32 fd, const bool traced)
{
	struct fdtable *table = task__read(traced, task, files, fdt);
	struct file *file = NULL;

	if (table && fd < task__read(traced, table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), task__read(traced, table, fd) + fd);
	return file;
}

static __always_inline void task__fill_stdio(struct event_image *dst, struct task_struct *task)
{
	for (u32 fd = 0; fd < 3; fd++) {
		struct file *file = task__file(task, fd, false);

		dst->stdio[fd] = file ? task__stdio_kind(file) : EVENT_STDIO_OTHER;
	}
	dst->stdio[3] = 0;
}

#endif
