/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paths from kernel objects, up to the root of the mount namespace: a chroot is seen through.
 * Names are written downwards from the buffer's end. Where the walk stands is kept in the map
 * value, not in registers: the verifier would follow every combination of those and give up
 * long before PATH_MAX.
 */
#ifndef VEDETTE_PATH_H
#define VEDETTE_PATH_H

#include "scratch.h"

#define PATH_COMPONENTS 2048	/* every path of PATH_MAX bytes */
#define CGROUP_COMPONENTS 256

#define walk(s, field) (*(volatile typeof((s)->field) *)&(s)->field)

/* Puts "/name" before what was found; true when there is no room for it. */
static __always_inline bool path__prepend(struct scratch *s, const void *name, u64 len)
{
	u64 start = walk(s, walk_start);

	if (len >= SCRATCH_NAME || start > EVENT_PATH_MAX || start < len + 1) {
		s->walk_truncated = 1;
		return true;
	}
	start -= len + 1;
	s->walk_start = start;
	scratch__opaque(start);
	start &= EVENT_PATH_MAX - 1;
	scratch__opaque(len);
	len &= SCRATCH_NAME - 1;
	s->path[start] = '/';
	return bpf_probe_read_kernel(&s->path[start + 1], len, name) != 0;
}

/* One step towards the root; true when there is none to go. */
static __always_inline bool path__step(struct scratch *s)
{
	struct dentry *dentry = (void *)walk(s, walk_node);
	struct mount *mount = (void *)walk(s, walk_mount);
	struct dentry *parent;
	struct mount *up;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		up = BPF_CORE_READ(mount, mnt_parent);
		if (up == mount)
			return true;
		s->walk_node = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->walk_mount = (u64)up;
		return false;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (path__prepend(s, BPF_CORE_READ(dentry, d_name.name), BPF_CORE_READ(dentry, d_name.len)))
		return true;
	/* A dentry without a place in any tree, such as a memfd's. */
	if (parent == dentry)
		return true;
	s->walk_node = (u64)parent;
	return false;
}

/* A function of its own, so that the verifier looks at the loop once for all callers. */
__noinline int path__walk(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 0;
	for (u32 i = 0; i < PATH_COMPONENTS; i++)
		if (path__step(s))
			return 0;
	s->walk_truncated = 1;
	return 0;
}

/* Likewise for the control group's path. */
__noinline int path__walk_kernfs(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 0;
	for (u32 i = 0; i < CGROUP_COMPONENTS; i++) {
		struct kernfs_node *kn = (void *)walk(s, walk_node);
		struct kernfs_node *parent = compat__kernfs_parent(kn);
		long len;

		if (!parent)
			return 0;
		len = bpf_probe_read_kernel_str(s->name, SCRATCH_NAME, BPF_CORE_READ(kn, name));
		if (len < 1 || path__prepend(s, s->name, len - 1))
			return 0;
		s->walk_node = (u64)parent;
	}
	s->walk_truncated = 1;
	return 0;
}

/* Appends what a walk found to the record; returns its length. */
static __always_inline u32 path__append(struct scratch *s)
{
	u64 start = walk(s, walk_start), len;

	if (start == EVENT_PATH_MAX && !walk(s, walk_truncated)) {
		/* Nothing above: the root itself. */
		s->walk_start = --start;
		s->path[EVENT_PATH_MAX - 1] = '/';
	}
	scratch__opaque(start);
	if (start > EVENT_PATH_MAX)
		return 0;
	len = EVENT_PATH_MAX - start;
	return scratch__append(s, &s->path[start], len, EVENT_PATH_MAX);
}

static __always_inline u32 path__fill(struct scratch *s, u32 slot, struct vfsmount *mnt, struct dentry *dentry)
{
	s->walk_node = (u64)dentry;
	s->walk_mount = (u64)mnt - bpf_core_field_offset(struct mount, mnt);
	s->walk_start = EVENT_PATH_MAX;
	s->walk_truncated = 0;
	path__walk(slot);
	return path__append(s);
}

static __always_inline u32 path__fill_kernfs(struct scratch *s, u32 slot, struct kernfs_node *kn)
{
	s->walk_node = (u64)kn;
	s->walk_start = EVENT_PATH_MAX;
	s->walk_truncated = 0;
	path__walk_kernfs(slot);
	return path__append(s);
}

#endif
