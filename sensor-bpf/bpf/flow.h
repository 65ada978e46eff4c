/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Datagrams, told as flows: what one socket and one peer send each other, while they come close together.
 *
 * A flow begins with a datagram to or from a peer that is new to the socket, and that is told. It ends when nothing has come
 * for a while, which the sensor finds out (`flow__asked`), or when its socket is closed.
 *
 * What leaves, leaves in the name of the process that sends. What arrives comes in whoever's name: it is for the process
 * that had the socket last (made, bound, used or inherited it); if then another one reads or answers, that one serves.
 *
 * A socket tells so many new peers in a while, each way. What goes to and comes from all others is one flow more: scans
 * and forged senders fill neither tables nor rings.
 */
#ifndef VEDETTE_FLOW_H
#define VEDETTE_FLOW_H

#include "datagram.h"

#define FLOW_PEERS 512		/* new peers of one socket that are told in one window, each way */
#define FLOW_WINDOW_NS 30000000000ULL

/* Who has a UDP socket, and how much of it was told lately. */
struct flow_socket {
	struct event_task task;	/* zero: not known */
	u64 cookie;		/* 0: it has none yet */
	u64 window_ns[2];	/* when this window began: of what arrives, of what leaves */
	u32 n_told[2];
	u32 overflowed[2];	/* for lack of room, what goes to or comes from all others in this window is no flow */
	u32 n_flows;
	u32 wanted;		/* records of that process are to be made */
	struct event_flow_key last;	/* of its flows, the youngest */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EVENT_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct event_flow_key);
	__type(value, struct event_flow);
} flows SEC(".maps");

/* By address, while they live. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct flow_socket);
} flow_sockets SEC(".maps");

/* Sockets (by cookie) that had several flows when they were closed, and when that was: the sensor asks for these flows. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, u64);
} flow_sockets_closed SEC(".maps");

/* What `flow__count` found. */
#define FLOW_NEW (1 << 0)
#define FLOW_UNSERVED (1 << 1)	/* known, and nobody has read or answered yet */
#define FLOW_WRAPPED (1 << 2)	/* as in struct datagram */

/*
 * Functions of their own keep little on the stack, of which there are 512 bytes for all that call each other. They know a
 * datagram by its packet, its socket, that one's cookie, the packet's length, and this: how many datagrams it is, and the way.
 */
#define FLOW_LEAVES 1

static __always_inline u32 flow__how(u32 segments, bool leaves)
{
	return (segments ? segments : 1) << 1 | (leaves ? FLOW_LEAVES : 0);
}

static __always_inline bool flow__is_udp(u32 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

static __always_inline void flow__key(struct event_flow_key *key, u64 cookie, const struct datagram *datagram)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->cookie = cookie;
	__builtin_memcpy(key->addr, datagram->peer_addr, 16);
	key->port = datagram->peer_port;
}

static __always_inline void flow__key_of_many(struct event_flow_key *key, bool leaves)
{
	__builtin_memset(key->addr, 0, 16);
	key->port = leaves ? EVENT_FLOW_TO_MANY : EVENT_FLOW_FROM_MANY;
}

static __always_inline void flow__add(struct event_flow *flow, u32 bytes, u32 how)
{
	flow->last_ns = bpf_ktime_get_boot_ns();
	if (how & FLOW_LEAVES) {
		__sync_fetch_and_add(&flow->sent_packets, how >> 1);
		__sync_fetch_and_add(&flow->sent_bytes, bytes);
	} else {
		__sync_fetch_and_add(&flow->received_packets, how >> 1);
		__sync_fetch_and_add(&flow->received_bytes, bytes);
	}
}

/* Adds a datagram to its flow, if there is one. */
__noinline int flow__count(u64 skb, u64 sk, u64 cookie, u32 len, u32 how)
{
	struct datagram datagram;
	struct event_flow_key key;
	struct event_flow *flow;

	datagram__fill(&datagram, (void *)skb, (void *)sk, len, how & FLOW_LEAVES);
	flow__key(&key, cookie, &datagram);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow && !(how & FLOW_LEAVES)) {
		/* An answer to what was sent to too many? */
		flow__key_of_many(&key, true);
		flow = bpf_map_lookup_elem(&flows, &key);
	}
	if (!flow)
		return FLOW_NEW | (datagram.wrapped ? FLOW_WRAPPED : 0);
	flow__add(flow, datagram.bytes, how);
	return (flow->served ? 0 : FLOW_UNSERVED) | (datagram.wrapped ? FLOW_WRAPPED : 0);
}

