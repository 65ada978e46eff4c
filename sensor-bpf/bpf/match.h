/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which events are wanted: the rows of a collection that match one. What is looked up is ANDed as
 * it becomes known, cheap things first, so that most events are dropped before a path is built.
 */
#ifndef VEDETTE_MATCH_H
#define VEDETTE_MATCH_H

#include "path.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} match_active SEC(".maps");	/* the slot that decides */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MATCH_SLOTS);
	__type(key, u32);
	__type(value, struct match_header);
} match_headers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MATCH_NUMBERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct match_number_key);
	__type(value, u32);
} match_numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MATCH_TEXTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct match_text_key);
	__type(value, u32);
} match_texts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MATCH_VECTORS);
	__type(key, u32);
	__type(value, struct match_vector);
} match_vectors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MATCH_PATTERNS);
	__type(key, u32);
	__type(value, struct match_pattern);
} match_patterns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MATCH_SLOTS * MATCH_ROWS);
	__type(key, u32);
	__type(value, struct match_checks);
} match_checks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct event_task);
	__type(value, struct match_subject);
} match_subjects SEC(".maps");

/*
 * The kind of event of each system call that the collection asks for, else 0; by number: of 64-bit calls, then of 32-bit ones.
 * While one collection follows another these are the calls of both: rows decide.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * SYSCALL_NUMBERS);
	__type(key, u32);
	__type(value, u32);
} match_calls SEC(".maps");

/* The collection that decides now, or NULL: everything is wanted. */
static __always_inline struct match_header *match__header(u32 *slot)
{
	struct match_header *header;
	u32 zero = 0, *active = bpf_map_lookup_elem(&match_active, &zero);

	*slot = active ? *active : 0;
	header = bpf_map_lookup_elem(&match_headers, slot);
	return header && header->generation ? header : NULL;
}

/* The words that rows stand in. Where walks and checks are functions that call one another, no room is left on the stack for it. */
#ifdef HAVE_LOOP
#define match__n_words(header) (header)->n_words
#else
#define match__n_words(header) MATCH_WORDS
#endif

/* Keeps the rows that this vector has, in the words that rows stand in; whether any is left. */
static __always_inline bool match__and(struct scratch *s, struct match_header *header, u32 index)
{
	struct match_vector *vector = bpf_map_lookup_elem(&match_vectors, &index);
	u32 n = match__n_words(header);
	u64 any = 0;

	if (!vector)
		return true;
	for (u32 i = 0; i < MATCH_WORDS && i < n; i++)
		any |= s->match.rows[i] &= vector->words[i];
	return any != 0;
}

/* Begins with the rows that accept this kind of event; whether there is any. In words without rows there is none then. */
static __always_inline bool match__begin(struct scratch *s, struct match_header *header, u32 slot, u32 kind)
{
	struct match_number_key key = { .slot = slot, .dim = MATCH_KIND, .value = kind };
	struct match_vector *vector;
	u32 *found, index;
	u64 any = 0;

	__builtin_memset(s->match.text_at, 0, sizeof(s->match.text_at) + sizeof(s->match.text_len));
	if (!header)
		return true;
	found = bpf_map_lookup_elem(&match_numbers, &key);
	index = found ? *found : header->otherwise[MATCH_KIND];
	vector = bpf_map_lookup_elem(&match_vectors, &index);
	if (!vector)
		return false;
	for (u32 i = 0; i < MATCH_WORDS; i++)
		any |= s->match.rows[i] = vector->words[i];
	return any != 0;
}

static __always_inline bool match__uses(const struct match_header *header, u32 dim)
{
	return header && header->uses & 1 << dim;
}

/* Takes a number into account. False: no row is left. */
static __always_inline bool match__number(struct scratch *s, struct match_header *header, u32 slot, u32 dim, u64 value)
{
	struct match_number_key key = { .slot = slot, .dim = dim, .value = value };
	u32 *index;

	if (!match__uses(header, dim))
		return true;
	index = bpf_map_lookup_elem(&match_numbers, &key);
	return match__and(s, header, index ? *index : header->otherwise[dim]);
}

/* Takes note that the event has no such value. */
static __always_inline bool match__absent(struct scratch *s, struct match_header *header, u32 dim)
{
	return !match__uses(header, dim) || match__and(s, header, header->absent[dim]);
}

/* Takes the path that was just found into account. One that is not whole could be any. */
static __always_inline bool match__path(struct scratch *s, struct match_header *header, u32 slot, u32 dim)
{
	u64 start = walk(s, walk_start), len;
	struct match_text_key *key;
	u32 *index;

	if (!match__uses(header, dim) || walk(s, walk_truncated))
		return true;
	scratch__opaque(start);
	if (start > EVENT_PATH_MAX)
		return true;
	len = EVENT_PATH_MAX - start + 1;
	if (len > MATCH_TEXT_MAX)
		len = MATCH_TEXT_MAX;
	/* The key's head stands just before the path, so that the path need not be copied. */
	key = (void *)((u8 *)s + __builtin_offsetof(struct scratch, key) + start);
	key->bits = 32 + 8 * len;
	key->slot = slot;
	key->dim = dim;
	key->reserved[0] = key->reserved[1] = 0;
	index = bpf_map_lookup_elem(&match_texts, key);
	return match__and(s, header, index ? *index : header->otherwise[dim]);
}

#endif
