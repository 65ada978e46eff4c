/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that becomes code with no file behind it, and files that are memory only. Programs that
 * compile while they run do the first all the time: it is told once for each image of a process.
 */
#ifndef VEDETTE_MEMORY_H
#define VEDETTE_MEMORY_H

#include "filter.h"

/* Images of which it was told that they made memory executable. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct event_task);
	__type(value, u32);
} memory_told SEC(".maps");

/* Memory becomes executable that no file stands behind; `from_syscall`: that is not known. A function of its own, for its stack. */
__noinline int memory__executable(u32 prot, u32 from_syscall)
{
	struct task_struct *task = task__current();
	struct event_memory record = { .action = EVENT_MPROTECT_EXEC, .prot = prot, .from_syscall = from_syscall };
	u32 one = 1;

	task__fill(&record.task, task);
	if (bpf_map_lookup_elem(&memory_told, &record.task) || !filter__wants(task))
		return 0;
	bpf_map_update_elem(&memory_told, &record.task, &one, BPF_ANY);
	record.header.time_ns = bpf_ktime_get_boot_ns();
	emit(&record.header, EVENT_MEMORY, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* A file of this name was made in memory. Others than memfd_create(2) make such files: the kernel names each after its maker. */
__noinline int memory__file(u64 file_address, u64 name_address)
{
	struct task_struct *task = task__current();
	struct event_memory record = { .action = EVENT_MEMFD_CREATE };
	struct file *file = (void *)file_address;
	long len;

	len = bpf_probe_read_kernel_str(record.name, sizeof(record.name), (void *)name_address);
	/* A comparison by the compiler's own function would call one that is not there. */
	if (len < 7 || record.name[0] != 'm' || record.name[1] != 'e' || record.name[2] != 'm' || record.name[3] != 'f' ||
	    record.name[4] != 'd' || record.name[5] != ':' || !filter__wants(task))
		return 0;
	record.name_len = len - 1;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	record.inode = BPF_CORE_READ(file, f_inode, i_ino);
	emit(&record.header, EVENT_MEMORY, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* shmem_file_setup() or hugetlb_file_setup() returns. */
static __always_inline int memory__made(const char *name, struct file *file)
{
	s64 address = compat__address(file);

	if (!address || compat__failed(address))
		return 0;
	return memory__file(address, compat__address(name));
}

#endif
