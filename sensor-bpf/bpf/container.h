/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control groups of containers that get their first process, or lose their last one.
 *
 * The kernel keeps count of both, for every group of every hierarchy, v1 and v2: threads, migrations and groups below
 * included (cgroup_update_populated). Its tracepoint is hit when the answer changes and at no other time.
 */
#ifndef VEDETTE_CONTAINER_H
#define VEDETTE_CONTAINER_H

#include "filter.h"
#include "path.h"

#define CONTAINER_ID_LEN 64	/* hex digits of an id, with or without something around them */
#define CONTAINER_NAME_MAX 72	/* bytes of a group's name that are looked at */

/* Whether the group is of the hierarchy that records are told from. The unified one has the number 0. */
static __always_inline bool container__is_reported(struct cgroup *cgroup)
{
	struct cgroup_subsys_state *css = NULL;
	u64 at = (u64)cgroup + bpf_core_field_offset(struct cgroup, subsys);
	u32 id = 0;

	if (config.report_hierarchy == EVENT_HIERARCHY_PIDS &&
	    bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		id = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	else if (config.report_hierarchy == EVENT_HIERARCHY_MEMORY &&
		 bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	else
		return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0;
	bpf_probe_read_kernel(&css, sizeof(css), (void *)(at + id * sizeof(void *)));
	return css != NULL;
}

/* Whether a name begins so. By hand, as clang makes a call of a longer memcmp. */
#define container__begins(name, with) ({						\
	bool is = true;									\
											\
	_Pragma("unroll")								\
	for (u32 i = 0; i < sizeof(with) - 1; i++)					\
		is = is && (name)[i] == (with)[i];					\
	is;										\
})

/*
 * Whether the name may be a container's: it is as long as an id, or begins as those of lxc and systemd-nspawn do. The
 * sensor looks at the path; this keeps away what every service of the host would cause.
 */
static __always_inline bool container__is_name(struct kernfs_node *kn)
{
	struct kernfs_node *parent = compat__kernfs_parent(kn);
	char name[CONTAINER_NAME_MAX] = {};

	if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(kn, name)) > CONTAINER_ID_LEN)
		return true;
	if (container__begins(name, "lxc.") || container__begins(name, "systemd-nspawn@"))
		return true;
	if (!parent || bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(parent, name)) < 0)
		return false;
	/* With the NUL: the whole name. */
	return container__begins(name, "lxc\0") || container__begins(name, "lxc.payload\0");
}

static __always_inline bool container__is_wanted(struct cgroup *cgroup, u64 id)
{
	u32 zero = 0, *kinds;

	if (!container__is_reported(cgroup) || !container__is_name(BPF_CORE_READ(cgroup, kn)))
		return false;
	/* In another hierarchy it is not known what is below. */
	if (config.confine_cgroup && (config.confine_hierarchy != config.report_hierarchy ||
				      !task__group_is_below(cgroup, config.confine_cgroup, false)))
		return false;
	kinds = bpf_map_lookup_elem(&filter, &zero);
	return !kinds || !(*kinds & EVENT_FILTER_CGROUP) || !bpf_map_lookup_elem(&filter_cgroup, &id);
}

/* tracepoint cgroup:cgroup_notify_populated, under css_set_lock. */
static __always_inline int container__populated(struct cgroup *cgroup, u32 populated)
{
	struct event_populated *record;
	struct scratch *s;
	u64 id = BPF_CORE_READ(cgroup, kn, id), size;
	u32 slot;

	if (!container__is_wanted(cgroup, id))
		return 0;
	s = scratch__claim(&slot);
	if (!s) {
		emit__lost(EVENT_CLASS_PROCESS);
		return 0;
	}
	record = (void *)s->record;
	__builtin_memset(record, 0, sizeof(*record));
	s->used = sizeof(*record);
	record->header.time_ns = bpf_ktime_get_boot_ns();
	record->cgroup_id = id;
	record->populated = populated;
	record->by_mnt_ns = BPF_CORE_READ(task__current(), nsproxy, mnt_ns, ns.inum);
	record->path_len = path__fill_kernfs(s, slot, BPF_CORE_READ(cgroup, kn));
	record->truncated = s->walk_truncated;
	size = *(volatile u32 *)&s->used;
	scratch__opaque(size);
	if (size <= SCRATCH_RECORD)
		emit(&record->header, EVENT_POPULATED, EVENT_CLASS_PROCESS, size);
	else
		emit__lost(EVENT_CLASS_PROCESS);
	scratch__release(s);
	return 0;
}

#endif
