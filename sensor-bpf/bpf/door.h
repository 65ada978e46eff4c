/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A door stays attached to its place in the kernel for as long as any version of the sensor wants to see it, and leads to
 * the program of the version that is in charge. Whose that is is one entry in a map, so it changes between two events and never within
 * one: each is told by exactly one version. While nothing is behind it, nothing is told.
 */
#ifndef VEDETTE_DOOR_H
#define VEDETTE_DOOR_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* The map is the door's own: since 6.12 (28ead3eaabc16) all programs of one must be for the same place. */
#define DOOR(section, name, without)				\
	struct {						\
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);		\
		__uint(max_entries, 1);				\
		__type(key, __u32);				\
		__type(value, __u32);				\
	} to_##name SEC(".maps");				\
								\
	SEC(section)						\
	int name(void *ctx)					\
	{							\
		bpf_tail_call(ctx, &to_##name, 0);		\
		return without;					\
	}

char LICENSE[] SEC("license") = "GPL";

#endif
