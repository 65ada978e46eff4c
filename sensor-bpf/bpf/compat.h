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

/*
 * Members of the current task, and of what they lead to, by name; 0 behind what leads nowhere. Where programs that trace
 * can be given the task itself (3ca1032ab7ab0, in 5.11) these are plain loads, else a call for each hop.
 */
#ifdef HAVE_LOOP
#define compat__current() bpf_get_current_task_btf()
#define compat__hop(ptr, member) ({ __auto_type held = (ptr); held ? held->member : 0; })
#define compat__read1(ptr, a) compat__hop(ptr, a)
#define compat__read2(ptr, a, b) compat__hop(compat__read1(ptr, a), b)
#define compat__read3(ptr, a, b, c) compat__hop(compat__read2(ptr, a, b), c)
#define compat__read(ptr, ...) ___apply(compat__read, ___narg(__VA_ARGS__))(ptr, __VA_ARGS__)
#else
#define compat__current() ((struct task_struct *)bpf_get_current_task())
#define compat__read(ptr, ...) BPF_CORE_READ(ptr, __VA_ARGS__)
#endif

/* A pointer as a plain number: functions that the verifier looks at by themselves take no others. */
static __always_inline u64 compat__address(const void *ptr)
{
	const void *volatile at = ptr;
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (void *)&at);
	return address;
}

/*
 * What the function that a program follows (fexit) has returned. Its number of arguments differs
 * between kernels, so where the kernel can be asked (f92c1e183604c2, in 5.17) it is; before, the
 * result stands after the arguments, of which there were `n` until 5.11 and one more from 5.12 on
 * (the user namespace that ids are mapped in: 549c7297717c32).
 */
#ifdef HAVE_LOOP
#define compat__returned(ctx, n, more) ({ u64 ret = 0; bpf_get_func_ret(ctx, &ret); ret; })
#elif defined(OLD_ATOMICS)
#define compat__returned(ctx, n, more) ((ctx)[n])
#else
#define compat__returned(ctx, n, more) ((ctx)[more])
#endif

/*
 * The same of vfs_rename(), which has one argument since 5.12 (9fe61450972d39), and since 5.10.220 also
 * in 5.10, where it had six.
 */
struct renamedata {
	struct dentry *old_dentry;
} __attribute__((preserve_access_index));

#ifdef OLD_ATOMICS
static __always_inline u64 compat__renamed(u64 *ctx)
{
	u64 ret;

	/* Not in C: the compiler would choose a place and read that, which the verifier refuses. */
	if (bpf_core_type_exists(struct renamedata))
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(ret) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 48)" : "=r"(ret) : "r"(ctx));
	return ret;
}
/* The entry that gets another name. */
static __always_inline u64 compat__renamed_dentry(u64 *ctx)
{
	struct renamedata *data = (void *)ctx[0];
	u64 dentry;

	if (bpf_core_type_exists(struct renamedata))
		return (u64)BPF_CORE_READ(data, old_dentry);
	asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(dentry) : "r"(ctx));
	return compat__address((void *)dentry);
}
#else
#define compat__renamed(ctx) compat__returned(ctx, 6, 1)

static __always_inline u64 compat__renamed_dentry(u64 *ctx)
{
	struct renamedata *data = (void *)ctx[0];

	return (u64)BPF_CORE_READ(data, old_dentry);
}
#endif

/* The argument after those that came in 5.12. */
#ifdef OLD_ATOMICS
#define compat__arg(ctx, n) ((void *)(ctx)[n])
#else
#define compat__arg(ctx, n) ((void *)(ctx)[(n) + 1])
#endif

/* 0, or the error in what was returned: an int, or (vfs_mkdir since 6.15) a pointer. */
static __always_inline s32 compat__error(s64 returned)
{
	s32 low = (s32)returned;

	if (returned < 0 && returned >= -4095)
		return returned;
	if (!((u64)returned >> 32) && low < 0 && low >= -4095)
		return low;
	return 0;
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

/* The system call that is returning: its number, whether it is a 32-bit one, and its arguments. */
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002

struct task_struct___x86 {
	struct thread_info thread_info;
} __attribute__((preserve_access_index));

static __always_inline u32 compat__number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline bool compat__is_compat(void)
{
	struct task_struct___x86 *task = (void *)compat__current();

	return compat__read(task, thread_info.status) & TS_COMPAT;
}

/* Whether its number is one of a table that is not known here. */
static __always_inline bool compat__is_foreign(void)
{
	return false;
}

static __always_inline u64 compat__argument(struct pt_regs *regs, bool compat, u32 n)
{
	switch (n) {
	case 0:
		return compat ? (u32)BPF_CORE_READ(regs, bx) : BPF_CORE_READ(regs, di);
	case 1:
		return compat ? (u32)BPF_CORE_READ(regs, cx) : BPF_CORE_READ(regs, si);
	case 2:
		return compat ? (u32)BPF_CORE_READ(regs, dx) : BPF_CORE_READ(regs, dx);
	case 3:
		return compat ? (u32)BPF_CORE_READ(regs, si) : BPF_CORE_READ(regs, r10);
	case 4:
		return compat ? (u32)BPF_CORE_READ(regs, di) : BPF_CORE_READ(regs, r8);
	default:
		return compat ? (u32)BPF_CORE_READ(regs, bp) : BPF_CORE_READ(regs, r9);
	}
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline u32 compat__number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool compat__is_compat(void)
{
	return false;
}

#define TIF_32BIT (1UL << 22)

struct thread_info___arm64 {
	unsigned long flags;
} __attribute__((preserve_access_index));

struct task_struct___arm64 {
	struct thread_info___arm64 thread_info;
} __attribute__((preserve_access_index));

/* 32-bit programs on arm64 have a table of their own, and are not looked at. */
static __always_inline bool compat__is_foreign(void)
{
	struct task_struct___arm64 *task = (void *)compat__current();

	return compat__read(task, thread_info.flags) & TIF_32BIT;
}

static __always_inline u64 compat__argument(struct pt_regs *regs, bool compat, u32 n)
{
	/* The result has taken the first argument's place. */
	if (n == 0)
		return BPF_CORE_READ(regs, orig_x0);
	return n < 6 ? BPF_CORE_READ(regs, regs[n]) : 0;
}
#else
#error "this architecture's registers are not known here: add them to compat.h"
#endif

/*
 * The number of the system call that the current process is in. Its registers stand at the end of
 * its stack; since 5.15 (dd6e10fbd9fb86) the kernel says where, which differs with its configuration.
 */
#define COMPAT_STACK_SIZE 16384

struct task_struct___stack {
	void *stack;
} __attribute__((preserve_access_index));

static __always_inline u32 compat__current_number(void)
{
#ifdef HAVE_LOOP
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
#else
	struct task_struct___stack *task = (void *)bpf_get_current_task();
	struct pt_regs *regs = BPF_CORE_READ(task, stack) + COMPAT_STACK_SIZE - bpf_core_type_size(struct pt_regs);
#endif

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, orig_ax);
#else
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/* Whether what a system call returned is an error. */
static __always_inline bool compat__failed(s64 ret)
{
	return ret < 0 && ret >= -4095;
}

#endif
