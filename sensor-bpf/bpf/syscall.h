/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that return: the last way to see what no other hook shows on a kernel. Which calls
 * are looked at, and where their arguments stand, is a table that user space fills; all others cost
 * one look-up.
 *
 * What a descriptor leads to is the kernel's own. A path that was an argument is read from the
 * process's memory, after the call: another thread may have changed it. Such an event says so.
 */
#ifndef VEDETTE_SYSCALL_H
#define VEDETTE_SYSCALL_H

#include "change.h"
#include "credentials.h"
#include "load.h"
#include "made.h"
#include "mount.h"
#include "open.h"
#include "place.h"
#include "socket.h"
#include "target.h"
#include "touch.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * SYSCALL_NUMBERS);
	__type(key, u32);
	__type(value, struct syscall_shape);
} syscall_shapes SEC(".maps");

/* The open file that a descriptor leads to, if it leads to one. */
static __always_inline struct file *syscall__file(s64 fd)
{
	return fd < 0 ? NULL : task__file(compat__current(), fd, true);
}

static __always_inline struct socket *syscall__socket(s64 fd)
{
	struct file *file = syscall__file(fd);

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

/* A function of its own: the verifier adds up what those that call each other keep on the stack. */
__noinline int syscall__accepted(s64 fd)
{
	struct socket *socket = syscall__socket(fd);

	return socket ? socket__was_accepted(socket) : 0;
}

/* Likewise. */
__noinline int syscall__made(s64 fd)
{
	struct socket *socket = syscall__socket(fd);

	return socket ? made__packet(socket) : 0;
}

static __always_inline int syscall__opened(s64 fd)
{
	struct file *file = syscall__file(fd);

	return file ? file__opened(file, 0) : 0;
}

#define SYSCALL_PLAIN 16	/* bytes looked at a time: see path.h */
_Static_assert(SCRATCH_NAME % SYSCALL_PLAIN == 0, "whole times");

/*
 * Looks at some bytes of a path that stands in the record, between `at` and `end`. Not zero: it can
 * be written in another way, without "//", "/./", "/../" or a slash at its end.
 */
__noinline int syscall__is_odd(u32 slot, u32 at, u32 end)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 1;
	for (u32 i = 0; i < SYSCALL_PLAIN; i++, at++) {
		u64 in_record = at;
		char next;

		if (at >= end)
			return 0;
		scratch__opaque(in_record);
		if (in_record >= SCRATCH_RECORD)
			return 1;
		next = s->record[in_record + 1];
		if (s->record[in_record] == '/' && (next == '/' || next == '.' || !next))
			return 1;
	}
	return 0;
}

/* Whether the matcher can tell by the path that stands in the record at `at`. */
__noinline int syscall__is_plain(u32 slot, u32 at, u32 len)
{
	if (len >= SCRATCH_NAME)
		return false;
	for (u32 i = 0; i < SCRATCH_NAME / SYSCALL_PLAIN; i++)
		if (syscall__is_odd(slot, at + i * SYSCALL_PLAIN, at + len))
			return false;
	return true;
}

