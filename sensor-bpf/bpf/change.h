/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of names and attributes. The security hook knows the mount, and so the path; only the
 * function that does the change knows whether it was done. So the first notes what is about to
 * happen, for the thread that does it, and the second tells it, with the result.
 *
 * Names are copied when they are noted: the change itself moves and removes them.
 */
#ifndef VEDETTE_CHANGE_H
#define VEDETTE_CHANGE_H

#include "file.h"

/* One name in a directory. */
struct change_name {
	struct vfsmount *mnt;
	struct dentry *dir;	/* NULL: there is none */
	u32 len;
	u32 reserved;
	char name[SCRATCH_NAME];
};

/* What a thread is about to do. */
struct change {
	u32 action;
	u32 flags;
	struct dentry *dentry;		/* what is changed */
	struct inode *inode;		/* what it is before; NULL: it comes to be */
	struct change_name path;
	struct change_name target;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);	/* pid_tgid */
	__type(value, struct change);
} changes SEC(".maps");

/* A blank one: it is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct change);
} change_blank SEC(".maps");

/* Notes what the current thread is about to do; NULL when it is not wanted anyway. */
static __always_inline struct change *change__note(u32 action, struct dentry *dentry)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct change *blank, *c;
	u32 zero = 0;

	if (!filter__wants_current())
		return NULL;
	blank = bpf_map_lookup_elem(&change_blank, &zero);
	if (!blank || bpf_map_update_elem(&changes, &thread, blank, BPF_ANY))
		return NULL;
	c = bpf_map_lookup_elem(&changes, &thread);
	if (!c)
		return NULL;
	c->action = action;
	c->dentry = dentry;
	c->inode = BPF_CORE_READ(dentry, d_inode);
	return c;
}

static __always_inline void change__name(struct change_name *name, struct vfsmount *mnt, struct dentry *dir,
					 struct dentry *dentry)
{
	u32 len = BPF_CORE_READ(dentry, d_name.len);

	name->mnt = mnt;
	name->dir = dir;
	name->len = len;
	if (len < SCRATCH_NAME)
		bpf_probe_read_kernel_str(name->name, SCRATCH_NAME, BPF_CORE_READ(dentry, d_name.name));
}

/* A name that is about to come, go or lead elsewhere. */
static __always_inline int change__entry(u32 action, const struct path *dir, struct dentry *dentry)
{
	struct change *c = change__note(action, dentry);

	if (c)
		change__name(&c->path, BPF_CORE_READ(dir, mnt), BPF_CORE_READ(dir, dentry), dentry);
	return 0;
}

/* What is at a path is about to get other attributes. */
static __always_inline int change__attribute(u32 action, const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct vfsmount *mnt = BPF_CORE_READ(path, mnt);
	struct change *c = change__note(action, dentry);

	if (!c)
		return 0;
	c->path.mnt = mnt;
	c->path.dir = dentry;
	return 0;
}

static __always_inline int change__rename(const struct path *old_dir, struct dentry *old, const struct path *new_dir,
					  struct dentry *new, u32 flags)
{
	struct change *c = change__note(EVENT_FILE_RENAME, old);

	if (!c)
		return 0;
	if (flags & RENAME_EXCHANGE)
		c->flags |= EVENT_FILE_EXCHANGE;
	change__name(&c->path, BPF_CORE_READ(old_dir, mnt), BPF_CORE_READ(old_dir, dentry), old);
	change__name(&c->target, BPF_CORE_READ(new_dir, mnt), BPF_CORE_READ(new_dir, dentry), new);
	return 0;
}

static __always_inline int change__link(struct dentry *old, const struct path *new_dir, struct dentry *new)
{
	struct vfsmount *mnt = BPF_CORE_READ(new_dir, mnt);
	struct change *c = change__note(EVENT_FILE_LINK, old);

	if (!c)
		return 0;
	/* A link does not leave its mount. */
	c->path.mnt = mnt;
	c->path.dir = old;
	change__name(&c->target, mnt, BPF_CORE_READ(new_dir, dentry), new);
	return 0;
}

/* Puts a noted path into `path`, ready to be climbed from `dir`. */
static __always_inline void change__begin_path(struct scratch *s, struct change_name *name)
{
	path__begin(s);
	if (name->len)
		path__prepend(s, name->name, name->len);
}

/*
 * Tells of the change that a thread has noted, now that it is done. `target` is what a symbolic link
 * holds. A function of its own, so that the object has it once.
 */
__noinline int change__tell(u64 thread, s64 error, u64 target)
{
	struct change *c = bpf_map_lookup_elem(&changes, &thread);
	struct file_event e;
	struct dentry *dentry;
	struct inode *inode;
	long len;

	if (!c)
		return 0;
	dentry = c->dentry;
	inode = c->inode ? c->inode : BPF_CORE_READ(dentry, d_inode);
	if (!file__begin(&e, c->action, 0))
		return 0;
	e.s->file.error = error;
	e.s->file.flags = c->flags;
	e.s->file.inode = inode;
	change__begin_path(e.s, &c->path);
	if (!file__path(&e, c->path.mnt, c->path.dir))
		goto end;
	if (c->target.dir) {
		change__begin_path(e.s, &c->target);
		if (!file__target(&e, c->target.mnt, c->target.dir))
			goto end;
	} else if (target) {
		len = bpf_probe_read_kernel_str(e.s->path, EVENT_PATH_MAX, (void *)target);
		if (len > 1) {
			e.s->match.text_at[MATCH_TARGET] = walk(e.s, used);
			e.record->target_len = scratch__append(e.s, e.s->path, len - 1, EVENT_PATH_MAX);
			e.s->match.text_len[MATCH_TARGET] = e.record->target_len;
		}
	}
	file__send(&e);
end:
	file__end(&e);
	return 0;
}

