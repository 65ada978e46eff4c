/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done to the tree of mounts, and to where a process sees its root. */
#ifndef VEDETTE_MOUNT_H
#define VEDETTE_MOUNT_H

#include "file.h"

/* Appends a text of the kernel's to the record; returns its length. */
static __always_inline u32 mount__text(struct scratch *s, const char *text, const u32 max)
{
	long len = text ? bpf_probe_read_kernel_str(s->path, max, text) : 0;

	return len > 1 ? scratch__append(s, s->path, len - 1, max) : 0;
}

/* Something happened at a path; `other`: at another one too, or 0; `source` and `type`: texts, or 0. */
__noinline int mount__tell(u32 action, u64 at, u64 other, u64 source, u64 type)
{
	struct path *path = (void *)at, *target = (void *)other;
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct file_event e;

	if (!file__begin(&e, action, 0))
		return 0;
	e.s->file.inode = BPF_CORE_READ(dentry, d_inode);
	path__begin(e.s);
	if (!file__path(&e, BPF_CORE_READ(path, mnt), dentry))
		goto end;
	if (target) {
		path__begin(e.s);
		if (!file__target(&e, BPF_CORE_READ(target, mnt), BPF_CORE_READ(target, dentry)))
			goto end;
		if (action == EVENT_MOUNT)
			type = (u64)BPF_CORE_READ(target, mnt, mnt_sb, s_type, name);
	} else {
		e.record->target_len = mount__text(e.s, (void *)source, EVENT_PATH_MAX);
	}
	e.record->name_len = mount__text(e.s, (void *)type, EVENT_NAME_MAX);
	file__send(&e);
end:
	file__end(&e);
	return 0;
}

/* path_mount() returns. */
static __always_inline int mount__mounted(const char *source, struct path *path, const char *type, int error)
{
	if (error)
		return 0;
	return mount__tell(EVENT_MOUNT, compat__address(path), 0, compat__address(source), compat__address(type));
}

/* security_sb_umount() returns: what is mounted goes. */
static __always_inline int mount__unmounting(struct vfsmount *mnt, int error)
{
	struct file_event e;
	struct dentry *root = BPF_CORE_READ(mnt, mnt_root);

	if (error || !file__begin(&e, EVENT_UNMOUNT, 0))
		return 0;
	e.s->file.inode = BPF_CORE_READ(root, d_inode);
	path__begin(e.s);
	if (file__path(&e, mnt, root))
		file__send(&e);
	file__end(&e);
	return 0;
}

#endif
