/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Actions on files: whether one is wanted, and its record. Cheap questions come first; the path is
 * built only for what they leave, and the record only when that is wanted too.
 */
#ifndef VEDETTE_FILE_H
#define VEDETTE_FILE_H

#include "filter.h"
#include "subject.h"

/* One action on its way out. */
struct file_event {
	struct scratch *s;
	struct event_file *record;	/* in `s` */
	struct match_header *header;
	u32 scratch_slot;
	u32 slot;
	u32 texts;	/* dimensions whose text is known for certain, as bits */
};

/*
 * Begins an action of the current process, which the filter lets pass. False: it is not wanted; else
 * file__end() must follow.
 */
static __always_inline bool file__begin_passed(struct file_event *e, u32 action, u32 access)
{
	struct scratch *s = scratch__claim(&e->scratch_slot);

	if (!s) {
		emit__lost(EVENT_CLASS_FILE);
		return false;
	}
	e->s = s;
	e->texts = 1 << MATCH_PATH | 1 << MATCH_TARGET;
	e->header = match__header(&e->slot);
	s->used = sizeof(struct event_file);
	if (!match__begin(s, e->header, e->slot, action) ||
	    !(access ? match__number(s, e->header, e->slot, MATCH_ACCESS, access) :
		       match__absent(s, e->header, MATCH_ACCESS)) ||
	    !match__number(s, e->header, e->slot, MATCH_USER, compat__read(compat__current(), cred, euid.val)) ||
	    (match__uses(e->header, MATCH_EXECUTABLE) && !subject__accepts(e->scratch_slot, e->slot))) {
		scratch__release(s);
		return false;
	}
	e->record = (void *)s->record;
	s->file.inode = NULL;
	s->file.dentry = NULL;
	s->file.error = 0;
	s->file.action = action;
	s->file.access = access;
	s->file.flags = 0;
	return true;
}

/* The same, and asks the filter. */
static __always_inline bool file__begin(struct file_event *e, u32 action, u32 access)
{
	return filter__wants_current() && file__begin_passed(e, action, access);
}

static __always_inline void file__end(struct file_event *e)
{
	scratch__release(e->s);
}

/* What the file is. */
static __always_inline void file__fill(struct event_file *record, struct inode *inode)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	record->inode = BPF_CORE_READ(inode, i_ino);
	record->device = BPF_CORE_READ(sb, s_dev);
	record->filesystem = BPF_CORE_READ(sb, s_magic);
	record->mode = BPF_CORE_READ(inode, i_mode);
	record->owner = BPF_CORE_READ(inode, i_uid.val);
	record->group = BPF_CORE_READ(inode, i_gid.val);
	if ((record->mode & S_IFMT) == S_IFREG)
		record->size = BPF_CORE_READ(inode, i_size);
}

/* Writes the record as far as it is known when the path is: not before, as most actions end there. */
static __always_inline void file__write(struct file_event *e)
{
	struct event_file *record = e->record;
	struct scratch *s = e->s;
	struct dentry *dentry = s->file.dentry;
	struct inode *inode = s->file.inode;

	__builtin_memset(record, 0, sizeof(*record));
	record->header.time_ns = bpf_ktime_get_boot_ns();
	record->action = s->file.action;
	record->access = s->file.access;
	record->error = s->file.error;
	record->flags = s->file.flags;
	task__fill_current(&record->task);
	if (!inode && dentry)
		inode = BPF_CORE_READ(dentry, d_inode);
	if (inode)
		file__fill(record, inode);
}

/* Notes the text that stands in `path` as the event's value of a dimension. */
static __always_inline u32 file__keep_path(struct file_event *e, u32 dim)
{
	struct scratch *s = e->s;

	s->match.text_at[dim] = walk(s, used);
	return s->match.text_len[dim] = path__append(s);
}

/* Marks a path that was just found if it is not whole: it could be any. */
static __always_inline void file__cut(struct file_event *e, u32 dim, u32 len, u32 flag)
{
	if (!walk(e->s, walk_truncated) && len)
		return;
	e->record->flags |= flag;
	e->texts &= ~(1 << dim);
}

/*
 * Finds a path from a directory up, after what stands in `path` already; then asks whether the
 * event still is wanted.
 */
static __always_inline bool file__path(struct file_event *e, struct vfsmount *mnt, struct dentry *dentry)
{
	struct mount *mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	struct scratch *s = e->s;

	path__climb(s, e->scratch_slot, mnt, dentry);
	if (!match__path(s, e->header, e->slot, MATCH_PATH))
		return false;
	file__write(e);
	e->record->path_len = file__keep_path(e, MATCH_PATH);
	file__cut(e, MATCH_PATH, e->record->path_len, EVENT_FILE_PATH_CUT);
	if (config.host_mnt_ns && BPF_CORE_READ(mount, mnt_ns, ns.inum) == config.host_mnt_ns)
		e->record->flags |= EVENT_FILE_HOST_NAMESPACE;
	return true;
}

/* The same for the other path. */
static __always_inline bool file__target(struct file_event *e, struct vfsmount *mnt, struct dentry *dentry)
{
	struct scratch *s = e->s;

	path__climb(s, e->scratch_slot, mnt, dentry);
	if (!match__path(s, e->header, e->slot, MATCH_TARGET))
		return false;
	e->record->target_len = file__keep_path(e, MATCH_TARGET);
	file__cut(e, MATCH_TARGET, e->record->target_len, EVENT_FILE_TARGET_CUT);
	return true;
}

/* Sends the record, if a row is left that wants it. */
static __always_inline void file__send(struct file_event *e)
{
	struct scratch *s = e->s;
	u64 size = walk(s, used);

	if (e->header) {
		if (!e->record->target_len && !match__absent(s, e->header, MATCH_TARGET))
			return;
		s->check.dims = e->texts;
		if (!check__rows(e->scratch_slot, e->slot, 1))
			return;
	}
	scratch__opaque(size);
	if (size > SCRATCH_RECORD)
		return emit__lost(EVENT_CLASS_FILE);
	/* A way out of a container is not lost among files. */
	if (s->file.action >= EVENT_RUNTIME_SOCKET)
		return emit(&e->record->header, EVENT_FILE, EVENT_CLASS_PROCESS, size);
	emit(&e->record->header, EVENT_FILE, EVENT_CLASS_FILE, size);
}

/* An action at a path, which the filter lets pass. A function of its own, so that the object has it once. */
__noinline int file__tell_passed(u64 address, u32 action, u32 access, s64 error)
{
	struct path *path = (void *)address;
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct file_event e;

	if (!file__begin_passed(&e, action, access))
		return 0;
	e.s->file.error = error;
	e.s->file.dentry = dentry;
	path__begin(e.s);
	if (file__path(&e, BPF_CORE_READ(path, mnt), dentry))
		file__send(&e);
	file__end(&e);
	return 0;
}

/* An action at a path. */
static __always_inline int file__tell_at(u64 address, u32 action, u32 access, s64 error)
{
	return filter__wants_current() ? file__tell_passed(address, action, access, error) : 0;
}

/* An action on an open file. */
static __always_inline int file__tell_of(u64 address, u32 action, u32 access, s64 error)
{
	return file__tell_at(address + bpf_core_field_offset(struct file, f_path), action, access, error);
}

#endif
