/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process does to the kernel. */
#ifndef VEDETTE_LOAD_H
#define VEDETTE_LOAD_H

#include "file.h"

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

/* A BPF program was loaded. A function of its own, for its stack. */
__noinline int load__program(u64 address)
{
	struct bpf_prog *program = (void *)address;
	struct bpf_prog_aux *aux = BPF_CORE_READ(program, aux);
	struct event_kernel record = { .action = EVENT_KERNEL_BPF_LOAD };
	struct task_struct *task = task__current();
	const char *at = BPF_CORE_READ(aux, attach_func_name);

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	record.detail = BPF_CORE_READ(program, type);
	record.attach = BPF_CORE_READ(program, expected_attach_type);
	BPF_CORE_READ_STR_INTO(&record.name, aux, name);
	if (at)
		bpf_probe_read_kernel_str(record.at, sizeof(record.at), at);
	emit(&record.header, EVENT_KERNEL, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

#define LOAD_PROGRAM_LOADED 1	/* PERF_BPF_EVENT_PROG_LOAD */

/* perf_event_bpf_event() is called: a BPF program was loaded, or goes. */
static __always_inline int load__program_event(struct bpf_prog *program, u32 what)
{
	return what == LOAD_PROGRAM_LOADED ? load__program(compat__address(program)) : 0;
}

/* The current process asks for another kernel to be run, from memory. */
__noinline int load__kexec(u32 error)
{
	struct event_kernel record = { .action = EVENT_KERNEL_KEXEC, .error = error };
	struct task_struct *task = task__current();

	if (!filter__wants(task))
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	emit(&record.header, EVENT_KERNEL, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* security_kernel_load_data() returns. */
static __always_inline int load__data(u32 what, int error)
{
	if (what != bpf_core_enum_value(enum kernel_load_data_id, LOADING_KEXEC_IMAGE))
		return 0;
	return load__kexec(error < 0 ? -error : 0);
}

/* security_kernel_read_file() returns. */
static __always_inline int load__file(struct file *file, u32 what, int error)
{
	if (!file || what != bpf_core_enum_value(enum kernel_read_file_id, READING_KEXEC_IMAGE))
		return 0;
	return file__tell_of(compat__address(file), EVENT_KEXEC_FILE, 0, error);
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