/* Makes sure that there is something known of a socket; begins anew where another one had its address. */
__noinline int flow__note(u64 sk, u64 cookie)
{
	struct flow_socket *known = bpf_map_lookup_elem(&flow_sockets, &sk);
	struct flow_socket new = { .cookie = cookie };

	if (known && !known->cookie)
		known->cookie = cookie;
	if (!known || known->cookie != cookie)
		bpf_map_update_elem(&flow_sockets, &sk, &new, BPF_ANY);
	return 0;
}

/* The current process has a socket: it makes, binds or uses it. */
__noinline int flow__owned(u64 sk, u64 cookie)
{
	struct flow_socket *socket;

	flow__note(sk, cookie);
	socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	if (!socket)
		return 0;
	task__fill(&socket->task, task__current());
	socket->wanted = filter__wants_this();
	return 0;
}

/* Sockets of the kernel's own have no file. */
static __always_inline bool flow__is_users(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file);
}

/*
 * Whether what leaves the socket leaves in the name of the process that sends. Through one that carries tunnels the
 * kernel itself sends, at any time.
 */
static __always_inline bool flow__has_sender(struct sock *sk)
{
	struct task_struct *task = task__current();
	struct udp_sock *udp = (void *)sk;

	return !(BPF_CORE_READ(task, flags) & PF_KTHREAD) && !BPF_CORE_READ(udp, encap_type);
}

static __always_inline bool flow__may_tell(struct flow_socket *socket, u64 now, u32 leaves)
{
	if (now - socket->window_ns[leaves] >= FLOW_WINDOW_NS) {
		socket->window_ns[leaves] = now;
		socket->n_told[leaves] = 0;
		socket->overflowed[leaves] = 0;
	}
	if (socket->n_told[leaves] >= FLOW_PEERS)
		return false;
	__sync_fetch_and_add(&socket->n_told[leaves], 1);
	return true;
}

static __always_inline void flow__fill_ends(struct event_socket *dst, const struct datagram *datagram, bool leaves, bool many)
{
	u8 *local = leaves ? dst->source_addr : dst->destination_addr;
	u8 *peer = leaves ? dst->destination_addr : dst->source_addr;

	__builtin_memcpy(local, datagram->local_addr, 16);
	if (!many)
		__builtin_memcpy(peer, datagram->peer_addr, 16);
	dst->source_port = leaves ? datagram->local_port : many ? 0 : datagram->peer_port;
	dst->destination_port = !leaves ? datagram->local_port : many ? 0 : datagram->peer_port;
}

/* What is to be told of a flow that `flow__open` has begun; besides, how much is known of the datagram. */
#define FLOW_BEGINS (1 << 0)
#define FLOW_OF_MANY (1 << 1)

/* Begins a flow with its first datagram. */
__noinline int flow__open(u64 skb, u64 sk, u64 cookie, u32 len, u32 how)
{
	struct event_flow flow = { .sk = sk };
	struct flow_socket *socket;
	struct datagram datagram;
	u32 leaves = how & FLOW_LEAVES;
	struct event_flow_key key;
	struct event_flow *known;
	int tell;

	socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	if (!socket)
		return 0;
	datagram__fill(&datagram, (void *)skb, (void *)sk, len, leaves);
	flow__key(&key, cookie, &datagram);
	if (!flow__may_tell(socket, bpf_ktime_get_boot_ns(), leaves)) {
		flow__key_of_many(&key, leaves);
		flow.many = 1;
	}
	flow.task = socket->task;
	flow.wanted = socket->wanted;
	flow.role = leaves ? EVENT_ROLE_SEND : EVENT_ROLE_ACCEPT;
	flow.served = leaves || flow.many;
	flow.socket.cookie = cookie;
	flow.socket.protocol = BPF_CORE_READ((struct sock *)sk, sk_protocol);
	flow__fill_ends(&flow.socket, &datagram, leaves, flow.many);
	tell = !flow.wanted || !flow.task.tgid ? 0 : flow.many ? FLOW_BEGINS | FLOW_OF_MANY : FLOW_BEGINS;
	if (!bpf_map_update_elem(&flows, &key, &flow, BPF_NOEXIST)) {
		socket->last = key;
		__sync_fetch_and_add(&socket->n_flows, 1);
		known = bpf_map_lookup_elem(&flows, &key);
		if (known)
			flow__add(known, datagram.bytes, how);
		return tell;
	}
	known = bpf_map_lookup_elem(&flows, &key);
	if (known) {
		flow__add(known, datagram.bytes, how);
		return 0;
	}
	/* No room: its end will be lost, and of all others the beginning too. */
	if (flow.many && socket->overflowed[leaves])
		return 0;
	if (flow.many)
		socket->overflowed[leaves] = 1;
	if (tell)
		emit__lost(EVENT_CLASS_BULK);
	return tell;
}

