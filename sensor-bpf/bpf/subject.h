/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a process's image contributes to the matcher. It is worked out once for each image and
 * collection, and kept with the generation that it was worked out for.
 */
#ifndef VEDETTE_SUBJECT_H
#define VEDETTE_SUBJECT_H

#include "check.h"

static __always_inline void subject__work_out(struct scratch *s, u32 scratch_slot, struct match_header *header,
					      u32 slot, struct file *exe)
{
	u32 used = walk(s, used);

	__builtin_memset(s->match.rows, 0xff, sizeof(s->match.rows));
	if (!exe) {
		match__absent(s, header, MATCH_EXECUTABLE);
		return;
	}
	path__begin(s);
	path__climb(s, scratch_slot, BPF_CORE_READ(exe, f_path.mnt), BPF_CORE_READ(exe, f_path.dentry));
	match__path(s, header, slot, MATCH_EXECUTABLE);
	s->match.text_at[MATCH_EXECUTABLE] = used;
	s->match.text_len[MATCH_EXECUTABLE] = path__append(s);
	s->check.dims = 1 << MATCH_EXECUTABLE;
	check__rows(scratch_slot, slot, 0);
	s->used = used;
}

/*
 * Keeps the rows that accept the current process; whether any is left. A function of its own: what
 * it keeps on the stack would be too much for those that call it.
 */
__noinline int subject__accepts(u32 scratch_slot, u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &scratch_slot);
	struct match_header *header = bpf_map_lookup_elem(&match_headers, &slot);
	struct match_subject *known;
	struct event_task key;
	u64 any = 0;
	u32 n;

	if (!s || !header)
		return true;
	n = header->n_words;
	task__fill_current(&key);
	known = bpf_map_lookup_elem(&match_subjects, &key);
	if (!known || known->generation != header->generation) {
		for (u32 i = 0; i < MATCH_WORDS; i++)
			s->subject.rows[i] = s->match.rows[i];
		subject__work_out(s, scratch_slot, header, slot, compat__read(compat__current(), mm, exe_file));
		for (u32 i = 0; i < MATCH_WORDS; i++) {
			u64 before = s->subject.rows[i];

			s->subject.rows[i] = s->match.rows[i];
			any |= s->match.rows[i] &= before;
		}
		s->subject.generation = header->generation;
		bpf_map_update_elem(&match_subjects, &key, &s->subject, BPF_ANY);
		return any != 0;
	}
	for (u32 i = 0; i < MATCH_WORDS && i < n; i++)
		any |= s->match.rows[i] &= known->rows[i];
	return any != 0;
}

#endif
