/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where kernels differ, and nowhere else. The object is compiled twice: with OLD_ATOMICS for
 * kernels before 5.12, whose verifier refuses an object with any atomic instruction that
 * returns the old value (91c960b0056672), dead or not.
 */
#ifndef VEDETTE_COMPAT_H
#define VEDETTE_COMPAT_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* kernfs_node.parent became __parent in 6.15 (633488947ef66). */
struct kernfs_node___new {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *compat__kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___new *new = (void *)kn;

	if (bpf_core_field_exists(new->__parent))
		return BPF_CORE_READ(new, __parent);
	return BPF_CORE_READ(kn, parent);
}

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
} __attribute__((preserve_access_index));

/* inode.i_ctime became __i_ctime in 6.6 (13bc24457850), and two numbers in 6.11 (3aa63a569c64). */
struct inode___old {
	struct timespec64 i_ctime;
} __attribute__((preserve_access_index));

struct inode___6_6 {
	struct timespec64 __i_ctime;
} __attribute__((preserve_access_index));

struct inode___6_11 {
	long long i_ctime_sec;
	u32 i_ctime_nsec;
} __attribute__((preserve_access_index));

/* Since 6.13 the upper bit of the nanoseconds tells whether anybody has asked for them. */
#define I_CTIME_QUERIED (1U << 31)

/* When the inode was changed last, in ns since 1970, as statx(2) gives it. */
static __always_inline long long compat__inode_changed_ns(struct inode *inode)
{
	struct inode___6_11 *split = (void *)inode;
	struct inode___6_6 *renamed = (void *)inode;
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(split->i_ctime_sec))
		return BPF_CORE_READ(split, i_ctime_sec) * 1000000000LL +
		       (BPF_CORE_READ(split, i_ctime_nsec) & ~I_CTIME_QUERIED);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return BPF_CORE_READ(renamed, __i_ctime.tv_sec) * 1000000000LL +
		       BPF_CORE_READ(renamed, __i_ctime.tv_nsec);
	return BPF_CORE_READ(old, i_ctime.tv_sec) * 1000000000LL + BPF_CORE_READ(old, i_ctime.tv_nsec);
}

/* The system call that is returning, if it is one of the accept family (64-bit and compat). */
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002

struct task_struct___x86 {
	struct thread_info thread_info;
} __attribute__((preserve_access_index));

static __always_inline bool compat__is_accept(struct pt_regs *regs)
{
	unsigned long nr = regs->orig_ax;
	struct task_struct___x86 *task;

	if (nr == 43 || nr == 288)
		return true;
	if (nr != 364 && nr != 102)
		return false;
	task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline bool compat__is_accept(struct pt_regs *regs)
{
	int nr = regs->syscallno;

	return nr == 202 || nr == 242;
}
#else
#error "this architecture's system-call numbers are not known here: add them to compat.h"
#endif

#endif