/* Tells that a flow begins. */
__noinline int flow__tell(u64 skb, u64 sk, u64 cookie, u32 how, u32 tell)
{
	struct flow_socket *socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	bool leaves = how & FLOW_LEAVES, many = tell & FLOW_OF_MANY;
	struct event_connection record = { .many = many };
	struct datagram datagram;

	if (!socket)
		return 0;
	datagram__fill(&datagram, (void *)skb, (void *)sk, 0, leaves);
	record.header.time_ns = bpf_ktime_get_boot_ns();
	record.task = socket->task;
	record.role = leaves ? EVENT_ROLE_SEND : EVENT_ROLE_ACCEPT;
	record.socket.cookie = cookie;
	record.socket.protocol = BPF_CORE_READ((struct sock *)sk, sk_protocol);
	flow__fill_ends(&record.socket, &datagram, leaves, many);
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* The current process reads from a peer that had sent first, or answers it: perhaps as the first one. */
__noinline int flow__serve(u64 skb, u64 sk, u64 cookie, u32 leaves)
{
	struct event_connection record = {};
	struct flow_socket *socket;
	struct datagram datagram;
	struct event_flow_key key;
	struct event_flow *flow;

	datagram__fill(&datagram, (void *)skb, (void *)sk, 0, leaves);
	flow__key(&key, cookie, &datagram);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow || flow->served)
		return 0;
#ifdef OLD_ATOMICS
	flow->served = 1;
#else
	if (__sync_lock_test_and_set(&flow->served, 1))
		return 0;
#endif
	task__fill(&record.task, task__current());
	if (record.task.tgid == flow->task.tgid && record.task.start_ns == flow->task.start_ns)
		return 0;
	if (!filter__wants_this())
		return 0;
	socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	if (socket && socket->cookie == cookie) {
		socket->task = record.task;
		socket->wanted = 1;
	}
	record.accepted_by = flow->task;
	record.role = flow->task.tgid ? EVENT_ROLE_SERVE : EVENT_ROLE_ACCEPT;
	record.socket = flow->socket;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	flow->task = record.task;
	flow->role = record.role;
	flow->wanted = 1;
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
	return 0;
}

/* cgroup_skb: a packet leaves a socket, or arrives at one. */
static __always_inline int flow__packet(struct __sk_buff *ctx, bool leaves)
{
	struct bpf_sock *full = ctx->sk;
	u32 how = flow__how(ctx->gso_segs, leaves);
	u64 skb, sk, cookie;
	int found, tell;
	bool sends;

	if (!full)
		return 1;
	full = bpf_sk_fullsock(full);
	if (!full || !flow__is_udp(full->protocol))
		return 1;
	/* To the program they are views; the pointers are those of the packet and the socket. */
	skb = compat__address(ctx);
	sk = compat__address(full);
	cookie = bpf_get_socket_cookie(ctx);
	found = flow__count(skb, sk, cookie, ctx->len, how);
	if (!(found & (FLOW_NEW | FLOW_UNSERVED)))
		return 1;
	sends = leaves && !(found & FLOW_WRAPPED) && flow__has_sender((void *)sk);
	if (found & FLOW_NEW && flow__is_users((void *)sk)) {
		if (sends)
			flow__owned(sk, cookie);
		else
			flow__note(sk, cookie);
		tell = flow__open(skb, sk, cookie, ctx->len, how);
		if (tell)
			flow__tell(skb, sk, cookie, how, tell);
	} else if (found & FLOW_UNSERVED && sends) {
		flow__serve(skb, sk, cookie, leaves);
	}
	return 1;
}

