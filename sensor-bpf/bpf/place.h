/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a process lives: its namespaces. */
#ifndef VEDETTE_PLACE_H
#define VEDETTE_PLACE_H

#include "filter.h"

static __always_inline void place__fill(struct event_namespaces_held *dst, struct nsproxy *held, const struct cred *cred)
{
	dst->mnt = BPF_CORE_READ(held, mnt_ns, ns.inum);
	dst->pid = BPF_CORE_READ(held, pid_ns_for_children, ns.inum);
	dst->net = BPF_CORE_READ(held, net_ns, ns.inum);
	dst->uts = BPF_CORE_READ(held, uts_ns, ns.inum);
	dst->ipc = BPF_CORE_READ(held, ipc_ns, ns.inum);
	dst->cgroup = BPF_CORE_READ(held, cgroup_ns, ns.inum);
	dst->user = BPF_CORE_READ(cred, user_ns, ns.inum);
}

/* A child lives elsewhere than its parent. A function of its own: fork has no room left on its stack. */
__noinline int place__forked(u64 parent_address, u64 child_address)
{
	struct task_struct *parent = (void *)parent_address, *child = (void *)child_address;
	const struct cred *old_cred = BPF_CORE_READ(parent, cred), *new_cred = BPF_CORE_READ(child, cred);
	struct nsproxy *old = BPF_CORE_READ(parent, nsproxy), *new = BPF_CORE_READ(child, nsproxy);
	struct event_namespaces record = {};

	if (old == new && BPF_CORE_READ(old_cred, user_ns) == BPF_CORE_READ(new_cred, user_ns))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, child);
	place__fill(&record.before, old, old_cred);
	place__fill(&record.after, new, new_cred);
	emit(&record.header, EVENT_NAMESPACES, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* switch_task_namespaces() is called: the current process moves, or ends. */
static __always_inline int place__moving(struct task_struct *task, struct nsproxy *new)
{
	struct event_namespaces record = {};
	const struct cred *cred;

	if (!new || !filter__wants(task))
		return 0;
	cred = BPF_CORE_READ(task, cred);
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	place__fill(&record.before, BPF_CORE_READ(task, nsproxy), cred);
	place__fill(&record.after, new, cred);
	emit(&record.header, EVENT_NAMESPACES, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* setns or unshare has returned: where the current process lives now. Where it lived before is not known. */
__noinline int place__moved(void)
{
	struct task_struct *task = task__current();
	struct event_namespaces record = {};

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	place__fill(&record.after, BPF_CORE_READ(task, nsproxy), BPF_CORE_READ(task, cred));
	emit(&record.header, EVENT_NAMESPACES, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

#endif
