/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process does to the kernel. */
#ifndef VEDETTE_LOAD_H
#define VEDETTE_LOAD_H

#include "filter.h"

/* tracepoint module:module_load, in the context of whoever loads it. */
static __always_inline int load__module(struct module *module)
{
	struct task_struct *task = task__current();
	struct event_kernel record = { .action = EVENT_KERNEL_MODULE_LOAD };

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	record.detail = BPF_CORE_READ(module, taints);
	bpf_probe_read_kernel_str(record.name, sizeof(record.name), &module->name);
	emit(&record.header, EVENT_KERNEL, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* tracepoint io_uring:io_uring_create. */
static __always_inline int load__io_uring(u32 flags)
{
	struct task_struct *task = task__current();
	struct event_kernel record = { .action = EVENT_KERNEL_IO_URING_SETUP, .detail = flags };

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	emit(&record.header, EVENT_KERNEL, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

#endif
