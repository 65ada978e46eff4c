/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Patterns that the trie cannot decide, such as those with a gap in the middle: looked at only
 * when all else of a row matches. The stretches of a pattern are searched for from left to right,
 * each as early as it can be had: where this finds no match there is none.
 */
#ifndef VEDETTE_CHECK_H
#define VEDETTE_CHECK_H

#include "match.h"

/* Bytes compared; a text that needs more counts as a match. */
#ifdef HAVE_LOOP
#define CHECK_STEPS 65536
#else
#define CHECK_SOME 16	/* as many at a time: see path.h */
#define CHECK_STEPS 8192
#endif

enum check_answer { CHECK_OPEN = 0, CHECK_YES = 1, CHECK_NO = 2 };

#define state(s, field) (*(volatile u32 *)&(s)->check.field)

/* Compares one byte; true when the answer is known. */
static __always_inline bool check__step(struct scratch *s)
{
	u32 index = state(s, pattern);
	struct match_pattern *p = bpf_map_lookup_elem(&match_patterns, &index);
	u64 piece = state(s, piece), first, end, at, len;
	u64 begun = state(s, begun), agreed = state(s, agreed);
	bool is_fixed;

	if (!p || piece >= p->n_pieces) {
		s->check.answer = CHECK_YES;
		return true;
	}
	scratch__opaque(piece);
	if (piece >= MATCH_PATTERN_PIECES)
		return true;
	end = p->ends[piece];
	first = piece ? p->ends[(piece - 1) & (MATCH_PATTERN_PIECES - 1)] : 0;
	len = end - first;
	is_fixed = piece == 0 && p->anchors & MATCH_ANCHOR_START;
	if (piece == p->n_pieces - 1 && p->anchors & MATCH_ANCHOR_END) {
		u64 last = state(s, text_len) - len;

		if (state(s, text_len) < begun + len || (is_fixed && last != 0)) {
			s->check.answer = CHECK_NO;
			return true;
		}
		begun = last;
		s->check.begun = begun;
		is_fixed = true;
	}
	if (begun + len > state(s, text_len)) {
		s->check.answer = CHECK_NO;
		return true;
	}
	at = first + agreed;
	scratch__opaque(at);
	at &= MATCH_PATTERN_MAX - 1;
	index = state(s, text_at) + begun + agreed;
	len -= agreed;
	{
		u64 in_text = index;

		scratch__opaque(in_text);
		if (in_text >= SCRATCH_RECORD)
			return true;
		if (s->record[in_text] == (char)p->bytes[at]) {
			if (len > 1) {
				s->check.agreed = agreed + 1;
			} else {
				s->check.agreed = 0;
				s->check.begun = begun + agreed + 1;
				s->check.piece = piece + 1;
			}
			return false;
		}
	}
	if (is_fixed) {
		s->check.answer = CHECK_NO;
		return true;
	}
	s->check.agreed = 0;
	s->check.begun = begun + 1;
	return false;
}

#ifdef HAVE_LOOP
static long check__step_nth(u32 n, struct scratch **s)
{
	return check__step(*s);
}
#else
/* Not zero: the answer is known. The verifier looks at these rounds once, not in each of the caller's. */
__noinline int check__some(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 1;
	for (u32 i = 0; i < CHECK_SOME; i++)
		if (check__step(s))
			return 1;
	return 0;
}
#endif

/* Whether the text has the pattern, as `check` names them; not known counts as yes. */
__noinline int check__pattern(u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 1;
	s->check.piece = s->check.begun = s->check.agreed = 0;
	s->check.answer = CHECK_OPEN;
#ifdef HAVE_LOOP
	bpf_loop(CHECK_STEPS, check__step_nth, &s, 0);
#else
	for (u32 i = 0; i < CHECK_STEPS / CHECK_SOME; i++)
		if (check__some(slot))
			break;
#endif
	return s->check.answer;
}

/* Whether a row's patterns hold. */
__noinline int check__row(u32 scratch_slot, u32 slot, u32 row)
{
	u32 index = slot * MATCH_ROWS + row;
	struct match_checks *checks = bpf_map_lookup_elem(&match_checks, &index);
	struct scratch *s = bpf_map_lookup_elem(&scratches, &scratch_slot);

	if (!checks || !s)
		return true;
	for (u32 i = 0; i < MATCH_CHECKS; i++) {
		u32 dim = checks->checks[i].dim, answer;

		if (i >= checks->n_checks)
			return true;
		if (dim >= MATCH_N_DIMS || !(state(s, dims) & 1 << dim))
			continue;
		if (!s->match.text_len[dim]) {
			/* Absent: no pattern holds, and so every negated one does. */
			if (!checks->checks[i].negated)
				return false;
			continue;
		}
		s->check.pattern = checks->checks[i].pattern;
		s->check.text_at = s->match.text_at[dim];
		s->check.text_len = s->match.text_len[dim];
		answer = check__pattern(scratch_slot);
		if (answer != CHECK_OPEN && (answer == CHECK_YES) == checks->checks[i].negated)
			return false;
	}
	return true;
}

/* The lowest bit that is set; 0 if none is. */
__noinline int check__lowest(u64 word)
{
	u32 n = 0;

	if (!(u32)word) { n += 32; word >>= 32; }
	if (!(word & 0xffff)) { n += 16; word >>= 16; }
	if (!(word & 0xff)) { n += 8; word >>= 8; }
	if (!(word & 0xf)) { n += 4; word >>= 4; }
	if (!(word & 0x3)) { n += 2; word >>= 2; }
	return n + !(word & 1);
}

/*
 * Clears those of the rows that are left whose patterns (of `check.dims`) do not hold. With
 * `check.dims` of the event itself the first that holds is enough. Not zero: a row is left.
 */
__noinline int check__rows(u32 scratch_slot, u32 slot, u32 until_first)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &scratch_slot);
	struct match_header *header = bpf_map_lookup_elem(&match_headers, &slot);
	struct match_vector *checked;
	u32 index, n = 0;

	if (!s || !header)
		return 1;
	index = header->checked;
	checked = bpf_map_lookup_elem(&match_vectors, &index);
	if (!checked)
		return 1;
	if (until_first)
		for (u32 w = 0; w < MATCH_WORDS; w++)
			if (s->match.rows[w] & ~checked->words[w])
				return 1;
	for (u32 w = 0; w < MATCH_WORDS; w++) {
		u64 left = s->match.rows[w] & checked->words[w];

		for (u32 i = 0; i < MATCH_CHECKED && left; i++) {
			u32 bit = check__lowest(left);

			left &= left - 1;
			if (check__row(scratch_slot, slot, w * 64 + (bit & 63))) {
				if (until_first)
					return 1;
				continue;
			}
			s->match.rows[w] &= ~(1ULL << (bit & 63));
			n++;
		}
		if (left && until_first)
			return 1;
	}
	return until_first ? 0 : 1;
}

#endif
