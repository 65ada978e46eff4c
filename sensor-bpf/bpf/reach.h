/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What reaches out of where a process is kept: files of the host's own mount namespace that a
 * process of another one opens, and the sockets of container runtimes. And files through which the
 * kernel is controlled, wherever they are mounted.
 */
#ifndef VEDETTE_REACH_H
#define VEDETTE_REACH_H

#include "file.h"

/* The sockets of container runtimes, as user space finds them on the host. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct event_file_key);
	__type(value, u32);
} runtime_sockets SEC(".maps");

/* The inode of the current process's mount namespace. */
static __always_inline u32 reach__namespace(void)
{
	return compat__read(compat__current(), nsproxy, mnt_ns, ns.inum);
}

/* Whether an open file lies in the host's own mount namespace (`held_by`: its own), and the current process does not live there. */
static __always_inline bool reach__outside(struct file *file, struct mnt_namespace *held_by)
{
	u32 here = reach__namespace(), mode;

	/* Who is about to end has no namespace any more. */
	if (!config.host_mnt_ns || !here || here == config.host_mnt_ns)
		return false;
	if (BPF_CORE_READ(held_by, ns.inum) != config.host_mnt_ns)
		return false;
	/* Runtimes themselves meet their containers at fifos and sockets of the host's. */
	mode = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
	return mode == S_IFREG || mode == S_IFDIR || mode == S_IFBLK || mode == S_IFCHR;
}

#define REACH_NAME 24
#define REACH_START(a, b, c, d, e, f, g, h) \
	((u64)a | (u64)b << 8 | (u64)c << 16 | (u64)d << 24 | (u64)e << 32 | (u64)f << 40 | (u64)g << 48 | (u64)h << 56)

/*
 * Whether a file that is opened to be written controls the kernel: one of ftrace's but the marker
 * that programs write their remarks to, or one of a few of control groups. Names are told by their
 * length and their first eight bytes, which no others of these file systems share.
 */
static __always_inline bool reach__controls(struct file *file)
{
	u64 magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);
	struct dentry *dentry;
	u64 start = 0;
	u32 len;

	if (magic != TRACEFS_MAGIC && magic != CGROUP_SUPER_MAGIC && magic != CGROUP2_SUPER_MAGIC)
		return false;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	len = BPF_CORE_READ(dentry, d_name.len);
	if (len >= 8)
		bpf_probe_read_kernel(&start, sizeof(start), BPF_CORE_READ(dentry, d_name.name));
	if (magic == TRACEFS_MAGIC)
		return start != REACH_START('t', 'r', 'a', 'c', 'e', '_', 'm', 'a');
	switch (start) {
	case REACH_START('r', 'e', 'l', 'e', 'a', 's', 'e', '_'):	/* release_agent */
		return len == 13;
	case REACH_START('n', 'o', 't', 'i', 'f', 'y', '_', 'o'):	/* notify_on_release */
		return len == 17;
	case REACH_START('d', 'e', 'v', 'i', 'c', 'e', 's', '.'):	/* devices.allow, devices.deny */
		return len == 13 || len == 12;
	case REACH_START('c', 'g', 'r', 'o', 'u', 'p', '.', 'f'):	/* cgroup.freeze */
		return len == 13;
	case REACH_START('c', 'g', 'r', 'o', 'u', 'p', '.', 'k'):	/* cgroup.kill */
		return len == 11;
	case REACH_START('f', 'r', 'e', 'e', 'z', 'e', 'r', '.'):	/* freezer.state */
		return len == 13;
	}
	return false;
}

/* The current process has connected to, or asks for, the socket whose other end this is. */
static __always_inline int reach__connected(struct sock *other, int error)
{
	struct event_file_key key = {};
	struct dentry *dentry;
	struct path *path;
	u32 here;

	if (!other || BPF_CORE_READ(other, __sk_common.skc_family) != AF_UNIX)
		return 0;
	here = reach__namespace();
	if (!config.host_mnt_ns || !here || here == config.host_mnt_ns)
		return 0;
	path = (void *)((u64)other + bpf_core_field_offset(struct unix_sock, path));
	dentry = BPF_CORE_READ(path, dentry);
	if (!dentry)
		return 0;
	key.device = BPF_CORE_READ(dentry, d_inode, i_sb, s_dev);
	key.inode = BPF_CORE_READ(dentry, d_inode, i_ino);
	if (!bpf_map_lookup_elem(&runtime_sockets, &key))
		return 0;
	return file__tell_at((u64)path, EVENT_RUNTIME_SOCKET, EVENT_ACCESS_READ | EVENT_ACCESS_WRITE, error);
}

#endif
