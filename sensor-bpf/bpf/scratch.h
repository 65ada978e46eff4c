/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory to build large records in. A run claims one of several buffers and gives it back, as a
 * buffer that merely belongs to the CPU can be overwritten by a run that preempts this one.
 * Strings start well inside a buffer: on unpatched 5.8 to 6.1 kernels a string read into the
 * first bytes of a map value can disable BPF on that CPU.
 */
#ifndef VEDETTE_SCRATCH_H
#define VEDETTE_SCRATCH_H

#include "emit.h"

#define SCRATCH_TRIES 8
#define SCRATCH_NAME 256
#define SCRATCH_KEY 8	/* of struct match_text_key, before its text */
#define SCRATCH_RECORD (sizeof(struct event_image) + 4 * EVENT_PATH_MAX + EVENT_TTY_MAX + EVENT_ARGS_MAX)


/* The rows that are left of one event, and its texts, as places in `record`. */
struct scratch_match {
	u64 rows[MATCH_WORDS];
	u32 text_at[MATCH_N_DIMS];
	u32 text_len[MATCH_N_DIMS];	/* 0: absent */
};

/* A process's part of every answer: it changes with its image only. */
struct match_subject {
	u64 generation;
	u64 rows[MATCH_WORDS];
};

/* Where the search for a pattern stands. */
struct scratch_check {
	u32 pattern;
	u32 text_at;
	u32 text_len;
	u32 piece;
	u32 begun;	/* where in the text this attempt began */
	u32 agreed;	/* bytes of the piece that agree */
	u32 answer;
	u32 dims;	/* checks of these dimensions are looked at */
};

/* A mount, and what is read of it at once. */
struct scratch_mount {
	u64 mount;
	u64 parent;
	u64 mountpoint;
	u64 root;
};

/* What is read of a dentry at once. */
struct scratch_dentry {
	u64 parent;
	u32 hash;
	u32 name_len;
	u64 name;
};

/* An action on a file, until its path is known to be wanted and the record is written. */
struct scratch_file {
	struct inode *inode;	/* what it is done to; NULL: */
	struct dentry *dentry;	/* what this leads to; NULL: that is not told */
	s64 error;
	u32 action;
	u32 access;
	u32 flags;
	u32 reserved;
};

struct scratch {
	u32 owned;
	u32 used;		/* bytes of `record` */
	u64 walk_node;		/* where a path walk stands: a dentry or kernfs node */
	struct scratch_mount walk_mount;	/* the mount it is in */
	struct scratch_dentry walk_dentry;	/* the node, if it is a dentry */
	u32 walk_start;		/* where the path found so far starts in `path` */
	u32 walk_truncated;
	struct scratch_file file;
	struct scratch_match match;
	struct scratch_check check;
	struct match_subject subject;
	struct event_task task;				/* whose part it is: no room on the stack for it */
	char name[SCRATCH_NAME];
	u8 key[SCRATCH_KEY];				/* what stands before `path` when it is looked up */
	char path[EVENT_PATH_MAX + SCRATCH_NAME + 8];	/* filled downwards from EVENT_PATH_MAX, a NUL there */
	char record[SCRATCH_RECORD + EVENT_PATH_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Claims a buffer and says which, or NULL when all that were tried are in use. */
static __always_inline struct scratch *scratch__claim(u32 *slot)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s;

#ifdef OLD_ATOMICS
	/* Not preemptible, and no interrupt's program claims one. */
	*slot = cpu;
	s = bpf_map_lookup_elem(&scratches, slot);
	if (!s || s->owned)
		return NULL;
	s->owned = 1;
	return s;
#else
	for (u32 i = 0; i < SCRATCH_TRIES; i++) {
		*slot = cpu + i < config.n_scratch ? cpu + i : (cpu + i) % config.n_scratch;
		s = bpf_map_lookup_elem(&scratches, slot);
		if (!s)
			return NULL;
		if (__sync_val_compare_and_swap(&s->owned, 0, 1) == 0)
			return s;
	}
	return NULL;
#endif
}

static __always_inline void scratch__release(struct scratch *s)
{
#ifdef OLD_ATOMICS
	*(volatile u32 *)&s->owned = 0;
#else
	__sync_val_compare_and_swap(&s->owned, 1, 0);
#endif
}

/*
 * Keeps the compiler from reasoning about a value the verifier must see being checked. Such values
 * are 64 bits wide: older instruction sets widen by two shifts, which lose the bounds.
 */
#define scratch__opaque(var) asm volatile("" : "+r"(var))

/*
 * Appends kernel bytes to the record; returns how many. `used` is read when it is needed and not kept: before 5.16 the
 * verifier forgets the bounds of a number that is put on the stack.
 */
static __always_inline u32 scratch__append(struct scratch *s, const void *src, u64 len, const u32 max)
{
	volatile u32 *at = &s->used;
	u64 used;
	char *dst;

	scratch__opaque(len);
	if (len > max || len == 0)
		return 0;
	used = *at;
	scratch__opaque(used);
	if (used > SCRATCH_RECORD)
		return 0;
	dst = &s->record[used];
	scratch__opaque(dst);
	if (bpf_probe_read_kernel(dst, len, src))
		return 0;
	*at += len;
	return len;
}

#endif
