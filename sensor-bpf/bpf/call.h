/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that a collection asks for, told as they return: which, with what arguments, and what came of it. This is
 * attached only while some call is asked for; any other call costs one look-up then.
 */
#ifndef VEDETTE_CALL_H
#define VEDETTE_CALL_H

#include "filter.h"
#include "subject.h"

/* Whether a row wants this call of the current process. */
static __always_inline bool call__is_wanted(struct scratch *s, u32 scratch_slot, u32 kind, u32 number)
{
	u32 slot;
	struct match_header *header = match__header(&slot);

	return match__begin(s, header, slot, kind) && match__number(s, header, slot, MATCH_CALL, number) &&
	       match__number(s, header, slot, MATCH_USER, compat__read(compat__current(), cred, euid.val)) &&
	       (!match__uses(header, MATCH_EXECUTABLE) || subject__accepts(scratch_slot, slot));
}

/* raw tracepoint sys_exit. */
static __always_inline int call__returned(struct pt_regs *regs, long ret)
{
	bool compat = compat__is_compat();
	u32 number = compat__number(regs), index = number, scratch_slot, *kind;
	struct event_call *record;
	struct scratch *s;

	if (number >= SYSCALL_NUMBERS || compat__is_foreign())
		return 0;
	if (compat)
		index += SYSCALL_NUMBERS;
	kind = bpf_map_lookup_elem(&match_calls, &index);
	/* Nothing of what the sensor does to see whether it is told depends on these. */
	if (!kind || !*kind || !filter__accepts_current())
		return 0;
	s = scratch__claim(&scratch_slot);
	if (!s) {
		emit__lost(EVENT_CLASS_FILE);
		return 0;
	}
	s->used = sizeof(*record);
	if (call__is_wanted(s, scratch_slot, *kind, number)) {
		record = (void *)s->record;
		__builtin_memset(record, 0, sizeof(*record));
		record->header.time_ns = bpf_ktime_get_boot_ns();
		task__fill_current(&record->task);
		for (u32 n = 0; n < EVENT_CALL_ARGS; n++)
			record->args[n] = compat__argument(regs, compat, n);
		record->result = ret;
		record->number = number;
		record->action = *kind;
		/* Calls can be many: as with files, whoever floods the ring loses nobody else's records. */
		emit(&record->header, EVENT_CALL, EVENT_CLASS_FILE, sizeof(*record));
	}
	scratch__release(s);
	return 0;
}

#endif
