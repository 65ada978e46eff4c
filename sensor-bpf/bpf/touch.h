/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who gets hold of the sensor's own maps and programs: with a descriptor of one it can be changed. Told once for each
 * process and kind of object, whoever it is: no filter leaves it out.
 */
#ifndef VEDETTE_TOUCH_H
#define VEDETTE_TOUCH_H

#include "task.h"

struct touch_object {
	u32 object;	/* enum event_object */
	u32 id;
};

struct touch_told {
	struct event_task task;
	u32 object;
	u32 reserved;
};

/* What is the sensor's own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct touch_object);
	__type(value, u32);
} own_objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct touch_told);
	__type(value, u32);
} touches_told SEC(".maps");

/* The current process has got a descriptor of this object. A function of its own: what it keeps on the stack is not the caller's. */
__noinline int touch__tell(u32 object, u32 id, u64 name)
{
	struct touch_object key = { .object = object, .id = id };
	struct event_touch record = { .object = object, .id = id };
	struct touch_told told = { .object = object };
	u32 zero = 0, one = 1;
	struct event_sensor *own;

	if (!bpf_map_lookup_elem(&own_objects, &key))
		return 0;
	own = bpf_map_lookup_elem(&sensor, &zero);
	if (own && own->tgid == bpf_get_current_pid_tgid() >> 32)
		return 0;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task__current());
	told.task = record.task;
	if (bpf_map_update_elem(&touches_told, &told, &one, BPF_NOEXIST))
		return 0;
	bpf_probe_read_kernel_str(record.name, sizeof(record.name), (void *)name);
	emit(&record.header, EVENT_TOUCH, EVENT_CLASS_PROCESS, sizeof(record));
	return 0;
}

static __always_inline int touch__map(struct bpf_map *map)
{
	return touch__tell(EVENT_OBJECT_MAP, BPF_CORE_READ(map, id), compat__address(&map->name));
}

static __always_inline int touch__program(struct bpf_prog *prog)
{
	struct bpf_prog_aux *aux = BPF_CORE_READ(prog, aux);

	return touch__tell(EVENT_OBJECT_PROGRAM, BPF_CORE_READ(aux, id), compat__address(&aux->name));
}

#endif
