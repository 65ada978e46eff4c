/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP connections: who opened, accepted and serves them, and how much went through.
 *
 * A socket is known by its address while it lives. Addresses and initial sequence numbers can be
 * read from it at any time until it closes: the numbers follow from how far the stream has come.
 */
#ifndef VEDETTE_SOCKET_H
#define VEDETTE_SOCKET_H

#include "filter.h"
#include <bpf/bpf_endian.h>

/* A connection that was told of, with the process that answers for it. */
struct socket_owner {
	struct event_task task;
	struct event_socket socket;
	u32 role;
	u32 established;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct socket_owner);
} sockets SEC(".maps");

/* Inbound connections that nobody has read from; the task is zero until one has accepted it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct event_task);
} unserved SEC(".maps");

/*
 * How many of them may stand behind each of these counts. Nearly all reads are from connections that are served, and see here
 * that they are. It is never too low; what is evicted is counted for ever, which costs its share of the reads a look-up.
 */
#define UNSERVED_COUNTS_BITS 14

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << UNSERVED_COUNTS_BITS);
	__type(key, u32);
	__type(value, u32);
} unserved_counts SEC(".maps");

static __always_inline u32 *unserved__count(u64 key)
{
	/* Fibonacci hashing of the address. */
	u32 index = (key >> 6) * 0x9e3779b97f4a7c15ULL >> (64 - UNSERVED_COUNTS_BITS);

	return bpf_map_lookup_elem(&unserved_counts, &index);
}

/* `flags`: BPF_ANY, or BPF_NOEXIST to leave what is there. */
static __always_inline void unserved__add(u64 key, const struct event_task *task, const u64 flags)
{
	u32 *count = unserved__count(key);

	if (!count || (flags == BPF_ANY && !bpf_map_update_elem(&unserved, &key, task, BPF_EXIST)))
		return;
	/* Before it is there, and off only after it has gone. */
	__sync_fetch_and_add(count, 1);
	if (bpf_map_update_elem(&unserved, &key, task, flags))
		__sync_fetch_and_add(count, -1);
}

static __always_inline void unserved__remove(u64 key)
{
	u32 *count = unserved__count(key);

	if (count && *count && !bpf_map_delete_elem(&unserved, &key))
		__sync_fetch_and_add(count, -1);
}

/* The process that accepted it, if it is not served; the task is zero if nobody has. */
static __always_inline struct event_task *unserved__find(u64 key)
{
	u32 *count = unserved__count(key);

	return count && *count ? bpf_map_lookup_elem(&unserved, &key) : NULL;
}

/* Lets the kernel number a socket that a hook was given. Before 5.12 no tracing program can. */
static __always_inline void socket__number(const struct sock *sk)
{
#ifndef OLD_ATOMICS
	bpf_get_socket_cookie((void *)sk);
#endif
}

/* The kernel's number for the socket, or one of our own where it never got one. */
static __always_inline u64 socket__cookie(struct sock *sk)
{
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return cookie ? cookie : 1ULL << 63 | (u64)bpf_get_smp_processor_id() << 52 | (bpf_ktime_get_boot_ns() & ~0ULL >> 12);
}

