/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process may do, and as whom. */
#ifndef VEDETTE_CREDENTIALS_H
#define VEDETTE_CREDENTIALS_H

#include "filter.h"

static __always_inline void credentials__fill(struct event_ids *dst, const struct cred *cred)
{
	dst->uid = BPF_CORE_READ(cred, uid.val);
	dst->euid = BPF_CORE_READ(cred, euid.val);
	dst->suid = BPF_CORE_READ(cred, suid.val);
	dst->fsuid = BPF_CORE_READ(cred, fsuid.val);
	dst->gid = BPF_CORE_READ(cred, gid.val);
	dst->egid = BPF_CORE_READ(cred, egid.val);
	dst->sgid = BPF_CORE_READ(cred, sgid.val);
	dst->fsgid = BPF_CORE_READ(cred, fsgid.val);
	bpf_core_read(&dst->effective, sizeof(dst->effective), &cred->cap_effective);
	bpf_core_read(&dst->permitted, sizeof(dst->permitted), &cred->cap_permitted);
}

static __always_inline bool credentials__differ(const struct event_ids *a, const struct event_ids *b)
{
	return a->uid != b->uid || a->euid != b->euid || a->suid != b->suid || a->fsuid != b->fsuid ||
	       a->gid != b->gid || a->egid != b->egid || a->sgid != b->sgid || a->fsgid != b->fsgid ||
	       a->effective != b->effective || a->permitted != b->permitted;
}

/* A security module's hook for new credentials returns. What stays as it was is not told. */
static __always_inline int credentials__changing(u32 action, const struct cred *new, const struct cred *old, int error)
{
	struct task_struct *task = task__current();
	struct event_credentials record = { .action = action, .error = error < 0 ? -error : 0 };

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	credentials__fill(&record.before, old);
	credentials__fill(&record.after, new);
	if (!credentials__differ(&record.before, &record.after))
		return 0;
	emit(&record.header, EVENT_CREDENTIALS, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/*
 * The current process is about to run a program with these credentials. It is told when they give
 * it more than it had: another user or group, or capabilities, by bits or attributes of the file.
 */
static __always_inline int credentials__executing(const struct cred *new)
{
	struct task_struct *task = task__current();
	struct event_credentials record = {};

	if (!new || !filter__wants(task))
		return 0;
	credentials__fill(&record.before, BPF_CORE_READ(task, cred));
	credentials__fill(&record.after, new);
	if (record.before.euid != record.after.euid)
		record.action = EVENT_SETUID;
	else if (record.before.egid != record.after.egid)
		record.action = EVENT_SETGID;
	else if (record.after.permitted & ~record.before.permitted)
		record.action = EVENT_CAPSET;
	else
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	emit(&record.header, EVENT_CREDENTIALS, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* A system call for it has returned: what the current process may do now. */
__noinline int credentials__changed(u32 action, u32 error)
{
	struct task_struct *task = task__current();
	struct event_credentials record = { .action = action, .error = error, .from_syscall = 1 };

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	credentials__fill(&record.after, BPF_CORE_READ(task, cred));
	emit(&record.header, EVENT_CREDENTIALS, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

#endif
