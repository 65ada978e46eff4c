/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are opened and mapped. */
#ifndef VEDETTE_OPEN_H
#define VEDETTE_OPEN_H

#include "memory.h"
#include "reach.h"

/*
 * Whether an overlay opens a file of one of its layers, which follows from somebody's open of the
 * overlay's own: such a file counts for nobody, or lies in a mount that is in no namespace (an error
 * in place of one) though its file system is not one of the kernel's own.
 */
static __always_inline bool file__is_of_layer(u32 mode, struct vfsmount *mnt, struct mnt_namespace *held_by)
{
	if (mode & FMODE_NOACCOUNT)
		return true;
	return compat__failed((s64)held_by) && !(BPF_CORE_READ(mnt, mnt_sb, s_flags) & SB_KERNMOUNT);
}

/* A file was opened by a process that the filter lets pass: what was asked for, and whether a security module refused. */
static __always_inline int file__opened(struct file *file, int error)
{
	u32 mode = BPF_CORE_READ(file, f_mode), access = 0;
	u64 path = compat__address(file) + bpf_core_field_offset(struct file, f_path);
	struct mnt_namespace *held_by;
	struct vfsmount *mnt;
	struct mount *mount;

	if (mode & FMODE_PATH)
		return 0;
	mnt = BPF_CORE_READ(file, f_path.mnt);
	mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	held_by = BPF_CORE_READ(mount, mnt_ns);
	if (file__is_of_layer(mode, mnt, held_by))
		return 0;
	if (mode & FMODE_READ)
		access |= EVENT_ACCESS_READ;
	if (mode & FMODE_WRITE)
		access |= EVENT_ACCESS_WRITE;
	if (BPF_CORE_READ(file, f_flags) & FMODE_EXEC_FLAG)
		access |= EVENT_ACCESS_EXEC;
	file__tell_passed(path, mode & FMODE_CREATED ? EVENT_FILE_CREATE : EVENT_FILE_OPEN, access, error);
	if (reach__outside(file, held_by))
		file__tell_passed(path, EVENT_OUTSIDE_ROOT, access, error);
	if (mode & FMODE_WRITE && reach__controls(file))
		file__tell_passed(path, EVENT_CONTROL, access, error);
	return 0;
}

/* security_file_open() returns. */
static __always_inline int file__asked(struct file *file, int error)
{
	return filter__wants_current() ? file__opened(file, error) : 0;
}

/* security_mmap_file() returns. The process's own image is told of by its exec. */
static __always_inline int file__mapped(struct file *file, unsigned long prot, int error)
{
	struct task_struct *task;

	if (!(prot & PROT_EXEC))
		return 0;
	if (!file)
		return error ? 0 : memory__executable(prot, 0);
	task = task__current();
	if (BPF_CORE_READ(file, f_inode) == BPF_CORE_READ(task, mm, exe_file, f_inode))
		return 0;
	file__tell_of(compat__address(file), EVENT_FILE_MMAP_EXEC, EVENT_ACCESS_EXEC, error);
	return 0;
}

/* security_file_mprotect() returns. */
static __always_inline int file__protected(struct vm_area_struct *vma, unsigned long prot, int error)
{
	return file__mapped(BPF_CORE_READ(vma, vm_file), prot, error);
}

#endif