/* skb_consume_udp(): the current process has read a datagram, or looked at it. */
static __always_inline int flow__read(u64 sk, u64 skb)
{
	u64 cookie = BPF_CORE_READ((struct sock *)sk, __sk_common.skc_cookie.counter);

	/* A number was given to it when the datagram arrived. */
	return cookie ? flow__serve(skb, sk, cookie, false) : 0;
}

/* Tells that a flow has ended, and forgets it. */
static __always_inline void flow__end(const struct event_flow_key *key, const struct event_flow *flow, u64 now)
{
	struct event_close record = { .header = { .time_ns = now }, .role = flow->role, .many = flow->many };

	if (flow->task.tgid && flow->wanted) {
		bool opened = flow->role == EVENT_ROLE_SEND;

		record.task = flow->task;
		record.socket = flow->socket;
		record.source_bytes = opened ? flow->sent_bytes : flow->received_bytes;
		record.source_packets = opened ? flow->sent_packets : flow->received_packets;
		record.destination_bytes = opened ? flow->received_bytes : flow->sent_bytes;
		record.destination_packets = opened ? flow->received_packets : flow->sent_packets;
		emit(&record.header, EVENT_CLOSE, EVENT_CLASS_BULK, sizeof(record));
	}
	bpf_map_delete_elem(&flows, key);
}

/* cgroup/sock_release: nobody has the socket any more. */
static __always_inline int flow__released(struct bpf_sock *ctx)
{
	u64 now = bpf_ktime_get_boot_ns(), sk, cookie;
	struct flow_socket *socket;
	struct event_flow_key key;
	struct event_flow *flow;

	if (!flow__is_udp(ctx->protocol))
		return 1;
	sk = compat__address(ctx);
	socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	if (!socket)
		return 1;
	cookie = socket->cookie;
	key = socket->last;
	flow = socket->n_flows == 1 ? bpf_map_lookup_elem(&flows, &key) : NULL;
	if (flow)
		flow__end(&key, flow, now);
	else if (socket->n_flows)
		bpf_map_update_elem(&flow_sockets_closed, &cookie, &now, BPF_ANY);
	bpf_map_delete_elem(&flow_sockets, &sk);
	return 1;
}

/*
 * The sensor has found that a flow may have ended, and asks: by a packet that is the flow's key, behind an Ethernet header
 * that the kernel takes off.
 */
static __always_inline int flow__asked(struct __sk_buff *ctx)
{
	u64 now = bpf_ktime_get_boot_ns(), sk, *closed;
	struct flow_socket *socket;
	struct event_flow_key key;
	struct event_flow *flow;

	if (bpf_skb_load_bytes(ctx, 0, &key, sizeof(key)))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return 0;
	closed = bpf_map_lookup_elem(&flow_sockets_closed, &key.cookie);
	if (!closed && (s64)(now - flow->last_ns) < (s64)config.flow_idle_ns)
		return 0;
	sk = flow->sk;
	flow__end(&key, flow, closed ? *closed : now);
	socket = bpf_map_lookup_elem(&flow_sockets, &sk);
	if (socket && socket->cookie == key.cookie)
		__sync_fetch_and_add(&socket->n_flows, -1);
	return 1;
}

/* A descriptor of a process that lives already: if it leads to a UDP socket, somebody has that. */
static __always_inline int flow__found(struct task_struct *task, struct file *file)
{
	struct flow_socket new = {};
	struct socket *socket;
	struct sock *sk;
	u64 key;

	if (!task || !file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	key = (u64)sk;
	if (!sk || !socket__is_inet(sk) || !flow__is_udp(BPF_CORE_READ(sk, sk_protocol)))
		return 0;
	task__fill(&new.task, task);
	new.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	new.wanted = filter__wants(task);
	bpf_map_update_elem(&flow_sockets, &key, &new, BPF_NOEXIST);
	return 0;
}

#endif
