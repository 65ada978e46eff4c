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

enum subject_answer { SUBJECT_UNKNOWN = 0, SUBJECT_REFUSES = 1, SUBJECT_ACCEPTS = 2 };

/*
 * Keeps the rows that accept the current process, if that is known. A function of its own: what it keeps on the stack is
 * gone when more is to be found out.
 */
__noinline int subject__known(u32 scratch_slot, u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &scratch_slot);
	struct match_header *header = bpf_map_lookup_elem(&match_headers, &slot);
	struct match_subject *known;
	u64 any = 0;
	u32 n;

	if (!s || !header)
		return SUBJECT_ACCEPTS;
	n = match__n_words(header);
	task__fill_current(&s->task);
	known = bpf_map_lookup_elem(&match_subjects, &s->task);
	if (!known || known->generation != header->generation)
		return SUBJECT_UNKNOWN;
	for (u32 i = 0; i < MATCH_WORDS && i < n; i++)
		any |= s->match.rows[i] &= known->rows[i];
	return any ? SUBJECT_ACCEPTS : SUBJECT_REFUSES;
}

/*
 * The file that the current process runs; NULL: none. Where the stack is tight a function of its own too; a pointer that may
 * be loaded cannot be returned by one.
 */
#ifdef HAVE_LOOP
#define subject__executable() compat__read(compat__current(), mm, exe_file)
#else
__noinline u64 subject__executable_at(void)
{
	return (u64)compat__read(compat__current(), mm, exe_file);
}
#define subject__executable() ((void *)subject__executable_at())
#endif

/* Finds it out, and remembers it; whether any row is left. */
__noinline int subject__learn(u32 scratch_slot, u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &scratch_slot);
	struct match_header *header = bpf_map_lookup_elem(&match_headers, &slot);
	u64 any = 0;

	if (!s || !header)
		return true;
	for (u32 i = 0; i < MATCH_WORDS; i++)
		s->subject.rows[i] = s->match.rows[i];
	subject__work_out(s, scratch_slot, header, slot, subject__executable());
	for (u32 i = 0; i < MATCH_WORDS; i++) {
		u64 before = s->subject.rows[i];

		s->subject.rows[i] = s->match.rows[i];
		any |= s->match.rows[i] &= before;
	}
	s->subject.generation = header->generation;
	bpf_map_update_elem(&match_subjects, &s->task, &s->subject, BPF_ANY);
	return any != 0;
}

/* Keeps the rows that accept the current process; whether any is left. */
static __always_inline bool subject__accepts(u32 scratch_slot, u32 slot)
{
	int answer = subject__known(scratch_slot, slot);

	return answer == SUBJECT_UNKNOWN ? subject__learn(scratch_slot, slot) : answer == SUBJECT_ACCEPTS;
}

#endif