/* Puts a path argument into `path`, from the root of the mount namespace on. Whether it could be read. */
static __always_inline bool syscall__path(struct file_event *e, u32 dim, u64 argument, s64 dirfd)
{
	struct task_struct *task = task__current();
	struct scratch *s = e->s;
	u64 used = walk(s, used), len, start;
	struct vfsmount *mnt;
	struct dentry *dentry;
	struct file *dir;
	long found;

	scratch__opaque(used);
	if (used > SCRATCH_RECORD - EVENT_PATH_MAX)
		return false;
	found = bpf_probe_read_user_str(&s->record[used], EVENT_PATH_MAX, (void *)argument);
	if (found < 1)
		return false;
	len = found - 1;
	scratch__opaque(len);
	if (len >= EVENT_PATH_MAX)
		return false;
	if (s->record[used] == '.' || !syscall__is_plain(e->scratch_slot, used, len))
		e->texts &= ~(1 << dim);
	path__begin(s);
	start = EVENT_PATH_MAX - len;
	scratch__opaque(start);
	if (start > EVENT_PATH_MAX)
		return false;
	if (len && bpf_probe_read_kernel(&s->path[start], len, &s->record[used]))
		return false;
	if (len && s->record[used] == '/') {
		mnt = BPF_CORE_READ(task, fs, root.mnt);
		dentry = BPF_CORE_READ(task, fs, root.dentry);
	} else {
		if (start == 0)
			return false;
		if (len) {
			start--;
			s->path[start & (EVENT_PATH_MAX - 1)] = '/';
		}
		if (dirfd == SYSCALL_CWD) {
			mnt = BPF_CORE_READ(task, fs, pwd.mnt);
			dentry = BPF_CORE_READ(task, fs, pwd.dentry);
		} else {
			dir = syscall__file(dirfd);
			if (!dir)
				return false;
			mnt = BPF_CORE_READ(dir, f_path.mnt);
			dentry = BPF_CORE_READ(dir, f_path.dentry);
		}
	}
	s->walk_start = start;
	path__climb(s, e->scratch_slot, mnt, dentry);
	return !(e->texts & 1 << dim) || match__path(s, e->header, e->slot, dim);
}

/* Appends a text argument to the record; returns its length. */
static __always_inline u32 syscall__text(struct scratch *s, u64 argument)
{
	long len = argument ? bpf_probe_read_user_str(s->name, SCRATCH_NAME, (void *)argument) : 0;

	return len > 1 ? scratch__append(s, s->name, len - 1, SCRATCH_NAME) : 0;
}

/* The value of an argument that is a directory's descriptor. */
static __always_inline s64 syscall__dir(struct pt_regs *regs, bool compat, s8 at)
{
	s32 fd = at < 0 ? SYSCALL_CWD : (s32)compat__argument(regs, compat, at);

	return fd == -100 ? SYSCALL_CWD : fd;
}

/*
 * A call that does something to a path. `error` is what it returned. A function of its own: the
 * verifier looks at it once.
 */
__noinline int syscall__changed(u64 address, u32 index, s64 error)
{
	struct pt_regs *regs = (void *)address;
	struct syscall_shape *shape = bpf_map_lookup_elem(&syscall_shapes, &index);
	bool compat = index >= SYSCALL_NUMBERS;
	struct file_event e;

	if (!shape || shape->path < 0 || !file__begin(&e, shape->action, 0))
		return 0;
	e.s->file.error = error;
	e.s->file.flags = EVENT_FILE_SYSCALL;
	if (!syscall__path(&e, MATCH_PATH, compat__argument(regs, compat, shape->path),
			   syscall__dir(regs, compat, shape->dir)))
		goto end;
	file__write(&e);
	e.record->path_len = file__keep_path(&e, MATCH_PATH);
	file__cut(&e, MATCH_PATH, e.record->path_len, EVENT_FILE_PATH_CUT);
	if (shape->target >= 0) {
		if (!syscall__path(&e, MATCH_TARGET, compat__argument(regs, compat, shape->target),
				   syscall__dir(regs, compat, shape->target_dir)))
			goto end;
		e.record->target_len = file__keep_path(&e, MATCH_TARGET);
		file__cut(&e, MATCH_TARGET, e.record->target_len, EVENT_FILE_TARGET_CUT);
	}
	if (shape->text >= 0) {
		e.record->target_len = syscall__text(e.s, compat__argument(regs, compat, shape->text));
		e.texts &= ~(1 << MATCH_TARGET);
	}
	if (shape->name >= 0)
		e.record->name_len = syscall__text(e.s, compat__argument(regs, compat, shape->name));
	file__send(&e);
end:
	file__end(&e);
	return 0;
}

