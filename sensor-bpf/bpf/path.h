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

/* Where it is the mount's turn: reads what is needed of it, at once where its members stand one after another. */
static __always_inline void path__enter(struct scratch *s, struct mount *mount)
{
	s->walk_mount.mount = (u64)mount;
	if (bpf_core_field_offset(mount->mnt_mountpoint) == bpf_core_field_offset(mount->mnt_parent) + 8 &&
	    bpf_core_field_offset(mount->mnt.mnt_root) == bpf_core_field_offset(mount->mnt_parent) + 16) {
		bpf_core_read(&s->walk_mount.parent, 24, &mount->mnt_parent);
		return;
	}
	s->walk_mount.parent = (u64)BPF_CORE_READ(mount, mnt_parent);
	s->walk_mount.mountpoint = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
	s->walk_mount.root = (u64)BPF_CORE_READ(mount, mnt.mnt_root);
}

/* The same of a dentry: its parent, and its name as struct qstr has it. */
static __always_inline void path__look_at(struct scratch *s, struct dentry *dentry)
{
	if (bpf_core_field_offset(dentry->d_name) == bpf_core_field_offset(dentry->d_parent) + 8 &&
	    bpf_core_field_offset(struct qstr, len) == 4 && bpf_core_field_offset(struct qstr, name) == 8) {
		bpf_core_read(&s->walk_dentry, sizeof(s->walk_dentry), &dentry->d_parent);
		return;
	}
	s->walk_dentry.parent = (u64)BPF_CORE_READ(dentry, d_parent);
	s->walk_dentry.name_len = BPF_CORE_READ(dentry, d_name.len);
	s->walk_dentry.name = (u64)BPF_CORE_READ(dentry, d_name.name);
}

/* One step towards the root; true when there is none to go. */
static __always_inline bool path__step(struct scratch *s)
{
	u64 node = walk(s, walk_node), parent;
	struct dentry *dentry = (void *)node;

	if (node == walk(s, walk_mount.root)) {
		parent = walk(s, walk_mount.parent);
		if (parent == walk(s, walk_mount.mount))
			return true;
		s->walk_node = walk(s, walk_mount.mountpoint);
		path__enter(s, (void *)parent);
		return false;
	}
	path__look_at(s, dentry);
	parent = walk(s, walk_dentry.parent);
	/* The root of a file system, reached past the mount's own: what lies above is not known. */
	if (parent == node && dentry == BPF_CORE_READ(dentry, d_sb, s_root)) {
		s->walk_truncated = 1;
		return true;
	}
	if (path__prepend(s, (void *)walk(s, walk_dentry.name), walk(s, walk_dentry.name_len)))
		return true;
	/* A dentry without a place in any tree, such as a memfd's. */
	if (parent == node)
		return true;
	s->walk_node = parent;
	return false;
}

#ifdef HAVE_LOOP
static long path__step_nth(u32 n, struct scratch **s)
{
	return path__step(*s);
}

/* A function of its own, so that the verifier looks at the loop once for all callers. */
__noinline int path__walk(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (s && bpf_loop(PATH_COMPONENTS, path__step_nth, &s, 0) >= PATH_COMPONENTS)
		s->walk_truncated = 1;
	return 0;
}

#else
/*
 * The verifier goes through every round of a loop, in every program. So functions of their own call
 * one another: of each it looks at a few rounds, once.
 */
#define PATH_ROUNDS 16
_Static_assert(8 * PATH_ROUNDS * PATH_ROUNDS == PATH_COMPONENTS, "the rounds are for every path");

/* Not zero: there is no further step. */
__noinline int path__walk_few(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 1;
	for (u32 i = 0; i < 8; i++)
		if (path__step(s))
			return 1;
	return 0;
}

__noinline int path__walk_some(u32 slot)
{
	for (u32 i = 0; i < PATH_ROUNDS; i++)
		if (path__walk_few(slot))
			return 1;
	return 0;
}

__noinline int path__walk(u32 slot)
{
	struct scratch *s;

	for (u32 i = 0; i < PATH_ROUNDS; i++)
		if (path__walk_some(slot))
			return 0;
	s = bpf_map_lookup_elem(&scratches, &slot);
	if (s)
		s->walk_truncated = 1;
	return 0;
}
#endif

/* Likewise for the control group's path. */
#define CGROUP_ROUNDS 16
_Static_assert(CGROUP_ROUNDS * CGROUP_ROUNDS == CGROUP_COMPONENTS, "the rounds are for every path");

__noinline int path__walk_kernfs_some(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 1;
	for (u32 i = 0; i < CGROUP_ROUNDS; i++) {
		struct kernfs_node *kn = (void *)walk(s, walk_node);
		struct kernfs_node *parent = compat__kernfs_parent(kn);
		long len;

		if (!parent)
			return 1;
		len = bpf_probe_read_kernel_str(s->name, SCRATCH_NAME, BPF_CORE_READ(kn, name));
		if (len < 1 || path__prepend(s, s->name, len - 1))
			return 1;
		s->walk_node = (u64)parent;
	}
	return 0;
}

__noinline int path__walk_kernfs(u32 slot)
{
	struct scratch *s;

	for (u32 i = 0; i < CGROUP_ROUNDS; i++)
		if (path__walk_kernfs_some(slot))
			return 0;
	s = bpf_map_lookup_elem(&scratches, &slot);
	if (s)
		s->walk_truncated = 1;
	return 0;
}

/* Ends a walk: of the root itself nothing was found. */
static __always_inline void path__end(struct scratch *s)
{
	s->path[EVENT_PATH_MAX] = 0;
	if (walk(s, walk_start) == EVENT_PATH_MAX && !walk(s, walk_truncated)) {
		s->walk_start = EVENT_PATH_MAX - 1;
		s->path[EVENT_PATH_MAX - 1] = '/';
	}
}

/* Appends what a walk found to the record; returns its length. */
static __always_inline u32 path__append(struct scratch *s)
{
	u64 start = walk(s, walk_start), len;

	scratch__opaque(start);
	if (start > EVENT_PATH_MAX)
		return 0;
	len = EVENT_PATH_MAX - start;
	return scratch__append(s, &s->path[start], len, EVENT_PATH_MAX);
}

static __always_inline void path__begin(struct scratch *s)
{
	s->walk_start = EVENT_PATH_MAX;
	s->walk_truncated = 0;
}

/* Finds the path of what has been begun, from here up: it is left in `path`, from `walk_start` on. */
static __always_inline void path__climb(struct scratch *s, u32 slot, struct vfsmount *mnt, struct dentry *dentry)
{
	s->walk_node = (u64)dentry;
	path__enter(s, (void *)mnt - bpf_core_field_offset(struct mount, mnt));
	path__walk(slot);
	path__end(s);
}

static __always_inline u32 path__fill(struct scratch *s, u32 slot, struct vfsmount *mnt, struct dentry *dentry)
{
	path__begin(s);
	path__climb(s, slot, mnt, dentry);
	return path__append(s);
}

static __always_inline u32 path__fill_kernfs(struct scratch *s, u32 slot, struct kernfs_node *kn)
{
	path__begin(s);
	s->walk_node = (u64)kn;
	path__walk_kernfs(slot);
	path__end(s);
	return path__append(s);
}

#endif
