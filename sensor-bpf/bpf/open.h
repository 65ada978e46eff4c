/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are opened and mapped. */
#ifndef VEDETTE_OPEN_H
#define VEDETTE_OPEN_H

#include "memory.h"
#include "reach.h"

/* security_file_open() returns: what was asked for, and whether a security module refused. */
static __always_inline int file__opened(struct file *file, int error)
{
	u32 mode = BPF_CORE_READ(file, f_mode), access = 0;

	if (mode & FMODE_READ)
		access |= EVENT_ACCESS_READ;
	if (mode & FMODE_WRITE)
		access |= EVENT_ACCESS_WRITE;
	if (BPF_CORE_READ(file, f_flags) & FMODE_EXEC_FLAG)
		access |= EVENT_ACCESS_EXEC;
	file__tell_of(compat__address(file), mode & FMODE_CREATED ? EVENT_FILE_CREATE : EVENT_FILE_OPEN, access, error);
	if (reach__outside(file))
		file__tell_of(compat__address(file), EVENT_OUTSIDE_ROOT, access, error);
	if (mode & FMODE_WRITE && reach__controls(file))
		file__tell_of(compat__address(file), EVENT_CONTROL, access, error);
	return 0;
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