/* A call that does something to what a descriptor leads to, or to a path. */
static __always_inline int syscall__change(struct pt_regs *regs, struct syscall_shape *shape, u32 index, s64 error)
{
	struct file *file;

	if (shape->fd < 0)
		return syscall__changed(compat__address(regs), index, error);
	file = syscall__file((s32)compat__argument(regs, index >= SYSCALL_NUMBERS, shape->fd));
	return file ? file__tell_of(compat__address(file), shape->action, 0, error) : 0;
}

/* chroot has returned: where the root of the current process is now. */
static __always_inline int syscall__rooted(void)
{
	struct task_struct *task = task__current();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	return mount__tell(EVENT_CHROOT, (u64)fs + bpf_core_field_offset(struct fs_struct, root), 0, 0, 0);
}

/* A way into another process, of which the caller knows the number only. */
__noinline int syscall__entered(u32 action, u32 pid, u32 error)
{
	struct event_target record = { .action = action, .error = error, .from_syscall = 1 };
	struct task_struct *task = task__current();

	if (!filter__wants(task) || pid == BPF_CORE_READ(task, tgid))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	record.target.tgid = pid;
	emit(&record.header, EVENT_TARGET, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

static __always_inline int syscall__ptraced(struct pt_regs *regs, bool compat, long ret)
{
	u64 request = compat__argument(regs, compat, 0);

	if (request != PTRACE_ATTACH && request != PTRACE_SEIZE)
		return 0;
	return syscall__entered(EVENT_TARGET_PTRACE, compat__argument(regs, compat, 1), ret < 0 ? -ret : 0);
}

/* A BPF program was loaded, if that is what the descriptor leads to. */
static __always_inline int syscall__program(s64 fd)
{
	struct file *file = syscall__file(fd);
	struct dentry *dentry;
	u64 name = 0;

	if (!file)
		return 0;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	if (BPF_CORE_READ(dentry, d_name.len) != sizeof(name) ||
	    bpf_probe_read_kernel(&name, sizeof(name), BPF_CORE_READ(dentry, d_name.name)) ||
	    name != REACH_START('b', 'p', 'f', '-', 'p', 'r', 'o', 'g'))
		return 0;
	return load__program((u64)BPF_CORE_READ(file, private_data));
}

static __always_inline int syscall__memfd(s64 fd)
{
	struct file *file = syscall__file(fd);

	return file ? memory__file(compat__address(file), (u64)BPF_CORE_READ(file, f_path.dentry, d_name.name)) : 0;
}

/* A function of its own, for its stack. */
__noinline int syscall__connected(s64 fd)
{
	struct file *file = syscall__file(fd);
	struct unix_sock *this;
	struct socket *socket;
	struct sock *sk;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	this = (void *)sk;
	return reach__connected(BPF_CORE_READ(this, peer), 0);
}

/* mmap has mapped something to be executed. */
static __always_inline int syscall__mapped(struct pt_regs *regs, bool compat)
{
	struct file *file;

	if (compat__argument(regs, compat, 3) & MAP_ANONYMOUS)
		return file__mapped(NULL, compat__argument(regs, compat, 2), 0);
	file = syscall__file((s32)compat__argument(regs, compat, 4));
	return file ? file__mapped(file, compat__argument(regs, compat, 2), 0) : 0;
}

/* What the inode of an object's descriptor is called (kernel/bpf/syscall.c), as far as it is compared. */
#define SYSCALL_MAP_INODE 0x0070616d2d667062ULL		/* "bpf-map" */
#define SYSCALL_PROGRAM_INODE 0x006f72702d667062ULL	/* "bpf-pro" */

/* bpf() has returned: perhaps with a new program, or with a descriptor of one of our objects. */
__noinline int syscall__got_object(u64 command, s64 fd, u32 parts)
{
	struct file *file;
	u64 inode = 0;

	if (command == BPF_PROG_LOAD)
		return parts & SYSCALL_PART_PROGRAM ? syscall__program(fd) : 0;
	if (!(parts & SYSCALL_PART_OBJECT))
		return 0;
	if (command != BPF_OBJ_GET && command != BPF_MAP_GET_FD_BY_ID && command != BPF_PROG_GET_FD_BY_ID)
		return 0;
	file = syscall__file(fd);
	if (!file)
		return 0;
	bpf_probe_read_kernel_str(&inode, sizeof(inode), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (inode == SYSCALL_MAP_INODE)
		return touch__map(BPF_CORE_READ(file, private_data));
	if (inode == SYSCALL_PROGRAM_INODE)
		return touch__program(BPF_CORE_READ(file, private_data));
	return 0;
}

/* raw tracepoint sys_exit. */
static __always_inline int syscall__returned(struct pt_regs *regs, long ret)
{
	bool compat = compat__is_compat();
	u32 index = compat__number(regs);
	struct syscall_shape *shape;

	if (index >= SYSCALL_NUMBERS || compat__is_foreign())
		return 0;
	if (compat)
		index += SYSCALL_NUMBERS;
	shape = bpf_map_lookup_elem(&syscall_shapes, &index);
	if (!shape || !shape->action)
		return 0;
	switch (shape->action) {
	case SYSCALL_SOCKETCALL: {
		u64 call = compat__argument(regs, compat, 0);

		if (call == SOCKETCALL_SOCKET)
			return shape->parts & SYSCALL_PART_SOCKET ? syscall__made(ret) : 0;
		if (call != SOCKETCALL_ACCEPT && call != SOCKETCALL_ACCEPT4)
			return 0;
		return shape->parts & SYSCALL_PART_ACCEPT ? syscall__accepted(ret) : 0;
	}
	case SYSCALL_ACCEPT:
		return syscall__accepted(ret);
	case SYSCALL_SOCKET:
		return syscall__made(ret);
	case SYSCALL_SETUID:
	case SYSCALL_SETGID:
	case SYSCALL_CAPSET:
		return credentials__changed(shape->action, ret < 0 ? -ret : 0);
	case SYSCALL_NAMESPACE:
		return ret ? 0 : place__moved();
	case EVENT_CHROOT:
		return ret ? syscall__change(regs, shape, index, ret) : syscall__rooted();
	case SYSCALL_PTRACE:
		return syscall__ptraced(regs, compat, ret);
	case SYSCALL_BPF:
		return syscall__got_object((u32)compat__argument(regs, compat, 0), ret, shape->parts);
	case SYSCALL_VM_WRITE:
		return syscall__entered(EVENT_TARGET_VM_WRITE, compat__argument(regs, compat, 0), ret < 0 ? -ret : 0);
	case EVENT_FILE_OPEN:
		/* Of all calls the most frequent: who is left out is not looked after. */
		if (!filter__wants_current())
			return 0;
		if (ret >= 0)
			return syscall__opened(ret);
		/* Who is turned away is of interest; who finds nothing there is not. */
		return ret == -1 || ret == -13 ? syscall__change(regs, shape, index, ret) : 0;
	case EVENT_FILE_MMAP_EXEC:
		return compat__failed(ret) ? 0 : syscall__mapped(regs, compat);
	case SYSCALL_MPROTECT:
		return ret == 0 && compat__argument(regs, compat, 2) & PROT_EXEC ?
			memory__executable(compat__argument(regs, compat, 2), 1) : 0;
	case SYSCALL_MEMFD:
		return syscall__memfd(ret);
	case SYSCALL_KEXEC:
		return load__kexec(ret < 0 ? -ret : 0);
	case SYSCALL_CONNECT:
		return ret ? 0 : syscall__connected((s32)compat__argument(regs, compat, 0));
	default:
		return syscall__change(regs, shape, index, ret < 0 ? ret : 0);
	}
}

#endif
