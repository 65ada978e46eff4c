/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is not wanted is dropped here, before anything is copied and before it has a number.
 * Three tables name what to leave out; a confined sensor sees one subtree of control groups.
 */
#ifndef VEDETTE_FILTER_H
#define VEDETTE_FILTER_H

#include "task.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u32);
} filter_uid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u32);
} filter_cgroup SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct event_file_key);
	__type(value, u32);
} filter_executable SEC(".maps");

/* A task that ends has no executable any more: who was left out for it is remembered. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct event_file_key);	/* start time, tgid */
	__type(value, u32);
} filter_left_out SEC(".maps");

static __always_inline bool filter__by_executable(struct task_struct *task, const bool traced)
{
	struct event_file_key process = {
		.device = task__read(traced, task, group_leader, start_boottime),
		.inode = task__read(traced, task, tgid),
	};
	struct file *exe = task__read(traced, task, mm, exe_file);
	struct event_file_key key = {};
	struct inode *inode;
	u32 one = 1, *is_known;

	if (!exe)
		return bpf_map_lookup_elem(&filter_left_out, &process);
	inode = task__read(traced, exe, f_inode);
	key.device = task__read(traced, inode, i_sb, s_dev);
	key.inode = task__read(traced, inode, i_ino);
	is_known = bpf_map_lookup_elem(&filter_left_out, &process);
	/* A look is cheap, and a change is not: most records are of processes about which nothing is new. */
	if (!bpf_map_lookup_elem(&filter_executable, &key)) {
		if (is_known)
			bpf_map_delete_elem(&filter_left_out, &process);
		return false;
	}
	if (!is_known)
		bpf_map_update_elem(&filter_left_out, &process, &one, BPF_ANY);
	return true;
}

/*
 * Whether the task is what the sensor does to see whether its programs still tell, or a child of it.
 * That is seen whatever is left out. Asked only about what would be.
 */
static __always_inline bool filter__is_canary(struct task_struct *task)
{
	struct event_sensor *own;
	u32 zero = 0;

	own = bpf_map_lookup_elem(&sensor, &zero);
	if (!own || !own->canary)
		return false;
	return (u32)BPF_CORE_READ(task__current(), pid) == own->canary || BPF_CORE_READ(task, real_parent, tgid) == own->tgid;
}

static __always_inline bool filter__accepts_of(struct task_struct *task, const bool traced)
{
	u32 zero = 0, *kinds;

	if (config.confine_cgroup &&
	    !task__is_below(task, config.confine_hierarchy, config.confine_cgroup, traced))
		return false;
	kinds = bpf_map_lookup_elem(&filter, &zero);
	if (!kinds || !*kinds)
		return true;
	if (*kinds & EVENT_FILTER_UID) {
		u32 uid = task__read(traced, task, cred, uid.val);

		if (bpf_map_lookup_elem(&filter_uid, &uid))
			return false;
	}
	if (*kinds & EVENT_FILTER_CGROUP) {
		u64 id = task__cgroup_id_of(task, traced);

		if (bpf_map_lookup_elem(&filter_cgroup, &id))
			return false;
	}
	return !(*kinds & EVENT_FILTER_EXECUTABLE) || !filter__by_executable(task, traced);
}

/* Whether the filter has nothing against records about this task. */
static __always_inline bool filter__accepts(struct task_struct *task)
{
	return filter__accepts_of(task, false);
}

/* The same about the current one, for programs that trace. */
static __always_inline bool filter__accepts_current(void)
{
	return filter__accepts_of(compat__current(), true);
}

/* Whether records about this task are to be made. */
static __always_inline bool filter__wants(struct task_struct *task)
{
	return filter__accepts(task) || filter__is_canary(task);
}

/* The same of the current one, as a function of its own: what it keeps on the stack is not the caller's then. */
__noinline int filter__wants_this(void)
{
	return filter__wants(task__current());
}

/* The same for programs that trace. */
__noinline int filter__wants_current(void)
{
	return filter__accepts_current() || filter__is_canary(task__current());
}

#endif