/* What this thread has noted of this very entry; NULL if it has not. */
static __always_inline struct change *change__of(u64 *thread, u64 dentry)
{
	struct change *c;

	*thread = bpf_get_current_pid_tgid();
	c = bpf_map_lookup_elem(&changes, thread);
	return c && (u64)c->dentry == dentry ? c : NULL;
}

static __always_inline int change__end(u64 thread, s64 returned, const char *target)
{
	change__tell(thread, compat__error(returned), target ? compat__address(target) : 0);
	bpf_map_delete_elem(&changes, &thread);
	return 0;
}

/* A set of actions. */
#define CHANGE(action) (1 << (EVENT_FILE_##action - EVENT_FILE_OPEN))

/*
 * A function that does such changes returns; the entry is one of its first arguments, which one
 * differs between kernels. Whatever else it is used for, such as an overlay's layers, is nothing that
 * this thread has noted; and what was refused before it came so far is noted still.
 */
static __always_inline int change__done(u64 *ctx, u32 actions, s64 returned, const char *target)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct change *c = bpf_map_lookup_elem(&changes, &thread);
	u64 dentry;

	if (!c || !(actions & 1 << (c->action - EVENT_FILE_OPEN)))
		return 0;
	dentry = (u64)c->dentry;
	if (compat__address((void *)ctx[0]) != dentry && compat__address((void *)ctx[1]) != dentry &&
	    compat__address(compat__arg(ctx, 1)) != dentry)
		return 0;
	return change__end(thread, returned, target);
}

/* vfs_rename() returns. */
static __always_inline int change__renamed(u64 *ctx, s64 returned)
{
	u64 thread;

	if (!change__of(&thread, compat__renamed_dentry(ctx)))
		return 0;
	return change__end(thread, returned, NULL);
}

/*
 * d_delete() is called for a name that has gone. Those that call it, vfs_unlink() and vfs_rmdir(), may
 * have become part of their own callers, where no program can follow them.
 */
static __always_inline int change__gone(struct dentry *dentry)
{
	u64 thread;
	struct change *c = change__of(&thread, compat__address(dentry));

	if (!c || c->action != EVENT_FILE_UNLINK)
		return 0;
	return change__end(thread, 0, NULL);
}

/* Whether notify_change() was asked for what was noted. */
static __always_inline bool change__is_asked(u32 action, u32 valid)
{
	switch (action) {
	case EVENT_FILE_CHMOD:
		return valid & ATTR_MODE;
	case EVENT_FILE_TRUNCATE:
		return valid & ATTR_SIZE;
	case EVENT_FILE_CHOWN:
		return !(valid & (ATTR_SIZE | ATTR_ATIME | ATTR_MTIME));
	default:
		return false;
	}
}

/* notify_change() returns. */
static __always_inline int change__attributes(u64 *ctx, s64 returned)
{
	struct iattr *attr = compat__arg(ctx, 1);
	u64 thread;
	struct change *c = change__of(&thread, compat__address(compat__arg(ctx, 0)));

	if (!c || !change__is_asked(c->action, BPF_CORE_READ(attr, ia_valid)))
		return 0;
	return change__end(thread, returned, NULL);
}

/* "trusted.overlay." and "user.overlay." */
static __always_inline bool change__is_of_overlay(const char *name)
{
	static const char prefix[] = "overlay.";
	u64 at = name[0] == 't' ? 8 : 5;

	for (u32 i = 0; i + 1 < sizeof(prefix); i++)
		if (name[at + i] != prefix[i])
			return false;
	return true;
}

/*
 * vfs_setxattr() returns. It is not told the mount: the file is taken to lie in that of the current
 * process's root or working directory, if it is of the same file system; else its path lacks its
 * beginning.
 */
__noinline int change__attribute_set(u64 dentry_address, u64 name, s64 error)
{
	struct dentry *dentry = (void *)dentry_address;
	struct task_struct *task = task__current();
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	struct vfsmount *mnt = BPF_CORE_READ(task, fs, root.mnt);
	struct file_event e;
	bool is_known;
	long len;

	if (BPF_CORE_READ(mnt, mnt_sb) != sb)
		mnt = BPF_CORE_READ(task, fs, pwd.mnt);
	is_known = BPF_CORE_READ(mnt, mnt_sb) == sb;
	if (!file__begin(&e, EVENT_FILE_SETXATTR, 0))
		return 0;
	e.s->file.error = error;
	e.s->file.inode = inode;
	path__begin(e.s);
	if (!is_known)
		e.s->walk_truncated = 1;
	if (!file__path(&e, mnt, dentry))
		goto end;
	len = bpf_probe_read_kernel_str(e.s->name, SCRATCH_NAME, (void *)name);
	/* What an overlay notes in its layers is nobody's doing. */
	if (!is_known && len > 13 && change__is_of_overlay(e.s->name))
		goto end;
	if (len > 1)
		e.record->name_len = scratch__append(e.s, e.s->name, len - 1, SCRATCH_NAME);
	file__send(&e);
end:
	file__end(&e);
	return 0;
}

#endif