static __always_inline bool socket__is_inet(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

static __always_inline bool socket__is_tcp(struct sock *sk)
{
	return socket__is_inet(sk) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline void socket__fill_v4(u8 *dst, u32 addr)
{
	__builtin_memset(dst, 0, 10);
	dst[10] = dst[11] = 0xff;
	__builtin_memcpy(dst + 12, &addr, 4);
}

/* Addresses, seen from the side that connected. */
static __always_inline void socket__fill_ends(struct event_socket *dst, struct sock *sk, bool opened)
{
	u16 local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	u16 remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	u8 *local = opened ? dst->source_addr : dst->destination_addr;
	u8 *remote = opened ? dst->destination_addr : dst->source_addr;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		socket__fill_v4(local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		socket__fill_v4(remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	dst->source_port = opened ? local_port : remote_port;
	dst->destination_port = opened ? remote_port : local_port;
	dst->protocol = BPF_CORE_READ(sk, sk_protocol);
}

/* The same with the numbers of a TCP socket. */
static __always_inline void socket__fill(struct event_socket *dst, struct sock *sk, bool opened)
{
	struct tcp_sock *tcp = (void *)sk;
	u32 local_isn, remote_isn;

	socket__fill_ends(dst, sk, opened);
	/*
	 * bytes_acked counts how far snd_una moved: on the connecting side from the SYN on, on the
	 * accepting side from the byte after it. bytes_received counts how far rcv_nxt moved since
	 * the SYN, a FIN included.
	 */
	local_isn = BPF_CORE_READ(tcp, snd_una) - (u32)BPF_CORE_READ(tcp, bytes_acked) - (opened ? 0 : 1);
	remote_isn = BPF_CORE_READ(tcp, rcv_nxt) - (u32)BPF_CORE_READ(tcp, bytes_received) - 1;
	dst->cookie = socket__cookie(sk);
	dst->source_isn = opened ? local_isn : remote_isn;
	dst->destination_isn = opened ? remote_isn : local_isn;
}

static __always_inline void socket__tell(struct socket_owner *owner, const struct event_task *accepted_by, u32 role)
{
	struct event_connection record = {
		.task = owner->task,
		.socket = owner->socket,
		.role = role,
	};

	record.header.time_ns = bpf_ktime_get_boot_ns();
	if (accepted_by)
		record.accepted_by = *accepted_by;
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
}

/* The current process has called connect, or sent data that connects. */
static __always_inline void socket__connecting(u64 key)
{
	struct task_struct *task = task__current();
	struct socket_owner owner = { .role = EVENT_ROLE_CONNECT };

	/* What stands there belonged to an earlier socket at this address. */
	unserved__remove(key);
	if (!filter__wants(task)) {
		bpf_map_delete_elem(&sockets, &key);
		return;
	}
	task__fill(&owner.task, task);
	bpf_map_update_elem(&sockets, &key, &owner, BPF_ANY);
}

static __always_inline void socket__connected(struct sock *sk, u64 key)
{
	struct socket_owner *owner = bpf_map_lookup_elem(&sockets, &key);

	if (!owner || owner->established || owner->role != EVENT_ROLE_CONNECT)
		return;
	socket__fill(&owner->socket, sk, true);
	owner->established = 1;
	socket__tell(owner, NULL, EVENT_ROLE_CONNECT);
}

/* A connection that was asked for was not made. */
static __always_inline void socket__failed(struct sock *sk, struct socket_owner *owner)
{
	struct event_connection record = { .task = owner->task, .role = EVENT_ROLE_CONNECT, .failed = 1 };

	record.header.time_ns = bpf_ktime_get_boot_ns();
	socket__fill(&record.socket, sk, true);
	record.error = BPF_CORE_READ(sk, sk_err);
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
}

/* The current process has called listen. */
static __always_inline void socket__listening(struct sock *sk)
{
	struct task_struct *task = task__current();
	struct event_connection record = { .role = EVENT_ROLE_LISTEN };

	if (!filter__wants(task))
		return;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task);
	socket__fill(&record.socket, sk, false);
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
}

/* The current process got the socket by accept, or is the first we see with it. */
static __always_inline void socket__accepted(struct sock *sk, u64 key)
{
	struct task_struct *task = task__current();
	struct socket_owner owner = { .role = EVENT_ROLE_ACCEPT, .established = 1 };

	task__fill(&owner.task, task);
	unserved__add(key, &owner.task, BPF_ANY);
	if (!filter__wants(task))
		return;
	socket__fill(&owner.socket, sk, false);
	bpf_map_update_elem(&sockets, &key, &owner, BPF_ANY);
	socket__tell(&owner, NULL, EVENT_ROLE_ACCEPT);
}

/* The current process reads first, and another one accepted. */
static __always_inline void socket__served(struct sock *sk, u64 key, const struct event_task *accepted_by)
{
	struct task_struct *task = task__current();
	struct socket_owner owner = { .role = EVENT_ROLE_ACCEPT, .established = 1 };
	struct socket_owner *known = bpf_map_lookup_elem(&sockets, &key);

	if (!filter__wants(task))
		return;
	task__fill(&owner.task, task);
	if (known)
		owner.socket = known->socket;
	else
		socket__fill(&owner.socket, sk, false);
	bpf_map_update_elem(&sockets, &key, &owner, BPF_ANY);
	socket__tell(&owner, accepted_by, EVENT_ROLE_SERVE);
}

static __always_inline void socket__closed(struct sock *sk, u64 key)
{
	struct tcp_sock *tcp = (void *)sk;
	struct socket_owner *owner = bpf_map_lookup_elem(&sockets, &key);
	struct event_close record = {};
	u64 sent, received, segs_out, segs_in;

	unserved__remove(key);
	if (!owner)
		return;
	if (!owner->established && owner->role == EVENT_ROLE_CONNECT)
		socket__failed(sk, owner);
	if (owner->established) {
		record.header.time_ns = bpf_ktime_get_boot_ns();
		record.task = owner->task;
		record.socket = owner->socket;
		record.role = owner->role;
		sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
		received = BPF_CORE_READ(tcp, bytes_received);
		/* The FIN that tcp_fin() marks with this flag was counted as a byte. */
		if (BPF_CORE_READ(sk, __sk_common.skc_flags) & 1 << SOCK_DONE)
			received--;
		record.source_bytes = owner->role == EVENT_ROLE_CONNECT ? sent : received;
		record.destination_bytes = owner->role == EVENT_ROLE_CONNECT ? received : sent;
		segs_out = BPF_CORE_READ(tcp, segs_out);
		segs_in = BPF_CORE_READ(tcp, segs_in);
		record.source_packets = owner->role == EVENT_ROLE_CONNECT ? segs_out : segs_in;
		record.destination_packets = owner->role == EVENT_ROLE_CONNECT ? segs_in : segs_out;
		emit(&record.header, EVENT_CLOSE, EVENT_CLASS_BULK, sizeof(record));
	}
	bpf_map_delete_elem(&sockets, &key);
}

/* tracepoint sock:inet_sock_set_state. Runs in the caller of connect, else wherever a packet is handled. */
static __always_inline int socket__state(const struct sock *const_sk, int old, int new)
{
	struct sock *sk = (void *)const_sk;
	u64 key = compat__address(sk);
	struct event_task nobody = {};

	if (!socket__is_tcp(sk))
		return 0;
	switch (new) {
	case TCP_SYN_SENT:
		socket__connecting(key);
		break;
	case TCP_ESTABLISHED:
		socket__number(const_sk);
		if (bpf_map_lookup_elem(&sockets, &key))
			socket__connected(sk, key);
		else if (old == TCP_SYN_RECV)
			unserved__add(key, &nobody, BPF_NOEXIST);
		break;
	case TCP_LISTEN:
		socket__listening(sk);
		break;
	case TCP_CLOSE:
		socket__closed(sk, key);
		break;
	}
	return 0;
}

/* inet_accept() returns: there is a connection in the new socket, or there is none. */
static __always_inline int socket__was_accepted(struct socket *accepted)
{
	struct sock *sk = BPF_CORE_READ(accepted, sk);

	if (sk && socket__is_tcp(sk))
		socket__accepted(sk, (u64)sk);
	return 0;
}

/* tracepoint tcp:tcp_rcv_space_adjust: the current process has read from the socket. */
static __always_inline int socket__read(struct sock *sk)
{
	u64 key = compat__address(sk);
	struct event_task *found = unserved__find(key);
	struct event_task accepted_by, reader;

	/* Some in-kernel readers run in interrupts, in no process's name: they do not own the lock. */
	if (!found || !BPF_CORE_READ(sk, sk_lock.owned))
		return 0;
	accepted_by = *found;
	if (!accepted_by.tgid) {
		/* Accepted where sys_exit does not show it: by io_uring. */
		socket__accepted(sk, key);
		unserved__remove(key);
		return 0;
	}
	unserved__remove(key);
	task__fill(&reader, task__current());
	if (reader.tgid != accepted_by.tgid || reader.start_ns != accepted_by.start_ns)
		socket__served(sk, key, &accepted_by);
	return 0;
}

#endif
