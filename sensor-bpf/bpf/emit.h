/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one door out. A number is taken before the ring is asked for room, so a record that found
 * none leaves a gap in its (class, CPU) sequence, and is counted beside it.
 *
 * When no sensor has read for long, records are counted and go nowhere: they have numbers, so what was not told is
 * known exactly. An event that is certain to become a record is passed over before that is built.
 *
 * Programs can be preempted (since 5.11) and interrupted, so a number is taken by an atomic add.
 * Before 5.12 there is none that returns it; but there runs nest strictly (interrupts only), so
 * each nesting level numbers for itself.
 */
#ifndef VEDETTE_EMIT_H
#define VEDETTE_EMIT_H

#include "compat.h"
#include "event.h"

const volatile struct event_config config = {
	.n_cpus = 1,
	.n_scratch = 1,
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring_process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring_bulk SEC(".maps");

/* Files have a ring of their own: whoever floods it loses nobody else's records. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring_file SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENT_N_CLASSES);
	__type(key, u32);
	__type(value, struct event_counters);
} counters SEC(".maps");

/* Names the object and configuration that a pin folder holds; written when all of it is in place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u8[EVENT_IDENTITY_BYTES]);
} identity SEC(".maps");

/* What the sensor tells its programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event_sensor);
} sensor SEC(".maps");

struct emit_ticket {
	struct event_counters *row;
	u64 seq;
	u32 cpu;
};

static __always_inline bool emit__take(struct emit_ticket *ticket, u32 class)
{
	u32 cpu = bpf_get_smp_processor_id();
	u32 key = class * config.n_cpus + cpu;
	struct event_counters *row = bpf_map_lookup_elem(&counters, &key);

	if (!row)
		return false;
	ticket->row = row;
#ifdef OLD_ATOMICS
	u64 level;

	__sync_fetch_and_add(&row->depth, 1);
	level = (*(volatile u64 *)&row->depth - 1) & (EVENT_LEVELS - 1);
	ticket->seq = row->generated[level]++;
	ticket->cpu = cpu | (u32)level << 16;
#else
	ticket->seq = __sync_fetch_and_add(&row->generated[0], 1);
	ticket->cpu = cpu;
#endif
	return true;
}

static __always_inline void emit__done(struct emit_ticket *ticket, bool lost)
{
	if (lost)
		__sync_fetch_and_add(&ticket->row->lost, 1);
#ifdef OLD_ATOMICS
	__sync_fetch_and_add(&ticket->row->depth, -1);
#endif
}

/* Counts a record that could not even be built. */
static __always_inline void emit__lost(u32 class)
{
	struct emit_ticket ticket;

	if (emit__take(&ticket, class))
		emit__done(&ticket, true);
}

/* Whether nobody has looked into the rings for so long that nobody will: then records need not even be built. */
static __always_inline bool emit__unread(void)
{
	struct event_sensor *state;
	u32 zero = 0;
	u64 drained;

	if (!config.unread_ns)
		return false;
	state = bpf_map_lookup_elem(&sensor, &zero);
	if (!state)
		return false;
	/* Read before the clock: it never lies ahead of it then. */
	drained = *(volatile u64 *)&state->drained_ns;
	return bpf_ktime_get_ns() - drained > config.unread_ns;
}

/* Counts a record that nobody would read. */
static __always_inline void emit__pass(u32 class)
{
	struct emit_ticket ticket;

	if (!emit__take(&ticket, class))
		return;
	__sync_fetch_and_add(&ticket.row->unread, 1);
	emit__done(&ticket, true);
}

/* `class` is a constant. */
static __always_inline void *emit__ring(u32 class)
{
	switch (class) {
	case EVENT_CLASS_PROCESS:
		return &ring_process;
	case EVENT_CLASS_FILE:
		return &ring_file;
	default:
		return &ring_bulk;
	}
}

/* The sensor looks in regularly; waking it for every record would cost more than the record. */
static __always_inline u64 emit__wake(void *ring, u32 class)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > config.wake_bytes[class] ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline void emit__fill(struct event_header *header, const struct emit_ticket *ticket, u32 kind,
				       u32 class, u64 size)
{
	header->size = size;
	header->kind = kind;
	header->class_ = class;
	header->cpu = ticket->cpu;
	header->seq = ticket->seq;
}

/* Sends a record whose header is its first member; `kind` and `class` are constants. */
static __always_inline void emit(struct event_header *header, u32 kind, u32 class, u64 size)
{
	void *ring = emit__ring(class);
	struct emit_ticket ticket;

	if (emit__unread())
		return emit__pass(class);
	if (!emit__take(&ticket, class))
		return;
	emit__fill(header, &ticket, kind, class, size);
	emit__done(&ticket, bpf_ringbuf_output(ring, header, size, emit__wake(ring, class)) != 0);
}

/* Room in the ring for a record that is filled where it lies; NULL: there is none, which is counted. `size` is a constant. */
static __always_inline void *emit__reserve(struct emit_ticket *ticket, u32 class, u64 size)
{
	void *room;

	if (!emit__take(ticket, class))
		return NULL;
	room = bpf_ringbuf_reserve(emit__ring(class), size, 0);
	if (!room)
		emit__done(ticket, true);
	return room;
}

/* Sends it; of the room the first `size` bytes mean something. */
static __always_inline void emit__submit(struct emit_ticket *ticket, struct event_header *header, u32 kind, u32 class,
					 u64 size)
{
	emit__fill(header, ticket, kind, class, size);
	bpf_ringbuf_submit(header, emit__wake(emit__ring(class), class));
	emit__done(ticket, false);
}

/* Gives it up, which is counted. */
static __always_inline void emit__discard(struct emit_ticket *ticket, struct event_header *header)
{
	bpf_ringbuf_discard(header, BPF_RB_NO_WAKEUP);
	emit__done(ticket, true);
}

#endif
