/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process does to another one. */
#ifndef VEDETTE_TARGET_H
#define VEDETTE_TARGET_H

#include "filter.h"

/* The signals that end or stop whoever does not catch them. */
#define TARGET_SIGNALS (1 << 2 /* INT */ | 1 << 3 /* QUIT */ | 1 << 6 /* ABRT */ | 1 << 9 /* KILL */ | \
			1 << 15 /* TERM */ | 1 << 19 /* STOP */)
#define TARGET_SIGNAL_IGNORED 1		/* TRACE_SIGNAL_IGNORED: nobody will hear of it */

static __always_inline void target__tell(struct task_struct *task, struct task_struct *target, u32 action, u32 detail,
					 u32 error)
{
	struct event_target record = { .action = action, .detail = detail, .error = error };

	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	task__fill(&record.target, target);
	emit(&record.header, EVENT_TARGET, EVENT_CLASS_BULK, sizeof(record));
}

/*
 * tracepoint signal:signal_generate, in the sender's context. The kernel's own (a terminal's ^C, a
 * fault) have no sender: `info` is then one of the small numbers of include/linux/signal.h, or its
 * si_code is above 0.
 */
static __always_inline int target__signalled(int sig, struct kernel_siginfo *info, struct task_struct *target, int result)
{
	struct task_struct *task = task__current();

	if (sig < 1 || sig > 31 || !(TARGET_SIGNALS & 1U << sig) || result == TARGET_SIGNAL_IGNORED)
		return 0;
	if ((u64)info > 2 ? BPF_CORE_READ(info, si_code) > 0 : (u64)info != 0)
		return 0;
	if (BPF_CORE_READ(task, tgid) == BPF_CORE_READ(target, tgid) || !filter__wants(task))
		return 0;
	target__tell(task, target, EVENT_TARGET_SIGNAL, sig, 0);
	return 0;
}

/* Numbers of process_vm_writev(2): of 64-bit programs, and of 32-bit ones on x86. */
#if defined(__TARGET_ARCH_x86)
#define TARGET_VM_WRITE 311
#define TARGET_VM_WRITE_32 348
#else
#define TARGET_VM_WRITE 271
#define TARGET_VM_WRITE_32 377
#endif

/* Whether the current process asks by process_vm_writev(2), which no other way to ask can be taken for. */
static __always_inline bool target__is_vm_write(void)
{
	return compat__current_number() == (compat__is_compat() ? TARGET_VM_WRITE_32 : TARGET_VM_WRITE);
}

#define TARGET_MODE_ATTACH 0x02	/* PTRACE_MODE_ATTACH: to change it, not only to look */

/* security_ptrace_access_check() returns: ptrace, /proc/PID/mem, process_vm_*, pidfd_getfd. */
static __always_inline int target__accessed(struct task_struct *target, u32 mode, int error)
{
	struct task_struct *task = task__current();

	if (!(mode & TARGET_MODE_ATTACH) || BPF_CORE_READ(task, tgid) == BPF_CORE_READ(target, tgid) ||
	    !filter__wants(task))
		return 0;
	target__tell(task, target, target__is_vm_write() ? EVENT_TARGET_VM_WRITE : EVENT_TARGET_PTRACE, mode,
		     error < 0 ? -error : 0);
	return 0;
}

#endif
